//! Binding: which argument belongs to which parameter of a cmdlet or a function.

use std::sync::Arc;

use super::Interpreter;
use super::flow::{Run, failed};
use super::pipeline::{Argument, Arguments};
use super::streams::action_of;
use crate::sim::powershell::call::ErrorAction;
use crate::sim::powershell::convert;
use crate::sim::powershell::error::{Category, ErrorRecord};
use crate::sim::powershell::spec::{Param, ParamKind, Spec};
use crate::sim::powershell::text;
use crate::sim::powershell::types;
use crate::sim::powershell::value::Value;

/// Parameters every cmdlet knows.
const COMMON: &[(&str, &[&str], bool)] = &[
    ("ErrorAction", &["ea"], true),
    ("ErrorVariable", &["ev"], true),
    ("WarningAction", &["wa"], true),
    ("WarningVariable", &["wv"], true),
    ("InformationAction", &["infa"], true),
    ("InformationVariable", &["iv"], true),
    ("OutVariable", &["ov"], true),
    ("OutBuffer", &["ob"], true),
    ("PipelineVariable", &["pv"], true),
    ("Verbose", &["vb"], false),
    ("Debug", &["db"], false),
];

/// Bound arguments of a cmdlet.
#[derive(Debug, Clone, Default)]
pub(super) struct Bound {
    pub(super) arguments: Vec<(&'static str, Value)>,
    pub(super) action: Option<ErrorAction>,
    pub(super) error_variable: Option<String>,
}

enum Named {
    Own(&'static Param),
    Common(&'static str, bool),
    /// `-WhatIf`, `-Confirm`.
    Confirming(&'static str),
}

impl Interpreter<'_> {
    /// Binds the arguments of a cmdlet that stands first.
    pub(super) fn bind(&mut self, spec: &'static Spec, arguments: Arguments) -> Run<Bound> {
        let bound = self.bind_for_pipeline(spec, arguments)?;
        for param in spec.params {
            let given = bound.arguments.iter().any(|(name, _)| *name == param.name);
            if param.mandatory && !given {
                let message = format!(
                    "Cannot process command because of one or more missing mandatory parameters: \
                     {}.",
                    param.name
                );
                return failed(binding_error(spec, message, "MissingMandatoryParameter"));
            }
        }
        Ok(bound)
    }

    /// Binds the arguments of a cmdlet to which a pipeline may give what is still missing.
    pub(super) fn bind_for_pipeline(
        &mut self,
        spec: &'static Spec,
        arguments: Arguments,
    ) -> Run<Bound> {
        let mut bound = Bound::default();
        let mut loose = Vec::new();
        let mut words = arguments.0.into_iter().peekable();
        while let Some(word) = words.next() {
            let (name, value) = match word {
                Argument::Positional(value) => {
                    loose.push(value);
                    continue;
                }
                Argument::Named(name, value) => (name, value),
            };
            let named = find(spec, &name)?;
            let switch = match &named {
                Named::Own(param) => param.kind == ParamKind::Switch,
                Named::Common(_, takes) => !takes,
                Named::Confirming(_) => true,
            };
            let value = match (value, switch) {
                (Some(value), true) => Value::Bool(convert::truth(&value)),
                (Some(value), false) => value,
                (None, true) => Value::Bool(true),
                (None, false) => {
                    let Some(Argument::Positional(next)) = words.next() else {
                        let message = missing_argument(named.name());
                        return failed(binding_error(spec, message, "MissingArgument"));
                    };
                    next
                }
            };
            self.bind_named(spec, &mut bound, &named, value)?;
        }
        self.bind_loose(spec, &mut bound, loose)?;
        Ok(bound)
    }

    fn bind_named(
        &mut self,
        spec: &'static Spec,
        bound: &mut Bound,
        named: &Named,
        value: Value,
    ) -> Run<()> {
        match named {
            Named::Own(param) => {
                if bound.arguments.iter().any(|(name, _)| *name == param.name) {
                    let message = format!(
                        "Cannot bind parameter because parameter '{}' is specified more than \
                         once. To provide multiple values to parameters that can accept multiple \
                         values, use the array syntax. For example, \"-parameter \
                         value1,value2,value3\".",
                        param.name
                    );
                    return failed(binding_error(spec, message, "ParameterAlreadyBound"));
                }
                let value = self.converted(spec, param, value)?;
                bound.arguments.push((param.name, value));
            }
            Named::Confirming(name) => bound.arguments.push((name, value)),
            Named::Common("ErrorAction", _) => {
                let text = text::of(&value, self.locale);
                let Some(action) = action_of(&text) else {
                    let known = "SilentlyContinue, Stop, Continue, Inquire, Ignore, Suspend";
                    return failed(not_one_of(spec, "ErrorAction", &text, known));
                };
                bound.action = Some(action);
            }
            Named::Common("ErrorVariable", _) => {
                let text = text::of(&value, self.locale);
                bound.error_variable = Some(text.trim_start_matches('+').to_owned());
            }
            Named::Common(..) => {}
        }
        Ok(())
    }

    fn bind_loose(&mut self, spec: &'static Spec, bound: &mut Bound, loose: Vec<Value>) -> Run<()> {
        let mut places: Vec<&'static Param> = spec
            .params
            .iter()
            .filter(|param| param.position.is_some())
            .filter(|param| bound.arguments.iter().all(|(name, _)| *name != param.name))
            .collect();
        places.sort_by_key(|param| param.position);
        let mut places = places.into_iter();
        let mut loose = loose.into_iter();
        while let Some(value) = loose.next() {
            let Some(param) = places.next() else {
                let shown = text::of(&value, self.locale);
                let message = format!(
                    "A positional parameter cannot be found that accepts argument '{shown}'."
                );
                let id = "PositionalParameterNotFound";
                return failed(binding_error(spec, message, id));
            };
            let value = if param.rest {
                let mut all = vec![value];
                all.extend(loose.by_ref());
                Value::of_output(all).plain()
            } else {
                value
            };
            let value = self.converted(spec, param, value)?;
            bound.arguments.push((param.name, value));
        }
        Ok(())
    }

    /// Converts an argument to what its parameter takes.
    fn converted(&mut self, spec: &'static Spec, param: &Param, value: Value) -> Run<Value> {
        if value.is_null() && param.mandatory {
            let message = format!(
                "Cannot bind argument to parameter '{}' because it is null.",
                param.name
            );
            let id = "ParameterArgumentValidationErrorNullNotAllowed";
            return failed(binding_error(spec, message, id));
        }
        match param.kind {
            ParamKind::Any | ParamKind::Switch => Ok(value),
            ParamKind::Typed(type_name) => {
                let full = types::full_name(type_name);
                match convert::cast(&value, &full, self.locale) {
                    Ok(value) => Ok(value),
                    Err(record) => {
                        let message = format!(
                            "Cannot bind parameter '{}'. {}",
                            param.name,
                            record.message()
                        );
                        let id = if full.ends_with("[]") || matches!(value, Value::Array(_)) {
                            "CannotConvertArgument"
                        } else {
                            "CannotConvertArgumentNoMessage"
                        };
                        failed(
                            binding_error(spec, message, id).because("ParameterBindingException"),
                        )
                    }
                }
            }
            ParamKind::OneOf(names) => {
                let text = text::of(&value, self.locale);
                let number = value.as_integer().and_then(|n| usize::try_from(n).ok());
                let found = names
                    .iter()
                    .find(|known| known.eq_ignore_ascii_case(&text))
                    .or_else(|| number.and_then(|number| names.get(number)));
                match found {
                    Some(known) => Ok(Value::str(known)),
                    None => failed(not_one_of(spec, param.name, &text, &names.join(", "))),
                }
            }
        }
    }

    /// Binds the arguments of a function or script block to its parameters, in the scope there is.
    pub(super) fn bind_block(
        &mut self,
        block: &crate::sim::powershell::ast::ScriptBlock,
        arguments: Arguments,
        input: Option<&[Value]>,
    ) -> Run<()> {
        let mut given: Vec<Option<Value>> = block.params.iter().map(|_| None).collect();
        let mut rest = Vec::new();
        let mut words = arguments.0.into_iter().peekable();
        let mut loose = Vec::new();
        while let Some(word) = words.next() {
            let (name, value) = match word {
                Argument::Positional(value) => {
                    loose.push(value);
                    continue;
                }
                Argument::Named(name, value) => (name, value),
            };
            let Some(place) = parameter_named(block, &name)? else {
                rest.push(Value::from(format!("-{name}")));
                rest.extend(value);
                continue;
            };
            let is_switch = block
                .params
                .get(place)
                .is_some_and(|param| param.types.iter().any(is_switch));
            let value = match value {
                Some(value) => value,
                None if is_switch => Value::Bool(true),
                None => {
                    let Some(Argument::Positional(next)) = words.next() else {
                        return failed(
                            ErrorRecord::new(
                                PARAMETER_BINDING,
                                missing_argument(&name),
                                "MissingArgument",
                                Category::InvalidArgument,
                            )
                            .terminating(),
                        );
                    };
                    next
                }
            };
            if let Some(slot) = given.get_mut(place) {
                *slot = Some(value);
            }
        }
        let mut loose = loose.into_iter();
        for (slot, param) in given.iter_mut().zip(&block.params) {
            if slot.is_none() && !param.types.iter().any(is_switch) {
                *slot = loose.next();
            }
        }
        rest.extend(loose);
        self.scopes.set_local("args", Value::array(rest));
        self.set_parameters(block, given, input)
    }

    fn set_parameters(
        &mut self,
        block: &crate::sim::powershell::ast::ScriptBlock,
        given: Vec<Option<Value>>,
        input: Option<&[Value]>,
    ) -> Run<()> {
        for (param, given) in block.params.iter().zip(given) {
            let full = param
                .types
                .first()
                .map(|literal| types::full_name(&literal.0));
            let value = match (given, &param.default) {
                (Some(value), _) => value,
                (None, _) if param.from_pipeline && input.is_some() => {
                    input.and_then(<[Value]>::last).cloned().unwrap_or_default()
                }
                (None, _) if param.mandatory => {
                    let message = format!(
                        "Cannot process command because of one or more missing mandatory \
                         parameters: {}.",
                        param.name
                    );
                    return failed(
                        ErrorRecord::new(
                            PARAMETER_BINDING,
                            message,
                            "MissingMandatoryParameter",
                            Category::InvalidArgument,
                        )
                        .terminating(),
                    );
                }
                (None, Some(default)) => self.expression(default)?.plain(),
                (None, None) => match full.as_deref() {
                    Some("System.Management.Automation.SwitchParameter" | "System.Boolean") => {
                        Value::Bool(false)
                    }
                    Some("System.String") => Value::str(""),
                    Some("System.Int32") => Value::Int(0),
                    Some("System.Int64") => Value::Long(0),
                    _ => {
                        self.scopes.set_local(&param.name, Value::Null);
                        continue;
                    }
                },
            };
            let value = match &full {
                Some(full) => match convert::cast(&value, full, self.locale) {
                    Ok(value) => value,
                    Err(record) => {
                        let message = format!(
                            "Cannot process argument transformation on parameter '{}'. {}",
                            param.name,
                            record.message()
                        );
                        let id = "ParameterArgumentTransformationError";
                        return failed(ErrorRecord::new(
                            "System.Management.Automation.ParameterBindingArgumentTransformationException",
                            message,
                            id,
                            Category::InvalidData,
                        ).terminating());
                    }
                },
                None => value,
            };
            self.scopes.set_local(&param.name, value);
            if let Some(full) = full {
                self.scopes.declare(&param.name, Arc::from(full));
            }
        }
        Ok(())
    }
}

const PARAMETER_BINDING: &str = "System.Management.Automation.ParameterBindingException";

impl Named {
    const fn name(&self) -> &'static str {
        match self {
            Self::Own(param) => param.name,
            Self::Common(name, _) | Self::Confirming(name) => name,
        }
    }
}

fn starts(name: &str, written: &str) -> bool {
    name.get(..written.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(written))
}

/// Finds a parameter by its name, an alias or an unambiguous beginning of its name.
fn find(spec: &'static Spec, written: &str) -> Result<Named, ErrorRecord> {
    let exact = spec.params.iter().find(|param| {
        param.name.eq_ignore_ascii_case(written)
            || param
                .aliases
                .iter()
                .any(|alias| alias.eq_ignore_ascii_case(written))
    });
    if let Some(param) = exact {
        return Ok(Named::Own(param));
    }
    for (name, aliases, takes) in COMMON {
        if name.eq_ignore_ascii_case(written)
            || aliases
                .iter()
                .any(|alias| alias.eq_ignore_ascii_case(written))
        {
            return Ok(Named::Common(name, *takes));
        }
    }
    let confirming: &[&'static str] = if spec.confirms {
        &["WhatIf", "Confirm"]
    } else {
        &[]
    };
    let mut found: Vec<Named> = spec
        .params
        .iter()
        .filter(|param| starts(param.name, written))
        .map(Named::Own)
        .collect();
    found.extend(
        COMMON
            .iter()
            .filter(|(name, ..)| starts(name, written))
            .map(|(name, _, takes)| Named::Common(name, *takes)),
    );
    found.extend(
        confirming
            .iter()
            .filter(|name| {
                starts(name, written)
                    || written.eq_ignore_ascii_case("cf") && **name == "Confirm"
                    || written.eq_ignore_ascii_case("wi") && **name == "WhatIf"
            })
            .map(|name| Named::Confirming(name)),
    );
    match (found.len(), found.pop()) {
        (1, Some(only)) => Ok(only),
        (0, _) | (_, None) => {
            let message =
                format!("A parameter cannot be found that matches parameter name '{written}'.");
            Err(binding_error(spec, message, "NamedParameterNotFound"))
        }
        (_, Some(last)) => {
            let mut names: Vec<String> = found
                .iter()
                .map(|named| format!(" -{}", named.name()))
                .collect();
            names.push(format!(" -{}", last.name()));
            let message = format!(
                "Parameter cannot be processed because the parameter name '{written}' is \
                 ambiguous. Possible matches include:{}.",
                names.concat()
            );
            Err(binding_error(spec, message, "AmbiguousParameter"))
        }
    }
}

/// Makes an error about a cmdlet's parameters.
pub(in crate::sim::powershell) fn binding_error(
    spec: &'static Spec,
    message: String,
    id: &str,
) -> ErrorRecord {
    let class = format!("{id},{}", spec.class);
    let type_name = if id.starts_with("ParameterArgumentValidation") {
        "System.Management.Automation.ParameterBindingValidationException"
    } else {
        PARAMETER_BINDING
    };
    let category = if id.starts_with("ParameterArgumentValidation") {
        Category::InvalidData
    } else {
        Category::InvalidArgument
    };
    ErrorRecord::new(type_name, message, class, category)
        .in_command(spec.name)
        .terminating()
}

fn not_one_of(spec: &'static Spec, param: &str, text: &str, names: &str) -> ErrorRecord {
    let message = format!(
        "Cannot bind parameter '{param}'. Cannot convert value \"{text}\" to the type of the \
         parameter. Error: \"Unable to match the identifier name {text} to a valid enumerator \
         name. Specify one of the following enumerator names and try again: {names}\""
    );
    binding_error(spec, message, "CannotConvertArgumentNoMessage")
}

fn is_switch(literal: &crate::sim::powershell::ast::TypeLiteral) -> bool {
    literal.0.eq_ignore_ascii_case("switch")
}

fn missing_argument(name: &str) -> String {
    format!(
        "Missing an argument for parameter '{name}'. Specify a parameter of type 'System.Object' \
         and try again."
    )
}

/// Finds a function's parameter by its name or an unambiguous beginning of it.
fn parameter_named(
    block: &crate::sim::powershell::ast::ScriptBlock,
    written: &str,
) -> Result<Option<usize>, ErrorRecord> {
    if let Some(place) = block
        .params
        .iter()
        .position(|param| param.name.eq_ignore_ascii_case(written))
    {
        return Ok(Some(place));
    }
    let found: Vec<usize> = block
        .params
        .iter()
        .enumerate()
        .filter(|(_, param)| starts(&param.name, written))
        .map(|(place, _)| place)
        .collect();
    match found.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(*only)),
        _ => Err(ErrorRecord::new(
            PARAMETER_BINDING,
            format!(
                "Parameter cannot be processed because the parameter name '{written}' is ambiguous."
            ),
            "AmbiguousParameter",
            Category::InvalidArgument,
        )
        .terminating()),
    }
}

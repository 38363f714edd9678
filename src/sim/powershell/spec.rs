//! Declarations of commands: names, modules and parameters, from which the interpreter binds
//! arguments. Written as constants.

/// A command's declaration.
#[derive(Debug)]
pub(in crate::sim) struct Spec {
    /// As PowerShell spells it.
    pub(in crate::sim) name: &'static str,
    pub(in crate::sim) module: &'static str,
    /// The class behind it, as error identifiers end with it after a comma.
    pub(in crate::sim) class: &'static str,
    pub(in crate::sim) params: &'static [Param],
    /// Whether it knows `-WhatIf` and `-Confirm`.
    pub(in crate::sim) confirms: bool,
}

impl Spec {
    /// Declares a command.
    pub(in crate::sim) const fn new(
        name: &'static str,
        module: &'static str,
        class: &'static str,
        params: &'static [Param],
    ) -> Self {
        Self {
            name,
            module,
            class,
            params,
            confirms: false,
        }
    }

    /// Lets it know `-WhatIf` and `-Confirm`.
    #[must_use]
    pub(in crate::sim) const fn confirms(mut self) -> Self {
        self.confirms = true;
        self
    }
}

/// A parameter's declaration.
#[derive(Debug, Clone, Copy)]
pub(in crate::sim) struct Param {
    pub(in crate::sim) name: &'static str,
    pub(in crate::sim) aliases: &'static [&'static str],
    pub(in crate::sim) kind: ParamKind,
    /// Its place among arguments without a name.
    pub(in crate::sim) position: Option<u8>,
    /// Must be given, and must not be `$null`.
    pub(in crate::sim) mandatory: bool,
    /// Takes all remaining arguments (`Write-Output a b`).
    pub(in crate::sim) rest: bool,
}

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum ParamKind {
    Switch,
    /// A value as it is.
    Any,
    /// A value converted to a type, by a name the language knows: `string`, `guid[]`, `int`, `uint16`.
    Typed(&'static str),
    /// One name of an enumeration.
    OneOf(&'static [&'static str]),
}

impl Param {
    const fn of(name: &'static str, kind: ParamKind) -> Self {
        Self {
            name,
            aliases: &[],
            kind,
            position: None,
            mandatory: false,
            rest: false,
        }
    }

    /// A parameter that takes any value.
    pub(in crate::sim) const fn any(name: &'static str) -> Self {
        Self::of(name, ParamKind::Any)
    }

    /// A parameter of a type.
    pub(in crate::sim) const fn typed(name: &'static str, type_name: &'static str) -> Self {
        Self::of(name, ParamKind::Typed(type_name))
    }

    /// A parameter that takes one of several names.
    pub(in crate::sim) const fn one_of(name: &'static str, names: &'static [&'static str]) -> Self {
        Self::of(name, ParamKind::OneOf(names))
    }

    /// A switch.
    pub(in crate::sim) const fn switch(name: &'static str) -> Self {
        Self::of(name, ParamKind::Switch)
    }

    /// Gives it a place among arguments without a name.
    #[must_use]
    pub(in crate::sim) const fn at(mut self, position: u8) -> Self {
        self.position = Some(position);
        self
    }

    /// Makes it mandatory.
    #[must_use]
    pub(in crate::sim) const fn mandatory(mut self) -> Self {
        self.mandatory = true;
        self
    }

    /// Gives it other names.
    #[must_use]
    pub(in crate::sim) const fn also(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Lets it take all remaining arguments.
    #[must_use]
    pub(in crate::sim) const fn rest(mut self) -> Self {
        self.rest = true;
        self
    }
}

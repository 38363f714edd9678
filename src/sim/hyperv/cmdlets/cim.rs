//! The CIM cmdlets: instances, methods, associations.

use super::super::cell::Cell;
use super::super::cim::{self, Space, hresult};
use super::super::convert::{self, Known, space_of};
use super::super::machine::WinMachine;
use super::super::messages::cim_failure;
use super::super::methods::{self, Out};
use super::super::wql::{Condition, Query};
use super::missing;
use crate::sim::powershell::call::Call;
use crate::sim::powershell::error::ErrorRecord;
use crate::sim::powershell::machine::Reply;
use crate::sim::powershell::object::{Hash, Object};
use crate::sim::powershell::value::Value;

impl WinMachine {
    /// Makes the error of an HRESULT, as the calling cmdlet reports it.
    pub(super) fn cim_error(&self, call: &Call, hresult: u32, about: Option<&str>) -> ErrorRecord {
        let language = self.language();
        convert::error(cim_failure(hresult, about, call.spec.name, language))
    }
}

/// `Get-CimInstance`.
pub(super) fn get(machine: &mut WinMachine, call: &Call) -> Reply {
    if let Some(value) = call.get("InputObject") {
        return again(machine, call, value);
    }
    let Some(space) = Space::parse(call.text("Namespace")) else {
        let namespace = call.text("Namespace").unwrap_or_default();
        return Reply::error(machine.cim_error(call, hresult::INVALID_NAMESPACE, Some(namespace)));
    };
    let query = match wanted(call) {
        Ok(query) => query,
        Err(Some(code)) => return Reply::error(machine.cim_error(call, code, None)),
        Err(None) => return Reply::error(missing(call, "ClassName")),
    };
    if machine.hangs(&query.class) {
        return machine.hang(call);
    }
    let rows = machine
        .host()
        .world(|world| cim::query(world, space, &query));
    match rows {
        Ok(rows) => Reply::values(
            rows.into_iter()
                .map(|row| convert::instance(row, machine.style()))
                .collect(),
        ),
        Err(code) => {
            let about = format!("{}:{}", space.path().replace('\\', "/"), query.class);
            Reply::error(machine.cim_error(call, code, Some(&about)))
        }
    }
}

/// Reads what is asked for; the error is WMI's, or none where nothing was asked.
fn wanted(call: &Call) -> Result<Query, Option<u32>> {
    let malformed = Some(hresult::INVALID_QUERY);
    if let Some(text) = call.text("Query") {
        return Query::parse(text).map_err(|_malformed| malformed);
    }
    let condition = match call.text("Filter") {
        Some(text) => Some(Condition::parse(text).map_err(|_malformed| malformed)?),
        None => None,
    };
    Ok(Query {
        columns: call.texts("Property"),
        class: call.text("ClassName").ok_or(None)?.to_owned(),
        within: None,
        condition,
    })
}

/// Reads an instance anew.
fn again(machine: &WinMachine, call: &Call, value: &Value) -> Reply {
    let Some(Known::Instance { class, id }) = convert::known(value) else {
        return Reply::error(machine.cim_error(call, hresult::INVALID_PARAMETER, None));
    };
    let space = space_of(&class);
    let found = machine.host().world(|world| {
        cim::open(world, space)?.ok_or(hresult::NOT_FOUND)?;
        let class = cim::class(space, &class).ok_or(hresult::INVALID_CLASS)?;
        cim::find(world, class, &id).ok_or(hresult::NOT_FOUND)
    });
    match found {
        Ok(row) => Reply::value(convert::instance(row, machine.style())),
        Err(code) => Reply::error(machine.cim_error(call, code, Some(&class))),
    }
}

/// `Invoke-CimMethod`.
pub(super) fn invoke(machine: &mut WinMachine, call: &Call) -> Reply {
    let method = call.text("MethodName").unwrap_or_default();
    if machine.hangs(method) {
        return machine.hang(call);
    }
    let arguments = match call.get("Arguments") {
        None | Some(Value::Null) => Hash::new(),
        Some(Value::Hash(hash)) => hash.clone(),
        Some(_) => {
            return Reply::error(machine.cim_error(call, hresult::INVALID_METHOD_PARAMETERS, None));
        }
    };
    let targets = match call.text("Query") {
        Some(query) => match by_query(machine, call, query) {
            Ok(targets) => targets,
            Err(reply) => return reply,
        },
        None => call.given_or_input("InputObject"),
    };
    if targets.is_empty() && call.text("Query").is_none() {
        return Reply::error(missing(call, "InputObject"));
    }
    let mut reply = Reply::nothing();
    for target in targets {
        let Some(Known::Instance { class, id }) = convert::known(&target) else {
            let code = hresult::INVALID_PARAMETER;
            reply = reply.and_error(machine.cim_error(call, code, None));
            continue;
        };
        let returned = machine
            .host()
            .world(|world| methods::invoke(world, (&class, &id), method, &arguments));
        match returned {
            Ok(returned) => reply.output.push(result(machine, returned)),
            Err(code) => {
                reply = reply.and_error(machine.cim_error(call, code, Some(&class)));
            }
        }
    }
    reply
}

fn by_query(machine: &WinMachine, call: &Call, query: &str) -> Result<Vec<Value>, Reply> {
    let rows = Space::parse(call.text("Namespace"))
        .ok_or(hresult::INVALID_NAMESPACE)
        .and_then(|space| {
            let query = Query::parse(query).map_err(|_malformed| hresult::INVALID_QUERY)?;
            machine
                .host()
                .world(|world| cim::query(world, space, &query))
        })
        .map_err(|code| Reply::error(machine.cim_error(call, code, None)))?;
    Ok(rows
        .into_iter()
        .map(|row| convert::instance(row, machine.style()))
        .collect())
}

fn result(machine: &WinMachine, returned: methods::Returned) -> Value {
    let style = machine.style();
    let mut made = Object::new("Microsoft.Management.Infrastructure.CimMethodResult");
    for (name, out) in returned.out {
        let value = match out {
            Out::Cell(cell) => convert::value(cell, style),
            Out::Summaries => Value::array(summaries(machine)),
        };
        made = made.with(name, value);
    }
    Value::from(
        made.with("ReturnValue", returned.code)
            .with("PSComputerName", Value::Null),
    )
}

/// What `GetSummaryInformation` answers for all VMs.
fn summaries(machine: &WinMachine) -> Vec<Value> {
    let rows = machine.host().world(|world| {
        let mut rows = cim::class(Space::Virtualization, "Msvm_SummaryInformation")
            .map(|class| class.instances(world))
            .unwrap_or_default();
        if world.faults.null_enabled_state {
            for row in &mut rows {
                for (name, cell) in &mut row.props {
                    if *name == "EnabledState" {
                        *cell = Cell::Null;
                    }
                }
            }
        }
        rows
    });
    rows.into_iter()
        .map(|row| convert::instance(row, machine.style()))
        .collect()
}

/// `Get-CimAssociatedInstance`.
pub(super) fn associated(machine: &mut WinMachine, call: &Call) -> Reply {
    let mut reply = Reply::nothing();
    for value in call.given_or_input("InputObject") {
        let Some(Known::Instance { class, id }) = convert::known(&value) else {
            let code = hresult::INVALID_PARAMETER;
            reply = reply.and_error(machine.cim_error(call, code, None));
            continue;
        };
        let found = machine.host().world(|world| {
            methods::associated(
                world,
                (&class, &id),
                call.text("Association"),
                call.text("ResultClassName"),
            )
        });
        match found {
            Ok(rows) => reply.output.extend(
                rows.into_iter()
                    .map(|row| convert::instance(row, machine.style())),
            ),
            Err(code) => {
                reply = reply.and_error(machine.cim_error(call, code, Some(&class)));
            }
        }
    }
    reply
}

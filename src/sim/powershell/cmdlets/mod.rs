//! The general cmdlets: those that need no particular host. What belongs to a machine (services, CIM,
//! Hyper-V) is the [`Machine`](super::machine::Machine)'s.

mod each;
mod json_in;
mod json_out;
mod lists;
mod objects;
mod output;
mod remote;
mod select;
mod system;
mod table;

use std::fmt;

use super::call::Call;
use super::interp::{Interpreter, Run};
use super::machine::{Edition, Reply};
use super::spec::Spec;
use super::value::Value;

/// The module of the engine's own cmdlets, which is there from the start.
pub(super) const CORE: &str = "Microsoft.PowerShell.Core";

/// A cmdlet that is called when all its input has come.
pub(super) type Function = fn(&mut Interpreter<'_>, &Call) -> Run<Reply>;

/// A cmdlet that answers each value as it comes.
pub(super) trait Streaming: fmt::Debug + Send {
    fn begin(&mut self, _interpreter: &mut Interpreter<'_>) -> Run<()> {
        Ok(())
    }
    /// Takes a value; `false` when it wants no more.
    fn process(&mut self, interpreter: &mut Interpreter<'_>, value: Value) -> Run<bool>;
    fn end(&mut self, interpreter: &mut Interpreter<'_>) -> Run<()>;
    /// Whether its end runs though a later command stopped the pipeline.
    fn ends_after_stop(&self) -> bool {
        false
    }
}

/// Finds a cmdlet's declaration by its name.
pub(super) fn spec(name: &str, edition: Edition) -> Option<&'static Spec> {
    table::TABLE
        .iter()
        .filter(|entry| entry.only.is_none_or(|only| only == edition))
        .find(|entry| entry.spec.name.eq_ignore_ascii_case(name))
        .map(|entry| &entry.spec)
}

/// Returns a cmdlet's function.
pub(super) fn function(spec: &'static Spec) -> Option<Function> {
    table::TABLE
        .iter()
        .find(|entry| std::ptr::eq(&raw const entry.spec, spec))
        .and_then(|entry| entry.function)
}

/// Makes the running part of a streaming cmdlet.
pub(super) fn streaming(
    interpreter: &mut Interpreter<'_>,
    call: &Call,
) -> Run<Option<Box<dyn Streaming>>> {
    Ok(match call.spec.name {
        "ForEach-Object" => Some(Box::new(each::ForEach::new(call))),
        "Where-Object" => Some(Box::new(each::Where::new(interpreter, call)?)),
        "Select-Object" => Some(Box::new(select::Select::new(call))),
        "Out-Null" => Some(Box::new(each::Nowhere)),
        _ => None,
    })
}

/// Returns what an alias stands for.
pub(super) fn alias(name: &str, edition: Edition) -> Option<&'static str> {
    Some(match name.to_ascii_lowercase().as_str() {
        "%" | "foreach" => "ForEach-Object",
        "?" | "where" => "Where-Object",
        "select" => "Select-Object",
        "sort" => "Sort-Object",
        "measure" => "Measure-Object",
        "group" => "Group-Object",
        "echo" | "write" => "Write-Output",
        "gps" | "ps" => "Get-Process",
        "kill" | "spps" => "Stop-Process",
        "sleep" => "Start-Sleep",
        "gcm" => "Get-Command",
        "gmo" => "Get-Module",
        "ipmo" => "Import-Module",
        "gsv" => "Get-Service",
        "gcim" => "Get-CimInstance",
        "icim" => "Invoke-CimMethod",
        "gcai" => "Get-CimAssociatedInstance",
        "oh" => "Out-Host",
        "iex" => "Invoke-Expression",
        "gv" => "Get-Variable",
        "gwmi" if edition == Edition::Desktop => "Get-WmiObject",
        _ => return None,
    })
}

/// Returns the pipeline's input of a cmdlet, or its `-InputObject`.
fn input(call: &Call) -> Vec<Value> {
    match (&call.input, call.get("InputObject")) {
        (Some(input), _) => input.clone(),
        (None, Some(value)) => value.items(),
        (None, None) => Vec::new(),
    }
}

//! `Invoke-Command` into a VM (`PowerShell` Direct): the block runs with nothing of the caller's but its
//! arguments, in a session that the machine lets an account into.

use crate::sim::powershell::call::Call;
use crate::sim::powershell::error::Category;
use crate::sim::powershell::interp::{Interpreter, Run};
use crate::sim::powershell::machine::Reply;
use crate::sim::powershell::native::{Native, lock};
use crate::sim::powershell::value::Value;

/// `Invoke-Command -VMId`.
pub(super) fn invoke(interpreter: &mut Interpreter<'_>, call: &Call) -> Run<Reply> {
    let given = (
        call.get("ScriptBlock"),
        call.get("VMId").map(Value::items),
        call.get("Credential").and_then(Value::as_object),
    );
    let (Some(Value::ScriptBlock(block)), Some(vms), Some(account)) = given else {
        let message = "Parameter set cannot be resolved using the specified named parameters.";
        let class = "System.Management.Automation.ParameterBindingException";
        let record = call.error(
            class,
            message,
            "AmbiguousParameterSet",
            Category::InvalidArgument,
        );
        return Ok(Reply::error(record.terminating()));
    };
    let user = account.get("UserName");
    let user = user.as_ref().and_then(Value::as_str).unwrap_or_default();
    let password = match account.get("Password") {
        Some(Value::Native(native)) => match native.as_ref() {
            Native::Secret(text) => lock(text).clone(),
            _ => String::new(),
        },
        _ => String::new(),
    };
    let vm = vms.first().cloned().unwrap_or_default();
    let entered = interpreter
        .process
        .machine
        .enter_guest(call, &vm, (user, &password));
    if let Err(record) = entered {
        return Ok(Reply::error(*record));
    }
    let values = call.get("ArgumentList").map(Value::items);
    let result = interpreter.invoke_apart(block, &values.unwrap_or_default());
    interpreter.process.machine.leave_guest();
    Ok(Reply::values(result?))
}

//! Windows in the VMs: who may open a session in one by `PowerShell` Direct, and the few programs there are
//! (Microsoft: "Manage Windows virtual machines with PowerShell Direct"; the errors are those that public
//! issue trackers show).

use std::time::Duration;

use super::convert;
use super::machine::WinMachine;
use super::state::WinState;
use crate::sim::powershell::call::Call;
use crate::sim::powershell::error::{Category, ErrorRecord};
use crate::sim::powershell::machine::Started;
use crate::sim::powershell::value::Value;

/// The account that every guest has.
pub(in crate::sim) const USER: &str = "Administrator";

/// The password of it, where a scenario says no other.
pub(in crate::sim) const PASSWORD: &str = "guest";

/// A session in a VM.
#[derive(Debug)]
pub(in crate::sim) struct Visit {
    vm: String,
    user: String,
}

/// Lets an account into a VM.
pub(super) fn enter(
    machine: &WinMachine,
    call: &Call,
    vm: &Value,
    (user, password): (&str, &str),
) -> Result<Visit, Box<ErrorRecord>> {
    const ARGUMENT: &str = "System.ArgumentException";
    let id = convert::guid_of(vm).unwrap_or_default();
    let hidden = machine.is_denied();
    let found = machine.host().world(|world| {
        let t = world.t();
        let vm = world.vm(&id).filter(|_| !hidden)?;
        let newest = ["Windows 10", "Windows 11", "2016", "2019", "2022", "2025"];
        let answers = vm.is_ready(t) && newest.iter().any(|os| vm.plan.guest_os.contains(os));
        let runs = vm.state() == WinState::Running;
        Some((
            vm.name().to_owned(),
            runs,
            answers,
            vm.plan.password.clone(),
        ))
    });
    let Some((name, runs, answers, wanted)) = found else {
        let text = format!("The input VMId {id} does not resolve to a single virtual machine.");
        let id = "InvalidVMIdNotSingle";
        return Err(Box::new(call.error(
            ARGUMENT,
            text,
            id,
            Category::InvalidArgument,
        )));
    };
    if !runs {
        let text = format!("The virtual machine {name} is not in running state.");
        let record = call.error(ARGUMENT, text, "InvalidVMState", Category::InvalidOperation);
        return Err(Box::new(record));
    }
    let broken = |class: &str, text: &str| {
        let class = format!("System.Management.Automation.Remoting.{class}");
        let record = ErrorRecord::new(&class, text, "PSSessionStateBroken", Category::OpenError);
        Err(Box::new(record.with_target(name.as_str())))
    };
    if !answers {
        return broken(
            "PSRemotingDataStructureException",
            "An error has occurred which Windows PowerShell cannot handle. A remote session might have ended.",
        );
    }
    let bare = user.rsplit('\\').next().unwrap_or(user);
    if !bare.eq_ignore_ascii_case(USER) || password != wanted {
        return broken("PSDirectException", "The credential is invalid.");
    }
    Ok(Visit {
        vm: name,
        user: bare.to_lowercase(),
    })
}

impl Visit {
    /// Starts a program; the error is what Windows says.
    pub(super) fn start(&self, program: &str, words: &str) -> Result<Started, String> {
        let args = words_of(words);
        let name = program.rsplit(['\\', '/']).next().unwrap_or(program);
        let name = name.to_lowercase();
        let mut started = Started {
            id: 4120,
            lasts: Some(Duration::ZERO),
            ..Started::default()
        };
        match name.trim_end_matches(".exe") {
            "hostname" => started.out = format!("{}\r\n", self.vm).into(),
            "whoami" => started.out = format!("{}\\{}\r\n", self.vm, self.user).into(),
            // Prints what it was given, and ends with how many that were.
            "args" => {
                for arg in &args {
                    started.out.extend(format!("[{arg}]\r\n").into_bytes());
                }
                started.err = format!("{} arguments\r\n", args.len()).into();
                started.code = i32::try_from(args.len()).unwrap_or_default();
            }
            // Prints so many bytes, of every value.
            "flood" => {
                let count = args.first().and_then(|count| count.parse().ok());
                let every = (0..=u8::MAX).cycle();
                started.out = every.take(count.unwrap_or_default()).collect();
            }
            "crash" => started.code = 0xc000_0005_u32.cast_signed(),
            "sleep" => {
                let seconds = args.first().and_then(|seconds| seconds.parse().ok());
                started.lasts = seconds.map(Duration::from_secs);
            }
            _ => return Err("The system cannot find the file specified".to_owned()),
        }
        Ok(started)
    }
}

/// Splits a command line as Windows programs do (Microsoft: `CommandLineToArgvW`).
fn words_of(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let (mut quoted, mut slashes) = (false, 0_usize);
    for c in line.chars() {
        if c == '\\' {
            slashes += 1;
            continue;
        }
        let is_quote = c == '"';
        let kept = if is_quote { slashes / 2 } else { slashes };
        if kept > 0 || (is_quote && slashes > 0) {
            word.get_or_insert_default()
                .extend(std::iter::repeat_n('\\', kept));
        }
        match c {
            '"' if slashes % 2 == 1 => word.get_or_insert_default().push('"'),
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' | '\t' if !quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
        slashes = 0;
    }
    if slashes > 0 {
        word.get_or_insert_default()
            .extend(std::iter::repeat_n('\\', slashes));
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_as_windows_does() {
        for (line, words) in [
            (r#"a "b c" d"#, vec!["a", "b c", "d"]),
            (r#""" x"#, vec!["", "x"]),
            (r#"a\\b "c\" d" e\"#, vec![r"a\\b", r#"c" d"#, r"e\"]),
            (r#""a\\" b"#, vec![r"a\", "b"]),
        ] {
            assert_eq!(words_of(line), words, "{line}");
        }
    }
}

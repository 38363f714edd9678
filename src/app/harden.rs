//! Keeps the memory of the process to itself: no core dump, no debugger or reader of the same account.
//! Called once, before anything secret is read. Must not decide anything else.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

/// Makes the process undumpable (Linux) and forbids core dumps, for good.
pub fn harden() -> io::Result<()> {
    let nothing = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, nothing)?;
    // Also closes `/proc/PID/mem` and `ptrace` to other processes of the account.
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior, getrlimit};

    use super::*;

    #[test]
    fn nothing_of_the_process_can_be_dumped() {
        harden().unwrap();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        let core = getrlimit(Resource::Core);
        assert_eq!((core.current, core.maximum), (Some(0), Some(0)));
    }
}

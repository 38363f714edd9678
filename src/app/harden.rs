//! Keeps the memory of the process to itself: no core dump, no debugger or reader of the same account.
//! Called once, before anything secret is read. Also asks the system for as many open files as the server
//! may need. Must not decide anything else.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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

/// Raises the number of files that may be open to `wanted`, or as far as this account may; returns it.
pub(super) fn open_files(wanted: u64) -> io::Result<u64> {
    let now = getrlimit(Resource::Nofile);
    // `None` is without limit.
    let Some(soft) = now.current.filter(|&soft| soft < wanted) else {
        return Ok(now.current.unwrap_or(u64::MAX));
    };
    let reached = now
        .maximum
        .map_or(wanted, |hard| hard.min(wanted))
        .max(soft);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(reached),
            ..now
        },
    )?;
    Ok(reached)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior};

    use super::*;

    #[test]
    fn open_files_are_raised_as_far_as_they_may_and_never_lowered() {
        let before = getrlimit(Resource::Nofile);
        let lower = Rlimit {
            current: Some(40),
            maximum: before.maximum,
        };
        setrlimit(Resource::Nofile, lower).unwrap();
        assert_eq!(open_files(50).unwrap(), 50);
        assert_eq!(open_files(45).unwrap(), 50);
        assert_eq!(getrlimit(Resource::Nofile).current, Some(50));
        if let Some(hard) = before.maximum {
            assert_eq!(open_files(u64::MAX).unwrap(), hard);
        }
    }

    #[test]
    fn nothing_of_the_process_can_be_dumped() {
        harden().unwrap();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        let core = getrlimit(Resource::Core);
        assert_eq!((core.current, core.maximum), (Some(0), Some(0)));
    }
}

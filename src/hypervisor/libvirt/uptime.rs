//! When VMs were started. libvirt does not say; the host's process table does: each VM is one process,
//! and its `-uuid` argument tells whose. A host whose `ps` cannot say so leaves uptimes unknown. Pure.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::command::QUESTION_LIFE;
use super::parse::lines;
use crate::domain::remote_command::RemoteCommand;
use crate::domain::vm::VmId;

/// Prints `SECONDS UUID` for every process with a `-uuid` argument. The last `-uuid` of a line counts:
/// QEMU's own comes after the VM's name, which may hold anything. Filtered on the host, because the
/// arguments of 300 VMs are more than a megabyte.
const SCRIPT: &str = r"ps -A -ww -o etimes= -o args= | sed -n 's/^ *\([0-9][0-9]*\) .* -uuid \([0-9a-fA-F-]\{36\}\) .*$/\1 \2/p'";

/// The question, for a POSIX shell.
pub(crate) fn question() -> RemoteCommand {
    RemoteCommand::posix("sh")
        .args(["-c", SCRIPT])
        .env("LC_ALL", "C")
        .life(QUESTION_LIFE)
}

/// Reads the answer. An id that stands twice is nobody's.
pub(crate) fn starts(output: &[u8], now: Timestamp) -> HashMap<VmId, Timestamp> {
    let mut found: HashMap<VmId, Option<Timestamp>> = HashMap::new();
    for line in lines(output) {
        let Some((id, started)) = one(line, now) else {
            continue;
        };
        found
            .entry(id)
            .and_modify(|known| *known = None)
            .or_insert(Some(started));
    }
    found
        .into_iter()
        .filter_map(|(id, started)| Some((id, started?)))
        .collect()
}

fn one(line: &[u8], now: Timestamp) -> Option<(VmId, Timestamp)> {
    let (seconds, id) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    let age = Duration::from_secs(seconds.parse().ok()?);
    let started = now.checked_sub(SignedDuration::try_from(age).ok()?).ok()?;
    Some((VmId::parse(id)?, started))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_become_moments_and_twins_are_dropped() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let output = b"145 8a4e8076-349c-46ff-8aa3-952e57d6d3be\n3 8a9d7d82-96f3-4664-bb29-8fbb140c6028\n4 8a9d7d82-96f3-4664-bb29-8fbb140c6028\nx y\n99999999999999999999 8a9d7d82-96f3-4664-bb29-8fbb140c6029\n";
        let starts = starts(output, now);
        assert_eq!(starts.len(), 1);
        let id = VmId::parse("8a4e8076-349c-46ff-8aa3-952e57d6d3be").unwrap();
        assert_eq!(starts[&id], Timestamp::from_second(999_855).unwrap());
    }
}

//! Watches that may still run on a host although nobody listens to them, and how they are ended.
//!
//! Neither the end of a channel nor that of a connection ends a process on Windows. What was started is
//! remembered here for as long as it can live, over links and sessions, and ended before another is
//! started. Only what was started by this program: by the number of the process, the moment it was
//! started and a mark in its command line, all three.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::domain::host::HostId;

/// One watch on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Leftover {
    /// Its number.
    pub(crate) process: u32,
    /// When it was started, in the host's ticks.
    pub(crate) started: i64,
    /// What its command line holds and no other does.
    pub(crate) mark: String,
}

/// What became of one.
#[derive(Debug, Deserialize)]
pub(crate) struct Fate {
    /// Its number.
    pub(crate) process: u32,
    /// `gone`, `another` process has its number now, or it was `stopped`.
    pub(crate) what: String,
}

type Known = HashMap<HostId, Vec<(Leftover, Instant)>>;

/// Everything that may still run, by host. As long-lived as the fleet, shared by its drivers.
#[derive(Debug, Clone, Default)]
pub struct Leftovers(Arc<Mutex<Known>>);

impl Leftovers {
    /// Remembers a watch that has begun; it ends itself when `life` is over.
    pub(crate) fn began(&self, host: HostId, watch: Leftover, life: Duration) {
        let mut known = self.known();
        let of_host = known.entry(host).or_default();
        of_host.retain(|(kept, _)| *kept != watch);
        of_host.push((watch, Instant::now() + life));
    }

    /// Forgets one that has surely ended.
    pub(crate) fn ended(&self, host: HostId, process: u32) {
        let mut known = self.known();
        if let Some(of_host) = known.get_mut(&host) {
            of_host.retain(|(kept, _)| kept.process != process);
        }
    }

    /// Returns those of a host that may still run.
    pub(crate) fn of(&self, host: HostId) -> Vec<Leftover> {
        let now = Instant::now();
        let mut known = self.known();
        let Some(of_host) = known.get_mut(&host) else {
            return Vec::new();
        };
        of_host.retain(|(_, until)| *until > now);
        of_host.iter().map(|(kept, _)| kept.clone()).collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the part of an encoded command line (base64 of UTF-16LE) that can only come from `nonce`,
/// which the script in it holds as it is. A digit on either side may share its base64 character with
/// what stands beside it and is left out.
pub(crate) fn mark(encoded: &str, nonce: &str) -> Option<String> {
    let bytes = STANDARD.decode(encoded).ok()?;
    let wanted: Vec<u8> = nonce.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let at = bytes
        .windows(wanted.len())
        .position(|part| part == wanted)?;
    let (from, to) = (at.div_ceil(3) * 4, (at + wanted.len()) / 3 * 4);
    encoded.get(from..to).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypervisor::hyperv::envelope::encoded;

    const HOST: HostId = HostId(7);

    fn watch(process: u32) -> Leftover {
        Leftover {
            process,
            started: 638_000_000_000_000_000,
            mark: "QQBB".to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_is_remembered_until_it_has_ended_or_cannot_live_any_more() {
        let known = Leftovers::default();
        let life = Duration::from_secs(600);
        known.began(HOST, watch(1), life);
        known.began(HOST, watch(2), life);
        known.began(HostId(8), watch(3), life);
        assert_eq!(known.clone().of(HOST), [watch(1), watch(2)]);
        known.ended(HOST, 1);
        assert_eq!(known.of(HOST), [watch(2)]);
        tokio::time::advance(life).await;
        assert_eq!(known.of(HOST), []);
        assert_eq!(known.of(HostId(9)), []);
    }

    #[test]
    fn a_mark_is_in_the_command_line_of_its_nonce_and_in_no_other() {
        let nonce = "0123456789abcdef";
        for before in 0..6 {
            let around =
                |nonce: &str| encoded(&format!("{}'@@HV1 {nonce} LANG'", "x".repeat(before)));
            let mark = mark(&around(nonce), nonce).unwrap();
            assert!(mark.len() >= 36, "{mark}");
            assert!(around(nonce).contains(&mark));
            assert!(!around("0123456789abcdee").contains(&mark) || !mark.is_empty());
            assert!(!around("fedcba9876543210").contains(&mark));
        }
        assert_eq!(mark(&encoded("no nonce"), nonce), None);
        assert_eq!(mark("no base64!", nonce), None);
    }
}

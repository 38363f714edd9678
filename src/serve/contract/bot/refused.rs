//! Refused bots in the audit log. Each is in the log of requests by itself; here they are counted, and
//! written as one note for many: the first of a quiet time at once, the others after a while together.
//! Whoever guesses at keys all night leaves a line a minute, of bounded length.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::audit::AuditEntry;
use crate::domain::error_kind::Failure;
use crate::serve::state::ServeState;
use crate::serve::tally::Tally;

/// How long refusals are collected for one note.
const PERIOD: Duration = Duration::from_secs(60);

/// Pairs of address and reason that are counted apart; the rest are counted together.
const MOST_COUNTED: usize = 64;

/// Pairs that a note names, the most frequent ones.
const MOST_NAMED: usize = 8;

/// What was refused and is not written yet. One for the server.
#[derive(Debug, Default)]
pub struct RefusedBots(Mutex<Counted>);

/// From where, and why; `None` = there was no room to tell.
type Kind = Option<(IpAddr, String)>;

#[derive(Debug)]
struct Counted {
    by: Tally<Kind>,
    since: Option<Timestamp>,
    /// Whether somebody is there who will write.
    is_written: bool,
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            by: Tally::new(MOST_COUNTED),
            since: None,
            is_written: false,
        }
    }
}

impl RefusedBots {
    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one; returns true when somebody has to begin to write.
    fn count(&self, address: IpAddr, why: &str, now: Timestamp) -> bool {
        let mut counted = self.lock();
        counted.since.get_or_insert(now);
        counted.by.count(Some((address, why.to_owned())), None);
        !std::mem::replace(&mut counted.is_written, true)
    }

    /// Takes what is to be written; where there is nothing, the writer goes.
    fn take(&self, now: Timestamp) -> Option<AuditEntry> {
        let mut counted = self.lock();
        let Some(since) = counted.since.take() else {
            counted.is_written = false;
            return None;
        };
        let by = counted.by.take();
        drop(counted);
        Some(note(by, since, now))
    }
}

fn note(mut by: BTreeMap<Kind, u64>, since: Timestamp, now: Timestamp) -> AuditEntry {
    let others = by.remove(&None).unwrap_or_default();
    let known = by
        .into_iter()
        .filter_map(|(pair, count)| Some((pair?, count)));
    let mut pairs: Vec<((IpAddr, String), u64)> = known.collect();
    let mut addresses: Vec<IpAddr> = pairs.iter().map(|((address, _), _)| *address).collect();
    addresses.dedup();
    pairs.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let unnamed: u64 = pairs
        .iter()
        .skip(MOST_NAMED)
        .map(|(_, count)| *count)
        .fold(others, u64::saturating_add);
    let all = pairs
        .iter()
        .map(|(_, count)| *count)
        .fold(others, u64::saturating_add);
    let mut parts: Vec<String> = pairs
        .iter()
        .take(MOST_NAMED)
        .map(|((address, why), count)| format!("{count} from {address} ({why})"))
        .collect();
    if unnamed > 0 {
        parts.push(format!("{unnamed} more"));
    }
    let plural = if all == 1 { "" } else { "s" };
    let details = format!(
        "{all} request{plural} of bots since {since}: {}",
        parts.join(", ")
    );
    let mut entry = AuditEntry::note("bots-refused", "refused", details, now);
    if let ([address], 0) = (addresses.as_slice(), others) {
        entry.client_ip = Some(address.to_string());
    }
    entry
}

/// Takes note of a refusal. `why` is in our words: nothing that a client has sent.
pub(super) fn record(state: &ServeState, address: IpAddr, why: &str) {
    let Some(bot) = state.bot.clone() else {
        return;
    };
    if !state.refused_bots.count(address, why, state.clock.now()) {
        return;
    }
    let writer = state.clone();
    drop(state.tasks.spawn("refused bots", async move {
        while let Some(entry) = writer.refused_bots.take(writer.clock.now()) {
            write(&writer, &bot.profile, entry).await;
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = writer.stop.cancelled() => {}
            }
        }
    }));
}

/// A note that cannot be written is one in the log: the requests were refused all the same.
async fn write(state: &ServeState, profile: &str, entry: AuditEntry) {
    let details = entry.details.clone();
    let written: Result<(), Failure> = state.tenants.fleets().note(profile, entry).await;
    if let Err(failure) = written {
        tracing::warn!(%failure, details, "refused bots could not be put into the audit log");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_735_732_800 + second).unwrap()
    }

    #[test]
    fn many_refusals_are_one_note() {
        let refusals = RefusedBots::default();
        assert!(refusals.count(address(7), "the nonce was used before", at(0)));
        for second in 0..40 {
            assert!(!refusals.count(address(8), "the API key is missing or wrong", at(second)));
        }
        let entry = refusals.take(at(60)).unwrap();
        assert_eq!(entry.action, "bots-refused");
        assert_eq!(
            entry.details,
            "41 requests of bots since 2025-01-01T12:00:00Z: \
             40 from 192.0.2.8 (the API key is missing or wrong), \
             1 from 192.0.2.7 (the nonce was used before)"
        );
        assert_eq!(entry.client_ip, None);
        // Nothing more: whoever wrote goes, and the next refusal begins anew.
        assert_eq!(refusals.take(at(120)), None);
        assert!(refusals.count(address(7), "x", at(200)));
        let one = refusals.take(at(200)).unwrap();
        assert_eq!(one.client_ip.as_deref(), Some("192.0.2.7"));
        assert!(
            one.details
                .starts_with("1 request of bots since 2025-01-01T12:03:20Z: ")
        );
    }

    #[test]
    fn neither_the_memory_nor_the_note_grows_with_the_attack() {
        let refusals = RefusedBots::default();
        for n in 0..100_000_u32 {
            let address = IpAddr::from((0x0a00_0000 + n).to_be_bytes());
            refusals.count(address, "the API key is missing or wrong", at(0));
        }
        let entry = refusals.take(at(60)).unwrap();
        assert!(entry.details.starts_with("100000 requests"));
        assert!(entry.details.ends_with(", 99992 more"), "{}", entry.details);
        assert!(entry.details.len() < 1_000);
    }
}

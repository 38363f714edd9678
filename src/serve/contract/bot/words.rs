//! The old system's words: states as Hyper-V calls them, figures with their units, times as .NET
//! writes them. Pure.

use std::time::Duration;

use crate::domain::action::ActionKind;
use crate::domain::units::Bytes;
use crate::domain::vm::PowerState;

/// What the old clients show where nothing is known.
pub(super) const NOT_AVAILABLE: &str = "Not available";

/// A verb of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Start,
    /// Asks the guest: the old system's `Stop-VM -Force` forces applications to close, it does not cut
    /// the power (Microsoft: "Stop-VM", parameter `-Force`).
    Shutdown,
    Restart,
}

impl Verb {
    /// Returns the word in paths and answers.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Shutdown => "shutdown",
            Self::Restart => "restart",
        }
    }

    pub(super) const fn kind(self) -> ActionKind {
        match self {
            Self::Start => ActionKind::Start,
            Self::Shutdown => ActionKind::Shutdown,
            Self::Restart => ActionKind::Reboot,
        }
    }

    /// Tells whether a VM in this state is already as wanted; Hyper-V's cmdlets then warn and succeed.
    pub(super) const fn is_done(self, state: &PowerState) -> bool {
        matches!(
            (self, state),
            (Self::Start, PowerState::Running) | (Self::Shutdown, PowerState::Stopped)
        )
    }
}

/// Returns the word of the contract for an action of the audit log.
pub(super) fn action_word(action: &str) -> &str {
    match action {
        "reboot" => "restart",
        other => other,
    }
}

/// Returns Hyper-V's word for a state (Microsoft: enumeration `VMState` of the Hyper-V module).
pub(super) const fn state(state: &PowerState) -> &'static str {
    match state {
        PowerState::Running => "Running",
        PowerState::Paused => "Paused",
        PowerState::Stopped => "Off",
        PowerState::Saved => "Saved",
        PowerState::Starting => "Starting",
        PowerState::Stopping => "Stopping",
        PowerState::Crashed => "OffCritical",
        PowerState::Unknown(_) => "Other",
    }
}

/// Returns a size in GB of 2^30 bytes with one decimal: `2.0 GB`.
pub(super) fn gigabytes(size: Option<Bytes>) -> String {
    size.map_or_else(
        || NOT_AVAILABLE.to_owned(),
        |size| format!("{:.1} GB", size.as_f64() / f64::from(1_u32 << 30)),
    )
}

/// Returns a time as .NET writes a `TimeSpan` of whole seconds: `[d.]hh:mm:ss`.
pub(super) fn time_span(time: Option<Duration>) -> String {
    let Some(time) = time else {
        return NOT_AVAILABLE.to_owned();
    };
    let seconds = time.as_secs();
    let clock = format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60
    );
    match seconds / 86_400 {
        0 => clock,
        days => format!("{days}.{clock}"),
    }
}

/// Returns `4 cores`, `1 core`.
pub(super) fn cores(count: Option<u32>) -> String {
    match count {
        None => NOT_AVAILABLE.to_owned(),
        Some(1) => "1 core".to_owned(),
        Some(count) => format!("{count} cores"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_as_the_old_clients_read_them() {
        assert_eq!(gigabytes(Some(Bytes::from_mib(2048))), "2.0 GB");
        assert_eq!(gigabytes(Some(Bytes::from_mib(512))), "0.5 GB");
        assert_eq!(gigabytes(None), NOT_AVAILABLE);
        let span = |seconds| time_span(Some(Duration::from_secs(seconds)));
        assert_eq!(span(0), "00:00:00");
        assert_eq!(span(3_723), "01:02:03");
        assert_eq!(span(93_784), "1.02:03:04");
        assert_eq!(cores(Some(4)), "4 cores");
        assert_eq!(cores(Some(1)), "1 core");
    }

    #[test]
    fn a_start_of_what_runs_and_a_shutdown_of_what_is_off_are_done() {
        assert!(Verb::Start.is_done(&PowerState::Running));
        assert!(Verb::Shutdown.is_done(&PowerState::Stopped));
        assert!(!Verb::Restart.is_done(&PowerState::Running));
        assert!(!Verb::Start.is_done(&PowerState::Paused));
    }
}

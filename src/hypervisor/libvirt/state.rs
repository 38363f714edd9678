//! libvirt's state numbers as power states. Numbers, never words: they are the same in every
//! language and version (`virDomainState` and its reasons in libvirt's public header).

use crate::domain::text::RemoteText;
use crate::domain::vm::PowerState;

/// `VIR_DOMAIN_PAUSED_SHUTTING_DOWN`.
const PAUSED_SHUTTING_DOWN: u32 = 8;
/// `VIR_DOMAIN_PAUSED_STARTING_UP`.
const PAUSED_STARTING_UP: u32 = 11;
/// `VIR_DOMAIN_SHUTOFF_CRASHED`: its process died, or its guest did and `on_crash` was to end it, which is the default.
const SHUTOFF_CRASHED: u32 = 3;
/// `VIR_DOMAIN_SHUTOFF_SAVED`.
const SHUTOFF_SAVED: u32 = 5;

/// Translates `state.state` and `state.reason`.
pub(crate) fn power_state(state: u32, reason: Option<u32>) -> PowerState {
    match (state, reason) {
        (1 | 2, _) => PowerState::Running,
        (3, Some(PAUSED_SHUTTING_DOWN)) | (4, _) => PowerState::Stopping,
        (3, Some(PAUSED_STARTING_UP)) => PowerState::Starting,
        (3 | 7, _) => PowerState::Paused,
        (5, Some(SHUTOFF_SAVED)) => PowerState::Saved,
        (5, Some(SHUTOFF_CRASHED)) | (6, _) => PowerState::Crashed,
        (5, _) => PowerState::Stopped,
        (0, _) => PowerState::Unknown(RemoteText::new("no state")),
        (other, _) => PowerState::Unknown(RemoteText::new(&format!("state {other}"))),
    }
}

/// Tells whether a process stands behind the VM, so that its counters mean something.
pub(crate) fn has_process(state: &PowerState) -> bool {
    match state {
        PowerState::Running | PowerState::Paused | PowerState::Starting | PowerState::Stopping => {
            true
        }
        PowerState::Stopped | PowerState::Saved | PowerState::Crashed | PowerState::Unknown(_) => {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_of_libvirt_has_a_word_of_ours() {
        let cases = [
            ((0, None), "unknown"),
            ((1, Some(1)), "running"),
            ((2, None), "running"),
            ((3, Some(1)), "paused"),
            ((3, Some(8)), "stopping"),
            ((3, Some(11)), "starting"),
            ((4, None), "stopping"),
            ((5, Some(1)), "stopped"),
            ((5, Some(3)), "crashed"),
            ((5, Some(5)), "saved"),
            ((5, None), "stopped"),
            ((6, None), "crashed"),
            ((7, None), "paused"),
            ((8, None), "unknown"),
        ];
        for ((state, reason), word) in cases {
            assert_eq!(
                power_state(state, reason).word(),
                word,
                "{state} {reason:?}"
            );
        }
    }
}

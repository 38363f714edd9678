//! States: numbers and names of Hyper-V, and the words we have for them. Pure.
//!
//! Two tables say nearly the same. WMI has `EnabledState` of `Msvm_ComputerSystem` (Microsoft's
//! page on that class for the standard values; values from 32768 on are the vendor's), the cmdlets
//! have the enumeration `VMState`, which continues in the vendor's range with other meanings and was
//! renumbered once. So where there is a name, the name decides.

use crate::domain::text::RemoteText;
use crate::domain::vm::PowerState;

/// `HealthState` of a VM that cannot go on, for example because its storage is gone.
const CRITICAL: i64 = 25;

/// Tells a state by `EnabledState` and `HealthState` of WMI.
pub(crate) fn from_wmi(number: i64, health: Option<i64>) -> PowerState {
    let name = wmi_name(number);
    if health == Some(CRITICAL) {
        let name = name.unwrap_or_default().trim_end_matches("Critical");
        return PowerState::Unknown(RemoteText::new(&format!(
            "{name}Critical ({number}, health {CRITICAL})"
        )));
    }
    match number {
        // While it is being paused its processors run.
        2 | 32776 => PowerState::Running,
        3 => PowerState::Stopped,
        6 | 32769 | 32779 | 32783 => PowerState::Saved,
        9 | 32768 => PowerState::Paused,
        10 | 11 | 32770 | 32777 | 32782 => PowerState::Starting,
        4 | 32773 | 32774 | 32780 | 32781 => PowerState::Stopping,
        _ => unknown(name.unwrap_or_default(), number),
    }
}

/// Returns the name of an `EnabledState`.
const fn wmi_name(number: i64) -> Option<&'static str> {
    Some(match number {
        0 => "Unknown",
        1 => "Other",
        2 => "Running",
        3 => "Off",
        4 | 32774 => "Stopping",
        5 => "NotApplicable",
        6 | 32769 => "Saved",
        7 => "InTest",
        8 => "Deferred",
        9 | 32768 => "Paused",
        10 | 32770 => "Starting",
        11 => "Reset",
        32771 => "Snapshotting",
        32772 => "MergingDisks",
        32773 => "Saving",
        32776 => "Pausing",
        32777 => "Resuming",
        32779 => "FastSaved",
        32780 => "FastSaving",
        32781 => "ForceShutdown",
        32782 => "ForceReboot",
        32783 => "Hibernated",
        32784 => "ComponentServicing",
        32785 => "RunningCritical",
        32786 => "OffCritical",
        32787 => "StoppingCritical",
        32788 => "SavedCritical",
        32789 => "PausedCritical",
        32790 => "StartingCritical",
        32791 => "ResetCritical",
        32792 => "SavingCritical",
        32793 => "PausingCritical",
        32794 => "ResumingCritical",
        32795 => "FastSavedCritical",
        32796 => "FastSavingCritical",
        _ => return None,
    })
}

/// Tells a state by the `VMState` of the cmdlets: its name, and its number for those without one.
pub(crate) fn from_cmdlet(name: &str, number: i64) -> PowerState {
    match name {
        "Running" | "Pausing" => PowerState::Running,
        "Off" => PowerState::Stopped,
        "Saved" | "FastSaved" | "Hibernated" => PowerState::Saved,
        "Paused" => PowerState::Paused,
        "Starting" | "Reset" | "Resuming" | "ForceReboot" => PowerState::Starting,
        "Stopping" | "Saving" | "FastSaving" | "ForceShutdown" => PowerState::Stopping,
        // No name came: a number that the enumeration of that host does not name prints as itself.
        "" => from_wmi(number, None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => from_wmi(number, None),
        other => unknown(other, number),
    }
}

fn unknown(name: &str, number: i64) -> PowerState {
    PowerState::Unknown(RemoteText::new(&if name.is_empty() {
        format!("state {number}")
    } else {
        format!("{name} ({number})")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(state: &PowerState) -> String {
        if let PowerState::Unknown(text) = state {
            text.raw().to_owned()
        } else {
            state.word().to_owned()
        }
    }

    #[test]
    fn both_ranges_of_wmi_are_told() {
        for (number, expected) in [
            (0, "Unknown (0)"),
            (1, "Other (1)"),
            (2, "running"),
            (3, "stopped"),
            (4, "stopping"),
            (5, "NotApplicable (5)"),
            (6, "saved"),
            (7, "InTest (7)"),
            (8, "Deferred (8)"),
            (9, "paused"),
            (10, "starting"),
            (32768, "paused"),
            (32769, "saved"),
            (32770, "starting"),
            (32771, "Snapshotting (32771)"),
            (32772, "MergingDisks (32772)"),
            (32773, "stopping"),
            (32774, "stopping"),
            (32775, "state 32775"),
            (32776, "running"),
            (32777, "starting"),
            (32779, "saved"),
            (32780, "stopping"),
            (32781, "stopping"),
            (32782, "starting"),
            (32783, "saved"),
            (32784, "ComponentServicing (32784)"),
            (32785, "RunningCritical (32785)"),
            (32796, "FastSavingCritical (32796)"),
            (32797, "state 32797"),
            (65535, "state 65535"),
            (-1, "state -1"),
        ] {
            assert_eq!(said(&from_wmi(number, Some(5))), expected, "{number}");
            assert_eq!(said(&from_wmi(number, None)), expected, "{number}");
        }
    }

    #[test]
    fn critical_health_shows_whatever_the_state() {
        assert_eq!(
            said(&from_wmi(2, Some(25))),
            "RunningCritical (2, health 25)"
        );
        assert_eq!(said(&from_wmi(3, Some(25))), "OffCritical (3, health 25)");
        assert_eq!(said(&from_wmi(2, Some(20))), "running");
    }

    #[test]
    fn the_names_of_the_cmdlets_win_over_numbers_that_moved() {
        for (name, number, expected) in [
            ("Running", 2, "running"),
            ("Off", 3, "stopped"),
            ("Stopping", 4, "stopping"),
            ("Saved", 6, "saved"),
            ("Paused", 9, "paused"),
            ("Starting", 10, "starting"),
            ("Reset", 11, "starting"),
            ("Saving", 32773, "stopping"),
            ("Pausing", 32776, "running"),
            ("Resuming", 32777, "starting"),
            ("FastSaved", 32779, "saved"),
            ("FastSaving", 32780, "stopping"),
            ("ForceShutdown", 32781, "stopping"),
            ("ForceReboot", 32782, "starting"),
            ("Hibernated", 32783, "saved"),
            ("ComponentServicing", 32784, "ComponentServicing (32784)"),
            ("Other", 1, "Other (1)"),
            // The old numbering, and the new one.
            ("RunningCritical", 32781, "RunningCritical (32781)"),
            ("RunningCritical", 32785, "RunningCritical (32785)"),
            ("OffCritical", 32786, "OffCritical (32786)"),
            ("41234", 41234, "state 41234"),
            ("", 2, "running"),
        ] {
            assert_eq!(
                said(&from_cmdlet(name, number)),
                expected,
                "{name} {number}"
            );
        }
    }
}

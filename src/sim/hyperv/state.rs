//! What a VM is doing, in the numbers of WMI and in the names and numbers of the cmdlets. Pure.

use serde::Deserialize;

/// The state of a VM, without whether it is critical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WinState {
    /// Running.
    Running,
    /// Off.
    Off,
    /// On its way to Off.
    Stopping,
    /// Its memory is on disk.
    Saved,
    /// Paused.
    Paused,
    /// On its way to Running.
    Starting,
    /// Being reset.
    Reset,
    /// On its way to Saved.
    Saving,
    /// On its way to Paused.
    Pausing,
    /// On its way from Paused to Running.
    Resuming,
    /// Saved for a fast start.
    FastSaved,
    /// On its way to it.
    FastSaving,
    /// The guest has hibernated.
    Hibernated,
    /// A number that no list names.
    #[serde(skip)]
    Unnamed(u16),
}

/// A state with the rest of what WMI tells about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What the VM does.
    pub state: WinState,
    /// Whether its storage or configuration cannot be reached.
    pub critical: bool,
}

/// Which family of numbers a host uses for the same states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Numbers {
    /// Those of the current cmdlets.
    #[default]
    Current,
    /// Vendor codes for paused, saved, starting and stopping.
    Vendor,
    /// Criticals count from 32781, as older documentation has them.
    Old,
}

impl WinState {
    /// Returns true for a state that ends by itself.
    pub(in crate::sim) const fn is_passing(self) -> bool {
        matches!(
            self,
            Self::Stopping
                | Self::Starting
                | Self::Reset
                | Self::Saving
                | Self::Pausing
                | Self::Resuming
                | Self::FastSaving
        )
    }

    /// Returns true while a worker process of the VM exists.
    pub(in crate::sim) const fn has_worker(self) -> bool {
        matches!(
            self,
            Self::Running
                | Self::Stopping
                | Self::Paused
                | Self::Starting
                | Self::Reset
                | Self::Saving
                | Self::Pausing
                | Self::Resuming
                | Self::FastSaving
        )
    }

    /// The number and name of `Microsoft.HyperV.PowerShell.VMState`.
    const fn named(self) -> (i32, &'static str) {
        match self {
            Self::Running => (2, "Running"),
            Self::Off => (3, "Off"),
            Self::Stopping => (4, "Stopping"),
            Self::Saved => (6, "Saved"),
            Self::Paused => (9, "Paused"),
            Self::Starting => (10, "Starting"),
            Self::Reset => (11, "Reset"),
            Self::Saving => (32773, "Saving"),
            Self::Pausing => (32776, "Pausing"),
            Self::Resuming => (32777, "Resuming"),
            Self::FastSaved => (32779, "FastSaved"),
            Self::FastSaving => (32780, "FastSaving"),
            Self::Hibernated => (32783, "Hibernated"),
            Self::Unnamed(number) => (number as i32, ""),
        }
    }

    /// The place of its critical form in the enumeration, and that form's name.
    const fn critical(self) -> Option<(i32, &'static str)> {
        Some(match self {
            Self::Running => (0, "RunningCritical"),
            Self::Off => (1, "OffCritical"),
            Self::Stopping => (2, "StoppingCritical"),
            Self::Saved => (3, "SavedCritical"),
            Self::Paused => (4, "PausedCritical"),
            Self::Starting => (5, "StartingCritical"),
            Self::Reset => (6, "ResetCritical"),
            Self::Saving => (7, "SavingCritical"),
            Self::Pausing => (8, "PausingCritical"),
            Self::Resuming => (9, "ResumingCritical"),
            Self::FastSaved => (10, "FastSavedCritical"),
            Self::FastSaving => (11, "FastSavingCritical"),
            Self::Hibernated | Self::Unnamed(_) => return None,
        })
    }
}

impl Standing {
    /// An ordinary standing.
    pub(in crate::sim) const fn sound(state: WinState) -> Self {
        Self {
            state,
            critical: false,
        }
    }

    /// The number and the name that cmdlets give; a number without a name prints itself.
    pub(in crate::sim) fn vm_state(self, numbers: Numbers) -> (i32, String) {
        if let Some((place, name)) = self.critical.then(|| self.state.critical()).flatten() {
            let first = if numbers == Numbers::Old {
                32781
            } else {
                32785
            };
            return (first + place, name.to_owned());
        }
        let (number, name) = self.state.named();
        if name.is_empty() {
            (number, number.to_string())
        } else {
            (number, name.to_owned())
        }
    }

    /// `EnabledState` of `Msvm_ComputerSystem` (Microsoft: `Msvm_ComputerSystem`).
    pub(in crate::sim) fn enabled_state(self, numbers: Numbers) -> u16 {
        let vendor = numbers == Numbers::Vendor && !self.critical;
        let number = match self.state {
            WinState::Paused if vendor => 32768,
            WinState::Saved if vendor => 32769,
            WinState::Starting if vendor => 32770,
            WinState::Stopping if vendor => 32774,
            _ => self.vm_state(numbers).0,
        };
        u16::try_from(number).unwrap_or_default()
    }

    /// `HealthState`: 5 is OK, 25 a critical failure.
    pub(in crate::sim) const fn health(self) -> u16 {
        if self.critical { 25 } else { 5 }
    }

    /// Reads a word of a scenario: `paused`, `off-critical`, or a bare number.
    pub(in crate::sim) fn parse(word: &str) -> Option<Self> {
        if let Ok(number) = word.parse() {
            return Some(Self::sound(WinState::Unnamed(number)));
        }
        let (word, critical) = match word.strip_suffix("-critical") {
            Some(word) => (word, true),
            None => (word, false),
        };
        let state = match word {
            "running" => WinState::Running,
            "off" | "stopped" => WinState::Off,
            "stopping" => WinState::Stopping,
            "saved" => WinState::Saved,
            "paused" => WinState::Paused,
            "starting" => WinState::Starting,
            "reset" => WinState::Reset,
            "saving" => WinState::Saving,
            "pausing" => WinState::Pausing,
            "resuming" => WinState::Resuming,
            "fast-saved" => WinState::FastSaved,
            "fast-saving" => WinState::FastSaving,
            "hibernated" => WinState::Hibernated,
            _ => return None,
        };
        (!critical || state.critical().is_some()).then_some(Self { state, critical })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_those_of_the_enumeration() {
        let of = |word: &str| Standing::parse(word).unwrap().vm_state(Numbers::Current);
        assert_eq!(of("running"), (2, "Running".to_owned()));
        assert_eq!(of("saving"), (32773, "Saving".to_owned()));
        assert_eq!(
            of("running-critical"),
            (32785, "RunningCritical".to_owned())
        );
        assert_eq!(
            of("fast-saving-critical"),
            (32796, "FastSavingCritical".to_owned())
        );
        assert_eq!(of("hibernated").0, 32783);
        assert_eq!(of("4711"), (4711, "4711".to_owned()));
        assert!(Standing::parse("hibernated-critical").is_none());
        assert!(Standing::parse("asleep").is_none());
    }

    #[test]
    fn hosts_differ_in_their_numbers() {
        let paused = Standing::sound(WinState::Paused);
        assert_eq!(paused.enabled_state(Numbers::Current), 9);
        assert_eq!(paused.enabled_state(Numbers::Vendor), 32768);
        let critical = Standing::parse("off-critical").unwrap();
        assert_eq!(critical.enabled_state(Numbers::Current), 32786);
        assert_eq!(critical.enabled_state(Numbers::Old), 32782);
        assert_eq!(critical.health(), 25);
    }
}

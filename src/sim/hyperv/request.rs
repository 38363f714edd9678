//! What WMI's methods are asked for and how they refuse (Microsoft: `RequestStateChange`). Data only.

/// Return values of WMI's methods.
pub(in crate::sim) mod code {
    pub(in crate::sim) const INVALID_PARAMETER: u16 = 32773;
    pub(in crate::sim) const INVALID_STATE: u16 = 32775;
    pub(in crate::sim) const NOT_AVAILABLE: u16 = 32777;
    pub(in crate::sim) const NOT_READY: u16 = 32780;
    pub(in crate::sim) const LOCKED: u16 = 32781;
    pub(in crate::sim) const IN_PROGRESS: u16 = 32782;
}

/// What `RequestStateChange` may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Request {
    /// Start, or go on.
    Enabled,
    /// Cut the power.
    Disabled,
    /// Shut the guest down.
    ShutDown,
    /// Save.
    Offline,
    /// Pause.
    Quiesce,
    /// Let the guest reboot.
    Reboot,
    /// Reset.
    Reset,
}

impl Request {
    /// Reads `RequestedState`.
    pub(in crate::sim) const fn from_number(number: i128) -> Option<Self> {
        Some(match number {
            2 => Self::Enabled,
            3 => Self::Disabled,
            4 => Self::ShutDown,
            6 => Self::Offline,
            9 => Self::Quiesce,
            10 => Self::Reboot,
            11 => Self::Reset,
            _ => return None,
        })
    }

    /// The cmdlet that asks for the same, for the words of its errors.
    pub(in crate::sim) const fn cmdlet(self) -> &'static str {
        match self {
            Self::Enabled => "Start-VM",
            Self::Disabled | Self::ShutDown => "Stop-VM",
            Self::Offline => "Save-VM",
            Self::Quiesce => "Suspend-VM",
            Self::Reboot | Self::Reset => "Restart-VM",
        }
    }
}

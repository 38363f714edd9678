//! Faults of a simulated Windows host: who the account is, what is missing, and which errors are to be
//! provoked. Data only; a scenario sets them and a test may change them at any time.

use serde::Deserialize;

use super::messages::Situation;

/// What the account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Account {
    /// Member of Administrators.
    #[default]
    Administrator,
    /// Member of Hyper-V Administrators only.
    HyperVAdministrator,
    /// Member of neither.
    Neither,
}

/// How the Hyper-V module for `PowerShell` is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModuleHealth {
    /// As it should be.
    #[default]
    Present,
    /// Not at all.
    Missing,
    /// It is found and does not load.
    Unloadable,
}

/// How WMI answers an account that may not ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WmiDenial {
    /// With nothing, as if there were no VMs.
    #[default]
    Empty,
    /// With WMI's own error (0x80041003).
    Error,
    /// With the system's (0x80070005).
    System,
}

/// An error to provoke.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provocation {
    /// The cmdlet or WMI method that fails, such as `Start-VM` or `RequestStateChange`.
    pub on: String,
    /// What goes wrong.
    pub error: Situation,
    /// How many times; always when it is not given.
    #[serde(default)]
    pub times: Option<u32>,
    /// Whether a WMI method refuses at once instead of in its job.
    #[serde(default)]
    pub at_once: bool,
}

/// Everything that may be wrong with a Windows host beyond what any host may have.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fault of its own that a scenario names"
)]
pub struct WindowsFaults {
    /// Who logs in.
    pub account: Account,
    /// How WMI refuses.
    pub wmi_denial: WmiDenial,
    /// The Hyper-V module.
    pub module: ModuleHealth,
    /// `PowerCLI`'s module exports the same names and is found first by a bare name.
    pub vmware_module: bool,
    /// Hyper-V is not installed: its WMI namespace does not exist.
    pub no_namespace: bool,
    /// Hyper-V is installed and its WMI namespace is not registered any more; cmdlets go on working.
    pub lost_namespace: bool,
    /// The management service is stopped.
    pub service_stopped: bool,
    /// `GetSummaryInformation` answers NULL states.
    pub null_enabled_state: bool,
    /// Event watchers say nothing any more and do not fail either.
    pub dead_watchers: bool,
    /// Event watchers are refused.
    pub no_watchers: bool,
    /// A guest that restarts by itself leaves its VM's uptime as it was.
    pub reboot_keeps_uptime: bool,
    /// Jobs are gone as soon as they have ended.
    pub jobs_vanish: bool,
    /// Cmdlets and WMI methods that report success and change nothing.
    pub no_effect: Vec<String>,
    /// Cmdlets and WMI methods whose jobs complete with warnings.
    pub with_warnings: Vec<String>,
    /// Cmdlets and WMI classes that never answer.
    pub hanging: Vec<String>,
    /// Errors to provoke.
    pub provoke: Vec<Provocation>,
    /// `PowerShell` runs in constrained language mode.
    pub constrained_language: bool,
    /// What the profile script of the outer `PowerShell` prints.
    pub banner: Option<String>,
    /// Whether the output begins with a byte order mark.
    pub byte_order_mark: bool,
    /// The console's code page, where it is not the language's own.
    pub code_page: Option<u16>,
    /// The output channel is cut after this many bytes of standard output.
    pub cut_after: Option<u64>,
}

impl WindowsFaults {
    /// Returns true when this command never answers.
    pub(in crate::sim) fn hangs(&self, command: &str) -> bool {
        listed(&self.hanging, command)
    }

    /// Returns true when this command changes nothing.
    pub(in crate::sim) fn is_idle(&self, command: &str) -> bool {
        listed(&self.no_effect, command)
    }

    /// Returns true when this command's job completes with warnings.
    pub(in crate::sim) fn warns(&self, command: &str) -> bool {
        listed(&self.with_warnings, command)
    }

    /// The error to provoke on a command, if there is one.
    fn due(&self, command: &str) -> Option<(usize, &Provocation)> {
        let mut all = self.provoke.iter().enumerate();
        all.find(|(_, p)| p.on.eq_ignore_ascii_case(command) && p.times != Some(0))
    }

    /// Takes the error to provoke on a WMI method, where it is one of WMI itself.
    pub(in crate::sim) fn provoked_in_wmi(&mut self, method: &str) -> Option<u32> {
        let code = self.due(method)?.1.error.in_wmi()?;
        self.provoked(method).map(|_| code)
    }

    /// Takes the error to provoke on a command, if there is one.
    pub(in crate::sim) fn provoked(&mut self, command: &str) -> Option<Provocation> {
        let (place, _) = self.due(command)?;
        let found = self.provoke.get_mut(place)?;
        if let Some(times) = &mut found.times {
            *times -= 1;
        }
        Some(found.clone())
    }
}

fn listed(names: &[String], command: &str) -> bool {
    names
        .iter()
        .any(|name| name == "*" || name.eq_ignore_ascii_case(command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_provoked_as_often_as_it_says() {
        let mut faults = WindowsFaults {
            provoke: vec![Provocation {
                on: "Start-VM".to_owned(),
                error: Situation::OutOfMemory,
                times: Some(1),
                at_once: false,
            }],
            hanging: vec!["*".to_owned()],
            ..WindowsFaults::default()
        };
        assert!(faults.provoked("Stop-VM").is_none());
        assert!(faults.provoked("start-vm").is_some());
        assert!(faults.provoked("Start-VM").is_none());
        assert!(faults.hangs("Get-VM"));
        assert!(!faults.is_idle("Get-VM"));
    }
}

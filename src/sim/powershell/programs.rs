//! The small programs every Windows has: what they print, in the host's language.

use super::machine::{Edition, Language, Machine, Windows};
use super::value::Version;

/// What a program printed, lines ending in LF, and its exit code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) out: String,
    pub(super) err: String,
    pub(super) code: u32,
}

/// Returns a program's name in lower case without folder and `.exe`.
pub(super) fn bare_name(written: &str) -> String {
    let lower = written.to_ascii_lowercase();
    let leaf = lower.rsplit(['\\', '/']).next().unwrap_or(&lower);
    leaf.strip_suffix(".exe").unwrap_or(leaf).to_owned()
}

/// Which PowerShell a program is, if the host has it.
pub(super) fn shell(windows: &Windows, name: &str) -> Option<Edition> {
    let edition = match bare_name(name).as_str() {
        "powershell" => Edition::Desktop,
        "pwsh" => Edition::Core,
        _ => return None,
    };
    windows.installed(edition).map(|_| edition)
}

/// Returns the path of a program, if the host has it.
pub(super) fn path(machine: &dyn Machine, windows: &Windows, name: &str) -> Option<String> {
    const SYSTEM: &str = r"C:\Windows\System32";
    match (bare_name(name).as_str(), shell(windows, name)) {
        (_, Some(Edition::Desktop)) => {
            Some(format!(r"{SYSTEM}\WindowsPowerShell\v1.0\powershell.exe"))
        }
        (_, Some(Edition::Core)) => Some(r"C:\Program Files\PowerShell\7\pwsh.exe".to_owned()),
        (known @ ("cmd" | "whoami" | "hostname"), None) => Some(format!(r"{SYSTEM}\{known}.exe")),
        _ => machine.program(name),
    }
}

/// Runs one of the small programs.
pub(super) fn run(windows: &Windows, name: &str, words: &[String]) -> Answer {
    match (bare_name(name).as_str(), words) {
        ("whoami", []) => said(&windows.user),
        ("hostname", []) => said(&windows.host_name),
        _ => Answer {
            err: format!("The simulated host does not run '{name}'.\n"),
            code: 1,
            ..Answer::default()
        },
    }
}

fn said(line: &str) -> Answer {
    Answer {
        out: format!("{line}\n"),
        ..Answer::default()
    }
}

/// Returns what `ver` prints.
pub(super) fn version_line(windows: &Windows) -> String {
    let Version([major, minor, build, revision]) = windows.os_version;
    let revision = revision.max(0);
    format!("Microsoft Windows [Version {major}.{minor}.{build}.{revision}]")
}

/// Returns what cmd says about a program there is none of.
pub(super) fn unknown(windows: &Windows, name: &str) -> String {
    match windows.language {
        Language::English => format!(
            "'{name}' is not recognized as an internal or external command,\r\noperable program or batch file.\r\n"
        ),
        Language::German => format!(
            "Der Befehl \"{name}\" ist entweder falsch geschrieben oder\r\nkonnte nicht gefunden werden.\r\n"
        ),
    }
}

/// Returns what cmd says about a line beyond 8191 characters.
pub(super) const fn too_long(windows: &Windows) -> &'static str {
    match windows.language {
        Language::English => "The command line is too long.\r\n",
        Language::German => "Die Befehlszeile ist zu lang.\r\n",
    }
}

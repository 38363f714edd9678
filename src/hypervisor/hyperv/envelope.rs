//! The form in which a script travels: one command line of nothing but base64, whatever shell the
//! host's SSH server starts. Pure, but for the nonce.
//!
//! `powershell.exe ... -EncodedCommand` takes base64 of UTF-16LE, 2.7 characters of command line for one
//! of the script, and cmd.exe takes 8191 in all. So scripts go inflated by a small one (`bootstrap.ps1`);
//! only those that must do without .NET go as they are.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::script::{Task, bootstrap};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::text::RemoteText;
use crate::hypervisor::HypervisorError;

/// What marks the frames of one call: sixteen hexadecimal digits that nobody on the host can foresee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nonce(String);

impl Nonce {
    /// Makes a fresh one.
    pub(crate) fn fresh() -> Self {
        Self(format!("{:016x}", rand::random::<u64>()))
    }

    /// Returns its digits.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes fixed digits.
    #[cfg(test)]
    pub(crate) fn fixed(digits: &str) -> Self {
        Self(digits.to_owned())
    }
}

/// Gives a command the form in which it travels. `shown` keeps what a person gets to see.
pub(crate) fn seal(
    shown: RemoteCommand,
    task: Task,
    arguments: &str,
    nonce: &Nonce,
) -> Result<RemoteCommand, HypervisorError> {
    let script = task.script(nonce.as_str(), &STANDARD.encode(arguments));
    let script = if task.stands_alone() {
        script
    } else {
        bootstrap(nonce.as_str(), &STANDARD.encode(packed(&script)?))
    };
    // Empty standard input: its write side is closed at once. Windows PowerShell can hang for ever on
    // a pipe of its SSH server.
    Ok(shown.encoded_as(encoded(&script)).stdin(Vec::new()))
}

/// Base64 of UTF-16LE, as `-EncodedCommand` takes it.
pub(crate) fn encoded(script: &str) -> String {
    let bytes: Vec<u8> = script.encode_utf16().flat_map(u16::to_le_bytes).collect();
    STANDARD.encode(bytes)
}

fn packed(script: &str) -> Result<Vec<u8>, HypervisorError> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    let result = packer
        .write_all(script.as_bytes())
        .and_then(|()| packer.finish());
    // Writing to memory does not fail; the types allow it.
    result.map_err(|error| HypervisorError::Unparsable {
        program: "gzip".to_owned(),
        what: "a script could not be packed".to_owned(),
        said: RemoteText::new(&error.to_string()),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;
    use crate::transport::quote::{WINDOWS_LINE, render};

    /// Opens what travels: the script that runs in the end.
    pub(crate) fn opened(command: &RemoteCommand) -> String {
        let outer = decoded(command.encoded.as_deref().unwrap());
        let Some((_, rest)) = outer.split_once("FromBase64String('") else {
            return outer;
        };
        if !outer.contains("GzipStream") {
            return outer;
        }
        let payload = rest.split_once('\'').unwrap().0;
        let mut script = String::new();
        GzDecoder::new(STANDARD.decode(payload).unwrap().as_slice())
            .read_to_string(&mut script)
            .unwrap();
        script
    }

    fn decoded(base64: &str) -> String {
        let bytes = STANDARD.decode(base64).unwrap();
        let units: Vec<u16> = bytes
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        String::from_utf16(&units).unwrap()
    }

    /// Returns the nonce that a command travels with.
    pub(crate) fn nonce_of(command: &RemoteCommand) -> String {
        let script = opened(command);
        let (_, rest) = script.split_once("@@HV1 ").unwrap();
        rest.chars().take(16).collect()
    }

    const LONGEST: &str = "{\"id\":\"6c09bb55-d683-4da0-8931-c9bf705f6480\",\"limit\":300}";

    #[test]
    fn every_script_fits_the_command_line_of_windows() {
        for task in Task::ALL {
            let shown = RemoteCommand::powershell(task.name(), LONGEST);
            let sealed = seal(shown, task, LONGEST, &Nonce::fresh()).unwrap();
            let mut longest = sealed;
            longest.program = super::super::command::PROGRAMS
                .into_iter()
                .max_by_key(|program| program.len())
                .unwrap()
                .to_owned();
            let line = render(&longest).unwrap();
            assert!(
                line.len() <= WINDOWS_LINE,
                "{}: {}",
                task.name(),
                line.len()
            );
        }
    }

    #[test]
    fn what_arrives_is_the_script_with_its_nonce_and_arguments() {
        let nonce = Nonce::fixed("00112233aabbccdd");
        for task in Task::ALL {
            let shown = RemoteCommand::powershell(task.body(), "{}");
            let sealed = seal(shown, task, "{\"id\":\"x\"}", &nonce).unwrap();
            assert_eq!(
                opened(&sealed),
                task.script(nonce.as_str(), "eyJpZCI6IngifQ==")
            );
            assert_eq!(nonce_of(&sealed), nonce.as_str());
            assert_eq!(sealed.args[0].value, task.body());
            assert_eq!(sealed.stdin.as_deref(), Some(&[][..]));
        }
    }

    #[test]
    fn a_nonce_is_sixteen_digits_and_never_the_same() {
        let (one, other) = (Nonce::fresh(), Nonce::fresh());
        assert_ne!(one, other);
        assert_eq!(one.as_str().len(), 16);
        assert!(one.as_str().chars().all(|c| c.is_ascii_hexdigit()));
    }
}

//! The form in which a script travels: one command line of nothing but base64, whatever shell the
//! host's SSH server starts. Pure, but for the nonce.
//!
//! `powershell.exe ... -EncodedCommand` takes base64 of UTF-16LE, 2.7 characters of command line for one
//! of the script, and cmd.exe takes 8191 in all. So scripts go inflated by a small one (`bootstrap.ps1`);
//! only those that must do without .NET go as they are.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, GzBuilder};

use super::script::{Task, bootstrap, dense_bootstrap};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::text::RemoteText;
use crate::hypervisor::HypervisorError;
use crate::transport::quote::WINDOWS_LINE;

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

    /// Takes the digits that all recordings have.
    pub(crate) fn of_recordings(digits: &'static str) -> Self {
        Self(digits.to_owned())
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
    if task.stands_alone() {
        return Ok(line(shown, &script));
    }
    Ok(line(shown, &carried(nonce, &script)?))
}

/// The same for a body that is no task of the driver.
#[cfg(feature = "testing")]
pub(crate) fn seal_body(
    shown: RemoteCommand,
    body: &str,
    nonce: &Nonce,
) -> Result<RemoteCommand, HypervisorError> {
    let nothing = STANDARD.encode("{}");
    let script = super::script::whole(&[], &format!("{body}\n"), nonce.as_str(), &nothing);
    Ok(line(shown, &carried(nonce, &script)?))
}

fn line(shown: RemoteCommand, script: &str) -> RemoteCommand {
    // Empty standard input: its write side is closed at once. Windows PowerShell can hang for ever on
    // a pipe of its SSH server.
    shown.encoded_as(encoded(script)).stdin(Vec::new())
}

/// Puts a packed script into another that unpacks it: as base64 where the command line has room for it.
fn carried(nonce: &Nonce, script: &str) -> Result<String, HypervisorError> {
    let mut small = packed(script, GzBuilder::new())?;
    let plain = bootstrap(nonce.as_str(), &STANDARD.encode(&small));
    // The launcher before it takes at most so many characters.
    let room = WINDOWS_LINE - 200;
    if plain.len().saturating_mul(8).div_ceil(3) <= room {
        return Ok(plain);
    }
    let filled = (small.len() * 8).next_multiple_of(SIGN_BITS) - small.len() * 8;
    if filled >= 8 {
        // A whole byte of filling would follow the end of the gzip. An empty name in its head makes it
        // one byte longer, and then there is none.
        small = packed(script, GzBuilder::new().filename(""))?;
    }
    Ok(dense_bootstrap(nonce.as_str(), &dense(&small)))
}

/// Bits that one ideograph carries.
const SIGN_BITS: usize = 14;

/// The first sign of fourteen bits: of an unbroken block of sixteen thousand and more ideographs that
/// nothing composes, orders or takes for a quote.
const FIRST_SIGN: u32 = 0x4e00;

/// Writes bytes as ideographs, fourteen bits each; the last one is filled up with zeros.
fn dense(bytes: &[u8]) -> String {
    let (mut bits, mut count) = (0_u32, 0_u32);
    let mut signs = String::with_capacity(bytes.len() * 2);
    let mut push = |value: u32| signs.extend(char::from_u32(FIRST_SIGN + (value & 0x3fff)));
    for byte in bytes {
        bits = (bits << 8) | u32::from(*byte);
        count += 8;
        if count >= 14 {
            count -= 14;
            push(bits >> count);
        }
    }
    if count > 0 {
        push(bits << (14 - count));
    }
    signs
}

/// Base64 of UTF-16LE, as `-EncodedCommand` takes it.
pub(crate) fn encoded(script: &str) -> String {
    let bytes: Vec<u8> = script.encode_utf16().flat_map(u16::to_le_bytes).collect();
    STANDARD.encode(bytes)
}

fn packed(script: &str, head: GzBuilder) -> Result<Vec<u8>, HypervisorError> {
    let mut packer = head.write(Vec::new(), Compression::best());
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
    use crate::transport::quote::render;

    /// Opens what travels: the script that runs in the end.
    pub(crate) fn opened(command: &RemoteCommand) -> String {
        let outer = decoded(command.encoded.as_deref().unwrap());
        if let Some((_, rest)) = outer.split_once("foreach ($sign in '") {
            return inflated(&undense(rest.split_once('\'').unwrap().0));
        }
        let Some((_, rest)) = outer.split_once("FromBase64String('") else {
            return outer;
        };
        if !outer.contains("GzipStream") {
            return outer;
        }
        let payload = rest.split_once('\'').unwrap().0;
        inflated(&STANDARD.decode(payload).unwrap())
    }

    fn inflated(packed: &[u8]) -> String {
        let mut script = String::new();
        let mut unpacker = GzDecoder::new(packed);
        unpacker.read_to_string(&mut script).unwrap();
        let left = unpacker.into_inner();
        assert!(left.is_empty(), "{} bytes after the end", left.len());
        script
    }

    /// Does what `bootstrap-dense.ps1` does.
    fn undense(signs: &str) -> Vec<u8> {
        let (mut bits, mut count, mut bytes) = (0_u32, 0_u32, Vec::new());
        for sign in signs.chars() {
            bits = (bits & 255) * 16_384 + u32::from(sign) - 19_968;
            count += 14;
            while count >= 8 {
                count -= 8;
                bytes.push(u8::try_from((bits >> count) & 255).unwrap());
            }
        }
        bytes
    }

    #[test]
    fn ideographs_carry_every_byte() {
        for length in [0, 1, 6, 7, 8, 255, 1750] {
            let bytes: Vec<u8> = (0..length)
                .map(|n: u32| u8::try_from(n * 37 % 256).unwrap())
                .collect();
            let signs = dense(&bytes);
            assert!(
                signs
                    .chars()
                    .all(|sign| ('\u{4e00}'..='\u{8dff}').contains(&sign))
            );
            assert_eq!(undense(&signs)[..bytes.len()], bytes);
        }
    }

    #[test]
    fn a_script_too_long_for_base64_goes_as_ideographs_and_ends_where_it_ends() {
        let nonce = Nonce::fixed("00112233aabbccdd");
        let sealed = |arguments: &str| {
            let shown = RemoteCommand::powershell("watch.ps1", arguments);
            seal(shown, Task::Watch, arguments, &nonce).unwrap()
        };
        // Every remainder of the length, each inflated with nothing left over.
        for length in 0..14 {
            let arguments = format!("{{\"x\":\"{}\"}}", "q7Zk2".repeat(length));
            let sealed = sealed(&arguments);
            assert!(decoded(sealed.encoded.as_deref().unwrap()).contains("19968"));
            let script = Task::Watch.script(nonce.as_str(), &STANDARD.encode(&arguments));
            assert_eq!(opened(&sealed), script);
        }
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

//! The command line of `powershell.exe` and `pwsh.exe` (Microsoft: `about_PowerShell_exe`,
//! `about_Pwsh`): options by any unambiguous beginning, then the script.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::machine::Edition;

/// What a PowerShell is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    /// A script's text.
    Text(String),
    /// Standard input, statement by statement (`-Command -`).
    Input,
    /// A file and its arguments.
    File(String, Vec<String>),
    /// Only the version (`-Version` of 7).
    Version,
    /// Nothing: an interactive shell, which an exec channel has no use for.
    Nothing,
}

/// A command line, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Started {
    pub(super) work: Work,
    pub(super) profile: bool,
    pub(super) interactive: bool,
    /// Whether the script came encoded, which decides the form of errors.
    pub(super) encoded: bool,
}

/// Why a command line is none: what is said, and the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) said: String,
    pub(super) code: u32,
}

/// Options: name, the shortest beginning that means it, and whether a value follows.
const OPTIONS: &[(&str, usize, bool)] = &[
    ("help", 1, false),
    ("nologo", 3, false),
    ("noexit", 3, false),
    ("noprofile", 3, false),
    ("noninteractive", 4, false),
    ("sta", 1, false),
    ("mta", 3, false),
    ("command", 1, true),
    ("file", 1, true),
    ("encodedcommand", 1, true),
    ("executionpolicy", 2, true),
    ("inputformat", 2, true),
    ("outputformat", 1, true),
    ("windowstyle", 1, true),
    ("version", 1, true),
    ("psconsolefile", 1, true),
    ("configurationname", 6, true),
    ("workingdirectory", 2, true),
];

fn option(word: &str) -> Option<(&'static str, bool)> {
    let name = word
        .strip_prefix("--")
        .or_else(|| word.strip_prefix(['-', '/', '\u{2013}', '\u{2014}', '\u{2015}']))?
        .to_ascii_lowercase();
    let known = match name.as_str() {
        "ec" => "encodedcommand",
        "ep" => "executionpolicy",
        "if" => "inputformat",
        "of" => "outputformat",
        "wd" => "workingdirectory",
        "?" => "help",
        other => other,
    };
    OPTIONS
        .iter()
        .find(|(full, least, _)| full.starts_with(known) && known.len() >= *least)
        .map(|(full, _, takes)| (*full, *takes))
}

/// Reads a command line's words, without the program's own.
pub(super) fn read(words: &[String], edition: Edition) -> Result<Started, Wrong> {
    let mut started = Started {
        work: Work::Nothing,
        profile: true,
        interactive: true,
        encoded: false,
    };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let Some((name, takes)) = option(word) else {
            let mut words = vec![word.clone()];
            words.extend(rest.cloned());
            // 5.1 takes what is left for a command, 7 for a file.
            started.work = match edition {
                Edition::Desktop => Work::Text(words.join(" ")),
                Edition::Core => Work::File(words.remove(0), words),
            };
            return Ok(started);
        };
        let value = if takes { rest.next() } else { None };
        match (name, value) {
            ("noprofile", _) => started.profile = false,
            ("noninteractive", _) => started.interactive = false,
            ("version", _) if edition == Edition::Core => started.work = Work::Version,
            ("command", Some(text)) => {
                let mut words = vec![text.clone()];
                words.extend(rest.cloned());
                started.work = if words == ["-"] {
                    Work::Input
                } else {
                    Work::Text(words.join(" "))
                };
                return Ok(started);
            }
            ("file", Some(path)) => {
                started.work = Work::File(path.clone(), rest.cloned().collect());
                return Ok(started);
            }
            ("encodedcommand", Some(text)) => {
                started.work = Work::Text(decode(text, edition)?);
                started.encoded = true;
                // What follows would be input to the command; a script here has none.
            }
            ("executionpolicy", Some(policy)) => check_policy(policy, edition)?,
            (name, None) if takes => {
                let said = match name {
                    "command" => {
                        "Cannot process the command because of a missing parameter. A command must \
                         follow -Command.\n"
                    }
                    "encodedcommand" => {
                        "Cannot process the command because of a missing parameter. A Base64 \
                         encoded command must follow -EncodedCommand.\n"
                    }
                    _ => "Cannot process the command because of a missing parameter.\n",
                };
                return Err(wrong(said, edition));
            }
            _ => {}
        }
    }
    Ok(started)
}

fn wrong(said: &str, edition: Edition) -> Wrong {
    Wrong {
        said: said.to_owned(),
        // 7 tells a bad command line by EX_USAGE.
        code: if edition == Edition::Core { 64 } else { 1 },
    }
}

fn check_policy(policy: &str, edition: Edition) -> Result<(), Wrong> {
    const POLICIES: &[&str] = &[
        "Unrestricted",
        "RemoteSigned",
        "AllSigned",
        "Restricted",
        "Default",
        "Bypass",
        "Undefined",
    ];
    if POLICIES
        .iter()
        .any(|known| known.eq_ignore_ascii_case(policy))
    {
        return Ok(());
    }
    let said = format!(
        "Cannot process the command because the value \"{policy}\" is not a valid execution \
         policy.\n"
    );
    Err(wrong(&said, edition))
}

/// Decodes `-EncodedCommand`: base64 of UTF-16LE. What was encoded as UTF-8 becomes other characters,
/// as on a real host.
fn decode(text: &str, edition: Edition) -> Result<String, Wrong> {
    let Ok(bytes) = STANDARD.decode(text) else {
        let said = "Cannot process the command because the value specified with -EncodedCommand is \
                    not properly encoded. The value must be Base64 encoded.\n";
        return Err(wrong(said, edition));
    };
    let units: Vec<u16> = bytes
        .chunks(2)
        .map(|pair| match pair {
            [low, high] => u16::from_le_bytes([*low, *high]),
            _ => 0xfffd,
        })
        .collect();
    Ok(String::from_utf16_lossy(&units))
}

/// Splits a command line into words as the C run-time does: quotes group, a backslash before a quote
/// takes its meaning.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut word = String::new();
    let mut begun = false;
    let mut quoted = false;
    let mut slashes = 0_usize;
    for c in line.chars() {
        if c == '\\' {
            slashes += 1;
            begun = true;
            continue;
        }
        if c == '"' {
            word.push_str(&"\\".repeat(slashes / 2));
            if slashes.is_multiple_of(2) {
                quoted = !quoted;
            } else {
                word.push('"');
            }
            slashes = 0;
            begun = true;
            continue;
        }
        word.push_str(&"\\".repeat(slashes));
        slashes = 0;
        if matches!(c, ' ' | '\t') && !quoted {
            if begun {
                found.push(std::mem::take(&mut word));
                begun = false;
            }
            continue;
        }
        word.push(c);
        begun = true;
    }
    word.push_str(&"\\".repeat(slashes));
    if begun {
        found.push(word);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str, edition: Edition) -> Result<Started, Wrong> {
        read(&words(line), edition)
    }

    #[test]
    fn options_are_read_by_their_beginnings() {
        // "hi" in UTF-16LE.
        for line in [
            "-NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand aABpAA==",
            "-nop -noni -ep bypass -e aABpAA==",
            "/NoP /NonI -EC aABpAA==",
        ] {
            let started = of(line, Edition::Desktop).unwrap();
            assert_eq!(started.work, Work::Text("hi".to_owned()), "{line}");
            assert!(started.encoded && !started.profile && !started.interactive);
        }
        let started = of("-c echo \"a b\" c", Edition::Desktop).unwrap();
        assert_eq!(started.work, Work::Text("echo a b c".to_owned()));
        assert_eq!(of("-Command -", Edition::Core).unwrap().work, Work::Input);
        let file = of("-File C:\\x.ps1 a", Edition::Core).unwrap().work;
        assert_eq!(
            file,
            Work::File("C:\\x.ps1".to_owned(), vec!["a".to_owned()])
        );
        let bare = of("Get-Date", Edition::Desktop).unwrap().work;
        assert_eq!(bare, Work::Text("Get-Date".to_owned()));
    }

    #[test]
    fn what_is_no_command_line_is_refused() {
        assert_eq!(of("-e %%%", Edition::Desktop).unwrap_err().code, 1);
        assert_eq!(of("-e %%%", Edition::Core).unwrap_err().code, 64);
        assert_eq!(of("-ep Never -c 1", Edition::Desktop).unwrap_err().code, 1);
        assert_eq!(of("-e", Edition::Desktop).unwrap_err().code, 1);
    }

    #[test]
    fn a_payload_in_the_wrong_encoding_is_another_text() {
        let encoded = STANDARD.encode("exit 0");
        let started = of(&format!("-e {encoded}"), Edition::Desktop).unwrap();
        assert_ne!(started.work, Work::Text("exit 0".to_owned()));
    }

    #[test]
    fn words_split_as_the_run_time_splits_them() {
        assert_eq!(
            words(r#"a "b c" d\"e "f\\" \g ""#),
            ["a", "b c", "d\"e", "f\\", r"\g", ""]
        );
    }
}

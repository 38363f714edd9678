//! Programs that show a VM's graphics: which one, with which arguments. Started as they are, never through a
//! shell; what is filled in are a port of this machine and the VM's id.

use std::io;
use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::domain::graphics::DisplayKind;

/// Programs that are looked for when none is configured, in order.
const KNOWN: &[(DisplayKind, &[&str])] = &[
    (DisplayKind::Vnc, &["remote-viewer", "{url}"]),
    (DisplayKind::Vnc, &["vncviewer", "{host}::{port}"]),
    (DisplayKind::Spice, &["remote-viewer", "{url}"]),
    (
        DisplayKind::Spice,
        &["spicy", "-h", "{host}", "-p", "{port}"],
    ),
    (
        DisplayKind::Rdp,
        &["xfreerdp3", "/v:{host}:{port}", "/vmconnect:{id}"],
    ),
    (
        DisplayKind::Rdp,
        &["xfreerdp", "/v:{host}:{port}", "/vmconnect:{id}"],
    ),
];

/// The host of every address that viewers get.
const HERE: &str = "127.0.0.1";

/// What is to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What it speaks.
    pub kind: DisplayKind,
    /// Its port on this machine.
    pub port: u16,
    /// The VM's id.
    pub id: String,
    /// The connection file, where there is one.
    pub file: Option<String>,
}

impl Shown {
    /// Returns the VM's id as Hyper-V writes it.
    pub fn vm_id(&self) -> String {
        self.id.to_uppercase()
    }

    /// Returns its address.
    pub fn url(&self) -> String {
        format!("{}://{HERE}:{}", self.kind.scheme(), self.port)
    }
}

/// Returns the programs to try, with their arguments: the configured one, or those that are known.
pub fn programs(configured: &[String], shown: &Shown) -> Vec<Vec<String>> {
    if !configured.is_empty() {
        let mut words: Vec<&str> = configured.iter().map(String::as_str).collect();
        if !words.iter().any(|word| word.contains('{')) {
            words.push("{url}");
        }
        return vec![filled(&words, shown)];
    }
    KNOWN
        .iter()
        .filter(|(kind, _)| *kind == shown.kind)
        .map(|(_, words)| filled(words, shown))
        .collect()
}

fn filled(words: &[&str], shown: &Shown) -> Vec<String> {
    let fill = |word: &&str| {
        word.replace("{url}", &shown.url())
            .replace("{host}", HERE)
            .replace("{port}", &shown.port.to_string())
            .replace("{id}", &shown.vm_id())
            .replace("{file}", shown.file.as_deref().unwrap_or_default())
    };
    words.iter().map(fill).collect()
}

/// Starts the first program that is there; returns it with its name. The error says why there is none.
pub fn start(programs: &[Vec<String>]) -> Result<(Child, String), String> {
    let mut missing = Vec::new();
    for words in programs {
        let Some((program, arguments)) = words.split_first() else {
            continue;
        };
        #[expect(clippy::disallowed_methods, reason = "this is the one place")]
        let mut command = Command::new(program);
        let started = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Keys that end or suspend us are not for it.
            .process_group(0)
            .spawn();
        match started {
            Ok(child) => return Ok((child, program.clone())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(program.as_str()),
            Err(error) => return Err(format!("{program} could not be started: {error}")),
        }
    }
    missing.dedup();
    Err(format!(
        "no viewer is installed here ({})",
        missing.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(kind: DisplayKind) -> Shown {
        Shown {
            kind,
            port: 40001,
            id: "6c09bb55-d683-4da0-8931-c9bf705f6480".to_owned(),
            file: (kind == DisplayKind::Rdp).then(|| "/tmp/x y.rdp".to_owned()),
        }
    }

    fn configured(words: &[&str]) -> Vec<Vec<String>> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        programs(&words, &shown(DisplayKind::Vnc))
    }

    #[test]
    fn a_configured_viewer_is_one_program_and_its_words_stay_words() {
        assert_eq!(
            configured(&["my viewer", "--title", "a; rm -rf /", "{host}", "{port}"]),
            [["my viewer", "--title", "a; rm -rf /", "127.0.0.1", "40001"]]
        );
        assert_eq!(
            configured(&["gvncviewer"]),
            [["gvncviewer", "vnc://127.0.0.1:40001"]]
        );
    }

    #[test]
    fn every_protocol_has_viewers_that_are_looked_for() {
        for kind in [DisplayKind::Vnc, DisplayKind::Spice, DisplayKind::Rdp] {
            let programs = programs(&[], &shown(kind));
            assert!(programs.len() >= 2, "{kind:?}");
            for words in programs {
                let line = words.join(" ");
                assert!(line.contains("40001") && !line.contains('{'), "{line}");
            }
        }
        let rdp = programs(&[], &shown(DisplayKind::Rdp));
        assert_eq!(rdp[0][2], "/vmconnect:6C09BB55-D683-4DA0-8931-C9BF705F6480");
        let words = ["mstsc".to_owned(), "{file}".to_owned()];
        let own = programs(&words, &shown(DisplayKind::Rdp));
        assert_eq!(own, [["mstsc", "/tmp/x y.rdp"]]);
    }

    #[tokio::test]
    async fn the_first_that_is_there_is_started() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let programs = [words(&["no-such-viewer-1"]), words(&["true"])];
        let (mut child, program) = start(&programs).unwrap();
        assert_eq!(program, "true");
        assert!(child.wait().await.unwrap().success());
        let why = start(&programs[..1]).unwrap_err();
        assert_eq!(why, "no viewer is installed here (no-such-viewer-1)");
    }
}

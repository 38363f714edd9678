//! Our reading of `known_hosts` against OpenSSH's, on generated files.
//!
//! `ssh-keygen -F` says which lines speak about a name: 320 files, 6 names each. From those lines, whose
//! keys the generator knows, the verdict follows by the table at [`expected`], and must be ours. The real
//! client against a real server says what the verdict itself is: 140 files, one question each, compared
//! in all four words (known, unknown, changed, revoked). Not generated, because ours is stricter there on
//! purpose: a tab right after `@revoked`, and files that cannot be read whole.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use vmdeck::domain::host_key::{HostKey, HostKeyVerdict};
use vmdeck::transport::ssh::known_hosts::{KnownHostsFile, verdict};

use crate::dice::Dice;
use crate::rig::host_key;
use crate::support::keys::{KeyKind, KeyPair};
use crate::support::sshd::Sshd;
use crate::support::{command, write};

/// What a line holds, as far as the verdict goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// This key of the pool, with this marker.
    Key(usize, Marker),
    /// Nothing that can be read.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    None,
    Revoked,
    Authority,
}

#[derive(Debug)]
struct Generated {
    text: String,
    lines: Vec<Holds>,
}

/// Keys that lines may hold; the first one is the one the host shows.
struct Pool(Vec<(String, String)>);

impl Pool {
    fn new(dir: &Path, shown: &KeyPair) -> Self {
        let mut keys = vec![shown.public_parts()];
        for (index, kind) in [KeyKind::Ed25519, KeyKind::Ecdsa, KeyKind::Rsa]
            .into_iter()
            .enumerate()
        {
            let key = KeyPair::generate(&dir.join(format!("pool{index}")), kind, "");
            keys.push(key.public_parts());
        }
        Self(keys)
    }
}

fn hashed(dice: &mut Dice, name: &str) -> String {
    let salt: Vec<u8> = (0..20)
        .map(|_| u8::try_from(dice.below(256)).unwrap())
        .collect();
    let mut mac = Hmac::<Sha1>::new_from_slice(&salt).unwrap();
    mac.update(name.as_bytes());
    let hash = mac.finalize().into_bytes();
    format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(hash))
}

fn one_pattern(dice: &mut Dice, names: &[&str]) -> String {
    let name = dice.pick(names);
    match dice.below(9) {
        0..=2 => name.to_owned(),
        3 => name.to_uppercase(),
        4 => format!("{}*", name.split_at(name.len() / 2).0),
        5 => format!("?{}", name.split_at(1).1),
        6 => format!("!{name}"),
        7 => dice
            .pick(&[
                "*",
                "*.corp",
                "[*]:*",
                "[kvm1]:*",
                "",
                "**",
                "db?",
                "[127.0.0.1]:*",
            ])
            .to_owned(),
        _ => format!("*{}", name.split_at(name.len() / 2).1),
    }
}

fn hosts(dice: &mut Dice, names: &[&str]) -> String {
    if dice.once_in(4) {
        let name = dice.pick(names);
        return hashed(dice, name);
    }
    if dice.once_in(30) {
        return format!("{},{}", "x".repeat(1100), dice.pick(names));
    }
    let count = 1 + dice.below(3);
    let list: Vec<String> = (0..count).map(|_| one_pattern(dice, names)).collect();
    list.join(",")
}

/// One line and what it holds.
fn line(dice: &mut Dice, names: &[&str], pool: &Pool) -> (String, Holds) {
    if dice.once_in(8) {
        let text = dice.pick(&[
            "",
            "# comment",
            "   ",
            "\t# x",
            "kvm1",
            "garbage in here",
            "@",
            "\u{1}",
        ]);
        return (text.to_owned(), Holds::Nothing);
    }
    let hosts = hosts(dice, names);
    // The shown key half of the time, so that every verdict is common.
    let index = if dice.once_in(2) {
        0
    } else {
        dice.below(pool.0.len())
    };
    let (kind, blob) = pool.0[index].clone();
    let (marker_text, marker) = match dice.below(12) {
        0 | 1 => ("@revoked ", Marker::Revoked),
        2 => ("@cert-authority ", Marker::Authority),
        3 => ("@unknown ", Marker::None),
        _ => ("", Marker::None),
    };
    let readable = marker_text != "@unknown ";
    let (kind, blob, sound) = match dice.below(14) {
        0 => (kind, blob.replace('A', "!"), false),
        1 => (kind, blob.split_at(blob.len() / 2 + 1).0.to_owned(), false),
        2 => ("ssh-nonsense".to_owned(), blob, false),
        3 => {
            let other = if kind == "ssh-rsa" {
                "ssh-ed25519"
            } else {
                "ssh-rsa"
            };
            (other.to_owned(), blob, false)
        }
        4 => {
            let rsa = kind == "ssh-rsa";
            let other = if rsa { "rsa-sha2-512" } else { "ED25519" };
            (other.to_owned(), blob, rsa)
        }
        5 => (kind, String::new(), false),
        _ => (kind, blob, true),
    };
    let (before, gap) = (
        dice.pick(&["", "", "", " ", "\t "]),
        dice.pick(&[" ", " ", "\t", "  "]),
    );
    let after = dice.pick(&["", "", " comment", "\tann@laptop it's", "\r", " x\r", " "]);
    let text = format!("{before}{marker_text}{hosts}{gap}{kind}{gap}{blob}{after}");
    let holds = if sound && readable && !hosts.is_empty() {
        Holds::Key(index, marker)
    } else {
        Holds::Nothing
    };
    (text, holds)
}

fn generate(dice: &mut Dice, names: &[&str], pool: &Pool) -> Generated {
    let mut text = String::new();
    let mut lines = Vec::new();
    for _ in 0..=dice.below(7) {
        let (written, holds) = line(dice, names, pool);
        text.push_str(&written);
        text.push('\n');
        lines.push(holds);
    }
    if dice.once_in(3) {
        text.pop();
    }
    Generated { text, lines }
}

/// Line numbers, from 1, that OpenSSH says are about a name.
fn found_by_openssh(path: &Path, name: &str) -> Vec<usize> {
    let output = command("ssh-keygen")
        .args(["-F", name, "-f"])
        .arg(path)
        .output()
        .expect("ssh-keygen");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.strip_prefix("# Host ")?.split_once(" found: line "))
        .map(|(_, rest)| rest.split_whitespace().next().unwrap().parse().unwrap())
        .collect()
}

fn word(verdict: &HostKeyVerdict) -> &'static str {
    match verdict {
        HostKeyVerdict::Known => "known",
        HostKeyVerdict::Unknown => "unknown",
        HostKeyVerdict::Changed { .. } => "changed",
        HostKeyVerdict::Revoked { .. } => "revoked",
    }
}

/// The verdict on the pool's first key that follows from the lines about a name.
fn expected(lines: &[Holds], about: &[usize]) -> &'static str {
    let held: Vec<Holds> = about.iter().map(|number| lines[number - 1]).collect();
    let plain = |holds: &&Holds| matches!(holds, Holds::Key(_, Marker::None));
    if held.contains(&Holds::Key(0, Marker::Revoked)) {
        "revoked"
    } else if held.contains(&Holds::Key(0, Marker::None)) {
        "known"
    } else if held.iter().any(|holds| plain(&holds)) {
        "changed"
    } else {
        "unknown"
    }
}

fn ours(text: &str, label: &str, key: &HostKey) -> &'static str {
    let files = [KnownHostsFile {
        source: "known_hosts".to_owned(),
        content: text.as_bytes().to_vec(),
    }];
    word(&verdict(&files, &[], label, key))
}

#[test]
fn the_lines_about_a_name_are_those_of_openssh() {
    const NAMES: [&str; 6] = [
        "kvm1",
        "kvm2.corp",
        "10.0.0.7",
        "[kvm1]:2222",
        "[10.0.0.7]:22",
        "fe80::1",
    ];
    let dir = tempfile::tempdir().unwrap();
    let shown = KeyPair::generate(&dir.path().join("shown"), KeyKind::Ed25519, "");
    let pool = Pool::new(dir.path(), &shown);
    let key = host_key(&shown);
    let path = dir.path().join("known_hosts");
    let mut seen = std::collections::BTreeMap::new();
    for seed in 0..320 {
        let generated = generate(&mut Dice::new(seed), &NAMES, &pool);
        write(&path, &generated.text);
        for name in NAMES {
            let mut verdict = expected(&generated.lines, &found_by_openssh(&path, name));
            // What is unknown on a port of its own may be known, or revoked, by its bare name.
            let bare = name
                .strip_prefix('[')
                .and_then(|rest| rest.split_once("]:"));
            if let ("unknown", Some((bare, _))) = (verdict, bare) {
                let by_name = expected(&generated.lines, &found_by_openssh(&path, bare));
                if matches!(by_name, "known" | "revoked") {
                    verdict = by_name;
                }
            }
            assert_eq!(
                ours(&generated.text, name, &key),
                verdict,
                "seed {seed}, {name}:\n{}",
                generated.text
            );
            *seen.entry(verdict).or_insert(0) += 1;
        }
    }
    for verdict in ["known", "unknown", "changed", "revoked"] {
        assert!(
            seen.get(verdict).is_some_and(|count| *count > 20),
            "{seen:?}"
        );
    }
}

/// Asks the real client for its verdict.
fn asked_of_ssh(sshd: &Sshd, path: &Path, alias: Option<&str>) -> &'static str {
    let mut ssh = command("ssh");
    ssh.args([
        "-F",
        "none",
        "-o",
        "BatchMode=yes",
        "-o",
        "StrictHostKeyChecking=yes",
    ])
    .args([
        "-o",
        "PreferredAuthentications=none",
        "-o",
        "GlobalKnownHostsFile=none",
    ])
    .args(["-o", "UpdateHostKeys=no", "-o"])
    .arg(format!("UserKnownHostsFile={}", path.display()))
    .args(["-p", &sshd.port().to_string()]);
    if let Some(alias) = alias {
        ssh.arg("-o").arg(format!("HostKeyAlias={alias}"));
    }
    let output = ssh
        .arg(format!("{}@127.0.0.1", sshd.user()))
        .arg("true")
        .output()
        .expect("ssh");
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("REVOKED HOST KEY") {
        "revoked"
    } else if said.contains("IDENTIFICATION HAS CHANGED") {
        "changed"
    } else if said.contains("host key is known for") {
        "unknown"
    } else if said.contains("Permission denied") {
        "known"
    } else {
        panic!("{said}")
    }
}

#[test]
fn verdicts_are_those_of_the_real_client() {
    let sshd = Sshd::start();
    let label = sshd.label();
    let shown = &sshd.host_keys[0];
    let pool = Pool::new(sshd.dir(), shown);
    let key = host_key(shown);
    let path = sshd.dir().join("generated");
    let names = ["kvm1", "kvm2.corp", "127.0.0.1", &label];
    let mut seen = std::collections::BTreeMap::new();
    for seed in 1000..1140 {
        let mut dice = Dice::new(seed);
        let generated = generate(&mut dice, &names, &pool);
        write(&path, &generated.text);
        let alias = dice.pick(&["", "", "kvm1", "kvm2.corp"]);
        let (alias, name) = if alias.is_empty() {
            (None, label.as_str())
        } else {
            (Some(alias), alias)
        };
        let theirs = asked_of_ssh(&sshd, &path, alias);
        assert_eq!(
            ours(&generated.text, name, &key),
            theirs,
            "seed {seed}, {name}:\n{}",
            generated.text
        );
        *seen.entry(theirs).or_insert(0) += 1;
    }
    for verdict in ["known", "unknown", "changed", "revoked"] {
        assert!(
            seen.get(verdict).is_some_and(|count| *count > 5),
            "{seen:?}"
        );
    }
}

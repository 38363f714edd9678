//! Our reading of the SSH client configuration against `ssh -G`, on 240 generated files and 4 names each.
//!
//! Compared: hostname, port, user, identity files, identities-only, jump hosts, the person's known hosts,
//! the alias for host keys. Blocks of `Match` other than `all`, and tokens that need the environment or
//! a hash, are left out: they are reported as notes instead.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use vmdeck::transport::ssh::client_config::{ClientConfig, ClientPaths, ResolvedHost};

use crate::dice::Dice;
use crate::support::{command, own_account, run, write};

const NAMES: [&str; 4] = ["kvm1", "kvm2.corp", "gate", "10.0.0.7"];

fn pattern(dice: &mut Dice) -> String {
    match dice.below(6) {
        0 | 1 => dice.pick(&NAMES).to_owned(),
        2 => format!("!{}", dice.pick(&NAMES)),
        3 => "*".to_owned(),
        4 => "kvm?".to_owned(),
        _ => dice
            .pick(&["kvm*", "*.corp", "?ate", "10.*", "KVM1"])
            .to_owned(),
    }
}

fn setting(dice: &mut Dice) -> String {
    let (keyword, value) = match dice.below(9) {
        0 => (
            "HostName",
            dice.pick(&["%h.lan", "192.0.2.1", "%%x-%h", "Mixed.Case"]),
        ),
        1 => ("Port", dice.pick(&["22", "2222", "65535"])),
        2 => ("User", dice.pick(&["ops", "ann", "\"ann b\""])),
        3 => (
            "IdentityFile",
            dice.pick(&[
                "~/.ssh/web",
                "%d/keys/%r@%h:%p",
                "/etc/key",
                "\"~/my key\"",
                "%u.%n",
            ]),
        ),
        4 => ("IdentitiesOnly", dice.pick(&["yes", "no"])),
        5 => (
            "ProxyJump",
            dice.pick(&[
                "outer",
                "ops@outer:2222,inner",
                "none",
                "ssh://ops@outer:23",
                "[fe80::1]:22",
            ]),
        ),
        6 => (
            "UserKnownHostsFile",
            dice.pick(&["/dev/null", "~/.ssh/kh /tmp/%h-kh", "%d/x"]),
        ),
        7 => ("HostKeyAlias", dice.pick(&["farm", "Farm.Lan"])),
        _ => ("ServerAliveInterval", "15"),
    };
    let keyword = match dice.below(4) {
        0 => keyword.to_lowercase(),
        1 => keyword.to_uppercase(),
        _ => keyword.to_owned(),
    };
    let gap = dice.pick(&[" ", "=", " = ", "\t", "  "]);
    let after = dice.pick(&["", "", "", " # why", "\r", "  "]);
    let before = dice.pick(&["", "  ", "\t"]);
    format!("{before}{keyword}{gap}{value}{after}\n")
}

fn file(dice: &mut Dice, includes: &[PathBuf]) -> String {
    let mut text = String::new();
    for _ in 0..2 + dice.below(8) {
        match dice.below(9) {
            0..=2 => {
                let patterns: Vec<String> = (0..=dice.below(3)).map(|_| pattern(dice)).collect();
                writeln!(text, "Host {}", patterns.join(" ")).unwrap();
            }
            3 if dice.once_in(3) => text.push_str("Match all\n"),
            4 if !includes.is_empty() => {
                let path = includes[dice.below(includes.len())].display();
                writeln!(text, "Include {path}").unwrap();
            }
            5 => text.push_str(dice.pick(&["# comment\n", "\n", "   \n", "\t#x\n"])),
            _ => text.push_str(&setting(dice)),
        }
    }
    text
}

/// What `ssh -G` prints, by keyword.
fn asked_of_ssh(config: &Path, name: &str) -> HashMap<String, Vec<String>> {
    let text = run(command("ssh").arg("-G").arg("-F").arg(config).arg(name));
    let mut values: HashMap<String, Vec<String>> = HashMap::new();
    for line in text.lines() {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        let value = value.trim_end().to_owned();
        values.entry(keyword.to_owned()).or_default().push(value);
    }
    values
}

fn compare(
    ours: &ResolvedHost,
    theirs: &HashMap<String, Vec<String>>,
    paths: &ClientPaths,
    said: &str,
) {
    let their = |keyword: &str| {
        theirs
            .get(keyword)
            .and_then(|values| values.first())
            .cloned()
            .unwrap_or_default()
    };
    let home = paths.home.display().to_string();
    let user = ours
        .user
        .clone()
        .unwrap_or_else(|| paths.local_user.clone());
    let port = ours.port.unwrap_or(22).to_string();
    assert_eq!(ours.hostname, their("hostname"), "hostname {said}");
    assert_eq!(port, their("port"), "port {said}");
    assert_eq!(user, their("user"), "user {said}");
    assert_eq!(
        ours.host_key_alias.clone().unwrap_or_default(),
        their("hostkeyalias"),
        "alias {said}"
    );
    let only = if ours.identities_only { "yes" } else { "no" };
    assert_eq!(only, their("identitiesonly"), "only {said}");
    let jumps: Vec<String> = ours.proxy_jump.iter().map(ToString::to_string).collect();
    let their_jumps = their("proxyjump").replace("ssh://", "").replace("none", "");
    assert_eq!(jumps.join(","), their_jumps, "jumps {said}");
    // It prints paths of keys as they are written.
    let expand = |text: &String| {
        let text = match text.strip_prefix("~/") {
            Some(rest) => format!("{home}/{rest}"),
            None => text.clone(),
        };
        text.replace("%d", &home)
            .replace("%r", &user)
            .replace("%h", &ours.hostname)
            .replace("%p", &port)
            .replace("%u", &paths.local_user)
            .replace("%n", &ours.alias)
    };
    let files = |paths: &[PathBuf]| -> Vec<String> {
        paths
            .iter()
            .map(|path| path.display().to_string())
            .collect()
    };
    let mut identities: Vec<String> = theirs["identityfile"].iter().map(expand).collect();
    if ours.identity_files.is_empty() {
        assert!(
            identities.remove(0).ends_with("/.ssh/id_rsa"),
            "defaults {said}"
        );
    } else {
        assert_eq!(files(&ours.identity_files), identities, "keys {said}");
    }
    let known: Vec<String> = their("userknownhostsfile")
        .split(' ')
        .map(|text| expand(&text.to_owned()))
        .collect();
    assert_eq!(files(&ours.user_known_hosts), known, "known hosts {said}");
}

#[test]
fn hosts_resolve_as_the_real_client_resolves_them() {
    let dir = tempfile::tempdir().unwrap();
    // The client takes the home directory from the account, not from the environment.
    let home = run(command("sh").args(["-c", "eval echo ~$(id -un)"]));
    let config = dir.path().join("config");
    let includes: Vec<PathBuf> = (0..3)
        .map(|n| dir.path().join(format!("inc{n}.conf")))
        .collect();
    let paths = ClientPaths {
        user: Some(config.clone()),
        system: None,
        home: home.trim().into(),
        local_user: own_account(),
    };
    for seed in 0..240 {
        let mut dice = Dice::new(seed);
        let mut said = format!("seed {seed}\n");
        for (depth, path) in includes.iter().enumerate() {
            // An include may only include what comes after it: no circles.
            let text = file(&mut dice, includes.get(depth + 1..).unwrap_or_default());
            write(path, &text);
            write!(said, "--- inc{depth}\n{text}").unwrap();
        }
        let mut sources = includes.clone();
        sources.push(dir.path().join("inc*.conf"));
        sources.push(dir.path().join("absent"));
        let text = file(&mut dice, &sources);
        write(&config, &text);
        write!(said, "--- config\n{text}").unwrap();
        let read = ClientConfig::read(&paths).unwrap();
        for name in NAMES {
            let ours = read.resolve(name);
            assert!(ours.notes.is_empty(), "{:?} {said}", ours.notes);
            compare(
                &ours,
                &asked_of_ssh(&config, name),
                &paths,
                &format!("{name} {said}"),
            );
        }
    }
}

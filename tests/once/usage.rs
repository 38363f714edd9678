//! What is wrong before anything is tried: one clear sentence, exit code 2, and nothing changed.

use crate::support::deck::Deck;
use crate::{VMDECK, snapshot};

#[test]
fn wrong_words_name_the_nearest() {
    let deck = Deck::new(VMDECK);
    for (name, words) in [
        ("unknown_verb", &["--once", "shutdwn", "web"][..]),
        ("scripted_without_once", &["list"]),
        ("once_without_command", &["--once"]),
        ("once_with_keeping_command", &["--once", "host", "list"]),
        ("verb_without_target", &["--once", "start"]),
        ("unknown_option", &["--once", "list", "--fliter", "x"]),
        ("unknown_format", &["--once", "list", "-o", "yaml"]),
        (
            "bad_filter",
            &["--once", "list", "--filter", "web state:runing"],
        ),
        ("bad_address", &["host", "add", "a", "--address", "a b"]),
    ] {
        snapshot!(&deck, name, deck.run(words)).expect(2);
    }
    assert!(!deck.home().join("profiles").exists(), "nothing is made");
}

#[test]
fn errors_are_objects_where_objects_were_asked_for() {
    let deck = Deck::new(VMDECK);
    for (name, code, words) in [
        ("json_unknown_verb", 2, &["strat", "web", "-o", "json"][..]),
        (
            "json_unknown_column",
            2,
            &["list", "--columns", "colour", "-o", "json"],
        ),
        (
            "json_missing_profile",
            3,
            &["list", "--profile", "lab", "-o", "json"],
        ),
        ("json_unknown_vm", 3, &["start", "web", "-o", "json"]),
    ] {
        let run = snapshot!(&deck, name, deck.once(words)).expect(code);
        assert_eq!(run.stdout, "", "data only on standard output");
        let error: serde_json::Value = serde_json::from_str(&run.stderr).expect("one object");
        for member in ["kind", "message", "hint"] {
            assert!(error["error"].get(member).is_some(), "{member} in {error}");
        }
    }
}

#[test]
fn a_wrong_configuration_stops_before_anything() {
    let deck = Deck::new(VMDECK);
    let file = deck.configure("[ssh]\nconect_timeout = \"5s\"\n");
    let file = file.to_str().unwrap();
    snapshot!(
        &deck,
        "unknown_key",
        deck.run(&["--config", file, "--once", "list"])
    )
    .expect(2);
    snapshot!(
        &deck,
        "missing_config",
        deck.run(&["--config", "/nowhere.toml", "config", "check"])
    )
    .expect(2);
}

#[test]
fn a_profile_without_hosts_says_how_to_begin() {
    let deck = Deck::new(VMDECK);
    snapshot!(&deck, "no_hosts", deck.once(&["list"])).expect(0);
    let run = deck.once(&["list", "-o", "json"]).expect(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("[]\n", ""));
    snapshot!(
        &deck,
        "missing_profile",
        deck.once(&["list", "--profile", "lab"])
    )
    .expect(3);
}

#[test]
fn help_teaches() {
    let deck = Deck::new(VMDECK);
    for (name, words) in [
        ("help", &["--help"][..]),
        ("help_list", &["--once", "list", "--help"]),
        ("help_verb", &["--once", "force-off", "--help"]),
        ("help_host_add", &["host", "add", "--help"]),
    ] {
        let run = snapshot!(&deck, name, deck.run(words)).expect(0);
        assert_eq!(run.stderr, "");
    }
    let version = deck.run(&["--version"]).expect(0).stdout;
    assert_eq!(version, format!("vmdeck {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_and_manual_come_from_the_same_definition() {
    let deck = Deck::new(VMDECK);
    for shell in ["bash", "zsh", "fish"] {
        let text = deck.run(&["completions", shell]).expect(0).stdout;
        assert!(text.contains("force-off"), "{shell}");
    }
    assert!(deck.run(&["man"]).expect(0).stdout.contains("read\\-only"));
    assert!(
        deck.run(&["man", "host", "add"])
            .expect(0)
            .stdout
            .contains("jump")
    );
    deck.run(&["man", "nothing"]).expect(3);
}

#[test]
fn a_variable_that_sets_nothing_is_said_once_and_never_beside_an_object() {
    let deck = Deck::new(VMDECK);
    deck.run(&["profile", "create", "default"]).expect(0);
    let said = |words: &[&str]| {
        let mut command = deck.command(words);
        let output = command.env("VMDECK_ONCE_TIMEOT", "3s").output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let warning = "warning: variable VMDECK_ONCE_TIMEOT sets nothing";
    for words in [
        &["--once", "list"][..],
        &["host", "list"],
        &["config", "check"],
    ] {
        let said = said(words);
        assert_eq!(said.matches(warning).count(), 1, "{words:?}: {said}");
    }
    assert!(!said(&["--once", "list", "-o", "json"]).contains("warning"));
}

/// The limits of a process can be read even when its memory cannot.
#[cfg(target_os = "linux")]
#[test]
fn the_process_leaves_no_core() {
    use std::io::{BufRead as _, BufReader};
    let deck = Deck::new(VMDECK);
    let mut command = deck.command(&["--demo", "--once", "watch"]);
    let mut running = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(running.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", running.id()));
    running.kill().unwrap();
    running.wait().unwrap();
    let limits = limits.unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let words: Vec<&str> = core.split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{core}");
}

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

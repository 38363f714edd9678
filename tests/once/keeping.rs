//! Profiles, hosts, credentials, configuration and the record, without a host to talk to.

use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;

use crate::{VMDECK, snapshot, support};
use support::deck::{Deck, Run};

/// Runs with the passphrase in a file of mode 0600.
fn with_passphrase(deck: &Deck, passphrase: &str, args: &[&str]) -> Run {
    let path = deck.home().join("passphrase");
    vmdeck::private_file::write_atomic(&path, passphrase.as_bytes()).unwrap();
    let output = deck
        .command(args)
        .env("VMDECK_PASSPHRASE_FILE", &path)
        .output()
        .expect("the program runs");
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn hosts_are_added_without_a_passphrase() {
    let deck = Deck::new(VMDECK);
    let add = [
        "host",
        "add",
        "kvm1",
        "--address",
        "kvm1.lan:2222",
        "--user",
        "ops",
    ];
    snapshot!(&deck, "host_add_first", deck.run(&add)).expect(0);
    snapshot!(&deck, "host_add_twice", deck.run(&add)).expect(4);
    let edit = [
        "host",
        "edit",
        "kvm1",
        "--tier",
        "prod",
        "--tag",
        "db",
        "--sudo",
        "--read-only",
    ];
    deck.run(&edit).expect(0);
    snapshot!(&deck, "host_list", deck.run(&["host", "list"])).expect(0);
    snapshot!(&deck, "host_show", deck.run(&["host", "show", "kvm1"])).expect(0);
    snapshot!(
        &deck,
        "host_edit_nothing",
        deck.run(&["host", "edit", "kvm1"])
    )
    .expect(2);
    snapshot!(&deck, "host_unknown", deck.run(&["host", "show", "kvm2"])).expect(3);
    let specs = deck.run(&["host", "list", "--json"]).expect(0).json();
    assert_eq!(specs[0]["tier"], "prod");
    assert_eq!(specs[0]["read_only"], true);
    deck.run(&[
        "host",
        "edit",
        "kvm1",
        "--writable",
        "--no-tag",
        "--no-tier",
    ])
    .expect(0);
    let specs = deck.run(&["host", "list", "--json"]).expect(0).json();
    assert_eq!(specs[0]["read_only"], false);
    assert_eq!(specs[0]["tags"], serde_json::json!([]));
    deck.run(&["host", "rm", "kvm1"]).expect(0);
    assert_eq!(
        deck.run(&["host", "list", "--json"]).expect(0).json(),
        serde_json::json!([])
    );
}

#[test]
fn a_host_key_that_is_none_adds_nothing() {
    let deck = Deck::new(VMDECK);
    let run = deck.run(&[
        "host",
        "add",
        "a",
        "--address",
        "a",
        "--host-key",
        "SHA256:abc",
    ]);
    snapshot!(&deck, "host_key_is_none", run).expect(2);
    let run = deck.run(&[
        "host",
        "add",
        "a",
        "--address",
        "a",
        "--key-file",
        "/nowhere",
    ]);
    snapshot!(&deck, "key_file_is_missing", run).expect(2);
    assert_eq!(
        deck.run(&["host", "list", "--json"]).expect(0).json(),
        serde_json::json!([])
    );
}

#[test]
fn hosts_are_taken_over_from_the_ssh_client() {
    let deck = Deck::new(VMDECK);
    let ssh = deck.home().join(".ssh");
    std::fs::create_dir(&ssh).unwrap();
    support::write(
        ssh.join("config"),
        "Host kvm1 kvm2\n  User ops\n  Port 2200\nHost *.lan\n  User root\nHost gate\n  HostName gate.example\n",
    );
    deck.run(&["host", "add", "kvm2", "--address", "kvm2"])
        .expect(0);
    snapshot!(&deck, "import_list", deck.run(&["host", "import"])).expect(0);
    snapshot!(
        &deck,
        "import_unknown",
        deck.run(&["host", "import", "kvm9"])
    )
    .expect(3);
    snapshot!(&deck, "import_all", deck.run(&["host", "import", "--all"])).expect(0);
    let names = deck.run(&["host", "list", "--json"]).expect(0).json();
    assert_eq!(names.as_array().unwrap().len(), 3);
}

#[test]
fn a_configuration_of_somebody_else_writes_nothing_to_the_terminal() {
    let deck = Deck::new(VMDECK);
    let file = deck.home().join("theirs");
    support::write(
        &file,
        "Host a\x1b[2Jb\nHost gate\n  HostName \x1b]0;owned\x07\u{202e}gate\n",
    );
    let listed = deck.run(&["host", "import", "--file", file.to_str().unwrap()]);
    let listed = listed.expect(0).stdout;
    assert!(
        listed.contains("skip") && listed.contains("could"),
        "{listed}"
    );
    for hostile in ['\x1b', '\x07', '\u{202e}'] {
        assert!(!listed.contains(hostile), "{listed:?}");
    }
}

#[test]
fn credentials_are_sealed_and_the_first_sets_the_passphrase() {
    let deck = Deck::new(VMDECK);
    let add = ["credential", "add", "ops", "--generate", "ed25519"];
    snapshot!(&deck, "credential_nobody_to_ask", deck.run(&add)).expect(4);
    let made = snapshot!(
        &deck,
        "credential_generated",
        with_passphrase(&deck, "correct horse", &add)
    )
    .expect(0);
    let public = deck.run(&["credential", "public", "ops"]).expect(0).stdout;
    assert!(made.stdout.contains(public.trim()), "{public}");
    // Adding a second one needs no passphrase: it is sealed to the public half.
    let key = deck.home().join("key");
    support::write(&key, "no key at all");
    let key = key.to_str().unwrap();
    let run = deck.run(&["credential", "add", "broken", "--key-file", key]);
    snapshot!(&deck, "credential_is_no_key", run).expect(2);
    deck.run(&["credential", "add", "second", "--generate", "ed25519"])
        .expect(0);
    snapshot!(
        &deck,
        "credential_twice",
        deck.run(&["credential", "add", "second", "--generate", "ed25519"])
    )
    .expect(4);
    deck.run(&[
        "host",
        "add",
        "kvm1",
        "--address",
        "kvm1",
        "--credential",
        "ops",
    ])
    .expect(0);
    snapshot!(
        &deck,
        "credential_in_use",
        deck.run(&["credential", "rm", "ops"])
    )
    .expect(4);
    snapshot!(&deck, "credential_list", deck.run(&["credential", "list"])).expect(0);
    deck.run(&["credential", "rm", "second"]).expect(0);
}

#[test]
fn a_wrong_passphrase_changes_nothing() {
    let deck = Deck::new(VMDECK);
    with_passphrase(
        &deck,
        "correct horse",
        &["profile", "create", "default", "--passphrase"],
    )
    .expect(0);
    let new = deck.home().join("new");
    vmdeck::private_file::write_atomic(&new, b"fresh and long").unwrap();
    let file = std::fs::File::open(&new).unwrap();
    // The descriptor is looked up by the number it has in the child: standard input.
    let run = |passphrase: &str| {
        let path = deck.home().join("passphrase");
        vmdeck::private_file::write_atomic(&path, passphrase.as_bytes()).unwrap();
        let output = deck
            .command(&["profile", "passwd", "--new-passphrase-fd", "0"])
            .env("VMDECK_PASSPHRASE_FILE", &path)
            .stdin(std::fs::File::open(&new).unwrap())
            .output()
            .unwrap();
        Run {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    };
    assert!(file.as_raw_fd() > 2);
    snapshot!(&deck, "passphrase_wrong", run("wrong")).expect(4);
    snapshot!(&deck, "passphrase_changed", run("correct horse")).expect(0);
    run("correct horse").expect(4);
    run("fresh and long").expect(0);
    let open = deck.home().join("open");
    support::write(&open, "fresh and long");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = deck
        .command(&["audit", "verify"])
        .env("VMDECK_PASSPHRASE_FILE", &open)
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(2),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn profiles_come_and_go() {
    let deck = Deck::new(VMDECK);
    deck.run(&["profile", "create", "lab"]).expect(0);
    snapshot!(
        &deck,
        "profile_twice",
        deck.run(&["profile", "create", "lab"])
    )
    .expect(4);
    snapshot!(
        &deck,
        "profile_bad_name",
        deck.run(&["profile", "create", "../x"])
    )
    .expect(2);
    assert_eq!(deck.run(&["profile", "list"]).expect(0).stdout, "lab\n");
    snapshot!(
        &deck,
        "profile_rm_asks",
        deck.run(&["profile", "rm", "lab"])
    )
    .expect(4);
    deck.run(&["profile", "rm", "lab", "--yes"]).expect(0);
    assert_eq!(deck.run(&["profile", "list"]).expect(0).stdout, "");
}

#[test]
fn the_configuration_says_where_its_values_come_from() {
    let deck = Deck::new(VMDECK);
    let file = deck.configure("[once]\noutput = \"json\"\n");
    let file = file.to_str().unwrap();
    let shown = deck
        .run(&["--config", file, "config", "show", "--origin"])
        .expect(0)
        .stdout;
    let line = shown
        .lines()
        .find(|line| line.starts_with("once.output"))
        .unwrap();
    assert!(
        line.contains("\"json\"") && line.contains("test-config.toml"),
        "{line}"
    );
    assert!(shown.contains("# default"));
    snapshot!(
        &deck,
        "config_check",
        deck.run(&["--config", file, "config", "check"])
    )
    .expect(0);
    snapshot!(&deck, "config_path", deck.run(&["config", "path"])).expect(0);
    // And they are in force.
    let run = deck.run(&["--config", file, "--once", "list"]).expect(0);
    assert_eq!(run.stdout, "[]\n");
}

#[test]
fn the_check_knows_themes_commands_and_keys() {
    let deck = Deck::new(VMDECK);
    for (text, line, said, hint) in [
        (
            "[tui]\ntheme = \"drak\"\n",
            ":2:",
            "did you mean `dark`?",
            "tui.theme",
        ),
        (
            "[tui.keys]\n\"act.shutdwn\" = [\"X\"]\n",
            "test-config.toml:2:1: ",
            "did you mean `act.shutdown`?",
            "tui.keys",
        ),
        (
            "[tui.keys]\n\"act.force-off\" = [\"S\"]\n",
            "test-config.toml:2:1: ",
            "`S` is bound to both",
            "tui.keys",
        ),
        (
            "[tui.keys]\n\"vms.wide\" = [\"hyper-x\"]\n",
            "test-config.toml:2:1: ",
            "the keys of `vms.wide` cannot be read",
            "tui.keys",
        ),
    ] {
        let file = deck.configure(text);
        let file = file.to_str().unwrap();
        let told = deck.run(&["--config", file, "config", "check"]).expect(2);
        assert!(!told.stdout.contains("in order"), "{told:?}");
        for word in [said, hint, line, "test-config.toml"] {
            assert!(told.stderr.contains(word), "{word} in {told:?}");
        }
    }
    // A theme of one's own is looked at as well.
    let themes = deck.run(&["config", "path"]).expect(0).stdout;
    let themes = themes
        .lines()
        .find(|line| line.starts_with("themes"))
        .unwrap();
    let folder = std::path::PathBuf::from(themes.split_whitespace().nth(1).unwrap());
    std::fs::create_dir_all(&folder).unwrap();
    support::write(folder.join("mine.toml"), "[roles]\ntxt = {}\n");
    let file = deck.configure("[tui]\ntheme = \"mine\"\n");
    let told = deck
        .run(&["--config", file.to_str().unwrap(), "config", "check"])
        .expect(2);
    assert!(told.stderr.contains("the theme"), "{told:?}");
}

/// The notes of the record, as `action host status: details`.
fn notes(deck: &Deck) -> Vec<String> {
    let exported = deck.run(&["audit", "export"]).expect(0).stdout;
    exported
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|note| {
            assert_eq!(note["phase"], "note");
            assert_eq!(note["actor"]["door"], "once");
            let word = |member: &str| note[member].as_str().unwrap_or("–").to_owned();
            let [action, host, status, details] = ["action", "host", "status", "details"].map(word);
            format!("{action} {host} {status}: {details}")
        })
        .collect()
}

#[test]
fn what_is_changed_in_a_profile_is_in_the_record() {
    let deck = Deck::new(VMDECK);
    let add = [
        "host",
        "add",
        "kvm1",
        "--address",
        "10.0.0.1",
        "--user",
        "ops",
    ];
    deck.run(&add).expect(0);
    deck.run(&add).expect(4);
    deck.run(&["host", "edit", "kvm1", "--tier", "prod", "--read-only"])
        .expect(0);
    deck.run(&["host", "edit", "kvm1", "--tier", "prod"])
        .expect(2);
    let public = with_passphrase(
        &deck,
        "open sesame 12",
        &["credential", "add", "lab", "--generate", "ed25519"],
    )
    .expect(0)
    .stdout;
    let print = public
        .split_whitespace()
        .find(|word| word.starts_with("SHA256:"));
    deck.run(&["credential", "rm", "nothing"]).expect(3);
    deck.run(&["credential", "rm", "lab"]).expect(0);
    deck.run(&["host", "rm", "kvm1"]).expect(0);
    let print = print.unwrap();
    assert_eq!(
        notes(&deck),
        [
            "host-added kvm1 ok: address 10.0.0.1, user ops".to_owned(),
            "host-changed kvm1 ok: tier – -> prod, read-only – -> yes".to_owned(),
            format!("credential-added – ok: lab, key, {print}"),
            format!("credential-removed – ok: lab, key, {print}"),
            "host-removed kvm1 ok: address 10.0.0.1, user ops, tier prod, read-only".to_owned(),
        ]
    );
    deck.run(&["audit", "verify"]).expect(0);
}

#[test]
fn a_change_that_cannot_be_recorded_is_not_made() {
    let deck = Deck::new(VMDECK);
    deck.run(&["host", "add", "kvm1", "--address", "10.0.0.1"])
        .expect(0);
    let folder = deck.home().join("profiles/default/audit");
    std::fs::remove_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink("/dev/full", &folder).unwrap();
    let refused = deck.run(&["host", "rm", "kvm1"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(refused.stderr.contains("audit"), "{refused:?}");
    let listed = deck.run(&["host", "list"]).expect(0).stdout;
    assert!(listed.contains("kvm1"), "{listed}");
}

#[test]
fn a_lost_end_of_the_record_is_accepted_in_so_many_words_only() {
    let deck = Deck::new(VMDECK);
    deck.run(&["audit", "accept-cut"]).expect(3);
    for name in ["one", "two", "three"] {
        deck.run(&["host", "add", name, "--address", "10.0.0.1"])
            .expect(0);
    }
    let nothing = deck.run(&["audit", "accept-cut", "--yes"]).expect(0);
    assert!(nothing.stdout.contains("nothing is missing"), "{nothing:?}");
    for name in ["one", "two", "three"] {
        deck.run(&["host", "edit", name, "--enabled", "false"])
            .expect(0);
    }
    // A fleet that ends remembers where the record ended.
    deck.run(&["--once", "list", "--filter", "host:none"]);
    let file = deck
        .home()
        .join("profiles/default/audit/audit-000001.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    let all = text.lines().count();
    let kept: Vec<&str> = text.split_inclusive('\n').take(2).collect();
    support::write(&file, kept.concat());
    let verify = deck.run(&["audit", "verify"]).expect(1);
    assert!(
        verify.stdout.contains(&format!("remembers record {all}")),
        "{verify:?}"
    );

    let asked = deck.run(&["audit", "accept-cut"]).expect(4);
    assert!(asked.stderr.contains("--yes"), "{asked:?}");
    deck.run(&["audit", "verify"]).expect(1);
    let accept = [
        "audit",
        "accept-cut",
        "--yes",
        "--reason",
        "restored from a backup",
    ];
    deck.run(&accept).expect(0);
    deck.run(&["audit", "verify"]).expect(0);
    let last = notes(&deck).pop().unwrap();
    for said in [
        "cut-accepted – ok",
        &format!("record {all} ("),
        "the log ended with record 2: restored from a backup",
    ] {
        assert!(last.contains(said), "{said} in {last}");
    }
    // It is accepted once; a second time there is nothing to accept.
    let again = deck.run(&accept).expect(0);
    assert!(again.stdout.contains("nothing is missing"), "{again:?}");
    // What is wrong elsewhere in the log cannot be accepted away.
    let edited = std::fs::read_to_string(&file)
        .unwrap()
        .replace("10.0.0.1", "10.0.0.2");
    support::write(&file, edited);
    deck.run(&accept);
    deck.run(&["audit", "verify"]).expect(1);
}

//! Profiles, hosts, credentials, configuration and the record, without a host to talk to.

use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;

use crate::support::deck::{Deck, Run};
use crate::{VMDECK, snapshot};

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
    crate::support::write(
        &ssh.join("config"),
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
fn credentials_are_sealed_and_the_first_sets_the_passphrase() {
    let deck = Deck::new(VMDECK);
    let add = ["credential", "add", "ops", "--generate", "ed25519"];
    snapshot!(&deck, "credential_nobody_to_ask", deck.run(&add)).expect(4);
    let made = snapshot!(
        &deck,
        "credential_generated",
        with_passphrase(&deck, "correct", &add)
    )
    .expect(0);
    let public = deck.run(&["credential", "public", "ops"]).expect(0).stdout;
    assert!(made.stdout.contains(public.trim()), "{public}");
    // Adding a second one needs no passphrase: it is sealed to the public half.
    let key = deck.home().join("key");
    crate::support::write(&key, "no key at all");
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
        "correct",
        &["profile", "create", "default", "--passphrase"],
    )
    .expect(0);
    let new = deck.home().join("new");
    vmdeck::private_file::write_atomic(&new, b"fresh").unwrap();
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
    snapshot!(&deck, "passphrase_changed", run("correct")).expect(0);
    run("correct").expect(4);
    run("fresh").expect(0);
    let open = deck.home().join("open");
    crate::support::write(&open, "fresh");
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

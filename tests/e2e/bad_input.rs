//! Bad input, tried on the real program: a broken profile, a broken host, a hostile name, a full disk,
//! a kill in the middle. Each gives a sentence and what to do next, changes nothing and loses nothing.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::VMDECK;
use crate::script::audit_lines;
use crate::support::deck::{Deck, Run};
use crate::support::lab::LibvirtHost;
use crate::support::sshd::Sshd;
use crate::support::{command, is_root, run, wait_for, write};

/// Fails unless it ended so, with one complaint that holds these words and says what to do next, and
/// with nothing a terminal would act on.
#[track_caller]
fn complains(run: Run, code: i32, words: &[&str]) -> Run {
    let run = run.expect(code);
    let lines: Vec<&str> = run.stderr.lines().collect();
    assert!(
        matches!(lines.as_slice(), [error, hint] if error.starts_with("error: ") && hint.starts_with("hint: ")),
        "one sentence, and what to do next: {run:#?}"
    );
    for word in words {
        assert!(run.stderr.contains(word), "{word:?} is missing: {run:#?}");
    }
    assert_eq!(
        run.stderr.matches("could not").count().max(1),
        1,
        "{run:#?}"
    );
    is_tame(&run);
    run
}

/// Fails when anything is in it that a terminal would act on.
#[track_caller]
fn is_tame(run: &Run) {
    let hostile = |c: char| {
        (c.is_control() && !"\n\r".contains(c))
            || ('\u{202a}'..='\u{202e}').contains(&c)
            || c == '\u{200b}'
    };
    for text in [&run.stdout, &run.stderr] {
        assert!(!text.contains(hostile), "{run:?}");
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode");
}

/// Puts other bytes into a file; its mode stays.
fn overwrite(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?
        .write_all(bytes)
}

/// A home with a host that refuses connections, and the directory of its profile.
fn prepared() -> (Deck, PathBuf) {
    let deck = Deck::new(VMDECK);
    let words = "host add kvm1 --address 127.0.0.1:1 --user ops";
    deck.run(&words.split(' ').collect::<Vec<_>>()).expect(0);
    let profile = deck.home().join("profiles/default");
    (deck, profile)
}

#[test]
fn files_that_others_can_read_are_refused_with_the_command_that_closes_them() {
    let (deck, profile) = prepared();
    deck.once(&["list"]).expect(5);
    let profiles = profile.parent().expect("a parent").to_owned();
    for (path, open, closed) in [
        (profile.join("profile.db"), 0o644, 0o600),
        (profile.clone(), 0o755, 0o700),
        (profiles, 0o750, 0o700),
        (profile.join("audit"), 0o755, 0o700),
    ] {
        mode(&path, open);
        let fix = format!("chmod {closed:o} {}", path.display());
        complains(deck.once(&["list"]), 2, &[&fix]);
        mode(&path, closed);
    }
    deck.once(&["list"]).expect(5);
}

#[test]
fn a_broken_database_is_told_and_left_as_it_is() {
    let (deck, profile) = prepared();
    let file = profile.join("profile.db");
    for name in ["profile.db-wal", "profile.db-shm"] {
        fs::remove_file(profile.join(name)).ok();
    }
    let sound = fs::read(&file).expect("the database");
    let garbage: Vec<u8> = (0..9000_u32).map(|n| (n * 7 % 251) as u8).collect();
    for bytes in [garbage, Vec::new(), sound[..5000].to_vec()] {
        overwrite(&file, &bytes).expect("written");
        let path = file.display().to_string();
        complains(deck.once(&["list"]), 1, &[&path, "restore"]);
        complains(deck.run(&["host", "list"]), 1, &[&path, "restore"]);
        assert_eq!(fs::read(&file).expect("still there"), bytes);
    }

    fs::remove_file(&file).expect("removed");
    complains(deck.once(&["list"]), 1, &["it is missing", "restore"]);
    assert!(!file.exists(), "nothing was put in its place");

    let elsewhere = profile.join("elsewhere");
    overwrite(&elsewhere, &sound).expect("written");
    mode(&elsewhere, 0o600);
    symlink(&elsewhere, &file).expect("a link");
    complains(deck.once(&["list"]), 2, &["is not a plain file"]);
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    let (deck, profile) = prepared();
    let file = profile.join("profile.db");
    for name in ["profile.db-wal", "profile.db-shm"] {
        fs::remove_file(profile.join(name)).ok();
    }
    // `PRAGMA user_version` is the big-endian number at offset 60 of the file.
    let mut bytes = fs::read(&file).expect("the database");
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    overwrite(&file, &bytes).expect("written");
    complains(deck.once(&["list"]), 1, &["version 99", "newer vmdeck"]);
    assert_eq!(fs::read(&file).expect("still there"), bytes);
}

#[test]
fn what_is_misspelt_in_the_configuration_is_answered_with_the_nearest() {
    let (deck, _) = prepared();
    for (toml, word) in [
        ("[poll]\nlibvirt_tik = \"3s\"\n", "`libvirt_tick`"),
        ("[pol]\n", "`poll`"),
        (
            "[[policy]]\nverbs = [\"force-of\"]\neffect = \"deny\"\n",
            "`force-off`",
        ),
        ("[poll]\nlibvirt_tick = \"soon\"\n", "\"200ms\" to \"10m\""),
        ("[poll\n", "config check"),
    ] {
        let path = deck.configure(toml).display().to_string();
        for words in [["--once", "list"], ["config", "check"]] {
            let args = [&["--config", &path][..], &words].concat();
            complains(deck.run(&args), 2, &[&path, word]);
        }
    }
}

#[test]
fn a_passphrase_that_does_not_fit_changes_nothing() {
    let (deck, _) = prepared();
    let file = |name: &str, text: &str| {
        let path = deck.home().join(name);
        write(&path, text);
        mode(&path, 0o600);
        path
    };
    let (right, wrong) = (
        file("right", "correct horse battery\n"),
        file("wrong", "another horse\n"),
    );
    let with = |path: &Path, words: &[&str]| {
        let mut prepared = deck.command(words);
        Run::of(prepared.env("VMDECK_PASSPHRASE_FILE", path))
    };
    let add = ["credential", "add", "key", "--generate", "ed25519"];
    complains(deck.run(&add), 4, &["passphrase", "--passphrase-fd"]);
    with(&right, &add).expect(0);
    deck.run(&["host", "edit", "kvm1", "--credential", "key"])
        .expect(0);
    complains(
        with(&wrong, &["--once", "list"]),
        4,
        &["wrong", "try again"],
    );
    complains(
        with(&deck.home().join("none"), &["--once", "list"]),
        2,
        &["there is no passphrase", "check the path"],
    );
    complains(with(&wrong, &["profile", "passwd"]), 4, &["wrong"]);
    mode(&right, 0o644);
    complains(with(&right, &["--once", "list"]), 2, &["chmod 600"]);
    mode(&right, 0o600);
    // It still opens what it opened: the host is dialled.
    let dialled = with(&right, &["--once", "list"]).expect(5);
    assert!(dialled.stderr.contains("no connection"), "{dialled:#?}");
}

#[test]
fn a_host_whose_virsh_is_broken_says_so_and_names_the_next_step() {
    let polkit = "error: failed to connect to the hypervisor\nerror: authentication unavailable: no polkit agent";
    let cases = [
        ("head -c 4000 /dev/urandom", "unexpected", 1),
        ("echo no virsh; cat >/dev/null", "unexpected", 1),
        (
            "printf 'error: \\033]0;owned\\007 \\233 bad\\n' >&2; exit 1",
            "virsh said",
            1,
        ),
        (
            "echo 'sh: virsh: not found' >&2; exit 127",
            "apt install",
            1,
        ),
        (
            &*format!("echo \"{polkit}\" >&2; exit 1"),
            "host edit kvm1 --sudo",
            1,
        ),
    ];
    for (script, word, code) in cases {
        let host = LibvirtHost::builder().script("virsh", script).start();
        let deck = Deck::new(VMDECK);
        deck.add("kvm1", &host, &[]);
        complains(deck.once(&["list"]), 5, &["kvm1: ", word]);
        complains(
            deck.once(&["start", "kvm1/web", "--yes"]),
            code,
            &["kvm1: ", word],
        );
        let doctor = deck.run(&["host", "doctor", "kvm1"]).expect(1);
        assert!(doctor.stdout.contains("FAIL"), "{doctor:#?}");
        assert!(!doctor.stdout.contains("NAME"), "{doctor:#?}");
        is_tame(&doctor);
    }
}

#[test]
fn a_virsh_that_hangs_costs_the_time_it_was_given() {
    let host = LibvirtHost::builder().script("virsh", "sleep 1000").start();
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let words = ["list", "--host-timeout", "2s"];
    complains(
        deck.once(&words),
        5,
        &["kvm1: ", "within 2 s", "doctor kvm1"],
    );
}

#[test]
fn a_host_without_a_hypervisor_is_told_apart() {
    let host = Sshd::builder().set_env("PATH", "/nowhere").start();
    let deck = Deck::new(VMDECK);
    let address = format!("127.0.0.1:{}", host.port());
    let key = host.client_key.path.display().to_string();
    let mut add = vec!["host", "add", "plain", "--address", &address];
    add.extend(["--user", host.user(), "--key-file", &key]);
    add.push("--accept-new-host-key");
    deck.run(&add).expect(0);
    complains(
        deck.once(&["list"]),
        5,
        &["plain: ", "host edit plain --kind"],
    );
    deck.run(&["host", "edit", "plain", "--kind", "libvirt"])
        .expect(0);
    complains(deck.once(&["list"]), 5, &["plain: virsh was not found"]);
}

#[test]
fn names_are_never_raw_and_never_part_of_a_command() {
    let host = LibvirtHost::start();
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let long = "x".repeat(200);
    let names = [
        "it's \"here\"; rm -rf x",
        "$(reboot) `id` |&",
        "\u{202e}gpj.exe\u{202c}",
        "e\u{301}\u{301}\u{301}",
        "c1\u{9b}31mred",
        "\u{9d}0;owned\u{9c}",
        "zero\u{200b}width",
        "tab\tname",
        "=1+1,\"x\"",
        "--all",
        &long,
    ];
    let ids: Vec<_> = names.iter().map(|name| host.define_deaf(name)).collect();
    for format in ["table", "json", "ndjson", "csv", "markdown"] {
        let listed = deck.once(&["list", "-o", format]).expect(0);
        is_tame(&listed);
    }
    let listed = deck.once(&["list", "-o", "json"]).expect(0).json();
    for (name, id) in names.iter().zip(&ids) {
        let rows = listed.as_array().expect("an array");
        let row = rows.iter().find(|row| row["id"] == id.as_str());
        assert_eq!(
            row.expect("listed")["name"],
            *name,
            "JSON holds the name itself"
        );
        is_tame(&deck.once(&["show", "--", name]).expect(0));
        let dry = deck.once(&["start", "--dry-run", "--", name]).expect(0);
        is_tame(&dry);
        let sent = dry.stdout.lines().last().unwrap_or_default().trim();
        assert_eq!(sent, format!("virsh -q -c qemu:///session start {id}"));
        let refused = deck.once(&["resume", "--yes", "--", name]);
        complains(refused, 4, &["kvm1/"]);
    }
    let odd = "c1\u{9b}31mred";
    is_tame(&deck.once(&["start", odd, "--yes"]).expect(0));
    for words in [["audit", "tail"], ["audit", "export"], ["audit", "verify"]] {
        is_tame(&deck.run(&words).expect(0));
    }
    complains(deck.once(&["show", "no\u{9b}1m\u{1b}[2J"]), 3, &["no VM"]);
    is_tame(&deck.once(&["list", "--filter", "cpu>\u{1b}[2J"]).expect(2));
}

/// A disk of its own under the audit log, with no room left.
struct FullDisk(PathBuf);

impl FullDisk {
    fn under(dir: &Path) -> Self {
        let mounted = "size=64k,mode=0700";
        run(command("mount")
            .args(["-t", "tmpfs", "-o", mounted, "tmpfs"])
            .arg(dir));
        let disk = Self(dir.to_owned());
        // Written until there is no room; that the last write fails is what is wanted.
        overwrite(&dir.join("ballast"), &vec![0; 1 << 20]).expect_err("it is full");
        disk
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        run(command("umount").arg("-l").arg(&self.0));
    }
}

#[test]
fn a_log_that_cannot_be_written_refuses_actions_and_lets_one_look() {
    let host = LibvirtHost::start();
    let id = host.define_deaf("web");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    deck.once(&["list"]).expect(0);
    let audit = deck.home().join("profiles/default/audit");
    // Only root may mount; for anybody else a directory without the right to write does the same.
    let disk = is_root().then(|| FullDisk::under(&audit));
    if disk.is_none() {
        mode(&audit, 0o500);
    }
    let refused = deck.once(&["start", "web", "--yes"]);
    complains(refused, 4, &["kvm1/web", "audit log", "refused"]);
    assert_eq!(host.state(&id), "shut off");
    let listed = deck.once(&["list", "-o", "json"]).expect(0).json();
    assert_eq!(listed[0]["name"], "web");

    match disk {
        Some(disk) => drop(disk),
        None => mode(&audit, 0o700),
    }
    deck.once(&["start", "web", "--yes"]).expect(0);
    deck.run(&["audit", "verify"]).expect(0);
}

#[test]
fn killed_at_any_moment_profile_and_log_stay_sound() {
    let host = LibvirtHost::start();
    host.define_deaf("web");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    for round in 0..10_u64 {
        let verb = if round % 2 == 0 { "start" } else { "force-off" };
        let mut running = deck
            .command(&["--once", verb, "web", "--yes"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("it starts");
        // From the first instruction to after the end.
        let mut ended = false;
        wait_for(Duration::from_millis(60 * round), || {
            ended = running.try_wait().is_ok_and(|status| status.is_some());
            ended
        });
        running.kill().ok();
        running.wait().expect("ended");
        deck.run(&["audit", "verify"]).expect(0);
        deck.run(&["host", "show", "kvm1"]).expect(0);
    }
    // The next one closes what the killed ones left open.
    deck.once(&["list"]).expect(0);
    let log = audit_lines(&deck);
    for intent in log.iter().filter(|line| line["phase"] == "intent") {
        let outcome = log
            .iter()
            .find(|line| line["phase"] == "outcome" && line["operation"] == intent["operation"]);
        assert!(outcome.is_some(), "still open: {intent:#}");
    }
    deck.run(&["audit", "verify"]).expect(0);
    let left = fs::read_dir(deck.home().join("profiles/default/audit"))
        .expect("the log")
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("live-"))
        .count();
    assert!(left <= 1, "{left} files of dead processes were left behind");
}

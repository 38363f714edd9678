//! Snapshots of several real VMs by keys: the view of the whole fleet, marks, and what is old deleted with one plan,
//! of which the host refuses a part; a snapshot that is described, and one that the host will not take.

use std::time::Duration;

use crate::VMDECK;
use crate::dashboard::{open, open_with};
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::{run, wait_for, write};
use vmdeck::domain::vm::VmId;

/// How long anything here may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A wrapper that cannot delete one snapshot as long as a file is there.
const STUCK: &str = r#"case " $* " in
*" snapshot-delete "*stuck*)
    if [ -e "$XDG_DATA_HOME/busy" ]; then echo "error: internal error: the image is in use" >&2; exit 1; fi;;
esac
exec "$REAL" "$@""#;

/// Takes a snapshot behind vmdeck's back, and has libvirt believe that it is this many days old.
pub(crate) fn take(host: &LibvirtHost, id: &VmId, name: &str, days: i64) {
    host.virsh(&["-q", "snapshot-create-as", id.as_str(), name]);
    let xml = host.virsh(&["snapshot-dumpxml", id.as_str(), name]);
    let (before, rest) = xml.split_once("<creationTime>").expect("a time");
    let (taken, after) = rest.split_once("</creationTime>").expect("its end");
    let taken: i64 = taken.parse().expect("seconds");
    let old = taken - days * 86_400;
    let path = host.file("snapshot.xml");
    write(
        &path,
        format!("{before}<creationTime>{old}</creationTime>{after}"),
    );
    host.give(&path);
    let path = path.display().to_string();
    let redefine = [
        "-q",
        "snapshot-create",
        id.as_str(),
        &path,
        "--redefine",
        "--current",
    ];
    run(&mut host.prepare("/usr/bin/virsh", &redefine));
}

/// Returns the names of a VM's snapshots as plain `virsh` tells them.
pub(crate) fn names(host: &LibvirtHost, id: &VmId) -> Vec<String> {
    let listed = host.virsh(&["-q", "snapshot-list", id.as_str(), "--name"]);
    let names = listed.split_whitespace().map(str::to_owned);
    names.collect()
}

/// A host with two VMs, of whose three old snapshots one cannot be deleted while it is busy.
fn with_old_ones() -> (LibvirtHost, VmId, VmId) {
    let host = LibvirtHost::builder().script("virsh", STUCK).start();
    let (web, db) = (
        host.define_with_disk("web-1"),
        host.define_with_disk("db-1"),
    );
    take(&host, &db, "clean", 90);
    take(&host, &web, "first", 40);
    take(&host, &web, "stuck", 35);
    (host, web, db)
}

#[test]
fn old_snapshots_of_the_fleet_are_marked_and_deleted_with_one_plan_that_fails_half_way() {
    let (host, web, db) = with_old_ones();
    take(&host, &web, "fresh", 0);
    write(host.file("busy"), "");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open(&deck, (140, 40));
    pty.wait_text("1 up");
    pty.keys("3");
    let shown = pty.wait_for("all four, the oldest first", |screen| {
        let found: Vec<_> = ["clean", "first", "stuck", "fresh"]
            .iter()
            .filter_map(|name| screen.find(name))
            .collect();
        found.len() == 4 && found.is_sorted()
    });
    let line = |name: &str| shown.lines().find(|line| line.contains(name)).unwrap();
    assert!(
        line("clean").contains("90d") && line("clean").contains("db-1"),
        "{shown}"
    );
    let stuck: Vec<&str> = line("stuck").split_whitespace().collect();
    assert!(
        stuck.windows(2).any(|pair| pair == ["35d", "1"]),
        "its age and its depth: {shown}"
    );

    pty.keys("*");
    pty.wait_text("4 marked");
    pty.keys("uo");
    pty.wait_text("3 marked that are older than 30d");
    pty.keys("D");
    let plan = pty.wait_text("Delete 3 snapshots?");
    assert!(!plan.contains("--snapshotname fresh"), "{plan}");
    pty.keys("\r");
    pty.wait_for("the dialog gone", |screen| !screen.contains("Delete 3"));
    assert_eq!(
        names(&host, &web),
        ["first", "fresh", "stuck"],
        "Enter is the safe choice"
    );
    pty.keys("D");
    pty.wait_text("Delete 3 snapshots?");
    pty.keys("y");
    let over = pty.wait_text("3 of 3 over: 2 done, 1 failed");
    assert!(
        over.contains("the image is in use"),
        "in the host's words: {over}"
    );
    assert_eq!(names(&host, &web), ["fresh", "stuck"]);
    assert_eq!(names(&host, &db), [""; 0]);

    // What was in its way is gone: exactly the one that failed is tried again.
    std::fs::remove_file(host.file("busy")).unwrap();
    pty.keys("R");
    let again = pty.wait_text("stuck");
    assert!(!again.contains("--snapshotname first"), "{again}");
    pty.wait_text("--snapshotname stuck");
    pty.keys("y");
    let is_gone = wait_for(PATIENCE, || names(&host, &web) == ["fresh"]);
    assert!(is_gone, "{:?}", names(&host, &web));
    pty.wait_for_the_end_of_orders();
    // Repeating goes by the table of the VMs.
    pty.keys("3");
    pty.wait_for("what is left", |screen| {
        screen.contains("VM snapshots: 1") && screen.contains("fresh") && !screen.contains("stuck")
    });
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);
    deck.run(&["audit", "verify"]).expect(0);
}

#[test]
fn a_snapshot_is_described_in_the_form_and_a_refusal_is_told_in_the_hosts_words() {
    let host = LibvirtHost::start();
    let id = host.define_with_disk("web-1");
    host.start_vm(&id);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open(&deck, (140, 40));
    pty.wait_for("the running VM", |screen| {
        screen.contains("running") && screen.contains("1 up")
    });
    pty.keys("t");
    pty.wait_text("This VM has no snapshots");
    // Name, description, disk-only, quiesce, the button. There is no agent in the VM.
    pty.keys("N");
    pty.wait_text("Take a snapshot of web-1");
    pty.keys("\u{15}still\t\t \t \t\r");
    pty.wait_for("the plan", |screen| {
        screen.contains("--disk-only") && screen.contains("--quiesce")
    });
    pty.keys("y");
    pty.wait_for("the host's words", |screen| screen.contains("agent"));
    assert_eq!(names(&host, &id), [""; 0]);

    pty.keys("N");
    pty.wait_text("Take a snapshot of web-1");
    pty.keys("\u{15}moved\tbefore it's done\t \t\t\r");
    let plan = pty.wait_text("--disk-only");
    assert!(!plan.contains("--quiesce"), "{plan}");
    pty.keys("y");
    pty.wait_for("it in the tree", |screen| {
        screen.contains("Snapshots of web-1 on kvm1: 1") && screen.contains("before it's done")
    });
    let xml = host.virsh(&["snapshot-dumpxml", id.as_str(), "moved"]);
    assert!(
        xml.contains("<memory snapshot='no'/>") && xml.contains("before it&apos;s done"),
        "{xml}"
    );
    pty.wait_for_the_end_of_orders();
    pty.keys("qqq");
    assert_eq!(pty.wait_exit(), 0);
}

#[test]
fn a_script_deletes_what_is_older_and_nothing_else() {
    let (host, web, db) = with_old_ones();
    take(&host, &web, "week", 7);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let all = || (names(&host, &web).join(" "), names(&host, &db).join(" "));
    let before = ("first stuck week".to_owned(), "clean".to_owned());
    let older = |more: &[&str]| {
        let words = ["snapshot", "delete", "--older-than", "30d", "--filter"];
        deck.once(&[&words[..], more].concat())
    };
    let plan = older(&["host:kvm1", "--dry-run"]).expect(0).stdout;
    for name in ["first", "stuck", "clean"] {
        assert!(
            plan.contains(&format!("--snapshotname {name}")),
            "{name}: {plan}"
        );
    }
    assert!(!plan.contains("week"), "{plan}");
    let asked = older(&["host:kvm1"]).expect(4);
    assert!(asked.stderr.contains("--yes"), "{asked:?}");
    assert_eq!(all(), before);

    // The filter chooses the VMs; the host refuses one of the two.
    write(host.file("busy"), "");
    let half = older(&["name:web-1", "--yes", "-o", "json"]).expect(7);
    let told: Vec<serde_json::Value> = half
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object a line"))
        .collect();
    let told: Vec<_> = told
        .iter()
        .map(|one| (one["snapshot"].as_str(), one["outcome"].as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (Some("first"), Some("confirmed")),
            (Some("stuck"), Some("failed"))
        ]
    );
    assert_eq!(all(), ("stuck week".to_owned(), "clean".to_owned()));

    std::fs::remove_file(host.file("busy")).unwrap();
    older(&["host:kvm1", "--yes"]).expect(0);
    assert_eq!(all(), ("week".to_owned(), String::new()));
    older(&["host:kvm1", "--yes"]).expect(0);
    assert_eq!(all(), ("week".to_owned(), String::new()));
    let everywhere = ["snapshot", "delete", "--older-than", "30d", "--yes"];
    deck.once(&everywhere).expect(2);
    deck.run(&["audit", "verify"]).expect(0);
}

#[test]
fn what_is_old_is_a_setting_and_the_order_of_the_fleets_snapshots_is_found_again() {
    let host = LibvirtHost::start();
    let (web, db) = (
        host.define_with_disk("web-1"),
        host.define_with_disk("db-1"),
    );
    take(&host, &web, "oldest", 90);
    take(&host, &db, "older", 60);
    take(&host, &web, "newest", 1);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let config = "[actions]\nold_snapshot = \"70d\"\n";
    let in_order = |screen: &str, names: [&str; 3]| {
        let places: Vec<_> = names.iter().filter_map(|name| screen.find(name)).collect();
        places.len() == 3 && places.is_sorted()
    };
    let mut pty = open_with(&deck, config, (140, 40));
    pty.wait_text("1 up");
    pty.keys("3");
    pty.wait_for("the oldest first", |screen| {
        in_order(screen, ["oldest", "older", "newest"])
    });
    pty.keys("o");
    pty.wait_text("1 marked that are older than 70d");
    pty.keys("D");
    pty.wait_text("--snapshotname oldest");
    pty.keys("\r");
    pty.wait_for("the dialog gone", |screen| {
        !screen.contains("--snapshotname")
    });

    // From the age by the host to the VM; then around.
    pty.keys("u<<");
    pty.wait_for("by VM", |screen| {
        in_order(screen, ["older", "oldest", "newest"])
    });
    pty.keys("=");
    pty.wait_for("the other way around", |screen| {
        in_order(screen, ["oldest", "newest", "older"])
    });
    pty.keys("O");
    pty.wait_text("Sort by");
    pty.keys("gj\r");
    pty.wait_for("by VM again", |screen| {
        !screen.contains("Sort by") && in_order(screen, ["older", "oldest", "newest"])
    });
    pty.keys("1gt");
    pty.wait_text("Snapshots of db-1 on kvm1: 1");
    pty.keys(">");
    pty.wait_text("shown as its tree");
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);

    let mut pty = open_with(&deck, config, (140, 40));
    pty.wait_text("1 up");
    pty.keys("3");
    pty.wait_for("the order it was left in", |screen| {
        in_order(screen, ["older", "oldest", "newest"])
    });
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);
    assert_eq!(names(&host, &web).len() + names(&host, &db).len(), 3);
}

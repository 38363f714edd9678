//! VM snapshots of real VMs: by a script and by keys, and what plain `virsh` says of the same.

use serde_json::Value;

use crate::VMDECK;
use crate::dashboard::open;
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;

fn objects(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("an object a line"))
        .collect()
}

#[test]
fn a_script_takes_lists_reverts_to_and_deletes_snapshots() {
    let host = LibvirtHost::start();
    let id = host.define_with_disk("web-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let names = || host.virsh(&["-q", "snapshot-list", id.as_str(), "--name"]);

    let made = deck
        .once(&[
            "snapshot",
            "create",
            "web-1",
            "--name",
            "before it's done",
            "--description",
            "ticket 4711",
            "-o",
            "json",
        ])
        .expect(0)
        .json();
    assert_eq!(made["outcome"], "confirmed", "{made:#}");
    assert_eq!(made["action"], "snapshot-create");
    assert_eq!(made["snapshot"], "before it's done");
    assert_eq!(names().trim(), "before it's done");

    host.start_vm(&id);
    deck.once(&["snapshot", "create", "web-1", "--name", "running"])
        .expect(0);
    let listed = deck
        .once(&["snapshot", "list", "web-1", "-o", "json"])
        .expect(0)
        .json();
    let rows = listed.as_array().unwrap();
    assert_eq!(rows.len(), 2, "{listed:#}");
    assert_eq!(rows[0]["name"], "before it's done");
    assert_eq!(rows[0]["description"], "ticket 4711");
    assert_eq!(rows[0]["memory"], false);
    assert_eq!(
        (&rows[1]["depth"], &rows[1]["current"]),
        (&1.into(), &true.into())
    );
    assert_eq!(rows[1]["parent"], "before it's done");
    assert_eq!(
        (&rows[1]["memory"], &rows[1]["state"]),
        (&true.into(), &"running".into())
    );

    let back = ["snapshot", "revert", "web-1", "before it's done"];
    let asked = deck.once(&back).expect(4);
    assert!(asked.stderr.contains("--yes"), "{asked:?}");
    assert_eq!(host.state(&id), "running");
    let plan = deck.once(&[&back[..], &["--dry-run"]].concat()).expect(0);
    assert!(
        plan.stdout.contains("snapshot-revert") && plan.stdout.contains(id.as_str()),
        "{plan:?}"
    );
    let done = deck.once(&[&back[..], &["--yes", "-o", "json"]].concat());
    let done = done.expect(0).json();
    assert_eq!(done["outcome"], "confirmed", "{done:#}");
    assert_eq!(done["state_after"], "stopped");
    assert_eq!(host.state(&id), "shut off");
    let current = host.virsh(&["-q", "snapshot-current", id.as_str(), "--name"]);
    assert_eq!(current.trim(), "before it's done");

    let missing = deck
        .once(&["snapshot", "delete", "web-1", "nope", "--yes"])
        .expect(3);
    assert!(missing.stderr.contains("no snapshot `nope`"), "{missing:?}");
    let twice = deck
        .once(&[
            "snapshot", "create", "web-1", "--name", "running", "-o", "json",
        ])
        .expect(4);
    assert!(twice.stdout.contains("already"), "{twice:?}");
    let both = deck.once(&[
        "snapshot",
        "delete",
        "web-1",
        "running",
        "before it's done",
        "--yes",
        "-o",
        "json",
    ]);
    let outcomes = objects(&both.expect(0).stdout);
    assert_eq!(outcomes.len(), 2);
    assert!(
        outcomes.iter().all(|one| one["outcome"] == "confirmed"),
        "{outcomes:#?}"
    );
    assert_eq!(names().trim(), "");

    deck.run(&["audit", "verify"]).expect(0);
    let tail = deck.run(&["audit", "tail", "-n", "30"]).expect(0).stdout;
    for verb in ["snapshot-create", "snapshot-revert", "snapshot-delete"] {
        assert!(tail.contains(verb), "{verb}: {tail}");
    }
}

#[test]
fn a_vm_without_a_disk_is_told_so_in_the_hosts_own_words() {
    let host = LibvirtHost::start();
    host.define_deaf("bare");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let refused = deck.once(&["snapshot", "create", "bare"]).expect(1);
    assert!(
        refused.stderr.contains("nothing selected for snapshot"),
        "{refused:?}"
    );
    let empty = deck
        .once(&["snapshot", "list", "-o", "json"])
        .expect(0)
        .json();
    assert_eq!(empty, serde_json::json!([]));
}

#[test]
fn a_person_takes_reverts_to_and_deletes_a_snapshot_by_keys() {
    let host = LibvirtHost::start();
    let id = host.define_with_disk("web-1");
    host.start_vm(&id);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let names = || host.virsh(&["-q", "snapshot-list", id.as_str(), "--name"]);
    let mut pty = open(&deck, (140, 40));
    pty.wait_for("the running VM", |screen| {
        screen.contains("web-1") && screen.contains("running") && screen.contains("1 up")
    });

    pty.keys("T");
    let plan = pty.wait_text("snapshot-create-as");
    assert!(plan.contains(id.as_str()), "{plan}");
    pty.keys("y");
    pty.wait_text("has a new snapshot");
    let name = names().trim().to_owned();
    assert!(name.starts_with("vmdeck-"), "{name}");

    pty.keys("t");
    pty.wait_for("the tree", |screen| {
        screen.contains("Snapshots of web-1 on kvm1: 1")
            && screen.contains(&name)
            && screen.contains("disks and memory")
    });
    pty.keys("R");
    pty.wait_text("snapshot-revert");
    pty.keys("web-1\r");
    pty.wait_text("web-1 reverted");
    assert_eq!(host.state(&id), "running");

    pty.keys("D");
    pty.wait_text("snapshot-delete");
    pty.keys("\r");
    pty.wait_for("the dialog gone", |screen| {
        !screen.contains("snapshot-delete")
    });
    assert_eq!(names().trim(), name, "Enter is the safe choice");
    pty.keys("D");
    pty.wait_text("snapshot-delete");
    pty.keys("y");
    pty.wait_text("This VM has no snapshots");
    assert_eq!(names().trim(), "");
    pty.wait_for_the_end_of_orders();
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);
    deck.run(&["audit", "verify"]).expect(0);
}

//! VM snapshots of real VMs: by a script and by keys, and what plain `virsh` says of the same.

use serde_json::Value;

use crate::VMDECK;
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

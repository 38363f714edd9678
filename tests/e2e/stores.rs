//! Pools, volumes and networks of a real host: by a script and by keys, and what plain `virsh` says of the
//! same.

use serde_json::Value;

use crate::VMDECK;
use crate::dashboard::open;
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::{run, write};

/// Makes a directory of the host's account.
fn directory(host: &LibvirtHost, name: &str) -> String {
    let path = host.file(name).display().to_string();
    run(&mut host.prepare("mkdir", &["-p", &path]));
    path
}

/// A host with a pool of three images (one a VM's disk, one its base, one nobody's) and a network.
struct Place {
    host: LibvirtHost,
    deck: Deck,
    images: String,
}

impl Place {
    fn start() -> Self {
        let host = LibvirtHost::start();
        let images = directory(&host, "images of web");
        let image = |name: &str, more: &[&str]| {
            let path = format!("{images}/{name}");
            let mut words = vec!["create", "-q", "-f", "qcow2"];
            words.extend_from_slice(more);
            words.push(&path);
            words.push("8M");
            run(&mut host.prepare("qemu-img", &words));
        };
        let base = format!("{images}/base.qcow2");
        image("base.qcow2", &[]);
        image("web it's.qcow2", &["-b", &base, "-F", "qcow2"]);
        image("na\u{ef}ve left.qcow2", &[]);
        host.define(
            "web",
            "<os><type arch='x86_64'>hvm</type></os>",
            &format!(
                "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>\
                 <source file=\"{images}/web it's.qcow2\"/><target dev='vda' bus='virtio'/></disk>\
                 <interface type='network'><source network='inner'/></interface>"
            ),
        );
        host.virsh(&["-q", "pool-define-as", "images", "dir", "--target", &images]);
        host.virsh(&["-q", "pool-start", "images"]);
        let network = host.file("inner.xml");
        write(
            &network,
            "<network><name>inner</name><bridge name='vmd0'/>\
             <ip address='10.99.0.1' netmask='255.255.255.0'>\
             <dhcp><range start='10.99.0.10' end='10.99.0.20'/></dhcp></ip></network>",
        );
        host.virsh(&["-q", "net-define", &network.display().to_string()]);
        let deck = Deck::new(VMDECK);
        deck.add("kvm1", &host, &[]);
        Self { host, deck, images }
    }

    fn json(&self, words: &[&str]) -> Value {
        let all: Vec<&str> = words.iter().copied().chain(["-o", "json"]).collect();
        self.deck.once(&all).expect(0).json()
    }
}

fn row<'a>(rows: &'a Value, name: &str) -> &'a Value {
    let found = rows
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is not in {rows:#}"))
}

#[test]
fn a_script_lists_what_a_real_host_has_and_what_nothing_uses() {
    let place = Place::start();
    let pools = place.json(&["storage", "list"]);
    let pool = row(&pools, "images");
    assert_eq!(
        (
            &pool["state"],
            &pool["kind"],
            &pool["autostart"],
            &pool["persistent"]
        ),
        (&"active".into(), &"dir".into(), &false.into(), &true.into()),
        "{pool:#}"
    );
    assert_eq!(pool["path"], place.images.as_str());
    assert_eq!(
        (&pool["volumes"], &pool["unattached"]),
        (&3.into(), &1.into())
    );
    assert!(pool["capacity_bytes"].as_u64().unwrap() > pool["available_bytes"].as_u64().unwrap());

    let volumes = place.json(&["storage", "list", "--volumes", "--host", "kvm*"]);
    let web = row(&volumes, "web it's.qcow2");
    assert_eq!(
        (&web["use"], &web["vms"]),
        (&"disk".into(), &serde_json::json!(["web"]))
    );
    assert_eq!(
        (&web["format"], &web["capacity_bytes"]),
        (&"qcow2".into(), &(8 << 20).into())
    );
    assert_eq!(web["backing"], format!("{}/base.qcow2", place.images));
    assert_eq!(row(&volumes, "base.qcow2")["use"], "base");
    let unused = place.json(&["storage", "list", "--unattached"]);
    assert_eq!(unused.as_array().unwrap().len(), 1, "{unused:#}");
    assert_eq!(unused[0]["name"], "na\u{ef}ve left.qcow2");
    assert_eq!(unused[0]["capacity_bytes"], 8 << 20);

    let networks = place.json(&["network", "list"]);
    let inner = row(&networks, "inner");
    assert_eq!(
        (&inner["mode"], &inner["state"], &inner["bridge"]),
        (&"isolated".into(), &"inactive".into(), &"vmd0".into()),
        "{inner:#}"
    );
    assert_eq!(
        inner["ranges"],
        serde_json::json!(["10.99.0.1/24", "10.99.0.10 - 10.99.0.20"])
    );
    assert_eq!(inner["vms"], serde_json::json!(["web"]));

    let shown = place
        .deck
        .once(&["storage", "show", "kvm1/images"])
        .expect(0)
        .stdout;
    assert!(
        shown.contains("base of web it's.qcow2") && shown.contains("unattached"),
        "{shown}"
    );
    let missing = place.deck.once(&["network", "show", "nope"]).expect(3);
    assert!(
        missing.stderr.contains("there is no network `nope`"),
        "{missing:?}"
    );
}

#[test]
fn a_pool_that_is_stopped_tells_no_volumes_and_a_lost_directory_is_a_gap_of_its_own() {
    let place = Place::start();
    place.host.virsh(&["-q", "pool-destroy", "images"]);
    let pools = place.json(&["storage", "list"]);
    let pool = row(&pools, "images");
    assert_eq!(pool["state"], "inactive");
    for unknown in ["volumes", "unattached", "capacity_bytes"] {
        assert_eq!(pool[unknown], Value::Null, "{unknown}: {pool:#}");
    }
    let ghost = directory(&place.host, "ghost");
    place
        .host
        .virsh(&["-q", "pool-create-as", "ghost", "dir", "--target", &ghost]);
    let pools = place.json(&["storage", "list"]);
    assert_eq!(row(&pools, "ghost")["persistent"], false);
}

#[test]
fn a_script_stops_and_starts_a_real_pool_and_every_step_is_recorded() {
    let place = Place::start();
    let state = || {
        let info = place.host.virsh(&["-q", "pool-info", "images"]);
        let line = info
            .lines()
            .find(|line| line.starts_with("State:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    let asked = place.deck.once(&["storage", "stop", "images"]).expect(4);
    assert!(asked.stderr.contains("--yes"), "{asked:?}");
    let plan = place
        .deck
        .once(&["storage", "stop", "images", "--dry-run"])
        .expect(0);
    assert!(plan.stdout.contains("pool-destroy"), "{plan:?}");
    assert_eq!(state(), "running");
    let done = place.json(&["storage", "stop", "kvm1/images", "--yes"]);
    assert_eq!(
        (&done["outcome"], &done["action"]),
        (&"confirmed".into(), &"pool-stop".into()),
        "{done:#}"
    );
    assert_eq!(
        (&done["state_before"], &done["state_after"]),
        (&"active".into(), &"inactive".into())
    );
    assert_eq!(state(), "inactive");
    let twice = place.deck.once(&["storage", "refresh", "images"]).expect(4);
    assert!(twice.stderr.contains("inactive already"), "{twice:?}");
    assert_eq!(
        place.json(&["storage", "start", "images"])["outcome"],
        "confirmed"
    );
    assert_eq!(
        place.json(&["storage", "refresh", "images"])["outcome"],
        "confirmed"
    );
    assert_eq!(
        place.json(&["storage", "autostart", "on", "images"])["outcome"],
        "confirmed"
    );
    assert!(
        place
            .host
            .virsh(&["-q", "pool-info", "images"])
            .contains("Autostart:      yes")
    );
    assert_eq!(
        place.json(&["network", "autostart", "on", "inner"])["outcome"],
        "confirmed"
    );
    let missing = place
        .deck
        .once(&["storage", "stop", "nope", "--yes"])
        .expect(3);
    assert!(
        missing.stderr.contains("there is no pool `nope`"),
        "{missing:?}"
    );
    let denied = place
        .deck
        .once(&["--read-only", "storage", "stop", "images", "--yes"])
        .expect(4);
    assert!(denied.stderr.contains("read-only"), "{denied:?}");
    place.deck.run(&["audit", "verify"]).expect(0);
    let tail = place
        .deck
        .run(&["audit", "tail", "-n", "30"])
        .expect(0)
        .stdout;
    for word in [
        "pool-stop",
        "pool-start",
        "pool-refresh",
        "network-autostart-on",
        "kvm1/pool images",
    ] {
        assert!(tail.contains(word), "{word}: {tail}");
    }
}

#[test]
fn a_person_sees_storage_and_networks_and_stops_a_pool_by_keys() {
    let place = Place::start();
    let mut pty = open(&place.deck, (140, 40));
    pty.wait_text("1 up");
    pty.keys("4");
    pty.wait_for("the pool and the network", |screen| {
        screen.contains("+ images")
            && screen.contains("3 volumes, 1 unattached")
            && screen.contains("inner")
            && screen.contains("isolated")
    });
    pty.keys("\r");
    pty.wait_for("its volumes", |screen| {
        screen.contains("- images")
            && screen.contains("web it's.qcow2")
            && screen.contains("base of web it's.qcow2")
            && screen.contains("unattached")
    });
    pty.keys("/left\r");
    pty.wait_for("what fits", |screen| {
        screen.contains("ve left.qcow2") && !screen.contains("base.qcow2")
    });
    pty.keys("\u{1b}");
    pty.wait_text("base.qcow2");
    pty.keys("gS");
    pty.wait_for("the plan", |screen| {
        screen.contains("Stop pool images?") && screen.contains("pool-destroy")
    });
    pty.keys("\r");
    pty.wait_for("the dialog gone", |screen| !screen.contains("pool-destroy"));
    assert!(
        place
            .host
            .virsh(&["-q", "pool-info", "images"])
            .contains("running")
    );
    pty.keys("S");
    pty.wait_text("pool-destroy");
    pty.keys("y");
    pty.wait_text("the pool images is stopped");
    assert!(
        place
            .host
            .virsh(&["-q", "pool-info", "images"])
            .contains("inactive")
    );
    pty.wait_for("the row", |screen| {
        let mut lines = screen.lines();
        lines.any(|line| line.contains("images") && line.contains("inactive"))
    });
    pty.keys("s");
    pty.wait_text("the pool images is started");
    pty.keys("5");
    pty.wait_for("the records", |screen| {
        screen.contains("pool-stop") && screen.contains("pool images")
    });
    let is_operation = |line: &str, verb: &str| {
        line.contains("confirmed")
            && line.contains(&format!(" {verb} "))
            && line.contains("pool images")
    };
    pty.wait_for("both among the operations", |screen| {
        screen.lines().any(|line| is_operation(line, "stop"))
            && screen.lines().any(|line| is_operation(line, "start"))
    });
    pty.keys("/kind:pool-stop\r");
    pty.wait_for("only one of them", |screen| {
        screen.lines().any(|line| is_operation(line, "stop"))
            && !screen.lines().any(|line| is_operation(line, "start"))
    });
    pty.keys("d");
    pty.wait_text("pool-destroy");
    pty.keys("\u{1b}");
    pty.wait_for("the list", |screen| !screen.contains("pool-destroy"));
    pty.keys("\u{1b}");
    pty.wait_for("all again", |screen| {
        screen.lines().any(|line| is_operation(line, "start"))
    });
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);
}

#[test]
fn autostart_a_fresh_look_and_networks_are_reached_by_keys() {
    let place = Place::start();
    let host = &place.host;
    // A network on a bridge that is there already: nothing is made when it starts, so nobody needs to be root.
    let lan = host.file("lan.xml");
    write(
        &lan,
        "<network><name>aaa-lan</name><forward mode='bridge'/><bridge name='br-lan'/></network>",
    );
    host.virsh(&["-q", "net-define", &lan.display().to_string()]);
    let info = |what: &str, name: &str, key: &str| {
        let told = host.virsh(&[what, name]);
        let line = told.lines().find(|line| line.starts_with(key));
        line.unwrap_or_default().trim().ends_with("yes")
    };
    let mut pty = open(&place.deck, (140, 40));
    pty.wait_text("1 up");
    pty.keys("4");
    pty.wait_for("pool and network", |screen| {
        screen.contains("3 volumes") && screen.contains("aaa-lan")
    });
    pty.keys("a");
    pty.wait_text("the pool images");
    pty.wait_for("its flag", |_| info("pool-info", "images", "Autostart:"));
    pty.wait_for_the_end_of_orders();
    let new = format!("{}/new.qcow2", place.images);
    run(&mut host.prepare("qemu-img", &["create", "-q", "-f", "qcow2", &new, "8M"]));
    pty.keys("p");
    pty.wait_text("4 volumes, 2 unattached");
    pty.wait_for_the_end_of_orders();

    pty.keys("\tg");
    pty.keys("s");
    pty.wait_text("the network aaa-lan is started");
    assert!(info("net-info", "aaa-lan", "Active:"));
    pty.wait_for_the_end_of_orders();
    pty.keys("a");
    pty.wait_for("its flag", |_| info("net-info", "aaa-lan", "Autostart:"));
    pty.wait_for_the_end_of_orders();
    pty.keys("S");
    pty.wait_text("net-destroy");
    pty.keys("y");
    pty.wait_text("the network aaa-lan is stopped");
    assert!(!info("net-info", "aaa-lan", "Active:"));
    pty.wait_for_the_end_of_orders();
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);
}

//! `--once set` and `--once define`: what is said about a plan, what was done, and what is refused.

use crate::live::Lab;
use crate::snapshot;

const SCENARIO: &str = r#"
seed = 7

[[host]]
name = "kvm1"
cpus = 8
memory_gib = 32

[[host.vm]]
name = "web"
uuid = "11111111-1111-4111-8111-111111111111"
vcpus = 2
memory_mib = 2048
title = "shop"

[[host.vm]]
name = "db"
uuid = "22222222-2222-4222-8222-222222222222"
state = "stopped"
vcpus = 1
memory_mib = 1024
"#;

#[test]
fn settings_are_planned_changed_and_refused() {
    let lab = Lab::of(SCENARIO);
    let deck = &lab.deck;
    let words = ["set", "web", "--vcpus", "4", "--title", "shop; it's"];
    let with = |more: &[&str]| deck.once(&[&words[..], more].concat());
    snapshot!(deck, "set_dry_run", with(&["--dry-run"])).expect(0);
    snapshot!(deck, "set_dry_run_json", with(&["--dry-run", "-o", "json"])).expect(0);
    snapshot!(deck, "set_asks", with(&[])).expect(4);
    snapshot!(deck, "set_done", with(&["--yes"])).expect(0);
    snapshot!(deck, "set_nothing", with(&["--yes"])).expect(4);
    let more = ["set", "db", "--memory", "2G", "--yes", "-o", "json"];
    snapshot!(deck, "set_done_json", deck.once(&more)).expect(0);
    let wrong = ["set", "db", "--vcpus", "0", "--yes"];
    snapshot!(deck, "set_wrong", deck.once(&wrong)).expect(2);
}

#[test]
fn a_definition_is_printed_planned_written_and_refused() {
    let lab = Lab::of(SCENARIO);
    let deck = &lab.deck;
    let printed = deck.once(&["define", "db"]).expect(0).stdout;
    assert!(
        printed.starts_with("<domain type='kvm'>\n  <name>db</name>"),
        "{printed}"
    );
    let file = deck.home().join("db.xml");
    let path = file.display().to_string();
    let write = |from: &str, to: &str| crate::support::write(&file, printed.replace(from, to));
    let words = ["define", "db", "--file", path.as_str()];
    let with = |more: &[&str]| deck.once(&[&words[..], more].concat());
    write("'static'>1<", "'static'>2<");
    snapshot!(deck, "define_dry_run", with(&["--dry-run"])).expect(0);
    snapshot!(deck, "define_asks", with(&[])).expect(4);
    snapshot!(deck, "define_done_json", with(&["--yes", "-o", "json"])).expect(0);
    snapshot!(deck, "define_nothing", with(&["--yes"])).expect(4);
    write("<name>db<", "<name>mail<");
    snapshot!(deck, "define_renamed", with(&["--yes"])).expect(4);
    write("</vcpu>", "");
    snapshot!(deck, "define_broken", with(&["--yes"])).expect(2);
    write("'static'>1<", "'static'>x<");
    snapshot!(deck, "define_refused_by_the_host", with(&["--yes"])).expect(1);
    // What the host takes and does not keep is not called done.
    write("<boot dev='hd'/>", "<boot dev='network'/>");
    snapshot!(deck, "define_not_kept", with(&["--yes"]));
    crate::support::write(&file, b"\xff");
    snapshot!(deck, "define_no_text", with(&["--yes"])).expect(2);
    deck.once(&["define", "db", "--file", "/nowhere/at/all"])
        .expect(2);
}

//! The operator's own commands on keys, about real VMs and hosts: asked about, refused, shown, failing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::VMDECK;
use crate::dashboard::{open_with, row};
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::pty::Pty;
use crate::support::{wait_for, write};

/// How long a program of ours may take here.
const SOON: Duration = Duration::from_secs(20);

/// What a shell would make something of; tabs, and what would clear a terminal.
const PRINTS: &str = r#"printf 'one\ttwo\n\033[2Jred <%s>\n' "$1"; echo trouble >&2; exit "$2""#;

fn configuration(deck: &Deck) -> String {
    let record = deck.home().join("note a line");
    let text = "#!/bin/sh\nprintf '%s|' \"$@\" >> \"$HOME/lines\"; echo >> \"$HOME/lines\"\n";
    write(&record, text);
    fs::set_permissions(&record, fs::Permissions::from_mode(0o755)).unwrap();
    let record = record.display().to_string();
    let odd = "$(touch oops); `id` && {{x}} * ~ $HOME";
    format!(
        "[[command]]\nkey = \"ctrl-y\"\ndescription = \"note it\"\nconfirm = true\n\
         argv = [{record:?}, \"--vm={{vm.name}}\", {odd:?}, \"\"]\n\
         [[command]]\nkey = \"ctrl-o\"\ndescription = \"break it\"\ndanger = true\noutput = \"popup\"\n\
         argv = [\"sh\", \"-c\", {PRINTS:?}, \"sh\", \"{{vm.name}}\", \"3\"]\n\
         [[command]]\nkey = \"alt-h\"\ndescription = \"where it is\"\nscope = \"host\"\noutput = \"popup\"\n\
         argv = [\"printf\", \"<%s>\", \"{{host.name}}\", \"{{host.address}}\", \"{{host.port}}\", \"{{host.user}}\"]\n\
         [[command]]\nkey = \"alt-x\"\ndescription = \"not there\"\nargv = [\"no-such-program\", \"{{vm.id}}\"]\n\
         [[command]]\nkey = \"alt-f\"\ndescription = \"fails\"\nscope = \"any\"\nargv = [\"sh\", \"-c\", \"echo no luck >&2; exit 7\"]\n"
    )
}

/// The lines that were noted so far.
fn noted(deck: &Deck) -> Vec<String> {
    let text = fs::read_to_string(deck.home().join("lines")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn the_table(pty: &Pty, gone: &str) {
    pty.wait_for("the table alone", |screen| !screen.contains(gone));
}

/// Asked about first, then run once for each VM that is meant, its arguments as they are.
fn confirmed(pty: &mut Pty, deck: &Deck) {
    pty.keys("\x19");
    let dialog = pty.wait_text("note it on web-1 on kvm1?");
    assert!(dialog.contains("--vm=web-1"), "{dialog}");
    assert!(dialog.contains("without a shell"), "{dialog}");
    // Enter is the safe choice.
    pty.keys("\r");
    the_table(pty, "note it on");
    pty.keys("\x19");
    pty.wait_text("note it on web-1 on kvm1?");
    pty.keys("y");
    pty.wait_text("note it on web-1 on kvm1: done");
    let odd = "$(touch oops); `id` && {x} * ~ $HOME||";
    assert_eq!(noted(deck), [format!("--vm=web-1|{odd}")]);
    pty.keys("  ");
    pty.wait_text("2 marked");
    pty.keys("\x19");
    pty.wait_text("note it on 2 VMs?");
    pty.keys("y");
    let both = ["web-1", "web-1", "web-2"].map(|vm| format!("--vm={vm}|{odd}"));
    let done = wait_for(SOON, || {
        let mut lines = noted(deck);
        lines.sort();
        lines == both
    });
    assert!(done, "{:?}\n{}", noted(deck), pty.screen());
    assert!(!deck.home().join("oops").exists());
}

/// What it wrote is shown, harmless, with how it ended.
fn shown(pty: &mut Pty) {
    pty.keys("\x0f");
    pty.wait_text("break it on web-1 on kvm1?");
    pty.keys("y");
    let page = pty.wait_text("sh ended with");
    assert!(page.contains("one    two"), "{page}");
    assert!(page.contains("[2Jred <web-1>"), "{page}");
    assert!(row(&page, "sh ended with").contains('3'), "{page}");
    pty.keys("\x1b");
    the_table(pty, "[2Jred <web-1>");
}

#[test]
fn commands_of_ones_own_are_asked_about_shown_and_refused() {
    let host = LibvirtHost::start();
    host.define_deaf("web-1");
    host.define_deaf("web-2");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let configuration = configuration(&deck);
    let stopped = |screen: &str| row(screen, "web-2").contains("stopped");

    let mut pty = open_with(&deck, &configuration, (140, 40));
    pty.wait_for("the stopped VMs", stopped);
    shown(&mut pty);
    pty.keys("\x1bx");
    pty.wait_for("that there is no such program", |screen| {
        screen.contains("not there on web-1 on kvm1") && screen.contains("no-such-program")
    });
    pty.keys("\x1bf");
    pty.wait_for("how it failed", |screen| {
        screen.contains("fails: ") && screen.contains("no luck")
    });
    confirmed(&mut pty, &deck);
    pty.keys("2");
    pty.wait_text("LATENCY");
    pty.keys("\x1bh");
    let port = host.sshd.port().to_string();
    pty.wait_text(&format!("<kvm1><127.0.0.1><{port}><{}>", host.sshd.user()));
    pty.keys("q");
    the_table(&pty, "<kvm1>");
    pty.keys("!");
    pty.wait_for("all that failed", |screen| {
        ["break it on web-1", "not there on web-1", "no luck"]
            .iter()
            .all(|text| screen.contains(text))
    });
    pty.keys("qqq");
    assert_eq!(pty.wait_exit(), 0);

    // What disrupts is refused where nothing may be changed; what does not is not.
    deck.run(&["host", "edit", "kvm1", "--read-only"]).expect(0);
    let mut pty = open_with(&deck, &configuration, (140, 40));
    pty.wait_for("the stopped VMs", stopped);
    pty.keys("\x0f");
    pty.wait_for("the refusal", |screen| {
        screen.contains("cannot break it") && screen.contains("read-only")
    });
    pty.keys("\x19");
    pty.wait_text("note it on web-1 on kvm1?");
    pty.keys("y");
    assert!(
        wait_for(SOON, || noted(&deck).len() == 4),
        "{}",
        pty.screen()
    );
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    deck.run(&["audit", "verify"]).expect(0);
}

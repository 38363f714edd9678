//! The operator's own, with the real program on real VMs: a message through the terminal, commands on keys,
//! a hook that hangs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use crate::VMDECK;
use crate::dashboard::{open_with, row};
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::pty::Pty;
use crate::support::{wait_for, write};

/// How long a program of ours may take here.
const SOON: Duration = Duration::from_secs(20);

/// A program that writes its arguments to a file, each ended by a zero byte.
fn recorder(folder: &Path) -> String {
    let path = folder.join("record arguments");
    let file = folder.join("arguments");
    let text = format!(
        "#!/bin/sh\nprintf '%s\\0' \"$@\" > '{0}.new'\nmv '{0}.new' '{0}'\n",
        file.display()
    );
    write(&path, &text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

pub(crate) fn runs(pid: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    state.is_ok_and(|state| !state.contains(") Z "))
}

#[test]
fn a_change_is_told_a_command_gets_its_arguments_and_a_hook_that_hangs_is_ended() {
    let host = LibvirtHost::start();
    let id = host.define_deaf("web-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let home = deck.home().display().to_string();
    let record = recorder(deck.home());
    let config = format!(
        "[tui]\nnotify_by = \"osc9\"\n\
         [[command]]\nkey = \"ctrl-y\"\ndescription = \"write it down\"\n\
         argv = [{record:?}, \"{{vm.name}}\", \"$(touch {home}/CANARY)\", \"a  b; `id`\", \"{{host.name}}/{{vm.id}}\"]\n\
         [[command]]\nkey = \"ctrl-o\"\ndescription = \"ask me\"\nscope = \"any\"\noutput = \"terminal\"\n\
         argv = [\"sh\", \"-c\", \"echo what is your name; read name; echo $name > {home}/name\"]\n\
         [[command]]\nkey = \"S\"\ndescription = \"taken\"\nargv = [\"true\"]\n\
         [[hook]]\nevent = \"vm-state\"\nfilter = \"name:web-1\"\ntimeout = \"1s\"\n\
         argv = [\"sh\", \"-c\", \"sleep 600 & echo $! > {home}/child; echo $$ > {home}/hook; wait\", \"{{vm.name}}\"]\n"
    );
    let mut pty = open_with(&deck, &config, (140, 40));
    pty.wait_for("the stopped VM", |screen| {
        row(screen, "web-1").contains("stopped")
    });
    pty.keys("n");
    pty.wait_text("you are told when web-1 changes");
    pty.keys("s");
    pty.wait_bytes(b"\x1b]9;vmdeck: web-1 on kvm1 is running\x07");
    assert_eq!(host.state(&id), "running");

    // The hook hangs by now; keys do what they do.
    pty.keys("\x19");
    let arguments = deck.home().join("arguments");
    assert!(wait_for(SOON, || arguments.exists()), "{}", pty.screen());
    let written = fs::read_to_string(&arguments).unwrap();
    let canary = format!("$(touch {home}/CANARY)");
    let expected = ["web-1", &canary, "a  b; `id`", &format!("kvm1/{id}")];
    assert_eq!(written.split_terminator('\0').collect::<Vec<_>>(), expected);
    assert!(!deck.home().join("CANARY").exists());

    let pids = ["hook", "child"].map(|name| fs::read_to_string(deck.home().join(name)).unwrap());
    assert!(
        wait_for(SOON, || !pids.iter().any(|pid| runs(pid))),
        "the hook lives on"
    );
    pty.keys("!");
    pty.wait_text("sh did not end within 1s");
    pty.wait_text("`S` is bound to `act.shutdown`");
    pty.keys("\x1b");
    pty.wait_for("the table", |screen| !screen.contains("Errors"));

    pty.keys("\x0f");
    pty.wait_text("what is your name");
    assert!(!pty.on_alternate_screen());
    pty.keys("ann\n");
    pty.wait_for("the dashboard again", |screen| {
        row(screen, "web-1").contains("running")
    });
    assert_eq!(
        fs::read_to_string(deck.home().join("name")).unwrap(),
        "ann\n"
    );
    // Its keys are the dashboard's again, from the first one on.
    pty.keys("?");
    pty.wait_text("VM table");
    pty.keys("ask me");
    pty.wait_text("Commands of your own");
    pty.keys("\x1b");
    pty.wait_for("the table", |screen| {
        !screen.contains("Commands of your own")
    });
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    let log = deck.run(&["audit", "export"]).stdout;
    assert!(
        log.contains("own-command") && log.contains("record arguments"),
        "{log}"
    );
}

#[test]
fn a_change_rings_the_bell_or_is_given_to_a_program() {
    let host = LibvirtHost::start();
    let id = host.define_deaf("web-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let record = recorder(deck.home());
    let watched = |pty: &mut Pty| {
        pty.wait_for("the stopped VM", |screen| {
            screen.contains("1 up") && row(screen, "web-1").contains("stopped")
        });
        if !pty.screen().contains('\u{266a}') {
            pty.keys("n");
            pty.wait_text("you are told when web-1 changes");
        }
    };
    let mut pty = open_with(&deck, "[tui]\nnotify_by = \"bell\"\n", (140, 40));
    watched(&mut pty);
    host.start_vm(&id);
    pty.wait_bytes(b"\x07");
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    host.virsh(&["-q", "destroy", id.as_str()]);

    let by = format!(
        "[tui]\nnotify_by = \"command\"\nnotify_command = [{record:?}, \"{{text}}; $(id)\"]\n"
    );
    let mut pty = open_with(&deck, &by, (140, 40));
    watched(&mut pty);
    host.start_vm(&id);
    let arguments = deck.home().join("arguments");
    assert!(wait_for(SOON, || arguments.exists()), "{}", pty.screen());
    let written = fs::read_to_string(&arguments).unwrap();
    assert!(
        written.contains("web-1 on kvm1 is running") && written.ends_with("; $(id)\0"),
        "{written}"
    );
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
}

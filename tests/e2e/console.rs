//! The serial console on real VMs, by keys and eyes: the shell behind it, who else has it, reboots, what
//! a VM writes that would act on a terminal, a flood.

use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::VMDECK;
use crate::dashboard::{open, row};
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::pty::Pty;
use crate::support::wait_for;
use vmdeck::domain::vm::VmId;

/// What leaves a console.
const LEAVE: &str = "\x1d";

fn booted() -> (LibvirtHost, VmId, Deck) {
    let host = LibvirtHost::start();
    let id = host.define_obedient("web-1");
    host.start_vm(&id);
    host.wait_ready(&id);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    (host, id, deck)
}

fn running(deck: &Deck, size: (u16, u16)) -> Pty {
    let pty = open(deck, size);
    pty.wait_for("the running VM", |screen| {
        screen.contains("1 up") && row(screen, "web-1").contains("running")
    });
    pty
}

/// Opens the console and waits for the shell's prompt.
fn at_the_prompt(pty: &mut Pty) {
    pty.keys("a");
    pty.wait_text("live");
    prompt(pty);
}

/// Presses Enter until the shell answers.
fn prompt(pty: &mut Pty) {
    answers(pty, "", "/ # ");
}

/// Types a line until its answer is there: what is typed before `virsh` has made its terminal raw, or
/// while the VM boots, is lost.
fn answers(pty: &mut Pty, line: &str, answer: &str) {
    let answered = (0..80).any(|_| {
        pty.keys(&format!("{line}\r"));
        wait_for(Duration::from_millis(500), || pty.screen().contains(answer))
    });
    assert!(answered, "no answer to {line:?}:\n{}", pty.screen());
}

/// Somebody else at the console, until dropped.
struct Other(Child);

impl Other {
    /// Takes the console, and returns once the shell behind it has answered.
    fn sits_down(host: &LibvirtHost, id: &VmId, how: &str) -> Self {
        let line = format!("/usr/bin/virsh -q console {id} {how}");
        let mut child = host
            .prepare("/usr/bin/script", &["-qec", &line, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("script");
        let mut keys = child.stdin.take().expect("its input");
        let mut output = child.stdout.take().expect("its output");
        let said = Arc::new(Mutex::new(Vec::new()));
        std::thread::spawn({
            let said = Arc::clone(&said);
            move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = output.read(&mut bytes) {
                    said.lock().unwrap().extend_from_slice(&bytes[..count]);
                }
            }
        });
        let seated = (0..80).any(|_| {
            keys.write_all(b"\r").ok();
            wait_for(Duration::from_millis(500), || {
                String::from_utf8_lossy(&said.lock().unwrap()).contains("/ # ")
            })
        });
        let said = String::from_utf8_lossy(&said.lock().unwrap()).into_owned();
        assert!(seated, "the other never got the console: {said}");
        // `script` leaves when its input ends.
        child.stdin = Some(keys);
        Self(child)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_shell_answers_behind_the_console_and_it_is_recorded() {
    let (host, id, deck) = booted();
    let mut pty = running(&deck, (100, 30));
    at_the_prompt(&mut pty);
    pty.keys("echo $((6 * 7))-wide\r");
    pty.wait_text("42-wide");
    // What would act on a terminal stays in the console: the screen below would be gone otherwise.
    pty.keys("printf '\\033]0;owned\\007\\033[?1049l\\033c\\033[21tSAFE'\r");
    pty.wait_text("SAFE");
    assert!(pty.on_alternate_screen(), "it has left our screen");
    pty.wait_text("console of web-1 on kvm1");
    // Keys that are ours elsewhere are the VM's here.
    pty.keys("\x03q?:S");
    pty.wait_text("q?:S");
    pty.keys("\x03");
    // Scrolling back and forth.
    pty.keys("i=0; while [ $i -lt 60 ]; do echo mark-$i; i=$((i+1)); done\r");
    pty.wait_text("mark-59");
    pty.keys("\x1b[5;2~");
    pty.wait_for("older lines", |screen| {
        screen.contains("lines back") && screen.contains("mark-20") && !screen.contains("mark-59")
    });
    pty.keys("\x1b[6;2~");
    pty.wait_text("mark-59");
    follows_the_window(&mut pty);
    pty.keys(LEAVE);
    pty.wait_for("the table", |screen| screen.contains("NAME"));
    assert_eq!(host.state(&id), "running", "leaving changes nothing");
    // It was given back: whoever comes next need not take it from anybody.
    at_the_prompt(&mut pty);
    pty.keys(LEAVE);
    pty.wait_for("the table", |screen| screen.contains("NAME"));
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    deck.run(&["audit", "verify"]).expect(0);
    let tail = deck.run(&["audit", "tail", "-n", "9"]).expect(0);
    assert!(
        tail.stdout.contains("console") && tail.stdout.contains("left"),
        "{}",
        tail.stdout
    );
}

/// Asks the terminal from inside the VM where its last cell is, which is how `resize` finds out how large it is.
///
/// The shell asks where its prompt ends too, and that answer may come when the shell no longer reads:
/// whatever comes before the answer to a question of another kind is not ours.
fn last_cell(pty: &mut Pty, place: &str) {
    pty.keys(
        "stty raw -echo; until_() { at=; c=; until [ \"$c\" = \"$1\" ]; do c=$(dd bs=1 count=1 2>/dev/null); at=$at$c; done; }; \
         printf '\\033[c'; until_ c; printf '\\033[999;999H\\033[6n'; until_ R; \
         stty sane; clear; echo \"last-cell=$at\" | tr -d '\\033'\r",
    );
    pty.wait_text(&format!("last-cell=[{place}R"));
}

/// What the VM is told of its terminal is the window without the three lines of the dashboard.
fn follows_the_window(pty: &mut Pty) {
    last_cell(pty, "27;100");
    let resized = |pty: &Pty, columns: u16, rows: u16| {
        pty.resize(columns, rows);
        pty.wait_for("the footer in the last row", |screen| {
            let last = screen.lines().nth(usize::from(rows) - 1);
            last.is_some_and(|line| line.contains("ctrl-] leave"))
        });
    };
    resized(pty, 140, 40);
    last_cell(pty, "37;140");
    // A window smaller than any serial line thinks of shows the part with the cursor.
    resized(pty, 60, 20);
    last_cell(pty, "24;80");
}

/// The console of before goes on when the VM boots anew, and is not a new one.
fn stays_over_a_reset(pty: &mut Pty, host: &LibvirtHost, id: &VmId) {
    pty.keys("clear; echo $((40 + 2))-before\r");
    pty.wait_for("nothing of the boot", |screen| {
        screen.contains("42-before") && !screen.contains("guest ready")
    });
    host.virsh(&["-q", "reset", id.as_str()]);
    pty.wait_text("vmdeck guest ready");
    answers(pty, "echo $((40 + 3))-after", "43-after");
}

#[test]
fn it_comes_back_when_the_vm_does() {
    let (host, id, deck) = booted();
    let mut pty = running(&deck, (100, 30));
    at_the_prompt(&mut pty);
    stays_over_a_reset(&mut pty, &host, &id);
    let audit = deck.run(&["audit", "export"]).expect(0).stdout;
    let is_opening = |line: &&str| line.contains("\"console\"") && line.contains("\"pending\"");
    let opened = audit.lines().filter(is_opening).count();
    assert_eq!(opened, 1, "it was opened anew: {audit}");
    host.virsh(&["-q", "destroy", id.as_str()]);
    pty.wait_text("the VM is off");
    host.start_vm(&id);
    pty.wait_text("live");
    answers(&mut pty, "echo again-$((1 + 1))", "again-2");
}

#[test]
fn a_console_of_a_vm_that_is_off_waits_for_it() {
    let host = LibvirtHost::start();
    let id = host.define_obedient("web-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open(&deck, (100, 30));
    pty.wait_for("the stopped VM", |screen| {
        screen.contains("1 up") && row(screen, "web-1").contains("stopped")
    });
    pty.keys("a");
    pty.wait_text("the VM is off");
    host.start_vm(&id);
    // From its first words on.
    pty.wait_text("vmdeck guest ready");
}

#[test]
fn nobody_is_thrown_out_unasked() {
    let (host, id, deck) = booted();
    let other = Other::sits_down(&host, &id, "");
    let mut pty = running(&deck, (100, 30));
    pty.keys("a");
    pty.wait_text("somebody else has this console open");
    pty.wait_text("take over");
    pty.keys("f");
    pty.wait_text("live");
    prompt(&mut pty);
    // And the other way round: it is told, and does not fight.
    drop(other);
    let _other = Other::sits_down(&host, &id, "--force");
    pty.wait_text("somebody else has this console open");
}

#[test]
fn a_vm_without_a_serial_port_says_so() {
    let host = LibvirtHost::start();
    let id = host.define("bare", "<os><type arch='x86_64'>hvm</type></os>", "");
    host.virsh(&["-q", "undefine", id.as_str()]);
    host.define_xml(
        &id,
        &format!(
            "<domain type='qemu'><name>bare</name><uuid>{id}</uuid><memory unit='MiB'>16</memory>\
             <vcpu>1</vcpu><os><type arch='x86_64'>hvm</type></os></domain>"
        ),
    );
    host.start_vm(&id);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open(&deck, (100, 30));
    pty.wait_for("the running VM", |screen| {
        row(screen, "bare").contains("running")
    });
    pty.keys("a");
    pty.wait_text("the VM has no serial console");
    pty.keys("\x1b");
    pty.wait_for("the table", |screen| screen.contains("NAME"));
}

#[test]
fn a_flood_leaves_the_keys_and_the_other_vms_alone() {
    let (host, _id, deck) = booted();
    let quiet = host.define_deaf("zz-quiet");
    let mut pty = running(&deck, (100, 30));
    at_the_prompt(&mut pty);
    pty.keys("while :; do echo $RANDOM-flood-flood-flood-flood-flood; done\r");
    pty.wait_text("-flood-flood");
    // The flood goes on while the table is read and changed.
    host.start_vm(&quiet);
    pty.keys(LEAVE);
    pty.wait_for("the other VM running", |screen| {
        row(screen, "zz-quiet").contains("running")
    });
    pty.keys("a");
    pty.wait_text("-flood-flood");
    pty.keys("\x03");
    pty.wait_for("the prompt", |screen| {
        screen
            .lines()
            .any(|line| line.trim_matches(['│', ' ']) == "/ #")
    });
    pty.keys("echo over-$((2 + 3))\r");
    pty.wait_text("over-5");
}

//! The definition of a real VM in an editor, and by a script; what plain `virsh` says of it afterwards. The editors
//! are small scripts: one that changes something, one that fails, one that breaks the text.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::VMDECK;
use crate::dashboard::open_with;
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::pty::Pty;
use crate::support::write;

/// An editor: a script that is asked for by the word in a file beside it.
const EDITOR: &str = r#"#!/bin/sh
case $(cat "$0.word") in
more) sed -i 's/<vcpu\(.*\)>1</<vcpu\1>3</' "$1" ;;
same) ;;
fail) echo lost >"$1"; exit 7 ;;
break) sed -i 's/<.vcpu>//' "$1" ;;
name) sed -i 's/<name>web-1</<name>web-2</' "$1" ;;
mend) sed -i 's/<name>web-2</<name>web-1</; s/<vcpu\(.*\)>3</<vcpu\1>2</' "$1" ;;
theirs) sed -i 's/<vcpu/<title>theirs<\/title>\n  <vcpu/' "$1" ;;
odd) sed -i 's/<vcpu/<vcpo/; s/vcpu>/vcpo>/' "$1" ;;
esac
echo "$1" >"$0.path"
"#;

struct Desk {
    deck: Deck,
    editor: String,
    pty: Pty,
}

impl Desk {
    fn open(host: &LibvirtHost) -> Self {
        let deck = Deck::new(VMDECK);
        deck.add("kvm1", host, &[]);
        let path = deck.home().join("an editor");
        write(&path, EDITOR);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let editor = path.display().to_string();
        let config = format!("[tui]\neditor = [{editor:?}]\n");
        let pty = open_with(&deck, &config, (140, 40));
        Self { deck, editor, pty }
    }

    /// Edits the definition of the VM under the cursor.
    fn edit(&mut self, word: &str) {
        self.word(word);
        self.pty.keys("O");
    }

    fn word(&self, word: &str) {
        write(format!("{}.word", self.editor), word);
    }

    fn path(&self) -> String {
        let path = fs::read_to_string(format!("{}.path", self.editor)).unwrap();
        path.trim().to_owned()
    }
}

#[test]
fn a_definition_is_edited_shown_as_a_difference_and_written() {
    let host = LibvirtHost::start();
    let id = host.define_deaf("web-1");
    host.start_vm(&id);
    let mut desk = Desk::open(&host);
    let defined = || host.virsh(&["dumpxml", "--inactive", "--security-info", id.as_str()]);
    desk.pty.wait_for("the VM", |screen| {
        screen.contains("web-1") && screen.contains("running") && screen.contains("1 up")
    });

    desk.edit("same");
    desk.pty.wait_text("the definition of web-1 is as it was");
    assert!(!Path::new(&desk.path()).exists());

    desk.edit("more");
    desk.pty.wait_for("the difference", |screen| {
        let parts = [
            "define --validate /dev/stdin",
            "in effect after the VM was off",
            "-   <vcpu",
            "+   <vcpu",
        ];
        parts.iter().all(|part| screen.contains(part))
    });
    desk.pty.keys("y");
    desk.pty
        .wait_text("web-1 has been changed (definition, +1 -1 lines)");
    assert!(defined().contains(">3</vcpu>"));
    assert!(host.virsh(&["dumpxml", id.as_str()]).contains(">1</vcpu>"));
    let path = desk.path();
    desk.pty
        .wait_for("the file gone", |_| !Path::new(&path).exists());

    // The name is not changed here; the kept text is mended.
    desk.edit("name");
    desk.pty.wait_for("the reason", |screen| {
        screen.contains("its name is web-2 now") && screen.contains("edit it")
    });
    desk.word("mend");
    desk.pty.keys("y");
    desk.pty.wait_text("define --validate /dev/stdin");
    // Somebody else is quicker.
    host.virsh(&[
        "desc",
        id.as_str(),
        "--config",
        "--title",
        "--new-desc",
        "other",
    ]);
    desk.pty.keys("y");
    desk.pty.wait_text("changed since it was read");
    let path = desk.path();
    assert!(fs::read_to_string(&path).unwrap().contains(">2</vcpu>"));
    assert!(defined().contains(">3</vcpu>"));
    fs::remove_dir_all(Path::new(&path).parent().unwrap()).unwrap();
    desk.deck.run(&["audit", "verify"]).expect(0);
    let tail = desk
        .deck
        .run(&["audit", "tail", "-n", "9", "-o", "json"])
        .stdout;
    assert!(!tail.contains("<vcpu"), "{tail}");
    desk.pty.keys("qq");
    assert_eq!(desk.pty.wait_exit(), 0);
}

#[test]
fn a_text_made_of_an_older_definition_goes_on_from_what_is_there_and_tells_what_it_takes_back() {
    let host = LibvirtHost::start();
    let id = host.define_deaf("web-1");
    let mut desk = Desk::open(&host);
    let defined = || host.virsh(&["dumpxml", "--inactive", id.as_str()]);
    desk.pty.wait_for("the VM", |screen| {
        screen.contains("web-1") && screen.contains("stopped") && screen.contains("1 up")
    });
    desk.edit("more");
    desk.pty.wait_text("define --validate /dev/stdin");
    let title = ["--config", "--title", "--new-desc", "theirs"];
    host.virsh(&[&["desc", id.as_str()], &title[..]].concat());
    desk.pty.keys("y");
    desk.pty.wait_for("the conflict", |screen| {
        screen.contains("changed since it was read") && screen.contains("edit it")
    });
    desk.word("same");
    desk.pty.keys("y");
    // The difference is one to what is there now, and says what it means for the other's change.
    desk.pty.wait_for("what is taken back", |screen| {
        let parts = ["-   <title>theirs</title>", "+   <vcpu", "takes back"];
        parts.iter().all(|part| screen.contains(part))
    });
    desk.pty.keys("\r");
    desk.pty.wait_for("the editor offered", |screen| {
        screen.contains("Open the editor again?") && screen.contains("your text is kept")
    });
    assert!(defined().contains("theirs") && defined().contains(">1</vcpu>"));
    desk.word("theirs");
    desk.pty.keys("y");
    let plan = desk.pty.wait_text("define --validate /dev/stdin");
    assert!(!plan.contains("takes back"), "{plan}");
    desk.pty.keys("y");
    desk.pty.wait_text("web-1 has been changed");
    assert!(defined().contains("<title>theirs</title>") && defined().contains(">3</vcpu>"));

    // From the form of the settings there is a way, unless something is typed there that would be lost.
    desk.word("same");
    desk.pty.keys("E");
    desk.pty.wait_text("XML");
    desk.pty.keys("9\x0f");
    desk.pty.wait_text("would be lost");
    desk.pty.keys("\x7f\x0f");
    desk.pty.wait_text("the definition of web-1 is as it was");
    desk.pty
        .wait_for("the form gone", |screen| !screen.contains("Change web-1"));
    desk.pty.wait_for_the_end_of_orders();
    desk.pty.keys("q");
    assert_eq!(desk.pty.wait_exit(), 0);
}

#[test]
fn an_editor_that_fails_and_text_that_is_broken_change_nothing_and_lose_nothing() {
    let host = LibvirtHost::start();
    let id = host.define_deaf("web-1");
    let mut desk = Desk::open(&host);
    let before = host.virsh(&["dumpxml", "--inactive", id.as_str()]);
    let unchanged = || assert_eq!(host.virsh(&["dumpxml", "--inactive", id.as_str()]), before);
    let forget = |path: &str| fs::remove_dir_all(Path::new(path).parent().unwrap()).unwrap();
    desk.pty.wait_for("the VM", |screen| {
        screen.contains("web-1") && screen.contains("stopped") && screen.contains("1 up")
    });

    desk.edit("break");
    desk.pty.wait_for("the reason", |screen| {
        screen.contains("is not well-formed XML") && screen.contains("edit it")
    });
    desk.pty.keys("\r");
    let broken = desk.path();
    assert!(fs::read_to_string(&broken).unwrap().contains("<vcpu"));
    forget(&broken);

    // The host's own words, and the text is there for another try.
    desk.edit("odd");
    desk.pty.wait_text("define --validate /dev/stdin");
    desk.pty.keys("y");
    desk.pty.wait_for("the host's words", |screen| {
        screen.contains("schema") && screen.contains("edit it")
    });
    desk.pty.keys("\r");
    unchanged();
    forget(&desk.path());

    desk.word("fail");
    desk.pty.keys("O");
    desk.pty.wait_for("that it failed", |screen| {
        screen.contains("exit status: 7") && screen.contains("edit it")
    });
    desk.pty.keys("\r");
    unchanged();
    desk.pty.keys("qq");
    assert_eq!(desk.pty.wait_exit(), 0);
    for kept in fs::read_dir(std::env::temp_dir()).unwrap() {
        let kept = kept.unwrap().path();
        let file = kept.join(format!("{}.xml", id.short()));
        if file.exists() {
            assert_eq!(fs::read_to_string(&file).unwrap(), "lost\n");
            fs::remove_dir_all(&kept).unwrap();
        }
    }
}

#[test]
fn a_script_prints_a_definition_and_writes_it_and_passwords_stay_on_the_host() {
    let host = LibvirtHost::start();
    let display = "<graphics type='vnc' port='-1' autoport='yes' passwd='s3cret'/>";
    let id = host.define("web-1", "<os><type arch='x86_64'>hvm</type></os>", display);
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let printed = deck.once(&["define", "web-1"]).expect(0);
    assert!(!printed.stdout.contains("s3cret") && printed.stdout.contains("*** kept ***"));
    let file = deck.home().join("web-1.xml");
    let path = file.display().to_string();
    let text = printed
        .stdout
        .replace("</uuid>", "</uuid>\n  <title>shop</title>");
    write(&file, text);
    let words = ["define", "web-1", "--file", path.as_str()];
    let plan = deck.once(&[&words[..], &["--dry-run"]].concat()).expect(0);
    assert!(plan.stdout.contains("+  <title>shop</title>"), "{plan:?}");
    assert!(
        plan.stdout.contains("define --validate /dev/stdin"),
        "{plan:?}"
    );
    let asked = deck.once(&words).expect(4);
    assert!(asked.stderr.contains("--yes"), "{asked:?}");
    let done = deck.once(&[&words[..], &["--yes", "-o", "json"]].concat());
    let done = done.expect(0).json();
    assert_eq!(done["outcome"], "confirmed", "{done:#}");
    assert!(done["diff"].as_str().unwrap().contains("+  <title>shop"));
    let secure = host.virsh(&["dumpxml", "--inactive", "--security-info", id.as_str()]);
    assert!(
        secure.contains("<title>shop</title>") && secure.contains("passwd='s3cret'"),
        "{secure}"
    );
    let again = deck.once(&[&words[..], &["--yes"]].concat()).expect(4);
    assert!(again.stderr.contains("nothing to change"), "{again:?}");
    let log = deck.run(&["audit", "tail", "-n", "9", "-o", "json"]).stdout;
    assert!(!log.contains("s3cret") && !log.contains("<title>"), "{log}");
}

//! What a person and a script do with the VMs of an emulated Hyper-V host behind a real sshd: programs run in
//! them, shells, and what the logs say of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use vmdeck::sim::hyperv::{Provocation, Situation};

use crate::VMDECK;
use crate::dashboard::{open, row};
use crate::support::deck::{Deck, Run};
use crate::support::pty::Pty;
use crate::support::sshd::Sshd;
use crate::support::windows::EmulatedWindows;
use crate::support::{wait_for, write};

/// A password with what shells, JSON and PowerShell would take apart.
const PASSWORD: &str = "pä$$ \"w'`ord\\";

const HOST: &str = r#"
[[host]]
name = "hv1"
kind = "hyperv"
[[host.vm]]
name = "app-1"
guest_password = "pä$$ \"w'`ord\\"
[[host.vm]]
name = "tux"
guest_os = "Linux"
[[host.vm]]
name = "off"
state = "off"
"#;

/// A host with one VM, so that the cursor is on it.
const ALONE: &str = r#"
[[host]]
name = "hv1"
kind = "hyperv"
[[host.vm]]
name = "db-1"
state = "off"
"#;

/// An emulated host, and a profile with it.
async fn ground(deck: &Deck) -> EmulatedWindows {
    let host = EmulatedWindows::start(HOST).await;
    deck.add_server("hv1", &host.sshd, &["--kind", "hyperv"]);
    host
}

/// Runs `--once run` for the account, with its password from a file that is opened for it.
fn run(deck: &Deck, code: i32, password: &str, words: &[&str]) -> Run {
    let file = deck.home().join("password");
    write(&file, password);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let mut args = vec!["--once", "run", "--guest-user", "Administrator"];
    args.extend(["--guest-password-fd", "0"]);
    args.extend(words);
    let mut prepared = deck.command(&args);
    prepared.stdin(fs::File::open(&file).unwrap());
    Run::of(&mut prepared).expect(code)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_runs_in_a_vm_for_an_account_of_it_and_the_password_is_nowhere() {
    let deck = Deck::new(VMDECK);
    let host = ground(&deck).await;
    let asked = deck.once(&["run", "app-1", "-y", "--", "hostname"]);
    let asked = asked.expect(2).stderr;
    assert!(asked.contains("--guest-user"), "{asked}");

    let args = ["a b", "", "it's \"so\"", "C:\\x y\\", "$HOME;`n", "é"];
    let mut words = vec!["app-1", "-y", "--", "C:\\Tools\\args.exe"];
    words.extend(args);
    let ran = run(&deck, 1, PASSWORD, &words);
    let expected = args.map(|arg| format!("[{arg}]\r\n")).concat();
    assert_eq!(ran.stdout, expected);
    assert!(ran.stderr.contains("6 arguments"), "{}", ran.stderr);
    assert!(ran.stderr.contains("exit code 6"), "{}", ran.stderr);
    let json = |code, words: &[&str]| {
        let mut all = vec!["app-1", "-y", "-o", "json", "--"];
        all.extend(words);
        run(&deck, code, PASSWORD, &all).json()["run"].clone()
    };
    assert_eq!(json(0, &["whoami"])["stdout"], "app-1\\administrator\r\n");
    assert_eq!(json(1, &["crash"])["signal"], 0xc000_0005_u32);
    let flood = json(0, &["flood.exe", "1500000"]);
    assert_eq!(flood["stdout_truncated"], true);
    assert!(flood["stdout_base64"].is_string(), "bytes are not text");

    for (code, password, vm, words, says) in [
        (
            5,
            "wrong",
            "app-1",
            vec!["hostname"],
            "does not let the account in",
        ),
        (
            1,
            PASSWORD,
            "app-1",
            vec!["nope.exe"],
            "cannot find the file",
        ),
        (5, PASSWORD, "tux", vec!["hostname"], "Windows Server 2016"),
        (4, PASSWORD, "off", vec!["hostname"], "off is stopped"),
    ] {
        let mut all = vec![vm, "-y", "--"];
        all.extend(&words);
        let said = run(&deck, code, password, &all).stderr;
        assert!(said.contains(says), "{vm}: {said}");
        assert!(!said.contains(password), "{said}");
    }
    let late = ["app-1", "-y", "--timeout", "300ms", "--", "sleep", "30"];
    let late = run(&deck, 6, PASSWORD, &late).stderr;
    assert!(late.contains("still runs in the VM"), "{late}");

    deck.run(&["audit", "verify"]).expect(0);
    let audit = deck.run(&["audit", "export"]).expect(0).stdout;
    for said in [
        "\"exec\"",
        "run-in-guest.ps1",
        "Administrator",
        "exit code 6",
    ] {
        assert!(audit.contains(said), "{said}: {audit}");
    }
    for kept in ["ord\\\\", "cMOkJCQ", "[a b]"] {
        assert!(!audit.contains(kept), "{kept}: {audit}");
    }
    in_the_dashboard(&deck);
    host.end().await;
}

/// Waits for the running VM and puts the cursor on it.
fn to_app(pty: &mut Pty) {
    pty.wait_for("the running VM", |screen| {
        screen.contains("1 up") && row(screen, "app-1").contains("running")
    });
    pty.keys("/name:app-1\r");
    pty.wait_text("1 of ");
}

/// By keys and eyes: the account is found again without its password.
fn in_the_dashboard(deck: &Deck) {
    let mut pty = open(deck, (120, 36));
    to_app(&mut pty);
    pty.keys("x");
    pty.wait_text("Run as");
    pty.keys("args.exe one 'two  three'\rAdministrator\r\r");
    pty.wait_text("kept nowhere");
    pty.keys(PASSWORD);
    let typed = pty.wait_text("•••");
    assert!(!typed.contains("w'`"), "{typed}");
    pty.keys("\r");
    let dialog = pty.wait_text("run-in-guest.ps1");
    assert!(
        dialog.contains("Administrator, with a password"),
        "{dialog}"
    );
    pty.keys("y");
    pty.wait_text("[two  three]");
    pty.wait_text("exit code 2");
    pty.keys("\x1b");
    pty.wait_for("the table", |screen| screen.contains("NAME"));
    pty.keys("x");
    pty.wait_for("the account again", |screen| {
        row(screen, "Run as").contains("Administrator") && !screen.contains('•')
    });
    pty.keys("\x1b");
    // A key right behind Escape would be one with Alt.
    pty.wait_for("no form", |screen| !screen.contains("Run as"));
    pty.keys("@");
    let log = pty.wait_text("run-in-guest.ps1");
    assert!(!log.contains("ord\\"), "{log}");
    pty.keys("\x1b");
    pty.wait_for("the table", |screen| screen.contains("NAME"));
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_goes_through_a_windows_host() {
    let deck = Deck::new(VMDECK);
    let host = ground(&deck).await;
    let guest = Sshd::builder().start();
    let mut pty = open(&deck, (110, 30));
    to_app(&mut pty);
    pty.keys("e");
    pty.wait_text("Log in with");
    let key = guest.client_key.path.display().to_string();
    pty.keys(&format!("{}\r{key}\r\x15", guest.user()));
    pty.keys(&format!("127.0.0.1:{}\r", guest.port()));
    let print = guest.host_keys[0].fingerprint();
    pty.wait_for("the question about the VM's key", |screen| {
        screen.contains("Is this the key of app-1?") && screen.contains(&print)
    });
    assert_eq!(guest.logged("Accepted publickey"), 0);
    let (_, tail) = print.split_at(print.len() - 6);
    pty.keys(&format!("{tail}\r"));
    pty.wait_for("an open shell", |screen| {
        screen.contains("shell in app-1 on hv1 as") && screen.contains("live")
    });
    pty.keys("echo $((21*2))-here\r");
    pty.wait_text("42-here");
    pty.keys("exit 3\r");
    pty.wait_text("the shell ended (exit 3)");
    pty.keys("\x1b");
    pty.wait_for("the table", |screen| screen.contains("NAME"));
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    let audit = deck.run(&["audit", "export"]).expect(0).stdout;
    for said in ["\"shell\"", "ssh -J hv1 -p", "exit 3"] {
        assert!(audit.contains(said), "{said}: {audit}");
    }
    assert!(!audit.contains("-here"), "{audit}");
    host.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_logs_tell_of_a_windows_host_what_they_tell_of_any() {
    let deck = Deck::new(VMDECK);
    let host = EmulatedWindows::start(ALONE).await;
    deck.add_server("hv1", &host.sshd, &["--kind", "hyperv"]);
    host.control().provoke(Provocation {
        on: "RequestStateChange".to_owned(),
        error: Situation::OutOfMemory,
        times: Some(1),
        at_once: false,
    });
    let mut pty = open(&deck, (150, 40));
    pty.wait_for("the VM that is off", |screen| {
        screen.contains("1 up") && row(screen, "db-1").contains("stopped")
    });
    pty.keys("s");
    let failed = wait_for(Duration::from_secs(20), || {
        let log = deck.run(&["audit", "export"]).stdout;
        log.contains("\"failed\"")
    });
    assert!(failed, "the failure is not recorded");
    pty.wait_for_the_end_of_orders();

    let to_table = |pty: &mut Pty| {
        pty.keys("\x1b");
        pty.wait_for("the table", |screen| screen.contains("NAME"));
    };
    pty.keys("!");
    pty.wait_for("the error in the host's words", |screen| {
        screen.contains("hv1") && screen.contains("(0x8007000E)")
    });
    to_table(&mut pty);

    pty.keys("@");
    pty.wait_text("list.ps1");
    pty.keys("/kind:change status:failed\r");
    pty.wait_for("the change that failed", |screen| {
        screen.contains("/kind:change status:failed")
            && screen.contains("Set-State $vm 2 $running")
            && !screen.contains("kept running")
    });
    pty.keys("c");
    pty.wait_bytes(b"\x1b]52;");
    pty.keys("X");
    pty.wait_text("Write 1 row into a file");
    let file = deck.home().join("commands.jsonl");
    pty.keys("\x15");
    pty.keys(&format!("{}\r", file.display()));
    pty.wait_text("wrote 1 row to ");
    let written = fs::read_to_string(&file).unwrap();
    assert!(written.contains("Set-State $vm 2 $running"), "{written}");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    pty.keys("\x1b");
    pty.wait_for("all rows", |screen| !screen.contains("kind:change"));
    to_table(&mut pty);

    pty.keys("L");
    pty.wait_for("what was done to the VM", |screen| {
        screen.contains("start") && screen.contains("failed") && screen.contains("tui")
    });
    to_table(&mut pty);
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    host.end().await;
}

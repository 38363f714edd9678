//! Several real VMs at once by keys: marks of every kind, the plan with those that are left out, calling back what has
//! not begun, and VMs that vanish while they are marked.

use crate::VMDECK;
use crate::dashboard::{open_with, row};
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::write;

/// A wrapper that starts nothing before a file is there.
const SLOW: &str = r#"case " $* " in
*" start "*) while [ ! -e "$XDG_DATA_HOME/go" ]; do sleep 0.05; done;;
esac
exec "$REAL" "$@""#;

#[test]
fn marks_make_one_plan_what_has_not_begun_is_called_back_and_marks_go_with_their_vms() {
    let host = LibvirtHost::builder().script("virsh", SLOW).start();
    let apps = ["app-1", "app-2", "app-3"].map(|name| host.define_deaf(name));
    let db = host.define_deaf("db-1");
    let running = || {
        let states = apps.iter().map(|id| host.state(id));
        states.filter(|state| state == "running").count()
    };
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let config = "[actions]\nbulk_per_host = 1\n[poll]\nlibvirt_tick = \"500ms\"\n";
    let mut pty = open_with(&deck, config, (140, 40));
    pty.wait_for("all of them", |screen| {
        screen.contains("1 up") && row(screen, "db-1").contains("stopped")
    });

    // From the first to the third by a range, all of them, by an expression.
    pty.keys("gVjjV");
    pty.wait_text("3 marked");
    pty.keys("*");
    pty.wait_text("4 marked");
    pty.keys("u+app\r");
    pty.wait_text("3 marked");
    pty.keys("s");
    pty.wait_text("Start 3 VMs?");
    pty.keys("y");
    pty.wait_text("0 of 3 over: 1 under way, 2 waiting");
    pty.keys("x");
    pty.wait_text("2 not started");
    write(host.file("go"), "");
    pty.wait_text("3 of 3 over: 1 done, 2 not started");
    assert_eq!(running(), 1);
    pty.keys("N");
    pty.wait_text("Start 2 VMs?");
    pty.keys("y");
    pty.wait_text("2 of 2 over: 2 done");
    assert_eq!(running(), 3);
    pty.keys("qu");
    pty.wait_for("no marks", |screen| {
        !screen.contains("marked") && row(screen, "app-3").contains("running")
    });

    // One that runs by now is left out, and the plan says so.
    pty.keys("*s");
    let plan = pty.wait_text("Left out: 3");
    assert!(plan.contains("app-1") && plan.contains("db-1"), "{plan}");
    pty.keys("\r");
    pty.wait_for("the dialog gone", |screen| !screen.contains("Left out"));
    assert_eq!(host.state(&db), "shut off");

    // A VM vanishes under a plan that is on the screen, and its mark goes with it.
    pty.keys("F");
    pty.wait_text("Force off 3 VMs?");
    host.virsh(&["-q", "destroy", apps[0].as_str()]);
    host.virsh(&["-q", "undefine", apps[0].as_str()]);
    pty.keys("y");
    let over = pty.wait_text("3 of 3 over: 2 done");
    assert!(over.contains("app-1"), "{over}");
    assert_eq!(host.state(&apps[2]), "shut off");
    pty.keys("q");
    pty.wait_for("the table", |screen| {
        !screen.contains("app-1") && screen.contains("3 marked")
    });
    pty.wait_for_the_end_of_orders();
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    deck.run(&["audit", "verify"]).expect(0);
}

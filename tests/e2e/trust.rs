//! Host keys from the command line, against a real sshd: unknown, accepted, changed, replaced.

use crate::VMDECK;
use crate::support::deck::Deck;
use crate::support::keys::KeyKind;
use crate::support::lab::LibvirtHost;

#[test]
fn a_key_is_trusted_by_its_fingerprint_and_a_changed_one_stops_everything() {
    let mut host = LibvirtHost::start();
    host.define_deaf("web-1");
    let deck = Deck::new(VMDECK);
    deck.add_unpinned("kvm1", &host, &[]);
    let fingerprint = host.sshd.host_keys[0].fingerprint();

    let asked = deck.run(&["host", "trust", "kvm1"]);
    assert_ne!(asked.code, 0, "nobody was there to ask: {asked:?}");
    assert!(
        format!("{}{}", asked.stdout, asked.stderr).contains(&fingerprint),
        "{asked:?}"
    );
    let other = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let wrong = deck.run(&["host", "trust", "kvm1", "--fingerprint", other]);
    assert_ne!(wrong.code, 0, "{wrong:?}");
    deck.once(&["list"]).expect(5);

    deck.run(&["host", "trust", "kvm1", "--fingerprint", &fingerprint])
        .expect(0);
    deck.once(&["list"]).expect(0);

    host.sshd.change_host_key(KeyKind::Ecdsa);
    host.sshd.restart();
    let logins = host.sshd.logged("Accepted publickey");
    let changed = deck.once(&["list"]).expect(5);
    assert!(
        changed.stderr.contains("CHANGED") && changed.stderr.contains("--replace"),
        "{changed:?}"
    );
    let kept = deck.run(&["host", "trust", "kvm1", "--yes"]);
    assert_ne!(
        kept.code, 0,
        "a changed key is not taken by `--yes` alone: {kept:?}"
    );
    assert_eq!(
        host.sshd.logged("Accepted publickey"),
        logins,
        "no login meanwhile"
    );

    deck.run(&["host", "trust", "kvm1", "--replace", "--yes"])
        .expect(0);
    deck.once(&["list"]).expect(0);
    let well = deck.run(&["host", "doctor", "kvm1"]).expect(0);
    assert!(well.stdout.contains("host key"), "{well:?}");
}

//! The network card of a real VM: what goes through it, and its address with how that became known.

use crate::VMDECK;
use crate::dashboard::{open_with, row};
use crate::load::{present, rises};
use crate::run::wait_for_agent;
use crate::support::deck::Deck;
use crate::support::lab::{CARD_ADDRESS, LibvirtHost};

const MAC: &str = "52:54:00:aa:bb:cc";

#[test]
fn what_goes_through_a_card_and_its_address_are_told() {
    let host = LibvirtHost::start();
    let id = host.define_with_agent_and_card("web-1", MAC);
    host.start_vm(&id);
    wait_for_agent(&host, "web-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open_with(&deck, "[poll]\nlibvirt_tick = \"500ms\"\n", (160, 50));
    pty.wait_for("its address in the table", |screen| {
        row(screen, "web-1").contains(CARD_ADDRESS)
    });
    pty.keys("\r\t");
    // It sends one packet a second, and gets an answer to each.
    pty.wait_for("figures of what goes through its card", |screen| {
        ["net rx", "net tx"]
            .iter()
            .all(|metric| present(screen, metric).is_some_and(|figure| figure > 0.0))
            && rises(screen, "net rx", "net tx")
    });
    pty.keys("\t\t");
    pty.wait_for("its card", |screen| {
        screen.contains(MAC)
            && row(screen, "model").contains("virtio")
            && row(screen, "on the host").contains("vmdeck-lab0")
            && row(screen, CARD_ADDRESS).contains("agent in the VM")
    });
    pty.keys("qq");
    assert_eq!(pty.wait_exit(), 0);
    let shown = deck.once(&["show", "web-1", "-o", "json"]).expect(0).stdout;
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("an object");
    let card = &shown["nics"][0];
    assert_eq!(card["mac"], MAC, "{shown}");
    assert_eq!(card["addresses"][0]["ip"], CARD_ADDRESS, "{shown}");
    assert_eq!(card["addresses"][0]["source"], "agent", "{shown}");
}

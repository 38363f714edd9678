//! What tells a person who looks elsewhere: sequences for the terminal, and arguments of programs.

use vmdeck::config::NotifyWay;
use vmdeck::program::{Values, fill, shown};
use vmdeck::testing::names;
use vmdeck::tui::notify;

use crate::harmless;

#[test]
fn a_sequence_begins_and_ends_where_we_end_it() {
    for name in names::hostile() {
        let text = format!("{name} on kvm1 is crashed");
        for (way, head) in [
            (NotifyWay::Osc9, "\u{1b}]9;vmdeck: "),
            (NotifyWay::Osc777, "\u{1b}]777;notify;vmdeck;"),
        ] {
            let told = notify::sequence(way, &text);
            let body = told
                .strip_prefix(head)
                .and_then(|rest| rest.strip_suffix('\u{7}'))
                .unwrap_or_else(|| panic!("{told:?}"));
            harmless(body, "a message");
            assert!(!body.contains([';', '\n']), "{body:?}");
        }
    }
}

#[test]
fn what_a_notice_or_a_command_hands_to_a_program_is_one_argument() {
    let notice = ["tell".to_owned(), "{text}".to_owned()];
    for name in names::hostile() {
        let text = notify::clean(&format!("{name} crashed"));
        let values = Values::default().with("text", &text);
        if let Ok(argv) = fill(&notice, &values) {
            assert_eq!(argv, ["tell", text.as_str()]);
            harmless(&argv[1], "an argument");
        } else {
            assert!(text.starts_with('-'), "{text:?}");
        }
        let said = shown(&["run".to_owned(), name]);
        harmless(&said, "a command line for people");
        assert!(!said.contains('\n'), "{said:?}");
    }
}

//! A program in a VM: typed, shown as words, agreed to, and what it printed on a page.

use std::sync::Arc;
use std::time::Duration;

use vmdeck::domain::action::Ask;
use vmdeck::domain::error_kind::{ErrorKind, Failure};
use vmdeck::domain::guest_command::{
    GuestEnd, GuestOutput, GuestPlan, GuestProposal, GuestResult, GuestRun,
};
use vmdeck::domain::inventory::FleetSnapshot;
use vmdeck::domain::operation::{OperationId, Outcome};
use vmdeck::domain::remote_command::RemoteCommand;
use vmdeck::fleet::request::ReachRequest;

use crate::harness::Screen;

/// Answers as the fleet would: `rm` wants the name, `ls` nothing; every program ends with 3.
pub(crate) fn answer(state: &FleetSnapshot, request: ReachRequest, note: &dyn Fn(String)) {
    match request {
        ReachRequest::PlanGuest { wish, reply } => {
            let (host, vm) = state.vm(&wish.vm).unwrap();
            if wish.words.program() == "nope" {
                let cause = Failure::new(ErrorKind::Refused, "no agent").with_hint("install one");
                return reply.send(Err(cause)).unwrap();
            }
            let asks = match wish.words.program() {
                "rm" => Ask::TypeName,
                "ls" => Ask::Nothing,
                _ => Ask::Confirm,
            };
            let plan = GuestPlan {
                vm_name: vm.name.clone(),
                host_name: host.spec.name.clone(),
                state: vm.state.clone(),
                command: RemoteCommand::posix("virsh").args(["agent", wish.words.program()]),
                words: wish.words,
                account: wish.account,
                vm: wish.vm,
            };
            let rule = "built-in".to_owned();
            reply.send(Ok(GuestProposal { plan, asks, rule })).unwrap();
        }
        ReachRequest::RunGuest { submission, reply } => {
            let (plan, consent) = (&submission.plan, &submission.consent);
            note(format!(
                "run {} in {} ({consent:?})",
                plan.words.shown(),
                plan.vm_name
            ));
            let output = |text: &str| GuestOutput::new(text.into(), false);
            let result = GuestResult {
                id: OperationId(Arc::from("op")),
                outcome: Outcome::Failed {
                    cause: Failure::new(ErrorKind::Remote, "it ended with exit code 3"),
                },
                run: Some(GuestRun {
                    end: GuestEnd::Code(3),
                    stdout: output("first\nse\u{1b}[2Jcond\n"),
                    stderr: GuestOutput::new(b"oh no\n".to_vec(), true),
                }),
                elapsed: Duration::from_millis(40),
                at: vmdeck::testing::fleet::now(),
            };
            reply.send(Ok(result)).unwrap();
        }
        other => panic!("{other:?} is answered elsewhere"),
    }
}

fn runs(screen: &Screen) -> Vec<String> {
    let mut asked = screen.asked();
    asked.retain(|one| one.starts_with("run "));
    asked
}

async fn open() -> Screen {
    let mut screen = Screen::small((90, 28));
    screen.keys("/ \"web-1\" enter x").await;
    screen
}

#[tokio::test]
async fn what_is_typed_is_shown_as_the_words_it_is() {
    let mut screen = open().await;
    screen.keys("\"cp 'a b' c\"").await;
    insta::assert_snapshot!(screen.text());
    screen.keys("\" 'open\"").await;
    assert!(screen.text().contains("the quote ' has no end"));
    screen.keys("enter").await;
    assert!(screen.text().contains("Run a program in"), "it stays open");
    assert!(runs(&screen).is_empty());
}

#[tokio::test]
async fn the_plan_is_agreed_to_and_the_output_is_harmless() {
    let mut screen = open().await;
    screen.keys("\"cp 'a b' c\" enter").await;
    insta::assert_snapshot!(screen.text());
    screen.keys("enter").await;
    assert!(runs(&screen).is_empty(), "Enter is the safe choice");
    screen.keys("x \"cp 'a b' c\" enter y").await;
    assert_eq!(runs(&screen), ["run cp 'a b' c in web-1 (Confirmed)"]);
    insta::assert_snapshot!(screen.text());
}

#[tokio::test]
async fn a_name_is_typed_where_policy_wants_it_and_nothing_where_it_does_not() {
    let mut screen = open().await;
    screen.keys("\"rm x\" enter y enter").await;
    assert!(runs(&screen).is_empty(), "`y` is not its name");
    screen
        .keys("esc x \"rm x\" enter \"web-1\" enter esc")
        .await;
    assert_eq!(runs(&screen), ["run rm x in web-1 (TypedName(\"web-1\"))"]);
    screen.keys("x \"ls\" enter").await;
    assert_eq!(runs(&screen).last().unwrap(), "run ls in web-1 (Nothing)");
}

#[tokio::test]
async fn what_stands_in_the_way_is_said() {
    let mut screen = open().await;
    screen.keys("\"nope\" enter").await;
    assert!(screen.text().contains("no agent"), "{}", screen.text());
    assert!(screen.app.overlays.is_empty());
}

//! Operations: admission at the door, intent before sending, every outcome, and the end of the fleet.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;
use vmdeck::domain::action::ActionKind;
use vmdeck::domain::error_kind::ErrorKind;
use vmdeck::domain::inventory::AuditState;
use vmdeck::domain::operation::{Consent, Outcome};
use vmdeck::domain::vm::PowerState;
use vmdeck::transport::TransportError;

use crate::lab::{Lab, Plans, actor, submission};
use crate::world::{Mood, Obeys, vm, vm_id};

async fn one() -> Lab {
    Plans::hosts(1).await.up().await
}

/// What the audit log says at the moment an action reaches the host.
fn whole_log(dir: &Path) -> String {
    let mut text = String::from("log: ");
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        text.push_str(&std::fs::read_to_string(path).unwrap_or_default());
    }
    text
}

/// Cuts the last record off the audit log, as an editor would.
fn cut_end(dir: &Path) {
    let path = dir.join("audit-000001.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let kept = text.trim_end().rfind('\n').unwrap() + 1;
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(kept as u64).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cut_end_of_the_audit_log_is_said_recorded_and_never_forgotten() {
    let lab = Plans::hosts(1).await.up().await;
    lab.done("h1", 2, ActionKind::Start).await;
    let plans = lab.restart().await;
    let dir = plans.profile.audit_dir();
    let remembered = plans.profile.audit_head().await.unwrap().unwrap();
    cut_end(&dir);
    let mut plans = plans;
    for _ in 0..2 {
        let lab = plans.start().await;
        let errors = lab.handle.errors().await.unwrap();
        assert_eq!(lab.handle.snapshot().errors, 1);
        assert!(
            errors[0]
                .cause
                .message
                .contains("record 2 of the audit log")
        );
        assert_eq!(errors[0].cause.kind, ErrorKind::Store);
        // Time enough for the mirror to be moved.
        tokio::time::sleep(Duration::from_secs(60)).await;
        let notes = lab.records().await;
        let cut = notes
            .iter()
            .filter(|note| *note == "note end-missing failed");
        assert_eq!(cut.count(), 1, "{notes:?}");
        plans = lab.restart().await;
    }
    let mirror = plans.profile.audit_head().await.unwrap();
    assert_eq!(mirror.as_ref(), Some(&remembered));
    let found = vmdeck::audit::verify(&dir, None, mirror.as_ref()).unwrap();
    let said: Vec<String> = found.findings.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("record 2 is not the one that the profile remembers"));
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_cut_while_the_program_runs_is_noticed_before_the_mirror_moves() {
    let lab = Plans::hosts(1).await.up().await;
    lab.done("h1", 2, ActionKind::Start).await;
    let began = std::time::Instant::now();
    while lab.profile.audit_head().await.unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let remembered = lab.profile.audit_head().await.unwrap();
    cut_end(&lab.profile.audit_dir());
    lab.done("h1", 2, ActionKind::Shutdown).await;
    lab.until(|state| state.errors == 1).await;
    assert_eq!(lab.profile.audit_head().await.unwrap(), remembered);
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_operation_was_recorded_before_it_was_sent() {
    let lab = one().await;
    lab.world
        .with("h1", |machine| machine.on_perform = Some(whole_log));
    let operation = lab.done("h1", 1, ActionKind::Shutdown).await;
    assert_eq!(operation.outcome, Some(Outcome::Confirmed));
    assert_eq!(operation.state_after, Some(PowerState::Stopped));
    assert_eq!(
        lab.state_of("h1", 1),
        Some(PowerState::Stopped),
        "the state knows what was confirmed"
    );
    lab.world.with("h1", |machine| {
        let mut logs = machine
            .log
            .iter()
            .filter(|(_, what)| what.starts_with("log: "));
        let at_sending = &logs.next_back().unwrap().1;
        assert!(at_sending.contains(r#""phase":"intent""#), "{at_sending}");
        assert!(at_sending.contains(&operation.id.to_string()));
        assert!(!at_sending.contains(r#""phase":"outcome""#));
    });
    assert_eq!(
        lab.records().await,
        ["intent shutdown pending", "outcome shutdown ok"]
    );
    let records = lab
        .handle
        .audit_tail(10, Some(lab.vm("h1", 1)))
        .await
        .unwrap();
    let outcome = &records[1].entry;
    assert_eq!(outcome.operation.as_deref(), Some(&*operation.id.0));
    assert_eq!(outcome.state_before.as_deref(), Some("running"));
    assert_eq!(outcome.state_after.as_deref(), Some("stopped"));
    assert_eq!(outcome.rule.as_deref(), Some("built-in"));
    assert_eq!(outcome.plan, [format!("do shutdown {}", vm_id(1))]);
    let none = lab
        .handle
        .audit_tail(10, Some(lab.vm("h1", 2)))
        .await
        .unwrap();
    assert!(none.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_ignores_the_request_ends_as_accepted_with_the_reason() {
    let lab = one().await;
    lab.world
        .with("h1", |machine| machine.obeys = Obeys::Ignores);
    let operation = lab.done("h1", 1, ActionKind::Shutdown).await;
    let note = "the guest has not stopped after 120 s (it is running)".to_owned();
    assert_eq!(operation.outcome, Some(Outcome::Accepted { note }));
    assert_eq!(
        lab.records().await,
        ["intent shutdown pending", "outcome shutdown accepted"]
    );
    let sent = lab
        .world
        .with("h1", |machine| machine.times("do shutdown").len());
    assert_eq!(sent, 1, "nothing is sent twice");
}

#[tokio::test(start_paused = true)]
async fn a_no_of_the_hypervisor_is_a_failure_in_its_own_words() {
    let lab = one().await;
    lab.world
        .with("h1", |machine| machine.obeys = Obeys::Refuses);
    let operation = lab.done("h1", 2, ActionKind::Start).await;
    match &operation.outcome {
        Some(Outcome::Failed { cause }) => {
            assert_eq!(cause.kind, ErrorKind::Remote);
            assert!(cause.message.contains("the hypervisor will not"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        lab.records().await,
        ["intent start pending", "outcome start failed"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_link_that_dies_while_sending_leaves_an_unknown_outcome_that_is_settled_later() {
    let lab = one().await;
    lab.world.with("h1", |machine| machine.obeys = Obeys::Hangs);
    let id = lab.act("h1", 1, ActionKind::ForceOff).await.unwrap();
    lab.eventually("the command", || {
        lab.world
            .with("h1", |machine| machine.times("do force-off").len() == 1)
    })
    .await;
    lab.world.with("h1", |machine| {
        machine.set(&vm_id(1), PowerState::Stopped);
        machine.cut();
    });
    let operation = lab.handle.outcome(&id).await.unwrap();
    assert!(
        matches!(operation.outcome, Some(Outcome::Unknown { .. })),
        "{operation:?}"
    );
    let state = lab
        .until(|state| {
            state
                .operations
                .iter()
                .any(|op| op.id == id && op.state_after.is_some())
        })
        .await;
    let settled = state.operations.iter().find(|op| op.id == id).unwrap();
    assert_eq!(settled.state_after, Some(PowerState::Stopped));
    assert_eq!(
        lab.records().await,
        ["intent force-off pending", "outcome force-off unknown"]
    );
    let sent = lab
        .world
        .with("h1", |machine| machine.times("do force-off").len());
    assert_eq!(sent, 1, "nothing is sent twice");
}

#[tokio::test(start_paused = true)]
async fn a_link_lost_after_acceptance_may_come_back_in_time() {
    let lab = one().await;
    lab.world
        .with("h1", |machine| machine.obeys = Obeys::Ignores);
    let id = lab.act("h1", 1, ActionKind::Shutdown).await.unwrap();
    lab.until(|state| {
        let mut running = state.operations.iter();
        running.any(|op| op.id == id && op.phase == vmdeck::domain::operation::Phase::Verifying)
    })
    .await;
    lab.world.with("h1", |machine| {
        machine.set(&vm_id(1), PowerState::Stopped);
        machine.cut();
    });
    let operation = lab.handle.outcome(&id).await.unwrap();
    assert_eq!(operation.outcome, Some(Outcome::Confirmed));

    lab.world
        .with("h1", |machine| machine.set(&vm_id(1), PowerState::Running));
    lab.until(|state| state.hosts[0].vms()[0].state == PowerState::Running)
        .await;
    let id = lab.act("h1", 1, ActionKind::Shutdown).await.unwrap();
    lab.until(|state| {
        let mut running = state.operations.iter();
        running.any(|op| op.id == id && op.phase == vmdeck::domain::operation::Phase::Verifying)
    })
    .await;
    lab.world.with("h1", |machine| {
        machine.connect = Mood::Fails(TransportError::Dial {
            endpoint: "h1:22".into(),
            reason: "refused".into(),
        });
        machine.cut();
    });
    let operation = lab.handle.outcome(&id).await.unwrap();
    match &operation.outcome {
        Some(Outcome::Unknown { cause }) => assert!(cause.message.contains("h1 was lost")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn restarts_are_confirmed_by_their_announcement_and_only_by_that() {
    let lab = one().await;
    let operation = lab.done("h1", 1, ActionKind::Reset).await;
    assert_eq!(operation.outcome, Some(Outcome::Confirmed));
    lab.world
        .with("h1", |machine| machine.obeys = Obeys::Ignores);
    let operation = lab.done("h1", 1, ActionKind::Reboot).await;
    let note = "no restart was seen within 120 s (it is running)".to_owned();
    assert_eq!(operation.outcome, Some(Outcome::Accepted { note }));

    let plans = Plans::hosts(1).await;
    plans.world.with("h1", |machine| machine.announces = false);
    let silent = plans.up().await;
    let began = Instant::now();
    let operation = silent.done("h1", 1, ActionKind::Reset).await;
    match &operation.outcome {
        Some(Outcome::Accepted { note }) => assert!(note.contains("does not announce")),
        other => panic!("{other:?}"),
    }
    assert!(
        began.elapsed() < Duration::from_secs(25),
        "it does not wait for what cannot come"
    );
}

#[tokio::test(start_paused = true)]
async fn a_plan_whose_vm_changed_state_is_a_conflict_and_recorded_as_refused() {
    let lab = one().await;
    let plan = lab.plan("h1", 1, ActionKind::Shutdown).await.unwrap();
    lab.world
        .with("h1", |machine| machine.set(&vm_id(1), PowerState::Stopped));
    lab.until(|state| state.hosts[0].vms()[0].state == PowerState::Stopped)
        .await;
    let refusal = lab.submit(plan).await.unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::Conflict);
    assert!(
        refusal
            .message
            .contains("it was running when the plan was shown")
    );
    lab.until_recorded(&["outcome shutdown refused"]).await;
    assert_eq!(lab.world.with("h1", |machine| machine.times("do").len()), 0);
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_vanished_between_choosing_and_acting_is_not_found() {
    let lab = one().await;
    let plan = lab.plan("h1", 1, ActionKind::Shutdown).await.unwrap();
    lab.world.with("h1", |machine| {
        machine.vms = vec![vm(2, "db-1", PowerState::Stopped)];
    });
    lab.until(|state| state.hosts[0].vms().len() == 1).await;
    assert_eq!(
        lab.submit(plan).await.unwrap_err().kind,
        ErrorKind::NotFound
    );
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_was_tampered_with_is_refused() {
    let lab = one().await;
    let mut plan = lab.plan("h1", 1, ActionKind::Shutdown).await.unwrap();
    plan.commands[0] = plan.commands[0].clone().arg("--and-more");
    assert_eq!(
        lab.submit(plan).await.unwrap_err().kind,
        ErrorKind::Conflict
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_not_agreed_to_is_refused() {
    let lab = one().await;
    let plan = lab.plan("h1", 1, ActionKind::Shutdown).await.unwrap();
    let mut unasked = submission(plan);
    unasked.consent = Consent::Nothing;
    let refusal = lab.handle.submit(unasked).await.unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::Refused);
    lab.until_recorded(&["outcome shutdown refused"]).await;
}

#[tokio::test(start_paused = true)]
async fn two_clients_acting_at_once_start_one_operation() {
    let lab = one().await;
    lab.world
        .with("h1", |machine| machine.obeys = Obeys::Ignores);
    let plan = lab.plan("h1", 2, ActionKind::Start).await.unwrap();
    let other = lab.handle.clone();
    let mut theirs = submission(plan.clone());
    theirs.actor.user = "bob".into();
    let (mine, theirs) = tokio::join!(lab.submit(plan), other.submit(theirs));
    let refusal = match (mine, theirs) {
        (Ok(_), Err(refusal)) | (Err(refusal), Ok(_)) => refusal,
        both => panic!("{both:?}"),
    };
    assert_eq!(refusal.kind, ErrorKind::Busy);
    assert!(refusal.message.contains("asked by"), "{refusal}");
}

#[tokio::test(start_paused = true)]
async fn force_off_overtakes_a_shutdown_that_does_not_get_anywhere() {
    let lab = one().await;
    lab.world
        .with("h1", |machine| machine.obeys = Obeys::Ignores);
    let shutdown = lab.act("h1", 1, ActionKind::Shutdown).await.unwrap();
    lab.until(|state| {
        let mut running = state.operations.iter();
        running
            .any(|op| op.id == shutdown && op.phase == vmdeck::domain::operation::Phase::Verifying)
    })
    .await;
    let refusal = lab.act("h1", 1, ActionKind::Pause).await.unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::Busy);
    lab.world.with("h1", |machine| machine.obeys = Obeys::Yes);
    let cut = lab.done("h1", 1, ActionKind::ForceOff).await;
    assert_eq!(cut.outcome, Some(Outcome::Confirmed));
    let overtaken = lab.handle.outcome(&shutdown).await.unwrap();
    assert_eq!(
        overtaken.outcome,
        Some(Outcome::Confirmed),
        "what it wanted has come about"
    );
}

#[tokio::test(start_paused = true)]
async fn a_bulk_runs_four_at_a_time_on_one_host() {
    let plans = Plans::hosts(1).await;
    plans.world.with("h1", |machine| {
        machine.obeys = Obeys::Hangs;
        machine.vms = (1..=10)
            .map(|n| vm(n, &format!("vm{n:02}"), PowerState::Stopped))
            .collect();
    });
    let lab = plans.up().await;
    for n in 1..=10 {
        let plan = lab
            .handle
            .plan(lab.vm("h1", n), ActionKind::Start.into(), actor(), 10)
            .await
            .unwrap()
            .plan;
        let mut one_of_ten = submission(plan);
        one_of_ten.count = 10;
        lab.handle.submit(one_of_ten).await.unwrap();
    }
    let begun = || {
        lab.world
            .with("h1", |machine| machine.times("do start").len())
    };
    lab.eventually("the first four", || begun() == 4).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(begun(), 4);
    let reads = lab.world.with("h1", |machine| machine.times("f").len());
    assert!(
        reads > 5,
        "stuck actions do not keep the host from being read"
    );
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_turn_is_looked_at_again() {
    let plans = Plans::hosts(1).await;
    plans.world.with("h1", |machine| {
        machine.obeys = Obeys::Hangs;
        machine.vms = (1..=5)
            .map(|n| vm(n, &format!("vm{n}"), PowerState::Stopped))
            .collect();
    });
    let lab = plans.up().await;
    let mut ids = Vec::new();
    for n in 1..=5 {
        ids.push(lab.act("h1", n, ActionKind::Start).await.unwrap());
    }
    lab.eventually("the first four", || {
        lab.world
            .with("h1", |machine| machine.times("do start").len() == 4)
    })
    .await;
    lab.world
        .with("h1", |machine| machine.set(&vm_id(5), PowerState::Running));
    lab.until(|state| state.hosts[0].vms()[4].state == PowerState::Running)
        .await;
    lab.handle.cancel(ids[0].clone()).await.unwrap();
    let first = lab.handle.outcome(&ids[0]).await.unwrap();
    assert!(
        matches!(first.outcome, Some(Outcome::Unknown { .. })),
        "{first:?}"
    );
    let last = lab.handle.outcome(&ids[4]).await.unwrap();
    match &last.outcome {
        Some(Outcome::Refused { cause }) => assert_eq!(cause.kind, ErrorKind::Conflict),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        lab.world
            .with("h1", |machine| machine.times("do start").len()),
        4
    );
    assert!(
        lab.handle.cancel(ids[0].clone()).await.is_err(),
        "it has ended"
    );
}

#[tokio::test(start_paused = true)]
async fn rows_that_are_old_are_read_again_before_anything_is_done() {
    let lab = one().await;
    lab.world.with("h1", |machine| machine.read = Mood::Hangs);
    tokio::time::sleep(Duration::from_secs(4)).await;
    lab.clock.advance(jiff::SignedDuration::from_secs(9));
    let refusal = lab.plan("h1", 1, ActionKind::Shutdown).await.unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::Conflict);
    assert!(
        refusal.message.contains("9s old: read it again first"),
        "{refusal}"
    );
    lab.world.with("h1", |machine| machine.read = Mood::Fine);
    lab.until(|state| !state.hosts[0].is_stale(lab.clock.now()))
        .await;
    assert!(lab.plan("h1", 1, ActionKind::Shutdown).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_recorded_is_refused_and_nothing_is_sent() {
    let lab = one().await;
    let plan = lab.plan("h1", 1, ActionKind::Shutdown).await.unwrap();
    // The log's directory becomes a file: whatever is opened anew cannot be.
    let dir = lab.profile.audit_dir();
    std::fs::remove_dir_all(&dir).unwrap();
    std::os::unix::fs::symlink("/dev/full", &dir).unwrap();
    let id = lab.submit(plan).await;
    let cause = match id {
        Err(refusal) => refusal,
        Ok(id) => match lab.handle.outcome(&id).await.unwrap().outcome.clone() {
            Some(Outcome::Refused { cause }) => cause,
            other => panic!("{other:?}"),
        },
    };
    assert_eq!(cause.kind, ErrorKind::NotRecorded, "{cause}");
    assert!(cause.message.contains("cannot be recorded"), "{cause}");
    lab.until(|state| matches!(state.audit, AuditState::Blocked(_)))
        .await;
    let refusal = lab.plan("h1", 1, ActionKind::Shutdown).await.unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::NotRecorded);
    assert_eq!(lab.world.with("h1", |machine| machine.times("do").len()), 0);
}

#[tokio::test(start_paused = true)]
async fn read_only_refuses_everything_and_can_be_lifted_unless_the_program_was_started_so() {
    let lab = one().await;
    lab.handle.set_read_only(true).await.unwrap();
    let refusal = lab.plan("h1", 1, ActionKind::Pause).await.unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::Refused);
    lab.handle.set_read_only(false).await.unwrap();
    assert!(lab.plan("h1", 1, ActionKind::Pause).await.is_ok());

    let mut plans = Plans::hosts(1).await;
    plans.read_only = true;
    let lab = plans.up().await;
    assert!(lab.handle.set_read_only(false).await.is_err());
    assert!(lab.plan("h1", 1, ActionKind::Pause).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_fleet_records_what_nobody_knows() {
    let lab = one().await;
    lab.world.with("h1", |machine| machine.obeys = Obeys::Hangs);
    let id = lab.act("h1", 1, ActionKind::ForceOff).await.unwrap();
    lab.eventually("the command", || {
        lab.world
            .with("h1", |machine| machine.times("do force-off").len() == 1)
    })
    .await;
    let plan = lab.plan("h1", 2, ActionKind::Start).await.unwrap();
    let handle = lab.handle.clone();
    let ending = async {
        let began = Instant::now();
        let left = handle.shutdown(Duration::from_secs(5)).await.unwrap();
        (left, began.elapsed())
    };
    let acting = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        lab.submit(plan).await
    };
    let ((left, took), late) = tokio::join!(ending, acting);
    assert_eq!(left, 1);
    assert!(
        took >= Duration::from_secs(5),
        "running operations get their grace"
    );
    assert_eq!(
        late.unwrap_err().kind,
        ErrorKind::Busy,
        "nothing new is admitted"
    );
    let state = lab.handle.snapshot();
    let operation = state.operations.iter().find(|op| op.id == id).unwrap();
    assert!(matches!(operation.outcome, Some(Outcome::Unknown { .. })));
    let records = lab.records().await;
    assert!(
        records.contains(&"outcome force-off unknown".to_owned()),
        "{records:?}"
    );
    lab.eventually("the link to be closed", || {
        lab.world
            .with("h1", |machine| machine.times("close").len() == 1)
    })
    .await;
    assert!(lab.handle.errors().await.is_err(), "it has ended");
}

#[tokio::test(start_paused = true)]
async fn cancelling_the_program_ends_the_fleet_too() {
    let lab = one().await;
    lab.tasks.cancel();
    assert!(lab.tasks.wait(Duration::from_secs(3600)).await);
    assert!(lab.handle.errors().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn commands_and_details_are_there_for_those_who_ask() {
    let lab = one().await;
    let detail = lab.handle.detail(lab.vm("h1", 1)).await.unwrap();
    assert!(detail.gaps.is_empty());
    lab.handle.doctor(lab.id("h1")).await.unwrap();
    let told = lab.handle.command_log(None).await.unwrap();
    assert_eq!(told.len(), 1, "a doctor's own connection is not the host's");
    assert!(lab.handle.credentials().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_program_left_open_is_closed_at_the_next_start() {
    let plans = Plans::hosts(1).await;
    let dir = plans.profile.audit_dir();
    {
        // The program that is gone: it recorded an intent, and then nothing more.
        let clock = vmdeck::clock::Clock::system();
        let (audit, _) = vmdeck::audit::AuditLog::open(&dir, clock).await.unwrap();
        let plan = crate::lab::any_plan();
        let id = vmdeck::domain::operation::OperationId("gone-1".into());
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let intent = vmdeck::fleet::record::intent(&id, &plan, &actor(), "built-in", now);
        audit.append(intent).await.unwrap();
    }
    // Its log is closed by a thread of its own, and until then its operations are not nobody's.
    let is_there = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.unwrap().file_name();
        name.to_string_lossy().starts_with("live-")
    };
    let began = std::time::Instant::now();
    while std::fs::read_dir(&dir).unwrap().any(is_there) {
        assert!(began.elapsed() < crate::lab::PATIENCE, "it is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let lab = plans.start().await;
    lab.until_recorded(&["intent shutdown pending", "outcome shutdown unknown"])
        .await;
    let records = lab.audit.tail(1).await.unwrap();
    assert_eq!(records[0].entry.operation.as_deref(), Some("gone-1"));
    assert!(records[0].entry.details.contains("the program ended"));
}

#[tokio::test(start_paused = true)]
async fn a_bug_while_acting_leaves_an_unknown_outcome_and_the_host_up() {
    let lab = one().await;
    lab.world
        .with("h1", |machine| machine.obeys = Obeys::Panics);
    let operation = lab.done("h1", 1, ActionKind::Shutdown).await;
    assert!(
        matches!(operation.outcome, Some(Outcome::Unknown { .. })),
        "{operation:?}"
    );
    assert_eq!(
        lab.host("h1").health,
        vmdeck::domain::health::HostHealth::Online
    );
    assert_eq!(
        lab.records().await,
        ["intent shutdown pending", "outcome shutdown unknown"]
    );
}

#[tokio::test(start_paused = true)]
async fn generations_only_grow_and_a_storm_of_changes_is_few_snapshots() {
    let lab = Plans::hosts(100).await.start().await;
    let before = lab.handle.snapshot().generation;
    lab.handle
        .connect(vmdeck::fleet::request::HostSelection::All)
        .await
        .unwrap();
    let mut states = lab.handle.watch();
    let (mut last, began) = (before, Instant::now());
    while began.elapsed() < Duration::from_secs(10) {
        if states.changed().await.is_ok() {
            let generation = states.borrow_and_update().generation;
            assert!(generation > last);
            last = generation;
        }
    }
    let published = last - before;
    // The first words of a host are told sooner, those of many hosts together.
    let first_words = 25;
    assert!(
        published <= 10 * 20 + 2 + first_words,
        "{published} snapshots in 10 s"
    );
}

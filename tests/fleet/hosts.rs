//! Hosts: first paint, rhythm, isolation, loss and return, keys, logins, live changes.

use std::time::Duration;

use tokio::time::Instant;
use vmdeck::domain::credential::{CredentialKind, CredentialSecret, NewCredential};
use vmdeck::domain::error_kind::{ErrorKind, Failure};
use vmdeck::domain::event::Fact;
use vmdeck::domain::health::HostHealth;
use vmdeck::domain::host::LoginMethod;
use vmdeck::domain::host_key::HostKeyQuestion;
use vmdeck::domain::inventory::{FleetSnapshot, LockState};
use vmdeck::domain::operation::Actor;
use vmdeck::domain::secret::SecretText;
use vmdeck::domain::vm::PowerState;
use vmdeck::fleet::request::{HostSelection, KeyDecision};
use vmdeck::hypervisor::PollHint;
use vmdeck::transport::TransportError;
use vmdeck::vault::{SealContext, Vault};

use crate::lab::{Lab, Plans, actor, spec};
use crate::world::{Mood, key, vm, vm_id};

pub(crate) fn unreachable() -> TransportError {
    TransportError::Dial {
        endpoint: "h1:22".into(),
        reason: "no route to host".into(),
    }
}

fn gaps(times: &[Instant]) -> Vec<Duration> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_paint_comes_from_the_cache_before_any_connection() {
    let lab = Plans::hosts(2).await.up().await;
    let plans = lab.restart().await;
    plans
        .world
        .with("h1", |machine| machine.connect = Mood::Hangs);
    let lab = plans.start().await;
    let state = lab.handle.snapshot();
    assert_eq!(state.hosts.len(), 2);
    for host in &state.hosts {
        assert!(host.from_cache);
        assert_eq!(host.vms().len(), 2);
        assert!(host.observed_at.is_some());
        assert_eq!(host.health, HostHealth::Disabled);
    }
    lab.handle.connect(HostSelection::All).await.unwrap();
    lab.until(|state| !state.hosts[1].from_cache).await;
    assert!(lab.host("h1").from_cache, "what is not read stays marked");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_dialled_that_nobody_asked_for() {
    let lab = Plans::hosts(2).await.start().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(lab.world.with("h1", |machine| machine.log.is_empty()));
    let only = HostSelection::Only(vec![lab.id("h2")]);
    lab.handle.connect(only).await.unwrap();
    lab.until(|state| state.hosts[1].inventory.is_some()).await;
    assert!(lab.world.with("h1", |machine| machine.log.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn reads_keep_their_rhythm_and_never_overlap() {
    let lab = Plans::hosts(1).await.up().await;
    lab.world.with("h1", |machine| {
        machine.read_takes = Duration::from_millis(200);
    });
    tokio::time::sleep(Duration::from_secs(200)).await;
    lab.world.with("h1", |machine| {
        let reads: Vec<Instant> = machine
            .log
            .iter()
            .filter(|(_, what)| what == "fast" || what == "full")
            .map(|(at, _)| *at)
            .collect();
        // After the first table, the slow facts and the phase: one read every 3 s after the last.
        for gap in &gaps(&reads)[4..] {
            assert_eq!(gap.as_millis(), 3200);
        }
        let slow = gaps(&machine.times("full"));
        assert!(
            slow.iter()
                .all(|gap| gap.as_secs() >= 60 && gap.as_secs() < 64),
            "{slow:?}"
        );
        assert!(slow.len() >= 2);
        assert_eq!(machine.most_reading, 1);
    });
}

#[tokio::test(start_paused = true)]
async fn an_announcement_brings_the_next_read_forward_and_a_flood_is_few_reads() {
    let lab = Plans::hosts(1).await.up().await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    let began = Instant::now();
    lab.world.with("h1", |machine| {
        machine.log.clear();
        machine.set(&vm_id(2), PowerState::Running);
        machine.announce(&PollHint::Changed);
    });
    lab.until(|state| state.hosts[0].vms()[1].state == PowerState::Running)
        .await;
    assert!(
        began.elapsed() < Duration::from_millis(150),
        "{:?}",
        began.elapsed()
    );

    lab.world.with("h1", |machine| {
        machine.log.clear();
        for _ in 0..1000 {
            machine.announce(&PollHint::Changed);
        }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    lab.world.with("h1", |machine| {
        let reads = machine.times("f").len();
        assert!((1..=3).contains(&reads), "{reads} reads for one flood");
        assert_eq!(machine.most_reading, 1);
    });
}

#[tokio::test(start_paused = true)]
async fn announcements_that_end_are_no_failure_and_are_opened_again() {
    let lab = Plans::hosts(1).await.up().await;
    lab.world.with("h1", |machine| {
        machine.log.clear();
        machine.end_announcements();
    });
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(lab.host("h1").health, HostHealth::Online);
    lab.world.with("h1", |machine| {
        assert_eq!(machine.times("hints").len(), 1);
        assert_eq!(machine.times("connect").len(), 0);
    });
}

#[tokio::test(start_paused = true)]
async fn a_changed_list_brings_the_slow_facts_at_once() {
    let lab = Plans::hosts(1).await.up().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    lab.world.with("h1", |machine| {
        machine.log.clear();
        machine.vms.push(vm(3, "new", PowerState::Stopped));
    });
    lab.until(|state| state.hosts[0].vms().len() == 3).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        lab.world.with("h1", |machine| machine.times("full").len()),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn ten_hanging_hosts_do_not_delay_ninety_others() {
    let plans = Plans::hosts(100).await;
    for n in 1..=10 {
        // Half of them hang while connecting, half of them once they are up.
        plans.world.with(&format!("h{n}"), |machine| {
            if n <= 5 {
                machine.connect = Mood::Hangs;
            } else {
                machine.read = Mood::Hangs;
            }
        });
    }
    let lab = plans.start().await;
    let began = Instant::now();
    lab.handle.connect(HostSelection::All).await.unwrap();
    lab.until(|state| {
        state
            .hosts
            .iter()
            .filter(|host| host.inventory.is_some())
            .count()
            == 90
    })
    .await;
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    tokio::time::sleep(Duration::from_secs(120)).await;
    for n in 11..=100 {
        lab.world.with(&format!("h{n}"), |machine| {
            let reads = machine.times("f");
            let late = gaps(&reads).into_iter().max().unwrap_or_default();
            assert!(late <= Duration::from_millis(3100), "h{n} waited {late:?}");
            assert!(reads.len() >= 39, "h{n} was read {} times", reads.len());
        });
    }
}

#[tokio::test(start_paused = true)]
async fn two_hundred_hosts_connect_sixteen_at_a_time() {
    let plans = Plans::hosts(200).await;
    for n in 1..=200 {
        plans.world.with(&format!("h{n}"), |machine| {
            machine.connect_takes = Duration::from_millis(300);
        });
    }
    let lab = plans.up().await;
    assert_eq!(lab.world.most_dialling(), 16);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_waits_for_its_turn_says_so() {
    let plans = Plans::hosts(40).await;
    for n in 1..=40 {
        plans.world.with(&format!("h{n}"), |machine| {
            machine.connect_takes = Duration::from_secs(5);
        });
    }
    let lab = plans.start().await;
    lab.handle.connect(HostSelection::All).await.unwrap();
    let count = |state: &FleetSnapshot, wanted: bool| {
        let hosts = state.hosts.iter();
        hosts
            .filter(|host| matches!(host.health, HostHealth::Connecting { queued, .. } if queued == wanted))
            .count()
    };
    lab.until(|state| (count(state, false), count(state, true)) == (16, 24))
        .await;
    lab.until(|state| count(state, false) == 16 && count(state, true) == 8)
        .await;
    lab.until(|state| {
        state
            .hosts
            .iter()
            .all(|host| host.health == HostHealth::Online)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn hosts_that_came_up_together_do_not_read_together() {
    let lab = Plans::hosts(50).await.up().await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let mut last: Vec<Instant> = (1..=50)
        .filter_map(|n| {
            lab.world
                .with(&format!("h{n}"), |machine| machine.times("f").pop())
        })
        .collect();
    last.sort();
    last.dedup();
    assert!(last.len() > 20, "only {} distinct moments", last.len());
}

#[tokio::test(start_paused = true)]
async fn a_dead_host_keeps_its_rows_backs_off_and_comes_back() {
    let lab = Plans::hosts(1).await.up().await;
    let seen = lab.host("h1").observed_at;
    let mut events = lab.handle.events();
    lab.world.with("h1", |machine| {
        machine.connect = Mood::Fails(unreachable());
        machine.log.clear();
        machine.cut();
    });
    lab.until(|state| {
        matches!(
            state.hosts[0].health,
            HostHealth::Offline { attempt: 4.., .. }
        )
    })
    .await;
    let host = lab.host("h1");
    assert_eq!(host.vms().len(), 2, "its rows stay");
    assert_eq!(host.observed_at, seen, "with their age");
    assert!(
        host.health
            .cause()
            .unwrap()
            .message
            .contains("no route to host")
    );
    lab.world.with("h1", |machine| {
        let waits = gaps(&machine.times("connect"));
        assert!(
            waits.iter().all(|wait| *wait >= Duration::from_secs(1)),
            "{waits:?}"
        );
        assert!(
            waits.iter().all(|wait| *wait <= Duration::from_secs(61)),
            "{waits:?}"
        );
        machine.connect = Mood::Fine;
    });
    lab.until(|state| state.hosts[0].health == HostHealth::Online)
        .await;
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        match event.fact {
            Fact::HostWentOffline { .. } => told.push("offline"),
            Fact::HostCameOnline { .. } => told.push("online"),
            _ => {}
        }
    }
    assert_eq!(told, ["offline", "online"], "each is told once");
}

#[tokio::test(start_paused = true)]
async fn refreshing_a_waiting_host_tries_now() {
    let plans = Plans::hosts(1).await;
    plans
        .world
        .with("h1", |machine| machine.connect = Mood::Fails(unreachable()));
    let lab = plans.start().await;
    lab.handle.connect(HostSelection::All).await.unwrap();
    lab.until(|state| {
        matches!(
            state.hosts[0].health,
            HostHealth::Offline { attempt: 6.., .. }
        )
    })
    .await;
    lab.world.with("h1", |machine| machine.connect = Mood::Fine);
    let began = Instant::now();
    lab.handle.refresh(HostSelection::All).await.unwrap();
    lab.until(|state| state.hosts[0].health == HostHealth::Online)
        .await;
    assert!(began.elapsed() < Duration::from_millis(500));
}

#[tokio::test(start_paused = true)]
async fn the_first_words_of_a_host_are_told_at_once() {
    let lab = Plans::hosts(1).await.start().await;
    let began = Instant::now();
    lab.handle.connect(HostSelection::All).await.unwrap();
    lab.until(|state| state.hosts[0].inventory.is_some()).await;
    // Connecting and reading take 10 ms each; news that nobody waits for may be 50 ms late.
    assert_eq!(began.elapsed(), Duration::from_millis(20));
}

#[tokio::test(start_paused = true)]
async fn reading_once_more_asks_for_states_and_figures_only() {
    let lab = Plans::hosts(2).await.start().await;
    let only = HostSelection::Only(vec![lab.host("h1").spec.id]);
    lab.handle.connect(only).await.unwrap();
    lab.until(|state| state.hosts[0].inventory.is_some()).await;
    // The slow facts follow the first read; the next tick is seconds away.
    tokio::time::sleep(Duration::from_millis(500)).await;
    lab.world.with("h1", |machine| machine.log.clear());
    lab.handle.read_again(HostSelection::All).await.unwrap();
    let reads = |word| lab.world.with("h1", |machine| machine.times(word).len());
    lab.eventually("the read", || reads("f") > 0).await;
    assert_eq!((reads("fast"), reads("full")), (1, 0));
    let others = lab.world.with("h2", |machine| machine.log.len());
    assert_eq!(others, 0, "a host that is not connected stays as it is");
}

#[tokio::test(start_paused = true)]
async fn three_failed_reads_are_a_lost_link_and_a_slow_one_is_only_slow() {
    let lab = Plans::hosts(1).await.up().await;
    lab.world
        .with("h1", |machine| machine.read_takes = Duration::from_secs(4));
    lab.until(|state| matches!(state.hosts[0].health, HostHealth::Degraded { .. }))
        .await;
    assert_eq!(
        lab.host("h1").tick,
        Duration::from_secs(8),
        "it is asked less often"
    );
    lab.world.with("h1", |machine| {
        machine.read_takes = Duration::from_millis(10);
    });
    lab.until(|state| state.hosts[0].health == HostHealth::Online)
        .await;

    lab.world.with("h1", |machine| {
        machine.log.clear();
        machine.read = Mood::Hangs;
    });
    lab.until(|state| matches!(state.hosts[0].health, HostHealth::Offline { .. }))
        .await;
    let reads = lab.world.with("h1", |machine| machine.times("f").len());
    assert_eq!(reads, 3);
    assert_eq!(lab.host("h1").vms().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_a_host_says_is_dated_when_it_was_asked() {
    let lab = Plans::hosts(1).await.up().await;
    let asked = || lab.world.with("h1", |machine| machine.times("f").len());
    lab.world.with("h1", |machine| {
        machine.read_takes = Duration::from_secs(2);
    });
    let before = asked();
    lab.eventually("a read", || asked() > before).await;
    // The answer is under way for two seconds.
    let asked_at = lab.clock.now();
    let seen = lab.host("h1").observed_at;
    lab.clock.advance(jiff::SignedDuration::from_secs(2));
    let latency = Some(Duration::from_secs(2));
    lab.until(|state| state.hosts[0].latency >= latency).await;
    assert_eq!(lab.host("h1").observed_at, Some(asked_at));
    assert_eq!(seen, Some(asked_at), "the clock stood still until then");
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_is_never_tried_again_by_itself() {
    let plans = Plans::hosts(1).await;
    let refused = TransportError::Auth {
        endpoint: "h1:22".into(),
        user: "ann".into(),
        tried: vec!["agent".into()],
        offered: vec!["publickey".into()],
    };
    plans
        .world
        .with("h1", |machine| machine.connect = Mood::Fails(refused));
    let lab = plans.start().await;
    lab.handle.connect(HostSelection::All).await.unwrap();
    lab.until(|state| matches!(state.hosts[0].health, HostHealth::NeedsOperator { .. }))
        .await;
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    assert_eq!(
        lab.world
            .with("h1", |machine| machine.times("connect").len()),
        1
    );
    let errors = lab.handle.errors().await.unwrap();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].cause.hint.is_some());

    lab.world.with("h1", |machine| machine.connect = Mood::Fine);
    lab.handle.refresh(HostSelection::All).await.unwrap();
    lab.until(|state| state.hosts[0].health == HostHealth::Online)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_read_has_the_deadline_that_was_configured() {
    for seconds in [3, 30] {
        let mut plans = Plans::hosts(1).await;
        plans.session.read_within = Duration::from_secs(seconds);
        let lab = plans.up().await;
        lab.world.with("h1", |machine| machine.read = Mood::Hangs);
        let state = lab
            .until(|state| matches!(state.hosts[0].health, HostHealth::Degraded { .. }))
            .await;
        let cause = state.hosts[0].health.cause().unwrap();
        assert_eq!(cause.kind, ErrorKind::Timeout);
        // Reading the slow facts may take three times as long.
        let said = [seconds, 3 * seconds].map(|bound| format!("longer than {bound}s"));
        let fits = said.iter().any(|said| cause.message.contains(said));
        assert!(fits, "{}", cause.message);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_is_remembered_when_a_session_is_replaced() {
    let lab = Plans::hosts(2).await.up().await;
    let (vm, id) = (lab.vm("h1", 1), lab.id("h1"));
    for _ in 0..2 {
        lab.handle.detail(vm.clone()).await.unwrap();
        lab.handle.disconnect(id).await.unwrap();
        lab.until(|state| state.hosts[0].health == HostHealth::Disabled)
            .await;
        let told = lab.handle.command_log(Some(id)).await.unwrap();
        assert_eq!(told.len(), 1, "it stays when the session is gone");
        let only = HostSelection::Only(vec![id]);
        lab.handle.connect(only).await.unwrap();
        lab.until(|state| state.hosts[0].health == HostHealth::Online)
            .await;
    }
    let told = lab.handle.command_log(None).await.unwrap();
    assert_eq!(told.len(), 1);
    assert!(told[0].command.starts_with("describe "), "{told:?}");
    assert_eq!(told[0].times, 2, "two sessions have asked the same");
    let other = lab.id("h2");
    assert!(
        lab.handle
            .command_log(Some(other))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_wrong_before_the_start_is_in_the_error_log() {
    let mut plans = Plans::hosts(0).await;
    let remark = Failure::new(ErrorKind::Config, "variable VMDECK_X sets nothing");
    plans.remarks = vec![remark.clone()];
    let lab = plans.start().await;
    assert_eq!(lab.handle.snapshot().errors, 1);
    assert_eq!(lab.handle.errors().await.unwrap()[0].cause, remark);
}

fn question(lab: &Lab) -> HostKeyQuestion {
    match &lab.host("h1").health {
        HostHealth::NeedsOperator {
            question: Some(question),
            ..
        } => question.as_ref().clone(),
        other => panic!("no key is in question: {other:?}"),
    }
}

async fn asked_about_a_key(plans: Plans) -> Lab {
    let lab = plans.start().await;
    lab.handle.connect(HostSelection::All).await.unwrap();
    lab.until(|state| {
        matches!(
            state.hosts[0].health,
            HostHealth::NeedsOperator {
                question: Some(_),
                ..
            }
        )
    })
    .await;
    lab
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_is_asked_about_and_exactly_that_key_is_pinned() {
    let plans = Plans::hosts(1).await;
    plans.profile.unpin("h1".into()).await.unwrap();
    let lab = asked_about_a_key(plans).await;
    let shown = question(&lab);
    let id = lab.id("h1");
    let mut other = shown.clone();
    other.key = key("somebody else");
    let refusal = lab
        .handle
        .answer_host_key(id, other, KeyDecision::Accept)
        .await
        .unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::Conflict);

    lab.handle
        .answer_host_key(id, shown.clone(), KeyDecision::Leave)
        .await
        .unwrap();
    assert!(lab.profile.pinned_keys().await.unwrap().is_empty());
    // A no is not for ever: as long as the question stands, it can be answered otherwise.
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(
        lab.world
            .with("h1", |machine| machine.times("connect").len()),
        1
    );
    lab.handle
        .answer_host_key(id, shown.clone(), KeyDecision::Accept)
        .await
        .unwrap();
    lab.until(|state| state.hosts[0].health == HostHealth::Online)
        .await;
    let pinned = lab.profile.pinned_keys().await.unwrap();
    assert_eq!(pinned.len(), 1);
    assert_eq!(pinned[0].key, shown.key);
    assert_eq!(
        lab.records().await,
        [
            "note host-key-rejected refused",
            "note host-key-accepted ok"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_question_that_nobody_answers_is_a_no_until_it_is_asked_again() {
    let plans = Plans::hosts(1).await;
    plans.profile.unpin("h1".into()).await.unwrap();
    let lab = asked_about_a_key(plans).await;
    let (id, shown) = (lab.id("h1"), question(&lab));
    let began = Instant::now();
    let state = lab
        .until(|state| {
            matches!(
                state.hosts[0].health,
                HostHealth::NeedsOperator { question: None, .. }
            )
        })
        .await;
    let waited = began.elapsed().as_secs();
    assert!((118..=121).contains(&waited), "after {waited} s");
    let cause = state.hosts[0].health.cause().unwrap();
    assert_eq!(cause.kind, ErrorKind::HostKey);
    assert!(cause.message.contains(&shown.key.fingerprint), "{cause}");
    assert!(
        cause.message.contains("nobody answered within 2m"),
        "{cause}"
    );
    assert!(cause.hint.as_ref().unwrap().0.contains("refresh the host"));

    let late = lab
        .handle
        .answer_host_key(id, shown.clone(), KeyDecision::Accept)
        .await
        .unwrap_err();
    assert_eq!(late.kind, ErrorKind::Conflict);
    assert!(late.message.contains("nobody answered in time"), "{late}");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(lab.profile.pinned_keys().await.unwrap().is_empty());
    let connects = || {
        lab.world
            .with("h1", |machine| machine.times("connect").len())
    };
    assert_eq!(connects(), 1, "silence is never a reason to try again");

    lab.handle.refresh(HostSelection::All).await.unwrap();
    lab.until(|state| {
        matches!(
            state.hosts[0].health,
            HostHealth::NeedsOperator {
                question: Some(_),
                ..
            }
        )
    })
    .await;
    lab.handle
        .answer_host_key(id, question(&lab), KeyDecision::Accept)
        .await
        .unwrap();
    lab.until(|state| state.hosts[0].health == HostHealth::Online)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_host_whose_question_is_over_goes_on_when_its_key_is_pinned_elsewhere() {
    let plans = Plans::hosts(1).await;
    plans.profile.unpin("h1".into()).await.unwrap();
    let lab = asked_about_a_key(plans).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    let root = lab.profile.dir().parent().unwrap().to_owned();
    let other = vmdeck::profile::Profile::open(&root, lab.profile.name())
        .await
        .unwrap();
    let pin = crate::lab::pin("h1");
    other.pin_key(pin, false).await.unwrap();
    lab.until(|state| state.hosts[0].health == HostHealth::Online)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_key_stops_loudly_and_a_yes_does_not_accept_it() {
    let lab = Plans::hosts(1).await.up().await;
    lab.world.with("h1", |machine| {
        machine.key = key("another");
        machine.cut();
    });
    lab.until(|state| {
        matches!(
            state.hosts[0].health,
            HostHealth::NeedsOperator {
                question: Some(_),
                ..
            }
        )
    })
    .await;
    let host = lab.host("h1");
    assert!(host.health.cause().unwrap().message.contains("HAS CHANGED"));
    assert_eq!(host.vms().len(), 2);
    let refusal = lab
        .handle
        .answer_host_key(lab.id("h1"), question(&lab), KeyDecision::Accept)
        .await
        .unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::HostKey);
    assert!(refusal.hint.unwrap().0.contains("--replace"));
    // Another process replaces the pin: that is the person's act, and the host goes on by itself.
    let mut pin = crate::lab::pin("h1");
    pin.key = key("another");
    let root = lab.profile.dir().parent().unwrap().to_owned();
    let other = vmdeck::profile::Profile::open(&root, lab.profile.name())
        .await
        .unwrap();
    other.pin_key(pin, true).await.unwrap();
    lab.until(|state| state.hosts[0].health == HostHealth::Online)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_host_that_may_show_any_first_key_has_it_pinned_and_recorded() {
    let plans = Plans::hosts(0).await;
    let mut trusting = spec("h1");
    trusting.accept_new_host_key = true;
    plans.profile.upsert_host(trusting).await.unwrap();
    let lab = plans.up().await;
    lab.eventually("the pin", || {
        lab.world.with("h1", |machine| !machine.log.is_empty())
    })
    .await;
    let began = std::time::Instant::now();
    while lab.profile.pinned_keys().await.unwrap().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(lab.records().await, ["note host-key-accepted ok"]);
}

async fn sealed_host(vault: &Vault, plans: &Plans, passphrase: &str) {
    let secret = SecretText::from(passphrase.to_owned());
    let identity = vault.create_identity(&secret).await.unwrap();
    plans.profile.set_identity(identity.clone()).await.unwrap();
    let new = NewCredential {
        name: "lab".parse().unwrap(),
        kind: CredentialKind::Password,
        path: None,
        public_key: None,
        fingerprint: None,
        created_at: "2026-01-01T00:00:00Z".into(),
    };
    let id = plans.profile.reserve_credential(new).await.unwrap();
    let context = SealContext::new(plans.profile.id(), id);
    let password = CredentialSecret::Password(SecretText::from("pw".to_owned()));
    let blob = Vault::seal(&identity.recipient, &context, &password).unwrap();
    plans.profile.store_sealed(id, blob).await.unwrap();
    let mut host = spec("h1");
    host.login = LoginMethod::Credential("lab".parse().unwrap());
    plans.profile.upsert_host(host).await.unwrap();
    plans
        .profile
        .pin_key(crate::lab::pin("h1"), false)
        .await
        .unwrap();
    vault.lock();
}

#[tokio::test(start_paused = true)]
async fn a_locked_profile_stops_hosts_and_unlocking_lets_them_go_on() {
    let plans = Plans::hosts(0).await;
    let vault = plans.vault.clone();
    sealed_host(&vault, &plans, "open sesame").await;
    let lab = plans.start().await;
    assert_eq!(lab.handle.snapshot().lock, LockState::Locked);
    lab.handle.connect(HostSelection::All).await.unwrap();
    let state = lab
        .until(|state| matches!(state.hosts[0].health, HostHealth::NeedsOperator { .. }))
        .await;
    assert_eq!(
        state.hosts[0].health.cause().unwrap().kind,
        ErrorKind::Locked
    );

    let wrong = lab
        .handle
        .unlock(SecretText::from("nonsense".to_owned()))
        .await;
    assert_eq!(wrong.unwrap_err().kind, ErrorKind::Locked);
    assert_eq!(lab.records().await, ["note unlock-failed failed"]);

    lab.handle
        .unlock(SecretText::from("open sesame".to_owned()))
        .await
        .unwrap();
    assert_eq!(lab.handle.snapshot().lock, LockState::Unlocked);
    lab.until(|state| state.hosts[0].health == HostHealth::Online)
        .await;

    lab.handle.lock().await.unwrap();
    assert_eq!(lab.handle.snapshot().lock, LockState::Locked);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(
        lab.host("h1").health,
        HostHealth::Online,
        "live connections stay"
    );
}

#[tokio::test(start_paused = true)]
async fn a_profile_nobody_uses_locks_itself_whatever_its_hosts_do() {
    let mut plans = Plans::hosts(0).await;
    plans.vault = Vault::for_tests(Some(Duration::from_secs(900)));
    let vault = plans.vault.clone();
    sealed_host(&vault, &plans, "open sesame").await;
    // Tried again at least once a minute, each time with the sealed password.
    plans
        .world
        .with("h1", |machine| machine.connect = Mood::Fails(unreachable()));
    let lab = plans.start().await;
    lab.handle.connect(HostSelection::All).await.unwrap();
    let secret = || SecretText::from("open sesame".to_owned());
    lab.handle.unlock(secret()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(800)).await;
    let wrong = SecretText::from("nonsense".to_owned());
    // Whatever is asked for is use; this is recorded as well.
    assert!(lab.handle.unlock(wrong.clone()).await.is_err());
    tokio::time::sleep(Duration::from_secs(890)).await;
    assert_eq!(lab.handle.snapshot().lock, LockState::Unlocked);
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(lab.handle.snapshot().lock, LockState::Locked);
    assert!(!vault.is_unlocked());
    let tries = lab
        .world
        .with("h1", |machine| machine.times("connect").len());
    assert!(tries > 10, "{tries}");

    assert!(lab.handle.unlock(wrong.clone()).await.is_err());
    lab.handle.unlock(secret()).await.unwrap();
    assert!(lab.handle.unlock(wrong.clone()).await.is_err());
    lab.handle.lock().await.unwrap();
    assert!(lab.handle.unlock(wrong).await.is_err());
    let records = lab.audit.tail(10).await.unwrap();
    let sealed: Vec<bool> = records.iter().map(|record| record.mac.is_some()).collect();
    assert_eq!(
        sealed,
        [true, false, true, false],
        "the audit log has its key exactly while the profile is unlocked"
    );
}

#[tokio::test(start_paused = true)]
async fn hosts_are_added_changed_and_removed_while_the_fleet_runs() {
    let lab = Plans::hosts(1).await.up().await;
    lab.profile
        .pin_key(crate::lab::pin("h9"), false)
        .await
        .unwrap();
    let id = lab.handle.upsert_host(spec("h9")).await.unwrap();
    assert!(
        lab.handle.snapshot().host(id).is_some(),
        "known as soon as it is answered"
    );
    lab.until(|state| {
        state
            .host(id)
            .is_some_and(|host| host.health == HostHealth::Online)
    })
    .await;

    let mut off = spec("h9");
    off.id = id;
    off.enabled = false;
    lab.handle.upsert_host(off).await.unwrap();
    assert_eq!(
        lab.handle.snapshot().host(id).unwrap().health,
        HostHealth::Disabled
    );
    lab.eventually("the link to be closed", || {
        lab.world
            .with("h9", |machine| machine.times("close").len() == 1)
    })
    .await;

    lab.handle.remove_host(id).await.unwrap();
    assert!(lab.handle.snapshot().host(id).is_none());
    let pins = lab.profile.pinned_keys().await.unwrap();
    assert!(
        pins.iter().all(|pin| pin.label != "h9"),
        "its key is forgotten with it"
    );
    let twin = lab.handle.upsert_host(spec("h1")).await;
    assert!(twin.is_err(), "two hosts cannot have one name");
}

#[tokio::test(start_paused = true)]
async fn a_host_added_by_another_process_appears() {
    let lab = Plans::hosts(1).await.up().await;
    let root = lab.profile.dir().parent().unwrap().to_owned();
    let other = vmdeck::profile::Profile::open(&root, lab.profile.name())
        .await
        .unwrap();
    other.pin_key(crate::lab::pin("h5"), false).await.unwrap();
    other.upsert_host(spec("h5")).await.unwrap();
    lab.until(|state| state.hosts.len() == 2 && state.hosts[1].health == HostHealth::Online)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_bug_in_a_driver_costs_that_host_only_and_is_tried_again() {
    let lab = Plans::hosts(2).await.up().await;
    lab.world.with("h1", |machine| machine.read = Mood::Panics);
    let state = lab
        .until(|state| matches!(state.hosts[0].health, HostHealth::Offline { .. }))
        .await;
    let cause = state.hosts[0].health.cause().unwrap();
    assert_eq!(cause.kind, ErrorKind::Internal);
    assert!(cause.message.contains("the parser is broken"));
    assert_eq!(lab.host("h2").health, HostHealth::Online);
    lab.world.with("h1", |machine| machine.read = Mood::Fine);
    lab.until(|state| state.hosts[0].health == HostHealth::Online)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_host_nobody_looks_at_is_read_less_often() {
    let lab = Plans::hosts(2).await.up().await;
    let looked_at = HostSelection::Only(vec![lab.id("h1")]);
    lab.handle.focus(looked_at).await.unwrap();
    lab.until(|state| state.hosts[1].tick == Duration::from_secs(12))
        .await;
    tokio::time::sleep(Duration::from_secs(15)).await;
    lab.world.with("h2", |machine| machine.log.clear());
    tokio::time::sleep(Duration::from_secs(120)).await;
    let reads = lab.world.with("h2", |machine| machine.times("f").len());
    assert!((9..=11).contains(&reads), "{reads} reads in two minutes");
    lab.handle.focus(HostSelection::All).await.unwrap();
    lab.until(|state| state.hosts[1].tick == Duration::from_secs(3))
        .await;
}

#[tokio::test(start_paused = true)]
async fn disconnecting_closes_the_link_and_keeps_the_rows() {
    let lab = Plans::hosts(1).await.up().await;
    lab.handle.disconnect(lab.id("h1")).await.unwrap();
    lab.until(|state| state.hosts[0].health == HostHealth::Disabled)
        .await;
    lab.eventually("the link to be closed", || {
        lab.world
            .with("h1", |machine| machine.times("close").len() == 1)
    })
    .await;
    assert_eq!(lab.host("h1").vms().len(), 2);
    let refusal: Failure = lab.handle.detail(lab.vm("h1", 1)).await.unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::Unreachable);
}

#[tokio::test(start_paused = true)]
async fn the_doctor_says_where_it_stops() {
    let lab = Plans::hosts(1).await.up().await;
    let id = lab.id("h1");
    let fine = lab.handle.doctor(id).await.unwrap();
    assert!(
        fine.iter().all(|finding| finding.ok == Some(true)),
        "{fine:?}"
    );
    assert_eq!(fine.len(), 8);
    lab.world
        .with("h1", |machine| machine.connect = Mood::Fails(unreachable()));
    let stopped = lab.handle.doctor(id).await.unwrap();
    let words: Vec<(&str, Option<bool>)> = stopped
        .iter()
        .map(|finding| (finding.step, finding.ok))
        .collect();
    assert_eq!(words[0], ("name", Some(true)));
    assert_eq!(words[1], ("tcp", Some(false)));
    assert!(words[2..].iter().all(|(_, ok)| ok.is_none()));
    assert!(stopped[1].fix.is_some());
}

#[tokio::test(start_paused = true)]
async fn changes_of_definitions_are_recorded_before_they_are_made() {
    let lab = Plans::hosts(0).await.start().await;
    let id = lab.handle.upsert_host(spec("h1")).await.unwrap();
    let mut changed = spec("h1");
    changed.id = id;
    changed.tier = Some("prod".parse().unwrap());
    lab.handle.upsert_host(changed.clone()).await.unwrap();
    lab.handle.upsert_host(changed).await.unwrap();
    lab.handle.upsert_host(spec("h1")).await.unwrap_err();
    lab.handle.remove_host(id).await.unwrap();
    assert_eq!(
        lab.records().await,
        [
            "note host-added ok",
            "note host-changed ok",
            "note host-removed ok"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn changes_are_recorded_under_the_name_of_whoever_asked_for_them() {
    let lab = Plans::hosts(0).await.start().await;
    let ann = Actor {
        client_ip: Some("192.0.2.9".to_owned()),
        ..actor()
    };
    let door = lab.handle.clone().acting_as(ann.clone());
    let id = door.upsert_host(spec("h1")).await.unwrap();
    door.remove_host(id).await.unwrap();
    // Another door of the same fleet is another's.
    lab.handle.upsert_host(spec("h2")).await.unwrap();
    let records = lab.audit.tail(10).await.unwrap();
    let who: Vec<Option<&Actor>> = records
        .iter()
        .map(|record| record.entry.actor.as_ref())
        .collect();
    assert_eq!(who, [Some(&ann), Some(&ann), None]);
    assert_eq!(records[0].entry.client_ip.as_deref(), Some("192.0.2.9"));
}

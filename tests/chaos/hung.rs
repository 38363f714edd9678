//! Commands that never end, many at once, on a real sshd: every caller gets its answer in time, and
//! afterwards nothing is left, neither here nor on the host.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use vmdeck::domain::credential::Credential;
use vmdeck::domain::host::Endpoint;
use vmdeck::domain::remote_command::RemoteCommand;
use vmdeck::transport::ssh::{SshConnector, SshOptions};
use vmdeck::transport::{Connector, ExecLimits, Hop, Target, Transport, TransportError};

use crate::support::campaign::{alone, descriptors, figure, rounds, tasks};
use crate::support::sshd::Sshd;

/// Links that are used side by side.
const LINKS: usize = 8;

/// How long a caller waits.
const DEADLINE: Duration = Duration::from_millis(500);

/// How long a command may live on the host, which ends it itself.
const LIFE: Duration = Duration::from_secs(1);

/// Added by the host for commands that are deaf to the polite signal, and for noticing it.
const LEFTOVERS: Duration = Duration::from_secs(4);

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hung_commands_leave_nothing_behind() {
    hang(100, PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a thousand: tests/campaign hung"]
async fn a_thousand_hung_commands() {
    hang(rounds(1000), LEFTOVERS).await;
}

fn target(sshd: &Sshd) -> Target {
    Target {
        name: "kvm1".parse().unwrap(),
        hops: vec![Hop {
            endpoint: Endpoint::new("127.0.0.1", sshd.port()),
            key_alias: None,
            user: sshd.user().parse().unwrap(),
            credentials: vec![Credential::KeyFile {
                path: sshd.client_key.path.clone(),
                passphrase: None,
            }],
        }],
        pinned: Vec::new(),
        known_hosts: vec![sshd.known_hosts_file()],
        accept_new: false,
    }
}

/// Every third is deaf to the polite signal.
fn hung(number: usize) -> RemoteCommand {
    let script = if number.is_multiple_of(3) {
        "trap '' TERM HUP; while :; do sleep 0.5; done"
    } else {
        "exec sleep 600"
    };
    RemoteCommand::posix("sh").args(["-c", script]).life(LIFE)
}

async fn hang(count: usize, leftovers_within: Duration) {
    const NAME: &str = "hung";
    let _turn = alone().await;
    let sshd = Sshd::builder().max_sessions(10).start();
    let target = Arc::new(target(&sshd));
    let connector = Arc::new(SshConnector::new(SshOptions::default()));
    let (open, alive) = (descriptors(), tasks());
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for link in 0..LINKS {
        let (target, connector) = (Arc::clone(&target), Arc::clone(&connector));
        callers.spawn(async move {
            let mine = (link..count).step_by(LINKS).collect();
            one_link(&*connector, &target, mine).await
        });
    }
    let (mut late, mut lost, mut links) = (0, 0, 0);
    let mut worst = Duration::ZERO;
    let mut kept = Vec::new();
    while let Some(ended) = callers.join_next().await {
        let told = ended.unwrap();
        late += told.late;
        lost += told.lost;
        links += told.links;
        worst = worst.max(told.worst);
        kept.push(told.last);
    }
    let ended = Instant::now();
    // The host has ended them by itself, while the links live.
    let still_there = || {
        let pids = sshd.session_pids();
        let hung = |pid: &&u32| {
            let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            words.starts_with(b"sleep") || words.starts_with(b"timeout")
        };
        pids.iter().filter(hung).count()
    };
    while still_there() > 0 {
        assert!(
            ended.elapsed() <= leftovers_within,
            "{} hung commands are left on the host",
            still_there()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let gone = ended.elapsed();
    // Every session of every link is free: all of them are used at once.
    for link in &kept {
        let quick = RemoteCommand::posix("true");
        let limits = ExecLimits::within(PATIENCE);
        let all = (0..6).map(|_| link.exec(&quick, limits));
        for output in futures_util::future::join_all(all).await {
            assert!(output.unwrap().status.is_success());
        }
    }
    for link in kept {
        link.close().await;
    }
    let end = Instant::now() + PATIENCE;
    while descriptors() > open || tasks() > alive || !sshd.session_pids().is_empty() {
        assert!(
            Instant::now() < end,
            "{} descriptors after {open}, {} tasks after {alive}, left on the host {:?}",
            descriptors(),
            tasks(),
            sshd.session_pids()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(late + lost, count);
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    figure(NAME, "commands", count);
    figure(
        NAME,
        "told in time that they hang, lost with their link",
        format!("{late}, {lost}"),
    );
    figure(NAME, "links used", links);
    figure(
        NAME,
        "longest wait of a caller beyond its deadline",
        seconds(worst),
    );
    figure(NAME, "all over after", seconds(ended - began));
    figure(NAME, "none left on the host after", seconds(gone));
    figure(
        NAME,
        "descriptors before, after",
        format!("{open}, {}", descriptors()),
    );
    figure(NAME, "tasks before, after", format!("{alive}, {}", tasks()));
}

/// What one link's callers were told.
struct Told {
    late: usize,
    lost: usize,
    links: usize,
    worst: Duration,
    last: Arc<dyn Transport>,
}

/// Runs hung commands, four at a time, over a link that is replaced when it ends.
async fn one_link(connector: &dyn Connector, target: &Target, mine: Vec<usize>) -> Told {
    let dial = async || connector.connect(target).await.unwrap().transport;
    let mut told = Told {
        late: 0,
        lost: 0,
        links: 1,
        worst: Duration::ZERO,
        last: dial().await,
    };
    for batch in mine.chunks(4) {
        let link = Arc::clone(&told.last);
        let calls = batch.iter().map(|number| {
            let command = hung(*number);
            let link = &link;
            async move {
                let began = Instant::now();
                let limits = ExecLimits::within(DEADLINE);
                let result = timeout(PATIENCE, link.exec(&command, limits)).await;
                (result.expect("an answer"), began.elapsed())
            }
        });
        for (result, took) in futures_util::future::join_all(calls).await {
            told.worst = told.worst.max(took.saturating_sub(DEADLINE));
            match result {
                Err(TransportError::Timeout { .. }) => told.late += 1,
                Err(TransportError::Lost { .. }) => told.lost += 1,
                other => panic!("{other:?}"),
            }
        }
        // A link whose sessions are all taken by what it gave up replaces itself; so does its session.
        let closed = timeout(Duration::ZERO, told.last.closed()).await;
        if closed.is_ok() {
            told.last = dial().await;
            told.links += 1;
        }
    }
    told
}

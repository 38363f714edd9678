//! A reconnect storm: every SSH server of the fleet is restarted at once, and everybody comes back, in
//! an orderly way.

use std::time::Duration;

use tokio::time::Instant;
use vmdeck::session::backoff::FLOOR;
use vmdeck::session::limits::HANDSHAKES;
use vmdeck::sim::Scenario;

use crate::rig::{Manner, Rig};
use crate::support::campaign::{alone, descriptors, figure, rounds, seed, tasks};

/// Clients that one jump host may have to wait for at once, well below sshd's `MaxStartups` of 10.
const AT_ONE_JUMP_HOST: usize = 8;

/// A connection is asked for when it is, and noticed when there is time for it.
const NOTICED_LATE: Duration = Duration::from_millis(400);

/// How large a storm is.
struct Size {
    hosts: usize,
    /// Whether all hosts but the first are behind it.
    through_first: bool,
    rounds: usize,
    back_within: Duration,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_restarted_at_once_come_back_in_an_orderly_way() {
    storm(&Size {
        hosts: 60,
        through_first: false,
        rounds: 1,
        // The goal is 15 s; a machine that builds meanwhile gets more.
        back_within: Duration::from_secs(60),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_behind_a_jump_host_restarted_at_once_do_not_overrun_it() {
    storm(&Size {
        hosts: 30,
        through_first: true,
        rounds: 1,
        back_within: Duration::from_secs(60),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "two hundred hosts: tests/campaign storm"]
async fn two_hundred_hosts_restarted_at_once() {
    for through_first in [false, true] {
        storm(&Size {
            hosts: 200,
            through_first,
            rounds: rounds(5),
            back_within: Duration::from_secs(15),
        })
        .await;
    }
}

async fn storm(size: &Size) {
    const NAME: &str = "storm";
    let _turn = alone().await;
    let manner = Manner {
        seed: seed(1),
        through_first: size.through_first,
        ..Manner::default()
    };
    let rig = Rig::start(Scenario::grid(size.hosts, 4).unwrap(), &manner).await;
    rig.connect().await;
    let control = &rig.sim.demo.control;
    let (open, alive) = (descriptors(), tasks());
    let way = if size.through_first {
        "behind one jump host"
    } else {
        "dialled directly"
    };
    for _ in 0..size.rounds {
        control.forget_most_strangers();
        let before: Vec<usize> = attempts(&rig).iter().map(Vec::len).collect();
        let began = Instant::now();
        let restarts = rig.hosts.iter().map(|host| async {
            host.control.take_down().await;
            host.control.bring_up().await;
        });
        futures_util::future::join_all(restarts).await;
        let restarted = began.elapsed();
        let back = rig.all_read_within(size.back_within, began).await;
        assert!(back.is_some(), "{}", rig.word());
        let mut made = 0;
        for (attempts, before) in attempts(&rig).iter().zip(before) {
            let new = &attempts[before..];
            made += new.len();
            // The jump host itself is asked once for every host behind it.
            let is_jump_host = size.through_first && new.len() > 5;
            let gaps = new.windows(2).map(|pair| pair[1] - pair[0]);
            for gap in gaps.filter(|_| !is_jump_host) {
                assert!(gap + NOTICED_LATE >= FLOOR, "tried again after {gap:?}");
            }
        }
        let strangers = control.most_strangers();
        assert!(strangers <= HANDSHAKES, "{strangers} logins at once");
        let at_first = rig.hosts[0].control.most_strangers();
        if size.through_first {
            assert!(at_first <= AT_ONE_JUMP_HOST, "{at_first} logins at once");
        }
        let hosts = size.hosts;
        figure(NAME, "hosts", format!("{hosts} {way}"));
        let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        figure(NAME, "servers restarted within", seconds(restarted));
        figure(NAME, "all back and read after", seconds(back.unwrap()));
        figure(NAME, "connections made", made);
        figure(NAME, "logins under way at once, at most", strangers);
        figure(
            NAME,
            "logins under way at the first host, at most",
            at_first,
        );
    }
    figure(
        NAME,
        "descriptors, tasks before",
        format!("{open}, {alive}"),
    );
    figure(
        NAME,
        "descriptors, tasks after",
        format!("{}, {}", descriptors(), tasks()),
    );
    rig.end().await;
}

/// When each host was dialled.
fn attempts(rig: &Rig) -> Vec<Vec<Instant>> {
    rig.hosts.iter().map(|host| host.proxy.accepted()).collect()
}

//! Tests of the world, at given moments.

use super::*;
use crate::sim::scenario::Scenario;

const TEXT: &str = r#"
seed = 3
[[host]]
name = "h"
[[host.vm]]
name = "web"
uptime_h = 1
[[host.vm]]
name = "deaf"
obeys_shutdown = false
[[host.vm]]
name = "off"
state = "stopped"
[[host.vm]]
name = "asleep"
state = "saved"
[[host.vm]]
name = "cron"
restless_s = 60
"#;

struct Stage {
    world: World,
    start: Instant,
    events: broadcast::Receiver<Event>,
}

impl Stage {
    fn new() -> Self {
        let plans = Scenario::from_toml(TEXT).unwrap().hosts.remove(0).vms;
        let start = Instant::now();
        let world = World::new(plans, 3, start, Timestamp::UNIX_EPOCH);
        let events = world.subscribe();
        Self {
            world,
            start,
            events,
        }
    }

    fn at(&mut self, seconds: f64) -> &mut World {
        self.world
            .advance(self.start + Duration::from_secs_f64(seconds));
        &mut self.world
    }

    fn state(&self, vm: &str) -> SimState {
        let index = self.world.find(vm).unwrap();
        self.world.vm(index).unwrap().state()
    }

    fn told(&mut self, vm: &str) -> Vec<&'static str> {
        let mut told = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            if event.vm == vm {
                told.push(match event.what {
                    EventKind::Lifecycle(words) => words,
                    EventKind::Reboot => "reboot",
                });
            }
        }
        told
    }
}

fn index(world: &World, vm: &str) -> usize {
    world.find(vm).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_obedient_vm_is_off_some_seconds_after_it_was_asked() {
    let mut stage = Stage::new();
    let world = stage.at(1.0);
    let web = index(world, "web");
    world.shutdown(web).unwrap();
    world.shutdown(web).unwrap();
    assert_eq!(stage.state("web"), SimState::Running);
    stage.at(2.5);
    assert_eq!(stage.state("web"), SimState::Running);
    stage.at(7.5);
    assert_eq!(stage.state("web"), SimState::Stopped);
    assert_eq!(
        stage.told("web"),
        ["Shutdown Finished after guest request", "Stopped Shutdown"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_deaf_vm_runs_on_until_it_is_forced_off() {
    let mut stage = Stage::new();
    let world = stage.at(1.0);
    let deaf = index(world, "deaf");
    world.shutdown(deaf).unwrap();
    stage.at(600.0);
    assert_eq!(stage.state("deaf"), SimState::Running);
    stage.world.destroy(deaf).unwrap();
    assert_eq!(stage.state("deaf"), SimState::Stopped);
    assert_eq!(stage.world.destroy(deaf), Err(NOT_RUNNING));
}

#[tokio::test(start_paused = true)]
async fn forcing_off_overtakes_a_shutdown() {
    let mut stage = Stage::new();
    let world = stage.at(1.0);
    let web = index(world, "web");
    world.shutdown(web).unwrap();
    world.destroy(web).unwrap();
    world.start(web, StartOptions::default()).unwrap();
    stage.at(60.0);
    assert_eq!(stage.state("web"), SimState::Running);
}

#[tokio::test(start_paused = true)]
async fn what_was_saved_comes_back_as_it_was() {
    let mut stage = Stage::new();
    let world = stage.at(1.0);
    let (web, asleep) = (index(world, "web"), index(world, "asleep"));
    world.suspend(web).unwrap();
    world.suspend(web).unwrap();
    world.save(web).unwrap();
    assert_eq!(stage.state("web"), SimState::Saved);
    stage.world.start(web, StartOptions::default()).unwrap();
    assert_eq!(stage.state("web"), SimState::Paused);
    stage.world.start(asleep, StartOptions::default()).unwrap();
    assert_eq!(stage.state("asleep"), SimState::Running);
    assert_eq!(
        stage.told("web"),
        [
            "Suspended Paused",
            "Stopped Saved",
            "Started Restored",
            "Suspended Restored"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_saved_goes_on_with_what_it_ran_with() {
    let mut stage = Stage::new();
    let world = stage.at(1.0);
    let web = index(world, "web");
    let ran_with = world.vm(web).unwrap().plan.vcpus;
    world.save(web).unwrap();
    let vm = world.vm_mut(web).unwrap();
    vm.define(|kept| kept.vcpus = ran_with + 1);
    world.start(web, StartOptions::default()).unwrap();
    let vm = world.vm(web).unwrap();
    assert_eq!((vm.plan.vcpus, vm.kept.vcpus), (ran_with, ran_with + 1));
    world.destroy(web).unwrap();
    world.start(web, StartOptions::default()).unwrap();
    assert_eq!(world.vm(web).unwrap().plan.vcpus, ran_with + 1);
}

#[tokio::test(start_paused = true)]
async fn counters_grow_while_it_runs_and_stand_still_while_it_does_not() {
    let mut stage = Stage::new();
    let web = index(&stage.world, "web");
    let read = |stage: &mut Stage, at: f64| {
        let world = stage.at(at);
        world.vm(web).unwrap().cpu_time(world.t())
    };
    let first = read(&mut stage, 1.0);
    let second = read(&mut stage, 11.0);
    assert!(second > first, "{second} after {first}");
    // Two processors for ten seconds.
    assert!(second - first <= 20_000_000_000);
    stage.world.suspend(web).unwrap();
    let paused = read(&mut stage, 11.0);
    assert_eq!(read(&mut stage, 500.0), paused);
    stage.world.resume(web).unwrap();
    assert!(read(&mut stage, 501.0) >= paused);
    let spent = stage.world.cpu_spent();
    stage.world.destroy(web).unwrap();
    stage.world.start(web, StartOptions::default()).unwrap();
    assert!(read(&mut stage, 502.0) < paused);
    assert!(stage.world.cpu_spent() >= spent);
}

#[tokio::test(start_paused = true)]
async fn a_restless_vm_lives_and_the_same_seed_lives_the_same_life() {
    let life = || {
        let mut stage = Stage::new();
        (1..=40)
            .map(|step| {
                stage.at(f64::from(step) * 20.0);
                stage.state("cron")
            })
            .collect::<Vec<_>>()
    };
    let once = life();
    assert!(once.contains(&SimState::Running) && once.contains(&SimState::Stopped));
    assert_eq!(once, life());
}

#[tokio::test(start_paused = true)]
async fn every_state_can_be_forced_from_every_other() {
    let states = [
        SimState::Running,
        SimState::Paused,
        SimState::Stopped,
        SimState::Saved,
        SimState::Crashed,
    ];
    let mut stage = Stage::new();
    let web = index(&stage.world, "web");
    for from in states {
        for to in states {
            // A crashed VM has to be cut off first; nothing else is refused.
            stage.world.destroy(web).unwrap_or_default();
            stage.world.force(web, from).unwrap();
            assert_eq!(stage.state("web"), from);
            if from != SimState::Crashed || to == SimState::Stopped {
                stage.world.force(web, to).unwrap();
                assert_eq!(stage.state("web"), to, "{from:?} to {to:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn vms_come_and_go_and_the_others_stay_what_they_were() {
    let mut stage = Stage::new();
    let world = stage.at(1.0);
    let web = index(world, "web");
    world.shutdown(web).unwrap();
    world.remove(web);
    world.define(VmPlan::plain("new", "h").unwrap());
    assert_eq!(world.find("web"), None);
    assert!(world.find("new").is_some());
    assert_eq!(world.vms().count(), 5);
    stage.at(20.0);
    assert_eq!(stage.state("deaf"), SimState::Running);
    assert_eq!(
        stage.told("web"),
        [
            "Shutdown Finished after host request",
            "Stopped Destroyed",
            "Undefined Removed"
        ]
    );
}

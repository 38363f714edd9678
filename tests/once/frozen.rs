//! The real program is stopped in its tracks for longer than every deadline it has, and goes on: a laptop
//! that was closed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::live::Lab;

/// How long it is stopped; its hosts may be silent for a fifteenth of that.
const FROZEN: Duration = Duration::from_secs(60);

/// How long a fact may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_program_that_was_stopped_for_a_while_loses_no_host() {
    let mut scenario = String::from("seed = 3\n");
    for number in 1..=8 {
        write!(
            scenario,
            "[[host]]\nname = \"kvm{number}\"\n[[host.vm]]\nname = \"web\"\n"
        )
        .unwrap();
    }
    let lab = Lab::of(&scenario);
    // Dead after four times the keepalive.
    let config = lab
        .deck
        .configure("[poll]\nlibvirt_tick = \"1s\"\ndeadline = \"2s\"\n[ssh]\nkeepalive = \"1s\"\n");
    let mut child = lab
        .deck
        .command(&["--config", config.to_str().unwrap(), "--once", "watch"])
        .spawn()
        .unwrap();
    let (tell, told) = sync_channel(10_000);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let event: Value = serde_json::from_str(&line).unwrap();
            if tell.send(event).is_err() {
                return;
            }
        }
    });
    let mut seen: Vec<Value> = Vec::new();
    let mut until = |wanted: &dyn Fn(&Value) -> bool| {
        let end = Instant::now() + PATIENCE;
        loop {
            match told.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(event) => {
                    seen.push(event);
                    if wanted(seen.last().unwrap()) {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("waited in vain; seen was {seen:#?}"),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended; seen was {seen:#?}"),
            }
        }
    };
    until(&|event| event["event"] == "init");
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::STOP).unwrap();
    let (wake, woken) = sync_channel::<()>(1);
    assert!(woken.recv_timeout(FROZEN).is_err());
    kill_process(pid, Signal::CONT).unwrap();
    drop(wake);
    // It goes on: what changes now is told, for every host.
    for number in 1..=8 {
        let name = format!("kvm{number}");
        lab.control(&name)
            .set_state("web", vmdeck::sim::SimState::Paused)
            .unwrap();
        until(&|event| event["event"] == "vm_state" && event["host"] == name.as_str());
    }
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut errors: BTreeMap<String, usize> = BTreeMap::new();
    for event in &seen {
        assert_ne!(event["event"], "host_down", "{event}");
        if event["event"] == "error" {
            *errors.entry(event["host"].to_string()).or_default() += 1;
        }
    }
    // What was under way when it was stopped may have come too late.
    assert!(errors.values().all(|count| *count <= 1), "{seen:#?}");
}

//! The simulator's `virsh` against recordings of the real one (`tests/fixtures/sim`, made by the
//! script beside them): standard output, standard error and exit status, byte for byte, but for
//! figures that no two machines share.

use std::sync::Arc;

use jiff::Timestamp;
use proptest::test_runner::Config;

use super::host::SimHost;
use super::program::{Surroundings, run_line};
use super::scenario::Scenario;
use super::stdio::{Piece, Stdio};

const RECORDED: &str = include_str!("../../tests/fixtures/sim/libvirt-9.0.0.txt");

/// The machine of the recording, as a scenario.
const SCENARIO: &str = r#"
[[host]]
name = "vm"
uri = "qemu:///session"
cpus = 2
[[host.vm]]
name = "g1"
uuid = "00000001-1111-4222-8333-444444444441"
memory_mib = 64
title = "Web front"
description = "Serves\nthe shop"
[[host.vm]]
name = "g2"
uuid = "00000002-1111-4222-8333-444444444442"
memory_mib = 64
state = "stopped"
snapshots = [SNAPSHOTS]
[[host.vm]]
name = "g3"
uuid = "00000003-1111-4222-8333-444444444443"
memory_mib = 64
state = "stopped"
[[host.vm]]
name = "вм-é"
uuid = "00000004-1111-4222-8333-444444444444"
memory_mib = 64
state = "stopped"
"#;

const SNAPSHOTS: &str =
    r#"{ name = "s1", age_h = 3 }, { name = "s2", age_h = 2 }, { name = "s3", age_h = 1 }"#;

fn host(snapshots: &str) -> Arc<SimHost> {
    let text = SCENARIO.replace("SNAPSHOTS", snapshots);
    let plan = Scenario::from_toml(&text).unwrap().hosts.remove(0);
    SimHost::new(plan, 0, Timestamp::UNIX_EPOCH, Arc::default())
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Answer {
    out: String,
    err: String,
    status: u32,
}

#[derive(Debug, Default)]
struct Step {
    line: String,
    input: String,
    answer: Answer,
}

/// Reads the recording; `None` is the place where snapshots were made.
fn steps() -> Vec<Option<Step>> {
    let mut steps = Vec::new();
    let mut step = Step::default();
    for line in RECORDED.lines() {
        let (mark, rest) = line.split_at(1);
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        match mark {
            "$" => step.line = rest.to_owned(),
            "<" => step.input.push_str(&[rest, "\n"].concat()),
            "|" => step.answer.out.push_str(&[rest, "\n"].concat()),
            "!" => step.answer.err.push_str(&[rest, "\n"].concat()),
            "~" => assert_eq!(step.answer.out.pop(), Some('\n')),
            "=" => {
                step.answer.status = rest.parse().unwrap();
                steps.push(Some(std::mem::take(&mut step)));
            }
            "%" => steps.push(None),
            _ => panic!("no line of a recording: {line:?}"),
        }
    }
    steps
}

async fn run(host: &Arc<SimHost>, line: &str, input: &str) -> Answer {
    let env = vec![("LC_ALL".to_owned(), "C".to_owned())];
    let around = Surroundings::login(Arc::clone(host), "simref", env);
    let (mut stdio, mut ends) = Stdio::new();
    ends.input.try_send(input.as_bytes().to_vec()).unwrap();
    drop(ends.input);
    let program = async move { run_line(around, line, &mut stdio).await };
    let read = async {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        while let Some(piece) = ends.output.recv().await {
            match piece {
                Piece::Out(bytes) => out.extend(bytes),
                Piece::Err(bytes) => err.extend(bytes),
            }
        }
        (out, err)
    };
    let (status, (out, err)) = tokio::join!(program, read);
    Answer {
        out: String::from_utf8(out).unwrap(),
        err: String::from_utf8(err).unwrap(),
        status,
    }
}

/// Takes out what differs between machines: sizes on disk, times, and the order of `domstats`.
fn comparable(line: &str, answer: &mut Answer) {
    let figures = [
        (r"(CPU time: +)[0-9.]+s", "${1}Ns"),
        (
            r"(block\.0\.(?:allocation|physical|capacity))=\d+",
            "${1}=N",
        ),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
    ];
    for (pattern, with) in figures {
        let pattern = regex::Regex::new(pattern).unwrap();
        answer.out = pattern.replace_all(&answer.out, with).into_owned();
    }
    // libvirt walks a hash table; nobody may depend on its order.
    if line.contains("domstats") && !line.contains("4222") {
        let mut blocks: Vec<&str> = answer.out.trim_end().split("\n\n").collect();
        blocks.sort_unstable();
        answer.out = blocks.join("\n\n");
    }
}

/// Writes the words of a recorded step as a command line.
fn command_line(step: &Step) -> String {
    // The only step whose words hold a blank or a `;` is this one.
    match step.line.split_once(" domstate ") {
        Some((head, words)) if words.contains(';') => format!("virsh {head} 'domstate {words}'"),
        _ => format!("virsh {}", step.line),
    }
}

#[tokio::test(start_paused = true)]
async fn virsh_answers_as_the_recorded_one() {
    let mut vm_host = host("");
    let mut compared = 0;
    for step in steps() {
        let Some(mut step) = step else {
            vm_host = host(SNAPSHOTS);
            continue;
        };
        let line = command_line(&step);
        let mut answer = run(&vm_host, &line, &step.input).await;
        // Domstats in a kept session is compared by its framing only.
        if step.input.contains("domstats") {
            answer.out.truncate(answer.out.find("Domain").unwrap());
            step.answer
                .out
                .truncate(step.answer.out.find("Domain").unwrap());
        }
        comparable(&line, &mut answer);
        comparable(&line, &mut step.answer);
        assert_eq!(answer, step.answer, "{line} with {:?}", step.input);
        compared += 1;
    }
    assert!(compared > 120, "{compared} steps");
}

#[tokio::test(start_paused = true)]
async fn addresses_are_told_by_the_source_that_knows_them() {
    let text = r#"
        [[host]]
        name = "h"
        [[host.vm]]
        name = "a"
        addresses = ["lease 192.168.122.3/24", "agent 10.0.0.7/24", "agent fe80::7/64", "arp 10.1.1.1/24"]
    "#;
    let plan = Scenario::from_toml(text).unwrap().hosts.remove(0);
    let vm_host = SimHost::new(plan, 0, Timestamp::UNIX_EPOCH, Arc::default());
    let mac = vm_host.world(|world| world.vm(0).unwrap().mac());
    let told = async |source: &str| {
        let line = format!("virsh -q domifaddr a --source {source}");
        run(&vm_host, &line, "").await.out
    };
    // The shape is that of `virsh -q -c test:///default domifaddr test` of libvirt 9.0.0:
    // " testnet0   aa:bb:cc:dd:ee:ff    ipv4         192.168.122.3/24".
    assert_eq!(
        told("lease").await,
        format!(" vnet0      {mac}    ipv4         192.168.122.3/24\n")
    );
    assert_eq!(
        told("agent").await,
        format!(
            " lo         00:00:00:00:00:00    ipv4         127.0.0.1/8\n eth0       {mac}    ipv4         10.0.0.7/24\n -          -                    ipv6         fe80::7/64\n"
        )
    );
    assert_eq!(
        told("arp").await,
        format!(" vnet0      {mac}    ipv4         10.1.1.1/0\n")
    );
}

proptest::proptest! {
    #![proptest_config(Config::with_cases((Config::default().cases / 10).max(200)))]

    #[test]
    fn no_input_and_no_command_line_makes_it_fall_over(
        line in "\\PC*|(virsh|sh|env|timeout|sudo|echo|;| |-q|-c|'|\"|list|domstats|\\$){0,12}",
        input in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let vm_host = host("");
            let around = Surroundings::login(vm_host, "x", Vec::new());
            let (mut stdio, mut ends) = Stdio::new();
            ends.input.try_send(input).unwrap();
            drop(ends.input);
            let read = async { while ends.output.recv().await.is_some() {} };
            let program = async move {
                // A line may well ask for something that never ends.
                let run = run_line(around, &line, &mut stdio);
                drop(tokio::time::timeout(std::time::Duration::from_secs(60), run).await);
            };
            tokio::join!(program, read);
        });
    }
}

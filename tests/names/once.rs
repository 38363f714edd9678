//! `--once`: every command in every format.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use vmdeck::clock::Clock;
use vmdeck::domain::action::ActionKind;
use vmdeck::domain::text::RemoteText;
use vmdeck::fleet::FleetHandle;
use vmdeck::once::{self, Act, Command, Format, Listing, Script, Targets, Verb, Wait};
use vmdeck::task::Tasks;
use vmdeck::testing::{fleet, names};

use crate::{engine, harmless};

const FORMATS: [Format; 5] = [
    Format::Table,
    Format::Json,
    Format::Ndjson,
    Format::Csv,
    Format::Markdown,
];

async fn said(handle: &FleetHandle, command: Command, format: Format) -> (String, String) {
    let script = Script {
        command,
        format,
        actor: fleet::actor(),
        patience: Duration::from_millis(300),
        stop: CancellationToken::new(),
    };
    let clock = Clock::manual(fleet::now());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    once::run(handle, script, &mut out, &mut err, &clock).await;
    (
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    )
}

/// What stands at the ends of the lines of CSV is its own.
fn body(format: Format, text: &str) -> String {
    match format {
        Format::Csv => text.replace("\r\n", "\n"),
        _ => text.to_owned(),
    }
}

#[tokio::test]
async fn lists_of_vms_and_hosts_in_every_format() {
    let tasks = Tasks::new();
    let handle = engine::start(&tasks);
    for format in FORMATS {
        for command in [
            Command::List(Listing::default()),
            Command::List(Listing {
                columns: once::columns()[0]
                    .iter()
                    .map(|(id, _)| (*id).to_owned())
                    .collect(),
                ..Listing::default()
            }),
            Command::Hosts(Listing::default()),
        ] {
            let what = format!("{command:?} as {format:?}");
            let (out, err) = said(&handle, command, format).await;
            assert!(!out.is_empty(), "{what}: {err}");
            harmless(&body(format, &out), &what);
            harmless(&err, &what);
        }
    }
    tasks.cancel();
}

#[tokio::test]
async fn json_gives_every_name_back_as_the_host_has_it() {
    let tasks = Tasks::new();
    let handle = engine::start(&tasks);
    let (out, _) = said(&handle, Command::List(Listing::default()), Format::Ndjson).await;
    let mut found: Vec<String> = out
        .lines()
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            row["name"].as_str().unwrap().to_owned()
        })
        .collect();
    let mut sent: Vec<String> = names::hostile()
        .iter()
        .map(|name| RemoteText::new(name).raw().to_owned())
        .collect();
    found.sort();
    sent.sort();
    assert_eq!(found, sent);
    tasks.cancel();
}

#[tokio::test]
async fn one_vm_its_plan_and_every_complaint_about_it() {
    let tasks = Tasks::new();
    let handle = engine::start(&tasks);
    for (n, name) in names::hostile().iter().enumerate() {
        let format = FORMATS[n % FORMATS.len()];
        let id = fleet::vm_id(1, n).to_string();
        // By its id, and by a name that may well be nobody's or everybody's.
        for target in [id.clone(), name.clone()] {
            let (out, err) = said(&handle, Command::Show(target), format).await;
            harmless(&body(format, &out), name);
            harmless(&err, name);
        }
        for dry_run in [true, false] {
            let act = Act {
                verb: Verb::Plain(if n % 3 == 0 {
                    ActionKind::Start
                } else {
                    ActionKind::Shutdown
                }),
                targets: Targets::Named(vec![id.clone()]),
                yes: true,
                dry_run,
                wait: Wait::No,
            };
            let (out, err) = said(&handle, Command::Act(act), format).await;
            assert!(!out.is_empty() || !err.is_empty(), "{name:?}");
            harmless(&body(format, &out), name);
            harmless(&err, name);
        }
    }
    tasks.cancel();
}

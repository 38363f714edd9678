//! The server keeps to its own description: every operation is described, what the handlers answer is
//! what the document says, and schemathesis finds nothing else.

use std::path::PathBuf;

use axum::http::Method;
use serde_json::Value;

use crate::rig::{Rig, TWO_HOSTS};
use crate::support;

async fn document(rig: &Rig) -> Value {
    let answer = rig
        .ask_as("", Method::GET, "/v1/openapi.json", &[], None)
        .await;
    assert_eq!(answer.header("content-type"), "application/json");
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_whole() {
    let rig = Rig::start(TWO_HOSTS).await;
    let document = document(&rig).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for part in text.split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name} is named and not there");
    }
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 18, "{:?}", paths.keys());
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            let what = format!("{method} {path}");
            assert!(operation["summary"].is_string(), "{what} says nothing");
            let open = operation.get("security").is_some();
            let answers = operation["responses"].as_object().unwrap();
            assert_eq!(answers.contains_key("401"), !open, "{what}");
            assert!(
                answers.keys().any(|status| status.starts_with('2')),
                "{what}"
            );
            // What is described is there: without a key it is refused, not unknown.
            let real = path.replace(['{', '}'], "");
            let method: Method = method.to_uppercase().parse().unwrap();
            let answer = rig.ask_as("", method, &real, &[], None).await;
            let expected = if open { 200 } else { 401 };
            assert_eq!(answer.status.as_u16(), expected, "{what}: {}", answer.text);
        }
    }
}

/// What there is, so that more than refusals is tried.
const KNOWN: &str = r#"
# A head that is too large is refused before anything in it is looked at.
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, 431, "5xx"]

[[operations]]
include-path = "/v1/vms/{host}/{id}"
parameters = { "path.host" = "kvm1", "path.id" = "web-2" }

[[operations]]
include-path = "/v1/vms/{host}/{id}/actions/{verb}"
parameters = { "path.host" = "kvm1", "path.id" = "web-1" }
"#;

/// The program, beside the python that `tests/run` prepares.
#[expect(clippy::disallowed_methods, reason = "the test's own setting")]
fn schemathesis() -> PathBuf {
    let python = std::env::var_os("VMDECK_PYTHON").map(PathBuf::from);
    let python = python.unwrap_or_else(|| PathBuf::from("/var/cache/vmdeck-lab/python/bin/python"));
    let program = python.with_file_name("schemathesis");
    assert!(
        program.exists(),
        "there is no {}: `tests/run` installs it, or let VMDECK_PYTHON name the python beside one",
        program.display()
    );
    program
}

/// Lets it loose on every operation, in the phases that are named: each is a test of its own, so that
/// they run beside others.
async fn schemathesis_finds_nothing(phases: &'static str) {
    let program = schemathesis();
    // It tries wrong keys, and many of them; it also thinks longer than a connection may be idle.
    let scenario = vmdeck::sim::Scenario::from_toml(TWO_HOSTS).unwrap();
    let rig = Rig::with(scenario, |config| {
        config.limit.failures_per_address = 1_000_000;
        config.limit.dials_per_user = 1_000_000;
        config.limit.header_time = std::time::Duration::from_secs(600);
    })
    .await;
    rig.ready().await;
    let address = rig.listen();
    let url = format!("http://{address}");
    let key = format!("Authorization: Bearer {}", rig.key);
    let folder = rig.folder().join("schemathesis");
    std::fs::create_dir(&folder).unwrap();
    support::write(folder.join("schemathesis.toml"), KNOWN);
    let ran = tokio::task::spawn_blocking(move || {
        support::command(program.to_str().unwrap())
            .current_dir(&folder)
            .args(["run", &format!("{url}/v1/openapi.json"), "--url", &url])
            .args(["--header", &key, "--seed", "20", "--no-color"])
            .args(["--phases", phases, "--max-examples", "200"])
            .args(["--exclude-path", "/v1/events", "--request-timeout", "30"])
            // What a filter or a cursor is cannot be said in a schema: valid text may be refused.
            .args(["--exclude-checks", "positive_data_acceptance"])
            .args(["--suppress-health-check", "all", "--continue-on-failure"])
            .output()
            .unwrap()
    })
    .await
    .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    println!("{said}");
    assert!(
        ran.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_by_examples_and_coverage() {
    schemathesis_finds_nothing("examples,coverage").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_by_fuzzing() {
    schemathesis_finds_nothing("fuzzing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_in_sequences() {
    schemathesis_finds_nothing("stateful").await;
}

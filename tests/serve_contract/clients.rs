//! Clients over a socket: those of `docs/clients`, and one in plain Python that knows only the page.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use vmdeck::serve::{Listener, Running};

use crate::ground::{Ground, Kind};
use crate::rig::{API_KEY, HMAC_SECRET, Plan, Rig};
use crate::support::command;

#[path = "../../docs/clients/signed.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    clippy::disallowed_methods,
    reason = "a program of its own, as it is handed out"
)]
mod signed;

/// A server on a socket.
struct Site {
    rig: Rig,
    running: Running,
    base: String,
}

impl Site {
    async fn start(hmac: bool, require_v2: bool) -> Self {
        let rig = Rig::of(Plan::with(|plan| {
            plan.hmac = hmac;
            plan.config.require_v2 = require_v2;
        }))
        .await;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(any, None, false).expect("a socket");
        let base = format!("http://{}", listener.addresses()[0]);
        let running = vmdeck::serve::serve(listener, rig.router.clone(), &rig.state);
        Self { rig, running, base }
    }

    async fn end(self) {
        self.running.stop(Duration::from_secs(5)).await;
        self.rig.end().await;
    }
}

/// Waits out the second in which the server began: nothing signed in it may act.
async fn next_second() {
    tokio::time::sleep(Duration::from_millis(1_100)).await;
}

async fn run(mut prepared: Command) -> (bool, String, String) {
    let ended = tokio::task::spawn_blocking(move || prepared.output())
        .await
        .unwrap();
    let ended = ended.expect("the program is installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        ended.status.success(),
        text(&ended.stdout),
        text(&ended.stderr),
    )
}

/// The python that `tests/run` prepares, which has `requests`; else the one on the path.
#[expect(
    clippy::disallowed_methods,
    reason = "where the tests' own programs are"
)]
fn python() -> String {
    std::env::var("VMDECK_PYTHON").unwrap_or_else(|_unset| "python3".to_owned())
}

fn document(name: &str) -> String {
    format!("{}/docs/clients/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs one of the ready clients; returns whether it ended well, and the body.
async fn client(
    program: &str,
    script: &str,
    site: &Site,
    call: [&str; 2],
    secret: &str,
) -> (bool, Value) {
    let mut prepared = command(program);
    prepared.args([&document(script), &site.base, call[0], call[1]]);
    prepared.env("API_KEY", API_KEY).env("HMAC_SECRET", secret);
    let (ok, stdout, stderr) = run(prepared).await;
    let body =
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"));
    (ok, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ready_clients_sign_as_the_server_checks() {
    let site = Site::start(true, true).await;
    next_second().await;
    let python = python();
    for (program, script, vm) in [
        (python.as_str(), "signed.py", "Windows%2010"),
        ("sh", "signed.sh", "only-2"),
    ] {
        let (ok, list) = client(program, script, &site, ["GET", "/vm/list"], HMAC_SECRET).await;
        assert!(ok && list["vms"].is_array(), "{script}: {list}");
        let query = format!("/vm/{vm}/state?host=&b=2&a=1");
        let (ok, state) = client(program, script, &site, ["GET", &query], HMAC_SECRET).await;
        assert!(ok && state["state"] == "Off", "{script}: {state}");
        let start = format!("/vm/{vm}/start");
        let (ok, started) = client(program, script, &site, ["POST", &start], HMAC_SECRET).await;
        assert!(ok && started["status"] == "success", "{script}: {started}");
        let (ok, refused) = client(program, script, &site, ["GET", "/vm/list"], "wrong").await;
        assert!(!ok && refused["detail"].is_string(), "{script}: {refused}");
    }
    let base = site.base.clone();
    let called = tokio::task::spawn_blocking(move || {
        let call = |method, target, secret| {
            signed::call(&base, method, target, API_KEY, secret).expect("an answer")
        };
        [
            call("GET", "/vm/list?b=2&a=1", HMAC_SECRET),
            call("POST", "/vm/twin/start?host=kvm1", HMAC_SECRET),
            call("GET", "/vm/list", "wrong"),
        ]
    })
    .await
    .unwrap();
    let statuses = called.each_ref().map(|(status, _)| *status);
    assert_eq!(statuses, [200, 200, 401], "{called:?}");
    site.end().await;
}

/// Runs the client that knows only the page against the real program, over a host of one kind.
fn the_plain_client_on(kind: Kind) {
    let ground = Ground::of(kind);
    let mut facts = json!({
        "base": format!("http://{}", ground.served.address),
        "api_key": API_KEY,
        "hmac_secret": HMAC_SECRET,
        "admin": ground.admin,
        "agent": ground.agent(),
        "program": if kind == Kind::HyperV { "powershell.exe" } else { "virsh" },
    });
    if let Some((console, ready)) = ground.console() {
        facts["console"] = json!(console);
        facts["ready"] = json!(ready);
    }
    ground.wait_out_the_first_second();
    let mut prepared = command(&python());
    prepared.arg(format!(
        "{}/tests/serve_contract/client.py",
        env!("CARGO_MANIFEST_DIR")
    ));
    prepared.env("FACTS", facts.to_string());
    let ended = prepared.output().expect("python is installed");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    );
    assert!(ended.status.success(), "{said}");
    assert!(said.contains("all calls answered"), "{said}");
    ground.end();
}

#[test]
fn a_client_that_knows_only_the_page_works_on_a_simulated_host() {
    the_plain_client_on(Kind::Simulated);
}

#[test]
fn a_client_that_knows_only_the_page_works_on_a_libvirt_host() {
    the_plain_client_on(Kind::Libvirt);
}

#[test]
fn a_client_that_knows_only_the_page_works_on_a_hyperv_host() {
    the_plain_client_on(Kind::HyperV);
}

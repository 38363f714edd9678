//! Secrets are planted everywhere a secret goes in, the server is made to act and to fail with them, and
//! then everything that ever left it is searched.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use serde_json::{Value, json};
use vmdeck::clock::Clock;
use vmdeck::domain::host::HostSpec;
use vmdeck::domain::secret::SecretText;
use vmdeck::serve::contract::bot::signature;

use crate::program::{Home, Server, everything, send};
use crate::serving::{Answer, parse};
use crate::support::keys::{KeyKind, KeyPair};
use crate::support::simulated::SimFleet;
use crate::support::write;

const SERVER_PASSPHRASE: &str = "canary-passphrase-of-the-server";
const BOT_KEY: &str = "canary-bot-key";
const HMAC_SECRET: &str = "canary-hmac-secret";

const CONFIG: &str = r#"
[serve.dial]
allow = ["127.0.0.0/8"]
[serve.bot]
profile = "default"
api_key_file = "HOME/bot-key"
hmac_secret_file = "HOME/hmac-secret"
[log]
level = "debug"
"#;

/// Sends a request as it stands.
fn raw(address: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    parse(&bytes).expect("an answer")
}

/// A signed call of the bot contract.
fn bot(address: SocketAddr, method: &str, path: &str, secret: &str) -> Answer {
    let stamp = Clock::system().now().as_second().to_string();
    let secret = SecretText::from(secret.to_owned());
    let signed = signature::hex(&signature::sign_old(&secret, b"", &stamp));
    raw(
        address,
        &format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nx-api-key: {BOT_KEY}\r\n\
             x-timestamp: {stamp}\r\nx-signature: {signed}\r\nContent-Length: 0\r\n\r\n"
        ),
    )
}

/// What others of this machine could read of a process; nothing where that is forbidden.
fn proc(pid: u32, name: &str) -> Vec<u8> {
    std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default()
}

/// Counts a text in the writable memory of a process; `None` where nobody may look.
fn in_memory(pid: u32, text: &str) -> Option<usize> {
    let maps = String::from_utf8(std::fs::read(format!("/proc/{pid}/maps")).ok()?).ok()?;
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut found = 0;
    for line in maps.lines().filter(|line| line.contains(" rw-p ")) {
        let (from, to) = line.split_whitespace().next()?.split_once('-')?;
        let from = u64::from_str_radix(from, 16).ok()?;
        let length = u64::from_str_radix(to, 16).ok()? - from;
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        // Pages that were never touched cannot be read.
        if memory.read_exact_at(&mut bytes, from).is_ok() {
            found += bytes
                .windows(text.len())
                .filter(|window| *window == text.as_bytes())
                .count();
        }
    }
    Some(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn a10_planted_secrets_are_found_nowhere() {
    let scenario =
        "seed = 2\n[[host]]\nname = \"kvm1\"\n[[host.vm]]\nname = \"spare\"\nstate = \"stopped\"\n";
    let sim = SimFleet::start(scenario).await;
    let spec = sim.host("kvm1").spec.clone();
    let pem = sim.demo.login_key_pem.expose().clone();
    let searched = tokio::task::spawn_blocking(move || plant_and_search(&spec, &pem));
    searched.await.unwrap();
    sim.end().await;
}

/// A client that keeps everything it is told.
struct Client<'a> {
    address: SocketAddr,
    user: String,
    spec: &'a HostSpec,
    pem: &'a str,
    sealed_pem: String,
    said: String,
}

impl Client<'_> {
    #[track_caller]
    fn ask(&mut self, method: &str, path: &str, body: Option<&Value>, status: u16) -> Value {
        let user = self.user.clone();
        self.ask_with(&user, method, path, body, status)
    }

    #[track_caller]
    #[expect(clippy::too_many_arguments, reason = "a request has these parts")]
    fn ask_with(
        &mut self,
        key: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
        status: u16,
    ) -> Value {
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = send(self.address, method, path, Some(key), &body).unwrap();
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{method} {path}: {}",
            answer.text()
        );
        let told = format!("{:?}\n{}\n", answer.headers, answer.text());
        self.said.push_str(&told);
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    fn agent(&self, name: &str, pem: &str, phrase: Option<&str>) -> Value {
        json!({
            "name": name, "hostname": "127.0.0.1", "port": self.spec.endpoint.port_or_default(),
            "username": self.spec.user.as_ref().unwrap().as_str(), "allow_unknown_hosts": true,
            "private_key": pem, "private_key_passphrase": phrase,
        })
    }

    /// Uses every secret for what it is for.
    fn succeed(&mut self) -> Value {
        let agent = self.agent("kvm1", self.pem, None);
        let made = self.ask("POST", "/agents", Some(&agent), 201);
        let vms = format!("/agents/{}/vms", made["id"]);
        self.ask("GET", &vms, None, 200);
        self.ask("POST", &format!("{vms}/spare/start"), None, 200);
        // The portal answers when the hypervisor has taken it; the goal may be seen later.
        let started = self.ask("GET", "/v1/operations", None, 200);
        let started = started["items"][0]["operation"]
            .as_str()
            .unwrap()
            .to_owned();
        self.ask(
            "GET",
            &format!("/v1/operations/{started}?wait=20"),
            None,
            200,
        );
        let act = "/v1/vms/kvm1/spare/actions/force-off?wait=20";
        self.ask("POST", act, None, 200);
        let password = json!({"password": "canary-password"});
        self.ask("PUT", "/v1/credentials/pw", Some(&password), 200);
        let key = json!({"private_key": self.sealed_pem, "passphrase": "canary-key-phrase"});
        self.ask("PUT", "/v1/credentials/key", Some(&key), 200);
        for path in [
            "/v1/credentials",
            "/v1/hosts",
            "/v1/audit",
            "/agents",
            "/v1/operations",
            "/metrics",
            "/v1/openapi.json",
            "/users/me",
        ] {
            self.ask("GET", path, None, 200);
        }
        made["id"].clone()
    }

    /// Uses every secret where it does not belong.
    fn fail(&mut self, agent: &Value) {
        let port = self.spec.endpoint.port_or_default();
        for (name, credential) in [("kvm2", "pw"), ("kvm3", "key")] {
            let host = json!({
                "name": name, "address": format!("127.0.0.1:{port}"), "user": "ops",
                "credential": credential,
            });
            self.ask("POST", "/v1/hosts", Some(&host), 201);
            self.ask("POST", &format!("/v1/hosts/{name}/check"), None, 200);
        }
        let wrong = self.agent("kvm4", &self.sealed_pem, Some("canary-wrong-phrase"));
        self.ask("POST", "/agents", Some(&wrong), 201);
        let pem = self.pem;
        let strange = json!({"private_key": pem, "private_key_passphrase": ["canary-list"]});
        self.ask("POST", "/agents", Some(&strange), 422);
        for strange in [
            json!({"password": ["canary-list"]}),
            json!({"password": "canary-password", "private_key": pem}),
            json!({"private_key": format!("canary-{pem}")}),
            json!({"private_key": self.sealed_pem, "passphrase": "canary-wrong-phrase"}),
            json!({"canary-member": 1}),
        ] {
            self.ask("PUT", "/v1/credentials/x", Some(&strange), 400);
        }
        self.ask("GET", &format!("/agents/{agent}/credentials"), None, 403);
        self.ask("GET", "/canary-path", None, 404);
        self.ask_with("canary-wrong-key", "GET", "/v1/hosts", None, 401);
        self.ask_with("canary-wrong-key", "GET", "/users/me", None, 403);
        for (method, path, secret, status) in [
            ("GET", "/vm/list", HMAC_SECRET, 200),
            ("GET", "/vm/list", "canary-other-secret", 401),
            ("POST", "/vm/canary-vm/start", "canary-other-secret", 401),
        ] {
            let answer = bot(self.address, method, path, secret).expect(status);
            self.said.push_str(&answer.text());
        }
    }
}

fn plant_and_search(spec: &HostSpec, pem: &str) {
    let home = Home::new();
    let root = home.0.path();
    let pair = KeyPair::generate(&root.join("k"), KeyKind::Ed25519, "canary-key-phrase");
    let sealed_pem = pair.pem();
    std::fs::remove_file(root.join("k")).unwrap();
    let secret_files = [
        ("passphrase", SERVER_PASSPHRASE),
        ("bot-key", BOT_KEY),
        ("hmac-secret", HMAC_SECRET),
    ];
    for (name, text) in secret_files {
        vmdeck::private_file::write_atomic(&root.join(name), text.as_bytes()).unwrap();
    }
    let config = CONFIG.replace("HOME", &root.display().to_string());
    write(root.join("config.toml"), config);
    let mut prepared = home.command(&["--serve", "--listen", "127.0.0.1:0", "--verbose"]);
    prepared.env("VMDECK_PASSPHRASE_FILE", root.join("passphrase"));
    let mut server = Server::start(prepared);
    let admin = server.key();
    // The one time that a key is told is not part of what is searched.
    let body = r#"{"name": "ann"}"#;
    let made = send(server.address, "POST", "/users", Some(&admin), body).unwrap();
    let user = made.expect(201).json()["api_key"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut client = Client {
        address: server.address,
        user,
        spec,
        pem,
        sealed_pem,
        said: String::new(),
    };
    let agent = client.succeed();
    client.fail(&agent);
    client.ask_with(&admin, "GET", "/metrics", None, 200);

    let pid = server.child.id();
    let visible = [proc(pid, "cmdline"), proc(pid, "environ")].concat();
    let memory = in_memory(pid, SERVER_PASSPHRASE);
    println!("the server's passphrase in its memory after it was used: {memory:?} times");
    let (code, _, log) = server.end();
    assert_eq!(code, Some(0), "{log}");
    for (name, _) in secret_files {
        std::fs::remove_file(root.join(name)).unwrap();
    }
    let files = everything(root);
    let visible = String::from_utf8_lossy(&visible);
    let said = &client.said;
    let mut secrets: Vec<&str> = vec!["canary", &client.user, "AGE-SECRET-KEY"];
    let lines = pem.lines().chain(client.sealed_pem.lines());
    secrets.extend(lines.filter(|line| line.len() >= 60));
    assert!(secrets.len() > 5, "{}", secrets.len());
    let places = [
        ("log", log.as_str()),
        ("answer", said.as_str()),
        ("file", files.as_str()),
        ("process", &*visible),
    ];
    for (secret, (place, text)) in secrets
        .into_iter()
        .flat_map(|secret| places.map(|place| (secret, place)))
    {
        let around = text.find(secret).map(|at| {
            let from = text.floor_char_boundary(at.saturating_sub(200));
            let to = text.floor_char_boundary((at + 200).min(text.len()));
            text.get(from..to).unwrap_or_default()
        });
        assert_eq!(around, None, "{secret} is in a {place}");
    }
    assert!(!said.contains(&admin) && !files.contains(&admin));
    assert_eq!(log.matches(&admin).count(), 1, "shown once");
    assert!(memory.is_none_or(|count| count == 0), "{memory:?}");
}

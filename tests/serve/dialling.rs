//! No spelling of an address makes the server dial itself or what is around it: not when a host is
//! defined over the API, and not when it is dialled later and the name leads elsewhere.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use serde_json::json;
use vmdeck::domain::host::Endpoint;
use vmdeck::resolve::{Looking, Lookup, Resolver};
use vmdeck::serve::dial_guard::{self, DialGuard};
use vmdeck::transport::Connector;
use vmdeck::transport::ssh::{DialRule, SshConnector, SshOptions};

use crate::serving::{PROFILE, Serving, TWO_HOSTS};

/// What is refused in every spelling, one a line; `own` is an address that the server listens on.
const SPELLINGS: &str = "
    127.0.0.1 127.0.0.1. 127.1 127.0.1 127.255.255.254 2130706433 0x7f000001 0X7F000001 0x7f.0.0.1
    0x7f.1 0177.0.0.1 0177.0.1 0177.1 017700000001 127.0x0.0.1 0x7f.0x0.0x0.0x1 0000177.0.0.1
    ::1 0:0:0:0:0:0:0:1 ::ffff:127.0.0.1 ::ffff:7f00:1 0:0:0:0:0:ffff:127.0.0.1 ::127.0.0.1
    64:ff9b::127.0.0.1 64:ff9b::7f00:1 2002:7f00:1:: 2002:7f00:1::1 ::1%lo
    localhost LOCALHOST localhost. LocalHost. localhost.. app.localhost app.localhost. ip6-localhost
    ip6-loopback loopback.example both.example mapped.example nat64.example six.example
    0 00 0x0 0.0.0.0 0.0.0.0. 0.1.2.3 :: ::ffff:0.0.0.0
    169.254.169.254 169.254.169.254. 2852039166 0xa9fea9fe 0251.0376.0251.0376 0xa9.0xfe.0xa9.0xfe
    169.254.43518 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe fe80::1 fe80::1%eth0 fe80::1%1 febf::9
    metadata.example fec0::1
    224.0.0.1 3758096385 239.255.255.250 ff02::1 255.255.255.255 4294967295 240.0.0.1
    192.0.2.10 3221225994 ::ffff:192.0.2.10 own.example
";

/// Ends in a number and is no address.
const NEITHER: &str = "127.0.0.256 0x7f.0.0.0.1 08.0.0.1 4294967296 0x1ffffffff kvm.127";

/// Knows names, each with what it leads to the first time, the second time, and so on.
struct Names(Mutex<HashMap<&'static str, Vec<Vec<IpAddr>>>>);

impl Names {
    fn new() -> Self {
        let names = [
            ("loopback.example", vec!["127.0.0.1"]),
            ("both.example", vec!["203.0.113.5", "127.0.0.1"]),
            ("mapped.example", vec!["::ffff:127.0.0.1"]),
            ("nat64.example", vec!["64:ff9b::7f00:1"]),
            ("six.example", vec!["::1"]),
            ("metadata.example", vec!["169.254.169.254"]),
            ("own.example", vec!["192.0.2.10"]),
            ("localhost", vec!["127.0.0.1", "::1"]),
            ("app.localhost", vec!["127.0.0.1"]),
            ("ip6-localhost", vec!["::1"]),
            ("ip6-loopback", vec!["::1"]),
        ];
        let read = |all: Vec<&str>| vec![all.iter().map(|one| one.parse().unwrap()).collect()];
        let mut names: HashMap<_, _> = names.map(|(name, all)| (name, read(all))).into();
        // The last one is told again and again.
        let flips = ["203.0.113.5", "127.0.0.1"].map(|one| vec![one.parse().unwrap()]);
        names.insert("flips.example", flips.to_vec());
        names.insert("fine.example", read(vec!["203.0.113.5", "2001:db8::5"]));
        Self(Mutex::new(names))
    }
}

impl Lookup for Names {
    fn look_up<'a>(&'a self, name: &'a str, port: u16) -> Looking<'a> {
        let mut names = self.0.lock().unwrap();
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let found = names.get_mut(name.as_str()).map(|steps| match steps.len() {
            1 => steps[0].clone(),
            _ => steps.remove(0),
        });
        drop(names);
        Box::pin(async move {
            match found {
                Some(all) => Ok(all
                    .into_iter()
                    .map(|ip| SocketAddr::new(ip, port))
                    .collect()),
                None if name.contains(char::is_alphabetic) && !is_number(&name) => {
                    Err(std::io::ErrorKind::NotFound.into())
                }
                // The system reads every form of a number, without asking anybody.
                None => Ok(tokio::net::lookup_host((name.as_str(), port))
                    .await?
                    .collect()),
            }
        })
    }
}

fn is_number(name: &str) -> bool {
    let bare = name.split('%').next().unwrap_or_default();
    bare.bytes()
        .all(|byte| byte.is_ascii_hexdigit() || b".:xX".contains(&byte))
}

async fn serving() -> Serving {
    let own = vec!["192.0.2.10:8000".parse().unwrap()];
    Serving::with(
        TWO_HOSTS,
        |config| config.limit.dials_per_user = 10_000,
        |state| {
            state
                .listening_on(own, true)
                .resolving(Resolver::new(Names::new()))
        },
    )
    .await
}

#[tokio::test]
async fn no_spelling_of_a_denied_address_is_taken() {
    let serving = serving().await;
    let all = SPELLINGS.split_whitespace();
    let spellings: Vec<&str> = all.chain(NEITHER.split_whitespace()).collect();
    assert!(spellings.len() >= 60, "{}", spellings.len());
    let (_, key) = serving
        .user("ann", PROFILE, vmdeck::accounts::Scopes::full())
        .await;
    let mut answers = std::collections::BTreeSet::new();
    for spelling in &spellings {
        let endpoint = Endpoint::new(*spelling, 22);
        let judged = dial_guard::judge(&serving.state, &endpoint).await;
        assert!(judged.is_err(), "{spelling} is taken");
        let host = json!({"name": "inside", "address": spelling, "credential": "k"});
        let refused = serving.post("/v1/hosts", &key, &host).await;
        // What is no address in our grammar does not come so far.
        assert!(
            [400, 422].contains(&refused.status.as_u16()),
            "{spelling}: {}",
            refused.text()
        );
        if refused.status == 422 {
            answers.insert(refused.text());
        }
    }
    assert_eq!(
        answers.len(),
        1,
        "the answer tells what is there: {answers:?}"
    );
    for fine in [
        "fine.example",
        "10.0.0.7",
        "0xa.7",
        "fd00::5",
        "nowhere.invalid",
    ] {
        let judged = dial_guard::judge(&serving.state, &Endpoint::new(fine, 22)).await;
        assert!(judged.is_ok(), "{fine} is refused");
    }
    serving.end().await;
}

#[tokio::test]
async fn what_a_name_leads_to_by_then_is_judged_when_it_is_dialled() {
    let serving = serving().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let flips = Endpoint::new("flips.example", port);
    // Defined while it leads somewhere harmless; from now on it leads here.
    dial_guard::judge(&serving.state, &flips)
        .await
        .expect("harmless now");

    let own = ["192.0.2.10".parse().unwrap()];
    let guard = DialGuard::of(&serving.state.config, own);
    let dialled: Arc<Mutex<Vec<IpAddr>>> = Arc::default();
    let noted = Arc::clone(&dialled);
    let rule = DialRule::new(move |address| {
        let fine = guard.check(address).is_ok();
        if fine {
            noted.lock().unwrap().push(address);
        }
        fine
    });
    let connector = SshConnector::new(SshOptions::default())
        .guarded(rule)
        .resolving(serving.state.resolver.clone());
    let mut target = serving.sim.target(serving.sim.host("kvm1"));
    for spelling in SPELLINGS.split_whitespace().chain(["flips.example"]) {
        target.hops[0].endpoint = Endpoint::new(spelling, port);
        let refused = connector.connect(&target).await;
        assert!(refused.is_err(), "{spelling}");
    }
    // `both.example` has an address that is fine; its other one kept it from being dialled.
    let allowed: Vec<IpAddr> = dialled.lock().unwrap().clone();
    let harmless: IpAddr = "203.0.113.5".parse().unwrap();
    assert!(
        allowed.iter().all(|address| *address == harmless),
        "{allowed:?}"
    );
    // The first connection that the listener sees is ours.
    let probe = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .unwrap();
    let (_, first) = listener.accept().await.unwrap();
    assert_eq!(first, probe.local_addr().unwrap(), "it was dialled before");
    serving.end().await;
}

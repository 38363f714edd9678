//! The shared rig with the words of this contract: requests as its clients send them, problems as they
//! come back.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;
use vmdeck::accounts::{NewKey, NewUser, Scopes};
use vmdeck::config::ServeConfig;
use vmdeck::fleet::FleetHandle;
use vmdeck::serve::ServeState;
use vmdeck::sim::{HostControl, Scenario};

pub(crate) use crate::serving::PROFILE;
use crate::serving::Serving;

/// Two hosts, one of them for production.
pub(crate) const TWO_HOSTS: &str = r#"
[[host]]
name = "kvm1"
tags = ["blue"]
[[host.vm]]
name = "web-{}"
count = 3
[[host.vm]]
name = "db"
state = "stopped"

[[host]]
name = "kvm2"
tier = "prod"
tags = ["red"]
[[host.vm]]
name = "shop"
[[host.vm]]
name = "web-1"
state = "stopped"
"#;

/// A server with its client.
pub(crate) struct Rig {
    pub(crate) serving: Serving,
    pub(crate) state: ServeState,
    pub(crate) router: Router,
    /// A key of an administrator, called `ann`, who may do everything in [`PROFILE`].
    pub(crate) key: String,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// A member of every row.
    pub(crate) fn column(&self, member: &str) -> Vec<Value> {
        let page = self.json();
        let items = page["items"].as_array().expect("a list");
        items.iter().map(|row| row[member].clone()).collect()
    }

    /// Asserts a problem of a kind with a status, and returns it.
    pub(crate) fn problem(&self, status: u16, kind: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["kind"], kind, "{}", self.text);
        assert_eq!(problem["status"], status);
        problem
    }
}

impl Rig {
    pub(crate) async fn start(scenario: &str) -> Self {
        Self::with(Scenario::from_toml(scenario).expect("a scenario"), |_| {}).await
    }

    pub(crate) async fn with(scenario: Scenario, change: impl FnOnce(&mut ServeConfig)) -> Self {
        let serving = Serving::of(scenario, change, |state| state).await;
        let mut rig = Self {
            state: serving.state.clone(),
            router: serving.router.clone(),
            serving,
            key: String::new(),
        };
        rig.key = rig.user("ann", PROFILE, true, Scopes::full()).await;
        rig
    }

    /// Adds a user with a key; makes the profile when there is none of that name.
    pub(crate) async fn user(
        &self,
        name: &str,
        profile: &str,
        admin: bool,
        scopes: Scopes,
    ) -> String {
        let fleets = self.state.tenants.fleets();
        fleets.create(profile).await.expect("a profile");
        let new = NewUser {
            name: name.to_owned(),
            email: None,
            profile: Some(profile.to_owned()),
            admin,
        };
        let first = NewKey {
            scopes,
            expires_at: None,
        };
        let (_, issued) = self.state.accounts.add_user(new, first).await.unwrap();
        issued.token.expose().clone()
    }

    /// A folder of the test's own.
    pub(crate) fn folder(&self) -> &Path {
        self.serving.home.path()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response {
        send(&self.router, request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.ask(Method::GET, path, &[], None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Option<&Value>) -> Answered {
        self.ask(Method::POST, path, &[], body).await
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answered {
        let key = self.key.clone();
        self.ask_as(&key, method, path, headers, body).await
    }

    #[expect(clippy::too_many_arguments, reason = "a request has these parts")]
    pub(crate) async fn ask_as(
        &self,
        key: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answered {
        let request = request(key, method, path, headers, body);
        read(self.send(request).await).await
    }

    /// The profile's fleet, started.
    pub(crate) async fn fleet(&self) -> FleetHandle {
        self.state.tenants.fleet(PROFILE).await.unwrap()
    }

    /// Waits until every host has been read.
    pub(crate) async fn ready(&self) {
        self.serving.fleet().await;
    }

    pub(crate) fn control(&self, host: &str) -> &HostControl {
        self.serving.sim.control(host)
    }

    /// Listens on a port of its own.
    pub(crate) fn listen(&self) -> SocketAddr {
        self.serving.listen().addresses()[0]
    }
}

pub(crate) fn request(
    key: &str,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost");
    if !key.is_empty() {
        request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    match body {
        Some(body) => request
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string())),
        None => request.body(Body::empty()),
    }
    .unwrap()
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Response {
    let answer = router.clone().oneshot(request);
    tokio::time::timeout(Duration::from_secs(40), answer)
        .await
        .expect("an answer in time")
        .unwrap()
}

pub(crate) async fn read(response: Response) -> Answered {
    let (parts, body) = response.into_parts();
    let bytes: Bytes = body.collect().await.unwrap().to_bytes();
    Answered {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

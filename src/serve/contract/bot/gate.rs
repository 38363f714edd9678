//! Who gets in: key, then signature, then what the signature was used for before. Nothing of a request
//! is acted on before all three have passed.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::watch;

use super::refused;
use super::replay::{Nonces, OldSignatures, Refusal, Use, Windows};
use super::signature::{self, Signed};
use super::timestamp;
use crate::config::BotConfig;
use crate::domain::secret::SecretText;
use crate::serve::caller::Caller;
use crate::serve::client_address::ClientAddress;
use crate::serve::contract::answer::Answer;
use crate::serve::contract::path;
use crate::serve::limit::KeyPlace;
use crate::serve::state::{BotAccess, ServeState};

/// Bytes of a body; no call of the contract has more to say.
const MAX_BODY: usize = 64 * 1024;

/// Id of the one key of the contract, as the second signature and the records name it.
const KEY_ID: &str = "bot";

/// Where the answer to an action is left, for those that ask the same again.
#[derive(Debug, Clone)]
pub(super) struct Slot(watch::Sender<Option<Answer>>);

impl Default for Slot {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Slot {
    /// Leaves the answer.
    pub(super) fn fill(&self, answer: Answer) {
        self.0.send_replace(Some(answer));
    }

    /// Waits for the answer, at most so long.
    pub(super) async fn answer(&self, within: Duration) -> Answer {
        let mut reader = self.0.subscribe();
        let waited = tokio::time::timeout(within, reader.wait_for(Option::is_some)).await;
        let answer = waited.ok().and_then(|there| there.ok()?.clone());
        answer.unwrap_or_else(|| {
            Answer::detail(
                StatusCode::GATEWAY_TIMEOUT,
                "the same request is still under way; its outcome is in the history",
            )
        })
    }
}

/// What is remembered of signatures. One for the server.
#[derive(Debug)]
pub struct Signatures {
    old: Mutex<OldSignatures<Slot>>,
    nonces: Mutex<Nonces>,
}

impl Signatures {
    /// Begins to remember.
    pub fn new(config: &BotConfig, began: Timestamp) -> Self {
        let windows = Windows {
            action: config.post_window,
            read: config.get_window,
        };
        Self {
            old: Mutex::new(OldSignatures::new(windows, began)),
            nonces: Mutex::new(Nonces::new(config.post_window, began)),
        }
    }
}

/// A request that got in.
pub(super) struct Passed {
    pub(super) caller: Caller,
    pub(super) parts: Parts,
    /// For an action under the old signature: whether it is the first of its kind.
    pub(super) once: Option<Use<Slot>>,
    /// Its place among the requests of the key.
    pub(super) place: KeyPlace,
}

/// A key or signature that is missing or wrong.
fn unauthorised(text: &str) -> Answer {
    Answer::detail(StatusCode::UNAUTHORIZED, text)
}

/// Lets a request in, or says why not.
pub(super) async fn pass(state: &ServeState, request: Request) -> Result<Passed, Answer> {
    let Some(bot) = state.bot.clone() else {
        return Err(Answer::not_found());
    };
    let address = ClientAddress::of(&request);
    if !has_key(&bot, request.headers()) {
        return Err(refused(state, address, "the API key is missing or wrong"));
    }
    let caller = Caller::bot(&bot.profile, address);
    let place = state.limits.admit_key(KEY_ID).map_err(|seconds| {
        Answer::detail(StatusCode::TOO_MANY_REQUESTS, "this key asks too often")
            .retry_after(seconds)
    })?;
    crate::serve::log::known(&request, &caller.key_id);
    let (parts, body) = request.into_parts();
    let body = read_body(&parts, body).await?;
    let once = match &bot.hmac_secret {
        Some(secret) => judge(state, secret, (&parts, &body), address)
            .map_err(|why| refused(state, address, &why))?,
        None if state.config.require_v2 || one(&parts.headers, "x-signature-version").is_some() => {
            let why = "a signature cannot be checked: the server has no secret for it";
            return Err(unauthorised(why));
        }
        None => None,
    };
    Ok(Passed {
        caller,
        parts,
        once,
        place,
    })
}

/// A refusal counts against the address: signatures are not to be guessed at either. What is right comes
/// in from everywhere; what is wrong from an address with too much of it is told no more than that.
fn refused(state: &ServeState, address: IpAddr, why: &str) -> Answer {
    if let Some(seconds) = state.limits.locked_out(address) {
        let text = "too many wrong keys came from this address";
        refused::record(state, address, text);
        return Answer::detail(StatusCode::TOO_MANY_REQUESTS, text).retry_after(seconds);
    }
    state.limits.failed(address);
    refused::record(state, address, why);
    if state.refusals.may_say(address) {
        tracing::info!(%address, why, "a bot was turned away");
    }
    unauthorised(why)
}

/// Compares digests: neither time nor length tells anything about the key.
fn has_key(bot: &BotAccess, headers: &HeaderMap) -> bool {
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    one(headers, "x-api-key").is_some_and(|given| {
        digest(given)
            .as_slice()
            .ct_eq(digest(bot.api_key.expose()).as_slice())
            .into()
    })
}

/// Returns the value of a header that is there exactly once.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let (value, None) = (all.next()?, all.next()) else {
        return None;
    };
    value.to_str().ok()
}

async fn read_body(parts: &Parts, body: Body) -> Result<Vec<u8>, Answer> {
    let body = axum::body::to_bytes(body, MAX_BODY)
        .await
        .map_err(|_too_much| {
            Answer::detail(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")
        })?;
    if !acts(&parts.method) && !body.is_empty() {
        let text = "a request that only reads has no body";
        return Err(Answer::detail(StatusCode::BAD_REQUEST, text));
    }
    Ok(body.to_vec())
}

fn acts(method: &Method) -> bool {
    method == Method::POST
}

/// Judges the signature of a request; the error is what the client is told.
fn judge(
    state: &ServeState,
    secret: &SecretText,
    (parts, body): (&Parts, &[u8]),
    address: IpAddr,
) -> Result<Option<Use<Slot>>, String> {
    // Whoever presents the second signature is judged by it alone.
    if parts.headers.contains_key("x-signature-version") {
        return judge_second(state, secret, parts, body).map(|()| None);
    }
    if state.config.require_v2 {
        return Err("only the second signature is accepted (x-signature-version: 2)".to_owned());
    }
    judge_old(state, secret, (parts, body), address)
}

fn judge_old(
    state: &ServeState,
    secret: &SecretText,
    (parts, body): (&Parts, &[u8]),
    address: IpAddr,
) -> Result<Option<Use<Slot>>, String> {
    let headers = &parts.headers;
    let wrong = || "the signature is missing or wrong".to_owned();
    let stamp = one(headers, "x-timestamp").ok_or_else(wrong)?;
    let given = one(headers, "x-signature").and_then(signature::read_hex);
    let given = given.ok_or_else(wrong)?;
    let made_at =
        timestamp::parse(stamp).ok_or("x-timestamp is neither Unix seconds nor ISO 8601 in UTC")?;
    if !signature::holds_old(secret, body, stamp, &given) {
        return Err(wrong());
    }
    let now = state.clock.now();
    let mut memory = state
        .signatures
        .old
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let judged = if acts(&parts.method) {
        let target = target(parts);
        memory
            .act(given, made_at, (address, &target), now)
            .map(Some)
    } else {
        memory.read(given, made_at, address, now).map(|()| None)
    };
    judged.map_err(|refusal| alarm(refusal, address))
}

/// What a signature is used for, in one spelling: two encodings of a name are one target.
fn target(parts: &Parts) -> String {
    let path = parts.uri.path();
    let segments: Vec<String> = path
        .split('/')
        .map(|raw| path::decode(raw).unwrap_or_else(|_| raw.to_owned()))
        .collect();
    let host = path::query(parts.uri.query(), "host").unwrap_or_default();
    format!("{} {segments:?} {host:?}", parts.method)
}

fn alarm(refusal: Refusal, address: IpAddr) -> String {
    match refusal {
        Refusal::OtherAddress | Refusal::TooManyTargets | Refusal::Reused => {
            tracing::warn!(%address, %refusal, "a signature was used as no honest client does");
        }
        Refusal::Late | Refusal::Early | Refusal::BeforeStart | Refusal::Full => {}
    }
    refusal.to_string()
}

fn judge_second(
    state: &ServeState,
    secret: &SecretText,
    parts: &Parts,
    body: &[u8],
) -> Result<(), String> {
    let headers = &parts.headers;
    let header =
        |name: &'static str| one(headers, name).ok_or_else(|| format!("{name} is missing"));
    if header("x-signature-version")? != "2" {
        return Err("x-signature-version is 2".to_owned());
    }
    let key_id = header("x-key-id")?;
    let stamp = header("x-timestamp")?;
    let nonce = header("x-nonce")?;
    let body_digest = header("x-content-sha256")?;
    let given = signature::read_list(header("x-signature")?)
        .ok_or("x-signature is 64 lower-case hexadecimal digits")?;
    let made_at = timestamp::parse_millis(stamp).ok_or("x-timestamp is Unix milliseconds")?;
    if !signature::is_nonce(nonce) {
        return Err("x-nonce is 16 to 64 characters of URL-safe base64".to_owned());
    }
    let content_type = match headers.get_all(header::CONTENT_TYPE).iter().count() {
        0 => "",
        _ => header("content-type")?,
    };
    let signed = Signed {
        key_id,
        method: parts.method.as_str(),
        audience: header("host")?,
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        content_type,
        body_digest,
        timestamp: stamp,
        nonce,
    };
    let right =
        key_id == KEY_ID && body_digest == signature::digest(body) && signed.holds(secret, &given);
    if !right {
        return Err("the signature is wrong".to_owned());
    }
    let mut nonces = state
        .signatures
        .nonces
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    nonces
        .take(key_id, nonce, made_at, state.clock.now())
        .map_err(|refusal| refusal.to_string())
}

/// Runs an action once for all who ask the same, to its end even when nobody waits any more.
pub(super) async fn once<F>(state: &ServeState, once: Option<Use<Slot>>, work: F) -> Answer
where
    F: Future<Output = Answer> + Send + 'static,
{
    let within = state.config.limit.request_time;
    match once {
        None => work.await,
        Some(Use::Again(slot)) => slot.answer(within).await,
        Some(Use::First(slot)) => {
            let filled = slot.clone();
            drop(state.tasks.spawn("an action of a bot", async move {
                filled.fill(work.await);
            }));
            slot.answer(within).await
        }
    }
}

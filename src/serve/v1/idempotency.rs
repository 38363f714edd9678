//! Requests that change something and may come again: under one `Idempotency-Key` the first one acts
//! and the others get its answer, after a restart too.
//!
//! The work runs in a task of its own: a client that goes away does not leave it half done, nor its
//! answer unwritten.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};

use super::answer::{Answer, Refusal};
use super::asking::Asking;
use crate::accounts::{Begun, StoredAnswer};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::serve::error::Problem;

/// Most characters of a key.
const LONGEST: usize = 255;

/// Most bytes of an answer that is kept.
const LARGEST: usize = 16 << 20;

/// The header that names a request.
const NAME: &str = "idempotency-key";

/// The header of an answer that was given before.
const REPLAYED: &str = "idempotency-replayed";

/// Notes on the way what a request has started.
#[derive(Clone)]
pub(super) struct Notes {
    asking: Asking,
    name: Option<String>,
}

impl Notes {
    /// Notes the operation, so that it can be named should the program end before the answer.
    pub(super) async fn started(&self, operation: &str) {
        let Some(name) = &self.name else { return };
        let accounts = &self.asking.state.accounts;
        let noted = accounts
            .started(&self.asking.caller.key_id, name, operation)
            .await;
        if let Err(error) = noted {
            tracing::warn!(%error, "an operation could not be noted under its idempotency key");
        }
    }
}

/// Reads the word a request may be repeated under.
pub(super) fn name_in(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut all = headers.get_all(NAME).iter();
    let name = match (all.next(), all.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.to_str().unwrap_or_default(),
        (Some(_), Some(_)) => "",
    };
    let sound =
        (1..=LONGEST).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
    if sound {
        Ok(Some(name.to_owned()))
    } else {
        let message = format!("`Idempotency-Key` is one word of 1 to {LONGEST} ASCII characters");
        Err(Failure::new(ErrorKind::Usage, message).into())
    }
}

fn digest(asking: &Asking, body: &[u8]) -> [u8; 32] {
    let mut digest = Sha256::new();
    let target = asking.uri.to_string();
    for part in [asking.method.as_str().as_bytes(), target.as_bytes(), body] {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// Does the work once for all requests of one name; without a name, once for each. A refusal has done
/// nothing and is not kept: the same name may be tried again.
pub(super) async fn once<F>(
    asking: &Asking,
    body: &[u8],
    work: impl FnOnce(Notes) -> F + Send,
) -> Answer
where
    F: Future<Output = Answer> + Send + 'static,
{
    let name = name_in(&asking.headers)?;
    if let Some(name) = &name
        && let Some(answer) = begin(asking, name, body).await?
    {
        return answer;
    }
    let notes = Notes {
        asking: asking.clone(),
        name: name.clone(),
    };
    let asking = asking.clone();
    let (tasks, work) = (asking.state.tasks.clone(), work(notes));
    let task = tasks.spawn("request", async move {
        let answer = work.await;
        match name {
            Some(name) => keep(&asking, &name, answer).await,
            None => answer,
        }
    });
    task.await.unwrap_or_else(|_| {
        Err(Failure::new(ErrorKind::Internal, "the request ended without an answer").into())
    })
}

/// Returns the answer that is known already, if there is one.
async fn begin(asking: &Asking, name: &str, body: &[u8]) -> Result<Option<Answer>, Refusal> {
    let accounts = &asking.state.accounts;
    let begun = accounts
        .begin(
            &asking.caller.key_id,
            name,
            digest(asking, body),
            asking.state.config.idempotency,
        )
        .await
        .map_err(|error| Failure::of(&error))?;
    Ok(match begun {
        Begun::New => None,
        Begun::Answered(answer) => Some(Ok(replayed(answer))),
        Begun::UnderWay { operation } => {
            let problem = Problem::new(
                StatusCode::CONFLICT,
                ErrorKind::Busy,
                with_operation("the same request is under way", operation.as_deref()),
            );
            Some(Err(problem.retry_after(1).into()))
        }
        Begun::Interrupted { operation } => {
            let what = "the same request was under way when the server ended; it may have acted";
            let failure = Failure::new(
                ErrorKind::Conflict,
                with_operation(what, operation.as_deref()),
            )
            .with_hint("look at the VM and the audit log, then ask again under another name");
            Some(Err(failure.into()))
        }
        Begun::OtherRequest => Some(Err(Refusal::with(
            StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::Usage,
            "this `Idempotency-Key` belongs to another request",
        ))),
    })
}

fn with_operation(what: &str, operation: Option<&str>) -> String {
    match operation {
        Some(operation) => format!("{what} (operation {operation})"),
        None => what.to_owned(),
    }
}

fn replayed(answer: StoredAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = super::answer::text(status, "application/json", Body::from(answer.body));
    let headers = response.headers_mut();
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    if let Some(location) = answer
        .location
        .and_then(|to| HeaderValue::from_str(&to).ok())
    {
        headers.insert(header::LOCATION, location);
    }
    response
}

async fn keep(asking: &Asking, name: &str, answer: Answer) -> Answer {
    let accounts = &asking.state.accounts;
    let key = &asking.caller.key_id;
    let response = match answer {
        Ok(response) => response,
        Err(refusal) => {
            if let Err(error) = accounts.forget(key, name).await {
                tracing::warn!(%error, "a refused request could not be forgotten");
            }
            return Err(refusal);
        }
    };
    let (parts, body) = response.into_parts();
    let body = http_body_util::Limited::new(body, LARGEST).collect().await;
    let Ok(body) = body.map(http_body_util::Collected::to_bytes) else {
        return Err(Failure::new(ErrorKind::Internal, "the answer could not be kept").into());
    };
    let location = parts
        .headers
        .get(header::LOCATION)
        .and_then(|to| to.to_str().ok())
        .map(str::to_owned);
    let stored = StoredAnswer {
        status: parts.status.as_u16(),
        location,
        body: body.to_vec(),
    };
    if let Err(error) = accounts.answered(key, name, stored).await {
        tracing::warn!(%error, "an answer could not be kept under its idempotency key");
    }
    Ok((parts, Body::from(body)).into_response())
}

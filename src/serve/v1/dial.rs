//! Where a client may make the server dial: what it really dials is judged, which is the first stop on
//! the way to a host. The rule itself is that of [`dial_guard`].

use axum::http::StatusCode;

use super::answer::Refusal;
use super::asking::Asking;
use crate::domain::error_kind::ErrorKind;
use crate::domain::host::HostSpec;
use crate::serve::dial_guard;
use crate::serve::error::Problem;

/// Refuses a host that a client may not make the server dial, or too many of them.
pub(super) async fn allowed(asking: &Asking, spec: &HostSpec) -> Result<(), Refusal> {
    let state = &asking.state;
    if let Some(user) = &asking.caller.user {
        state.limits.admit_dial(user.id).map_err(|seconds| {
            let text = "too many new addresses in a short time";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, ErrorKind::Busy, text).retry_after(seconds)
        })?;
    }
    let first = spec
        .jumps
        .first()
        .map_or(&spec.endpoint, |jump| &jump.endpoint);
    dial_guard::judge(state, first).await.map_err(|refused| {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Problem::new(status, ErrorKind::Refused, refused.to_string())
            .hint("`serve.dial.allow` names addresses that it does")
            .into()
    })
}

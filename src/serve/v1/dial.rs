//! Where a client may make the server dial: what it really dials is judged, which is the first stop on
//! the way to a host. The rule itself is [`DialGuard`]'s; what a name leads to later is judged again when
//! it is dialled.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::http::StatusCode;

use super::answer::Refusal;
use super::asking::Asking;
use crate::domain::error_kind::ErrorKind;
use crate::domain::host::{Endpoint, HostSpec};
use crate::serve::client_address::AddressList;
use crate::serve::dial_guard::DialGuard;
use crate::serve::error::Problem;

/// How long a name may take to be resolved.
const RESOLVED_WITHIN: Duration = Duration::from_secs(3);

/// Refuses a host that a client may not make the server dial, or too many of them.
pub(super) async fn allowed(asking: &Asking, spec: &HostSpec) -> Result<(), Refusal> {
    let state = &asking.state;
    if let Some(user) = &asking.caller.user {
        state.limits.admit_dial(user.id).map_err(|seconds| {
            let text = "too many new addresses in a short time";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, ErrorKind::Busy, text).retry_after(seconds)
        })?;
    }
    let allow = AddressList::new(state.config.dial_allow.clone());
    let guard = DialGuard::new(allow, state.listening.iter().map(SocketAddr::ip));
    let first = spec.jumps.first().map_or(&spec.endpoint, |jump| &jump.endpoint);
    if judged(&guard, first).await {
        return Ok(());
    }
    let text = "the server does not connect to this address";
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorKind::Refused, text);
    Err(problem.hint("`serve.dial.allow` names addresses that it does").into())
}

async fn judged(guard: &DialGuard, endpoint: &Endpoint) -> bool {
    let name = endpoint.address.as_str();
    if let Ok(address) = name.parse::<IpAddr>() {
        return guard.check(address).is_ok();
    }
    let looking = tokio::net::lookup_host((name, endpoint.port_or_default()));
    match tokio::time::timeout(RESOLVED_WITHIN, looking).await {
        Ok(Ok(found)) => {
            let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
            guard.check_all(&addresses).is_ok()
        }
        // It leads nowhere now.
        Ok(Err(_)) | Err(_) => true,
    }
}

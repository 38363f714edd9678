//! `history` of the bot contract: the last actions, from the audit log.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::Serialize;
use serde_json::json;

use super::{calls, gate, words};
use crate::domain::audit::{AuditPhase, AuditRecord};
use crate::domain::vm::VmRef;
use crate::fleet::FleetHandle;
use crate::serve::contract::answer::{Answer, echoed};
use crate::serve::contract::path;
use crate::serve::state::ServeState;

/// Entries when the client names no number.
const USUAL: usize = 10;

/// Entries at most.
const MOST: usize = 1000;

/// Records of the log that are looked through for them.
const MOST_READ: usize = 20_000;

#[derive(Serialize)]
struct Entry {
    timestamp: String,
    user: String,
    action: String,
    vm_name: Option<String>,
    success: bool,
}

/// `GET /vm/history`
pub(super) async fn of_all(State(state): State<ServeState>, request: Request) -> Answer {
    calls::answer(read(&state, request, false).await)
}

/// `GET /vm/{vm_name}/history`
pub(super) async fn of_one(State(state): State<ServeState>, request: Request) -> Answer {
    calls::answer(read(&state, request, true).await)
}

async fn read(state: &ServeState, request: Request, one: bool) -> Result<Answer, Answer> {
    let passed = gate::pass(state, request).await?;
    let limit = limit(&passed.parts)?;
    let fleet = calls::fleet(state, &passed.caller).await?;
    let vm = if one {
        let (name, host) = calls::named(&passed.parts)?;
        let seen = calls::choose(state, &passed.caller, &fleet, (&name, host.as_deref())).await?;
        Some(seen.id())
    } else {
        None
    };
    let history = last(&fleet, limit, vm).await?;
    Ok(Answer::ok(&json!({ "history": history })))
}

/// Reads further back until there are enough, or no more.
async fn last(fleet: &FleetHandle, limit: usize, vm: Option<VmRef>) -> Result<Vec<Entry>, Answer> {
    let mut wanted = limit.saturating_mul(4).saturating_add(50);
    loop {
        let records = fleet.audit_tail(wanted, vm.clone()).await;
        let records = records.map_err(|failure| calls::failed(&failure))?;
        let all_read = records.len() < wanted || wanted >= MOST_READ;
        let entries: Vec<Entry> = records
            .into_iter()
            .rev()
            .filter_map(entry)
            .take(limit)
            .collect();
        if entries.len() == limit || all_read {
            return Ok(entries);
        }
        wanted = wanted.saturating_mul(4).min(MOST_READ);
    }
}

/// Returns the entry of a record that tells how an action on a VM ended.
fn entry(record: AuditRecord) -> Option<Entry> {
    let entry = record.entry;
    if entry.phase != AuditPhase::Outcome {
        return None;
    }
    let vm = entry.vm?;
    Some(Entry {
        timestamp: entry.timestamp,
        user: entry.actor.map(|actor| actor.user).unwrap_or_default(),
        action: words::action_word(&entry.action).to_owned(),
        vm_name: Some(vm.raw().to_owned()),
        success: matches!(entry.status.as_str(), "ok" | "accepted"),
    })
}

fn limit(parts: &Parts) -> Result<usize, Answer> {
    let given = path::query(parts.uri.query(), "limit").unwrap_or_else(|_| vec![String::new()]);
    let Some(text) = given.last() else {
        return Ok(USUAL);
    };
    let number = text.parse::<usize>().ok();
    number
        .filter(|number| (1..=MOST).contains(number))
        .ok_or_else(|| {
            Answer::json(
                StatusCode::UNPROCESSABLE_ENTITY,
                &json!({ "detail": [{
                    "type": "int_parsing",
                    "loc": ["query", "limit"],
                    "msg": format!("Input should be a whole number from 1 to {MOST}"),
                    "input": echoed(text),
                }]}),
            )
        })
}

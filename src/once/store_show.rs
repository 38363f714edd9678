//! `--once storage show` and `--once network show`: one pool with its volumes, or one network. And which one
//! a person means.

use std::sync::Arc;

use serde::Serialize;

use super::console::Console;
use super::field::{Field, Record};
use super::stores::{self, NETWORK_FIELDS, POOL_FIELDS, Shown, VOLUME_FIELDS};
use super::{Ended, Format, Script, output};
use crate::domain::error_kind::{ErrorKind, ExitCode, Failure};
use crate::domain::host::HostId;
use crate::domain::inventory::{FleetSnapshot, HostSnapshot};
use crate::domain::store::{HostStores, Store, StoreId, StoreKind, Volume};
use crate::domain::text::RemoteText;
use crate::fleet::FleetHandle;
use crate::report::Complaint;

/// A host with what it told.
pub(super) type Telling = (Arc<HostSnapshot>, Arc<HostStores>);

/// Finds the one pool or network that is meant: `name`, `host/name`, or its id.
pub(super) async fn find(
    handle: &FleetHandle,
    script: &Script,
    (kind, target): (StoreKind, &str),
    console: &mut Console<'_>,
) -> Result<(Telling, StoreKey), Complaint> {
    let fleet = handle.snapshot();
    let (host, name) = split(&fleet, target);
    let hosts = match host {
        Some(host) => vec![host],
        None => super::reach::hosts_that(&fleet, |_| true),
    };
    let mut read = stores::read(handle, script, hosts, console).await?;
    let telling = read.of_kind(kind, console);
    let mut found: Vec<(Telling, StoreKey)> = Vec::new();
    for (host, stores) in &telling {
        for store in stores.of_kind(kind).unwrap_or_default() {
            if fits(&store, name) {
                let key = StoreKey::of(&store);
                found.push(((Arc::clone(host), Arc::clone(stores)), key));
            }
        }
    }
    let shown = RemoteText::new(target);
    match (found.pop(), found.len()) {
        (Some(one), 0) => Ok(one),
        (Some(last), _) => {
            found.push(last);
            let names: Vec<String> = found
                .iter()
                .map(|((host, _), key)| format!("{}/{}", host.spec.name, key.name))
                .collect();
            let message = format!("`{shown}` is the name of several {}s", kind.word());
            let hint = format!("name one of them in full: {}", names.join(", "));
            Err(Failure::new(ErrorKind::Ambiguous, message)
                .with_hint(hint)
                .into())
        }
        (None, _) => {
            read.reached.report(console);
            let message = format!(
                "there is no {} `{shown}` on the hosts that answer",
                kind.word()
            );
            let list = match kind {
                StoreKind::Pool => "storage",
                StoreKind::Network => "network",
            };
            let hint = format!("`vmdeck --once {list} list` prints them");
            Err(Failure::new(ErrorKind::NotFound, message)
                .with_hint(hint)
                .into())
        }
    }
}

/// How one is found again in what was read.
#[derive(Debug, Clone)]
pub(super) struct StoreKey {
    pub(super) id: Option<StoreId>,
    pub(super) name: RemoteText,
}

impl StoreKey {
    fn of(store: &Store<'_>) -> Self {
        Self {
            id: store.id().cloned(),
            name: store.name().clone(),
        }
    }

    fn is(&self, store: &Store<'_>) -> bool {
        store.id() == self.id.as_ref() && *store.name() == self.name
    }
}

fn fits(store: &Store<'_>, wanted: &str) -> bool {
    let name = store.name();
    let id = store.id().map(StoreId::as_str);
    name.raw() == wanted
        || name.shown() == wanted
        || id.is_some_and(|id| id.eq_ignore_ascii_case(wanted))
}

/// Splits `host/name` where the part before `/` is a host.
fn split<'a>(fleet: &FleetSnapshot, target: &'a str) -> (Option<HostId>, &'a str) {
    let parts = target.split_once('/').and_then(|(host, name)| {
        let is = |known: &&Arc<HostSnapshot>| known.spec.name.as_str() == host;
        let known = fleet.hosts.iter().find(is)?;
        Some((Some(known.spec.id), name))
    });
    parts.unwrap_or((None, target))
}

pub(super) async fn run(
    handle: &FleetHandle,
    script: &Script,
    (kind, target): (StoreKind, &str),
    console: &mut Console<'_>,
) -> Ended {
    let ((host, stores), key) = find(handle, script, (kind, target), console).await?;
    let all = stores.of_kind(kind).unwrap_or_default();
    if let Some(store) = all.iter().find(|store| key.is(store)) {
        console.data(&written(script.format, &host, store));
    }
    Ok(ExitCode::Done)
}

/// The row of `list`, and what is in it.
#[derive(Serialize)]
#[serde(bound = "")]
struct Document<'a, T: 'static> {
    #[serde(flatten)]
    row: Record<'a, T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a [Volume]>,
    /// What could not be read, in the host's words.
    gaps: &'a [RemoteText],
}

fn written(format: Format, host: &Arc<HostSnapshot>, store: &Store<'_>) -> String {
    match (Shown::of(host, store), store) {
        (Shown::Pool(row), Store::Pool(pool)) => {
            let content = pool.volumes.as_deref();
            let mut text = one(format, &POOL_FIELDS, &row, (content, &pool.gaps));
            if format == Format::Table && content.is_some_and(|volumes| !volumes.is_empty()) {
                let rows = stores::volumes_of(host, pool);
                let fields: Vec<&Field<_>> = VOLUME_FIELDS
                    .iter()
                    .filter(|field| field.usual && !matches!(field.id, "host" | "pool"))
                    .collect();
                text.push('\n');
                text.push_str(&output::rows(format, &VOLUME_FIELDS, &fields, &rows));
            }
            text
        }
        (Shown::Network(row), Store::Network(network)) => {
            one(format, &NETWORK_FIELDS, &row, (None, &network.gaps))
        }
        (Shown::Pool(_) | Shown::Network(_), _) => String::new(),
    }
}

fn one<T>(
    format: Format,
    all: &'static [Field<T>],
    row: &T,
    (content, gaps): (Option<&[Volume]>, &[RemoteText]),
) -> String {
    let fields: Vec<&Field<T>> = all.iter().collect();
    let document = Document {
        row: Record {
            row,
            fields: &fields,
        },
        content,
        gaps,
    };
    let text = match format {
        Format::Table => return for_people(&document, all),
        Format::Csv | Format::Markdown => {
            return output::rows(format, all, &[], std::slice::from_ref(row));
        }
        Format::Json => crate::json::to_pretty(&document),
        Format::Ndjson => crate::json::to_line(&document),
    };
    let mut text = text.unwrap_or_default();
    text.push('\n');
    text
}

fn for_people<T>(document: &Document<'_, T>, all: &[Field<T>]) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        text.extend([format!("{name:<18} {value}").trim_end(), "\n"]);
    };
    for field in all {
        let plain = || Some((field.cell)(document.row.row).plain());
        let value = if field.id == "vms" {
            plain()
        } else {
            field.for_people(document.row.row)
        };
        let value = value.filter(|text| !text.is_empty());
        line(field.id, value.as_deref().unwrap_or("–"));
    }
    for gap in document.gaps {
        line("not read", gap.shown());
    }
    text
}

//! `--once storage` and `--once network`: what hosts tell of pools, volumes and networks.

use std::sync::Arc;

use futures_util::future::join_all;

use super::cell::Cell;
use super::console::Console;
use super::field::{self, Field};
use super::reach::{self, Reached};
use super::{Ended, Format, Script, StoreListing, StoreRows, output};
use crate::domain::error_kind::{ErrorKind, ExitCode, Failure};
use crate::domain::host::HostId;
use crate::domain::inventory::{FleetSnapshot, HostSnapshot};
use crate::domain::policy::glob;
use crate::domain::store::{
    HostStores, Network, Pool, Store, StoreKind, StoreState, StoreUser, Volume, VolumeUse,
};
use crate::domain::text::RemoteText;
use crate::domain::units::Bytes;
use crate::fleet::FleetHandle;
use crate::report::Complaint;

/// A pool on its host.
pub(super) struct PoolRow {
    host: Arc<HostSnapshot>,
    pool: Pool,
}

/// A volume on its host.
pub(super) struct VolumeRow {
    host: Arc<HostSnapshot>,
    pool: RemoteText,
    volume: Volume,
}

/// A network on its host.
pub(super) struct NetworkRow {
    host: Arc<HostSnapshot>,
    network: Network,
}

/// What was read, and what was not.
pub(super) struct Read {
    pub(super) reached: Reached,
    pub(super) told: Vec<(Arc<HostSnapshot>, Arc<HostStores>)>,
    /// Hosts that answered, but not this.
    pub(super) unread: usize,
}

/// Connects hosts and reads storage and networks of those that answer.
pub(super) async fn read(
    handle: &FleetHandle,
    script: &Script,
    hosts: Vec<HostId>,
    console: &mut Console<'_>,
) -> Result<Read, Complaint> {
    let reached = reach::reach(handle, hosts, script, false).await?;
    let asked = reached.answered.iter().map(|host| handle.stores(*host));
    let answers = tokio::select! {
        answers = join_all(asked) => answers,
        () = script.stop.cancelled() => {
            let why = "interrupted before it was read";
            return Err(Failure::new(ErrorKind::Timeout, why).into());
        }
    };
    let (mut told, mut unread) = (Vec::new(), 0);
    for (id, answer) in reached.answered.iter().zip(answers) {
        let Some(host) = reached.fleet.host(*id) else {
            continue;
        };
        match answer {
            Ok(stores) => told.push((Arc::clone(host), stores)),
            Err(failure) => {
                unread += 1;
                console.complain(&Complaint::from(failure).on(&host.spec.name));
            }
        }
    }
    Ok(Read {
        reached,
        told,
        unread,
    })
}

impl Read {
    /// Returns everything of one kind; a host that does not tell it says so, and counts as not read.
    pub(super) fn of_kind(
        &mut self,
        kind: StoreKind,
        console: &mut Console<'_>,
    ) -> Vec<(Arc<HostSnapshot>, Arc<HostStores>)> {
        let mut telling = Vec::new();
        for (host, stores) in &self.told {
            match stores.of_kind(kind) {
                Ok(_) => telling.push((Arc::clone(host), Arc::clone(stores))),
                Err(said) => {
                    self.unread += 1;
                    let message = format!("it does not tell its {}s: {said}", kind.word());
                    let failure = Failure::new(ErrorKind::Remote, message);
                    console.complain(&Complaint::from(failure).on(&host.spec.name));
                }
            }
            for gap in &stores.gaps {
                console.note(&format!("{}: not read: {gap}", host.spec.name));
            }
        }
        telling
    }

    fn code(&self, is_empty: bool) -> ExitCode {
        match (self.unread, self.reached.exit_code()) {
            (0, code) => code,
            (_, ExitCode::Unreachable) => ExitCode::Unreachable,
            _ if is_empty => ExitCode::Failed,
            _ => ExitCode::Partial,
        }
    }
}

/// Finds the hosts that are named, each by a pattern; none named = all.
pub(super) fn hosts_named(
    fleet: &FleetSnapshot,
    patterns: &[String],
) -> Result<Vec<HostId>, Complaint> {
    for pattern in patterns {
        let mut names = fleet.hosts.iter().map(|host| host.spec.name.as_str());
        if !names.any(|name| glob(pattern, name)) {
            let shown = RemoteText::new(pattern);
            let failure = Failure::new(ErrorKind::NotFound, format!("there is no host `{shown}`"));
            return Err(failure.with_hint("`vmdeck host list` prints them").into());
        }
    }
    Ok(reach::hosts_that(fleet, |host| {
        let name = host.spec.name.as_str();
        patterns.is_empty() || patterns.iter().any(|pattern| glob(pattern, name))
    }))
}

pub(super) async fn run(
    handle: &FleetHandle,
    script: &Script,
    listing: &StoreListing,
    console: &mut Console<'_>,
) -> Ended {
    // Mistakes in the columns are told before anybody is asked.
    match listing.rows {
        StoreRows::Pools => check(listing, &POOL_FIELDS)?,
        StoreRows::Volumes { .. } => check(listing, &VOLUME_FIELDS)?,
        StoreRows::Networks => check(listing, &NETWORK_FIELDS)?,
    }
    let hosts = hosts_named(&handle.snapshot(), &listing.hosts)?;
    let mut read = read(handle, script, hosts, console).await?;
    let kind = match listing.rows {
        StoreRows::Networks => StoreKind::Network,
        StoreRows::Pools | StoreRows::Volumes { .. } => StoreKind::Pool,
    };
    let telling = read.of_kind(kind, console);
    let (text, is_empty) = match listing.rows {
        StoreRows::Pools => written(script.format, listing, &POOL_FIELDS, pools(&telling))?,
        StoreRows::Volumes { unattached } => {
            let mut rows = volumes(&telling);
            rows.retain(|row| !unattached || row.volume.usage.is_unattached());
            written(script.format, listing, &VOLUME_FIELDS, rows)?
        }
        StoreRows::Networks => {
            written(script.format, listing, &NETWORK_FIELDS, networks(&telling))?
        }
    };
    console.data(&text);
    read.reached.report(console);
    Ok(read.code(is_empty))
}

fn check<T>(listing: &StoreListing, fields: &[Field<T>]) -> Result<(), Complaint> {
    field::chosen(fields, &listing.columns)?;
    match &listing.sort {
        Some(by) => field::sort(&mut [], fields, by),
        None => Ok(()),
    }
}

fn written<T>(
    format: Format,
    listing: &StoreListing,
    fields: &[Field<T>],
    mut rows: Vec<T>,
) -> Result<(String, bool), Complaint> {
    let chosen = field::chosen(fields, &listing.columns)?;
    if let Some(by) = &listing.sort {
        field::sort(&mut rows, fields, by)?;
    }
    let text = output::rows(format, fields, &chosen, &rows);
    Ok((text, rows.is_empty()))
}

type Telling = [(Arc<HostSnapshot>, Arc<HostStores>)];

fn pools(telling: &Telling) -> Vec<PoolRow> {
    let mut rows = Vec::new();
    for (host, stores) in telling {
        rows.extend(stores.pools.iter().flatten().map(|pool| PoolRow {
            host: Arc::clone(host),
            pool: pool.clone(),
        }));
    }
    rows
}

/// The volumes of one pool as rows.
pub(super) fn volumes_of(host: &Arc<HostSnapshot>, pool: &Pool) -> Vec<VolumeRow> {
    let volumes = pool.volumes.iter().flatten();
    volumes
        .map(|volume| VolumeRow {
            host: Arc::clone(host),
            pool: pool.name.clone(),
            volume: volume.clone(),
        })
        .collect()
}

fn volumes(telling: &Telling) -> Vec<VolumeRow> {
    let mut rows = Vec::new();
    for (host, stores) in telling {
        let pools = stores.pools.iter().flatten();
        rows.extend(pools.flat_map(|pool| volumes_of(host, pool)));
    }
    rows
}

fn networks(telling: &Telling) -> Vec<NetworkRow> {
    let mut rows = Vec::new();
    for (host, stores) in telling {
        rows.extend(stores.networks.iter().flatten().map(|network| NetworkRow {
            host: Arc::clone(host),
            network: network.clone(),
        }));
    }
    rows
}

/// A pool or a network as a row with all its columns: for one that is shown by itself.
pub(super) enum Shown {
    Pool(PoolRow),
    Network(NetworkRow),
}

impl Shown {
    pub(super) fn of(host: &Arc<HostSnapshot>, store: &Store<'_>) -> Self {
        let host = Arc::clone(host);
        match store {
            Store::Pool(pool) => Self::Pool(PoolRow {
                host,
                pool: (*pool).clone(),
            }),
            Store::Network(network) => Self::Network(NetworkRow {
                host,
                network: (*network).clone(),
            }),
        }
    }
}

fn bytes(value: Option<Bytes>) -> Cell {
    Cell::of(value, |bytes| Cell::Count(bytes.0))
}

fn shown_bytes(value: Option<Bytes>) -> Option<String> {
    value.map(|bytes| bytes.to_string())
}

fn remote(value: Option<&RemoteText>) -> Cell {
    Cell::of(value.cloned(), Cell::Remote)
}

fn count(value: Option<usize>) -> Cell {
    Cell::of(value, |count| {
        Cell::Count(u64::try_from(count).unwrap_or(u64::MAX))
    })
}

fn names(users: Option<Vec<StoreUser>>) -> Cell {
    Cell::of(users, |users| {
        Cell::List(users.iter().map(|user| user.vm.raw().to_owned()).collect())
    })
}

const fn unusual<T>(
    id: &'static str,
    title: &'static str,
    about: &'static str,
    cell: fn(&T) -> Cell,
) -> Field<T> {
    Field {
        usual: false,
        ..Field::new(id, title, about, cell)
    }
}

/// The columns of `storage list`.
pub(super) static POOL_FIELDS: [Field<PoolRow>; 14] = [
    Field::new("host", "HOST", "name of the host", |row| {
        Cell::text(&row.host.spec.name)
    }),
    Field::new(
        "name",
        "POOL",
        "name of the pool; of a folder, its path",
        |row| Cell::Remote(row.pool.name.clone()),
    ),
    unusual("id", "ID", "its UUID; a folder has none", |row| {
        Cell::of(row.pool.id.as_ref(), |id| Cell::text(id.as_str()))
    }),
    Field::new(
        "kind",
        "KIND",
        "`dir`, `logical`, `netfs` ...; on Hyper-V `folder`",
        |row| remote(row.pool.kind.as_ref()),
    ),
    Field::new(
        "state",
        "STATE",
        "`active`, `inactive`, `building`, `degraded`, `inaccessible`",
        |row| Cell::of(row.pool.state.map(StoreState::word), Cell::text),
    ),
    Field::new(
        "autostart",
        "AUTO",
        "whether it starts with its host",
        |row| Cell::of(row.pool.autostart, Cell::Flag),
    ),
    unusual(
        "persistent",
        "KEPT",
        "whether its definition outlives it",
        |row| Cell::of(row.pool.persistent, Cell::Flag),
    ),
    Field {
        shown: Some(|row| shown_bytes(row.pool.capacity)),
        ..Field::new("capacity_bytes", "SIZE", "what fits in", |row| {
            bytes(row.pool.capacity)
        })
    },
    Field {
        shown: Some(|row| shown_bytes(row.pool.allocation)),
        ..Field::new("allocation_bytes", "USED", "what is used of it", |row| {
            bytes(row.pool.allocation)
        })
    },
    Field {
        shown: Some(|row| shown_bytes(row.pool.available)),
        ..Field::new("available_bytes", "FREE", "what is left", |row| {
            bytes(row.pool.available)
        })
    },
    Field::new(
        "volumes",
        "VOLUMES",
        "volumes in it; a pool that is stopped tells none",
        |row| count(row.pool.volumes.as_ref().map(Vec::len)),
    ),
    Field::new(
        "unattached",
        "UNATTACHED",
        "volumes that nothing uses, as far as its host tells",
        |row| count(row.pool.unattached()),
    ),
    unusual("vms", "VMS", "VMs with a disk in it", |row| {
        names(row.pool.users())
    }),
    Field::new("path", "PATH", "where it is on the host", |row| {
        remote(row.pool.path.as_ref())
    }),
];

/// The columns of `storage list --volumes`.
pub(super) static VOLUME_FIELDS: [Field<VolumeRow>; 10] = [
    Field::new("host", "HOST", "name of the host", |row| {
        Cell::text(&row.host.spec.name)
    }),
    Field::new("pool", "POOL", "name of the pool", |row| {
        Cell::Remote(row.pool.clone())
    }),
    Field::new("name", "VOLUME", "name of the volume", |row| {
        Cell::Remote(row.volume.name.clone())
    }),
    Field::new("format", "FORMAT", "`qcow2`, `raw`, `VHDX` ...", |row| {
        remote(row.volume.format.as_ref())
    }),
    Field {
        shown: Some(|row| shown_bytes(row.volume.capacity)),
        ..Field::new("capacity_bytes", "SIZE", "what a VM sees", |row| {
            bytes(row.volume.capacity)
        })
    },
    Field {
        shown: Some(|row| shown_bytes(row.volume.allocation)),
        ..Field::new(
            "allocation_bytes",
            "USED",
            "what it takes on the host",
            |row| bytes(row.volume.allocation),
        )
    },
    Field {
        shown: Some(|row| row.volume.usage.shown()),
        ..Field::new(
            "use",
            "USED BY",
            "`disk` of a VM, `base` of another volume, `unattached`, or `unknown`; people see by whom",
            |row| Cell::text(row.volume.usage.word()),
        )
    },
    unusual("vms", "VMS", "VMs whose disk it is", |row| {
        match &row.volume.usage {
            VolumeUse::Disk(users) => names(Some(users.clone())),
            _ => names(Some(Vec::new())),
        }
    }),
    unusual(
        "backing",
        "BASED ON",
        "the image that it is based on",
        |row| remote(row.volume.backing.as_ref()),
    ),
    unusual("path", "PATH", "where it is on the host", |row| {
        remote(row.volume.path.as_ref())
    }),
];

/// The columns of `network list`.
pub(super) static NETWORK_FIELDS: [Field<NetworkRow>; 13] = [
    Field::new("host", "HOST", "name of the host", |row| {
        Cell::text(&row.host.spec.name)
    }),
    Field::new(
        "name",
        "NETWORK",
        "name of the network, or of the switch",
        |row| Cell::Remote(row.network.name.clone()),
    ),
    unusual("id", "ID", "its UUID", |row| {
        Cell::of(row.network.id.as_ref(), |id| Cell::text(id.as_str()))
    }),
    Field::new(
        "mode",
        "MODE",
        "`nat`, `route`, `bridge`, `isolated` ...; a switch is `external`, `internal` or `private`",
        |row| remote(row.network.mode.as_ref()),
    ),
    Field::new(
        "state",
        "STATE",
        "`active` or `inactive`; a switch has no such thing",
        |row| Cell::of(row.network.state.map(StoreState::word), Cell::text),
    ),
    Field::new(
        "autostart",
        "AUTO",
        "whether it starts with its host",
        |row| Cell::of(row.network.autostart, Cell::Flag),
    ),
    unusual(
        "persistent",
        "KEPT",
        "whether its definition outlives it",
        |row| Cell::of(row.network.persistent, Cell::Flag),
    ),
    Field::new("bridge", "BRIDGE", "the host's bridge behind it", |row| {
        remote(row.network.bridge.as_ref())
    }),
    Field::new(
        "adapter",
        "ADAPTER",
        "the host's adapter behind it",
        |row| remote(row.network.adapter.as_ref()),
    ),
    unusual("vlans", "VLAN", "VLANs that are named with it", |row| {
        Cell::List(row.network.vlans.iter().map(ToString::to_string).collect())
    }),
    Field::new(
        "leases",
        "LEASES",
        "addresses that are handed out now",
        |row| Cell::of(row.network.leases, |leases| Cell::Count(u64::from(leases))),
    ),
    Field {
        shown: Some(|row| {
            row.network
                .users
                .as_ref()
                .map(|users| users.len().to_string())
        }),
        ..Field::new(
            "vms",
            "VMS",
            "VMs with a card on it; people see how many",
            |row| names(row.network.users.clone()),
        )
    },
    Field::new(
        "ranges",
        "ADDRESSES",
        "its addresses and the ranges it hands out",
        |row| {
            Cell::List(
                row.network
                    .ranges
                    .iter()
                    .map(|text| text.raw().to_owned())
                    .collect(),
            )
        },
    ),
];

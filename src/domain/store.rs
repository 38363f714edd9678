//! Storage and networks of a host: pools with their volumes, virtual networks and switches, and which VMs
//! use them. What a host does not tell is `None`; what it refuses to tell is a sentence, never an empty list.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::host::HostId;
use super::text::RemoteText;
use super::units::Bytes;
use super::vm::VmId;

/// Identity of a pool, a network or a switch on its host: a UUID, as [`VmId`] is one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoreId(Arc<str>);

impl StoreId {
    /// Takes a UUID; refuses anything else, so that an id can stand on a command line.
    pub fn parse(text: &str) -> Option<Self> {
        VmId::parse(text).map(|id| Self(Arc::from(id.as_str())))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What is meant: storage or network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    /// A storage pool.
    Pool,
    /// A virtual network, or a virtual switch.
    Network,
}

impl StoreKind {
    /// Returns the word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Network => "network",
        }
    }
}

/// One pool or network of one host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StoreRef {
    /// The host.
    pub host: HostId,
    /// Which of the two.
    pub kind: StoreKind,
    /// Its id there.
    pub id: StoreId,
}

/// How a pool or a network stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreState {
    /// It can be used.
    Active,
    /// It is defined, and stopped.
    Inactive,
    /// It is being made ready.
    Building,
    /// It can be used, and something about it is broken.
    Degraded,
    /// It is started, and cannot be reached.
    Inaccessible,
}

impl StoreState {
    /// Returns the word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Building => "building",
            Self::Degraded => "degraded",
            Self::Inaccessible => "inaccessible",
        }
    }

    /// Returns true unless it is stopped.
    pub fn is_started(self) -> bool {
        self != Self::Inactive
    }
}

/// A VM that uses something.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StoreUser {
    /// Its name.
    pub vm: RemoteText,
    /// Its id.
    pub id: VmId,
    /// Whether it runs now, or is paused; `None` where that is not known.
    pub running: Option<bool>,
}

/// What a volume is for, as far as the host tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "used", content = "by")]
pub enum VolumeUse {
    /// A disk of these VMs.
    Disk(Vec<StoreUser>),
    /// No VM's disk itself, but other volumes (these) are based on it.
    Base(Vec<RemoteText>),
    /// No VM of the host names it as a disk, and no volume that was read is based on it.
    Unattached,
    /// Not every VM could be asked.
    Unknown,
}

impl VolumeUse {
    /// Returns true when nothing uses it, as far as was read.
    pub fn is_unattached(&self) -> bool {
        *self == Self::Unattached
    }

    /// Returns the word of lists and of filters.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Disk(_) => "disk",
            Self::Base(_) => "base",
            Self::Unattached => "unattached",
            Self::Unknown => "unknown",
        }
    }

    /// Returns who uses it, as people read it: names, `unattached`, or nothing where nobody knows.
    pub fn shown(&self) -> Option<String> {
        let names = |names: Vec<&str>| names.join(", ");
        match self {
            Self::Disk(users) => Some(names(users.iter().map(|user| user.vm.shown()).collect())),
            Self::Base(volumes) => Some(format!(
                "base of {}",
                names(volumes.iter().map(RemoteText::shown).collect())
            )),
            Self::Unattached => Some("unattached".to_owned()),
            Self::Unknown => None,
        }
    }
}

/// One volume of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its name in the pool.
    pub name: RemoteText,
    /// Where it is on the host.
    pub path: Option<RemoteText>,
    /// `qcow2`, `raw`, `VHDX` ...
    pub format: Option<RemoteText>,
    /// What a VM sees.
    pub capacity: Option<Bytes>,
    /// What it takes on the host.
    pub allocation: Option<Bytes>,
    /// The image that it is based on.
    pub backing: Option<RemoteText>,
    /// What it is for.
    #[serde(flatten)]
    pub usage: VolumeUse,
}

impl Volume {
    /// Makes one of which nothing but its name is known.
    pub const fn named(name: RemoteText) -> Self {
        Self {
            name,
            path: None,
            format: None,
            capacity: None,
            allocation: None,
            backing: None,
            usage: VolumeUse::Unknown,
        }
    }
}

/// A storage pool; on Hyper-V, a folder with disks of VMs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its name; a folder's path.
    pub name: RemoteText,
    /// Its id; a folder has none, and nothing can be done to it.
    pub id: Option<StoreId>,
    /// `dir`, `logical`, `folder` ...
    pub kind: Option<RemoteText>,
    /// How it stands.
    pub state: Option<StoreState>,
    /// Whether it starts with the host.
    pub autostart: Option<bool>,
    /// Whether its definition outlives it.
    pub persistent: Option<bool>,
    /// What fits in.
    pub capacity: Option<Bytes>,
    /// What is used of it.
    pub allocation: Option<Bytes>,
    /// What is left.
    pub available: Option<Bytes>,
    /// Where it is on the host.
    pub path: Option<RemoteText>,
    /// Its volumes; `None` where they are not told, as of a pool that is stopped.
    pub volumes: Option<Vec<Volume>>,
    /// Whether only volumes are told that VMs use: then nothing is known of others.
    pub only_used: bool,
    /// What could not be read of it, in the host's words.
    pub gaps: Vec<RemoteText>,
}

impl Pool {
    /// Makes one of which nothing but its name is known.
    pub const fn named(name: RemoteText) -> Self {
        Self {
            name,
            id: None,
            kind: None,
            state: None,
            autostart: None,
            persistent: None,
            capacity: None,
            allocation: None,
            available: None,
            path: None,
            volumes: None,
            only_used: false,
            gaps: Vec::new(),
        }
    }

    /// Returns how many of its volumes nothing uses; `None` where that is not known of each.
    pub fn unattached(&self) -> Option<usize> {
        let volumes = self.volumes.as_ref().filter(|_| !self.only_used)?;
        let is_known = |volume: &Volume| volume.usage != VolumeUse::Unknown;
        volumes.iter().all(is_known).then(|| {
            let unused = volumes.iter().filter(|volume| volume.usage.is_unattached());
            unused.count()
        })
    }

    /// Returns the VMs with a disk in it, each once, in the order of their names; `None` where not known.
    pub fn users(&self) -> Option<Vec<StoreUser>> {
        let mut users = Vec::new();
        for volume in self.volumes.as_ref()? {
            match &volume.usage {
                VolumeUse::Disk(of) => users.extend(of.iter().cloned()),
                VolumeUse::Unknown => return None,
                VolumeUse::Base(_) | VolumeUse::Unattached => {}
            }
        }
        Some(each_once(users))
    }
}

/// A virtual network, or on Hyper-V a virtual switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its name.
    pub name: RemoteText,
    /// Its id.
    pub id: Option<StoreId>,
    /// How it reaches the world: `nat`, `route`, `bridge`, `isolated`; a switch: `external`, `internal`, `private`.
    pub mode: Option<RemoteText>,
    /// The host's bridge behind it.
    pub bridge: Option<RemoteText>,
    /// The host's adapter behind it.
    pub adapter: Option<RemoteText>,
    /// VLANs that are named with it.
    pub vlans: Vec<u32>,
    /// How it stands; a switch has no such thing.
    pub state: Option<StoreState>,
    /// Whether it starts with the host.
    pub autostart: Option<bool>,
    /// Whether its definition outlives it.
    pub persistent: Option<bool>,
    /// Its addresses and the ranges it hands out: `10.0.0.1/24`, `10.0.0.2 - 10.0.0.99`.
    pub ranges: Vec<RemoteText>,
    /// Addresses that are handed out now.
    pub leases: Option<u32>,
    /// VMs with a card on it, each once, in the order of their names; `None` where not known.
    pub users: Option<Vec<StoreUser>>,
    /// What could not be read of it, in the host's words.
    pub gaps: Vec<RemoteText>,
}

impl Network {
    /// Makes one of which nothing but its name is known.
    pub const fn named(name: RemoteText) -> Self {
        Self {
            name,
            id: None,
            mode: None,
            bridge: None,
            adapter: None,
            vlans: Vec::new(),
            state: None,
            autostart: None,
            persistent: None,
            ranges: Vec::new(),
            leases: None,
            users: None,
            gaps: Vec::new(),
        }
    }
}

/// What a host tells of something; an error is why it does not, in its own words.
pub type Told<T> = Result<T, RemoteText>;

/// Storage and networks of one host, as read at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostStores {
    /// Its pools, by name.
    pub pools: Told<Vec<Pool>>,
    /// Its networks, by name.
    pub networks: Told<Vec<Network>>,
    /// What could not be read beside those, in the host's words.
    pub gaps: Vec<RemoteText>,
}

/// A pool or a network: what can be said of both.
#[derive(Debug, Clone, Copy)]
pub enum Store<'a> {
    /// A pool.
    Pool(&'a Pool),
    /// A network.
    Network(&'a Network),
}

impl Store<'_> {
    /// Returns its name.
    pub const fn name(&self) -> &RemoteText {
        match self {
            Self::Pool(pool) => &pool.name,
            Self::Network(network) => &network.name,
        }
    }

    /// Returns its id, where it has one.
    pub const fn id(&self) -> Option<&StoreId> {
        match self {
            Self::Pool(pool) => pool.id.as_ref(),
            Self::Network(network) => network.id.as_ref(),
        }
    }

    /// Returns how it stands.
    pub const fn state(&self) -> Option<StoreState> {
        match self {
            Self::Pool(pool) => pool.state,
            Self::Network(network) => network.state,
        }
    }

    /// Returns whether it starts with the host.
    pub const fn autostart(&self) -> Option<bool> {
        match self {
            Self::Pool(pool) => pool.autostart,
            Self::Network(network) => network.autostart,
        }
    }

    /// Returns whether its definition outlives it.
    pub const fn persistent(&self) -> Option<bool> {
        match self {
            Self::Pool(pool) => pool.persistent,
            Self::Network(network) => network.persistent,
        }
    }

    /// Returns the VMs that use it; `None` where not known.
    pub fn users(&self) -> Option<Vec<StoreUser>> {
        match self {
            Self::Pool(pool) => pool.users(),
            Self::Network(network) => network.users.clone(),
        }
    }
}

impl HostStores {
    /// Returns everything of one kind, or why the host does not tell.
    pub fn of_kind(&self, kind: StoreKind) -> Result<Vec<Store<'_>>, &RemoteText> {
        match kind {
            StoreKind::Pool => match &self.pools {
                Ok(pools) => Ok(pools.iter().map(Store::Pool).collect()),
                Err(said) => Err(said),
            },
            StoreKind::Network => match &self.networks {
                Ok(networks) => Ok(networks.iter().map(Store::Network).collect()),
                Err(said) => Err(said),
            },
        }
    }

    /// Finds a pool or a network by its id.
    pub fn find(&self, kind: StoreKind, id: &StoreId) -> Option<Store<'_>> {
        let all = self.of_kind(kind).ok()?;
        all.into_iter().find(|store| store.id() == Some(id))
    }
}

/// Where a disk of a VM is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskEnd {
    /// A file or a device of the host.
    Path(String),
    /// A volume, of this pool where that is told.
    Volume {
        /// Name of the pool.
        pool: Option<String>,
        /// Name of the volume.
        name: String,
    },
}

impl DiskEnd {
    fn is(&self, pool: &str, volume: &Volume, same: impl Fn(&str, &str) -> bool) -> bool {
        match self {
            Self::Path(path) => {
                let own = volume.path.as_ref();
                own.is_some_and(|own| same(own.raw(), path))
            }
            Self::Volume { pool: of, name } => {
                name == volume.name.raw() && of.as_deref().is_none_or(|of| of == pool)
            }
        }
    }
}

/// Where disks and cards of the VMs of a host lead to: what tells who uses what.
#[derive(Debug, Clone, Default)]
pub struct Wiring {
    /// A VM, and where one of its disks is.
    pub disks: Vec<(StoreUser, DiskEnd)>,
    /// A VM, and the name of a network that one of its cards is on.
    pub cards: Vec<(StoreUser, String)>,
    /// Whether every VM could be asked.
    pub is_whole: bool,
    /// Whether paths that differ by case only are the same, as on Windows.
    pub ignores_case: bool,
}

impl Wiring {
    /// Says of every volume and of every network who uses it.
    pub fn attribute(&self, pools: &mut [Pool], networks: &mut [Network]) {
        let based: Vec<(String, RemoteText)> = pools
            .iter()
            .flat_map(|pool| pool.volumes.iter().flatten())
            .filter_map(|volume| Some((volume.backing.as_ref()?.raw().to_owned(), &volume.name)))
            .map(|(backing, name)| (backing, name.clone()))
            .collect();
        for pool in pools {
            let name = pool.name.raw().to_owned();
            for volume in pool.volumes.iter_mut().flatten() {
                let usage = self.use_of(&name, volume, &based);
                let is_guess = pool.only_used && usage.is_unattached();
                volume.usage = if is_guess { VolumeUse::Unknown } else { usage };
            }
        }
        for network in networks {
            let users = users_of(&self.cards, |on| on.as_str() == network.name.raw());
            network.users = (self.is_whole || !users.is_empty()).then_some(users);
        }
    }

    fn use_of(&self, pool: &str, volume: &Volume, based: &[(String, RemoteText)]) -> VolumeUse {
        let path = volume.path.as_ref().map(RemoteText::raw);
        let same = |one: &str, other: &str| {
            one == other || (self.ignores_case && one.to_lowercase() == other.to_lowercase())
        };
        let users = users_of(&self.disks, |end| end.is(pool, volume, same));
        if !users.is_empty() {
            return VolumeUse::Disk(users);
        }
        let above: Vec<RemoteText> = based
            .iter()
            .filter(|(backing, _)| path.is_some_and(|path| same(path, backing)))
            .map(|(_, name)| name.clone())
            .collect();
        if !above.is_empty() {
            VolumeUse::Base(above)
        } else if self.is_whole && path.is_some() {
            VolumeUse::Unattached
        } else {
            VolumeUse::Unknown
        }
    }
}

/// Returns those whose end fits, each once, by name.
fn users_of<T>(ends: &[(StoreUser, T)], fits: impl Fn(&T) -> bool) -> Vec<StoreUser> {
    let fitting = ends.iter().filter(|(_, end)| fits(end));
    each_once(fitting.map(|(user, _)| user.clone()).collect())
}

fn each_once(mut users: Vec<StoreUser>) -> Vec<StoreUser> {
    users.sort_by(|one, other| (one.vm.raw(), &one.id).cmp(&(other.vm.raw(), &other.id)));
    users.dedup();
    users
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, running: bool) -> StoreUser {
        StoreUser {
            vm: RemoteText::new(name),
            id: VmId::parse("6c09bb55-d683-4da0-8931-c9bf705f6480").unwrap(),
            running: Some(running),
        }
    }

    fn pool() -> Pool {
        let volume = |name: &str, backing: Option<&str>| Volume {
            path: Some(RemoteText::new(&format!("/images/{name}"))),
            backing: backing.map(RemoteText::new),
            ..Volume::named(RemoteText::new(name))
        };
        Pool {
            volumes: Some(vec![
                volume("base.qcow2", None),
                volume("web.qcow2", Some("/images/base.qcow2")),
                volume("by-name", None),
                volume("left.qcow2", None),
            ]),
            ..Pool::named(RemoteText::new("images"))
        }
    }

    fn wiring(is_whole: bool) -> Wiring {
        Wiring {
            disks: vec![
                (
                    user("web", true),
                    DiskEnd::Path("/images/web.qcow2".to_owned()),
                ),
                (
                    user("db", false),
                    DiskEnd::Volume {
                        pool: Some("images".to_owned()),
                        name: "by-name".to_owned(),
                    },
                ),
                (
                    user("other", false),
                    DiskEnd::Volume {
                        pool: Some("elsewhere".to_owned()),
                        name: "left.qcow2".to_owned(),
                    },
                ),
            ],
            cards: vec![
                (user("web", true), "lan".to_owned()),
                (user("web", true), "lan".to_owned()),
            ],
            is_whole,
            ignores_case: false,
        }
    }

    fn words(pool: &Pool) -> Vec<&'static str> {
        let volumes = pool.volumes.as_ref().unwrap();
        volumes.iter().map(|volume| volume.usage.word()).collect()
    }

    #[test]
    fn a_volume_is_a_disk_a_base_or_unattached() {
        let mut pools = [pool()];
        let mut networks = [
            Network::named(RemoteText::new("lan")),
            Network::named(RemoteText::new("dmz")),
        ];
        wiring(true).attribute(&mut pools, &mut networks);
        assert_eq!(words(&pools[0]), ["base", "disk", "disk", "unattached"]);
        assert_eq!(pools[0].unattached(), Some(1));
        let users: Vec<String> = pools[0]
            .users()
            .unwrap()
            .iter()
            .map(|one| one.vm.to_string())
            .collect();
        assert_eq!(users, ["db", "web"]);
        assert_eq!(networks[0].users.as_ref().unwrap().len(), 1);
        assert_eq!(networks[1].users, Some(Vec::new()));
    }

    #[test]
    fn nothing_is_called_unattached_while_a_vm_could_not_be_asked() {
        let mut pools = [pool()];
        let mut networks = [Network::named(RemoteText::new("dmz"))];
        wiring(false).attribute(&mut pools, &mut networks);
        assert_eq!(words(&pools[0]), ["base", "disk", "disk", "unknown"]);
        assert_eq!((pools[0].unattached(), pools[0].users()), (None, None));
        assert_eq!(networks[0].users, None);
    }
}

//! Storage and networks of a host, read when somebody looks at them: three or four rounds of questions to the
//! kept `virsh`, whatever the number of pools and VMs. What one pool or VM does not tell costs no other answer.

use std::collections::HashSet;
use std::time::Duration;

use super::command::{Line, Virsh};
use super::definition;
use super::kept::Reply;
use super::parse::{ids, lines, names};
use super::store_parse::{self as parse, is_garbled};
use super::verdict::judge_said;
use super::worker::{Patience, Worker};
use crate::domain::host::HostSpec;
use crate::domain::remote_command::RemoteCommand;
use crate::domain::store::{
    HostStores, Network, Pool, StoreId, StoreState, StoreUser, Told, Volume, Wiring,
};
use crate::domain::store_action::StoreVerb;
use crate::domain::text::RemoteText;
use crate::domain::vm::VmId;
use crate::hypervisor::HypervisorError;

/// How long one round of questions may take.
const WITHIN: Duration = Duration::from_secs(15);

/// Questions asked in one go: between two rounds others may ask.
const AT_ONCE: usize = 96;

/// Pools, and networks, that are read.
const MOST_STORES: usize = 200;

/// Volumes of one pool whose definitions are read; of more only name and path are known.
const MOST_VOLUMES: usize = 1000;

/// Of those, how many may have names that need a process each.
const MOST_ODD: usize = 32;

/// VMs whose disks and cards are looked at.
const MOST_VMS: usize = 5000;

/// The words for pools, or for networks, on the command line.
struct Words {
    list: &'static str,
    list_names: &'static str,
    id_of: &'static str,
}

const POOLS: Words = Words {
    list: "pool-list --all --uuid",
    list_names: "pool-list --all --name",
    id_of: "pool-uuid --pool",
};

const NETWORKS: Words = Words {
    list: "net-list --all --uuid",
    list_names: "net-list --all --name",
    id_of: "net-uuid --network",
};

/// The command of what is done to a pool or a network.
pub fn command(spec: &HostSpec, id: &StoreId, verb: StoreVerb) -> RemoteCommand {
    Virsh::of(spec).store_action(id, verb)
}

/// What is asked first; the rest depends on it.
pub(crate) fn questions() -> [Line; 4] {
    [
        Line::new(POOLS.list),
        Line::new(NETWORKS.list),
        Line::new("list --all --uuid --name"),
        Line::new("list --uuid"),
    ]
}

/// Reads everything.
pub(crate) async fn read(worker: &Worker) -> Result<HostStores, HypervisorError> {
    let replies = worker.ask(&questions(), WITHIN, Patience::Expects).await?;
    let Ok([pools, networks, vms, active]) = <[Reply; 4]>::try_from(replies) else {
        return Err(HypervisorError::Unparsable {
            program: "virsh".to_owned(),
            what: "fewer answers than questions".to_owned(),
            said: RemoteText::new(""),
        });
    };
    // Where none of the three is told, nothing is behind `virsh`.
    if let (Some(said), true, true) = (
        &vms.failure,
        pools.failure.is_some(),
        networks.failure.is_some(),
    ) {
        return Err(judge_said(worker.virsh(), said.clone()));
    }
    let mut reading = Reading {
        worker,
        gaps: Vec::new(),
    };
    let pool_ids = reading.ids(&POOLS, pools).await?;
    let network_ids = reading.ids(&NETWORKS, networks).await?;
    let mut pools = match pool_ids {
        Ok(ids) => Ok(reading.pools(&ids).await?),
        Err(said) => Err(said),
    };
    let mut networks = match network_ids {
        Ok(ids) => Ok(reading.networks(&ids).await?),
        Err(said) => Err(said),
    };
    let wiring = reading.wiring(&vms, &active).await?;
    let mut none = (Vec::new(), Vec::new());
    wiring.attribute(
        pools.as_mut().unwrap_or(&mut none.0),
        networks.as_mut().unwrap_or(&mut none.1),
    );
    Ok(HostStores {
        pools,
        networks,
        gaps: reading.gaps,
    })
}

struct Reading<'a> {
    worker: &'a Worker,
    gaps: Vec<RemoteText>,
}

impl Reading<'_> {
    /// Asks in portions; the answers stand in the order of the questions.
    async fn ask(&self, questions: &[Line]) -> Result<Vec<Reply>, HypervisorError> {
        let mut replies = Vec::with_capacity(questions.len());
        for portion in questions.chunks(AT_ONCE) {
            replies.extend(self.worker.ask(portion, WITHIN, Patience::Expects).await?);
        }
        Ok(replies)
    }

    fn gap(&mut self, what: &str, said: &RemoteText) {
        self.gaps
            .push(RemoteText::new(&format!("{what}: {}", said.raw())));
    }

    /// Returns the ids that a list told. A `virsh` that lists no UUIDs is asked for names and for the id
    /// of each.
    async fn ids(
        &mut self,
        words: &Words,
        told: Reply,
    ) -> Result<Told<Vec<StoreId>>, HypervisorError> {
        let Some(said) = told.failure else {
            let ids = ids(&told.stdout);
            return Ok(Ok(self.bounded(stores(&ids))));
        };
        if !said.raw().contains("doesn't support option") {
            return Ok(Err(said));
        }
        let listed = self.ask(&[Line::new(words.list_names)]).await?;
        let Some(Reply {
            stdout,
            failure: None,
        }) = listed.first()
        else {
            return Ok(Err(said));
        };
        let named: Vec<Line> = lines(stdout)
            .map(|name| String::from_utf8_lossy(name).trim_end().to_owned())
            .filter(|name| !name.is_empty())
            .map(|name| Line::about_name(words.id_of, &name))
            .collect();
        let (plain, odd): (Vec<Line>, Vec<Line>) = named.into_iter().partition(Line::is_plain);
        for line in &odd {
            let name = RemoteText::new(line.words().last().unwrap_or_default());
            self.gap("not asked about", &name);
        }
        let mut found = Vec::new();
        for reply in self.ask(&plain).await? {
            found.extend(ids(&reply.stdout));
        }
        Ok(Ok(self.bounded(stores(&found))))
    }

    fn bounded(&mut self, mut ids: Vec<StoreId>) -> Vec<StoreId> {
        if let Some(more) = ids.len().checked_sub(MOST_STORES).filter(|more| *more > 0) {
            let said = RemoteText::new(&format!("{more} of them"));
            self.gap("too many to be read", &said);
            ids.truncate(MOST_STORES);
        }
        ids
    }

    async fn pools(&mut self, ids: &[StoreId]) -> Result<Vec<Pool>, HypervisorError> {
        let about = ["pool-dumpxml", "pool-info", "vol-list --pool"];
        let questions: Vec<Line> = ids
            .iter()
            .flat_map(|id| about.map(|command| Line::about_store(command, id)))
            .collect();
        let replies = self.ask(&questions).await?;
        let mut pools = Vec::with_capacity(ids.len());
        for (id, told) in ids.iter().zip(replies.chunks_exact(3)) {
            let [definition, info, list] = told else {
                continue;
            };
            if let Some(pool) = Self::pool(id, definition, info) {
                let pool = self.with_volumes(pool, id, list).await?;
                pools.push(pool);
            }
        }
        pools.sort_by(|one, other| one.name.raw().cmp(other.name.raw()));
        Ok(pools)
    }

    fn pool(id: &StoreId, definition: &Reply, info: &Reply) -> Option<Pool> {
        let said = match (&definition.failure, parse::pool(&definition.stdout)) {
            (None, Ok(mut pool)) => {
                pool.id = Some(id.clone());
                match &info.failure {
                    None => parse::take_pool_info(&mut pool, &info.stdout),
                    Some(said) => pool.gaps.push(said.clone()),
                }
                return Some(pool);
            }
            (Some(said), _) => said.clone(),
            (None, Err(problem)) => RemoteText::new(problem.what),
        };
        // Gone since it was listed: then there is none.
        if said.raw().contains("not found") {
            return None;
        }
        let mut pool = Pool::named(RemoteText::new(id.as_str()));
        pool.id = Some(id.clone());
        pool.gaps.push(said);
        Some(pool)
    }

    async fn with_volumes(
        &mut self,
        mut pool: Pool,
        id: &StoreId,
        list: &Reply,
    ) -> Result<Pool, HypervisorError> {
        if let Some(said) = &list.failure {
            // A pool that is stopped tells none; that is no gap.
            if pool.state != Some(StoreState::Inactive) {
                pool.gaps.push(said.clone());
            }
            return Ok(pool);
        }
        let mut listed = parse::volumes(&list.stdout);
        if listed.iter().any(|volume| is_garbled(volume.name.raw())) {
            let line = Line::about_store("vol-list --pool", id);
            let again = self.worker.ask_in_utf8(&line).await?;
            if again.failure.is_none() {
                listed = parse::volumes(&again.stdout);
            }
        }
        let unread = listed.len().saturating_sub(MOST_VOLUMES);
        if unread > 0 {
            let said = format!("of {unread} volumes only the names were read");
            pool.gaps.push(RemoteText::new(&said));
        }
        pool.volumes = Some(self.volumes(id, listed, &mut pool.gaps).await?);
        Ok(pool)
    }

    /// Asks for the definitions of volumes; one that cannot be read keeps name and path.
    async fn volumes(
        &self,
        pool: &StoreId,
        mut listed: Vec<Volume>,
        gaps: &mut Vec<RemoteText>,
    ) -> Result<Vec<Volume>, HypervisorError> {
        let about = |volume: &Volume| Line::about_volume("vol-dumpxml", pool, volume.name.raw());
        let (mut plain, mut odd) = (Vec::new(), Vec::new());
        for (at, volume) in listed.iter().enumerate().take(MOST_VOLUMES) {
            let line = about(volume);
            if line.is_plain() {
                plain.push((at, line));
            } else if odd.len() < MOST_ODD && !is_garbled(volume.name.raw()) {
                odd.push((at, line));
            }
        }
        let (plain_at, plain): (Vec<usize>, Vec<Line>) = plain.into_iter().unzip();
        let (odd_at, odd): (Vec<usize>, Vec<Line>) = odd.into_iter().unzip();
        let mut replies = self.ask(&plain).await?;
        replies.extend(self.worker.ask_alone(&odd).await?);
        let mut gone = HashSet::new();
        for (at, reply) in plain_at.into_iter().chain(odd_at).zip(replies) {
            let Some(volume) = listed.get_mut(at) else {
                continue;
            };
            match (&reply.failure, parse::volume(&reply.stdout)) {
                (None, Ok(read)) => {
                    let path = read.path.clone().or_else(|| volume.path.take());
                    *volume = Volume { path, ..read };
                }
                (Some(said), _) if said.raw().contains("not found") => {
                    gone.insert(at);
                }
                (Some(said), _) => gaps.push(said.clone()),
                (None, Err(problem)) => gaps.push(RemoteText::new(problem.what)),
            }
        }
        let mut at = 0;
        listed.retain(|_| {
            at += 1;
            !gone.contains(&(at - 1))
        });
        listed.sort_by(|one, other| one.name.raw().cmp(other.name.raw()));
        Ok(listed)
    }

    async fn networks(&mut self, ids: &[StoreId]) -> Result<Vec<Network>, HypervisorError> {
        let about = ["net-dumpxml", "net-info", "net-dhcp-leases"];
        let questions: Vec<Line> = ids
            .iter()
            .flat_map(|id| about.map(|command| Line::about_store(command, id)))
            .collect();
        let replies = self.ask(&questions).await?;
        let mut networks = Vec::with_capacity(ids.len());
        for (id, told) in ids.iter().zip(replies.chunks_exact(3)) {
            if let [definition, info, leases] = told {
                networks.extend(network(id, definition, info, leases));
            }
        }
        networks.sort_by(|one, other| one.name.raw().cmp(other.name.raw()));
        Ok(networks)
    }

    /// Asks every VM where its disks and its cards lead to.
    async fn wiring(&mut self, vms: &Reply, active: &Reply) -> Result<Wiring, HypervisorError> {
        let mut wiring = Wiring {
            is_whole: vms.failure.is_none(),
            ..Wiring::default()
        };
        if let Some(said) = &vms.failure {
            self.gap("the list of VMs", said);
        }
        let told = names(&vms.stdout);
        wiring.is_whole &= told.strays.is_empty() && told.pairs.len() <= MOST_VMS;
        let running: Option<HashSet<VmId>> = active
            .failure
            .is_none()
            .then(|| ids(&active.stdout).into_iter().collect());
        let users: Vec<StoreUser> = told
            .pairs
            .into_iter()
            .take(MOST_VMS)
            .map(|(id, name)| StoreUser {
                vm: RemoteText::from_bytes(&name),
                running: running.as_ref().map(|running| running.contains(&id)),
                id,
            })
            .collect();
        let questions: Vec<Line> = users
            .iter()
            .flat_map(|user| {
                [
                    Line::about("domblklist", &user.id).with("--details"),
                    Line::about("domiflist", &user.id),
                ]
            })
            .collect();
        let replies = self.ask(&questions).await?;
        let mut garbled = Vec::new();
        for (user, told) in users.iter().zip(replies.chunks_exact(2)) {
            let [blocks, cards] = told else { continue };
            if let Some(said) = blocks.failure.as_ref().or(cards.failure.as_ref()) {
                // Gone since it was listed: it uses nothing any more.
                if !said.raw().contains("failed to get domain") {
                    wiring.is_whole = false;
                    self.gap(user.vm.raw(), said);
                }
                continue;
            }
            let ends = parse::disks(&blocks.stdout);
            let (on, odd) = parse::cards(&cards.stdout);
            if ends.is_garbled || odd {
                garbled.push(user.clone());
                continue;
            }
            let disks = ends.disks.into_iter().map(|end| (user.clone(), end));
            wiring.disks.extend(disks);
            wiring
                .cards
                .extend(on.into_iter().map(|on| (user.clone(), on)));
        }
        self.look_closer(&garbled, &mut wiring).await?;
        Ok(wiring)
    }

    /// Reads the definitions of VMs whose tables held names that they could not print.
    async fn look_closer(
        &mut self,
        vms: &[StoreUser],
        wiring: &mut Wiring,
    ) -> Result<(), HypervisorError> {
        let questions: Vec<Line> = vms
            .iter()
            .map(|user| Line::about("dumpxml", &user.id))
            .collect();
        for (user, reply) in vms.iter().zip(self.ask(&questions).await?) {
            match (&reply.failure, definition::wired(&reply.stdout)) {
                (None, Ok((disks, cards))) => {
                    wiring
                        .disks
                        .extend(disks.into_iter().map(|end| (user.clone(), end)));
                    wiring
                        .cards
                        .extend(cards.into_iter().map(|on| (user.clone(), on)));
                }
                (Some(said), _) => {
                    wiring.is_whole = false;
                    self.gap(user.vm.raw(), said);
                }
                (None, Err(problem)) => {
                    wiring.is_whole = false;
                    self.gap(user.vm.raw(), &RemoteText::new(problem.what));
                }
            }
        }
        Ok(())
    }
}

fn network(id: &StoreId, definition: &Reply, info: &Reply, leases: &Reply) -> Option<Network> {
    let said = match (&definition.failure, parse::network(&definition.stdout)) {
        (None, Ok(mut network)) => {
            network.id = Some(id.clone());
            match &info.failure {
                None => parse::take_network_info(&mut network, &info.stdout),
                Some(said) => network.gaps.push(said.clone()),
            }
            // Only a network that hands out addresses has leases; that others tell none is no gap.
            network.leases = leases
                .failure
                .is_none()
                .then(|| parse::rows(&leases.stdout));
            return Some(network);
        }
        (Some(said), _) => said.clone(),
        (None, Err(problem)) => RemoteText::new(problem.what),
    };
    if said.raw().contains("not found") {
        return None;
    }
    let mut network = Network::named(RemoteText::new(id.as_str()));
    network.id = Some(id.clone());
    network.gaps.push(said);
    Some(network)
}

fn stores(ids: &[VmId]) -> Vec<StoreId> {
    let mut all: Vec<StoreId> = ids
        .iter()
        .filter_map(|id| StoreId::parse(id.as_str()))
        .collect();
    all.sort();
    all.dedup();
    all
}

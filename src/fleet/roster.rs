//! Which hosts are wanted, and the session each of them has.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::engine::{BulkLimit, Engine};
use super::operation::{ACTIONS_AT_ONCE, Places};
use super::request::HostSelection;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::health::HostHealth;
use crate::domain::host::{HostId, HostSpec};
use crate::session::command_log::CommandLog;
use crate::session::{HostCommand, SessionHandle, spawn};

/// The sessions of the fleet.
#[derive(Debug, Default)]
pub(super) struct Roster {
    sessions: HashMap<HostId, SessionHandle>,
    /// Hosts somebody has asked to be connected.
    wanted: HashSet<HostId>,
    /// Whether hosts that are added later are wanted too.
    all: bool,
    /// Hosts that are looked at; `None` = all.
    focus: Option<HashSet<HostId>>,
    places: HashMap<HostId, Places>,
    bulk: BulkLimit,
    /// What was sent to each host. Outlives its sessions: why one was replaced is found in there.
    logs: HashMap<HostId, CommandLog>,
    epoch: u64,
}

impl Roster {
    pub(super) fn new(bulk: BulkLimit) -> Self {
        Self {
            bulk,
            ..Self::default()
        }
    }

    pub(super) fn is_current(&self, host: HostId, epoch: u64) -> bool {
        self.sessions
            .get(&host)
            .is_some_and(|session| session.epoch == epoch)
    }

    pub(super) fn session(&self, host: HostId) -> Option<&SessionHandle> {
        self.sessions.get(&host)
    }

    /// Returns the logs of what was sent to a host, or to all of them.
    pub(super) fn logs_of(&self, host: Option<HostId>) -> Vec<CommandLog> {
        let wanted = |id: &HostId| host.is_none_or(|wanted| wanted == *id);
        let logs = self.logs.iter().filter(|(id, _)| wanted(id));
        logs.map(|(_, log)| log.clone()).collect()
    }

    /// Returns the places for actions of a host. They outlive its sessions: what one has sent is still
    /// under way when the next begins.
    pub(super) fn places(&mut self, host: HostId) -> Places {
        let bulk = self.bulk.0.get();
        let places = self.places.entry(host).or_insert_with(|| Places {
            sending: Arc::new(Semaphore::new(ACTIONS_AT_ONCE)),
            bulk: Arc::new(Semaphore::new(bulk)),
        });
        places.clone()
    }

    /// Returns the log of what is sent to a host.
    pub(super) fn log(&mut self, host: HostId) -> CommandLog {
        self.logs.entry(host).or_default().clone()
    }

    fn is_focused(&self, host: HostId) -> bool {
        self.focus
            .as_ref()
            .is_none_or(|hosts| hosts.contains(&host))
    }
}

impl Engine {
    /// Returns the hosts of a selection; those that are switched off only by name.
    pub(super) fn select(&self, hosts: &HostSelection) -> Result<Vec<HostId>, Failure> {
        match hosts {
            HostSelection::All => Ok(self
                .state
                .hosts()
                .iter()
                .filter(|host| host.spec.enabled)
                .map(|host| host.spec.id)
                .collect()),
            HostSelection::Only(ids) => {
                for id in ids {
                    let host = self.state.host(*id).ok_or_else(no_such_host)?;
                    if !host.spec.enabled {
                        return Err(Failure::new(
                            ErrorKind::Refused,
                            format!("{} is switched off in its definition", host.spec.name),
                        )
                        .with_hint(format!("`vmdeck host edit {}` enables it", host.spec.name)));
                    }
                }
                Ok(ids.clone())
            }
        }
    }

    /// Starts sessions that are missing and wakes those that wait, or reads what is up.
    pub(super) fn connect(
        &mut self,
        hosts: &HostSelection,
        also_wake: bool,
    ) -> Result<(), Failure> {
        let ids = self.select(hosts)?;
        self.roster.all |= *hosts == HostSelection::All;
        let mut outcome = Ok(());
        for id in ids {
            self.roster.wanted.insert(id);
            if !self.roster.sessions.contains_key(&id) {
                self.start_session(id);
            } else if also_wake {
                outcome = outcome.and(self.wake(id));
            }
        }
        outcome
    }

    /// Ends the session of a host, which stays known.
    pub(super) fn disconnect(&mut self, id: HostId) -> Result<(), Failure> {
        self.state.host(id).ok_or_else(no_such_host)?;
        self.roster.wanted.remove(&id);
        self.end_session(id);
        Ok(())
    }

    /// Says which hosts are looked at; the others are read less often.
    pub(super) fn focus(&mut self, hosts: HostSelection) {
        self.roster.focus = match hosts {
            HostSelection::All => None,
            HostSelection::Only(ids) => Some(ids.into_iter().collect()),
        };
        for (id, session) in &self.roster.sessions {
            let on = self.roster.is_focused(*id);
            if let Err(cause) = session.send(HostCommand::Focus(on)) {
                tracing::debug!(%cause, host = %id, "could not change the focus");
            }
        }
    }

    pub(super) fn wake(&self, id: HostId) -> Result<(), Failure> {
        match self.roster.session(id) {
            Some(session) => session.send(HostCommand::Wake),
            None => Ok(()),
        }
    }

    /// Asks sessions for one more fast read.
    pub(super) fn read_once_more(&self, hosts: &HostSelection) -> Result<(), Failure> {
        let ids = self.select(hosts)?;
        ids.iter()
            .filter_map(|id| self.roster.session(*id))
            .map(|session| session.send(HostCommand::Read { full: false }))
            .fold(Ok(()), Result::and)
    }

    /// Wakes hosts that stopped because the profile was locked.
    pub(super) fn wake_locked(&mut self) {
        self.wake_stopped(|health| {
            matches!(health, HostHealth::NeedsOperator { cause, .. } if cause.kind == ErrorKind::Locked)
        });
    }

    /// Wakes hosts that stopped at a key which is pinned now, exactly as it was shown. A host whose
    /// question is over may have had its key pinned as well: trying it once is how to find out.
    pub(super) fn wake_trusted(&mut self) {
        let pinned = Arc::clone(&self.keeper.pinned.borrow());
        self.wake_stopped(|health| match health {
            HostHealth::NeedsOperator {
                question: Some(asked),
                ..
            } => pinned.iter().any(|pin| {
                !pin.revoked && pin.label == asked.label.to_lowercase() && pin.key == asked.key
            }),
            HostHealth::NeedsOperator {
                cause,
                question: None,
            } => cause.kind == ErrorKind::HostKey,
            HostHealth::Disabled
            | HostHealth::Connecting { .. }
            | HostHealth::Online
            | HostHealth::Degraded { .. }
            | HostHealth::Offline { .. } => false,
        });
    }

    fn wake_stopped(&mut self, is_meant: impl Fn(&HostHealth) -> bool) {
        for host in self.state.hosts() {
            if is_meant(&host.health)
                && let Err(cause) = self.wake(host.spec.id)
            {
                tracing::warn!(%cause, host = %host.spec.name, "could not wake a host");
            }
        }
    }

    /// Takes the definitions as they are now; sessions follow at once.
    pub(super) fn apply_hosts(&mut self, specs: Vec<HostSpec>) {
        let now = self.clock().now();
        let change = self.state.set_hosts(specs, now);
        for id in change.removed {
            self.end_session(id);
            self.roster.wanted.remove(&id);
            self.roster.places.remove(&id);
            self.roster.logs.remove(&id);
            self.chores.forget(id);
        }
        for id in change.redefined {
            self.end_session(id);
            if self.roster.wanted.contains(&id) {
                self.start_session(id);
            }
        }
        for id in change.added {
            if self.roster.all {
                self.roster.wanted.insert(id);
                self.start_session(id);
            }
        }
        self.changed();
    }

    fn start_session(&mut self, id: HostId) {
        let Some(host) = self.state.host(id).filter(|host| host.spec.enabled) else {
            return;
        };
        self.roster.epoch += 1;
        let session = spawn(
            Arc::clone(&self.context),
            Arc::clone(&host.spec),
            self.roster.epoch,
            self.roster.logs.entry(id).or_default().clone(),
            self.groups.sessions.child(),
        );
        // A new queue has room for two.
        if !self.roster.is_focused(id) {
            drop(session.send(HostCommand::Focus(false)));
        }
        drop(session.send(HostCommand::Wake));
        self.roster.sessions.insert(id, session);
    }

    fn end_session(&mut self, id: HostId) {
        if let Some(session) = self.roster.sessions.remove(&id) {
            session.tasks.cancel();
        }
        let now = self.clock().now();
        self.state.set_health(id, HostHealth::Disabled, now);
        self.changed();
    }
}

pub(super) fn no_such_host() -> Failure {
    Failure::new(ErrorKind::NotFound, "there is no such host in the profile")
        .with_hint("`vmdeck host list` shows them all")
}

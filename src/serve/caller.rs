//! Who asks, and what they may do. Made by the auth layers only; every handler asks it.

use std::net::IpAddr;
use std::sync::Arc;

use crate::accounts::{Access, KeyInfo, Permission, Scopes, User};
use crate::domain::action::ActionKind;
use crate::domain::audit::AuditEntry;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host::HostSpec;
use crate::domain::inventory::{FleetSnapshot, HostSnapshot};
use crate::domain::operation::{Actor, Door};
use crate::fleet::FleetHandle;
use crate::serve::tenant::Tenants;

/// An authenticated caller: an extension of the request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Id of the key they came with; `bot` for the one key of the bot contract.
    pub key_id: String,
    /// Name of the user, for records.
    pub name: String,
    /// The user; `None` for the bot contract, whose key is nobody's.
    pub user: Option<Arc<User>>,
    /// The key; `None` for the bot contract.
    pub key: Option<Arc<KeyInfo>>,
    /// The profile they work in.
    pub profile: String,
    /// What the key may be used for.
    pub scopes: Scopes,
    /// Where they come from.
    pub address: IpAddr,
    /// Whether they may make and remove users.
    pub admin: bool,
}

impl Caller {
    /// Makes the caller of a key.
    pub fn of(access: Access, address: IpAddr) -> Self {
        Self {
            key_id: access.key.id.clone(),
            name: access.user.name.clone(),
            profile: access.user.profile.clone(),
            scopes: access.key.scopes.clone(),
            admin: access.user.admin && !access.key.scopes.read_only,
            user: Some(access.user),
            key: Some(access.key),
            address,
        }
    }

    /// Makes the caller of the bot contract.
    pub fn bot(profile: &str, address: IpAddr) -> Self {
        Self {
            key_id: "bot".to_owned(),
            name: "bot".to_owned(),
            user: None,
            key: None,
            profile: profile.to_owned(),
            scopes: Scopes {
                audit: true,
                ..Scopes::default()
            },
            address,
            admin: false,
        }
    }

    /// Whether they are told about everybody's profiles and keys: an administrator whose key is not narrowed.
    pub fn sees_everybody(&self) -> bool {
        self.admin && !self.scopes.is_narrowed()
    }

    /// Returns who acts, for plans and the audit.
    pub fn actor(&self) -> Actor {
        Actor {
            door: Door::Serve,
            user: self.name.clone(),
            key: Some(self.key_id.clone()),
            client_ip: Some(self.address.to_string()),
        }
    }

    /// Returns the fleet they work in, at a door that records what they change under their name.
    pub async fn fleet(&self, tenants: &Tenants) -> Result<FleetHandle, Failure> {
        let fleet = tenants.fleet(&self.profile).await?;
        Ok(fleet.acting_as(self.actor()))
    }

    /// Says whether something may be done, on what is seen.
    pub fn may(&self, what: Permission) -> Result<(), Failure> {
        self.scopes.allow(what)
    }

    /// Says whether a verb may be run on a host. A host that is not seen is answered like one that is
    /// not there.
    pub fn may_act(&self, kind: ActionKind, host: &HostSpec) -> Result<(), Failure> {
        if !self.sees(host) {
            return Err(Failure::new(ErrorKind::NotFound, "there is no such VM"));
        }
        self.may(Permission::Act(kind))
    }

    /// Says whether a host is seen.
    pub fn sees(&self, host: &HostSpec) -> bool {
        self.scopes.sees(host)
    }

    /// Returns the hosts that are seen.
    pub fn hosts<'a>(
        &'a self,
        fleet: &'a FleetSnapshot,
    ) -> impl Iterator<Item = &'a Arc<HostSnapshot>> {
        fleet.hosts.iter().filter(|host| self.sees(&host.spec))
    }

    /// Makes a record for the audit of something that is no action on a VM.
    pub fn note(
        &self,
        action: &str,
        status: &str,
        details: String,
        now: jiff::Timestamp,
    ) -> AuditEntry {
        let mut entry = AuditEntry::note(action, status, details, now);
        entry.client_ip = Some(self.address.to_string());
        entry.actor = Some(self.actor());
        entry
    }
}

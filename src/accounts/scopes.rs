//! What a key may be used for: hosts, tags, verbs, and a few powers of their own.

use serde::{Deserialize, Serialize};

use crate::domain::action::ActionKind;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host::HostSpec;
use crate::domain::policy::glob;

/// What a key may be used for. Empty lists allow everything of their sort; patterns may hold `*`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent powers, each written by name in the database"
)]
pub struct Scopes {
    /// Names of hosts. Others are not seen.
    pub hosts: Vec<String>,
    /// Tags of hosts, one of which is enough. Hosts without one are not seen.
    pub tags: Vec<String>,
    /// Verbs (`start`, `force-*`).
    pub verbs: Vec<String>,
    /// Nothing may be changed.
    pub read_only: bool,
    /// Hosts and credentials may be changed.
    pub manage: bool,
    /// The audit log may be read.
    pub audit: bool,
    /// Private keys may be read back, where the configuration allows that at all.
    pub export: bool,
}

/// One thing that a key may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Looking.
    See,
    /// Doing something to a VM.
    Act(ActionKind),
    /// Changing hosts and credentials.
    Manage,
    /// Reading the audit log.
    Audit,
    /// Reading private keys back.
    Export,
}

impl Scopes {
    /// Everything that a user of the server may do in their own profile.
    pub fn full() -> Self {
        Self {
            manage: true,
            audit: true,
            export: true,
            ..Self::default()
        }
    }

    /// Looking, and nothing else.
    pub fn looking() -> Self {
        Self {
            read_only: true,
            ..Self::default()
        }
    }

    /// Says whether a host is seen at all. What is not seen is answered like what is not there.
    pub fn sees(&self, host: &HostSpec) -> bool {
        let named = self.hosts.is_empty()
            || self
                .hosts
                .iter()
                .any(|pattern| glob(pattern, host.name.as_str()));
        let tagged = self.tags.is_empty()
            || host
                .tags
                .iter()
                .any(|tag| self.tags.iter().any(|pattern| glob(pattern, tag.as_str())));
        named && tagged
    }

    /// Says whether some hosts are not seen.
    pub fn is_narrowed(&self) -> bool {
        !self.hosts.is_empty() || !self.tags.is_empty()
    }

    /// Says whether something may be done, on hosts that are seen.
    pub fn allow(&self, what: Permission) -> Result<(), Failure> {
        let refuse = |why: String| {
            Err(Failure::new(ErrorKind::Refused, why)
                .with_hint("use a key with that scope; `vmdeck user list` shows what each may do"))
        };
        match what {
            Permission::Act(_) | Permission::Manage | Permission::Export if self.read_only => {
                refuse("this key may only look".to_owned())
            }
            Permission::Act(kind) => {
                let id = kind.spec().id;
                let fits = |pattern: &String| glob(pattern, id);
                if self.verbs.is_empty() || self.verbs.iter().any(fits) {
                    Ok(())
                } else {
                    refuse(format!("this key may not {}", kind.spec().verb_alone()))
                }
            }
            // A key for some hosts must not be able to add the others.
            Permission::Manage if !self.manage || self.is_narrowed() => {
                refuse("this key may not change hosts and credentials".to_owned())
            }
            Permission::Audit if !self.audit || self.is_narrowed() => {
                refuse("this key may not read the audit log".to_owned())
            }
            Permission::Export if !self.export || self.is_narrowed() => {
                refuse("this key may not read private keys".to_owned())
            }
            Permission::See | Permission::Manage | Permission::Audit | Permission::Export => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::host::Endpoint;

    fn host(name: &str, tags: &[&str]) -> HostSpec {
        let mut spec = HostSpec::new(name.parse().unwrap(), Endpoint::new(name, 22));
        spec.tags = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        spec
    }

    #[test]
    fn hosts_are_narrowed_by_name_and_by_tag_together() {
        let scopes = Scopes {
            hosts: vec!["kvm*".into()],
            tags: vec!["blue".into(), "web-*".into()],
            ..Scopes::full()
        };
        for (name, tags, seen) in [
            ("kvm1", &["blue"][..], true),
            ("kvm1", &["red", "web-2"], true),
            ("kvm1", &[], false),
            ("hv1", &["blue"], false),
        ] {
            assert_eq!(scopes.sees(&host(name, tags)), seen, "{name} {tags:?}");
        }
        assert!(Scopes::default().sees(&host("any", &[])));
    }

    #[test]
    fn verbs_and_powers() {
        let power = Scopes {
            verbs: vec!["start".into(), "re*".into()],
            ..Scopes::default()
        };
        assert!(power.allow(Permission::Act(ActionKind::Start)).is_ok());
        assert!(power.allow(Permission::Act(ActionKind::Reset)).is_ok());
        assert!(power.allow(Permission::Act(ActionKind::ForceOff)).is_err());
        assert!(power.allow(Permission::Manage).is_err());
        assert!(Scopes::full().allow(Permission::Export).is_ok());
        let looking = Scopes {
            read_only: true,
            ..Scopes::full()
        };
        assert!(looking.allow(Permission::See).is_ok());
        assert!(looking.allow(Permission::Audit).is_ok());
        for what in [
            Permission::Act(ActionKind::Start),
            Permission::Manage,
            Permission::Export,
        ] {
            assert!(looking.allow(what).is_err(), "{what:?}");
        }
    }

    #[test]
    fn a_key_for_some_hosts_has_no_power_over_the_list_of_hosts() {
        let some = Scopes {
            hosts: vec!["kvm1".into()],
            ..Scopes::full()
        };
        for what in [Permission::Manage, Permission::Audit, Permission::Export] {
            assert!(some.allow(what).is_err(), "{what:?}");
        }
    }
}

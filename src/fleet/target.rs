//! From a host's definition to something that can be dialled: jumps, accounts, what to log in with, in
//! order. [`assemble`] is pure; [`Targets`] fetches what it needs from profile and vault.
//!
//! Which key goes to which hop: a sealed credential or key file of the host is also offered to its
//! jump hosts when it is a key (a signature is bound to one connection and helps nobody else), never
//! when it is a password: a jump host must not learn the password of what lies behind it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use super::import::{Importable, importable};
use crate::domain::credential::{Credential, CredentialKind, CredentialName, CredentialSecret};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::guest_login::{GuestLogin, key_label};
use crate::domain::host::{Endpoint, HostSpec, Jump, LoginMethod, UserName};
use crate::domain::host_key::PinnedKey;
use crate::domain::secret::SecretText;
use crate::domain::vm::VmId;
use crate::profile::Profile;
use crate::session::TargetSource;
use crate::transport::ssh::client_config::ClientConfig;
use crate::transport::{Hop, Target};
use crate::vault::{SealContext, Vault};

/// Jumps of jumps that are followed before the configuration counts as a circle.
const MOST_HOPS: usize = 8;

/// What the SSH client configuration says about a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alias {
    /// The name or address to dial instead.
    pub hostname: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// The account.
    pub user: Option<UserName>,
    /// Private key files, in order.
    pub identity_files: Vec<PathBuf>,
    /// Whether those come before whatever else the agent holds (`IdentitiesOnly`). The agent is still
    /// asked, last: it may be what opens them.
    pub files_first: bool,
    /// Stops on the way, nearest first.
    pub jumps: Vec<Jump>,
    /// `known_hosts` files to read for it.
    pub known_hosts: Vec<PathBuf>,
    /// Name its key is filed under.
    pub key_alias: Option<String>,
}

/// Something that knows aliases: the SSH client configuration, or a test.
pub trait AliasSource: Send + Sync + std::fmt::Debug {
    /// Looks a name up; one it does not know is an empty alias.
    fn resolve(&self, name: &str) -> Result<Alias, Failure>;

    /// Returns the names it has; patterns are none.
    fn names(&self) -> Result<Vec<String>, Failure> {
        Ok(Vec::new())
    }
}

/// Knows no aliases.
#[derive(Debug, Clone, Copy)]
pub struct NoAliases;

impl AliasSource for NoAliases {
    fn resolve(&self, _name: &str) -> Result<Alias, Failure> {
        Ok(Alias::default())
    }
}

impl AliasSource for ClientConfig {
    fn resolve(&self, name: &str) -> Result<Alias, Failure> {
        let found = Self::resolve(self, name);
        let user = found.user.map(|user| {
            user.parse::<UserName>().map_err(|error| {
                Failure::new(
                    ErrorKind::Config,
                    format!("the account that the SSH configuration gives {name}: {error}"),
                )
                .with_hint("name another: `vmdeck host edit NAME --user USER`")
            })
        });
        let mut known_hosts = found.user_known_hosts;
        known_hosts.extend(found.global_known_hosts);
        Ok(Alias {
            hostname: Some(found.hostname),
            port: found.port,
            user: user.transpose()?,
            identity_files: found.identity_files,
            files_first: found.identities_only,
            jumps: found.proxy_jump,
            known_hosts,
            key_alias: found.host_key_alias,
        })
    }

    fn names(&self) -> Result<Vec<String>, Failure> {
        Ok(self.aliases())
    }
}

/// A configuration that could not be read: no host is dialled by half of what is configured.
#[derive(Debug, Clone)]
pub struct BrokenConfig(pub Failure);

impl AliasSource for BrokenConfig {
    fn resolve(&self, _name: &str) -> Result<Alias, Failure> {
        Err(self.0.clone())
    }

    fn names(&self) -> Result<Vec<String>, Failure> {
        Err(self.0.clone())
    }
}

/// How logins go where a definition does not say.
#[derive(Debug, Clone, Default)]
pub struct LoginOptions {
    /// The account when nobody names one: the local user's name.
    pub user: Option<UserName>,
    /// Whether an SSH agent is running.
    pub agent: bool,
    /// Key files tried when the client configuration names none: `~/.ssh/id_ed25519`, ...
    pub identities: Vec<PathBuf>,
    /// `known_hosts` files, in order.
    pub known_hosts: Vec<PathBuf>,
    /// Accept and pin every unknown host key in this run.
    pub accept_new: bool,
}

/// Makes targets for the sessions of one profile.
#[derive(Debug)]
pub struct Targets {
    profile: Profile,
    vault: Vault,
    aliases: Arc<dyn AliasSource>,
    pinned: watch::Receiver<Arc<Vec<PinnedKey>>>,
    options: LoginOptions,
}

impl Targets {
    /// Joins what targets are made of; `pinned` is kept up to date by the engine.
    pub fn new(
        profile: Profile,
        vault: Vault,
        aliases: Arc<dyn AliasSource>,
        pinned: watch::Receiver<Arc<Vec<PinnedKey>>>,
        options: LoginOptions,
    ) -> Self {
        Self {
            profile,
            vault,
            aliases,
            pinned,
            options,
        }
    }

    /// Returns the name a host's key is filed under; `None` when the definition leads nowhere.
    pub fn label(&self, spec: &HostSpec) -> Option<String> {
        let target = assemble(spec, Some(&[]), self.aliases.as_ref(), &self.options).ok()?;
        target.hops.last().map(Hop::key_label)
    }

    /// Returns the hosts that the SSH client's configuration names.
    pub fn importable(&self) -> Result<Vec<Importable>, Failure> {
        importable(self.aliases.as_ref())
    }

    /// Fetches what a definition names to log in with; `None` leaves it to the defaults.
    async fn named(&self, login: &LoginMethod) -> Result<Option<Vec<Credential>>, Failure> {
        Ok(match login {
            LoginMethod::Default => None,
            LoginMethod::Agent => Some(vec![Credential::Agent]),
            LoginMethod::KeyFile(path) => Some(vec![key_file(path)]),
            LoginMethod::Credential(name) => Some(vec![self.open(name).await?]),
        })
    }

    async fn open(&self, name: &CredentialName) -> Result<Credential, Failure> {
        let sealed = self
            .profile
            .sealed_credential(name)
            .await
            .map_err(|error| Failure::of(&error))?;
        let unfinished = || {
            Failure::new(
                ErrorKind::Auth,
                format!("credential {name} holds no secret"),
            )
            .with_hint(format!("add it again: `vmdeck credential add {name}`"))
        };
        match sealed.kind {
            CredentialKind::Agent => Ok(Credential::Agent),
            CredentialKind::KeyFile => sealed.path.as_deref().map(key_file).ok_or_else(unfinished),
            CredentialKind::PrivateKey | CredentialKind::Password => {
                let blob = sealed.blob.ok_or_else(unfinished)?;
                let context = SealContext::new(self.profile.id(), sealed.id);
                // A request counts as use where it is taken; a dial that follows one, or repeats, does not.
                let secret = self
                    .vault
                    .open_unattended(&context, &blob)
                    .map_err(|error| Failure::of(&error))?;
                Ok(match secret {
                    CredentialSecret::Password(password) => Credential::Password(password),
                    CredentialSecret::PrivateKey {
                        pem,
                        passphrase,
                        certificate,
                    } => Credential::PrivateKey {
                        origin: name.to_string(),
                        pem,
                        passphrase,
                        certificate,
                    },
                })
            }
        }
    }
}

#[async_trait]
impl TargetSource for Targets {
    async fn target(&self, spec: &HostSpec) -> Result<Target, Failure> {
        let named = self.named(&spec.login).await?;
        let mut target = assemble(spec, named.as_deref(), self.aliases.as_ref(), &self.options)?;
        target.pinned = self.pinned.borrow().to_vec();
        if named.is_none() {
            for hop in &mut target.hops {
                hop.credentials = existing(std::mem::take(&mut hop.credentials)).await;
            }
        }
        Ok(target)
    }

    async fn password(&self, name: &CredentialName) -> Result<SecretText, Failure> {
        match self.open(name).await? {
            Credential::Password(password) => Ok(password),
            Credential::Agent | Credential::PrivateKey { .. } | Credential::KeyFile { .. } => {
                let what =
                    format!("credential {name} is no password, and the VM takes nothing else");
                let fix =
                    "add the account's password: `vmdeck credential add NAME --password-stdin`";
                Err(Failure::new(ErrorKind::Auth, what).with_hint(fix))
            }
        }
    }

    async fn guest(
        &self,
        spec: &HostSpec,
        vm: &VmId,
        login: &GuestLogin,
    ) -> Result<Target, Failure> {
        let mut target = self.target(spec).await?;
        let credentials = if let Some(named) = self.named(&login.login).await? {
            named
        } else {
            let of_host = target.hops.last().map(|hop| hop.credentials.as_slice());
            let keys = for_guest(of_host.unwrap_or_default());
            if keys.is_empty() {
                existing(defaults(&Alias::default(), &self.options)).await
            } else {
                keys
            }
        };
        target.hops.push(Hop {
            endpoint: login.at.clone(),
            // Addresses of VMs come and go, and two networks may have the same.
            key_alias: Some(key_label(vm)),
            user: login.user.clone(),
            credentials,
        });
        // That is a setting of the host, and says nothing about what runs in its VMs.
        target.accept_new = self.options.accept_new;
        Ok(target)
    }
}

/// What a VM is offered of what its host is logged in with: keys, whose signatures help nobody else, and never
/// a password.
fn for_guest(of_host: &[Credential]) -> Vec<Credential> {
    let keys = of_host
        .iter()
        .filter(|credential| !matches!(credential, Credential::Password(_)));
    keys.cloned().collect()
}

/// Leaves out default key files that are not there, as the SSH client does.
async fn existing(credentials: Vec<Credential>) -> Vec<Credential> {
    let mut kept = Vec::with_capacity(credentials.len());
    for credential in credentials {
        let is_there = match &credential {
            Credential::KeyFile { path, .. } => tokio::fs::try_exists(path).await.unwrap_or(true),
            Credential::Agent | Credential::PrivateKey { .. } | Credential::Password(_) => true,
        };
        if is_there {
            kept.push(credential);
        }
    }
    kept
}

fn key_file(path: &Path) -> Credential {
    Credential::KeyFile {
        path: path.to_owned(),
        passphrase: None,
    }
}

/// Puts a target together, but for the pinned keys.
pub fn assemble(
    spec: &HostSpec,
    named: Option<&[Credential]>,
    aliases: &dyn AliasSource,
    options: &LoginOptions,
) -> Result<Target, Failure> {
    let own = aliases.resolve(&spec.endpoint.address)?;
    let user = spec
        .user
        .clone()
        .or_else(|| own.user.clone())
        .or_else(|| options.user.clone())
        .ok_or_else(|| {
            Failure::new(ErrorKind::Config, "no account to log in with is known")
                .with_hint("name one: `vmdeck host edit NAME --user USER`")
        })?;
    let mut known_hosts = options.known_hosts.clone();
    let mut hops = Vec::new();
    let first = if spec.jumps.is_empty() {
        &own.jumps
    } else {
        &spec.jumps
    };
    for jump in all_jumps(first, aliases)? {
        let alias = aliases.resolve(&jump.endpoint.address)?;
        add_files(&mut known_hosts, &alias.known_hosts);
        hops.push(Hop {
            endpoint: dialled(&jump.endpoint, &alias),
            key_alias: alias.key_alias.clone(),
            user: jump
                .user
                .clone()
                .or_else(|| alias.user.clone())
                .unwrap_or_else(|| user.clone()),
            credentials: for_jump(named, &alias, options),
        });
    }
    add_files(&mut known_hosts, &own.known_hosts);
    hops.push(Hop {
        endpoint: dialled(&spec.endpoint, &own),
        key_alias: own.key_alias.clone(),
        user,
        credentials: named.map_or_else(|| defaults(&own, options), <[Credential]>::to_vec),
    });
    Ok(Target {
        name: spec.name.clone(),
        hops,
        pinned: Vec::new(),
        known_hosts,
        accept_new: spec.accept_new_host_key || options.accept_new,
    })
}

/// Returns the stops in dialling order, with those that the first of them needs itself.
fn all_jumps(jumps: &[Jump], aliases: &dyn AliasSource) -> Result<Vec<Jump>, Failure> {
    let mut all = jumps.to_vec();
    while let Some(nearest) = all.first() {
        // Only the nearest stop is dialled from here, so only its own stops count; as in OpenSSH.
        let before = aliases.resolve(&nearest.endpoint.address)?.jumps;
        if before.is_empty() {
            break;
        }
        if all.len() + before.len() > MOST_HOPS {
            return Err(Failure::new(
                ErrorKind::Config,
                format!("the jump hosts lead through more than {MOST_HOPS} stops"),
            )
            .with_hint("look for a circle of ProxyJump lines in the SSH client configuration"));
        }
        all.splice(0..0, before);
    }
    Ok(all)
}

fn dialled(endpoint: &Endpoint, alias: &Alias) -> Endpoint {
    Endpoint {
        address: alias
            .hostname
            .clone()
            .unwrap_or_else(|| endpoint.address.clone()),
        port: Some(
            endpoint
                .port
                .or(alias.port)
                .unwrap_or(Endpoint::DEFAULT_PORT),
        ),
    }
}

/// What the SSH client would try: the agent, then the identity files of its configuration, or else
/// the usual ones.
fn defaults(alias: &Alias, options: &LoginOptions) -> Vec<Credential> {
    let files = if alias.identity_files.is_empty() {
        &options.identities
    } else {
        &alias.identity_files
    };
    let agent = options.agent.then_some(Credential::Agent);
    let files = files.iter().map(|path| key_file(path));
    if alias.files_first {
        files.chain(agent).collect()
    } else {
        agent.into_iter().chain(files).collect()
    }
}

fn for_jump(
    named: Option<&[Credential]>,
    alias: &Alias,
    options: &LoginOptions,
) -> Vec<Credential> {
    let keys = named
        .unwrap_or_default()
        .iter()
        .filter(|credential| !matches!(credential, Credential::Password(_)));
    let mut all: Vec<Credential> = keys.cloned().collect();
    let has_agent = all
        .iter()
        .any(|credential| matches!(credential, Credential::Agent));
    all.extend(
        defaults(alias, options)
            .into_iter()
            .filter(|credential| !(has_agent && matches!(credential, Credential::Agent))),
    );
    all
}

fn add_files(all: &mut Vec<PathBuf>, more: &[PathBuf]) {
    for file in more {
        if !all.contains(file) {
            all.push(file.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::test_fleet::spec;

    #[derive(Debug)]
    struct Book(Vec<(&'static str, Alias)>);

    impl AliasSource for Book {
        fn resolve(&self, name: &str) -> Result<Alias, Failure> {
            let found = self.0.iter().find(|(known, _)| *known == name);
            Ok(found.map(|(_, alias)| alias.clone()).unwrap_or_default())
        }
    }

    fn options() -> LoginOptions {
        LoginOptions {
            user: Some("ann".parse().unwrap()),
            agent: true,
            identities: vec!["/home/ann/.ssh/id_ed25519".into()],
            known_hosts: vec!["/home/ann/.ssh/known_hosts".into()],
            accept_new: false,
        }
    }

    fn shown(credentials: &[Credential]) -> Vec<String> {
        credentials
            .iter()
            .map(|credential| match credential {
                Credential::Agent => "agent".to_owned(),
                Credential::KeyFile { path, .. } => path.display().to_string(),
                Credential::PrivateKey { origin, .. } => format!("key {origin}"),
                Credential::Password(_) => "password".to_owned(),
            })
            .collect()
    }

    fn route(target: &Target) -> Vec<String> {
        let hops = target.hops.iter();
        hops.map(|hop| format!("{}@{}", hop.user, hop.endpoint))
            .collect()
    }

    #[test]
    fn a_plain_host_is_dialled_as_the_ssh_client_would() {
        let mut plain = spec(1, "kvm1");
        plain.endpoint.port = None;
        let target = assemble(&plain, None, &NoAliases, &options()).unwrap();
        assert_eq!(route(&target), ["ann@kvm1:22"]);
        assert_eq!(
            shown(&target.hops[0].credentials),
            ["agent", "/home/ann/.ssh/id_ed25519"]
        );
        assert_eq!(target.known_hosts.len(), 1);
        assert!(!target.accept_new);
    }

    #[test]
    fn the_client_configuration_fills_what_the_definition_leaves_open() {
        let book = Book(vec![(
            "kvm1",
            Alias {
                hostname: Some("10.0.0.7".into()),
                port: Some(2222),
                user: Some("root".parse().unwrap()),
                identity_files: vec!["/keys/lab".into()],
                files_first: true,
                known_hosts: vec!["/keys/known".into()],
                key_alias: Some("lab".into()),
                jumps: vec!["gate".parse().unwrap()],
            },
        )]);
        let mut open = spec(1, "kvm1");
        open.endpoint.port = None;
        let target = assemble(&open, None, &book, &options()).unwrap();
        assert_eq!(route(&target), ["root@gate:22", "root@10.0.0.7:2222"]);
        assert_eq!(shown(&target.hops[1].credentials), ["/keys/lab", "agent"]);
        assert_eq!(target.hops[1].key_label(), "lab");
        assert_eq!(target.known_hosts.len(), 2);

        let mut fixed = spec(1, "kvm1");
        fixed.endpoint.port = Some(22);
        fixed.user = Some("op".parse().unwrap());
        fixed.jumps = vec!["me@other:2200".parse().unwrap()];
        let target = assemble(&fixed, None, &book, &options()).unwrap();
        assert_eq!(route(&target), ["me@other:2200", "op@10.0.0.7:22"]);
    }

    #[test]
    fn jumps_of_the_nearest_stop_come_first_and_a_circle_is_refused() {
        let via = |jump: &str| Alias {
            jumps: vec![jump.parse().unwrap()],
            ..Alias::default()
        };
        let chain = Book(vec![("kvm1", via("inner")), ("inner", via("outer"))]);
        let target = assemble(&spec(1, "kvm1"), None, &chain, &options()).unwrap();
        assert_eq!(
            route(&target),
            ["ann@outer:22", "ann@inner:22", "ann@kvm1:22"]
        );
        let circle = Book(vec![("kvm1", via("a")), ("a", via("b")), ("b", via("a"))]);
        let refusal = assemble(&spec(1, "kvm1"), None, &circle, &options()).unwrap_err();
        assert_eq!(refusal.kind, ErrorKind::Config);
        assert!(refusal.hint.is_some());
    }

    #[test]
    fn a_jump_host_sees_keys_but_never_the_password() {
        let mut host = spec(1, "kvm1");
        host.jumps = vec!["gate".parse().unwrap()];
        let secret = || SecretText::from("x".to_owned());
        let key = Credential::PrivateKey {
            origin: "lab".into(),
            pem: secret(),
            passphrase: None,
            certificate: None,
        };
        let cases = [
            (
                Credential::Password(secret()),
                vec!["agent", "/home/ann/.ssh/id_ed25519"],
                "password",
            ),
            (
                key,
                vec!["key lab", "agent", "/home/ann/.ssh/id_ed25519"],
                "key lab",
            ),
            (
                Credential::Agent,
                vec!["agent", "/home/ann/.ssh/id_ed25519"],
                "agent",
            ),
        ];
        for (named, at_gate, at_host) in cases {
            let target = assemble(&host, Some(&[named]), &NoAliases, &options()).unwrap();
            assert_eq!(shown(&target.hops[0].credentials), at_gate);
            assert_eq!(shown(&target.hops[1].credentials), [at_host]);
        }
    }

    #[test]
    fn nobody_to_log_in_as_is_said() {
        let nobody = LoginOptions::default();
        let refusal = assemble(&spec(1, "kvm1"), None, &NoAliases, &nobody).unwrap_err();
        assert_eq!(refusal.kind, ErrorKind::Config);
        assert!(refusal.hint.is_some_and(|hint| hint.0.contains("--user")));
    }
}

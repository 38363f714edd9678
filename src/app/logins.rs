//! How hosts are logged in to where their definition does not say: the SSH client's configuration, its
//! usual keys and known hosts, the agent.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Surroundings;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host::HostSpec;
use crate::fleet::target::{self, AliasSource, LoginOptions, NoAliases};
use crate::transport::ssh::client_config::{ClientConfig, ClientPaths};

impl Surroundings {
    /// Says where the SSH client's configuration is; without a home directory there is none.
    pub(super) fn client_paths(&self, own: Option<PathBuf>) -> Option<ClientPaths> {
        let home = self.environment.home()?;
        let files = &self.loaded.config.ssh.client_config;
        let mut files = files.iter().map(|path| under_home(path, &home));
        Some(ClientPaths {
            user: own.or_else(|| files.next()),
            system: files.next(),
            local_user: self.environment.user().unwrap_or_default(),
            home,
        })
    }

    /// Reads the SSH client's configuration.
    pub(super) fn client_config(
        &self,
        own: Option<PathBuf>,
    ) -> Result<Option<ClientConfig>, Failure> {
        self.client_paths(own)
            .map(|paths| ClientConfig::read(&paths))
            .transpose()
            .map_err(|error| {
                Failure::new(ErrorKind::Config, error.to_string())
                    .with_hint("mend the SSH client configuration")
            })
    }

    /// Says how to log in where a definition does not.
    pub(super) fn logins(&self) -> LoginOptions {
        let home = self.environment.home().unwrap_or_default();
        let known_hosts = &self.loaded.config.ssh.known_hosts;
        LoginOptions {
            user: self.environment.user().and_then(|user| user.parse().ok()),
            agent: self.agent_socket().is_some(),
            identities: ["id_ed25519", "id_ecdsa", "id_rsa"]
                .map(|name| home.join(".ssh").join(name))
                .to_vec(),
            known_hosts: known_hosts
                .iter()
                .map(|path| under_home(path, &home))
                .collect(),
            accept_new: false,
        }
    }

    /// Returns the SSH agent's socket, where there is one and it may be asked.
    pub(super) fn agent_socket(&self) -> Option<PathBuf> {
        let allowed = self.loaded.config.ssh.agent;
        self.environment.ssh_auth_sock().filter(|_| allowed)
    }

    /// Says under which name a host's key is filed.
    pub(super) fn label_of(&self, spec: &HostSpec) -> Result<String, Failure> {
        let aliases: Arc<dyn AliasSource> = match self.client_config(None)? {
            Some(config) => Arc::new(config),
            None => Arc::new(NoAliases),
        };
        let target = target::assemble(spec, Some(&[]), aliases.as_ref(), &self.logins())?;
        let host = target.hops.last();
        Ok(host
            .map(crate::transport::Hop::key_label)
            .unwrap_or_default())
    }
}

/// Resolves a leading `~/`.
fn under_home(path: &Path, home: &Path) -> PathBuf {
    match path.strip_prefix("~") {
        Ok(rest) => home.join(rest),
        Err(_) => path.to_owned(),
    }
}

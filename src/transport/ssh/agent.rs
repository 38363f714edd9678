//! Logging in through the SSH agent: its keys are offered in its order; it signs, we never see a key.
//!
//! An agent that is gone, silent or unreadable is one more credential that could not be tried, no reason
//! to stop: listing fails as a whole on a single key that nobody can parse.

use std::path::Path;
use std::time::Duration;

use russh::MethodKind;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::auth::{Attempt, Login};
use crate::domain::text::RemoteText;
use crate::transport::TransportError;

/// Agent keys that are offered; servers end the login after about six.
const MAX_AGENT_KEYS: usize = 16;

/// How long the agent may take to list its keys.
const AGENT_TIMEOUT: Duration = Duration::from_secs(3);

type Agent = AgentClient<UnixStream>;

impl Login<'_> {
    /// Offers the agent's keys until one is taken.
    pub(super) async fn with_agent(&mut self) -> Result<Attempt, TransportError> {
        let Some(socket) = self.agent_socket.clone() else {
            return Ok(self.unusable("agent".to_owned(), "no agent is running".to_owned()));
        };
        let listed = timeout(AGENT_TIMEOUT, self.list_agent(&socket)).await;
        let (mut agent, keys) = match listed {
            Ok(Ok(listed)) => listed,
            Ok(Err(reason)) => return Ok(self.unusable("agent".to_owned(), reason)),
            Err(_elapsed) => {
                return Ok(self.unusable("agent".to_owned(), "it does not answer".to_owned()));
            }
        };
        if keys.is_empty() {
            return Ok(self.unusable("agent".to_owned(), "it holds no keys".to_owned()));
        }
        for identity in keys.into_iter().take(MAX_AGENT_KEYS) {
            let attempt = self.with_agent_key(&mut agent, identity).await?;
            if attempt != Attempt::No {
                return Ok(attempt);
            }
            if !self.offers(MethodKind::PublicKey) {
                break;
            }
        }
        Ok(Attempt::No)
    }

    /// Asks the agent for its keys, after telling it which host they are for (keys may be bound to one).
    async fn list_agent(&self, socket: &Path) -> Result<(Agent, Vec<AgentIdentity>), String> {
        let unreachable = |error: &dyn std::fmt::Display| {
            format!("cannot be reached at {}: {error}", socket.display())
        };
        let connect = || AgentClient::connect_uds(socket);
        let mut agent = connect().await.map_err(|error| unreachable(&error))?;
        if let Some(binding) = self.live.handle.agent_session_binding()
            && agent.bind_session(binding, false).await.is_err()
        {
            // An agent that does not know the request may have closed the socket over it.
            agent = connect().await.map_err(|error| unreachable(&error))?;
        }
        let keys = agent
            .request_identities()
            .await
            .map_err(|error| format!("cannot list its keys: {error}"))?;
        Ok((agent, keys))
    }

    async fn with_agent_key(
        &mut self,
        agent: &mut Agent,
        identity: AgentIdentity,
    ) -> Result<Attempt, TransportError> {
        let (algorithm, comment) = match &identity {
            AgentIdentity::PublicKey { key, comment } => (key.algorithm(), comment),
            AgentIdentity::Certificate {
                certificate,
                comment,
            } => (certificate.algorithm(), comment),
        };
        let comment = RemoteText::new(comment);
        let origin = format!("agent ({} {comment})", algorithm.as_str());
        let Some(hash) = self.hash_for(&algorithm).await? else {
            return Ok(self.too_old(&origin));
        };
        let user = self.user.clone();
        let handle = &mut self.live.handle;
        let result = match identity {
            AgentIdentity::PublicKey { key, .. } => {
                handle
                    .authenticate_publickey_with(user, key, hash.0, agent)
                    .await
            }
            AgentIdentity::Certificate { certificate, .. } => {
                handle
                    .authenticate_certificate_with(user, certificate, hash.0, agent)
                    .await
            }
        };
        match result {
            Ok(result) => self.settle(&origin, Ok(result)).await,
            Err(error) => {
                self.tried
                    .push(format!("{origin} (the agent does not sign: {error})"));
                Ok(Attempt::No)
            }
        }
    }
}

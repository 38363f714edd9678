//! Logging in: ordered attempts, each with its result, until the server is satisfied.
//!
//! The server is asked first what it would take (the method `none`, as OpenSSH does); what it does not
//! take is not sent. A credential that is accepted as a part only (`AuthenticationMethods a,b`) is not
//! used again, and the rest is tried in order. Secrets are answered to questions that do not echo,
//! once: a second question is a second factor that nobody here can answer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use russh::client::{AuthResult, KeyboardInteractiveAuthResponse, Prompt};
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};
use tokio::time::timeout;

use super::key::{self, KeyError, LoginKey};
use super::key_file::read_key_file;
use super::link::Hop as LiveHop;
use super::signer::KeySigner;
use crate::domain::credential::Credential;
use crate::domain::secret::SecretText;
use crate::domain::text::RemoteText;
use crate::transport::{Hop, TransportError};

/// Questions of one keyboard-interactive round that are read.
const MAX_PROMPTS: usize = 16;

/// Rounds of keyboard-interactive that are played.
const MAX_ROUNDS: usize = 8;

/// How long the reason of an end may follow the end.
const ENDING_BOUND: Duration = Duration::from_secs(1);

/// What came of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// Logged in, with this.
    In(String),
    /// Accepted, and more is needed.
    Part,
    /// Refused.
    No,
}

/// Logs in on a connection; returns what it succeeded with.
pub(super) async fn log_in(
    live: &mut LiveHop,
    hop: &Hop,
    agent_socket: Option<&Path>,
) -> Result<String, TransportError> {
    let login = Login {
        user: hop.user.as_str().to_owned(),
        endpoint: hop.endpoint.to_string(),
        agent_socket: agent_socket.map(Path::to_owned),
        offered: MethodSet::empty(),
        tried: Vec::new(),
        unusable: None,
        rsa_hash: None,
        live,
    };
    login.run(&hop.credentials).await
}

/// A login under way.
pub(super) struct Login<'a> {
    pub(super) live: &'a mut LiveHop,
    pub(super) user: String,
    endpoint: String,
    pub(super) agent_socket: Option<PathBuf>,
    /// What the server would take next.
    offered: MethodSet,
    /// What was tried, with its result.
    pub(super) tried: Vec<String>,
    /// The first credential that could not even be tried.
    unusable: Option<TransportError>,
    rsa_hash: Option<RsaHash>,
}

/// Which RSA signatures the server takes.
#[derive(Debug, Clone, Copy)]
enum RsaHash {
    Use(HashAlg),
    /// Only SHA-1, which is refused here.
    TooOld,
}

impl Login<'_> {
    async fn run(mut self, credentials: &[Credential]) -> Result<String, TransportError> {
        let first = self.live.handle.authenticate_none(self.user.clone()).await;
        if let Attempt::In(_) = self.settle("no credential", first).await? {
            return Ok("no credential: the server asks for none".to_owned());
        }
        self.tried.clear();
        let mut used = vec![false; credentials.len()];
        while let Some((credential, mark)) = credentials
            .iter()
            .zip(used.iter_mut())
            .find(|(credential, mark)| !**mark && self.takes(credential))
        {
            *mark = true;
            if let Attempt::In(with) = self.attempt(credential).await? {
                return Ok(with);
            }
        }
        for (credential, mark) in credentials.iter().zip(used) {
            if !mark {
                self.tried
                    .push(format!("{} (not offered)", origin(credential)));
            }
        }
        Err(self.refused())
    }

    pub(super) fn offers(&self, method: MethodKind) -> bool {
        self.offered.contains(&method)
    }

    fn takes(&self, credential: &Credential) -> bool {
        match credential {
            Credential::Agent | Credential::PrivateKey { .. } | Credential::KeyFile { .. } => {
                self.offers(MethodKind::PublicKey)
            }
            Credential::Password(_) => {
                self.offers(MethodKind::Password) || self.offers(MethodKind::KeyboardInteractive)
            }
        }
    }

    async fn attempt(&mut self, credential: &Credential) -> Result<Attempt, TransportError> {
        match credential {
            Credential::Agent => self.with_agent().await,
            Credential::PrivateKey {
                origin,
                pem,
                passphrase,
                certificate,
            } => {
                let opened =
                    key::open_for_login(pem.clone(), passphrase.clone(), certificate.clone()).await;
                self.with_opened(format!("key {origin}"), opened).await
            }
            Credential::KeyFile { path, passphrase } => {
                let name = origin(credential);
                match read_key_file(path).await {
                    Ok((pem, certificate)) => {
                        let opened =
                            key::open_for_login(pem, passphrase.clone(), certificate).await;
                        self.with_opened(name, opened).await
                    }
                    Err(reason) => Ok(self.unusable(name, reason)),
                }
            }
            // One of the two: a wrong password counts twice against the account otherwise.
            Credential::Password(password) if self.offers(MethodKind::Password) => {
                let result = self
                    .live
                    .handle
                    .authenticate_password(self.user.clone(), password.expose().clone())
                    .await;
                self.settle("password", result).await
            }
            Credential::Password(password) => self.with_questions(password).await,
        }
    }

    /// Records a credential that could not be tried.
    pub(super) fn unusable(&mut self, origin: String, reason: String) -> Attempt {
        self.tried.push(format!("{origin} ({reason})"));
        self.unusable
            .get_or_insert(TransportError::Credential { origin, reason });
        Attempt::No
    }

    /// Records the result of an attempt that reached the server.
    pub(super) async fn settle(
        &mut self,
        origin: &str,
        result: Result<AuthResult, russh::Error>,
    ) -> Result<Attempt, TransportError> {
        match result {
            Ok(AuthResult::Success) => Ok(Attempt::In(origin.to_owned())),
            Ok(AuthResult::Failure {
                remaining_methods,
                partial_success,
            }) => {
                if remaining_methods.is_empty() {
                    return Err(self.ended(origin).await);
                }
                self.offered = remaining_methods;
                Ok(if partial_success {
                    self.tried
                        .push(format!("{origin} (accepted, but more is needed)"));
                    Attempt::Part
                } else {
                    self.tried.push(format!("{origin} (refused)"));
                    Attempt::No
                })
            }
            Err(error) => Err(TransportError::Lost {
                reason: self.live.ending.reason().map_or_else(
                    || super::host_key::explain(&error),
                    |reason| reason.as_ref().to_owned(),
                ),
            }),
        }
    }

    /// The error of a login that cannot go on: the server has ended it, or the connection is lost.
    async fn ended(&mut self, origin: &str) -> TransportError {
        let reason = timeout(ENDING_BOUND, self.live.ending.wait()).await;
        let reason = reason.unwrap_or_else(|_elapsed| "it takes nothing more".into());
        if !self.live.ending.is_dismissed() && self.live.handle.is_closed() {
            return TransportError::Lost {
                reason: reason.as_ref().to_owned(),
            };
        }
        self.tried.push(format!("{origin} (refused; {reason})"));
        self.refused()
    }

    fn refused(&mut self) -> TransportError {
        let reached = self
            .tried
            .iter()
            .any(|text| text.contains("refused") || text.contains("accepted"));
        if let (false, 1, Some(error)) = (reached, self.tried.len(), self.unusable.take()) {
            return error;
        }
        TransportError::Auth {
            endpoint: self.endpoint.clone(),
            user: self.user.clone(),
            tried: std::mem::take(&mut self.tried),
            offered: self
                .offered
                .iter()
                .map(|method| <&str>::from(method).to_owned())
                .collect(),
        }
    }

    async fn with_opened(
        &mut self,
        origin: String,
        opened: Result<LoginKey, KeyError>,
    ) -> Result<Attempt, TransportError> {
        match opened {
            Ok(key) => self.with_key(&origin, key).await,
            Err(error) => Ok(self.unusable(origin, error.to_string())),
        }
    }

    /// Tries the certificate first, where there is one, then the key itself.
    async fn with_key(&mut self, origin: &str, key: LoginKey) -> Result<Attempt, TransportError> {
        let Some(hash) = self.hash_for(&key.key.algorithm()).await? else {
            return Ok(self.too_old(origin));
        };
        let user = self.user.clone();
        if let Some(certificate) = key.certificate {
            let mut signer = KeySigner(&key.key);
            let result = self
                .live
                .handle
                .authenticate_certificate_with(user.clone(), certificate, hash.0, &mut signer)
                .await;
            let name = format!("certificate of {origin}");
            let attempt = match result {
                Ok(result) => self.settle(&name, Ok(result)).await?,
                Err(error) => self.unusable(name, error.to_string()),
            };
            if attempt != Attempt::No {
                return Ok(attempt);
            }
        }
        let key = PrivateKeyWithHashAlg::new(key.key, hash.0);
        let result = self.live.handle.authenticate_publickey(user, key).await;
        self.settle(origin, result).await
    }

    pub(super) fn too_old(&mut self, origin: &str) -> Attempt {
        self.unusable(
            origin.to_owned(),
            "the server only takes RSA signatures with SHA-1, which are refused; use another key type"
                .to_owned(),
        )
    }

    /// Finds the hash for a key's signatures; `None` when only SHA-1 would do.
    pub(super) async fn hash_for(
        &mut self,
        algorithm: &Algorithm,
    ) -> Result<Option<SignatureHash>, TransportError> {
        if !matches!(algorithm, Algorithm::Rsa { .. }) {
            return Ok(Some(SignatureHash(None)));
        }
        let hash = match self.rsa_hash {
            Some(hash) => hash,
            None => match self.live.handle.best_supported_rsa_hash().await {
                Ok(Some(Some(hash))) => RsaHash::Use(hash),
                Ok(Some(None)) => RsaHash::TooOld,
                // It does not say; every server that is still alive knows this one.
                Ok(None) => RsaHash::Use(HashAlg::Sha512),
                Err(error) => {
                    return Err(TransportError::Lost {
                        reason: super::host_key::explain(&error),
                    });
                }
            },
        };
        self.rsa_hash = Some(hash);
        Ok(match hash {
            RsaHash::Use(hash) => Some(SignatureHash(Some(hash))),
            RsaHash::TooOld => None,
        })
    }

    /// Answers the questions of keyboard-interactive with the password.
    async fn with_questions(&mut self, password: &SecretText) -> Result<Attempt, TransportError> {
        const NAME: &str = "password (keyboard-interactive)";
        let handle = &mut self.live.handle;
        let mut response = handle
            .authenticate_keyboard_interactive_start(self.user.clone(), None)
            .await;
        let mut answered = false;
        let mut unanswered = None;
        for _ in 0..MAX_ROUNDS {
            let prompts = match response {
                Ok(KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. }) => prompts,
                Ok(KeyboardInteractiveAuthResponse::Success) => {
                    return self.settle(NAME, Ok(AuthResult::Success)).await;
                }
                Ok(KeyboardInteractiveAuthResponse::Failure {
                    remaining_methods,
                    partial_success,
                }) => {
                    let result = AuthResult::Failure {
                        remaining_methods,
                        partial_success,
                    };
                    let attempt = self.settle(NAME, Ok(result)).await;
                    self.tried.extend(unanswered);
                    return attempt;
                }
                Err(error) => return self.settle(NAME, Err(error)).await,
            };
            let answers = answer(&prompts, password, &mut answered, &mut unanswered)?;
            response = handle
                .authenticate_keyboard_interactive_respond(answers)
                .await;
        }
        Err(TransportError::Handshake {
            endpoint: self.endpoint.clone(),
            reason: "the server asks questions without end".to_owned(),
        })
    }
}

/// A hash for signatures, where the key's type leaves a choice.
#[derive(Debug, Clone, Copy)]
pub(super) struct SignatureHash(pub(super) Option<HashAlg>);

/// Answers one round. Only a single hidden question gets the password, and only once; everything else
/// gets an empty answer (there is no way to walk out of a round) and is reported.
fn answer(
    prompts: &[Prompt],
    password: &SecretText,
    answered: &mut bool,
    unanswered: &mut Option<String>,
) -> Result<Vec<String>, TransportError> {
    if prompts.len() > MAX_PROMPTS {
        return Err(TransportError::Protocol {
            reason: "the server asks more than 16 questions at once".to_owned(),
            said: RemoteText::new(""),
        });
    }
    let plain = matches!(prompts, [only] if !only.echo) && !*answered;
    Ok(prompts
        .iter()
        .map(|prompt| {
            if plain {
                *answered = true;
                password.expose().clone()
            } else {
                let text = RemoteText::new(&prompt.prompt).first_line();
                unanswered
                    .get_or_insert(format!("question `{text}` (only a person can answer it)"));
                String::new()
            }
        })
        .collect())
}

/// Names a credential for messages.
fn origin(credential: &Credential) -> String {
    match credential {
        Credential::Agent => "agent".to_owned(),
        Credential::PrivateKey { origin, .. } => format!("key {origin}"),
        Credential::KeyFile { path, .. } => format!("key {}", path.display()),
        Credential::Password(_) => "password".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(text: &str, echo: bool) -> Prompt {
        Prompt {
            prompt: text.to_owned(),
            echo,
        }
    }

    #[test]
    fn a_password_is_told_once_and_only_in_secret() {
        let password = SecretText::from("hunter2".to_owned());
        let (mut answered, mut left) = (false, None);
        let mut ask = |prompts: &[Prompt]| {
            let answers = answer(prompts, &password, &mut answered, &mut left).unwrap();
            (answers, left.take())
        };
        assert_eq!(ask(&[]), (vec![], None));
        let (answers, left) = ask(&[prompt("Name: ", true)]);
        assert_eq!(answers, [""]);
        assert!(left.unwrap().contains("Name:"));
        assert_eq!(ask(&[prompt("Password: ", false)]).0, ["hunter2"]);
        let (answers, left) = ask(&[prompt("Code:\u{1b}[2J ", false)]);
        assert_eq!(answers, [""]);
        assert!(!left.unwrap().contains('\u{1b}'));
    }

    #[test]
    fn a_flood_of_questions_is_refused() {
        let password = SecretText::from("x".to_owned());
        let prompts: Vec<Prompt> = (0..=MAX_PROMPTS).map(|_| prompt("?", false)).collect();
        assert!(answer(&prompts, &password, &mut false, &mut None).is_err());
    }
}

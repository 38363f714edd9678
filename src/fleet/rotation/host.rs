//! One host on its way from one key to the next.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::super::credential::Made;
use super::super::engine::Engine;
use super::super::keeper::Keeper;
use super::super::record;
use super::super::roster::no_such_host;
use super::account::{Account, command_of, public, try_login};
use super::names::{no_such, old_of, successor_of};
use super::{PlannedHost, RotationPlan, RotationRequest};
use crate::domain::credential::{CredentialKind, CredentialName, CredentialSummary};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host::{HostId, HostName, HostSpec, HypervisorKind, LoginMethod};
use crate::hypervisor::account::{KeyChange, PublicKey};
use crate::session::SessionContext;
use crate::task::send_or_gone;

/// Stands in a plan for the key that is not made yet. It is no key: nothing takes it for one.
const NOT_MADE: &str = "ssh-ed25519 TheNewKey";

/// Hosts with what is known of their kind.
type Kinds = Vec<(HostId, Option<HypervisorKind>)>;

impl Engine {
    /// Answers what is asked about rotations.
    pub(in crate::fleet) fn rotation(&self, request: RotationRequest) {
        let keeper = self.keeper.clone();
        let context = Arc::clone(&self.context);
        let kinds = self.state.kinds();
        match request {
            RotationRequest::Plan {
                credential,
                hosts,
                reply,
            } => self.job("plan rotation", async move {
                send_or_gone(
                    reply,
                    keeper.plan_rotation(&credential, &hosts, &kinds).await,
                );
            }),
            RotationRequest::Move {
                host,
                credential,
                to,
                actor,
                reply,
            } => {
                if let Err(cause) = self.may_change_keys(host) {
                    return send_or_gone(reply, Err(cause));
                }
                let keeper = keeper.by(actor);
                self.job("move to another key", async move {
                    let moved = keeper.move_host(&context, host, (credential, to)).await;
                    send_or_gone(reply, moved);
                });
            }
            RotationRequest::Retire {
                host,
                credential,
                actor,
                reply,
            } => {
                if let Err(cause) = self.may_change_keys(host) {
                    return send_or_gone(reply, Err(cause));
                }
                let keeper = keeper.by(actor);
                self.job("retire a key", async move {
                    send_or_gone(reply, keeper.retire(&context, host, &credential).await);
                });
            }
            RotationRequest::Finish {
                credential,
                keep_old,
                actor,
                reply,
            } => {
                let keeper = keeper.by(actor);
                self.job("finish rotation", async move {
                    send_or_gone(reply, keeper.finish(&credential, keep_old).await);
                });
            }
        }
    }

    /// A read-only program changes nothing anywhere; a host that something is being done to keeps its link.
    fn may_change_keys(&self, host: HostId) -> Result<(), Failure> {
        let known = self.state.host(host).ok_or_else(no_such_host)?;
        if self.state.read_only {
            return Err(Failure::new(ErrorKind::Refused, "the program is read-only")
                .with_hint("switch it off, or start it without --read-only"));
        }
        if let Some(running) = self.state.running().find(|op| op.plan.vm.host == host) {
            let message = format!(
                "an operation on {} is still running on {}",
                running.plan.vm_name, known.spec.name
            );
            return Err(Failure::new(ErrorKind::Busy, message).with_hint("wait for it to end"));
        }
        Ok(())
    }
}

/// Explains where things stand behind what went wrong.
fn standing(cause: Failure, stands: &str) -> Failure {
    Failure {
        message: format!("{}; {stands}", cause.message),
        ..cause
    }
}

fn login_words(login: &LoginMethod) -> String {
    match login {
        LoginMethod::Credential(name) => format!("credential {name}"),
        LoginMethod::Default => "what ssh would take".to_owned(),
        LoginMethod::Agent => "the SSH agent".to_owned(),
        LoginMethod::KeyFile(path) => path.display().to_string(),
    }
}

fn names_of(hosts: &[String], wanted: &[HostName]) -> Result<(), Failure> {
    let stranger = wanted
        .iter()
        .find(|name| !hosts.iter().any(|host| host == name.as_str()));
    match stranger {
        None => Ok(()),
        Some(name) => Err(Failure::new(
            ErrorKind::NotFound,
            format!("host {name} does not log in with this credential"),
        )
        .with_hint("`vmdeck credential list` shows who uses which")),
    }
}

impl Keeper {
    async fn specs(&self) -> Result<Vec<HostSpec>, Failure> {
        let specs = self.profile.hosts().await;
        specs.map_err(|error| Failure::of(&error))
    }

    async fn spec(&self, host: HostId) -> Result<HostSpec, Failure> {
        let found = self.specs().await?.into_iter().find(|spec| spec.id == host);
        found.ok_or_else(no_such_host)
    }

    async fn plan_rotation(
        &self,
        name: &CredentialName,
        wanted: &[HostName],
        kinds: &Kinds,
    ) -> Result<RotationPlan, Failure> {
        let old = self.find_credential(name).await?;
        let old = old.ok_or_else(|| no_such(name))?;
        if !matches!(
            old.kind,
            CredentialKind::PrivateKey | CredentialKind::Password
        ) {
            let message = format!(
                "credential {name} is a {}: its key is not kept here",
                old.kind.word()
            );
            return Err(Failure::new(ErrorKind::Usage, message).with_hint(
                "`vmdeck host deploy-key HOST --credential NAME` moves a host to a key that is",
            ));
        }
        let kept = old_of(name)?;
        if self.find_credential(&kept).await?.is_some() {
            let message = format!("the key before this one is still kept as {kept}");
            return Err(Failure::new(ErrorKind::Conflict, message).with_hint(format!(
                "`vmdeck credential rotate {name} --remove-old` takes it off the hosts and forgets it"
            )));
        }
        let successor = successor_of(name)?;
        let new = self.find_credential(&successor).await?;
        let moved = new.as_ref().map_or(&[][..], |new| &new.used_by);
        let mut names = old.used_by.clone();
        names.extend(moved.iter().cloned());
        names.sort();
        names_of(&names, wanted)?;
        names.retain(|name| {
            wanted.is_empty() || wanted.iter().any(|wanted| wanted.as_str() == name)
        });
        let specs = self.specs().await?;
        let keys = (
            old.public_key.as_deref().and_then(|line| line.parse().ok()),
            new.as_ref().map(public).transpose()?,
        );
        let mut hosts = Vec::new();
        for spec in specs
            .iter()
            .filter(|spec| names.contains(&spec.name.to_string()))
        {
            let known = kinds.iter().find(|(id, _)| *id == spec.id);
            let kind = spec.kind.fixed().or(known.and_then(|(_, kind)| *kind));
            let host = planned(spec, kind, (&keys.0, &keys.1), name)?;
            hosts.push(PlannedHost {
                moved: moved.contains(&spec.name.to_string()),
                ..host
            });
        }
        Ok(RotationPlan {
            credential: name.clone(),
            successor,
            resumed: new.is_some(),
            fingerprint: old.fingerprint,
            hosts,
        })
    }

    /// Returns the credential that is moved to; makes it where it is not there.
    async fn successor(&self, name: &CredentialName) -> Result<CredentialSummary, Failure> {
        let _turn = self.turn.acquire().await;
        let successor = successor_of(name)?;
        if let Some(found) = self.find_credential(&successor).await? {
            return Ok(found);
        }
        let made = Made::generated(name)?;
        self.keep_credential(&successor, made).await
    }

    async fn move_host(
        &self,
        context: &SessionContext,
        host: HostId,
        (from, to): (Option<CredentialName>, Option<CredentialName>),
    ) -> Result<Vec<String>, Failure> {
        let spec = self.spec(host).await?;
        let new = match (&from, to) {
            (_, Some(to)) => {
                let found = self.find_credential(&to).await?;
                found.ok_or_else(|| no_such(&to))?
            }
            (Some(from), None) => self.successor(from).await?,
            (None, None) => return Err(Failure::new(ErrorKind::Usage, "no key was named")),
        };
        let new_login = LoginMethod::Credential(new.name.clone());
        if spec.login == new_login {
            return Ok(vec![format!(
                "{} logs in with {} already",
                spec.name, new.name
            )]);
        }
        if let Some(from) = &from
            && spec.login != LoginMethod::Credential(from.clone())
        {
            let message = format!("{} does not log in with {from} any more", spec.name);
            return Err(
                Failure::new(ErrorKind::Conflict, message).with_hint("look at the plan anew")
            );
        }
        if !spec.enabled {
            let message = format!("{} is switched off and was left as it is", spec.name);
            return Err(Failure::new(ErrorKind::Refused, message).with_hint(
                "switch it on (`vmdeck host edit NAME --enabled true`), then go on with it",
            ));
        }
        let old = match &spec.login {
            LoginMethod::Credential(name) => self.find_credential(name).await?,
            LoginMethod::Default | LoginMethod::Agent | LoginMethod::KeyFile(_) => None,
        };
        let moving = Moving {
            keeper: self,
            context,
            spec: &spec,
            like: old.and_then(|old| public(&old).ok()),
            new: public(&new)?,
            to: new,
        };
        moving.run().await
    }

    /// Takes a key away from the account of a host that logs in with another one.
    async fn retire(
        &self,
        context: &SessionContext,
        host: HostId,
        name: &CredentialName,
    ) -> Result<String, Failure> {
        let spec = self.spec(host).await?;
        let old = self.find_credential(name).await?;
        let old = old.ok_or_else(|| no_such(name))?;
        let LoginMethod::Credential(now) = &spec.login else {
            let message = format!("{} does not log in with a key that is kept here", spec.name);
            return Err(Failure::new(ErrorKind::Refused, message));
        };
        if now == name {
            let message = format!("{} still logs in with {name}: its key stays", spec.name);
            return Err(Failure::new(ErrorKind::Refused, message).with_hint("rotate it first"));
        }
        if !old.used_by.is_empty() {
            // Accounts may share their files: who still needs the key must not lose it here.
            let message = format!(
                "{} still log in with {name}: its key stays",
                old.used_by.join(", ")
            );
            return Err(Failure::new(ErrorKind::Refused, message).with_hint("move them first"));
        }
        let current = self.find_credential(now).await?;
        let keep = public(&current.ok_or_else(|| no_such(now))?)?;
        let key = public(&old)?;
        let stays = format!(
            "{} logs in with {now}, the old key is still in the account",
            spec.name
        );
        let account = Account::open(self, context, &spec).await;
        let account = account.map_err(|cause| standing(cause, &stays))?;
        let details = describe(&old);
        let change = KeyChange::Remove {
            key: &key,
            keep: &keep,
        };
        let removed = account.change(("key-removed", details), change).await;
        let ended = match removed {
            Err(cause) => Err(standing(cause, &stays)),
            Ok(_) => match try_login(context, &spec).await {
                Ok(()) => Ok(format!("took the old key off {}", spec.name)),
                Err(cause) => Err(put_back(&account, (&old, &key), (&keep, cause)).await),
            },
        };
        account.close().await;
        ended
    }
}

/// Puts a key back behind which the login stopped to work.
async fn put_back(
    account: &Account<'_>,
    (old, key): (&CredentialSummary, &PublicKey),
    (like, cause): (&PublicKey, Failure),
) -> Failure {
    let change = KeyChange::Add {
        key,
        like: Some(like),
    };
    let back = account.change(("key-added", describe(old)), change).await;
    standing(
        cause,
        match back {
            Ok(_) => "the old key was put back",
            Err(_) => {
                "the old key could not be put back: look at the host before this link is gone"
            }
        },
    )
}

fn describe(found: &CredentialSummary) -> String {
    let print = found
        .fingerprint
        .as_deref()
        .unwrap_or("without a fingerprint");
    format!("{print} ({})", found.name)
}

fn planned(
    spec: &HostSpec,
    kind: Option<HypervisorKind>,
    (old, new): (&Option<PublicKey>, &Option<PublicKey>),
    name: &CredentialName,
) -> Result<PlannedHost, Failure> {
    let stands_in = || {
        let line = format!("{NOT_MADE} vmdeck {name}");
        let parsed: Result<PublicKey, _> = line.parse();
        parsed.map_err(|error| Failure::new(ErrorKind::Internal, error.to_string()))
    };
    let key = match new {
        Some(key) => key.clone(),
        None => stands_in()?,
    };
    let shown = kind.unwrap_or(HypervisorKind::Libvirt);
    let add = KeyChange::Add {
        key: &key,
        like: old.as_ref(),
    };
    let remove = match old {
        Some(old) => {
            let change = KeyChange::Remove {
                key: old,
                keep: &key,
            };
            Some(command_of(shown, change)?.shown_line())
        }
        None => None,
    };
    Ok(PlannedHost {
        id: spec.id,
        name: spec.name.clone(),
        kind,
        add: command_of(shown, add)?.shown_line(),
        remove,
        moved: false,
    })
}

/// A host that is being moved, with everything that takes.
struct Moving<'a> {
    keeper: &'a Keeper,
    context: &'a SessionContext,
    spec: &'a HostSpec,
    /// The key that is logged in with now, where it is known.
    like: Option<PublicKey>,
    new: PublicKey,
    to: CredentialSummary,
}

impl Moving<'_> {
    async fn run(&self) -> Result<Vec<String>, Failure> {
        let was = login_words(&self.spec.login);
        let untouched = format!("{} is as it was and logs in with {was}", self.spec.name);
        let account = Account::open(self.keeper, self.context, self.spec).await;
        let account = account.map_err(|cause| standing(cause, &untouched))?;
        let ended = self.on(&account, &untouched).await;
        account.close().await;
        ended
    }

    async fn on(&self, account: &Account<'_>, untouched: &str) -> Result<Vec<String>, Failure> {
        let name = &self.spec.name;
        let add = KeyChange::Add {
            key: &self.new,
            like: self.like.as_ref(),
        };
        let added = account.change(("key-added", describe(&self.to)), add).await;
        let added = added.map_err(|cause| standing(cause, untouched))?;
        let there_before = added == "present";
        let mut done = vec![if there_before {
            format!("{name} had the new key already")
        } else {
            format!("{name} lets the new key in")
        }];
        let next = HostSpec {
            login: LoginMethod::Credential(self.to.name.clone()),
            ..self.spec.clone()
        };
        if let Err(cause) = self.verify(&next).await {
            return Err(self.undo(account, (cause, there_before)).await);
        }
        done.push(format!("logged in to {name} with it"));
        self.switch(next).await.map_err(|cause| {
            let was = login_words(&self.spec.login);
            standing(
                cause,
                &format!("both keys are let in, and {name} still logs in with {was}"),
            )
        })?;
        done.push(format!("{name} logs in with {} from now on", self.to.name));
        Ok(done)
    }

    /// Sees that the new key is let in, over a connection of its own.
    async fn verify(&self, next: &HostSpec) -> Result<(), Failure> {
        let tried = try_login(self.context, next).await;
        let (status, details) = match &tried {
            Ok(()) => ("ok", describe(&self.to)),
            Err(cause) => (
                "failed",
                format!("{}: {}", describe(&self.to), cause.message),
            ),
        };
        let now = self.keeper.clock.now();
        let mut entry = record::about_host(self.spec.name.as_str(), "key-tried", details, now);
        status.clone_into(&mut entry.status);
        let recorded = self.keeper.record(entry).await;
        recorded.map_err(|error| error.refusal("the change"))?;
        tried
    }

    /// Takes the new key away again, where it was put there just now and is not let in.
    async fn undo(&self, account: &Account<'_>, (cause, there_before): (Failure, bool)) -> Failure {
        let was = login_words(&self.spec.login);
        let name = &self.spec.name;
        let cause = standing(cause, &format!("the new key is not let in by {name}"));
        let (Some(keep), false) = (&self.like, there_before) else {
            let stands = format!("it stays in the account, and {name} still logs in with {was}");
            return standing(cause, &stands);
        };
        let remove = KeyChange::Remove {
            key: &self.new,
            keep,
        };
        let undone = account
            .change(("key-removed", describe(&self.to)), remove)
            .await;
        let stands = match undone {
            Ok(_) => format!("it was taken away again, and {name} still logs in with {was}"),
            Err(undone) => format!(
                "it is still in the account ({}), and {name} still logs in with {was}",
                undone.message
            ),
        };
        standing(cause, &stands)
    }

    /// Has the definition name the new key.
    async fn switch(&self, next: HostSpec) -> Result<(), Failure> {
        let (reply, answer) = oneshot::channel();
        self.keeper.clone().upsert(next, reply).await;
        let ended = || Failure::new(ErrorKind::Internal, "the fleet has ended");
        answer.await.unwrap_or_else(|_| Err(ended())).map(drop)
    }
}

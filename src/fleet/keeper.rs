//! What the fleet does with profile, vault and audit log: the slow half of its requests, each run as a
//! task, each ending in a note to the engine. The engine itself never waits for a disk.
//!
//! Changes of the profile are made one after the other (`turn`), so that the list that is read back
//! after a change is never older than one already handed in.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::record;
use super::request::KeyDecision;
use super::target::Targets;
use crate::audit::{AuditError, AuditLog};
use crate::clock::Clock;
use crate::domain::audit::{AuditEntry, AuditHead, AuditPhase, AuditRecord};
use crate::domain::credential::{CredentialSummary, WrappedIdentity};
use crate::domain::error_kind::{Classify, ErrorKind, Failure};
use crate::domain::host::{HostId, HostName, HostSpec};
use crate::domain::host_key::{HostKeyQuestion, HostKeyVerdict, PinnedKey};
use crate::domain::host_words;
use crate::domain::inventory::{HostInventory, Lift};
use crate::domain::operation::Actor;
use crate::domain::preference::Preferences;
use crate::domain::secret::SecretText;
use crate::domain::vm::VmRef;
use crate::profile::Profile;
use crate::vault::Vault;

/// Action of the note that says that the end of the audit log was cut off.
const END_MISSING: &str = "end-missing";

/// Records among which that note is looked for before it is written again.
const NOTES_SEARCHED: usize = 1000;

/// What is to happen once the engine has taken a note: usually an answer to whoever asked.
pub(super) type Then = Box<dyn FnOnce() + Send>;

/// What a task tells the engine.
pub(super) enum Note {
    /// The definitions as they are in the profile now.
    Hosts {
        /// All of them.
        specs: Vec<HostSpec>,
        /// What comes after.
        then: Then,
    },
    /// Host keys were pinned or forgotten; hosts that stopped at one of them may go on.
    Keys {
        /// What comes after.
        then: Then,
    },
    /// The vault was opened, or found open; the profile has this identity.
    Unlocked {
        /// The identity as it is stored.
        identity: WrappedIdentity,
        /// What comes after.
        then: Then,
    },
    /// The profile's database was written by another process since it was last asked.
    ProfileVersion(i64),
    /// The read-only of hosts is lifted; it is recorded.
    Lifted {
        /// Which, until when.
        lifts: Vec<Lift>,
        /// What comes after.
        then: Then,
    },
    /// Inventories were written back.
    Cached,
    /// The end of the audit log was mirrored.
    HeadMirrored(AuditHead),
    /// The audit log lacks the record that the profile remembers as its end.
    EndCut(Failure),
    /// Something failed in the background.
    Trouble(Failure),
}

/// Runs the slow half of requests. Cloning is cheap.
#[derive(Debug, Clone)]
pub(super) struct Keeper {
    pub(super) profile: Profile,
    pub(super) vault: Vault,
    pub(super) audit: AuditLog,
    pub(super) clock: Clock,
    pub(super) targets: Arc<Targets>,
    pub(super) pinned: watch::Sender<Arc<Vec<PinnedKey>>>,
    pub(super) notes: mpsc::Sender<Note>,
    pub(super) turn: Arc<Semaphore>,
    /// Who has asked for what is done, where somebody has.
    pub(super) actor: Option<Actor>,
    /// What `~/` stands for in what people type.
    pub(super) home: Option<PathBuf>,
}

fn failure(error: &(impl Classify + ?Sized)) -> Failure {
    Failure::of(error)
}

fn nothing() -> Then {
    Box::new(|| {})
}

fn answer<T: Send + 'static>(
    reply: oneshot::Sender<Result<T, Failure>>,
    value: Result<T, Failure>,
) -> Then {
    Box::new(move || crate::task::send_or_gone(reply, value))
}

type Reply<T> = oneshot::Sender<Result<T, Failure>>;

impl Keeper {
    /// Does what somebody has asked for, and records it under that name.
    pub(super) fn by(mut self, actor: Option<Actor>) -> Self {
        self.actor = actor;
        self
    }

    /// Writes a record of what is done, under the name of whoever has asked for it.
    pub(super) async fn record(&self, entry: AuditEntry) -> Result<u64, AuditError> {
        let client_ip = self.actor.as_ref().and_then(|who| who.client_ip.clone());
        let entry = AuditEntry {
            actor: self.actor.clone(),
            client_ip,
            ..entry
        };
        self.audit.append(entry).await
    }

    pub(super) async fn tell(&self, note: Note) {
        if self.notes.send(note).await.is_err() {
            tracing::debug!("the fleet has ended");
        }
    }

    /// Tells the engine of a failure nobody waits for.
    async fn trouble(&self, cause: Failure) {
        tracing::warn!(%cause, "background work failed");
        self.tell(Note::Trouble(cause)).await;
    }

    /// Reads definitions and pinned keys afresh and hands them in.
    async fn hand_in(&self, then: Then) -> Result<(), (Failure, Then)> {
        let read = async {
            let keys = self.profile.pinned_keys().await?;
            let specs = self.profile.hosts().await?;
            Ok::<_, crate::profile::ProfileError>((keys, specs))
        };
        match read.await {
            Ok((keys, specs)) => {
                self.pinned.send_replace(Arc::new(keys));
                self.tell(Note::Hosts { specs, then }).await;
                Ok(())
            }
            Err(error) => Err((failure(&error), then)),
        }
    }

    /// Reads definitions afresh after they were changed in several places.
    pub(super) async fn reread(&self) {
        if let Err((cause, _)) = self.hand_in(nothing()).await {
            self.trouble(cause).await;
        }
    }

    /// Reads what another process may have changed.
    pub(super) async fn reload(self) {
        let _turn = self.turn.acquire().await;
        if let Err((cause, _)) = self.hand_in(nothing()).await {
            return self.trouble(cause).await;
        }
        self.tell(Note::Keys { then: nothing() }).await;
    }

    /// Adds or changes a host.
    pub(super) async fn upsert(self, spec: HostSpec, reply: Reply<HostId>) {
        let _turn = self.turn.acquire().await;
        if let Err(cause) = self.record_upsert(&spec).await {
            return crate::task::send_or_gone(reply, Err(cause));
        }
        match self.profile.upsert_host(spec).await {
            Err(error) => crate::task::send_or_gone(reply, Err(failure(&error))),
            Ok(id) => {
                if let Err((cause, then)) = self.hand_in(answer(reply, Ok(id))).await {
                    self.trouble(cause).await;
                    then();
                }
            }
        }
    }

    /// Writes down a change of a definition before it is made. What cannot be told apart from nothing, or
    /// will not be taken, leaves no record: the profile says itself why not.
    async fn record_upsert(&self, spec: &HostSpec) -> Result<(), Failure> {
        let hosts = self.profile.hosts().await;
        let hosts = hosts.map_err(|error| failure(&error))?;
        if hosts
            .iter()
            .any(|host| host.name == spec.name && host.id != spec.id)
        {
            return Ok(());
        }
        let before = hosts.iter().find(|host| host.id == spec.id);
        let (action, name, details) = match before {
            Some(before) if before == spec => return Ok(()),
            Some(before) => (
                "host-changed",
                &before.name,
                host_words::changes(before, spec),
            ),
            None => ("host-added", &spec.name, host_words::summary(spec)),
        };
        self.record_change(action, name, details).await
    }

    async fn record_change(
        &self,
        action: &str,
        host: &HostName,
        details: String,
    ) -> Result<(), Failure> {
        let entry = record::about_host(host.as_str(), action, details, self.clock.now());
        let recorded = self.record(entry).await;
        recorded
            .map(drop)
            .map_err(|error| error.refusal("the change"))
    }

    /// Forgets a host, and its key unless another host is filed under the same name.
    pub(super) async fn remove(self, spec: Arc<HostSpec>, reply: Reply<()>) {
        let _turn = self.turn.acquire().await;
        let details = host_words::summary(&spec);
        let recorded = self.record_change("host-removed", &spec.name, details);
        if let Err(cause) = recorded.await {
            return crate::task::send_or_gone(reply, Err(cause));
        }
        let label = self.targets.label(&spec);
        if let Err(error) = self.profile.remove_host(spec.id).await {
            return crate::task::send_or_gone(reply, Err(failure(&error)));
        }
        if let Some(label) = label {
            self.forget_key(label).await;
        }
        if let Err((cause, then)) = self.hand_in(answer(reply, Ok(()))).await {
            self.trouble(cause).await;
            then();
        }
    }

    async fn forget_key(&self, label: String) {
        let others = match self.profile.hosts().await {
            Ok(specs) => specs,
            Err(error) => return self.trouble(failure(&error)).await,
        };
        let shared = others
            .iter()
            .any(|other| self.targets.label(other).as_ref() == Some(&label));
        if !shared && let Err(error) = self.profile.unpin(label).await {
            self.trouble(failure(&error)).await;
        }
    }

    async fn read_keys(&self) -> Result<(), Failure> {
        let keys = self.profile.pinned_keys().await;
        let keys = keys.map_err(|error| failure(&error))?;
        self.pinned.send_replace(Arc::new(keys));
        Ok(())
    }

    /// Records and carries out a decision about a host key. The record comes first: a key that is
    /// trusted without a trace is worse than one more question.
    pub(super) async fn decide_key(
        self,
        host: Arc<HostSpec>,
        question: HostKeyQuestion,
        decision: KeyDecision,
        reply: Reply<()>,
    ) {
        let _turn = self.turn.acquire().await;
        let decided = self.pin(&host, &question, decision).await;
        if decided.is_ok() && decision.trusts() {
            let then = answer(reply, Ok(()));
            self.tell(Note::Keys { then }).await;
        } else {
            crate::task::send_or_gone(reply, decided);
        }
    }

    async fn pin(
        &self,
        host: &HostSpec,
        question: &HostKeyQuestion,
        decision: KeyDecision,
    ) -> Result<(), Failure> {
        let now = self.clock.now();
        let entry = record::key_decision(host.name.as_str(), question, decision.trusts(), now);
        let recorded = self.record(entry).await;
        recorded.map_err(|error| error.refusal("the decision"))?;
        if !decision.trusts() {
            return Ok(());
        }
        let key = PinnedKey {
            label: question.label.clone(),
            key: question.key.clone(),
            revoked: false,
        };
        let pinned = self
            .profile
            .pin_key(key, decision == KeyDecision::Replace)
            .await;
        pinned.map_err(|error| failure(&error))?;
        self.read_keys().await
    }

    /// Pins keys that a session accepted because the host's definition says so.
    pub(super) async fn keep_accepted(self, host: Arc<HostSpec>, keys: Vec<PinnedKey>) {
        let _turn = self.turn.acquire().await;
        for pinned in keys {
            let question = HostKeyQuestion {
                label: pinned.label,
                dialled: host.endpoint.to_string(),
                key: pinned.key,
                verdict: HostKeyVerdict::Unknown,
            };
            if let Err(cause) = self.pin(&host, &question, KeyDecision::Accept).await {
                self.trouble(cause).await;
            }
        }
    }

    /// Opens the vault; the first time, makes the profile's identity.
    pub(super) async fn unlock(self, passphrase: SecretText, reply: Reply<()>) {
        let _turn = self.turn.acquire().await;
        match self.open_vault(&passphrase).await {
            Ok(identity) => {
                let then = answer(reply, Ok(()));
                self.tell(Note::Unlocked { identity, then }).await;
            }
            Err(cause) => {
                let now = self.clock.now();
                let entry = record::note("unlock-failed", "failed", cause.message.clone(), now);
                if let Err(error) = self.record(entry).await {
                    self.trouble(failure(&error)).await;
                }
                crate::task::send_or_gone(reply, Err(cause));
            }
        }
    }

    async fn open_vault(&self, passphrase: &SecretText) -> Result<WrappedIdentity, Failure> {
        let stored = self.profile.identity().await;
        if let Some(identity) = stored.map_err(|error| failure(&error))? {
            let opened = self.vault.unlock(&identity, passphrase).await;
            opened.map_err(|error| failure(&error))?;
            return Ok(identity);
        }
        let made = self.vault.create_identity(passphrase).await;
        let identity = made.map_err(|error| failure(&error))?;
        if let Err(error) = self.profile.set_identity(identity.clone()).await {
            self.vault.lock();
            return Err(failure(&error));
        }
        Ok(identity)
    }

    /// Lists what may be shown of the credentials.
    pub(super) async fn credentials(self, reply: Reply<Vec<CredentialSummary>>) {
        let listed = self.profile.credentials().await;
        crate::task::send_or_gone(reply, listed.map_err(|error| failure(&error)));
    }

    /// Reads what a person has set up on the screen.
    pub(super) async fn preferences(self, reply: Reply<Preferences>) {
        let read = self.profile.preferences().await;
        crate::task::send_or_gone(reply, read.map_err(|error| failure(&error)));
    }

    /// Keeps something a person has set up on the screen. In turn, so that the last of several stays.
    pub(super) async fn remember(self, name: String, value: Option<String>, reply: Reply<()>) {
        let _turn = self.turn.acquire().await;
        let kept = self.profile.set_preference(name, value).await;
        crate::task::send_or_gone(reply, kept.map_err(|error| failure(&error)));
    }

    /// Reads the end of the audit log.
    pub(super) async fn audit_tail(
        self,
        limit: usize,
        vm: Option<VmRef>,
        host: Option<String>,
        reply: Reply<Vec<AuditRecord>>,
    ) {
        // Records of one VM are sparse among those of all.
        let wide = if vm.is_some() {
            limit.saturating_mul(50).clamp(limit, 20_000)
        } else {
            limit
        };
        let read = self.audit.tail(wide).await.map(|mut records| {
            if let Some(vm) = vm {
                records.retain(|record| {
                    record.entry.vm_id.as_deref() == Some(vm.vm.as_str())
                        && (host.is_none() || record.entry.host == host)
                });
            }
            let surplus = records.len().saturating_sub(limit);
            records.split_off(surplus)
        });
        crate::task::send_or_gone(reply, read.map_err(|error| failure(&error)));
    }

    /// Records a submission that was not admitted.
    pub(super) async fn record_refusal(self, entry: AuditEntry) {
        if let Err(error) = self.audit.append(entry).await {
            self.trouble(failure(&error)).await;
        }
    }

    /// Closes intents that a program which is gone has left open.
    pub(super) async fn close_unfinished(self) {
        let open = match self.audit.unfinished().await {
            Ok(open) => open,
            Err(error) => return self.trouble(failure(&error)).await,
        };
        for AuditRecord { entry, .. } in open {
            let closed = AuditEntry {
                timestamp: self.clock.now().to_string(),
                phase: AuditPhase::Outcome,
                status: "unknown".to_owned(),
                details: "the program ended before the outcome was known".to_owned(),
                ..entry
            };
            if let Err(error) = self.audit.append(closed).await {
                return self.trouble(failure(&error)).await;
            }
        }
    }

    /// Asks whether another process has written the profile.
    pub(super) async fn look_for_changes(self) {
        match self.profile.data_version().await {
            Ok(version) => self.tell(Note::ProfileVersion(version)).await,
            Err(error) => self.trouble(failure(&error)).await,
        }
    }

    /// Writes inventories back, one after the other.
    pub(super) async fn cache(self, inventories: Vec<(HostId, Arc<HostInventory>, Timestamp)>) {
        for (host, inventory, at) in inventories {
            if let Err(error) = self.profile.cache_inventory(host, inventory, at).await {
                // A host that was removed meanwhile has nothing to be kept.
                if error.kind() != ErrorKind::NotFound {
                    self.trouble(failure(&error)).await;
                }
            }
        }
        self.tell(Note::Cached).await;
    }

    /// Mirrors the end of the audit log in the profile, so that a cut end is noticed. A mirror whose
    /// record is gone is never moved on: it is the only witness.
    pub(super) async fn mirror_head(self, head: AuditHead) {
        if let Err(cause) = self.check_end().await {
            self.record_cut(&cause).await;
            return self.tell(Note::EndCut(cause)).await;
        }
        match self.profile.set_audit_head(head.clone()).await {
            Ok(()) => self.tell(Note::HeadMirrored(head)).await,
            Err(error) => self.trouble(failure(&error)).await,
        }
    }

    /// Says whether the record that the profile remembers as the end of the audit log is still there.
    pub(super) async fn check_end(&self) -> Result<(), Failure> {
        let mirror = self.profile.audit_head().await;
        let Some(mirror) = mirror.map_err(|error| failure(&error))? else {
            return Ok(());
        };
        let seq = mirror.seq;
        let held = self.audit.holds(mirror).await;
        if held.map_err(|error| failure(&error))? {
            return Ok(());
        }
        let message = format!(
            "record {seq} of the audit log is gone, though the profile remembers it: the end of the \
             log was cut off or replaced"
        );
        Err(Failure::new(ErrorKind::Store, message).with_hint(
            "keep a copy of the profile's audit directory and look with `vmdeck audit verify`; when the loss is \
             explained, `vmdeck audit accept-cut` writes that down and goes on",
        ))
    }

    /// Records that the end of the audit log was cut off; once, however often it is noticed.
    pub(super) async fn record_cut(&self, cause: &Failure) {
        let entry = record::note(
            END_MISSING,
            "failed",
            cause.message.clone(),
            self.clock.now(),
        );
        let recorded = self.audit.tail(NOTES_SEARCHED).await.is_ok_and(|records| {
            let is_same = |kept: &AuditRecord| {
                kept.entry.action == entry.action && kept.entry.details == entry.details
            };
            records.iter().any(is_same)
        });
        if !recorded && let Err(error) = self.audit.append(entry).await {
            self.trouble(failure(&error)).await;
        }
    }
}

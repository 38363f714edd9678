//! What is sent to libvirt: `virsh` command lines. To the kept `virsh` they are built from constants and
//! UUIDs only, so that no name a person or a guest chose is ever read as an option or a separator; names
//! of snapshots, which have no other identity, go there only when they are plain, and in quotes. Pure.

use std::time::Duration;

use super::{define, edit};
use crate::domain::action::{Action, ActionKind};
use crate::domain::error_kind::ErrorKind;
use crate::domain::host::{HostSpec, LibvirtUri};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::snapshot::{DeleteScope, NewSnapshot, SnapshotRequest};
use crate::domain::store::StoreId;
use crate::domain::store_action::StoreVerb;
use crate::domain::text::RemoteText;
use crate::domain::vm::VmId;
use crate::hypervisor::HypervisorError;

/// How long one question may take on the host when it has a process of its own.
pub(crate) const QUESTION_LIFE: Duration = Duration::from_secs(15);

/// How long an action that only has to be accepted may take: libvirt waits up to 30 s for the lock of
/// a busy VM.
const ACTION_LIFE: Duration = Duration::from_secs(60);

/// How long writing or reading back a VM's memory may take.
const MEMORY_LIFE: Duration = Duration::from_secs(1800);

/// How long starting, stopping or refreshing a pool may take: storage of a network is mounted for it.
const STORE_LIFE: Duration = Duration::from_secs(120);

/// How long one `virsh event` listens. It reads no input, so it would outlive a connection that went away
/// until the next event; this bounds how long.
pub(crate) const EVENTS_LIFE: Duration = Duration::from_secs(120);

/// How `virsh` is called on one host.
#[derive(Debug, Clone)]
pub(crate) struct Virsh {
    uri: Option<LibvirtUri>,
    sudo: bool,
}

impl Virsh {
    /// Takes what a person defined for the host.
    pub(crate) fn of(spec: &HostSpec) -> Self {
        Self {
            uri: spec.uri.clone(),
            sudo: spec.sudo,
        }
    }

    /// Tells whether it goes through `sudo`.
    pub(crate) const fn sudo(&self) -> bool {
        self.sudo
    }

    /// Returns the connection that was asked for.
    pub(crate) const fn uri(&self) -> Option<&LibvirtUri> {
        self.uri.as_ref()
    }

    /// The kept process: commands on standard input, until it is closed.
    pub(crate) fn kept(&self) -> RemoteCommand {
        // Messages are judged in English only; names come as raw bytes under every locale.
        let command = if self.sudo {
            RemoteCommand::posix("sudo").args(["-n", "virsh"])
        } else {
            RemoteCommand::posix("virsh")
        }
        .env("LC_ALL", "C")
        .arg("-q");
        match &self.uri {
            Some(uri) => command.args(["-c", uri.as_str()]),
            None => command,
        }
    }

    /// One process for one question or action.
    pub(crate) fn once(&self, line: &Line, lifetime: Duration) -> RemoteCommand {
        self.kept().args(line.words()).life(lifetime)
    }

    /// One process for one question whose table is to hold names as they are: under `C`, `virsh` writes what
    /// is not ASCII as `\xff`.
    pub(crate) fn in_utf8(&self, line: &Line) -> RemoteCommand {
        self.once(line, QUESTION_LIFE).env("LC_ALL", "C.UTF-8")
    }

    /// One process for something that lasts as long as somebody looks.
    pub(crate) fn staying(&self, line: &Line) -> RemoteCommand {
        self.kept().args(line.words())
    }

    /// The announcements, for a while.
    pub(crate) fn events(&self) -> RemoteCommand {
        self.kept()
            .args(["event", "--all", "--loop", "--timestamp", "--timeout"])
            .arg(EVENTS_LIFE.as_secs().to_string())
    }

    /// The commands of an action.
    pub(crate) fn action(
        &self,
        vm: &VmId,
        action: &Action,
    ) -> Result<Vec<RemoteCommand>, HypervisorError> {
        if let Some(request) = &action.snapshot {
            return Ok(vec![self.snapshot(vm, request)?]);
        }
        if let Some(request) = &action.define {
            return Ok(vec![define::command(self, vm, request, ACTION_LIFE)?]);
        }
        if let Some(request) = &action.edit {
            return Ok(edit::commands(self, vm, request, ACTION_LIFE));
        }
        let (line, lifetime) = match action.kind {
            ActionKind::Start => (Line::about("start", vm), MEMORY_LIFE),
            ActionKind::Shutdown => (Line::about("shutdown", vm), ACTION_LIFE),
            ActionKind::ForceOff => (Line::about("destroy", vm), ACTION_LIFE),
            ActionKind::Reboot => (Line::about("reboot", vm), ACTION_LIFE),
            ActionKind::Reset => (Line::about("reset", vm), ACTION_LIFE),
            ActionKind::Pause => (Line::about("suspend", vm), ACTION_LIFE),
            ActionKind::Resume => (Line::about("resume", vm), ACTION_LIFE),
            ActionKind::Save => (Line::about("managedsave", vm), MEMORY_LIFE),
            ActionKind::AutostartOn => (Line::about("autostart", vm), ACTION_LIFE),
            ActionKind::AutostartOff => {
                (Line::about("autostart", vm).with("--disable"), ACTION_LIFE)
            }
            ActionKind::SnapshotCreate
            | ActionKind::SnapshotRevert
            | ActionKind::SnapshotDelete => return Err(refused("no snapshot was named", None)),
            ActionKind::Edit => return Err(refused("nothing to change was named", None)),
        };
        Ok(vec![self.once(&line, lifetime)])
    }

    /// The command of what is done to a pool or a network.
    pub(crate) fn store_action(&self, id: &StoreId, verb: StoreVerb) -> RemoteCommand {
        let line = match verb {
            StoreVerb::PoolRefresh => Line::about_store("pool-refresh", id),
            StoreVerb::PoolStart => Line::about_store("pool-start", id),
            StoreVerb::PoolStop => Line::about_store("pool-destroy", id),
            StoreVerb::PoolAutostartOn => Line::about_store("pool-autostart", id),
            StoreVerb::PoolAutostartOff => {
                Line::about_store("pool-autostart", id).with("--disable")
            }
            StoreVerb::NetworkStart => Line::about_store("net-start", id),
            StoreVerb::NetworkStop => Line::about_store("net-destroy", id),
            StoreVerb::NetworkAutostartOn => Line::about_store("net-autostart", id),
            StoreVerb::NetworkAutostartOff => {
                Line::about_store("net-autostart", id).with("--disable")
            }
        };
        self.once(&line, STORE_LIFE)
    }

    /// The command of a request about snapshots. It is a process of its own: names are arguments there,
    /// each one word, and nothing reads them as anything else.
    fn snapshot(
        &self,
        vm: &VmId,
        request: &SnapshotRequest,
    ) -> Result<RemoteCommand, HypervisorError> {
        let words = |command: &str| self.kept().arg(command).arg(vm.as_str());
        let command = match request {
            SnapshotRequest::Create(new) => create(words("snapshot-create-as"), new)?,
            SnapshotRequest::Revert(chosen) => {
                words("snapshot-revert").args(["--snapshotname", chosen.id.raw()])
            }
            SnapshotRequest::Delete(chosen, scope) => {
                let command = words("snapshot-delete").args(["--snapshotname", chosen.id.raw()]);
                match scope {
                    DeleteScope::This => command,
                    DeleteScope::WithChildren => command.arg("--children"),
                }
            }
        };
        Ok(command.life(MEMORY_LIFE))
    }
}

fn create(command: RemoteCommand, new: &NewSnapshot) -> Result<RemoteCommand, HypervisorError> {
    if new.quiesce && !new.disk_only {
        return Err(refused(
            "libvirt brings a guest to rest for disk-only snapshots alone",
            Some("make it disk-only, or leave quiesce out"),
        ));
    }
    let mut command = command.args(["--name", new.name.as_str()]);
    if let Some(text) = &new.description {
        command = command.args(["--description", text]);
    }
    if new.disk_only {
        // Of several disks either all are switched over or none is.
        command = command.args(["--disk-only", "--atomic"]);
    }
    if new.quiesce {
        command = command.arg("--quiesce");
    }
    Ok(command)
}

fn refused(what: &str, fix: Option<&str>) -> HypervisorError {
    HypervisorError::Refused {
        kind: ErrorKind::Usage,
        what: what.to_owned(),
        said: RemoteText::new(""),
        fix: fix.map(str::to_owned),
    }
}

/// One `virsh` command. Made of constants, UUIDs and names that are plain, so it holds no line end, and no
/// `;` or quote but those around a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    text: String,
    /// The name of a snapshot, a volume, a pool or a network: its last word.
    named: Option<String>,
    /// Whether it fails where there is nothing to tell.
    may_fail: bool,
}

impl Line {
    fn worded(text: String, named: Option<&str>) -> Self {
        Self {
            text,
            named: named.map(str::to_owned),
            may_fail: false,
        }
    }

    /// A command about the host.
    pub(crate) fn new(words: &'static str) -> Self {
        Self::worded(words.to_owned(), None)
    }

    /// A command about one VM.
    pub(crate) fn about(command: &'static str, vm: &VmId) -> Self {
        Self::worded(format!("{command} {vm}"), None)
    }

    /// A command about one pool or network.
    pub(crate) fn about_store(command: &'static str, id: &StoreId) -> Self {
        Self::worded(format!("{command} {id}"), None)
    }

    /// A command whose last word is the name of a pool or a network; it ends with the option before it.
    pub(crate) fn about_name(command: &'static str, name: &str) -> Self {
        Self::worded(format!("{command} '{name}'"), Some(name))
    }

    /// A command about one volume of a pool.
    pub(crate) fn about_volume(command: &'static str, pool: &StoreId, name: &str) -> Self {
        Self::worded(
            format!("{command} --pool {pool} --vol '{name}'"),
            Some(name),
        )
    }

    /// A command about one snapshot of a VM.
    pub(crate) fn about_snapshot(command: &'static str, vm: &VmId, name: &str) -> Self {
        Self::worded(
            format!("{command} {vm} --snapshotname '{name}'"),
            Some(name),
        )
    }

    /// The same, where a failure is how `virsh` says that there is nothing.
    pub(crate) fn or_nothing(mut self) -> Self {
        self.may_fail = true;
        self
    }

    /// Tells whether it fails where there is nothing to tell.
    pub(crate) const fn may_fail(&self) -> bool {
        self.may_fail
    }

    /// Tells whether a kept `virsh` can be trusted to read it as it is meant: one line, on which nothing
    /// of a name ends the quotes around it. Everything else goes to a process of its own.
    pub(crate) fn is_plain(&self) -> bool {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || " ._:+-@,=()#".contains(c);
        self.named
            .as_deref()
            .is_none_or(|name| name.chars().all(is_plain))
    }

    /// Adds options.
    pub(crate) fn with(mut self, words: &'static str) -> Self {
        self.text.push(' ');
        self.text.push_str(words);
        self
    }

    /// Returns it as `virsh` reads it.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns its words.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        let quoted = self.named.as_ref().map_or(0, |name| name.len() + 3);
        let rest = self.text.len().saturating_sub(quoted);
        let text = self.text.get(..rest).unwrap_or(&self.text);
        text.split_whitespace().chain(self.named.as_deref())
    }
}

/// The one question of every tick. Groups that no column shows are left out; `--nowait` keeps a VM
/// that is being migrated or saved from holding up all the others.
pub(crate) fn tick() -> Line {
    Line::new("domstats --raw --nowait --state --cpu-total --balloon --vcpu --interface --block")
}

/// The same for a `virsh` that does not know `--nowait` (before 4.5).
pub(crate) fn tick_that_waits() -> Line {
    Line::new("domstats --raw --state --cpu-total --balloon --vcpu --interface --block")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::host::Endpoint;

    fn spec() -> HostSpec {
        HostSpec::new("kvm1".parse().unwrap(), Endpoint::new("kvm1", 22))
    }

    fn shown(spec: &HostSpec, kind: ActionKind) -> String {
        let vm = VmId::parse("6c09bb55-d683-4da0-8931-c9bf705f6480").unwrap();
        let commands = Virsh::of(spec).action(&vm, &kind.into()).unwrap();
        let lines: Vec<String> = commands.iter().map(RemoteCommand::shown_line).collect();
        lines.join(" && ")
    }

    #[test]
    fn every_verb_is_the_command_of_the_catalogue() {
        let mut spec = spec();
        spec.uri = Some("qemu:///system".parse().unwrap());
        let words = [
            (ActionKind::Start, "start"),
            (ActionKind::Shutdown, "shutdown"),
            (ActionKind::ForceOff, "destroy"),
            (ActionKind::Reboot, "reboot"),
            (ActionKind::Reset, "reset"),
            (ActionKind::Pause, "suspend"),
            (ActionKind::Resume, "resume"),
            (ActionKind::Save, "managedsave"),
            (ActionKind::AutostartOn, "autostart"),
        ];
        for (kind, word) in words {
            assert_eq!(
                shown(&spec, kind),
                format!("virsh -q -c qemu:///system {word} 6c09bb55-d683-4da0-8931-c9bf705f6480")
            );
        }
        assert_eq!(
            shown(&spec, ActionKind::AutostartOff),
            "virsh -q -c qemu:///system autostart 6c09bb55-d683-4da0-8931-c9bf705f6480 --disable"
        );
    }

    #[test]
    fn sudo_never_asks_and_the_default_connection_is_left_to_libvirt() {
        let mut spec = spec();
        spec.sudo = true;
        assert_eq!(
            shown(&spec, ActionKind::Start),
            "sudo -n virsh -q start 6c09bb55-d683-4da0-8931-c9bf705f6480"
        );
    }

    #[test]
    fn every_command_of_an_action_has_a_bounded_life_and_speaks_english() {
        let vm = VmId::parse("6c09bb55-d683-4da0-8931-c9bf705f6480").unwrap();
        let new = NewSnapshot::named("clean".parse().unwrap());
        let create = Action::from(SnapshotRequest::Create(new));
        let plain = ActionKind::plain().map(|spec| Action::new(spec.kind));
        for action in plain.chain([create]) {
            for command in Virsh::of(&spec()).action(&vm, &action).unwrap() {
                assert!(command.life.is_some(), "{action:?}");
                assert_eq!(command.env, [("LC_ALL".to_owned(), "C".to_owned())]);
            }
        }
    }

    fn asked(request: SnapshotRequest) -> Result<String, HypervisorError> {
        let vm = VmId::parse("6c09bb55-d683-4da0-8931-c9bf705f6480").unwrap();
        let commands = Virsh::of(&spec()).action(&vm, &request.into())?;
        Ok(commands[0].shown_line())
    }

    fn chosen(name: &str) -> crate::domain::snapshot::Chosen {
        let name = RemoteText::new(name);
        crate::domain::snapshot::Chosen {
            id: name.clone(),
            name,
        }
    }

    #[test]
    fn snapshots_are_named_in_words_of_their_own() {
        let vm = "6c09bb55-d683-4da0-8931-c9bf705f6480";
        let mut new = NewSnapshot::named("it's; clean".parse().unwrap());
        let create = |new: &NewSnapshot| asked(SnapshotRequest::Create(new.clone()));
        assert_eq!(
            create(&new).unwrap(),
            format!(r"virsh -q snapshot-create-as {vm} --name 'it'\''s; clean'")
        );
        new.quiesce = true;
        let why = create(&new).unwrap_err().to_string();
        assert!(why.contains("disk-only"), "{why}");
        new.disk_only = true;
        let new = new.described("before the move").unwrap();
        assert!(
            create(&new)
                .unwrap()
                .ends_with("--description 'before the move' --disk-only --atomic --quiesce")
        );
        assert_eq!(
            asked(SnapshotRequest::Revert(chosen("--force"))).unwrap(),
            format!("virsh -q snapshot-revert {vm} --snapshotname --force")
        );
        let delete = |scope| asked(SnapshotRequest::Delete(chosen("a"), scope)).unwrap();
        assert_eq!(
            delete(DeleteScope::This),
            format!("virsh -q snapshot-delete {vm} --snapshotname a")
        );
        assert!(delete(DeleteScope::WithChildren).ends_with("--snapshotname a --children"));
    }

    #[test]
    fn only_plain_names_go_to_the_kept_virsh() {
        let vm = VmId::parse("6c09bb55-d683-4da0-8931-c9bf705f6480").unwrap();
        let line = |name: &str| Line::about_snapshot("snapshot-dumpxml", &vm, name);
        for plain in ["clean", "two words", "2026-11-22 11:00:00 (#1)", "--x"] {
            assert!(line(plain).is_plain(), "{plain}");
            assert_eq!(line(plain).words().last(), Some(plain));
            assert_eq!(line(plain).words().count(), 4, "{plain}");
        }
        for odd in [
            "it's",
            "a;b",
            "a\nb",
            "a\\",
            "\"",
            "na\u{ef}ve",
            "$(x)",
            "`x`",
        ] {
            assert!(!line(odd).is_plain(), "{odd}");
            assert_eq!(line(odd).words().last(), Some(odd));
        }
        assert!(tick().is_plain());
    }
}

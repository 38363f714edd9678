//! A dashboard without a terminal: keys are typed as a macro, effects are answered by a fake engine, and a
//! frame is read as text or as styles.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::sync::{broadcast, mpsc, watch};
use vmdeck::domain::action::{Action, ActionKind};
use vmdeck::domain::audit::AuditPage;
use vmdeck::domain::console::{ConsoleInput, ConsoleKind, ConsoleNews};
use vmdeck::domain::credential::{CredentialId, CredentialKind, CredentialSummary};
use vmdeck::domain::error_kind::{ErrorKind, Failure};
use vmdeck::domain::host::{HostId, HostSpec, HypervisorKind};
use vmdeck::domain::inventory::FleetSnapshot;
use vmdeck::domain::metrics::VmMetrics;
use vmdeck::domain::operation::{OperationId, Plan, Submission};
use vmdeck::domain::picture::Picture;
use vmdeck::domain::policy::{self, Decision, PolicyQuery};
use vmdeck::domain::snapshot;
use vmdeck::domain::units::{Bytes, Percent};
use vmdeck::domain::vm::{RemoteDocument, VmDetail, VmRef, VmStats};
use vmdeck::fleet::FleetHandle;
use vmdeck::fleet::console::{Console, ConsoleWish};
use vmdeck::fleet::credential::{CredentialRequest, NewSecret};
use vmdeck::fleet::import::Importable;
use vmdeck::fleet::request::{
    ErrorRecord, Finding, LogRequest, OwnRequest, Proposal, ReachRequest, Request,
};
use vmdeck::fleet::rotation::{
    Finished, PlannedHost, RotationPlan, RotationRequest, old_of, successor_of,
};
use vmdeck::hypervisor::libvirt;
use vmdeck::task::Tasks;
use vmdeck::testing::fleet;
use vmdeck::tui::app::{App, Settings};
use vmdeck::tui::effect::{Effect, Local, Runner};
use vmdeck::tui::event::{Answer, Event, Input};
use vmdeck::tui::key::KeyPress;
use vmdeck::tui::keymap::Keymap;
use vmdeck::tui::theme::{ColourDepth, Theme};
use vmdeck::tui::update::{greet, update};
use vmdeck::tui::view::{ViewState, make_ascii, view};

/// What the fake engine was asked for, in words.
pub(crate) type Asked = Arc<Mutex<Vec<String>>>;

pub(crate) struct Screen {
    pub(crate) app: App,
    pub(crate) theme: Theme,
    pub(crate) state: ViewState,
    pub(crate) asked: Asked,
    pub(crate) local: Vec<Local>,
    pub(crate) now: Timestamp,
    runner: Runner,
    answers: mpsc::Receiver<Answer>,
    _consoles: mpsc::Receiver<(u64, ConsoleNews)>,
    _publish: watch::Sender<Arc<FleetSnapshot>>,
}

impl Screen {
    pub(crate) fn new(snapshot: FleetSnapshot, size: (u16, u16)) -> Self {
        let snapshot = Arc::new(snapshot);
        let (requests, inbox) = mpsc::channel(64);
        let (publish, snapshots) = watch::channel(Arc::clone(&snapshot));
        let (events, _) = broadcast::channel(16);
        let handle = FleetHandle::new(requests, snapshots, events);
        let tasks = Tasks::new();
        let asked = Asked::default();
        drop(tasks.spawn(
            "engine",
            engine(inbox, Arc::clone(&snapshot), Arc::clone(&asked)),
        ));
        let (answer, answers) = mpsc::channel(64);
        let (consoles, from_consoles) = mpsc::channel(64);
        let settings = Settings {
            actor: fleet::actor(),
            keymap: Arc::new(Keymap::new(&BTreeMap::new()).unwrap()),
            ascii: false,
            lift_for: std::time::Duration::from_secs(900),
            old_snapshot: std::time::Duration::from_secs(30 * 86_400),
            profiles: ["home".to_owned(), "lab".to_owned()].into(),
            themes: vmdeck::tui::theme::shelf::names(&vmdeck::tui::theme::shelf::NoShelf).into(),
            theme: "dark".into(),
            recorded: false,
        };
        let earlier = Arc::new(fleet::earlier(&snapshot, 3));
        let mut app = App::new(settings, earlier, fleet::now(), size);
        for ticks in [2, 1] {
            drop(app.take_snapshot(Arc::new(fleet::earlier(&snapshot, ticks))));
        }
        drop(app.take_snapshot(snapshot));
        greet(&mut app);
        Self {
            app,
            theme: Theme::built_in("dark", ColourDepth::Full).unwrap(),
            state: ViewState::default(),
            asked,
            local: Vec::new(),
            now: fleet::now(),
            runner: Runner::new(handle, tasks, fleet::actor(), answer, consoles),
            _consoles: from_consoles,
            answers,
            _publish: publish,
        }
    }

    pub(crate) fn small(size: (u16, u16)) -> Self {
        Self::new(fleet::small(), size)
    }

    /// Types a macro: words are keys (`enter`, `ctrl-d`), `"text"` is typed letter by letter.
    pub(crate) async fn keys(&mut self, script: &str) {
        for word in words(script) {
            match word.strip_prefix('"') {
                Some(text) => {
                    for c in text.chars() {
                        self.press(KeyPress::plain(crossterm::event::KeyCode::Char(c)))
                            .await;
                    }
                }
                None => self.press(word.parse().unwrap()).await,
            }
        }
    }

    async fn press(&mut self, key: KeyPress) {
        self.send(Input::Key(key.to_event())).await;
    }

    pub(crate) async fn send(&mut self, input: Input) {
        let mut waiting = self.take(input);
        while waiting > 0 {
            let answer = self.answers.recv().await.unwrap();
            waiting = waiting - 1 + self.take(Input::Answer(answer));
        }
    }

    /// Runs effects that something else than an event has asked for.
    pub(crate) async fn run(&mut self, effects: Vec<Effect>) {
        let mut waiting = self.perform(effects);
        while waiting > 0 {
            let answer = self.answers.recv().await.unwrap();
            waiting = waiting - 1 + self.take(Input::Answer(answer));
        }
    }

    /// Returns how many answers are on their way because of this.
    fn take(&mut self, input: Input) -> usize {
        let at = self.now;
        let effects = update(&mut self.app, Event { at, input });
        self.perform(effects)
    }

    fn perform(&mut self, effects: Vec<Effect>) -> usize {
        let mut waiting = 0;
        for effect in effects {
            let answers = match &effect {
                Effect::SubmitMany(_, all) => all.len(),
                Effect::RunOwn(run) => run.jobs.len(),
                Effect::StopOwn
                | Effect::Console(..)
                | Effect::CloseConsole
                | Effect::CloseGraphics(_) => 0,
                _ => 1,
            };
            match self.runner.run(effect) {
                None => waiting += answers,
                Some(local) => self.local.push(local),
            }
        }
        waiting
    }

    pub(crate) async fn later(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        self.send(Input::Tick).await;
    }

    pub(crate) fn frame(&mut self) -> Buffer {
        let (width, height) = self.app.size;
        let mut buf = Buffer::empty(Rect::new(0, 0, width, height));
        view(&self.app, &self.theme, &mut self.state, &mut buf);
        if self.app.settings.ascii {
            make_ascii(&mut buf);
        }
        buf
    }

    pub(crate) fn text(&mut self) -> String {
        text_of(&self.frame())
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Splits a macro into words; a quoted text stays together and keeps its opening quote.
fn words(script: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in script.split('"').enumerate() {
        if at % 2 == 1 {
            words.push(format!("\"{part}"));
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

pub(crate) fn text_of(buf: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buf.area.height {
        let mut line = String::new();
        let mut x = 0;
        while x < buf.area.width {
            let symbol = buf[(x, y)].symbol();
            line.push_str(symbol);
            x += u16::try_from(unicode_width::UnicodeWidthStr::width(symbol).max(1)).unwrap();
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The styles of a frame: a letter per distinct style, and what each letter looks like.
pub(crate) fn styles_of(buf: &Buffer) -> String {
    let mut seen: Vec<String> = Vec::new();
    let mut text = String::new();
    for y in 0..buf.area.height {
        for x in 0..buf.area.width {
            let cell = &buf[(x, y)];
            let style = format!("{:?} on {:?} {:?}", cell.fg, cell.bg, cell.modifier);
            let at = seen
                .iter()
                .position(|other| *other == style)
                .unwrap_or_else(|| {
                    seen.push(style);
                    seen.len() - 1
                });
            let blank = at == 0 && cell.symbol() == " ";
            text.push(if blank {
                '.'
            } else {
                char::from(b'A' + u8::try_from(at).unwrap())
            });
        }
        text.push('\n');
    }
    for (at, style) in (b'A'..).zip(seen) {
        let line = [char::from(at).to_string(), style].join(" = ");
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// Fourteen minutes with a pause of three, and disks that nobody ever knew anything of.
fn quarter() -> VmMetrics {
    let mut metrics = None;
    for second in (0..840).step_by(3) {
        if (300..480).contains(&second) {
            continue;
        }
        let wave = u32::try_from(second % 120).unwrap();
        let stats = VmStats {
            cpu: Some(Percent::new(f64::from(wave) * 0.7)),
            memory_used: Some(Bytes::from_mib(14_000 + u64::from(wave))),
            net_rx: Some(Bytes(u64::from(wave) * 4096)),
            net_tx: Some(Bytes(0)),
            ..VmStats::default()
        };
        let at = fleet::now() - SignedDuration::from_secs(840 - second);
        match &mut metrics {
            None => metrics = VmMetrics::begin(&stats, at),
            Some(metrics) => assert!(metrics.take(&stats, at)),
        }
    }
    metrics.unwrap()
}

async fn engine(mut inbox: mpsc::Receiver<Request>, state: Arc<FleetSnapshot>, asked: Asked) {
    // The other ends of consoles: one that is dropped has ended.
    let mut ends = Vec::new();
    let mut submitted = 0;
    while let Some(request) = inbox.recv().await {
        let note = |text: String| asked.lock().unwrap().push(text);
        match request {
            Request::Plan {
                vm,
                action,
                count,
                reply,
                ..
            } => {
                let about = action.about();
                note(format!("plan {}{about} for {}", action.kind, vm.vm.short()));
                let proposal = propose(&state, &vm, action.kind, count)
                    .and_then(|proposal| with_arguments(&state, proposal, action));
                reply.send(proposal).unwrap();
            }
            Request::Submit { submission, reply } => {
                note(submitted_in_words(*submission));
                submitted += 1;
                let id = format!("op-{submitted}");
                reply.send(Ok(OperationId(Arc::from(id)))).unwrap();
            }
            Request::Detail { reply, .. } => {
                let definition = "<domain type='kvm'>\n\t<name>x</name>\n</domain>";
                let detail = VmDetail {
                    definition: RemoteDocument::new(definition),
                    ..VmDetail::default()
                };
                reply.send(Ok(Arc::new(detail))).unwrap();
            }
            Request::Metrics { reply, .. } => reply.send(Ok(Some(quarter()))).unwrap(),
            Request::Snapshots { vm, reply } => {
                let tree = state
                    .vm(&vm)
                    .and_then(|(_, vm)| vm.facts.snapshot_tree.clone());
                reply.send(Ok(tree.unwrap_or_default())).unwrap();
            }
            Request::Store(request) => crate::stores::answer(&state, request, &note),
            Request::Reach(ReachRequest::Console { wish, reply }) => {
                let (words, console, kept) = console(&wish);
                note(words);
                ends.push(kept);
                reply.send(Ok(console)).unwrap();
            }
            Request::Reach(ReachRequest::Screen { vm, reply }) => {
                note(format!("screen of {}", vm.vm.short()));
                reply.send(Ok(Arc::new(picture()))).unwrap();
            }
            Request::Reach(
                request @ (ReachRequest::PlanGuest { .. } | ReachRequest::RunGuest { .. }),
            ) => crate::guest::answer(&state, request, &note),
            Request::Reach(ReachRequest::Graphics { reply, .. }) => {
                let cause = Failure::new(ErrorKind::NotFound, "the VM has no graphical display");
                reply.send(Err(cause)).unwrap();
            }
            Request::Reach(ReachRequest::Keys {
                vm, keys, reply, ..
            }) => {
                note(format!("{} into {}", keys.in_words(), vm.vm.short()));
                reply.send(Ok(())).unwrap();
            }
            Request::AuditTail { reply, .. } => reply.send(Ok(Vec::new())).unwrap(),
            Request::Log(LogRequest::AuditPage { reply, .. }) => {
                reply.send(Ok(AuditPage::default())).unwrap();
            }
            Request::Errors { reply } => reply.send(Ok(vec![error()])).unwrap(),
            Request::CommandLog { reply, .. } => reply.send(Ok(Vec::new())).unwrap(),
            Request::Credentials { reply } => reply.send(Ok(credentials())).unwrap(),
            Request::Credential(request) => credential(request, &asked),
            Request::Rotation(request) => rotation(request, &asked),
            Request::Importable { reply } => reply.send(Ok(importable())).unwrap(),
            Request::Preferences { reply } => reply.send(Ok(BTreeMap::new())).unwrap(),
            Request::Record { reply, .. } => {
                let cause = Failure::new(ErrorKind::Internal, "not from here");
                reply.send(Err(cause)).unwrap();
            }
            Request::Unlock {
                passphrase, reply, ..
            } => {
                note("unlock".to_owned());
                let answer = if passphrase.expose().starts_with("right") {
                    Ok(())
                } else {
                    Err(Failure::new(ErrorKind::Locked, "wrong passphrase"))
                };
                reply.send(answer).unwrap();
            }
            other => kept(other, &asked),
        }
    }
}

fn submitted_in_words(submission: Submission) -> String {
    let Submission {
        plan,
        consent,
        count,
        ..
    } = submission;
    format!(
        "submit {}{} {} ({consent:?}, {count})",
        plan.action.kind,
        plan.action.about(),
        plan.vm_name.shown()
    )
}

/// A key that two hosts log in with, and a password that none does.
fn credentials() -> Vec<CredentialSummary> {
    let one = |id, name: &str, kind, used_by: &[&str]| CredentialSummary {
        id: CredentialId(id),
        name: name.parse().unwrap(),
        kind,
        public_key: (kind == CredentialKind::PrivateKey)
            .then(|| format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{name} vmdeck {name}")),
        fingerprint: (kind == CredentialKind::PrivateKey)
            .then(|| "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU".to_owned()),
        used_by: used_by.iter().map(ToString::to_string).collect(),
        created_at: "2026-03-01T08:00:00Z".to_owned(),
    };
    vec![
        one(1, "old-root", CredentialKind::Password, &[]),
        one(2, "ops", CredentialKind::PrivateKey, &["kvm1", "kvm2"]),
    ]
}

fn credential(request: CredentialRequest, asked: &Asked) {
    let note = |text: String| asked.lock().unwrap().push(text);
    match request {
        CredentialRequest::Add {
            name,
            secret,
            reply,
            ..
        } => {
            let what = match secret {
                NewSecret::Generate => "a new key".to_owned(),
                NewSecret::KeyFile { path, passphrase } => {
                    let own = passphrase.map_or(0, |own| own.expose().len());
                    format!("the key file {} ({own})", path.display())
                }
                NewSecret::Password(password) => {
                    format!("a password ({})", password.expose().len())
                }
                NewSecret::Agent => "the agent".to_owned(),
            };
            note(format!("add {name}: {what}"));
            let taken = credentials().into_iter().find(|found| found.name == name);
            let answer = match taken {
                Some(_) => Err(Failure::new(
                    ErrorKind::Conflict,
                    format!("there is a credential `{name}` already"),
                )),
                None => Ok(CredentialSummary {
                    name,
                    ..credentials().remove(1)
                }),
            };
            reply.send(answer).unwrap();
        }
        CredentialRequest::Remove { name, reply, .. } => {
            note(format!("remove {name}"));
            reply.send(Ok(())).unwrap();
        }
    }
}

/// Two aliases that are new, one that is there, and one that cannot be a host.
fn importable() -> Vec<Importable> {
    let one = |alias: &str, leads_to: &str, how: &str| Importable {
        alias: alias.to_owned(),
        leads_to: leads_to.to_owned(),
        how: how.to_owned(),
        spec: alias
            .parse()
            .ok()
            .zip(alias.parse().ok())
            .map(|(name, at)| HostSpec::new(name, at)),
    };
    vec![
        one(
            "inner",
            "root@10.9.0.4:2222",
            "key /home/ann/.ssh/lab, via ops@gate",
        ),
        one("kvm1", "kvm1.lan", ""),
        one("outer", "ann@outer", "key /home/ann/.ssh/id_ed25519"),
        one("a/b", "ann@a", ""),
    ]
}

/// Two hosts, of which the second does not take the new key until it is asked again.
fn rotation(request: RotationRequest, asked: &Asked) {
    let note = |text: String| {
        let mut asked = asked.lock().unwrap();
        let before = asked.iter().filter(|line| **line == text).count();
        asked.push(text);
        before
    };
    match request {
        RotationRequest::Plan {
            credential, reply, ..
        } => {
            note(format!("plan the rotation of {credential}"));
            let host = |id, name: &str| PlannedHost {
                id: HostId(id),
                name: name.parse().unwrap(),
                kind: Some(HypervisorKind::Libvirt),
                add: "sh -c 'add the new key'".to_owned(),
                remove: Some("sh -c 'remove the old key'".to_owned()),
                moved: false,
            };
            let plan = RotationPlan {
                successor: successor_of(&credential).unwrap(),
                credential,
                resumed: false,
                fingerprint: Some("SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU".to_owned()),
                hosts: vec![host(1, "kvm1"), host(2, "kvm2")],
            };
            reply.send(Ok(plan)).unwrap();
        }
        RotationRequest::Move { host, reply, .. } => {
            let before = note(format!("move {host}"));
            let answer = if host == HostId(2) && before == 0 {
                let cause = "the new key is not let in by kvm2; it was taken away again";
                Err(Failure::new(ErrorKind::Auth, cause))
            } else {
                Ok(vec![format!("host {host} logs in with it")])
            };
            reply.send(answer).unwrap();
        }
        RotationRequest::Retire { host, reply, .. } => {
            note(format!("retire on {host}"));
            reply
                .send(Ok(format!("took the old key off host {host}")))
                .unwrap();
        }
        RotationRequest::Finish {
            keep_old,
            reply,
            credential,
            ..
        } => {
            note(format!("finish, keep the old one: {keep_old}"));
            let moved = asked
                .lock()
                .unwrap()
                .iter()
                .filter(|line| *line == "move 2")
                .count();
            let answer = match (moved, keep_old) {
                (0 | 1, _) => Finished::StillUsed(vec!["kvm2".to_owned()]),
                (_, true) => Finished::OldKept(old_of(&credential).unwrap()),
                (_, false) => Finished::OldForgotten,
            };
            reply.send(Ok(answer)).unwrap();
        }
    }
}

/// Answers what changes the profile, or only moves on.
fn kept(request: Request, asked: &Asked) {
    let note = |text: String| asked.lock().unwrap().push(text);
    match request {
        Request::Settings { vm, reply } => {
            note(format!("settings of {}", vm.vm.short()));
            reply.send(Ok(crate::edit::settings())).unwrap();
        }
        Request::Definition { vm, reply } => {
            note(format!("definition of {}", vm.vm.short()));
            reply.send(Ok(crate::define::definition(&vm.vm))).unwrap();
        }
        Request::Remember { name, value, reply } => {
            note(format!("remember {name} = {value:?}"));
            reply.send(Ok(())).unwrap();
        }
        Request::UpsertHost { spec, reply, .. } => {
            note(format!("save host {} at {}", spec.name, spec.endpoint));
            reply.send(Ok(spec.id)).unwrap();
        }
        Request::RemoveHost { host, reply, .. } => {
            note(format!("remove host {host}"));
            reply.send(Ok(())).unwrap();
        }
        Request::AnswerHostKey {
            decision, reply, ..
        } => {
            note(format!("host key: {}", decision.trusts()));
            reply.send(Ok(())).unwrap();
        }
        Request::Withdraw { operations, reply } => {
            note(format!("withdraw {}", operations.len()));
            reply.send(Ok(operations.len())).unwrap();
        }
        Request::Refresh { hosts, reply } => {
            note(format!("refresh {hosts:?}"));
            reply.send(Ok(())).unwrap();
        }
        Request::Focus { hosts, reply } => {
            note(format!("focus {hosts:?}"));
            reply.send(Ok(())).unwrap();
        }
        Request::Doctor { host, reply } => {
            note(format!("check {host}"));
            reply.send(Ok(findings())).unwrap();
        }
        Request::Lift(request) => {
            note(format!(
                "lift {:?} for {} s",
                request.hosts,
                request.lasting.as_secs()
            ));
            request.reply.send(Ok(())).unwrap();
        }
        Request::Lock { reply } => {
            note("lock".to_owned());
            reply.send(Ok(())).unwrap();
        }
        Request::Connect { reply, .. }
        | Request::ReadAgain { reply, .. }
        | Request::Disconnect { reply, .. }
        | Request::Cancel { reply, .. }
        | Request::Log(LogRequest::Note { reply, .. })
        | Request::SetReadOnly { reply, .. } => reply.send(Ok(())).unwrap(),
        Request::Shutdown { reply, .. } => reply.send(Ok(0)).unwrap(),
        Request::Own(OwnRequest::Complain { cause, reply }) => {
            note(format!("complain {}", cause.message));
            reply.send(Ok(())).unwrap();
        }
        Request::Own(OwnRequest::Record { entry, reply }) => {
            let vm = entry.vm.as_ref().map_or("", |vm| vm.shown());
            note(format!(
                "record {} {vm} {} {:?}",
                entry.action, entry.status, entry.plan
            ));
            reply.send(Ok(())).unwrap();
        }
        other => panic!("{other:?} is answered elsewhere"),
    }
}

/// The same plan, with what is asked about snapshots or settings.
fn with_arguments(
    state: &FleetSnapshot,
    proposal: Proposal,
    action: Action,
) -> Result<Proposal, Failure> {
    let (host, vm) = state.vm(&proposal.plan.vm).unwrap();
    let tree = vm.facts.snapshot_tree.as_deref();
    let consequences = match (&action.snapshot, &action.edit, &action.define) {
        (Some(request), ..) => snapshot::consequences(request, &vm.state, tree),
        (_, Some(request), _) => request.consequences(Some(16), None),
        (_, _, Some(request)) => request.consequences(),
        (None, None, None) => return Ok(proposal),
    };
    let commands = libvirt::commands(&host.spec, &vm.id, &action);
    let plan = Plan {
        commands: commands.map_err(|error| Failure::of(&error))?,
        consequences,
        action,
        ..proposal.plan
    };
    Ok(Proposal { plan, ..proposal })
}

/// The far ends of a console.
type FarEnds = (mpsc::Sender<ConsoleNews>, mpsc::Receiver<ConsoleInput>);

/// A console that says nothing by itself, and what was asked for in words.
fn console(wish: &ConsoleWish) -> (String, Console, FarEnds) {
    let how = match &wish.kind {
        ConsoleKind::Serial { take_over: true } => ", taken over".to_owned(),
        ConsoleKind::Serial { take_over: false } => String::new(),
        ConsoleKind::Shell(login) => {
            format!(", as {} at {} with {:?}", login.user, login.at, login.login)
        }
    };
    let (columns, lines) = (wish.size.columns(), wish.size.lines());
    let words = format!("console of {} {columns}x{lines}{how}", wish.vm.vm.short());
    let (says, news) = mpsc::channel(1);
    let (input, typed) = mpsc::channel(1);
    let console = Console {
        news,
        input,
        may_type: true,
    };
    (words, console, (says, typed))
}

/// A picture of four fields: red, green, blue, white.
fn picture() -> Picture {
    let pixels = (0..40)
        .flat_map(|y| (0..60).map(move |x| (x < 30, y < 20)))
        .flat_map(|field| match field {
            (true, true) => [255, 0, 0],
            (false, true) => [0, 255, 0],
            (true, false) => [0, 0, 255],
            (false, false) => [255, 255, 255],
        })
        .collect();
    Picture::new(60, 40, pixels).unwrap()
}

fn propose(
    state: &FleetSnapshot,
    vm: &VmRef,
    action: ActionKind,
    count: usize,
) -> Result<Proposal, Failure> {
    let gone = || Failure::new(ErrorKind::NotFound, "the VM is gone");
    let plan = fleet::plan(state, vm, action).ok_or_else(gone)?;
    if !action.fits(&plan.state) {
        let why = format!("{} is {}", plan.vm_name.shown(), plan.state);
        return Err(Failure::new(ErrorKind::Refused, why));
    }
    let host = state.host(vm.host).ok_or_else(gone)?;
    let verdict = policy::decide(
        &state.policy,
        &PolicyQuery {
            verb: action.into(),
            tier: host
                .spec
                .tier
                .as_ref()
                .map(vmdeck::domain::host::Tier::as_str),
            host: host.spec.name.as_str(),
            tags: &[],
            door: vmdeck::domain::operation::Door::Tui,
            user: "ann",
            count,
            snapshot_age: None,
            read_only: false,
            host_read_only: false,
        },
    );
    if let Decision::Deny(why) = &verdict.decision {
        return Err(Failure::new(ErrorKind::Refused, why.clone()));
    }
    Ok(Proposal { plan, verdict })
}

fn error() -> ErrorRecord {
    let cause = Failure::new(ErrorKind::Unreachable, "could not reach kvm3: timed out")
        .with_hint("check the address and the network, then press r");
    ErrorRecord::new(fleet::now(), "kvm3".parse().ok(), cause)
}

fn findings() -> Vec<Finding> {
    let finding = |step, ok, seen: &str, fix: Option<&str>| Finding {
        step,
        ok,
        seen: seen.into(),
        fix: fix.map(str::to_owned),
    };
    vec![
        finding("name", Some(true), "10.0.0.3", None),
        finding(
            "tcp",
            Some(false),
            "no answer on port 22",
            Some("start sshd, or `vmdeck host edit NAME --address HOST:PORT`"),
        ),
        finding("login", None, "not reached", None),
    ]
}

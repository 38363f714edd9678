//! Telling a person who looks elsewhere: what is told, when, and the bytes that tell it. News are gathered
//! for a moment, so that a rack that goes down is one message with a number. Never what the screen shows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::acting;
use super::app::App;
use super::effect::Effect;
use super::theme::Role;
use crate::config::{NotifyWay, TOPICS};
use crate::domain::event::Fact;
use crate::domain::host::HostId;
use crate::domain::operation::Operation;
use crate::domain::text::{RemoteText, is_hostile};
use crate::domain::vm::{PowerState, VmRef};

/// The longest message, in characters: what fits into a corner of a screen.
const LONGEST: usize = 200;

/// How long news are gathered before they are told.
const GATHER: SignedDuration = SignedDuration::from_secs(1);

/// The shortest time between two messages.
const GAP: SignedDuration = SignedDuration::from_secs(10);

/// An operation that took longer is told although the terminal has the focus.
const LONG: Duration = Duration::from_secs(10);

/// Names that a message about several things lists.
const NAMED: usize = 3;

/// VMs that can be watched: more of them are a filter or a hook.
const MOST_WATCHED: usize = 500;

/// Bytes between which some terminals look for the end of a message, before they read it as UTF-8
/// (ECMA-48, ST as one byte).
const STRING_TERMINATOR: u8 = 0x9c;

/// How a person is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyOptions {
    /// What is told without asking: words of [`TOPICS`].
    pub topics: Vec<String>,
    /// By which way.
    pub way: NotifyWay,
    /// With which program, where it is one.
    pub command: Vec<String>,
}

impl Default for NotifyOptions {
    fn default() -> Self {
        Self {
            topics: TOPICS.iter().map(|topic| (*topic).to_owned()).collect(),
            way: NotifyWay::default(),
            command: Vec::new(),
        }
    }
}

/// What a piece of news is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    Crashed,
    Lost,
    Back,
    Watched,
    Ended,
}

impl About {
    /// The word of the configuration; `None` = what was asked for.
    const fn topic(self) -> Option<&'static str> {
        match self {
            Self::Crashed => Some("crashes"),
            Self::Lost | Self::Back => Some("hosts"),
            Self::Ended => Some("operations"),
            Self::Watched => None,
        }
    }

    fn of_several(self, count: usize) -> String {
        match self {
            Self::Crashed => format!("{count} VMs crashed"),
            Self::Lost => format!("{count} hosts lost"),
            Self::Back => format!("{count} hosts answer again"),
            Self::Watched => format!("{count} changes of watched VMs"),
            Self::Ended => format!("{count} operations ended"),
        }
    }
}

/// News of one kind that wait to be told.
#[derive(Debug, Default)]
struct Gathered {
    count: usize,
    first: String,
    names: Vec<String>,
}

/// What is to be told, and what has to be known for it.
#[derive(Debug, Default)]
pub struct Notices {
    options: NotifyOptions,
    gathered: BTreeMap<About, Gathered>,
    due: Option<Timestamp>,
    last: Option<Timestamp>,
    /// Hosts that have answered: only they can be lost.
    answered: BTreeSet<HostId>,
    /// Hosts that have answered and do not any more: only they can be back.
    lost: BTreeSet<HostId>,
}

impl Notices {
    /// Begins with nothing to tell.
    pub fn new(options: NotifyOptions) -> Self {
        Self {
            options,
            ..Self::default()
        }
    }

    fn add(&mut self, about: About, name: &str, text: String, now: Timestamp) {
        let wanted = |topic: &str| self.options.topics.iter().any(|word| word == topic);
        if self.options.way == NotifyWay::Off || !about.topic().is_none_or(wanted) {
            return;
        }
        let gathered = self.gathered.entry(about).or_default();
        // A VM that starts is paused for a moment: what counts is how it is now.
        let is_same = about == About::Watched && gathered.names.iter().any(|known| known == name);
        if gathered.count == 0 || (is_same && gathered.count == 1) {
            gathered.first = text;
        }
        if !is_same {
            gathered.count += 1;
            if gathered.names.len() < NAMED {
                gathered.names.push(name.to_owned());
            }
        }
        let soon = now.saturating_add(GATHER).unwrap_or(now);
        let after = self.last.and_then(|last| last.saturating_add(GAP).ok());
        self.due = self
            .due
            .or(Some(after.map_or(soon, |after| after.max(soon))));
    }

    /// Returns the message that is due, if one is.
    fn take(&mut self, now: Timestamp) -> Option<String> {
        self.due.filter(|due| *due <= now)?;
        self.due = None;
        self.last = Some(now);
        let parts: Vec<String> = std::mem::take(&mut self.gathered)
            .into_iter()
            .map(|(about, gathered)| match gathered.count {
                1 => gathered.first,
                count => {
                    let names = gathered.names.join(", ");
                    let more = match count - gathered.names.len() {
                        0 => String::new(),
                        more => format!(" and {more} more"),
                    };
                    format!("{}: {names}{more}", about.of_several(count))
                }
            })
            .collect();
        Some(clean(&parts.join(". ")))
    }

    /// Returns when there is something to tell; `None` = never.
    pub fn wakes_in(&self, now: Timestamp) -> Option<Duration> {
        let wait = self.due?.duration_since(now);
        Some(Duration::try_from(wait).unwrap_or_default())
    }
}

/// Makes a message harmless: nothing that a terminal acts on, that ends the sequence or divides its fields,
/// and no more than fits.
pub fn clean(text: &str) -> String {
    let shown = RemoteText::new(text);
    let plain = shown.shown().chars().filter(|c| !is_hostile(*c));
    let safe = plain.map(|c| {
        let mut bytes = [0; 4];
        let ends = c
            .encode_utf8(&mut bytes)
            .bytes()
            .any(|byte| byte == STRING_TERMINATOR);
        match c {
            ';' => ',',
            _ if ends => '?',
            c => c,
        }
    });
    safe.take(LONGEST).collect()
}

/// Returns the bytes that tell a message by way of the terminal; empty where it is told otherwise.
pub fn sequence(way: NotifyWay, text: &str) -> String {
    // A message begins with our name: `9;4` at the beginning is a progress bar to some terminals.
    match way {
        NotifyWay::Off | NotifyWay::Command => String::new(),
        NotifyWay::Bell => "\x07".to_owned(),
        NotifyWay::Osc9 => format!("\x1b]9;vmdeck: {}\x07", clean(text)),
        NotifyWay::Osc777 => format!("\x1b]777;notify;vmdeck;{}\x07", clean(text)),
    }
}

/// Tells that something ended which a person had asked for: where nobody looks, or where it took long.
pub fn ended(app: &mut App, name: &str, text: &str, took: Duration) {
    if app.unfocused || took >= LONG {
        app.notices
            .add(About::Ended, name, text.to_owned(), app.now);
    }
}

/// The same for one operation, if it is this person's.
pub fn operation_ended(app: &mut App, operation: &Operation, text: &str) {
    if operation.actor == app.settings.actor {
        let took = operation.elapsed(app.now);
        ended(app, operation.plan.vm_name.shown(), text, took);
    }
}

/// Takes note of what happened in the fleet.
pub fn learn(app: &mut App, fact: &Fact) {
    let now = app.now;
    match fact {
        Fact::HostCameOnline { host, name } => {
            let notices = &mut app.notices;
            notices.answered.insert(*host);
            if notices.lost.remove(host) {
                notices.add(
                    About::Back,
                    name.as_str(),
                    format!("{name} answers again"),
                    now,
                );
            }
        }
        Fact::HostWentOffline { host, name, cause } => {
            let notices = &mut app.notices;
            if notices.answered.remove(host) {
                notices.lost.insert(*host);
                let text = format!("{name} lost: {}", cause.message);
                notices.add(About::Lost, name.as_str(), text, now);
            }
        }
        Fact::VmChangedState {
            vm,
            name,
            host_name,
            to,
            ..
        } => {
            let about = match to {
                _ if app.vms.watched.contains(vm) => About::Watched,
                PowerState::Crashed => About::Crashed,
                _ => return,
            };
            let text = format!("{} on {host_name} is {to}", name.shown());
            tell_vm(app, about, (name, host_name.as_str()), text);
        }
        Fact::VmVanished {
            vm,
            name,
            host_name,
        } if app.vms.watched.contains(vm) => {
            let text = format!("{} is gone from {host_name}", name.shown());
            tell_vm(app, About::Watched, (name, host_name.as_str()), text);
        }
        Fact::VmAppeared {
            vm,
            name,
            host_name,
            ..
        } if app.vms.watched.contains(vm) => {
            let text = format!("{} is there again on {host_name}", name.shown());
            tell_vm(app, About::Watched, (name, host_name.as_str()), text);
        }
        Fact::VmVanished { .. }
        | Fact::VmAppeared { .. }
        | Fact::OperationMoved(_)
        | Fact::ErrorOccurred { .. } => {}
    }
}

fn tell_vm(app: &mut App, about: About, (name, host): (&RemoteText, &str), text: String) {
    let role = if about == About::Crashed {
        Role::Danger
    } else {
        Role::Accent
    };
    app.say(role, text.clone());
    let name = format!("{} on {host}", name.shown());
    app.notices.add(about, &name, text, app.now);
}

/// Returns the message that is due.
pub fn due(app: &mut App) -> Option<Effect> {
    app.notices.take(app.now).map(Effect::Notify)
}

/// Says from now on when the VMs that are meant change; where all of them are watched already, no more.
pub fn toggle(app: &mut App) -> Vec<Effect> {
    let vms = acting::targets(app);
    let mut watched: BTreeSet<VmRef> = app.vms.watched.as_ref().clone();
    let stops = vms.iter().all(|vm| watched.contains(vm));
    for vm in &vms {
        if stops {
            watched.remove(vm);
        } else {
            watched.insert(vm.clone());
        }
    }
    // Those of hosts that were forgotten are nobody's any more.
    watched.retain(|vm| app.snapshot.host(vm.host).is_some());
    if watched.len() > MOST_WATCHED {
        app.say(
            Role::Warning,
            format!("at most {MOST_WATCHED} VMs are watched; a hook can follow them all"),
        );
        return Vec::new();
    }
    app.vms.watched = Arc::new(watched);
    let name = match vms.as_slice() {
        [only] => app
            .snapshot
            .vm(only)
            .map_or_else(String::new, |(_, vm)| vm.name.shown().to_owned()),
        many => format!("one of {} VMs", many.len()),
    };
    let how = match app.notices.options.way {
        NotifyWay::Off => " (on this screen only: tui.notify_by is off)",
        _ => "",
    };
    let text = if stops {
        format!("no longer told when {name} changes")
    } else {
        format!("you are told when {name} changes{how}")
    };
    app.say(Role::Dim, text);
    Vec::new()
}

/// Reads the VMs that are watched, as they are kept.
pub(super) fn read_watched(words: &str) -> BTreeSet<VmRef> {
    let read = |word: &str| {
        let (host, vm) = word.split_once('/')?;
        Some(VmRef {
            host: HostId(host.parse().ok()?),
            vm: crate::domain::vm::VmId::parse(vm)?,
        })
    };
    words
        .split(' ')
        .filter_map(read)
        .take(MOST_WATCHED)
        .collect()
}

/// Writes them.
pub(super) fn watched_words(watched: &BTreeSet<VmRef>) -> String {
    let words = watched.iter().map(|vm| format!("{}/{}", vm.host.0, vm.vm));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fleet, names};

    fn at(seconds: i64) -> Timestamp {
        fleet::now() + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn no_name_gets_out_of_its_message() {
        for name in names::hostile()
            .into_iter()
            .chain(["М\u{9c}x".to_owned(), "4;1;50".to_owned()])
        {
            for (way, head) in [
                (NotifyWay::Osc9, "\x1b]9;vmdeck: "),
                (NotifyWay::Osc777, "\x1b]777;notify;vmdeck;"),
            ] {
                let told = sequence(way, &format!("{name} is stopped"));
                let body = told
                    .strip_prefix(head)
                    .unwrap()
                    .strip_suffix('\x07')
                    .unwrap();
                let bad = body.chars().find(|c| is_hostile(*c) || *c == ';');
                assert_eq!(bad, None, "{name:?} became {told:?}");
                assert!(
                    !body.bytes().any(|byte| byte == STRING_TERMINATOR),
                    "{told:?}"
                );
                assert!(body.chars().count() <= LONGEST);
            }
            assert_eq!(sequence(NotifyWay::Bell, &name), "\x07");
            assert_eq!(sequence(NotifyWay::Off, &name), "");
        }
    }

    #[test]
    fn a_vm_that_changes_twice_in_a_moment_is_told_as_it_is_then() {
        let mut notices = Notices::new(NotifyOptions::default());
        let add = |notices: &mut Notices, vm: &str, state: &str| {
            notices.add(About::Watched, vm, format!("{vm} is {state}"), at(0));
        };
        add(&mut notices, "web-1 on kvm1", "paused");
        add(&mut notices, "web-1 on kvm1", "running");
        assert_eq!(notices.take(at(1)).unwrap(), "web-1 on kvm1 is running");
        add(&mut notices, "web-1 on kvm1", "paused");
        add(&mut notices, "web-1 on kvm2", "paused");
        add(&mut notices, "web-1 on kvm1", "running");
        assert_eq!(
            notices.take(at(30)).unwrap(),
            "2 changes of watched VMs: web-1 on kvm1, web-1 on kvm2"
        );
    }

    #[test]
    fn two_hundred_hosts_are_one_message_with_a_number() {
        let mut notices = Notices::new(NotifyOptions::default());
        for n in 0..200 {
            notices.add(
                About::Lost,
                &format!("kvm{n}"),
                format!("kvm{n} lost: timed out"),
                at(0),
            );
        }
        assert_eq!(notices.take(at(0)), None, "it is gathered first");
        assert_eq!(notices.wakes_in(at(0)), Some(Duration::from_secs(1)));
        let told = notices.take(at(1)).unwrap();
        assert_eq!(told, "200 hosts lost: kvm0, kvm1, kvm2 and 197 more");
        assert_eq!(notices.wakes_in(at(1)), None);
        notices.add(
            About::Lost,
            "kvm9",
            "kvm9 lost: timed out".to_owned(),
            at(2),
        );
        assert_eq!(notices.take(at(5)), None, "not so soon after the last");
        assert_eq!(notices.take(at(11)).unwrap(), "kvm9 lost: timed out");
    }

    #[test]
    fn only_what_is_wanted_is_told() {
        let mut notices = Notices::new(NotifyOptions {
            topics: vec!["hosts".to_owned()],
            ..NotifyOptions::default()
        });
        notices.add(About::Ended, "web-1", "web-1 shut down".to_owned(), at(0));
        assert_eq!(notices.wakes_in(at(0)), None);
        notices.add(
            About::Watched,
            "web-1",
            "web-1 is stopped".to_owned(),
            at(0),
        );
        notices.add(About::Back, "kvm1", "kvm1 answers again".to_owned(), at(0));
        let told = notices.take(at(1)).unwrap();
        assert_eq!(told, "kvm1 answers again. web-1 is stopped");
        let mut off = Notices::new(NotifyOptions {
            way: NotifyWay::Off,
            ..NotifyOptions::default()
        });
        off.add(
            About::Watched,
            "web-1",
            "web-1 is stopped".to_owned(),
            at(0),
        );
        assert_eq!(off.take(at(9)), None);
    }

    #[test]
    fn what_is_watched_is_written_and_read_back() {
        let watched: BTreeSet<VmRef> = (0..5)
            .map(|n| VmRef {
                host: HostId(n),
                vm: fleet::vm_id(1, usize::try_from(n).unwrap()),
            })
            .collect();
        assert_eq!(read_watched(&watched_words(&watched)), watched);
        assert!(read_watched("x/y 1 / 7/not-an-id").is_empty());
    }
}

//! Asking a row. Nothing here allocates, so ten thousand rows can be asked at every key stroke.

use std::fmt::{self, Write};

use jiff::Timestamp;

use super::expr::{Field, Flag, Node, Term};
use super::fuzzy;
use super::text::Needle;
use crate::domain::host::HypervisorKind;
use crate::domain::inventory::HostSnapshot;
use crate::domain::vm::Vm;

/// A VM as a filter sees it.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The host it is on.
    pub host: &'a HostSnapshot,
    /// The VM.
    pub vm: &'a Vm,
    /// The time, for ages.
    pub now: Timestamp,
    /// Whether a person has marked it.
    pub marked: bool,
    /// Whether a person has protected it.
    pub protected: bool,
}

/// Asks a row; `None` when what is asked is not known. "Not known" stays so under `!`.
pub(super) fn decide(node: &Node, row: &Row<'_>) -> Option<bool> {
    evaluate(node, &|term| ask(term, row))
}

/// Asks a host before anything is known about its VMs: `Some(false)` when none of them can match.
pub(super) fn decide_host(node: &Node, host: &HostSnapshot) -> Option<bool> {
    evaluate(node, &|term| ask_host(term, host))
}

pub(super) fn evaluate(node: &Node, ask: &dyn Fn(&Term) -> Option<bool>) -> Option<bool> {
    match node {
        Node::Term(term) => ask(term),
        Node::Not(node) => evaluate(node, ask).map(|answer| !answer),
        Node::All(nodes) => settle(nodes, ask, false),
        Node::Any(nodes) => settle(nodes, ask, true),
    }
}

/// One answer `decisive` settles it; else one that is not known leaves it open.
fn settle(nodes: &[Node], ask: &dyn Fn(&Term) -> Option<bool>, decisive: bool) -> Option<bool> {
    let mut known = true;
    for node in nodes {
        match evaluate(node, ask) {
            Some(answer) if answer == decisive => return Some(decisive),
            Some(_) => {}
            None => known = false,
        }
    }
    known.then_some(!decisive)
}

fn ask_host(term: &Term, host: &HostSnapshot) -> Option<bool> {
    let spec = &host.spec;
    let occurs = |fits: &dyn Fn(&str) -> bool| {
        let found = fits(spec.name.as_str())
            || fits(&spec.endpoint.address)
            || spec.tags.iter().any(|tag| fits(tag.as_str()));
        found.then_some(true)
    };
    match term {
        Term::Word(word) => occurs(&|text| word.is_in(text)),
        Term::Regex(pattern) => occurs(&|text| pattern.0.is_match(text)),
        Term::Fuzzy(word) => fuzzy::fits(word.lower(), spec.name.as_str()).then_some(true),
        Term::Field(field, values) => host_field(*field, values, host),
        Term::Figure(_) | Term::Flag(_) => None,
    }
}

fn ask(term: &Term, row: &Row<'_>) -> Option<bool> {
    match term {
        Term::Word(word) => Some(any_text(row, may_be_address(word.lower()), |text| {
            word.is_in(text)
        })),
        Term::Fuzzy(word) => {
            let fits = |text| fuzzy::fits(word.lower(), text);
            Some(fits(row.vm.name.shown()) || fits(row.host.spec.name.as_str()))
        }
        Term::Regex(pattern) => Some(any_text(row, true, |text| pattern.0.is_match(text))),
        Term::Field(field, values) => in_field(*field, values, row),
        Term::Figure(comparison) => comparison.decide(row),
        Term::Flag(flag) => Some(match flag {
            Flag::Marked => row.marked,
            Flag::Protected => row.protected,
            Flag::Stale => row.host.is_stale(row.now),
        }),
    }
}

/// Addresses are written out only for words that could be a part of one.
fn may_be_address(lower: &str) -> bool {
    lower
        .chars()
        .all(|c| c.is_ascii_hexdigit() || ".:*".contains(c))
}

fn any_text(row: &Row<'_>, addresses: bool, fits: impl Fn(&str) -> bool) -> bool {
    let spec = &row.host.spec;
    fits(row.vm.name.shown())
        || fits(spec.name.as_str())
        || fits(row.vm.state.word())
        || fits(&spec.endpoint.address)
        || spec.tags.iter().any(|tag| fits(tag.as_str()))
        || (addresses && any_ip(row, &fits) == Some(true))
}

fn any_ip(row: &Row<'_>, fits: impl Fn(&str) -> bool) -> Option<bool> {
    let addresses = row.vm.facts.addresses.as_ref()?;
    Some(addresses.iter().any(|address| {
        let mut text = ShortText::default();
        write!(text, "{}", address.ip).is_ok() && fits(text.as_str())
    }))
}

fn in_field(field: Field, values: &[Needle], row: &Row<'_>) -> Option<bool> {
    let any = |text: &str| values.iter().any(|value| value.is(text));
    match field {
        Field::State => Some(any(row.vm.state.word())),
        Field::Name => Some(any(row.vm.name.shown())),
        Field::Id => Some(values.iter().any(|value| value.begins(row.vm.id.as_str()))),
        Field::Ip => any_ip(row, any),
        Field::Host | Field::Tier | Field::Tag | Field::Hypervisor => {
            host_field(field, values, row.host)
        }
        // Words of another dialect.
        Field::Vm | Field::Kind | Field::Status | Field::By => None,
    }
}

/// Fields that belong to the host; `None` for the others, and for a hypervisor not known yet.
fn host_field(field: Field, values: &[Needle], host: &HostSnapshot) -> Option<bool> {
    let any = |text: &str| values.iter().any(|value| value.is(text));
    let spec = &host.spec;
    match field {
        Field::Host => Some(any(spec.name.as_str())),
        Field::Tier => Some(spec.tier.as_ref().is_some_and(|tier| any(tier.as_str()))),
        Field::Tag => Some(spec.tags.iter().any(|tag| any(tag.as_str()))),
        Field::Hypervisor => {
            let probed = host.capabilities.as_ref().map(|found| found.kind);
            let kind = probed.or(spec.kind.fixed())?;
            let words = match kind {
                HypervisorKind::Libvirt => ["libvirt", "kvm"],
                HypervisorKind::HyperV => ["hyperv", "hv"],
            };
            Some(words.into_iter().any(any))
        }
        Field::State
        | Field::Name
        | Field::Id
        | Field::Ip
        | Field::Vm
        | Field::Kind
        | Field::Status
        | Field::By => None,
    }
}

/// Room for one address on the stack.
struct ShortText {
    bytes: [u8; 64],
    length: usize,
}

impl Default for ShortText {
    fn default() -> Self {
        Self {
            bytes: [0; 64],
            length: 0,
        }
    }
}

impl ShortText {
    fn as_str(&self) -> &str {
        let written = self.bytes.get(..self.length).unwrap_or_default();
        std::str::from_utf8(written).unwrap_or_default()
    }
}

impl Write for ShortText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

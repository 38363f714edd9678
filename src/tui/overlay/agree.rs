//! The dialog before something that has to be agreed to and is no action of the catalogue of VMs: which one,
//! where, what it means, exactly what is sent, which rule asks.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use super::frame;
use crate::domain::action::Ask;
use crate::domain::guest_command::{GuestPlan, GuestProposal};
use crate::domain::guest_login::GuestLogin;
use crate::domain::operation::Consent;
use crate::domain::remote_command::RemoteCommand;
use crate::domain::store::StoreState;
use crate::domain::store_action::{StorePlan, StoreProposal};
use crate::domain::text::RemoteText;
use crate::domain::vm::VmRef;
use crate::tui::own::OwnRun;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::input::draw_input;
use crate::tui::widget::paint::{self, Piece};

/// What is agreed to.
#[derive(Debug)]
pub enum Agreed {
    /// Something done to a pool or a network.
    Store(StorePlan),
    /// A program run in a VM.
    Guest(GuestPlan),
    /// Something begun here that a rule asks for.
    Begun(Begun),
}

/// What is begun on this machine, and named by a rule.
#[derive(Debug)]
pub struct Begun {
    /// Of what: its name, and what kind of thing it is.
    pub about: (RemoteText, &'static str),
    /// What is done, in one word.
    pub word: &'static str,
    /// What is asked.
    pub title: String,
    /// What it is.
    pub then: Then,
}

/// What is done once it is agreed to.
#[derive(Debug)]
pub enum Then {
    /// Its console is opened.
    Console(VmRef),
    /// Somebody logs in to it.
    Shell(VmRef, Box<GuestLogin>),
    /// A command of the operator's own is run.
    Own(Box<OwnRun>),
}

/// A fact: its label, its text and what that means.
pub type Fact = (&'static str, String, Role);

/// A plan to agree to.
#[derive(Debug)]
pub struct Agree {
    /// The plan.
    pub plan: Agreed,
    /// The name as typed so far.
    pub typed: Input,
    asks: Ask,
    facts: Vec<Fact>,
}

impl From<StoreProposal> for Agree {
    fn from(proposal: StoreProposal) -> Self {
        let plan = proposal.plan;
        let mut facts = vec![
            (
                plan.target.kind.word(),
                plan.name.shown().to_owned(),
                Role::Strong,
            ),
            ("host", plan.host_name.to_string(), Role::Text),
            (
                "state",
                plan.state.map_or("–", StoreState::word).to_owned(),
                Role::Text,
            ),
        ];
        let means = |text: &String| ("means", text.clone(), Role::Warning);
        facts.extend(plan.consequences.iter().map(means));
        for (n, command) in plan
            .commands
            .iter()
            .map(RemoteCommand::shown_line)
            .enumerate()
        {
            facts.push((if n == 0 { "sends" } else { "" }, command, Role::Text));
        }
        facts.push(("rule", proposal.rule, Role::Dim));
        Self {
            plan: Agreed::Store(plan),
            typed: Input::default(),
            asks: proposal.asks,
            facts,
        }
    }
}

impl From<GuestProposal> for Agree {
    fn from(proposal: GuestProposal) -> Self {
        let plan = proposal.plan;
        let mut facts = vec![
            ("VM", plan.vm_name.shown().to_owned(), Role::Strong),
            ("host", plan.host_name.to_string(), Role::Text),
            ("state", plan.state.to_string(), Role::Text),
        ];
        let account = plan.account.iter();
        facts.extend(account.map(|account| ("as", account.shown(), Role::Text)));
        facts.extend(crate::tui::guest::words(&plan.words));
        facts.push(("sends", plan.command.shown_line(), Role::Text));
        facts.push(("rule", proposal.rule, Role::Dim));
        Self {
            plan: Agreed::Guest(plan),
            typed: Input::default(),
            asks: proposal.asks,
            facts,
        }
    }
}

impl Agree {
    /// Makes the dialog before something that is begun here: its facts beside the rule that asks.
    pub fn begun(begun: Begun, (asks, rule): (Ask, String), mut facts: Vec<Fact>) -> Self {
        facts.push(("rule", rule, Role::Dim));
        Self {
            plan: Agreed::Begun(begun),
            typed: Input::default(),
            asks,
            facts,
        }
    }

    /// Returns what it is about: name, kind of thing, and the word for what is done to it.
    fn about(&self) -> (&RemoteText, &'static str, &'static str) {
        match &self.plan {
            Agreed::Store(plan) => (&plan.name, plan.target.kind.word(), plan.verb.spec().word),
            Agreed::Guest(plan) => (&plan.vm_name, "VM", "run"),
            Agreed::Begun(begun) => (&begun.about.0, begun.about.1, begun.word),
        }
    }

    /// Returns what must be agreed to.
    pub const fn asks(&self) -> Ask {
        self.asks
    }

    /// Returns whether a name has to be typed.
    pub fn wants_name(&self) -> bool {
        self.asks == Ask::TypeName
    }

    /// Returns the consent, once it is complete.
    pub fn consent(&self) -> Option<Consent> {
        if !self.wants_name() {
            return Some(Consent::Confirmed);
        }
        let typed = self.typed.value();
        (typed == self.about().0.raw()).then(|| Consent::TypedName(typed.to_owned()))
    }

    /// Draws it; returns where the text cursor is.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) -> Option<Position> {
        let (name, kind, word) = self.about();
        let width = area.width.min(84);
        let lines = self.lines(width.saturating_sub(4));
        let foot = if self.wants_name() { 3 } else { 1 };
        let wanted = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        let height = wanted.saturating_add(foot + 3).min(area.height);
        let title = match &self.plan {
            Agreed::Store(_) => format!("{word} {kind} {}?", name.shown()),
            Agreed::Guest(_) => format!("run a program in {}?", name.shown()),
            Agreed::Begun(begun) => begun.title.clone(),
        };
        let mut chars = title.chars();
        let title: String = chars
            .next()
            .map(|first| first.to_uppercase().chain(chars).collect())
            .unwrap_or_default();
        let room = frame::draw(buf, area, theme, &title, (width, height));
        let page = room.height.saturating_sub(foot + 1);
        for (n, line) in (0..page).zip(&lines) {
            let pieces: Vec<Piece<'_>> = line
                .iter()
                .map(|(text, role)| Piece::new(text.as_str(), theme.style(*role)))
                .collect();
            paint::put_line(buf, paint::line_of(room, n), &pieces);
        }
        let last = paint::line_of(room, room.height.saturating_sub(1));
        if !self.wants_name() {
            frame::keys(buf, last, theme, &[("y", word), ("enter", "cancel")]);
            return None;
        }
        let ask = paint::line_of(room, room.height.saturating_sub(3));
        let text = format!("Type the {kind}'s name to go on:");
        paint::put(buf, ask, &text, theme.style(Role::Strong));
        let line = paint::line_of(room, room.height.saturating_sub(2));
        let keys: &[(&str, &str)] = if self.consent().is_some() {
            &[("enter", word), ("esc", "cancel")]
        } else if self.typed.value().is_empty() {
            &[("enter", "cancel")]
        } else {
            &[("esc", "cancel")]
        };
        let at = draw_input(buf, line, theme, "> ", &self.typed);
        frame::keys(buf, last, theme, keys);
        at
    }

    fn lines(&self, width: u16) -> Vec<Vec<(String, Role)>> {
        let mut lines = Vec::new();
        for (label, text, role) in &self.facts {
            let parts = paint::wrap(text, width.saturating_sub(9));
            for (n, part) in parts.into_iter().enumerate() {
                let label = if n == 0 { label } else { "" };
                lines.push(vec![(format!("{label:<9}"), Role::Dim), (part, *role)]);
            }
        }
        lines
    }
}

//! The dialog before something is done to a pool or a network that has to be agreed to: which one, where,
//! who uses it, exactly what is sent, which rule asks.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use super::frame;
use crate::domain::action::Ask;
use crate::domain::operation::{Actor, Consent};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::store::StoreState;
use crate::domain::store_action::{StoreProposal, StoreSubmission};
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::input::draw_input;
use crate::tui::widget::paint::{self, Piece};

/// A plan to agree to.
#[derive(Debug)]
pub struct StoreConfirm {
    /// The plan.
    pub proposal: StoreProposal,
    /// The name as typed so far.
    pub typed: Input,
}

impl StoreConfirm {
    /// Asks about a plan.
    pub fn new(proposal: StoreProposal) -> Self {
        Self {
            proposal,
            typed: Input::default(),
        }
    }

    /// Returns whether a name has to be typed.
    pub fn wants_name(&self) -> bool {
        self.proposal.asks == Ask::TypeName
    }

    /// Returns the consent, once it is complete.
    pub fn consent(&self) -> Option<Consent> {
        if !self.wants_name() {
            return Some(Consent::Confirmed);
        }
        let typed = self.typed.value();
        (typed == self.proposal.plan.name.raw()).then(|| Consent::TypedName(typed.to_owned()))
    }

    /// Makes what is handed in.
    pub fn submission(self, actor: Actor, consent: Consent) -> StoreSubmission {
        StoreSubmission {
            plan: self.proposal.plan,
            actor,
            consent,
            deadline: None,
        }
    }

    /// Draws it; returns where the text cursor is.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) -> Option<Position> {
        let plan = &self.proposal.plan;
        let width = area.width.min(84);
        let lines = self.lines(width.saturating_sub(4));
        let foot = if self.wants_name() { 3 } else { 1 };
        let wanted = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        let height = wanted.saturating_add(foot + 3).min(area.height);
        let word = plan.verb.spec().word;
        let kind = plan.target.kind.word();
        let title = format!("{word} {kind} {}?", plan.name.shown());
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
        let plan = &self.proposal.plan;
        let mut lines = Vec::new();
        let mut say = |label: &str, text: &str, role: Role| {
            for (n, part) in paint::wrap(text, width.saturating_sub(9))
                .into_iter()
                .enumerate()
            {
                let label = if n == 0 { label } else { "" };
                lines.push(vec![(format!("{label:<9}"), Role::Dim), (part, role)]);
            }
        };
        say(plan.target.kind.word(), plan.name.shown(), Role::Strong);
        say("host", plan.host_name.as_str(), Role::Text);
        say(
            "state",
            plan.state.map_or("–", StoreState::word),
            Role::Text,
        );
        for consequence in &plan.consequences {
            say("means", consequence, Role::Warning);
        }
        for (n, command) in plan
            .commands
            .iter()
            .map(RemoteCommand::shown_line)
            .enumerate()
        {
            say(if n == 0 { "sends" } else { "" }, &command, Role::Text);
        }
        say("rule", &self.proposal.rule, Role::Dim);
        lines
    }
}

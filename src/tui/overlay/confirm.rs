//! The dialog before anything that disrupts a VM: which VM, where, exactly what is sent, what it means,
//! which rule asks. `y` accepts; Enter is the safe choice; the worst verbs want the name typed.

use std::collections::BTreeSet;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use tui_input::Input;
use unicode_width::UnicodeWidthStr;

use super::frame;
use crate::domain::action::{Action, Ask};
use crate::domain::definition::Diff;
use crate::domain::error_kind::Failure;
use crate::domain::operation::{Consent, Plan};
use crate::domain::policy::Decision;
use crate::domain::text::{RemoteText, fit_middle};
use crate::domain::vm::VmRef;
use crate::fleet::request::Proposal;
use crate::tui::acting;
use crate::tui::app::App;
use crate::tui::event::Proposals;
use crate::tui::glyph;
use crate::tui::layout;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::input::draw_input;
use crate::tui::widget::paint::{self, Piece};

/// A VM that is left out, and why.
#[derive(Debug, Clone)]
pub struct Skipped {
    /// Its name.
    pub name: RemoteText,
    /// What is meant beside the VM, as [`Action::about`] tells it.
    pub about: String,
    /// Why.
    pub cause: Failure,
}

/// Plans to agree to.
#[derive(Debug)]
pub struct Confirm {
    /// What is wanted.
    pub action: Action,
    /// The plans.
    pub plans: Vec<Proposal>,
    /// How much the host of each matters.
    tiers: Vec<Option<String>>,
    /// How many of the plans are about production.
    in_production: usize,
    /// What is left out.
    pub skipped: Vec<Skipped>,
    /// The name as typed so far.
    pub typed: Input,
    /// First line that is seen.
    pub scroll: usize,
}

/// What typing a bulk confirmation means: the number of VMs.
fn bulk_phrase(count: usize) -> String {
    count.to_string()
}

impl Confirm {
    /// Sorts proposals into plans and what is left out.
    pub fn new(app: &App, action: &Action, proposals: Proposals) -> Self {
        let mut plans = Vec::new();
        let mut skipped = Vec::new();
        for ((vm, about), proposal) in proposals {
            let name = || {
                app.snapshot
                    .vm(&vm)
                    .map_or_else(|| RemoteText::new(vm.vm.short()), |(_, vm)| vm.name.clone())
            };
            match proposal {
                Ok(proposal) => match &proposal.verdict.decision {
                    Decision::Ask(_) => plans.push(proposal),
                    Decision::Deny(why) => skipped.push(Skipped {
                        name: name(),
                        about,
                        cause: Failure::new(
                            crate::domain::error_kind::ErrorKind::Refused,
                            why.clone(),
                        ),
                    }),
                },
                Err(cause) => skipped.push(Skipped {
                    name: name(),
                    about,
                    cause,
                }),
            }
        }
        let tiers = plans
            .iter()
            .map(|proposal| {
                let host = app.snapshot.host(proposal.plan.vm.host)?;
                host.spec.tier.as_ref().map(ToString::to_string)
            })
            .collect();
        let of_plans = plans.iter().map(|proposal: &Proposal| &proposal.plan.vm);
        let in_production = acting::in_production(app, of_plans);
        Self {
            in_production,
            action: action.clone(),
            plans,
            tiers,
            skipped,
            typed: Input::default(),
            scroll: 0,
        }
    }

    /// Returns the hardest question any of the plans asks.
    pub fn ask(&self) -> Ask {
        self.plans
            .iter()
            .map(|proposal| match proposal.verdict.decision {
                Decision::Ask(ask) => ask,
                Decision::Deny(_) => Ask::TypeName,
            })
            .max()
            .unwrap_or(Ask::Nothing)
    }

    /// Returns whether a name has to be typed.
    pub fn wants_name(&self) -> bool {
        self.ask() == Ask::TypeName
    }

    /// Returns the consent, once it is complete. A name is compared as the host has it, not as shown.
    pub fn consent(&self) -> Option<Consent> {
        if !self.wants_name() {
            return Some(Consent::Confirmed);
        }
        let typed = self.typed.value();
        match self.plans.as_slice() {
            [only] => {
                (typed == only.plan.vm_name.raw()).then(|| Consent::TypedName(typed.to_owned()))
            }
            _ => None,
        }
    }

    /// Returns why more than one VM cannot be agreed to at once, where that is so.
    pub fn obstacle(&self) -> Option<String> {
        (self.wants_name() && self.plans.len() > 1).then(|| {
            format!(
                "policy wants the name typed for some of these {}: do them one by one",
                bulk_phrase(self.plans.len())
            )
        })
    }

    fn title(&self) -> String {
        let spec = self.action.kind.spec();
        match self.plans.as_slice() {
            [only] if self.skipped.is_empty() => {
                format!("{} {}?", capital(spec.verb), only.plan.vm_name.shown())
            }
            many => format!("{}?", capital(&spec.of_several(many.len()))),
        }
    }

    /// How wide it is, of so many columns: a difference wants the room that its lines need.
    fn width(&self, columns: u16) -> u16 {
        let widest = if self.action.define.is_some() {
            120
        } else {
            84
        };
        columns.min(widest)
    }

    /// How many lines it has, on so many columns.
    pub fn length(&self, columns: u16) -> usize {
        self.lines(self.width(columns)).len()
    }

    fn lines(&self, width: u16) -> Vec<Line> {
        match self.plans.as_slice() {
            [only] if self.skipped.is_empty() => {
                let tier = self.tiers.first().and_then(Option::as_deref);
                one(only, tier, width.saturating_sub(4))
            }
            _ => self.many(width.saturating_sub(4)),
        }
    }

    /// Draws it; returns where the text cursor is.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) -> Option<Position> {
        let width = self.width(area.width);
        let lines = self.lines(width);
        let wanted = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        let foot = if self.wants_name() { 3 } else { 1 };
        let height = wanted.saturating_add(foot + 3).min(area.height);
        let room = frame::draw(buf, area, theme, &self.title(), (width, height));
        if self.in_production > 0 {
            frame::production(buf, layout::centred(area, width, height), theme);
        }
        let page = room.height.saturating_sub(foot + 1);
        let top = self
            .scroll
            .min(lines.len().saturating_sub(usize::from(page)));
        for (n, line) in (0..page).zip(lines.iter().skip(top)) {
            let pieces: Vec<Piece<'_>> = line
                .iter()
                .map(|(text, role)| Piece::new(text.as_str(), theme.style(*role)))
                .collect();
            paint::put_line(buf, paint::line_of(room, n), &pieces);
        }
        let hidden = lines.len().saturating_sub(top + usize::from(page));
        if hidden > 0 {
            // Not `j`: where a name is typed, that is a letter.
            let plural = if hidden == 1 { "" } else { "s" };
            let more = format!("{hidden} more line{plural}: down");
            paint::put_right(
                buf,
                paint::line_of(room, page),
                &more,
                theme.style(Role::Dim),
            );
        }
        self.draw_foot(buf, room, theme)
    }

    fn draw_foot(&self, buf: &mut Buffer, room: Rect, theme: &Theme) -> Option<Position> {
        let last = paint::line_of(room, room.height.saturating_sub(1));
        let verb = self.action.kind.spec().verb_alone();
        if let Some(obstacle) = self.obstacle() {
            let above = paint::line_of(room, room.height.saturating_sub(2));
            paint::put(buf, above, &obstacle, theme.style(Role::Warning));
            frame::keys(buf, last, theme, &[("esc", "cancel")]);
            return None;
        }
        if !self.wants_name() {
            frame::keys(buf, last, theme, &[("y", verb), ("enter", "cancel")]);
            return None;
        }
        let ask = paint::line_of(room, room.height.saturating_sub(3));
        paint::put(
            buf,
            ask,
            "Type the VM's name to go on:",
            theme.style(Role::Strong),
        );
        let line = paint::line_of(room, room.height.saturating_sub(2));
        let keys: &[(&str, &str)] = if self.consent().is_some() {
            &[("enter", verb), ("esc", "cancel")]
        } else if self.typed.value().is_empty() {
            &[("enter", "cancel")]
        } else {
            &[("esc", "cancel")]
        };
        let at = draw_input(buf, line, theme, "> ", &self.typed);
        if self.consent().is_none() && !self.typed.value().is_empty() {
            paint::put_right(buf, last, "not its name yet", theme.style(Role::Warning));
        }
        frame::keys(buf, last, theme, keys);
        at
    }

    fn many(&self, width: u16) -> Vec<Line> {
        let mut lines = Vec::new();
        if self.in_production > 0 {
            let text = format!(
                "{} {} of {} are in production",
                glyph::PROD,
                self.in_production,
                self.plans.len()
            );
            lines.extend([vec![(text, Role::TierProd)], Vec::new()]);
        }
        for (proposal, tier) in self.plans.iter().zip(&self.tiers) {
            let plan = &proposal.plan;
            let tier = Role::of_tier(tier.as_deref());
            lines.push(vec![
                (paint::padded(&plan.vm_name.fit(24), NAME), Role::Strong),
                (
                    paint::padded(&fit_middle(plan.host_name.as_str(), 16), 18),
                    tier,
                ),
                (plan.state.to_string(), Role::of_state(&plan.state)),
                (plan.action.about(), Role::Text),
            ]);
        }
        lines.push(Vec::new());
        facts(&mut lines, &self.plans, width);
        if !self.skipped.is_empty() {
            lines.push(Vec::new());
            lines.push(vec![(
                format!("Left out: {}", self.skipped.len()),
                Role::Warning,
            )]);
            for skipped in &self.skipped {
                left_out(&mut lines, skipped, width);
            }
        }
        if self.plans.len() > 1 {
            lines.extend([Vec::new(), vec![("Sends".to_owned(), Role::Dim)]]);
        }
        for proposal in self.plans.iter().filter(|_| self.plans.len() > 1) {
            let name = proposal.plan.vm_name.fit(24);
            lines.push(vec![(name, Role::Strong)]);
            commands(&mut lines, &proposal.plan, "", width);
        }
        lines
    }
}

type Line = Vec<(String, Role)>;

/// Columns of the name of a VM in a list of several.
const NAME: u16 = 26;

/// What is left out, and all of the reason.
fn left_out(lines: &mut Vec<Line>, skipped: &Skipped, width: u16) {
    let reason = format!("{} {}", skipped.about, skipped.cause.message);
    let parts = paint::wrap(reason.trim(), width.saturating_sub(NAME));
    for (n, part) in parts.into_iter().enumerate() {
        let name = if n == 0 {
            skipped.name.fit(24)
        } else {
            String::new()
        };
        lines.push(vec![
            (paint::padded(&name, NAME), Role::Dim),
            (part, Role::Dim),
        ]);
    }
}

fn one(proposal: &Proposal, tier: Option<&str>, width: u16) -> Vec<Line> {
    let plan = &proposal.plan;
    let mut lines = vec![
        vec![
            ("VM       ".to_owned(), Role::Dim),
            (plan.vm_name.shown().to_owned(), Role::Strong),
            (format!("  {}", plan.vm.vm.short()), Role::Dim),
        ],
        vec![
            ("host     ".to_owned(), Role::Dim),
            (plan.host_name.to_string(), Role::of_tier(tier)),
            (
                tier.map_or_else(String::new, |tier| format!("  {tier}")),
                Role::of_tier(tier),
            ),
        ],
        vec![
            ("state    ".to_owned(), Role::Dim),
            (
                format!("{} {}", glyph::state(&plan.state), plan.state),
                Role::of_state(&plan.state),
            ),
        ],
    ];
    if let Some(request) = &plan.action.snapshot {
        lines.push(vec![
            ("snapshot ".to_owned(), Role::Dim),
            (request.name().to_owned(), Role::Strong),
        ]);
    }
    if let Some(request) = &plan.action.edit {
        for (n, (setting, from, to)) in request.rows().into_iter().enumerate() {
            let label = if n == 0 { "changes" } else { "" };
            let text = format!("{:<12} {from} → {to}", setting.word());
            for (part, text) in paint::wrap(&text, width.saturating_sub(9))
                .into_iter()
                .enumerate()
            {
                let label = if part == 0 { label } else { "" };
                lines.push(vec![
                    (format!("{label:<9}"), Role::Dim),
                    (text, Role::Strong),
                ]);
            }
        }
    }
    facts(&mut lines, std::slice::from_ref(proposal), width);
    if let Some(request) = &plan.action.define {
        difference(&mut lines, request.diff(), width);
    }
    lines
}

/// How a definition that was written differs from the one that is there.
fn difference(lines: &mut Vec<Line>, diff: &Diff, width: u16) {
    lines.push(Vec::new());
    for line in &diff.lines {
        let role = match line.mark {
            '+' => Role::Success,
            '-' => Role::Danger,
            '@' => Role::Dim,
            _ => Role::Text,
        };
        let mark = if line.mark == '@' { ' ' } else { line.mark };
        let text = line.text.shown();
        for (n, part) in chunks(text, width.saturating_sub(2)).enumerate() {
            let mark = if n == 0 { mark } else { ' ' };
            lines.push(vec![(format!("{mark} {part}"), role)]);
        }
    }
}

/// Breaks a line where it ends, and nowhere else: blanks at its begin mean something here.
fn chunks(text: &str, width: u16) -> impl Iterator<Item = String> {
    let width = usize::from(width.max(8));
    let mut rest: Vec<char> = text.chars().collect();
    rest.reverse();
    let mut first = true;
    std::iter::from_fn(move || {
        if rest.is_empty() && !first {
            return None;
        }
        first = false;
        let mut part = String::new();
        while let Some(c) = rest.pop() {
            part.push(c);
            if part.width() > width {
                part.pop();
                rest.push(c);
                break;
            }
        }
        Some(part)
    })
}

/// What it means for any of them, exactly what is sent, and which rules ask. What is sent for several is listed
/// behind everything else.
fn facts(lines: &mut Vec<Line>, proposals: &[Proposal], width: u16) {
    let plans = || proposals.iter().map(|proposal| &proposal.plan);
    let mut told = BTreeSet::new();
    for consequence in plans().flat_map(|plan| &plan.consequences) {
        if told.insert(consequence) {
            say(lines, "means", consequence, (width, Role::Warning));
        }
    }
    if let [only] = proposals {
        commands(lines, &only.plan, "sends", width);
    } else {
        let count: usize = plans().map(|plan| plan.commands.len()).sum();
        // Of a VM several things may be meant, such as each of its old snapshots.
        let vms: BTreeSet<&VmRef> = plans().map(|plan| &plan.vm).collect();
        let vms = match vms.len() {
            1 => "1 VM".to_owned(),
            count => format!("{count} VMs"),
        };
        let text = format!("{count} commands to {vms}, listed below");
        say(lines, "sends", &text, (width, Role::Text));
    }
    let rules: BTreeSet<&str> = proposals
        .iter()
        .map(|proposal| proposal.verdict.rule.as_str())
        .collect();
    for (n, rule) in rules.into_iter().enumerate() {
        let label = if n == 0 { "rule" } else { "" };
        say(lines, label, rule, (width, Role::Dim));
    }
}

/// The exact commands of a plan.
fn commands(lines: &mut Vec<Line>, plan: &Plan, label: &str, width: u16) {
    for (n, command) in plan.commands.iter().enumerate() {
        let label = if n == 0 { label } else { "" };
        say(lines, label, &command.shown_line(), (width, Role::Text));
    }
}

/// A text behind its label, on as many lines as it needs.
fn say(lines: &mut Vec<Line>, label: &str, text: &str, (width, role): (u16, Role)) {
    for (n, part) in paint::wrap(text, width.saturating_sub(9))
        .into_iter()
        .enumerate()
    {
        let label = if n == 0 { label } else { "" };
        lines.push(vec![(format!("{label:<9}"), Role::Dim), (part, role)]);
    }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

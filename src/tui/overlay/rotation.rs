//! A new key for the hosts of a credential: the plan, a yes, what became of each host, and a second question before
//! the old key is taken away. One host after the other; what was begun is brought to an end.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::document::{Line, draw_lines, plain, scroll};
use super::{Overlay, frame};
use crate::domain::credential::CredentialName;
use crate::domain::error_kind::Failure;
use crate::domain::host::{HostId, HostName};
use crate::fleet::rotation::{Finished, PlannedHost, RotationPlan};
use crate::tui::app::App;
use crate::tui::cursor::Motion;
use crate::tui::effect::Effect;
use crate::tui::glyph;
use crate::tui::keeping::Keep;
use crate::tui::layout;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::paint;

/// Where it stands.
#[derive(Debug)]
enum Stage {
    /// The plan is on its way.
    Planning,
    /// The plan wants a yes.
    Asks(RotationPlan),
    /// Hosts get the new key, the first of these is under way.
    Moving(Vec<PlannedHost>),
    /// May the old key be taken off?
    AsksAgain,
    /// The old key is taken off, the first of these is under way.
    Removing(Vec<(HostId, HostName)>),
    /// The names are settled.
    Finishing,
    /// Nothing more happens.
    Over,
}

/// A rotation.
#[derive(Debug)]
pub struct Rotation {
    credential: CredentialName,
    stage: Stage,
    /// Hosts that have the new key now.
    moved: Vec<(HostId, HostName)>,
    /// Whether there is an old key that can be taken off.
    has_old: bool,
    /// Hosts that could not be moved.
    failed: usize,
    lines: Vec<(String, Role)>,
    scroll: usize,
}

impl Rotation {
    fn new(credential: CredentialName) -> Self {
        Self {
            credential,
            stage: Stage::Planning,
            moved: Vec::new(),
            has_old: false,
            failed: 0,
            lines: Vec::new(),
            scroll: 0,
        }
    }

    fn say(&mut self, role: Role, text: impl Into<String>) {
        self.lines.push((text.into(), role));
        // The newest is what one waits for; while a plan is read it begins at its top.
        if !matches!(self.stage, Stage::Planning | Stage::Asks(_)) {
            self.scroll = usize::MAX;
        }
    }

    fn complain(&mut self, name: &HostName, cause: &Failure) {
        self.say(
            Role::Danger,
            format!("{} {name}: {}", glyph::ERROR, cause.message),
        );
        if let Some(hint) = &cause.hint {
            let hint = hint.clone().naming(name.as_str());
            self.say(Role::Warning, format!("  do: {hint}"));
        }
    }

    /// Returns whether something is under way: it is not left alone then.
    const fn is_busy(&self) -> bool {
        matches!(
            self.stage,
            Stage::Moving(_) | Stage::Removing(_) | Stage::Finishing
        )
    }

    /// Returns what a yes means now, where one is wanted.
    fn yes(&self) -> Option<&'static str> {
        match self.stage {
            Stage::Asks(_) => Some("give them a new key"),
            Stage::AsksAgain => Some("take the old key off"),
            Stage::Planning
            | Stage::Moving(_)
            | Stage::Removing(_)
            | Stage::Finishing
            | Stage::Over => None,
        }
    }

    fn planned(&mut self, plan: Result<RotationPlan, Failure>) {
        match plan {
            Err(cause) => {
                self.stage = Stage::Over;
                self.say(Role::Danger, cause.message.clone());
                if let Some(hint) = &cause.hint {
                    self.say(Role::Warning, format!("do: {hint}"));
                }
            }
            Ok(plan) if plan.hosts.is_empty() => {
                self.stage = Stage::Over;
                self.say(
                    Role::Warning,
                    "No host logs in with it: there is nothing to move.",
                );
            }
            Ok(plan) => {
                self.has_old = plan.fingerprint.is_some();
                describe(&plan, &mut self.lines);
                self.stage = Stage::Asks(plan);
            }
        }
    }

    /// Goes on with the next host, or with the question about the old key.
    fn next_move(&mut self) -> Vec<Effect> {
        let Stage::Moving(left) = &mut self.stage else {
            return Vec::new();
        };
        if let Some(host) = left.first() {
            let keep = Keep::MoveHost(self.credential.clone(), host.id);
            return vec![Effect::Keep(keep)];
        }
        // Who still needs the old key must not lose it: it goes when everybody has moved.
        if self.has_old && self.failed == 0 && !self.moved.is_empty() {
            self.stage = Stage::AsksAgain;
            self.say(Role::Strong, "");
            let names: Vec<&str> = self.moved.iter().map(|(_, name)| name.as_str()).collect();
            let text = format!(
                "Take the old key off {}? Both are let in until then.",
                names.join(", ")
            );
            self.say(Role::Strong, text);
            return Vec::new();
        }
        self.finish(false)
    }

    fn next_removal(&mut self, left_behind: bool) -> Vec<Effect> {
        let Stage::Removing(left) = &self.stage else {
            return Vec::new();
        };
        match left.first() {
            Some((host, _)) => vec![Effect::Keep(Keep::RetireKey(
                self.credential.clone(),
                *host,
            ))],
            None => self.finish(left_behind),
        }
    }

    fn finish(&mut self, keep_old: bool) -> Vec<Effect> {
        self.stage = Stage::Finishing;
        let keep = Keep::FinishRotation(self.credential.clone(), keep_old);
        vec![Effect::Keep(keep)]
    }

    fn finished(&mut self, finished: Result<Finished, Failure>) {
        self.stage = Stage::Over;
        let name = self.credential.clone();
        match finished {
            Err(cause) => self.say(Role::Danger, cause.message),
            Ok(Finished::StillUsed(hosts)) => {
                let hosts = hosts.join(", ");
                self.say(
                    Role::Warning,
                    format!(
                        "{hosts} still log in with the old key. Both are kept; R goes on with them."
                    ),
                );
            }
            Ok(Finished::OldKept(kept)) => {
                self.say(Role::Success, format!("{name} is the new key."));
                self.say(
                    Role::Warning,
                    format!("The old one is kept as {kept}: `vmdeck credential rotate {name} --remove-old` takes it off the hosts."),
                );
            }
            Ok(Finished::OldForgotten) => {
                self.say(
                    Role::Success,
                    format!("{name} is the new key; the old one is forgotten."),
                );
            }
        }
    }

    /// Scrolls.
    pub fn go(&mut self, motion: Motion, page: usize, width: u16) {
        let len = self.wrapped(width).len();
        self.scroll = scroll(self.scroll, len, motion, page);
    }

    fn wrapped(&self, width: u16) -> Vec<Line> {
        let mut lines = Vec::new();
        for (text, role) in &self.lines {
            let parts = paint::wrap(text, width);
            if parts.is_empty() {
                lines.push(Vec::new());
            }
            lines.extend(parts.into_iter().map(|part| vec![(part, *role)]));
        }
        let busy = match &self.stage {
            Stage::Planning => Some("asking what that takes…".to_owned()),
            Stage::Moving(left) => left
                .first()
                .map(|host| format!("… {}: a new key", host.name)),
            Stage::Removing(left) => left
                .first()
                .map(|(_, name)| format!("… {name}: taking the old key off")),
            Stage::Finishing => Some("… settling the names".to_owned()),
            Stage::Asks(_) | Stage::AsksAgain | Stage::Over => None,
        };
        lines.extend(busy.map(|text| vec![(text, Role::Changing)]));
        lines
    }

    /// Draws it.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) {
        let title = format!("Rotate {}", self.credential);
        let remark = self
            .yes()
            .map_or_else(String::new, |yes| format!("y {yes}  enter leave it"));
        frame::fill(buf, area, theme, &title, &remark);
        let room = layout::inner(area, 2, 1);
        let lines = self.wrapped(room.width);
        draw_lines(buf, room, theme, Some(&lines), self.scroll);
    }
}

/// Says what a plan does, with the exact commands; hosts of which the same is asked stand together.
fn describe(plan: &RotationPlan, lines: &mut Vec<(String, Role)>) {
    let mut say = |role: Role, text: String| lines.push((text, role));
    let what = plan.fingerprint.as_deref().unwrap_or("a password");
    say(Role::Strong, format!("{} is {what}.", plan.credential));
    say(
        Role::Text,
        if plan.resumed {
            format!(
                "1. The new key is there from an earlier run: {}",
                plan.successor
            )
        } else {
            format!(
                "1. A new ed25519 key is made and sealed as {}",
                plan.successor
            )
        },
    );
    let mut groups: Vec<(Vec<&str>, &PlannedHost)> = Vec::new();
    for host in plan.hosts.iter().filter(|host| !host.moved) {
        match groups
            .iter_mut()
            .find(|(_, one)| one.add == host.add && one.remove == host.remove)
        {
            Some((names, _)) => names.push(host.name.as_str()),
            None => groups.push((vec![host.name.as_str()], host)),
        }
    }
    let moved: Vec<&str> = plan
        .hosts
        .iter()
        .filter(|host| host.moved)
        .map(|host| host.name.as_str())
        .collect();
    if !moved.is_empty() {
        say(
            Role::Text,
            format!("   {} log in with it already.", moved.join(", ")),
        );
    }
    for (names, host) in groups {
        let names = names.join(", ");
        say(
            Role::Text,
            format!("2. {names}: log in as now, and let the new key in with"),
        );
        say(Role::Dim, host.add.clone());
        say(
            Role::Text,
            format!("3. {names}: log in with the new key over a connection of its own"),
        );
        say(
            Role::Text,
            format!("4. {names}: only then log in with it from now on"),
        );
        if let Some(remove) = &host.remove {
            say(
                Role::Text,
                format!("5. {names}: take the old key off, after another question, with"),
            );
            say(Role::Dim, remove.clone());
        }
    }
    say(
        Role::Text,
        "Wherever it stops there is a login that works, and it can be begun again.".to_owned(),
    );
}

/// Opens the plan for a credential.
pub fn open(app: &mut App, credential: CredentialName) -> Vec<Effect> {
    let rotation = Rotation::new(credential.clone());
    app.overlays.push(Overlay::Rotation(Box::new(rotation)));
    vec![Effect::Keep(Keep::PlanRotation(credential))]
}

fn front(app: &mut App) -> Option<&mut Rotation> {
    app.overlays
        .iter_mut()
        .rev()
        .find_map(|overlay| match overlay {
            Overlay::Rotation(rotation) => Some(&mut **rotation),
            _ => None,
        })
}

/// Says whether a yes is wanted.
pub fn wants_yes(app: &App) -> Result<(), String> {
    match app.overlays.last() {
        Some(Overlay::Rotation(rotation)) if rotation.yes().is_some() => Ok(()),
        _ => Err("there is nothing to agree to".to_owned()),
    }
}

/// Says yes.
pub fn accept(app: &mut App) -> Vec<Effect> {
    let Some(rotation) = front(app) else {
        return Vec::new();
    };
    match std::mem::replace(&mut rotation.stage, Stage::Over) {
        Stage::Asks(plan) => {
            rotation.lines.clear();
            rotation.moved = plan
                .hosts
                .iter()
                .filter(|host| host.moved)
                .map(|host| (host.id, host.name.clone()))
                .collect();
            let left = plan.hosts.into_iter().filter(|host| !host.moved);
            rotation.stage = Stage::Moving(left.collect());
            rotation.next_move()
        }
        Stage::AsksAgain => {
            rotation.stage = Stage::Removing(rotation.moved.clone());
            rotation.next_removal(false)
        }
        other => {
            rotation.stage = other;
            Vec::new()
        }
    }
}

/// Says no, or closes it; what is under way is not left alone.
pub fn leave(app: &mut App) -> Vec<Effect> {
    let Some(rotation) = front(app) else {
        return Vec::new();
    };
    if rotation.is_busy() {
        app.say(Role::Warning, "what was begun is brought to an end first");
        return Vec::new();
    }
    if matches!(rotation.stage, Stage::AsksAgain) {
        rotation.say(Role::Text, "The old key stays on the hosts.");
        return rotation.finish(true);
    }
    app.overlays.pop();
    vec![Effect::Credentials]
}

/// Copies what was planned, or what was done.
pub fn copy(app: &mut App) -> Vec<Effect> {
    let Some(rotation) = front(app) else {
        return Vec::new();
    };
    let lines: Vec<Line> = rotation
        .lines
        .iter()
        .map(|line| vec![line.clone()])
        .collect();
    let text = plain(&lines);
    app.say(Role::Dim, "copied");
    vec![Effect::Copy(text)]
}

/// Takes the plan.
pub fn planned(app: &mut App, plan: Result<RotationPlan, Failure>) {
    if let Some(rotation) = front(app) {
        rotation.planned(plan);
    }
}

/// Takes what became of one host, and goes on.
pub fn moved(app: &mut App, result: Result<Vec<String>, Failure>) -> Vec<Effect> {
    let Some(rotation) = front(app) else {
        return Vec::new();
    };
    let Stage::Moving(left) = &mut rotation.stage else {
        return Vec::new();
    };
    if left.is_empty() {
        return Vec::new();
    }
    let host = left.remove(0);
    match result {
        Ok(lines) => {
            for line in lines {
                rotation.say(Role::Success, format!("{} {line}", glyph::DONE));
            }
            rotation.moved.push((host.id, host.name));
        }
        Err(cause) => {
            rotation.failed += 1;
            rotation.complain(&host.name, &cause);
        }
    }
    rotation.next_move()
}

/// Takes what became of the old key on one host, and goes on.
pub fn retired(app: &mut App, result: Result<String, Failure>) -> Vec<Effect> {
    let Some(rotation) = front(app) else {
        return Vec::new();
    };
    let Stage::Removing(left) = &mut rotation.stage else {
        return Vec::new();
    };
    if left.is_empty() {
        return Vec::new();
    }
    let (host, name) = left.remove(0);
    match result {
        Ok(line) => {
            rotation.moved.retain(|(moved, _)| *moved != host);
            rotation.say(Role::Success, format!("{} {line}", glyph::DONE));
        }
        Err(cause) => rotation.complain(&name, &cause),
    }
    let left_behind = !rotation.moved.is_empty();
    rotation.next_removal(left_behind)
}

/// Takes how the names stand.
pub fn finished(app: &mut App, result: Result<Finished, Failure>) {
    if let Some(rotation) = front(app) {
        rotation.finished(result);
    }
}

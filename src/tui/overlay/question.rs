//! A yes-or-no question that is not about a VM: forget a host, leave with work under way.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::frame;
use crate::domain::console::KeyStrokes;
use crate::domain::credential::CredentialName;
use crate::domain::host::{HostId, HostName};
use crate::domain::vm::VmRef;
use crate::tui::editor::Draft;
use crate::tui::effect::Effect;
use crate::tui::keeping::Keep;
use crate::tui::own::OwnRun;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::paint;

/// What a yes means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// Forget a host.
    RemoveHost(HostId, HostName),
    /// Remove a credential.
    RemoveCredential(CredentialName),
    /// Press ctrl-alt-del in a VM.
    CtrlAltDel(VmRef),
    /// Run a command of the operator's own.
    Own(Box<OwnRun>),
    /// Open the editor once more.
    Edit(Box<Draft>),
    /// Leave for another profile.
    Switch(String),
    /// Leave the program.
    Quit,
}

/// A question.
#[derive(Debug, Clone)]
pub struct Question {
    /// What is asked.
    pub title: String,
    /// What it means.
    pub text: String,
    /// What a yes means.
    pub meaning: Meaning,
}

impl Question {
    /// Asks whether to forget a host.
    pub fn remove_host(id: HostId, name: HostName) -> Self {
        Self {
            title: format!("Forget host {name}?"),
            text:
                "Its definition, its pinned keys and what was last known of its VMs are forgotten. \
                   Nothing changes on the host itself."
                    .to_owned(),
            meaning: Meaning::RemoveHost(id, name),
        }
    }

    /// Asks whether to remove a credential that no host uses.
    pub fn remove_credential(name: CredentialName) -> Self {
        Self {
            title: format!("Remove credential {name}?"),
            text: "Its sealed secret is forgotten; there is no way back to it. No host uses it. A public key \
                   that was put on hosts stays there."
                .to_owned(),
            meaning: Meaning::RemoveCredential(name),
        }
    }

    /// Asks whether to leave while operations are under way.
    pub fn quit(running: usize) -> Self {
        let what = match running {
            1 => "1 operation is".to_owned(),
            n => format!("{n} operations are"),
        };
        Self {
            title: "Leave?".to_owned(),
            text: format!(
                "{what} under way. What was sent stays sent; what cannot be seen to end in a few \
                 seconds is recorded as unknown."
            ),
            meaning: Meaning::Quit,
        }
    }

    /// Asks whether to go on with another profile while operations are under way in this one.
    pub fn switch(name: String, running: usize) -> Self {
        Self {
            title: format!("Switch to {name}?"),
            meaning: Meaning::Switch(name),
            ..Self::quit(running)
        }
    }

    /// Asks whether ctrl-alt-del is to be pressed in a VM.
    pub fn ctrl_alt_del(vm: VmRef, name: &str) -> Self {
        Self {
            title: format!("Ctrl-alt-del in {name}?"),
            text: "Many systems restart at once when these keys are pressed.".to_owned(),
            meaning: Meaning::CtrlAltDel(vm),
        }
    }

    /// Asks whether a command of the operator's own is to be run.
    pub fn own(title: String, text: String, run: OwnRun) -> Self {
        Self {
            title,
            text,
            meaning: Meaning::Own(Box::new(run)),
        }
    }

    /// Asks whether to open the editor once more.
    pub fn edit_again(text: String, draft: Draft) -> Self {
        Self {
            title: "Open the editor again?".to_owned(),
            text,
            meaning: Meaning::Edit(Box::new(draft)),
        }
    }

    /// Returns what a yes does.
    pub fn effect(self) -> Effect {
        match self.meaning {
            Meaning::Own(run) => Effect::RunOwn(run),
            Meaning::Edit(draft) => Effect::Edit(draft),
            Meaning::RemoveHost(id, name) => Effect::RemoveHost(id, name),
            Meaning::RemoveCredential(name) => Effect::Keep(Keep::RemoveCredential(name)),
            Meaning::CtrlAltDel(vm) => Effect::SendKeys(vm, KeyStrokes::CtrlAltDel),
            Meaning::Switch(name) => Effect::SwitchProfile(name),
            Meaning::Quit => Effect::Quit,
        }
    }

    /// Draws it.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) {
        let width = area.width.min(64);
        let lines = paint::wrap(&self.text, width.saturating_sub(4));
        let height = u16::try_from(lines.len()).unwrap_or(8) + 4;
        let room = frame::draw(buf, area, theme, &self.title, (width, height));
        for (n, line) in (0u16..).zip(&lines) {
            let at = paint::line_of(room, n);
            paint::put(buf, at, line, theme.style(Role::Text));
        }
        let last = paint::line_of(room, room.height.saturating_sub(1));
        let yes = match self.meaning {
            Meaning::RemoveHost(..) => "forget it",
            Meaning::RemoveCredential(_) => "remove it",
            Meaning::CtrlAltDel(_) => "press them",
            Meaning::Own(_) => "run it",
            Meaning::Edit(_) => "edit it",
            Meaning::Switch(_) => "switch",
            Meaning::Quit => "leave",
        };
        frame::keys(buf, last, theme, &[("y", yes), ("enter", "stay")]);
    }
}

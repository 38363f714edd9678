//! A host key to decide on. An unknown one is accepted by typing the end of its fingerprint, so that it
//! has been looked at; a changed one is a loud stop; a revoked one cannot be accepted at all.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use tui_input::Input;

use super::document::{Line, draw_lines, fact};
use super::frame;
use crate::domain::host::{HostId, HostName};
use crate::domain::host_key::{HostKeyQuestion, HostKeyVerdict};
use crate::domain::operation::Actor;
use crate::domain::vm::VmRef;
use crate::fleet::request::KeyDecision;
use crate::fleet::shell::GuestKey;
use crate::tui::effect::Effect;
use crate::tui::guest::GuestAsk;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::input::draw_input;
use crate::tui::widget::paint;

/// Characters of the fingerprint that have to be typed.
const TAIL: usize = 6;

/// The dialog.
#[derive(Debug)]
pub struct HostKey {
    /// Whose session asks.
    pub host: HostId,
    /// Name of the host, or of the VM.
    pub name: String,
    /// The VM whose SSH server shows it, where it is no host's.
    pub vm: Option<VmRef>,
    /// What was shown.
    pub question: HostKeyQuestion,
    /// What is typed so far.
    pub typed: Input,
}

impl HostKey {
    /// Asks about a key.
    pub fn new(host: HostId, name: &HostName, question: HostKeyQuestion) -> Self {
        Self {
            host,
            name: name.to_string(),
            vm: None,
            question,
            typed: Input::default(),
        }
    }

    /// Asks about the key of a VM's SSH server.
    pub fn of_vm(vm: VmRef, name: String, question: HostKeyQuestion) -> Self {
        Self {
            host: vm.host,
            name,
            vm: Some(vm),
            question,
            typed: Input::default(),
        }
    }

    /// Returns what a decision leads to.
    pub fn decided(&self, trusts: bool, actor: &Actor) -> Effect {
        let question = self.question.clone();
        let Some(vm) = self.vm.clone() else {
            return Effect::AnswerHostKey(self.host, Box::new(question), trusts);
        };
        let key = GuestKey {
            vm,
            decision: decision(&question, trusts),
            question,
            actor: actor.clone(),
        };
        Effect::Guest(Box::new(GuestAsk::Key(Box::new(key))))
    }

    /// Returns what has to be typed to accept the key; `None` = it cannot be accepted here.
    pub fn phrase(&self) -> Option<String> {
        match &self.question.verdict {
            HostKeyVerdict::Unknown => {
                let print = &self.question.key.fingerprint;
                let skip = print.chars().count().saturating_sub(TAIL);
                Some(print.chars().skip(skip).collect())
            }
            HostKeyVerdict::Changed { .. } => {
                Some(format!("replace the key of {}", self.question.label))
            }
            HostKeyVerdict::Known | HostKeyVerdict::Revoked { .. } => None,
        }
    }

    /// Returns true once the key may be accepted.
    pub fn is_agreed(&self) -> bool {
        self.phrase()
            .is_some_and(|phrase| phrase == self.typed.value())
    }

    fn title(&self) -> String {
        match &self.question.verdict {
            HostKeyVerdict::Changed { .. } => {
                format!("THE KEY OF {} HAS CHANGED", self.name)
            }
            HostKeyVerdict::Revoked { .. } => format!("The key of {} is revoked", self.name),
            HostKeyVerdict::Unknown | HostKeyVerdict::Known => {
                format!("Is this the key of {}?", self.name)
            }
        }
    }

    fn lines(&self, width: u16) -> Vec<Line> {
        let question = &self.question;
        let mut lines = vec![
            fact(
                if self.vm.is_some() { "VM" } else { "host" },
                self.name.clone(),
                Role::Strong,
            ),
            fact("filed as", question.label.clone(), Role::Text),
            fact("dialled", question.dialled.clone(), Role::Text),
            fact("key type", question.key.algorithm.clone(), Role::Text),
            fact("shown now", question.key.fingerprint.clone(), Role::Strong),
        ];
        let mut say = |text: &str, role: Role| {
            lines.push(Vec::new());
            let parts = paint::wrap(text, width);
            lines.extend(parts.into_iter().map(|part| vec![(part, role)]));
        };
        match &question.verdict {
            HostKeyVerdict::Unknown | HostKeyVerdict::Known => say(
                "Nothing is known about this host yet. Compare the fingerprint with what the host's \
                 own console says: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
                Role::Text,
            ),
            HostKeyVerdict::Changed { known } => {
                say(
                    "Another key was known until now. Either the host was set up anew, or somebody \
                     stands between you and it. Do not go on before you know which.",
                    Role::Danger,
                );
                for at in known {
                    let line = at.line.map_or(String::new(), |line| format!(":{line}"));
                    lines.push(fact("known until", at.key.to_string(), Role::Text));
                    lines.push(fact("", format!("in {}{line}", at.source), Role::Dim));
                }
            }
            HostKeyVerdict::Revoked { at } => say(
                &format!(
                    "This key is marked as revoked in {}. It cannot be accepted.",
                    at.source
                ),
                Role::Danger,
            ),
        }
        lines
    }

    /// Draws it; returns where the text cursor is.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) -> Option<Position> {
        let width = area.width.min(84);
        let lines = self.lines(width.saturating_sub(4));
        let height = u16::try_from(lines.len()).unwrap_or(20) + 6;
        let room = frame::draw(buf, area, theme, &self.title(), (width, height));
        let above = Rect {
            height: room.height.saturating_sub(4),
            ..room
        };
        draw_lines(buf, above, theme, Some(&lines), 0);
        let line = |up: u16| paint::line_of(room, room.height.saturating_sub(up));
        let Some(phrase) = self.phrase() else {
            frame::keys(buf, line(1), theme, &[("enter", "leave it")]);
            return None;
        };
        let ask = match self.question.verdict {
            HostKeyVerdict::Unknown => {
                format!("To trust it, type the last {TAIL} characters of the fingerprint:")
            }
            _ => format!("To trust the new key, type: {phrase}"),
        };
        paint::put(buf, line(3), &ask, theme.style(Role::Strong));
        let at = draw_input(buf, line(2), theme, "> ", &self.typed);
        let keys: &[(&str, &str)] = if self.is_agreed() {
            &[("enter", "trust this key"), ("esc", "leave it")]
        } else if self.typed.value().is_empty() {
            &[("enter", "leave it")]
        } else {
            &[("esc", "leave it")]
        };
        frame::keys(buf, line(1), theme, keys);
        at
    }
}

/// Says what a yes means: the dialog has a person type in so many words that a changed key replaces the known
/// one.
pub fn decision(question: &HostKeyQuestion, trusts: bool) -> KeyDecision {
    match (&question.verdict, trusts) {
        (_, false) => KeyDecision::Leave,
        (HostKeyVerdict::Changed { .. }, true) => KeyDecision::Replace,
        (_, true) => KeyDecision::Accept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::host_key::{HostKey as Key, KnownAt};

    fn dialog(verdict: HostKeyVerdict) -> HostKey {
        let key = Key {
            algorithm: "ssh-ed25519".into(),
            base64: "AAAA".into(),
            fingerprint: "SHA256:abcdefghijklmnopqrstuvwxyz".into(),
        };
        let question = HostKeyQuestion {
            label: "kvm1".into(),
            dialled: "10.0.0.1:22".into(),
            key,
            verdict,
        };
        HostKey::new(HostId(1), &"kvm1".parse().unwrap(), question)
    }

    #[test]
    fn an_unknown_key_wants_the_end_of_its_fingerprint() {
        let mut dialog = dialog(HostKeyVerdict::Unknown);
        assert!(!dialog.is_agreed());
        for (typed, agreed) in [
            ("", false),
            ("y", false),
            ("UVWXYZ", false),
            ("uvwxyz", true),
        ] {
            dialog.typed = Input::new(typed.to_owned());
            assert_eq!(dialog.is_agreed(), agreed, "{typed}");
        }
    }

    #[test]
    fn a_changed_key_wants_a_sentence_and_a_revoked_one_is_final() {
        let known = KnownAt {
            source: "profile".into(),
            line: None,
            key: dialog(HostKeyVerdict::Unknown).question.key,
        };
        let mut changed = dialog(HostKeyVerdict::Changed {
            known: vec![known.clone()],
        });
        changed.typed = Input::new("uvwxyz".to_owned());
        assert!(!changed.is_agreed());
        changed.typed = Input::new("replace the key of kvm1".to_owned());
        assert!(changed.is_agreed());
        assert_eq!(dialog(HostKeyVerdict::Revoked { at: known }).phrase(), None);
    }
}

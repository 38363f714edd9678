//! Changing a VM's settings: what it is set up with, what is asked of it, and the pure rules about both. What is
//! meant is the definition, which a VM that runs may differ from until it was off. Nothing here talks to a host.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::text::{RemoteText, is_hostile};
use super::units::{Bytes, written_size};
use super::vm::PowerState;

/// Most vCPUs that are taken for meant; no hypervisor gives a VM more.
pub const MAX_VCPUS: u32 = 4096;

/// Least memory that is taken for meant: no guest starts with less.
pub const MIN_MEMORY: Bytes = Bytes::from_mib(8);

/// Most memory that is taken for meant: a pebibyte.
pub const MAX_MEMORY: Bytes = Bytes::from_mib(1 << 30);

/// Longest title, in characters.
pub const MAX_TITLE: usize = 200;

/// Longest description, in characters: it travels on a command line, and that of Windows is short.
pub const MAX_DESCRIPTION: usize = 1000;

/// One thing that can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// Virtual processors.
    Vcpus,
    /// Memory; where it is dynamic, what the VM starts with.
    Memory,
    /// Whether it starts together with its host.
    Autostart,
    /// Its title (libvirt).
    Title,
    /// Its description (Hyper-V: its notes).
    Description,
}

impl Setting {
    /// Every one, in the order in which they are changed: what a hypervisor is most likely to refuse first, so
    /// that then nothing has been changed.
    pub const ALL: [Self; 5] = [
        Self::Vcpus,
        Self::Memory,
        Self::Autostart,
        Self::Title,
        Self::Description,
    ];

    /// Returns what a person reads.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Vcpus => "vCPUs",
            Self::Memory => "memory",
            Self::Autostart => "autostart",
            Self::Title => "title",
            Self::Description => "description",
        }
    }
}

/// What a setting is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number of things.
    Count(u32),
    /// A size.
    Size(Bytes),
    /// On or off.
    Flag(bool),
    /// Words; none of them where they are empty.
    Text(RemoteText),
}

impl fmt::Display for Value {
    /// Writes it as a person reads it, on one line, and exactly: two that differ are written differently.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Size(size) => f.write_str(&written_size(*size)),
            Self::Flag(true) => f.write_str("on"),
            Self::Flag(false) => f.write_str("off"),
            Self::Text(text) if text.is_empty() => f.write_str("none"),
            Self::Text(text) => write!(f, "\"{}\"", text.shown()),
        }
    }
}

/// What a VM is set up with, as its host tells it; `None` = not told, or not known there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VmSettings {
    /// Virtual processors it starts with.
    pub vcpus: Option<u32>,
    /// Most virtual processors it may have (libvirt).
    pub vcpus_max: Option<u32>,
    /// Memory it starts with.
    pub memory: Option<Bytes>,
    /// Most memory it may have (libvirt; Hyper-V: with dynamic memory).
    pub memory_max: Option<Bytes>,
    /// Least memory it keeps (Hyper-V, with dynamic memory).
    pub memory_min: Option<Bytes>,
    /// Whether it starts together with its host.
    pub autostart: Option<bool>,
    /// Its title; empty where it has none, `None` where the hypervisor has no titles.
    pub title: Option<RemoteText>,
    /// Its description; empty where it has none.
    pub description: Option<RemoteText>,
}

impl VmSettings {
    /// Returns what a setting is set to.
    pub fn value(&self, setting: Setting) -> Option<Value> {
        match setting {
            Setting::Vcpus => self.vcpus.map(Value::Count),
            Setting::Memory => self.memory.map(Value::Size),
            Setting::Autostart => self.autostart.map(Value::Flag),
            Setting::Title => self.title.clone().map(Value::Text),
            Setting::Description => self.description.clone().map(Value::Text),
        }
    }

    fn shown(&self, setting: Setting) -> String {
        self.value(setting)
            .map_or_else(|| "unknown".to_owned(), |value| value.to_string())
    }
}

/// What is wanted; `None` leaves a setting as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Changes {
    /// Virtual processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vcpus: Option<u32>,
    /// Memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// Whether it starts together with its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autostart: Option<bool>,
    /// Title; an empty one takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Description; an empty one takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl Changes {
    /// Returns what a setting is to be set to.
    pub fn value(&self, setting: Setting) -> Option<Value> {
        let text = |text: &Option<String>| text.as_deref().map(RemoteText::new).map(Value::Text);
        match setting {
            Setting::Vcpus => self.vcpus.map(Value::Count),
            Setting::Memory => self.memory.map(Value::Size),
            Setting::Autostart => self.autostart.map(Value::Flag),
            Setting::Title => text(&self.title),
            Setting::Description => text(&self.description),
        }
    }

    /// Returns true when nothing is wanted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn leave(&mut self, setting: Setting) {
        match setting {
            Setting::Vcpus => self.vcpus = None,
            Setting::Memory => self.memory = None,
            Setting::Autostart => self.autostart = None,
            Setting::Title => self.title = None,
            Setting::Description => self.description = None,
        }
    }

    /// Looks whether every value can be meant; tells which is wrong, and why.
    pub fn check(&self) -> Result<(), (Setting, String)> {
        if let Some(count) = self.vcpus {
            vcpus(count).map_err(|why| (Setting::Vcpus, why))?;
        }
        if let Some(size) = self.memory {
            memory(size).map_err(|why| (Setting::Memory, why))?;
        }
        if let Some(text) = &self.title {
            title(text).map_err(|why| (Setting::Title, why))?;
        }
        if let Some(text) = &self.description {
            description(text).map_err(|why| (Setting::Description, why))?;
        }
        Ok(())
    }
}

fn vcpus(count: u32) -> Result<(), String> {
    match count {
        0 => Err("a VM has at least one vCPU".to_owned()),
        count if count > MAX_VCPUS => Err(format!("a VM has at most {MAX_VCPUS} vCPUs")),
        _ => Ok(()),
    }
}

fn memory(size: Bytes) -> Result<(), String> {
    if size < MIN_MEMORY {
        return Err(format!("a VM has at least {}", written_size(MIN_MEMORY)));
    }
    if size > MAX_MEMORY {
        return Err("no VM has so much memory".to_owned());
    }
    if !size.0.is_multiple_of(Bytes::from_mib(1).0) {
        return Err("memory is given in whole mebibytes".to_owned());
    }
    Ok(())
}

fn title(text: &str) -> Result<(), String> {
    if text.chars().count() > MAX_TITLE {
        return Err(format!("a title has at most {MAX_TITLE} characters"));
    }
    if text.chars().any(is_hostile) {
        return Err("a title is one line without control characters".to_owned());
    }
    Ok(())
}

fn description(text: &str) -> Result<(), String> {
    if text.chars().count() > MAX_DESCRIPTION {
        return Err(format!(
            "a description has at most {MAX_DESCRIPTION} characters"
        ));
    }
    if text.chars().any(|c| is_hostile(c) && c != '\n') {
        return Err("a description has no control characters but line ends".to_owned());
    }
    Ok(())
}

/// A change of a VM's settings: from what was shown, to what is wanted. It holds for exactly that: where the
/// host tells something else right before it, nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EditRequest {
    /// What was shown.
    pub was: VmSettings,
    /// What is wanted; only what differs.
    pub changes: Changes,
    /// What the VM was doing: some changes need it to be off, and some come into effect only then.
    pub state: PowerState,
}

impl EditRequest {
    /// Makes one; tells what is wrong with what is wanted, and of which setting where it is one's.
    pub fn new(
        was: VmSettings,
        wanted: Changes,
        state: PowerState,
    ) -> Result<Self, (Option<Setting>, String)> {
        let trimmed = |text: Option<String>| text.map(|text| text.trim().to_owned());
        let mut changes = Changes {
            // A hypervisor's own tool leaves blanks at the ends out.
            title: trimmed(wanted.title),
            description: trimmed(wanted.description),
            ..wanted
        };
        for setting in Setting::ALL {
            if changes.value(setting) == was.value(setting) {
                changes.leave(setting);
            }
        }
        changes
            .check()
            .map_err(|(setting, why)| (Some(setting), why))?;
        if changes.is_empty() {
            let why = "nothing to change: it is set up so already".to_owned();
            return Err((None, why));
        }
        Ok(Self {
            was,
            changes,
            state,
        })
    }

    /// Returns what is changed: the setting, what it was set to, and what it is to be set to.
    pub fn rows(&self) -> Vec<(Setting, String, String)> {
        let row = |setting| {
            let to = self.changes.value(setting)?;
            Some((setting, self.was.shown(setting), to.to_string()))
        };
        Setting::ALL.into_iter().filter_map(row).collect()
    }

    /// Says in a few words what is changed: `vCPUs 2 to 4, description`.
    pub fn summary(&self) -> String {
        let say = |(setting, from, to): (Setting, String, String)| match setting {
            Setting::Title | Setting::Description => setting.word().to_owned(),
            Setting::Vcpus | Setting::Memory | Setting::Autostart => {
                format!("{} {from} to {to}", setting.word())
            }
        };
        let all: Vec<String> = self.rows().into_iter().map(say).collect();
        all.join(", ")
    }

    /// Returns true when the VM reads as wanted.
    pub fn is_met_by(&self, now: &VmSettings) -> bool {
        Setting::ALL.into_iter().all(|setting| {
            let wanted = self.changes.value(setting);
            wanted.is_none() || wanted == now.value(setting)
        })
    }

    /// Says what has changed since it was shown, where something has.
    pub fn difference(&self, now: &VmSettings) -> Option<String> {
        if self.was == *now {
            return None;
        }
        let differs = |setting: &Setting| self.was.value(*setting) != now.value(*setting);
        Some(match Setting::ALL.into_iter().find(differs) {
            Some(setting) => format!(
                "its {} is {} now; it was {} when it was shown",
                setting.word(),
                now.shown(setting),
                self.was.shown(setting)
            ),
            None => "the most that it may have of processors or memory has changed".to_owned(),
        })
    }

    /// Says which part of it was done, where the host shows that some of it was and some was not.
    pub fn part_done(&self, now: &VmSettings) -> Option<String> {
        let (mut done, mut left) = (Vec::new(), Vec::new());
        for (setting, ..) in self.rows() {
            let value = now.value(setting);
            if value == self.changes.value(setting) {
                done.push(setting.word().to_owned());
            } else if value == self.was.value(setting) {
                left.push(setting.word().to_owned());
            } else {
                done.push(format!("{} (to {})", setting.word(), now.shown(setting)));
            }
        }
        let limits = |of: &VmSettings| (of.vcpus_max, of.memory_max, of.memory_min);
        if limits(now) != limits(&self.was) {
            done.push("the most that it may have".to_owned());
        }
        if done.is_empty() {
            return None;
        }
        Some(if left.is_empty() {
            format!("changed: {}", done.join(", "))
        } else {
            format!(
                "changed: {}; not changed: {}",
                done.join(", "),
                left.join(", ")
            )
        })
    }

    /// Says what comes into effect only later, where that is so: processors and memory of a VM that runs, or
    /// whose memory is saved.
    pub fn later(&self) -> Option<&'static str> {
        let is_off = matches!(self.state, PowerState::Stopped | PowerState::Crashed);
        match (is_off, self.changes.vcpus, self.changes.memory) {
            (true, ..) | (_, None, None) => None,
            (_, Some(_), None) => {
                Some("vCPUs: changed in the definition; in effect after the VM was off")
            }
            (_, None, Some(_)) => {
                Some("memory: changed in the definition; in effect after the VM was off")
            }
            (_, Some(_), Some(_)) => {
                Some("vCPUs and memory: changed in the definition; in effect after the VM was off")
            }
        }
    }

    /// Says what it means for those who use the VM; beside it, what its host has of processors and memory.
    pub fn consequences(&self, cpus: Option<u32>, memory: Option<Bytes>) -> Vec<String> {
        let mut all: Vec<String> = self.later().map(str::to_owned).into_iter().collect();
        if let (Some(wanted), Some(has)) = (self.changes.vcpus, cpus)
            && wanted > has
        {
            all.push(format!(
                "its host has {has} processors: {wanted} vCPUs share them, or the VM does not start"
            ));
        }
        if let (Some(wanted), Some(has)) = (self.changes.memory, memory)
            && wanted > has
        {
            all.push(format!(
                "its host has {has} of memory, less than that: the VM may not start"
            ));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn was() -> VmSettings {
        VmSettings {
            vcpus: Some(2),
            vcpus_max: Some(2),
            memory: Some(Bytes::from_mib(2048)),
            memory_max: Some(Bytes::from_mib(2048)),
            memory_min: None,
            autostart: Some(false),
            title: Some(RemoteText::new("")),
            description: Some(RemoteText::new("web\nserver")),
        }
    }

    fn wanted(wanted: Changes) -> Result<EditRequest, (Option<Setting>, String)> {
        EditRequest::new(was(), wanted, PowerState::Running)
    }

    fn more() -> EditRequest {
        wanted(Changes {
            vcpus: Some(4),
            memory: Some(Bytes::from_mib(2048)),
            description: Some("db ".to_owned()),
            ..Changes::default()
        })
        .unwrap()
    }

    #[test]
    fn only_what_differs_is_changed() {
        let request = more();
        assert_eq!(request.changes.memory, None);
        assert_eq!(request.changes.description.as_deref(), Some("db"));
        assert_eq!(request.summary(), "vCPUs 2 to 4, description");
        let same = Changes {
            vcpus: Some(2),
            title: Some(" ".to_owned()),
            ..Changes::default()
        };
        assert!(wanted(same).unwrap_err().1.contains("nothing to change"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_says_which() {
        let of = |changes| wanted(changes).unwrap_err();
        let none = Changes::default;
        let cases = [
            (
                Changes {
                    vcpus: Some(0),
                    ..none()
                },
                Setting::Vcpus,
                "at least one",
            ),
            (
                Changes {
                    vcpus: Some(5000),
                    ..none()
                },
                Setting::Vcpus,
                "at most",
            ),
            (
                Changes {
                    memory: Some(Bytes::from_kib(1)),
                    ..none()
                },
                Setting::Memory,
                "at least 8M",
            ),
            (
                Changes {
                    memory: Some(Bytes(u64::MAX)),
                    ..none()
                },
                Setting::Memory,
                "so much",
            ),
            (
                Changes {
                    memory: Some(Bytes::from_kib(20_001)),
                    ..none()
                },
                Setting::Memory,
                "whole mebibytes",
            ),
            (
                Changes {
                    title: Some("a\nb".into()),
                    ..none()
                },
                Setting::Title,
                "one line",
            ),
            (
                Changes {
                    title: Some("x".repeat(201)),
                    ..none()
                },
                Setting::Title,
                "200",
            ),
            (
                Changes {
                    description: Some("\u{1b}[2J".into()),
                    ..none()
                },
                Setting::Description,
                "control",
            ),
            (
                Changes {
                    description: Some("x".repeat(10_000)),
                    ..none()
                },
                Setting::Description,
                "1000",
            ),
        ];
        for (changes, setting, said) in cases {
            let (which, why) = of(changes);
            assert_eq!(which, Some(setting), "{why}");
            assert!(why.contains(said), "{why}");
        }
    }

    #[test]
    fn what_has_changed_meanwhile_is_told() {
        let request = more();
        assert_eq!(request.difference(&was()), None);
        let now = VmSettings {
            autostart: Some(true),
            ..was()
        };
        let told = request.difference(&now).unwrap();
        assert_eq!(
            told,
            "its autostart is on now; it was off when it was shown"
        );
        let now = VmSettings {
            memory_max: Some(Bytes::from_mib(4096)),
            ..was()
        };
        assert!(request.difference(&now).unwrap().contains("most"));
    }

    #[test]
    fn what_was_done_of_it_is_told_from_what_the_host_shows() {
        let request = more();
        assert!(!request.is_met_by(&was()));
        assert_eq!(request.part_done(&was()), None);
        let half = VmSettings {
            vcpus: Some(4),
            ..was()
        };
        assert_eq!(
            request.part_done(&half).unwrap(),
            "changed: vCPUs; not changed: description"
        );
        let limit = VmSettings {
            vcpus_max: Some(4),
            ..was()
        };
        assert_eq!(
            request.part_done(&limit).unwrap(),
            "changed: the most that it may have; not changed: vCPUs, description"
        );
        let all = VmSettings {
            vcpus: Some(4),
            description: Some(RemoteText::new("db")),
            ..was()
        };
        assert!(request.is_met_by(&all));
    }

    #[test]
    fn what_comes_later_and_what_the_host_has_not_is_said() {
        let request = more();
        let said = request.consequences(Some(2), Some(Bytes::from_mib(1)));
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("after the VM was off"), "{said:?}");
        assert!(said[1].contains("2 processors"), "{said:?}");
        let off = EditRequest {
            state: PowerState::Stopped,
            ..request
        };
        assert_eq!(off.consequences(None, None), Vec::<String>::new());
    }
}

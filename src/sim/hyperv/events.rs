//! Events of WMI as a script sees them: a watcher looks at a class every so often and tells what has
//! changed between two looks (Microsoft: WITHIN clause). What lasts less is missed, everything is told
//! late, and a watcher whose service was restarted says nothing any more.

use super::cell::Cell;
use super::cim::{self, Class, Instance, Space, hresult};
use super::world::WinWorld;
use super::wql::{Condition, Query, Row};

/// What an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Kind {
    Creation,
    Deletion,
    Modification,
}

impl Kind {
    /// Reads the class of an event query.
    fn parse(class: &str) -> Option<Vec<Self>> {
        Some(match class.to_ascii_lowercase().as_str() {
            "__instancecreationevent" => vec![Self::Creation],
            "__instancedeletionevent" => vec![Self::Deletion],
            "__instancemodificationevent" => vec![Self::Modification],
            "__instanceoperationevent" => vec![Self::Creation, Self::Deletion, Self::Modification],
            _ => return None,
        })
    }

    pub(in crate::sim) const fn class(self) -> &'static str {
        match self {
            Self::Creation => "__InstanceCreationEvent",
            Self::Deletion => "__InstanceDeletionEvent",
            Self::Modification => "__InstanceModificationEvent",
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Happened {
    pub(in crate::sim) kind: Kind,
    pub(in crate::sim) target: Instance,
    pub(in crate::sim) previous: Option<Instance>,
}

impl Row for Happened {
    fn property(&self, path: &str) -> Option<Cell> {
        let (which, name) = path.split_once('.')?;
        let of = if which.eq_ignore_ascii_case("TargetInstance") {
            &self.target
        } else if which.eq_ignore_ascii_case("PreviousInstance") {
            self.previous.as_ref()?
        } else {
            return None;
        };
        of.get(name).cloned()
    }

    fn is_a(&self, path: &str, class: &str) -> bool {
        let of = if path.eq_ignore_ascii_case("PreviousInstance") {
            self.previous.as_ref()
        } else {
            Some(&self.target)
        };
        of.is_some_and(|one| one.class.is_a(class))
    }
}

/// A watcher.
#[derive(Debug)]
pub(in crate::sim) struct Watcher {
    pub(in crate::sim) source: String,
    kinds: Vec<Kind>,
    class: &'static Class,
    condition: Option<Condition>,
    within: f64,
    seen: Vec<Instance>,
    /// When it looks again, in seconds since the fleet's start.
    pub(in crate::sim) next: f64,
    service_turn: u64,
}

impl Watcher {
    /// Begins to watch.
    pub(in crate::sim) fn new(
        world: &WinWorld,
        space: Space,
        query: &str,
        source: &str,
    ) -> Result<Self, u32> {
        if cim::open(world, space)?.is_none() || world.faults.no_watchers {
            return Err(hresult::ACCESS_DENIED);
        }
        let query = Query::parse(query).map_err(|_malformed| hresult::INVALID_QUERY)?;
        let kinds = Kind::parse(&query.class).ok_or(hresult::INVALID_CLASS)?;
        // Classes of the virtualization provider raise no events by themselves: without polling there
        // would be nothing to tell.
        let within = query.within.ok_or(hresult::INVALID_QUERY)?;
        let class = query
            .condition
            .as_ref()
            .and_then(watched)
            .and_then(|name| cim::class(space, &name))
            .ok_or(hresult::INVALID_QUERY)?;
        let mut watcher = Self {
            source: source.to_owned(),
            kinds,
            class,
            condition: query.condition,
            within: within.max(0.05),
            seen: class.instances(world),
            next: world.t(),
            service_turn: world.service_turn,
        };
        watcher.next += watcher.within;
        Ok(watcher)
    }

    /// Looks, if it is time to.
    pub(in crate::sim) fn look(&mut self, world: &WinWorld) -> Vec<Happened> {
        if world.t() < self.next {
            return Vec::new();
        }
        while self.next <= world.t() {
            self.next += self.within;
        }
        let dead = world.faults.dead_watchers
            || self.service_turn != world.service_turn
            || !world.service_runs();
        if dead {
            return Vec::new();
        }
        let now = self.class.instances(world);
        let before = std::mem::replace(&mut self.seen, now.clone());
        let mut all: Vec<Happened> = Vec::new();
        for one in &now {
            match before.iter().find(|old| old.id == one.id) {
                None => all.push(Happened {
                    kind: Kind::Creation,
                    target: one.clone(),
                    previous: None,
                }),
                Some(old) if old.props != one.props => all.push(Happened {
                    kind: Kind::Modification,
                    target: one.clone(),
                    previous: Some(old.clone()),
                }),
                Some(_) => {}
            }
        }
        for old in before {
            if !now.iter().any(|one| one.id == old.id) {
                all.push(Happened {
                    kind: Kind::Deletion,
                    target: old,
                    previous: None,
                });
            }
        }
        all.retain(|happened| {
            self.kinds.contains(&happened.kind)
                && self
                    .condition
                    .as_ref()
                    .is_none_or(|condition| condition.holds(happened).unwrap_or(false))
        });
        all
    }
}

/// The class that a condition watches.
fn watched(condition: &Condition) -> Option<String> {
    match condition {
        Condition::IsA(path, class) if path.eq_ignore_ascii_case("TargetInstance") => {
            Some(class.clone())
        }
        Condition::All(parts) => parts.iter().find_map(watched),
        _ => None,
    }
}

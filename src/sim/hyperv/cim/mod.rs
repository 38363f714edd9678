//! WMI of a Hyper-V host: namespaces, classes with typed properties, queries. Rows are made from the
//! world when somebody asks; names and types follow Microsoft's pages of the classes.

mod counters;
mod devices;
mod host;
mod services;
mod systems;

pub(in crate::sim) use self::devices::{switch_id, switches};
pub(in crate::sim) use self::services::job_reference;
pub(in crate::sim) use self::systems::{created, status_texts, version};

use super::cell::Cell;
use super::faults::{Account, WmiDenial};
use super::world::WinWorld;
use super::wql::{Condition, Query, Row};

/// HRESULTs of WMI (Microsoft: WMI error constants).
pub(in crate::sim) mod hresult {
    pub(in crate::sim) const NOT_FOUND: u32 = 0x8004_1002;
    pub(in crate::sim) const ACCESS_DENIED: u32 = 0x8004_1003;
    pub(in crate::sim) const INVALID_PARAMETER: u32 = 0x8004_1008;
    pub(in crate::sim) const INVALID_NAMESPACE: u32 = 0x8004_100E;
    pub(in crate::sim) const INVALID_CLASS: u32 = 0x8004_1010;
    pub(in crate::sim) const PROVIDER_LOAD_FAILURE: u32 = 0x8004_1013;
    pub(in crate::sim) const INVALID_QUERY: u32 = 0x8004_1017;
    pub(in crate::sim) const INVALID_METHOD: u32 = 0x8004_102E;
    /// The system's own refusal (Microsoft: `E_ACCESSDENIED`).
    pub(in crate::sim) const SYSTEM_DENIED: u32 = 0x8007_0005;
    pub(in crate::sim) const GENERAL_FAILURE: u32 = 0x8004_1001;
    pub(in crate::sim) const INVALID_METHOD_PARAMETERS: u32 = 0x8004_102F;
}

/// A WMI namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Space {
    /// `root\virtualization\v2`.
    Virtualization,
    /// `root\cimv2`.
    System,
}

impl Space {
    /// Reads a namespace; without one, WMI means `root\cimv2`.
    pub(in crate::sim) fn parse(text: Option<&str>) -> Option<Self> {
        let Some(text) = text else {
            return Some(Self::System);
        };
        let text = text.trim_matches(['\\', '/']).replace('/', "\\");
        match text.to_ascii_lowercase().as_str() {
            "root\\virtualization\\v2" => Some(Self::Virtualization),
            "root\\cimv2" => Some(Self::System),
            _ => None,
        }
    }

    pub(in crate::sim) const fn path(self) -> &'static str {
        match self {
            Self::Virtualization => "root\\virtualization\\v2",
            Self::System => "root\\cimv2",
        }
    }
}

/// A class.
#[derive(Debug)]
pub(in crate::sim) struct Class {
    pub(in crate::sim) name: &'static str,
    pub(in crate::sim) space: Space,
    /// Every property, in the order in which they are shown, with spaces between them.
    columns: &'static str,
    pub(in crate::sim) keys: &'static [&'static str],
    /// Classes it derives from.
    pub(in crate::sim) derives: &'static [&'static str],
    pub(in crate::sim) methods: &'static [&'static str],
    rows: fn(&WinWorld) -> Vec<Cells>,
}

/// What a class tells of one object: what identifies it, and the properties that are not NULL.
struct Cells {
    id: String,
    cells: Vec<(&'static str, Cell)>,
}

impl Cells {
    fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            cells: Vec::new(),
        }
    }

    fn with(mut self, name: &'static str, cell: Cell) -> Self {
        self.cells.push((name, cell));
        self
    }

    fn text(self, name: &'static str, text: impl Into<String>) -> Self {
        self.with(name, Cell::text(text))
    }

    fn u16(self, name: &'static str, number: u16) -> Self {
        self.with(name, Cell::U16(number))
    }
}

/// An object of a class.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Instance {
    pub(in crate::sim) class: &'static Class,
    pub(in crate::sim) id: String,
    /// Every property of the class, or those that were asked for.
    pub(in crate::sim) props: Vec<(&'static str, Cell)>,
    /// Whether what was asked for holds everything that identifies it.
    pub(in crate::sim) whole: bool,
}

const CLASSES: &[&[&Class]] = &[
    systems::CLASSES,
    devices::CLASSES,
    services::CLASSES,
    host::CLASSES,
    counters::CLASSES,
];

/// Finds a class by its name.
pub(in crate::sim) fn class(space: Space, name: &str) -> Option<&'static Class> {
    CLASSES
        .iter()
        .flat_map(|group| group.iter())
        .copied()
        .find(|class| class.space == space && class.name.eq_ignore_ascii_case(name))
}

impl Class {
    /// Names of its properties.
    pub(in crate::sim) fn columns(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.columns.split_whitespace()
    }

    fn column(&self, name: &str) -> Option<&'static str> {
        self.columns()
            .find(|column| column.eq_ignore_ascii_case(name))
    }

    /// Whether it is a class or derives from it.
    pub(in crate::sim) fn is_a(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
            || self
                .derives
                .iter()
                .any(|base| base.eq_ignore_ascii_case(name))
    }

    /// Returns every object of it.
    pub(in crate::sim) fn instances(&'static self, world: &WinWorld) -> Vec<Instance> {
        (self.rows)(world)
            .into_iter()
            .map(|row| Instance {
                class: self,
                id: row.id,
                props: self
                    .columns()
                    .map(|column| {
                        let cell = row
                            .cells
                            .iter()
                            .find(|(name, _)| *name == column)
                            .map_or(Cell::Null, |(_, cell)| cell.clone());
                        (column, cell)
                    })
                    .collect(),
                whole: true,
            })
            .collect()
    }
}

impl Instance {
    pub(in crate::sim) fn get(&self, name: &str) -> Option<&Cell> {
        self.props
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, cell)| cell)
    }

    /// Keeps only these properties. Without its keys an object cannot be given back to WMI.
    fn project(mut self, columns: &[&'static str]) -> Self {
        self.whole = self.class.keys.iter().all(|key| columns.contains(key));
        self.props = columns
            .iter()
            .filter_map(|column| self.get(column).map(|cell| (*column, cell.clone())))
            .collect();
        self
    }
}

impl Row for Instance {
    fn property(&self, path: &str) -> Option<Cell> {
        self.get(path).cloned()
    }

    fn is_a(&self, _path: &str, _class: &str) -> bool {
        false
    }
}

/// Says whether the account may look into a namespace; `None` means it sees nothing in it.
pub(in crate::sim) fn open(world: &WinWorld, space: Space) -> Result<Option<()>, u32> {
    if space == Space::System {
        return Ok(Some(()));
    }
    if world.faults.no_namespace || world.faults.lost_namespace {
        return Err(hresult::INVALID_NAMESPACE);
    }
    if world.faults.account == Account::Neither {
        return match world.faults.wmi_denial {
            WmiDenial::Empty => Ok(None),
            WmiDenial::Error => Err(hresult::ACCESS_DENIED),
            WmiDenial::System => Err(hresult::SYSTEM_DENIED),
        };
    }
    if !world.service_runs() {
        return Err(hresult::PROVIDER_LOAD_FAILURE);
    }
    Ok(Some(()))
}

/// Answers a query. A list of columns that names `__PATH` has no rows, as was seen on real hosts.
pub(in crate::sim) fn query(
    world: &WinWorld,
    space: Space,
    query: &Query,
) -> Result<Vec<Instance>, u32> {
    let may = open(world, space)?;
    let class = class(space, &query.class).ok_or(hresult::INVALID_CLASS)?;
    if query.within.is_some() {
        return Err(hresult::INVALID_QUERY);
    }
    let with_path = query
        .columns
        .iter()
        .any(|column| column.eq_ignore_ascii_case("__PATH"));
    let columns = query
        .columns
        .iter()
        .filter(|column| !column.starts_with("__"))
        .map(|column| class.column(column).ok_or(hresult::INVALID_QUERY))
        .collect::<Result<Vec<_>, _>>()?;
    let rows = select(world, class, query.condition.as_ref())?;
    if with_path || may.is_none() {
        return Ok(Vec::new());
    }
    Ok(if query.columns.is_empty() {
        rows
    } else {
        rows.into_iter().map(|row| row.project(&columns)).collect()
    })
}

/// Returns the objects of a class that fulfil a condition.
pub(in crate::sim) fn select(
    world: &WinWorld,
    class: &'static Class,
    condition: Option<&Condition>,
) -> Result<Vec<Instance>, u32> {
    let mut rows = class.instances(world);
    if let Some(condition) = condition {
        for property in condition.properties() {
            if class.column(property).is_none() {
                return Err(hresult::INVALID_QUERY);
            }
        }
        let mut kept = Vec::new();
        for row in rows {
            if condition
                .holds(&row)
                .map_err(|_malformed| hresult::INVALID_QUERY)?
            {
                kept.push(row);
            }
        }
        rows = kept;
    }
    Ok(rows)
}

/// Finds an object by class and identity.
pub(in crate::sim) fn find(world: &WinWorld, class: &'static Class, id: &str) -> Option<Instance> {
    class
        .instances(world)
        .into_iter()
        .find(|instance| instance.id.eq_ignore_ascii_case(id))
}

/// A reference to an object of a class, as a property of another object.
fn reference(class: &'static Class, id: &str, keys: Vec<(&'static str, Cell)>) -> Cell {
    use super::cell::{Key, Thing};
    Cell::Thing(Box::new(Thing {
        types: vec![format!(
            "Microsoft.Management.Infrastructure.CimInstance#{}/{}",
            class.space.path().replace('\\', "/"),
            class.name
        )],
        props: keys,
        shown: Some(class.name.to_owned()),
        key: Some(Key::Instance {
            class: class.name,
            id: id.to_owned(),
        }),
    }))
}

#[cfg(test)]
#[path = "../cim_tests.rs"]
mod tests;

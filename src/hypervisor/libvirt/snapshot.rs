//! The snapshots of VMs: their names, which one is current, and what each one's definition says. A name is
//! a snapshot's only identity in libvirt, and somebody else's text.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::Timestamp;
use roxmltree::{Document, Node, ParsingOptions};

use super::command::Line;
use super::kept::Reply;
use super::parse::{self, Misshapen};
use super::worker::{Patience, Worker};
use crate::domain::snapshot::{VmSnapshot, ordered};
use crate::domain::text::RemoteText;
use crate::domain::vm::{PowerState, VmId};
use crate::hypervisor::HypervisorError;

/// How long one round of questions may take.
const WITHIN: Duration = Duration::from_secs(8);

/// Definitions asked for in one go. Each has some 5 KB, because the VM's own definition is in it.
const AT_ONCE: usize = 64;

/// Definitions of one VM that are read; one with more has its snapshots counted only.
const MOST: usize = 1000;

/// Of those, how many may have names that need a process each.
const MOST_ODD: usize = 32;

/// Bytes of one definition that are read.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Elements, attributes and texts of one definition that are read.
const MAX_NODES: u32 = 200_000;

/// What tells whether the snapshots of a VM have changed: read in one go for many VMs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outline {
    names: Vec<String>,
    current: Option<String>,
    /// Stands for names, times and what is current; another one means that the definitions have to be
    /// read again.
    pub(crate) print: u64,
}

impl Outline {
    /// Returns how many there are.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.names.len()).unwrap_or(u32::MAX)
    }
}

/// The questions behind [`Outline`], in the order in which it takes their answers.
pub(crate) fn outline_questions(vm: &VmId) -> [Line; 3] {
    [
        Line::about("snapshot-list", vm).with("--name"),
        Line::about("snapshot-current", vm)
            .with("--name")
            .or_nothing(),
        // Never read, only compared: it is the one answer that holds the times.
        Line::about("snapshot-list", vm),
    ]
}

/// Takes the answers to [`outline_questions`]; an error is what `virsh` said.
pub(crate) fn outline(replies: &[Reply]) -> Result<Outline, RemoteText> {
    let [names, current, table] = replies else {
        return Err(RemoteText::new("fewer answers than questions"));
    };
    if let Some(said) = &names.failure {
        return Err(said.clone());
    }
    let mut hasher = DefaultHasher::new();
    for reply in [names, current, table] {
        reply.stdout.hash(&mut hasher);
    }
    // That there is no current one is told as an error.
    let current = current
        .failure
        .is_none()
        .then(|| String::from_utf8_lossy(&current.stdout).trim().to_owned());
    Ok(Outline {
        names: parse::lines(&names.stdout)
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .filter(|name| !name.trim().is_empty())
            .collect(),
        current: current.filter(|name| !name.is_empty()),
        print: hasher.finish(),
    })
}

/// Asks for the snapshots of one VM. What the host would not tell is an error, never an empty tree.
pub(crate) async fn of_vm(
    worker: &Worker,
    vm: &VmId,
) -> Result<(Outline, Vec<VmSnapshot>), HypervisorError> {
    let replies = worker
        .ask(&outline_questions(vm), WITHIN, Patience::Expects)
        .await?;
    let outline =
        outline(&replies).map_err(|said| super::verdict::judge_said(worker.virsh(), said))?;
    let tree = tree(worker, vm, &outline).await?;
    Ok((outline, tree))
}

/// Asks for the definitions behind an outline. One that cannot be read keeps its name and is unknown
/// otherwise; one that is gone meanwhile is left out.
pub(crate) async fn tree(
    worker: &Worker,
    vm: &VmId,
    outline: &Outline,
) -> Result<Vec<VmSnapshot>, HypervisorError> {
    if outline.names.len() > MOST {
        return Err(HypervisorError::Unparsable {
            program: "virsh".to_owned(),
            what: format!("more than {MOST} snapshots of one VM"),
            said: RemoteText::new(""),
        });
    }
    let lines: Vec<Line> = outline
        .names
        .iter()
        .map(|name| Line::about_snapshot("snapshot-dumpxml", vm, name))
        .collect();
    let (plain, odd): (Vec<Line>, Vec<Line>) = lines.into_iter().partition(Line::is_plain);
    let mut found = Vec::with_capacity(outline.names.len());
    for lines in plain.chunks(AT_ONCE) {
        let replies = worker.ask(lines, WITHIN, Patience::Expects).await?;
        found.extend(lines.iter().zip(replies).filter_map(taken));
    }
    let (asked, unread) = odd.split_at_checked(MOST_ODD).unwrap_or((&odd, &[]));
    let replies = worker.ask_alone(asked).await?;
    found.extend(asked.iter().zip(replies).filter_map(taken));
    found.extend(unread.iter().filter_map(name_only));
    for snapshot in &mut found {
        snapshot.is_current = outline.current.as_deref() == Some(snapshot.id.raw());
    }
    Ok(ordered(found))
}

fn taken((line, reply): (&Line, Reply)) -> Option<VmSnapshot> {
    if let Some(said) = reply.failure {
        tracing::debug!(%said, "a snapshot could not be asked about");
        // Deleted since its name was read, or a part of a name of several lines: either way there is none
        // of this name.
        return if said.raw().contains("snapshot not found") {
            None
        } else {
            name_only(line)
        };
    }
    match definition(&reply.stdout) {
        Ok(snapshot) if Some(&snapshot.id) == named(line).as_ref() => Some(snapshot),
        // Whoever chose it by that name would act on the other one.
        Ok(other) => {
            tracing::debug!(told = %other.id, "a host told of another snapshot than was asked about");
            name_only(line)
        }
        Err(problem) => {
            tracing::debug!(what = problem.what, line = %problem.line, "a snapshot was not understood");
            name_only(line)
        }
    }
}

/// The name that is asked about.
fn named(line: &Line) -> Option<RemoteText> {
    line.words().last().map(RemoteText::new)
}

fn name_only(line: &Line) -> Option<VmSnapshot> {
    let name = named(line)?;
    Some(VmSnapshot::new(name.clone(), name))
}

/// Reads `snapshot-dumpxml` (libvirt: "Snapshot XML format").
pub(crate) fn definition(output: &[u8]) -> Result<VmSnapshot, Misshapen> {
    if output.len() > MAX_BYTES {
        return Err(Misshapen::new("a snapshot of more than 4 MiB", b""));
    }
    let text = String::from_utf8_lossy(output);
    let options = ParsingOptions {
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(text.trim(), options)
        .map_err(|error| Misshapen::new("no XML", error.to_string().as_bytes()))?;
    let root = document.root_element();
    if root.tag_name().name() != "domainsnapshot" {
        let name = root.tag_name().name();
        return Err(Misshapen::new("no snapshot", name.as_bytes()));
    }
    let name = text_of(root, "name").ok_or_else(|| Misshapen::new("no name", b""))?;
    let name = RemoteText::new(name);
    let state = text_of(root, "state");
    let memory = child(root, "memory").and_then(|memory| memory.attribute("snapshot"));
    let disks: Vec<&str> = child(root, "disks")
        .into_iter()
        .flat_map(|disks| disks.children())
        .filter_map(|disk| disk.attribute("snapshot"))
        .collect();
    let has_memory = match (memory, state) {
        (Some("no"), _) | (None, Some("shutoff" | "disk-snapshot")) => Some(false),
        (Some(_), _) | (None, Some("running" | "paused")) => Some(true),
        (None, _) => None,
    };
    let is_external = disks
        .iter()
        .copied()
        .chain(memory)
        .any(|kind| kind == "external");
    Ok(VmSnapshot {
        parent: child(root, "parent")
            .and_then(|parent| text_of(parent, "name"))
            .map(RemoteText::new),
        taken: text_of(root, "creationTime")
            .and_then(|text| text.trim().parse().ok())
            .and_then(|seconds| Timestamp::from_second(seconds).ok()),
        state: state.map(state_of),
        has_memory,
        is_external: (!disks.is_empty() || memory.is_some()).then_some(is_external),
        description: text_of(root, "description")
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(RemoteText::new),
        ..VmSnapshot::new(name.clone(), name)
    })
}

/// The states of libvirt, and one that only snapshots have: its disks alone, while the VM went on.
fn state_of(word: &str) -> PowerState {
    match word {
        "running" | "blocked" | "disk-snapshot" => PowerState::Running,
        "paused" | "pmsuspended" => PowerState::Paused,
        "shutoff" => PowerState::Stopped,
        "shutdown" => PowerState::Stopping,
        "crashed" => PowerState::Crashed,
        other => PowerState::Unknown(RemoteText::new(other)),
    }
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children()
        .find(|child| child.is_element() && child.tag_name().name() == name)
}

fn text_of<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(node, name).and_then(|child| child.text())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_snapshot_has_the_name_it_was_asked_about_by() {
        let vm = VmId::parse("6c09bb55-d683-4da0-8931-c9bf705f6480").unwrap();
        let line = Line::about_snapshot("snapshot-dumpxml", &vm, "before it");
        let says = |name: &str| {
            let xml = format!(
                "<domainsnapshot><name>{name}</name><state>running</state></domainsnapshot>"
            );
            let stdout = xml.into_bytes().into();
            let reply = Reply {
                stdout,
                failure: None,
            };
            taken((&line, reply)).unwrap()
        };
        assert!(says("before it").state.is_some());
        let other = says("after it");
        assert_eq!((other.id.raw(), other.state), ("before it", None));
    }

    #[test]
    fn a_definition_tells_what_is_in_a_snapshot() {
        let with_memory = "<domainsnapshot>\n  <name>two words; &apos;x&apos;</name>\n  \
            <description>with memory</description>\n  <state>running</state>\n  \
            <parent>\n    <name>s1</name>\n  </parent>\n  <creationTime>1795345146</creationTime>\n  \
            <memory snapshot='internal'/>\n  <disks>\n    <disk name='vda' snapshot='internal'/>\n  \
            </disks>\n  <domain type='qemu'><name>a</name></domain>\n</domainsnapshot>\n";
        let read = definition(with_memory.as_bytes()).unwrap();
        assert_eq!(read.name.raw(), "two words; 'x'");
        assert_eq!(read.parent.unwrap().raw(), "s1");
        assert_eq!(read.taken.unwrap().as_second(), 1_795_345_146);
        assert_eq!(read.state, Some(PowerState::Running));
        assert_eq!(
            (read.has_memory, read.is_external),
            (Some(true), Some(false))
        );
        assert_eq!(read.description.unwrap().raw(), "with memory");

        let disk_only = "<domainsnapshot><name>ext1</name><state>disk-snapshot</state>\
            <memory snapshot='no'/><disks><disk name='vda' snapshot='external' type='file'/></disks>\
            </domainsnapshot>";
        let read = definition(disk_only.as_bytes()).unwrap();
        assert_eq!(
            (read.has_memory, read.is_external),
            (Some(false), Some(true))
        );
        let bare = definition(b"<domainsnapshot><name>x</name></domainsnapshot>").unwrap();
        assert_eq!(
            (bare.has_memory, bare.is_external, bare.taken),
            (None, None, None)
        );
    }

    #[test]
    fn what_is_no_snapshot_is_refused() {
        for bad in [
            "",
            "<domain/>",
            "<domainsnapshot/>",
            "<!DOCTYPE x [<!ENTITY a 'b'>]><domainsnapshot><name>&a;</name></domainsnapshot>",
        ] {
            assert!(definition(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_current_snapshot_is_no_failure_and_no_list_is_one() {
        let says = |text: &str| Reply {
            stdout: text.as_bytes().to_vec().into(),
            failure: None,
        };
        let fails = |text: &str| Reply {
            stdout: Vec::new().into(),
            failure: Some(RemoteText::new(text)),
        };
        let none = fails("domain 'a' has no current snapshot");
        let read = outline(&[says("a\nb\n\n"), none, says(" a x\n b y\n")]).unwrap();
        assert_eq!((read.count(), read.current.clone()), (2, None));
        let later = outline(&[says("a\nb\n\n"), says("b\n"), says(" a x\n b y\n")]).unwrap();
        assert_eq!(later.current.as_deref(), Some("b"));
        assert_ne!(read.print, later.print);
        let gone = fails("failed to get domain");
        assert!(outline(&[gone.clone(), gone.clone(), gone]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_fall_over(output in proptest::collection::vec(any::<u8>(), 0..300)) {
            drop(definition(&output));
        }

        #[test]
        fn a_definition_with_any_texts_is_read_or_refused(name in "[ -~]{0,20}", time in "[0-9-]{0,25}") {
            let text = format!(
                "<domainsnapshot><name>{name}</name><creationTime>{time}</creationTime></domainsnapshot>"
            );
            drop(definition(text.as_bytes()));
        }
    }
}

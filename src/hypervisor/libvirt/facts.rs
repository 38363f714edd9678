//! Slow facts of all VMs: autostart, saved images, VM snapshots, addresses, title and description.
//!
//! At bounded cost: four questions about the whole host, and with them at most [`VMS_A_READ`] VMs with up
//! to four questions each, those first that changed or were asked longest ago. The definitions of snapshots
//! are asked for only where their names, times or the current one have changed. What could not be read stays as it was; nothing
//! becomes empty because a question failed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::address::{addresses, merge};
use super::command::Line;
use super::definition;
use super::kept::Reply;
use super::parse::ids;
use super::snapshot;
use super::worker::{Patience, Worker};
use crate::domain::vm::{AddressSource, VmAddress, VmFacts, VmId};
use crate::hypervisor::HypervisorError;

/// VMs whose own questions are asked in one full read. At about 1 ms a question this adds a quarter
/// of a second at most, on a channel that nothing else waits for.
const VMS_A_READ: usize = 64;

/// The same where every question costs a process.
const VMS_A_READ_ONE_BY_ONE: usize = 4;

/// Agents asked in one full read: each may stay silent for 5 s before libvirt gives up.
const AGENTS_A_READ: usize = 8;

/// Definitions of snapshots read in one full read: half a second at the most. At least one VM's are.
const SNAPSHOTS_A_READ: u32 = 512;

/// The same where every question costs a process.
const SNAPSHOTS_A_READ_ONE_BY_ONE: u32 = 16;

/// How long the questions about VMs may take.
const WITHIN: Duration = Duration::from_secs(5);

/// How long all agents together may take.
const AGENTS_WITHIN: Duration = Duration::from_secs(2);

/// A VM as the last fast read left it.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) id: VmId,
    pub(crate) runs: bool,
    pub(crate) facts: VmFacts,
    /// Number of the full read in which its own questions were last asked; 0 = ask first.
    pub(crate) asked: u64,
    /// What stood for its snapshots when their definitions were last read.
    pub(crate) print: Option<u64>,
}

/// What a full read found out.
#[derive(Debug)]
pub(crate) struct Findings {
    /// When it was begun.
    pub(crate) began: Instant,
    /// New facts, and whether the VM's own questions were among those asked.
    pub(crate) facts: Vec<(VmId, VmFacts, bool)>,
    /// What stands for the snapshots of VMs whose definitions are known.
    pub(crate) prints: HashMap<VmId, u64>,
    /// VMs with a saved image; `None` when that could not be read.
    pub(crate) saved: Option<HashSet<VmId>>,
}

/// Flags of all VMs, from questions about the whole host; `None` = could not be read.
#[derive(Debug, Default)]
struct Flags {
    autostart: Option<HashSet<VmId>>,
    persistent: Option<HashSet<VmId>>,
    snapshots: Option<HashSet<VmId>>,
    saved: Option<HashSet<VmId>>,
}

/// Whom to ask.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workers<'a> {
    /// About VMs.
    pub(crate) vms: &'a Worker,
    /// Agents inside VMs, which may hang.
    pub(crate) agents: &'a Worker,
}

/// Reads slow facts of all VMs: one round trip, another where there are snapshots to count, and one to
/// agents.
pub(crate) async fn read(
    workers: Workers<'_>,
    mut subjects: Vec<Subject>,
) -> Result<Findings, HypervisorError> {
    let began = Instant::now();
    subjects.sort_by(|one, other| (one.asked, &one.id).cmp(&(other.asked, &other.id)));
    let room = if workers.vms.fallback().is_some() {
        VMS_A_READ_ONE_BY_ONE
    } else {
        VMS_A_READ
    };
    let mut rest = subjects.split_off(room.min(subjects.len()));
    let questions = questions(&subjects);
    let lines: Vec<Line> = flag_questions()
        .into_iter()
        .chain(
            questions
                .iter()
                .filter_map(|(index, wants)| Some(question(&subjects.get(*index)?.id, *wants))),
        )
        .collect();
    let (flags, answers) = match workers.vms.ask(&lines, WITHIN, Patience::Expects).await {
        Ok(replies) => {
            let mut replies = replies.into_iter();
            (Flags::take(&mut replies), Some(replies))
        }
        // A VM that cannot be asked about costs the VMs' own answers, not those about the host.
        Err(error) => {
            tracing::debug!(%error, "the questions about single VMs failed");
            let lines = flag_questions();
            let replies = workers.vms.ask(&lines, WITHIN, Patience::Expects).await?;
            (Flags::take(&mut replies.into_iter()), None)
        }
    };
    for subject in subjects.iter_mut().chain(&mut rest) {
        apply_flags(subject, &flags);
    }
    let asked = answers.is_some();
    if let Some(answers) = answers {
        let answered: Vec<_> = questions.into_iter().zip(answers).collect();
        take_answers(workers, &mut subjects, answered, flags.snapshots.as_ref()).await;
    }
    let prints = subjects
        .iter()
        .filter_map(|subject| Some((subject.id.clone(), subject.print?)))
        .collect();
    let of = |asked: bool| move |subject: Subject| (subject.id, subject.facts, asked);
    let facts = subjects.into_iter().map(of(asked));
    Ok(Findings {
        facts: facts.chain(rest.into_iter().map(of(false))).collect(),
        began,
        prints,
        saved: flags.saved,
    })
}

/// The questions about the whole host, in the order that [`Flags::take`] expects.
pub(crate) fn flag_questions() -> [Line; 4] {
    [
        Line::new("list --all --uuid --autostart"),
        Line::new("list --all --uuid --persistent"),
        Line::new("list --all --uuid --with-snapshot"),
        Line::new("list --all --uuid --with-managed-save"),
    ]
}

impl Flags {
    /// Takes the answers off the front; what failed is unknown.
    fn take(replies: &mut impl Iterator<Item = Reply>) -> Self {
        let mut next = || {
            let reply = replies.next().filter(|reply| reply.failure.is_none())?;
            Some(ids(&reply.stdout).into_iter().collect())
        };
        Self {
            autostart: next(),
            persistent: next(),
            snapshots: next(),
            saved: next(),
        }
    }
}

fn apply_flags(subject: &mut Subject, flags: &Flags) {
    let (id, facts) = (&subject.id, &mut subject.facts);
    if let Some(autostart) = &flags.autostart {
        facts.autostart = Some(autostart.contains(id));
    }
    if let Some(persistent) = &flags.persistent {
        facts.persistent = Some(persistent.contains(id));
    }
    match &flags.snapshots {
        Some(with) if !with.contains(id) => {
            facts.snapshots = Some(0);
            facts.snapshot_tree = Some(Arc::default());
            subject.print = None;
        }
        // How many is asked of the VM itself.
        Some(_) => {}
        None => {
            facts.snapshots = None;
            facts.snapshot_tree = None;
            subject.print = None;
        }
    }
}

/// What one question about one VM is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wants {
    Definition,
    Addresses(AddressSource),
}

/// What is asked of each VM, with its place.
fn questions(subjects: &[Subject]) -> Vec<(usize, Wants)> {
    let mut questions = Vec::new();
    for (index, subject) in subjects.iter().enumerate() {
        questions.push((index, Wants::Definition));
        if subject.runs {
            questions.push((index, Wants::Addresses(AddressSource::Lease)));
            questions.push((index, Wants::Addresses(AddressSource::Arp)));
        }
    }
    questions
}

async fn take_answers(
    workers: Workers<'_>,
    subjects: &mut [Subject],
    answered: Vec<((usize, Wants), Reply)>,
    with_snapshots: Option<&HashSet<VmId>>,
) {
    let mut found: HashMap<usize, Vec<VmAddress>> = HashMap::new();
    let mut agents = Vec::new();
    for ((index, wants), reply) in answered {
        let Some(subject) = subjects.get_mut(index) else {
            continue;
        };
        match wants {
            Wants::Definition => {
                if take_definition(&mut subject.facts, &reply) && subject.runs {
                    agents.push(index);
                }
            }
            // A source that failed has not said that there is no address.
            Wants::Addresses(source) if reply.failure.is_none() => found
                .entry(index)
                .or_default()
                .extend(addresses(&reply.stdout, source)),
            Wants::Addresses(_) => {}
        }
    }
    agents.truncate(AGENTS_A_READ);
    read_snapshots(workers.vms, subjects, with_snapshots).await;
    ask_agents(workers.agents, subjects, &agents, &mut found).await;
    for (index, subject) in subjects.iter_mut().enumerate() {
        if let Some(found) = found.remove(&index) {
            subject.facts.addresses = Some(merge(found));
        } else if !subject.runs {
            subject.facts.addresses = Some(Vec::new());
        }
    }
}

/// Reads the snapshots of those VMs that have any; what cannot be read is unknown. Definitions are asked for
/// only where they may have changed, and of so many VMs as there is room for.
async fn read_snapshots(
    worker: &Worker,
    subjects: &mut [Subject],
    with_snapshots: Option<&HashSet<VmId>>,
) {
    let has_any = |subject: &Subject| with_snapshots.is_some_and(|with| with.contains(&subject.id));
    let mut asked: Vec<&mut Subject> = subjects.iter_mut().filter(|one| has_any(one)).collect();
    let lines: Vec<Line> = asked
        .iter()
        .flat_map(|subject| snapshot::outline_questions(&subject.id))
        .collect();
    let replies = match worker.ask(&lines, WITHIN, Patience::Expects).await {
        Ok(replies) => replies,
        Err(error) => {
            tracing::debug!(%error, "snapshots could not be counted");
            return;
        }
    };
    let most = if worker.fallback().is_some() {
        SNAPSHOTS_A_READ_ONE_BY_ONE
    } else {
        SNAPSHOTS_A_READ
    };
    let mut read = 0;
    for (subject, replies) in asked.iter_mut().zip(replies.chunks(3)) {
        let outline = match snapshot::outline(replies) {
            Ok(outline) => outline,
            Err(said) => {
                tracing::debug!(%said, "the snapshots of a VM could not be listed");
                subject.facts.snapshots = None;
                subject.facts.snapshot_tree = None;
                subject.print = None;
                continue;
            }
        };
        subject.facts.snapshots = Some(outline.count());
        let is_known = subject.print == Some(outline.print);
        if is_known && subject.facts.snapshot_tree.is_some() {
            continue;
        }
        subject.facts.snapshot_tree = None;
        subject.print = None;
        if read > 0 && read + outline.count() > most {
            continue;
        }
        read += outline.count();
        match snapshot::tree(worker, &subject.id, &outline).await {
            Ok(tree) => {
                subject.facts.snapshot_tree = Some(Arc::from(tree));
                subject.print = Some(outline.print);
            }
            Err(error) => tracing::debug!(%error, "the snapshots of a VM could not be read"),
        }
    }
}

/// Asks agents, which may hang: nothing else waits behind them, and silence costs only their answer.
async fn ask_agents(
    worker: &Worker,
    subjects: &[Subject],
    agents: &[usize],
    found: &mut HashMap<usize, Vec<VmAddress>>,
) {
    let lines: Vec<Line> = agents
        .iter()
        .filter_map(|index| subjects.get(*index))
        .map(|subject| question(&subject.id, Wants::Addresses(AddressSource::Agent)))
        .collect();
    if lines.is_empty() {
        return;
    }
    match worker.ask(&lines, AGENTS_WITHIN, Patience::MayHang).await {
        Ok(replies) => {
            let answered = agents.iter().zip(replies);
            for (index, reply) in answered.filter(|(_, reply)| reply.failure.is_none()) {
                found
                    .entry(*index)
                    .or_default()
                    .extend(addresses(&reply.stdout, AddressSource::Agent));
            }
        }
        Err(error) => tracing::debug!(%error, "agents inside VMs gave no answer"),
    }
}

fn question(id: &VmId, wants: Wants) -> Line {
    match wants {
        Wants::Definition => Line::about("dumpxml", id),
        Wants::Addresses(AddressSource::Lease) => {
            Line::about("domifaddr", id).with("--source lease")
        }
        Wants::Addresses(AddressSource::Agent) => {
            Line::about("domifaddr", id).with("--source agent")
        }
        Wants::Addresses(AddressSource::Arp) => Line::about("domifaddr", id).with("--source arp"),
    }
}

/// Takes title, description and operating system; returns whether the agent can be asked.
fn take_definition(facts: &mut VmFacts, reply: &Reply) -> bool {
    if reply.failure.is_some() {
        return false;
    }
    match definition::read(&reply.stdout) {
        Ok(definition) => {
            facts.title = definition.title;
            facts.description = definition.description;
            facts.os = definition.os;
            definition.agent_connected
        }
        Err(problem) => {
            tracing::debug!(what = problem.what, line = %problem.line, "a definition was not understood");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::Virsh;
    use super::super::worker::Fallback;
    use super::super::worker::tests::{Says, keep, spec};
    use super::*;
    use crate::transport::scripted::Script;

    fn id(number: u16) -> VmId {
        VmId::parse(&format!("6c09bb55-d683-4da0-8931-c9bf705f{number:04x}")).unwrap()
    }

    fn subjects(count: u16) -> Vec<Subject> {
        (0..count)
            .map(|number| Subject {
                id: id(number),
                runs: true,
                facts: VmFacts::default(),
                asked: 0,
                print: None,
            })
            .collect()
    }

    fn worker(says: impl Fn(&str) -> Says + Clone + Send + 'static) -> Worker {
        let script = Script::new();
        keep(&script, says);
        Worker::new(script.transport(), Virsh::of(&spec()), Fallback::default())
    }

    /// Asks one worker everything.
    async fn read(worker: &Worker, subjects: Vec<Subject>) -> Findings {
        let workers = Workers {
            vms: worker,
            agents: worker,
        };
        super::read(workers, subjects).await.unwrap()
    }

    const WITH_AGENT: &str = "<domain><devices><channel><target name='org.qemu.guest_agent.0' state='connected'/></channel></devices></domain>\n";

    #[tokio::test(start_paused = true)]
    async fn those_asked_longest_ago_come_first_and_no_more_than_a_bound() {
        let worker = worker(|line| match line {
            line if line.starts_with("dumpxml") => {
                Says::Out("<domain><title>t</title></domain>\n".into())
            }
            _ => Says::Out("\n".into()),
        });
        let mut subjects = subjects(150);
        let mut turns = Vec::new();
        for turn in 1..=3 {
            let findings = read(&worker, subjects.clone()).await;
            turns.push(findings.facts.iter().filter(|(.., asked)| *asked).count());
            for (id, facts, asked) in findings.facts {
                let subject = subjects
                    .iter_mut()
                    .find(|subject| subject.id == id)
                    .unwrap();
                subject.facts = facts;
                if asked {
                    subject.asked = turn;
                }
            }
        }
        assert_eq!(turns, [64, 64, 64]);
        // Three reads of 64 are once around 150.
        assert!(subjects.iter().all(|subject| subject.facts.title.is_some()));
        assert!(
            subjects
                .iter()
                .all(|subject| subject.facts.snapshots == Some(0))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_come_from_every_source_best_first() {
        let worker = worker(|line| {
            Says::Out(match line {
                line if line.starts_with("dumpxml") => WITH_AGENT.into(),
                line if line.ends_with("--source lease") => {
                    " vnet0 52:54:00:11:22:33 ipv4 10.0.0.9/24\n".into()
                }
                line if line.ends_with("--source agent") => {
                    " eth0 52:54:00:11:22:33 ipv4 10.0.0.9/24\n lo 00 ipv4 127.0.0.1/8\n".into()
                }
                line if line.ends_with("--source arp") => {
                    " vnet0 52:54:00:11:22:33 ipv4 10.0.0.8/0\n".into()
                }
                _ => "\n".into(),
            })
        });
        let findings = read(&worker, subjects(1)).await;
        let addresses: Vec<String> = findings.facts[0]
            .1
            .addresses
            .as_ref()
            .unwrap()
            .iter()
            .map(|address| format!("{} {}", address.source.mark(), address.ip))
            .collect();
        assert_eq!(addresses, ["a 10.0.0.9", "r 10.0.0.8"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_hangs_costs_only_its_own_answer() {
        let worker = worker(|line| match line {
            line if line.starts_with("dumpxml") => Says::Out(WITH_AGENT.into()),
            line if line.ends_with("--source agent") => Says::Nothing,
            line if line.ends_with("--source lease") => {
                Says::Out(" vnet0 52:54:00:11:22:33 ipv4 10.0.0.9/24\n".into())
            }
            _ => Says::Out("\n".into()),
        });
        for _ in 0..4 {
            let findings = read(&worker, subjects(2)).await;
            for (_, facts, asked) in findings.facts {
                assert!(asked);
                assert_eq!(facts.addresses.unwrap().len(), 1);
            }
        }
        assert_eq!(worker.fallback(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_read_stays_as_it_was_or_unknown() {
        let worker = worker(|_| Says::Error("not supported".into()));
        let mut before = subjects(1);
        let known = vec![VmAddress {
            ip: "10.0.0.9".parse().unwrap(),
            source: AddressSource::Lease,
        }];
        before[0].facts.addresses = Some(known.clone());
        before[0].facts.title = Some("kept".into());
        let findings = read(&worker, before).await;
        let facts = &findings.facts[0].1;
        assert_eq!(facts.addresses, Some(known));
        assert_eq!(facts.title, Some("kept".into()));
        assert_eq!(facts.autostart, None);
        assert_eq!(facts.snapshots, None);
        assert_eq!(findings.saved, None);
    }

    #[tokio::test(start_paused = true)]
    async fn snapshots_are_counted_only_where_there_are_any() {
        let worker = worker(|line| match line {
            "list --all --uuid --with-snapshot" => Says::Out(format!("{}\n\n", id(1))),
            line if line.starts_with("snapshot-") => {
                assert!(line.contains(id(1).as_str()));
                definitions(line)
            }
            _ => Says::Out("\n".into()),
        });
        let findings = read(&worker, subjects(2)).await;
        let counts: Vec<Option<u32>> = findings
            .facts
            .iter()
            .map(|(_, facts, _)| facts.snapshots)
            .collect();
        assert_eq!(counts, [Some(0), Some(2)]);
        let tree = findings.facts[1].1.snapshot_tree.as_deref().unwrap();
        let names: Vec<(&str, bool)> = tree
            .iter()
            .map(|one| (one.name.raw(), one.is_current))
            .collect();
        assert_eq!(names, [("one", false), ("two", true)]);
    }

    /// Two snapshots, `two` on `one`, and `two` is the current one.
    fn definitions(line: &str) -> Says {
        Says::Out(match line {
            line if line.starts_with("snapshot-list") && line.ends_with("--name") => {
                "one\ntwo\n\n".into()
            }
            line if line.starts_with("snapshot-current") => "two\n".into(),
            line if line.ends_with("'one'") => {
                "<domainsnapshot><name>one</name><creationTime>1</creationTime></domainsnapshot>\n"
                    .into()
            }
            line if line.ends_with("'two'") => {
                "<domainsnapshot><name>two</name><creationTime>2</creationTime>\
                 <parent><name>one</name></parent></domainsnapshot>\n"
                    .into()
            }
            _ => " one 2026\n two 2026\n".into(),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn definitions_of_snapshots_are_read_again_only_when_something_changed() {
        let dumped = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = Arc::clone(&dumped);
        let worker = worker(move |line| {
            if line.starts_with("snapshot-dumpxml") {
                counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            match line {
                "list --all --uuid --with-snapshot" => Says::Out(format!("{}\n\n", id(0))),
                line if line.starts_with("snapshot-") => definitions(line),
                _ => Says::Out("\n".into()),
            }
        });
        let mut subjects = subjects(1);
        for _ in 0..3 {
            let findings = read(&worker, subjects.clone()).await;
            subjects[0].facts = findings.facts[0].1.clone();
            subjects[0].print = findings.prints.get(&id(0)).copied();
            let tree = subjects[0].facts.snapshot_tree.as_deref().unwrap();
            assert_eq!(tree.len(), 2);
        }
        assert_eq!(dumped.load(std::sync::atomic::Ordering::Relaxed), 2);
    }
}

//! What `virsh` prints, as data. Pure: bytes in, values out, nothing asked and nothing kept.
//!
//! Tolerant of keys it does not know, which come and go by version, and strict on shape: a line that
//! fits nowhere is reported, never guessed at. Names are raw bytes: they hold blanks, quotes and
//! anything else but a line feed. Were one to hold that as well, or the path of a disk, it could only
//! make a name appear twice, and what appears twice is a gap (see `inventory`).

use crate::domain::text::RemoteText;
use crate::domain::vm::VmId;

/// VMs that are read of one host; a host that tells of more is not to be believed.
const MAX_VMS: usize = 50_000;

/// Lines that are no answer, of which it is said what they are.
const MAX_STRAYS: usize = 32;

/// Labels of one answer.
const MAX_LABELS: usize = 4096;

/// Why an answer cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misshapen {
    /// What is wrong.
    pub(crate) what: &'static str,
    /// The line it is about.
    pub(crate) line: RemoteText,
}

impl Misshapen {
    pub(crate) fn new(what: &'static str, line: &[u8]) -> Self {
        Self {
            what,
            line: RemoteText::from_bytes(line),
        }
    }
}

/// Figures of one VM in one read, as counted since it was started. Memory in KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// `state.state`.
    pub(crate) state: Option<u32>,
    /// `state.reason`.
    pub(crate) reason: Option<u32>,
    /// `cpu.time`, in nanoseconds over all its processors.
    pub(crate) cpu_time: Option<u64>,
    /// `vcpu.current`.
    pub(crate) vcpus: Option<u32>,
    /// `balloon.current`: what it may use now.
    pub(crate) balloon: Option<u64>,
    /// `balloon.maximum`.
    pub(crate) balloon_maximum: Option<u64>,
    /// `balloon.rss`: what its process takes on the host.
    pub(crate) rss: Option<u64>,
    /// `balloon.available`: memory the guest sees.
    pub(crate) guest_total: Option<u64>,
    /// `balloon.unused`: memory the guest does not use at all.
    pub(crate) guest_unused: Option<u64>,
    /// `balloon.usable`: memory the guest could free without swapping.
    pub(crate) guest_usable: Option<u64>,
    /// Sum of `net.N.rx.bytes`.
    pub(crate) net_rx: Option<u64>,
    /// Sum of `net.N.tx.bytes`.
    pub(crate) net_tx: Option<u64>,
    /// Sum of `block.N.rd.bytes`.
    pub(crate) disk_read: Option<u64>,
    /// Sum of `block.N.wr.bytes`.
    pub(crate) disk_write: Option<u64>,
    /// Sum of `block.N.allocation`, in bytes.
    pub(crate) disk_allocated: Option<u64>,
    /// Sum of `block.N.capacity`, in bytes.
    pub(crate) disk_capacity: Option<u64>,
}

/// One block of `domstats --raw`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// Name, as raw bytes.
    pub(crate) name: &'a [u8],
    /// Its figures, or what is wrong with its block.
    pub(crate) counters: Result<Counters, Misshapen>,
}

impl<'a> Record<'a> {
    /// A VM of which only the state is known.
    pub(crate) fn of_state(name: &'a [u8], state: u32) -> Self {
        Self {
            name,
            counters: Ok(Counters {
                state: Some(state),
                ..Counters::default()
            }),
        }
    }
}

/// Reads `domstats --raw`.
pub(crate) fn domstats(output: &[u8]) -> Result<Vec<Record<'_>>, Misshapen> {
    let mut records: Vec<Record<'_>> = Vec::new();
    for line in lines(output) {
        if let Some(name) = record_name(line) {
            if records.len() >= MAX_VMS {
                return Err(Misshapen::new("more VMs than a host can have", line));
            }
            records.push(Record {
                name,
                counters: Ok(Counters::default()),
            });
            continue;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let Some(record) = records.last_mut() else {
            return Err(Misshapen::new("figures without a VM", line));
        };
        let Ok(counters) = &mut record.counters else {
            continue;
        };
        if let Err(problem) = take_figure(counters, line) {
            record.counters = Err(problem);
        }
    }
    for record in &mut records {
        if let Ok(counters) = &record.counters
            && counters.state.is_none()
        {
            record.counters = Err(Misshapen::new("no state.state", record.name));
        }
    }
    Ok(records)
}

/// The name in `Domain: 'NAME'`, which may itself hold quotes.
fn record_name(line: &[u8]) -> Option<&[u8]> {
    line.strip_prefix(b"Domain: '")?.strip_suffix(b"'")
}

/// Takes in one `  key=value`; keys that are not known are none of our business.
fn take_figure(counters: &mut Counters, line: &[u8]) -> Result<(), Misshapen> {
    let misshapen = || Misshapen::new("no key=value", line);
    let text = line.strip_prefix(b"  ").ok_or_else(misshapen)?;
    let at = text
        .iter()
        .position(|byte| *byte == b'=')
        .ok_or_else(misshapen)?;
    let (Some(key), Some(value)) = (text.get(..at), text.get(at + 1..)) else {
        return Err(misshapen());
    };
    match key {
        b"state.state" => counters.state = narrow(value),
        b"state.reason" => counters.reason = narrow(value),
        b"cpu.time" => counters.cpu_time = number(value),
        b"vcpu.current" => counters.vcpus = narrow(value),
        b"balloon.current" => counters.balloon = number(value),
        b"balloon.maximum" => counters.balloon_maximum = number(value),
        b"balloon.rss" => counters.rss = number(value),
        b"balloon.available" => counters.guest_total = number(value),
        b"balloon.unused" => counters.guest_unused = number(value),
        b"balloon.usable" => counters.guest_usable = number(value),
        _ => take_device_figure(counters, key, value),
    }
    Ok(())
}

/// Adds up `net.N.x` and `block.N.x` over the devices.
fn take_device_figure(counters: &mut Counters, key: &[u8], value: &[u8]) {
    let Some((group, field)) = device_field(key) else {
        return;
    };
    let sum = match (group, field) {
        (b"net", b"rx.bytes") => &mut counters.net_rx,
        (b"net", b"tx.bytes") => &mut counters.net_tx,
        (b"block", b"rd.bytes") => &mut counters.disk_read,
        (b"block", b"wr.bytes") => &mut counters.disk_write,
        (b"block", b"allocation") => &mut counters.disk_allocated,
        (b"block", b"capacity") => &mut counters.disk_capacity,
        _ => return,
    };
    if let Some(value) = number(value) {
        *sum = Some(sum.unwrap_or(0).saturating_add(value));
    }
}

/// Splits `net.0.rx.bytes` into `net` and `rx.bytes`.
fn device_field(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = key.splitn(3, |byte| *byte == b'.');
    let (group, index, field) = (parts.next()?, parts.next()?, parts.next()?);
    let counted = !index.is_empty() && index.iter().all(u8::is_ascii_digit);
    counted.then_some((group, field))
}

/// What `list --uuid --name` says: ids with names as raw bytes, and lines that are neither.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// Every VM.
    pub(crate) pairs: Vec<(VmId, Vec<u8>)>,
    /// Lines that do not begin with an id.
    pub(crate) strays: Vec<RemoteText>,
}

/// Reads `list --uuid --name`.
pub(crate) fn names(output: &[u8]) -> Names {
    let mut names = Names::default();
    let mut left_out = 0_usize;
    for line in lines(output).filter(|line| !line.is_empty()) {
        match id_and_rest(line) {
            // Exactly one blank stands between: more of them belong to the name.
            Some((id, [b' ', name @ ..])) if names.pairs.len() < MAX_VMS => {
                names.pairs.push((id, name.to_vec()));
            }
            Some(_) | None if names.strays.len() < MAX_STRAYS => {
                names.strays.push(RemoteText::from_bytes(line));
            }
            Some(_) | None => left_out += 1,
        }
    }
    if left_out > 0 {
        let more = format!("and {left_out} lines more that could not be read");
        names.strays.push(RemoteText::new(&more));
    }
    names
}

/// Reads `list --uuid` with any filter; lines that are no id are left out.
pub(crate) fn ids(output: &[u8]) -> Vec<VmId> {
    lines(output)
        .filter_map(|line| id_and_rest(line.trim_ascii()))
        .filter(|(_, rest)| rest.is_empty())
        .map(|(id, _)| id)
        .collect()
}

fn id_and_rest(line: &[u8]) -> Option<(VmId, &[u8])> {
    let (id, rest) = line.split_at_checked(36)?;
    let id = VmId::parse(std::str::from_utf8(id).ok()?)?;
    Some((id, rest))
}

/// Reads `label: value` lines, as `nodeinfo`, `nodememstats` and `dominfo` print them.
pub(crate) fn labelled(output: &[u8]) -> Vec<(String, String)> {
    lines(output)
        .filter_map(|line| {
            let line = String::from_utf8_lossy(line);
            let (label, value) = line.split_once(':')?;
            Some((label.trim().to_owned(), value.trim().to_owned()))
        })
        .take(MAX_LABELS)
        .collect()
}

/// Reads the versions of libvirt's daemon and of the hypervisor below it from `version --daemon`.
pub(crate) fn versions(output: &[u8]) -> (Option<String>, Option<String>) {
    let pairs = labelled(output);
    let find = |label: &str| {
        pairs
            .iter()
            .find(|(name, _)| name == label)
            .map(|(_, value)| value.clone())
            .filter(|value| !value.is_empty())
    };
    let library = find("Using library").map(|text| text.replace("libvirt ", ""));
    (
        find("Running against daemon").or(library),
        find("Running hypervisor"),
    )
}

/// Number of names that `snapshot-list --name` lists: its lines that are not empty.
pub(crate) fn count_names(output: &[u8]) -> u32 {
    let count = lines(output)
        .filter(|line| !line.trim_ascii().is_empty())
        .count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Lines without their ends; a final line without one counts too.
pub(crate) fn lines(output: &[u8]) -> impl Iterator<Item = &[u8]> {
    output
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

fn narrow(value: &[u8]) -> Option<u32> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "6c09bb55-d683-4da0-8931-c9bf705f6480";

    #[test]
    fn unknown_keys_and_garbled_figures_leave_the_rest_alone() {
        let output = b"Domain: 'a'\n  state.state=1\n  new.key=what\n  cpu.time=soon\n  vcpu.current=2\n  net.0.rx.bytes=5\n  net.1.rx.bytes=7\n  net.x.rx.bytes=9\n  block.0.path=/a=b\n\n";
        let records = domstats(output).unwrap();
        let counters = records[0].counters.clone().unwrap();
        assert_eq!(counters.state, Some(1));
        assert_eq!(counters.cpu_time, None);
        assert_eq!(counters.vcpus, Some(2));
        assert_eq!(counters.net_rx, Some(12));
        assert_eq!(counters.net_tx, None);
    }

    #[test]
    fn one_broken_block_is_a_gap_and_the_others_stay() {
        let output =
            b"Domain: 'a'\n  state.state=1\nwhat is this\n  cpu.time=1\n\nDomain: 'b'\n  state.state=5\n\nDomain: 'c'\n  cpu.time=4\n";
        let records = domstats(output).unwrap();
        assert_eq!(
            records[0].counters,
            Err(Misshapen::new("no key=value", b"what is this"))
        );
        assert_eq!(records[1].counters.as_ref().unwrap().state, Some(5));
        assert_eq!(
            records[2].counters,
            Err(Misshapen::new("no state.state", b"c"))
        );
    }

    #[test]
    fn figures_before_any_vm_are_no_answer() {
        assert!(domstats(b"bash: virsh: garbage\n").is_err());
        assert_eq!(domstats(b"\n"), Ok(Vec::new()));
    }

    #[test]
    fn names_keep_quotes_blanks_and_bytes() {
        let names_of = |output: &'static [u8]| -> Vec<&[u8]> {
            domstats(output)
                .unwrap()
                .iter()
                .map(|record| record.name)
                .collect()
        };
        assert_eq!(
            names_of(b"Domain: ''''\n  state.state=1\n\nDomain: '  a  '\nDomain: 'Domain: 'x''\nDomain: '\xff'\n"),
            [&b"''"[..], b"  a  ", b"Domain: 'x'", b"\xff"]
        );
        let listed = names(format!("{ID}   a  \n{ID} --all\n{ID}\nnonsense\n\n").as_bytes());
        assert_eq!(listed.pairs[0].1, b"  a  ");
        assert_eq!(listed.pairs[1].1, b"--all");
        assert_eq!(listed.strays.len(), 2);
    }

    #[test]
    fn an_answer_without_an_end_in_sight_takes_no_more_memory_than_it_must() {
        let strays = names(&b"x\n".repeat(1_000_000)).strays;
        assert_eq!(strays.len(), MAX_STRAYS + 1);
        assert_eq!(
            strays.last().unwrap().raw(),
            "and 999968 lines more that could not be read"
        );
        let many = format!("{ID} a\n").repeat(MAX_VMS + 9);
        let listed = names(many.as_bytes());
        assert_eq!((listed.pairs.len(), listed.strays.len()), (MAX_VMS, 9));
        let records = b"Domain: ''\n".repeat(MAX_VMS + 1);
        assert!(domstats(&records).is_err());
        assert_eq!(labelled(&b":\n".repeat(100_000)).len(), MAX_LABELS);
    }

    #[test]
    fn ids_are_taken_alone_on_their_line_only() {
        let output = format!("{ID}\n{ID} name\nerror: x\n\n {ID} \n");
        assert_eq!(ids(output.as_bytes()).len(), 2);
    }

    #[test]
    fn versions_come_from_the_daemon_first() {
        let output = b"Compiled against library: libvirt 9.0.0\nUsing library: libvirt 9.0.0\nUsing API: QEMU 9.0.0\nRunning hypervisor: QEMU 7.2.22\nRunning against daemon: 8.1.0\n\n";
        assert_eq!(
            versions(output),
            (Some("8.1.0".to_owned()), Some("QEMU 7.2.22".to_owned()))
        );
        assert_eq!(
            versions(b"Using library: libvirt 1.2.3\n"),
            (Some("1.2.3".to_owned()), None)
        );
        assert_eq!(versions(b"nonsense"), (None, None));
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_parser_fall_over(output in proptest::collection::vec(any::<u8>(), 0..400)) {
            drop(domstats(&output));
            drop(names(&output));
            drop(ids(&output));
            drop(labelled(&output));
            drop(versions(&output));
            prop_assert!(count_names(&output) <= 400);
        }

        #[test]
        fn a_name_never_makes_a_second_record(name in "[^\n\r]{1,40}") {
            let output = format!("Domain: '{name}'\n  state.state=1\n\n");
            let records = domstats(output.as_bytes()).unwrap();
            prop_assert_eq!(records.len(), 1);
            prop_assert_eq!(records[0].name, name.as_bytes());
        }
    }
}

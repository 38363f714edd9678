//! Taking what is private out of a host's answers: every name, id and address becomes a stand-in, the same
//! one wherever it stands, so that the answers still fit together. Pure; knows no hypervisor.
//!
//! What is private comes from three sides: words that are known (names of hosts, accounts, VMs), shapes
//! that tell themselves (UUIDs, MACs, addresses, paths, SIDs), and places that a driver names (the text
//! between two marks). Better one word too many than one too few: a stand-in costs a recording nothing.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What is private in the answers of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Private {
    /// Names and addresses of the host and of stops on the way.
    pub hosts: Vec<String>,
    /// Accounts.
    pub users: Vec<String>,
    /// Names of VMs and of what belongs to them.
    pub vms: Vec<String>,
    /// Free text stands between these marks.
    pub between: Vec<(&'static str, &'static str)>,
    /// Elements of XML that hold free text, or elements that do, whatever attributes they have.
    pub elements: Vec<&'static str>,
    /// Members of JSON whose text is free: `notes`, or `checkpoints.name` for those of a list only.
    pub members: Vec<&'static str>,
    /// Ids that are the same on every host in the world, and stay.
    pub keep: Vec<&'static str>,
}

/// What something was, which decides its stand-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sort {
    /// Name or address of a host.
    Host,
    /// An account.
    User,
    /// Name of a VM.
    Vm,
    /// A UUID.
    Uuid,
    /// An Ethernet address.
    Mac,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// A security identifier of Windows.
    Sid,
    /// A part of a path.
    Path,
    /// Free text.
    Text,
}

impl Sort {
    /// Returns the word of the manifest.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Host => "hosts",
            Self::User => "accounts",
            Self::Vm => "vms",
            Self::Uuid => "uuids",
            Self::Mac => "macs",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Sid => "sids",
            Self::Path => "path parts",
            Self::Text => "texts",
        }
    }

    /// Returns the stand-in with this number. Addresses are those reserved for documentation (RFC 5737,
    /// RFC 3849); Ethernet addresses are QEMU's own range.
    fn stand_in(self, number: usize) -> String {
        match self {
            Self::Host => format!("host-{number}"),
            Self::User => format!("user-{number}"),
            Self::Vm => format!("vm-{number}"),
            Self::Uuid => format!("00000000-0000-4000-8000-{number:012x}"),
            Self::Mac => {
                let (high, low) = ((number >> 8) & 0xff, number & 0xff);
                format!("52:54:00:00:{high:02x}:{low:02x}")
            }
            Self::Ipv4 => match number {
                1..=254 => format!("192.0.2.{number}"),
                _ => format!("198.51.{}.{}", 100 + (number >> 8) % 100, number & 0xff),
            },
            Self::Ipv6 => format!("2001:db8::{number:x}"),
            Self::Sid => format!("S-1-5-21-0-0-0-{}", 1000 + number),
            Self::Path => format!("part-{number}"),
            Self::Text => format!("text {number}"),
        }
    }
}

/// A pattern that is part of the program.
macro_rules! pattern {
    ($name:ident, $pattern:literal) => {
        static $name: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new($pattern).ok());
    };
}

pattern!(
    UUID,
    r"(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
);
pattern!(MAC, r"(?i)\b[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}\b");
pattern!(BARE_MAC, r"(?i)^[0-9a-f]{12}$");
pattern!(SID, r"\bS-1-5-21-[0-9]+-[0-9]+-[0-9]+-[0-9]+\b");
pattern!(IPV4, r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b");
pattern!(IPV6, r"(?i)[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}");
pattern!(POSIX_PATH, r"(?:/[^/\s'\x22<>:;,=|]+){2,}");
pattern!(
    WINDOWS_PATH,
    r"(?:[A-Za-z]:|\\)(?:\\[^\\/\s'\x22<>:;,|]+(?: [^\\/\s'\x22<>:;,|]+)*)+"
);

/// Parts of paths that are the same on every machine.
const COMMON_PARTS: &[&str] = &[
    "bin",
    "boot",
    "channel",
    "data",
    "dev",
    "disk",
    "disks",
    "etc",
    "home",
    "images",
    "lib",
    "libvirt",
    "log",
    "media",
    "mnt",
    "net",
    "null",
    "nvram",
    "opt",
    "pool",
    "proc",
    "ptmx",
    "pts",
    "qemu",
    "random",
    "root",
    "run",
    "sbin",
    "share",
    "snapshot",
    "srv",
    "storage",
    "swtpm",
    "sys",
    "system",
    "session",
    "target",
    "tmp",
    "urandom",
    "usr",
    "user",
    "var",
    "vhost-net",
    "vms",
    "OVMF",
    "edk2",
    "firmware",
    "Hyper-V",
    "Microsoft",
    "OpenSSH",
    "PowerShell",
    "Program Files",
    "ProgramData",
    "Public",
    "Snapshots",
    "System32",
    "Users",
    "Virtual Hard Disks",
    "Virtual Machines",
    "VMs",
    "Windows",
    "WindowsPowerShell",
    "v1.0",
    "ClusterStorage",
    ".",
    "?",
];

/// A word that is private, in one of the forms in which it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    written: String,
    sort: Sort,
    /// The word itself: all its forms have one stand-in.
    plain: String,
}

impl Word {
    /// Returns what follows when a text begins with it. Hosts and accounts are the same in any case, and
    /// Windows likes to write them in capitals; a VM's name is as it is written.
    fn behind<'a>(&self, text: &'a str) -> Option<&'a str> {
        if matches!(self.sort, Sort::Host | Sort::User) {
            let (head, rest) = text.split_at_checked(self.written.len())?;
            return head.eq_ignore_ascii_case(&self.written).then_some(rest);
        }
        text.strip_prefix(self.written.as_str())
    }
}

/// Replaces what is private. One of them serves all answers of a host, so that they stay in step.
#[derive(Debug)]
pub struct Redactor {
    private: Private,
    words: Vec<Word>,
    known: HashMap<(Sort, String), String>,
    counts: BTreeMap<Sort, usize>,
}

impl Redactor {
    /// Makes one for what is known to be private.
    pub fn new(private: Private) -> Self {
        let mut words: Vec<Word> = Vec::new();
        for (list, sort) in [
            (&private.hosts, Sort::Host),
            (&private.users, Sort::User),
            (&private.vms, Sort::Vm),
        ] {
            for plain in list.iter().filter(|word| !word.trim().is_empty()) {
                for written in [plain.clone(), escaped(plain)] {
                    words.push(Word {
                        written,
                        sort,
                        plain: plain.clone(),
                    });
                }
            }
        }
        // The longest first: a name that holds another one is replaced as a whole.
        let order = |word: &Word| (usize::MAX - word.written.len(), word.written.clone());
        words.sort_by_key(order);
        words.dedup_by(|one, other| one.written == other.written);
        Self {
            private,
            words,
            known: HashMap::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Returns how many different things of each sort were replaced.
    pub const fn counts(&self) -> &BTreeMap<Sort, usize> {
        &self.counts
    }

    /// Replaces what is private in text.
    pub fn text(&mut self, text: &str) -> String {
        let mut redacted = String::with_capacity(text.len());
        for line in self.without_free_text(text).split_inclusive('\n') {
            // `some.key=value`: the key is the program's own word.
            match line.split_once('=') {
                Some((key, value)) if is_key(key) => {
                    redacted.push_str(key);
                    redacted.push('=');
                    redacted.push_str(&self.piece(value));
                }
                _ => redacted.push_str(&self.piece(line)),
            }
        }
        redacted
    }

    /// Replaces what is private in a value of structured data; `place` is the name of its member, with
    /// that of the member around it (`checkpoints.name`).
    pub fn value(&mut self, place: &str, value: &str) -> String {
        let member = place.rsplit('.').next().unwrap_or(place);
        if self
            .private
            .members
            .iter()
            .any(|free| [place, member].contains(free))
        {
            return self.free(value);
        }
        if matches(&BARE_MAC, value) {
            let pairs: Vec<&str> = (0..6)
                .filter_map(|at| value.get(at * 2..at * 2 + 2))
                .collect();
            return self.mac(&pairs.join(":")).replace(':', "").to_uppercase();
        }
        let whole = self.words.iter().find(|word| word.written == value);
        if let Some(Word { sort, plain, .. }) = whole.cloned() {
            return self.stand_in(sort, &plain);
        }
        self.text(value)
    }

    /// Returns whether something that is private still stands in a text, as far as that can be told.
    pub fn leaves_any(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.words
            .iter()
            // Short words stand in other words by chance.
            .filter(|word| word.written.chars().count() >= 5)
            .any(|word| text.contains(&word.written.to_lowercase()))
    }

    fn without_free_text(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (open, close) in self.private.between.clone() {
            let mut done = String::with_capacity(text.len());
            let mut rest = text.as_str();
            while let Some((before, after)) = rest.split_once(open) {
                done.push_str(before);
                done.push_str(open);
                // What was cut off before its end is no less private.
                let Some((inside, behind)) = after.split_once(close) else {
                    done.push_str(&self.free(after));
                    rest = "";
                    break;
                };
                done.push_str(&self.free(inside));
                done.push_str(close);
                rest = behind;
            }
            done.push_str(rest);
            text = done;
        }
        for name in self.private.elements.clone() {
            text = self.without_content(&text, name);
        }
        text
    }

    fn without_content(&mut self, text: &str, name: &str) -> String {
        let mut done = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, inside)) = next_start(rest, name) {
            done.push_str(before);
            if before.ends_with("/>") {
                rest = inside;
                continue;
            }
            let (inside, behind) = inside.split_at(content_length(inside, name));
            done.push_str(&self.free(inside));
            rest = behind;
        }
        done.push_str(rest);
        done
    }

    fn free(&mut self, text: &str) -> String {
        if text.trim().is_empty() {
            return text.to_owned();
        }
        self.stand_in(Sort::Text, text)
    }

    /// Replaces what is private in a piece of text without keys.
    fn piece(&mut self, text: &str) -> String {
        let text = self.shape(&UUID, text, Self::uuid);
        let text = self.shape(&SID, &text, |this, found| this.stand_in(Sort::Sid, found));
        let text = self.shape(&MAC, &text, Self::mac);
        let text = self.shape(&IPV4, &text, Self::ipv4);
        let text = self.shape(&IPV6, &text, Self::ipv6);
        let text = self.words(&text);
        let text = self.shape(&POSIX_PATH, &text, |this, found| this.path(found, '/'));
        self.shape(&WINDOWS_PATH, &text, |this, found| this.path(found, '\\'))
    }

    fn shape(
        &mut self,
        pattern: &LazyLock<Option<Regex>>,
        text: &str,
        mut with: impl FnMut(&mut Self, &str) -> String,
    ) -> String {
        let Some(pattern) = pattern.as_ref() else {
            return text.to_owned();
        };
        let replace =
            |found: &Captures<'_>| with(self, found.get(0).map_or("", |found| found.as_str()));
        pattern.replace_all(text, replace).into_owned()
    }

    fn uuid(&mut self, found: &str) -> String {
        if self
            .private
            .keep
            .iter()
            .any(|kept| kept.eq_ignore_ascii_case(found))
        {
            return found.to_owned();
        }
        let stand_in = self.stand_in(Sort::Uuid, &found.to_lowercase());
        if found.chars().any(|c| c.is_ascii_uppercase()) {
            stand_in.to_uppercase()
        } else {
            stand_in
        }
    }

    fn mac(&mut self, found: &str) -> String {
        let plain = found.to_lowercase().replace('-', ":");
        let stand_in = self.stand_in(Sort::Mac, &plain);
        if found.contains('-') {
            stand_in.replace(':', "-").to_uppercase()
        } else {
            stand_in
        }
    }

    fn ipv4(&mut self, found: &str) -> String {
        match found.parse::<Ipv4Addr>() {
            // Loopback, "any", masks and versions like 2.0.0.0 tell nothing.
            Ok(address) if address.is_loopback() => found.to_owned(),
            Ok(address) if matches!(address.octets(), [_, 0, 0, 0] | [255, ..]) => found.to_owned(),
            Ok(_) => self.stand_in(Sort::Ipv4, found),
            Err(_) => found.to_owned(),
        }
    }

    fn ipv6(&mut self, found: &str) -> String {
        match found.parse::<Ipv6Addr>() {
            Ok(address) if address.is_loopback() || address.is_unspecified() => found.to_owned(),
            Ok(address) => self.stand_in(Sort::Ipv6, &address.to_string()),
            Err(_) => found.to_owned(),
        }
    }

    /// Replaces known words where they stand alone; of a host, with the domain that follows.
    fn words(&mut self, text: &str) -> String {
        let mut done = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let before = done.chars().next_back();
            if !before.is_some_and(is_inside_word) {
                let found = self.words.iter().find_map(|word| {
                    let after = word.behind(rest)?;
                    (stands_alone(&word.written, after) && !is_markup(before, after))
                        .then(|| (word.clone(), after))
                });
                if let Some((word, after)) = found {
                    done.push_str(&self.stand_in(word.sort, &word.plain));
                    rest = if word.sort == Sort::Host {
                        without_domain(after)
                    } else {
                        after
                    };
                    continue;
                }
            }
            let mut chars = rest.chars();
            done.extend(chars.next());
            rest = chars.as_str();
        }
        done
    }

    fn path(&mut self, found: &str, separator: char) -> String {
        let parts: Vec<String> = found
            .split(separator)
            .map(|part| self.path_part(part))
            .collect();
        parts.join(&separator.to_string())
    }

    /// Keeps what every machine has, stand-ins, and the ends of file names.
    fn path_part(&mut self, part: &str) -> String {
        let is_drive = part.len() == 2 && part.ends_with(':');
        let is_common = COMMON_PARTS
            .iter()
            .any(|common| common.eq_ignore_ascii_case(part));
        let is_ours = self
            .known
            .values()
            .any(|stand_in| part.starts_with(stand_in.as_str()));
        if part.is_empty() || is_drive || is_common || is_ours {
            return part.to_owned();
        }
        match part.rsplit_once('.') {
            Some((stem, end)) if end.len() <= 5 && !stem.is_empty() => {
                format!("{}.{end}", self.stand_in(Sort::Path, stem))
            }
            _ => self.stand_in(Sort::Path, part),
        }
    }

    fn stand_in(&mut self, sort: Sort, found: &str) -> String {
        let key = (sort, found.to_owned());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let number = self.counts.entry(sort).or_insert(0);
        *number += 1;
        let stand_in = sort.stand_in(*number);
        self.known.insert(key, stand_in.clone());
        stand_in
    }
}

fn matches(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern
        .as_ref()
        .is_some_and(|pattern| pattern.is_match(text))
}

/// A name as XML writes it.
fn escaped(word: &str) -> String {
    word.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\'', "&apos;")
        .replace('"', "&quot;")
}

fn is_key(text: &str) -> bool {
    let text = text.trim_start();
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

fn is_inside_word(c: char) -> bool {
    c.is_alphanumeric() || c == '-' || c == '_'
}

fn stands_alone(word: &str, after: &str) -> bool {
    let ends_inside = word.chars().next_back().is_some_and(is_inside_word);
    !(ends_inside && after.chars().next().is_some_and(is_inside_word))
}

/// Tells a tag or an attribute of XML from a word that happens to be called the same.
fn is_markup(before: Option<char>, after: &str) -> bool {
    before == Some('<') || after.starts_with("='") || after.starts_with("=\"")
}

/// Takes the rest of a full name off: `.corp.example.com`.
fn without_domain(after: &str) -> &str {
    let mut rest = after;
    while let Some(tail) = rest.strip_prefix('.') {
        let label = tail
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '-');
        let length: usize = label.map(char::len_utf8).sum();
        match tail.get(length..) {
            Some(behind) if length > 0 => rest = behind,
            Some(_) | None => break,
        }
    }
    rest
}

/// Splits a text behind the next start of an element.
fn next_start<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let open = format!("<{name}");
    let starts = |(at, open): &(usize, &str)| {
        let (_, behind) = text.split_at(at + open.len());
        behind.starts_with(|c: char| c == '>' || c == '/' || c.is_whitespace())
    };
    let (at, _) = text.match_indices(&open).find(starts)?;
    let (before, tag) = text.split_at(at);
    let length = tag.find('>').map_or(tag.len(), |end| end + 1);
    Some(text.split_at(before.len() + length))
}

/// Bytes until the element ends in which a text begins; all of it where it does not end.
fn content_length(text: &str, name: &str) -> usize {
    let close = format!("</{name}>");
    let mut open = 1_usize;
    let mut passed = 0;
    let mut rest = text;
    while let Some((mut before, behind)) = rest.split_once(&close) {
        passed += before.len();
        while let Some((start, inside)) = next_start(before, name) {
            open += usize::from(!start.ends_with("/>"));
            before = inside;
        }
        open -= 1;
        if open == 0 {
            return passed;
        }
        passed += close.len();
        rest = behind;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redactor() -> Redactor {
        Redactor::new(Private {
            hosts: vec!["kvm1".into(), "HV1".into()],
            users: vec!["ann".into()],
            vms: vec![
                "web".into(),
                "web-2".into(),
                "it's <odd>".into(),
                "state".into(),
            ],
            between: vec![("<title>", "</title>")],
            elements: vec!["metadata"],
            members: vec!["notes", "checkpoints.name"],
            keep: vec!["9f8233ac-be49-4c79-8ee3-e7e1985b2077"],
        })
    }

    #[test]
    fn names_are_replaced_where_they_stand_alone() {
        let mut redactor = redactor();
        for (text, expected) in [
            ("Domain: 'web'\n", "Domain: 'vm-1'\n"),
            ("web-2 web\n", "vm-2 vm-1\n"),
            ("webmaster, spiderweb\n", "webmaster, spiderweb\n"),
            ("<name>it&apos;s &lt;odd&gt;</name>", "<name>vm-3</name>"),
            ("HV1.corp.example.com and HV1", "host-1 and host-1"),
            ("HV1\\ann", "host-1\\user-1"),
            // The program's own words stay, also where a VM is called like one of them.
            ("  state.state=1\n", "  state.state=1\n"),
            (
                "<state a='1'/><disk state='on'>",
                "<state a='1'/><disk state='on'>",
            ),
        ] {
            assert_eq!(redactor.text(text), expected, "{text}");
        }
    }

    #[test]
    fn shapes_become_stand_ins_that_stay_in_step() {
        let mut redactor = redactor();
        let id = "6c09bb55-d683-4da0-8931-c9bf705f6480";
        let text = format!(
            "{id} {} 52:54:00:ab:cd:ef 10.3.4.5/24 fe80::1 12:30:45\n",
            id.to_uppercase()
        );
        assert_eq!(
            redactor.text(&text),
            "00000000-0000-4000-8000-000000000001 00000000-0000-4000-8000-000000000001 \
             52:54:00:00:00:01 192.0.2.1/24 2001:db8::1 12:30:45\n"
        );
        assert_eq!(redactor.value("mac", "525400ABCDEF"), "525400000001");
        assert_eq!(redactor.text("10.3.4.5 10.3.4.6"), "192.0.2.1 192.0.2.2");
        let sid = "S-1-5-21-1111-2222-3333-1001";
        assert_eq!(redactor.text(sid), "S-1-5-21-0-0-0-1001");
    }

    #[test]
    fn what_tells_nothing_stays() {
        let mut redactor = redactor();
        for text in [
            "9F8233AC-BE49-4C79-8EE3-E7E1985B2077",
            "127.0.0.1 0.0.0.0 255.255.255.0 2.0.0.0 5.1.20348.2 libvirt 9.0.0",
            "S-1-5-32-578",
            "/dev/null /usr/bin/qemu",
            "qemu:///system",
            "</domain> <disk/>",
        ] {
            assert_eq!(redactor.text(text), text);
        }
    }

    #[test]
    fn paths_keep_what_every_machine_has() {
        let mut redactor = redactor();
        for (text, expected) in [
            (
                "/var/lib/libvirt/images/web.qcow2",
                "/var/lib/libvirt/images/vm-1.qcow2",
            ),
            (
                "/home/ann/secret/customer.img",
                "/home/user-1/part-1/part-2.img",
            ),
            (
                r"D:\VMs\Customer\Virtual Hard Disks\Customer.vhdx",
                r"D:\VMs\part-3\Virtual Hard Disks\part-3.vhdx",
            ),
        ] {
            assert_eq!(redactor.text(text), expected);
        }
    }

    #[test]
    fn free_text_is_replaced_whole() {
        let mut redactor = redactor();
        assert_eq!(
            redactor.text("<title>Payroll of\nACME</title><title></title>"),
            "<title>text 1</title><title></title>"
        );
        assert_eq!(redactor.value("figures.notes", "call Bob"), "text 2");
        assert_eq!(redactor.value("other", "call Bob"), "call Bob");
        assert_eq!(redactor.value("name", "it's <odd>"), "vm-1");
        assert_eq!(redactor.value("checkpoints.name", "web"), "text 3");
        assert_eq!(redactor.value("systems.name", "web"), "vm-2");
        assert_eq!(redactor.counts()[&Sort::Text], 3);
    }

    #[test]
    fn what_is_inside_of_an_element_goes_whatever_stands_around_it() {
        for (text, expected) in [
            ("<metadata>a</metadata>b", "<metadata>text 1</metadata>b"),
            (
                "<metadata xmlns:a='u'>\n<a:b c='hunter2'/></metadata><x/>",
                "<metadata xmlns:a='u'>text 1</metadata><x/>",
            ),
            (
                "<metadata><metadata/><metadata>a</metadata>hunter2</metadata>, <metadata>b</metadata>",
                "<metadata>text 1</metadata>, <metadata>text 2</metadata>",
            ),
            (
                "<metadata/>b<metadata a=''/>c",
                "<metadata/>b<metadata a=''/>c",
            ),
            ("<metadatum>b</metadatum>", "<metadatum>b</metadatum>"),
            ("<metadata>cut off: hunter2", "<metadata>text 1"),
            ("<metadata a='cut off", "<metadata a='cut off"),
            ("<title>cut off: hunter2", "<title>text 1"),
        ] {
            assert_eq!(redactor().text(text), expected);
        }
    }

    #[test]
    fn what_is_left_over_is_noticed() {
        let redactor = Redactor::new(Private {
            vms: vec!["payroll".into(), "a".into()],
            ..Private::default()
        });
        assert!(redactor.leaves_any("xPAYROLLx"));
        assert!(!redactor.leaves_any("a text of no name"));
    }

    #[test]
    fn hosts_and_accounts_are_known_in_any_case() {
        let mut redactor = Redactor::new(Private {
            hosts: vec!["kvm1".to_owned()],
            users: vec!["annabelle".to_owned()],
            vms: vec!["web".to_owned()],
            ..Private::default()
        });
        let redacted = redactor.text("KVM1\\Annabelle sees WEB on Kvm1, and web");
        for private in ["KVM1", "Kvm1", "nnabelle", "web"] {
            assert!(!redacted.contains(private), "{redacted}");
        }
        assert!(redacted.contains("WEB"), "{redacted}");
    }

    proptest! {
        #[test]
        fn no_known_id_or_address_survives(text in "[ -~\n]{0,200}") {
            let id = "6c09bb55-d683-4da0-8931-c9bf705f6480";
            let whole = format!("{text} {id} 10.77.66.55 {text}");
            let redacted = redactor().text(&whole);
            prop_assert!(!redacted.contains(id));
            prop_assert!(!redacted.contains(" 10.77.66.55 "));
        }
    }
}

//! Fuzz targets of parsers that anybody may call: words of the domain, filters, keys, themes, files.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::ffi::OsStringExt as _;

use super::invariant::{harmless, parts, said, shown, told};
use crate::accounts::old_portal::OldPortal;
use crate::accounts::token::{is_well_formed, shown_prefix};
use crate::domain::action::ActionKind;
use crate::domain::console::TerminalSize;
use crate::domain::credential::CredentialName;
use crate::domain::host::{
    Endpoint, HostName, HostSpecError, Jump, KindChoice, LibvirtUri, Tag, Tier, UserName,
};
use crate::domain::inventory::FleetSnapshot;
use crate::domain::policy::glob;
use crate::domain::redact::{Private, Redactor};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::selector::{Filter, MAX_FILTER_BYTES, Row};
use crate::domain::text::{RemoteText, fit_middle, is_hostile};
use crate::domain::vm::VmId;
use crate::manage::host_key;
use crate::profile::ProfileName;
use crate::testing::fleet;
use crate::transport::quote::{self, QuoteError};
use crate::tui::console::terminal::{SCROLL_BACK, Terminal};
use crate::tui::key::KeyPress;
use crate::tui::theme::{ColourDepth, Theme};
use crate::{cli, json};

/// Text of a host: shown without what a terminal acts on, raw in JSON and back.
pub(super) fn remote_text(data: &[u8]) {
    let text = RemoteText::from_bytes(data);
    shown(&text);
    shown(&text.first_line());
    for columns in [0, 1, 2, 7, 40] {
        let fitted = text.fit(columns);
        harmless(&fitted);
        assert!(unicode_width::UnicodeWidthStr::width(fitted.as_str()) <= columns);
        assert_eq!(fit_middle(&fitted, columns), fitted);
    }
    // What was made harmless once stays as it is.
    assert_eq!(
        RemoteText::new(text.shown()).shown().is_empty(),
        text.shown().is_empty()
    );
    for rendered in [json::to_line(&text), json::to_pretty(&text)] {
        let Ok(line) = rendered else { continue };
        assert!(!line.chars().any(is_hostile), "{line:?}");
        let back: Result<RemoteText, _> = serde_json::from_str(&line);
        assert!(back.is_ok_and(|back| back == text));
    }
}

/// What a VM writes to its console, in pieces, at the size of the first two bytes and then turned round: the terminal
/// keeps no more lines than it may and answers little.
pub(super) fn console(data: &[u8]) {
    let Some((&[columns, lines], bytes)) = data.split_first_chunk::<2>() else {
        return;
    };
    let (columns, lines) = (u16::from(columns), u16::from(lines));
    let mut terminal = Terminal::new(TerminalSize::new(columns, lines));
    for piece in bytes.chunks(usize::from(columns).max(1)) {
        assert!(terminal.take(piece).len() <= 256);
    }
    assert!(terminal.scroll_to(usize::MAX) <= SCROLL_BACK);
    terminal.resize(TerminalSize::new(lines, columns));
    assert!(terminal.take(bytes).len() <= 256);
    let (rows, width) = terminal.screen().size();
    let (row, column) = terminal.screen().cursor_position();
    assert!(row < rows.get() && column <= width.get());
}

/// A filter: read, written, read again; asked about a fleet.
pub(super) fn filter(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let filter = match Filter::parse(text) {
        Ok(filter) => filter,
        Err(error) => {
            assert!(text.is_char_boundary(error.at) && error.at <= text.len());
            return said(&error.message);
        }
    };
    assert!(text.len() <= MAX_FILTER_BYTES);
    let written = filter.to_string();
    if written.len() <= MAX_FILTER_BYTES {
        assert_eq!(Filter::parse(&written).as_ref(), Ok(&filter), "{written:?}");
    }
    FLEET.with(|fleet| ask(&filter, fleet));
}

thread_local! {
    static FLEET: FleetSnapshot = fleet::small();
}

fn ask(filter: &Filter, fleet: &FleetSnapshot) {
    for host in &fleet.hosts {
        let vms = host.inventory.iter().flat_map(|inventory| &inventory.vms);
        let found = vms
            .filter(|vm| {
                filter.matches(&Row {
                    host,
                    vm,
                    now: fleet::now(),
                    marked: false,
                    protected: true,
                })
            })
            .count();
        assert!(found == 0 || filter.may_match_on(host));
    }
}

/// A pattern with `*`, and a text.
pub(super) fn patterns(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (pattern, text) = text.split_once('\n').unwrap_or((&text, ""));
    let matched = glob(pattern, text);
    if !pattern.contains('*') {
        assert_eq!(matched, pattern == text);
    }
    assert!(glob("*", text) && glob(&format!("{text}*"), text));
}

/// Names, addresses and other words of a profile: each reads back as it was.
pub(super) fn host_words(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    word::<HostName>(text);
    word::<Endpoint>(text);
    word::<Jump>(text);
    word::<UserName>(text);
    word::<Tier>(text);
    word::<Tag>(text);
    word::<LibvirtUri>(text);
    if let Err(error) = text.parse::<KindChoice>() {
        said(&error);
    }
    if let Ok(name) = text.parse::<CredentialName>() {
        harmless(&name.to_string());
    }
    if let Ok(name) = text.parse::<ProfileName>() {
        harmless(&name.to_string());
        assert!(!name.to_string().contains('/'));
    }
    if let Ok(kind) = text.parse::<ActionKind>() {
        harmless(&kind.to_string());
    }
    if let Some(id) = VmId::parse(text) {
        assert_eq!(VmId::parse(id.as_str()), Some(id));
    }
    assert!(is_well_formed(text) <= text.is_ascii());
    assert!(shown_prefix(text).chars().count() <= 8);
}

fn word<T>(text: &str)
where
    T: std::str::FromStr<Err = HostSpecError> + std::fmt::Display + PartialEq + std::fmt::Debug,
{
    match text.parse::<T>() {
        Ok(read) => {
            let written = read.to_string();
            harmless(&written);
            assert_eq!(written.parse::<T>().ok(), Some(read), "{written:?}");
        }
        Err(error) => said(&error.to_string()),
    }
}

/// Keys of the configuration: each reads back as it was.
pub(super) fn key_bindings(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for word in text.split('\n').take(16) {
        match word.parse::<KeyPress>() {
            Ok(key) => {
                let written = key.to_string();
                harmless(&written);
                assert_eq!(written.parse::<KeyPress>(), Ok(key));
                harmless(&key.sign());
            }
            Err(error) => said(&error.to_string()),
        }
    }
}

/// A theme file.
pub(super) fn theme(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for depth in [ColourDepth::Full, ColourDepth::Sixteen, ColourDepth::None] {
        if let Err(error) = Theme::parse(text, depth) {
            said(&error.to_string());
        }
    }
}

/// A line with a public key, as a person pastes it.
pub(super) fn public_key(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(key) = host_key::read(&text) {
        harmless(&key.to_string());
        assert!(text.contains(&key.base64) && text.contains(&key.algorithm));
    }
}

/// An answer of a host that is to be shared: known names are gone from it.
pub(super) fn recording(data: &[u8]) {
    let parts = parts(data);
    let of = |index: usize| {
        let part = parts.get(index).copied().unwrap_or_default();
        String::from_utf8_lossy(part).into_owned()
    };
    let mut redactor = Redactor::new(Private {
        hosts: vec!["kvm1.example.org".to_owned()],
        users: vec!["annabelle".to_owned()],
        vms: vec![of(1)],
        between: vec![("<title>", "</title>")],
        ..Private::default()
    });
    let text = of(0);
    let text = format!("{text} KVM1.example.org annabelle {text}");
    let redacted = redactor.text(&text);
    assert!(redacted.len() <= 64 * (text.len() + 64));
    for private in [" KVM1.example.org ", " annabelle "] {
        assert!(!redacted.contains(private), "{redacted:?}");
    }
    redactor.value("name", &text);
}

/// Arguments of a command for a POSIX shell: split again by its rules they are what they were.
pub(super) fn quoting(data: &[u8]) {
    let words: Vec<String> = parts(data)
        .iter()
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect();
    let command = RemoteCommand::posix("virsh").args(words.iter().map(String::as_str));
    match quote::render(&command) {
        Ok(line) => {
            let mut expected = vec!["virsh".to_owned()];
            expected.extend(words);
            assert_eq!(posix_words(&line), expected, "{line:?}");
        }
        Err(error) => {
            assert_eq!(
                error,
                QuoteError::Nul {
                    what: "an argument"
                }
            );
            assert!(words.iter().any(|word| word.contains('\0')));
        }
    }
}

/// Splits a command line by the rules of POSIX (Shell Command Language, 2.2), as far as they reach for a
/// line in which nothing may be expanded; anything else that means something to a shell is a mistake.
fn posix_words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut chars = line.chars();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        let Some(word) = words.last_mut() else { break };
        match c {
            '\'' => quoted = !quoted,
            c if quoted => word.push(c),
            '\\' => word.extend(chars.next()),
            ' ' => words.push(String::new()),
            c => {
                let is_plain = c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
                assert!(is_plain, "{c:?} is not quoted in {line:?}");
                word.push(c);
            }
        }
    }
    assert!(!quoted, "{line:?}");
    words
}

/// Arguments of the program, one a line.
pub(super) fn command_line(data: &[u8]) {
    let own = OsString::from("vmdeck");
    let words = data.split(|byte| *byte == b'\n').take(12);
    let words = words.map(|word| OsString::from_vec(word.to_vec()));
    if let Err(error) = cli::parse(std::iter::once(own).chain(words)) {
        assert!(!error.message.is_empty() && error.text.len() <= 64 * 1024 + 4 * data.len());
    }
}

/// The database of the older portal.
pub(super) fn old_portal(data: &[u8]) {
    let Ok(folder) = Scratch::new(data) else {
        return;
    };
    match OldPortal::read(&folder.file) {
        Ok(found) => {
            for why in &found.unreadable {
                said(why);
            }
            assert!(found.users.len() <= data.len() && found.agents.len() <= data.len());
        }
        Err(error) => told(&error),
    }
}

/// A file of a target's own, gone when it has been looked at.
struct Scratch {
    file: std::path::PathBuf,
}

impl Scratch {
    fn new(data: &[u8]) -> std::io::Result<Self> {
        let name = format!(
            "vmdeck-fuzz-{}-{:016x}",
            std::process::id(),
            rand::random::<u64>()
        );
        let file = std::env::temp_dir().join(name);
        let mut open = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&file)?;
        open.write_all(data)?;
        Ok(Self { file })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.file));
    }
}

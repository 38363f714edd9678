//! A VM's definition as text, and the change of it by hand: what was read, what is wanted, how the two differ, and
//! whether what is read back holds it. Passwords never come as far as this unless a person has typed a new one; those
//! are hidden in everything that is shown. Nothing here knows which language the text is written in, but for that.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use similar::{ChangeTag, TextDiff};

use super::text::{RemoteText, is_hostile};
use super::vm::PowerState;

/// Bytes of a definition that are taken for meant; a large VM has some 20 KB.
pub const MAX_DEFINITION: usize = 1024 * 1024;

/// What stands in a definition in place of a password that its host keeps. Where it still stands after the change,
/// the password stays as it is. Longer than the eight characters that VNC takes.
pub const KEPT: &str = "*** kept ***";

/// What is shown in place of a password that was typed.
const HIDDEN: &str = "*** new ***";

/// The attribute whose value is nobody's business: <https://libvirt.org/formatdomain.html#graphical-framebuffers>.
const PASSWORD: &str = "passwd";

/// Lines that are shown around each difference.
const AROUND: usize = 3;

/// How long the shortest difference is looked for; after that any that is right will do.
const LOOKING: Duration = Duration::from_millis(500);

/// Lines that a note about what was kept otherwise spells out.
const SPELT: usize = 3;

/// Columns of each of them.
const COLUMNS: usize = 80;

/// A definition. Its words are shown by those who mean to, never by accident.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DefinitionText(Arc<str>);

impl fmt::Debug for DefinitionText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<definition of {} bytes>", self.0.len())
    }
}

impl DefinitionText {
    /// Takes text as its host has written it, its passwords hidden already.
    pub fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// Takes what somebody has written. Tells why it is no definition at all: nothing in it, too much, no text.
    pub fn written(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAX_DEFINITION {
            return Err("it is larger than 1 MiB, which no definition is".to_owned());
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|error| format!("it is not UTF-8: byte {} is wrong", error.valid_up_to()))?;
        if text.trim().is_empty() {
            return Err("it is empty".to_owned());
        }
        let mut lines = without_references(text.replace("\r\n", "\n").trim_end());
        lines.push('\n');
        Ok(Self(Arc::from(lines)))
    }

    /// Returns it for a file, an editor or a terminal: what is invisible or acts on a terminal stands there as a
    /// character reference (<https://www.w3.org/TR/xml/#sec-references>). [`Self::written`] takes back a text that
    /// [`Self::is_as`] this one.
    pub fn to_file(&self) -> String {
        let mut out = String::with_capacity(self.0.len());
        for c in self.0.chars() {
            if is_hostile(c) && !matches!(c, '\t' | '\n') {
                out.extend(format!("&#x{:x};", u32::from(c)).chars());
            } else {
                out.push(c);
            }
        }
        out
    }

    /// Lends the words.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true when both say the same, but for blanks at the ends of lines; also when they do so in a file, where
    /// the end of a line of another system is written as a reference.
    pub fn is_as(&self, other: &Self) -> bool {
        let same = |one: &str, other: &str| {
            let lines = |text| str::lines(str::trim_end(text)).map(str::trim_end);
            lines(one).eq(lines(other))
        };
        same(&self.0, &other.0) || same(&self.to_file(), &other.to_file())
    }
}

/// One line of a difference.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DiffLine {
    /// `+` and `-` as in every unified difference, a blank for what is around, `@` for a place.
    pub mark: char,
    /// The line, without its mark.
    pub text: RemoteText,
}

/// A difference, as it may be shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Diff {
    /// Its lines.
    pub lines: Vec<DiffLine>,
    /// Lines that come.
    pub added: usize,
    /// Lines that go.
    pub removed: usize,
}

impl Diff {
    fn of(was: &str, wanted: &str) -> Self {
        let mut found = Self::default();
        let diff = TextDiff::configure()
            .timeout(LOOKING)
            .diff_lines(was, wanted);
        for hunk in diff.unified_diff().context_radius(AROUND).iter_hunks() {
            found.push('@', &hunk.header().to_string());
            for change in hunk.iter_changes() {
                let mark = match change.tag() {
                    ChangeTag::Equal => ' ',
                    ChangeTag::Insert => '+',
                    ChangeTag::Delete => '-',
                };
                found.push(mark, change.value());
            }
        }
        found
    }

    fn push(&mut self, mark: char, line: &str) {
        self.added += usize::from(mark == '+');
        self.removed += usize::from(mark == '-');
        let line = line.trim_end().replace('\t', "    ");
        let text = RemoteText::new(&line);
        self.lines.push(DiffLine { mark, text });
    }

    /// Returns it as text: one line each, with its mark.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            if line.mark != '@' {
                text.push(line.mark);
            }
            text.push_str(line.text.shown());
            text.push('\n');
        }
        text
    }
}

/// A change of a VM's definition by hand. It holds for exactly what was read: where the host tells something else
/// right before it, nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DefineRequest {
    /// What was read.
    pub was: DefinitionText,
    /// What is wanted.
    pub wanted: DefinitionText,
    /// What the VM was doing: what runs goes on as it is.
    pub state: PowerState,
    diff: Arc<Diff>,
    /// What it takes back of what others have changed meanwhile, a line each.
    undone: Vec<String>,
}

impl DefineRequest {
    /// Makes one; `None` where nothing is changed.
    pub fn new(was: DefinitionText, wanted: DefinitionText, state: PowerState) -> Option<Self> {
        if was.is_as(&wanted) {
            return None;
        }
        let diff = Diff::of(&shown(was.as_str()), &shown(wanted.as_str()));
        let diff = Arc::new(diff);
        Some(Self {
            was,
            wanted,
            state,
            diff,
            undone: Vec::new(),
        })
    }

    /// Says of which definition the wanted one was made, where the host had another one by the time it was read: what
    /// others have changed in between and the wanted one does not hold is told as taken back.
    #[must_use]
    pub fn made_of(mut self, base: &DefinitionText) -> Self {
        let texts = [base, &self.was, &self.wanted];
        let [base, was, wanted] = texts.map(|text| with_passwords(text.as_str(), |_| KEPT));
        self.undone = not_held(&base, &was, &wanted)
            .into_iter()
            .map(|(mark, line)| {
                let what = if mark == '+' { "goes" } else { "comes back" };
                format!("takes back what was changed on the host meanwhile: `{line}` {what}")
            })
            .collect();
        self
    }

    /// Returns how the two differ, passwords hidden.
    pub fn diff(&self) -> &Diff {
        &self.diff
    }

    /// Says in a few words what is changed: `definition, +2 -1 lines`.
    pub fn summary(&self) -> String {
        let Diff { added, removed, .. } = self.diff();
        format!("definition, +{added} -{removed} lines")
    }

    /// Says that it has changed since it was read, where it has.
    pub fn difference(&self, now: &DefinitionText) -> Option<String> {
        (!self.was.is_as(now))
            .then(|| "its definition has been changed since it was read".to_owned())
    }

    /// Says what comes into effect only later, where that is so.
    pub fn later(&self) -> Option<&'static str> {
        (self.state != PowerState::Stopped)
            .then_some("changed in the definition; in effect after the VM was off")
    }

    /// Says what it means for those who use the VM.
    pub fn consequences(&self) -> Vec<String> {
        let mut all: Vec<String> = self.later().map(str::to_owned).into_iter().collect();
        let passwords = |text: &DefinitionText| passwords(text.as_str()).len();
        if passwords(&self.wanted) < passwords(&self.was) {
            all.push("the password of a display is taken away".to_owned());
        }
        let more = self.undone.len().saturating_sub(SPELT);
        all.extend(self.undone.iter().take(SPELT).cloned());
        if more > 0 {
            all.push(format!(
                "and {more} more lines of what was changed meanwhile"
            ));
        }
        all
    }

    /// Says in which way what is read back is not what was wanted; `None` where it holds it. A host writes a
    /// definition in its own words and adds what it has decided by itself, so only those lines count that were
    /// changed: each that came is there, each that went is gone.
    pub fn kept_otherwise(&self, now: &DefinitionText) -> Option<String> {
        let [was, wanted, now] =
            [&self.was, &self.wanted, now].map(|text| with_passwords(text.as_str(), |_| KEPT));
        if was == wanted {
            return Some(
                "the host took it; whether a password is the new one cannot be read back"
                    .to_owned(),
            );
        }
        if was.trim_end() == now.trim_end() {
            return Some(
                "the host took it, and its definition reads as it did before: what was changed is \
                 not kept"
                    .to_owned(),
            );
        }
        let mut otherwise: Vec<String> = not_held(&was, &wanted, &now)
            .into_iter()
            .map(|(mark, line)| {
                let what = if mark == '+' {
                    "not there"
                } else {
                    "still there"
                };
                format!("{what}: `{line}`")
            })
            .collect();
        let more = otherwise.len().saturating_sub(SPELT);
        otherwise.truncate(SPELT);
        if more > 0 {
            otherwise.push(format!("and {more} more"));
        }
        (!otherwise.is_empty()).then(|| format!("{IN_OTHER_WORDS} ({})", otherwise.join("; ")))
    }
}

/// How what a host did not keep as it was written is told, before the lines themselves.
const IN_OTHER_WORDS: &str = "the host took it and keeps some of it in other words";

/// Returns what may be written down of what [`DefineRequest::kept_otherwise`] tells: lines of a definition
/// may hold anything, and are for whoever wrote them.
pub fn without_lines(told: &str) -> &str {
    if told.starts_with(IN_OTHER_WORDS) {
        IN_OTHER_WORDS
    } else {
        told
    }
}

/// Puts the characters themselves where [`DefinitionText::to_file`] has written references. One to a line end or a tab
/// stays: XML reads those otherwise than the characters.
fn without_references(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("&#x") {
        out.push_str(before);
        let behind = after.trim_start_matches(|c: char| c.is_ascii_hexdigit());
        let meant = after.strip_suffix(behind).and_then(|digits| {
            let c = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
            let behind = behind.strip_prefix(';')?;
            (is_hostile(c) && c >= '\u{7f}').then_some((c, behind))
        });
        if let Some((c, behind)) = meant {
            out.push(c);
            rest = behind;
        } else {
            out.push_str("&#x");
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// Returns the changed lines from one text to the next which a third one does not hold: each with `+` that came and is
/// not there, with `-` that went and is there all the same. Lines are counted, wherever they stand.
fn not_held(was: &str, wanted: &str, now: &str) -> Vec<(char, String)> {
    // As in a file, so that what an editor gave back is the same as what it was given.
    let [was, wanted, now] = [was, wanted, now].map(|text| DefinitionText::new(text).to_file());
    let (wanted_lines, now_lines) = (times_of_lines(&wanted), times_of_lines(&now));
    let mut found = Vec::new();
    let diff = TextDiff::configure()
        .timeout(LOOKING)
        .diff_lines(&was, &wanted);
    for change in diff.iter_all_changes() {
        let words = change.value().trim();
        let times = |all: &HashMap<&str, usize>| all.get(words).copied().unwrap_or(0);
        let (mark, missed) = match change.tag() {
            ChangeTag::Insert => ('+', times(&now_lines) < times(&wanted_lines)),
            ChangeTag::Delete => ('-', times(&now_lines) > times(&wanted_lines)),
            ChangeTag::Equal => continue,
        };
        if missed && !words.is_empty() {
            found.push((mark, RemoteText::new(words).fit(COLUMNS)));
        }
    }
    found
}

/// Counts how often each line stands in a text, whatever is around it.
fn times_of_lines(text: &str) -> HashMap<&str, usize> {
    let mut times = HashMap::new();
    for line in text.lines() {
        *times.entry(line.trim()).or_default() += 1;
    }
    times
}

/// A definition as it may be shown.
fn shown(text: &str) -> String {
    with_passwords(text, |value| if value == KEPT { KEPT } else { HIDDEN })
}

/// Writes something else in place of every password.
fn with_passwords(text: &str, instead: impl Fn(&str) -> &'static str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(PASSWORD) {
        out.push_str(before);
        out.push_str(PASSWORD);
        rest = after;
        let begun = before.ends_with(|c: char| c.is_whitespace());
        let Some(value) = after.trim_start().strip_prefix('=').map(str::trim_start) else {
            continue;
        };
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (true, Some(quote)) = (begun, quote) else {
            continue;
        };
        let inner = value.strip_prefix(quote).unwrap_or_default();
        // One that does not end hides everything behind it: it is no XML, and may hold a password all the same.
        let (value, behind) = inner.split_once(quote).unwrap_or((inner, ""));
        out.push('=');
        out.push(quote);
        out.push_str(instead(value));
        out.push(quote);
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// Returns the passwords that were typed: for those who make sure that nobody repeats them.
pub fn typed_passwords(text: &str) -> Vec<String> {
    let typed = |value: &String| value != KEPT && !value.is_empty();
    passwords(text).into_iter().filter(typed).collect()
}

fn passwords(text: &str) -> Vec<String> {
    let found = std::cell::RefCell::new(Vec::new());
    drop(with_passwords(text, |value| {
        found.borrow_mut().push(value.to_owned());
        HIDDEN
    }));
    found.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAS: &str = "<domain>\n  <name>web-1</name>\n  <vcpu>2</vcpu>\n  <devices>\n    \
        <graphics type='vnc' passwd='*** kept ***'/>\n  </devices>\n</domain>\n";

    fn request(wanted: &str) -> DefineRequest {
        let wanted = DefinitionText::written(wanted.as_bytes()).unwrap();
        DefineRequest::new(DefinitionText::new(WAS), wanted, PowerState::Stopped).unwrap()
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        let large = vec![b'x'; MAX_DEFINITION + 1];
        for (bytes, why) in [
            (&b" \n\t"[..], "empty"),
            (b"<a>\xff</a>", "byte 3"),
            (&large, "larger than 1 MiB"),
        ] {
            let said = DefinitionText::written(bytes).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
        let dos = DefinitionText::written(b"<a>\r\n</a>").unwrap();
        assert_eq!(dos.as_str(), "<a>\n</a>\n");
    }

    #[test]
    fn what_is_written_into_a_file_is_read_from_it_as_it_was() {
        let long = "x".repeat(20_000);
        let text = format!(
            "<domain>\n\t<title>\u{202e}a\u{200b}b&#13;&#x9;&#xzz;&#x+200b;&#x;&#x200d &#x41;\u{7f}e\u{301}\u{fe0f}</title>\n{long}\n</domain>\n"
        );
        let definition = DefinitionText::new(&text);
        let file = definition.to_file();
        assert!(file.contains(
            "\t<title>&#x202e;a&#x200b;b&#13;&#x9;&#xzz;&#x+200b;&#x;&#x200d &#x41;&#x7f;e\u{301}&#xfe0f;<"
        ));
        assert!(
            !file
                .chars()
                .any(|c| is_hostile(c) && !matches!(c, '\t' | '\n'))
        );
        assert_eq!(
            DefinitionText::written(file.as_bytes()).unwrap(),
            definition
        );
    }

    #[test]
    fn blanks_at_the_ends_of_lines_are_no_change() {
        let same = WAS.replace("</name>\n", "</name>  \r\n") + "\n\n";
        let same = DefinitionText::written(same.as_bytes()).unwrap();
        let was = DefinitionText::new(WAS);
        assert_eq!(DefineRequest::new(was, same, PowerState::Stopped), None);
    }

    #[test]
    fn a_difference_has_its_lines_with_those_around_and_hides_what_acts_on_a_terminal() {
        let request = request(&WAS.replace("<vcpu>2", "<vcpu>\u{1b}[2J4"));
        let diff = request.diff();
        assert_eq!((diff.added, diff.removed), (1, 1));
        assert_eq!(
            diff.text(),
            "@@ -1,6 +1,6 @@\n <domain>\n   <name>web-1</name>\n-  <vcpu>2</vcpu>\n\
             +  <vcpu>\u{241b}[2J4</vcpu>\n   <devices>\n     \
             <graphics type='vnc' passwd='*** kept ***'/>\n   </devices>\n"
        );
        assert_eq!(request.summary(), "definition, +1 -1 lines");
    }

    #[test]
    fn a_password_that_was_typed_is_shown_nowhere() {
        for typed in [
            "passwd='s3cret'",
            "passwd = \"s3cret\"",
            "passwd\n=\n's3cret'",
            "passwd='s3cret",
        ] {
            let request = request(&WAS.replace("passwd='*** kept ***'", typed));
            let diff = request.diff();
            assert!(!diff.text().contains("s3cret"), "{}", diff.text());
            assert!(diff.added > 0, "the change itself is seen");
            assert!(!format!("{request:?}").contains("s3cret"));
            let found = typed_passwords(request.wanted.as_str());
            assert!(found[0].starts_with("s3cret"), "{found:?}");
        }
        assert!(typed_passwords(WAS).is_empty());
        assert_eq!(
            shown("<x passwdValidTo='1' passwd/>"),
            "<x passwdValidTo='1' passwd/>"
        );
    }

    #[test]
    fn what_the_host_adds_is_no_harm_and_what_it_leaves_out_is_told() {
        let request = request(&WAS.replace("<vcpu>2</vcpu>", "<vcpu>4</vcpu>\n  <title>a</title>"));
        let taken = |text: &str| request.kept_otherwise(&DefinitionText::new(text));
        // Its own order, and an address of its own.
        let own = WAS.replace(
            "<vcpu>2</vcpu>",
            "<title>a</title>\n  <address slot='3'/>\n  <vcpu>4</vcpu>",
        );
        assert_eq!(taken(&own), None);
        assert!(taken(WAS).unwrap().contains("as it did before"));
        let half = taken(&WAS.replace("<vcpu>2", "<vcpu placement='static'>4")).unwrap();
        assert!(
            half.contains("not there: `<vcpu>4</vcpu>`") && half.contains("<title>a</title>"),
            "{half}"
        );
        let back = taken(&own.replace("</domain>", "<vcpu>2</vcpu></domain>")).is_none();
        assert!(back, "another line");
        let still = taken(&own.replace("<vcpu>4</vcpu>", "<vcpu>4</vcpu>\n<vcpu>2</vcpu>"));
        assert!(still.unwrap().contains("still there: `<vcpu>2</vcpu>`"));
    }

    #[test]
    fn line_ends_of_another_system_survive_an_editor() {
        for text in ["<a>\r\n</a>\n", "<a>b\rc</a>\n"] {
            let was = DefinitionText::new(text);
            let same = DefinitionText::written(was.to_file().as_bytes()).unwrap();
            let none = DefineRequest::new(was.clone(), same, PowerState::Stopped);
            assert_eq!(none, None, "{text:?}");
            let other = was.to_file().replace("<a>", "<a>\n<b/>\n");
            let other = DefinitionText::written(other.as_bytes()).unwrap();
            let request = DefineRequest::new(was, other, PowerState::Stopped).unwrap();
            let taken = DefinitionText::new(&text.replace("<a>", "<a>\n<b/>\n"));
            assert_eq!(request.kept_otherwise(&taken), None, "{text:?}");
        }
    }

    #[test]
    fn lines_that_are_shown_otherwise_are_missed_as_they_are() {
        let long = format!("<arg value='{}'/>", "x".repeat(9_000));
        for line in ["<title>db\tprimary</title>", &long] {
            let with = WAS.replace("</domain>", &format!("  {line}\n</domain>"));
            let with = with.replace("<vcpu>2", "<vcpu>4");
            let without = WAS.replace("<vcpu>2", "<vcpu>4");
            let told = request(&with).kept_otherwise(&DefinitionText::new(&without));
            assert!(told.unwrap().contains("not there: `<"), "{line}");
            assert_eq!(
                request(&with).kept_otherwise(&DefinitionText::new(&with)),
                None
            );
        }
    }

    #[test]
    fn no_line_of_a_definition_is_written_down() {
        let wanted = WAS.replace("<vcpu>2", "<env secret=\"hunter2\"/><vcpu>2");
        let now = DefinitionText::new(&WAS.replace("web-1", "web-2"));
        let said = request(&wanted).kept_otherwise(&now).unwrap();
        assert!(said.contains("hunter2"), "{said}");
        assert_eq!(without_lines(&said), IN_OTHER_WORDS);
    }

    #[test]
    fn a_password_alone_is_not_claimed_to_be_seen() {
        let request = request(&WAS.replace(KEPT, "new"));
        let said = request.kept_otherwise(&DefinitionText::new(WAS)).unwrap();
        assert!(said.contains("cannot be read back"), "{said}");
        assert_eq!(without_lines(&said), said);
    }

    #[test]
    fn a_definition_that_moved_on_is_a_conflict() {
        let request = request(&WAS.replace("<vcpu>2", "<vcpu>4"));
        assert_eq!(request.difference(&DefinitionText::new(WAS)), None);
        let other = DefinitionText::new(&WAS.replace("<vcpu>2", "<vcpu>3"));
        assert!(request.difference(&other).is_some());
    }

    #[test]
    fn what_others_changed_meanwhile_and_would_be_taken_back_is_told() {
        let now = WAS.replace("<vcpu>2</vcpu>", "<vcpu>3</vcpu>\n  <title>theirs</title>");
        let wanted = WAS.replace(
            "<vcpu>2</vcpu>",
            "<vcpu>2</vcpu>\n  <on_crash>restart</on_crash>",
        );
        let anew = |wanted: &str| {
            let [now, wanted] = [now.as_str(), wanted].map(DefinitionText::new);
            let request = DefineRequest::new(now, wanted, PowerState::Stopped).unwrap();
            request.made_of(&DefinitionText::new(WAS))
        };
        let told = anew(&wanted).consequences().join("\n");
        for line in [
            "`<vcpu>2</vcpu>` comes back",
            "`<vcpu>3</vcpu>` goes",
            "`<title>theirs</title>` goes",
        ] {
            assert!(told.contains(line), "{line}: {told}");
        }
        assert!(!told.contains("on_crash"), "{told}");
        // Who has put it into the text as well takes nothing back.
        let both = now.replace("</title>", "</title>\n  <on_crash>restart</on_crash>");
        assert_eq!(anew(&both).consequences(), [""; 0]);
    }
}

//! A definition that a person has written: how it is read with its passwords hidden, what is refused before anything
//! is sent, and how the passwords come back right before it is. `virsh define` reads it from standard input, so that
//! nothing is left on the host: <https://libvirt.org/manpages/virsh.html#define>. Decides nothing but that.

use std::cmp::Reverse;
use std::ops::Range;
use std::time::Duration;

use roxmltree::{Document, Node};

use super::command::{Line, Virsh};
use super::definition::{bounded, child, parsed, parsed_exactly};
use super::kept::Reply;
use super::parse::Misshapen;
use super::verdict::{judge_said, unparsable};
use super::worker::{Patience, Worker};
use crate::domain::definition::{DefineRequest, DefinitionText, KEPT, typed_passwords};
use crate::domain::error_kind::ErrorKind;
use crate::domain::remote_command::RemoteCommand;
use crate::domain::text::RemoteText;
use crate::domain::vm::VmId;
use crate::hypervisor::HypervisorError;

/// How long both questions may take.
const WITHIN: Duration = Duration::from_secs(8);

/// The attribute that libvirt tells only where secrets are asked for.
const PASSWORD: &str = "passwd";

/// What it leaves out along with it.
const ALONG: [&str; 3] = [PASSWORD, "passwdValidTo", "connected"];

/// What stands for the text in the command; the file is what the channel brings.
const FROM_STDIN: &str = "/dev/stdin";

/// Reads the definition that libvirt keeps, passwords hidden.
pub(super) async fn read(worker: &Worker, vm: &VmId) -> Result<DefinitionText, HypervisorError> {
    let lines = [
        Line::about("dumpxml", vm).with("--inactive"),
        secrets_too(vm),
    ];
    let replies = worker.ask(&lines, WITHIN, Patience::Expects).await?;
    let [plain, secure] = [text(worker, &replies, 0)?, text(worker, &replies, 1)?];
    match hidden(&plain, &secure).map_err(|problem| unparsable(&problem))? {
        Some(text) => Ok(DefinitionText::new(&text)),
        None => Err(refused(
            ErrorKind::Refused,
            "libvirt keeps something secret in this definition that is no password of a display",
            "",
            "change it on the host: `virsh edit`",
        )),
    }
}

fn secrets_too(vm: &VmId) -> Line {
    Line::about("dumpxml", vm).with("--inactive --security-info")
}

fn text(worker: &Worker, replies: &[Reply], at: usize) -> Result<String, HypervisorError> {
    let missing = || unparsable(&Misshapen::new("an answer is missing", b""));
    let reply = replies.get(at).ok_or_else(missing)?;
    if let Some(said) = &reply.failure {
        return Err(judge_said(worker.virsh(), said.clone()));
    }
    let text = bounded(&reply.stdout).map_err(|problem| unparsable(&problem))?;
    Ok(text.trim().to_owned())
}

/// Hides the passwords; `None` where the two tell apart by more than those.
fn hidden(plain: &str, secure: &str) -> Result<Option<String>, Misshapen> {
    let bare = |text: &str| -> Result<String, Misshapen> {
        let document = parsed(text)?;
        let all = document.descendants().flat_map(|node| {
            let along = ALONG.into_iter();
            along.filter_map(move |name| Some(node.attribute_node(name)?.range()))
        });
        let without = spliced(text, all.map(|range| (range, String::new())).collect());
        Ok(without.split_whitespace().collect())
    };
    if bare(plain)? != bare(secure)? {
        return Ok(None);
    }
    let document = parsed(secure)?;
    let all = document
        .descendants()
        .filter_map(|node| Some(node.attribute_node(PASSWORD)?.range_value()));
    let mut text = spliced(secure, all.map(|range| (range, KEPT.to_owned())).collect());
    text.push('\n');
    Ok(Some(text))
}

/// Writes something else in place of some ranges of a text.
fn spliced(text: &str, mut all: Vec<(Range<usize>, String)>) -> String {
    all.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (range, instead) in all {
        out.push_str(text.get(at..range.start).unwrap_or_default());
        out.push_str(&instead);
        at = range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// Builds the command; refuses what is no definition of this very VM.
pub(super) fn command(
    virsh: &Virsh,
    vm: &VmId,
    request: &DefineRequest,
    life: Duration,
) -> Result<RemoteCommand, HypervisorError> {
    let (was, wanted) = (request.was.as_str(), request.wanted.as_str());
    let now = well_formed(wanted)?;
    let then = well_formed(was)?;
    let said = |document: &Document<'_>, name| {
        let node = child(document.root_element(), name)?;
        Some(node.text().unwrap_or_default().trim().to_owned())
    };
    let root = now.root_element().tag_name().name();
    if root != "domain" {
        let what = format!("its outermost element is {}, not domain", brief(root));
        return Err(refused(
            ErrorKind::Usage,
            &what,
            "",
            "keep the outermost element",
        ));
    }
    let id = said(&now, "uuid").map(|id| id.to_ascii_lowercase());
    if id.as_deref() != Some(vm.as_str()) {
        let what = match id {
            Some(id) => format!("its uuid is {}, that of another VM", brief(&id)),
            None => "its uuid is gone".to_owned(),
        };
        let fix = "keep the uuid: it says which VM it is. A new VM is defined on the host";
        return Err(refused(ErrorKind::Refused, &what, "", fix));
    }
    let (name, old) = (said(&now, "name"), said(&then, "name"));
    if name != old {
        let old = brief(old.as_deref().unwrap_or_default());
        let what = match name {
            Some(name) => format!("its name is {} now; it was {old}", brief(&name)),
            None => format!("its name, {old}, is gone"),
        };
        let fix = "keep the name. A VM is renamed on the host: `virsh domrename`";
        return Err(refused(ErrorKind::Refused, &what, "", fix));
    }
    let command = virsh.kept().args(["define", "--validate", FROM_STDIN]);
    Ok(command.stdin(wanted).life(life))
}

fn brief(text: &str) -> String {
    RemoteText::new(text).fit(60)
}

fn well_formed(text: &str) -> Result<Document<'_>, HypervisorError> {
    let fix = "nothing was sent; open the editor again";
    bounded(text.as_bytes()).map_err(|problem| refused(ErrorKind::Usage, problem.what, "", fix))?;
    parsed_exactly(text).map_err(|error| {
        let line = error.pos().row;
        let what = format!("line {line} is not well-formed XML");
        // A part of a password may stand where the reader has stopped.
        let said = if typed_passwords(text).is_empty() {
            error.to_string()
        } else {
            format!("column {}", error.pos().col)
        };
        refused(ErrorKind::Usage, &what, &said, fix)
    })
}

fn refused(kind: ErrorKind, what: &str, said: &str, fix: &str) -> HypervisorError {
    HypervisorError::Refused {
        kind,
        what: what.to_owned(),
        said: RemoteText::new(said),
        fix: Some(fix.to_owned()),
    }
}

/// A command with everything in it that is sent.
pub(super) struct Whole {
    /// What is sent.
    pub(super) command: RemoteCommand,
    /// Those that are in it; `None` where it is no definition.
    passwords: Option<Vec<String>>,
}

impl Whole {
    /// Tells a refusal in all that the host has said about it, since only the last lines say what is wrong where;
    /// without the passwords that may be in there.
    pub(super) fn told(&self, error: HypervisorError, stderr: &[u8]) -> HypervisorError {
        let Some(passwords) = &self.passwords else {
            return error;
        };
        let HypervisorError::Remote {
            program, status, ..
        } = error
        else {
            return error;
        };
        let text = String::from_utf8_lossy(stderr);
        let mut all = String::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (between, line) = match line.strip_prefix("error: ") {
                Some(line) => (": ", line),
                None => ("; ", line),
            };
            if !all.is_empty() {
                all.push_str(between);
            }
            all.push_str(line);
        }
        HypervisorError::Remote {
            program,
            status,
            said: RemoteText::new(&without(&all, passwords)),
        }
    }
}

/// Fewest characters of a password that are looked for in what is said: fewer stand in every word.
const TELLING: usize = 3;

fn without(said: &str, passwords: &[String]) -> String {
    let telling = |password: &&String| password.chars().count() >= TELLING;
    let mut telling: Vec<&String> = passwords.iter().filter(telling).collect();
    // One may be a part of another.
    telling.sort_by_key(|password| Reverse(password.len()));
    let hidden = |said: String, password: &String| said.replace(password.as_str(), "<redacted>");
    telling.into_iter().fold(said.to_owned(), hidden)
}

/// Puts the passwords that the host keeps back into a definition that is sent; other commands stay as they are.
pub(super) async fn whole(
    worker: &Worker,
    command: &RemoteCommand,
) -> Result<Whole, HypervisorError> {
    let mut command = command.clone();
    let Some(text) = command.stdin.clone() else {
        return Ok(Whole {
            command,
            passwords: None,
        });
    };
    let wanted = bounded(&text).map_err(|problem| unparsable(&problem))?;
    let mut passwords = typed_passwords(&wanted);
    let document = well_formed(&wanted)?;
    let places: Vec<(String, Range<usize>)> = document
        .descendants()
        .filter_map(|node| {
            let password = node.attribute_node(PASSWORD)?;
            (password.value() == KEPT).then(|| (kind(node), password.range_value()))
        })
        .collect();
    if !places.is_empty() {
        let id = child(document.root_element(), "uuid").and_then(|node| node.text());
        let vm = VmId::parse(id.unwrap_or_default().trim());
        let vm = vm.ok_or_else(|| unparsable(&Misshapen::new("no uuid", b"")))?;
        let lines = [secrets_too(&vm)];
        let replies = worker.ask(&lines, WITHIN, Patience::Expects).await?;
        let kept = kept_passwords(&self::text(worker, &replies, 0)?)?;
        let filled = restored(&wanted, &places, &kept)?;
        command.stdin = Some(filled.into_bytes());
        passwords.extend(kept.into_iter().map(|(_, password)| password));
    }
    let passwords = Some(passwords);
    Ok(Whole { command, passwords })
}

/// What a password is of: `graphics vnc`.
fn kind(node: Node<'_, '_>) -> String {
    let kind = node.attribute("type").unwrap_or_default();
    format!("{} {kind}", node.tag_name().name())
}

/// Returns the passwords as they are written in a definition, each with what it is of.
fn kept_passwords(secure: &str) -> Result<Vec<(String, String)>, HypervisorError> {
    let document = parsed(secure).map_err(|problem| unparsable(&problem))?;
    let found = document.descendants().filter_map(|node| {
        let range = node.attribute_node(PASSWORD)?.range_value();
        Some((kind(node), secure.get(range)?.to_owned()))
    });
    Ok(found.collect())
}

/// Fills each place with the password of the same kind, in order. libvirt has one display of each kind; where there
/// should be several, as many places are filled as there are passwords, or none.
fn restored(
    wanted: &str,
    places: &[(String, Range<usize>)],
    kept: &[(String, String)],
) -> Result<String, HypervisorError> {
    let mut filled = Vec::new();
    for (at, (kind, range)) in places.iter().enumerate() {
        let of_kind = || kept.iter().filter(|(of, _)| of == kind);
        let wanted_of_kind = places.iter().filter(|(of, _)| of == kind).count();
        let before = places.iter().take(at).filter(|(of, _)| of == kind).count();
        let password = of_kind()
            .nth(before)
            .filter(|_| of_kind().count() == wanted_of_kind);
        let Some((_, password)) = password else {
            let what = format!("the host keeps no password for {}", brief(kind));
            let fix = format!("write the password itself in place of `{KEPT}`, or leave it out");
            return Err(refused(ErrorKind::Refused, &what, "", &fix));
        };
        filled.push((range.clone(), password.clone()));
    }
    Ok(spliced(wanted, filled))
}

#[cfg(test)]
mod tests {
    use super::super::worker::tests::spec;
    use super::*;
    use crate::domain::error_kind::Classify;
    use crate::domain::vm::PowerState;

    const ID: &str = "6c09bb55-d683-4da0-8931-c9bf705f6480";
    const PLAIN: &str = "<domain type='kvm'>\n  <name>web</name>\n  \
        <uuid>6c09bb55-d683-4da0-8931-c9bf705f6480</uuid>\n  <devices>\n    \
        <graphics type='vnc' port='-1'/>\n  </devices>\n</domain>";

    fn secure() -> String {
        PLAIN.replace(
            "port='-1'",
            "port='-1' passwd='a&lt;b&apos;c' passwdValidTo='2030-01-01T00:00:00'",
        )
    }

    fn asked(wanted: &str) -> Result<RemoteCommand, HypervisorError> {
        let was = DefinitionText::new(PLAIN);
        let wanted = DefinitionText::new(wanted);
        let request = DefineRequest::new(was, wanted, PowerState::Stopped).unwrap();
        let vm = VmId::parse(ID).unwrap();
        command(&Virsh::of(&spec()), &vm, &request, Duration::from_secs(60))
    }

    #[test]
    fn passwords_are_hidden_and_everything_else_is_as_it_is_kept() {
        let text = hidden(PLAIN, &secure()).unwrap().unwrap();
        assert!(!text.contains("a&lt;b"), "{text}");
        assert!(text.contains(&format!("passwd='{KEPT}' passwdValidTo='2030")));
        assert_eq!(hidden(PLAIN, PLAIN).unwrap().unwrap().trim(), PLAIN);
        let more = secure().replace("</devices>", "<key>secret</key></devices>");
        assert_eq!(hidden(PLAIN, &more).unwrap(), None);
    }

    #[test]
    fn passwords_come_back_as_they_were_written() {
        let kept = kept_passwords(&secure()).unwrap();
        let wanted = secure()
            .replace("a&lt;b&apos;c", KEPT)
            .replace("web", "w\u{e9}b");
        let document = parsed(&wanted).unwrap();
        let places = |text: &str| -> Vec<_> {
            let at = text.find(KEPT).unwrap();
            vec![("graphics vnc".to_owned(), at..at + KEPT.len())]
        };
        drop(document);
        let text = restored(&wanted, &places(&wanted), &kept).unwrap();
        assert_eq!(text, secure().replace("web", "w\u{e9}b"));
        let spice = vec![("graphics spice".to_owned(), 0..1)];
        let error = restored(&wanted, &spice, &kept).unwrap_err();
        assert!(error.to_string().contains("no password for graphics spice"));
        let twice = [places(&wanted), places(&wanted)].concat();
        assert!(restored(&wanted, &twice, &kept).is_err());
    }

    #[test]
    fn the_text_travels_on_standard_input_and_names_no_file() {
        let wanted = PLAIN.replace("port='-1'", "port='5901'");
        let command = asked(&wanted).unwrap();
        assert_eq!(
            command.shown_line(),
            "virsh -q -c qemu:///system define --validate /dev/stdin"
        );
        assert_eq!(command.stdin.unwrap(), wanted.as_bytes());
    }

    #[test]
    fn what_is_no_definition_of_this_vm_is_refused_with_the_reason() {
        for (from, to, kind, why) in [
            (
                "</devices>",
                "</device>",
                ErrorKind::Usage,
                "line 6 is not well-formed XML: ",
            ),
            (
                "<domain",
                "<!DOCTYPE x><domain",
                ErrorKind::Usage,
                "not well-formed",
            ),
            (
                ">web<",
                ">db<",
                ErrorKind::Refused,
                "its name is db now; it was web",
            ),
            (
                "  <name>web</name>\n",
                "",
                ErrorKind::Refused,
                "its name, web, is gone",
            ),
            (
                ID,
                "7c09bb55-d683-4da0-8931-c9bf705f6480",
                ErrorKind::Refused,
                "another VM",
            ),
            (ID, "", ErrorKind::Refused, "uuid"),
            ("domain", "network", ErrorKind::Usage, "not domain"),
        ] {
            let error = asked(&PLAIN.replace(from, to)).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
            assert_eq!(error.kind(), kind, "{error}");
        }
        let open = PLAIN.replace("port='-1'/>", "passwd='s3cret'<");
        let error = asked(&open).unwrap_err().to_string();
        assert!(
            error.contains("line 5") && !error.contains("s3cret"),
            "{error}"
        );
        let upper = PLAIN.replace(ID, &ID.to_uppercase()).replace("-1", "5901");
        assert!(asked(&upper).is_ok());
    }

    #[test]
    fn what_the_host_says_repeats_no_password() {
        let whole = Whole {
            command: RemoteCommand::posix("virsh"),
            passwords: Some(vec![
                "s3cret".to_owned(),
                "a".to_owned(),
                "s3cret2".to_owned(),
            ]),
        };
        let error = HypervisorError::Remote {
            program: "virsh".to_owned(),
            status: Some(1),
            said: RemoteText::new("x"),
        };
        let stderr =
            b"error: Failed to define\nerror: no schema\nbad value 's3cret' of a, not s3cret2\n\n";
        assert_eq!(
            whole.told(error, stderr).to_string(),
            "virsh said: Failed to define: no schema; bad value '<redacted>' of a, not <redacted>"
        );
    }

    #[test]
    fn what_is_wrong_beside_a_password_is_told_by_its_place() {
        let wrong = |password: &str| {
            let text = format!("<domain>\n<graphics passwd='{password}'/>\n</domain>");
            well_formed(&text).unwrap_err().to_string()
        };
        let said = wrong("hunter&hunter2;");
        assert!(
            said.contains("line 2 is not well-formed XML: column "),
            "{said}"
        );
        assert!(!said.contains("hunter"), "{said}");
        assert!(
            well_formed("<a>&hm;</a>")
                .unwrap_err()
                .to_string()
                .contains("hm")
        );
    }
}

//! A definition in a person's own editor: written into a file that is nobody else's, edited while the editor has the
//! terminal, read back. The file goes when its text was taken, or is as it was; what must not be lost stays in it.
//! What is done with the text is not decided here.

use std::path::PathBuf;

use super::event::Answer;
use super::own::OwnRun;
use crate::domain::definition::{DefinitionText, MAX_DEFINITION};
use crate::domain::error_kind::Failure;
use crate::domain::operation::{Outcome, Submission};
use crate::domain::text::RemoteText;
use crate::domain::vm::VmRef;
use crate::fleet::FleetHandle;
use crate::private_file::{self, PrivateFileError};
use crate::program;

/// What has the terminal for a while.
#[derive(Debug, PartialEq, Eq)]
pub enum Lending {
    /// A command of the operator's own.
    Own(Box<OwnRun>),
    /// The editor.
    Editor(Box<Draft>),
}

/// A definition that is being edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Of which VM.
    pub vm: VmRef,
    /// Its name.
    pub name: RemoteText,
    /// What was read.
    pub was: DefinitionText,
    /// Where the text is, once the editor was open.
    pub file: Option<PathBuf>,
    /// Whether its host may have another definition by now, so that it is read before the editor opens again.
    pub is_behind: bool,
    /// What the text was made of, where the host has had another definition since.
    pub made_of: Option<DefinitionText>,
}

/// How the editing ended.
#[derive(Debug)]
pub struct Edited {
    /// What was edited, with the file where the text is kept.
    pub draft: Draft,
    /// What came of it.
    pub end: EditEnd,
}

/// What came of the editing.
#[derive(Debug)]
pub enum EditEnd {
    /// Nothing: the text is as it was.
    Unchanged,
    /// Another definition.
    Written(DefinitionText),
    /// It was not edited, or not to its end.
    Stopped(Failure),
    /// What was written is no definition, and why.
    Unfit(String),
}

impl Draft {
    /// Begins with what was read.
    pub const fn new(vm: VmRef, name: RemoteText, was: DefinitionText) -> Self {
        Self {
            vm,
            name,
            was,
            file: None,
            is_behind: false,
            made_of: None,
        }
    }

    /// Goes on from what the host has now; the text stays.
    pub fn go_on_from(&mut self, now: DefinitionText) {
        let before = std::mem::replace(&mut self.was, now);
        self.is_behind = false;
        // What others have changed since the text was made counts, however often it was read in between.
        self.made_of.get_or_insert(before);
    }

    /// Says that nothing came of it, and where the text is kept, where it is.
    pub fn place(&self) -> String {
        match self.kept() {
            None => "Nothing was changed.".to_owned(),
            Some(kept) => format!("Nothing was changed; {kept}"),
        }
    }

    /// Says where the text is kept, where it is.
    pub fn kept(&self) -> Option<String> {
        let file = self.file.as_ref()?;
        let file = RemoteText::new(&file.display().to_string());
        Some(format!("your text is kept in {file}"))
    }

    /// Writes the file, unless it is there from before.
    fn write(&mut self) -> Result<PathBuf, PrivateFileError> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        // Short enough that the place is read whole where it is told.
        let name = format!("vmdeck-{:08x}", rand::random::<u32>());
        let directory = std::env::temp_dir().join(name);
        private_file::create_dir(&directory)?;
        // By its end an editor knows the language.
        let file = directory.join(format!("{}.xml", self.vm.vm.short()));
        private_file::write_new(&file, self.was.to_file().as_bytes())?;
        self.file = Some(file.clone());
        Ok(file)
    }

    /// Takes the file away, with what the editor has left beside it.
    fn forget(&mut self) {
        let file = self.file.take();
        if let Some(directory) = file.as_deref().and_then(std::path::Path::parent)
            && let Err(error) = std::fs::remove_dir_all(directory)
        {
            tracing::debug!(%error, "a draft could not be taken away");
        }
    }
}

/// Opens the editor, which has the terminal until it ends.
pub(super) async fn run(argv: &[String], mut draft: Draft) -> Edited {
    let file = match draft.write() {
        Ok(file) => file,
        Err(error) => {
            let end = EditEnd::Stopped(Failure::of(&error));
            return Edited { draft, end };
        }
    };
    let mut argv = argv.to_vec();
    argv.push(file.display().to_string());
    let ran = program::run_in_terminal(&argv, None).await;
    let written = read(&file);
    let is_same = matches!(&written, Ok(Ok(text)) if text.is_as(&draft.was));
    if is_same {
        draft.forget();
    }
    let end = match (ran, written) {
        (Err(error), _) => {
            let hint = "choose another editor with EDITOR, VISUAL or `tui.editor`";
            EditEnd::Stopped(Failure::of(&error).with_hint(hint))
        }
        (Ok(()), Err(error)) => EditEnd::Stopped(Failure::of(&error)),
        (Ok(()), Ok(Err(why))) => EditEnd::Unfit(why),
        (Ok(()), Ok(Ok(_))) if is_same => EditEnd::Unchanged,
        (Ok(()), Ok(Ok(text))) => EditEnd::Written(text),
    };
    Edited { draft, end }
}

/// Reads what was written. The editor may have put a file of its own in the place of ours: its directory keeps
/// others out.
fn read(file: &std::path::Path) -> Result<Result<DefinitionText, String>, PrivateFileError> {
    let most = u64::try_from(MAX_DEFINITION).unwrap_or(u64::MAX);
    match private_file::read_public(file, most) {
        Ok(bytes) => Ok(DefinitionText::written(&bytes)),
        Err(PrivateFileError::TooLarge { .. }) => Ok(Err(
            "it is larger than 1 MiB, which no definition is".to_owned(),
        )),
        Err(error) => Err(error),
    }
}

/// Something about the definition of a VM that the fleet is asked.
#[derive(Debug)]
pub enum DefineAsk {
    /// Read it.
    Read(u64, VmRef),
    /// Read it once more, for a text that was made of an older one.
    ReadAgain(u64, Box<Draft>),
    /// Hand in the plan of one that was written by hand, and wait for its end.
    HandIn(u64, Box<Submission>, Box<Draft>),
}

impl DefineAsk {
    /// Asks it.
    pub(super) async fn carry_out(self, handle: &FleetHandle) -> Answer {
        match self {
            Self::Read(ticket, vm) => {
                let read = handle.definition(vm.clone()).await;
                Answer::Definition(ticket, vm, read)
            }
            Self::ReadAgain(ticket, draft) => {
                let read = handle.definition(draft.vm.clone()).await;
                Answer::DefinitionAgain(ticket, draft, read)
            }
            Self::HandIn(ticket, submission, draft) => {
                define(handle, ticket, (*submission, *draft)).await
            }
        }
    }
}

/// Why a host did not take a definition.
#[derive(Debug)]
pub struct Undone {
    /// Why.
    pub cause: Failure,
    /// Whether it is sure that nothing was changed.
    pub surely: bool,
}

/// Hands in the plan of a draft and waits for its end; the file goes once the host has taken the text.
async fn define(
    handle: &FleetHandle,
    ticket: u64,
    (submission, mut draft): (Submission, Draft),
) -> Answer {
    let undone = |cause, surely| Err(Undone { cause, surely });
    let result = match handle.submit(submission).await {
        Err(cause) => undone(cause, true),
        Ok(operation) => match handle.outcome(&operation).await {
            Err(cause) => undone(cause, false),
            Ok(operation) => match operation.outcome.clone() {
                Some(Outcome::Refused { cause } | Outcome::Failed { cause }) => undone(cause, true),
                Some(Outcome::Unknown { cause }) => undone(cause, false),
                Some(Outcome::Confirmed | Outcome::Accepted { .. }) | None => {
                    draft.forget();
                    Ok(())
                }
            },
        },
    };
    Answer::Defined(ticket, Box::new(draft), result)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::testing::fleet;

    fn draft() -> Draft {
        let state = fleet::small();
        let host = &state.hosts[0];
        let vm = VmRef {
            host: host.spec.id,
            vm: host.vms()[0].id.clone(),
        };
        let was = DefinitionText::new("<domain>\n  <name>web</name>\n</domain>\n");
        Draft::new(vm, RemoteText::new("web"), was)
    }

    fn shell(script: &str) -> Vec<String> {
        ["sh", "-c", script, "sh"].map(str::to_owned).to_vec()
    }

    #[tokio::test]
    async fn what_is_written_is_read_back_from_a_file_that_is_nobody_elses() {
        let look = "test $(stat -c %a \"$1\") = 600 && test $(stat -c %a \"${1%/*}\") = 700 && \
                    sed -i s/web/db/ \"$1\"";
        let edited = run(&shell(look), draft()).await;
        let EditEnd::Written(text) = edited.end else {
            panic!("{:?}", edited.end);
        };
        assert!(text.as_str().contains("<name>db</name>"));
        let file = edited.draft.file.clone().unwrap();
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // Opened again, it goes on where it was left.
        let again = run(&shell("sed -i s/db/mail/ \"$1\""), edited.draft).await;
        let EditEnd::Written(text) = again.end else {
            panic!("{:?}", again.end);
        };
        assert!(text.as_str().contains("<name>mail</name>"));
        let mut draft = again.draft;
        draft.forget();
        assert!(!file.parent().unwrap().exists());
    }

    #[tokio::test]
    async fn what_is_not_changed_leaves_nothing_behind() {
        let edited = run(&shell("sed -i 's/$/  /' \"$1\""), draft()).await;
        assert!(matches!(edited.end, EditEnd::Unchanged), "{:?}", edited.end);
        assert_eq!(edited.draft.file, None);
    }

    #[tokio::test]
    async fn an_editor_that_fails_changes_nothing_and_loses_nothing() {
        let edited = run(&shell("echo new >\"$1\"; exit 3"), draft()).await;
        let EditEnd::Stopped(cause) = &edited.end else {
            panic!("{:?}", edited.end);
        };
        assert!(cause.message.contains('3'), "{}", cause.message);
        let mut kept = edited.draft;
        let file = kept.file.clone().unwrap();
        assert!(kept.place().contains(file.to_str().unwrap()));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "new\n");
        kept.forget();
        let none = run(&["/nowhere/at/all".to_owned()], draft()).await;
        assert!(matches!(none.end, EditEnd::Stopped(_)));
        assert_eq!(none.draft.file, None, "there is nothing to keep");
    }

    #[tokio::test]
    async fn what_is_no_text_is_refused_and_kept() {
        for script in [
            ": >\"$1\"",
            "printf '\\377' >\"$1\"",
            "head -c 1048577 /dev/zero | tr '\\0' x >\"$1\"",
        ] {
            let edited = run(&shell(script), draft()).await;
            assert!(matches!(edited.end, EditEnd::Unfit(_)), "{:?}", edited.end);
            let mut kept = edited.draft;
            assert!(kept.file.as_ref().unwrap().exists());
            kept.forget();
        }
    }
}

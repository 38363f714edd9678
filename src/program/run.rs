//! Runs one program: nothing to read, output bounded, ended in time with everything it has started.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::error::ProgramError;
use crate::domain::text::RemoteText;

/// Bytes of each of its two outputs that are kept; what comes after is read and dropped.
const OUTPUT: usize = 64 * 1024;

/// How long its outputs are still read when it has ended, and something that it started holds them open.
const AFTER: Duration = Duration::from_millis(300);

/// Variables of ours that lead to secrets: they are not for others.
const PRIVATE: [&str; 3] = ["VMDECK_PASSPHRASE_FILE", "API_KEY", "HMAC_SECRET"];

/// What a program did that ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// What it wrote, standard output before standard error, line by line.
    pub lines: Vec<RemoteText>,
}

/// Ends a program with everything it has started, unless it has ended by itself.
#[derive(Debug)]
struct Leash(Option<u32>);

impl Drop for Leash {
    fn drop(&mut self) {
        let pid = self.0.and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            // It may have ended in this moment.
            rustix::process::kill_process_group(pid, rustix::process::Signal::KILL)
                .unwrap_or_default();
        }
    }
}

/// A program that is about to be started as it stands, without what is private to us.
fn prepared(program: &str, arguments: &[String]) -> tokio::process::Command {
    #[expect(
        clippy::disallowed_methods,
        reason = "an argument list of the operator's, without a shell"
    )]
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).kill_on_drop(true);
    for name in PRIVATE {
        command.env_remove(name);
    }
    command
}

/// Runs a program that has the terminal until it ends, at most this long where that is said. It stays in
/// our process group: the terminal's keys reach it.
pub async fn run_in_terminal(
    argv: &[String],
    within: Option<Duration>,
) -> Result<(), ProgramError> {
    let (program, arguments) = argv.split_first().ok_or(ProgramError::Empty)?;
    let start = |source| ProgramError::Start {
        program: program.clone(),
        source,
    };
    let mut child = prepared(program, arguments).spawn().map_err(start)?;
    let status = match within {
        None => child.wait().await,
        Some(within) => {
            let ended = tokio::time::timeout(within, child.wait()).await;
            ended.map_err(|_elapsed| ProgramError::Late {
                program: program.clone(),
                after: within,
            })?
        }
    };
    let status = status.map_err(start)?;
    if status.success() {
        return Ok(());
    }
    Err(ProgramError::Failed {
        program: program.clone(),
        status: status.to_string(),
        said: "what it said was on the terminal".to_owned(),
        lines: Vec::new(),
    })
}

/// Runs a program to its end, at most this long; then it is ended with everything it has started. The
/// same happens when the future is dropped.
pub async fn run(argv: &[String], within: Duration) -> Result<Ran, ProgramError> {
    let (program, arguments) = argv.split_first().ok_or(ProgramError::Empty)?;
    let start = |source| ProgramError::Start {
        program: program.clone(),
        source,
    };
    let mut command = prepared(program, arguments);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = command.spawn().map_err(start)?;
    let mut leash = Leash(child.id());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (mut said, mut complained) = (Vec::new(), Vec::new());
    let ended: Result<io::Result<_>, _> = {
        let reading = async { tokio::join!(read(out, &mut said), read(err, &mut complained)) };
        tokio::pin!(reading);
        let work = async {
            tokio::select! {
                status = child.wait() => {
                    // What it has left running may hold them open for ever.
                    drop(tokio::time::timeout(AFTER, &mut reading).await);
                    status
                }
                _ = &mut reading => child.wait().await,
            }
        };
        tokio::time::timeout(within, work).await
    };
    let Ok(status) = ended else {
        return Err(ProgramError::Late {
            program: program.clone(),
            after: within,
        });
    };
    let status = status.map_err(start)?;
    // What it has left running on purpose goes on.
    leash.0 = None;
    let lines: Vec<RemoteText> = [said, complained]
        .iter()
        .flat_map(|bytes| bytes.split(|byte| *byte == b'\n'))
        .filter(|line| !line.is_empty())
        .map(RemoteText::from_bytes)
        .collect();
    if status.success() {
        return Ok(Ran { lines });
    }
    Err(ProgramError::Failed {
        program: program.clone(),
        status: status.to_string(),
        said: lines
            .last()
            .map_or_else(|| "it said nothing".to_owned(), |line| line.fit(200)),
        lines,
    })
}

/// Reads to the end and keeps the beginning: a program that writes too much is not held up by it.
async fn read(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut pipe) = pipe else { return };
    let mut piece = vec![0; 4096];
    // What was read before a failure is still worth showing.
    while let Ok(count @ 1..) = pipe.read(&mut piece).await {
        let room = OUTPUT.saturating_sub(kept.len()).min(count);
        kept.extend_from_slice(piece.get(..room).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::program::{Values, fill};
    use crate::testing::names;

    const SOON: Duration = Duration::from_secs(30);

    fn argv(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[tokio::test]
    async fn what_it_says_is_shown_and_cannot_act_on_a_terminal() {
        let said = run(&argv(&["printf", "one\\033[2J\\ntwo\\n"]), SOON).await;
        let lines = said.unwrap().lines;
        assert_eq!(lines.len(), 2);
        assert!(!lines[0].shown().contains('\u{1b}'));
    }

    #[tokio::test]
    async fn one_that_hangs_is_ended_with_its_children_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("child");
        let script = format!("sleep 600 & echo $! > {}; wait", file.display());
        let hung = argv(&["sh", "-c", &script]);
        let began = Instant::now();
        let error = run(&hung, Duration::from_millis(400)).await.unwrap_err();
        assert!(error.to_string().starts_with("sh did not end"), "{error}");
        assert!(began.elapsed() < SOON);
        let child: i32 = std::fs::read_to_string(file)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let child = rustix::process::Pid::from_raw(child).unwrap();
        while began.elapsed() < SOON && rustix::process::test_kill_process(child).is_ok() {
            tokio::task::yield_now().await;
        }
        assert!(
            rustix::process::test_kill_process(child).is_err(),
            "its child lives on"
        );
    }

    #[tokio::test]
    async fn what_it_leaves_running_on_purpose_does_not_hold_it_up() {
        let left = argv(&["sh", "-c", "sleep 5 & echo done"]);
        let ran = run(&left, SOON).await.unwrap();
        assert_eq!(ran.lines.len(), 1);
    }

    #[tokio::test]
    async fn a_failure_is_told_in_its_own_words() {
        let failed = argv(&["sh", "-c", "echo no such bell >&2; exit 3"]);
        let text = run(&failed, SOON).await.unwrap_err().to_string();
        assert!(
            text.contains('3') && text.contains("no such bell"),
            "{text}"
        );
        let missing = run(&argv(&["/nowhere/at/all"]), SOON).await;
        assert!(matches!(missing, Err(ProgramError::Start { .. })));
    }

    #[tokio::test]
    async fn a_flood_is_cut_and_does_not_hold_it_up() {
        let flood = argv(&["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' 'y'"]);
        let ran = run(&flood, SOON).await.unwrap();
        let kept: usize = ran.lines.iter().map(|line| line.raw().len()).sum();
        assert!((1..=OUTPUT).contains(&kept), "{kept}");
    }

    #[tokio::test]
    async fn no_name_becomes_a_command() {
        let folder = tempfile::tempdir().unwrap();
        let canary = folder.path().join("CANARY");
        let template = argv(&["printf", "%s", "x{vm.name}"]);
        let mut run_for = 0;
        for name in names::hostile() {
            let name = name.replace("CANARY", &canary.display().to_string());
            let values = Values::default().with("vm.name", &name);
            let Ok(filled) = fill(&template, &values) else {
                continue;
            };
            // Each of the words that mean something to a shell; the rest is the template's test.
            if !name.contains("CANARY") {
                continue;
            }
            let ran = run(&filled, SOON).await.unwrap();
            assert_eq!(ran.lines[0].raw(), format!("x{name}"));
            run_for += 1;
        }
        assert!(run_for > 5, "{run_for}");
        assert!(!canary.exists());
    }
}

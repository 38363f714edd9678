//! The keys that let somebody into an account of a host: the commands that add one and take one away. Pure.
//!
//! `authorized_keys` is sshd's format (sshd(8)): one key a line, `[options] type base64 [comment]`. It is replaced
//! in one step by a file made beside it, never written in place: whatever happens, it is the old one or the
//! new one. Lines that are not meant stay byte for byte, and the file keeps its owner and mode.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde_json::json;
use thiserror::Error;

use super::{HypervisorError, hyperv};
use crate::domain::host::HypervisorKind;
use crate::domain::remote_command::RemoteCommand;
use crate::domain::text::RemoteText;
use crate::transport::{ExecLimits, Transport};

/// How long such a command may live on the host.
const LIFE: Duration = Duration::from_secs(20);

/// What both commands begin with: which file, that it may be written, and how it is replaced.
const CHANGE: &str = include_str!("change.sh");
const ADD: &str = include_str!("add.sh");
const REMOVE: &str = include_str!("remove.sh");

/// A text is no public key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("that is no public key in OpenSSH form")]
pub struct PublicKeyError;

/// The public half of a key, as a line of `authorized_keys` without options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: String,
    base64: String,
    comment: String,
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let mut words = line.splitn(3, ' ');
        let (algorithm, base64) = words.next().zip(words.next()).ok_or(PublicKeyError)?;
        let plain = |text: &str, more: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
            !text.is_empty() && text.chars().all(fits)
        };
        // Both go into patterns of sed and grep: nothing may be in them that those would act on but the dot.
        if !plain(algorithm, "-@.") || !plain(base64, "+/=") {
            return Err(PublicKeyError);
        }
        let harmless = |c: &char| !crate::domain::text::is_hostile(*c);
        Ok(Self {
            algorithm: algorithm.to_owned(),
            base64: base64.to_owned(),
            comment: words
                .next()
                .unwrap_or_default()
                .chars()
                .filter(harmless)
                .collect(),
        })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, self.base64)
    }
}

/// A change of who may log in.
#[derive(Debug, Clone, Copy)]
pub enum KeyChange<'a> {
    /// Let the holder of a key in.
    Add {
        /// The key.
        key: &'a PublicKey,
        /// With the options that this one has (`from=`, `restrict`), where it is there.
        like: Option<&'a PublicKey>,
    },
    /// Let the holder of a key in no longer.
    Remove {
        /// The key.
        key: &'a PublicKey,
        /// The key that must be there: nobody is to be locked out.
        keep: &'a PublicKey,
    },
}

/// Builds the command of a change of the account that is logged in to. It prints `added`, `present`, `removed`
/// or `absent`.
pub fn key_command(
    kind: HypervisorKind,
    change: KeyChange<'_>,
) -> Result<RemoteCommand, HypervisorError> {
    if kind == HypervisorKind::HyperV {
        return Ok(on_windows(change).life(LIFE));
    }
    let command = match change {
        KeyChange::Add { key, like } => script(ADD).args([
            key.algorithm.clone(),
            key.base64.clone(),
            key.comment.clone(),
            like.map(PublicKey::to_string).unwrap_or_default(),
        ]),
        KeyChange::Remove { key, keep } => script(REMOVE).args([key.to_string(), keep.to_string()]),
    };
    Ok(command.life(LIFE))
}

fn on_windows(change: KeyChange<'_>) -> RemoteCommand {
    match change {
        KeyChange::Add { key, like } => hyperv::keys::add(&json!({
            "key": key.to_string(),
            "comment": key.comment,
            "like": like.map(PublicKey::to_string).unwrap_or_default(),
        })),
        KeyChange::Remove { key, keep } => hyperv::keys::remove(&json!({
            "key": key.to_string(),
            "keep": keep.to_string(),
        })),
    }
}

/// Makes a change by such a command; returns what was done in a word.
pub async fn change_keys(
    kind: HypervisorKind,
    link: &dyn Transport,
    command: &RemoteCommand,
    within: Duration,
) -> Result<String, HypervisorError> {
    if kind == HypervisorKind::HyperV {
        return hyperv::keys::change(link, command, within).await;
    }
    let output = link.exec(command, ExecLimits::within(within)).await?;
    if !output.status.is_success() {
        return Err(HypervisorError::Remote {
            program: "sh".to_owned(),
            status: None,
            said: RemoteText::from_bytes(&output.stderr).first_line(),
        });
    }
    // What a login writes by itself comes first.
    let said = RemoteText::from_bytes(&output.stdout);
    let mut lines = said.raw().lines().rev();
    let last = lines.find(|line| !line.trim().is_empty());
    let last = RemoteText::new(last.unwrap_or_default().trim());
    Ok(last.shown().to_owned())
}

fn script(task: &str) -> RemoteCommand {
    RemoteCommand::posix("sh").args(["-c".to_owned(), format!("{CHANGE}{task}"), "sh".to_owned()])
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;
    use std::process::{Command, Output};

    use super::*;

    const OLD: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOLDo/ld+ old@desk";
    const NEW: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINEWn/ew+ vmdeck ops";

    /// A home directory, and the commands run in it as sshd would.
    struct Home(tempfile::TempDir);

    impl Home {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        #[expect(clippy::disallowed_methods, reason = "test files hold nothing private")]
        fn with(content: &[u8]) -> Self {
            let home = Self::new();
            fs::create_dir(home.0.path().join(".ssh")).unwrap();
            fs::write(home.file(), content).unwrap();
            fs::set_permissions(home.file(), fs::Permissions::from_mode(0o600)).unwrap();
            home
        }

        fn file(&self) -> PathBuf {
            self.0.path().join(".ssh/authorized_keys")
        }

        #[expect(clippy::disallowed_methods, reason = "what sshd would start")]
        fn run(&self, change: KeyChange<'_>) -> Output {
            let command = key_command(HypervisorKind::Libvirt, change).unwrap();
            let words = command.args.iter().map(|arg| &arg.value);
            Command::new(&command.program)
                .args(words)
                .env("HOME", self.0.path())
                .output()
                .unwrap()
        }

        fn add(&self) -> Output {
            let (old, new) = keys();
            self.run(KeyChange::Add {
                key: &new,
                like: Some(&old),
            })
        }

        fn remove(&self) -> Output {
            let (old, new) = keys();
            self.run(KeyChange::Remove {
                key: &old,
                keep: &new,
            })
        }

        fn content(&self) -> Vec<u8> {
            fs::read(self.file()).unwrap()
        }

        fn is_tidy(&self) -> bool {
            let names = fs::read_dir(self.0.path().join(".ssh")).unwrap();
            names
                .flatten()
                .all(|name| name.file_name() == "authorized_keys")
        }
    }

    fn keys() -> (PublicKey, PublicKey) {
        (OLD.parse().unwrap(), NEW.parse().unwrap())
    }

    #[track_caller]
    fn says(output: &Output, word: &str) {
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said.trim(), word, "{output:?}");
    }

    #[test]
    fn a_key_is_added_behind_whatever_is_there() {
        for (before, after) in [
            (String::new(), format!("{NEW}\n")),
            (format!("{OLD}\n"), format!("{OLD}\n{NEW}\n")),
            // Without an end of the last line, and with bytes that are no text.
            (format!("# x\n{OLD}"), format!("# x\n{OLD}\n{NEW}\n")),
        ] {
            let home = Home::with(before.as_bytes());
            says(&home.add(), "added");
            assert_eq!(String::from_utf8(home.content()).unwrap(), after);
            let mode = fs::metadata(home.file()).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert!(home.is_tidy());
            says(&home.add(), "present");
            assert_eq!(String::from_utf8(home.content()).unwrap(), after);
        }
    }

    #[test]
    fn without_a_file_one_is_made_that_only_the_account_reads() {
        let home = Home::new();
        says(&home.add(), "added");
        assert_eq!(home.content(), format!("{NEW}\n").as_bytes());
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(home.file()), 0o600);
        assert_eq!(mode(home.0.path().join(".ssh")), 0o700);
    }

    #[test]
    fn the_new_key_may_what_the_old_one_may_and_no_more() {
        let options = r#"from="10.0.0.0/8,::1",command="echo \"a b\"",restrict "#;
        let home = Home::with(format!("# {OLD}\n{options}{OLD}\nssh-rsa AAAA other\n").as_bytes());
        says(&home.add(), "added");
        let text = String::from_utf8(home.content()).unwrap();
        assert_eq!(
            text.lines().last(),
            Some(format!("{options}{NEW}").as_str())
        );
        says(&home.remove(), "removed");
        assert_eq!(
            String::from_utf8(home.content()).unwrap(),
            format!("# {OLD}\nssh-rsa AAAA other\n{options}{NEW}\n")
        );
    }

    #[test]
    fn other_lines_stay_byte_for_byte() {
        let strange = b"# caf\xe9 \xff\n\n  \tssh-rsa AAAA x\\y $HOME `id` 'q'\r\n".to_vec();
        let mut before = strange.clone();
        before.extend(format!("{OLD}\n{NEW}").as_bytes());
        let home = Home::with(&before);
        says(&home.remove(), "removed");
        let mut after = strange;
        after.extend(NEW.as_bytes());
        assert_eq!(home.content(), after);
        says(&home.remove(), "absent");
        assert_eq!(home.content(), after);
    }

    #[test]
    fn nobody_is_locked_out_by_a_removal() {
        let home = Home::with(format!("# {NEW}\n{OLD}\n").as_bytes());
        let output = home.remove();
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("the key that is to stay is not in"), "{said}");
        assert_eq!(home.content(), format!("# {NEW}\n{OLD}\n").as_bytes());
        assert!(home.is_tidy());
    }

    #[test]
    fn a_file_that_somebody_made_read_only_is_left_alone() {
        let home = Home::with(format!("{OLD}\n").as_bytes());
        fs::set_permissions(home.file(), fs::Permissions::from_mode(0o400)).unwrap();
        let output = home.add();
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("authorized_keys is read-only"), "{said}");
        assert_eq!(home.content(), format!("{OLD}\n").as_bytes());
        assert!(home.is_tidy());
    }

    #[test]
    fn a_link_stays_a_link() {
        let home = Home::with(b"");
        let target = home.0.path().join("keys");
        fs::rename(home.file(), &target).unwrap();
        symlink(&target, home.file()).unwrap();
        says(&home.add(), "added");
        assert!(fs::symlink_metadata(home.file()).unwrap().is_symlink());
        assert_eq!(fs::read(target).unwrap(), format!("{NEW}\n").as_bytes());
    }

    #[test]
    fn what_a_pattern_would_act_on_is_no_key() {
        for line in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 AAAA,d",
            "ssh-ed25519 .*",
            "ssh-ed25519 $(id)",
            "ssh-ed25519,x AAAA",
        ] {
            assert!(line.parse::<PublicKey>().is_err(), "{line}");
        }
        let key: PublicKey = NEW.parse().unwrap();
        assert_eq!(format!("{key} {}", key.comment), NEW);
    }
}

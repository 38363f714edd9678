//! The environment as plain data: the only place that reads it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::domain::secret::SecretText;

/// What the environment says, as far as it matters.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
}

/// Some variables of older programs hold secrets: names only.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

/// Variables of the older programs that the server honours as they are.
const OLDER: [&str; 6] = [
    "API_KEY",
    "HMAC_SECRET",
    "ALLOW_IP",
    "MANAGEMENT_HOST",
    "MANAGEMENT_PORT",
    "MANAGEMENT_DB_PATH",
];

impl Environment {
    /// Reads the process's environment. Secrets are never expected in it, only where they are.
    pub fn read() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one place")]
        let mut all = [
            "HOME",
            "USER",
            "LOGNAME",
            "TERM",
            "COLORTERM",
            "TERM_PROGRAM",
            "TMUX",
            "STY",
            "NO_COLOR",
            "EDITOR",
            "VISUAL",
            "SSH_AUTH_SOCK",
            "CREDENTIALS_DIRECTORY",
        ]
        .into_iter()
        .chain(OLDER)
        .filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?)))
        .chain(std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            name.starts_with("VMDECK_").then_some((name, value))
        }))
        .collect::<BTreeMap<_, _>>();
        // Services and containers are often started without it.
        let named = |name| {
            all.get(name)
                .is_some_and(|value: &OsString| !value.is_empty())
        };
        if !named("USER")
            && !named("LOGNAME")
            && let Some(account) = account()
        {
            all.insert("LOGNAME".to_owned(), account.into());
        }
        Self { variables: all }
    }

    /// Makes an environment of pairs, for tests and embedding.
    pub fn of<K: Into<String>, V: Into<OsString>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self {
            variables: pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }

    fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables
            .get(name)
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name)?.to_str().map(ToOwned::to_owned)
    }

    /// `HOME`
    pub fn home(&self) -> Option<PathBuf> {
        self.path("HOME")
    }

    /// `USER`, or `LOGNAME`.
    pub fn user(&self) -> Option<String> {
        self.text("USER").or_else(|| self.text("LOGNAME"))
    }

    /// `VMDECK_HOME`: everything under one folder.
    pub fn vmdeck_home(&self) -> Option<PathBuf> {
        self.path("VMDECK_HOME")
    }

    /// `VMDECK_PROFILE`: the profile to use when no argument names one.
    pub fn profile(&self) -> Option<String> {
        self.text("VMDECK_PROFILE")
    }

    /// `VMDECK_CONFIG`: the configuration file to use when no argument names one.
    pub fn config(&self) -> Option<PathBuf> {
        self.path("VMDECK_CONFIG")
    }

    /// `VMDECK_PASSPHRASE_FILE`: the file with the passphrase, for services.
    pub fn passphrase_file(&self) -> Option<PathBuf> {
        self.path("VMDECK_PASSPHRASE_FILE")
    }

    /// Whether `NO_COLOR` is set to anything (<https://no-color.org>).
    pub fn no_color(&self) -> bool {
        self.get("NO_COLOR").is_some()
    }

    /// `COLORTERM`
    pub fn colorterm(&self) -> Option<String> {
        self.text("COLORTERM")
    }

    /// `TERM`
    pub fn term(&self) -> Option<String> {
        self.text("TERM")
    }

    /// `TERM_PROGRAM`: the terminal's name, where it says so.
    pub fn term_program(&self) -> Option<String> {
        self.text("TERM_PROGRAM")
    }

    /// Whether tmux or screen stands between us and the terminal (`TMUX`, `STY`).
    pub fn multiplexed(&self) -> bool {
        self.get("TMUX").is_some() || self.get("STY").is_some()
    }

    /// `SSH_AUTH_SOCK`: where the SSH agent listens.
    pub fn ssh_auth_sock(&self) -> Option<PathBuf> {
        self.path("SSH_AUTH_SOCK")
    }

    /// `VISUAL`, or `EDITOR`.
    pub fn editor(&self) -> Option<String> {
        self.text("VISUAL").or_else(|| self.text("EDITOR"))
    }

    /// `CREDENTIALS_DIRECTORY`: where systemd puts the credentials of a service.
    pub fn credentials_directory(&self) -> Option<PathBuf> {
        self.path("CREDENTIALS_DIRECTORY")
    }

    /// `API_KEY`: the key of the older bot controller.
    pub fn bot_api_key(&self) -> Option<SecretText> {
        self.text("API_KEY").map(SecretText::new)
    }

    /// `HMAC_SECRET`: the signing secret of the older bot controller.
    pub fn bot_hmac_secret(&self) -> Option<SecretText> {
        self.text("HMAC_SECRET").map(SecretText::new)
    }

    /// `ALLOW_IP`: the allow list of the older bot controller, separated by commas.
    pub fn bot_allow(&self) -> Option<String> {
        self.text("ALLOW_IP")
    }

    /// `MANAGEMENT_HOST`: where the older portal listened.
    pub fn portal_host(&self) -> Option<String> {
        self.text("MANAGEMENT_HOST")
    }

    /// `MANAGEMENT_PORT`: the port of the older portal.
    pub fn portal_port(&self) -> Option<String> {
        self.text("MANAGEMENT_PORT")
    }

    /// `MANAGEMENT_DB_PATH`: the database of the older portal.
    pub fn portal_database(&self) -> Option<PathBuf> {
        self.path("MANAGEMENT_DB_PATH")
    }

    /// Every `VMDECK_` variable that is none of those above, with its value.
    pub(super) fn settings(&self) -> impl Iterator<Item = (&str, &OsStr)> {
        const OTHERS: [&str; 4] = [
            "VMDECK_HOME",
            "VMDECK_PROFILE",
            "VMDECK_CONFIG",
            "VMDECK_PASSPHRASE_FILE",
        ];
        self.variables
            .iter()
            .filter(|(name, _)| name.starts_with("VMDECK_") && !OTHERS.contains(&name.as_str()))
            .map(|(name, value)| (name.as_str(), value.as_os_str()))
    }
}
/// Returns the account that this process runs as, as `/etc/passwd` names it.
fn account() -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    name_of(&users, rustix::process::geteuid().as_raw())
}

fn name_of(users: &str, uid: u32) -> Option<String> {
    let uid = uid.to_string();
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1) == Some(uid.as_str())).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\n\n:x:7\nops:x:1000:100::/home/ops:/bin/sh\n";
        assert_eq!(name_of(users, 1000).as_deref(), Some("ops"));
        assert_eq!(name_of(users, 0).as_deref(), Some("root"));
        assert_eq!(name_of(users, 100), None);
        assert_eq!(name_of(users, 7), None);
    }
}

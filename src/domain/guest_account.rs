//! An account of a VM that programs are run for, where its host runs none without: PowerShell Direct of
//! Hyper-V. Kept in the profile as words, without the password.

use super::credential::CredentialName;
use super::host::UserName;
use super::secret::SecretText;

/// An account of a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestAccount {
    /// Its name in the VM, with a domain before it or not.
    pub user: UserName,
    /// Where its password comes from.
    pub password: GuestPassword,
}

/// Where the password of an account comes from.
#[derive(Debug, Clone)]
pub enum GuestPassword {
    /// A sealed credential of the profile.
    Credential(CredentialName),
    /// It was given for this once.
    Given(SecretText),
}

impl PartialEq for GuestPassword {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Credential(one), Self::Credential(other)) => one == other,
            (Self::Given(one), Self::Given(other)) => one.expose() == other.expose(),
            (Self::Credential(_), Self::Given(_)) | (Self::Given(_), Self::Credential(_)) => false,
        }
    }
}

impl Eq for GuestPassword {}

impl GuestAccount {
    /// Reads what was typed into a form: an account, the name of a credential or nothing, and a password where
    /// that is nothing. The error is a sentence's fragment.
    pub fn read(user: &str, with: &str, typed: Option<SecretText>) -> Result<Self, String> {
        let user = user.trim().parse::<UserName>();
        let user = user.map_err(|error| error.to_string())?;
        let password = match (with.trim(), typed) {
            ("", None) => {
                return Err(
                    "type the account's password, or name a credential of the profile".to_owned(),
                );
            }
            ("", Some(password)) => GuestPassword::Given(password),
            (name, _) => {
                let name = name.parse::<CredentialName>();
                GuestPassword::Credential(name.map_err(|error| error.to_string())?)
            }
        };
        Ok(Self { user, password })
    }

    /// Returns the credential's name; nothing for a password that was given.
    pub fn with(&self) -> String {
        match &self.password {
            GuestPassword::Credential(name) => name.to_string(),
            GuestPassword::Given(_) => String::new(),
        }
    }

    /// Returns what is kept of it: account, and credential.
    pub fn words(&self) -> String {
        format!("{} {}", self.user, self.with())
    }

    /// Reads what was kept: account, and credential or nothing.
    pub fn of_words(words: &str) -> Option<(String, String)> {
        let (user, with) = words.split_once(' ')?;
        user.parse::<UserName>().ok()?;
        Some((user.to_owned(), with.to_owned()))
    }

    /// Returns it as it is shown.
    pub fn shown(&self) -> String {
        match &self.password {
            GuestPassword::Credential(name) => format!("{}, with credential {name}", self.user),
            GuestPassword::Given(_) => format!("{}, with a password", self.user),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_and_shown_of_an_account_is_never_its_password() {
        let secret = || Some(SecretText::from("hunter2".to_owned()));
        let typed = GuestAccount::read(" Administrator ", "", secret()).unwrap();
        let named = GuestAccount::read("corp\\ann", "web-admin", None).unwrap();
        for account in [&typed, &named] {
            for text in [account.words(), account.shown(), format!("{account:?}")] {
                assert!(!text.contains("hunter2"), "{text}");
            }
            let kept = GuestAccount::of_words(&account.words()).unwrap();
            assert_eq!(kept, (account.user.to_string(), account.with()));
        }
        assert_eq!(named.words(), "corp\\ann web-admin");
        for (user, with) in [("", "x"), ("a", ""), ("a", "no name!")] {
            assert!(
                GuestAccount::read(user, with, None).is_err(),
                "{user} {with}"
            );
        }
        assert_eq!(GuestAccount::of_words("nonsense"), None);
    }
}

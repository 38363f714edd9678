//! `Secret<T>`: a value that cannot be printed, logged or serialised by accident.
//!
//! No `Debug` of the content, no `Display`, no `Serialize`: what holds one cannot leak it through a
//! format string. `expose` is the one door, and is meant to be searched for in review.

use std::fmt;

use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use super::passphrase::leaked;

/// A secret that is wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    /// Takes ownership of a secret value.
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// Lends the secret. Every caller is a place to review.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// Secret text: a passphrase, a password, a private key in PEM.
pub type SecretText = Secret<String>;

/// Characters that a new passphrase has at least (OWASP ASVS 4.0.3, 2.1.1).
const NEW_LEAST: usize = 12;

/// Characters that a new passphrase has at most (OWASP ASVS 4.0.3, 2.1.2).
const NEW_MOST: usize = 128;

/// Why a passphrase is not taken as a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnfitPassphrase {
    /// It is easily guessed.
    #[error("a new passphrase has {NEW_LEAST} characters or more")]
    TooShort,
    /// It is longer than anybody needs.
    #[error("a new passphrase has {NEW_MOST} characters at the most")]
    TooLong,
    /// It is one of those that are tried first (OWASP ASVS 4.0.3, 2.1.7).
    #[error("this passphrase is known from leaks: choose another")]
    Leaked,
}

impl UnfitPassphrase {
    /// Says what to do.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::TooShort => "a few words in a row are long and easy to keep in mind",
            Self::TooLong => "make it shorter; a dozen words in a row are more than enough",
            Self::Leaked => {
                "it is among those that are tried first; take a few words that have nothing to do with each other"
            }
        }
    }
}

impl SecretText {
    /// Says whether it may be set as a new passphrase. One that was set before still opens what it is for.
    pub fn fits_as_new(&self) -> Result<(), UnfitPassphrase> {
        match self.expose().chars().count() {
            ..NEW_LEAST => Err(UnfitPassphrase::TooShort),
            NEW_LEAST..=NEW_MOST if leaked::is_one(self.expose()) => Err(UnfitPassphrase::Leaked),
            NEW_LEAST..=NEW_MOST => Ok(()),
            _ => Err(UnfitPassphrase::TooLong),
        }
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_passphrase_has_twelve_characters() {
        let fit = |text: &str| SecretText::from(text.to_owned()).fits_as_new();
        for text in ["", "elevenchars", "ééééééé"] {
            assert_eq!(
                fit(text),
                Err(UnfitPassphrase::TooShort),
                "characters, not bytes"
            );
        }
        assert_eq!(fit("twelve chars"), Ok(()));
    }

    #[test]
    fn a_new_passphrase_has_at_most_128_characters() {
        let fit = |text: String| SecretText::from(text).fits_as_new();
        for filler in ["x", "日"] {
            assert_eq!(fit(filler.repeat(128)), Ok(()), "characters, not bytes");
            assert_eq!(fit(filler.repeat(129)), Err(UnfitPassphrase::TooLong));
        }
    }

    #[test]
    fn a_new_passphrase_is_not_one_that_is_known_from_leaks() {
        let fit = |text: &str| SecretText::from(text.to_owned()).fits_as_new();
        for text in [
            "1qaz2wsx3edc",
            "Password1234",
            "ADMINISTRATOR",
            " unbelievable ",
        ] {
            assert_eq!(fit(text), Err(UnfitPassphrase::Leaked), "{text}");
        }
        assert_eq!(
            fit("administrator of gravel"),
            Ok(()),
            "one of several words"
        );
        assert!(UnfitPassphrase::Leaked.to_string().contains("leaks"));
    }

    #[test]
    fn a_secret_does_not_print_itself() {
        let secret = SecretText::from("hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "<secret>");
        assert_eq!(secret.expose(), "hunter2");
    }
}

//! `Secret<T>`: a value that cannot be printed, logged or serialised by accident.
//!
//! No `Debug` of the content, no `Display`, no `Serialize`: what holds one cannot leak it through a
//! format string. `expose` is the one door, and is meant to be searched for in review.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

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

impl SecretText {
    /// Characters that a new passphrase has at least (OWASP ASVS 4.0.3, 2.1.1). One that was set before still
    /// opens what it is for.
    pub const NEW_LEAST: usize = 12;

    /// Says whether a new passphrase is long enough.
    pub fn is_long_enough(&self) -> bool {
        self.expose().chars().count() >= Self::NEW_LEAST
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
        for (text, fits) in [("", false), ("elevenchars", false), ("twelve chars", true)] {
            assert_eq!(SecretText::from(text.to_owned()).is_long_enough(), fits);
        }
        // Characters, not bytes.
        assert!(!SecretText::from("ééééééé".to_owned()).is_long_enough());
    }

    #[test]
    fn a_secret_does_not_print_itself() {
        let secret = SecretText::from("hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "<secret>");
        assert_eq!(secret.expose(), "hunter2");
    }
}

//! Key pairs made by `ssh-keygen` for one test.

use std::fs;
use std::path::{Path, PathBuf};

use super::{command, run};

/// Kinds of key that hosts and people use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    Ed25519,
    Ecdsa,
    Rsa,
}

impl KeyKind {
    pub const ALL: [Self; 3] = [Self::Ed25519, Self::Ecdsa, Self::Rsa];

    /// The word `ssh-keygen -t` takes.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::Ecdsa => "ecdsa",
            Self::Rsa => "rsa",
        }
    }

    fn bits(self) -> &'static str {
        match self {
            Self::Ed25519 | Self::Ecdsa => "256",
            Self::Rsa => "2048",
        }
    }
}

/// A key pair in a file, with `.pub` beside it.
#[derive(Debug, Clone)]
pub struct KeyPair {
    pub path: PathBuf,
}

impl KeyPair {
    /// Makes a pair at `path`; an empty passphrase leaves it in the clear.
    pub fn generate(path: &Path, kind: KeyKind, passphrase: &str) -> Self {
        run(command("ssh-keygen")
            .args(["-q", "-t", kind.word(), "-b", kind.bits(), "-a", "4", "-C"])
            .args(["test key", "-N", passphrase, "-f"])
            .arg(path));
        Self {
            path: path.to_owned(),
        }
    }

    /// The private half as text.
    pub fn pem(&self) -> String {
        fs::read_to_string(&self.path).expect("private key")
    }

    /// Path of the public half.
    pub fn public_path(&self) -> PathBuf {
        with_suffix(&self.path, ".pub")
    }

    /// Path where OpenSSH looks for the key's certificate.
    pub fn certificate_path(&self) -> PathBuf {
        with_suffix(&self.path, "-cert.pub")
    }

    /// The public half as one line: `type base64 comment`.
    pub fn public_line(&self) -> String {
        let text = fs::read_to_string(self.public_path()).expect("public key");
        text.trim().to_owned()
    }

    /// Algorithm and base64 of the public half.
    pub fn public_parts(&self) -> (String, String) {
        let line = self.public_line();
        let mut words = line.split_whitespace();
        let algorithm = words.next().expect("algorithm").to_owned();
        (algorithm, words.next().expect("base64").to_owned())
    }

    /// `SHA256:...` of the public half, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        let line = run(command("ssh-keygen").arg("-lf").arg(self.public_path()));
        line.split_whitespace()
            .nth(1)
            .expect("fingerprint")
            .to_owned()
    }

    /// Signs the public half of `key` as a user certificate for `principal`, in the file beside it.
    pub fn certify_user(&self, key: &Self, principal: &str) {
        run(command("ssh-keygen")
            .arg("-q")
            .arg("-s")
            .arg(&self.path)
            .args(["-I", "test certificate", "-V", "-1m:+1h", "-n", principal])
            .arg(key.public_path()));
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

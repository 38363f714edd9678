//! The engine and its sessions on scripted machines, with a real profile and a real audit log.

#![cfg(test)]

mod bulk;
mod clock;
mod credentials;
mod hosts;
mod lab;
mod operations;
mod progress;
mod stores;
mod windows;
mod world;

/// Makes a private key file with a passphrase of its own.
fn support_key(path: &std::path::Path, passphrase: &str) {
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", passphrase, "-C", "test", "-f"])
        .arg(path)
        .status()
        .unwrap();
    assert!(made.success());
}

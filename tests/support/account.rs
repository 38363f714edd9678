//! An account of the test's own, with a password. Needs root.

use std::time::Duration;

use super::{command, wait_for};

/// The password of every such account.
pub const PASSWORD: &str = "correct horse";

/// `crypt(3)` of [`PASSWORD`] (`openssl passwd -6 -salt vmdecktest`).
const HASH: &str = "$6$vmdecktest$3ZGNNmh/c7037FDUaXnfwYduKv712yGhUe0Ft0rGOyXQA/u0dzGQw2/HQBJL.laub7wv.bwHOub/FwqsWgxuN1";

/// An account that is removed when dropped.
#[derive(Debug)]
pub struct Account {
    pub name: String,
}

impl Account {
    /// Makes one; other tests may be doing the same, so a locked database is waited for.
    pub fn create() -> Self {
        let name = format!("vmdeck{}", std::process::id());
        let made = wait_for(Duration::from_secs(30), || {
            let status = command("useradd")
                .args(["-M", "-d", "/", "-s", "/bin/sh", "-p", HASH, &name])
                .status();
            status.expect("useradd").success()
        });
        assert!(made, "could not make the account {name}");
        Self { name }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        wait_for(Duration::from_secs(30), || {
            let status = command("userdel").arg(&self.name).status();
            // 6: there is no such account any more.
            status.is_ok_and(|status| status.success() || status.code() == Some(6))
        });
    }
}

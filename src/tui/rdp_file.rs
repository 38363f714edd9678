//! The connection file of a Hyper-V display, for viewers that take one: the port of this machine, and which VM is
//! wanted there. It is private, and there as long as the port is.

use std::path::{Path, PathBuf};

use crate::private_file::{self, PrivateFileError};

/// A connection file. Dropping it removes it.
#[derive(Debug)]
pub(super) struct RdpFile(PathBuf);

impl RdpFile {
    /// Writes one, under a name that nobody can foresee.
    pub(super) fn write(port: u16, vm: &str) -> Result<Self, PrivateFileError> {
        let name = format!("vmdeck-{:016x}.rdp", rand::random::<u64>());
        let path = std::env::temp_dir().join(name);
        private_file::write_new(&path, content(port, vm).as_bytes())?;
        Ok(Self(path))
    }

    /// Returns where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for RdpFile {
    fn drop(&mut self) {
        // Somebody else may have taken it away.
        drop(std::fs::remove_file(&self.0));
    }
}

/// What a client has to know of the console port (Microsoft: "Virtual Machine Connection"): the VM is named before
/// anything else is said, security is not negotiated but `CredSSP` from the start, and the certificate is the host's
/// own, for another name than ours.
fn content(port: u16, vm: &str) -> String {
    [
        format!("full address:s:127.0.0.1:{port}"),
        format!("server port:i:{port}"),
        format!("pcb:s:{vm}"),
        "negotiate security layer:i:0".to_owned(),
        "enablecredsspsupport:i:1".to_owned(),
        "authentication level:i:0".to_owned(),
        "disableconnectionsharing:i:1".to_owned(),
        "autoreconnection enabled:i:0".to_owned(),
    ]
    .map(|line| line + "\r\n")
    .concat()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_names_the_vm_is_private_and_goes_with_its_owner() {
        let file = RdpFile::write(40001, "6C09BB55-D683-4DA0-8931-C9BF705F6480").unwrap();
        let path = file.path().to_owned();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("full address:s:127.0.0.1:40001\r\n"),
            "{text}"
        );
        assert!(text.contains("\npcb:s:6C09BB55-D683-4DA0-8931-C9BF705F6480\r\n"));
        drop(file);
        assert!(!path.exists());
    }
}

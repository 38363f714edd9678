//! Key files on this machine: read at login, bounded, refused when others can read them.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::key::MAX_KEY_BYTES;
use super::small_file;
use crate::domain::secret::SecretText;

/// Reads a private key file and the certificate beside it.
pub(super) async fn read_key_file(path: &Path) -> Result<(SecretText, Option<String>), String> {
    let pem = match read_bounded(path).await {
        Ok(Some(pem)) => SecretText::from(pem),
        Ok(None) => return Err("there is no such file".to_owned()),
        Err(error) => return Err(format!("the file cannot be read: {error}")),
    };
    check_mode(path).await?;
    let mut name = path.as_os_str().to_owned();
    name.push("-cert.pub");
    let certificate = read_bounded(Path::new(&name))
        .await
        .map_err(|error| format!("its certificate cannot be read: {error}"))?;
    Ok((pem, certificate))
}

/// Refuses a key that others can read, as OpenSSH does.
async fn check_mode(path: &Path) -> Result<(), String> {
    let metadata = tokio::fs::metadata(path)
        .await
        .map_err(|error| format!("the file cannot be read: {error}"))?;
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    if ours && metadata.mode() & 0o077 != 0 {
        return Err(format!(
            "others can read the file (mode {:04o}): run `chmod 600 {}`",
            metadata.mode() & 0o7777,
            path.display()
        ));
    }
    Ok(())
}

/// Reads a small text file; `None` when it does not exist.
async fn read_bounded(path: &Path) -> io::Result<Option<String>> {
    let limit = u64::try_from(MAX_KEY_BYTES).unwrap_or(u64::MAX);
    let Some(content) = small_file::read(path.to_owned(), limit).await? else {
        return Ok(None);
    };
    String::from_utf8(content)
        .map(Some)
        .map_err(|_wiped| io::Error::other("it is not text"))
}

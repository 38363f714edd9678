//! Key files on this machine: read at login, bounded, refused when others can read them.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tokio::io::AsyncReadExt;

use super::key::MAX_KEY_BYTES;
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
    let file = match tokio::fs::File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let limit = u64::try_from(MAX_KEY_BYTES).unwrap_or(u64::MAX);
    let mut text = String::new();
    let length = file.take(limit + 1).read_to_string(&mut text).await?;
    if length > MAX_KEY_BYTES {
        return Err(io::Error::other("it is larger than 64 KiB"));
    }
    Ok(Some(text))
}

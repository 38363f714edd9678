//! Small files of this machine that a login needs (keys, certificates, `known_hosts`), read whole and
//! bounded, off the threads that serve connections and with one change of thread for the whole file.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

/// Reads a file of at most `limit` bytes; `None` when it does not exist.
pub(super) async fn read(path: PathBuf, limit: u64) -> io::Result<Option<Vec<u8>>> {
    tokio::task::spawn_blocking(move || {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // Room for all of it at once: a buffer that grows leaves copies of a key behind.
        let room = file.metadata()?.len().min(limit).saturating_add(1);
        let mut content = Vec::with_capacity(usize::try_from(room).unwrap_or_default());
        file.take(limit.saturating_add(1))
            .read_to_end(&mut content)?;
        if u64::try_from(content.len()).unwrap_or(u64::MAX) > limit {
            let kib = limit / 1024;
            let limit = match kib / 1024 {
                0 => format!("{kib} KiB"),
                mib => format!("{mib} MiB"),
            };
            return Err(io::Error::other(format!("it is larger than {limit}")));
        }
        Ok(Some(content))
    })
    .await
    .map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_read_whole_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert_eq!(read(path.clone(), 2048).await.unwrap(), None);
        crate::private_file::write_atomic(&path, &[7; 2048]).unwrap();
        assert_eq!(
            read(path.clone(), 2048).await.unwrap().map(|all| all.len()),
            Some(2048)
        );
        let error = read(path, 1024).await.unwrap_err();
        assert_eq!(error.to_string(), "it is larger than 1 KiB");
    }
}

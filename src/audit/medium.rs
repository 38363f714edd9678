//! The few file operations the log is made of, as a trait, so that tests can let each of them fail.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::private_file::{self, PrivateFileError};

/// Opens segments.
pub(super) trait Medium: Send {
    /// Opens a segment for reading and appending; with `create`, it may be new.
    fn open(&self, path: &Path, create: bool) -> Result<Box<dyn SegmentFile>, PrivateFileError>;
}

/// One open segment.
pub(super) trait SegmentFile: Send {
    /// Returns its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Reads exactly the bytes from `from` to `to`.
    fn read(&self, from: u64, to: u64) -> io::Result<Vec<u8>>;
    /// Appends; may take fewer bytes than given.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Returns once everything written is durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// The real files.
pub(super) struct Disk;

impl Medium for Disk {
    fn open(&self, path: &Path, create: bool) -> Result<Box<dyn SegmentFile>, PrivateFileError> {
        Ok(Box::new(DiskFile(private_file::open_append(path, create)?)))
    }
}

struct DiskFile(File);

impl SegmentFile for DiskFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, from: u64, to: u64) -> io::Result<Vec<u8>> {
        let size = usize::try_from(to.saturating_sub(from)).map_err(io::Error::other)?;
        let mut bytes = vec![0; size];
        self.0.read_exact_at(&mut bytes, from)?;
        Ok(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)?;
        self.0.sync_data()
    }
}

//! What the program writes about itself: to a file while a screen is open, to standard error where
//! somebody asked for it, never to the terminal in use. Secrets cannot be formatted, by type.

mod outlet;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use self::outlet::Outlet;
use crate::config::LogLevel;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::private_file;

/// Where to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Nowhere.
    Nowhere,
    /// A file; it is appended to, and created for us alone.
    File(PathBuf),
    /// Standard error.
    StandardError,
}

/// Begins to write one JSON object a line; once per process.
pub fn start_json(destination: &Destination, level: LogLevel) -> Result<(), Failure> {
    let Some(writer) = writer(destination, true)? else {
        return Ok(());
    };
    let lines = tracing_subscriber::fmt()
        .with_max_level(filter(level))
        .with_ansi(false)
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false);
    finish(lines.with_writer(writer).finish().try_init())
}

/// Begins to write; once per process.
pub fn start(destination: &Destination, level: LogLevel) -> Result<(), Failure> {
    let Some(writer) = writer(destination, false)? else {
        return Ok(());
    };
    let lines = tracing_subscriber::fmt()
        .with_max_level(filter(level))
        .with_ansi(false);
    finish(lines.with_writer(writer).finish().try_init())
}

/// Has a panic say where it was, in the log, and nothing of its words: they may quote what a client sent or a
/// secret. For programs without a screen, whose standard error others keep.
pub fn tell_panics_by_place() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        tracing::error!(
            target: "vmdeck::panic",
            at = at.as_deref(),
            "a task ended in a panic: this is a bug"
        );
    }));
}

/// Opens what lines go to, which are JSON or not; `None` = nowhere.
fn writer(destination: &Destination, json: bool) -> Result<Option<BoxMakeWriter>, Failure> {
    Ok(match destination {
        Destination::Nowhere => None,
        Destination::File(path) => Some(BoxMakeWriter::new(Mutex::new(open(path)?))),
        Destination::StandardError => {
            let outlet = Outlet::new(io::stderr(), json);
            Some(BoxMakeWriter::new(Mutex::new(outlet)))
        }
    })
}

const fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

fn finish(begun: Result<(), TryInitError>) -> Result<(), Failure> {
    begun.map_err(|error| {
        Failure::new(
            ErrorKind::Internal,
            format!("could not begin the log: {error}"),
        )
    })
}

fn open(path: &Path) -> Result<File, Failure> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder
        && !folder.exists()
    {
        private_file::ensure_dir(folder).map_err(|error| Failure::of(&error))?;
    }
    private_file::open_append(path, true).map_err(|error| Failure::of(&error))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, PoisonError};

    use super::*;

    /// What was written.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut page = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            page.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_has_a_place_and_no_words() {
        let page = Page::default();
        let out = page.clone();
        let log = tracing_subscriber::fmt()
            .with_writer(move || out.clone())
            .finish();
        let before = std::panic::take_hook();
        tell_panics_by_place();
        let broken = tracing::subscriber::with_default(log, || {
            std::panic::catch_unwind(|| panic!("the secret is hunter2"))
        });
        std::panic::set_hook(before);
        assert!(broken.is_err());
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("logging/mod.rs:"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

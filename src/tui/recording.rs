//! A recording of the screen as an asciicast, version 2: a header, then one JSON line for every frame and
//! every change of size (<https://docs.asciinema.org/manual/asciicast/v2/>).
//!
//! The loop hands over what it has drawn and goes on; a thread writes. Nothing waits for the disk: a
//! recording that cannot keep up, cannot be written or has become too large ends, and says why. It holds
//! what is on the screen and nothing else: no keys, and not what is put on the clipboard.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::units::Bytes;
use crate::private_file;
use crate::task::send_or_gone;

/// Pieces that may wait for the disk: half a minute of frames.
const QUEUE: usize = 1024;

/// Bytes that may wait for the disk; beyond that it is too slow for a recording.
const WAITING: u64 = 8 * 1024 * 1024;

/// One line of the file to be.
#[derive(Debug)]
enum Piece {
    /// The header.
    Begin { size: (u16, u16), at: Timestamp },
    /// What was written to the terminal, and how long after the beginning.
    Output { after: Duration, bytes: Vec<u8> },
    /// Another size of the terminal.
    Resize { after: Duration, size: (u16, u16) },
}

impl Piece {
    fn line(&self) -> serde_json::Result<String> {
        let (after, code, data) = match self {
            Self::Begin { size, at } => {
                let header = serde_json::json!({
                    "version": 2,
                    "width": size.0,
                    "height": size.1,
                    "timestamp": at.as_second(),
                    "title": "vmdeck",
                });
                return Ok(format!("{}\n", crate::json::to_line(&header)?));
            }
            Self::Output { after, bytes } => {
                let text = String::from_utf8_lossy(bytes);
                (after, 'o', crate::json::to_line(text.as_ref())?)
            }
            Self::Resize { after, size } => {
                let text = format!("{}x{}", size.0, size.1);
                (after, 'r', crate::json::to_line(&text)?)
            }
        };
        let (seconds, micros) = (after.as_secs(), after.subsec_micros());
        Ok(format!("[{seconds}.{micros:06}, \"{code}\", {data}]\n"))
    }
}

/// A recording whose file has been made: what is drawn goes in, how it ended comes out.
#[derive(Debug)]
pub struct Recording {
    recorder: Recorder,
    end: oneshot::Receiver<Result<(), Failure>>,
    fate: Arc<OnceLock<Failure>>,
}

impl Recording {
    /// Makes the file, which must not be there yet and is ours alone, and starts the thread that writes it.
    /// It takes `limit` bytes at the most.
    pub fn create(path: &Path, limit: u64) -> Result<Self, Failure> {
        let file = private_file::create_new(path).map_err(|error| {
            let failure = Failure::of(&error);
            match error.io_kind() {
                Some(std::io::ErrorKind::AlreadyExists) => Failure::new(
                    ErrorKind::Usage,
                    format!("there is a file {} already", path.display()),
                )
                .with_hint("name another one: nothing is recorded over"),
                _ => failure,
            }
        })?;
        let (pieces, waiting_pieces) = sync_channel(QUEUE);
        let (ended, end) = oneshot::channel();
        let too_slow = Arc::new(AtomicBool::new(false));
        let waiting = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            path: path.to_owned(),
            file,
            limit,
            written: 0,
            waiting: Arc::clone(&waiting),
            too_slow: Arc::clone(&too_slow),
        };
        let thread = std::thread::Builder::new().name("recording".to_owned());
        let started = thread.spawn(move || send_or_gone(ended, writer.write(&waiting_pieces)));
        started.map_err(|error| {
            let message = format!("could not start the writer of {}: {error}", path.display());
            Failure::new(ErrorKind::Internal, message)
        })?;
        Ok(Self {
            recorder: Recorder {
                pieces: Some(pieces),
                begun: Instant::now(),
                waiting,
                too_slow,
            },
            end,
            fate: Arc::default(),
        })
    }

    /// Returns where it is kept why the recording ended before the session did.
    pub fn fate(&self) -> Arc<OnceLock<Failure>> {
        Arc::clone(&self.fate)
    }

    /// Takes it apart: what is drawn into, and what is waited for.
    pub(super) fn split(self) -> (Recorder, RecordingEnd) {
        let end = RecordingEnd {
            end: self.end,
            fate: self.fate,
        };
        (self.recorder, end)
    }
}

/// How a recording ends.
#[derive(Debug)]
pub(super) struct RecordingEnd {
    end: oneshot::Receiver<Result<(), Failure>>,
    fate: Arc<OnceLock<Failure>>,
}

impl RecordingEnd {
    /// Waits until it is all in the file; returns why it is not.
    pub(super) async fn wait(self) -> Option<Failure> {
        let cause = self.end.await.ok()?.err()?;
        drop(self.fate.set(cause.clone()));
        Some(cause)
    }
}

/// What is drawn into. The file is whole once this is dropped and the thread has ended.
#[derive(Debug)]
pub struct Recorder {
    /// `None` once the recording has ended.
    pieces: Option<SyncSender<Piece>>,
    begun: Instant,
    waiting: Arc<AtomicU64>,
    too_slow: Arc<AtomicBool>,
}

impl Recorder {
    /// Begins: times count from here.
    pub fn begin(&mut self, size: (u16, u16), at: Timestamp) {
        self.begun = Instant::now();
        self.hand_over(Piece::Begin { size, at }, 0);
    }

    /// Takes what was written to the terminal.
    pub fn drew(&mut self, bytes: Vec<u8>) {
        let (after, length) = (self.begun.elapsed(), bytes.len() as u64);
        self.hand_over(Piece::Output { after, bytes }, length);
    }

    /// Takes another size of the terminal.
    pub fn resized(&mut self, size: (u16, u16)) {
        let after = self.begun.elapsed();
        self.hand_over(Piece::Resize { after, size }, 0);
    }

    fn hand_over(&mut self, piece: Piece, bytes: u64) {
        let Some(pieces) = &self.pieces else { return };
        let waiting = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        // A frame that is left out would spoil all that follow: they only say what has changed.
        if waiting.saturating_add(bytes) > WAITING || pieces.try_send(piece).is_err() {
            self.too_slow.store(true, Ordering::Relaxed);
            self.pieces = None;
        }
    }
}

/// The thread's side.
struct Writer {
    path: PathBuf,
    file: File,
    limit: u64,
    written: u64,
    waiting: Arc<AtomicU64>,
    too_slow: Arc<AtomicBool>,
}

impl Writer {
    fn write(mut self, pieces: &Receiver<Piece>) -> Result<(), Failure> {
        while let Ok(piece) = pieces.recv() {
            self.put(&piece)?;
            if let Piece::Output { bytes, .. } = &piece {
                self.waiting
                    .fetch_sub(bytes.len() as u64, Ordering::Relaxed);
            }
        }
        if self.too_slow.load(Ordering::Relaxed) {
            return Err(self.ended(ErrorKind::Store, "the disk is too slow for it"));
        }
        let synced = self.file.sync_all();
        synced.map_err(|error| self.ended(ErrorKind::Store, &error.to_string()))
    }

    fn put(&mut self, piece: &Piece) -> Result<(), Failure> {
        let line = piece
            .line()
            .map_err(|error| self.ended(ErrorKind::Internal, &error.to_string()))?;
        let after = self.written.saturating_add(line.len() as u64);
        if after > self.limit {
            let why = format!("it has reached its limit of {}", Bytes(self.limit));
            return Err(self
                .ended(ErrorKind::Config, &why)
                .with_hint("raise `tui.record_limit` in the configuration"));
        }
        self.file.write_all(line.as_bytes()).map_err(|error| {
            // What is there stays readable: no half of a line at its end.
            drop(self.file.set_len(self.written));
            self.ended(ErrorKind::Store, &error.to_string())
        })?;
        self.written = after;
        Ok(())
    }

    fn ended(&self, kind: ErrorKind, why: &str) -> Failure {
        let path = self.path.display();
        Failure::new(kind, format!("the recording {path} ends here: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const ROOM: u64 = 1 << 20;

    fn begin(path: &Path, limit: u64) -> (Recorder, RecordingEnd) {
        let (mut recorder, end) = Recording::create(path, limit).unwrap().split();
        recorder.begin((80, 24), "2026-01-01T00:00:00Z".parse().unwrap());
        (recorder, end)
    }

    fn lines(path: &Path) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[tokio::test]
    async fn header_frames_and_sizes_are_in_a_file_of_ours_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.cast");
        let (mut recorder, end) = begin(&path, ROOM);
        recorder.drew(b"\x1b[2J\xe2\x97\x8f one\x9b".to_vec());
        recorder.resized((100, 30));
        drop(recorder);
        assert_eq!(end.wait().await, None);
        let lines = lines(&path);
        assert_eq!(lines[0]["version"], 2);
        assert_eq!(
            (&lines[0]["width"], &lines[0]["height"]),
            (&80.into(), &24.into())
        );
        assert!(lines[1][0].is_f64());
        assert_eq!(lines[1][1], "o");
        assert_eq!(lines[1][2], "\u{1b}[2J● one\u{fffd}");
        assert_eq!(
            (&lines[2][1], &lines[2][2]),
            (&"r".into(), &"100x30".into())
        );
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let refused = Recording::create(&path, ROOM).unwrap_err();
        assert!(refused.message.contains("already"), "{refused:?}");
    }

    #[tokio::test]
    async fn a_recording_that_is_full_ends_with_a_whole_line_and_says_so() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.cast");
        let recording = Recording::create(&path, 400).unwrap();
        let fate = recording.fate();
        let (mut recorder, end) = recording.split();
        recorder.begin((80, 24), "2026-01-01T00:00:00Z".parse().unwrap());
        for _ in 0..20 {
            recorder.drew(vec![b'x'; 50]);
        }
        let cause = end.wait().await.unwrap();
        assert!(cause.message.contains("its limit of 400"), "{cause:?}");
        assert_eq!(fate.get(), Some(&cause));
        assert!(lines(&path).len() > 2);
        assert!(std::fs::metadata(&path).unwrap().len() <= 400);
        // Whoever draws goes on, and notices nothing.
        recorder.drew(b"more".to_vec());
    }

    #[tokio::test]
    async fn a_full_disk_ends_it() {
        // A device on which every write fails as on a full disk; it cannot be created, only opened.
        let Ok(file) = std::fs::OpenOptions::new().write(true).open("/dev/full") else {
            return;
        };
        let (pieces, waiting) = sync_channel(8);
        let mut recorder = Recorder {
            pieces: Some(pieces),
            begun: Instant::now(),
            waiting: Arc::default(),
            too_slow: Arc::default(),
        };
        recorder.begin((80, 24), "2026-01-01T00:00:00Z".parse().unwrap());
        let writer = Writer {
            path: "/dev/full".into(),
            file,
            limit: ROOM,
            written: 0,
            waiting: Arc::default(),
            too_slow: Arc::default(),
        };
        let cause = writer.write(&waiting).unwrap_err();
        assert_eq!(cause.kind, ErrorKind::Store);
        assert!(cause.message.contains("ends here"), "{cause:?}");
    }

    #[test]
    fn a_disk_that_does_not_keep_up_never_holds_up_the_one_who_draws() {
        // Nobody takes anything out: as if the disk stood still.
        let (pieces, taken) = sync_channel(QUEUE);
        let mut recorder = Recorder {
            pieces: Some(pieces),
            begun: Instant::now(),
            waiting: Arc::default(),
            too_slow: Arc::default(),
        };
        for _ in 0..QUEUE + 10 {
            recorder.drew(vec![b'x'; 100]);
        }
        assert!(recorder.pieces.is_none() && recorder.too_slow.load(Ordering::Relaxed));
        assert_eq!(taken.try_iter().count(), QUEUE);
        let (pieces, taken) = sync_channel(QUEUE);
        recorder.pieces = Some(pieces);
        recorder.waiting.store(0, Ordering::Relaxed);
        for _ in 0..9 {
            recorder.drew(vec![b'x'; 1 << 20]);
        }
        assert!(recorder.pieces.is_none());
        assert_eq!(taken.try_iter().count(), 8);
    }
}

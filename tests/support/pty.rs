//! The real program in a real pseudo-terminal: keys go in, a screen comes out.
//!
//! The rules that keep such tests from lying: wait for text with a bound, never for time; assert that
//! something is absent only once the screen has been still; what is looked at is what a terminal shows, no frame that
//! is half written; the program is killed when the test ends.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// How long a text may take to appear. Generous: it bounds a failure, it is never waited out.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a screen must not change to count as still.
const STILL: Duration = Duration::from_millis(400);

/// What stands around a frame that a terminal shows at once (synchronized output, DEC mode 2026).
const FRAME_BEGINS: &[u8] = b"\x1b[?2026h";
const FRAME_ENDS: &[u8] = b"\x1b[?2026l";

/// How long a frame may take to be written; as in terminals, one that takes longer is shown in pieces.
const LONGEST_FRAME: Duration = Duration::from_secs(1);

/// Bytes that are kept as they came.
const RAW: usize = 256 * 1024;

/// A colour as a terminal of any kind is told of it: in full, or the nearest of its 256.
pub type Shade = ((u8, u8, u8), u8);

pub const RED: Shade = ((255, 0, 0), 196);
pub const GREEN: Shade = ((0, 255, 0), 46);
pub const BLUE: Shade = ((0, 0, 255), 21);

/// Whether anything on the screen is written in this colour.
pub fn shows(screen: &vt100::Screen, shade: Shade) -> bool {
    let rows = screen.size().0.get();
    (0..rows).any(|row| !written_in(screen, row, shade).is_empty())
}

/// What of a row is written in this colour, without spaces.
pub fn written_in(screen: &vt100::Screen, row: u16, ((r, g, b), index): Shade) -> String {
    let wanted = [vt100::Color::Rgb(r, g, b), vt100::Color::Idx(index)];
    let cells = (0..screen.size().1.get()).filter_map(|column| screen.cell(row, column));
    let fits = cells.filter(|cell| wanted.contains(&cell.fgcolor()));
    fits.map(|cell| cell.contents().trim().to_owned()).collect()
}

/// What the reader thread has seen so far.
struct Seen {
    screen: vt100::Parser,
    bytes: u64,
    /// The end of what was written, as it came.
    raw: Vec<u8>,
    last_change: Instant,
    /// Since when a frame is being written.
    frame: Option<Instant>,
    ended: bool,
}

impl Seen {
    /// Whether a terminal would still show what was there before.
    fn is_drawing(&self) -> bool {
        !self.ended
            && self
                .frame
                .is_some_and(|since| since.elapsed() < LONGEST_FRAME)
    }

    /// Takes what was written.
    fn take(&mut self, bytes: &[u8]) {
        self.screen.process(bytes);
        self.bytes += bytes.len() as u64;
        // A mark may come in two pieces.
        let from = self.raw.len().saturating_sub(FRAME_BEGINS.len() - 1);
        self.raw.extend_from_slice(bytes);
        let last = |mark: &[u8]| {
            self.raw[from..]
                .windows(mark.len())
                .rposition(|part| part == mark)
        };
        match (last(FRAME_BEGINS), last(FRAME_ENDS)) {
            (None, None) => {}
            (began, ended) if began > ended => self.frame = Some(Instant::now()),
            _ => self.frame = None,
        }
        let old = self.raw.len().saturating_sub(RAW);
        self.raw.drain(..old);
        self.last_change = Instant::now();
    }
}

/// A program running in a pseudo-terminal.
pub struct Pty {
    master: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    /// Pixels of a cell; none where the terminal does not say.
    cell: (u16, u16),
}

impl Pty {
    /// Starts `program` with arguments and environment in a terminal of the given size.
    pub fn start(program: &Path, args: &[&str], env: &[(&str, &str)], size: (u16, u16)) -> Self {
        Self::start_with_pixels(program, args, env, size, (0, 0))
    }

    /// The same in a terminal that says how many pixels a cell has.
    pub fn start_with_pixels(
        program: &Path,
        args: &[&str],
        env: &[(&str, &str)],
        (columns, rows): (u16, u16),
        cell: (u16, u16),
    ) -> Self {
        let size = size_of((columns, rows), cell);
        let pair = native_pty_system()
            .openpty(size)
            .expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.env("TERM", "xterm-256color");
        for (name, value) in env {
            command.env(name, value);
        }
        let child = pair
            .slave
            .spawn_command(command)
            .expect("the program starts");
        drop(pair.slave);
        let reader = pair.master.try_clone_reader().expect("a reader");
        let keys = pair.master.take_writer().expect("a writer");
        let seen = Seen {
            screen: vt100::Parser::new(cells(rows), cells(columns), 0),
            bytes: 0,
            raw: Vec::new(),
            last_change: Instant::now(),
            frame: None,
            ended: false,
        };
        let seen = Arc::new((Mutex::new(seen), Condvar::new()));
        std::thread::spawn({
            let seen = Arc::clone(&seen);
            move || read_into(reader, &seen)
        });
        Self {
            master: pair.master,
            child,
            keys,
            seen,
            cell,
        }
    }

    /// Types text as it is; `\x1b` is Escape, `\r` Enter.
    pub fn keys(&mut self, text: &str) {
        self.keys
            .write_all(text.as_bytes())
            .expect("the terminal takes keys");
        self.keys.flush().expect("the terminal takes keys");
    }

    /// Returns the visible screen as text.
    pub fn screen(&self) -> String {
        self.whole().screen.screen().contents()
    }

    /// What has been seen, as soon as it is no half of a frame.
    fn whole(&self) -> MutexGuard<'_, Seen> {
        let (lock, changed) = &*self.seen;
        let seen = lock.lock().unwrap();
        let (seen, _) = changed
            .wait_timeout_while(seen, LONGEST_FRAME, |seen| seen.is_drawing())
            .unwrap();
        seen
    }

    /// Returns whether the program is on the alternate screen.
    pub fn on_alternate_screen(&self) -> bool {
        self.whole().screen.screen().alternate_screen()
    }

    /// Returns whether the program has asked for the mouse.
    pub fn takes_mouse(&self) -> bool {
        let seen = self.whole();
        seen.screen.screen().mouse_protocol_mode() != vt100::MouseProtocolMode::None
    }

    /// Returns whether the cursor is hidden.
    pub fn cursor_hidden(&self) -> bool {
        self.whole().screen.screen().hide_cursor()
    }

    /// Returns how many bytes the program has written.
    pub fn bytes_written(&self) -> u64 {
        self.seen.0.lock().unwrap().bytes
    }

    /// Waits until the screen satisfies a condition; fails with the screen otherwise.
    pub fn wait_for(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        self.wait_cells(what, |screen| condition(&screen.contents()))
    }

    /// The same with everything that a terminal keeps of a screen, colours among it.
    pub fn wait_cells(&self, what: &str, condition: impl Fn(&vt100::Screen) -> bool) -> String {
        let changed = &self.seen.1;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = self.whole();
            let screen = seen.screen.screen();
            if condition(screen) {
                return screen.contents();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero() && !(seen.ended),
                "{what} did not appear{}; the screen:\n{}",
                if seen.ended {
                    " (the program has ended)"
                } else {
                    ""
                },
                screen.contents()
            );
            drop(changed.wait_timeout(seen, left).unwrap());
        }
    }

    /// Waits until a text is on the screen.
    pub fn wait_text(&self, text: &str) -> String {
        self.wait_for(&format!("{text:?}"), |screen| screen.contains(text))
    }

    /// Waits until these bytes have come, whatever a terminal makes of them.
    pub fn wait_bytes(&self, bytes: &[u8]) {
        let what = format!("{:?}", String::from_utf8_lossy(bytes));
        self.wait_raw(&what, |raw| {
            raw.windows(bytes.len()).any(|part| part == bytes)
        });
    }

    /// Waits until what has been written, as it came, satisfies a condition; returns it.
    pub fn wait_raw(&self, what: &str, condition: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let (lock, changed) = &*self.seen;
        let deadline = Instant::now() + PATIENCE;
        let mut seen = lock.lock().unwrap();
        while !condition(&seen.raw) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero() && !seen.ended,
                "{what} did not come; the screen:\n{}",
                seen.screen.screen().contents()
            );
            seen = changed.wait_timeout(seen, left).unwrap().0;
        }
        seen.raw.clone()
    }

    /// Returns the end of what the program has written, as it came.
    pub fn raw(&self) -> Vec<u8> {
        self.seen.0.lock().unwrap().raw.clone()
    }

    /// Forgets what has been written so far, so that what is looked for has come after this.
    pub fn forget_raw(&self) {
        self.seen.0.lock().unwrap().raw.clear();
    }

    /// Waits until no order is under way: what it changed is often seen before its end, and leaving asks until then.
    pub fn wait_for_the_end_of_orders(&self) {
        self.wait_for("the end of all orders", |screen| {
            !screen.contains("under way")
        });
    }

    /// Waits until the screen has not changed for a while, and returns it.
    pub fn still(&self) -> String {
        let (lock, changed) = &*self.seen;
        let deadline = Instant::now() + PATIENCE;
        let mut seen = lock.lock().unwrap();
        loop {
            let quiet = seen.last_change.elapsed();
            if quiet >= STILL {
                return seen.screen.screen().contents();
            }
            assert!(Instant::now() < deadline, "the screen never came to rest");
            seen = changed
                .wait_timeout(seen, STILL.saturating_sub(quiet))
                .unwrap()
                .0;
        }
    }

    /// Changes the size of the terminal. As in every terminal the screen has the new size before the program hears
    /// of it: a screen that shrinks scrolls what is on it, which must not be what the program drew for the new size.
    pub fn resize(&self, columns: u16, rows: u16) {
        let size = size_of((columns, rows), self.cell);
        let mut seen = self.seen.0.lock().unwrap();
        let screen = seen.screen.screen_mut();
        screen.set_size(cells(rows), cells(columns));
        self.master.resize(size).expect("the terminal resizes");
    }

    /// Returns the program's process id.
    pub fn pid(&self) -> u32 {
        self.child.process_id().expect("a running program")
    }

    /// Waits for the program to end and returns its exit code.
    pub fn wait_exit(&mut self) -> u32 {
        let deadline = Instant::now() + PATIENCE;
        let (lock, changed) = &*self.seen;
        let mut seen = lock.lock().unwrap();
        while !seen.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "it did not end:\n{}",
                seen.screen.screen().contents()
            );
            seen = changed.wait_timeout(seen, left).unwrap().0;
        }
        drop(seen);
        self.child.wait().expect("an exit status").exit_code()
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn size_of((columns, rows): (u16, u16), cell: (u16, u16)) -> PtySize {
    PtySize {
        rows,
        cols: columns,
        pixel_width: columns * cell.0,
        pixel_height: rows * cell.1,
    }
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("a terminal has cells")
}

fn read_into(mut reader: Box<dyn Read + Send>, seen: &(Mutex<Seen>, Condvar)) {
    let mut buffer = [0; 16 * 1024];
    loop {
        let count = reader.read(&mut buffer).unwrap_or(0);
        let mut now = seen.0.lock().unwrap();
        if count == 0 {
            now.ended = true;
        } else {
            now.take(&buffer[..count]);
        }
        drop(now);
        seen.1.notify_all();
        if count == 0 {
            return;
        }
    }
}

//! The terminal: taken on entry, given back on every way out (return, error, panic, suspend), written to
//! only when a cell has changed.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste,
    EnableFocusChange,
};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use jiff::Timestamp;
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::pixels::{self, PictureWay, Placed};
use super::recording::Recorder;

/// Most bytes put on the clipboard: what every terminal takes.
pub const MAX_COPY: usize = 64 * 1024;

/// Whether the terminal is ours now; read by the panic hook.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Whether a program that was started from here has the terminal, and when the last one gave it back.
static LENT: Mutex<(bool, Option<Instant>)> = Mutex::new((false, None));

/// How long an interrupt still counts as meant for a program that has just ended by it.
const AFTERWARDS: Duration = Duration::from_millis(500);

/// Says whether an interrupt was meant for a program that has, or just had, the terminal. In our own hands
/// the terminal sends none.
pub fn is_lent() -> bool {
    let (lent, ended) = *LENT.lock().unwrap_or_else(PoisonError::into_inner);
    lent || ended.is_some_and(|at| at.elapsed() < AFTERWARDS)
}

/// Says that the terminal is lent, as long as it lives.
struct Lent;

impl Lent {
    fn begin() -> Self {
        LENT.lock().unwrap_or_else(PoisonError::into_inner).0 = true;
        Self
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *LENT.lock().unwrap_or_else(PoisonError::into_inner) = (false, Some(Instant::now()));
    }
}

/// Gives the terminal back when dropped.
#[derive(Debug)]
pub struct TerminalGuard {
    mouse: bool,
}

impl TerminalGuard {
    /// Takes the terminal.
    ///
    /// # Errors
    ///
    /// Where standard input or output is none, nothing is written at all: a pipe would only get litter.
    pub fn enter(mouse: bool) -> io::Result<Self> {
        if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
            return Err(io::Error::other(
                "standard input and output are not a terminal",
            ));
        }
        restore_on_panic();
        let guard = Self { mouse };
        guard.take()?;
        Ok(guard)
    }

    fn take(&self) -> io::Result<()> {
        TAKEN.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        let mut out = io::stdout();
        execute!(
            out,
            EnterAlternateScreen,
            EnableBracketedPaste,
            EnableFocusChange,
            Hide,
            Clear(ClearType::All)
        )?;
        if self.mouse {
            listen_to_mouse(&mut out)?;
        }
        Ok(())
    }

    /// Gives the terminal back, stops this process as ctrl-z does, and takes it again once the person is
    /// back. Returns the size it has then.
    pub fn suspend(&self) -> io::Result<(u16, u16)> {
        restore();
        stop_ourselves();
        self.take()?;
        crossterm::terminal::size()
    }

    /// Gives the terminal to a program until it ends, and takes it again. Nobody may read keys meanwhile.
    /// Returns how it ended, and the size that the terminal has then.
    pub async fn lend<T>(&self, program: impl Future<Output = T>) -> io::Result<(T, (u16, u16))> {
        restore();
        let lent = Lent::begin();
        let ended = program.await;
        self.take()?;
        drop(lent);
        Ok((ended, crossterm::terminal::size()?))
    }
}

/// Presses and the wheel only (xterm's mode 1000, told in the form of mode 1006). The library would ask for
/// every movement as well, which over a slow line is a flood of reports that mean nothing here.
#[cfg(unix)]
fn listen_to_mouse(out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"\x1b[?1000h\x1b[?1006h")?;
    out.flush()
}

#[cfg(not(unix))]
fn listen_to_mouse(out: &mut impl Write) -> io::Result<()> {
    execute!(out, crossterm::event::EnableMouseCapture)
}

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back. Safe to call more than once; errors have nowhere to go.
pub fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout();
    drop(execute!(
        out,
        EndSynchronizedUpdate,
        DisableMouseCapture,
        DisableFocusChange,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        Show
    ));
    drop(disable_raw_mode());
}

/// Puts a hook before the present one that gives the terminal back, so that the message is readable.
fn restore_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let next = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            next(panic);
        }));
    });
}

#[cfg(unix)]
fn stop_ourselves() {
    use rustix::process::{Signal, getpgrp, getpid, getppid, getsid, kill_process};
    // A process group whose parents are all in other sessions is orphaned: the kernel ignores SIGTSTP
    // there, and only SIGSTOP stops it.
    let orphaned = getppid().is_none_or(|parent| {
        let apart = getsid(Some(parent)).ok() != getsid(None).ok();
        let leads = getsid(None).is_ok_and(|session| session == getpgrp());
        apart || leads
    });
    let signal = if orphaned { Signal::STOP } else { Signal::TSTP };
    // Cannot fail: the process is ours. If it did, we would simply go on.
    kill_process(getpid(), signal).unwrap_or_default();
}

#[cfg(not(unix))]
fn stop_ourselves() {}

/// Where frames go: remembers the last one and writes only what has changed. No change, no byte.
#[derive(Debug)]
pub struct Surface<W: Write> {
    out: W,
    shown: Buffer,
    next: Buffer,
    cursor: Option<Position>,
    fresh: bool,
    recorder: Option<Recorder>,
    /// The picture that is over the cells, and how it was shown.
    placed: Option<(Placed, PictureWay)>,
}

impl<W: Write> Surface<W> {
    /// Makes an empty surface of this size.
    pub fn new(out: W, (width, height): (u16, u16)) -> Self {
        let area = Rect::new(0, 0, width, height);
        Self {
            out,
            shown: Buffer::empty(area),
            next: Buffer::empty(area),
            cursor: None,
            fresh: true,
            recorder: None,
            placed: None,
        }
    }

    /// Records frames from now on.
    pub fn record(&mut self, mut recorder: Recorder, at: Timestamp) {
        let area = self.next.area;
        recorder.begin((area.width, area.height), at);
        self.recorder = Some(recorder);
    }

    /// Takes another size; everything is drawn again.
    pub fn resize(&mut self, (width, height): (u16, u16)) {
        let area = Rect::new(0, 0, width, height);
        self.shown = Buffer::empty(area);
        self.next = Buffer::empty(area);
        self.invalidate();
        if let Some(recorder) = &mut self.recorder {
            recorder.resized((width, height));
        }
    }

    /// Forgets what is on the terminal; everything is drawn again.
    pub fn invalidate(&mut self) {
        self.placed = None;
        self.fresh = true;
        self.shown.reset();
    }

    /// Draws a frame and writes what has changed in one piece.
    pub fn draw(&mut self, paint: impl FnOnce(&mut Buffer) -> Option<Position>) -> io::Result<()> {
        self.draw_with_picture((PictureWay::Blocks, None), |buf| (paint(buf), None))
    }

    /// Draws a frame and the picture over it. A picture that is there already is not sent again.
    pub fn draw_with_picture(
        &mut self,
        (way, cell): (PictureWay, Option<(u16, u16)>),
        paint: impl FnOnce(&mut Buffer) -> (Option<Position>, Option<Placed>),
    ) -> io::Result<()> {
        self.next.reset();
        let (cursor, picture) = paint(&mut self.next);
        let picture = picture.map(|placed| (placed, way));
        let other_picture = picture != self.placed;
        let takes_away = self.take_picture_away(picture.as_ref());
        let changes = self.shown.diff(&self.next);
        if changes.is_empty() && cursor == self.cursor && !self.fresh && !other_picture {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(4096);
        queue!(bytes, BeginSynchronizedUpdate)?;
        bytes.extend(takes_away);
        if self.cursor.is_some() || self.fresh {
            queue!(bytes, Hide)?;
        }
        if self.fresh {
            queue!(bytes, Clear(ClearType::All))?;
        }
        let mut backend = CrosstermBackend::new(&mut bytes);
        backend.draw(changes.into_iter())?;
        if other_picture && let Some((placed, way)) = &picture {
            queue!(bytes, MoveTo(placed.area.x, placed.area.y))?;
            bytes.extend(pixels::show(placed, *way, cell));
        }
        if let Some(at) = cursor {
            queue!(bytes, MoveTo(at.x, at.y), Show)?;
        }
        queue!(bytes, EndSynchronizedUpdate)?;
        self.out.write_all(&bytes)?;
        self.out.flush()?;
        if let Some(recorder) = &mut self.recorder {
            recorder.drew(bytes);
        }
        self.placed = picture;
        self.cursor = cursor;
        self.fresh = false;
        std::mem::swap(&mut self.shown, &mut self.next);
        Ok(())
    }

    /// Returns what takes the last picture away, where the next one does not cover it. Where nothing does, all cells
    /// are drawn again.
    fn take_picture_away(&mut self, next: Option<&(Placed, PictureWay)>) -> Vec<u8> {
        let Some((before, way)) = &self.placed else {
            return Vec::new();
        };
        if next.is_some_and(|(placed, _)| placed.area == before.area) {
            return Vec::new();
        }
        pixels::hide(*way).unwrap_or_else(|| {
            self.invalidate();
            Vec::new()
        })
    }

    /// Puts text on the person's clipboard through the terminal (OSC 52). Text that is too long is
    /// refused, because a part of it would be worse than none.
    pub fn copy(&mut self, text: &str) -> io::Result<bool> {
        if text.len() > MAX_COPY {
            return Ok(false);
        }
        execute!(self.out, CopyToClipboard::to_clipboard_from(text))?;
        Ok(true)
    }

    /// Writes a sequence that draws nothing.
    pub fn tell(&mut self, sequence: &str) -> io::Result<()> {
        self.out.write_all(sequence.as_bytes())?;
        self.out.flush()
    }

    /// Returns where bytes go: for tests that count them.
    pub const fn output(&self) -> &W {
        &self.out
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ratatui::style::Style;

    use super::*;
    use crate::domain::picture::Picture;

    fn surface() -> Surface<Vec<u8>> {
        Surface::new(Vec::new(), (20, 3))
    }

    fn paint(text: &str) -> impl FnOnce(&mut Buffer) -> Option<Position> + use<'_> {
        move |buf| {
            buf.set_string(0, 0, text, Style::new());
            None
        }
    }

    #[test]
    fn a_frame_like_the_last_one_writes_nothing() {
        let mut surface = surface();
        surface.draw(paint("one")).unwrap();
        let written = surface.output().len();
        assert!(written > 0);
        surface.draw(paint("one")).unwrap();
        assert_eq!(surface.output().len(), written);
        surface.draw(paint("two")).unwrap();
        assert!(surface.output().len() > written);
    }

    #[test]
    fn redrawing_writes_everything_again() {
        let mut surface = surface();
        surface.draw(paint("one")).unwrap();
        surface.out.clear();
        surface.invalidate();
        surface.draw(paint("one")).unwrap();
        let text = String::from_utf8(surface.out.clone()).unwrap();
        assert!(
            text.contains("one") && text.contains("\u{1b}[2J"),
            "{text:?}"
        );
    }

    fn picture_at(x: u16, shade: u8) -> Option<Placed> {
        let picture = Picture::new(4, 4, vec![shade; 48])?;
        Some(Placed {
            area: Rect::new(x, 0, 2, 1),
            picture: Arc::new(picture),
        })
    }

    /// What is written for each of these pictures in turn.
    fn written(way: PictureWay, pictures: &[Option<Placed>]) -> Vec<String> {
        let mut surface = surface();
        let mut written = Vec::new();
        for picture in pictures {
            surface.out.clear();
            let paint = |buf: &mut Buffer| {
                buf.set_string(0, 2, "text", Style::new());
                (None, picture.clone())
            };
            surface
                .draw_with_picture((way, Some((8, 16))), paint)
                .unwrap();
            written.push(String::from_utf8(surface.out.clone()).unwrap());
        }
        written
    }

    #[test]
    fn a_picture_is_sent_once_and_taken_away_when_it_is_over() {
        let (one, other) = (picture_at(1, 9), picture_at(1, 90));
        let frames = [one.clone(), one, other, None, None];
        let sent = written(PictureWay::Kitty, &frames);
        assert!(sent[0].contains("\u{1b}_Ga=T,"), "{sent:?}");
        assert_eq!(sent[1], "");
        assert!(
            sent[2].contains("a=T,") && !sent[2].contains("a=d"),
            "{sent:?}"
        );
        assert!(
            sent[3].contains("a=d,d=I") && !sent[3].contains("text"),
            "{sent:?}"
        );
        assert_eq!(sent[4], "");

        let sent = written(PictureWay::Sixel, &frames);
        assert!(sent[0].contains("\u{1b}P0;1;0q"), "{sent:?}");
        assert_eq!(sent[1], "");
        // Pixels that no protocol takes away: all cells are drawn again.
        assert!(
            sent[3].contains("\u{1b}[2J") && sent[3].contains("text"),
            "{sent:?}"
        );
        assert_eq!(sent[4], "");
    }

    #[test]
    fn a_picture_comes_back_after_everything_was_drawn_again() {
        let mut surface = surface();
        let draw = |surface: &mut Surface<Vec<u8>>| {
            surface
                .draw_with_picture((PictureWay::Kitty, None), |_| (None, picture_at(0, 1)))
                .unwrap();
        };
        draw(&mut surface);
        surface.out.clear();
        surface.invalidate();
        draw(&mut surface);
        let text = String::from_utf8(surface.out.clone()).unwrap();
        assert!(text.contains("a=T,"), "{text:?}");
    }

    #[test]
    fn copying_escapes_the_text_and_refuses_a_flood() {
        let mut surface = surface();
        assert!(surface.copy("web-1\u{1b}[2J").unwrap());
        let text = String::from_utf8(surface.out.clone()).unwrap();
        assert!(
            text.starts_with("\u{1b}]52;") && !text.contains("[2J"),
            "{text:?}"
        );
        assert!(!surface.copy(&"x".repeat(MAX_COPY + 1)).unwrap());
    }
}

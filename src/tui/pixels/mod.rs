//! Pictures in a terminal that can show pixels: which way this one takes them, and what is sent. The picture
//! itself is drawn over cells that are left blank for it. Must not ask the terminal anything: its answer
//! would come late over a slow line, and be taken for keys.

mod kitty;
mod sixel;

use std::sync::Arc;

use ratatui::layout::Rect;

use crate::domain::picture::Picture;

/// How pictures are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PictureWay {
    /// As coloured half blocks, two pixels a cell: every terminal can.
    #[default]
    Blocks,
    /// As pixels, by the protocol of kitty, also known to Ghostty, `WezTerm` and Konsole.
    Kitty,
    /// As pixels, by the protocol of DEC's terminals, known to foot, mlterm, contour and others.
    Sixel,
}

/// What is known of a terminal without asking it.
#[derive(Debug, Clone, Default)]
pub struct TerminalTraits {
    /// `TERM`; it alone comes along over SSH.
    pub term: Option<String>,
    /// `TERM_PROGRAM`
    pub program: Option<String>,
    /// Whether something stands between us and the terminal that keeps pictures to itself (tmux, screen).
    pub multiplexed: bool,
}

impl PictureWay {
    /// Guesses from names alone; what is not known gets half blocks, which are never wrong.
    pub fn guess(of: &TerminalTraits) -> Self {
        let term = of.term.as_deref().unwrap_or_default();
        if of.multiplexed || term.starts_with("tmux") || term.starts_with("screen") {
            return Self::Blocks;
        }
        let program = of.program.as_deref().unwrap_or_default();
        if ["xterm-kitty", "xterm-ghostty", "wezterm"].contains(&term)
            || ["ghostty", "WezTerm"].contains(&program)
        {
            return Self::Kitty;
        }
        let is_one_of = |names: &[&str]| names.iter().any(|name| term.starts_with(name));
        if is_one_of(&["foot", "mlterm", "contour", "yaft"]) {
            return Self::Sixel;
        }
        Self::Blocks
    }
}

/// A picture and the cells it is shown in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Where.
    pub area: Rect,
    /// What.
    pub picture: Arc<Picture>,
}

/// What a terminal needs to be told for a picture to be seen; the cursor stands in its upper left cell. Empty where
/// it cannot be shown: `cell` are the pixels of one cell, where the terminal says so.
pub fn show(placed: &Placed, way: PictureWay, cell: Option<(u16, u16)>) -> Vec<u8> {
    match (way, cell) {
        (PictureWay::Kitty, _) => kitty::show(placed),
        (PictureWay::Sixel, Some(cell)) => sixel::show(placed, cell),
        _ => Vec::new(),
    }
}

/// What a terminal needs to be told for the picture to be gone; `None` where its cells have to be drawn again.
pub fn hide(way: PictureWay) -> Option<Vec<u8>> {
    match way {
        PictureWay::Kitty => Some(kitty::hide()),
        PictureWay::Blocks | PictureWay::Sixel => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(term: &str, program: &str, multiplexed: bool) -> PictureWay {
        PictureWay::guess(&TerminalTraits {
            term: Some(term.to_owned()),
            program: Some(program.to_owned()).filter(|name| !name.is_empty()),
            multiplexed,
        })
    }

    #[test]
    fn only_terminals_that_are_known_get_pixels() {
        assert_eq!(guess("xterm-kitty", "", false), PictureWay::Kitty);
        assert_eq!(guess("xterm-256color", "ghostty", false), PictureWay::Kitty);
        assert_eq!(guess("foot-extra", "", false), PictureWay::Sixel);
        assert_eq!(guess("xterm-256color", "", false), PictureWay::Blocks);
        assert_eq!(guess("xterm-kitty", "", true), PictureWay::Blocks);
        assert_eq!(guess("tmux-256color", "ghostty", false), PictureWay::Blocks);
        assert_eq!(
            PictureWay::guess(&TerminalTraits::default()),
            PictureWay::Blocks
        );
    }
}

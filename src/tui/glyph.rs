//! The signs of the screen, and what stands for each where only ASCII can be shown.
//!
//! Everything is drawn with the Unicode signs; [`to_ascii`] is applied to a finished frame, so that no
//! view has to know which mode is on. Text from hosts goes through unchanged unless it happens to be
//! one of our signs.

use crate::domain::vm::PowerState;

/// Bar at the left of the row under the cursor.
pub const CURSOR: &str = "▌";
/// A marked row.
pub const MARK: &str = "◆";
/// A VM that is watched.
pub const WATCHED: &str = "♪";
/// A host of tier `prod`.
pub const PROD: &str = "▲";
/// A value nobody knows.
pub const UNKNOWN: &str = "–";
/// Something under way.
pub const CHANGING: &str = "◐";
/// Between two facts on one line.
pub const DOT: &str = "·";
/// More columns to the left.
pub const MORE_LEFT: &str = "‹";
/// More columns to the right.
pub const MORE_RIGHT: &str = "›";
/// Sorted upwards.
pub const ASCENDING: &str = "▴";
/// Sorted downwards.
pub const DESCENDING: &str = "▾";
/// A mistake.
pub const ERROR: &str = "✕";
/// Something to know.
pub const WARNING: &str = "!";
/// Done.
pub const DONE: &str = "✓";
/// Eight heights of a spark line.
pub const SPARKS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// Returns the sign of a power state.
pub const fn state(state: &PowerState) -> &'static str {
    match state {
        PowerState::Running => "●",
        PowerState::Paused => "‖",
        PowerState::Stopped => "○",
        PowerState::Saved => "▣",
        PowerState::Starting | PowerState::Stopping => CHANGING,
        PowerState::Crashed => ERROR,
        PowerState::Unknown(_) => "?",
    }
}

/// Returns the spark of a share in percent.
pub fn spark(percent: f64) -> &'static str {
    let mut height = 0;
    while height < 7 && percent >= f64::from(height + 1) * 12.5 {
        height += 1;
    }
    SPARKS
        .get(usize::try_from(height).unwrap_or(0))
        .copied()
        .unwrap_or("▁")
}

/// Returns what stands for one of our signs in ASCII mode.
pub fn to_ascii(sign: &str) -> Option<&'static str> {
    Some(match sign {
        "▌" | "›" => ">",
        "‹" => "<",
        "◆" | "✓" | "●" | "•" => "*",
        "▲" | "▴" => "^",
        "▾" => "v",
        "–" | "─" => "-",
        "…" | "◐" => "~",
        "·" | "▁" => ".",
        "○" => "o",
        "‖" => "=",
        "▣" | "═" | "║" | "╔" | "╗" | "╚" | "╝" => "#",
        "✕" => "x",
        "♪" => "n",
        "│" => "|",
        "┌" | "┐" | "└" | "┘" | "├" | "┤" | "╭" | "╮" | "╰" | "╯" | "▄" | "▅" => {
            "+"
        }
        "▂" | "▃" => ":",
        "▆" | "▇" => "%",
        "█" => "@",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sign_has_an_ascii_stand_in() {
        let signs = [
            CURSOR, MARK, PROD, UNKNOWN, CHANGING, DOT, MORE_LEFT, MORE_RIGHT, ASCENDING,
            DESCENDING, ERROR, DONE, WATCHED,
        ];
        for sign in signs.into_iter().chain(SPARKS) {
            assert!(to_ascii(sign).is_some_and(str::is_ascii), "{sign}");
        }
    }

    #[test]
    fn sparks_rise_with_the_share() {
        assert_eq!(spark(0.0), "▁");
        assert_eq!(spark(50.0), "▅");
        assert_eq!(spark(100.0), "█");
        assert_eq!(spark(900.0), "█");
    }
}

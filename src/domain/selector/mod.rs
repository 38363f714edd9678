//! The filter grammar: one string that means the same in the terminal's `/`, in `--filter` and in
//! `?filter=`.
//!
//! ```text
//! filter  = alternatives*                 all of them must match
//! alternatives = term ( "|" term )*       one is enough; binds tighter than the blank
//! term    = "!" term | "(" filter ")" | word | "~" word | "/" regex "/" | field ":" value ( "|" value )*
//!         | figure ( "<" | "<=" | ">" | ">=" | "=" | "!=" ) amount | "marked" | "protected" | "stale"
//! ```
//!
//! A figure that is not known matches no comparison, in neither direction and not under `!` either:
//! a filter may choose what is switched off, so "not known" must never be read as "small".
//!
//! Pure. It must not know any door. `regex` is the one outside crate here; its patterns are bounded
//! in size and nesting when they are read.

mod cursor;
mod expr;
mod figure;
mod filter;
mod fuzzy;
mod line;
mod matching;
mod parse;
mod text;

pub use self::figure::long_time;
pub use self::filter::{Filter, FilterError, MAX_FILTER_BYTES, SYNTAX};
pub use self::line::{LINE_SYNTAX, LineFilter, LineRow};
pub use self::matching::Row;

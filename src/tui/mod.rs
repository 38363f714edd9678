//! The terminal dashboard: an Elm loop over immutable fleet snapshots.
//!
//! `update(&mut App, Event) -> Vec<Effect>` is synchronous and total: no clock, no handle, no terminal.
//! `view(&App, &Theme, &mut ViewState, &mut Buffer)` draws and changes nothing. Effects are run by
//! `effect`, which alone talks to the fleet; their answers come back as events. What a key does stands in
//! one table, [`command`]; help, footer, palette, remapping and docs are derived from it.

pub mod acting;
pub mod app;
pub mod bulk;
pub mod column;
pub mod command;
pub mod console;
pub mod cursor;
pub mod define;
mod desk;
pub mod editor;
pub mod effect;
pub mod event;
pub mod filter;
pub mod glyph;
pub mod graphics;
pub mod guest;
pub mod habits;
pub mod keeping;
pub mod key;
pub mod keymap;
pub mod layout;
pub mod lift;
pub mod logs;
pub mod notify;
pub mod overlay;
pub mod own;
mod own_programs;
pub mod pace;
pub mod picture;
pub mod pixels;
pub mod pointer;
mod rdp_file;
pub mod recording;
mod remembering;
pub mod rows;
pub mod run;
pub mod screen;
mod signals;
pub mod terminal;
pub mod theme;
mod theme_watch;
pub mod update;
pub mod view;
pub mod viewer;
pub mod widget;

pub use self::run::{TuiError, TuiExit, TuiOptions, run};

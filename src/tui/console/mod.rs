//! The serial console of a VM: an emulated terminal in ours.
//!
//! What the VM writes only ever changes cells of the emulated screen. Titles, bells, clipboard writes,
//! queries and everything else that would act on a terminal stay in there; ours sees the cells.

pub mod draw;
pub mod encode;
pub mod keys;
pub mod stage;
pub mod state;
pub mod terminal;

pub use self::state::Console;

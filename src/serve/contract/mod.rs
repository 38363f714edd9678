//! The two older contracts, spoken as their clients know them: thin translations onto the same
//! handlers as `/v1`.

pub mod bot;
pub mod portal;

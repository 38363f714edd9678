//! A command in a pseudo-terminal, as its two queues. Both are bounded: output that nobody takes stops
//! the remote program, input that it does not take stops whoever types.

use tokio::sync::mpsc;

use super::{Chunk, TransportError};
use crate::domain::console::ConsoleInput;

/// A command that runs in a pseudo-terminal. Dropping the output ends it.
#[derive(Debug)]
pub struct RemoteTerminal {
    /// What it prints, then how it ended, then [`Chunk::Closed`] or an error, then nothing.
    pub output: mpsc::Receiver<Result<Chunk, TransportError>>,
    /// What is typed into it.
    pub input: mpsc::Sender<ConsoleInput>,
}

impl RemoteTerminal {
    /// Pieces of output that wait for a reader, each at most one packet of the connection.
    pub const OUTPUT_QUEUE: usize = 4;

    /// Pieces of input that wait for the remote program.
    pub const INPUT_QUEUE: usize = 64;
}

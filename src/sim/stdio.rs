//! Standard streams of a simulated program: bounded queues, so that programs are tested without SSH
//! and a reader that stops reading stops only the program it reads from.

use tokio::sync::mpsc;

/// Pieces of output on their way to the reader.
const OUTPUT_QUEUE: usize = 8;
/// Pieces of input a program may leave unread; a client that sends more is cut off.
pub(super) const INPUT_QUEUE: usize = 1024;

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Out(Vec<u8>),
    Err(Vec<u8>),
}

/// Where a stream of a program goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Out,
    Err,
    Nowhere,
}

/// The other end of a program's streams.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) input: mpsc::Sender<Vec<u8>>,
    pub(super) output: mpsc::Receiver<Piece>,
}

/// What a look at standard input finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    Bytes(Vec<u8>),
    /// Nothing now.
    Empty,
    End,
}

/// A program's streams.
#[derive(Debug)]
pub(super) struct Stdio {
    input: mpsc::Receiver<Vec<u8>>,
    output: mpsc::Sender<Piece>,
    pub(super) out_to: Target,
    pub(super) err_to: Target,
}

impl Stdio {
    /// Makes streams and their other end.
    pub(super) fn new() -> (Self, Ends) {
        let (to_program, input) = mpsc::channel(INPUT_QUEUE);
        let (output, from_program) = mpsc::channel(OUTPUT_QUEUE);
        let stdio = Self {
            input,
            output,
            out_to: Target::Out,
            err_to: Target::Err,
        };
        let ends = Ends {
            input: to_program,
            output: from_program,
        };
        (stdio, ends)
    }

    /// Waits for input; `None` at its end.
    pub(super) async fn read(&mut self) -> Option<Vec<u8>> {
        self.input.recv().await
    }

    /// Takes input that is there already, without waiting.
    pub(super) fn read_more(&mut self) -> Option<Vec<u8>> {
        self.input.try_recv().ok()
    }

    /// Looks at standard input without waiting, for a program on a blocking thread.
    pub(super) fn look(&mut self) -> Input {
        match self.input.try_recv() {
            Ok(bytes) => Input::Bytes(bytes),
            Err(mpsc::error::TryRecvError::Empty) => Input::Empty,
            Err(mpsc::error::TryRecvError::Disconnected) => Input::End,
        }
    }

    /// Writes from a blocking thread; that nobody reads any more is no failure.
    pub(super) fn send(&self, piece: Piece) {
        drop(self.output.blocking_send(piece));
    }

    /// Writes to standard output; nobody reading is no failure, the channel's end ends the program.
    pub(super) async fn out(&self, bytes: impl Into<Vec<u8>> + Send) {
        self.write(self.out_to, bytes.into()).await;
    }

    /// Writes to standard error.
    pub(super) async fn err(&self, bytes: impl Into<Vec<u8>> + Send) {
        self.write(self.err_to, bytes.into()).await;
    }

    async fn write(&self, to: Target, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let piece = match to {
            Target::Out => Piece::Out(bytes),
            Target::Err => Piece::Err(bytes),
            Target::Nowhere => return,
        };
        drop(self.output.send(piece).await);
    }
}

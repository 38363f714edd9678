//! The edge of the process.

fn main() {}

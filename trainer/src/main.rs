//! The `heartlens-train` command.
fn main() {}

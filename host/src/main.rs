//! The `heartlens` command.
fn main() {}

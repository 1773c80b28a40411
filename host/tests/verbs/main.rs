//! The verbs that need more than a record: `fetch`, and the help of all of them, with a server of the tests' own.

#![cfg(all(unix, feature = "cli", feature = "fetch"))]

mod emulated;
mod fetch;
mod help;
mod server;

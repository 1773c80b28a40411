//! The verbs that need more than a record: `fetch` and the help of all of them, with a server of the tests' own; `view` and `device
//! --serve`, with a browser that is none.

#![cfg(all(unix, feature = "cli", feature = "fetch"))]

mod emulated;
mod fetch;
mod help;
mod server;
mod view;

//! The whole way, with the program as a user runs it, on real servers; judged
//! by tools that are not ours where there are any.

#![allow(clippy::print_stderr)]

#[path = "e2e/apply.rs"]
mod apply;
#[path = "e2e/errors.rs"]
mod errors;
#[path = "support/lab.rs"]
mod lab;
#[path = "support/pebble.rs"]
mod pebble;
#[path = "e2e/rehearse.rs"]
mod rehearse;

//! chasquid's files as pure text: what it reads, and what mailctl writes.

pub mod aliases;
pub mod conf;
mod entry;
pub mod prototext;
pub mod users;

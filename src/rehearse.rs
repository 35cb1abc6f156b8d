//! The throw-away world of a rehearsal: a real Debian server, an authoritative
//! name server that holds the root, a resolver, a certificate authority, and the
//! mail server of everyone else. All on this machine; several worlds at once get along.
//!
//! A [`World`] that is stopped, dropped or orphaned leaves nothing behind; see [`cleanup`].

pub mod authority;
pub mod background;
pub mod base;
pub mod cleanup;
pub mod far;
pub mod image;
pub mod mapping;
pub mod mirror;
pub mod names;
pub mod needs;
pub mod network;
pub mod program;
pub mod resolver;
pub mod server;
mod smtp;
pub mod story;
pub mod world;

pub use world::{World, WorldOptions, default_cache};

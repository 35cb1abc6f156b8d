//! mailctl turns one YAML file into a working mail server.
//!
//! Data flows one way: a [`config`] is read, [`parts`] turn it into wished-for
//! resources, [`observe`] looks at the world, [`plan`] is the difference,
//! [`apply`] makes it so. `docs/flow.md` tells the same at length.

pub mod acme;
pub mod apply;
pub mod caa;
pub mod catalogue;
pub mod chasquid;
pub mod check;
pub mod cli;
pub mod commands;
pub mod config;
pub mod danger;
pub mod diagnostic;
pub mod dkim;
pub mod dmarc;
pub mod dns;
pub mod facts;
pub mod failure;
pub mod kinds;
pub mod ledger;
pub mod maillog;
pub mod message;
pub mod observe;
pub mod parts;
mod pattern;
pub mod plan;
pub mod random;
pub mod record;
pub mod rehearse;
pub mod remote;
pub mod render;
pub mod report;
pub mod resource;
pub mod rest;
pub mod secret;
pub mod spf;
pub mod status;
pub mod submission;
pub mod survey;
pub mod trial;
pub mod vault;
pub mod zone;

//! The whole way, with the program as a user runs it, on real servers; judged
//! by tools that are not ours where there are any.

#![allow(clippy::print_stderr)]

#[path = "e2e/apply.rs"]
mod apply;
#[path = "support/bind.rs"]
mod bind;
#[path = "e2e/elsewhere.rs"]
mod elsewhere;
#[path = "e2e/errors.rs"]
mod errors;
#[path = "e2e/hands.rs"]
mod hands;
#[path = "support/judges.rs"]
mod judges;
#[path = "support/knot.rs"]
mod knot;
#[path = "support/lab.rs"]
mod lab;
#[path = "e2e/network.rs"]
mod network;
#[path = "support/pebble.rs"]
mod pebble;
#[path = "support/ports.rs"]
mod ports;
#[path = "support/powerdns.rs"]
mod powerdns;
#[path = "e2e/record.rs"]
mod record;
#[path = "e2e/rehearse.rs"]
mod rehearse;
#[path = "e2e/renewal.rs"]
mod renewal;
#[path = "e2e/round_trip.rs"]
mod round_trip;
#[path = "support/scene.rs"]
#[allow(dead_code)]
mod scene;
#[path = "e2e/secrets.rs"]
mod secrets;
#[path = "e2e/terminal.rs"]
mod terminal;
#[path = "support/unbound.rs"]
mod unbound;
#[path = "support/watch.rs"]
mod watch;

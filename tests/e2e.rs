//! The whole way, with the program as a user runs it, on real servers; judged
//! by tools that are not ours where there are any.

#[path = "e2e/apply.rs"]
mod apply;
#[path = "support/lab.rs"]
mod lab;
#[path = "e2e/rehearse.rs"]
mod rehearse;
#[path = "e2e/round_trip.rs"]
mod round_trip;

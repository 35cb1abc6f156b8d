//! The whole way, with the program as a user runs it, on real servers; judged
//! by tools that are not ours where there are any.

#[path = "e2e/apply.rs"]
mod apply;
#[path = "support/lab.rs"]
mod lab;
#[path = "e2e/record.rs"]
mod record;
#[path = "e2e/rehearse.rs"]
mod rehearse;
#[path = "e2e/round_trip.rs"]
mod round_trip;
#[path = "support/scene.rs"]
#[allow(dead_code)]
mod scene;

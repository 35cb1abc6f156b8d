//! How fast mailctl is, beside floors that are measured in the same run: only
//! the ratios carry over to other machines. Ends with a failure where a goal
//! is missed.
//!
//! `cargo bench --bench speed`, or one part of it: `cargo bench --bench speed -- plan`

#![allow(clippy::print_stdout)]

mod apply;
mod check;
mod far_away;
#[path = "../../tests/support/lab.rs"]
#[allow(dead_code)]
mod lab;
mod plan;
mod records;
mod sample;
mod table;

use std::process::ExitCode;

use mailctl::rehearse::base::Suite;

use lab::Lab;

/// What stands under `domains` in every part.
const DOMAINS: &str = r#"  wac.tax:
    users: {i: {password: env:E2E_MAIL_PASSWORD}}
    forward: {i: i.wac.tax@gmail.com, "*": b@far.example}
"#;

fn main() -> ExitCode {
    let parts: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|p| p == part);
    // The first world of all may have to make its base system.
    let Some(lab) = fresh() else {
        return ExitCode::SUCCESS;
    };
    let mut missed = Vec::new();
    if wanted("plan") {
        missed.extend(plan::measure(&lab));
    }
    if wanted("check") {
        missed.extend(check::measure(&lab));
    }
    if wanted("records") {
        missed.extend(records::measure(&lab));
    }
    drop(lab);
    if wanted("apply") {
        missed.extend(apply::measure());
    }
    for goal in &missed {
        println!("\nmissed: {goal}");
    }
    ExitCode::from(u8::from(!missed.is_empty()))
}

/// A fresh server; without one a line that says why.
fn fresh() -> Option<Lab> {
    Lab::start("bench", Suite::Bookworm)
}

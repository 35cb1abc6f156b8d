//! Parse, run, print the failure, exit.

use std::process::ExitCode;

use clap::Parser;
use mailctl::cli::Cli;
use mailctl::failure::Exit;
use mailctl::{commands, report};

fn main() -> ExitCode {
    // One TLS provider for everything; a second install could only fail because the first succeeded.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cli = Cli::parse();
    let exit = commands::run(&cli).unwrap_or_else(|failure| {
        report::warn(&format!("error: {}", failure.told()));
        failure.code()
    });
    ExitCode::from(match exit {
        Exit::Ok => 0,
        Exit::Failed => 1,
        Exit::Pending => 2,
        Exit::Unsound => 3,
        Exit::Refused => 4,
        Exit::Person => 5,
        Exit::Partial => 6,
    })
}

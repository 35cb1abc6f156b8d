//! One file per verb; glue only.

pub mod apply;
pub mod ask;
pub mod auth;
pub mod check;
pub mod logs;
pub mod plan;
pub mod providers;
pub mod rehearse;
pub mod saved;
pub mod setup;
pub mod status;
pub mod test;
pub mod validate;

use crate::cli::{Cli, Command};
use crate::config;
use crate::failure::{Context, Exit, Result};
use crate::report::say;

/// Runs the verb.
///
/// # Errors
/// Whatever stopped it; `main` prints it.
pub fn run(cli: &Cli) -> Result<Exit> {
    match &cli.command {
        Command::Validate => validate::run(cli),
        Command::Plan(options) => plan::run(cli, options),
        Command::Apply(options) => apply::run(cli, options),
        Command::Check(options) => check::run(cli, options),
        Command::Test(options) => test::run(cli, options),
        Command::Status(options) => status::run(cli, options),
        Command::Logs(options) => logs::run(cli, options),
        Command::Rehearse(options) => rehearse::run(cli, options),
        Command::Providers(options) => providers::run(cli, options),
        Command::Auth(options) => auth::run(cli, options),
        Command::Schema => {
            let schema = config::schema();
            say(&serde_json::to_string_pretty(&schema)
                .context("the schema could not be written")?);
            Ok(Exit::Ok)
        }
        Command::Completions { shell } => {
            let mut text = Vec::new();
            let mut command = <Cli as clap::CommandFactory>::command();
            clap_complete::generate(*shell, &mut command, "mailctl", &mut text);
            say(&String::from_utf8_lossy(&text));
            Ok(Exit::Ok)
        }
    }
}

//! `mailctl status`: the server as it sees itself.

use super::setup::Login;
use crate::cli::{Cli, Status};
use crate::failure::{Exit, Result};

/// Runs the verb.
///
/// # Errors
/// When the server cannot be reached.
pub fn run(cli: &Cli, options: &Status) -> Result<Exit> {
    let _login = Login::open(cli, &options.reach)?;
    Ok(Exit::Ok)
}

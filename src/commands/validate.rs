//! `mailctl validate`: reads the file, contacts nothing.

use serde_json::json;

use super::setup;
use crate::cli::Cli;
use crate::failure::{Exit, Result};
use crate::report::say;

/// Runs the verb.
///
/// # Errors
/// When the file is unsound; every mistake is drawn.
pub fn run(cli: &Cli) -> Result<Exit> {
    let path = setup::file(cli)?;
    let config = setup::config(cli)?;
    let users: usize = config.domains.values().map(|d| d.users.len()).sum();
    if cli.json {
        let names: Vec<String> = config.domains.keys().map(ToString::to_string).collect();
        say(&json!({"schema": "mailctl.validate/1", "sound": true, "host": config.host.name.to_string(), "domains": names, "users": users}).to_string());
    } else if !cli.quiet {
        let (domains, host) = (config.domains.len(), &config.host.name);
        say(&format!(
            "{} is sound: {host}, {domains} domain{}, {users} user{}.",
            path.display(),
            plural(domains),
            plural(users)
        ));
    }
    Ok(Exit::Ok)
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

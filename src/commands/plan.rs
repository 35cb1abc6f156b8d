//! `mailctl plan`: what differs; writes nothing anywhere.

use super::setup;
use crate::cli::{Cli, Plan};
use crate::failure::{Context, Exit, Result};
use crate::render;
use crate::report::say;

/// Runs the verb.
///
/// # Errors
/// When the file is unsound or the world cannot be looked at.
pub fn run(cli: &Cli, options: &Plan) -> Result<Exit> {
    let session = setup::Session::open(cli, &options.reach)?;
    let document = session.plan()?;
    if let Some(path) = &options.out {
        let saved = super::saved::Saved::of(&document);
        saved.write(path)?;
    }
    if cli.json {
        let json = serde_json::to_string_pretty(&document);
        say(&json.context("the plan could not be written")?);
    } else {
        let lines = setup::lines(cli);
        say(render::text(&document, lines.paint, lines.width).trim_end());
    }
    Ok(match (document.complete, document.changes.is_empty()) {
        (false, _) => Exit::Failed,
        (true, false) if options.detailed_exitcode => Exit::Pending,
        _ => Exit::Ok,
    })
}

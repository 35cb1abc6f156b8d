//! `mailctl status`: the server as it sees itself.

use time::OffsetDateTime;

use super::setup::{self, Login};
use crate::cli::{Cli, Status};
use crate::config::Renew;
use crate::failure::{Context, Exit, Failure, Result};
use crate::remote::wait;
use crate::report::say;
use crate::status::{self, Document, Expected};

/// Runs the verb.
///
/// # Errors
/// When the server cannot be reached.
pub fn run(cli: &Cli, options: &Status) -> Result<Exit> {
    let stuck = wait::parse_duration(&options.stuck).map_err(Failure::new)?;
    let login = Login::open(cli, &options.reach)?;
    let config = &login.config;
    let seen = status::ask(
        login.remote.as_ref(),
        config.host_name(),
        OffsetDateTime::now_utc,
    )?;
    let expected = Expected {
        host: config.host_name().to_string(),
        domains: config.domains.keys().map(|name| name.to_string()).collect(),
        names: config.certificate_names(),
        scheduled: config.certificates.renew == Some(Renew::Pipeline),
        stuck,
        now: OffsetDateTime::now_utc(),
    };
    let document = Document::new(seen, &expected, login.remote.place());
    if cli.json {
        let json = serde_json::to_string_pretty(&document);
        say(&json.context("the status could not be written")?);
    } else {
        let lines = setup::lines(cli);
        say(status::text(&document, lines.paint, lines.width).trim_end());
    }
    Ok(if document.well {
        Exit::Ok
    } else {
        Exit::Failed
    })
}

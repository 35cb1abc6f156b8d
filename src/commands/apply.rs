//! `mailctl apply`: make it so.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{ask, saved::Saved, setup};
use crate::apply::stop::Stop;
use crate::apply::{Consent, Tools, apply};
use crate::cli::{Apply, Cli};
use crate::danger;
use crate::failure::{Exit, Failure, Result};
use crate::remote::lock::Lock;
use crate::render::{self, Document};
use crate::report::{Bars, JsonLines, Report, say};

/// Runs the verb.
///
/// # Errors
/// When the file is unsound, the server is held by another apply, or nothing could be begun.
pub fn run(cli: &Cli, options: &Apply) -> Result<Exit> {
    let saved = options.plan.as_deref().map(Saved::read).transpose()?;
    let asks = !options.yes && saved.is_none();
    if asks && !setup::can_ask(cli) {
        return Err(Failure::new("there is nobody to ask whether to apply")
            .hint("look at `mailctl plan`, then run `mailctl apply --yes`"));
    }
    let allowed = danger::allowed(&options.allow)?;
    let session = setup::Session::open(cli, &options.reach)?;
    let by = who();
    let now = OffsetDateTime::now_utc;
    // Kept until the end: two applies at once would undo each other.
    let lock = Lock::take(
        session.world.remote.as_ref(),
        &holder(&by, now()),
        Duration::ZERO,
    )?;
    let lines = setup::lines(cli);
    let (paint, width, quiet) = (lines.paint, lines.width, cli.quiet);
    let report: Arc<dyn Report> = if cli.json {
        Arc::new(JsonLines)
    } else if std::io::stdout().is_terminal() {
        Arc::new(Bars::new(lines))
    } else {
        Arc::new(lines)
    };
    let shown = report.clone();
    let show = move |document: &Document| -> Result<bool> {
        if cli.json {
            shown.event(&crate::report::Event::Plan(document.clone()));
        } else if !quiet {
            say(render::text(document, paint, width).trim_end());
        }
        if asks {
            ask::yes("Apply this?")
        } else {
            Ok(true)
        }
    };
    let tools = Tools {
        authority: session.authority()?,
        afterwards: (!options.no_check)
            .then(|| session.afterwards())
            .transpose()?,
        world: session.world,
        config: session.config,
        vault: session.vault,
        report,
        now,
        by,
        stop: Stop::by_signals(),
    };
    let consent = Consent {
        allowed,
        digest: saved.map(|s| s.digest),
        ask: &show,
    };
    let exit = session.runtime.block_on(apply(&tools, &consent));
    if tools.stop.is_asked() {
        // What is still busy on the server is not waited for; its connection
        // ends with this process, and with that the lock.
        std::mem::forget(lock);
        session.runtime.shutdown_background();
    }
    exit
}

/// What others are told who find the lock taken.
pub(super) fn holder(by: &str, now: OffsetDateTime) -> String {
    let since = now
        .replace_nanosecond(0)
        .unwrap_or(now)
        .format(&Rfc3339)
        .unwrap_or_default();
    format!("{by}, since {since}")
}

/// Who applies, for the lock and the ledger.
pub(super) fn who() -> String {
    let user = std::env::var("USER")
        .or_else(|_| std::env::var("LOGNAME"))
        .unwrap_or_else(|_| "somebody".into());
    let host = nix::unistd::gethostname()
        .ok()
        .and_then(|h| h.into_string().ok())
        .unwrap_or_else(|| "somewhere".into());
    format!("{user}@{host}, process {}", std::process::id())
}

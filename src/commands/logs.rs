//! `mailctl logs`: what happened to mail.

use std::time::Duration;

use super::setup::{self, Login};
use crate::apply::stop::Stop;
use crate::cli::{Cli, Logs};
use crate::failure::{Context, Exit, Failure, Result};
use crate::maillog::filter::Whose;
use crate::maillog::{self, Entry, Query, Since, render, story};
use crate::render::Paint;
use crate::report::{reaches, say, warn};

/// How many lines are shown where nobody says.
const LINES: u32 = 100;
/// How many lines of the journal come before what is followed.
const BEFORE: u32 = 20;
/// How soon a Ctrl-C is noticed.
const BEAT: Duration = Duration::from_millis(250);

/// Runs the verb.
///
/// # Errors
/// When the server cannot be reached, its journal not be read, or a message is not found.
pub fn run(cli: &Cli, options: &Logs) -> Result<Exit> {
    let since = options.since.as_deref().map(Since::parse).transpose();
    let since = since.map_err(Failure::new)?;
    let login = Login::open(cli, &options.reach)?;
    let show = Show {
        json: cli.json,
        all: cli.verbose > 0,
        paint: setup::paint(cli),
        whose: options.user.as_deref().map(Whose::new),
    };
    match &options.id {
        Some(id) => trace(&login, id, since, &show),
        None if options.follow => follow(&login, options, since, show),
        None => list(cli, &login, options, since, show),
    }
}

/// How entries are printed, and which.
struct Show {
    json: bool,
    all: bool,
    paint: Paint,
    whose: Option<Whose>,
}

impl Show {
    /// The line of an entry, where it is wanted.
    fn line(&mut self, entry: &Entry) -> Option<String> {
        if !self
            .whose
            .as_mut()
            .is_none_or(|whose| whose.concerns(entry))
        {
            return None;
        }
        self.text(entry)
    }

    fn text(&self, entry: &Entry) -> Option<String> {
        let text = render::line(entry, self.paint, self.all)?;
        if self.json {
            return serde_json::to_string(entry).ok();
        }
        Some(text)
    }
}

fn list(
    cli: &Cli,
    login: &Login,
    options: &Logs,
    since: Option<Since>,
    mut show: Show,
) -> Result<Exit> {
    let week = || Since::parse("-7d").ok().filter(|_| show.whose.is_some());
    let since = since.or_else(week);
    let most = match (options.lines, &since) {
        (None, None) => Some(LINES),
        (lines, _) => lines,
    };
    let query = Query {
        // Most happenings take several lines, of which one is shown.
        lines: most
            .filter(|_| since.is_none())
            .map(|n| n.saturating_mul(4)),
        since,
        ..Query::default()
    };
    let entries = maillog::read(login.remote.as_ref(), &query)?;
    let lines: Vec<String> = entries.iter().filter_map(|e| show.line(e)).collect();
    if lines.is_empty() && !cli.quiet {
        let what = match &options.user {
            Some(user) => format!("nothing in the log concerns {user}"),
            None => "the log is empty".to_owned(),
        };
        let from = query.since.map_or("", |_| " in this time");
        warn(&format!("{what}{from}"));
    }
    let most = most.map_or(lines.len(), |n| usize::try_from(n).unwrap_or(usize::MAX));
    for line in &lines[lines.len().saturating_sub(most)..] {
        say(line);
    }
    Ok(Exit::Ok)
}

fn follow(login: &Login, options: &Logs, since: Option<Since>, mut show: Show) -> Result<Exit> {
    let stop = Stop::by_signals();
    login.runtime.block_on(async { stop.listen() })?;
    let query = Query {
        lines: match (options.lines, &since) {
            (None, None) => Some(BEFORE),
            (lines, _) => lines,
        },
        since,
        ..Query::default()
    };
    let follow = maillog::follow(login.remote.as_ref(), &query)?;
    while !stop.is_asked() {
        for entry in follow.next(BEAT)? {
            if let Some(line) = show.line(&entry)
                && !reaches(&line)
            {
                return Ok(Exit::Ok);
            }
        }
    }
    Ok(Exit::Ok)
}

fn trace(login: &Login, id: &str, since: Option<Since>, show: &Show) -> Result<Exit> {
    let remote = login.remote.as_ref();
    let id = if maillog::is_queue_id(id) {
        id.to_owned()
    } else {
        story::waiting(remote, id)?
    };
    let story = story::look(remote, &id, since)?;
    if show.json {
        for entry in &story.entries {
            say(&serde_json::to_string(entry).context("the log could not be written")?);
        }
    } else {
        say(story.text(show.paint).trim_end());
    }
    Ok(Exit::Ok)
}

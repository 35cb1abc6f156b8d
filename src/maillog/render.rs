//! The log for people: a line for each thing that happened.

use time::OffsetDateTime;
use time::macros::format_description;

use super::{Entry, Event};
use crate::render::Paint;

/// How wide the word that says what happened is.
const VERB: usize = 8;
/// How wide a queue id is.
const ID: usize = 11;

/// The line of an entry; `None` for what another line says already, unless `all` are wanted.
pub fn line(entry: &Entry, paint: Paint, all: bool) -> Option<String> {
    let (verb, colour, words) = match &entry.event {
        Event::Again { .. } if !all => return None,
        Event::Again { .. } => ("again", "2", entry.text.clone()),
        Event::Other => {
            return Some(format!(
                "{}  {}",
                stamp(entry.at),
                paint.with("2", &clean(&entry.text))
            ));
        }
        event => told(event),
    };
    let id = entry.event.id().unwrap_or_default();
    let gap = " ".repeat(VERB.saturating_sub(verb.len()));
    Some(format!(
        "{}  {}{gap}  {id:ID$}  {}",
        stamp(entry.at),
        paint.with(colour, verb),
        clean(&words)
    ))
}

/// A time in UTC, as `--since` takes it.
pub fn stamp(at: OffsetDateTime) -> String {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    at.to_offset(time::UtcOffset::UTC)
        .format(form)
        .unwrap_or_default()
}

/// What happened in a word, the colour of the word, and to whom.
fn told(event: &Event) -> (&'static str, &'static str, String) {
    match event {
        Event::Queued {
            from, to, client, ..
        } => (
            "queued",
            "36",
            format!("from {from} to {}, by {client}", to.join(", ")),
        ),
        Event::Sent { to, .. } => ("sent", "32", format!("to {to}")),
        Event::Deferred { to, error, .. } => {
            ("deferred", "33", format!("to {to}: {}", answer(error)))
        }
        Event::Failed { to, error, .. } => ("failed", "31", format!("to {to}: {}", answer(error))),
        Event::Waits { next, .. } => ("waits", "33", format!("next attempt in {}", span(next))),
        Event::Done { .. } => ("done", "2", "it left the queue".into()),
        Event::Bounced { report, .. } => (
            "bounced",
            "31",
            format!("its sender is told by the message {report}"),
        ),
        Event::Auth { user, client, ok } => {
            let (verb, colour) = if *ok {
                ("login", "36")
            } else {
                ("no login", "31")
            };
            (verb, colour, format!("{user}, from {client}"))
        }
        Event::Rejected {
            client,
            from,
            to,
            why,
        } => {
            let from = from.as_ref().map(|f| format!("from {f} "));
            let to = match to.len() {
                0 => String::new(),
                _ => format!("to {}, ", to.join(", ")),
            };
            let words = format!("{}{to}by {client}: {why}", from.unwrap_or_default());
            ("rejected", "31", words)
        }
        Event::Refused {
            client,
            command,
            answer,
        } => ("answered", "33", format!("{client} on {command}: {answer}")),
        Event::Connection { client, error } => ("trouble", "33", format!("{client}: {error}")),
        Event::Again { .. } | Event::Other => ("", "", String::new()),
    }
}

/// An error of a delivery in fewer words: `mx.example: 452 4.2.2 mailbox full`.
pub fn answer(error: &str) -> String {
    let last = "all mail servers failed temporarily, last error: ";
    let error = error.strip_prefix(last).unwrap_or(error);
    let parts = || {
        let (server, rest) = error.split_once(": ")?;
        let (stage, reply) = rest.split_once(" failed: ")?;
        let (code, text) = reply.split_once(" \"")?;
        let text = text
            .strip_suffix('"')?
            .replace("\\n", " ")
            .replace("\\\"", "\"");
        let code = code.parse::<u16>().ok()?;
        let known = ["MAIL/RCPT", "DATA", "RCPT", "MAIL"].contains(&stage);
        known.then(|| format!("{}: {code} {text}", server.trim_end_matches('.')))
    };
    parts().unwrap_or_else(|| error.to_owned())
}

/// `1m4.939506581s`, as Go prints a span, without the fraction.
fn span(text: &str) -> String {
    match text.split_once('.') {
        Some((whole, _)) => format!("{whole}s"),
        None => text.to_owned(),
    }
}

/// Others choose some of these words: none may steer the terminal.
pub fn clean(text: &str) -> String {
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maillog::tests::recorded;

    fn lines(all: bool) -> Vec<String> {
        let entries = recorded();
        let shown = entries.iter().filter_map(|e| line(e, Paint(false), all));
        shown.collect()
    }

    #[test]
    fn each_line_says_what_happened_to_whom() {
        let lines = lines(false);
        let has = |text: &str| assert!(lines.iter().any(|l| l.ends_with(text)), "{lines:#?}");
        has("  queued    E8MJkVw9hdk  from i@wac.tax to full@far.example, by 10.77.16.1:55302");
        has(
            "  deferred  E8MJkVw9hdk  to full@far.example: far.mailctl-lab.test: 452 4.2.2 mailbox full",
        );
        has("  waits     E8MJkVw9hdk  next attempt in 1m4s");
        has(
            "  failed    Ln7z3Vug0ZM  to gone@far.example: far.mailctl-lab.test: 550 5.1.1 no such user here",
        );
        has("  bounced   Ln7z3Vug0ZM  its sender is told by the message t9Y-1nez-Vw");
        has("  sent      t9Y-1nez-Vw  to i.wac.tax@gmail.com");
        has("  no login               i@wac.tax, from 10.77.16.1:55306");
        has(
            "  rejected               from friend@stranger.example to someone@elsewhere.example, by 10.77.16.1:53074: relay not allowed",
        );
        has("  answered               10.77.16.1:53074 on RCPT: 503 5.7.1 Relay not allowed");
        has("gmail.com outgoing level raised: TLS_INSECURE > PLAIN");
        assert!(!lines.iter().any(|l| l.contains("Queue.SendLoop")));
        assert!(lines[0].starts_with("2026-11-25 23:02:24  "));
    }

    #[test]
    fn all_lines_where_wanted() {
        assert_eq!(lines(true).len(), recorded().len());
    }

    #[test]
    fn what_others_write_does_not_steer_the_terminal() {
        let mut entry = recorded().remove(0);
        entry.text = "an EHLO name \u{1b}[2J".into();
        entry.event = Event::Other;
        let line = line(&entry, Paint(false), false).expect("a line");
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }

    #[test]
    fn answers_that_have_another_form_stay_whole() {
        for error in [
            "Could not find mail server: lookup far.example: no such host",
            "far.example.: DATA failed: read tcp: i/o timeout",
            "local delivery failed: exit status 75 (output: \"cannot write\")",
            "",
        ] {
            assert_eq!(answer(error), error);
        }
        let many = r#"mx.example.: MAIL/RCPT failed: 550 "5.7.1 first\nsecond""#;
        assert_eq!(answer(many), "mx.example: 550 5.7.1 first second");
    }
}

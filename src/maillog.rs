//! chasquid's log as the journal keeps it: read line by line, understood, told.
//!
//! chasquid writes two logs into the journal. The mail log has one line for
//! each thing that happens to a message; the trace log says much of it again,
//! and some things that the mail log does not. A message is known by its
//! queue id, eleven characters that chasquid makes when it accepts it. The
//! `Message-ID` header is in neither log.

mod event;
pub mod filter;
mod journal;
mod query;
mod read;
pub mod render;
pub mod story;

pub use event::Event;
pub use query::{Query, Since};
pub use read::{Follow, follow, read};

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// When it was written, UTC.
    #[serde(serialize_with = "rfc3339")]
    pub at: OffsetDateTime,
    /// The systemd unit that it is about.
    pub unit: String,
    /// The line as it was written.
    pub text: String,
    /// What it says; `other` where it is not understood.
    #[serde(flatten)]
    pub event: Event,
}

impl Entry {
    /// Reads one line of `journalctl -o json`; `None` where it is none.
    pub fn parse(line: &str) -> Option<Self> {
        let (at, unit, text) = journal::parse(line)?;
        let event = if unit == "systemd" {
            Event::Other
        } else {
            Event::parse(&text)
        };
        Some(Self {
            at,
            unit,
            text,
            event,
        })
    }
}

fn rfc3339<S: Serializer>(at: &OffsetDateTime, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&at.format(&Rfc3339).unwrap_or_default())
}

/// Whether `text` has the form of a queue id.
pub fn is_queue_id(text: &str) -> bool {
    let good = |octet: u8| octet.is_ascii_alphanumeric() || b"-_".contains(&octet);
    text.len() == 11 && text.bytes().all(good)
}

#[cfg(test)]
pub(crate) mod tests {
    use time::macros::datetime;

    use super::*;

    /// The recorded log, a second a line.
    pub(crate) fn recorded() -> Vec<Entry> {
        let log = include_str!("../tests/fixtures/maillog/chasquid-1.19.txt");
        let begin = datetime!(2026-11-25 23:02:24 UTC);
        let entry = |(n, line): (u32, &str)| Entry {
            at: begin + time::Duration::seconds(n.into()),
            unit: "chasquid.service".into(),
            text: line.into(),
            event: Event::parse(line),
        };
        (0..).zip(log.lines()).map(entry).collect()
    }

    #[test]
    fn the_document_of_an_entry() {
        let entries = recorded();
        let queued = entries
            .iter()
            .find(|e| e.text.contains("Vug0ZM from=i@wac.tax queued"));
        let json = serde_json::to_value(queued.expect("recorded")).expect("JSON");
        assert_eq!(json["event"], "queued");
        assert_eq!(json["id"], "Ln7z3Vug0ZM");
        assert_eq!(json["to"][0], "gone@far.example");
        assert!(json["at"].as_str().is_some_and(|at| at.ends_with('Z')));
    }

    #[test]
    fn queue_ids_have_a_form() {
        assert!(is_queue_id("t9Y-1nez-Vw") && is_queue_id("E8MJkVw9hdk"));
        for text in [
            "",
            "short",
            "t9Y-1nez-Vw=",
            "t9Y/1nez-Vw",
            "<a@example.com>",
        ] {
            assert!(!is_queue_id(text), "{text}");
        }
    }
}

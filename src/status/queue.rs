//! What waits for delivery: chasquid's queue directory, a file a message.

use serde::{Deserialize, Serialize};

use super::clock;
use crate::chasquid::prototext::{self, Message, Value};
use crate::maillog::render::answer;

/// Prints the head of each file without the message itself, then the end of
/// each, where the time of its acceptance stands. Three programs for all.
pub const PROBE: &str = r#"cd /var/lib/chasquid/queue 2>/dev/null || { echo absent; exit; }
set -- m:*
[ -e "$1" ] || exit 0
head -v -c 65536 -- "$@" 2>/dev/null | grep -av '^data:'
echo '@created'
tail -v -c 128 -- "$@" 2>/dev/null || :"#;

/// How many messages are listed one by one.
const LISTED: usize = 20;

/// The queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// How many messages wait.
    pub length: usize,
    /// How long the oldest has waited, in seconds; `None` where none waits or its file does not tell.
    pub oldest_seconds: Option<u64>,
    /// The oldest ones, the oldest first.
    pub messages: Vec<Waiting>,
}

/// A message that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Its queue id.
    pub id: String,
    /// MAIL FROM; `None` where its file cannot be read.
    pub from: Option<String>,
    /// When it was accepted, RFC 3339, UTC.
    pub accepted: Option<String>,
    /// How long ago that is, in seconds.
    pub seconds: Option<u64>,
    /// Who still waits for it.
    pub recipients: Vec<Recipient>,
}

/// Somebody who still waits for a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// The address, after aliases.
    pub address: String,
    /// The last error of its delivery; `None` before the first attempt.
    pub error: Option<String>,
}

/// Reads what the probe prints; `now` in seconds since 1970.
pub fn parse(text: &str, now: i64) -> Queue {
    let (heads, ends) = text.split_once("@created\n").unwrap_or((text, ""));
    let created: Vec<(&str, Option<i64>)> =
        files(ends).map(|(id, end)| (id, created(end))).collect();
    let mut messages: Vec<(Option<i64>, Waiting)> = files(heads)
        .map(|(id, head)| {
            let at = created.iter().find(|(of, _)| *of == id);
            let at = at.and_then(|(_, at)| *at);
            (at, waiting(id, head, at, now))
        })
        .collect();
    messages.sort_by_key(|(at, _)| at.unwrap_or(i64::MAX));
    let length = messages.len();
    let mut messages: Vec<Waiting> = messages.into_iter().map(|(_, message)| message).collect();
    messages.truncate(LISTED);
    Queue {
        length,
        oldest_seconds: messages.first().and_then(|message| message.seconds),
        messages,
    }
}

/// `==> m:ID <==` and what follows it. No text of a message has a line of its own.
fn files(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let parts = text
        .strip_prefix("==> m:")
        .into_iter()
        .flat_map(|text| text.split("\n==> m:"));
    parts.filter_map(|part| part.split_once(" <==\n"))
}

/// The `seconds` of the last field, `created_at_ts`.
fn created(end: &str) -> Option<i64> {
    let line = end
        .lines()
        .rev()
        .find_map(|line| line.trim().strip_prefix("seconds:"))?;
    line.trim().parse().ok()
}

fn waiting(id: &str, head: &str, at: Option<i64>, now: i64) -> Waiting {
    // Whatever stands behind the recipients is of no interest, and may be cut.
    let head = head.split("\ncreated_at_ts").next().unwrap_or_default();
    let message = prototext::parse(head).unwrap_or_default();
    let recipients = message.iter().filter(|field| field.name == "rcpt");
    Waiting {
        id: id.to_owned(),
        from: text(&message, "from"),
        accepted: at
            .and_then(|at| time::OffsetDateTime::from_unix_timestamp(at).ok())
            .map(clock::rfc3339),
        seconds: at.map(|at| u64::try_from(now.saturating_sub(at)).unwrap_or_default()),
        recipients: recipients
            .filter_map(|field| match &field.value {
                Value::Message(recipient) => pending(recipient),
                _ => None,
            })
            .collect(),
    }
}

/// A recipient who still waits: without a status, which is `PENDING`.
fn pending(recipient: &Message) -> Option<Recipient> {
    let status = recipient.iter().find(|field| field.name == "status");
    let waits = status.is_none_or(|field| match &field.value {
        Value::Word(word) => word == "PENDING" || word == "0",
        _ => false,
    });
    waits.then(|| Recipient {
        address: text(recipient, "address").unwrap_or_default(),
        error: text(recipient, "last_failure_message").map(|error| answer(&error)),
    })
}

fn text(message: &Message, name: &str) -> Option<String> {
    message.iter().find_map(|field| match &field.value {
        Value::Text(octets) if field.name == name => {
            Some(String::from_utf8_lossy(octets).into_owned())
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: &str = include_str!("../../tests/fixtures/status/queue-waiting.txt");

    fn queue() -> Queue {
        parse(QUEUE, 1_795_647_745 + 3700)
    }

    #[test]
    fn who_waits_since_when_for_what() {
        let queue = queue();
        assert_eq!(queue.length, 2, "{queue:#?}");
        assert_eq!(queue.oldest_seconds, Some(3700));
        let oldest = &queue.messages[0];
        assert_eq!(oldest.id, "E8MJkVw9hdk");
        assert_eq!(oldest.from.as_deref(), Some("i@wac.tax"));
        assert_eq!(oldest.accepted.as_deref(), Some("2026-11-25T23:02:25Z"));
        assert_eq!(
            oldest.recipients,
            [Recipient {
                address: "full@far.example".into(),
                error: Some("far.mailctl-lab.test: 452 4.2.2 mailbox full".into()),
            }]
        );
        let other = &queue.messages[1];
        assert_eq!(
            other.recipients.len(),
            1,
            "who has it does not wait: {other:?}"
        );
        assert_eq!(other.recipients[0].address, "full@far.example");
    }

    #[test]
    fn an_empty_queue_has_no_oldest() {
        assert_eq!(parse("", 0), Queue::default());
    }

    #[test]
    fn what_cannot_be_read_is_counted() {
        let queue = parse("==> m:AAAAAAAAAAA <==\nfrom: \"a\nto\n@created\n", 0);
        assert_eq!((queue.length, queue.oldest_seconds), (1, None));
        assert_eq!(queue.messages[0].from, None);
        let cut = QUEUE.replace("\ncreated_at_ts", "\ncreated_at_");
        assert_eq!(parse(&cut, 0).length, 2);
    }

    #[test]
    fn a_message_cannot_forge_its_time() {
        let text = "==> m:AAAAAAAAAAA <==\nfrom: \"a@b\"\n@created\n==> m:AAAAAAAAAAA <==\n\
                    seconds: 1\n\"\ncreated_at_ts: {\n  seconds: 100\n  nanos: 5\n}";
        assert_eq!(parse(text, 160).oldest_seconds, Some(60));
    }
}

//! What became of a message, by the server's log.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::failure::{Failure, Result};
use crate::maillog::story::{State, Story};
use crate::maillog::{Entry, Event, Query, Since};
use crate::remote::{Remote, Script};

/// How often the log is looked at.
const EVERY: Duration = Duration::from_millis(500);

/// A message that was handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// MAIL FROM.
    pub from: String,
    /// RCPT TO.
    pub to: String,
}

/// How a message stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// Its id in the queue; `None`: the log does not show it.
    pub id: Option<String>,
    /// How it stands for each recipient, after forwarding.
    pub states: BTreeMap<String, State>,
    /// Whether each of them was tried.
    pub settled: bool,
}

/// What the log says of one message.
pub fn fate(entries: &[Entry], sent: &Sent) -> Fate {
    let same = |one: &String, other: &String| one.eq_ignore_ascii_case(other);
    let queued = entries.iter().find_map(|entry| match &entry.event {
        Event::Queued { id, from, to, .. }
            if same(from, &sent.from) && to.iter().any(|to| same(to, &sent.to)) =>
        {
            Some(id)
        }
        _ => None,
    });
    let Some(id) = queued else {
        return Fate::default();
    };
    let story = Story::of(id, entries.to_vec());
    let recipients = story.iter().flat_map(Story::recipients);
    Fate {
        id: Some(id.clone()),
        states: recipients
            .map(|(to, state)| (to.to_owned(), state))
            .collect(),
        settled: entries.iter().any(|entry| match &entry.event {
            Event::Waits { id: of, .. } | Event::Done { id: of, .. } => of == id,
            _ => false,
        }),
    }
}

/// The clock of the server, as the log writes it: to the microsecond, so that
/// nothing of an earlier test in the same second is taken for this one's.
///
/// # Errors
/// When the connection is lost.
pub fn now(remote: &dyn Remote) -> Result<Since> {
    let output = remote.run(&Script::new("date +%s.%6N"))?;
    Since::parse(&format!("@{}", output.text().trim())).map_err(Failure::new)
}

/// Follows messages until every recipient of each was tried, `limit` at most.
///
/// # Errors
/// When the connection is lost or the log cannot be read.
pub fn follow(
    remote: &dyn Remote,
    since: &Since,
    sent: &[Sent],
    limit: Duration,
) -> Result<Vec<Fate>> {
    let query = Query {
        since: Some(since.clone()),
        ..Query::default()
    };
    let script = Script::new(query.command());
    let mut waited = Duration::ZERO;
    loop {
        let output = remote.run(&script)?;
        if output.code != 0 {
            return Err(output.failure(
                "the mail log of the server cannot be read",
                "see whether `journalctl -u chasquid` works there",
            ));
        }
        let entries: Vec<Entry> = output.text().lines().filter_map(Entry::parse).collect();
        let fates: Vec<Fate> = sent.iter().map(|sent| fate(&entries, sent)).collect();
        if fates.iter().all(|fate| fate.settled) || waited >= limit {
            return Ok(fates);
        }
        std::thread::sleep(EVERY);
        waited += EVERY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maillog::tests::recorded;

    fn fate_of(entries: &[Entry], from: &str, to: &str) -> Fate {
        let (from, to) = (from.to_owned(), to.to_owned());
        fate(entries, &Sent { from, to })
    }

    #[test]
    fn a_message_is_followed_to_the_far_answer() {
        let entries = recorded();
        let full = fate_of(&entries, "i@wac.tax", "full@far.example");
        assert_eq!(full.id.as_deref(), Some("E8MJkVw9hdk"));
        let state = &full.states["full@far.example"];
        assert!(
            matches!(state, State::Waits(said) if said.contains("452 4.2.2 mailbox full")),
            "{state:?}"
        );
        assert!(full.settled, "it is tried again, which nobody waits for");
        let gone = fate_of(&entries, "i@wac.tax", "Gone@far.example");
        let state = &gone.states["gone@far.example"];
        assert!(
            matches!(state, State::Failed(said) if said.contains("550 5.1.1")),
            "{state:?}"
        );
        let forwarded = fate_of(&entries, "friend@stranger.example", "someone@wac.tax");
        assert_eq!(forwarded.states["a@far.example"], State::Sent);
        assert!(forwarded.states.len() > 1 && forwarded.settled);
    }

    #[test]
    fn what_is_not_in_the_log_has_no_fate() {
        let entries = recorded();
        let unknown = fate_of(&entries, "j@wac.tax", "full@far.example");
        assert_eq!(unknown, Fate::default());
        let cut = entries
            .iter()
            .position(|e| e.text.contains("E8MJkVw9hdk from=i@wac.tax queued"));
        let begun = &entries[..=cut.expect("recorded")];
        let begun = fate_of(begun, "i@wac.tax", "full@far.example");
        assert!(begun.id.is_some() && !begun.settled);
        assert_eq!(begun.states["full@far.example"], State::Untried);
    }
}

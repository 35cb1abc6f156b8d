//! What became of a message, by chasquid's log of mail.

use std::collections::BTreeMap;

/// One line about one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The message's id in the queue.
    pub id: String,
    /// The envelope's sender.
    pub from: String,
    /// What happened.
    pub event: Event,
}

/// What happened to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was taken, for these addresses.
    Queued(Vec<String>),
    /// Something was tried for one recipient, after forwarding.
    Tried(String, Attempt),
    /// All recipients were tried; some are tried again later.
    Waits,
    /// No recipient is left.
    Done,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The next server, or the local delivery, took it.
    Sent,
    /// Not now; it is tried again. In the far server's words.
    Deferred(String),
    /// Never. In the far server's words.
    Refused(String),
}

/// Reads a line, without what the journal puts before it; `None` where it is about no message.
pub fn parse(line: &str) -> Option<Entry> {
    let (id, rest) = line.trim().split_once(" from=")?;
    if id.is_empty() || id.contains(char::is_whitespace) {
        return None;
    }
    let (from, rest) = rest.split_once(' ')?;
    Some(Entry {
        id: id.to_owned(),
        from: from.to_owned(),
        event: event(rest)?,
    })
}

fn event(text: &str) -> Option<Event> {
    if text == "all done" {
        return Some(Event::Done);
    }
    if text.starts_with("completed loop, next in ") {
        return Some(Event::Waits);
    }
    if let Some(queued) = text.strip_prefix("queued ip=") {
        let to = queued.split_once(" to=[")?.1.strip_suffix(']')?;
        return Some(Event::Queued(to.split(' ').map(str::to_owned).collect()));
    }
    // A recipient may be a command with blanks in it.
    let text = text.strip_prefix("to=")?;
    let tried = |to: &str, attempt| Some(Event::Tried(to.to_owned(), attempt));
    if let Some(to) = text.strip_suffix(" sent") {
        return tried(to, Attempt::Sent);
    }
    if let Some((to, why)) = text.split_once(" failed (temporary): ") {
        return tried(to, Attempt::Deferred(why.to_owned()));
    }
    let (to, why) = text.split_once(" failed (permanent): ")?;
    tried(to, Attempt::Refused(why.to_owned()))
}

/// What became of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// Its id in the queue; `None`: the log does not show it.
    pub id: Option<String>,
    /// The last attempt for each recipient, after forwarding.
    pub attempts: BTreeMap<String, Attempt>,
    /// Every recipient was tried.
    pub settled: bool,
}

/// Follows the first message from `from` to `to`; `from` may be any where it is `None`.
pub fn follow(log: &str, from: Option<&str>, to: &str) -> Fate {
    let entries: Vec<Entry> = log.lines().filter_map(parse).collect();
    let wanted = |entry: &&Entry| match &entry.event {
        Event::Queued(recipients) => {
            from.is_none_or(|from| same(from, &entry.from)) && recipients.iter().any(|r| same(r, to))
        }
        _ => false,
    };
    // The queue may begin to send, and say so, before it is told that the message was queued.
    let Some(id) = entries.iter().find(wanted).map(|entry| entry.id.clone()) else {
        return Fate::default();
    };
    let mut fate = Fate::default();
    for entry in entries.iter().filter(|entry| entry.id == id) {
        match &entry.event {
            Event::Tried(to, attempt) => {
                fate.attempts.insert(to.clone(), attempt.clone());
            }
            Event::Waits | Event::Done => fate.settled = true,
            Event::Queued(_) => {}
        }
    }
    fate.id = Some(id);
    fate
}

fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
_ conn.go:733        SMTP.Conn [::1]:46250: Queued from i@wac.tax to [you@gmail.com] - AAA
[::1]:46250 auth succeeded for i@wac.tax
AAA from=i@wac.tax to=you@gmail.com failed (temporary): 452 4.2.2 mailbox full
AAA from=i@wac.tax queued ip=[::1]:46250 to=[you@gmail.com]
BBB from=i@wac.tax queued ip=[::1]:46252 to=[you@gmail.com]
AAA from=i@wac.tax completed loop, next in 1m2.5s
CCC from=<> queued ip=10.0.0.1:1 to=[x@wac.tax y@wac.tax]
CCC from=<> to=/bin/sh /var/lib/x 1 sent
CCC from=<> to=me@far.example failed (permanent): 550 5.1.1 from=nobody to=none sent
CCC from=<> all done
10.77.241.1:53566 rejected from=somebody@stranger.example to=[victim@nowhere.invalid] - relay not allowed
";

    #[test]
    fn a_message_is_followed_to_the_far_answer() {
        let first = follow(LOG, Some("i@wac.tax"), "You@gmail.com");
        assert_eq!(first.id.as_deref(), Some("AAA"));
        let full = Attempt::Deferred("452 4.2.2 mailbox full".into());
        assert_eq!(first.attempts, BTreeMap::from([("you@gmail.com".into(), full)]));
        assert!(first.settled);
        let other = follow(LOG, None, "y@wac.tax");
        let refused = Attempt::Refused("550 5.1.1 from=nobody to=none sent".into());
        assert_eq!(
            other.attempts,
            BTreeMap::from([
                ("/bin/sh /var/lib/x 1".into(), Attempt::Sent),
                ("me@far.example".into(), refused)
            ])
        );
        assert!(other.settled);
        assert_eq!(follow(LOG, Some("j@wac.tax"), "you@gmail.com"), Fate::default());
    }

    #[test]
    fn what_has_just_begun_is_not_settled() {
        let log: String = LOG.lines().skip(4).take(1).collect();
        let fate = follow(&log, None, "you@gmail.com");
        assert_eq!(fate.id.as_deref(), Some("BBB"));
        assert!(!fate.settled && fate.attempts.is_empty());
    }

    #[test]
    fn other_lines_are_about_no_message() {
        for line in ["", "daemon listening on [::]:25", LOG.lines().next().unwrap_or_default()] {
            assert_eq!(parse(line), None, "{line}");
        }
        let rejected = LOG.lines().last().unwrap_or_default();
        assert_eq!(parse(rejected), None);
    }
}

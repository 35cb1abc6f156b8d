//! One message from its acceptance to its end.

mod look;

pub use look::{look, waiting};

use std::collections::{BTreeMap, BTreeSet};

use super::render::{answer, clean, line};
use super::{Entry, Event};
use crate::render::Paint;

/// What the log has of a message.
#[derive(Clone, Debug)]
pub struct Story {
    /// Its queue id.
    pub id: String,
    /// Everything that is about it, in order; also what became of a report to its sender.
    pub entries: Vec<Entry>,
    /// How it came in (the Received header, RFC 5321 section 4.4), which only
    /// a message that is still in the queue tells.
    pub received: Option<String>,
}

/// How a message stands for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not tried yet.
    Untried,
    /// Handed over.
    Sent,
    /// Tried again later; the last error.
    Waits(String),
    /// Given up; the error.
    Failed(String),
}

impl Story {
    /// Picks a message's entries. `None`: the log does not know it.
    pub fn of(id: &str, mut entries: Vec<Entry>) -> Option<Self> {
        entries.sort_by_key(|entry| entry.at);
        // Two looks at the journal may have found the same.
        let mut seen = BTreeSet::new();
        entries.retain(|entry| seen.insert((entry.at, entry.text.clone())));
        let about = |entry: &&Entry| entry.event.id() == Some(id);
        entries.iter().find(about)?;
        let accepted = entries.iter().find_map(|entry| match &entry.event {
            Event::Queued { id: of, client, .. } if of == id => Some((client.clone(), entry.at)),
            _ => None,
        });
        // A connection may bring several messages, and its port may be another's later.
        let login = accepted.and_then(|(client, at)| {
            let of_client = |event: &Event| matches!(event, Event::Auth { client: c, ok: true, .. } if *c == client);
            entries.iter().rposition(|e| e.at <= at && of_client(&e.event))
        });
        let reports: Vec<String> = entries
            .iter()
            .filter(about)
            .filter_map(|entry| match &entry.event {
                Event::Bounced { report, .. } => Some(report.clone()),
                _ => None,
            })
            .collect();
        let ours = |(n, entry): (usize, Entry)| {
            let told = !matches!(entry.event, Event::Again { .. });
            let of = entry.event.id();
            let about = of == Some(id) || reports.iter().any(|r| of == Some(r));
            (Some(n) == login || (told && about)).then_some(entry)
        };
        let entries = entries.into_iter().enumerate().filter_map(ours).collect();
        Some(Self {
            id: id.to_owned(),
            entries,
            received: None,
        })
    }

    /// The account that handed it in; `None` where it came from outside, or before the log begins.
    pub fn author(&self) -> Option<&str> {
        self.entries.iter().find_map(|entry| match &entry.event {
            Event::Auth { user, .. } => Some(user.as_str()),
            _ => None,
        })
    }

    /// The envelope's recipients, before aliases.
    pub fn envelope(&self) -> &[String] {
        let queued = self.entries.iter().find_map(|entry| match &entry.event {
            Event::Queued { id, to, .. } if *id == self.id => Some(to.as_slice()),
            _ => None,
        });
        queued.unwrap_or_default()
    }

    /// Each recipient, after aliases, with how it stands; the log knows of those that were tried.
    pub fn recipients(&self) -> BTreeMap<&str, State> {
        let mut states = BTreeMap::new();
        for entry in self
            .entries
            .iter()
            .filter(|e| e.event.id() == Some(&self.id))
        {
            match &entry.event {
                Event::Sent { to, .. } => states.insert(to.as_str(), State::Sent),
                Event::Deferred { to, error, .. } => states.insert(to, State::Waits(answer(error))),
                Event::Failed { to, error, .. } => states.insert(to, State::Failed(answer(error))),
                _ => None,
            };
        }
        if states.is_empty() {
            states = self
                .envelope()
                .iter()
                .map(|to| (to.as_str(), State::Untried))
                .collect();
        }
        states
    }

    /// Whether it left the queue.
    pub fn done(&self) -> bool {
        let done = |entry: &Entry| matches!(&entry.event, Event::Done { id, .. } if *id == self.id);
        self.entries.iter().any(done)
    }

    /// The report that its sender got, if any.
    pub fn report(&self) -> Option<&str> {
        self.entries.iter().find_map(|entry| match &entry.event {
            Event::Bounced { report, .. } => Some(report.as_str()),
            _ => None,
        })
    }

    /// How it ended, or stands, in a sentence.
    pub fn ending(&self) -> String {
        let states = self.recipients();
        let of = |wanted: fn(&State) -> bool| states.values().filter(|s| wanted(s)).count();
        let (all, sent) = (states.len(), of(|s| *s == State::Sent));
        let failed = of(|s| matches!(s, State::Failed(_)));
        let waits = all - sent - failed;
        let people = |n: usize| match n {
            1 => "1 recipient".to_owned(),
            n => format!("{n} recipients"),
        };
        if self.done() && waits > 0 {
            // Its time in the queue was up.
            let told = self.told();
            return format!(
                "Given up: {} of {} did not get it{told}.",
                waits + failed,
                people(all)
            );
        }
        if waits > 0 {
            return format!("Under way: {waits} of {} still waits for it.", people(all));
        }
        match (failed, self.done()) {
            (0, true) => format!("Delivered to {}.", people(all)),
            (0, false) => format!(
                "Delivered to {}; the log does not say that it left the queue.",
                people(all)
            ),
            _ => format!(
                "{} of {} did not get it{}.",
                failed,
                people(all),
                self.told()
            ),
        }
    }

    fn told(&self) -> String {
        match self.report() {
            Some(report) => format!("; its sender is told by {report}"),
            None => String::new(),
        }
    }

    /// The story as text.
    pub fn text(&self, paint: Paint) -> String {
        let mut text = format!("{}\n\n", paint.with("1", &format!("message {}", self.id)));
        for entry in &self.entries {
            text.extend(line(entry, paint, true));
            text.push('\n');
        }
        text.push('\n');
        let handed = match (self.author(), self.envelope().is_empty()) {
            (Some(user), _) => {
                format!("handed in by the account {user}; chasquid lets nobody log in without TLS")
            }
            (None, false) => "came without a login".to_owned(),
            (None, true) => "the log does not reach back to its acceptance".to_owned(),
        };
        text.push_str(&format!("{}\n", clean(&handed)));
        if let Some(received) = &self.received {
            text.push_str(&format!("received {}\n", clean(received)));
        }
        for (to, state) in self.recipients() {
            let (word, colour, why) = match state {
                State::Untried => ("not tried yet", "33", String::new()),
                State::Sent => ("sent", "32", String::new()),
                State::Waits(why) => ("waits", "33", format!(": {why}")),
                State::Failed(why) => ("failed", "31", format!(": {why}")),
            };
            let forwarded = match self.envelope() {
                [] => String::new(),
                to_all if to_all.iter().any(|t| t == to) => String::new(),
                [one] => format!(", forwarded for {one}"),
                _ => ", forwarded".to_owned(),
            };
            let words = clean(&format!("{to}{forwarded}"));
            text.push_str(&format!(
                "  {words}: {}{}\n",
                paint.with(colour, word),
                clean(&why)
            ));
        }
        text.push_str(&format!("{}\n", self.ending()));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maillog::tests::recorded;

    fn story(id: &str) -> Story {
        Story::of(id, recorded()).expect("known")
    }

    #[test]
    fn who_handed_it_in_and_what_became_of_it() {
        let many = story("rtL1ffMuC2s");
        assert_eq!(many.author(), Some("i@wac.tax"));
        assert_eq!(many.envelope().len(), 4);
        let states = many.recipients();
        assert_eq!(states["a@far.example"], State::Sent);
        assert_eq!(
            states["gone@far.example"],
            State::Failed("far.mailctl-lab.test: 550 5.1.1 no such user here".into())
        );
        assert_eq!(many.report(), Some("XHPewb8z0xw"));
        assert_eq!(
            many.ending(),
            "2 of 5 recipients did not get it; its sender is told by XHPewb8z0xw."
        );
        let text = many.text(Paint(false));
        for part in [
            "login                  i@wac.tax, from 10.77.16.1:58320",
            "XHPewb8z0xw  to i.wac.tax@gmail.com",
            "  b@far.example, forwarded: sent\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(
            !text.contains("55306") && !text.contains("Ln7z3Vug0ZM"),
            "{text}"
        );
    }

    #[test]
    fn a_stranger_s_message_is_forwarded() {
        let story = story("iHljPUnMcjk");
        assert_eq!((story.author(), story.done()), (None, true));
        assert_eq!(story.ending(), "Delivered to 2 recipients.");
        let text = story.text(Paint(false));
        assert!(
            text.contains("a@far.example, forwarded for someone@wac.tax: sent"),
            "{text}"
        );
        assert!(text.contains("came without a login"), "{text}");
    }

    #[test]
    fn one_that_waits_is_under_way() {
        let waits = story("E8MJkVw9hdk");
        assert!(!waits.done());
        assert_eq!(
            waits.ending(),
            "Under way: 1 of 1 recipient still waits for it."
        );
        let twice = [recorded(), recorded()].concat();
        let twice = Story::of("E8MJkVw9hdk", twice).expect("known");
        assert_eq!(twice.entries, waits.entries);
        let accepted: Vec<Entry> = waits.entries.iter().take(2).cloned().collect();
        let accepted = Story::of("E8MJkVw9hdk", accepted).expect("known");
        assert_eq!(accepted.recipients()["full@far.example"], State::Untried);
    }

    #[test]
    fn what_the_log_does_not_know_is_no_story() {
        assert!(Story::of("AAAAAAAAAAA", recorded()).is_none());
        let cut: Vec<Entry> = recorded()
            .into_iter()
            .filter(|e| !matches!(e.event, Event::Queued { .. } | Event::Auth { .. }))
            .collect();
        let text = Story::of("iHljPUnMcjk", cut)
            .expect("known")
            .text(Paint(false));
        assert!(text.contains("does not reach back"), "{text}");
    }
}

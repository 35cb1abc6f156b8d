//! Whose mail: what concerns one address, followed through the log as it comes.

use std::collections::BTreeSet;

use super::{Entry, Event};

/// Passes what concerns an address: its logins, the messages from and to it,
/// and each of their deliveries.
#[derive(Clone, Debug)]
pub struct Whose {
    address: String,
    /// Messages that concern it.
    ids: BTreeSet<String>,
    /// Connections that it logged in on.
    clients: BTreeSet<String>,
}

impl Whose {
    /// Of an address; without `@`, of every account with this name.
    pub fn new(address: &str) -> Self {
        Self {
            address: address.trim().to_lowercase(),
            ids: BTreeSet::new(),
            clients: BTreeSet::new(),
        }
    }

    /// Whether this entry, which follows those that were asked for before, concerns it.
    pub fn concerns(&mut self, entry: &Entry) -> bool {
        let event = &entry.event;
        let mut named = match event {
            Event::Queued { from, to, .. } => self.is(from) || to.iter().any(|to| self.is(to)),
            Event::Sent { from, to, .. }
            | Event::Deferred { from, to, .. }
            | Event::Failed { from, to, .. } => self.is(from) || self.is(to),
            Event::Waits { from, .. } | Event::Done { from, .. } => self.is(from),
            Event::Auth { user, .. } => self.is(user),
            Event::Rejected { from, to, .. } => {
                from.iter().chain(to).any(|address| self.is(address))
            }
            _ => false,
        };
        named |= event.id().is_some_and(|id| self.ids.contains(id));
        named |= event.client().is_some_and(|c| self.clients.contains(c));
        if !named {
            return false;
        }
        if let Some(id) = event.id() {
            self.ids.insert(id.to_owned());
        }
        match event {
            Event::Auth { client, .. } | Event::Rejected { client, .. } => {
                self.clients.insert(client.clone());
            }
            Event::Bounced { report, .. } => {
                self.ids.insert(report.clone());
            }
            _ => {}
        }
        true
    }

    /// What it forwards to is `to` in the log, but the envelope names it.
    fn is(&self, address: &str) -> bool {
        let address = address.to_lowercase();
        address == self.address
            || (!self.address.contains('@')
                && address
                    .rsplit_once('@')
                    .is_some_and(|(local, _)| local == self.address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maillog::tests::recorded;

    fn of(address: &str) -> Vec<Entry> {
        let mut whose = Whose::new(address);
        let entries = recorded();
        entries.into_iter().filter(|e| whose.concerns(e)).collect()
    }

    #[test]
    fn logins_messages_and_their_deliveries() {
        let entries = of("I@wac.tax");
        let has = |words: &str| entries.iter().any(|e| e.text.contains(words));
        assert!(has("auth failed for i@wac.tax") && has("535  5.7.8"));
        assert!(has("to=b@far.example sent") && has("queued DSN: t9Y-1nez-Vw"));
        assert!(has("t9Y-1nez-Vw from=<> to=i.wac.tax@gmail.com sent"));
        assert!(!has("friend@stranger.example") && !has("DomainInfo"));
    }

    #[test]
    fn a_recipient_sees_what_became_of_its_mail() {
        let entries = of("someone@wac.tax");
        assert!(
            entries
                .iter()
                .any(|e| e.text.contains("to=a@far.example sent"))
        );
        assert!(entries.iter().all(|e| e.event.id() == Some("iHljPUnMcjk")));
        assert_eq!(
            of("someone").len(),
            entries.len() + 2,
            "and its other domains"
        );
        assert!(of("nobody@wac.tax").is_empty() && of("").is_empty());
    }
}

//! A record taken apart and put together again: what comes before `all`, what
//! after it, and which of two terms wins.

use super::term::{Kind, Term};
use crate::config::SpfAll;

/// A record's terms, by where they belong.
#[derive(Default)]
pub(super) struct Parts {
    mechanisms: Vec<Term>,
    all: Option<Term>,
    /// Mechanisms after `all`, which receivers never reach (RFC 7208 section 5.1).
    unreached: Vec<Term>,
    modifiers: Vec<Term>,
}

impl Parts {
    /// Takes a term that stands in the record, once.
    pub(super) fn take(&mut self, term: Term) {
        let list = match term.kind {
            Kind::All => {
                self.all.get_or_insert(term);
                return;
            }
            Kind::Redirect | Kind::Modifier => &mut self.modifiers,
            Kind::Literal | Kind::Lookup if self.all.is_some() => &mut self.unreached,
            Kind::Literal | Kind::Lookup => &mut self.mechanisms,
        };
        if !list.iter().any(|other| other.equals(&term)) {
            list.push(term);
        }
    }

    /// Makes sure that a wanted term is there, and in force.
    pub(super) fn want(&mut self, term: Term) -> Result<(), String> {
        match term.kind {
            Kind::All => {
                return Err(format!(
                    "`{}` is no further term: the qualifier of `all` is the setting `all`",
                    term.text
                ));
            }
            Kind::Redirect | Kind::Modifier => {
                self.take(term);
                return Ok(());
            }
            Kind::Literal | Kind::Lookup => {}
        }
        self.unreached.retain(|other| other.subject != term.subject);
        // The first match decides (RFC 7208 section 4.6), so a leftover with
        // another qualifier would hide the wanted term.
        match self
            .mechanisms
            .iter()
            .position(|other| other.subject == term.subject)
        {
            Some(place) if self.mechanisms[place].qualifier == term.qualifier => {}
            Some(place) => {
                self.mechanisms[place] = term.clone();
                let mut first = true;
                self.mechanisms
                    .retain(|other| !other.equals(&term) || std::mem::take(&mut first));
            }
            None => self.mechanisms.push(term),
        }
        Ok(())
    }

    /// Settles how the record ends: with the wished-for `all`, the one that
    /// stands, or a redirect.
    pub(super) fn close(&mut self, wanted: Option<SpfAll>) -> Result<(), String> {
        let redirects: Vec<&Term> = self
            .modifiers
            .iter()
            .filter(|m| m.kind == Kind::Redirect)
            .collect();
        if let [first, second, ..] = redirects.as_slice() {
            return Err(format!(
                "`{}` and `{}` stand in one SPF record, which may redirect only once",
                first.text, second.text
            ));
        }
        if let (Some(redirect), None) = (redirects.first(), &self.all) {
            // Terms before a redirect are fine, but any `all` switches it off
            // (RFC 7208 section 6.1).
            return match wanted {
                None => Ok(()),
                Some(_) => Err(format!(
                    "the SPF record ends in `{}`, which an `all` would switch off: leave the \
                     setting `all` out, or replace the redirect by an include",
                    redirect.text
                )),
            };
        }
        let qualifier = match wanted {
            Some(SpfAll::Fail) => '-',
            Some(SpfAll::Softfail) => '~',
            Some(SpfAll::Neutral) => '?',
            None if self.all.is_some() => return Ok(()),
            None => '~',
        };
        if self
            .all
            .as_ref()
            .is_none_or(|all| all.qualifier != qualifier)
        {
            self.all = Some(Term::parse(&format!("{qualifier}all"))?);
        }
        Ok(())
    }

    /// The record.
    pub(super) fn text(&self) -> String {
        let terms = self
            .mechanisms
            .iter()
            .chain(&self.all)
            .chain(&self.unreached);
        let words: Vec<&str> = std::iter::once("v=spf1")
            .chain(terms.chain(&self.modifiers).map(|term| term.text.as_str()))
            .collect();
        words.join(" ")
    }
}

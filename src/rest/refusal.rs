//! What an answer that is no success means, and how it is told.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::api::{Meaning, Rule, Step};
use super::client::retry_after;
use super::link::Link;
use super::request::Request;
use super::words::sentences;
use super::{pick, xml};
use crate::failure::Failure;
use crate::secret::Secret;

/// Nobody is kept waiting longer than this for one answer, in seconds.
pub(super) const PATIENCE: u32 = 60;
/// How long they may be together, in characters.
const LENGTH: usize = 300;

/// Why a request did not do what it should.
#[derive(Debug)]
pub enum Refusal {
    /// The address has no PTR record.
    NotSet,
    /// The address belongs to somebody else; in which words, if the API has some.
    NotYours(Option<Failure>),
    /// The name does not point to the address yet.
    ForwardMissing(Failure),
    /// Trying again helps, after so many seconds where the API says it.
    Busy(Failure, Option<u32>),
    /// Trying again would not help.
    Final(Failure),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Final(failure)
    }
}

/// An answer that is no success.
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answered {
    /// The body, if it is JSON or XML.
    fn read(&self) -> Option<Value> {
        let json = serde_json::from_str(&self.text).ok();
        json.or_else(|| xml::json(&self.text).ok())
    }

    /// In how many seconds trying again helps, as the rule or the header says.
    fn after(&self, rule: Option<&Rule>) -> Option<u32> {
        let said = rule.and_then(|rule| {
            let body = self.read()?;
            pick::text(pick::first(&body, rule.after.as_ref()?)?)
        });
        match said {
            Some(said) => said.trim().parse().ok(),
            None => retry_after(&self.headers),
        }
    }

    fn fits(&self, rule: &Rule) -> bool {
        let said = self.text.to_lowercase();
        let says = rule.says.as_ref();
        let header = rule.header.as_ref();
        rule.status == self.status.as_u16()
            && says.is_none_or(|text| said.contains(&text.to_lowercase()))
            && header.is_none_or(|name| self.headers.contains_key(name))
    }
}

impl Link {
    /// What the answer to `asked` means.
    pub(super) fn refused(&self, answered: &Answered, asked: &Request, step: &Step) -> Refusal {
        let rules = step.answers.iter().chain(&self.answers);
        let rule = rules.into_iter().find(|rule| answered.fits(rule));
        let status = answered.status;
        let why = self.reason(answered, asked);
        let complaint = Failure::new(format!("{} answers {status}: {why}", self.place()));
        let after = answered.after(rule);
        let later = |complaint: Failure| match after {
            Some(after) => complaint.hint(format!("run this again in {after} seconds")),
            None => complaint,
        };
        match rule.map_or_else(|| meaning(status), |rule| Some(rule.means)) {
            Some(Meaning::NotSet) => Refusal::NotSet,
            Some(Meaning::NotYours) => Refusal::NotYours(Some(complaint)),
            Some(Meaning::ForwardMissing) => Refusal::ForwardMissing(complaint),
            Some(Meaning::Busy) if after.is_none_or(|after| after <= PATIENCE) => {
                Refusal::Busy(later(complaint), after)
            }
            Some(Meaning::Busy | Meaning::Final) => Refusal::Final(later(complaint)),
            Some(Meaning::Refused) => Refusal::Final(
                Failure::new(format!(
                    "the credentials are refused by {} ({status}): {why}",
                    self.place()
                ))
                .hint(&self.credentials),
            ),
            None => Refusal::Final(complaint),
        }
    }

    /// The words of an error, short and without secrets.
    fn reason(&self, answered: &Answered, asked: &Request) -> String {
        let read = answered.read();
        let mut words = match read.as_ref().map(sentences) {
            Some(told) if !told.is_empty() => told.join("; "),
            _ => answered.text.trim().to_owned(),
        };
        let secrets = self.secrets.iter().map(Secret::expose);
        for secret in secrets
            .chain(asked.proofs())
            .filter(|secret| !secret.is_empty())
        {
            words = words.replace(secret, "[secret]");
        }
        let shown = words.chars().filter(|c| !c.is_control());
        shown.take(LENGTH).collect()
    }
}

/// What a status means where no rule says it.
fn meaning(status: StatusCode) -> Option<Meaning> {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(Meaning::Refused),
        StatusCode::NOT_FOUND => Some(Meaning::NotYours),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Some(Meaning::Busy),
        status if status.is_server_error() => Some(Meaning::Busy),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, headers: &[(&'static str, &str)], text: &str) -> Answered {
        let headers = headers.iter().map(|(name, value)| {
            let value = value.parse().expect("a value");
            (reqwest::header::HeaderName::from_static(name), value)
        });
        Answered {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: headers.collect(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_rule_looks_at_status_text_and_header() {
        let rule = |says: Option<&str>, header: Option<&str>| Rule {
            status: 503,
            says: says.map(str::to_owned),
            header: header.map(str::to_owned),
            means: Meaning::Final,
            after: None,
        };
        let closed = answered(503, &[("x-maintenance-mode", "all")], "Down for NOW");
        assert!(closed.fits(&rule(None, None)));
        assert!(closed.fits(&rule(Some("down for now"), Some("X-Maintenance-Mode"))));
        assert!(!closed.fits(&rule(Some("busy"), None)));
        assert!(!closed.fits(&rule(None, Some("x-other"))));
        assert!(!answered(500, &[], "").fits(&rule(None, None)));
    }

    #[test]
    fn the_body_says_when_to_come_back_where_a_rule_says_so() {
        let rule = Rule {
            status: 403,
            says: None,
            header: None,
            means: Meaning::Busy,
            after: Some("error.interval".into()),
        };
        let limited = answered(
            403,
            &[("retry-after", "7")],
            "{\"error\":{\"interval\":3600}}",
        );
        assert_eq!(limited.after(Some(&rule)), Some(3600));
        assert_eq!(limited.after(None), Some(7));
        assert_eq!(answered(403, &[], "<p>").after(Some(&rule)), None);
        let date = answered(429, &[("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT")], "");
        assert_eq!(date.after(None), None);
    }
}

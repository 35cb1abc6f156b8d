//! What an answer that is no success means, and how it is told.

use reqwest::StatusCode;
use serde_json::Value;

use super::api::{Meaning, Rule, Step};
use super::link::Link;
use super::request::Request;
use super::{pick, xml};
use crate::failure::Failure;
use crate::secret::Secret;

/// Nobody is kept waiting longer than this for one answer, in seconds.
pub(super) const PATIENCE: u32 = 60;
/// Where APIs say in words what went wrong.
const WORDS: [&str; 9] = [
    "message",
    "detail",
    "reason",
    "error_message",
    "errorMessage",
    "Message",
    "title",
    "error_description",
    "error",
];

/// Why a request did not do what it should.
#[derive(Debug)]
pub enum Refusal {
    /// The address has no PTR record.
    NotSet,
    /// The address belongs to somebody else.
    NotYours,
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

impl Link {
    /// What the answer to `asked` means.
    pub(super) fn refused(
        &self,
        status: StatusCode,
        after: Option<u32>,
        text: &str,
        why: &str,
        step: &Step,
    ) -> Refusal {
        let said = text.to_lowercase();
        let fits = |rule: &&Rule| {
            let says = rule.says.as_ref();
            rule.status == status.as_u16() && says.is_none_or(|s| said.contains(&s.to_lowercase()))
        };
        let rule = step.answers.iter().chain(&self.answers).find(fits);
        let complaint = || Failure::new(format!("{} answers {status}: {why}", self.place()));
        match rule.map_or_else(|| meaning(status), |rule| Some(rule.means)) {
            Some(Meaning::NotSet) => Refusal::NotSet,
            Some(Meaning::NotYours) => Refusal::NotYours,
            Some(Meaning::ForwardMissing) => Refusal::ForwardMissing(complaint()),
            Some(Meaning::Busy) if after.is_some_and(|after| after > PATIENCE) => {
                let after = after.unwrap_or_default();
                Refusal::Final(complaint().hint(format!("run this again in {after} seconds")))
            }
            Some(Meaning::Busy) => Refusal::Busy(complaint(), after),
            Some(Meaning::Refused) => Refusal::Final(
                Failure::new(format!(
                    "the credentials are refused by {} ({status}): {why}",
                    self.place()
                ))
                .hint(&self.credentials),
            ),
            None => Refusal::Final(complaint()),
        }
    }

    /// The words of an error, short and without secrets.
    pub(super) fn reason(&self, text: &str, asked: &Request) -> String {
        let read = serde_json::from_str(text)
            .ok()
            .or_else(|| xml::json(text).ok());
        let mut words = read
            .as_ref()
            .and_then(words)
            .unwrap_or_else(|| text.trim().to_owned());
        let secrets = self.secrets.iter().map(Secret::expose);
        for secret in secrets
            .chain(asked.proofs())
            .filter(|secret| !secret.is_empty())
        {
            words = words.replace(secret, "[secret]");
        }
        words
            .chars()
            .filter(|c| !c.is_control())
            .take(300)
            .collect()
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

/// The first words of an error that say something.
fn words(value: &Value) -> Option<String> {
    let own = WORDS.iter().find_map(|key| value.get(key)?.as_str());
    if let Some(own) = own {
        return Some(own.to_owned());
    }
    pick::all(value, "*").into_iter().find_map(words)
}

//! The view from outside: what a receiver would find wrong with a domain's
//! mail, question by question. Nothing here needs a login, and nothing writes.
//!
//! One file a question. Each question looks through a [`View`], which asks the
//! world once for whatever several questions want to know, and answers with
//! [`Finding`]s. All questions of all domains run at once.

pub mod autoconfig;
pub mod bimi;
pub mod blocklist;
pub mod caa;
pub mod dane;
pub mod dkim;
pub mod dmarc;
pub mod expected;
pub mod fetch;
pub mod finding;
pub mod host;
pub mod memo;
pub mod mta_sts;
pub mod mx;
pub mod outbound;
pub mod outside;
pub mod permitted;
pub mod pki;
pub mod registration;
pub mod relay;
pub mod remarks;
pub mod render;
pub mod resolver;
pub mod smtp;
pub mod special;
pub mod spf;
pub mod tls;
pub mod tls_rpt;
pub mod view;
pub mod wire;
pub mod zone;

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;

pub use expected::Expected;
pub use finding::{Aspect, Finding, Verdict};
pub use outside::{Outside, Settings};
pub use view::View;

use crate::record::Name;

/// The document's schema; a breaking change gets a new number.
pub const SCHEMA: &str = "mailctl.check/1";

/// One thing that a receiver looks at.
pub struct Question {
    /// The first word of its findings' ids.
    pub id: &'static str,
    /// What it can find, in the order in which it is shown.
    pub aspects: &'static [&'static Aspect],
    /// Finds it out.
    pub ask: Ask,
}

/// What a question's function looks like once it is boxed; see [`Question`].
pub type Ask = for<'a> fn(&'a View) -> Pin<Box<dyn Future<Output = Vec<Finding>> + Send + 'a>>;

/// All questions, in the order in which their findings are shown.
pub const QUESTIONS: &[Question] = &[
    zone::QUESTION,
    mx::QUESTION,
    host::QUESTION,
    smtp::QUESTION,
    tls::QUESTION,
    relay::QUESTION,
    outbound::QUESTION,
    spf::QUESTION,
    dkim::QUESTION,
    dmarc::QUESTION,
    mta_sts::QUESTION,
    tls_rpt::QUESTION,
    dane::QUESTION,
    caa::QUESTION,
    autoconfig::QUESTION,
    bimi::QUESTION,
    blocklist::QUESTION,
    registration::QUESTION,
    resolver::QUESTION,
];

/// Which findings are wanted, by id or by the beginning of one: `spf` means `spf.record` too.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Only these; all where there are none.
    pub only: Vec<String>,
    /// Not these.
    pub skip: Vec<String>,
}

impl Choice {
    /// Whether findings of this id are wanted.
    pub fn takes(&self, id: &str) -> bool {
        let named = |word: &String| begins(id, word);
        (self.only.is_empty() || self.only.iter().any(named)) && !self.skip.iter().any(named)
    }

    /// Whether any finding of a question may be wanted.
    fn takes_any(&self, question: &Question) -> bool {
        let within = |word: &String| begins(word, question.id);
        (self.only.is_empty() || self.only.iter().any(within))
            && !self.skip.iter().any(|word| word == question.id)
    }

    /// Words that name no question or finding.
    pub fn unknown(&self) -> Vec<&str> {
        let words = self.only.iter().chain(&self.skip).map(String::as_str);
        words.filter(|word| !known(word)).collect()
    }
}

/// Whether `word` is all of an id, or its beginning up to a dot.
fn begins(id: &str, word: &str) -> bool {
    let rest = id.strip_prefix(word);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether there are findings whose ids begin with `word`.
fn known(word: &str) -> bool {
    // A port may stand behind an aspect's id.
    let at_port = |id: &str| {
        let port = word
            .strip_prefix(id)
            .and_then(|rest| rest.strip_prefix('.'));
        port.is_some_and(|port| port.parse::<u16>().is_ok())
    };
    QUESTIONS.iter().any(|question| {
        let mut ids = question.aspects.iter().map(|aspect| aspect.id);
        word == question.id || ids.any(|id| begins(id, word) || at_port(id))
    })
}

/// Everything that was found: the document of `check --json`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The domains that were asked about.
    pub domains: Vec<String>,
    /// By domain, then by question.
    pub results: Vec<Finding>,
    /// How many of each verdict.
    pub summary: Tally,
}

/// How many findings of each verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// As it should be.
    pub pass: usize,
    /// Works, but could be better.
    pub warn: usize,
    /// Not as it should be.
    pub fail: usize,
    /// Could not be asked.
    pub skip: usize,
}

impl Tally {
    /// Of these findings.
    pub fn of<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Self {
        let mut tally = Self::default();
        for finding in findings {
            *match finding.verdict {
                Verdict::Pass => &mut tally.pass,
                Verdict::Warn => &mut tally.warn,
                Verdict::Fail => &mut tally.fail,
                Verdict::Skip => &mut tally.skip,
            } += 1;
        }
        tally
    }
}

impl Report {
    /// Findings as a document.
    pub fn new(domains: Vec<String>, results: Vec<Finding>) -> Self {
        Self {
            schema: SCHEMA,
            domains,
            summary: Tally::of(&results),
            results,
        }
    }

    /// Whether anything is not as it should be.
    pub fn fails(&self) -> bool {
        self.summary.fail > 0
    }
}

/// Asks every wanted question about every domain, all at once. What a question
/// does not know when `limit` has passed is skipped, with that as the reason.
pub async fn check(
    outside: &Arc<Outside>,
    domains: &[(Name, Option<Arc<Expected>>)],
    choice: &Choice,
    limit: Duration,
) -> Report {
    let mut asked = JoinSet::new();
    for (place, (domain, expected)) in domains.iter().enumerate() {
        let view = Arc::new(View::new(outside.clone(), domain.clone(), expected.clone()));
        for (nth, question) in QUESTIONS.iter().enumerate() {
            if choice.takes_any(question) {
                let view = view.clone();
                asked.spawn(async move { ((place, nth), answered(&view, question, limit).await) });
            }
        }
    }
    let mut answers = Vec::new();
    while let Some(done) = asked.join_next().await {
        // A question that panics is a mistake of ours, and is not hidden as an answer.
        match done {
            Ok(answer) => answers.push(answer),
            Err(lost) => std::panic::resume_unwind(lost.into_panic()),
        }
    }
    answers.sort_by_key(|(place, _)| *place);
    let mut known = HashSet::new();
    let mut results: Vec<Finding> = Vec::new();
    for finding in answers.into_iter().flat_map(|(_, findings)| findings) {
        // Domains that share a host find out the same about it; what each
        // finds out about the host for itself, such as SPF, differs.
        if choice.takes(&finding.id) && known.insert(finding.clone()) {
            results.push(finding);
        }
    }
    Report::new(
        domains.iter().map(|(d, _)| d.to_string()).collect(),
        results,
    )
}

async fn answered(view: &View, question: &Question, limit: Duration) -> Vec<Finding> {
    match tokio::time::timeout(limit, (question.ask)(view)).await {
        Ok(findings) => findings,
        Err(_) => question
            .aspects
            .first()
            .map(|aspect| {
                let late = format!("no answer within {} s", limit.as_secs());
                aspect.of(view.domain()).skip(late)
            })
            .into_iter()
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_choose_by_whole_parts_of_an_id() {
        let only = |words: &[&str]| Choice {
            only: words.iter().map(|word| (*word).to_owned()).collect(),
            skip: Vec::new(),
        };
        for (word, id, taken) in [
            ("spf", "spf.record", true),
            ("spf.record", "spf.record", true),
            ("tls.days", "tls.days.25", true),
            ("tls.days.25", "tls.days.465", false),
            ("sp", "spf.record", false),
        ] {
            assert_eq!(only(&[word]).takes(id), taken, "{word} {id}");
        }
        let words = only(&["spf", "tls.days", "tls.days.25", "tls.days.x", "sp", ""]);
        assert_eq!(words.unknown(), ["tls.days.x", "sp", ""]);
    }
}

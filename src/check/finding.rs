//! One answer: what was found, what was wanted, why it matters, what to do.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a finding is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Pass,
    /// Mail flows, but some receivers will mind, or something will break later.
    Warn,
    /// Receivers will refuse mail or take it for spam, or mail does not arrive.
    Fail,
    /// It could not be asked; says nothing about the server.
    Skip,
}

impl Verdict {
    /// The word of the JSON document.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skip => "skip",
        }
    }
}

/// One answer to one question about one subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Finding {
    /// Which aspect, such as `spf.record`; with the port behind it where there are several.
    pub id: String,
    /// A domain, a host or an address.
    pub subject: String,
    /// The judgement.
    pub verdict: Verdict,
    /// What was found; of a skip, why it could not be asked.
    pub found: String,
    /// What was wanted.
    pub wanted: String,
    /// Why it matters, with the receivers' error code where there is one.
    pub why: String,
    /// What to do; empty where nothing is to be done.
    pub fix: String,
}

/// One thing that a question looks at, with the words that are the same whatever is found.
#[derive(Debug)]
pub struct Aspect {
    /// Such as `spf.record`; the first word is the question's id.
    pub id: &'static str,
    /// What is wanted, without full stop.
    pub wanted: &'static str,
    /// Why it matters, in sentences, with the receivers' error codes.
    pub why: &'static str,
}

impl Aspect {
    /// This aspect of a domain, a host or an address.
    pub fn of(&self, subject: impl fmt::Display) -> About<'_> {
        About {
            aspect: self,
            subject: subject.to_string(),
            port: None,
            wanted: None,
        }
    }
}

/// An aspect of a subject: what is still missing is what was found.
#[derive(Clone, Debug)]
pub struct About<'a> {
    aspect: &'a Aspect,
    subject: String,
    port: Option<u16>,
    wanted: Option<String>,
}

impl About<'_> {
    /// At one of several ports.
    #[must_use]
    pub fn at(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Where what is wanted can be said more exactly than the aspect does.
    #[must_use]
    pub fn wanting(mut self, wanted: impl Into<String>) -> Self {
        self.wanted = Some(wanted.into());
        self
    }

    /// As it should be.
    pub fn pass(self, found: impl Into<String>) -> Finding {
        self.finding(Verdict::Pass, found.into(), String::new())
    }

    /// Works, but could be better.
    pub fn warn(self, found: impl Into<String>, fix: impl Into<String>) -> Finding {
        self.finding(Verdict::Warn, found.into(), fix.into())
    }

    /// Not as it should be.
    pub fn fail(self, found: impl Into<String>, fix: impl Into<String>) -> Finding {
        self.finding(Verdict::Fail, found.into(), fix.into())
    }

    /// Not asked, for this reason.
    pub fn skip(self, reason: impl Into<String>) -> Finding {
        self.finding(Verdict::Skip, reason.into(), String::new())
    }

    fn finding(self, verdict: Verdict, found: String, fix: String) -> Finding {
        let id = match self.port {
            Some(port) => format!("{}.{port}", self.aspect.id),
            None => self.aspect.id.to_owned(),
        };
        Finding {
            id,
            subject: self.subject,
            verdict,
            found,
            wanted: self.wanted.unwrap_or_else(|| self.aspect.wanted.to_owned()),
            why: self.aspect.why.to_owned(),
            fix,
        }
    }
}

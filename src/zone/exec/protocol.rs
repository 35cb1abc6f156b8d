//! The words of the protocol, version 1.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::record::{Name, RType, Rrset, RrsetKey};

/// The protocol's version.
const VERSION: u32 = 1;

/// One question.
pub(super) enum Request<'a> {
    List {
        zone: &'a Name,
        keys: &'a [RrsetKey],
    },
    Set {
        zone: &'a Name,
        before: &'a Rrset,
        want: &'a Rrset,
    },
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The program does not keep to the protocol, or cannot be run.
    Broken(Failure),
    /// What the program says.
    Said {
        error: String,
        hint: Option<String>,
        kind: Kind,
        retry_after: Option<f64>,
    },
}

/// What sort of refusal it is; any other word means that it stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// The set is no longer what it was.
    Conflict,
    /// Too many questions: later.
    RateLimit,
    /// It may pass.
    Transient,
    /// It stays: no such zone, a wrong token, a value that is refused.
    #[default]
    #[serde(other)]
    Lasting,
}

/// One line of an answer.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Set {
        name: String,
        #[serde(rename = "type")]
        rtype: String,
        ttl: Option<u32>,
        values: Vec<String>,
    },
    Error {
        error: String,
        #[serde(default)]
        hint: Option<String>,
        #[serde(default)]
        kind: Kind,
        #[serde(default)]
        retry_after: Option<f64>,
    },
    Done {
        done: bool,
    },
}

impl Refusal {
    /// Whether to ask again, and after what time, where the program says.
    pub(super) fn later(&self) -> Option<Option<Duration>> {
        match self {
            Self::Said {
                kind: Kind::RateLimit | Kind::Transient,
                retry_after,
                ..
            } => Some(retry_after.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())),
            _ => None,
        }
    }

    /// Whether there was no answer at all.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken(_))
    }

    pub(super) fn is_conflict(&self) -> bool {
        matches!(
            self,
            Self::Said {
                kind: Kind::Conflict,
                ..
            }
        )
    }
}

/// A question as it is written.
#[derive(Serialize)]
struct Question<'a> {
    version: u32,
    operation: &'static str,
    zone: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sets: Option<Vec<Key<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Set<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    want: Option<Set<'a>>,
}

#[derive(Serialize)]
struct Key<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    rtype: &'static str,
}

#[derive(Serialize)]
struct Set<'a> {
    #[serde(flatten)]
    key: Key<'a>,
    ttl: Option<u32>,
    values: &'a BTreeSet<String>,
}

impl<'a> Key<'a> {
    fn of(key: &'a RrsetKey) -> Self {
        Self {
            name: key.name.as_str(),
            rtype: key.rtype.as_str(),
        }
    }
}

impl<'a> Set<'a> {
    fn of(set: &'a Rrset) -> Self {
        Self {
            key: Key::of(&set.key),
            ttl: set.ttl,
            values: &set.values,
        }
    }
}

impl Request<'_> {
    /// The line that the program reads.
    pub(super) fn text(&self) -> String {
        let question = match self {
            Self::List { zone, keys } => Question {
                version: VERSION,
                operation: "list",
                zone: zone.as_str(),
                sets: Some(keys.iter().map(Key::of).collect()),
                before: None,
                want: None,
            },
            Self::Set { zone, before, want } => Question {
                version: VERSION,
                operation: "set",
                zone: zone.as_str(),
                sets: None,
                before: Some(Set::of(before)),
                want: Some(Set::of(want)),
            },
        };
        // Names and texts always are JSON.
        serde_json::to_string(&question).unwrap_or_default() + "\n"
    }
}

/// What the program answered: sets of types that mailctl knows, up to `done`.
pub(super) fn answer(out: &str, trouble: Option<String>) -> Result<Vec<Rrset>, Refusal> {
    let broken = |why: String| Refusal::Broken(Failure::new(why));
    let (mut sets, mut done) = (Vec::new(), false);
    for text in out.lines().filter(|line| !line.trim().is_empty()) {
        let line: Line = serde_json::from_str(text)
            .map_err(|_| broken(format!("this line is not of the protocol: {}", short(text))))?;
        match line {
            Line::Error {
                error,
                hint,
                kind,
                retry_after,
            } => {
                return Err(Refusal::Said {
                    error,
                    hint,
                    kind,
                    retry_after,
                });
            }
            Line::Done { done: said } => done = said,
            Line::Set {
                name,
                rtype,
                ttl,
                values,
            } => {
                // Others than those that are asked for may come: whole zones are fine.
                let Ok(rtype) = rtype.parse::<RType>() else {
                    continue;
                };
                let name = Name::parse(&name).map_err(broken)?;
                sets.push(read(RrsetKey::new(name, rtype), ttl, values));
            }
        }
    }
    match trouble {
        Some(trouble) => Err(broken(trouble)),
        None if done => Ok(sets),
        None => Err(broken(
            "its answer does not end with {\"done\":true}".into(),
        )),
    }
}

/// TXT values are the text itself; others are canonicalised.
fn read(key: RrsetKey, ttl: Option<u32>, values: Vec<String>) -> Rrset {
    if key.rtype != RType::Txt {
        return Rrset::new(key, ttl, values);
    }
    Rrset {
        key,
        ttl,
        values: values.into_iter().collect(),
    }
}

fn short(text: &str) -> String {
    let mut short: String = text.chars().take(120).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

//! What was seen, judged: a line each. What could not be learnt is never fine.

mod certificate;
mod machine;
mod queue;
mod service;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use self::certificate::{certificate, renewal};
use self::machine::{applied, clock, disk, of_server};
use self::queue::judged_queue;
use self::service::{port, service};
use super::ask::{Learnt, Seen};
use super::render::span;

/// How a line is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Mail flows, but somebody should look.
    Warn,
    /// Mail does not flow as it should.
    Fail,
    /// It could not be learnt.
    Unknown,
}

/// One judgement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Such as `queue`, `port 25` or `dkim wac.tax`.
    pub id: String,
    /// The judgement.
    pub verdict: Verdict,
    /// What was found; of `unknown`, why it could not be learnt.
    pub found: String,
    /// What to do.
    pub fix: Option<String>,
}

/// What is judged by.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The host's name.
    pub host: String,
    /// The mail domains.
    pub domains: Vec<String>,
    /// The names that the certificate must have.
    pub names: Vec<String>,
    /// Whether mail.yaml says that a pipeline applies regularly.
    pub scheduled: bool,
    /// A message that waits this long says that the queue is stuck.
    pub stuck: Duration,
    /// Now.
    pub now: OffsetDateTime,
}

const APPLY: &str = "`mailctl apply`";

/// All judgements.
pub fn judge(seen: &Seen, expected: &Expected) -> Vec<Line> {
    let server = seen.server.as_ref();
    let mut lines = vec![learnt("service", &seen.units, |unit| {
        let due = server.is_ok_and(|server| server.restart_due);
        service(unit, due, expected.now)
    })];
    match &seen.ports {
        Ok(ports) => lines.extend(ports.iter().map(port)),
        Err(why) => lines.push(Line::new("ports", Verdict::Unknown, why)),
    }
    lines.push(learnt("queue", &seen.queue, |queue| {
        judged_queue(queue.as_ref(), expected.stuck)
    }));
    lines.push(learnt("certificate", &seen.certificate, |found| {
        certificate(found.as_ref(), &seen.served, expected)
    }));
    if let Ok(Some(found)) = &seen.certificate {
        lines.push(renewal(found, expected));
    }
    match server {
        Ok(server) => lines.extend(of_server(server, expected)),
        Err(why) => lines.push(Line::new("server", Verdict::Unknown, why)),
    }
    lines.push(learnt("mailctl", &seen.ledger, |ledger| {
        applied(ledger.as_ref(), expected.now)
    }));
    lines.push(learnt("disk", &seen.disk, disk));
    lines.push(learnt("clock", &seen.clock, clock));
    lines
}

/// The judgement of what was learnt; what was not is unknown.
fn learnt<T>(id: &str, seen: &Learnt<T>, judge: impl FnOnce(&T) -> Line) -> Line {
    match seen {
        Ok(seen) => judge(seen),
        Err(why) => Line::new(id, Verdict::Unknown, why),
    }
}

impl Line {
    fn new(id: impl Into<String>, verdict: Verdict, found: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            verdict,
            found: found.into(),
            fix: None,
        }
    }

    fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

fn seconds_since(text: &str, now: OffsetDateTime) -> Option<i64> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some((now - at).whole_seconds())
}

/// `2026-11-25 23:00 UTC`
fn moment(text: &str) -> String {
    let (day, clock) = text.split_once('T').unwrap_or((text, ""));
    format!("{day} {} UTC", clock.get(..5).unwrap_or_default())
}

/// `2026-11-25 23:00 UTC (30 min ago)`
fn ago(text: &str, now: OffsetDateTime) -> String {
    match seconds_since(text, now).and_then(|s| u64::try_from(s).ok()) {
        Some(seconds) => format!("{} ({} ago)", moment(text), span(seconds)),
        None => moment(text),
    }
}

#[cfg(test)]
pub(crate) mod tests;

//! The one look at the server, and what it saw.

use std::time::Duration;

use time::OffsetDateTime;

use super::{Certificate, Clock, Disk, Port, Queue, Server, Service};
use super::{certificate, clock, queue, server, units};
use crate::failure::Result;
use crate::ledger::{self, Ledger};
use crate::observe::quote;
use crate::record::Name;
use crate::remote::Remote;
use crate::remote::frames::{self, Answer, Probe};

/// Everything that was looked at, or why it could not be learnt.
#[derive(Clone, Debug)]
pub struct Seen {
    /// chasquid.service.
    pub units: Learnt<Service>,
    /// Who listens.
    pub ports: Learnt<Vec<Port>>,
    /// The queue; `None` where chasquid never made one.
    pub queue: Learnt<Option<Queue>>,
    /// The certificate on the disk; `None` where there is none.
    pub certificate: Learnt<Option<Certificate>>,
    /// The certificate that chasquid shows on port 465.
    pub served: Learnt<Certificate>,
    /// The ledger; `None` where mailctl never applied.
    pub ledger: Learnt<Option<Ledger>>,
    /// Versions and what is due.
    pub server: Learnt<Server>,
    /// The disk.
    pub disk: Learnt<Disk>,
    /// The clock.
    pub clock: Learnt<Clock>,
}

/// What was learnt, or why it was not.
pub type Learnt<T> = std::result::Result<T, String>;

/// Printed where there is nothing to look at.
const ABSENT: &str = "absent\n";

/// How long one part may take, seconds.
const LIMIT: u32 = 20;

/// Looks, in one round trip. `now` is the time here.
///
/// # Errors
/// When the connection is lost.
pub fn ask(remote: &dyn Remote, host: &Name, now: fn() -> OffsetDateTime) -> Result<Seen> {
    let probes = probes(host).map(|text| Probe {
        text,
        timeout_s: LIMIT,
    });
    let before = now();
    let answers = frames::ask(remote, &probes)?;
    let spent = Duration::try_from(now() - before).unwrap_or_default();
    Ok(seen(&answers, before, spent))
}

/// The fragments, in the order of [`seen`].
fn probes(host: &Name) -> [String; 9] {
    let chain = quote(&format!("/etc/chasquid/certs/{host}/fullchain.pem"));
    let file = |path: &str| format!("if [ -e {path} ]; then cat {path}; else echo absent; fi");
    [
        units::PROBE.into(),
        units::LISTENERS.into(),
        queue::PROBE.into(),
        file(&chain),
        certificate::served_probe(host),
        file(ledger::PATH),
        server::PROBE.into(),
        server::DISK.into(),
        clock::PROBE.into(),
    ]
}

/// What the answers say, which were asked for at `before` and were there after `spent`.
fn seen(answers: &[Answer], before: OffsetDateTime, spent: Duration) -> Seen {
    let said = |n: usize| said(answers.get(n));
    let there = |n: usize| said(n).map(|text| Some(text).filter(|text| text != ABSENT));
    let read = |n: usize| there(n);
    Seen {
        units: said(0).and_then(|text| units::service(&text)),
        ports: said(1).and_then(|listeners| units::ports(&said(0).unwrap_or_default(), &listeners)),
        queue: read(2).map(|text| text.map(|text| queue::parse(&text, before.unix_timestamp()))),
        certificate: read(3).and_then(|pem| pem.map(|pem| certificate::parse(&pem)).transpose()),
        served: said(4).and_then(|pem| certificate::parse(&pem)),
        ledger: read(5).and_then(|text| text.map(|text| Ledger::parse(&text)).transpose()),
        server: said(6).map(|text| server::parse(&text)),
        disk: said(7).and_then(|text| server::disk(&text)),
        clock: said(8).and_then(|text| clock::parse(&text, before, spent)),
    }
}

/// The output of a fragment that must succeed.
fn said(answer: Option<&Answer>) -> Learnt<String> {
    match answer {
        None => Err("it was not looked at".into()),
        Some(answer) if answer.late() => Err("the server did not answer in time".into()),
        Some(answer) if answer.code != 0 => {
            let err = String::from_utf8_lossy(&answer.err);
            let why = err.lines().last().unwrap_or("no message").to_owned();
            Err(format!("looking at it failed on the server: {why}"))
        }
        Some(answer) => Ok(answer.text()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use time::macros::datetime;

    use super::*;

    fn answer(text: &str) -> Answer {
        Answer {
            code: 0,
            out: text.into(),
            err: Vec::new(),
        }
    }

    /// A server that was just set up, as its fragments recorded it.
    pub(crate) fn recorded() -> Vec<Answer> {
        [
            include_str!("../../tests/fixtures/status/units.txt"),
            include_str!("../../tests/fixtures/status/listeners.txt"),
            include_str!("../../tests/fixtures/status/queue.txt"),
            include_str!("../../tests/fixtures/status/fullchain.pem"),
            include_str!("../../tests/fixtures/status/served.pem"),
            include_str!("../../tests/fixtures/status/ledger.json"),
            include_str!("../../tests/fixtures/status/server.txt"),
            include_str!("../../tests/fixtures/status/disk.txt"),
            include_str!("../../tests/fixtures/status/clock.txt"),
        ]
        .map(answer)
        .to_vec()
    }

    /// The moment of the recording.
    pub(crate) const NOW: OffsetDateTime = datetime!(2026-11-25 23:30:00 UTC);

    /// The same with one answer another.
    pub(crate) fn but(n: usize, text: &str) -> Seen {
        let mut answers = recorded();
        answers[n] = answer(text);
        seen(&answers, NOW, Duration::from_millis(300))
    }

    /// The recorded server.
    pub(crate) fn healthy() -> Seen {
        seen(&recorded(), NOW, Duration::from_millis(300))
    }

    /// One where a fragment failed.
    pub(crate) fn unseen(n: usize, code: i32) -> Seen {
        let mut answers = recorded();
        answers[n] = Answer {
            code,
            out: b"half".to_vec(),
            err: b"sh: no such program\n".to_vec(),
        };
        seen(&answers, NOW, Duration::from_millis(300))
    }

    #[test]
    fn absent_is_not_unknown() {
        assert!(matches!(but(3, ABSENT).certificate, Ok(None)));
        assert!(matches!(but(5, ABSENT).ledger, Ok(None)));
        assert!(matches!(but(2, ABSENT).queue, Ok(None)));
        assert!(matches!(healthy().ledger, Ok(Some(_))));
        assert!(but(5, "{").ledger.is_err() && but(3, "nonsense").certificate.is_err());
        let why = unseen(2, 2).queue.expect_err("unknown");
        assert!(why.contains("no such program"), "{why}");
        let why = unseen(2, 124).queue.expect_err("unknown");
        assert!(why.contains("in time"), "{why}");
    }
}

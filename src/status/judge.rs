//! What was seen, judged: a line each. What could not be learnt is never fine.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::ask::{Learnt, Seen};
use super::render::span;
use super::{Certificate, Clock, Disk, Port, Queue, Server, Service};
use crate::kinds::version;
use crate::ledger::Ledger;
use crate::parts::packages::CHASQUID;

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

/// chasquid takes no more messages than this into its queue, unless its configuration says so.
const QUEUE_CAP: usize = 200;
const APPLY: &str = "`mailctl apply`";
const DAY: i64 = 86_400;

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

fn service(unit: &Service, due: bool, now: OffsetDateTime) -> Line {
    let line = |verdict, found: String| Line::new("service", verdict, found);
    let since = unit
        .since
        .as_ref()
        .map(|at| format!(" since {}", ago(at, now)));
    let since = since.unwrap_or_default();
    let log = match unit.log.last() {
        Some(last) => format!("; the last line of its log: {last}"),
        None => String::new(),
    };
    let state = (
        unit.load.as_str(),
        unit.state.as_str(),
        unit.substate.as_str(),
    );
    match state {
        ("masked", ..) => {
            return line(Verdict::Fail, "chasquid.service is masked".into())
                .fix("on the server: systemctl unmask chasquid.service");
        }
        ("not-found", ..) => {
            return line(Verdict::Fail, "chasquid is not installed".into()).fix(APPLY);
        }
        (_, "active", _) => {}
        (_, "activating", "auto-restart") => {
            return line(
                Verdict::Fail,
                format!("chasquid starts, and ends again{log}"),
            )
            .fix("`mailctl logs` shows why");
        }
        (_, "failed", _) => {
            return line(Verdict::Fail, format!("chasquid has failed{since}{log}"))
                .fix(format!("`mailctl logs` shows why; {APPLY} starts it again"));
        }
        (_, state, _) => {
            return line(
                Verdict::Fail,
                format!("chasquid does not run: it is {state}{since}"),
            )
            .fix(format!("{APPLY} starts it"));
        }
    }
    let pid = unit
        .pid
        .map(|pid| format!(", process {pid}"))
        .unwrap_or_default();
    let restarts = match unit.restarts {
        None | Some(0) => String::new(),
        Some(1) => ", restarted once by systemd".to_owned(),
        Some(n) => format!(", restarted {n} times by systemd"),
    };
    let runs = format!("running{since}{pid}{restarts}");
    let young = unit.since.as_ref().and_then(|at| seconds_since(at, now));
    if due {
        line(
            Verdict::Warn,
            format!("{runs}; it does not know the last changes yet"),
        )
        .fix(APPLY)
    } else if unit.outdated {
        line(
            Verdict::Warn,
            format!("{runs}; its program was upgraded since"),
        )
        .fix("on the server: systemctl restart chasquid")
    } else if !unit.enabled {
        line(Verdict::Warn, format!("{runs}; it does not start at boot")).fix(APPLY)
    } else if unit.restarts.is_some_and(|n| n > 0) && young.is_some_and(|s| s < 3600) {
        line(Verdict::Warn, runs).fix("`mailctl logs` shows why it ended")
    } else {
        line(Verdict::Ok, runs)
    }
}

fn port(port: &Port) -> Line {
    let line = |verdict, found: String| Line::new(format!("port {}", port.port), verdict, found);
    let unit = &port.unit;
    let families = match (port.ipv4, port.ipv6) {
        (true, true) => "IPv4 and IPv6",
        (true, false) => "IPv4 only",
        (false, true) => "IPv6 only",
        (false, false) => return line(Verdict::Fail, "nobody listens".into()).fix(APPLY),
    };
    let other = port
        .held_by
        .iter()
        .find(|name| !matches!(name.as_str(), "chasquid" | "systemd"));
    if let Some(other) = other {
        return line(Verdict::Fail, format!("it is held by {other}"))
            .fix(format!("stop {other} on the server, then {APPLY}"));
    }
    if port.state != "active" {
        let found = format!("over {families}, by chasquid itself: {unit} does not run");
        return line(Verdict::Warn, found).fix(format!("{APPLY}: a restart refuses nobody then"));
    }
    let found = format!("{unit} listens over {families}");
    if port.ipv4 && port.ipv6 {
        line(Verdict::Ok, found)
    } else {
        line(Verdict::Warn, found).fix(format!(
            "`systemctl cat {unit}` on the server: ListenStream={} alone is both",
            port.port
        ))
    }
}

fn judged_queue(queue: Option<&Queue>, stuck: Duration) -> Line {
    let line = |verdict, found: String| Line::new("queue", verdict, found);
    let Some(queue) = queue else {
        return line(
            Verdict::Unknown,
            "chasquid has not made its queue yet".into(),
        );
    };
    let wait = match queue.length {
        0 => return line(Verdict::Ok, "empty".into()),
        1 => "1 message waits".to_owned(),
        n => format!("{n} messages wait"),
    };
    let Some(oldest) = queue.oldest_seconds else {
        let found = format!("{wait}; since when cannot be learnt");
        return line(Verdict::Unknown, found);
    };
    let found = match queue.length {
        1 => format!("{wait} for {}", span(oldest)),
        _ => format!("{wait}, the oldest for {}", span(oldest)),
    };
    if oldest >= stuck.as_secs() {
        line(
            Verdict::Warn,
            format!("{found}; senders are told after 20 h that it failed"),
        )
        .fix("`mailctl logs ID` shows a message's attempts")
    } else if queue.length * 4 >= QUEUE_CAP * 3 {
        line(
            Verdict::Warn,
            format!("{found}; chasquid takes no more than {QUEUE_CAP}"),
        )
        .fix("`mailctl logs` shows what holds them up")
    } else {
        line(Verdict::Ok, found)
    }
}

fn certificate(
    found: Option<&Certificate>,
    served: &Learnt<Certificate>,
    expected: &Expected,
) -> Line {
    let line = |verdict, found: String| Line::new("certificate", verdict, found);
    let Some(seen) = found else {
        return line(Verdict::Fail, "there is none".into()).fix(APPLY);
    };
    let now = expected.now;
    let left = seconds_since(&seen.not_after, now).map_or(0, |s| -s);
    let until = format!("until {}", moment(&seen.not_after));
    if left <= 0 {
        let since = span(left.unsigned_abs());
        return line(
            Verdict::Fail,
            format!("it expired {since} ago: it was good {until}"),
        )
        .fix(APPLY);
    }
    if seconds_since(&seen.not_before, now).is_some_and(|s| s < 0) {
        let from = moment(&seen.not_before);
        return line(Verdict::Fail, format!("it is not good before {from}"))
            .fix("see whether the clocks are right");
    }
    let days = left / DAY;
    let about = format!(
        "{}; {days} days left, {until}; by {}",
        seen.names.join(", "),
        seen.issuer
    );
    let missing = expected
        .names
        .iter()
        .find(|name| !seen.names.contains(name));
    if let Some(name) = missing {
        let verdict = if *name == expected.host {
            Verdict::Fail
        } else {
            Verdict::Warn
        };
        return line(verdict, format!("it does not cover {name}: {about}")).fix(APPLY);
    }
    match served {
        Ok(other) if other.parsed != seen.parsed => {
            let found = format!(
                "chasquid still shows another one, good until {}, than lies on the disk: {about}",
                moment(&other.not_after)
            );
            line(Verdict::Warn, found).fix("on the server: systemctl restart chasquid")
        }
        _ if seen.self_signed => {
            line(Verdict::Warn, format!("it vouches for itself: {about}")).fix(APPLY)
        }
        Ok(_) => line(Verdict::Ok, about),
        // Why it does not run is said elsewhere.
        Err(_) => line(
            Verdict::Ok,
            format!("{about}; whether chasquid shows it could not be asked"),
        ),
    }
}

fn renewal(seen: &Certificate, expected: &Expected) -> Line {
    let line = |verdict, found: String| Line::new("renewal", verdict, found);
    let from = moment(&seen.renewal);
    if seconds_since(&seen.renewal, expected.now).is_some_and(|s| s >= 0) {
        return line(Verdict::Warn, format!("due since {from}"))
            .fix(format!("{APPLY}, and see why the scheduled one did not"));
    }
    if expected.scheduled {
        line(
            Verdict::Ok,
            format!("by a scheduled {APPLY} from {from} on"),
        )
    } else {
        line(
            Verdict::Ok,
            format!("by the first {APPLY} from {from} on: it has to be scheduled"),
        )
    }
}

fn of_server(server: &Server, expected: &Expected) -> Vec<Line> {
    let mut lines = Vec::new();
    lines.push(match &server.chasquid {
        None => Line::new(
            "chasquid",
            Verdict::Unknown,
            "it is not installed as a package",
        ),
        Some(found) if !version::at_least(found, CHASQUID) => Line::new(
            "chasquid",
            Verdict::Fail,
            format!(
                "{found}, which can be stopped from outside; {CHASQUID} is the first that cannot"
            ),
        )
        .fix(APPLY),
        Some(found) => Line::new("chasquid", Verdict::Ok, found.clone()),
    });
    lines.push(match &server.reboot_for {
        None => Line::new("system", Verdict::Ok, server.system.clone()),
        Some(packages) => {
            let packages = match &packages[..] {
                [] => String::new(),
                packages => format!(" for {}", packages.join(", ")),
            };
            let found = format!("{}: a reboot is due{packages}", server.system);
            Line::new("system", Verdict::Warn, found)
                .fix("reboot it when it suits: others keep their mail and try again")
        }
    });
    lines.extend(
        expected
            .domains
            .iter()
            .map(|domain| signing(domain, server)),
    );
    lines
}

fn signing(domain: &str, server: &Server) -> Line {
    let line = |verdict, found: String| Line::new(format!("dkim {domain}"), verdict, found);
    let of = |signing: bool| -> Vec<&str> {
        let keys = server.keys.iter();
        keys.filter(|key| key.domain == domain && key.signing == signing)
            .map(|key| key.selector.as_str())
            .collect()
    };
    let (signs, waits) = (of(true), of(false));
    let waits = match &waits[..] {
        [] => String::new(),
        waits => format!("; {} waits for its record", waits.join(", ")),
    };
    match &signs[..] {
        [] => line(Verdict::Warn, format!("mail is not signed{waits}")).fix(APPLY),
        signs => line(
            Verdict::Ok,
            format!("signs with {}{waits}", signs.join(", ")),
        ),
    }
}

fn applied(ledger: Option<&Ledger>, now: OffsetDateTime) -> Line {
    let line = |verdict, found: String| Line::new("mailctl", verdict, found);
    match ledger.map(|ledger| &ledger.applied) {
        None => line(Verdict::Warn, "mailctl never applied to this server".into())
            .fix("`mailctl plan` shows what it would do"),
        Some(None) => line(
            Verdict::Warn,
            "an apply was begun, and none was ever finished".into(),
        )
        .fix(APPLY),
        Some(Some(last)) => line(
            Verdict::Ok,
            format!(
                "applied last on {} by {}, with version {}",
                ago(&last.at, now),
                last.by,
                last.version
            ),
        ),
    }
}

fn disk(disk: &Disk) -> Line {
    const MIB: u64 = 1 << 20;
    let line = |verdict, found: String| Line::new("disk", verdict, found);
    let percent = disk.free.saturating_mul(100) / disk.total.max(1);
    let found = format!("{} free in {}, {percent} %", bytes(disk.free), disk.mount);
    let fix = "make room on the server: `df -h`; `apt-get clean` and `journalctl --vacuum-size=100M` often help";
    if let Some(files) = disk.free_files.filter(|files| *files < 1000) {
        return line(
            Verdict::Fail,
            format!("{found}, but only {files} more files can be made"),
        )
        .fix(fix);
    }
    if disk.free < 100 * MIB {
        line(
            Verdict::Fail,
            format!("{found}: mail is refused when it is full"),
        )
        .fix(fix)
    } else if percent < 5 || disk.free < 500 * MIB {
        line(Verdict::Warn, found).fix(fix)
    } else {
        line(Verdict::Ok, found)
    }
}

fn bytes(n: u64) -> String {
    #[allow(clippy::cast_precision_loss)] // one digit is shown
    let n = n as f64;
    match n {
        n if n >= 1e9 => format!("{:.1} GB", n / 1e9),
        n => format!("{:.0} MB", n / 1e6),
    }
}

fn clock(clock: &Clock) -> Line {
    let line = |verdict, found: String| Line::new("clock", verdict, found);
    let off = clock.ahead_seconds.abs();
    let side = if clock.ahead_seconds < 0.0 {
        "behind"
    } else {
        "ahead of"
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // not negative
    let found = format!("{} {side} the clock here", span(off as u64));
    let fix = "set the one that is wrong; on the server: apt-get install systemd-timesyncd";
    if off >= 60.0 {
        return line(
            Verdict::Fail,
            format!("{found}: TLS and signatures fail when it is wrong"),
        )
        .fix(fix);
    }
    if off >= 5.0 {
        return line(Verdict::Warn, found).fix(fix);
    }
    match clock.synchronized {
        Some(true) => line(Verdict::Ok, "right, and kept so by a time service".into()),
        _ if clock.container => line(Verdict::Ok, "right; the container's host keeps it".into()),
        Some(false) => line(
            Verdict::Warn,
            "right now, but no time service keeps it so".into(),
        )
        .fix("on the server: apt-get install systemd-timesyncd"),
        None => line(
            Verdict::Unknown,
            "right now; whether a time service keeps it so could not be learnt".into(),
        ),
    }
}

#[cfg(test)]
pub(crate) mod tests;

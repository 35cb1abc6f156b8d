//! The service, and who holds its ports.

use time::OffsetDateTime;

use super::{APPLY, Line, Verdict, ago, seconds_since};
use crate::status::{Port, Service};

pub(super) fn service(unit: &Service, due: bool, now: OffsetDateTime) -> Line {
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

pub(super) fn port(port: &Port) -> Line {
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

//! The certificate in the course of time, and its renewal.

use super::{APPLY, Expected, Line, Verdict, moment, seconds_since};
use crate::status::Certificate;
use crate::status::ask::Learnt;
use crate::status::render::span;

const DAY: i64 = 86_400;

pub(super) fn certificate(
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

pub(super) fn renewal(seen: &Certificate, expected: &Expected) -> Line {
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

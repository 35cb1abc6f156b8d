//! The server's clock. A wrong one breaks TLS, DKIM and the order of everything.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::ask::Learnt;

/// Prints the time first, then what is known of who sets it. Who asks for time
/// services by their names also finds those that systemd does not know.
pub const PROBE: &str = "date +now=%s.%N
timedatectl show -p NTPSynchronized 2>/dev/null
echo \"container=$(systemd-detect-virt --container 2>/dev/null)\"";

/// The clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    /// How far it is ahead of the clock here, in seconds; 0 where the round trip leaves no doubt.
    pub ahead_seconds: f64,
    /// Whether the kernel is told the time by a time service; `None`: the server does not say.
    pub synchronized: Option<bool>,
    /// Whether somebody else's kernel keeps the time.
    pub container: bool,
}

/// Reads what the probe prints, which was asked at `before` and answered within `spent`.
///
/// # Errors
/// A sentence, when there is no time in it.
pub fn parse(text: &str, before: OffsetDateTime, spent: Duration) -> Learnt<Clock> {
    let value = |key: &str| {
        text.lines()
            .find_map(|l| l.strip_prefix(key)?.strip_prefix('='))
    };
    let now: f64 = value("now")
        .and_then(|now| now.trim().parse().ok())
        .ok_or("the server does not tell its time")?;
    #[allow(clippy::cast_precision_loss)] // microseconds of this century fit
    let before = (before.unix_timestamp_nanos() / 1000) as f64 / 1e6;
    let (early, late) = (now - before, now - before - spent.as_secs_f64());
    let ahead = if early < 0.0 {
        early
    } else if late > 0.0 {
        late
    } else {
        0.0
    };
    Ok(Clock {
        ahead_seconds: (ahead * 1000.0).round() / 1000.0,
        synchronized: value("NTPSynchronized").map(|word| word == "yes"),
        container: value("container").is_some_and(|kind| !kind.is_empty() && kind != "none"),
    })
}

/// A time as the documents have it, without a fraction.
pub fn rfc3339(at: OffsetDateTime) -> String {
    let whole = at.replace_nanosecond(0).unwrap_or(at);
    whole.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn ahead(now: &str) -> f64 {
        let text = format!("now={now}\nNTPSynchronized=yes\ncontainer=none\n");
        let before = datetime!(2026-01-01 00:00 UTC);
        let seen = parse(&text, before, Duration::from_secs(2)).expect("a clock");
        assert_eq!((seen.synchronized, seen.container), (Some(true), false));
        seen.ahead_seconds
    }

    #[test]
    fn the_round_trip_is_no_difference() {
        // 2026-01-01 is 1767225600.
        for (now, wanted) in [
            ("1767225600.000000000", 0.0),
            ("1767225601.9", 0.0),
            ("1767225612.5", 10.5),
            ("1767225540.0", -60.0),
        ] {
            assert!((ahead(now) - wanted).abs() < 0.01, "{now}: {}", ahead(now));
        }
    }

    #[test]
    fn what_is_not_said_is_not_known() {
        let before = datetime!(2026-01-01 00:00 UTC);
        let seen = parse("now=1767225600\ncontainer=\n", before, Duration::ZERO).expect("a clock");
        assert_eq!((seen.synchronized, seen.container), (None, false));
        assert!(parse("", before, Duration::ZERO).is_err());
    }
}

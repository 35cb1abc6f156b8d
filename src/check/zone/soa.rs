//! The times in the zone's SOA record.

use super::seen::{Seen, Soa};
use crate::check::{Aspect, Finding};
use crate::record::Name;

/// The SOA record's times.
pub const SOA: Aspect = Aspect {
    id: "zone.soa",
    wanted: "absence that is remembered for a day at most, and times that secondary servers can live with",
    why: "Resolvers remember that a record was absent for as long as the SOA record says (RFC 2308): a DKIM key that somebody looked for too early stays unseen so long, and its mail fails (Gmail 5.7.30).",
};

/// A day, in seconds.
const DAY: i64 = 86_400;

/// Judges the SOA record of the first server that has the zone.
pub fn judge(domain: &Name, seen: &Seen) -> Option<Finding> {
    let holders = seen.holders();
    let (_, held) = holders.first()?;
    Some(times(domain, &held.soa))
}

fn times(domain: &Name, soa: &Soa) -> Finding {
    let about = SOA.of(domain);
    let absence = soa.ttl.min(soa.minimum);
    let (mut wrong, mut fixes) = (Vec::new(), Vec::new());
    if i64::from(absence) > DAY {
        wrong.push(format!("absence is remembered for {absence} s"));
        fixes.push("set the last number of the SOA record to 3600 or less");
    }
    if soa.expire <= soa.refresh {
        wrong.push(format!(
            "secondary servers give the zone up after {} s, and look for it every {} s",
            soa.expire, soa.refresh
        ));
        fixes.push("set expire to some weeks (RFC 1912 section 2.2)");
    }
    if soa.refresh > 14 * DAY {
        wrong.push(format!(
            "secondary servers look for changes every {} s only",
            soa.refresh
        ));
        fixes.push("set refresh to some hours (RFC 1912 section 2.2)");
    }
    if wrong.is_empty() {
        about.pass(format!("absence is remembered for {absence} s"))
    } else {
        about.warn(wrong.join(", "), fixes.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict::{self, Pass, Warn};

    #[test]
    fn times_are_judged_each_for_itself() {
        let verdict = |refresh, expire, minimum, ttl| -> Verdict {
            let soa = Soa {
                serial: 1,
                refresh,
                expire,
                minimum,
                ttl,
            };
            times(&Name::root().child("example.test"), &soa).verdict
        };
        assert_eq!(verdict(10_800, 604_800, 1, 60), Pass);
        assert_eq!(verdict(7_200, 1_209_600, 86_400, 900), Pass);
        assert_eq!(verdict(900, 1_800, 60, 60), Pass);
        // The record's own TTL bounds the minimum.
        assert_eq!(verdict(7_200, 1_209_600, 604_800, 3_600), Pass);
        assert_eq!(verdict(7_200, 1_209_600, 604_800, 604_800), Warn);
        assert_eq!(verdict(7_200, 3_600, 60, 60), Warn);
        assert_eq!(verdict(2_592_000, 5_184_000, 60, 60), Warn);
    }
}

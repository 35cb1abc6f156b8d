//! The DMARC policy that receivers want before they show a logo.

use super::POLICY;
use crate::check::{Finding, View};
use crate::dkim::tags;
use crate::record::{Name, RType};

/// What DMARC says of a domain's mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dmarc {
    at: Name,
    record: String,
    own: bool,
}

/// The record of the domain, or the closest one above it (RFC 9989 section 4.10).
pub(super) async fn dmarc(view: &View) -> Result<Option<Dmarc>, String> {
    let mut at = Some(view.domain().clone());
    while let Some(name) = at.filter(|name| name.as_str().contains('.')) {
        let set = view.lookup(&name.child("_dmarc"), RType::Txt).await?;
        let record = set.values.iter().find(|v| v.starts_with("v=DMARC1"));
        if let Some(record) = record {
            return Ok(Some(Dmarc {
                own: name == *view.domain(),
                at: name,
                record: record.clone(),
            }));
        }
        at = name.parent();
    }
    Ok(None)
}

pub(super) fn judge(domain: &Name, dmarc: Option<&Dmarc>) -> Finding {
    let about = POLICY.of(domain);
    let Some(dmarc) = dmarc else {
        return about.warn(
            "no DMARC record",
            format!("publish one at _dmarc.{domain} with p=quarantine or p=reject"),
        );
    };
    let tags = tags(&dmarc.record).unwrap_or_default();
    let p = tags.get("p").map_or("none", String::as_str);
    let sp = tags.get("sp").map_or(p, String::as_str);
    let policy = if dmarc.own { p } else { sp };
    let weak = |policy: &str| !matches!(policy, "quarantine" | "reject");
    let part = tags.get("pct").is_some_and(|pct| pct != "100");
    let found = if weak(policy) {
        format!("{policy} at _dmarc.{}", dmarc.at)
    } else if weak(sp) {
        format!("p={p}, but sp={sp} at _dmarc.{}", dmarc.at)
    } else if part || tags.get("t").is_some_and(|t| t == "y") {
        format!(
            "{policy}, for a part of the mail only, at _dmarc.{}",
            dmarc.at
        )
    } else {
        return about.pass(format!("{policy} at _dmarc.{}", dmarc.at));
    };
    let fix = format!(
        "set p and sp at _dmarc.{} to quarantine or reject once all mail is aligned, without pct and t=y",
        dmarc.at
    );
    about.warn(found, fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    fn domain() -> Name {
        Name::parse("example.com").expect("a name")
    }

    #[test]
    fn the_policy_must_hold_for_all_mail() {
        let of = |own, record: &str| {
            let dmarc = Dmarc {
                at: domain(),
                record: record.into(),
                own,
            };
            judge(&domain(), Some(&dmarc)).verdict
        };
        assert_eq!(of(true, "v=DMARC1; p=reject"), Verdict::Pass);
        assert_eq!(of(true, "v=DMARC1; p=quarantine; pct=100"), Verdict::Pass);
        assert_eq!(of(true, "v=DMARC1; p=none"), Verdict::Warn);
        assert_eq!(of(true, "v=DMARC1; p=reject; sp=none"), Verdict::Warn);
        assert_eq!(of(true, "v=DMARC1; p=quarantine; pct=50"), Verdict::Warn);
        assert_eq!(of(true, "v=DMARC1; p=reject; t=y"), Verdict::Warn);
        assert_eq!(of(false, "v=DMARC1; p=none; sp=reject"), Verdict::Pass);
        assert_eq!(of(false, "v=DMARC1; p=reject; sp=none"), Verdict::Warn);
        assert_eq!(judge(&domain(), None).verdict, Verdict::Warn);
    }
}

//! What a DMARC record asks receivers to do with mail that fails.

use super::POLICY;
use super::syntax::Tags;
use crate::check::Finding;
use crate::check::remarks::Remarks;
use crate::config::{Dmarc, DmarcPolicy};
use crate::record::Name;

/// How strict a policy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    None,
    Quarantine,
    Reject,
}

impl Strength {
    fn read(value: &str) -> Option<Self> {
        match value.to_ascii_lowercase().as_str() {
            "none" => Some(Self::None),
            "quarantine" => Some(Self::Quarantine),
            "reject" => Some(Self::Reject),
            _ => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    /// What is left of it while the domain tests (`t=y`).
    fn tested(self) -> Self {
        match self {
            Self::Reject => Self::Quarantine,
            Self::Quarantine | Self::None => Self::None,
        }
    }
}

impl From<DmarcPolicy> for Strength {
    fn from(policy: DmarcPolicy) -> Self {
        match policy {
            DmarcPolicy::None => Self::None,
            DmarcPolicy::Quarantine => Self::Quarantine,
            DmarcPolicy::Reject => Self::Reject,
        }
    }
}

/// Judges the policy of a record, which is the domain's `own` or one of a
/// domain above; what mail.yaml has `wished` for is no surprise.
pub(super) fn judge(domain: &Name, tags: &Tags, own: bool, wished: Option<&Dmarc>) -> Finding {
    let read = |tag: &str| tags.get(tag).and_then(Strength::read);
    // What is missing or unreadable means none (RFC 9989 section 4.7).
    let p = read("p").unwrap_or(Strength::None);
    let sp = read("sp").unwrap_or(p);
    let np = read("np").unwrap_or(sp);
    let testing = tags.get("t").is_some_and(|t| t.eq_ignore_ascii_case("y"));
    let (tag, stated) = if own { ("p", p) } else { ("sp", sp) };
    let applied = if testing { stated.tested() } else { stated };
    let mut remarks = Remarks::default();
    let mut good = format!("{tag}={}", stated.word());
    if !own && tags.get("sp").is_none() {
        good = format!("p={}", p.word());
    }
    let as_wished =
        |strength: Strength| wished.is_some_and(|wished| Strength::from(wished.p) == strength);
    if testing {
        remarks.warn(
            format!(
                "{good} with t=y, which receivers take for {}",
                applied.word()
            ),
            "take `t=y` out once the reports show that your own mail passes",
        );
    } else if stated == Strength::None && own && as_wished(Strength::None) {
        good.push_str(", as mail.yaml wishes: it only observes");
    } else if stated == Strength::None {
        remarks.warn(
            format!("{good}: receivers do nothing about forged mail"),
            "go on to p=quarantine once the reports show that your own mail passes",
        );
    }
    let wishes = |of: fn(&Dmarc) -> Option<DmarcPolicy>, strength: Strength| {
        wished
            .and_then(of)
            .is_some_and(|policy| Strength::from(policy) == strength)
    };
    if own && sp < p && !wishes(|dmarc| dmarc.sp, sp) {
        remarks.warn(
            format!(
                "sp={} is weaker than p={}: subdomains are open to forgers",
                sp.word(),
                p.word()
            ),
            "take `sp` out, so that p holds for subdomains too",
        );
    }
    if own && np < sp && !wishes(|dmarc| dmarc.np, np) {
        remarks.warn(
            format!(
                "np={} is weaker than {}: subdomains that do not exist are open to forgers",
                np.word(),
                sp.word()
            ),
            "write `np=reject`: nobody sends from names that do not exist",
        );
    }
    remarks.settle(POLICY.of(domain), good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict::{Pass, Warn};

    #[test]
    fn strength_is_judged() {
        for (record, own, verdict, found) in [
            ("v=DMARC1; p=reject", true, Pass, "p=reject"),
            (
                "v=DMARC1; p=Quarantine; np=reject",
                true,
                Pass,
                "p=quarantine",
            ),
            (
                "v=DMARC1; p=none",
                true,
                Warn,
                "p=none: receivers do nothing",
            ),
            (
                "v=DMARC1; rua=mailto:a@b.c",
                true,
                Warn,
                "p=none: receivers do nothing",
            ),
            (
                "v=DMARC1; p=reject; t=y",
                true,
                Warn,
                "p=reject with t=y, which receivers take for quarantine",
            ),
            (
                "v=DMARC1; p=quarantine; t=y",
                true,
                Warn,
                "p=quarantine with t=y, which receivers take for none",
            ),
            (
                "v=DMARC1; p=reject; sp=none",
                true,
                Warn,
                "sp=none is weaker than p=reject",
            ),
            (
                "v=DMARC1; p=reject; np=none",
                true,
                Warn,
                "np=none is weaker than reject",
            ),
            ("v=DMARC1; p=none; sp=reject", true, Warn, "p=none"),
            ("v=DMARC1; p=none; sp=reject", false, Pass, "sp=reject"),
            ("v=DMARC1; p=reject", false, Pass, "p=reject"),
            (
                "v=DMARC1; p=reject; sp=none",
                false,
                Warn,
                "sp=none: receivers do nothing",
            ),
        ] {
            let domain = Name::parse("a.test").expect("a name");
            let finding = judge(&domain, &Tags::of(record), own, None);
            assert_eq!(finding.verdict, verdict, "{record}: {finding:?}");
            assert!(finding.found.starts_with(found), "{finding:?}");
        }
    }

    #[test]
    fn what_was_wished_for_is_no_surprise() {
        let domain = Name::parse("a.test").expect("a name");
        let wished = Dmarc {
            p: DmarcPolicy::None,
            ..Dmarc::default()
        };
        let observes = judge(
            &domain,
            &Tags::of("v=DMARC1; p=none; np=reject"),
            true,
            Some(&wished),
        );
        assert_eq!(
            (observes.verdict, observes.found.as_str()),
            (Pass, "p=none, as mail.yaml wishes: it only observes")
        );
        let wished = Dmarc {
            p: DmarcPolicy::Reject,
            sp: Some(DmarcPolicy::None),
            ..Dmarc::default()
        };
        let open = judge(
            &domain,
            &Tags::of("v=DMARC1; p=reject; sp=none; np=reject"),
            true,
            Some(&wished),
        );
        assert_eq!(open.verdict, Pass, "{open:?}");
        let weaker = judge(&domain, &Tags::of("v=DMARC1; p=none"), true, Some(&wished));
        assert_eq!(weaker.verdict, Warn, "{weaker:?}");
    }
}

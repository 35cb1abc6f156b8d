//! What is dangerous about a record's going. A domain that left mail.yaml
//! altogether takes its records along without further ado.

use std::collections::BTreeSet;

use super::super::Wish;
use crate::danger::{Danger, MOVE_MAIL, REMOVE_SELECTOR, WEAKEN_DMARC};
use crate::kinds::rrset;
use crate::ledger::Made;
use crate::record::{Name, RType, RrsetKey};

const SELECTOR: &str = "mail signed with it may still be on its way: sending servers try for a week, and \
    a mail without its key fails DKIM";

/// The name that a record is about: without `_dmarc`, `s1._domainkey` and the like.
fn about(name: &Name) -> Name {
    let text = name.as_str();
    let tail = text
        .split_once("._domainkey.")
        .map_or(text, |(_, tail)| tail);
    let mut labels = tail.split('.').skip_while(|label| label.starts_with('_'));
    let rest: Vec<&str> = labels.by_ref().collect();
    Name::parse(&rest.join(".")).unwrap_or_else(|_| name.clone())
}

fn has(wish: &Wish, name: &Name) -> bool {
    wish.config.domains.keys().any(|domain| domain.0 == *name)
}

/// Whether the domain of a record stays in mail.yaml, so that its going is no
/// part of a domain's going. What mailctl publishes for mail domains counts to
/// the domain that it is about, even where a domain above it stays.
pub(super) fn stays(wish: &Wish, key: &RrsetKey) -> bool {
    let name = about(&key.name);
    if has(wish, &name) {
        return true;
    }
    let below = wish.config.domains.keys().any(|d| name.is_in(&d.0));
    below && name == key.name && !was_domain(wish, &name)
}

/// Whether the ledger knows the name as a mail domain or as the host's: only these have terms of SPF.
fn was_domain(wish: &Wish, name: &Name) -> bool {
    wish.ledger.made.iter().any(|made| match made {
        Made::Domain(domain) => domain == name.as_str(),
        Made::Dkim(key) => key.split(' ').next() == Some(name.as_str()),
        Made::Term { key, .. } => key.name == *name,
        _ => false,
    })
}

/// The class of danger of a record's going, if any. `kept` are the sets that stay.
pub(super) fn danger(wish: &Wish, key: &RrsetKey, kept: &BTreeSet<RrsetKey>) -> Option<Danger> {
    let name = about(&key.name);
    let kept = |name: &Name, rtype| kept.contains(&RrsetKey::new(name.clone(), rtype));
    let first = key.name.as_str().split('.').next().unwrap_or_default();
    match key.rtype {
        // The other address of the host goes on receiving where IPv6 goes.
        RType::A if key.name == *wish.config.host_name() => {
            Some(Danger::new(MOVE_MAIL, rrset::moved(key)))
        }
        RType::Aaaa if key.name == *wish.config.host_name() && !kept(&key.name, RType::A) => {
            Some(Danger::new(MOVE_MAIL, rrset::moved(key)))
        }
        RType::Mx if stays(wish, key) => Some(Danger::new(MOVE_MAIL, rrset::moved(key))),
        RType::Txt | RType::Cname if key.name.as_str().contains("._domainkey.") => {
            has(wish, &name).then(|| Danger::new(REMOVE_SELECTOR, SELECTOR))
        }
        RType::Txt | RType::Cname if first == "_dmarc" && kept(&name, RType::Mx) => {
            let why =
                format!("{name} would have no DMARC policy of its own, and goes on receiving");
            Some(Danger::new(WEAKEN_DMARC, why))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::testing::{Stage, value};

    fn key(name: &str, rtype: RType) -> RrsetKey {
        RrsetKey::new(Name::parse(name).expect("a name"), rtype)
    }

    #[test]
    fn a_record_is_about_the_name_above_its_service() {
        for (name, about_what) in [
            ("wac.tax", "wac.tax"),
            ("_dmarc.wac.tax", "wac.tax"),
            ("s1._domainkey.sub.wac.tax", "sub.wac.tax"),
            ("a.b._domainkey.wac.tax", "wac.tax"),
            ("_submission._tcp.wac.tax", "wac.tax"),
            ("www.wac.tax", "www.wac.tax"),
        ] {
            let found = about(&Name::parse(name).expect("a name"));
            assert_eq!(found.as_str(), about_what);
        }
    }

    #[test]
    fn a_domain_that_left_is_no_danger_and_a_record_of_one_that_stays_may_be() {
        let txt = RType::Txt;
        let term = Made::Term {
            key: key("left.wac.tax", txt),
            term: "mx".into(),
        };
        let stage = Stage::new("ssh: root@203.0.113.7", "")
            .made([value("left.wac.tax", RType::Mx, "10 smtp.wac.tax."), term]);
        let wish = stage.wish();
        let kept = BTreeSet::from([
            key("kept.wac.tax", RType::Mx),
            key("smtp.wac.tax", RType::A),
        ]);
        for (name, rtype, domain_stays, class) in [
            ("left.wac.tax", RType::Mx, false, None),
            ("_dmarc.left.wac.tax", txt, false, None),
            ("s1._domainkey.left.wac.tax", txt, false, None),
            ("_submission._tcp.left.wac.tax", RType::Srv, false, None),
            ("old.example", RType::Mx, false, None),
            ("s1._domainkey.old.example", txt, false, None),
            ("www.wac.tax", RType::A, true, None),
            ("sub.wac.tax", RType::Mx, true, Some(MOVE_MAIL)),
            ("smtp.wac.tax", RType::Aaaa, true, None),
            ("smtp.wac.tax", RType::A, true, Some(MOVE_MAIL)),
            ("s1._domainkey.wac.tax", txt, true, Some(REMOVE_SELECTOR)),
            ("_dmarc.kept.wac.tax", txt, false, Some(WEAKEN_DMARC)),
        ] {
            let key = key(name, rtype);
            assert_eq!(stays(&wish, &key), domain_stays, "{key}");
            let found = danger(&wish, &key, &kept).map(|danger| danger.class);
            assert_eq!(found, class, "{key}");
        }
    }
}

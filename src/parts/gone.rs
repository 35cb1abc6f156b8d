//! What the ledger lists and mail.yaml no longer asks for; backwards, so that
//! mail stops coming before anything else goes.

mod peril;

use std::collections::BTreeSet;

use super::{Wish, records};
use crate::config;
use crate::kinds::dkim;
use crate::kinds::rrset::{RrsetGone, id};
use crate::ledger::Made;
use crate::record::{RType, RrsetKey};
use crate::resource::{Holder, Resource};

/// Records that are ours and no longer wanted.
pub fn wish(wish: &Wish, wanted: &mut Vec<Box<dyn Resource>>) {
    // As long as addresses or keys are not known, their records only seem to be unwanted.
    if wish.seen.shell(crate::facts::PROBE).is_err() || dkim::keys(wish.seen).is_err() {
        return;
    }
    let kept: BTreeSet<RrsetKey> = records::sets(wish).into_iter().map(|set| set.key).collect();
    let made = wish.ledger.made.iter().filter_map(|made| match made {
        Made::Value { key, .. } | Made::Term { key, .. } => Some(key.clone()),
        _ => None,
    });
    let mut gone: Vec<RrsetKey> = made
        .collect::<BTreeSet<_>>()
        .into_iter()
        .filter(|key| !kept.contains(key) && !left_alone(wish, key))
        .collect();
    gone.sort_by_key(|key| turn(key.rtype));
    let mut done: Vec<RrsetKey> = Vec::new();
    for key in gone {
        let reverse = key.rtype == RType::Ptr && key.name.reversed().is_some();
        let holder = if reverse {
            Holder::Ptr
        } else {
            records::holder(wish.config, &key.name)
        };
        let needs = before(wish, &key, &done);
        done.push(key.clone());
        wanted.push(Box::new(RrsetGone {
            holder,
            ours: wish.ledger.of(&key),
            domain_stays: peril::stays(wish, &key),
            danger: peril::danger(wish, &key, &kept),
            key,
            needs,
        }));
    }
}

/// `mx: keep`: whoever receives there now, no MX is touched, ours neither.
fn left_alone(wish: &Wish, key: &RrsetKey) -> bool {
    let keeps = |(name, domain): (&config::HostName, &config::Domain)| {
        name.0 == key.name && domain.mx == config::Mx::Keep
    };
    key.rtype == RType::Mx && wish.config.domains.iter().any(keeps)
}

/// When a record of this type goes.
fn turn(rtype: RType) -> u8 {
    match rtype {
        RType::Mx => 0,
        RType::A | RType::Aaaa => 3,
        RType::Ptr => 2,
        _ => 1,
    }
}

/// What must be done before a record goes: mail is sent elsewhere first, then
/// the server forgets the domain, then its records go, the addresses last.
fn before(wish: &Wish, key: &RrsetKey, done: &[RrsetKey]) -> Vec<String> {
    if key.rtype == RType::Mx {
        return Vec::new();
    }
    let kept = wish.config.domains.keys();
    let mx = kept.map(|domain| RrsetKey::new(domain.0.clone(), RType::Mx));
    let sets = mx.chain(
        done.iter()
            .filter(|k| turn(k.rtype) < turn(key.rtype))
            .cloned(),
    );
    let mut needs: Vec<String> = sets.map(|key| id(&key)).collect();
    needs.push("service chasquid".into());
    needs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::testing::shell;
    use crate::parts::testing::{Stage, value};
    use crate::resource::Probe;

    fn stage() -> Stage {
        Stage::new("ssh: root@203.0.113.7", "").made([
            value("old.wac.tax", RType::A, "203.0.113.7"),
            value("old.wac.tax", RType::Mx, "10 smtp.wac.tax."),
            value("old.wac.tax", RType::Txt, "x"),
            value("9.113.0.203.in-addr.arpa", RType::Ptr, "smtp.wac.tax."),
            value("wac.tax", RType::Mx, "10 smtp.wac.tax."),
        ])
    }

    fn ids(stage: &Stage) -> Vec<String> {
        let mut wanted = Vec::new();
        wish(&stage.wish(), &mut wanted);
        wanted.iter().map(|resource| resource.id()).collect()
    }

    #[test]
    fn mail_stops_coming_before_anything_else_goes() {
        let mut stage = stage();
        for probe in [crate::facts::PROBE, dkim::PROBE] {
            stage.seen.put(Probe::Shell(probe.into()), shell(""));
        }
        assert_eq!(
            ids(&stage),
            [
                "rrset old.wac.tax MX",
                "rrset old.wac.tax TXT",
                "ptr 203.0.113.9",
                "rrset old.wac.tax A"
            ],
            "and what mail.yaml asks for stays"
        );
    }

    #[test]
    fn nothing_goes_while_something_is_unknown() {
        let mut stage = stage();
        assert!(ids(&stage).is_empty());
        let facts = Probe::Shell(crate::facts::PROBE.into());
        stage.seen.put(facts, shell(""));
        assert!(ids(&stage).is_empty(), "the keys are not known yet");
    }
}

//! DKIM: which keys a domain signs with (RFC 6376), and with which selectors.

use std::collections::BTreeSet;

use super::Wish;
use crate::config::DkimAlgorithm;
use crate::dkim::selector;
use crate::kinds::dkim::{Key, KeyWish, SigningWish, key_id, keys as keys_seen};
use crate::ledger::Made;
use crate::record::Name;
use crate::resource::Resource;

/// A key that a domain has or gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Its selector.
    pub selector: String,
    /// Its algorithm.
    pub algorithm: DkimAlgorithm,
    /// The value of its TXT record, once the key exists.
    pub record: Option<String>,
    /// Whether chasquid signs with it already.
    pub signing: bool,
}

impl Planned {
    /// The owner name of its record (RFC 6376 section 3.6.2.1).
    pub fn owner(&self, domain: &Name) -> Name {
        domain.child(&format!("{}._domainkey", self.selector))
    }

    /// The id of the key, where it has to be made first.
    pub fn from_key(&self, domain: &Name) -> Option<String> {
        self.record
            .is_none()
            .then(|| key_id(domain, &self.selector))
    }
}

/// The keys of a domain; none before the server was looked at, because the
/// selectors of the keys that are there decide. chasquid signs with every key
/// it finds, so each needs its record, whoever made it.
pub fn of_domain(wish: &Wish, domain: &Name) -> Vec<Planned> {
    let Ok(seen) = keys_seen(wish.seen) else {
        return Vec::new();
    };
    let present = seen
        .get(domain.as_str())
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut taken: BTreeSet<String> = present.iter().map(|k| k.selector.clone()).collect();
    // A selector is never used twice, even after its key is gone.
    taken.extend(wish.ledger.made.iter().filter_map(|made| match made {
        Made::Dkim(text) => text.strip_prefix(&format!("{domain} ")).map(str::to_owned),
        _ => None,
    }));
    let mut planned: Vec<Planned> = present.iter().map(known).collect();
    let algorithms = wish
        .config
        .domains
        .iter()
        .find(|(name, _)| name.0 == *domain)
        .map(|(_, d)| d.dkim.algorithms.clone());
    for algorithm in algorithms.unwrap_or_default() {
        if present.iter().any(|k| k.algorithm == algorithm) {
            continue;
        }
        let selector = selector(wish.now.date(), algorithm, &taken);
        taken.insert(selector.clone());
        planned.push(Planned {
            selector,
            algorithm,
            record: None,
            signing: false,
        });
    }
    planned
}

fn known(key: &Key) -> Planned {
    Planned {
        selector: key.selector.clone(),
        algorithm: key.algorithm,
        record: Some(key.record.clone()),
        signing: key.signing,
    }
}

/// Keys are made first: their records take longest to be seen everywhere.
pub fn keys(wish: &Wish, wanted: &mut Vec<Box<dyn Resource>>) {
    for domain in wish.config.domains.keys() {
        let planned = of_domain(wish, &domain.0);
        if planned.is_empty() {
            // Nothing is known yet; the wish asks what is needed to know.
            let selector = selector(wish.now.date(), DkimAlgorithm::Rsa2048, &BTreeSet::new());
            wanted.push(Box::new(KeyWish {
                domain: domain.0.clone(),
                selector,
                algorithm: DkimAlgorithm::Rsa2048,
            }));
        }
        for key in planned {
            wanted.push(Box::new(KeyWish {
                domain: domain.0.clone(),
                selector: key.selector,
                algorithm: key.algorithm,
            }));
        }
    }
}

/// Signing is switched on once the record is visible.
pub fn signing(wish: &Wish, domain: &Name, wanted: &mut Vec<Box<dyn Resource>>) {
    for key in of_domain(wish, domain) {
        let record = crate::record::RrsetKey::new(key.owner(domain), crate::record::RType::Txt);
        wanted.push(Box::new(SigningWish {
            domain: domain.clone(),
            selector: key.selector,
            record_id: crate::kinds::rrset::id(&record),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::dkim::PROBE;
    use crate::kinds::testing::shell;
    use crate::parts::testing::Stage;
    use crate::resource::Probe;

    const ED25519: &str = "MCowBQYDK2VwAyEAKJE6FbRYE5QAShmo7ioo5d1ZKsTRt7ODMmpC3cEHPN0=";

    fn domain() -> Name {
        Name::parse("wac.tax").expect("name")
    }

    fn planned(mut stage: Stage, keys: &str) -> Vec<(String, bool)> {
        stage.seen.put(Probe::Shell(PROBE.into()), shell(keys));
        let planned = of_domain(&stage.wish(), &domain());
        planned
            .into_iter()
            .map(|key| (key.selector, key.signing))
            .collect()
    }

    #[test]
    fn nothing_is_planned_before_the_keys_were_seen() {
        let stage = Stage::new("ssh: vps", "");
        assert!(of_domain(&stage.wish(), &domain()).is_empty());
        let mut wanted = Vec::new();
        keys(&stage.wish(), &mut wanted);
        assert_eq!(wanted[0].probes(), [Probe::Shell(PROBE.into())]);
    }

    #[test]
    fn a_selector_is_never_used_twice() {
        for (made, selector) in [
            (None, "s20261122"),
            (Some("wac.tax s20261122"), "s20261122a"),
            (Some("other.example s20261122"), "s20261122"),
        ] {
            let made = made.map(|key| Made::Dkim(key.into()));
            let stage = Stage::new("ssh: vps", "").made(made);
            assert_eq!(planned(stage, ""), [(selector.into(), false)]);
        }
    }

    #[test]
    fn every_key_that_signs_is_kept_and_missing_ones_are_added() {
        let key = format!("/etc/chasquid/domains/wac.tax/dkim:hand.pem {ED25519}\n");
        let stage = Stage::new("ssh: vps", "");
        let both = [("hand".into(), true), ("s20261122".into(), false)];
        assert_eq!(
            planned(stage, &key),
            both,
            "not every receiver knows Ed25519"
        );
        let stage = Stage::new("ssh: vps", "dkim: {algorithms: [rsa2048, ed25519]}");
        assert_eq!(planned(stage, &key), both, "one of each");
    }
}

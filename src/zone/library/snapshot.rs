//! A zone as far as it can be seen. The APIs are asked set by set and count
//! requests, so the zone's own servers say first which sets there are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::refusal::Sort;
use super::{Library, served};
use crate::failure::Result;
use crate::record::{Name, RType, Rrset, RrsetKey};

/// Names that zones usually have, besides those that were listed.
#[rustfmt::skip]
const USUAL: &[&str] = &[
    "*", "www", "ftp", "ns1", "ns2", "api", "app", "blog", "shop", "dev", "vpn", "cdn", "static", "status",
    "mail", "smtp", "imap", "pop", "pop3", "mx", "mx1", "mx2", "webmail", "cpanel", "autoconfig", "autodiscover",
    "_dmarc", "_mta-sts", "mta-sts", "_smtp._tls", "default._bimi", "_submission._tcp", "_submissions._tcp",
    "_imap._tcp", "_imaps._tcp", "_autodiscover._tcp", "_sip._tls", "_sipfederationtls._tcp", "_domainkey",
    "default._domainkey", "dkim._domainkey", "mail._domainkey", "google._domainkey", "selector1._domainkey",
    "selector2._domainkey", "s1._domainkey", "s2._domainkey", "k1._domainkey", "k2._domainkey", "k3._domainkey",
    "fm1._domainkey", "fm2._domainkey", "fm3._domainkey", "protonmail._domainkey", "protonmail2._domainkey",
    "protonmail3._domainkey", "pm._domainkey", "mxvault._domainkey", "send", "em", "bounce",
];

const TYPES: [RType; 11] = [
    RType::Soa,
    RType::Ns,
    RType::A,
    RType::Aaaa,
    RType::Caa,
    RType::Cname,
    RType::Mx,
    RType::Ptr,
    RType::Srv,
    RType::Tlsa,
    RType::Txt,
];

/// Names of which the servers are asked at once, each for all types.
const NAMES_AT_ONCE: usize = 4;
/// Sets that the API is asked for at once.
const SETS_AT_ONCE: usize = 4;

/// What the API says of a set: its values, or `None` where it has values that
/// the library cannot read.
pub(super) type Said = Option<BTreeSet<String>>;

/// What a zone had.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub found: Vec<Found>,
    /// Names for which no server answered.
    pub silent: Vec<Name>,
}

/// One set of a snapshot.
#[derive(Debug)]
pub(super) struct Found {
    /// As it is to be set again.
    pub set: Rrset,
    /// What the API said, where it can be asked for such a set and has it.
    pub said: Option<Said>,
}

impl Library {
    /// Every set of the zone that can be found, `about` among them.
    ///
    /// A set that is no more than what a wildcard above it answers with is taken
    /// for the wildcard's: to ask the API for each such name would be too much.
    ///
    /// # Errors
    /// When no name server answers, or the API cannot be asked.
    pub(super) async fn snapshot(&self, zone: &Name, about: &RrsetKey) -> Result<Snapshot> {
        let listed = self.listed_in(zone);
        let usual = USUAL.iter().map(|label| zone.child(label));
        let asked = listed.keys().chain([about]).map(|key| key.name.clone());
        let mut names: BTreeSet<Name> = usual.chain(asked).collect();
        names.remove(zone);
        // Where nobody answers for the apex, nobody will for the others.
        let apex = self.shown(zone, zone.clone()).await?;
        let shown = stream::iter(names).map(|name| async move {
            let sets = self.shown(zone, name.clone()).await;
            sets.map_err(|_| name)
        });
        let shown: Vec<Result<Vec<Rrset>, Name>> = shown.buffered(NAMES_AT_ONCE).collect().await;
        let mut silent = Vec::new();
        let heard = shown.into_iter().flat_map(|heard| {
            heard.unwrap_or_else(|name| {
                silent.push(name);
                Vec::new()
            })
        });
        let shown: BTreeMap<RrsetKey, Rrset> = apex
            .into_iter()
            .chain(heard)
            .map(|set| (set.key.clone(), set))
            .collect();
        let own = |set: &&Rrset| listed.contains_key(&set.key) || !of_wildcard(zone, &shown, set);
        let mut keys: BTreeSet<RrsetKey> =
            shown.values().filter(own).map(|s| s.key.clone()).collect();
        let there = listed.iter().filter(|(_, there)| **there);
        keys.extend(there.map(|(key, _)| key.clone()));
        // The servers of a zone do not answer for a name that is delegated to others.
        let delegated = silent
            .iter()
            .map(|name| RrsetKey::new(name.clone(), RType::Ns));
        keys.extend(delegated);
        let found = stream::iter(keys).map(|key| {
            let shown = shown.get(&key).cloned();
            self.found(zone, key, shown)
        });
        let found: Vec<Option<Found>> = found.buffered(SETS_AT_ONCE).try_collect().await?;
        Ok(Snapshot {
            found: found.into_iter().flatten().collect(),
            silent,
        })
    }

    fn listed_in(&self, zone: &Name) -> BTreeMap<RrsetKey, bool> {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let inside = listed.iter().filter(|(key, _)| key.name.is_in(zone));
        inside.map(|(key, there)| (key.clone(), *there)).collect()
    }

    /// What the name servers have at one name: the first that has a set counts.
    async fn shown(&self, zone: &Name, name: Name) -> Result<Vec<Rrset>> {
        let keys = TYPES.map(|rtype| RrsetKey::new(name.clone(), rtype));
        let served = self.dns.everywhere(zone, &keys).await?;
        served::heard(self.account.title, zone, &served)?;
        let first = |place| {
            let sets = served::at(&served, place).map(|(_, set)| set);
            sets.into_iter().find(|set| !set.values.is_empty()).cloned()
        };
        Ok((0..keys.len()).filter_map(first).collect())
    }

    /// One set at the API; `None` where neither has it.
    async fn found(
        &self,
        zone: &Name,
        key: RrsetKey,
        shown: Option<Rrset>,
    ) -> Result<Option<Found>> {
        let said = match self.type_of(&key) {
            Ok(_) => Some(self.said(zone, &key).await?),
            Err(_) => None,
        };
        let set = match &said {
            Some(Some(values)) if !values.is_empty() => Rrset {
                key,
                ttl: shown.and_then(|set| set.ttl),
                values: values.clone(),
            },
            _ => shown.unwrap_or(Rrset::absent(key)),
        };
        let there = |said: &Said| said.as_ref().is_none_or(|values| !values.is_empty());
        let said = said.filter(there);
        Ok((said.is_some() || !set.values.is_empty()).then_some(Found { set, said }))
    }

    /// What the API says of a set.
    ///
    /// # Errors
    /// When it cannot be asked; values that cannot be read are no error.
    pub(super) async fn said(&self, zone: &Name, key: &RrsetKey) -> Result<Said> {
        match self.asked(zone, key).await? {
            Ok(values) => Ok(Some(values.into_iter().collect())),
            Err(refusal) if refusal.sort == Sort::Foreign => Ok(None),
            Err(refusal) => Err(self.unread(zone, key, &refusal)),
        }
    }
}

/// Whether a set is no more than what a wildcard above it answers with (RFC 4592).
fn of_wildcard(zone: &Name, shown: &BTreeMap<RrsetKey, Rrset>, set: &Rrset) -> bool {
    let above = served::wildcards(&set.key.name, zone).into_iter();
    let mut above = above.map(|name| RrsetKey::new(name, set.key.rtype));
    above.any(|key| key != set.key && shown.get(&key).is_some_and(|w| w.values == set.values))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(owner: &str, rtype: RType, values: &[&str]) -> Rrset {
        let owner = Name::parse(owner).expect("a name");
        Rrset::new(RrsetKey::new(owner, rtype), Some(600), values)
    }

    #[test]
    fn usual_names_are_names_and_each_once() {
        let zone = Name::parse("example.test").expect("a name");
        let names: BTreeSet<Name> = USUAL.iter().map(|label| zone.child(label)).collect();
        assert_eq!(names.len(), USUAL.len());
        for name in names {
            assert_eq!(Name::parse(name.as_str()).as_ref(), Ok(&name));
        }
    }

    #[test]
    fn what_a_wildcard_answers_is_no_set_of_its_own() {
        let zone = Name::parse("example.test").expect("a name");
        let sets = [
            set("*.example.test", RType::A, &["192.0.2.1"]),
            set("www.example.test", RType::A, &["192.0.2.1"]),
            set("ftp.example.test", RType::A, &["192.0.2.2"]),
            set("example.test", RType::A, &["192.0.2.1"]),
        ];
        let shown = sets.iter().map(|set| (set.key.clone(), set.clone()));
        let shown: BTreeMap<RrsetKey, Rrset> = shown.collect();
        let of = sets.each_ref().map(|set| of_wildcard(&zone, &shown, set));
        assert_eq!(of, [false, true, false, false]);
    }
}

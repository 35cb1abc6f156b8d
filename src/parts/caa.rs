//! CAA (RFC 8659): where such records stand already, the authority in use is
//! put beside the others. Where there are none, everybody may issue, and none is published.

use std::collections::{BTreeMap, BTreeSet};

use super::{Wish, records};
use crate::caa::{self, Certified};
use crate::kinds::rrset::{self, RrsetWish};
use crate::record::{Name, RType, RrsetKey};
use crate::resource::{Holder, Probe};

/// A set that has to be looked at, or that counts for names of the certificate.
struct Node {
    holder: Holder,
    /// What it has to allow; nothing where it is only looked at.
    of: Certified,
}

/// Adds the sets to those that are wished for.
pub(super) fn wish(wish: &Wish, sets: &mut Vec<RrsetWish>) {
    let Some(authority) = caa::name_of(&wish.config.certificates.authority) else {
        return;
    };
    let own = |sets: &[RrsetWish], key: &RrsetKey| sets.iter().position(|set| set.key == *key);
    for (name, node) in nodes(wish, sets) {
        let key = RrsetKey::new(name, RType::Caa);
        let mut set = RrsetWish::among(
            node.holder.clone(),
            key.clone(),
            wish.config.dns.ttl,
            "CAA",
            &[],
            &wish.ledger,
        );
        let place = own(sets, &key);
        if let Ok((_, seen, _)) = wish.seen.rrset(&node.holder, &key) {
            let of_others = seen
                .values
                .iter()
                .filter(|v| !wish.ledger.has_value(&key, v));
            let mut standing: BTreeSet<String> = of_others.cloned().collect();
            standing.extend(place.iter().flat_map(|at| sets[*at].values.iter().cloned()));
            set.values = caa::missing(&standing, authority, node.of);
            set.ttl = seen.ttl.unwrap_or(set.ttl);
            let ours = seen.values.iter().any(|v| wish.ledger.has_value(&key, v));
            if set.values.is_empty() && !ours && place.is_none() {
                continue;
            }
        }
        match place {
            Some(at) => sets[at].values.extend(set.values),
            // Early: a certificate waits for them, and MX stays the last.
            None => sets.insert(0, set),
        }
    }
}

/// The ids of all CAA sets that are wished for, for whoever wants a certificate.
pub(super) fn ids(wish: &Wish) -> Vec<String> {
    let sets = records::sets(wish).into_iter();
    let of_caa = sets.filter(|set| set.key.rtype == RType::Caa);
    of_caa.map(|set| rrset::id(&set.key)).collect()
}

/// The names of the certificate without their wildcards.
fn bases(wish: &Wish) -> BTreeMap<Name, Certified> {
    let mut bases: BTreeMap<Name, Certified> = BTreeMap::new();
    for text in wish.config.certificate_names() {
        let plain = text.strip_prefix("*.");
        if let Ok(name) = Name::parse(plain.unwrap_or(&text)) {
            let of = bases.entry(name).or_default();
            of.wildcard |= plain.is_some();
            of.plain |= plain.is_none();
        }
    }
    bases
}

fn nodes(wish: &Wish, sets: &[RrsetWish]) -> BTreeMap<Name, Node> {
    let mut nodes: BTreeMap<Name, Node> = BTreeMap::new();
    for (base, of) in bases(wish) {
        for (name, holder, counts) in path(wish, sets, &base) {
            let node = nodes.entry(name).or_insert(Node {
                holder,
                of: Certified::default(),
            });
            node.of.plain |= counts && of.plain;
            node.of.wildcard |= counts && of.wildcard;
        }
    }
    nodes
}

/// The names from `base` upwards whose sets are to be looked at: up to the
/// first that has records, which is the one that counts (RFC 8659 section 3).
fn path(wish: &Wish, sets: &[RrsetWish], base: &Name) -> Vec<(Name, Holder, bool)> {
    let mut path = Vec::new();
    let mut apex: Option<Name> = None;
    for name in std::iter::successors(Some(base.clone()), Name::parent) {
        let in_zone = apex.as_ref().is_some_and(|apex| name.is_in(apex));
        let ours = wish
            .config
            .domains
            .keys()
            .any(|domain| name.is_in(&domain.0));
        // Above the zone only what mail.yaml knows can be asked for.
        if name != *base && !in_zone && !ours {
            break;
        }
        let holder = records::holder(wish.config, if in_zone { base } else { &name });
        let key = RrsetKey::new(name.clone(), RType::Caa);
        let of_mail_yaml = sets.iter().any(|set| set.key == key);
        if !wish.seen.knows(&Probe::Rrset(holder.clone(), key.clone())) {
            path.push((name, holder, false));
            continue;
        }
        let Ok((zone, seen, _)) = wish.seen.rrset(&holder, &key) else {
            // Its own wish says why it cannot be seen.
            path.push((name, holder, false));
            break;
        };
        let others = seen.values.iter().any(|v| !wish.ledger.has_value(&key, v));
        let counts = others || of_mail_yaml;
        path.push((name, holder, counts));
        if counts {
            break;
        }
        apex.get_or_insert_with(|| zone.clone());
    }
    path
}

//! Where mail goes: no circles, and no address of ours that is not there.

use std::collections::BTreeSet;

use super::{Findings, at};
use crate::config::address::{Address, folded};
use crate::config::places::Path;
use crate::config::{Config, ForwardTo, Mx};
use crate::record::Name;

pub(super) fn check(f: &mut Findings<'_>) {
    let config = f.config;
    for (name, domain) in &config.domains {
        let path = at(["domains"]).then(name);
        for (key, targets) in &domain.forward {
            let path = path.then("forward").then(key);
            for (nth, target) in targets.0.iter().enumerate() {
                let place = place_of(f, &path, nth);
                if targets.0[..nth]
                    .iter()
                    .any(|other| other.eq_ignore_ascii_case(target))
                {
                    f.warning(&place, format!("`{target}` is named twice"), "");
                }
                exists(f, target, &place);
                if let Some(circle) = circle(config, &name.0, key, target) {
                    f.error(
                        &place,
                        format!("mail forwarded here goes round in a circle: {circle}"),
                        "forward to an address elsewhere, or to a user of this file that is not forwarded again",
                    );
                }
            }
        }
        for (field, addresses) in [("rua", &domain.dmarc.rua), ("ruf", &domain.dmarc.ruf)] {
            for (nth, address) in addresses.iter().enumerate() {
                exists(f, address, &path.then("dmarc").then(field).then(nth));
            }
        }
    }
    if let Some(email) = &config.certificates.email {
        exists(f, email, &at(["certificates", "email"]));
    }
}

/// One address is written bare, several as a list.
fn place_of(f: &Findings<'_>, path: &Path, nth: usize) -> Path {
    let item = path.then(nth);
    if f.places.has(&item) {
        item
    } else {
        path.clone()
    }
}

/// An address in a domain of ours must lead somewhere.
fn exists(f: &mut Findings<'_>, text: &str, place: &Path) {
    let Ok(address) = text.parse::<Address>() else {
        return;
    };
    let Some((name, domain)) = f
        .config
        .domains
        .iter()
        .find(|(name, _)| name.0 == address.domain)
    else {
        return;
    };
    let part = |field: &str| at(["domains"]).then(name).then(field);
    let whole = ["users", "forward", "mx"]
        .iter()
        .all(|field| f.places.whole(&part(field)));
    // Where the MX is kept, the mailboxes are elsewhere.
    if domain.mx == Mx::Keep || !whole {
        return;
    }
    if next(f.config, &address).is_none() {
        let folded = folded(&address.local);
        f.error(
            place,
            format!("`{text}` is nobody: the domain {name} has no such user, no forwarding for it, and no catch-all"),
            format!("add `{folded}` to `users` or `forward` of {name}, or take another address"),
        );
    }
}

/// Where mail to an address of ours goes.
enum Next<'a> {
    /// Kept by a user.
    Mailbox,
    /// On to other addresses, by this key.
    Forward(&'a str, &'a ForwardTo),
}

/// As the server decides: forwarding before users, the catch-all last.
fn next<'a>(config: &'a Config, address: &Address) -> Option<Next<'a>> {
    let (_, domain) = config
        .domains
        .iter()
        .find(|(name, _)| name.0 == address.domain)?;
    let wanted = folded(&address.local);
    let same = |key: &&String| folded(key) == wanted;
    if let Some((key, targets)) = domain
        .forward
        .iter()
        .find(|(key, _)| *key != "*" && same(key))
    {
        return Some(Next::Forward(key, targets));
    }
    if domain.users.keys().any(|user| same(&user)) {
        return Some(Next::Mailbox);
    }
    domain
        .forward
        .get_key_value("*")
        .map(|(key, targets)| Next::Forward(key, targets))
}

/// The way from `key` of a domain over `target` back to where it began.
fn circle(config: &Config, domain: &Name, key: &str, target: &str) -> Option<String> {
    let start = format!("{key}@{domain}");
    let mut ways = vec![(target.parse::<Address>().ok()?, vec![start.clone()])];
    let mut seen = BTreeSet::new();
    while let Some((address, mut way)) = ways.pop() {
        let Some(Next::Forward(by, targets)) = next(config, &address) else {
            continue;
        };
        way.push(address.to_string());
        if address.domain == *domain && by == key {
            // The catch-all is not an address: say which one leads back to it.
            if way.last() != Some(&start) {
                way.push(start);
            }
            return Some(way.join(" → "));
        }
        if seen.insert(format!("{by}@{}", address.domain)) {
            let further = targets.0.iter().filter_map(|t| t.parse::<Address>().ok());
            ways.extend(further.map(|target| (target, way.clone())));
        }
    }
    None
}

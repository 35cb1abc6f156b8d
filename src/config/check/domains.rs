//! A domain's accounts, signing and policy.

use std::collections::BTreeMap;

use super::{Findings, at};
use crate::config::address::folded;
use crate::config::places::Path;
use crate::config::{DkimAlgorithm, Domain, HostName, Mx};

pub(super) fn check(f: &mut Findings<'_>) {
    let config = f.config;
    for (name, domain) in &config.domains {
        let path = at(["domains"]).then(name);
        mailboxes(f, domain, &path);
        dkim(f, domain, &path);
        use_of(f, name, domain, &path);
    }
}

/// Names that the server cannot tell apart.
fn mailboxes(f: &mut Findings<'_>, domain: &Domain, path: &Path) {
    let mut seen: BTreeMap<String, &String> = BTreeMap::new();
    let users = domain.users.keys().map(|local| ("users", local));
    let forwards = domain
        .forward
        .keys()
        .filter(|local| *local != "*")
        .map(|local| ("forward", local));
    for (field, local) in users.chain(forwards) {
        let first = *seen.entry(folded(local)).or_insert(local);
        if first != local {
            f.error(
                &path.then(field).then(local),
                format!("`{local}` and `{first}` are the same mailbox"),
                "the server ignores dots in the names of users: keep one spelling, mail to either arrives there",
            );
        }
    }
    for (local, user) in &domain.users {
        if user.receive_only && user.password.is_some() {
            f.error(
                &path.then("users").then(local).then("password"),
                format!("`{local}` may only receive, and has a password"),
                "remove `password`, or `receive_only` if the user is to log in",
            );
        }
    }
}

fn dkim(f: &mut Findings<'_>, domain: &Domain, path: &Path) {
    let algorithms = &domain.dkim.algorithms;
    let path = path.then("dkim").then("algorithms");
    if !algorithms.contains(&DkimAlgorithm::Rsa2048) {
        f.error(
            &path,
            "`ed25519` alone is not enough: many receivers cannot verify it",
            "sign with both: `algorithms: [rsa2048, ed25519]`",
        );
    }
    for (nth, algorithm) in algorithms.iter().enumerate() {
        if algorithms[..nth].contains(algorithm) {
            f.error(
                &path.then(nth),
                "this algorithm is named twice",
                "one key of each is made",
            );
        }
    }
}

fn use_of(f: &mut Findings<'_>, name: &HostName, domain: &Domain, path: &Path) {
    if domain.users.is_empty() && domain.forward.is_empty() {
        f.warning(
            path,
            format!("`{name}` has neither users nor forwarding: nobody can use it"),
            "",
        );
    }
    if domain.mx == Mx::Keep && !domain.forward.is_empty() {
        f.warning(
            &path.then("forward"),
            format!("`{name}` keeps its MX: mail to it does not come here, so this forwards only what this host sends"),
            "`mx: own` makes this host receive",
        );
    }
}

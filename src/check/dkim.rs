//! DKIM (RFC 6376): the keys that the domain publishes, and whether they are
//! those that its server signs with.
//!
//! Nobody can list a domain's selectors from outside. Where neither mail.yaml,
//! the server nor the command line names one, common ones are tried.

pub mod key;
mod login;

use futures_util::future::join_all;

pub use login::{Signing, signing_keys};

use super::outside::Looked;
use super::{Aspect, Finding, Question, View, spf};
use crate::dkim::same_key;
use crate::record::{Name, RType};
use key::{Algorithm, Holds};

/// A record that verifiers can use.
pub const RECORD: Aspect = Aspect {
    id: "dkim.record",
    wanted: "one TXT record with a key that verifiers can use",
    why: "A signature whose key cannot be used counts as none. Gmail answers 550-5.7.30, or 550-5.7.26 where SPF fails \
          too, Outlook 550 5.7.515; and forwarded mail has nothing but DKIM that proves where it comes from.",
};

/// How strong the key is.
pub const LENGTH: Aspect = Aspect {
    id: "dkim.length",
    wanted: "an RSA key of 2048 bits; an Ed25519 key only beside it",
    why: "Verifiers ignore RSA keys below 1024 bits and need not support more than 4096 (RFC 8301 section 3.2), and many do \
          not know Ed25519. Gmail answers 550-5.7.30 where no signature is left that counts.",
};

/// That the server's keys are the published ones.
pub const SIGNING: Aspect = Aspect {
    id: "dkim.signing",
    wanted: "the key that the server signs with",
    why: "A signature that does not verify with the published key counts as none. Gmail answers 550-5.7.30, or 550-5.7.26 \
          where SPF fails too.",
};

/// See the module.
pub const QUESTION: Question = Question {
    id: "dkim",
    aspects: &[&RECORD, &LENGTH, &SIGNING],
    ask: |view| Box::pin(ask(view)),
};

/// Selectors that mail providers and guides use.
const COMMON: &str = include_str!("dkim/selectors.txt");

/// A selector that nobody uses: what answers there is a wildcard.
const NOBODYS: &str = "mailctl-asks-for-a-wildcard";

/// A key's place, and what was found there.
struct At {
    selector: String,
    owner: Name,
    looked: Looked,
}

/// All that was found out about a domain's keys.
struct Seen {
    /// The keys that the server signs with, where there is a login.
    signing: Option<Vec<Signing>>,
    /// At selectors that somebody named.
    named: Vec<At>,
    /// At selectors that were guessed.
    guessed: Vec<At>,
    /// `_domainkey` itself: absent, no selector can be below it (RFC 8020).
    stem: Looked,
    /// What a wildcard answers.
    wildcard: Looked,
    /// A domain above that has keys of its own, which may sign for this one (RFC 9989 section 4.4.1).
    above: Option<Name>,
    /// The domain says that it has no mail.
    silent: bool,
}

async fn ask(view: &View) -> Vec<Finding> {
    let domain = view.domain();
    let signing = view
        .expected()
        .and_then(|expected| expected.signing.clone());
    let mut named: Vec<String> = signing
        .iter()
        .flatten()
        .map(|(selector, _)| selector.clone())
        .collect();
    named.extend(view.outside.settings.selectors.iter().cloned());
    named.sort();
    named.dedup();
    let guesses = COMMON
        .lines()
        .filter(|_| named.is_empty() && signing.is_none());
    let guesses: Vec<String> = guesses.map(str::to_owned).collect();
    let stem_name = domain.child("_domainkey");
    let nobodys = owner(domain, NOBODYS);
    let (named, guessed, stem, wildcard, above, silent) = tokio::join!(
        look(view, named),
        look(view, guesses),
        view.lookup(&stem_name, RType::Txt),
        async {
            match &nobodys {
                Ok(name) => view.lookup(name, RType::Txt).await,
                Err(why) => Err(why.clone()),
            }
        },
        above(view),
        spf::is_silent(view),
    );
    let seen = Seen {
        signing,
        named,
        guessed,
        stem,
        wildcard,
        above,
        silent,
    };
    judge(domain, &seen)
}

fn owner(domain: &Name, selector: &str) -> Result<Name, String> {
    Name::parse(&format!("{selector}._domainkey.{domain}"))
}

async fn look(view: &View, selectors: Vec<String>) -> Vec<At> {
    let at = selectors.into_iter().filter_map(|selector| {
        // A name that cannot be is not there.
        let owner = owner(view.domain(), &selector).ok()?;
        Some(async move {
            let looked = view.lookup(&owner, RType::Txt).await;
            At {
                selector,
                owner,
                looked,
            }
        })
    });
    join_all(at).await
}

/// The closest domain above with keys; a top-level domain has none.
async fn above(view: &View) -> Option<Name> {
    let parent = view
        .domain()
        .parent()
        .filter(|parent| parent.as_str().contains('.'))?;
    let reply = view
        .lookup(&parent.child("_domainkey"), RType::Txt)
        .await
        .ok()?;
    (!reply.nxdomain).then_some(parent)
}

fn judge(domain: &Name, seen: &Seen) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut algorithms = Vec::new();
    for at in &seen.named {
        let wanted = seen
            .signing
            .iter()
            .flatten()
            .find(|(selector, _)| *selector == at.selector);
        if let Some((_, record)) = wanted {
            findings.push(signs(at, record));
        }
        let (found, algorithm) = named(at, wanted.is_some());
        findings.extend(found);
        algorithms.extend(algorithm);
    }
    let guessed: Vec<Vec<Finding>> = seen
        .guessed
        .iter()
        .filter_map(|at| guessed(at, &seen.wildcard))
        .collect();
    let any = !guessed.is_empty();
    findings.extend(guessed.into_iter().flatten());
    if seen.signing.as_ref().is_some_and(Vec::is_empty) {
        findings.push(
            SIGNING
                .of(domain)
                .wanting("a key that the server signs with")
                .fail(
                    "the server has no key for the domain, and its mail leaves unsigned",
                    "run `mailctl apply`: it makes a key and publishes it",
                ),
        );
    }
    if seen
        .signing
        .as_ref()
        .is_some_and(|signing| !signing.is_empty())
        && !algorithms.is_empty()
        && algorithms
            .iter()
            .all(|algorithm| *algorithm == Algorithm::Ed25519)
    {
        findings.push(LENGTH.of(domain).fail(
            "the server signs with Ed25519 only",
            "have an RSA key beside it: `dkim: {algorithms: [rsa2048, ed25519]}` in mail.yaml",
        ));
    }
    if seen.named.is_empty() && seen.signing.is_none() && !any {
        findings.extend(nothing(domain, seen));
    }
    findings
}

/// Whether the key that signs is the one that is published.
fn signs(at: &At, record: &str) -> Finding {
    let about = SIGNING.of(&at.owner);
    let fix = format!(
        "publish `{} TXT \"{record}\"`; `mailctl apply` does",
        at.owner
    );
    let reply = match &at.looked {
        Ok(reply) => reply,
        Err(why) => return about.skip(why.clone()),
    };
    let mut values = reply.values.iter();
    match (values.next(), values.next()) {
        (None, _) => about.fail("the server signs with a key that is not published", fix),
        (Some(value), None) if same_key(value, record) => about.pass("the same key"),
        (Some(_), None) => about.fail(
            "the server signs with another key than the published one",
            fix,
        ),
        // Which of several records a verifier takes is open.
        (Some(_), Some(_)) if reply.values.iter().all(|value| same_key(value, record)) => {
            about.pass("the same key")
        }
        (Some(_), Some(_)) => about.fail("one of several records, which may be another key", fix),
    }
}

/// Judges the record at a selector that somebody named.
fn named(at: &At, signs: bool) -> (Vec<Finding>, Option<Algorithm>) {
    let about = RECORD.of(&at.owner);
    match &at.looked {
        // The finding on signing says it.
        Err(_) if signs => (Vec::new(), None),
        Err(why) => (vec![about.skip(why.clone())], None),
        Ok(reply) if !reply.exists() && signs => (Vec::new(), None),
        Ok(reply) if !reply.exists() => {
            let fix = "publish the key, or name the selector that signatures have in their tag s";
            (vec![about.fail("no record", fix)], None)
        }
        Ok(reply) => {
            let values: Vec<&str> = reply.values.iter().map(String::as_str).collect();
            published(at, &values, Some(signs))
        }
    }
}

/// Judges the record at a selector that was guessed; `None` where there is no key.
fn guessed(at: &At, wildcard: &Looked) -> Option<Vec<Finding>> {
    let reply = at.looked.as_ref().ok()?;
    let of_wildcard = |value: &String| wildcard.as_ref().is_ok_and(|w| w.values.contains(value));
    let keys = reply
        .values
        .iter()
        .filter(|value| !of_wildcard(value) && key::is_key(value));
    let keys: Vec<&str> = keys.map(String::as_str).collect();
    (!keys.is_empty()).then(|| published(at, &keys, None).0)
}

/// Judges what is published; `signs`: whether the server signs with it, where that is asked.
fn published(at: &At, values: &[&str], signs: Option<bool>) -> (Vec<Finding>, Option<Algorithm>) {
    let about = RECORD.of(&at.owner);
    let [value] = values else {
        let found = format!(
            "{} records, of which verifiers take any: `{}`",
            values.len(),
            values.join("` and `")
        );
        let fix = "keep the record of the key that signs; a second key gets a selector of its own";
        return (vec![about.fail(found, fix)], None);
    };
    let key::Published { holds, mut remarks } = key::read(value);
    let algorithm = match holds {
        Holds::Key(algorithm) => algorithm,
        Holds::Nothing => return (vec![remarks.settle(about, "")], None),
        Holds::Revoked => {
            let found = "revoked: its p is empty";
            match signs {
                Some(true) => remarks.fail(
                    found,
                    "publish the key that signs, or let the server sign with another one",
                ),
                Some(false) => remarks.warn(found, "name the selector of a key that is in use"),
                // What is left of a key after a rotation is as it should be.
                None => {}
            }
            return (vec![remarks.settle(about, found)], None);
        }
    };
    let good = match algorithm {
        Algorithm::Rsa(bits) => format!("an RSA key of {bits} bits"),
        Algorithm::Ed25519 => "an Ed25519 key".to_owned(),
    };
    let alias = at
        .looked
        .as_ref()
        .ok()
        .and_then(|reply| reply.alias.as_ref());
    let good = alias.map_or(good.clone(), |target| {
        format!("{good}, by an alias for {target}")
    });
    let findings = [Some(remarks.settle(about, good)), length(at, algorithm)];
    (findings.into_iter().flatten().collect(), Some(algorithm))
}

fn length(at: &At, algorithm: Algorithm) -> Option<Finding> {
    let about = LENGTH.of(&at.owner);
    let fix = "make a key of 2048 bits with a new selector, publish it, and sign with it once it is visible";
    let Algorithm::Rsa(bits) = algorithm else {
        return None;
    };
    let found = format!("{bits} bits");
    Some(match bits {
        ..1024 => about.fail(found, fix),
        1024..2048 => about.warn(found, fix),
        2048..=4096 => about.pass(found),
        _ => about.warn(found, fix),
    })
}

/// No selector is known, and none of the common ones has a key.
fn nothing(domain: &Name, seen: &Seen) -> Option<Finding> {
    let about = RECORD.of(domain);
    let unlisted = "there are keys, or there may be, but selectors cannot be listed: name one with --selector, or run `mailctl test`";
    let revoked = |value: &String| key::is_key(value) && key::read(value).holds == Holds::Revoked;
    let finding = match (&seen.stem, &seen.wildcard) {
        _ if seen.silent => about.pass("no key, and the domain says that it sends no mail"),
        (_, Ok(wildcard)) if wildcard.values.iter().any(revoked) => about.fail(
            "a wildcard revokes every selector, so that no signature counts",
            "publish a key, or say by `v=spf1 -all` that the domain sends no mail",
        ),
        (Err(why), _) => about.skip(why.clone()),
        (Ok(stem), _) if !stem.nxdomain => about.skip(unlisted),
        (Ok(_), _) => match &seen.above {
            Some(above) => about.skip(format!(
                "no key of its own; {above} has keys, which may sign for it"
            )),
            None => about.fail(
                format!("no key: nothing exists below _domainkey.{domain}"),
                "let the server that sends sign with DKIM, and publish its key",
            ),
        },
    };
    Some(finding)
}

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::*;
use crate::check::Verdict::{self, Fail, Pass, Skip, Warn};
use crate::dns::Reply;

/// Ids, subjects and verdicts.
type Wanted<'a> = &'a [(&'a str, &'a str, Verdict)];

fn domain() -> Name {
    Name::parse("a.test").expect("a name")
}

fn values(values: &[&str]) -> Looked {
    Ok(Arc::new(Reply {
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        ttl: Some(300),
        nxdomain: false,
        alias: None,
        authentic: false,
    }))
}

fn nxdomain() -> Looked {
    let mut reply = Reply::clone(&values(&[]).expect("a reply"));
    reply.nxdomain = true;
    Ok(Arc::new(reply))
}

fn at(selector: &str, looked: Looked) -> At {
    At {
        selector: selector.into(),
        owner: owner(&domain(), selector).expect("a name"),
        looked,
    }
}

/// A domain of which nothing is known, and which has nothing.
fn bare() -> Seen {
    Seen {
        signing: None,
        named: Vec::new(),
        guessed: vec![at("default", nxdomain())],
        stem: nxdomain(),
        wildcard: nxdomain(),
        above: None,
        silent: false,
    }
}

fn rsa(bits: usize) -> String {
    format!("v=DKIM1; k=rsa; p={}", key::tests::spki(bits))
}

const ED25519: &str = "v=DKIM1; k=ed25519; p=KJE6FbRYE5QAShmo7ioo5d1ZKsTRt7ODMmpC3cEHPN0=";
const KEY: &str = "s1._domainkey.a.test";

fn judged(seen: &Seen) -> Vec<(String, String, Verdict)> {
    let findings = judge(&domain(), seen).into_iter();
    findings.map(|f| (f.id, f.subject, f.verdict)).collect()
}

fn all(wanted: Wanted) -> Vec<(String, String, Verdict)> {
    wanted
        .iter()
        .map(|(id, subject, verdict)| ((*id).to_owned(), (*subject).to_owned(), *verdict))
        .collect()
}

#[test]
fn the_key_that_signs_must_be_the_published_one() {
    let (ours, other) = (rsa(2048), ED25519);
    let cases: [(Looked, Wanted); 5] = [
        (
            values(&[&ours]),
            &[
                ("dkim.signing", KEY, Pass),
                ("dkim.record", KEY, Pass),
                ("dkim.length", KEY, Pass),
            ],
        ),
        (nxdomain(), &[("dkim.signing", KEY, Fail)]),
        (
            values(&[other]),
            &[
                ("dkim.signing", KEY, Fail),
                ("dkim.record", KEY, Pass),
                ("dkim.length", "a.test", Fail),
            ],
        ),
        (
            values(&["v=DKIM1; p="]),
            &[("dkim.signing", KEY, Fail), ("dkim.record", KEY, Fail)],
        ),
        (Err("SERVFAIL".into()), &[("dkim.signing", KEY, Skip)]),
    ];
    for (looked, wanted) in cases {
        let seen = Seen {
            signing: Some(vec![("s1".into(), ours.clone())]),
            named: vec![at("s1", looked)],
            ..bare()
        };
        assert_eq!(judged(&seen), all(wanted));
    }
    let unsigned = Seen {
        signing: Some(Vec::new()),
        guessed: Vec::new(),
        ..bare()
    };
    assert_eq!(judged(&unsigned), all(&[("dkim.signing", "a.test", Fail)]));
}

#[test]
fn ed25519_alone_is_too_little() {
    let keys = |selectors: &[(&str, &str)]| Seen {
        signing: Some(
            selectors
                .iter()
                .map(|(s, record)| ((*s).into(), (*record).into()))
                .collect(),
        ),
        named: selectors
            .iter()
            .map(|(s, record)| at(s, values(&[record])))
            .collect(),
        ..bare()
    };
    let alone = judged(&keys(&[("s1", ED25519)]));
    assert!(
        alone.contains(&("dkim.length".into(), "a.test".into(), Fail)),
        "{alone:?}"
    );
    let both = judged(&keys(&[("s1", ED25519), ("s2", &rsa(2048))]));
    assert!(
        both.iter().all(|(_, _, verdict)| *verdict == Pass),
        "{both:?}"
    );
}

#[test]
fn keys_of_selectors_that_are_named_are_judged() {
    for (looked, wanted) in [
        (
            values(&[&rsa(2048)]),
            &[("dkim.record", KEY, Pass), ("dkim.length", KEY, Pass)][..],
        ),
        (
            values(&[&rsa(1024)]),
            &[("dkim.record", KEY, Pass), ("dkim.length", KEY, Warn)],
        ),
        (
            values(&[&rsa(768)]),
            &[("dkim.record", KEY, Pass), ("dkim.length", KEY, Fail)],
        ),
        (
            values(&[&rsa(8192)]),
            &[("dkim.record", KEY, Pass), ("dkim.length", KEY, Warn)],
        ),
        (
            values(&[&rsa(2048), ED25519]),
            &[("dkim.record", KEY, Fail)],
        ),
        (values(&["v=DKIM1; p="]), &[("dkim.record", KEY, Warn)]),
        (values(&["v=spf1 -all"]), &[("dkim.record", KEY, Fail)]),
        (nxdomain(), &[("dkim.record", KEY, Fail)]),
        (Err("SERVFAIL".into()), &[("dkim.record", KEY, Skip)]),
    ] {
        let seen = Seen {
            named: vec![at("s1", looked)],
            guessed: Vec::new(),
            ..bare()
        };
        assert_eq!(judged(&seen), all(wanted));
    }
}

#[test]
fn what_guessing_does_not_find_is_not_absent() {
    let guess = |looked| vec![at("default", nxdomain()), at("s1", looked)];
    let record = |verdict| all(&[("dkim.record", "a.test", verdict)]);
    assert_eq!(
        judged(&bare()),
        record(Fail),
        "nothing can be below a name that is not there"
    );
    for (seen, verdict) in [
        (
            Seen {
                stem: values(&[]),
                ..bare()
            },
            Skip,
        ),
        (
            Seen {
                stem: Err("SERVFAIL".into()),
                ..bare()
            },
            Skip,
        ),
        (
            Seen {
                above: Name::parse("b.test").ok(),
                ..bare()
            },
            Skip,
        ),
        (
            Seen {
                silent: true,
                ..bare()
            },
            Pass,
        ),
        (
            Seen {
                wildcard: values(&["v=DKIM1; p="]),
                guessed: guess(values(&["v=DKIM1; p="])),
                ..bare()
            },
            Fail,
        ),
        (
            Seen {
                silent: true,
                wildcard: values(&["v=DKIM1; p="]),
                guessed: guess(values(&["v=DKIM1; p="])),
                ..bare()
            },
            Pass,
        ),
        (
            Seen {
                stem: values(&[]),
                wildcard: values(&["v=spf1 -all"]),
                guessed: guess(values(&["v=spf1 -all"])),
                ..bare()
            },
            Skip,
        ),
    ] {
        assert_eq!(judged(&seen), record(verdict));
    }
    // Some name servers deny names that only have others below them.
    let found = Seen {
        guessed: guess(values(&[&rsa(2048)])),
        ..bare()
    };
    assert_eq!(
        judged(&found),
        all(&[("dkim.record", KEY, Pass), ("dkim.length", KEY, Pass)])
    );
    let rotated = Seen {
        guessed: guess(values(&["v=DKIM1; p="])),
        ..bare()
    };
    assert_eq!(judged(&rotated), all(&[("dkim.record", KEY, Pass)]));
}

#[test]
fn common_selectors_are_names() {
    let mut seen = std::collections::BTreeSet::new();
    for selector in COMMON.lines() {
        assert!(
            owner(&domain(), selector).is_ok() && seen.insert(selector),
            "{selector}"
        );
    }
}

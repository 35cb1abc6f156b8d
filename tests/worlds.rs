//! What can be said of the pages of broken worlds without a server: that they
//! can be read, that there are enough of them, and that every question is
//! answered badly in one of them. They are run by `cargo test --test e2e -- worlds`.

#[path = "support/broken.rs"]
mod broken;

use std::collections::BTreeSet;

use broken::{Broken, Expected, compare, fits, pages};
use mailctl::check::{Finding, QUESTIONS, Verdict};

fn worlds() -> Vec<Broken> {
    pages().iter().flat_map(broken::Page::worlds).collect()
}

/// What a block may do; tests/worlds/README.md explains each.
const BLOCKS: &[&str] = &[
    "certificate",
    "check",
    "differs",
    "elsewhere",
    "here",
    "instead",
    "key",
    "registration",
    "resolver",
    "second",
    "server",
    "signed",
    "web",
    "zone",
];

#[test]
fn there_are_at_least_sixty_and_each_has_one_name() {
    let worlds = worlds();
    let wrong = |world: &&Broken| world.expected.iter().any(|e| e.verdict != "pass");
    let broken = worlds.iter().filter(|world| world.page != "healthy");
    let broken = broken.filter(wrong).count();
    assert!(
        broken >= 60,
        "only {broken} worlds in which something is wrong"
    );
    let titles: BTreeSet<_> = worlds.iter().map(|w| (&w.page, &w.title)).collect();
    assert_eq!(titles.len(), worlds.len(), "a heading stands twice");
}

#[test]
fn each_does_something_and_expects_something() {
    let readme = include_str!("worlds/README.md");
    for kind in BLOCKS {
        assert!(
            readme.contains(&format!("| `{kind}")),
            "README.md lacks `{kind}`"
        );
    }
    for world in worlds() {
        let place = format!("{}: {}", world.page, world.title);
        for block in &world.blocks {
            assert!(
                BLOCKS.contains(&block.kind.as_str()),
                "{place}: `{}`",
                block.kind
            );
        }
        if world.page != "healthy" {
            assert!(!world.blocks.is_empty(), "{place}: nothing is done");
        }
    }
}

/// The aspects that no world of the lab makes fail or warn, and why.
const NEVER_WRONG: &[(&str, &str)] = &[
    ("mta_sts.mode", "each of them is a choice"),
    (
        "resolver.dnssec",
        "where a resolver does not validate, that is skipped",
    ),
];

#[test]
fn every_aspect_is_wrong_in_some_world() {
    let worlds = worlds();
    let broken = worlds.iter().filter(|world| world.page != "healthy");
    let lines: Vec<&Expected> = broken.flat_map(|world| &world.expected).collect();
    // A port stands behind some ids.
    let plain = |line: &Expected| {
        let ports = [".*", ".25", ".465", ".587"];
        let id = ports.iter().find_map(|port| line.id.strip_suffix(port));
        id.unwrap_or(&line.id).to_owned()
    };
    let wrong: BTreeSet<String> = lines
        .iter()
        .filter(|line| ["fail", "warn"].contains(&line.verdict.as_str()))
        .map(|line| plain(line))
        .collect();
    let aspects = QUESTIONS.iter().flat_map(|question| question.aspects);
    let ids: Vec<&str> = aspects.map(|aspect| aspect.id).collect();
    let excused = |id: &str| NEVER_WRONG.iter().any(|(known, _)| *known == id);
    let bad: Vec<&&str> = ids
        .iter()
        .filter(|id| wrong.contains(**id) == excused(id))
        .collect();
    assert!(bad.is_empty(), "in no world, or excused in vain: {bad:?}");
    for world in &worlds {
        for line in &world.expected {
            let known = ids.iter().any(|id| {
                fits(&line.id, id)
                    || [25, 465, 587]
                        .iter()
                        .any(|p| fits(&line.id, &format!("{id}.{p}")))
            });
            assert!(
                known,
                "{}: {}: no finding is `{line}`",
                world.page, world.title
            );
        }
    }
}

/// What is found of an address is found over IPv4 and over IPv6.
#[test]
fn each_family_has_its_worlds() {
    let worlds = worlds();
    let lines: Vec<&Expected> = worlds.iter().flat_map(|world| &world.expected).collect();
    let aspect = |id: &str| id.split('.').take(2).collect::<Vec<_>>().join(".");
    let bad = |subject: &str| -> BTreeSet<String> {
        let of = lines.iter().filter(|line| line.subject == subject);
        of.filter(|line| ["fail", "warn"].contains(&line.verdict.as_str()))
            .map(|line| aspect(&line.id))
            // The one is about a host with such a name, the other about the address that is wrong.
            .filter(|id| !["mx.address", "outbound.source"].contains(&id.as_str()))
            .collect()
    };
    let four = bad("{ipv4}");
    assert!(four.len() > 15 && four == bad("{ipv6}"), "{four:?}");
}

#[test]
fn patterns() {
    assert!(fits("tls.*.25", "tls.days.25") && fits("a", "a") && fits("*", ""));
    assert!(fits("*.25", "tls.days.25") && fits("a*b*c", "a-b-b-c"));
    assert!(!fits("tls.*.25", "tls.days.465") && !fits("a", "ab") && !fits("a*a", "a"));
}

#[test]
fn what_is_not_listed_must_be_as_in_the_healthy_world() {
    let finding = |id: &str, verdict, found: &str| Finding {
        id: id.into(),
        subject: "wac.tax".into(),
        verdict,
        found: found.into(),
        wanted: String::new(),
        why: String::new(),
        fix: String::new(),
    };
    let healthy = [
        finding("a.a", Verdict::Pass, "well"),
        finding("b.b", Verdict::Skip, "asleep"),
    ];
    let wrong = |expected: &[&str], found: &[Finding]| {
        let expected: Vec<_> = expected.iter().map(|l| Expected::parse(l)).collect();
        compare(&expected, Some(&healthy), found).wrong
    };
    let broken = [
        finding("a.a", Verdict::Fail, "ill"),
        finding("b.b", Verdict::Skip, "asleep"),
    ];
    assert!(wrong(&[], &healthy).is_empty());
    assert!(wrong(&["fail a.a wac.tax: ill"], &broken).is_empty());
    for lines in [
        ["warn a.* wac.tax", "fail a.a wac.tax"],
        ["fail a.a wac.tax", "warn a.* wac.tax"],
    ] {
        assert!(wrong(&lines, &broken).is_empty(), "an exception to a rule");
    }
    for (expected, complaint) in [
        (vec![], "not expected: fail a.a wac.tax: ill"),
        (
            vec!["warn a.a wac.tax"],
            "expected `warn a.a wac.tax`, found: fail a.a wac.tax: ill",
        ),
        (
            vec!["fail a.a wac.tax: dead"],
            "expected `fail a.a wac.tax: dead`, found: fail a.a wac.tax: ill",
        ),
        (
            vec!["fail a.a wac.tax", "fail c.c wac.tax"],
            "nothing is as `fail c.c wac.tax` says",
        ),
    ] {
        assert_eq!(wrong(&expected, &broken), [complaint]);
    }
    assert_eq!(wrong(&[], &broken[..1]).len(), 2, "what is gone is missed");
}

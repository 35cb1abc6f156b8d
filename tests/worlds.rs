//! What can be said of the pages of broken worlds without a server: that they
//! can be read, that there are enough of them, and that every question is
//! answered badly in one of them. They are run by `cargo test --test e2e -- worlds`.

#[path = "support/broken.rs"]
mod broken;

use std::collections::BTreeSet;

use broken::{Broken, compare, fits, pages};
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
    let titles: BTreeSet<_> = worlds.iter().map(|world| &world.title).collect();
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
const NEVER_WRONG: &[(&str, &str)] = &[];

#[test]
fn every_aspect_is_wrong_in_some_world() {
    let worlds = worlds();
    let wrong = |id: &str| {
        worlds
            .iter()
            .filter(|world| world.page != "healthy")
            .any(|world| {
                let mut lines = world.expected.iter();
                lines.any(|line| {
                    // A port stands behind some.
                    let plain = line
                        .id
                        .trim_end_matches(|c: char| c.is_ascii_digit() || c == '*');
                    ["fail", "warn"].contains(&line.verdict.as_str())
                        && plain.trim_end_matches('.') == id
                })
            })
    };
    let aspects = QUESTIONS.iter().flat_map(|question| question.aspects);
    let ids: Vec<&str> = aspects.map(|aspect| aspect.id).collect();
    for id in &ids {
        let excused = NEVER_WRONG.iter().any(|(known, _)| known == id);
        assert!(
            wrong(id) != excused,
            "{id} is wrong in no world, or needs no excuse"
        );
    }
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
        let expected: Vec<_> = expected
            .iter()
            .map(|l| broken::Expected::parse(l))
            .collect();
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

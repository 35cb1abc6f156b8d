use time::macros::datetime;

use super::*;
use crate::status::Document;
use crate::status::ask::tests::{NOW, but, healthy, unseen};
use crate::status::{Certificate, Clock, Queue};

/// What the recorded server is judged by.
pub(crate) fn expected() -> Expected {
    Expected {
        host: "smtp.wac.tax".into(),
        domains: vec!["wac.tax".into()],
        names: ["*.wac.tax", "smtp.wac.tax", "wac.tax"]
            .map(str::to_owned)
            .into(),
        scheduled: false,
        stuck: Duration::from_secs(4 * 3600),
        now: NOW,
    }
}

fn line(seen: &Seen, id: &str) -> Line {
    let lines = judge(seen, &expected());
    let line = lines.iter().find(|line| line.id == id);
    line.unwrap_or_else(|| panic!("{id} in {lines:#?}")).clone()
}

/// The judgement of a line, and that its words have these in them.
#[track_caller]
fn says(seen: &Seen, id: &str, verdict: Verdict, words: &[&str]) {
    let line = line(seen, id);
    assert_eq!(line.verdict, verdict, "{line:?}");
    for word in words {
        assert!(line.found.contains(word), "{word}: {line:?}");
    }
    if matches!(verdict, Verdict::Warn | Verdict::Fail) {
        assert!(line.fix.is_some(), "{line:?}");
    }
}

const UNITS: &str = include_str!("../../../tests/fixtures/status/units.txt");

#[test]
fn the_healthy_server_has_no_other_verdict() {
    for line in judge(&healthy(), &expected()) {
        assert_eq!(line.verdict, Verdict::Ok, "{line:?}");
        assert_eq!(line.fix, None);
    }
    assert!(Document::new(healthy(), &expected(), "here".into()).well);
}

#[test]
fn a_service_that_does_not_run_fails() {
    let failed = include_str!("../../../tests/fixtures/status/units-failed.txt");
    says(
        &but(0, failed),
        "service",
        Verdict::Fail,
        &["failed since", "its log: "],
    );
    assert!(!Document::new(but(0, failed), &expected(), "here".into()).well);
    for (from, to, words) in [
        (
            "ActiveState=active\nSubState=running",
            "ActiveState=inactive\nSubState=dead",
            "is inactive",
        ),
        ("LoadState=loaded", "LoadState=masked", "masked"),
        ("LoadState=loaded", "LoadState=not-found", "not installed"),
        (
            "ActiveState=active\nSubState=running",
            "ActiveState=activating\nSubState=auto-restart",
            "ends again",
        ),
    ] {
        assert!(UNITS.contains(from), "{from}");
        says(
            &but(0, &UNITS.replace(from, to)),
            "service",
            Verdict::Fail,
            &[words],
        );
    }
}

#[test]
fn a_service_that_needs_a_look_is_a_warning() {
    for (from, to, words) in [
        ("NRestarts=0", "NRestarts=3", "restarted 3 times"),
        ("UnitFileState=enabled", "UnitFileState=disabled", "at boot"),
        (
            "exe=/usr/bin/chasquid",
            "exe=/usr/bin/chasquid (deleted)",
            "upgraded",
        ),
    ] {
        assert!(UNITS.contains(from), "{from}");
        says(
            &but(0, &UNITS.replace(from, to)),
            "service",
            Verdict::Warn,
            &[words],
        );
    }
    let due = "system=x\nchasquid=1.19.0-1\nrestart-due\n";
    says(
        &but(6, due),
        "service",
        Verdict::Warn,
        &["does not know the last changes"],
    );
}

#[test]
fn ports_are_held_by_the_right_one_over_both_families() {
    let ss = |local: &str, name: &str| {
        format!("LISTEN 0 1 {local} *:* users:((\"{name}\",pid=9,fd=3))\n")
    };
    says(
        &healthy(),
        "port 25",
        Verdict::Ok,
        &["chasquid-smtp.socket", "IPv4 and IPv6"],
    );
    says(
        &but(1, &ss("*:587", "systemd")),
        "port 25",
        Verdict::Fail,
        &["nobody listens"],
    );
    says(
        &but(1, &ss("*:25", "master")),
        "port 25",
        Verdict::Fail,
        &["held by master"],
    );
    says(
        &but(1, &ss("0.0.0.0:25", "systemd")),
        "port 25",
        Verdict::Warn,
        &["IPv4 only"],
    );
    let gone = UNITS.replace(
        "ActiveState=active\nSubState=running\nUnitFileState=enabled\n",
        "ActiveState=inactive\n",
    );
    let ports = crate::status::units::ports(&gone, &ss("*:25", "chasquid")).expect("ports");
    let line = port(&ports[0]);
    assert_eq!(line.verdict, Verdict::Warn, "{line:?}");
}

#[test]
fn a_queue_that_is_stuck_or_nearly_full_is_a_warning() {
    let queue = |length, oldest| {
        let queue = Queue {
            length,
            oldest_seconds: oldest,
            messages: Vec::new(),
        };
        judged_queue(Some(&queue), Duration::from_secs(4 * 3600))
    };
    assert_eq!(queue(0, None).verdict, Verdict::Ok);
    assert_eq!(
        queue(3, Some(600)).found,
        "3 messages wait, the oldest for 10 min"
    );
    assert_eq!(queue(3, Some(600)).verdict, Verdict::Ok);
    let stuck = queue(1, Some(4 * 3600));
    assert!(
        stuck.verdict == Verdict::Warn && stuck.found.starts_with("1 message waits for 4 h"),
        "{stuck:?}"
    );
    let full = queue(150, Some(60));
    assert!(
        full.verdict == Verdict::Warn && full.found.contains("no more than 200"),
        "{full:?}"
    );
    assert_eq!(queue(2, None).verdict, Verdict::Unknown);
    assert_eq!(judged_queue(None, Duration::ZERO).verdict, Verdict::Unknown);
}

/// The certificate's and the renewal's judgement at a time.
fn at(now: OffsetDateTime, change: impl FnOnce(&mut Certificate, &mut Expected)) -> [Line; 2] {
    let seen = healthy();
    let mut found = seen.certificate.clone().expect("learnt").expect("there");
    let mut expected = Expected { now, ..expected() };
    change(&mut found, &mut expected);
    [
        certificate(Some(&found), &seen.served, &expected),
        renewal(&found, &expected),
    ]
}

#[test]
fn a_certificate_in_the_course_of_time() {
    let life = |found: &mut Certificate, _: &mut Expected| {
        found.not_before = "2026-01-01T00:00:00Z".into();
        found.not_after = "2026-04-01T00:00:00Z".into();
        found.renewal = "2026-03-02T00:00:00Z".into();
    };
    for (now, of_certificate, of_renewal, words) in [
        (
            datetime!(2025-12-31 0:00 UTC),
            Verdict::Fail,
            Verdict::Ok,
            "not good before 2026-01-01 00:00 UTC",
        ),
        (
            datetime!(2026-02-01 0:00 UTC),
            Verdict::Ok,
            Verdict::Ok,
            "59 days left, until 2026-04-01 00:00 UTC",
        ),
        (
            datetime!(2026-03-22 0:00 UTC),
            Verdict::Ok,
            Verdict::Warn,
            "10 days left",
        ),
        (
            datetime!(2026-04-03 0:00 UTC),
            Verdict::Fail,
            Verdict::Warn,
            "expired 2 days ago",
        ),
    ] {
        let [certificate, renewal] = at(now, life);
        assert_eq!(
            (certificate.verdict, renewal.verdict),
            (of_certificate, of_renewal),
            "{now}"
        );
        assert!(certificate.found.contains(words), "{certificate:?}");
    }
    let [_, renewal] = at(NOW, |_, _| {});
    assert!(renewal.found.contains("has to be scheduled"), "{renewal:?}");
    let [_, renewal] = at(NOW, |_, expected| expected.scheduled = true);
    assert!(
        renewal
            .found
            .contains("by a scheduled `mailctl apply` from"),
        "{renewal:?}"
    );
}

#[test]
fn a_certificate_for_others_or_not_shown() {
    let [line, _] = at(NOW, |_, expected| {
        expected.names.push("imap.wac.tax".into())
    });
    assert!(
        line.verdict == Verdict::Warn && line.found.contains("does not cover imap.wac.tax"),
        "{line:?}"
    );
    let [line, _] = at(NOW, |found, _| {
        found.names.retain(|name| name != "smtp.wac.tax")
    });
    assert_eq!(line.verdict, Verdict::Fail, "{line:?}");
    let [line, _] = at(NOW, |found, _| found.self_signed = true);
    assert!(
        line.verdict == Verdict::Warn && line.found.contains("vouches for itself"),
        "{line:?}"
    );
    let [line, _] = at(NOW, |found, _| found.parsed = None);
    assert!(
        line.verdict == Verdict::Warn && line.found.contains("still shows another"),
        "{line:?}"
    );
    says(
        &unseen(4, 3),
        "certificate",
        Verdict::Ok,
        &["could not be asked"],
    );
    says(
        &but(3, "absent\n"),
        "certificate",
        Verdict::Fail,
        &["there is none"],
    );
}

#[test]
fn a_server_that_mailctl_never_applied_to_says_so() {
    says(
        &healthy(),
        "mailctl",
        Verdict::Ok,
        &["somebody@laptop", "version 0.1.0", "29 min ago"],
    );
    says(
        &but(5, "absent\n"),
        "mailctl",
        Verdict::Warn,
        &["never applied"],
    );
    says(
        &but(5, r#"{"made":[],"applied":null}"#),
        "mailctl",
        Verdict::Warn,
        &["none was ever finished"],
    );
    says(
        &but(5, "{"),
        "mailctl",
        Verdict::Unknown,
        &["cannot be read"],
    );
}

#[test]
fn versions_signatures_and_a_due_reboot() {
    let server = "system=Debian\nchasquid=1.15.0-1\nreboot=linux-image-amd64 \n\
                  key=/var/lib/mailctl/dkim/wac.tax/s2.pem\n";
    let seen = but(6, server);
    says(&seen, "chasquid", Verdict::Fail, &["1.15.0-1", "1.19"]);
    says(
        &seen,
        "system",
        Verdict::Warn,
        &["reboot", "linux-image-amd64"],
    );
    says(
        &seen,
        "dkim wac.tax",
        Verdict::Warn,
        &["not signed", "s2 waits for its record"],
    );
    says(
        &but(6, "system=x\n"),
        "chasquid",
        Verdict::Unknown,
        &["not installed"],
    );
}

#[test]
fn room_on_the_disk() {
    let df = |total: u64, free: u64, files: u64| {
        let text = format!("x {total} 0 {free} 0% /var\nx 9999 0 {files} 0% /var\n");
        line(&but(7, &text), "disk").verdict
    };
    assert_eq!(df(20_000_000_000, 9_000_000_000, 5000), Verdict::Ok);
    assert_eq!(df(100_000_000_000, 4_000_000_000, 5000), Verdict::Warn);
    assert_eq!(df(5_000_000_000, 400_000_000, 5000), Verdict::Warn);
    assert_eq!(df(5_000_000_000, 50_000_000, 5000), Verdict::Fail);
    assert_eq!(df(20_000_000_000, 9_000_000_000, 10), Verdict::Fail);
}

#[test]
fn a_clock_that_is_wrong_or_drifts() {
    let seen = |ahead: f64, synchronized, container| {
        clock(&Clock {
            ahead_seconds: ahead,
            synchronized,
            container,
        })
    };
    assert_eq!(seen(0.0, Some(true), false).verdict, Verdict::Ok);
    assert_eq!(seen(0.0, Some(false), true).verdict, Verdict::Ok);
    assert_eq!(seen(0.0, Some(false), false).verdict, Verdict::Warn);
    assert_eq!(seen(0.0, None, false).verdict, Verdict::Unknown);
    let behind = seen(-10.0, Some(true), false);
    assert!(
        behind.verdict == Verdict::Warn && behind.found.contains("10 s behind"),
        "{behind:?}"
    );
    let ahead = seen(7200.0, Some(true), false);
    assert!(
        ahead.verdict == Verdict::Fail && ahead.found.contains("2 h ahead"),
        "{ahead:?}"
    );
}

#[test]
fn what_could_not_be_learnt_is_never_fine() {
    for (n, id) in [
        (0, "service"),
        (1, "ports"),
        (2, "queue"),
        (3, "certificate"),
        (5, "mailctl"),
        (6, "server"),
        (7, "disk"),
        (8, "clock"),
    ] {
        for code in [1, 124] {
            says(&unseen(n, code), id, Verdict::Unknown, &[]);
        }
    }
    assert!(!Document::new(unseen(0, 1), &expected(), "here".into()).well);
}

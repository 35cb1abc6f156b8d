//! `mailctl rehearse`, as README's first command runs it. README's file is
//! the one that is rehearsed, and what README shows is what comes out:
//! `UPDATE=1` writes README's blocks anew.

use std::fs;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use mailctl::rehearse::needs;

/// README is read and written by one test at a time.
static TURN: Mutex<()> = Mutex::new(());

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/mail.yaml");
const EVERYTHING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/everything.yaml");

/// What a rehearsal printed; `None`, and a line that says why, where none is possible.
#[allow(clippy::print_stderr)]
fn rehearse(system: &str, file: &str) -> Option<String> {
    let missing = needs::missing();
    if !missing.is_empty() {
        eprintln!("skipped: rehearsal on {system}: {}", missing.join("; "));
        return None;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_mailctl"))
        .args(["rehearse", "--system", system, "-f", file])
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("mailctl runs");
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "stdout:\n{out}\nstderr:\n{err}");
    assert!(
        out.contains(", 0 failed.") && !out.contains("FAIL"),
        "{out}"
    );
    let wanted = [
        "second plan",
        "plan after a reboot",
        "service over IPv6",
        "DMARC",
        "DKIM s",
        "SPF of the EHLO name",
        "forwarded",
        "relaying over IPv6",
    ];
    for verdict in wanted {
        assert!(
            out.lines()
                .any(|l| l.contains("pass") && l.contains(verdict)),
            "no passing verdict on {verdict}:\n{out}"
        );
    }
    Some(out)
}

/// The lines between the fence that opens with `info` and its end.
fn block<'a>(readme: &'a str, info: &str) -> &'a str {
    let fence = format!("```{info}\n");
    let begin = readme.find(&fence).expect("the block") + fence.len();
    let end = readme[begin..].find("```\n").expect("its end");
    &readme[begin..begin + end]
}

/// A rehearsal's output in its two parts: the plan, and the report.
fn parts(out: &str) -> (String, String) {
    let plan_end = out.find("\nPlan: ").expect("a plan") + 1;
    let plan_end = plan_end + out[plan_end..].find('\n').expect("its end") + 1;
    let report = out.find("\n  pass  ").expect("a report") + 1;
    (out[..plan_end].to_owned(), out[report..].to_owned())
}

/// Without what differs from run to run: the world's number, dates, durations, blanks.
fn normal(text: &str) -> Vec<String> {
    let steady = |word: &str| {
        let letters: String = word.chars().filter(|c| !c.is_ascii_digit()).collect();
        let changing = word.contains("10.77.")
            || word.contains("fd77:")
            || word.contains("s20")
            || word.parse::<f64>().is_ok();
        if changing { letters } else { word.to_owned() }
    };
    let line = |line: &str| {
        line.split_whitespace()
            .map(steady)
            .collect::<Vec<_>>()
            .join(" ")
    };
    text.lines().map(line).filter(|l| !l.is_empty()).collect()
}

pub fn on_debian_12_as_readme_shows() {
    let readme = fs::read_to_string(README).expect("README.md");
    let example = fs::read_to_string(EXAMPLE).expect("the example");
    assert_eq!(
        block(&readme, "yaml"),
        example,
        "README shows examples/mail.yaml"
    );
    let Some(out) = rehearse("bookworm", EXAMPLE) else {
        return;
    };
    let (plan, report) = parts(&out);
    shows("text plan", &plan);
    shows("text report", &report);
}

/// README's block of this name is what came out, but for what differs from run to run.
#[track_caller]
pub fn shows(info: &str, out: &str) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let readme = fs::read_to_string(README).expect("README.md");
    let old = block(&readme, info);
    if std::env::var_os("UPDATE").is_some() {
        let (old, fresh) = (format!("```{info}\n{old}"), format!("```{info}\n{out}"));
        fs::write(README, readme.replace(&old, &fresh)).expect("README.md");
        return;
    }
    assert_eq!(normal(old), normal(out));
}

pub fn everything_on_debian_13() {
    let Some(out) = rehearse("trixie", EVERYTHING) else {
        return;
    };
    assert!(
        out.contains("DKIM e20") && out.contains("elsewhere.example"),
        "{out}"
    );
}

//! `mailctl rehearse`, as README's first command runs it.

use std::process::Command;

use mailctl::rehearse::needs;

#[allow(clippy::print_stderr)]
fn rehearse(system: &str) {
    let missing = needs::missing();
    if !missing.is_empty() {
        eprintln!("skipped: rehearsal on {system}: {}", missing.join("; "));
        return;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_mailctl"))
        .args(["rehearse", "--system", system, "-f", "examples/mail.yaml"])
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("mailctl runs");
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "stdout:\n{out}\nstderr:\n{err}");
    assert!(out.contains(", 0 failed."), "{out}");
    for verdict in [
        "second plan",
        "plan after a reboot",
        "DMARC",
        "DKIM s",
        "SPF of the EHLO name",
        "forwarded",
        "relaying over IPv6",
    ] {
        assert!(
            out.lines()
                .any(|l| l.contains("pass") && l.contains(verdict)),
            "no passing verdict on {verdict}:\n{out}"
        );
    }
    assert!(!out.contains("FAIL"), "{out}");
}

#[test]
fn on_debian_12() {
    rehearse("bookworm");
}

#[test]
fn on_debian_13() {
    rehearse("trixie");
}

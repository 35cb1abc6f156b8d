//! plan and apply from a fresh server to an empty plan, and what comes after.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use mailctl::record::{Name, RType, Rrset, RrsetKey};
use mailctl::rehearse::base::Suite;
use serde_json::Value;

use crate::judges::{self, Letter};
use crate::lab::{Lab, PASSWORD_VARIABLE, Ran};
use crate::round_trip::a_plan_is_one_connection_and_one_command;
use crate::watch::Watch;

const TWO_DOMAINS: &str = r#"  wac.tax:
    users:
      i: {password: env:E2E_MAIL_PASSWORD}
      bounce: {receive_only: true}
    forward: {i: i.wac.tax@gmail.com, "*": [a@far.example, b@far.example]}
    records: ['info TXT "kept by mailctl"']
  second.example:
    users: {j: {}}
    forward: {"*": c@far.example}
"#;

const ONE_DOMAIN: &str = r#"  wac.tax:
    users: {i: {password: env:E2E_MAIL_PASSWORD}}
    forward: {i: i.wac.tax@gmail.com}
"#;

fn set(lab: &Lab, name: &str, rtype: RType, values: &[&str]) {
    let key = RrsetKey::new(Name::parse(name).expect("a name"), rtype);
    lab.world
        .names()
        .set(&Rrset::new(key, Some(300), values))
        .expect("set");
}

/// Whether the server takes a message of this user.
fn submits(lab: &Lab, user: &str, password: &str, subject: &str) -> bool {
    let letter = Letter {
        user,
        password,
        to: "reader@far.example",
        subject,
    };
    judges::submit(lab.world.ipv4(), &letter).0
}

/// Whether dkimpy verifies the message with the record that dig finds.
fn dkimpy(lab: &Lab, message: &[u8]) -> String {
    let script = r#"
import sys, subprocess, dkim
server, path = sys.argv[1:]
def txt(name, timeout=5):
    name = name.decode() if isinstance(name, bytes) else name
    out = subprocess.run(["dig", "@" + server, name, "TXT", "+short"], capture_output=True, text=True).stdout
    return "".join(part for part in out.split('"')[1::2]).encode()
print("verified" if dkim.verify(open(path, "rb").read(), dnsfunc=txt) else "refused")
"#;
    let path = lab.private_file("message.eml", &String::from_utf8_lossy(message));
    let server = lab.world.names().addresses()[0].ip().to_string();
    let output = Command::new("/usr/bin/python3")
        .args(["-c", script, &server])
        .arg(path)
        .output()
        .expect("python3");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
        + &String::from_utf8_lossy(&output.stderr)
}

/// What openssl says of the certificate on a port.
fn certificate(lab: &Lab, port: u16) -> String {
    let roots = lab.private_file("issuing.pem", lab.world.authority().issuing_root());
    let to = format!("{}:{port}", lab.world.ipv4());
    let mut command = Command::new("openssl");
    command
        .args([
            "s_client",
            "-connect",
            &to,
            "-verify_return_error",
            "-verify_hostname",
            "smtp.wac.tax",
            "-CAfile",
        ])
        .arg(roots);
    if port != 465 {
        command.args(["-starttls", "smtp"]);
    }
    let output = command.stdin(Stdio::null()).output().expect("openssl");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

pub fn a_fresh_server_becomes_a_mail_server_and_follows_its_file() {
    let Some(lab) = Lab::start("apply", Suite::Bookworm) else {
        return;
    };
    lab.write(TWO_DOMAINS);
    set(
        &lab,
        "wac.tax",
        RType::Txt,
        &[
            "google-site-verification=abc",
            "v=spf1 include:_spf.far.example -all",
        ],
    );
    let token = lab.world.names().token().expose().to_owned();
    let watch = Watch::begin();

    // The plan, in all its forms, writes nothing.
    let before = lab.on_server("find /etc /var/lib /usr -newer /proc/1 -type f | sort | md5sum");
    let plan = lab.run(&["plan"]).expect(0);
    assert!(
        plan.out.contains("+ rrset wac.tax MX") && plan.out.contains("to create"),
        "{}",
        plan.out
    );
    let json = lab
        .run(&[
            "plan",
            "--json",
            "--out",
            "plan.file",
            "--detailed-exitcode",
        ])
        .expect(2);
    let document: Value = serde_json::from_str(&json.out).expect("one document");
    assert_eq!(
        (&document["schema"], &document["complete"]),
        (&Value::from("mailctl.plan/1"), &Value::from(true))
    );
    assert!(
        document["changes"].as_array().expect("changes").len() > 20,
        "{}",
        json.out
    );
    assert_eq!(
        before,
        lab.on_server("find /etc /var/lib /usr -newer /proc/1 -type f | sort | md5sum"),
        "plan writes nothing"
    );

    // The saved plan is applied, as JSON lines.
    let applied = lab.run(&["apply", "plan.file", "--json"]).expect(0);
    let events: Vec<Value> = applied
        .out
        .lines()
        .map(|l| serde_json::from_str(l).expect("JSON"))
        .collect();
    let kinds: Vec<&str> = events.iter().filter_map(|e| e["event"].as_str()).collect();
    assert!(
        ["plan", "change_started", "change_done", "summary"]
            .iter()
            .all(|kind| kinds.contains(kind)),
        "{kinds:?}"
    );
    let summary = events.last().expect("a summary");
    assert_eq!(
        (&summary["outcome"], &summary["verified"]),
        (&Value::from("applied"), &Value::from(true)),
        "{summary}"
    );
    let stale = lab.run(&["apply", "plan.file"]).expect(0);
    assert!(stale.out.contains("No changes."), "{}", stale.out);

    // A second plan is empty, here and on a machine that only has the file.
    let second = lab.run(&["plan", "--detailed-exitcode"]).expect(0);
    assert!(second.out.contains("No changes."), "{}", second.out);
    let runner = tempfile::tempdir().expect("a directory");
    fs::copy(
        lab.directory.path().join("mail.yaml"),
        runner.path().join("mail.yaml"),
    )
    .expect("a copy");
    let fresh = Ran::of(
        lab.command_in(runner.path())
            .args(["plan", "--detailed-exitcode"])
            .output()
            .expect("runs"),
    );
    assert!(fresh.expect(0).out.contains("No changes."));
    a_plan_is_one_connection_and_one_command(&lab);

    // The zone, by dig.
    let (v4, v6) = (lab.world.ipv4().to_string(), lab.world.ipv6().to_string());
    assert_eq!(lab.dig("smtp.wac.tax", "A"), std::slice::from_ref(&v4));
    assert_eq!(lab.dig("smtp.wac.tax", "AAAA"), std::slice::from_ref(&v6));
    for address in [&v4, &v6] {
        let name = Name::reverse(address.parse().expect("an address"));
        assert_eq!(lab.dig(name.as_str(), "PTR"), ["smtp.wac.tax."]);
    }
    assert_eq!(lab.dig("wac.tax", "MX"), ["10 smtp.wac.tax."]);
    let spf = format!("\"v=spf1 include:_spf.far.example ip4:{v4} ip6:{v6} mx -all\"");
    let mut apex = vec!["\"google-site-verification=abc\"".to_owned(), spf];
    apex.sort();
    assert_eq!(
        lab.dig("wac.tax", "TXT"),
        apex,
        "foreign words stay, ours come before `all`"
    );
    assert_eq!(lab.dig("info.wac.tax", "TXT"), ["\"kept by mailctl\""]);
    assert!(
        lab.dig("_dmarc.wac.tax", "TXT")[0].starts_with("\"v=DMARC1;p=quarantine")
            || lab.dig("_dmarc.wac.tax", "TXT")[0].contains("p=quarantine")
    );
    assert_eq!(
        lab.dig("_acme-challenge.wac.tax", "TXT"),
        Vec::<String>::new(),
        "challenges are gone"
    );

    // The certificate, by openssl; a login, by swaks; the signature, by dkimpy.
    for port in [25, 465, 587] {
        let said = certificate(&lab, port);
        assert!(
            said.contains("Verify return code: 0 (ok)") || said.contains("Verification: OK"),
            "port {port}: {said}"
        );
    }
    // From here on the password does stand in an argument list: swaks's own.
    let shown = watch.end();
    for secret in [&lab.password, &token] {
        assert!(!shown.contains(secret), "a secret in an argument list");
    }
    assert!(!submits(&lab, "i@wac.tax", "wrong-password", "refused"));
    assert!(
        !submits(&lab, "bounce@wac.tax", &lab.password, "refused"),
        "receives only"
    );
    assert!(submits(
        &lab,
        "i@wac.tax",
        &lab.password,
        "signed by the server"
    ));
    let limit = Duration::from_secs(60);
    let received = lab
        .world
        .far()
        .wait_for(|m| m.text().contains("signed by the server"), limit)
        .expect("it arrives");
    assert_eq!(dkimpy(&lab, &received.data), "verified");
    let kept = fs::read_to_string(lab.directory.path().join("secrets/j@second.example"))
        .expect("a kept password");
    assert!(submits(
        &lab,
        "j@second.example",
        kept.trim(),
        "with the password that was made"
    ));

    // Nothing secret anywhere.
    let plan_file = fs::read_to_string(lab.directory.path().join("plan.file")).expect("the plan");
    let journal = lab.on_server("journalctl --no-pager -o cat; cat /var/lib/mailctl/ledger.json");
    for (place, text) in [
        ("plan", &plan.out),
        ("json", &json.out),
        ("apply", &applied.out),
        ("errors", &applied.err),
        ("file", &plan_file),
        ("journal", &journal),
    ] {
        for secret in [
            lab.password.as_str(),
            token.as_str(),
            kept.trim(),
            "PRIVATE KEY",
        ] {
            assert!(!text.contains(secret), "a secret in {place}");
        }
    }

    // What leaves the file goes, if mailctl made it; what others made stays.
    lab.on_server("chasquid-util -C=/etc/chasquid user-add hand@wac.tax --password=made-by-hand-1 >/dev/null; chown root:chasquid /etc/chasquid/domains/wac.tax/users; chmod 640 /etc/chasquid/domains/wac.tax/users");
    set(&lab, "hand.wac.tax", RType::Txt, &["made by hand"]);
    let second_key = lab.on_server("cd /etc/chasquid/domains/second.example && ls dkim:*.pem");
    let selector = second_key.trim().trim_start_matches("dkim:");
    let selector = selector.trim_end_matches(".pem");
    let second_key = format!("{selector}._domainkey.second.example");
    assert_eq!(lab.dig(&second_key, "TXT").len(), 1);
    lab.write(ONE_DOMAIN);
    let plan = lab.run(&["plan"]).expect(0);
    assert!(
        plan.out.contains("- domain second.example")
            && plan.out.contains("- rrset info.wac.tax TXT"),
        "{}",
        plan.out
    );
    lab.run(&["apply", "--yes"]).expect(0);
    lab.run(&["plan", "--detailed-exitcode"]).expect(0);
    for (name, rtype) in [
        ("second.example".to_owned(), "MX"),
        ("_dmarc.second.example".to_owned(), "TXT"),
        (second_key, "TXT"),
    ] {
        assert_eq!(lab.dig(&name, rtype), Vec::<String>::new(), "{name}");
    }
    assert_eq!(lab.dig("info.wac.tax", "TXT"), Vec::<String>::new());
    assert_eq!(lab.dig("hand.wac.tax", "TXT"), ["\"made by hand\""]);
    let users = lab.on_server("cat /etc/chasquid/domains/wac.tax/users");
    assert!(
        users.contains("hand") && users.contains("\"i\"") && !users.contains("bounce"),
        "{users}"
    );
    assert_eq!(lab.on_server("ls /etc/chasquid/domains").trim(), "wac.tax");
    assert!(
        lab.on_server("ls /var/lib/mailctl/attic")
            .contains("second.example"),
        "nothing is lost"
    );

    // Another password is a change; the old one no longer opens.
    let other = "another-password-entirely-9";
    let rotate = |args: &[&str]| {
        Ran::of(
            lab.command()
                .env(PASSWORD_VARIABLE, other)
                .args(args)
                .output()
                .expect("runs"),
        )
    };
    let plan = rotate(&["plan"]).expect(0);
    assert!(
        plan.out.contains("~ users wac.tax") && plan.out.contains("1 to update"),
        "{}",
        plan.out
    );
    rotate(&["apply", "--yes"]).expect(0);
    assert!(
        submits(&lab, "i@wac.tax", other, "new")
            && !submits(&lab, "i@wac.tax", &lab.password, "old")
    );
    lab.world.stop().expect("nothing is left");
}

pub fn killed_at_any_moment_the_next_apply_converges() {
    let Some(lab) = Lab::start("killed", Suite::Trixie) else {
        return;
    };
    lab.write(ONE_DOMAIN);
    for milliseconds in [600, 1500, 4000, 7000] {
        let mut child = lab
            .command()
            .args(["apply", "--yes"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("runs");
        thread::sleep(Duration::from_millis(milliseconds));
        // SIGKILL: nothing can be tidied up.
        child.kill().expect("killed");
        child.wait().expect("gone");
    }
    // apt may still be at work on the server; apply waits for its lock.
    lab.run(&["apply", "--yes"]).expect(0);
    assert!(
        lab.run(&["plan", "--detailed-exitcode"])
            .expect(0)
            .out
            .contains("No changes.")
    );
    assert!(submits(&lab, "i@wac.tax", &lab.password, "after all"));
    lab.world.stop().expect("nothing is left");
}

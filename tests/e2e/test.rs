//! `mailctl test`: real mail through a real server, healthy and with one
//! fault at a time; and what is left on the server afterwards.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use mailctl::record::{Name, RType, Rrset, RrsetKey};
use mailctl::rehearse::base::Suite;
use serde_json::Value;

use crate::judges;
use crate::lab::{Lab, Ran, until};

const DOMAINS: &str = r#"  wac.tax:
    users:
      i: {password: env:E2E_MAIL_PASSWORD}
      j: {}
      bounce: {receive_only: true}
    forward: {"*": i.wac.tax@gmail.com, old: gone@far.example}
"#;

/// A lab whose server is applied, with the trust anchor of its certificate in a file.
fn applied(test: &str, suite: Suite) -> Option<Lab> {
    let lab = Lab::start(test, suite)?;
    lab.write(DOMAINS);
    lab.run(&["apply", "--yes"]).expect(0);
    lab.private_file("roots.pem", lab.world.authority().issuing_root());
    Some(lab)
}

/// What was found, one document.
struct Found {
    results: Vec<Value>,
    code: i32,
}

fn test(lab: &Lab, more: &[&str]) -> Found {
    let mut command = lab.command();
    command.args(["test", "--json", "--roots", "roots.pem", "--timeout", "20s"]);
    let ran = Ran::of(command.args(more).output().expect("mailctl runs"));
    let document: Value = serde_json::from_str(&ran.out).unwrap_or_else(|e| {
        panic!("{e}: stdout:\n{}\nstderr:\n{}", ran.out, ran.err);
    });
    assert_eq!(document["schema"], "mailctl.check/1");
    assert!(!ran.said().contains(&lab.password), "the password is told");
    Found {
        results: document["results"].as_array().expect("results").clone(),
        code: ran.code,
    }
}

impl Found {
    fn of(&self, id: &str, subject: &str) -> &Value {
        let found = self
            .results
            .iter()
            .find(|f| f["id"] == id && f["subject"] == subject);
        found.unwrap_or_else(|| panic!("no {id} of {subject} in {:#?}", self.results))
    }

    /// The finding has this verdict, and these words.
    #[track_caller]
    fn is(&self, id: &str, subject: &str, verdict: &str, words: &[&str]) -> &Self {
        let finding = self.of(id, subject);
        assert_eq!(finding["verdict"], verdict, "{finding:#}");
        let found = finding["found"].as_str().expect("text");
        for word in words {
            assert!(found.contains(word), "`{word}` is not in {found}");
        }
        self
    }

    /// All others pass.
    #[track_caller]
    fn only(&self, ids: &[&str]) -> &Self {
        for finding in &self.results {
            let id = finding["id"].as_str().expect("an id");
            let passes = finding["verdict"] == "pass";
            assert!(passes || ids.contains(&id), "{finding:#}");
        }
        let fails = self.results.iter().any(|f| f["verdict"] == "fail");
        assert_eq!(self.code, i32::from(fails));
        self
    }
}

fn set(lab: &Lab, name: &str, values: &[String]) {
    let key = RrsetKey::new(Name::parse(name).expect("a name"), RType::Txt);
    let set = Rrset::new(key, Some(300), values);
    lab.world.names().set(&set).expect("set");
    // The lab's resolver remembers for a second.
    thread::sleep(Duration::from_millis(1200));
}

/// The values of a name, with one fault while `look` looks.
fn with_txt(lab: &Lab, name: &str, values: &[String], look: impl FnOnce()) {
    let before = judges::txt(lab.world.names().addresses()[0], name);
    assert!(!before.is_empty(), "{name} has none");
    set(lab, name, values);
    look();
    set(lab, name, &before);
}

/// Everything that a test could have left on the server.
fn files(lab: &Lab) -> String {
    lab.on_server(
        "cd /etc/chasquid && find . -type f | sort | xargs sha256sum; stat -c '%n %U:%G %a' domains/*/*; \
         find /var/lib/chasquid -name 'mailctl-test*'",
    )
}

pub fn mail_is_sent_and_judged_as_a_receiver_would() {
    let Some(lab) = applied("test", Suite::Bookworm) else {
        return;
    };
    let before = files(&lab);
    healthy(&lab);
    assert_eq!(files(&lab), before, "something is left on the server");
    lab.run(&["plan", "--detailed-exitcode"]).expect(0);
    to_a_person(&lab);
    records_at_fault(&lab);
    far_answers(&lab);
    passwords(&lab);
    closed_on_the_way(&lab);
    one_at_a_time(&lab);
    assert_eq!(files(&lab), before, "something is left on the server");
    lab.world.stop().expect("nothing is left");
}

fn healthy(lab: &Lab) {
    let (v4, v6) = (lab.world.ipv4().to_string(), lab.world.ipv6().to_string());
    let found = test(lab, &[]);
    found.only(&[]);
    for address in [&v4, &v6] {
        for port in [465, 587] {
            found.is(
                &format!("test.tls.{port}"),
                address,
                "pass",
                &["TLSv1.3", "smtp.wac.tax"],
            );
        }
    }
    found
        .is(
            "test.inbound",
            &v4,
            "pass",
            &["received over IPv4 from 10.77."],
        )
        .is(
            "test.inbound",
            &v6,
            "pass",
            &["received over IPv6 from fd77:"],
        );
    for user in ["i@wac.tax", "j@wac.tax"] {
        for port in ["test.submission.465", "test.submission.587"] {
            found.is(port, user, "pass", &["accepted over"]);
        }
        found
            .is("test.dkim", user, "pass", &["of wac.tax verifies"])
            .is("test.spf", user, "pass", &[&v4, &v6])
            .is("test.dmarc", user, "pass", &["DKIM and SPF are of wac.tax"])
            .is("test.received", user, "pass", &["ESMTPSA, TLS 1.3"]);
    }
    found.is("test.submission.465", "i@wac.tax", "pass", &[&v4, &v6]);
    found.is(
        "test.catchall",
        "*@wac.tax",
        "pass",
        &["i.wac.tax@gmail.com"],
    );
    let bounce = found
        .results
        .iter()
        .any(|f| f["subject"] == "bounce@wac.tax");
    assert!(!bounce, "who only receives sends nothing");
    // What came to the far server is the stranger's message, and nothing else.
    let received = lab.world.far().received();
    assert_eq!(received.len(), 1, "{received:?}");
    assert!(
        received[0]
            .mail_from
            .contains("+fwd_from=test=mailctl.invalid@wac.tax"),
        "{}",
        received[0].mail_from
    );
}

fn to_a_person(lab: &Lab) {
    let args = ["test", "--roots", "roots.pem", "--user", "i@wac.tax"];
    let to = ["--to", "you@far.example"];
    let ran = Ran::of(lab.command().args(args).args(to).output().expect("runs"));
    ran.expect(0).says(&[
        "taken for you@far.example",
        "At you@far.example, look for the message",
        "dkim=pass … header.d=wac.tax",
    ]);
    let limit = Duration::from_secs(5);
    let to_you =
        |m: &mailctl::rehearse::far::Received| m.rcpt_to.contains(&"you@far.example".into());
    let message = lab.world.far().wait_for(to_you, limit).expect("it came");
    assert!(
        message.text().contains("DKIM-Signature:"),
        "{}",
        message.text()
    );
    lab.world
        .far()
        .answer("you@far.example", Some("550 5.7.26 who are you"));
    test(lab, &["--to", "you@far.example", "--user", "i@wac.tax"])
        .is(
            "test.to",
            "i@wac.tax to you@far.example",
            "fail",
            &["550 5.7.26"],
        )
        .only(&["test.to"]);
    lab.world.far().answer("you@far.example", None);
    for (args, words) in [
        (["--to", "you"], "`you` is no mail address"),
        (
            ["--user", "bounce@wac.tax"],
            "no account `bounce@wac.tax` may send",
        ),
    ] {
        let ran = lab.run(&[&["test"], &args[..]].concat());
        ran.expect(1).says(&[words]);
    }
}

fn records_at_fault(lab: &Lab) {
    let selector = lab.on_server("cd /etc/chasquid/domains/wac.tax && ls dkim:*.pem");
    let selector = selector
        .trim()
        .trim_start_matches("dkim:")
        .trim_end_matches(".pem");
    let name = format!("{selector}._domainkey.wac.tax");
    let made = Command::new("sh")
        .args(["-c", "openssl genrsa 2048 2>/dev/null | openssl rsa -pubout -outform DER 2>/dev/null | base64 -w 0"])
        .output()
        .expect("openssl");
    let other = String::from_utf8(made.stdout).expect("base64");
    with_txt(lab, &name, &[format!("v=DKIM1; k=rsa; p={other}")], || {
        let found = test(lab, &["--user", "i@wac.tax"]);
        found
            .is("test.dkim", "i@wac.tax", "fail", &[selector])
            .is("test.dmarc", "i@wac.tax", "warn", &["SPF is of wac.tax"])
            .only(&["test.dkim", "test.dmarc"]);
    });
    let only_four = format!("v=spf1 ip4:{} ~all", lab.world.ipv4());
    let v6 = lab.world.ipv6().to_string();
    with_txt(lab, "wac.tax", &[only_four], || {
        let found = test(lab, &["--user", "i@wac.tax"]);
        found
            .is("test.spf", "i@wac.tax", "fail", &[&v6, "softfail"])
            .is("test.dmarc", "i@wac.tax", "pass", &["DKIM is of wac.tax"])
            .only(&["test.spf"]);
        let fix = found.of("test.spf", "i@wac.tax")["fix"]
            .as_str()
            .expect("text");
        assert!(fix.contains(&v6), "{fix}");
    });
    with_txt(lab, "_dmarc.wac.tax", &[], || {
        test(lab, &["--user", "i@wac.tax"])
            .is("test.dmarc", "i@wac.tax", "warn", &["no DMARC record"])
            .only(&["test.dmarc"]);
    });
}

fn far_answers(lab: &Lab) {
    let far = "i.wac.tax@gmail.com";
    for (reply, verdict, word) in [
        ("452 4.2.2 mailbox full", "warn", "tried again"),
        (
            "550 5.7.1 blocked",
            "fail",
            "refused for i.wac.tax@gmail.com",
        ),
    ] {
        lab.world.far().answer(far, Some(reply));
        test(lab, &["--user", "i@wac.tax"])
            .is("test.catchall", "*@wac.tax", verdict, &[reply, word])
            .only(&["test.catchall"]);
    }
    lab.world.far().answer(far, None);
}

/// A password that is not known here, and one that the server does not know.
fn passwords(lab: &Lab) {
    let kept = lab.directory.path().join("secrets/j@wac.tax");
    let password = fs::read(&kept).expect("kept");
    fs::remove_file(&kept).expect("removed");
    let unknown = ["test.submission.465", "test.submission.587"];
    let found = test(lab, &[]);
    for id in unknown {
        found.is(id, "j@wac.tax", "skip", &["not known here"]);
    }
    found.only(&unknown);
    lab.private_file("secrets/j@wac.tax", "another-password-that-is-wrong");
    let found = test(lab, &[]);
    found
        .is(
            "test.submission.465",
            "j@wac.tax",
            "fail",
            &["login was refused: 535"],
        )
        .is(
            "test.submission.587",
            "j@wac.tax",
            "skip",
            &["refused already"],
        )
        .is("test.submission.587", "i@wac.tax", "pass", &[]);
    found.only(&unknown);
    fs::write(&kept, password).expect("kept again");
}

/// Port 25 closed on the way from here, as in many homes.
fn closed_on_the_way(lab: &Lab) {
    let (v4, v6) = (lab.world.ipv4().to_string(), lab.world.ipv6().to_string());
    let wall = Wall::build(lab.world.number(), &v4, &v6);
    let found = test(lab, &["--user", "i@wac.tax"]);
    drop(wall);
    found
        .is("test.inbound", &v4, "skip", &[":25"])
        .is("test.inbound", &v6, "skip", &[":25"])
        .is(
            "test.catchall",
            "*@wac.tax",
            "pass",
            &["i.wac.tax@gmail.com", "on the server itself"],
        )
        .only(&["test.inbound"]);
}

/// A packet filter that swallows what goes to port 25 of a lab's server.
struct Wall(String);

impl Wall {
    fn build(number: u8, v4: &str, v6: &str) -> Self {
        let table = format!("mailctl_test_{number}");
        let rules = format!(
            "add table inet {table}; add chain inet {table} out {{ type filter hook output priority 0; }}; \
             add rule inet {table} out ip daddr {v4} tcp dport 25 drop; \
             add rule inet {table} out ip6 daddr {v6} tcp dport 25 drop"
        );
        let made = Command::new("nft").arg(rules).status();
        assert!(made.expect("nft").success());
        Self(table)
    }
}

impl Drop for Wall {
    fn drop(&mut self) {
        let _ = Command::new("nft")
            .args(["delete", "table", "inet", &self.0])
            .status();
    }
}

/// A test keeps an apply out, and the other way round.
fn one_at_a_time(lab: &Lab) {
    let mut child = lab.command();
    child.args(["test", "-v", "--roots", "roots.pem"]);
    let mut child = child
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    said(&mut child, "looking at the ports");
    lab.run(&["apply", "--yes"])
        .expect(1)
        .says(&["another mailctl works on"]);
    assert!(child.wait().expect("ends").success());
}

/// Waits until the child says this on its standard error.
#[track_caller]
fn said(child: &mut std::process::Child, words: &str) {
    let lines = BufReader::new(child.stderr.as_mut().expect("piped")).lines();
    let mut seen = Vec::new();
    for line in lines {
        let line = line.expect("text");
        if line.contains(words) {
            return;
        }
        seen.push(line);
    }
    panic!("`{words}` is not said: {seen:?}");
}

pub fn killed_at_any_moment_no_test_address_stays() {
    let Some(lab) = applied("test, killed", Suite::Trixie) else {
        return;
    };
    let before = files(&lab);
    for moment in ["making 8 addresses", "handing messages over", "waiting for"] {
        let mut command = lab.command();
        command.args(["test", "-v", "--roots", "roots.pem"]);
        let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("runs");
        said(&mut child, moment);
        if moment.starts_with("making") {
            // In the middle of what happens there.
            thread::sleep(Duration::from_millis(60));
        }
        // SIGKILL: nothing can be tidied up here.
        child.kill().expect("killed");
        child.wait().expect("gone");
        until("the addresses are gone", || files(&lab) == before);
        lab.run(&["plan", "--detailed-exitcode"])
            .expect(0)
            .says(&["No changes."]);
    }
    // What a server kept that lost its power goes with the next test.
    lab.on_server(
        "cd /etc/chasquid/domains/wac.tax && cp -p aliases x && sed -i '1i mailctl-test-0a0b0c0d-1: | /bin/sh /var/lib/chasquid/mailctl-test.0a0b0c0d/keep 1' aliases && rm x && mkdir /var/lib/chasquid/mailctl-test.0a0b0c0d",
    );
    assert_ne!(files(&lab), before);
    test(&lab, &["--user", "i@wac.tax"]).only(&[]);
    assert_eq!(files(&lab), before);
    lab.world.stop().expect("nothing is left");
}

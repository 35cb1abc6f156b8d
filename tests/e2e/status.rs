//! The server as it sees itself, and what its log tells, judged by the programs that keep them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use mailctl::rehearse::base::Suite;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use time::OffsetDateTime;

use crate::judges::{self, Letter};
use crate::lab::{Lab, Ran, until};

const DOMAINS: &str = r#"  wac.tax:
    users: {i: {password: env:E2E_MAIL_PASSWORD}, bounce: {receive_only: true}}
    forward: {i: i.wac.tax@gmail.com, "*": [a@far.example, b@far.example]}
"#;
const FOLDER: &str = "/etc/chasquid/certs/smtp.wac.tax";
const FULL: &str = "full@far.example";

/// Hands a message in as `i@wac.tax`; returns its queue id.
fn submit(lab: &Lab, to: &str, subject: &str) -> String {
    let letter = Letter {
        user: "i@wac.tax",
        password: &lab.password,
        to,
        subject,
    };
    let before = queued(lab).len();
    let (taken, transcript) = judges::submit(lab.world.ipv4(), &letter);
    assert!(taken, "{transcript}");
    let mut ids = Vec::new();
    until("the message is in the log", || {
        ids = queued(lab);
        ids.len() > before
    });
    ids.pop().unwrap_or_default()
}

/// The queue ids of what was accepted, by the journal itself.
fn queued(lab: &Lab) -> Vec<String> {
    let log = lab.on_server("journalctl -q -u chasquid.service -o cat --facility=mail");
    let accepted = log.lines().filter(|line| line.contains(" queued ip="));
    let id = |line: &str| line.split(' ').next().map(str::to_owned);
    accepted.filter_map(id).collect()
}

fn document(lab: &Lab, code: i32) -> Value {
    let ran = lab.run(&["status", "--json"]).expect(code);
    let document: Value = serde_json::from_str(&ran.out).expect("one document");
    assert_eq!(document["schema"], "mailctl.status/1");
    assert_eq!(document["well"], code == 0, "{document:#}");
    document
}

/// The line of a document: its verdict, and what was found.
fn line(document: &Value, id: &str) -> (String, String) {
    let lines = document["lines"].as_array().expect("lines");
    let line = lines.iter().find(|line| line["id"] == id);
    let line = line.unwrap_or_else(|| panic!("{id} in {document:#}"));
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    (text("verdict"), text("found"))
}

/// Fails the test unless the line has this verdict and these words.
#[track_caller]
fn judged(document: &Value, id: &str, verdict: &str, words: &str) {
    let (is, found) = line(document, id);
    assert!(
        is == verdict && found.contains(words),
        "{id}: {is}, {found}"
    );
}

pub fn status_says_what_is_well_and_what_is_not() {
    let Some(lab) = Lab::start("status", Suite::Trixie) else {
        return;
    };
    lab.write(DOMAINS);

    // A server that nobody set up.
    let fresh = document(&lab, 1);
    judged(&fresh, "service", "fail", "chasquid is not installed");
    judged(&fresh, "port 25", "fail", "nobody listens");
    judged(&fresh, "certificate", "fail", "there is none");
    judged(
        &fresh,
        "mailctl",
        "warn",
        "mailctl never applied to this server",
    );
    judged(&fresh, "queue", "unknown", "not made its queue");
    assert_eq!(fresh["applied"], Value::Null);
    lab.run(&["logs"]).expect(0).says(&["the log is empty"]);

    lab.run(&["apply", "--yes"]).expect(0);
    a_healthy_server(&lab);
    a_message_that_waits(&lab);
    a_certificate_that_ends(&lab);

    // A ledger that is gone.
    lab.on_server("mv /var/lib/mailctl/ledger.json /root/");
    judged(&document(&lab, 0), "mailctl", "warn", "never applied");
    lab.on_server("echo nonsense >/var/lib/mailctl/ledger.json");
    judged(&document(&lab, 0), "mailctl", "unknown", "cannot be read");
    lab.on_server("mv /root/ledger.json /var/lib/mailctl/");

    a_service_that_does_not_run(&lab);
    lab.world.stop().expect("nothing is left");
}

fn a_healthy_server(lab: &Lab) {
    let healthy = document(lab, 0);
    for line in healthy["lines"].as_array().expect("lines") {
        assert_eq!(line["verdict"], "ok", "{line:#}");
    }
    let on = |command: &str| lab.on_server(command).trim().to_owned();
    let pid = on("systemctl show -p MainPID --value chasquid.service");
    assert_eq!(healthy["service"]["pid"].to_string(), pid);
    assert_eq!(
        healthy["server"]["chasquid"],
        on("dpkg-query -W -f='${Version}' chasquid")
    );
    assert_eq!(healthy["ports"].as_array().map(Vec::len), Some(3));
    let ends = on(&format!(
        "date -u -d \"$(openssl x509 -in {FOLDER}/fullchain.pem -noout -enddate | cut -d= -f2)\" +%FT%TZ"
    ));
    assert_eq!(healthy["certificate"]["not_after"], ends);
    let by = healthy["applied"]["by"].as_str().expect("somebody");
    assert!(by.contains(", process "), "{by}");
    let key = on("ls /etc/chasquid/domains/wac.tax/ | sed -n 's/^dkim:\\(.*\\).pem$/\\1/p'");
    judged(&healthy, "dkim wac.tax", "ok", &key);
    lab.run(&["status"]).expect(0).says(&[
        "port 587",
        "listens over IPv4 and IPv6",
        "by the first `mailctl apply` from",
        "The service is well: ",
    ]);
    // Files are looked at as root, and their secrets stay where they are.
    let said = lab.run(&["status", "--json", "-v"]).said();
    assert!(!said.contains(&lab.password) && !said.contains("PRIVATE KEY"));
}

fn a_message_that_waits(lab: &Lab) {
    lab.world.far().answer(FULL, Some("452 4.2.2 mailbox full"));
    let id = submit(lab, FULL, "waits");
    let mut waits = Value::Null;
    until("it was tried", || {
        waits = document(lab, 0);
        line(&waits, "queue").1.contains("1 message waits")
            && !waits["queue"]["messages"][0]["recipients"][0]["error"].is_null()
    });
    let message = &waits["queue"]["messages"][0];
    assert_eq!(message["id"], id);
    assert_eq!(message["from"], "i@wac.tax");
    let error = message["recipients"][0]["error"]
        .as_str()
        .expect("an error");
    assert!(error.ends_with(": 452 4.2.2 mailbox full"), "{error}");
    judged(&waits, "queue", "ok", "1 message waits for");
    // Its age is told in seconds.
    thread::sleep(Duration::from_millis(2100));
    let stuck = lab.run(&["status", "--stuck", "1s"]).expect(0);
    stuck.says(&["senders are told after 20 h", &id, FULL]);

    // While it waits its Message-ID finds it too, and how it came in is known.
    let header = lab.on_server("grep -aoi 'message-id: <[^>]*>' /var/lib/chasquid/queue/m:*");
    let message_id = header.trim().split(' ').nth(1).expect("an id").to_owned();
    lab.run(&["logs", &message_id]).expect(0).says(&[
        &format!("message {id}"),
        "handed in by the account i@wac.tax",
        "with ESMTPSA",
        "TLS 1.3",
        "452 4.2.2 mailbox full",
        "Under way: 1 of 1 recipient still waits for it.",
    ]);
    lab.run(&["logs", "<nobody@example.com>"])
        .expect(1)
        .says(&["waits in the queue", "does not log the Message-ID"]);
    lab.world.far().answer(FULL, None);
}

/// Puts a certificate in place that began and ends so many days from now.
fn replace(lab: &Lab, begins: i64, ends: i64) {
    let names = ["*.wac.tax", "smtp.wac.tax", "wac.tax"].map(String::from);
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(names).expect("names");
    let now = OffsetDateTime::now_utc();
    params.not_before = now + time::Duration::days(begins);
    params.not_after = now + time::Duration::days(ends) + time::Duration::hours(1);
    let chain = params.self_signed(&key).expect("a certificate").pem();
    let key = key.serialize_pem();
    lab.on_server(&format!(
        "cd {FOLDER} && echo '{chain}' > fullchain.pem && echo '{key}' > privkey.pem"
    ));
}

fn a_certificate_that_ends(lab: &Lab) {
    lab.on_server(&format!("cp -a {FOLDER}/ /root/certificate"));
    replace(lab, -90, -2);
    let expired = document(lab, 1);
    judged(&expired, "certificate", "fail", "it expired");
    judged(&expired, "service", "ok", "running since");
    replace(lab, -80, 10);
    let ends = document(lab, 0);
    judged(&ends, "renewal", "warn", "due since");
    judged(
        &ends,
        "certificate",
        "warn",
        "chasquid still shows another one",
    );
    lab.on_server("systemctl restart chasquid");
    judged(
        &document(lab, 0),
        "certificate",
        "warn",
        "it vouches for itself",
    );
    lab.on_server(&format!("rm {FOLDER}/fullchain.pem"));
    judged(&document(lab, 1), "certificate", "fail", "there is none");
    lab.on_server(&format!(
        "cp -a /root/certificate/* {FOLDER}/ && systemctl restart chasquid"
    ));
    judged(&document(lab, 0), "certificate", "ok", "89 days left");
}

fn a_service_that_does_not_run(lab: &Lab) {
    lab.on_server("systemctl stop chasquid.service");
    judged(
        &document(lab, 1),
        "service",
        "fail",
        "chasquid does not run",
    );
    let state = lab.on_server("systemctl is-active chasquid.service || true");
    assert_eq!(state.trim(), "inactive", "looking has started it");
    lab.on_server(
        "cp -a /etc/chasquid/chasquid.conf /root/; echo 'nonsense: 1' >> /etc/chasquid/chasquid.conf; \
         systemctl start chasquid.service",
    );
    until("it was given up", || {
        line(&document(lab, 1), "service").1.contains("has failed")
    });
    let failed = document(lab, 1);
    judged(&failed, "service", "fail", "unknown field: nonsense");
    judged(&failed, "port 25", "fail", "nobody listens");
    lab.on_server("cp -a /root/chasquid.conf /etc/chasquid/");
    lab.run(&["apply", "--yes"]).expect(0);
    judged(&document(lab, 0), "service", "ok", "running since");
}

pub fn logs_tell_what_became_of_a_message() {
    let Some(lab) = Lab::start("logs", Suite::Bookworm) else {
        return;
    };
    lab.write(DOMAINS);
    lab.run(&["apply", "--yes"]).expect(0);

    one_message_from_end_to_end(&lab);
    whose_and_since_when(&lab);
    followed_until_ctrl_c(&lab);
    a_connection_that_is_lost(&lab);
    lab.world.stop().expect("nothing is left");
}

fn one_message_from_end_to_end(lab: &Lab) {
    let id = submit(lab, "reader@far.example", "traced");
    let arrived = lab.world.far().wait_for(
        |m| m.text().contains("Subject: traced"),
        Duration::from_secs(20),
    );
    assert!(arrived.is_some(), "it does not arrive");
    let mut told = String::new();
    until("it left the queue", || {
        told = lab.run(&["logs", &id]).expect(0).out;
        told.contains("Delivered to 1 recipient.")
    });
    let order = [
        "login",
        "queued",
        "sent",
        "done",
        "handed in by the account i@wac.tax",
    ];
    let places: Vec<usize> = order
        .iter()
        .map(|word| told.find(word).unwrap_or_else(|| panic!("{word}\n{told}")))
        .collect();
    assert!(places.is_sorted(), "{told}");

    // Forwarded to two, one of whom is gone; and one who has a mailbox here.
    lab.world
        .far()
        .answer("b@far.example", Some("550 5.1.1 no such user here"));
    let id = submit(lab, "anything@wac.tax,bounce@wac.tax", "many");
    until("the report is on its way", || {
        told = lab.run(&["logs", &id]).expect(0).out;
        told.contains("its sender is told by")
    });
    for part in [
        "a@far.example, forwarded: sent",
        "b@far.example, forwarded: failed: ",
        "550 5.1.1 no such user here",
        "bounce@wac.tax: sent",
        "to i.wac.tax@gmail.com",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    lab.world.far().answer("b@far.example", None);
    let boxes = lab.on_server("ls /var/lib/chasquid/maildir/wac.tax/bounce/new");
    assert_eq!(boxes.lines().count(), 1, "{boxes}");

    // The same for programs, an event a line.
    let events = lab.run(&["logs", &id, "--json"]).expect(0).out;
    let events: Vec<Value> = events
        .lines()
        .map(|line| serde_json::from_str(line).expect("an event"))
        .collect();
    assert!(
        events
            .iter()
            .any(|e| e["event"] == "failed" && e["to"] == "b@far.example")
    );
    assert!(events.iter().all(|e| e["at"].is_string()));
    lab.run(&["logs", "AAAAAAAAAAA"])
        .expect(1)
        .says(&["knows no message AAAAAAAAAAA", "logs --user"]);
}

fn whose_and_since_when(lab: &Lab) {
    let wrong = Letter {
        user: "i@wac.tax",
        password: "a guess",
        to: "reader@far.example",
        subject: "guessed",
    };
    assert!(!judges::submit(lab.world.ipv4(), &wrong).0);
    lab.run(&["logs", "--user", "i@wac.tax"]).expect(0).says(&[
        "no login",
        "AUTH: 535",
        "to reader@far.example",
    ]);
    let nobody = lab.run(&["logs", "--user", "nobody@wac.tax"]).expect(0);
    assert!(nobody.out.is_empty(), "{}", nobody.out);
    nobody.says(&["nothing in the log concerns nobody@wac.tax"]);

    // A stranger's message and an attempt to relay, after this second.
    lab.on_server("sleep 1.1");
    let since = lab.on_server("date -u '+%F %T'").trim().to_owned();
    let stranger = |to: &str| {
        let from = "friend@stranger.example";
        let server = format!("{}:25", lab.world.ipv4());
        let args = [
            "--server",
            &server,
            "--helo",
            "x.example",
            "--from",
            from,
            "--to",
            to,
        ];
        let swaks = std::process::Command::new("swaks").args(args).output();
        swaks.expect("swaks").status.success()
    };
    assert!(stranger("someone@wac.tax") && !stranger("someone@elsewhere.example"));
    let mut ran = lab.run(&["logs", "--since", &since]);
    until("both are told", || {
        ran = lab.run(&["logs", "--since", &since]);
        ran.out.contains("to a@far.example") && ran.out.contains("relay not allowed")
    });
    assert!(!ran.out.contains("i@wac.tax"), "{}", ran.out);
    let ran = lab.run(&["logs", "--user", "someone@wac.tax", "--since", "1h"]);
    let ran = ran
        .expect(0)
        .says(&["friend@stranger.example", "to b@far.example"]);
    assert!(!ran.out.contains("i@wac.tax"), "{}", ran.out);
    let ran = lab.run(&["logs", "--lines", "2"]).expect(0);
    assert_eq!(ran.out.lines().count(), 2, "{}", ran.out);

    for time in [
        "x; touch /run/pwned",
        "$(touch /run/pwned)",
        "'`touch /run/pwned`'",
        "no day",
    ] {
        lab.run(&["logs", "--since", time]).expect(1);
        lab.run(&["logs", "--user", time]).expect(0);
        lab.run(&["logs", time]).expect(1);
    }
    lab.on_server("test ! -e /run/pwned");
    let all = lab.run(&["logs", "--lines", "5000", "-v"]).expect(0);
    assert!(!all.said().contains(&lab.password) && !all.said().contains("a guess"));
}

/// A `logs --follow`, its lines as they come.
fn follow(lab: &Lab) -> (Child, Receiver<String>) {
    let mut command = lab.command();
    let mut child = command
        .args(["logs", "--follow", "--user", "i@wac.tax"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    let out = BufReader::new(child.stdout.take().expect("a pipe"));
    let (line, lines) = mpsc::channel();
    thread::spawn(move || {
        out.lines()
            .map_while(Result::ok)
            .all(|l| line.send(l).is_ok())
    });
    until("it follows", || followers(lab) == 1);
    (child, lines)
}

/// How many programs read the journal on the server.
fn followers(lab: &Lab) -> usize {
    let listed = lab.on_server("grep -lz '^--follow$' /proc/[0-9]*/cmdline 2>/dev/null || true");
    listed.lines().count()
}

fn followed_until_ctrl_c(lab: &Lab) {
    let (child, lines) = follow(lab);
    while lines.recv_timeout(Duration::from_millis(500)).is_ok() {}
    let letter = Letter {
        user: "i@wac.tax",
        password: &lab.password,
        to: "reader@far.example",
        subject: "followed",
    };
    let (taken, transcript) = judges::submit(lab.world.ipv4(), &letter);
    let accepted = Instant::now();
    assert!(taken, "{transcript}");
    let mut seen = Vec::new();
    while !seen.iter().any(|line: &String| line.contains("  sent ")) {
        let left = Duration::from_secs(2).checked_sub(accepted.elapsed());
        let line = left.and_then(|left| lines.recv_timeout(left).ok());
        seen.push(line.unwrap_or_else(|| panic!("not within 2 s: {seen:#?}")));
    }
    assert!(
        seen.iter().any(|line| line.contains("  queued ")),
        "{seen:#?}"
    );

    let asked = Instant::now();
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("sent");
    Ran::of(child.wait_with_output().expect("ends")).expect(0);
    assert!(
        asked.elapsed() < Duration::from_secs(3),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(followers(lab), 0, "journalctl is left on the server");
}

fn a_connection_that_is_lost(lab: &Lab) {
    // However it ends, nothing is left on the server.
    let (mut child, _lines) = follow(lab);
    child.kill().expect("killed");
    child.wait().expect("ended");
    until("journalctl is gone", || followers(lab) == 0);

    let (child, _lines) = follow(lab);
    lab.on_server("for p in $(pgrep -f '[s]shd.*root@notty'); do kill -9 $p; done");
    Ran::of(child.wait_with_output().expect("ends"))
        .expect(1)
        .says(&["the connection to root@", "was lost", "do: "]);
    until("journalctl is gone", || followers(lab) == 0);
}

//! What programs that are not ours make of a broken world: pyspf of the
//! addresses, checkdmarc of the policy, dkimpy of a message that the server
//! signed. They have to say what mailctl says, or the page says why not.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use mailctl::check::{Finding, Verdict};
use mailctl::message::{self, Envelope, Outcome};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::stage::{DOMAIN, HOST, Stage};
use crate::broken::Broken;
use crate::judges::{self, Letter};

/// Which question is compared on which page.
const PAGES: [&str; 3] = ["spf", "dkim", "dmarc"];

/// The place where `make judges` installs them.
pub struct Others {
    python: PathBuf,
    runtime: Runtime,
    letters: u32,
}

/// By question, such as `spf 203.0.113.7`: what was answered.
type Answers = BTreeMap<String, String>;

impl Others {
    /// `None` where they are not installed.
    pub fn installed() -> Option<Self> {
        let place = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/judges"));
        // The list is copied last.
        let whole = place.join("requirements.txt").exists();
        whole.then(|| Self {
            python: place.join("bin/python"),
            runtime: Runtime::new().expect("a runtime"),
            letters: 0,
        })
    }

    /// Where they say something else than `findings`, without the page knowing of it.
    pub fn differ(&mut self, stage: &Stage, world: &Broken, findings: &[Finding]) -> Vec<String> {
        let (theirs, ours) = match world.page.as_str() {
            "spf" => (self.spf(stage), spf(stage, findings)),
            "dmarc" => (self.dmarc(stage), dmarc(findings)),
            "dkim" => self.dkim(stage, findings),
            _ => return Vec::new(),
        };
        let mut known = differences(stage, world);
        let mut wrong = Vec::new();
        for (question, theirs) in theirs {
            // `pyspf spf 203.0.113.7`: who answers what.
            let (_, of) = question
                .split_once(' ')
                .expect("a program and its question");
            let ours = ours.get(of).map_or("nothing", String::as_str);
            match known.remove(&question) {
                // Whatever it is.
                Some(answer) if answer == "*" => {}
                Some(answer) if answer == theirs && theirs != ours => {}
                Some(_) if theirs == ours => {
                    wrong.push(format!("{question}: there is no difference: {ours}"));
                }
                _ if theirs == ours => {}
                _ => wrong.push(format!("{question}: {theirs}, and mailctl: {ours}")),
            }
        }
        wrong.extend(
            known
                .keys()
                .map(|question| format!("nobody answers `{question}`")),
        );
        wrong
    }

    fn spf(&self, stage: &Stage) -> Answers {
        let addresses = [stage.word("ipv4"), stage.word("ipv6")];
        let sender = format!("i@{DOMAIN}");
        let permits: Vec<Value> = addresses
            .iter()
            .map(|ip| json!([ip, sender, HOST]))
            .collect();
        let said = self.ask(stage, &json!({ "permits": permits, "spf": [DOMAIN] }));
        let mut answers = Answers::new();
        for (nth, address) in addresses.iter().enumerate() {
            let result = said["permits"][nth].as_str().expect("a result");
            answers.insert(format!("pyspf spf {address}"), result.to_owned());
        }
        answers.insert("checkdmarc spf record".into(), valid(&said["spf"][0]));
        answers
    }

    fn dmarc(&self, stage: &Stage) -> Answers {
        let said = self.ask(stage, &json!({ "dmarc": [DOMAIN] }));
        Answers::from([("checkdmarc dmarc record".into(), valid(&said["dmarc"][0]))])
    }

    /// A message that the server signs now, as dkimpy and `mailctl::message` judge it, and the check.
    fn dkim(&mut self, stage: &Stage, findings: &[Finding]) -> (Answers, Answers) {
        let message = self.letter(stage);
        let mut theirs: Vec<String> = judges::dkim(stage.lab.world.resolver().address(), &message)
            .iter()
            .map(|line| line.rsplit(' ').next().expect("a word").to_owned())
            .collect();
        theirs.sort();
        let envelope = Envelope {
            ip: stage.lab.world.ipv4().into(),
            helo: HOST,
            mail_from: &format!("i@{DOMAIN}"),
        };
        let dns = self
            .runtime
            .block_on(async { mailctl::dns::Dns::new(Some(stage.lab.world.resolver().address())) });
        let resolver = dns.and_then(|dns| dns.resolver()).expect("a resolver");
        let verdicts = self
            .runtime
            .block_on(message::judge(&message, envelope, resolver))
            .expect("a message");
        let mut judged: Vec<String> = verdicts
            .dkim
            .iter()
            .map(|signature| match signature.verdict.outcome {
                Outcome::Pass => "pass".to_owned(),
                _ => "fail".to_owned(),
            })
            .collect();
        judged.sort();
        // A signature holds where nothing about its key fails.
        let mut checked: BTreeMap<&str, bool> = BTreeMap::new();
        for finding in findings.iter().filter(|f| f.id.starts_with("dkim.")) {
            let good = checked.entry(&finding.subject).or_insert(true);
            *good &= finding.verdict != Verdict::Fail;
        }
        let mut checked: Vec<String> = checked
            .values()
            .map(|good| if *good { "pass" } else { "fail" }.to_owned())
            .collect();
        checked.sort();
        let theirs = Answers::from([
            ("dkimpy signatures".to_owned(), theirs.join(" ")),
            ("message signatures".to_owned(), judged.join(" ")),
        ]);
        let ours = Answers::from([("signatures".to_owned(), checked.join(" "))]);
        (theirs, ours)
    }

    /// Submits a message, and returns it as it arrives far away.
    fn letter(&mut self, stage: &Stage) -> Vec<u8> {
        self.letters += 1;
        let subject = format!("letter {}", self.letters);
        let letter = Letter {
            user: &format!("i@{DOMAIN}"),
            password: &stage.lab.password,
            to: "reader@far.example",
            subject: &subject,
        };
        let (taken, said) = judges::submit(stage.lab.world.ipv4(), &letter);
        assert!(taken, "{said}");
        let header = format!("Subject: {subject}\r\n");
        let received = stage
            .lab
            .world
            .far()
            .wait_for(|m| m.text().contains(&header), Duration::from_secs(60));
        received.expect("it arrives").data
    }

    fn ask(&self, stage: &Stage, job: &Value) -> Value {
        let resolver: SocketAddr = stage.lab.world.resolver().address();
        let mut whole = json!({ "resolver": resolver.ip(), "port": resolver.port(),
                                "permits": [], "verify": [], "spf": [], "dmarc": [] });
        for (key, value) in job.as_object().expect("an object") {
            whole[key] = value.clone();
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judges/judges.py");
        let mut child = Command::new(&self.python)
            .args([script, "judge"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin
            .write_all(whole.to_string().as_bytes())
            .expect("written");
        drop(stdin);
        let output = child.wait_with_output().expect("python ends");
        assert!(output.status.success(), "judges.py fails on {whole}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }
}

/// Whether anything of a world is compared.
pub fn compared(world: &Broken) -> bool {
    let elsewhere = world.blocks.iter().any(|block| block.kind == "check");
    PAGES.contains(&world.page.as_str()) && !elsewhere
}

fn valid(said: &Value) -> String {
    if said["valid"] == json!(true) {
        "valid"
    } else {
        "invalid"
    }
    .to_owned()
}

/// What mailctl says of SPF, in the words of RFC 7208 section 2.6.
fn spf(stage: &Stage, findings: &[Finding]) -> Answers {
    let find =
        |id: &str, subject: &str| findings.iter().find(|f| f.id == id && f.subject == subject);
    let fails = |id: &str| find(id, DOMAIN).filter(|f| f.verdict == Verdict::Fail);
    let permanent = ["spf.record", "spf.syntax"]
        .iter()
        .any(|id| fails(id).is_some_and(|f| f.found.contains("permerror")))
        || fails("spf.lookups").is_some()
        || fails("spf.void").is_some();
    let result = |address: &str| match find("spf.address", address) {
        _ if permanent => "permerror".to_owned(),
        Some(finding) => finding
            .found
            .split(' ')
            .next()
            .unwrap_or_default()
            .to_owned(),
        None => "none".to_owned(),
    };
    let mut answers = Answers::new();
    for address in [stage.word("ipv4"), stage.word("ipv6")] {
        answers.insert(format!("spf {address}"), result(address));
    }
    let bad = permanent || fails("spf.record").is_some();
    let word = if bad { "invalid" } else { "valid" };
    answers.insert("spf record".into(), word.into());
    answers
}

/// Whether a DMARC record applies and can be used.
fn dmarc(findings: &[Finding]) -> Answers {
    let bad = findings.iter().any(|finding| {
        ["dmarc.record", "dmarc.syntax"].contains(&finding.id.as_str())
            && finding.verdict == Verdict::Fail
    });
    let word = if bad { "invalid" } else { "valid" };
    Answers::from([("dmarc record".into(), word.into())])
}

/// What the page knows: lines `pyspf spf {ipv4} = pass: why`.
fn differences(stage: &Stage, world: &Broken) -> BTreeMap<String, String> {
    let blocks = world.blocks.iter().filter(|block| block.kind == "differs");
    let text: String = blocks.map(|block| stage.filled(&block.body)).collect();
    let read = |line: &str| {
        let (question, rest) = line.split_once(" = ").expect("QUESTION = ANSWER: REASON");
        let (answer, reason) = rest.split_once(": ").expect("a reason");
        assert!(!reason.is_empty(), "{line}");
        (question.to_owned(), answer.to_owned())
    };
    text.lines().map(read).collect()
}

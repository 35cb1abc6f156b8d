//! What mailctl makes of the worlds: the findings of `check`, and the verdicts on messages.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mailctl::check::{Choice, Expected, Finding, Outside, Settings, Verdict};
use mailctl::dns::Dns;
use mailctl::message::{Envelope, Outcome};
use mailctl::record::Name;
use time::macros::datetime;

use super::Answers;
use super::python::Messages;
use super::worlds::{Keys, World};

/// Where mail comes from in the worlds that are not about SPF.
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// The findings of `check`.
pub async fn check(resolver: SocketAddr, worlds: &[World], keys: &Keys) -> Answers {
    let dns = Dns::new(Some(resolver)).expect("a resolver");
    let outside = Arc::new(Outside::new(
        dns,
        Settings::new(datetime!(2026-11-22 02:45 UTC)),
    ));
    let choice = Choice {
        only: ["spf", "dkim", "dmarc"].map(str::to_owned).into(),
        skip: Vec::new(),
    };
    let mut answers = Answers::new();
    for world in worlds {
        let domain = Name::parse(&world.domain()).expect("a name");
        let signing = world.signed.iter().map(|signed| {
            (
                signed.selector.clone(),
                keys.get(&signed.key).record.clone(),
            )
        });
        let expected = Expected {
            host: Name::parse(&format!("smtp.{}", world.apex())).ok(),
            addresses: world.senders.clone(),
            signing: Some(signing.collect()),
            ..Expected::default()
        };
        let domains = [(domain, Some(Arc::new(expected)))];
        let report =
            mailctl::check::check(&outside, &domains, &choice, Duration::from_secs(60)).await;
        let mut put = |question: String, answer: String| {
            answers.insert((world.name.clone(), question), answer);
        };
        for (question, answer) in said(world, &report.results) {
            put(question, answer);
        }
    }
    answers
}

/// The findings of one world as answers to what the table asks.
fn said(world: &World, findings: &[Finding]) -> Vec<(String, String)> {
    let find = |id: &str| findings.iter().find(|finding| finding.id == id);
    let fails = |id: &str| find(id).is_some_and(|finding| finding.verdict == Verdict::Fail);
    let first = |id: &str| {
        find(id)
            .and_then(|finding| finding.found.split(' ').next())
            .unwrap_or_default()
            .to_owned()
    };
    let mut answers = Vec::new();
    let permanent = |id: &str| {
        findings
            .iter()
            .any(|f| f.id == id && f.verdict == Verdict::Fail && f.found.contains("permerror"))
    };
    let record = if permanent("spf.record")
        || permanent("spf.syntax")
        || fails("spf.lookups")
        || fails("spf.void")
    {
        "permerror"
    } else if fails("spf.record") {
        "none"
    } else {
        ""
    };
    for address in &world.senders {
        let of = |finding: &&Finding| {
            finding.id == "spf.address" && finding.subject == address.to_string()
        };
        let result = findings
            .iter()
            .find(of)
            .and_then(|finding| finding.found.split(' ').next());
        let result = if record.is_empty() {
            result.unwrap_or_default()
        } else {
            record
        };
        answers.push((format!("spf {address}"), result.to_owned()));
    }
    if world.tells("record") {
        let word = if record.is_empty() {
            "valid"
        } else {
            "invalid"
        };
        answers.push(("record".into(), word.into()));
    }
    for (question, id) in [("lookups", "spf.lookups"), ("void", "spf.void")] {
        if world.tells(question) {
            answers.push((question.into(), first(id)));
        }
    }
    for signed in world.signed.iter().filter(|signed| signed.how == "plain") {
        let owner = format!("{}._domainkey.{}", signed.selector, world.domain());
        let key = findings
            .iter()
            .filter(|finding| finding.subject == owner && finding.id.starts_with("dkim."));
        let good = key.fold((false, true), |(any, good), finding| {
            let passes = finding.verdict == Verdict::Pass || finding.verdict == Verdict::Warn;
            (any || finding.id == "dkim.signing", good && passes)
        });
        let answer = if good == (true, true) { "pass" } else { "fail" };
        answers.push((signed.question(), answer.into()));
    }
    if world.dmarc {
        let valid = !["dmarc.record", "dmarc.syntax", "dmarc.reports"]
            .into_iter()
            .any(fails);
        let at = match find("dmarc.record") {
            Some(finding) if finding.verdict == Verdict::Fail => "-".to_owned(),
            // Told where it is not the domain's own.
            Some(finding) => match finding.found.split_once(" at _dmarc.") {
                Some((_, rest)) => rest.split(',').next().unwrap_or_default().to_owned(),
                None => world.domain(),
            },
            None => String::new(),
        };
        answers.push((
            "dmarc".into(),
            format!("{} {at}", if valid { "valid" } else { "invalid" }),
        ));
        let removed = find("dmarc.removed").map_or("", |finding| finding.found.as_str());
        let tags = ["pct", "rf", "ri"]
            .into_iter()
            .filter(|tag| removed.contains(&format!("`{tag}=")));
        answers.push(("removed".into(), tags.collect::<Vec<_>>().join(",")));
    }
    answers
}

/// What is made of messages.
pub async fn judge(resolver: SocketAddr, worlds: &[World], messages: &Messages) -> Answers {
    let dns = Dns::new(Some(resolver)).expect("a resolver");
    let mut answers = Answers::new();
    for world in worlds {
        let domain = world.domain();
        let mut put = |question: String, outcome: Outcome| {
            let answer = match outcome {
                Outcome::Pass => "pass",
                Outcome::Fail => "fail",
                Outcome::Unknown => "unknown",
            };
            answers.insert((world.name.clone(), question), answer.to_owned());
        };
        let plain = super::python::plain(&domain);
        for address in &world.senders {
            let verdicts = verdicts(&dns, *address, &domain, &plain).await;
            put(format!("spf {address}"), verdicts.spf.outcome);
        }
        for signed in &world.signed {
            let message = messages.get(&world.name, signed);
            let verdicts = verdicts(&dns, HOST, &domain, message).await;
            let [signature] = verdicts.dkim.as_slice() else {
                panic!("{}: one signature, {:?}", world.name, verdicts.dkim)
            };
            put(signed.question(), signature.verdict.outcome);
        }
        if world.dmarc {
            // It passes by SPF, so that only the record decides.
            let verdicts = verdicts(&dns, HOST, &domain, &plain).await;
            put("dmarc".into(), verdicts.dmarc.verdict.outcome);
        }
    }
    answers
}

async fn verdicts(
    dns: &Dns,
    ip: IpAddr,
    domain: &str,
    message: &str,
) -> mailctl::message::Verdicts {
    let sender = format!("user@{domain}");
    let envelope = Envelope {
        ip,
        helo: domain,
        mail_from: &sender,
    };
    let resolver = dns.resolver().expect("a resolver");
    mailctl::message::judge(message.as_bytes(), envelope, resolver)
        .await
        .expect("a message")
}

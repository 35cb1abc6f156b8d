//! The other programs, run once for signing and once for judging.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use mailctl::message::Draft;
use serde_json::{Value, json};
use time::macros::datetime;

use super::Answers;
use super::worlds::{Keys, Signed, World};

/// A message of a domain, unsigned.
pub fn plain(domain: &str) -> String {
    let from = format!("user@{domain}");
    let draft = Draft {
        from: &from,
        to: "you@example.com",
        subject: "a question",
        text: "Is this mail signed?\n\nYes.\n",
        date: datetime!(2026-11-22 02:45:00 UTC),
        id: "1",
    };
    String::from_utf8(draft.compose().expect("a message")).expect("ASCII")
}

/// Signed messages, by world and question.
pub struct Messages(BTreeMap<(String, String), String>);

impl Messages {
    pub fn get(&self, world: &str, signed: &Signed) -> &str {
        &self.0[&(world.to_owned(), signed.question())]
    }
}

/// The place where `make judges` installs them.
pub struct Judges(PathBuf);

impl Judges {
    /// `None` where they are not installed.
    pub fn installed() -> Option<Self> {
        let place = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/judges"));
        let python = place.join("bin/python");
        // The list is copied last.
        let whole = place.join("requirements.txt").exists();
        whole.then_some(Self(python))
    }

    fn run(&self, mode: &str, job: &Value) -> Value {
        let mut child = Command::new(&self.0)
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/judges/judges.py"
            ))
            .arg(mode)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin
            .write_all(job.to_string().as_bytes())
            .expect("written");
        drop(stdin);
        let output = child.wait_with_output().expect("python ends");
        assert!(output.status.success(), "judges.py {mode} fails");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// All messages that the worlds want signed, by dkimpy.
    pub fn sign(&self, worlds: &[World], keys: &Keys) -> Messages {
        let all: Vec<(&World, &Signed)> = worlds
            .iter()
            .flat_map(|world| world.signed.iter().map(move |signed| (world, signed)))
            .collect();
        let job = |(world, signed): &(&World, &Signed)| {
            json!({
                "message": plain(&world.domain()),
                "domain": world.domain(),
                "selector": signed.selector,
                "key": keys.get(&signed.key).pkcs8_pem.expose(),
                "ed25519": signed.key == "ed25519",
                "expired": signed.how == "expired",
            })
        };
        let signed = self.run("sign", &all.iter().map(job).collect());
        let texts = signed
            .as_array()
            .expect("a list")
            .iter()
            .map(|text| text.as_str().expect("a text"));
        let messages = all.iter().zip(texts).map(|((world, signed), text)| {
            let text = match signed.how.as_str() {
                "changed" => text.replace("Yes.", "No."),
                "plain" | "expired" => text.to_owned(),
                other => panic!("{}: nobody knows how to be {other}", world.name),
            };
            ((world.name.clone(), signed.question()), text)
        });
        Messages(messages.collect())
    }

    /// What the other programs say: the world, `program: question`, the answer.
    pub fn judge(&self, resolver: SocketAddr, worlds: &[World], messages: &Messages) -> Answers {
        let senders: Vec<(&World, &IpAddr)> = worlds
            .iter()
            .flat_map(|world| world.senders.iter().map(move |ip| (world, ip)))
            .collect();
        let signed: Vec<(&World, &Signed)> = worlds
            .iter()
            .flat_map(|world| world.signed.iter().map(move |signed| (world, signed)))
            .collect();
        let spf: Vec<&World> = worlds
            .iter()
            .filter(|world| world.tells("record"))
            .collect();
        let dmarc: Vec<&World> = worlds.iter().filter(|world| world.dmarc).collect();
        let permits = |(world, ip): &(&World, &IpAddr)| {
            json!([ip, format!("user@{}", world.domain()), world.domain()])
        };
        let job = json!({
            "resolver": resolver.ip(),
            "port": resolver.port(),
            "permits": senders.iter().map(permits).collect::<Vec<_>>(),
            "verify": signed.iter().map(|(world, signed)| messages.get(&world.name, signed)).collect::<Vec<_>>(),
            "spf": spf.iter().map(|world| world.domain()).collect::<Vec<_>>(),
            "dmarc": dmarc.iter().map(|world| world.domain()).collect::<Vec<_>>(),
        });
        let said = self.run("judge", &job);
        let list = |of: &str| said[of].as_array().expect("a list").clone();
        let text = |value: &Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        let valid = |value: &Value| {
            if value["valid"] == json!(true) {
                "valid"
            } else {
                "invalid"
            }
        };
        let mut answers = Answers::new();
        let mut put = |world: &World, question: String, answer: String| {
            answers.insert((world.name.clone(), question), answer);
        };
        for ((world, ip), result) in senders.iter().zip(list("permits")) {
            put(world, format!("pyspf: spf {ip}"), text(&result));
        }
        for ((world, signed), result) in signed.iter().zip(list("verify")) {
            put(
                world,
                format!("dkimpy: {}", signed.question()),
                text(&result),
            );
        }
        for (world, found) in spf.iter().zip(list("spf")) {
            put(world, "checkdmarc: record".into(), valid(&found).into());
            for question in ["lookups", "void"]
                .into_iter()
                .filter(|question| world.tells(question))
            {
                put(
                    world,
                    format!("checkdmarc: {question}"),
                    text(&found[question]),
                );
            }
        }
        for (world, found) in dmarc.iter().zip(list("dmarc")) {
            let at = found["at"].as_str().unwrap_or("-");
            put(
                world,
                "checkdmarc: dmarc".into(),
                format!("{} {at}", valid(&found)),
            );
            let removed: Vec<String> = found["removed"]
                .as_array()
                .expect("a list")
                .iter()
                .map(text)
                .collect();
            put(world, "checkdmarc: removed".into(), removed.join(","));
        }
        answers
    }
}

//! `worlds.txt`, read.

use std::collections::BTreeMap;
use std::net::IpAddr;

use mailctl::config::DkimAlgorithm;
use mailctl::dkim::{DkimKey, generate};
use mailctl::record::txt_quoted;

/// Keys by the names that the worlds give them.
pub struct Keys(BTreeMap<&'static str, DkimKey>);

impl Keys {
    pub fn make() -> Self {
        let kinds = [
            ("rsa", DkimAlgorithm::Rsa2048),
            ("other", DkimAlgorithm::Rsa2048),
            ("ed25519", DkimAlgorithm::Ed25519),
        ];
        let mut rng = rsa::rand_core::OsRng;
        Self(
            kinds
                .map(|(name, kind)| (name, generate(kind, &mut rng).expect("a key")))
                .into(),
        )
    }

    pub fn get(&self, name: &str) -> &DkimKey {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("there is no key {name}"))
    }

    /// `{name}` and `{name;further=tags}` as quoted TXT values; a tag replaces the key's own.
    fn fill(&self, line: &str) -> String {
        let Some((before, rest)) = line
            .split_once('{')
            .filter(|_| line.contains("_domainkey") || line.contains(".keys"))
        else {
            return line.to_owned();
        };
        let (inner, after) = rest.split_once('}').expect("a closed brace");
        let (name, further) = inner.split_once(';').unwrap_or((inner, ""));
        let mut record = self.get(name).record.clone();
        for tag in further.split(';').filter(|tag| !tag.is_empty()) {
            let (of, _) = tag.split_once('=').expect("a tag");
            record = match record
                .split("; ")
                .find(|own| own.starts_with(&format!("{of}=")))
            {
                Some(own) => record.replace(own, tag),
                None => format!("{record}; {tag}"),
            };
        }
        format!("{before}{}{after}", txt_quoted(&record))
    }
}

/// A message to be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    pub selector: String,
    pub key: String,
    pub how: String,
}

impl Signed {
    pub fn question(&self) -> String {
        format!("dkim {} {} {}", self.selector, self.key, self.how)
    }
}

/// One zone and what is to be found in it.
#[derive(Debug, Default)]
pub struct World {
    pub name: String,
    /// Zone-file text.
    pub zone: String,
    of: Option<String>,
    pub senders: Vec<IpAddr>,
    pub signed: Vec<Signed>,
    /// Whether it is about DMARC.
    pub dmarc: bool,
    answers: BTreeMap<String, String>,
    pub differences: BTreeMap<(String, String), String>,
}

impl World {
    pub fn apex(&self) -> String {
        format!("{}.test", self.name)
    }

    /// The domain that is looked at.
    pub fn domain(&self) -> String {
        self.at(self.of.as_deref().unwrap_or("@"))
    }

    fn at(&self, name: &str) -> String {
        match name {
            "-" => "-".into(),
            "@" => self.apex(),
            below => format!("{below}.{}", self.apex()),
        }
    }

    /// What a program is to answer.
    pub fn wanted(&self, program: &str, question: &str) -> String {
        let difference = self
            .differences
            .get(&(program.to_owned(), question.to_owned()));
        difference
            .cloned()
            .unwrap_or_else(|| self.general(program, question))
    }

    /// What all are to answer. A message's judge says less than others: pass or not.
    pub fn general(&self, program: &str, question: &str) -> String {
        let answer = self.answers.get(question).cloned().unwrap_or_default();
        match (program, question.split(' ').next()) {
            ("judge", Some("spf")) if answer != "pass" => "fail".into(),
            ("judge", Some("dmarc")) if answer.starts_with("valid") => "pass".into(),
            ("judge", Some("dmarc")) => "fail".into(),
            _ => answer,
        }
    }

    fn say(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words.as_slice() {
            ["of", below] => {
                self.of = Some((*below).to_owned());
                return;
            }
            ["spf", address, result] => {
                self.senders.push(address.parse().expect("an address"));
                let valid = !matches!(*result, "permerror" | "none");
                let word = if valid { "valid" } else { "invalid" };
                let before = self.answers.insert("record".into(), word.into());
                assert!(
                    before.is_none_or(|before| before == word),
                    "{}: one record, two kinds of answers",
                    self.name
                );
                (format!("spf {address}"), (*result).to_owned())
            }
            ["cost", lookups, void] => {
                self.answers.insert("lookups".into(), (*lookups).to_owned());
                ("void".into(), (*void).to_owned())
            }
            ["dmarc", valid, at] => {
                self.dmarc = true;
                self.answers.entry("removed".into()).or_default();
                ("dmarc".into(), format!("{valid} {}", self.at(at)))
            }
            ["removed", tags] => ("removed".into(), (*tags).to_owned()),
            ["dkim", selector, key, how, result] => {
                let signed = Signed {
                    selector: (*selector).to_owned(),
                    key: (*key).to_owned(),
                    how: (*how).to_owned(),
                };
                let question = signed.question();
                self.signed.push(signed);
                (question, (*result).to_owned())
            }
            ["but", program, ..] => {
                let (difference, reason) = line.split_once(": ").expect("a reason");
                assert!(!reason.is_empty());
                let (question, answer) = difference.split_once(" = ").expect("an answer");
                let question = question
                    .strip_prefix(&format!("but {program} "))
                    .expect("a question");
                self.differences.insert(
                    ((*program).to_owned(), question.to_owned()),
                    answer.to_owned(),
                );
                return;
            }
            _ => panic!("{}: `{line}` says nothing", self.name),
        };
        self.answers.insert(answer.0, answer.1);
    }

    /// Whether the table says something of a question.
    pub fn tells(&self, question: &str) -> bool {
        self.answers.contains_key(question)
    }
}

/// All worlds of a text.
pub fn read(text: &str, keys: &Keys) -> Vec<World> {
    let mut worlds: Vec<World> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix(";; ") {
            let (name, _) = title.split_once(' ').expect("what it is about");
            worlds.push(World {
                name: name.to_owned(),
                ..World::default()
            });
        } else if let Some(world) = worlds.last_mut() {
            match line.strip_prefix(';') {
                Some(said) => world.say(said),
                None => world.zone.push_str(&format!("{}\n", keys.fill(line))),
            }
        }
    }
    worlds
}

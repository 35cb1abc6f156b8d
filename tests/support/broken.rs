//! A page of broken worlds: what is done to a healthy one, and what is found then.
// Each test program uses a part of it.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use mailctl::check::Finding;

/// Every page but the one that explains them, by name.
pub fn pages() -> Vec<Page> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/worlds");
    let entries = fs::read_dir(folder).expect("tests/worlds");
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "md"));
    paths.retain(|path| !path.ends_with("README.md"));
    paths.sort();
    paths.iter().map(|path| Page::read(path)).collect()
}

/// A page as it lies there.
pub struct Page {
    path: PathBuf,
    pieces: Vec<Piece>,
}

/// Text, or a fenced block by its info string.
#[derive(Clone)]
enum Piece {
    Text(String),
    Block(Block),
}

/// A fenced block.
#[derive(Clone, Debug)]
pub struct Block {
    /// The first word of its info string.
    pub kind: String,
    /// The rest of it.
    pub argument: String,
    /// What stands in it.
    pub body: String,
}

/// What stands under one heading.
#[derive(Clone, Debug)]
pub struct Broken {
    /// The page's name without extension.
    pub page: String,
    /// The heading.
    pub title: String,
    /// What is done, in order.
    pub blocks: Vec<Block>,
    /// What is found then.
    pub expected: Vec<Expected>,
}

/// One line of an `expect` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// `pass`, `warn`, `fail`, `skip`; `none`: there is no such finding.
    pub verdict: String,
    /// Which, `*` standing for any text.
    pub id: String,
    /// About what, likewise.
    pub subject: String,
    /// A part of what is said.
    pub says: Option<String>,
}

impl Expected {
    /// Reads `fail spf.record wac.tax: two records`.
    pub fn parse(line: &str) -> Self {
        let (head, says) = match line.split_once(": ") {
            Some((head, says)) => (head, Some(says.to_owned())),
            None => (line, None),
        };
        let words: Vec<&str> = head.split_whitespace().collect();
        let [verdict, id, subject] = words[..] else {
            panic!("an expectation is `verdict id subject[: text]`, not `{line}`");
        };
        let known = ["pass", "warn", "fail", "skip", "none"];
        assert!(
            known.contains(&verdict),
            "no verdict `{verdict}` in `{line}`"
        );
        Self {
            verdict: verdict.into(),
            id: id.into(),
            subject: subject.into(),
            says,
        }
    }

    /// Whether it is about several findings.
    fn is_rule(&self) -> bool {
        self.id.contains('*') || self.subject == "*"
    }

    /// Whether it is about this finding.
    pub fn names(&self, id: &str, subject: &str) -> bool {
        fits(&self.id, id) && fits(&self.subject, subject)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.verdict, self.id, self.subject)?;
        match &self.says {
            Some(says) => write!(f, ": {says}"),
            None => Ok(()),
        }
    }
}

/// Whether `text` is as `pattern`, where `*` stands for any text.
pub fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

impl Page {
    /// Reads one.
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).expect("a page");
        let mut pieces = Vec::new();
        let mut lines = text.lines();
        let mut prose = String::new();
        while let Some(line) = lines.next() {
            let Some(info) = line.strip_prefix("```") else {
                prose.push_str(line);
                prose.push('\n');
                continue;
            };
            pieces.push(Piece::Text(std::mem::take(&mut prose)));
            let body = lines.by_ref().take_while(|line| *line != "```");
            let body = body.map(|line| format!("{line}\n")).collect();
            let (kind, argument) = info.split_once(' ').unwrap_or((info, ""));
            pieces.push(Piece::Block(Block {
                kind: kind.to_owned(),
                argument: argument.to_owned(),
                body,
            }));
        }
        pieces.push(Piece::Text(prose));
        Self {
            path: path.to_owned(),
            pieces,
        }
    }

    /// The file's name without extension.
    pub fn name(&self) -> String {
        let stem = self.path.file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    }

    /// The worlds of the page.
    pub fn worlds(&self) -> Vec<Broken> {
        let mut worlds: Vec<Broken> = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => {
                    for title in text.lines().filter_map(|l| l.strip_prefix("## ")) {
                        worlds.push(Broken {
                            page: self.name(),
                            title: title.to_owned(),
                            blocks: Vec::new(),
                            expected: Vec::new(),
                        });
                    }
                }
                Piece::Block(block) => {
                    let world = worlds.last_mut().unwrap_or_else(|| {
                        panic!("{}: a block before the first world", self.path.display())
                    });
                    if block.kind == "expect" {
                        world
                            .expected
                            .extend(block.body.lines().map(Expected::parse));
                    } else {
                        world.blocks.push(block.clone());
                    }
                }
            }
        }
        worlds
    }

    /// Writes what was found into the `expect` block of each world of this page.
    pub fn write(&self, found: &BTreeMap<String, String>) {
        let mut text = String::new();
        let mut title = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(prose) => {
                    let last = prose
                        .lines()
                        .filter_map(|l| l.strip_prefix("## "))
                        .next_back();
                    title = last.map_or(title, str::to_owned);
                    text.push_str(prose);
                }
                Piece::Block(block) => {
                    let body = found.get(&title).filter(|_| block.kind == "expect");
                    let info = format!("{} {}", block.kind, block.argument);
                    let body = body.unwrap_or(&block.body);
                    text.push_str(&format!("```{}\n{body}```\n", info.trim_end()));
                }
            }
        }
        if fs::read_to_string(&self.path).expect("a page") != text {
            fs::write(&self.path, text).expect("a page");
        }
    }
}

/// How findings compare to those of the healthy world and to what a page expects.
pub struct Compared {
    /// What differs from the page, a line each; nothing: it is as expected.
    pub wrong: Vec<String>,
    /// What the page would have to say.
    pub lines: Vec<String>,
}

/// Compares: what a page does not name must be as in the healthy world, and
/// what that does not know must pass. Where the healthy world tells nothing about
/// the domain (`healthy` is `None`), all that is not named may be skipped too.
pub fn compare(expected: &[Expected], healthy: Option<&[Finding]>, found: &[Finding]) -> Compared {
    let by_key = |findings: &[Finding]| -> BTreeMap<(String, String), Finding> {
        let keyed = findings
            .iter()
            .map(|f| ((f.id.clone(), f.subject.clone()), f.clone()));
        keyed.collect()
    };
    let before = by_key(healthy.unwrap_or_default());
    let now = by_key(found);
    let mut keys: Vec<&(String, String)> = before.keys().chain(now.keys()).collect();
    keys.sort();
    keys.dedup();
    let mut compared = Compared {
        wrong: Vec::new(),
        lines: Vec::new(),
    };
    let mut met = vec![false; expected.len()];
    for key in keys {
        let (id, subject) = key;
        let verdict = now.get(key).map_or("none", |f| f.verdict.word());
        let usual = before.get(key).map_or("none", |f| f.verdict.word());
        let quiet =
            usual == "none" && (verdict == "pass" || healthy.is_none() && verdict == "skip");
        let said = now.get(key).map(|f| format!("{} {}", f.found, f.fix));
        let line = match now.get(key) {
            Some(_) if ["skip", "pass"].contains(&verdict) => format!("{verdict} {id} {subject}"),
            Some(finding) => format!("{verdict} {id} {subject}: {}", one_line(&finding.found)),
            None => format!("none {id} {subject}"),
        };
        for (nth, wanted) in expected.iter().enumerate() {
            met[nth] |= wanted.names(id, subject);
        }
        let naming = expected.iter().filter(|e| e.names(id, subject));
        // One without `*` is an exception to one with it; else the last one counts.
        let Some(wanted) = naming.max_by_key(|e| !e.is_rule()) else {
            if verdict != usual && !quiet {
                compared.wrong.push(format!("not expected: {line}"));
                compared.lines.push(line);
            }
            continue;
        };
        let says = wanted
            .says
            .as_deref()
            .is_none_or(|part| said.as_deref().is_some_and(|said| said.contains(part)));
        let line = if wanted.verdict == verdict && says {
            wanted.to_string()
        } else {
            let said = said.as_deref().map(one_line).unwrap_or_default();
            compared.wrong.push(format!(
                "expected `{wanted}`, found: {verdict} {id} {subject}: {said}"
            ));
            line
        };
        if !compared.lines.contains(&line) {
            compared.lines.push(line);
        }
    }
    compared.lines = shortened(compared.lines, &before);
    for (nth, wanted) in expected.iter().enumerate() {
        if !met[nth] {
            compared
                .wrong
                .push(format!("nothing is as `{wanted}` says"));
        }
    }
    compared
}

/// What is gone in one line: all that a question said of a subject, or all that was said of it.
fn shortened(lines: Vec<String>, before: &BTreeMap<(String, String), Finding>) -> Vec<String> {
    let mut lines = lines;
    let subjects: BTreeSet<&str> = before.keys().map(|(_, subject)| subject.as_str()).collect();
    for subject in subjects {
        let said = before.keys().filter(|(_, of)| of == subject);
        let ids: Vec<&str> = said.map(|(id, _)| id.as_str()).collect();
        let questions: BTreeSet<&str> = ids.iter().filter_map(|id| id.split('.').next()).collect();
        let patterns = questions.iter().map(|question| format!("{question}.*"));
        let ports = ["*", "*.25", "*.465", "*.587"].map(str::to_owned);
        for pattern in ports.into_iter().chain(patterns) {
            let gone: Vec<String> = ids
                .iter()
                .filter(|id| fits(&pattern, id))
                .map(|id| format!("none {id} {subject}"))
                .collect();
            if gone.len() > 1 && gone.iter().all(|line| lines.contains(line)) {
                lines.retain(|line| !gone.contains(line));
                lines.push(format!("none {pattern} {subject}"));
            }
        }
    }
    lines
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

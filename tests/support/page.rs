//! A Markdown page of cases: what is wished and what was seen, and what
//! follows from it.

use std::fs;
use std::path::{Path, PathBuf};

/// A page as it lies there.
pub struct Page {
    pub path: PathBuf,
    pieces: Vec<Piece>,
}

/// Text, or a fenced block by its info string.
enum Piece {
    Text(String),
    Block { info: String, body: String },
}

/// What stands under one heading.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// The heading.
    pub title: String,
    /// Sections of mail.yaml, the page's first.
    pub yaml: Vec<String>,
    /// What was seen, the page's first.
    pub seen: Vec<String>,
    /// Which pieces hold what follows, with its info string.
    expected: Vec<(usize, String)>,
}

impl Page {
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
            let info = info.to_owned();
            pieces.push(Piece::Block { info, body });
        }
        pieces.push(Piece::Text(prose));
        let path = path.to_owned();
        Self { path, pieces }
    }

    /// Every heading that something is expected under.
    pub fn cases(&self) -> Vec<Case> {
        let mut page = Case::default();
        let mut cases: Vec<Case> = Vec::new();
        for (place, piece) in self.pieces.iter().enumerate() {
            match piece {
                Piece::Text(text) => {
                    for title in text.lines().filter_map(|l| l.strip_prefix("## ")) {
                        let title = title.to_owned();
                        let page = page.clone();
                        cases.push(Case { title, ..page });
                    }
                }
                Piece::Block { info, body } => {
                    let case = cases.last_mut().unwrap_or(&mut page);
                    match info.as_str() {
                        "yaml" => case.yaml.push(body.clone()),
                        "seen" => case.seen.push(body.clone()),
                        "plan" | "json" => case.expected.push((place, info.clone())),
                        other => panic!("{}: a block `{other}`", self.path.display()),
                    }
                }
            }
        }
        for case in &cases {
            let place = format!("{}: {}", self.path.display(), case.title);
            assert!(!case.expected.is_empty(), "{place}: nothing is expected");
        }
        cases
    }

    /// Compares what follows, or writes it down. Returns what differs.
    pub fn compare(&mut self, case: &Case, update: bool, of: &dyn Fn(&str) -> String) -> String {
        let mut differences = String::new();
        for (place, info) in &case.expected {
            let Piece::Block { body, .. } = &mut self.pieces[*place] else {
                continue;
            };
            let found = of(info);
            if update {
                *body = found;
            } else if *body != found {
                differences.push_str(&format!(
                    "{}: {}\n--- expected\n{body}--- found\n{found}\n",
                    self.path.display(),
                    case.title
                ));
            }
        }
        differences
    }

    pub fn write(&self) {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(prose) => text.push_str(prose),
                Piece::Block { info, body } => {
                    text.push_str(&format!("```{info}\n{body}```\n"));
                }
            }
        }
        if fs::read_to_string(&self.path).expect("a page") != text {
            fs::write(&self.path, text).expect("a page");
        }
    }
}

/// mail.yaml with some of its sections replaced: a section is a line that
/// begins with a word, and what is indented below it.
pub fn with_sections(base: &str, changes: &[String]) -> String {
    let mut sections = sections(base);
    for (key, text) in changes.iter().flat_map(|change| self::sections(change)) {
        match sections.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = text,
            None => sections.push((key, text)),
        }
    }
    sections.into_iter().map(|(_, text)| text).collect()
}

fn sections(yaml: &str) -> Vec<(String, String)> {
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in yaml.lines() {
        if !line.starts_with([' ', '#', '}']) {
            let key = line.split(':').next().unwrap_or_default();
            sections.push((key.to_owned(), String::new()));
        }
        let (_, text) = sections.last_mut().expect("a section begins with its name");
        text.push_str(line);
        text.push('\n');
    }
    sections
}

//! What happens, as events, and the three ways in which they are told: bars on
//! a terminal, plain lines elsewhere, JSON lines for programs. Nothing else
//! writes to the terminal while apply runs.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::check::{self, Verdict};
use crate::render::{self, Document, Paint};
use crate::resource::Sign;

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A pass begins with this plan.
    Plan(Document),
    /// A change begins.
    ChangeStarted {
        /// Its id.
        id: String,
        /// What happens.
        action: Sign,
        /// Why.
        reason: String,
    },
    /// A change says what it is doing.
    Note {
        /// Its id.
        id: String,
        /// What.
        text: String,
    },
    /// A change is done.
    ChangeDone {
        /// Its id.
        id: String,
        /// How long it took.
        seconds: f64,
    },
    /// A change waits for a person.
    ChangeWaits {
        /// Its id.
        id: String,
    },
    /// A change failed.
    ChangeFailed {
        /// Its id.
        id: String,
        /// What failed.
        error: String,
        /// What to do.
        hint: Option<String>,
    },
    /// What was found from outside once everything was applied.
    Check(check::Report),
    /// The end.
    Summary(Summary),
}

/// How an apply ended.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// `applied`, `unchanged`, `failed`, `partial`, `person` or `refused`.
    pub outcome: &'static str,
    /// Ids that were done.
    pub done: Vec<String>,
    /// Ids that were not.
    pub left: Vec<String>,
    /// What a person has to do.
    pub by_hand: Vec<String>,
    /// Things that were as wished in the last plan.
    pub unchanged: usize,
    /// Remarks.
    pub notes: Vec<String>,
    /// Whether the authoritative servers were seen to answer as wished.
    pub verified: bool,
    /// From beginning to end.
    pub seconds: f64,
}

/// Where events go.
pub trait Report: Send + Sync {
    /// Tells one event.
    fn event(&self, event: &Event);
}

/// One JSON document a line.
pub struct JsonLines;

impl Report for JsonLines {
    fn event(&self, event: &Event) {
        // The summary says what is left.
        if matches!(event, Event::Note { .. } | Event::ChangeWaits { .. }) {
            return;
        }
        if let Ok(line) = serde_json::to_string(event) {
            say(&line);
        }
    }
}

/// Plain lines, for logs of pipelines.
pub struct Lines {
    /// Colours.
    pub paint: Paint,
    /// Columns.
    pub width: usize,
    /// Only what is asked for and what failed.
    pub quiet: bool,
    /// Also what a change is doing.
    pub verbose: bool,
}

impl Report for Lines {
    fn event(&self, event: &Event) {
        match event {
            Event::Plan(document) if !self.quiet => {
                say(render::text(document, self.paint, self.width).trim_end())
            }
            Event::ChangeDone { id, seconds } if !self.quiet => {
                say(&format!(
                    "  {} {id} ({seconds:.1} s)",
                    self.paint.with("32", "done")
                ));
            }
            Event::ChangeWaits { id } if !self.quiet => {
                say(&format!(
                    "  {} {id} waits for what is to be set by hand",
                    self.paint.with("33", "left")
                ));
            }
            Event::ChangeFailed { .. } => say(&failed(event, self.paint)),
            Event::Note { id, text } if self.verbose => say(&format!("  {id}: {text}")),
            Event::Check(found) => {
                if let Some(text) = seen_from_outside(found, self) {
                    say(&text);
                }
            }
            Event::Summary(summary) => say(&ending(summary, self.paint, self.quiet)),
            _ => {}
        }
    }
}

/// A spinner for each change that runs.
pub struct Bars {
    /// How the text around them looks.
    pub lines: Lines,
    bars: MultiProgress,
    running: Mutex<HashMap<String, ProgressBar>>,
}

impl Bars {
    /// Bars around lines that look like this.
    pub fn new(lines: Lines) -> Self {
        Self {
            lines,
            bars: MultiProgress::new(),
            running: Mutex::new(HashMap::new()),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<String, ProgressBar>) -> T) -> T {
        // A panic elsewhere must not silence the report.
        act(&mut self
            .running
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Report for Bars {
    fn event(&self, event: &Event) {
        match event {
            Event::ChangeStarted { id, .. } => {
                let style = ProgressStyle::with_template(
                    "  {spinner} {prefix}  {wide_msg:.dim} {elapsed:>4.dim}",
                );
                let bar = self
                    .bars
                    .add(ProgressBar::new_spinner().with_prefix(id.clone()));
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
                bar.enable_steady_tick(Duration::from_millis(120));
                self.with(|running| running.insert(id.clone(), bar));
            }
            Event::Note { id, text } => self.with(|running| {
                if let Some(bar) = running.get(id) {
                    bar.set_message(text.clone());
                }
            }),
            Event::ChangeDone { id, .. }
            | Event::ChangeWaits { id }
            | Event::ChangeFailed { id, .. } => {
                if let Some(bar) = self.with(|running| running.remove(id)) {
                    bar.finish_and_clear();
                }
                self.bars.suspend(|| self.lines.event(event));
            }
            Event::Plan(_) | Event::Check(_) | Event::Summary(_) => {
                self.bars.suspend(|| self.lines.event(event))
            }
        }
    }
}

fn failed(event: &Event, paint: Paint) -> String {
    let Event::ChangeFailed { id, error, hint } = event else {
        return String::new();
    };
    let hint = hint
        .as_ref()
        .map(|h| format!("\n    do: {h}"))
        .unwrap_or_default();
    format!("  {} {id}: {error}{hint}", paint.with("31", "failed"))
}

/// What is to be minded, and how much there was; nothing where it is quiet and all is well.
fn seen_from_outside(found: &check::Report, lines: &Lines) -> Option<String> {
    let mut minded = found.clone();
    let to_mind = |verdict| matches!(verdict, Verdict::Warn | Verdict::Fail);
    minded.results.retain(|finding| to_mind(finding.verdict));
    if lines.quiet && !found.fails() {
        return None;
    }
    let text = check::render::text(&minded, lines.paint, lines.width, true);
    Some(format!(
        "\nSeen from outside, as `mailctl check` shows in full:\n{}\n",
        text.trim_end()
    ))
}

fn ending(summary: &Summary, paint: Paint, quiet: bool) -> String {
    let mut text = String::new();
    for step in &summary.by_hand {
        text.push_str(&format!("\nTo do by hand:\n{step}\n"));
    }
    let well = matches!(summary.outcome, "unchanged" | "applied");
    for note in summary.notes.iter().filter(|_| !(quiet && well)) {
        text.push_str(&format!("note: {note}\n"));
    }
    if !summary.left.is_empty() {
        text.push_str(&format!("left: {}\n", summary.left.join(", ")));
    }
    let (done, unchanged, seconds) = (summary.done.len(), summary.unchanged, summary.seconds);
    let verified = if summary.verified {
        "; seen by every authoritative server"
    } else {
        ""
    };
    text.push_str(&match summary.outcome {
        "unchanged" => format!("No changes. {unchanged} things are as wished{verified}."),
        "applied" => {
            let applied = paint.with("32", "Applied");
            format!("{applied}: {done} changes in {seconds:.1} s; a second plan is empty, {unchanged} things are as wished{verified}.")
        }
        "person" => format!("{done} changes done in {seconds:.1} s; the rest waits for you. Then run `mailctl apply` again."),
        "refused" => "Refused; nothing was changed.".to_owned(),
        "partial" => format!("{done} changes done in {seconds:.1} s, then it stopped. Run `mailctl apply` again: it goes on from here."),
        _ => "Failed; nothing was changed.".to_owned(),
    });
    text
}

/// One line to standard output. A reader who has gone away is no failure.
pub fn say(line: &str) {
    let _gone = reaches(line);
}

/// The same; whether there still is a reader.
pub fn reaches(line: &str) -> bool {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).is_ok()
}

/// One line to standard error.
pub fn warn(line: &str) {
    let _gone = writeln!(std::io::stderr().lock(), "{line}");
}

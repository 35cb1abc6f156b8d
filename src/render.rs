//! A plan as a document and as text; the text is made from the document only.

mod told;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::plan::{Count, Plan};
use crate::resource::Sign;

/// The document's schema; a breaking change gets a new number.
pub const SCHEMA: &str = "mailctl.plan/1";

/// The public form of a plan. It holds no secret.
#[derive(Clone, Debug, Serialize)]
pub struct Document {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Host name and where it is reached.
    pub host: String,
    /// Whether everything could be decided.
    pub complete: bool,
    /// In the order in which they are done.
    pub changes: Vec<Shown>,
    /// What could not be decided.
    pub blocked: Vec<ShownBlocked>,
    /// Remarks.
    pub notes: Vec<String>,
    /// How many of each sort.
    pub summary: Count,
}

/// One change as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// The resource's id.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// What happens.
    pub action: Sign,
    /// Why.
    pub reason: String,
    /// What is there.
    pub before: Option<Value>,
    /// What will be there.
    pub after: Option<Value>,
    /// Secret parts that are left out.
    pub sensitive: Vec<String>,
    /// Needs `--allow` with this word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub danger: Option<String>,
    /// What would happen, where `danger` is set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub danger_reason: Option<String>,
    /// A person has to do it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub by_hand: bool,
}

/// One resource that could not be decided.
#[derive(Clone, Debug, Serialize)]
pub struct ShownBlocked {
    /// Its id.
    pub id: String,
    /// What is in the way.
    pub reason: String,
    /// What to do.
    pub fix: Option<String>,
}

impl From<&Plan> for Document {
    fn from(plan: &Plan) -> Self {
        let change = |change: &crate::resource::Change| Shown {
            id: change.id.clone(),
            kind: change.kind().to_owned(),
            action: change.sign,
            reason: change.why.clone(),
            before: change.before.clone(),
            after: change.after.clone(),
            sensitive: change.sensitive.clone(),
            danger: change.danger.as_ref().map(|d| d.class.to_owned()),
            danger_reason: change.danger.as_ref().map(|d| d.why.clone()),
            by_hand: change.action.by_hand(),
        };
        let blocked = |b: &crate::plan::BlockedResource| ShownBlocked {
            id: b.id.clone(),
            reason: b.why.clone(),
            fix: b.fix.clone(),
        };
        Self {
            schema: SCHEMA,
            host: plan.host.clone(),
            complete: plan.blocked.is_empty(),
            changes: plan.changes.iter().map(change).collect(),
            blocked: plan.blocked.iter().map(blocked).collect(),
            notes: plan.notes.clone(),
            summary: plan.count(),
        }
    }
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub struct Paint(pub bool);

impl Paint {
    /// `text` in the colour with this SGR code.
    pub fn with(self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// The sign of a change, and its colour.
pub fn sign(action: Sign) -> (&'static str, &'static str) {
    match action {
        Sign::Create => ("+", "32"),
        Sign::Update => ("~", "33"),
        Sign::Delete => ("-", "31"),
        Sign::Run => ("!", "36"),
    }
}

/// The plan as text, one line a change, at most `width` columns wide.
pub fn text(document: &Document, paint: Paint, width: usize) -> String {
    let page = Page::new(document, paint, width);
    let mut text = format!("{}\n\n", paint.with("1", &document.host));
    for change in &document.changes {
        text.push_str(&page.change(change));
    }
    text.push_str(&page.blocked(&document.blocked));
    if !document.changes.is_empty() || !document.blocked.is_empty() {
        text.push('\n');
    }
    for note in &document.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    if document.changes.iter().any(|change| change.by_hand) {
        text.push_str("note: `mailctl apply` says what to set by hand, and where\n");
    }
    text.push_str(&summary(document));
    text
}

/// Columns and colours.
struct Page {
    paint: Paint,
    width: usize,
    /// How wide ids are.
    column: usize,
}

/// What stands before an id, and between an id and what is said of it.
const MARGIN: usize = 6;

impl Page {
    fn new(document: &Document, paint: Paint, width: usize) -> Self {
        let changes = document.changes.iter().map(|c| &c.id);
        let ids = changes.chain(document.blocked.iter().map(|b| &b.id));
        // An id that takes more than half of the line stands out of the column.
        let fitting = ids.map(|id| id.width()).filter(|w| *w <= width / 2);
        Self {
            paint,
            width,
            column: fitting.max().unwrap_or_default(),
        }
    }

    fn change(&self, change: &Shown) -> String {
        let (mark, colour) = sign(change.action);
        let by_hand = if change.by_hand { "by hand: " } else { "" };
        let about = format!("{by_hand}{}", told::about(change));
        let mut line = self.line(mark, colour, &change.id, &about);
        if let Some(class) = &change.danger {
            let why = change.danger_reason.as_deref().unwrap_or_default();
            let warning = format!("danger: {why}; --allow {class} permits it");
            for line_of in self.wrapped(&warning, "").lines() {
                line.push_str(&format!("{}\n", self.paint.with("31", line_of)));
            }
        }
        line
    }

    fn line(&self, mark: &str, colour: &str, id: &str, about: &str) -> String {
        let mark = self.paint.with(colour, mark);
        let used = id.width().max(self.column) + MARGIN;
        match self.width.checked_sub(used).filter(|room| *room >= 24) {
            Some(room) => {
                let gap = " ".repeat(self.column.saturating_sub(id.width()));
                format!("  {mark} {id}{gap}  {}\n", told::shorten(about, room))
            }
            None => format!(
                "  {mark} {}\n      {}\n",
                told::shorten(id, self.width.saturating_sub(4)),
                told::shorten(about, self.width.saturating_sub(MARGIN))
            ),
        }
    }

    /// What is in the way is told whole, and once where several wait for the same.
    fn blocked(&self, blocked: &[ShownBlocked]) -> String {
        let mut text = String::new();
        let mut last: Option<&ShownBlocked> = None;
        for one in blocked {
            if last.is_some_and(|last| last.reason == one.reason && last.fix == one.fix) {
                text.push_str(&self.line("?", "31", &one.id, "as above"));
                continue;
            }
            last = Some(one);
            let room = self.width.saturating_sub(self.column + MARGIN);
            if one.reason.width() <= room && one.id.width() <= self.column {
                text.push_str(&self.line("?", "31", &one.id, &one.reason));
            } else {
                text.push_str(&format!("  {} {}\n", self.paint.with("31", "?"), one.id));
                text.push_str(&self.wrapped(&one.reason, ""));
            }
            if let Some(fix) = &one.fix {
                text.push_str(&self.wrapped(fix, "do: "));
            }
        }
        text
    }

    /// Words in lines below a change, the first behind `lead`.
    fn wrapped(&self, words: &str, lead: &str) -> String {
        let margin = " ".repeat(MARGIN);
        let mut text = String::new();
        let mut line = format!("{margin}{lead}");
        let indent = " ".repeat(line.width());
        for word in words.split_whitespace() {
            if line.width() + word.width() > self.width && line.width() > indent.len() {
                text.push_str(&format!("{}\n", line.trim_end()));
                line.clone_from(&indent);
            }
            line.push_str(word);
            line.push(' ');
        }
        text + line.trim_end() + "\n"
    }
}

/// The last line.
fn summary(document: &Document) -> String {
    let count = document.summary;
    if document.changes.is_empty() && document.blocked.is_empty() {
        return format!("No changes. {} things are as wished.\n", count.unchanged);
    }
    let undecided = if count.blocked > 0 {
        format!(", {} undecided", count.blocked)
    } else {
        String::new()
    };
    format!(
        "Plan: {} to create, {} to update, {} to delete, {} to run{undecided}; {} as wished.\n",
        count.create, count.update, count.delete, count.run, count.unchanged
    )
}

/// A digest of what the plan would do, to tell whether a saved one is stale.
pub fn digest(document: &Document) -> String {
    digest_of(&document.changes)
}

/// The same of the changes alone.
pub fn digest_of(changes: &[Shown]) -> String {
    crate::kinds::sha256(&serde_json::to_vec(changes).unwrap_or_default())
}

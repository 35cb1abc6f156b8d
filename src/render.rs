//! A plan as a document and as text; the text is made from the document only.

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
            danger: change.danger.map(str::to_owned),
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
    let mut text = format!("{}\n\n", paint.with("1", &document.host));
    let ids = document
        .changes
        .iter()
        .map(|c| &c.id)
        .chain(document.blocked.iter().map(|b| &b.id));
    let column = ids.map(|id| id.width()).max().unwrap_or_default().min(52);
    for change in &document.changes {
        text.push_str(&line(change, paint, column, width));
    }
    for (index, blocked) in document.blocked.iter().enumerate() {
        let next = document.blocked.get(index + 1);
        let id = pad(&blocked.id, column);
        text.push_str(&format!(
            "  {} {id}  {}\n",
            paint.with("31", "?"),
            blocked.reason
        ));
        // What helps several in a row is said once, below them.
        if let Some(fix) = &blocked.fix
            && next.is_none_or(|next| next.fix != blocked.fix)
        {
            text.push_str(&format!("      do: {fix}\n"));
        }
    }
    if !document.changes.is_empty() || !document.blocked.is_empty() {
        text.push('\n');
    }
    for note in &document.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text.push_str(&summary(document));
    text
}

fn line(change: &Shown, paint: Paint, column: usize, width: usize) -> String {
    let (mark, colour) = sign(change.action);
    let mut about = change.reason.clone();
    if let Some(value) = values(change) {
        about.push_str(": ");
        about.push_str(&value);
    }
    let room = width.saturating_sub(column + 6).max(30);
    let mut line = format!(
        "  {} {}  {}\n",
        paint.with(colour, mark),
        pad(&change.id, column),
        shorten(&about, room)
    );
    if change.by_hand {
        line.push_str("      by hand: `mailctl apply` says what to set where\n");
    }
    if let Some(class) = &change.danger {
        let warning = format!(
            "would replace {}: needs --allow {class}",
            change.before.as_ref().map(brief).unwrap_or_default()
        );
        line.push_str(&format!(
            "      {}\n",
            paint.with("31", &shorten(&warning, width.saturating_sub(6)))
        ));
    }
    line
}

/// What is told of the values: what will be there, for an update what was there too.
fn values(change: &Shown) -> Option<String> {
    // The reason of these already names what they are about.
    if matches!(
        change.kind.as_str(),
        "users" | "aliases" | "certificate" | "signing" | "domain" | "file" | "service" | "dkim"
    ) {
        return None;
    }
    let after = change.after.as_ref().map(brief);
    let before = change.before.as_ref().map(brief);
    match (change.action, before, after) {
        (Sign::Update, Some(before), Some(after)) if before != after => {
            Some(format!("{before} → {after}"))
        }
        (Sign::Delete, Some(before), _) => Some(before),
        (_, _, after) => after,
    }
}

fn brief(value: &Value) -> String {
    match value {
        Value::String(text) => text.lines().collect::<Vec<_>>().join(" "),
        Value::Array(items) => items.iter().map(brief).collect::<Vec<_>>().join(", "),
        Value::Object(map) => match map
            .get("values")
            .or_else(|| map.get("names"))
            .or_else(|| map.get("users"))
        {
            Some(inner) => brief(inner),
            None => map
                .iter()
                .map(|(k, v)| format!("{k} {}", brief(v)))
                .collect::<Vec<_>>()
                .join(", "),
        },
        other => other.to_string(),
    }
}

fn pad(text: &str, column: usize) -> String {
    format!("{text}{}", " ".repeat(column.saturating_sub(text.width())))
}

/// At most `room` columns; what is cut is marked by an ellipsis.
fn shorten(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        if short.width() + 1 >= room {
            break;
        }
        short.push(c);
    }
    format!("{}…", short.trim_end())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_by_columns_not_bytes() {
        assert_eq!(shorten("grün ist gut", 5), "grün…");
        assert_eq!(shorten("kurz", 5), "kurz");
    }
}

//! The shape of mail.yaml: fields, types and formats, checked against the
//! JSON Schema of the model, so that there is one source of truth.
//!
//! Serde stops at the first mistake. This walk goes on: what is wrong is noted
//! and left out, and what remains can still be held against the other rules.

mod mapping;
mod schema;
mod wording;

use serde_json::Value;

use self::schema::{Choice, Field, Schema};
use self::wording::{is_norway, norway, not_a_bool, unknown};
use super::format;
use super::guess::{guess, one_of};
use super::places::{Path, Places};
use super::tree::{Kind, Node};
use super::word::SecretRef;
use crate::diagnostic::{Diagnostic, Span};

/// What remains of the file after the walk.
#[derive(Debug)]
pub struct Reading {
    /// The parts that have their right shape. A required part that has not is
    /// stood in for by the schema's example, and noted as broken.
    pub value: Value,
    /// Where everything stands.
    pub places: Places,
    /// What is wrong.
    pub mistakes: Vec<Diagnostic>,
    /// Secrets that stand in the file itself.
    pub secrets: Vec<Span>,
}

/// Walks the whole tree.
pub fn read(tree: &Node, schema: &Value) -> Reading {
    let schema = Schema::new(schema);
    let mut walk = Walk {
        schema: &schema,
        places: Places::default(),
        mistakes: Vec::new(),
        secrets: Vec::new(),
    };
    let root = Path::default();
    walk.places.key(
        &root,
        Span {
            line: 1,
            column: 1,
            length: 0,
        },
    );
    let value = walk
        .value(tree, &schema.root(), &root)
        .unwrap_or_else(|| schema.root().stand_in(&schema));
    Reading {
        value,
        places: walk.places,
        mistakes: walk.mistakes,
        secrets: walk.secrets,
    }
}

struct Walk<'s> {
    schema: &'s Schema<'s>,
    places: Places,
    mistakes: Vec<Diagnostic>,
    secrets: Vec<Span>,
}

impl Walk<'_> {
    /// The value as JSON; `None` after noting a mistake.
    fn value(&mut self, node: &Node, field: &Field<'_>, path: &Path) -> Option<Value> {
        if matches!(node.kind, Kind::Scalar { .. }) {
            self.places.value(path, node.span);
        }
        let secret = field.choices.iter().any(Choice::is_secret);
        let read = match &node.kind {
            Kind::Null if field.nullable => Some(Value::Null),
            Kind::Null => self.nothing(field, path),
            Kind::Scalar { text, plain } => match field.scalar() {
                Some(choice) => self.scalar(node, text, *plain, choice, path),
                None => self.mismatch(node, "text", field, path),
            },
            Kind::List(items) => match field.list() {
                Some(choice) => self.list(items, choice, path),
                None => self.mismatch(node, "a list", field, path),
            },
            Kind::Map(entries) => match field.map() {
                Some(choice) => Some(self.map(entries, choice, path)),
                None => self.mismatch(node, "a mapping", field, path),
            },
        };
        if secret && (read.is_none() || is_bare_secret(&node.kind)) {
            self.hide(node);
        }
        if read.is_none() {
            self.places.broke(path);
        }
        read
    }

    fn note(&mut self, mistake: Diagnostic, path: &Path, span: Option<Span>) {
        let span = span.or_else(|| self.places.span(path));
        self.mistakes.push(mistake.at(path.to_string(), span));
    }

    fn nothing(&mut self, field: &Field<'_>, path: &Path) -> Option<Value> {
        let mistake = match path.last() {
            Some(name) => Diagnostic::error(format!("`{name}` has no value: {} is wanted", field.wanted()))
                .help(format!("write it after the colon, or `{name}: {}`", field.empty())),
            None => Diagnostic::error("the file is empty")
                .help("at least `host`, `domains` and `dns` are needed; `mailctl init` writes a first file"),
        };
        self.note(mistake, path, None);
        None
    }

    fn mismatch(
        &mut self,
        node: &Node,
        found: &str,
        field: &Field<'_>,
        path: &Path,
    ) -> Option<Value> {
        let name = path.last();
        let subject = name.map_or_else(|| "the file".to_owned(), |name| format!("`{name}`"));
        let mut mistake = Diagnostic::error(format!(
            "{subject}: {} is wanted, this is {found}",
            field.wanted()
        ));
        let name = name.unwrap_or_default();
        let secret = field.choices.iter().any(Choice::is_secret);
        mistake = match &node.kind {
            Kind::Scalar { text, .. } if field.list().is_some() && !secret => {
                mistake.help(format!("a list of one is written `{name}: [{text}]`"))
            }
            Kind::List(items) if field.map().is_some() => match items.first().map(|i| &i.kind) {
                Some(Kind::Scalar { text, .. }) => mistake.help(format!(
                    "a mapping has no dashes: write each entry as `{text}: …` on a line of its own"
                )),
                _ => mistake
                    .help("a mapping has no dashes: write `key: value` on lines of their own"),
            },
            _ => mistake,
        };
        let span = if matches!(node.kind, Kind::Scalar { .. }) {
            Some(node.span)
        } else {
            self.places.key_span(path)
        };
        self.note(mistake, path, span);
        None
    }

    fn scalar(
        &mut self,
        node: &Node,
        text: &str,
        plain: bool,
        choice: &Choice<'_>,
        path: &Path,
    ) -> Option<Value> {
        let name = path.last().unwrap_or_default();
        let complaint = match choice {
            Choice::Bool => match (text, plain) {
                ("true" | "True" | "TRUE", true) => return Some(Value::Bool(true)),
                ("false" | "False" | "FALSE", true) => return Some(Value::Bool(false)),
                _ => not_a_bool(name, text),
            },
            Choice::Integer { min, max } => match text.parse::<i64>() {
                Ok(number) if plain && (*min..=*max).contains(&number) => {
                    return Some(number.into());
                }
                Ok(number) if plain => Diagnostic::error(format!(
                    "`{name}` is {number}: a number from {min} to {max} is wanted"
                )),
                Ok(_) => Diagnostic::error(format!("`{name}`: a number is wanted, this is text"))
                    .help(format!("remove the quotes: `{name}: {text}`")),
                Err(_) => Diagnostic::error(format!(
                    "`{name}`: a whole number is wanted, this is `{text}`"
                )),
            },
            Choice::Words(words) if plain && is_norway(text) => {
                norway(text).help(format!("`{name}` is {}", one_of(words)))
            }
            Choice::Words(words) if words.contains(&text) => return Some(text.into()),
            Choice::Words(words) => unknown("value", text, &format!(" for `{name}`"), words),
            Choice::Text { format } => {
                let fits = format::check(format, text);
                match fits {
                    Err(why) if plain && is_norway(text) && *format != "secret" => {
                        norway(text).help(why)
                    }
                    Err(why) => Diagnostic::error(why),
                    Ok(()) if plain && is_norway(text) && *format != "secret" => norway(text).help(
                        format!("if `{text}` is meant, put it into quotes: `{name}: \"{text}\"`"),
                    ),
                    Ok(()) => return Some(text.into()),
                }
            }
            Choice::List { .. } | Choice::Struct { .. } | Choice::Map { .. } => return None,
        };
        self.note(complaint, path, Some(node.span));
        None
    }

    fn list(&mut self, items: &[Node], choice: &Choice<'_>, path: &Path) -> Option<Value> {
        let Choice::List { item, at_least } = choice else {
            return None;
        };
        if items.len() < *at_least {
            let name = path.last().unwrap_or_default();
            let mistake = Diagnostic::error(format!("`{name}` is an empty list"))
                .help("name at least one, or remove the field to get its default");
            self.note(mistake, path, None);
            return None;
        }
        let field = self.schema.field(item);
        let mut read = Vec::with_capacity(items.len());
        for (nth, node) in items.iter().enumerate() {
            let path = path.then(nth);
            self.places.key(&path, node.span);
            read.push(self.value(node, &field, &path));
        }
        // Without the wrong one, the others would answer to other numbers.
        read.into_iter()
            .collect::<Option<Vec<_>>>()
            .map(Value::Array)
    }

    /// Hides every scalar of a node in drawings.
    fn hide(&mut self, node: &Node) {
        match &node.kind {
            Kind::Null => {}
            Kind::Scalar { .. } => {
                self.secrets.push(node.span);
                for line in node.span.line + 1..=node.last_line {
                    self.secrets.push(Span {
                        line,
                        column: 1,
                        length: usize::MAX / 2,
                    });
                }
            }
            Kind::List(items) => items.iter().for_each(|item| self.hide(item)),
            Kind::Map(entries) => entries.iter().for_each(|(_, value)| self.hide(value)),
        }
    }

    /// Hides what stands under a key that may be a misspelt field for a secret.
    fn hide_if_named_so(&mut self, key: &str, node: &Node) {
        let lower = key.to_lowercase();
        let sounds = ["pass", "token", "key", "secret"]
            .iter()
            .any(|w| lower.contains(w));
        if (sounds || guess(key, ["password", "token", "key"]).is_some())
            && is_bare_secret(&node.kind)
        {
            self.hide(node);
        }
    }
}

/// A secret's value itself, not a word that says where it is.
fn is_bare_secret(kind: &Kind) -> bool {
    match kind {
        Kind::Scalar { text, .. } => matches!(text.parse(), Ok(SecretRef::Literal(_))),
        _ => true,
    }
}

//! Mappings: their keys, what is missing, what is there twice.

use serde_json::{Map, Value};

use super::super::format;
use super::super::guess::guess;
use super::super::places::Path;
use super::super::provider::TAKEN_BY;
use super::super::tree::{Key, Kind, Node};
use super::Walk;
use super::schema::{Choice, Field, Schema};
use super::wording::{is_norway, norway, unknown};
use crate::diagnostic::Diagnostic;

impl Walk<'_> {
    /// The entries that are right; for a required one that is not, its stand-in.
    pub(super) fn map(
        &mut self,
        entries: &[(Key, Node)],
        choice: &Choice<'_>,
        path: &Path,
    ) -> Value {
        let mut read = Map::new();
        let mut seen: Vec<(String, &Key)> = Vec::new();
        let known = known(entries, choice);
        for (key, node) in entries {
            let name = self.schema.canonical(choice, &key.text);
            let at = path.then(&name);
            if let Some((_, first)) = seen.iter().find(|(other, _)| *other == name) {
                self.twice(first, key, &at);
                self.hide_if_named_so(&key.text, node);
                continue;
            }
            seen.push((name.clone(), key));
            if let Some(field) = self.entry(key, node, choice, &known, &at)
                && let Some(value) = self.value(node, &field, &at)
            {
                read.insert(name, value);
            }
        }
        for (given, _) in &seen {
            let stranger = matches!(choice, Choice::Struct { properties, .. } if !properties.contains_key(given));
            let meant = guess(given, known.iter().copied()).filter(|_| stranger);
            if let Some(meant) = meant.filter(|meant| !read.contains_key(*meant)) {
                // It is said already, and would be missed a second time.
                self.places.broke(&path.then(meant));
            }
        }
        match choice {
            Choice::Struct {
                required,
                properties,
            } => self.complete(&mut read, &seen, required, properties, path),
            Choice::Map { at_least: 1, .. } if entries.is_empty() => {
                let mistake =
                    Diagnostic::error(format!("`{}` is empty", path.last().unwrap_or_default()));
                self.note(mistake.help("name at least one"), path, None);
                self.places.broke(path);
            }
            _ => {}
        }
        Value::Object(read)
    }

    fn twice(&mut self, first: &Key, second: &Key, at: &Path) {
        let message = if first.text == second.text {
            format!("`{}` is written twice", second.text)
        } else {
            format!("`{}` and `{}` are the same name", first.text, second.text)
        };
        let help = format!("the first is on line {}: keep one of them", first.span.line);
        self.note(Diagnostic::error(message).help(help), at, Some(second.span));
    }

    /// Notes the key's place; what its value may be, or `None` after noting a mistake.
    fn entry<'c>(
        &mut self,
        key: &Key,
        node: &Node,
        choice: &Choice<'c>,
        known: &[&str],
        at: &Path,
    ) -> Option<Field<'c>>
    where
        Self: 'c,
    {
        self.places.key(at, key.span);
        let mistake = match choice {
            Choice::Struct { properties, .. } => match properties.get(&key.text) {
                Some(property) => return Some(Schema::field_of(self.schema.whole, property)),
                None => {
                    self.hide_if_named_so(&key.text, node);
                    self.stranger(&key.text, known, at)
                }
            },
            Choice::Map {
                key_format, value, ..
            } => match format::check(key_format, &key.text) {
                Err(why) => Diagnostic::error(why),
                Ok(()) if key.plain && is_norway(&key.text) => norway(&key.text).help(format!(
                    "if it is meant, put it into quotes: `\"{}\":`",
                    key.text
                )),
                Ok(()) => return Some(Schema::field_of(self.schema.whole, value)),
            },
            _ => return None,
        };
        self.note(mistake, at, Some(key.span));
        self.places.broke(at);
        None
    }

    /// A field that is not known here: misspelt, or at home elsewhere.
    fn stranger(&self, name: &str, known: &[&str], at: &Path) -> Diagnostic {
        let here = at.parent().unwrap_or_default().to_string();
        let home = self
            .schema
            .homes(name)
            .into_iter()
            .find(|home| *home != here);
        match home {
            Some(home) if guess(name, known.iter().copied()).is_none() => Diagnostic::error(
                format!("unknown field `{name}` here"),
            )
            .help(match home.as_str() {
                "" => format!("`{name}` stands at the top level of the file"),
                home => format!("`{name}` belongs under `{home}`"),
            }),
            _ => unknown("field", name, "", known),
        }
    }

    /// Notes required fields that are missing, and puts stand-ins in their place.
    fn complete(
        &mut self,
        read: &mut Map<String, Value>,
        seen: &[(String, &Key)],
        required: &[&str],
        properties: &Map<String, Value>,
        path: &Path,
    ) {
        let misspelt = |name: &str| {
            let strangers = seen
                .iter()
                .filter(|(given, _)| !properties.contains_key(given));
            strangers
                .filter_map(|(given, _)| guess(given, properties.keys().map(String::as_str)))
                .any(|meant| meant == name)
        };
        for name in required {
            let Some(property) = properties.get(*name) else {
                continue;
            };
            if !seen.iter().any(|(given, _)| given == name) {
                if !misspelt(name) {
                    self.missing(name, property, path);
                }
                self.places.broke(&path.then(name));
            }
            if !read.contains_key(*name) {
                read.insert(
                    (*name).to_owned(),
                    self.schema.field(property).stand_in(self.schema),
                );
            }
        }
    }

    fn missing(&mut self, name: &str, property: &Value, path: &Path) {
        let mut mistake = Diagnostic::error(match path.last() {
            Some(owner) => format!("`{owner}` lacks `{name}`"),
            None => format!("`{name}` is missing"),
        });
        let meaning = property.get("description").and_then(Value::as_str);
        let example = self.schema.field(property).example();
        let example = example.map_or_else(String::new, |example| {
            format!(", such as `{name}: {example}`")
        });
        mistake.help =
            meaning.map(|meaning| format!("`{name}`: {}{example}", meaning.trim_end_matches('.')));
        self.note(mistake, path, None);
    }
}

/// The fields that may stand in a mapping: of all providers' fields, where the
/// provider is known, only its own.
fn known<'c>(entries: &[(Key, Node)], choice: &Choice<'c>) -> Vec<&'c str> {
    let Choice::Struct { properties, .. } = choice else {
        return Vec::new();
    };
    let provider = entries.iter().find_map(|(key, node)| match &node.kind {
        Kind::Scalar { text, .. } if key.text == "provider" => Some(text.as_str()),
        _ => None,
    });
    let takers = |property: &Value| -> Vec<String> {
        let takers = property.get(TAKEN_BY).and_then(Value::as_array);
        let ids = takers.into_iter().flatten().filter_map(Value::as_str);
        ids.map(str::to_owned).collect()
    };
    let known_here = properties
        .values()
        .any(|p| takers(p).iter().any(|id| Some(id.as_str()) == provider));
    properties
        .iter()
        .filter(|(_, property)| {
            let takers = takers(property);
            !known_here
                || takers.is_empty()
                || takers.iter().any(|id| Some(id.as_str()) == provider)
        })
        .map(|(name, _)| name.as_str())
        .collect()
}

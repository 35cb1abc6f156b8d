//! The parts of JSON Schema that the model's own schema uses, made easy to ask.

use serde_json::{Map, Value};

use super::super::guess::one_of;
use super::super::provider::TAKEN_BY;
use super::super::word::HostName;

/// A whole schema with its definitions.
pub(super) struct Schema<'s> {
    pub whole: &'s Value,
    homes: Vec<Home>,
}

/// A field and the mapping that it belongs to.
struct Home {
    field: String,
    path: String,
    /// Whether only some providers have it.
    of_provider: bool,
}

/// What may stand at one place.
pub(super) struct Field<'s> {
    pub nullable: bool,
    pub choices: Vec<Choice<'s>>,
    example: Option<&'s Value>,
}

/// One thing that may stand there.
pub(super) enum Choice<'s> {
    Bool,
    Integer {
        min: i64,
        max: i64,
    },
    /// One of some words.
    Words(Vec<&'s str>),
    /// Text; the format is "" where any will do.
    Text {
        format: &'s str,
    },
    List {
        item: &'s Value,
        at_least: usize,
    },
    /// A mapping with named fields.
    Struct {
        properties: &'s Map<String, Value>,
        required: Vec<&'s str>,
    },
    /// A mapping whose keys the author chooses.
    Map {
        key_format: &'s str,
        value: &'s Value,
        at_least: u64,
    },
}

impl<'s> Schema<'s> {
    pub fn new(whole: &'s Value) -> Self {
        let mut homes = Vec::new();
        collect_homes(whole, whole, "", &mut homes);
        // The shortest path is the likeliest home, that of a provider's own field the least likely.
        homes.sort_by_key(|home| (home.of_provider, home.path.matches('.').count()));
        Self { whole, homes }
    }

    pub fn root(&self) -> Field<'s> {
        self.field(self.whole)
    }

    pub fn field(&self, schema: &'s Value) -> Field<'s> {
        Self::field_of(self.whole, schema)
    }

    pub fn field_of<'a>(whole: &'a Value, schema: &'a Value) -> Field<'a> {
        let mut field = Field {
            nullable: false,
            choices: Vec::new(),
            example: None,
        };
        collect(whole, schema, &mut field);
        field
    }

    /// Where a field of this name belongs.
    pub fn homes(&self, name: &str) -> Vec<String> {
        self.homes
            .iter()
            .filter(|home| home.field == name)
            .map(|home| home.path.clone())
            .collect()
    }

    pub fn canonical(&self, choice: &Choice<'_>, key: &str) -> String {
        match choice {
            Choice::Map { key_format, .. } => canonical(key_format, key),
            _ => key.to_owned(),
        }
    }
}

fn resolved<'a>(whole: &'a Value, schema: &'a Value) -> &'a Value {
    let name = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|r| r.strip_prefix("#/$defs/"));
    name.and_then(|name| whole.get("$defs")?.get(name))
        .unwrap_or(schema)
}

fn collect<'a>(whole: &'a Value, schema: &'a Value, field: &mut Field<'a>) {
    let target = resolved(whole, schema);
    let example = |s: &'a Value| {
        s.get("examples")
            .and_then(Value::as_array)
            .and_then(|e| e.first())
    };
    field.example = field
        .example
        .or_else(|| example(schema))
        .or_else(|| example(target));
    if let Some(alternatives) = target.get("anyOf").and_then(Value::as_array) {
        alternatives
            .iter()
            .for_each(|alternative| collect(whole, alternative, field));
        return;
    }
    let types: Vec<&str> = match target.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    field.nullable |= types.contains(&"null");
    let words = words(target);
    if !words.is_empty() {
        field.choices.push(Choice::Words(words));
        return;
    }
    for kind in types {
        let number = |name: &str| target.get(name).and_then(Value::as_i64);
        let text = |name: &str| target.get(name).and_then(Value::as_str);
        match kind {
            "boolean" => field.choices.push(Choice::Bool),
            "integer" => field.choices.push(Choice::Integer {
                min: number("minimum").unwrap_or(i64::MIN),
                max: number("maximum").unwrap_or(i64::from(u32::MAX)),
            }),
            "string" => field.choices.push(Choice::Text {
                format: text("format").unwrap_or(""),
            }),
            "array" => {
                let at_least = number("minItems")
                    .and_then(|n| usize::try_from(n).ok())
                    .unwrap_or(0);
                if let Some(item) = target.get("items") {
                    field.choices.push(Choice::List { item, at_least });
                }
            }
            "object" => field.choices.extend(mapping(target)),
            _ => {}
        }
    }
}

fn mapping(target: &Value) -> Option<Choice<'_>> {
    if let Some(properties) = target.get("properties").and_then(Value::as_object) {
        let required = target.get("required").and_then(Value::as_array);
        let required =
            required.map_or(Vec::new(), |r| r.iter().filter_map(Value::as_str).collect());
        return Some(Choice::Struct {
            properties,
            required,
        });
    }
    let key_format = target
        .get("propertyNames")
        .and_then(|n| n.get("format"))
        .and_then(Value::as_str)
        .unwrap_or("");
    let at_least = target
        .get("minProperties")
        .and_then(Value::as_u64)
        .unwrap_or(0);
    target.get("additionalProperties").map(|value| Choice::Map {
        key_format,
        value,
        at_least,
    })
}

/// The words of an enum, also where each has a description of its own.
fn words(target: &Value) -> Vec<&str> {
    let own = target.get("const").into_iter().chain(
        target
            .get("enum")
            .and_then(Value::as_array)
            .into_iter()
            .flatten(),
    );
    let described = target
        .get("oneOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .flat_map(words);
    own.filter_map(Value::as_str).chain(described).collect()
}

fn collect_homes(whole: &Value, schema: &Value, path: &str, homes: &mut Vec<Home>) {
    let below = |step: &str| {
        if path.is_empty() {
            step.to_owned()
        } else {
            format!("{path}.{step}")
        }
    };
    for choice in Schema::field_of(whole, schema).choices {
        match choice {
            Choice::Struct { properties, .. } => {
                for (name, property) in properties {
                    homes.push(Home {
                        field: name.clone(),
                        path: path.to_owned(),
                        of_provider: property.get(TAKEN_BY).is_some(),
                    });
                    collect_homes(whole, property, &below(name), homes);
                }
            }
            Choice::Map { value, .. } => collect_homes(whole, value, &below("<name>"), homes),
            _ => {}
        }
    }
}

impl Choice<'_> {
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Text { format: "secret" })
    }

    fn described(&self) -> String {
        match self {
            Self::Bool => "`true` or `false`".into(),
            Self::Integer { .. } => "a whole number".into(),
            Self::Words(words) => one_of(words),
            Self::Text { .. } => "text".into(),
            Self::List { .. } => "a list".into(),
            Self::Struct { .. } | Self::Map { .. } => "a mapping".into(),
        }
    }
}

impl<'s> Field<'s> {
    pub fn scalar(&self) -> Option<&Choice<'s>> {
        self.choices.iter().find(|c| {
            matches!(
                c,
                Choice::Bool | Choice::Integer { .. } | Choice::Words(_) | Choice::Text { .. }
            )
        })
    }

    pub fn list(&self) -> Option<&Choice<'s>> {
        self.choices
            .iter()
            .find(|c| matches!(c, Choice::List { .. }))
    }

    pub fn map(&self) -> Option<&Choice<'s>> {
        self.choices
            .iter()
            .find(|c| matches!(c, Choice::Struct { .. } | Choice::Map { .. }))
    }

    /// What is wanted, in words.
    pub fn wanted(&self) -> String {
        let described: Vec<String> = self.choices.iter().map(Choice::described).collect();
        described.join(" or ")
    }

    /// What a value looks like, where the schema says so.
    pub fn example(&self) -> Option<&'s str> {
        self.example.and_then(Value::as_str)
    }

    /// How "nothing special" is written.
    pub fn empty(&self) -> &'static str {
        match self.choices.first() {
            Some(Choice::Struct { .. } | Choice::Map { .. }) => "{}",
            Some(Choice::List { .. }) => "[]",
            _ => "\"\"",
        }
    }

    /// A value of the right shape, for a required part that is missing or wrong.
    pub fn stand_in(&self, schema: &Schema<'s>) -> Value {
        if let Some(example) = self.example {
            return example.clone();
        }
        match self.choices.first() {
            Some(Choice::Struct {
                properties,
                required,
            }) => {
                let parts = required.iter().filter_map(|name| {
                    Some((
                        (*name).to_owned(),
                        schema.field(properties.get(*name)?).stand_in(schema),
                    ))
                });
                Value::Object(parts.collect())
            }
            Some(Choice::Map { .. }) => Value::Object(Map::new()),
            Some(Choice::List { .. }) => Value::Array(Vec::new()),
            Some(Choice::Words(words)) => words.first().map_or(Value::Null, |w| Value::from(*w)),
            Some(Choice::Integer { min, .. }) => Value::from((*min).max(0)),
            Some(Choice::Bool) => Value::Bool(false),
            Some(Choice::Text { .. }) => Value::from("?"),
            None => Value::Null,
        }
    }
}

/// The canonical spelling of a key, so that `WAC.tax` and `wac.tax.` are one.
fn canonical(key_format: &str, text: &str) -> String {
    match (key_format, text.parse::<HostName>()) {
        ("host-name", Ok(name)) => name.to_string(),
        _ => text.to_owned(),
    }
}

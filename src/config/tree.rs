//! YAML as a tree in which every key and value knows its place.
//!
//! The file is parsed once, into this tree, and nothing is guessed: a scalar
//! keeps the characters that were written, and whether it was quoted, so that
//! the model decides whether `1.10` is text and `no` a mistake.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Location, Spanned};

use super::syntax;
use crate::diagnostic::{Diagnostic, Span};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value's first line; of a collection only its first character.
    pub span: Span,
    /// The lines that a scalar goes on to.
    pub last_line: usize,
    /// The value.
    pub kind: Kind,
}

/// What YAML knows.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Nothing, `null` or `~`.
    Null,
    /// Any other scalar; `plain` when it was written without quotes.
    Scalar {
        /// Its characters.
        text: String,
        /// Whether it was written without quotes.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A mapping in the file's order; a key may stand there twice.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Its characters.
    pub text: String,
    /// Whether it was written without quotes.
    pub plain: bool,
    /// Where it stands.
    pub span: Span,
}

/// Parses one YAML document.
///
/// # Errors
/// The first mistake against YAML's own rules.
pub fn parse(source: &str) -> Result<Node, Box<Diagnostic>> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
    };
    let raw: Spanned<Raw> = serde_saphyr::from_str_with_options(source, options)
        .map_err(|e| Box::new(syntax::told(source, &e)))?;
    Ok(Placer {
        source,
        lines: source.lines().collect(),
    }
    .node(raw))
}

/// What the deserializer hands over, before scalars get their own spelling back.
enum Raw {
    Null,
    Text(String),
    /// A boolean or number; its spelling is in the source.
    Typed(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Anything;
        impl<'de> Visitor<'de> for Anything {
            type Value = Raw;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any YAML")
            }
            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_none<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
                Raw::deserialize(deserializer)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Raw, E> {
                Ok(Raw::Text(text.to_owned()))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
                Ok(Raw::Typed(value.to_string()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
                Ok(Raw::Typed(value.to_string()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
                Ok(Raw::Typed(value.to_string()))
            }
            fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
                Ok(Raw::Typed(value.to_string()))
            }
            fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
                Ok(Raw::Typed(value.to_string()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
                Ok(Raw::Typed(value.to_string()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Raw::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Raw::Map(entries))
            }
        }
        deserializer.deserialize_any(Anything)
    }
}

struct Placer<'a> {
    source: &'a str,
    lines: Vec<&'a str>,
}

impl Placer<'_> {
    fn node(&self, raw: Spanned<Raw>) -> Node {
        let written = self.written(raw.defined);
        let (mut span, last_line) = self.span(raw.defined);
        let kind = match raw.value {
            Raw::Null => Kind::Null,
            Raw::Text(text) => Kind::Scalar {
                plain: is_plain(written, &text),
                text,
            },
            Raw::Typed(value) => Kind::Scalar {
                text: written.map_or(value, str::to_owned),
                plain: true,
            },
            Raw::List(items) => Kind::List(items.into_iter().map(|item| self.node(item)).collect()),
            Raw::Map(entries) => Kind::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| (self.key(key), self.node(value)))
                    .collect(),
            ),
        };
        if matches!(kind, Kind::List(_) | Kind::Map(_)) {
            span.length = span.length.min(1);
        }
        Node {
            span,
            last_line,
            kind,
        }
    }

    fn key(&self, raw: Spanned<String>) -> Key {
        let plain = is_plain(self.written(raw.defined), &raw.value);
        Key {
            text: raw.value,
            plain,
            span: self.span(raw.defined).0,
        }
    }

    /// The characters of the source at a place.
    fn written(&self, location: Location) -> Option<&str> {
        let start = usize::try_from(location.span().byte_offset()?).ok()?;
        let length = usize::try_from(location.span().byte_len()?).ok()?;
        self.source.get(start..start + length).map(str::trim_end)
    }

    /// The first line of a place, and the number of its last.
    fn span(&self, location: Location) -> (Span, usize) {
        let line = usize::try_from(location.line()).unwrap_or(1).max(1);
        let column = usize::try_from(location.column()).unwrap_or(1).max(1);
        let written = self.written(location).unwrap_or("");
        let mut length = written.lines().next().unwrap_or("").chars().count();
        // The span of a plain scalar may reach into a comment's blanks.
        let rest = self
            .lines
            .get(line - 1)
            .map_or(0, |l| l.chars().count().saturating_sub(column - 1));
        length = length.min(rest);
        (
            Span {
                line,
                column,
                length,
            },
            line + written.lines().count().saturating_sub(1),
        )
    }
}

fn is_plain(written: Option<&str>, text: &str) -> bool {
    written.is_none_or(|w| !w.starts_with(['"', '\'', '|', '>']) && w.contains(text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(node: &'a Node, key: &str) -> &'a Node {
        let Kind::Map(entries) = &node.kind else {
            panic!("no mapping: {node:?}")
        };
        &entries
            .iter()
            .find(|(k, _)| k.text == key)
            .expect("the key is there")
            .1
    }

    fn scalar(text: &str, plain: bool) -> Kind {
        Kind::Scalar {
            text: text.into(),
            plain,
        }
    }

    #[test]
    fn scalars_keep_their_spelling_and_place() {
        let tree =
            parse("a: 1.10 # why\nb: {c: no, d: 'no', e: 022}\nf: ~\ng: ü 漢\n").expect("YAML");
        assert_eq!(value(&tree, "a").kind, scalar("1.10", true));
        assert_eq!(
            value(&tree, "a").span,
            Span {
                line: 1,
                column: 4,
                length: 4
            }
        );
        assert_eq!(value(value(&tree, "b"), "c").kind, scalar("no", true));
        assert_eq!(value(value(&tree, "b"), "d").kind, scalar("no", false));
        assert_eq!(value(value(&tree, "b"), "e").kind, scalar("022", true));
        assert_eq!(value(&tree, "f").kind, Kind::Null);
        assert_eq!(
            value(&tree, "g").span,
            Span {
                line: 4,
                column: 4,
                length: 3
            }
        );
    }

    #[test]
    fn aliases_and_merges_point_to_where_the_value_is_written() {
        let tree = parse("a: &x {e: 1, f: 2}\nb: *x\nc:\n  <<: *x\n  e: 3\n").expect("YAML");
        assert_eq!(value(value(&tree, "b"), "f").span.line, 1);
        assert_eq!(value(value(&tree, "c"), "f").kind, scalar("2", true));
        assert_eq!(value(value(&tree, "c"), "e").kind, scalar("3", true));
    }

    #[test]
    fn a_key_may_stand_twice_and_a_block_knows_its_lines() {
        let Kind::Map(entries) = parse("a: 1\na: 2\n").expect("YAML").kind else {
            panic!("no mapping")
        };
        assert_eq!(entries.len(), 2);
        let tree = parse("a: |\n  one\n  two\n").expect("YAML");
        assert_eq!(
            (value(&tree, "a").span.line, value(&tree, "a").last_line),
            (2, 3)
        );
    }
}

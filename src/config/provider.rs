//! A provider's own fields in mail.yaml: those that its entry in the catalogue declares.

use std::collections::BTreeMap;
use std::fmt;

use schemars::Schema;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, json};

use super::word::{HostName, SecretRef};
use super::{Dns, Ptr, default_ttl, manual};
use crate::catalogue::{self, Field, Kind};

/// The keyword of the schema that names the providers which take a field.
pub(super) const TAKEN_BY: &str = "x-providers";

/// What one field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// The value itself.
    Text(String),
    /// Where the value is found.
    Secret(SecretRef),
}

/// Fields by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(BTreeMap<String, Given>);

impl Fields {
    /// The fields' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// All fields with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Given)> {
        self.0.iter().map(|(name, given)| (name.as_str(), given))
    }

    /// Whether the field is given.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A field that is no secret.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name)? {
            Given::Text(text) => Some(text),
            Given::Secret(_) => None,
        }
    }

    /// A field that is a secret.
    pub fn secret(&self, name: &str) -> Option<&SecretRef> {
        match self.0.get(name)? {
            Given::Secret(secret) => Some(secret),
            Given::Text(_) => None,
        }
    }

    /// Sets one field.
    pub fn set(&mut self, name: &str, given: Given) {
        self.0.insert(name.to_owned(), given);
    }

    /// The same fields and this one.
    #[must_use]
    pub fn with(mut self, name: &str, given: Given) -> Self {
        self.set(name, given);
        self
    }

    /// The fields that are secrets, with their names.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, &SecretRef)> {
        self.iter().filter_map(|(name, given)| match given {
            Given::Secret(secret) => Some((name, secret)),
            Given::Text(_) => None,
        })
    }

    /// The fields that are files on this machine, by the catalogue.
    pub(super) fn paths_mut(
        &mut self,
        kind: Kind,
        provider: &str,
    ) -> impl Iterator<Item = &mut String> {
        let entry = catalogue::find(kind, provider);
        let is_path = move |name: &str| {
            let mut fields = entry.iter().flat_map(|entry| &entry.fields);
            fields.any(|field| field.name == name && field.format.as_deref() == Some("path"))
        };
        self.0
            .iter_mut()
            .filter_map(move |(name, given)| match given {
                Given::Text(text) if is_path(name) => Some(text),
                _ => None,
            })
    }

    pub(super) fn secrets_mut(&mut self) -> impl Iterator<Item = &mut SecretRef> {
        self.0.values_mut().filter_map(|given| match given {
            Given::Secret(secret) => Some(secret),
            Given::Text(_) => None,
        })
    }
}

/// What stands under `dns` or `ptr`.
#[derive(Default)]
struct Block {
    provider: Option<String>,
    zone: Option<HostName>,
    ttl: Option<u32>,
    fields: Fields,
}

impl<'de> Deserialize<'de> for Block {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Block;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a provider and its fields")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Block, A::Error> {
                let mut block = Block::default();
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "provider" => block.provider = map.next_value()?,
                        "zone" => block.zone = map.next_value()?,
                        "ttl" => block.ttl = map.next_value()?,
                        name if catalogue::is_secret(name) => {
                            if let Some(secret) = map.next_value()? {
                                block.fields.set(name, Given::Secret(secret));
                            }
                        }
                        name => {
                            if let Some(text) = map.next_value()? {
                                block.fields.set(name, Given::Text(text));
                            }
                        }
                    }
                }
                Ok(block)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl<'de> Deserialize<'de> for Dns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let block = Block::deserialize(deserializer)?;
        Ok(Self {
            provider: block
                .provider
                .ok_or_else(|| de::Error::missing_field("provider"))?,
            zone: block.zone,
            ttl: block.ttl.unwrap_or_else(default_ttl),
            fields: block.fields,
        })
    }
}

impl<'de> Deserialize<'de> for Ptr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let block = Block::deserialize(deserializer)?;
        if block.ttl.is_some() {
            return Err(de::Error::unknown_field("ttl", &["provider", "zone"]));
        }
        Ok(Self {
            provider: block.provider.unwrap_or_else(manual),
            zone: block.zone,
            fields: block.fields,
        })
    }
}

pub(super) fn dns_fields(schema: &mut Schema) {
    add(schema, Kind::Dns);
}

pub(super) fn ptr_fields(schema: &mut Schema) {
    add(schema, Kind::Ptr);
}

/// Adds the fields of all providers of a kind to the properties.
fn add(schema: &mut Schema, kind: Kind) {
    let Some(properties) = schema
        .get_mut("properties")
        .and_then(serde_json::Value::as_object_mut)
    else {
        return;
    };
    let mut takers: BTreeMap<&str, Vec<(&str, &Field)>> = BTreeMap::new();
    for entry in catalogue::entries().iter().filter(|e| e.kind == kind) {
        for field in &entry.fields {
            takers
                .entry(&field.name)
                .or_default()
                .push((&entry.id, field));
        }
    }
    for (name, takers) in takers {
        properties.insert(name.to_owned(), property(&takers).into());
    }
}

fn property(takers: &[(&str, &Field)]) -> Map<String, serde_json::Value> {
    let mut meanings: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, field) in takers {
        meanings.entry(&field.help).or_default().push(id);
    }
    let meanings: Vec<String> = meanings
        .into_iter()
        .map(|(help, ids)| format!("{}: {help}", ids.join(", ")))
        .collect();
    let ids: Vec<&str> = takers.iter().map(|(id, _)| *id).collect();
    let mut property = Map::new();
    property.insert("description".into(), meanings.join("; ").into());
    property.insert(TAKEN_BY.into(), json!(ids));
    if takers.iter().any(|(_, field)| field.secret) {
        let choices = json!([{"$ref": "#/$defs/SecretRef"}, {"type": "null"}]);
        property.insert("anyOf".into(), choices);
        return property;
    }
    property.insert("type".into(), json!(["string", "null"]));
    let formats: Vec<Option<&str>> = takers.iter().map(|(_, f)| f.format.as_deref()).collect();
    if let Some(Some(format)) = formats.first()
        && formats.iter().all(|f| *f == Some(*format))
    {
        property.insert("format".into(), (*format).into());
    }
    let examples: Vec<&str> = takers
        .iter()
        .filter_map(|(_, f)| f.example.as_deref().or(f.default.as_deref()))
        .collect();
    if !examples.is_empty() {
        property.insert("examples".into(), json!(examples));
    }
    property
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_says_which_fields_are_secrets() {
        let json = json!({"provider": "rfc2136", "server": "127.0.0.1:53", "key": "env:KEY",
            "key_name": null});
        let dns: Dns = serde_json::from_value(json).expect("a provider");
        assert_eq!((dns.provider.as_str(), dns.ttl), ("rfc2136", 300));
        let key = SecretRef::Env("KEY".into());
        let wanted = Fields::default()
            .with("server", Given::Text("127.0.0.1:53".into()))
            .with("key", Given::Secret(key.clone()));
        assert_eq!(dns.fields, wanted);
        assert_eq!(dns.fields.secrets().collect::<Vec<_>>(), [("key", &key)]);
        assert_eq!(dns.fields.text("key"), None);
    }

    #[test]
    fn every_field_of_the_catalogue_is_in_the_schema_with_who_takes_it() {
        let schema = super::super::schema();
        for entry in catalogue::entries() {
            let part = match entry.kind {
                Kind::Dns => "Dns",
                Kind::Ptr => "Ptr",
            };
            for field in &entry.fields {
                let property = &schema["$defs"][part]["properties"][&field.name];
                let takers = property[TAKEN_BY].as_array().expect("a list");
                assert!(takers.contains(&json!(entry.id)), "{part} {}", field.name);
                assert_eq!(property["anyOf"].is_array(), field.secret, "{}", field.name);
            }
        }
    }
}

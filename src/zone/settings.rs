//! A provider's own fields, their secrets read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::failure::{Exit, Failure, Result};
use crate::secret::Secret;

/// What one field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Something that may be shown.
    Text(String),
    /// Something that may not.
    Secret(Secret),
}

/// A provider's own fields in mail.yaml, by their names. Which provider takes
/// which, the catalogue says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    fields: BTreeMap<String, Value>,
    copies: Option<PathBuf>,
}

impl Settings {
    /// The same fields and this one.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// Where copies of zones are kept that the provider's API writes as a whole;
    /// without such a place, they are not written.
    #[must_use]
    pub fn keeping(mut self, copies: Option<PathBuf>) -> Self {
        self.copies = copies;
        self
    }

    /// Where copies of zones are kept.
    pub fn copies(&self) -> Option<&Path> {
        self.copies.as_deref()
    }

    /// A field that is no secret.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.fields.get(name)? {
            Value::Text(text) => Some(text),
            Value::Secret(_) => None,
        }
    }

    /// A field that is a secret.
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        match self.fields.get(name)? {
            Value::Secret(secret) => Some(secret),
            Value::Text(_) => None,
        }
    }

    /// All fields with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.fields
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }

    /// All secrets, so that they can be kept out of what is shown.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.fields.values().filter_map(|value| match value {
            Value::Secret(secret) => Some(secret),
            Value::Text(_) => None,
        })
    }

    /// The fields as `provider` needs them.
    pub fn of<'a>(&'a self, provider: &'a str) -> Required<'a> {
        Required {
            settings: self,
            provider,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Secret> for Value {
    fn from(secret: Secret) -> Self {
        Self::Secret(secret)
    }
}

/// Fields that a provider cannot do without.
#[derive(Clone, Copy, Debug)]
pub struct Required<'a> {
    settings: &'a Settings,
    provider: &'a str,
}

impl<'a> Required<'a> {
    /// A field that is no secret.
    ///
    /// # Errors
    /// When it is not given.
    pub fn text(&self, name: &str) -> Result<&'a str> {
        self.settings.text(name).ok_or_else(|| self.missing(name))
    }

    /// A field that is a secret.
    ///
    /// # Errors
    /// When it is not given.
    pub fn secret(&self, name: &str) -> Result<&'a Secret> {
        self.settings.secret(name).ok_or_else(|| self.missing(name))
    }

    fn missing(&self, name: &str) -> Failure {
        let provider = self.provider;
        Failure::new(format!(
            "the provider `{provider}` needs the field `{name}`"
        ))
        .exit(Exit::Unsound)
    }
}

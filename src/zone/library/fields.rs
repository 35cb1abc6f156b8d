//! The fields that a provider's constructor reads.

use std::cell::RefCell;
use std::str::FromStr;

use crate::failure::{Exit, Failure, Result};
use crate::zone::settings::{Required, Settings};

/// A field as it was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Taken {
    pub name: &'static str,
    pub secret: bool,
    pub required: bool,
}

/// Hands out fields, and keeps a list of what was asked for, which a test
/// holds against the catalogue.
pub(super) struct Fields<'a> {
    settings: &'a Settings,
    required: Required<'a>,
    taken: RefCell<Vec<Taken>>,
}

impl<'a> Fields<'a> {
    pub fn new(settings: &'a Settings, provider: &'a str) -> Self {
        Self {
            settings,
            required: settings.of(provider),
            taken: RefCell::default(),
        }
    }

    fn take(&self, name: &'static str, secret: bool, required: bool) {
        self.taken.borrow_mut().push(Taken {
            name,
            secret,
            required,
        });
    }

    /// A text that must be there.
    pub fn text(&self, name: &'static str) -> Result<&'a str> {
        self.take(name, false, true);
        self.required.text(name)
    }

    /// A text that may be left out.
    pub fn maybe(&self, name: &'static str) -> Option<&'a str> {
        self.take(name, false, false);
        self.settings.text(name)
    }

    /// A secret that must be there.
    pub fn secret(&self, name: &'static str) -> Result<&'a str> {
        self.take(name, true, true);
        Ok(self.required.secret(name)?.expose())
    }

    /// A secret that may be left out.
    pub fn maybe_secret(&self, name: &'static str) -> Option<&'a str> {
        self.take(name, true, false);
        Some(self.settings.secret(name)?.expose())
    }

    /// `true` or `false`; `false` where it is left out.
    pub fn flag(&self, name: &'static str) -> Result<bool> {
        match self.maybe(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(unusable(name, other)),
        }
    }

    /// One of the words of `known`; `default` where it is left out.
    pub fn word<T: Copy>(&self, name: &'static str, known: &[(&str, T)], default: T) -> Result<T> {
        let Some(given) = self.maybe(name) else {
            return Ok(default);
        };
        let found = known.iter().find(|(word, _)| *word == given);
        found
            .map(|(_, value)| *value)
            .ok_or_else(|| unusable(name, given))
    }

    /// A text that has a meaning of its own; `default` where it is left out.
    pub fn parsed<T: FromStr>(&self, name: &'static str, default: T) -> Result<T> {
        match self.maybe(name) {
            None => Ok(default),
            Some(given) => given.parse().map_err(|_| unusable(name, given)),
        }
    }

    /// A number that may be left out.
    pub fn number(&self, name: &'static str) -> Result<Option<u32>> {
        let given = self.maybe(name);
        given
            .map(|text| text.parse().map_err(|_| unusable(name, text)))
            .transpose()
    }

    #[cfg(test)]
    pub fn taken(self) -> Vec<Taken> {
        let mut taken = self.taken.into_inner();
        taken.sort();
        taken
    }
}

fn unusable(name: &str, given: &str) -> Failure {
    Failure::new(format!("`{name}` cannot be `{given}`"))
        .hint("`mailctl providers dns ID` says what it may be")
        .exit(Exit::Unsound)
}

//! What mailctl made, kept on the server that it describes. Only what is
//! listed here is ever deleted.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::record::RrsetKey;

/// Where the ledger lies on the server.
pub const PATH: &str = "/var/lib/mailctl/ledger.json";

/// One thing that mailctl made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Made {
    /// One value of an RRset.
    Value {
        /// Whose.
        #[serde(flatten)]
        key: RrsetKey,
        /// The canonical value.
        value: String,
    },
    /// One term of an SPF record, or `all` where the whole record is ours.
    Term {
        /// The set that holds the record.
        #[serde(flatten)]
        key: RrsetKey,
        /// The term.
        term: String,
    },
    /// A file.
    File(String),
    /// An account, `user@domain`.
    User(String),
    /// A forwarding address, `local@domain` or `*@domain`.
    Alias(String),
    /// A mail domain's directory.
    Domain(String),
    /// A DKIM key, `domain selector`.
    Dkim(String),
}

impl Made {
    /// One value of a set.
    pub fn value(key: &RrsetKey, value: &str) -> Self {
        Self::Value {
            key: key.clone(),
            value: value.to_owned(),
        }
    }

    /// One term of the SPF record in a set.
    pub fn term(key: &RrsetKey, term: &str) -> Self {
        Self::Term {
            key: key.clone(),
            term: term.to_owned(),
        }
    }
}

/// What mailctl made of one set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ours {
    /// Canonical values.
    pub values: BTreeSet<String>,
    /// Terms of its SPF record.
    pub terms: BTreeSet<String>,
}

/// A change to the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// It was made.
    Add(Made),
    /// It is gone.
    Remove(Made),
}

/// The list, and who applied last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Everything made and not deleted since.
    pub made: BTreeSet<Made>,
    /// When and by whom the last apply was finished, for people.
    pub applied: Option<Applied>,
}

/// The last apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// RFC 3339, UTC.
    pub at: String,
    /// user@host of the controller.
    pub by: String,
    /// mailctl's version.
    pub version: String,
}

impl Ledger {
    /// Reads the file's text.
    ///
    /// # Errors
    /// A sentence, when the text is no ledger; it is then never treated as empty.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|e| format!("{PATH} on the server cannot be read: {e}"))
    }

    /// The file's text, one item a line.
    pub fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Applies edits; says whether anything changed.
    pub fn edit(&mut self, edits: &[Edit]) -> bool {
        let mut changed = false;
        for edit in edits {
            changed |= match edit {
                Edit::Add(made) => self.made.insert(made.clone()),
                Edit::Remove(made) => self.made.remove(made),
            };
        }
        changed
    }

    /// What is listed of one set.
    pub fn of(&self, key: &RrsetKey) -> Ours {
        // The list is in order: from the first that an item of this set may be.
        let values = self.made.range(Made::value(key, "")..);
        let values = values.map_while(|made| match made {
            Made::Value { key: of, value } if of == key => Some(value.clone()),
            _ => None,
        });
        let terms = self.made.range(Made::term(key, "")..);
        let terms = terms.map_while(|made| match made {
            Made::Term { key: of, term } if of == key => Some(term.clone()),
            _ => None,
        });
        Ours {
            values: values.collect(),
            terms: terms.collect(),
        }
    }

    /// Whether mailctl made this value of a set.
    pub fn has_value(&self, key: &RrsetKey, value: &str) -> bool {
        self.made.contains(&Made::value(key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Name, RType};

    #[test]
    fn it_survives_its_own_text() {
        let key = RrsetKey::new(Name::parse("wac.tax").expect("name"), RType::Mx);
        let mut ledger = Ledger::default();
        let made = Made::Value {
            key: key.clone(),
            value: "10 smtp.wac.tax.".into(),
        };
        assert!(ledger.edit(&[
            Edit::Add(made.clone()),
            Edit::Add(Made::User("i@wac.tax".into()))
        ]));
        assert!(!ledger.edit(&[Edit::Add(made)]), "nothing new");
        assert_eq!(Ledger::parse(&ledger.text()), Ok(ledger.clone()));
        assert!(ledger.has_value(&key, "10 smtp.wac.tax."));
        assert_eq!(
            ledger.of(&key).values,
            ["10 smtp.wac.tax.".to_owned()].into()
        );
        let other = RrsetKey::new(key.name.clone(), RType::Txt);
        assert_eq!(ledger.of(&other), Ours::default());
        assert!(
            Ledger::parse("").is_err(),
            "an empty file is not an empty ledger"
        );
    }
}

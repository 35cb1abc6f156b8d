//! Classes of danger: what a change may do that nobody should find out
//! afterwards. Each is allowed by its name, `--allow CLASS`, and by nothing else.

use std::collections::BTreeSet;

use crate::config::guess::{all_of, guess};
use crate::failure::{Failure, Result};
use crate::resource::Change;

/// Why a change is dangerous.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Danger {
    /// One of [`CLASSES`].
    pub class: &'static str,
    /// What would happen, for people.
    pub why: String,
    /// A second class that has to be allowed as well; `why` says so.
    pub also: Option<&'static str>,
}

impl Danger {
    /// A danger of this class.
    pub fn new(class: &'static str, why: impl Into<String>) -> Self {
        Self {
            class,
            why: why.into(),
            also: None,
        }
    }

    /// Its classes that are not among `allowed`.
    pub fn missing(&self, allowed: &BTreeSet<String>) -> Vec<&'static str> {
        let classes = std::iter::once(self.class).chain(self.also);
        classes.filter(|class| !allowed.contains(*class)).collect()
    }
}

/// A weaker DMARC policy, or none any more.
pub const WEAKEN_DMARC: &str = "weaken-dmarc";
/// Another address or MX where mail flows.
pub const MOVE_MAIL: &str = "move-mail";
/// A DKIM record goes that signed mail may still be judged by.
pub const REMOVE_SELECTOR: &str = "remove-selector";
/// More than [`FEW`] records go though their domains stay.
pub const DELETE_MANY: &str = "delete-many";
/// Setting a PTR renames the machine at its hoster.
pub const RENAME: &str = "rename";
/// The provider's API takes whole zones only: every record is written again.
pub const WHOLE_ZONE_REWRITE: &str = "whole-zone-rewrite";

/// Every class, in the order in which they are told.
pub const CLASSES: &[&str] = &[
    "adopt-a",
    "adopt-aaaa",
    "adopt-mx",
    "adopt-ptr",
    "adopt-dmarc",
    "adopt-dkim",
    "adopt-srv",
    "adopt-record",
    WEAKEN_DMARC,
    MOVE_MAIL,
    REMOVE_SELECTOR,
    DELETE_MANY,
    RENAME,
    WHOLE_ZONE_REWRITE,
];

/// So many records of domains that stay may go without a word.
const FEW: usize = 3;

/// The classes that are allowed.
///
/// # Errors
/// The first word that is no class, with what may be meant.
pub fn allowed(words: &[String]) -> Result<BTreeSet<String>> {
    match words.iter().find(|word| !CLASSES.contains(&word.as_str())) {
        None => Ok(words.iter().cloned().collect()),
        Some(word) => Err(unknown(word)),
    }
}

fn unknown(word: &str) -> Failure {
    let what = match guess(word, CLASSES.iter().copied()) {
        Some(meant) => format!("`--allow {word}` is no class of danger, did you mean `{meant}`?"),
        None => format!("`--allow {word}` is no class of danger"),
    };
    Failure::new(what).hint(format!(
        "`mailctl plan` names the class beside each change; there are {}",
        all_of(CLASSES)
    ))
}

/// Marks what only many changes together are: a lost file, or a slip in
/// mail.yaml, would delete many records of domains that stay.
pub fn mark_many(changes: &mut [Change]) {
    let all: usize = changes.iter().map(|change| change.deletes).sum();
    if all <= FEW {
        return;
    }
    let why = format!("{all} records would be deleted whose domains stay in mail.yaml");
    for change in changes {
        if change.deletes > 0 && change.danger.is_none() {
            change.danger = Some(Danger::new(DELETE_MANY, why.clone()));
        }
    }
}

/// Marks a change for which `provider`, by its title, has every record of a
/// zone written again. What is dangerous otherwise keeps its class, and needs
/// this one too: who allows an MX to be replaced has not spoken of the records beside it.
pub fn mark_rewrite(change: &mut Change, provider: &str) {
    match &mut change.danger {
        None => {
            let why = format!(
                "{provider} has all records of the zone written again for it, and what is misread or changed meanwhile is lost"
            );
            change.danger = Some(Danger::new(WHOLE_ZONE_REWRITE, why));
        }
        Some(danger) => {
            danger.also = Some(WHOLE_ZONE_REWRITE);
            danger.why.push_str(&format!(
                " ({provider} has all records of the zone written again for it: --allow {WHOLE_ZONE_REWRITE} is needed too)"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::Script;
    use crate::resource::{Action, Sign};

    #[test]
    fn a_word_that_is_no_class_is_never_ignored() {
        let words = |words: &[&str]| -> Vec<String> { words.iter().map(|w| (*w).into()).collect() };
        let both = allowed(&words(&["adopt-mx", "move-mail"])).expect("classes");
        assert_eq!(both.len(), 2);
        let why = allowed(&words(&["adopt-mx", "adopt-xm"])).expect_err("no class");
        assert!(
            why.told().contains("did you mean `adopt-mx`?"),
            "{}",
            why.told()
        );
        let why = allowed(&words(&["everything"]))
            .expect_err("no class")
            .told();
        assert!(
            why.contains("remove-selector") && !why.contains("mean"),
            "{why}"
        );
    }

    #[test]
    fn many_deletions_are_marked_and_few_are_not() {
        let deleting = |count: usize| -> Vec<Change> {
            let deletes = |nth: usize| {
                let deed = Action::Script(Script::new("true"));
                let mut change = Change::new(format!("rrset {nth}"), Sign::Delete, "", deed);
                change.deletes = 1;
                change
            };
            (0..count).map(deletes).collect()
        };
        let mut few = deleting(FEW);
        mark_many(&mut few);
        assert!(few.iter().all(|change| change.danger.is_none()));
        let mut many = deleting(FEW + 1);
        many[0].danger = Some(Danger::new(MOVE_MAIL, "mail"));
        mark_many(&mut many);
        let classes: Vec<&str> = many
            .iter()
            .filter_map(|change| Some(change.danger.as_ref()?.class))
            .collect();
        assert_eq!(classes, [MOVE_MAIL, DELETE_MANY, DELETE_MANY, DELETE_MANY]);
    }

    #[test]
    fn a_rewrite_has_to_be_allowed_beside_another_danger() {
        let deed = || Action::Script(Script::new("true"));
        let mut alone = Change::new("rrset a", Sign::Create, "", deed());
        let mut second = alone.clone();
        second.danger = Some(Danger::new(MOVE_MAIL, "mail would go elsewhere"));
        for change in [&mut alone, &mut second] {
            mark_rewrite(change, "Namecheap");
        }
        let missing = |change: &Change, words: &[&str]| {
            let words: BTreeSet<String> = words.iter().map(|w| (*w).to_owned()).collect();
            change.danger.as_ref().expect("a danger").missing(&words)
        };
        assert_eq!(missing(&alone, &[MOVE_MAIL]), [WHOLE_ZONE_REWRITE]);
        assert!(missing(&alone, &[WHOLE_ZONE_REWRITE]).is_empty());
        assert_eq!(missing(&second, &[]), [MOVE_MAIL, WHOLE_ZONE_REWRITE]);
        assert_eq!(missing(&second, &[MOVE_MAIL]), [WHOLE_ZONE_REWRITE]);
        assert_eq!(missing(&second, &[WHOLE_ZONE_REWRITE]), [MOVE_MAIL]);
        let both = [MOVE_MAIL, WHOLE_ZONE_REWRITE];
        assert!(missing(&second, &both).is_empty());
        let why = &second.danger.as_ref().expect("a danger").why;
        assert!(
            why.starts_with("mail would go elsewhere (Namecheap"),
            "{why}"
        );
    }
}

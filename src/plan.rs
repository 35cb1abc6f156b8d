//! The difference between what is wished and what was seen: pure data.

use std::collections::BTreeSet;

use crate::danger::{self, Danger};
use crate::observe::Seen;
use crate::resource::{Change, Resource, Sign};

/// What would be changed, in order, and what stands in the way.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Host name and where it is reached, for people.
    pub host: String,
    /// In the order in which they are done.
    pub changes: Vec<Change>,
    /// What could not be decided.
    pub blocked: Vec<BlockedResource>,
    /// How many resources are as wished.
    pub unchanged: usize,
    /// Remarks that belong beside the plan.
    pub notes: Vec<String>,
}

/// A resource that could not be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedResource {
    /// Its id.
    pub id: String,
    /// What is in the way.
    pub why: String,
    /// What to do about it.
    pub fix: Option<String>,
}

/// A change whose danger was not allowed, or not all of it.
#[derive(Clone, Debug)]
pub struct Refused<'p> {
    /// The change.
    pub change: &'p Change,
    /// Its danger.
    pub danger: &'p Danger,
    /// The classes that would have to be allowed as well.
    pub missing: Vec<&'static str>,
}

/// How many of each sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Count {
    /// `+`
    pub create: usize,
    /// `~`
    pub update: usize,
    /// `-`
    pub delete: usize,
    /// `!`
    pub run: usize,
    /// As wished.
    pub unchanged: usize,
    /// Undecided.
    pub blocked: usize,
}

impl Plan {
    /// Compares each resource, in order.
    pub fn of(host: impl Into<String>, resources: &[Box<dyn Resource>], seen: &Seen) -> Self {
        let mut plan = Self {
            host: host.into(),
            ..Self::default()
        };
        for resource in resources {
            match resource.diff(seen, &plan) {
                Ok(changes) if changes.is_empty() => plan.unchanged += 1,
                Ok(changes) => plan.changes.extend(changes),
                Err(blocked) => plan.blocked.push(BlockedResource {
                    id: resource.id(),
                    why: blocked.why,
                    fix: blocked.fix,
                }),
            }
        }
        danger::mark_many(&mut plan.changes);
        plan
    }

    /// Whether the resource with this id is to be changed.
    pub fn changes(&self, id: &str) -> bool {
        self.changes.iter().any(|change| change.id == id)
    }

    /// Nothing to do and nothing undecided.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.blocked.is_empty()
    }

    /// How many of each sort.
    pub fn count(&self) -> Count {
        let of = |sign| self.changes.iter().filter(|c| c.sign == sign).count();
        Count {
            create: of(Sign::Create),
            update: of(Sign::Update),
            delete: of(Sign::Delete),
            run: of(Sign::Run),
            unchanged: self.unchanged,
            blocked: self.blocked.len(),
        }
    }

    /// The changes whose danger was not allowed.
    pub fn refused(&self, allowed: &BTreeSet<String>) -> Vec<Refused<'_>> {
        let refused = self.changes.iter().filter_map(|change| {
            let danger = change.danger.as_ref()?;
            let missing = danger.missing(allowed);
            let refused = Refused {
                change,
                danger,
                missing,
            };
            (!refused.missing.is_empty()).then_some(refused)
        });
        refused.collect()
    }
}

//! Where in the file each part of the configuration stands, so that a rule
//! which knows only the configuration can point into the file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::diagnostic::Span;

/// The way to a part: `domains`, `wac.tax`, `forward`, `i`. Names are
/// canonical; an index of a list is its number.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(Vec<String>);

impl Path {
    /// The path with these steps.
    pub fn of<S: Into<String>>(steps: impl IntoIterator<Item = S>) -> Self {
        Self(steps.into_iter().map(Into::into).collect())
    }

    /// One step further.
    #[must_use]
    pub fn then(&self, step: impl fmt::Display) -> Self {
        let mut steps = self.0.clone();
        steps.push(step.to_string());
        Self(steps)
    }

    /// One step back; `None` at the root.
    pub fn parent(&self) -> Option<Self> {
        self.0.split_last().map(|(_, rest)| Self(rest.to_vec()))
    }

    /// The last step.
    pub fn last(&self) -> Option<&str> {
        self.0.last().map(String::as_str)
    }

    /// Whether this is `whole` or a part of it.
    pub fn is_in(&self, whole: &Path) -> bool {
        self.0.starts_with(&whole.0)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    key: Option<Span>,
    /// Only of scalars: a collection is pointed at by its key.
    value: Option<Span>,
}

/// The places of a file's parts.
#[derive(Clone, Debug, Default)]
pub struct Places {
    places: BTreeMap<Path, Place>,
    /// Parts that are wrong in themselves and were left out.
    broken: BTreeSet<Path>,
}

impl Places {
    /// Notes where a key stands.
    pub fn key(&mut self, path: &Path, span: Span) {
        self.places.entry(path.clone()).or_default().key = Some(span);
    }

    /// Notes where a scalar stands.
    pub fn value(&mut self, path: &Path, span: Span) {
        self.places.entry(path.clone()).or_default().value = Some(span);
    }

    /// Notes that a part was left out.
    pub fn broke(&mut self, path: &Path) {
        self.broken.insert(path.clone());
    }

    /// Where a part stands: its value if it is a scalar, else its key; of
    /// what is not in the file, the closest part around it that is.
    pub fn span(&self, path: &Path) -> Option<Span> {
        self.find(path, |place| place.value.or(place.key))
    }

    /// Where the part's key stands.
    pub fn key_span(&self, path: &Path) -> Option<Span> {
        self.find(path, |place| place.key.or(place.value))
    }

    fn find(&self, path: &Path, pick: impl Fn(&Place) -> Option<Span>) -> Option<Span> {
        let mut at = Some(path.clone());
        while let Some(path) = at {
            if let Some(span) = self.places.get(&path).and_then(&pick) {
                return Some(span);
            }
            at = path.parent();
        }
        None
    }

    /// Whether the file says something there.
    pub fn has(&self, path: &Path) -> bool {
        self.places.contains_key(path)
    }

    /// Whether the part itself, or what is around it, was left out.
    pub fn is_broken(&self, path: &Path) -> bool {
        self.broken.iter().any(|broken| path.is_in(broken))
    }

    /// Whether nothing in this part, and nothing around it, was left out: a
    /// rule about what is missing asks this first.
    pub fn whole(&self, path: &Path) -> bool {
        !self
            .broken
            .iter()
            .any(|broken| broken.is_in(path) || path.is_in(broken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_pointed_at_by_what_is_around_it() {
        let mut places = Places::default();
        let host = Path::of(["host"]);
        let span = Span {
            line: 3,
            column: 1,
            length: 4,
        };
        places.key(&host, span);
        assert_eq!(places.span(&host.then("ipv4")), Some(span));
        assert_eq!(places.span(&Path::of(["dns"])), None);
    }

    #[test]
    fn a_hole_makes_the_parts_around_it_unwhole_but_not_those_beside_it() {
        let mut places = Places::default();
        let users = Path::of(["domains", "a.example", "users"]);
        places.broke(&users.then("x"));
        assert!(!places.whole(&users));
        assert!(!places.whole(&Path::of(["domains"])));
        assert!(places.whole(&users.then("y")));
        assert!(places.whole(&Path::of(["domains", "a.example.org"])));
    }
}

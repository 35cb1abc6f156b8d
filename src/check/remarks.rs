//! Several remarks on one aspect, of which the worst decides.

use super::finding::{About, Finding};

/// What is to be said of one aspect of one subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remarks {
    fails: Vec<(String, String)>,
    warns: Vec<(String, String)>,
}

impl Remarks {
    /// Something that is not as it should be, and what to do.
    pub fn fail(&mut self, found: impl Into<String>, fix: impl Into<String>) {
        self.fails.push((found.into(), fix.into()));
    }

    /// Something that works but should be better, and what to do.
    pub fn warn(&mut self, found: impl Into<String>, fix: impl Into<String>) {
        self.warns.push((found.into(), fix.into()));
    }

    /// Whether anything fails.
    pub fn fails(&self) -> bool {
        !self.fails.is_empty()
    }

    /// Takes over what `other` says.
    pub fn extend(&mut self, other: Self) {
        self.fails.extend(other.fails);
        self.warns.extend(other.warns);
    }

    /// The finding: all remarks, the failing ones first, or a pass that found `good`.
    pub fn settle(self, about: About<'_>, good: impl Into<String>) -> Finding {
        let fails = self.fails();
        let remarks: Vec<(String, String)> = self.fails.into_iter().chain(self.warns).collect();
        if remarks.is_empty() {
            return about.pass(good);
        }
        let (found, mut fixes): (Vec<String>, Vec<String>) = remarks.into_iter().unzip();
        // Several remarks may ask for the same deed.
        let mut seen = std::collections::BTreeSet::new();
        fixes.retain(|fix| seen.insert(fix.clone()));
        let (found, fix) = (found.join("; "), fixes.join("; "));
        if fails {
            about.fail(found, fix)
        } else {
            about.warn(found, fix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Aspect, Verdict};

    const COLOUR: Aspect = Aspect {
        id: "sky.colour",
        wanted: "blue",
        why: "It is nicer.",
    };

    #[test]
    fn the_worst_remark_decides_and_all_are_told() {
        let settle = |remarks: &Remarks| {
            let finding = remarks.clone().settle(COLOUR.of("sky"), "blue");
            (finding.verdict, finding.found, finding.fix)
        };
        let mut remarks = Remarks::default();
        assert_eq!(
            settle(&remarks),
            (Verdict::Pass, "blue".into(), String::new())
        );
        remarks.warn("grey", "wait");
        assert_eq!(
            settle(&remarks),
            (Verdict::Warn, "grey".into(), "wait".into())
        );
        remarks.fail("black", "wait");
        assert_eq!(
            settle(&remarks),
            (Verdict::Fail, "black; grey".into(), "wait".into())
        );
    }
}

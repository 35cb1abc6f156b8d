//! What `check` is told to leave out.

use super::{Findings, at};
use crate::check::Choice;

pub(super) fn check(f: &mut Findings<'_>) {
    for (nth, word) in f.config.check.skip.iter().enumerate() {
        let choice = Choice {
            only: vec![word.clone()],
            skip: Vec::new(),
        };
        if !choice.unknown().is_empty() {
            f.error(
                &at(["check", "skip"]).then(nth),
                format!("`check` has no question or finding `{word}`"),
                "docs/check.md lists them; `spf` means all that begin with `spf.`",
            );
        }
    }
}

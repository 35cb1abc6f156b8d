//! Rules.
use super::Config;
use super::places::Places;
use super::surroundings::Surroundings;
use crate::diagnostic::Diagnostic;
/// x
pub fn check(_: &Config, _: &Places, _: &dyn Surroundings) -> Vec<Diagnostic> {
    Vec::new()
}

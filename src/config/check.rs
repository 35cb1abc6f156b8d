//! Rules across fields, for a file whose shape is right.
//!
//! Pure: the environment and the files that mail.yaml names are an argument.
//! What a single value must look like is in [`super::format`].

mod authority;
mod domains;
mod forwarding;
mod later;
mod looking;
mod network;
mod providers;
mod records;
mod secrets;
mod spf;
mod zones;

use super::Config;
use super::places::{Path, Places};
use super::surroundings::Surroundings;
use crate::diagnostic::{Diagnostic, Severity};

/// Every rule; the order does not matter, mistakes are sorted by place.
const RULES: &[fn(&mut Findings<'_>)] = &[
    zones::check,
    network::check,
    domains::check,
    forwarding::check,
    spf::check,
    records::check,
    authority::check,
    providers::check,
    secrets::check,
    later::check,
    looking::check,
];

/// What is wrong with the configuration, as far as it can be said without
/// contacting anything.
pub fn check(config: &Config, places: &Places, around: &dyn Surroundings) -> Vec<Diagnostic> {
    let mut findings = Findings {
        config,
        places,
        around,
        found: Vec::new(),
    };
    for rule in RULES {
        rule(&mut findings);
    }
    findings.found
}

/// What a rule may look at, and where it says what it found.
struct Findings<'a> {
    config: &'a Config,
    places: &'a Places,
    around: &'a dyn Surroundings,
    found: Vec<Diagnostic>,
}

impl Findings<'_> {
    fn error(&mut self, path: &Path, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Error, path, message.into(), help.into());
    }

    fn warning(&mut self, path: &Path, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Warning, path, message.into(), help.into());
    }

    fn push(&mut self, severity: Severity, path: &Path, message: String, help: String) {
        // A part that stands in for a broken one is not the author's.
        if self.places.is_broken(path) {
            return;
        }
        // A mapping that is pointed at by its own key, or a key that is wrong.
        let span = self.places.span(path);
        let mut diagnostic = Diagnostic::new(severity, message).at(path.to_string(), span);
        diagnostic.help = Some(help).filter(|help| !help.is_empty());
        self.found.push(diagnostic);
    }
}

/// The path with these steps.
fn at<const N: usize>(steps: [&str; N]) -> Path {
    Path::of(steps)
}

/// `1 domain`, `2 domains`.
fn listed<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(", ")
}

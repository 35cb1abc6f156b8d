//! What is said about a value of the wrong shape.

use super::super::guess::{all_of, guess};
use crate::diagnostic::Diagnostic;

/// Words that are booleans to YAML 1.1 and text to YAML 1.2.
pub(super) fn is_norway(text: &str) -> bool {
    matches!(
        text.to_ascii_lowercase().as_str(),
        "yes" | "no" | "on" | "off" | "true" | "false"
    )
}

pub(super) fn norway(text: &str) -> Diagnostic {
    let truth = matches!(text.to_ascii_lowercase().as_str(), "yes" | "on" | "true");
    Diagnostic::error(format!(
        "a bare `{text}` is read as {truth} by many YAML programs, and text is wanted here"
    ))
}

pub(super) fn not_a_bool(name: &str, text: &str) -> Diagnostic {
    let mistake = Diagnostic::error(format!(
        "`{name}`: `true` or `false` is wanted, this is the text `{text}`"
    ));
    match text.to_ascii_lowercase().as_str() {
        "yes" | "on" | "true" | "y" | "1" => {
            mistake.help(format!("write `{name}: true`, without quotes"))
        }
        "no" | "off" | "false" | "n" | "0" => {
            mistake.help(format!("write `{name}: false`, without quotes"))
        }
        _ => mistake,
    }
}

pub(super) fn unknown(what: &str, found: &str, place: &str, known: &[&str]) -> Diagnostic {
    match guess(found, known.iter().copied()) {
        Some(meant) => Diagnostic::error(format!(
            "unknown {what} `{found}`{place}, did you mean `{meant}`?"
        )),
        None => Diagnostic::error(format!("unknown {what} `{found}`{place}"))
            .help(format!("known here: {}", all_of(known))),
    }
}

//! A failure as it is told to people: what failed, where, and what to do.

use std::error::Error;
use std::fmt;

/// What a fallible function of this crate returns.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// How the process ends; the numbers are part of the contract with pipelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything is as wished.
    Ok = 0,
    /// Something failed.
    Failed = 1,
    /// `plan --detailed-exitcode`: changes are pending.
    Pending = 2,
    /// mail.yaml is unsound.
    Unsound = 3,
    /// Refused: unsafe without `--allow`.
    Refused = 4,
    /// A step is left for a person.
    Person = 5,
    /// Applied in part.
    Partial = 6,
}

/// A failure, told once, at the rim, by `main`.
///
/// `Display` gives only this level's sentence; [`Failure::told`] prints the
/// whole chain of causes and the hint.
pub struct Failure(Box<Inner>);

struct Inner {
    what: String,
    hint: Option<String>,
    exit: Exit,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// `what` says what failed and where, without a full stop.
    pub fn new(what: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            what: what.into(),
            hint: None,
            exit: Exit::Failed,
            source: None,
        }))
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The exit code it leads to, where that is not 1.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.0.exit = exit;
        self
    }

    /// The cause below this one.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The exit code: this level's, or the first below it that is not plain 1.
    pub fn code(&self) -> Exit {
        if self.0.exit != Exit::Failed {
            return self.0.exit;
        }
        let below = self
            .0
            .source
            .as_deref()
            .and_then(|s| s.downcast_ref::<Failure>());
        below.map_or(Exit::Failed, Failure::code)
    }

    /// The innermost hint, which is the one closest to what went wrong.
    pub fn advice(&self) -> Option<&str> {
        let below = self
            .0
            .source
            .as_deref()
            .and_then(|s| s.downcast_ref::<Failure>());
        below.and_then(Failure::advice).or(self.0.hint.as_deref())
    }

    /// The whole story in lines: the sentence, its causes, the hint.
    pub fn told(&self) -> String {
        let mut text = self.chain();
        if let Some(hint) = self.advice() {
            text.push_str("\n  do: ");
            text.push_str(hint);
        }
        text
    }

    /// The sentence and its causes in one line, causes after colons.
    pub fn chain(&self) -> String {
        let mut text = self.0.what.clone();
        let mut source = self.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            // Many libraries repeat their source in their own Display.
            if !text.ends_with(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            source = cause.source();
        }
        text
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told())
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|s| s as &(dyn Error + 'static))
    }
}

/// Adds what was being done to an error from below.
pub trait Context<T> {
    /// Wraps the error; `what` says what failed and where.
    fn context(self, what: impl Into<String>) -> Result<T>;
    /// The same with a sentence that is only made when needed.
    fn with_context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl Into<String>) -> Result<T> {
        self.map_err(|e| Failure::new(what).because(e))
    }
    fn with_context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| Failure::new(what()).because(e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_hint_and_exit_win() {
        let inner = Failure::new("port 22 is closed")
            .hint("open it")
            .exit(Exit::Person);
        let outer = Failure::new("cannot reach the server")
            .hint("try later")
            .because(inner);
        assert_eq!(
            outer.told(),
            "cannot reach the server: port 22 is closed\n  do: open it"
        );
        assert_eq!(outer.code(), Exit::Person);
    }
}

//! Which part of the journal: the `journalctl` that reads it.

use std::fmt::Write;

use super::journal::FIELDS;
use crate::observe::quote;

/// A point in time as journalctl takes it (systemd.time(7)), in UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Since(String);

impl Since {
    /// Reads `2026-11-25 10:00`, `today`, `-1h`, `1h ago`; a span such as `90m` means so long ago.
    ///
    /// # Errors
    /// A sentence, when journalctl could not read it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let good = |c: char| c.is_ascii_alphanumeric() || " :.+-@".contains(c);
        if text.is_empty() || text.len() > 60 || !text.chars().all(good) {
            return Err(format!(
                "`{text}` is no time: write -1h, today, yesterday or \"2026-11-25 10:00\" (UTC)"
            ));
        }
        let bare = text.ends_with(|c: char| c.is_ascii_alphabetic())
            && text.starts_with(|c: char| c.is_ascii_digit())
            && text.chars().all(|c| c.is_ascii_alphanumeric());
        Ok(Self(if bare {
            format!("-{text}")
        } else {
            text.to_owned()
        }))
    }
}

/// What to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// From when on; `None`: from the beginning.
    pub since: Option<Since>,
    /// At most so many lines, the last ones.
    pub lines: Option<u32>,
    /// Only lines that have one of these words in them.
    pub words: Vec<String>,
    /// Go on with what is written from now on; [`super::follow`] sets it.
    pub follow: bool,
}

impl Since {
    /// So many seconds since 1970.
    pub fn at(seconds: i64) -> Self {
        Self(format!("@{seconds}"))
    }
}

impl Query {
    /// A shell command that prints a line for each entry, for [`super::Entry::parse`].
    /// Everything in it that is not ours is quoted.
    pub fn command(&self) -> String {
        // Times are UTC, whatever the server's own zone is.
        let mut command = format!(
            "TZ=UTC journalctl --quiet --no-pager --all --output=json --output-fields={FIELDS} \
             --unit=chasquid.service --unit='chasquid-*.socket'"
        );
        if let Some(Since(since)) = &self.since {
            let _ = write!(command, " --since={}", quote(since));
        }
        if let Some(lines) = self.lines {
            let _ = write!(command, " --lines={lines}");
        }
        if self.follow {
            command.push_str(" --follow");
            if self.lines.is_none() {
                command.push_str(" --no-tail");
            }
        }
        if !self.words.is_empty() {
            command.push_str(" | grep -aF");
            for word in &self.words {
                let _ = write!(command, " -e {}", quote(word));
            }
            // That there is no such line is no failure.
            command.push_str(" || [ $? = 1 ]");
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, journalctl) in [
            ("-1h", "-1h"),
            ("1h", "-1h"),
            ("1h30m", "-1h30m"),
            ("today", "today"),
            ("2026-11-25 10:00", "2026-11-25 10:00"),
            ("2 days ago", "2 days ago"),
            ("@1795647653", "@1795647653"),
            (" -5min ", "-5min"),
        ] {
            assert_eq!(Since::parse(text), Ok(Since(journalctl.into())), "{text}");
        }
        let long = "1".repeat(61);
        for text in ["", "  ", "'; reboot; '", "$(id)", "today\n", "a|b", &long] {
            let read = Since::parse(text);
            assert!(
                read.is_err() || text.trim() == "today",
                "{text} is taken for a time"
            );
        }
    }

    #[test]
    fn what_users_type_reaches_no_shell() {
        let query = Query {
            since: Some(Since("it's; id".into())),
            lines: Some(7),
            words: vec!["a'b@example.com".into(), "-e".into()],
            follow: true,
        };
        let command = query.command();
        assert!(command.contains(r"--since='it'\''s; id' --lines=7 --follow | grep"));
        assert!(command.ends_with(r"grep -aF -e 'a'\''b@example.com' -e '-e' || [ $? = 1 ]"));
    }
}

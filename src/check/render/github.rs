//! Annotations of GitHub workflows: commands on standard output, one a line
//! (docs.github.com, "Workflow commands for GitHub Actions").

use super::subjects::{Subject, advice, subjects};
use super::tame;
use crate::check::{Report, Verdict};

/// An error, a warning or a notice for everything that does not pass.
pub fn annotations(report: &Report) -> String {
    subjects(report).iter().map(of_subject).collect()
}

/// Text in which the runner sees no commands: a foreign server's answer could
/// be one. Nobody must be able to guess `token`.
pub fn without_commands(text: &str, token: &str) -> String {
    format!(
        "::stop-commands::{token}\n{}\n::{token}::\n",
        text.trim_end()
    )
}

fn of_subject(subject: &Subject) -> String {
    let mut lines = String::new();
    for entry in subject.entries() {
        let level = match entry.finding.verdict {
            Verdict::Pass => continue,
            Verdict::Warn => "warning",
            Verdict::Fail => "error",
            Verdict::Skip => "notice",
        };
        let title = property(&format!("{} of {}", entry.ids(), tame(subject.name)));
        let mut message = tame(&entry.finding.found);
        if entry.finding.verdict == Verdict::Skip {
            message.insert_str(0, "could not be asked: ");
        } else {
            for (label, text) in advice(entry.finding) {
                message.push_str(&format!("\n{label}: {text}"));
            }
        }
        lines.push_str(&format!("::{level} title={title}::{}\n", data(&message)));
    }
    lines
}

/// The escapes of a message.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The escapes of a property, which ends at a comma or a colon.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn everything_but_passes_is_annotated_in_one_line_each() {
        let text = annotations(&sample::report());
        let commands: Vec<(&str, &str)> = text
            .lines()
            .map(|line| {
                let (command, message) = line[2..].split_once("::").expect("a command");
                assert!(line.starts_with("::") && !message.is_empty(), "{line}");
                command.split_once(" title=").expect("a title")
            })
            .collect();
        assert_eq!(
            commands,
            [
                ("error", "spf.record of wac.tax"),
                ("warning", "dmarc.policy of bücher.example"),
                ("warning", "mx.greeting.25 of 203.0.113.7"),
                ("warning", "tls.days.587 of 203.0.113.7"),
                ("error", "host.ptr of 2a02%3Ac207%3A%3A7"),
                (
                    "notice",
                    "mx.greeting.25%2C tls.days.25%2C .465%2C .587 of 2a02%3Ac207%3A%3A7"
                ),
            ]
        );
    }

    #[test]
    fn what_a_server_says_is_no_command() {
        let text = annotations(&sample::report());
        let line = text.lines().find(|line| line.contains("<script>"));
        assert_eq!(
            line,
            Some(
                "::warning title=mx.greeting.25 of 203.0.113.7::220 <script>alert(1)</script> \
                 \u{fffd}[2J & \"quoted\"  ::error::no, 100%25%0Awanted: 220 and the host's name\
                 %0Awhy: A server that does not greet takes no mail (RFC 5321 section 4.2).\
                 %0Ado: greet with the host's name"
            )
        );
        assert_eq!(
            without_commands("a\n  ::error::b\n\n", "1f"),
            "::stop-commands::1f\na\n  ::error::b\n::1f::\n"
        );
    }
}

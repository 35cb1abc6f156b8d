//! A table for a terminal, grouped by subject.

use std::collections::HashSet;

use textwrap::{Options, WordSplitter};
use unicode_width::UnicodeWidthStr;

use super::subjects::{Entry, Subject, advice, subjects};
use super::tame;
use crate::check::{Report, Tally, Verdict};
use crate::render::Paint;

/// The findings as lines, at most `width` columns wide; with `brief` only those that do not pass.
pub fn text(report: &Report, paint: Paint, width: usize, brief: bool) -> String {
    let mut subjects = subjects(report);
    if brief {
        for subject in &mut subjects {
            subject.findings.retain(|f| f.verdict != Verdict::Pass);
        }
        subjects.retain(|subject| !subject.findings.is_empty());
    }
    let mut table = Table::new(&subjects, paint, width);
    let mut text = String::new();
    for subject in &subjects {
        text.push_str(&table.subject(subject));
    }
    if report.domains.len() > 1 && report.fails() {
        text.push_str(&table.failures(&subjects));
    }
    text + &tally(report.summary) + "\n"
}

/// How many of each verdict, in a sentence.
pub fn tally(tally: Tally) -> String {
    let warnings = plural(tally.warn);
    format!(
        "{} passed, {} {warnings}, {} failed, {} could not be asked.",
        tally.pass, tally.warn, tally.fail, tally.skip
    )
}

/// The word for so many warnings.
pub fn plural(warnings: usize) -> &'static str {
    if warnings == 1 { "warning" } else { "warnings" }
}

/// What stands before an id: two spaces, the verdict's word, two spaces.
const MARGIN: usize = 8;
/// Sentences in longer lines are hard to read.
const PROSE: usize = 110;
/// So many subjects that fail are named at the end.
const NAMED: usize = 10;

/// Columns and colours.
struct Table {
    paint: Paint,
    width: usize,
    /// How wide ids are.
    column: usize,
    /// What is wanted, and why, as far as it was said: once does.
    told: HashSet<(&'static str, String)>,
}

impl Table {
    fn new(subjects: &[Subject], paint: Paint, width: usize) -> Self {
        let entries = subjects.iter().flat_map(Subject::entries);
        let widths = entries.map(|entry| entry.ids().width());
        // Ids that are longer stand in lines of their own.
        let widest = (width / 3).min(40);
        Self {
            paint,
            width,
            column: widths.filter(|w| *w <= widest).max().unwrap_or_default(),
            told: HashSet::new(),
        }
    }

    fn subject(&mut self, subject: &Subject) -> String {
        let heading = self.paint.with("1", &tame(subject.name));
        let entries: String = subject.entries().iter().map(|e| self.entry(e)).collect();
        format!("{heading}\n{entries}\n")
    }

    fn entry(&mut self, entry: &Entry) -> String {
        let verdict = entry.finding.verdict;
        let (ids, found) = (entry.ids(), entry.found());
        let found_at = MARGIN + self.column + 2;
        let mut lines = if ids.width() <= self.column {
            let gap = " ".repeat(self.column - ids.width());
            self.wrapped(&found, &format!("        {ids}{gap}  "), self.width)
        } else {
            let ids = self.wrapped(&ids, &" ".repeat(MARGIN), self.width);
            ids + &self.wrapped(&found, &" ".repeat(found_at), self.width)
        };
        if matches!(verdict, Verdict::Warn | Verdict::Fail) {
            for (label, text) in advice(entry.finding) {
                if label != "do" && !self.told.insert((label, text.clone())) {
                    continue;
                }
                let lead = format!("{}{label}: ", " ".repeat(MARGIN));
                lines.push_str(&self.wrapped(&text, &lead, self.width.min(PROSE)));
            }
        }
        let word = self.paint.with(colour(verdict), verdict.word());
        format!("  {word}{}", &lines["  pass".len()..])
    }

    /// Lines of words, the first behind `lead`, the others below it.
    fn wrapped(&self, words: &str, lead: &str, width: usize) -> String {
        let indent = " ".repeat(lead.width());
        let options = Options::new(width)
            .initial_indent(lead)
            .subsequent_indent(&indent)
            .word_splitter(WordSplitter::NoHyphenation);
        textwrap::fill(words, options) + "\n"
    }

    /// Where many domains pass by, those that do not are named once more.
    fn failures(&self, subjects: &[Subject]) -> String {
        let failing = |subject: &Subject| {
            let entries = subject.entries().into_iter();
            let failed = entries.filter(|entry| entry.finding.verdict == Verdict::Fail);
            let ids: Vec<String> = failed.map(|entry| entry.ids()).collect();
            (!ids.is_empty()).then(|| format!("{} ({})", tame(subject.name), ids.join(", ")))
        };
        let failing: Vec<String> = subjects.iter().filter_map(failing).collect();
        let mut names = failing[..failing.len().min(NAMED)].join(", ");
        if failing.len() > NAMED {
            names.push_str(&format!(" and {} more", failing.len() - NAMED));
        }
        self.wrapped(&format!("Failed: {names}."), "", self.width.min(PROSE))
    }
}

/// The colour of a verdict's word.
fn colour(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "32",
        Verdict::Warn => "33",
        Verdict::Fail => "31",
        Verdict::Skip => "36",
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn plain(width: usize, brief: bool) -> String {
        text(&sample::report(), Paint(false), width, brief)
    }

    #[test]
    fn each_subject_is_a_table_in_80_columns() {
        let begins = "\
wac.tax
  fail  spf.record         2 records: v=spf1 mx ~all and v=spf1
                           include:_spf.google.com -all
        wanted: one record that begins with v=spf1
        why: Receivers take two records for none that is valid (RFC 7208 section
             4.5). Gmail then answers 550-5.7.27.
        do: make them one: v=spf1 mx include:_spf.google.com ~all
  pass  dkim.key           s20261122: rsa,
                           MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwm3Xr5yY7
                           mT0Qz1gk2hC6J8pV9nB4sD7fK3lN5xRtZuAeWqSvHjGoIcPiUyTbM
                           dLkFwEaXsZrVhJgNfOqYxCmB

bücher.example
";
        let ends = "
2a02:c207::7
  fail  host.ptr           no PTR record
        wanted: one PTR record, to the name that the server greets with
        why: Gmail answers 550-5.7.25 to senders without a reverse name that
             leads back.
        do: at the hoster, set 2a02:c207::7 to smtp.wac.tax
  skip  mx.greeting.25, tls.days.25, .465, .587
                           port 25 is closed on the way from here:
                           gmail-smtp-in.l.google.com does not answer over IPv6
                           either

Failed: wac.tax (spf.record), 2a02:c207::7 (host.ptr).
5 passed, 3 warnings, 2 failed, 4 could not be asked.
";
        let text = plain(80, false);
        assert!(text.starts_with(begins) && text.ends_with(ends), "{text}");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_none_steers_it() {
        let mut report = sample::report();
        report.results[0].found = "邮件 ".repeat(60);
        for width in [60, 80, 120, 200] {
            let text = text(&report, Paint(false), width, false);
            for line in text.lines() {
                assert!(line.width() <= width, "{width}: {line}");
            }
            assert!(!text.contains(['\u{1b}', '\r']), "{text}");
        }
    }

    #[test]
    fn in_brief_nothing_that_passes_is_told() {
        let text = plain(200, true);
        assert!(
            !text.contains("  pass  ") && !text.contains("\nsmtp.wac.tax\n"),
            "{text}"
        );
        assert!(
            text.contains("\n  skip  mx.greeting.25, tls.days.25, .465, .587  port 25 is closed"),
            "{text}"
        );
        assert!(text.ends_with("5 passed, 3 warnings, 2 failed, 4 could not be asked.\n"));
        let passes = sample::findings()
            .into_iter()
            .filter(|f| f.verdict == Verdict::Pass);
        let report = Report::new(vec!["wac.tax".into()], passes.collect());
        assert_eq!(
            super::text(&report, Paint(false), 80, true),
            "5 passed, 0 warnings, 0 failed, 0 could not be asked.\n"
        );
    }

    #[test]
    fn colour_changes_no_word() {
        let painted = text(&sample::report(), Paint(true), 80, false);
        assert!(
            painted.contains("  \u{1b}[31mfail\u{1b}[0m  spf.record"),
            "{painted}"
        );
        let mut plainly = painted;
        for code in ["[1m", "[31m", "[32m", "[33m", "[36m", "[0m"] {
            plainly = plainly.replace(&format!("\u{1b}{code}"), "");
        }
        assert_eq!(plainly, plain(80, false));
    }

    #[test]
    fn why_is_told_once_and_what_to_do_each_time() {
        let mut findings = sample::findings();
        let mut other = findings[0].clone();
        other.subject = "bücher.example".into();
        findings.push(other);
        let report = Report::new(vec!["wac.tax".into()], findings);
        let text = text(&report, Paint(false), 80, false);
        let count = |part: &str| text.matches(part).count();
        let parts = [
            "fail  spf.record",
            "one record that",
            "two records",
            "do: make them one",
        ];
        assert_eq!(parts.map(count), [2, 1, 1, 2], "{text}");
    }

    #[test]
    fn only_so_many_failures_are_named_at_the_end() {
        let failed = sample::findings().remove(0);
        let domains: Vec<String> = (1..=12).map(|n| format!("d{n}.example")).collect();
        let findings = domains.iter().map(|domain| {
            let mut finding = failed.clone();
            finding.subject.clone_from(domain);
            finding
        });
        let report = Report::new(domains.clone(), findings.collect());
        let text = text(&report, Paint(false), 80, true);
        let (_, ends) = text.split_once("Failed: ").expect("a sentence");
        let words: Vec<&str> = ends.split_whitespace().collect();
        let sentence = words.join(" ");
        assert!(
            sentence.starts_with("d1.example (spf.record), d2.example (spf.record), "),
            "{sentence}"
        );
        assert!(
            sentence.contains("d10.example (spf.record) and 2 more. 0 passed"),
            "{sentence}"
        );
    }
}

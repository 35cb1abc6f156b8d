//! One page that asks for nothing but itself, to be sent to someone.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, context, value};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::subjects::{Entry, Subject, advice, subjects};
use super::tame;
use super::text::{plural, tally};
use crate::check::{Report, Tally, Verdict};
use crate::failure::{Context, Result};

const TEMPLATE: &str = include_str!("../../../templates/check.html");
/// So many domains are named in the title.
const NAMED: usize = 3;

/// The findings as a page, looked for at `now`.
///
/// # Errors
/// Only when the template itself is broken.
pub fn html(report: &Report, now: OffsetDateTime) -> Result<String> {
    let format =
        format_description!("[day padding:none] [month repr:long] [year], [hour]:[minute] UTC");
    let now = now.to_offset(time::UtcOffset::UTC);
    let subjects: Vec<Shown> = subjects(report).iter().enumerate().map(Shown::of).collect();
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).build();
    environment.set_syntax(syntax.context("minijinja")?);
    // Values are escaped because of the name's ending.
    environment
        .render_named_str(
            "check.html",
            TEMPLATE,
            context! {
                domains => named(&report.domains),
                date => now.format(format).context("the date")?,
                datetime => now.format(&Rfc3339).context("the date")?,
                tally => value::Serde(&report.summary),
                sentence => tally(report.summary),
                subjects => value::Serde(&subjects),
                version => env!("CARGO_PKG_VERSION"),
            },
        )
        .context("templates/check.html")
}

/// The first of them, and how many more there are.
fn named(domains: &[String]) -> String {
    let (first, more) = domains.split_at(domains.len().min(NAMED));
    let first = first.join(", ");
    match more.len() {
        0 => first,
        count => format!("{first} and {count} more"),
    }
}

/// A subject as the template wants it.
#[derive(Serialize)]
struct Shown {
    name: String,
    /// What links within the page point to.
    anchor: String,
    tally: Tally,
    /// The tally in words.
    told: String,
    entries: Vec<ShownEntry>,
}

#[derive(Serialize)]
struct ShownEntry {
    verdict: &'static str,
    /// So that colour is not alone in saying it.
    sign: &'static str,
    ids: String,
    found: String,
    advice: Vec<(&'static str, String)>,
    /// Whether what is behind it is shown at once.
    open: bool,
}

impl Shown {
    fn of((nth, subject): (usize, &Subject)) -> Self {
        let tally = subject.tally();
        let counts = [
            (tally.fail, "failed"),
            (tally.warn, plural(tally.warn)),
            (tally.pass, "passed"),
            (tally.skip, "not asked"),
        ];
        let told = counts.iter().filter(|(count, _)| *count > 0);
        let told: Vec<String> = told
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        Self {
            name: tame(subject.name),
            anchor: format!("subject-{}", nth + 1),
            tally,
            told: told.join(", "),
            entries: subject.entries().iter().map(ShownEntry::of).collect(),
        }
    }
}

impl ShownEntry {
    fn of(entry: &Entry) -> Self {
        let finding = entry.finding;
        let sign = match finding.verdict {
            Verdict::Pass => "✓",
            Verdict::Warn => "!",
            Verdict::Fail => "✕",
            Verdict::Skip => "?",
        };
        Self {
            verdict: finding.verdict.word(),
            sign,
            ids: entry.ids(),
            found: entry.found(),
            // Several questions may be skipped for one reason.
            advice: match finding.verdict {
                Verdict::Skip => Vec::new(),
                _ => advice(finding),
            },
            open: matches!(finding.verdict, Verdict::Warn | Verdict::Fail),
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::super::markup::{Element, elements};
    use super::super::sample;
    use super::*;

    fn page(report: &Report) -> String {
        html(report, datetime!(2026-11-22 12:00 UTC)).expect("a page")
    }

    fn texts(elements: &[Element], name: &str) -> Vec<String> {
        let of_name = elements.iter().filter(|element| element.name == name);
        of_name.map(|element| element.text.clone()).collect()
    }

    #[test]
    fn every_finding_is_told_and_what_servers_say_is_only_text() {
        let report = sample::report();
        let page = page(&report);
        let elements = elements(&page);
        let all = texts(&elements, "html").concat();
        for finding in &report.results {
            assert!(all.contains(&tame(&finding.found)), "{}", finding.found);
            assert!(
                all.contains(&finding.fix.replace('`', "")),
                "{}",
                finding.fix
            );
        }
        assert!(
            all.contains("220 <script>alert(1)</script> \u{fffd}[2J"),
            "{all}"
        );
        assert_eq!(texts(&elements, "script"), [""; 0]);
        assert_eq!(
            texts(&elements, "title"),
            ["Mail of wac.tax, bücher.example, 22 November 2026, 12:00 UTC"]
        );
        assert!(texts(&elements, "code").contains(&"mailctl apply".to_owned()));
    }

    #[test]
    fn what_is_wrong_is_open_and_what_was_not_asked_has_nothing_to_open() {
        let elements = elements(&page(&sample::report()));
        let rows = elements
            .iter()
            .filter(|e| ["details", "div"].contains(&e.name.as_str()));
        let mut seen = Vec::new();
        for row in rows {
            let class = row.attributes["class"].as_str();
            let open = row.attributes.contains_key("open");
            match class {
                "fail" | "warn" => assert!(open && row.text.contains("why"), "{row:?}"),
                "pass" => assert!(!open && row.name == "details", "{row:?}"),
                "alone skip" => assert!(!row.text.contains("why"), "{row:?}"),
                _ => continue,
            }
            seen.push(class);
        }
        let count = |class| seen.iter().filter(|seen| **seen == class).count();
        assert_eq!(
            ["fail", "warn", "pass", "alone skip"].map(count),
            [2, 3, 4, 1]
        );
    }

    #[test]
    fn the_page_asks_for_nothing_but_itself() {
        let page = page(&sample::report());
        assert!(!page.contains("url(") && !page.contains("@import"));
        let elements = elements(&page);
        let ids: Vec<&String> = elements
            .iter()
            .filter_map(|e| e.attributes.get("id"))
            .collect();
        assert_eq!(ids.len(), 5, "{ids:?}");
        let mut links = 0;
        for (name, value) in elements.iter().flat_map(|e| &e.attributes) {
            assert!(!name.starts_with("on") && name != "style", "{name}");
            if ["src", "href", "action", "srcset", "poster", "data"].contains(&name.as_str()) {
                let within = value
                    .strip_prefix('#')
                    .is_some_and(|id| ids.iter().any(|i| *i == id));
                assert!(within || value == "data:,", "{name}={value}");
                links += 1;
            }
        }
        assert_eq!(
            links, 5,
            "four subjects that are not as they should be, and no icon"
        );
    }

    #[test]
    fn many_domains_are_named_in_short() {
        let domains: Vec<String> = (1..=5).map(|n| format!("d{n}.example")).collect();
        assert_eq!(
            named(&domains),
            "d1.example, d2.example, d3.example and 2 more"
        );
        assert_eq!(named(&domains[..1]), "d1.example");
    }
}

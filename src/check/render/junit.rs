//! JUnit XML, which CI servers show as tests: a suite a subject, a case a finding.

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use std::io::{Result, Write};

use super::subjects::{Subject, advice, subjects};
use super::tame;
use crate::check::{Finding, Report, Tally, Verdict};

/// The findings as a document.
///
/// # Errors
/// When it cannot be written.
pub fn junit(report: &Report) -> Result<String> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let counts = counts(report.summary);
    writer
        .create_element("testsuites")
        .with_attribute(("name", "mailctl check"))
        .with_attributes(pairs(&counts))
        .write_inner_content(|writer| {
            let mut subjects = subjects(report).into_iter();
            subjects.try_for_each(|subject| suite(writer, &subject))
        })?;
    let document = writer.into_inner();
    Ok(String::from_utf8_lossy(&document).into_owned())
}

fn suite(writer: &mut Writer<impl Write>, subject: &Subject) -> Result<()> {
    let counts = counts(subject.tally());
    writer
        .create_element("testsuite")
        .with_attribute(("name", tame(subject.name).as_str()))
        .with_attributes(pairs(&counts))
        .write_inner_content(|writer| subject.findings.iter().try_for_each(|f| case(writer, f)))?;
    Ok(())
}

fn case(writer: &mut Writer<impl Write>, finding: &Finding) -> Result<()> {
    let found = tame(&finding.found);
    let told: Vec<String> = advice(finding)
        .into_iter()
        .map(|(label, text)| format!("{label}: {text}"))
        .collect();
    writer
        .create_element("testcase")
        .with_attribute(("classname", tame(&finding.subject).as_str()))
        .with_attribute(("name", finding.id.as_str()))
        .write_inner_content(|writer| {
            let element = match finding.verdict {
                Verdict::Pass | Verdict::Warn => writer.create_element("system-out"),
                Verdict::Fail => writer
                    .create_element("failure")
                    .with_attribute(("type", "fail"))
                    .with_attribute(("message", found.as_str())),
                Verdict::Skip => {
                    writer
                        .create_element("skipped")
                        .with_attribute(("message", found.as_str()))
                        .write_empty()?;
                    return Ok(());
                }
            };
            let text = match finding.verdict {
                Verdict::Pass => found.clone(),
                // There is no element for it: the test counts as passed.
                Verdict::Warn => format!("warn: {found}\n{}", told.join("\n")),
                _ => told.join("\n"),
            };
            element.write_text_content(BytesText::new(&text))?;
            Ok(())
        })?;
    Ok(())
}

fn counts(tally: Tally) -> [(&'static str, String); 4] {
    [
        ("tests", tally.pass + tally.warn + tally.fail + tally.skip),
        ("failures", tally.fail),
        ("errors", 0),
        ("skipped", tally.skip),
    ]
    .map(|(name, count)| (name, count.to_string()))
}

fn pairs<'a>(counts: &'a [(&'static str, String)]) -> impl Iterator<Item = (&'a str, &'a str)> {
    counts.iter().map(|(name, count)| (*name, count.as_str()))
}

#[cfg(test)]
mod tests {
    use super::super::markup::{Element, elements};
    use super::super::sample;
    use super::*;

    fn named<'a>(elements: &'a [Element], name: &str) -> Vec<&'a Element> {
        elements
            .iter()
            .filter(|element| element.name == name)
            .collect()
    }

    #[test]
    fn a_suite_a_subject_and_a_case_a_finding() {
        let report = sample::report();
        let document = junit(&report).expect("a document");
        let elements = elements(&document);
        let suites = named(&elements, "testsuite");
        let counts = ["name", "tests", "failures", "skipped"];
        let shown: Vec<[&str; 4]> = suites
            .iter()
            .map(|suite| counts.map(|count| suite.attributes[count].as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                ["wac.tax", "2", "1", "0"],
                ["bücher.example", "1", "0", "0"],
                ["smtp.wac.tax", "1", "0", "0"],
                ["203.0.113.7", "5", "0", "0"],
                ["2a02:c207::7", "5", "1", "4"],
            ]
        );
        let all = named(&elements, "testsuites")[0];
        assert_eq!(
            counts[1..]
                .iter()
                .map(|c| all.attributes[*c].as_str())
                .collect::<Vec<_>>(),
            ["14", "2", "4"]
        );
        assert_eq!(named(&elements, "testcase").len(), report.results.len());
        assert_eq!(named(&elements, "skipped").len(), 4);
    }

    #[test]
    fn what_failed_says_what_to_do_and_a_warning_passes_with_its_text() {
        let document = junit(&sample::report()).expect("a document");
        let elements = elements(&document);
        let failures = named(&elements, "failure");
        assert_eq!(
            failures[0].attributes["message"],
            sample::findings()[0].found
        );
        assert!(
            failures[0]
                .text
                .ends_with("\ndo: make them one: v=spf1 mx include:_spf.google.com ~all"),
            "{}",
            failures[0].text
        );
        let told: Vec<&str> = named(&elements, "system-out")
            .iter()
            .map(|e| e.text.as_str())
            .collect();
        assert!(told.contains(&"71 days left"), "{told:?}");
        let warned = told.iter().find(|text| text.contains("<script>"));
        assert!(
            warned.is_some_and(|text| text.starts_with(
                "warn: 220 <script>alert(1)</script> \u{fffd}[2J & \"quoted\"  ::error"
            )),
            "{told:?}"
        );
        assert!(!document.contains('\u{1b}'));
    }
}

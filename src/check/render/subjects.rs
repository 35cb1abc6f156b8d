//! Findings in the order in which people read them: by subject, and what is
//! the same at several ports once.

use super::tame;
use crate::check::{Finding, Report, Tally, Verdict};

/// A domain, a host or an address, and what was found about it.
pub struct Subject<'a> {
    /// As it is in the findings.
    pub name: &'a str,
    /// In the order in which they were found.
    pub findings: Vec<&'a Finding>,
}

/// Findings about one subject that differ in nothing but their ids: the same
/// at several ports, or not asked for the same reason.
pub struct Entry<'a> {
    /// The first of them.
    pub finding: &'a Finding,
    /// Ids without port, each with its ports.
    ids: Vec<(&'a str, Vec<&'a str>)>,
    /// So many more pass that differ in what was found, such as SPF of an
    /// address for each of a hundred domains.
    more: usize,
}

/// So many that pass are told of one id and subject.
const TOLD: usize = 3;

/// Domains first, then hosts and addresses, each as they appear.
pub fn subjects(report: &Report) -> Vec<Subject<'_>> {
    let mut subjects: Vec<Subject> = Vec::new();
    for finding in &report.results {
        let known = subjects.iter_mut().find(|s| s.name == finding.subject);
        match known {
            Some(subject) => subject.findings.push(finding),
            None => subjects.push(Subject {
                name: &finding.subject,
                findings: vec![finding],
            }),
        }
    }
    subjects.sort_by_key(|subject| !report.domains.iter().any(|domain| domain == subject.name));
    subjects
}

impl<'a> Subject<'a> {
    /// How many of each verdict.
    pub fn tally(&self) -> Tally {
        Tally::of(self.findings.iter().copied())
    }

    /// What is told, each thing once.
    pub fn entries(&self) -> Vec<Entry<'a>> {
        let mut entries: Vec<Entry<'a>> = Vec::new();
        for finding in &self.findings {
            if let Some(entry) = entries.iter_mut().find(|entry| entry.takes(finding)) {
                entry.add(&finding.id);
                continue;
            }
            let alike = |entry: &&mut Entry| {
                let own = entry.finding;
                own.verdict == Verdict::Pass
                    && (&own.id, own.verdict) == (&finding.id, finding.verdict)
            };
            match entries.iter_mut().filter(alike).nth(TOLD - 1) {
                Some(last) => last.more += 1,
                None => entries.push(Entry::of(finding)),
            }
        }
        entries
    }
}

impl<'a> Entry<'a> {
    fn of(finding: &'a Finding) -> Self {
        let mut entry = Self {
            finding,
            ids: Vec::new(),
            more: 0,
        };
        entry.add(&finding.id);
        entry
    }

    fn takes(&self, other: &Finding) -> bool {
        let own = self.finding;
        if own.verdict != other.verdict || own.found != other.found {
            return false;
        }
        let (aspect, port) = split(&other.id);
        own.verdict == Verdict::Skip
            || port.is_some()
                && self.ids.iter().any(|(own, _)| *own == aspect)
                && (&own.wanted, &own.why, &own.fix) == (&other.wanted, &other.why, &other.fix)
    }

    fn add(&mut self, id: &'a str) {
        let (aspect, port) = split(id);
        match self.ids.iter_mut().find(|(known, _)| *known == aspect) {
            Some((_, ports)) => ports.extend(port),
            None => self.ids.push((aspect, port.into_iter().collect())),
        }
    }

    /// What was found, on one line.
    pub fn found(&self) -> String {
        let found = tame(&self.finding.found);
        match self.more {
            0 => found,
            more => format!("{found}; {more} more alike"),
        }
    }

    /// Such as `tls.days.25, .465, .587`.
    pub fn ids(&self) -> String {
        let one = |(aspect, ports): &(&str, Vec<&str>)| match ports.as_slice() {
            [] => (*aspect).to_owned(),
            ports => format!("{aspect}.{}", ports.join(", .")),
        };
        self.ids.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

/// What is wanted, why, and what to do, as far as it is said.
pub fn advice(finding: &Finding) -> Vec<(&'static str, String)> {
    let all = [
        ("wanted", &finding.wanted),
        ("why", &finding.why),
        ("do", &finding.fix),
    ];
    all.into_iter()
        .map(|(label, text)| (label, tame(text)))
        .filter(|(_, text)| !text.is_empty())
        .collect()
}

/// An id without its port, and the port.
fn split(id: &str) -> (&str, Option<&str>) {
    match id.rsplit_once('.') {
        Some((aspect, port)) if port.parse::<u16>().is_ok() => (aspect, Some(port)),
        _ => (id, None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn domains_come_first_and_each_subject_once() {
        let report = sample::report();
        let names: Vec<&str> = subjects(&report).iter().map(|s| s.name).collect();
        assert_eq!(
            names,
            [
                "wac.tax",
                "bücher.example",
                "smtp.wac.tax",
                "203.0.113.7",
                "2a02:c207::7"
            ]
        );
    }

    #[test]
    fn what_is_the_same_at_several_ports_is_one_entry() {
        let report = sample::report();
        let subjects = subjects(&report);
        let of = |name: &str| -> Vec<String> {
            let subject = subjects.iter().find(|s| s.name == name).expect("a subject");
            subject.entries().iter().map(Entry::ids).collect()
        };
        assert_eq!(
            of("203.0.113.7"),
            [
                "host.ptr",
                "mx.greeting.25",
                "tls.days.25, .465",
                "tls.days.587"
            ]
        );
        assert_eq!(
            of("2a02:c207::7"),
            ["host.ptr", "mx.greeting.25, tls.days.25, .465, .587"]
        );
    }

    #[test]
    fn of_many_that_pass_alike_a_few_are_told() {
        let passes = (1..=100).map(|n| {
            let mut pass = sample::findings().remove(1);
            pass.found = format!("pass for d{n}.example");
            pass
        });
        let mut findings: Vec<Finding> = passes.collect();
        findings.insert(50, sample::findings().remove(0));
        let report = Report::new(Vec::new(), findings);
        let entries = subjects(&report)[0].entries();
        let found: Vec<String> = entries.iter().map(Entry::found).collect();
        assert_eq!(
            (found[0].as_str(), found[2].as_str()),
            ("pass for d1.example", "pass for d3.example; 97 more alike")
        );
        assert_eq!(entries[3].finding.verdict, Verdict::Fail);
        assert_eq!(entries.len(), 4);
    }
}

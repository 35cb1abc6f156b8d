//! DMARC (RFC 9989): which record applies to the domain, what it asks of
//! receivers, and whether its reports can be delivered.

mod policy;
mod reports;
mod syntax;

use futures_util::future::join_all;

use super::remarks::Remarks;
use super::{Aspect, Finding, Question, View, spf};
use crate::dmarc::tree::{self, Found};
use crate::record::{Name, RType};

/// The record that applies.
pub const RECORD: Aspect = Aspect {
    id: "dmarc.record",
    wanted: "one TXT record at _dmarc, of the domain or of its organizational domain",
    why: "Gmail, Yahoo and Outlook want DMARC of whoever sends many messages (Gmail 421-4.7.31 and 550-5.7.26, Outlook \
          550 5.7.515), and without it anybody may use the domain in From. Of several records at one name none applies \
          (RFC 9989 section 4.10).",
};

/// Its words.
pub const SYNTAX: Aspect = Aspect {
    id: "dmarc.syntax",
    wanted: "tags of RFC 9989 section 4.7 with values that they can have",
    why: "A tag with another value is ignored by some receivers, and with it the whole record by others.",
};

/// What it asks of receivers.
pub const POLICY: Aspect = Aspect {
    id: "dmarc.policy",
    wanted: "p=quarantine or p=reject, and nothing weaker for subdomains",
    why: "With p=none receivers deliver forged mail of the domain like any other. Subdomains that are open to forgers, also \
          those that do not exist, harm the reputation of all.",
};

/// Tags of older versions.
pub const REMOVED: Aspect = Aspect {
    id: "dmarc.removed",
    wanted: "none of pct, rf, ri, and no size limit behind a report address",
    why: "RFC 9989 has taken them out, and receivers ignore them: a policy that pct made milder applies in full.",
};

/// Where its reports go.
pub const REPORTS: Aspect = Aspect {
    id: "dmarc.reports",
    wanted: "mailto addresses that receive mail, of other domains only with their consent",
    why: "Receivers send no report to another domain that does not publish its consent (RFC 9990 section 4), and without \
          reports nobody learns which mail fails.",
};

/// See the module.
pub const QUESTION: Question = Question {
    id: "dmarc",
    aspects: &[&RECORD, &SYNTAX, &POLICY, &REMOVED, &REPORTS],
    ask: |view| Box::pin(ask(view)),
};

async fn ask(view: &View) -> Vec<Finding> {
    let domain = view.domain();
    let (walked, silent) = tokio::join!(walk(view, domain), spf::is_silent(view));
    let walked = match walked {
        Ok(walked) => walked,
        Err(why) => return vec![RECORD.of(domain).skip(why)],
    };
    let mut findings = vec![exists(domain, &walked, silent)];
    let Some((at, record)) = &walked.found.record else {
        return findings;
    };
    let wished = view.expected().and_then(|expected| expected.dmarc.as_ref());
    let tags = syntax::Tags::of(record);
    findings.push(syntax::judge(domain, record));
    findings.push(policy::judge(domain, &tags, at == domain, wished));
    findings.push(syntax::removed(domain, &tags));
    let destinations = reports::destinations(view, at, &walked.found.organization, &tags).await;
    findings.push(reports::judge(domain, at, &tags, &destinations));
    findings
}

/// What a walk up the tree found.
struct Walked {
    found: Found,
    /// TXT values at the domain's own `_dmarc` that are no DMARC records.
    others: Vec<String>,
}

/// Walks up from a domain.
async fn walk(view: &View, domain: &Name) -> Result<Walked, String> {
    let names = tree::names(domain);
    let asked = names.iter().map(|name| async move {
        let owner = name.child("_dmarc");
        view.lookup(&owner, RType::Txt).await
    });
    let mut values: Vec<Vec<String>> = Vec::new();
    for looked in join_all(asked).await {
        values.push(looked?.values.iter().cloned().collect());
    }
    let own = values.first().into_iter().flatten();
    let others = own
        .filter(|value| !crate::dmarc::is_dmarc(value))
        .cloned()
        .collect();
    Ok(Walked {
        found: tree::found(names.iter().zip(values)),
        others,
    })
}

/// Judges that a record applies; `silent`: the domain says that it has no mail.
fn exists(domain: &Name, walked: &Walked, silent: bool) -> Finding {
    let about = RECORD.of(domain);
    let mut remarks = Remarks::default();
    for (name, records) in &walked.found.several {
        remarks.fail(
            format!(
                "{} records at _dmarc.{name}, of which none applies: `{}`",
                records.len(),
                records.join("` and `")
            ),
            format!("keep one record at _dmarc.{name}"),
        );
    }
    let good = match &walked.found.record {
        Some((at, record)) if at == domain => record.clone(),
        Some((at, record)) => {
            format!("{record} at _dmarc.{at}, which holds for its subdomains too")
        }
        None if remarks.fails() => String::new(),
        None => {
            let meant = walked
                .others
                .iter()
                .find(|value| value.to_ascii_uppercase().contains("DMARC1"));
            let found = match meant {
                Some(value) => {
                    format!("none; `{value}` is not taken for one, which begins with `v=DMARC1;`")
                }
                None => "none".into(),
            };
            let fix = format!("publish `_dmarc.{domain} TXT \"v=DMARC1; p=quarantine\"`");
            if silent {
                remarks.warn(found, format!("publish `_dmarc.{domain} TXT \"v=DMARC1; p=reject\"`: the domain sends no mail"));
            } else {
                remarks.fail(found, fix);
            }
            String::new()
        }
    };
    remarks.settle(about, good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict::{self, Fail, Pass, Warn};

    #[test]
    fn one_record_must_apply() {
        let domain = Name::parse("a.example.com").expect("a name");
        let judged = |own: &[&str], above: &[&str], silent| {
            let names = tree::names(&domain);
            let to = |values: &[&str]| -> Vec<String> {
                values.iter().map(|value| (*value).to_owned()).collect()
            };
            let walked = Walked {
                found: tree::found(names.iter().zip([to(own), to(above), Vec::new()])),
                others: to(own)
                    .into_iter()
                    .filter(|value| !crate::dmarc::is_dmarc(value))
                    .collect(),
            };
            let finding = exists(&domain, &walked, silent);
            (finding.verdict, finding.found)
        };
        const GOOD: &str = "v=DMARC1; p=reject";
        type Case = (
            &'static [&'static str],
            &'static [&'static str],
            bool,
            Verdict,
            &'static str,
        );
        let cases: [Case; 7] = [
            (&[GOOD], &[], false, Pass, GOOD),
            (
                &[],
                &[GOOD],
                false,
                Pass,
                "v=DMARC1; p=reject at _dmarc.example.com, which",
            ),
            (&[], &[], false, Fail, "none"),
            (&[], &[], true, Warn, "none"),
            (
                &["p=reject; v=DMARC1"],
                &[],
                false,
                Fail,
                "none; `p=reject; v=DMARC1` is not taken for one",
            ),
            (
                &[GOOD, "v=DMARC1; p=none"],
                &[],
                false,
                Fail,
                "2 records at _dmarc.a.example.com",
            ),
            (
                &[],
                &[GOOD, "v=DMARC1; p=none"],
                false,
                Fail,
                "2 records at _dmarc.example.com",
            ),
        ];
        for (own, above, silent, verdict, part) in cases {
            let (found, text) = judged(own, above, silent);
            assert_eq!(found, verdict, "{text}");
            assert!(text.starts_with(part), "{text}");
        }
    }
}

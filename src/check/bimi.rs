//! BIMI: a logo beside the domain's mail, in the mail programs that show one
//! (draft-brand-indicators-for-message-identification). A domain does well without.

mod logo;
mod policy;

use std::collections::BTreeSet;

use reqwest::Url;

use super::{Aspect, Finding, Question, View};
use crate::dkim::tags;
use crate::record::{Name, RType};

const RECORD: Aspect = Aspect {
    id: "bimi.record",
    wanted: "one TXT record `v=BIMI1; l=https://….svg`, with `a=` where there is a mark certificate",
    why: "Receivers take a record that is not sound for none, and show no logo.",
};

const POLICY: Aspect = Aspect {
    id: "bimi.policy",
    wanted: "DMARC with p=quarantine or p=reject, for all mail and for subdomains",
    why: "Receivers show a logo only for a domain whose name nobody else can use: p=none, sp=none and a pct below \
          100 leave that open.",
};

const LOGO: Aspect = Aspect {
    id: "bimi.logo",
    wanted: "an SVG file of the profile Tiny PS, up to 32 KB, over HTTPS",
    why: "Receivers fetch the logo, and show none that they cannot fetch or that is of another profile.",
};

/// BIMI.
pub const QUESTION: Question = Question {
    id: "bimi",
    aspects: &[&RECORD, &POLICY, &LOGO],
    ask: |view| Box::pin(ask(view)),
};

/// What the record says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Published {
    /// No logo shall be shown.
    Declined,
    Logo {
        url: String,
        certificate: Option<String>,
    },
}

async fn ask(view: &View) -> Vec<Finding> {
    let domain = view.domain();
    let owner = domain.child("default._bimi");
    let set = match view.lookup(&owner, RType::Txt).await {
        Ok(set) => set,
        Err(reason) => return vec![RECORD.of(domain).skip(reason)],
    };
    let published = match record(&set.values) {
        Ok(None) => return Vec::new(),
        Ok(Some(published)) => published,
        Err(found) => {
            let fix = format!("have one record `v=BIMI1; l=https://….svg` at {owner}");
            return vec![RECORD.of(domain).fail(found, fix)];
        }
    };
    let mut findings = vec![judge_record(domain, &published)];
    if let Published::Logo { url, .. } = &published {
        let (dmarc, logo) = tokio::join!(policy::dmarc(view), view.outside.follow(url));
        findings.push(match dmarc {
            Ok(dmarc) => policy::judge(domain, dmarc.as_ref()),
            Err(reason) => POLICY.of(domain).skip(reason),
        });
        findings.push(logo::judge(domain, url, &logo));
    }
    findings
}

/// The record among the TXT values.
///
/// # Errors
/// What is wrong with it.
fn record(values: &BTreeSet<String>) -> Result<Option<Published>, String> {
    let meant = |value: &&String| value.to_ascii_lowercase().starts_with("v=bimi");
    let records: Vec<&String> = values.iter().filter(meant).collect();
    let record = match records.as_slice() {
        [] => return Ok(None),
        [only] => *only,
        several => return Err(format!("{} records, which count as none", several.len())),
    };
    let tags = tags(record).map_err(|why| format!("`{record}`: {why}"))?;
    if tags.get("v").is_none_or(|version| version != "BIMI1") {
        return Err(format!("`{record}` does not begin with `v=BIMI1;`"));
    }
    let value = |tag: &str| tags.get(tag).filter(|value| !value.is_empty()).cloned();
    for url in [value("l"), value("a")].into_iter().flatten() {
        if !Url::parse(&url).is_ok_and(|url| url.scheme() == "https" && url.has_host()) {
            return Err(format!("`{url}` is no https: URL"));
        }
    }
    match (value("l"), value("a")) {
        (Some(url), certificate) => Ok(Some(Published::Logo { url, certificate })),
        (None, None) if tags.contains_key("l") => Ok(Some(Published::Declined)),
        (None, _) => Err(format!("`{record}` has no l")),
    }
}

fn judge_record(domain: &Name, published: &Published) -> Finding {
    let about = RECORD.of(domain);
    match published {
        Published::Declined => about.pass("no logo is wished for"),
        Published::Logo {
            url,
            certificate: Some(_),
        } => about.pass(format!("{url}, with a mark certificate")),
        Published::Logo { url, .. } => about.pass(format!(
            "{url}; without a mark certificate (a=), so Gmail and Apple show none"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    fn domain() -> Name {
        Name::parse("example.com").expect("a name")
    }

    fn read(values: &[&str]) -> Result<Option<Published>, String> {
        record(&values.iter().map(|value| (*value).to_owned()).collect())
    }

    #[test]
    fn a_record_is_read() {
        let logo = |certificate: Option<&str>| {
            Ok(Some(Published::Logo {
                url: "https://a.example/l.svg".into(),
                certificate: certificate.map(str::to_owned),
            }))
        };
        assert_eq!(
            read(&["v=BIMI1; l=https://a.example/l.svg; a="]),
            logo(None)
        );
        let both = read(&["v=BIMI1;l=https://a.example/l.svg;a=https://a.example/c.pem"]);
        assert_eq!(both, logo(Some("https://a.example/c.pem")));
        assert_eq!(read(&["v=BIMI1; l=; a="]), Ok(Some(Published::Declined)));
        assert_eq!(read(&["hello"]), Ok(None));
        for (values, part) in [
            (
                &["v=BIMI1; l=https://a.example/l.svg", "v=BIMI1; l="][..],
                "2 records",
            ),
            (&["v=BIMI2; l=https://a.example/l.svg"], "does not begin"),
            (&["v=BIMI1"], "has no l"),
            (&["v=BIMI1; l=http://a.example/l.svg"], "is no https: URL"),
            (
                &["v=BIMI1; l=https://a.example/l.svg; a=c.pem"],
                "`c.pem` is no",
            ),
            (&["v=BIMI1; logo"], "`logo` is no"),
        ] {
            let said = read(values).expect_err(part);
            assert!(said.contains(part), "{said}");
        }
        let declined = judge_record(&domain(), &Published::Declined);
        assert_eq!(declined.verdict, Verdict::Pass);
    }
}

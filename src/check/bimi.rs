//! BIMI: a logo beside the domain's mail, in the mail programs that show one
//! (draft-brand-indicators-for-message-identification). A domain does well without.

use std::collections::BTreeSet;

use reqwest::Url;

use super::fetch::{Page, Trouble};
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
        let (policy, logo) = tokio::join!(dmarc(view), view.outside.follow(url));
        findings.push(match policy {
            Ok(policy) => judge_policy(domain, policy.as_ref()),
            Err(reason) => POLICY.of(domain).skip(reason),
        });
        findings.push(judge_logo(domain, url, &logo));
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

/// What DMARC says of a domain's mail.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Dmarc {
    at: Name,
    record: String,
    own: bool,
}

/// The record of the domain, or the closest one above it (RFC 9989 section 4.10).
async fn dmarc(view: &View) -> Result<Option<Dmarc>, String> {
    let mut at = Some(view.domain().clone());
    while let Some(name) = at.filter(|name| name.as_str().contains('.')) {
        let set = view.lookup(&name.child("_dmarc"), RType::Txt).await?;
        let record = set.values.iter().find(|v| v.starts_with("v=DMARC1"));
        if let Some(record) = record {
            return Ok(Some(Dmarc {
                own: name == *view.domain(),
                at: name,
                record: record.clone(),
            }));
        }
        at = name.parent();
    }
    Ok(None)
}

fn judge_policy(domain: &Name, dmarc: Option<&Dmarc>) -> Finding {
    let about = POLICY.of(domain);
    let Some(dmarc) = dmarc else {
        return about.warn(
            "no DMARC record",
            format!("publish one at _dmarc.{domain} with p=quarantine or p=reject"),
        );
    };
    let tags = tags(&dmarc.record).unwrap_or_default();
    let p = tags.get("p").map_or("none", String::as_str);
    let sp = tags.get("sp").map_or(p, String::as_str);
    let policy = if dmarc.own { p } else { sp };
    let weak = |policy: &str| !matches!(policy, "quarantine" | "reject");
    let part = tags.get("pct").is_some_and(|pct| pct != "100");
    let found = if weak(policy) {
        format!("{policy} at _dmarc.{}", dmarc.at)
    } else if weak(sp) {
        format!("p={p}, but sp={sp} at _dmarc.{}", dmarc.at)
    } else if part || tags.get("t").is_some_and(|t| t == "y") {
        format!(
            "{policy}, for a part of the mail only, at _dmarc.{}",
            dmarc.at
        )
    } else {
        return about.pass(format!("{policy} at _dmarc.{}", dmarc.at));
    };
    let fix = format!(
        "set p and sp at _dmarc.{} to quarantine or reject once all mail is aligned, without pct and t=y",
        dmarc.at
    );
    about.warn(found, fix)
}

/// What the working group's guidance gives a logo at most.
const LARGEST: usize = 32 << 10;

fn judge_logo(domain: &Name, url: &str, fetched: &Result<Page, Trouble>) -> Finding {
    let about = LOGO.of(domain);
    let page = match fetched {
        Ok(page) => page,
        Err(Trouble::Unknown(reason)) => return about.skip(reason),
        Err(trouble) => {
            return about.warn(trouble.text(), format!("serve the logo at {url}"));
        }
    };
    if page.status != 200 {
        let found = format!("the web server answers {}", page.status);
        return about.warn(found, format!("serve the logo at {url}"));
    }
    let text = String::from_utf8_lossy(&page.body);
    let found = if !text.contains("<svg") {
        format!("no SVG, but {}", page.media_type)
    } else if page.media_type != "image/svg+xml" {
        format!("the media type is `{}`", page.media_type)
    } else if page.body.len() > LARGEST {
        "the file is longer than 32 KB".to_owned()
    } else if !text.contains("\"tiny-ps\"") && !text.contains("'tiny-ps'") {
        "the SVG is not of the profile Tiny PS: baseProfile is not `tiny-ps`".to_owned()
    } else {
        return about.pass(format!("SVG Tiny PS, {} octets", page.body.len()));
    };
    about.warn(
        found,
        "export the logo as SVG Tiny PS, and serve it as image/svg+xml",
    )
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

    #[test]
    fn the_policy_must_hold_for_all_mail() {
        let of = |own, record: &str| {
            let dmarc = Dmarc {
                at: domain(),
                record: record.into(),
                own,
            };
            judge_policy(&domain(), Some(&dmarc)).verdict
        };
        assert_eq!(of(true, "v=DMARC1; p=reject"), Verdict::Pass);
        assert_eq!(of(true, "v=DMARC1; p=quarantine; pct=100"), Verdict::Pass);
        assert_eq!(of(true, "v=DMARC1; p=none"), Verdict::Warn);
        assert_eq!(of(true, "v=DMARC1; p=reject; sp=none"), Verdict::Warn);
        assert_eq!(of(true, "v=DMARC1; p=quarantine; pct=50"), Verdict::Warn);
        assert_eq!(of(true, "v=DMARC1; p=reject; t=y"), Verdict::Warn);
        assert_eq!(of(false, "v=DMARC1; p=none; sp=reject"), Verdict::Pass);
        assert_eq!(of(false, "v=DMARC1; p=reject; sp=none"), Verdict::Warn);
        assert_eq!(judge_policy(&domain(), None).verdict, Verdict::Warn);
    }

    #[test]
    fn a_logo_that_receivers_show() {
        let svg = "<svg version=\"1.2\" baseProfile=\"tiny-ps\"></svg>";
        let page = |status, media_type: &str, body: &str| {
            Ok(Page {
                status,
                media_type: media_type.into(),
                location: None,
                body: body.into(),
                whole: true,
            })
        };
        let large = format!("{svg}{}", " ".repeat(LARGEST));
        for (fetched, verdict) in [
            (page(200, "image/svg+xml", svg), Verdict::Pass),
            (page(404, "image/svg+xml", svg), Verdict::Warn),
            (page(200, "text/plain", svg), Verdict::Warn),
            (page(200, "image/png", "PNG"), Verdict::Warn),
            (page(200, "image/svg+xml", "<svg></svg>"), Verdict::Warn),
            (page(200, "image/svg+xml", &large), Verdict::Warn),
            (Err(Trouble::Broken("x".into())), Verdict::Warn),
            (Err(Trouble::Unknown("x".into())), Verdict::Skip),
        ] {
            let judged = judge_logo(&domain(), "https://a.example/l.svg", &fetched);
            assert_eq!(judged.verdict, verdict, "{}", judged.found);
        }
    }
}

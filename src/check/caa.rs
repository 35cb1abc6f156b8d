//! CAA (RFC 8659): whether the certificate authority may issue again what is served.

mod authority;
mod property;

use std::collections::BTreeSet;

use hickory_proto::op::ResponseCode;

use super::{Aspect, Finding, Question, View};
use crate::record::{Name, RType, wire};
use authority::Authority;
use property::{Issue, Property};

const ISSUE: Aspect = Aspect {
    id: "caa.issue",
    wanted: "no CAA records, or records that let the authority in use issue",
    why: "The authority looks at the records before each certificate, and must refuse what they do not allow \
          (RFC 8659 section 3): the next renewal fails, and the certificate expires.",
};

const IODEF: Aspect = Aspect {
    id: "caa.iodef",
    wanted: "mailto: or https: URIs",
    why: "An authority that refuses a request tells it to these (RFC 8659 section 4.4).",
};

/// CAA.
pub const QUESTION: Question = Question {
    id: "caa",
    aspects: &[&ISSUE, &IODEF],
    ask: |view| Box::pin(ask(view)),
};

/// The records that count for a name: the set that stands closest above it (RFC 8659 section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Relevant {
    at: Name,
    properties: Vec<Property>,
    /// Values that cannot be read.
    unsound: Vec<String>,
}

async fn ask(view: &View) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut told = BTreeSet::new();
    for (name, authority) in subjects(view).await {
        let relevant = match relevant(view, &name).await {
            Ok(relevant) => relevant,
            Err(trouble) => {
                findings.push(judge_trouble(&name, &trouble));
                continue;
            }
        };
        findings.push(judge_issue(&name, relevant.as_ref(), &authority));
        if let Some(relevant) = relevant
            && told.insert(relevant.at.clone())
        {
            findings.extend(judge_iodef(&relevant));
        }
    }
    findings
}

/// The names that are in certificates, with who issues those: of a domain of
/// mail.yaml those of its certificate, of another one its MX hosts.
async fn subjects(view: &View) -> Vec<(Name, Authority)> {
    let hosts = view.hosts().await.unwrap_or_default();
    if let Some(expected) = view.expected() {
        let served = hosts
            .iter()
            .find(|h| Some(&h.name) == expected.host.as_ref());
        let authority = match &expected.authority {
            Some(name) => Authority::Named(name.clone()),
            None => match served {
                Some(host) => issuer(view, host).await,
                None => Authority::Unknown,
            },
        };
        let names = expected.certified.iter();
        let ours = |name: &&Name| name.is_in(view.domain()) || expected.host.as_ref() == Some(name);
        return names
            .filter(ours)
            .map(|name| (name.clone(), authority.clone()))
            .collect();
    }
    let mut subjects = Vec::new();
    for host in hosts {
        let authority = issuer(view, &host).await;
        subjects.push((host.name, authority));
    }
    subjects
}

/// Whoever issued the certificate that a host serves on port 25.
async fn issuer(view: &View, host: &super::view::Host) -> Authority {
    for address in &host.addresses {
        let port = view.outside.port(&host.name, *address, 25).await;
        if let Some(Ok(tls)) = &port.tls
            && let Some(own) = tls.chain.first()
        {
            return Authority::of(own);
        }
    }
    Authority::Unknown
}

/// Why the records are not known.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trouble {
    at: Name,
    reason: String,
    /// Whether authorities come to the same: the resolver answers, with SERVFAIL.
    lasting: bool,
}

/// The set that counts for a name; `None` where there is none up to the root.
async fn relevant(view: &View, name: &Name) -> Result<Option<Relevant>, Trouble> {
    let plain = name.as_str().strip_prefix("*.").unwrap_or(name.as_str());
    let mut at = Name::parse(plain).ok();
    while let Some(name) = at.filter(|name| *name != Name::root()) {
        let set = match view.lookup(&name, RType::Caa).await {
            Ok(set) => set,
            Err(reason) => {
                let lasting = servfail(view, &name).await;
                return Err(Trouble {
                    at: name,
                    reason,
                    lasting,
                });
            }
        };
        if set.exists() {
            return Ok(Some(read(name, &set.values)));
        }
        at = name.parent();
    }
    Ok(None)
}

fn read(at: Name, values: &BTreeSet<String>) -> Relevant {
    let mut relevant = Relevant {
        at,
        properties: Vec::new(),
        unsound: Vec::new(),
    };
    for value in values {
        match Property::parse(value) {
            Some(property) => relevant.properties.push(property),
            None => relevant.unsound.push(value.clone()),
        }
    }
    relevant
}

/// Whether the question for CAA records ends in SERVFAIL, and another one about the name does not.
async fn servfail(view: &View, name: &Name) -> bool {
    if view.lookup(name, RType::A).await.is_err() {
        return false;
    }
    let caa = wire::record_type(RType::Caa);
    let answer = view.outside.dns.raw(name, caa, |_| {}).await;
    answer.is_ok_and(|answer| answer.metadata.response_code == ResponseCode::ServFail)
}

fn judge_trouble(name: &Name, trouble: &Trouble) -> Finding {
    let about = ISSUE.of(name);
    if !trouble.lasting {
        return about.skip(&trouble.reason);
    }
    about.fail(
        format!(
            "the question for CAA records of {} ends in SERVFAIL, while its addresses are known",
            trouble.at
        ),
        format!(
            "have the name servers of {} answer it: authorities do not issue without an answer",
            trouble.at
        ),
    )
}

fn judge_issue(name: &Name, relevant: Option<&Relevant>, authority: &Authority) -> Finding {
    let about = ISSUE.of(name);
    let Some(relevant) = relevant else {
        return about.pass("none: any authority may issue");
    };
    let at = &relevant.at;
    if let Some(critical) = relevant.properties.iter().find(|p| p.forbids_all()) {
        return about.fail(
            format!(
                "`{}` at {at} is critical, and no authority knows it",
                critical.tag
            ),
            format!(
                "remove the record `{}` at {at}, or its critical flag",
                critical.tag
            ),
        );
    }
    let of = |tag: &str| -> Vec<&str> {
        let these = relevant.properties.iter().filter(|p| p.tag == tag);
        these.map(|p| p.value.as_str()).collect()
    };
    let wildcard = name.as_str().starts_with("*.");
    // For a wildcard `issue` counts only where there is no `issuewild` (RFC 8659 section 4.3).
    let (tag, values) = match of("issuewild") {
        values if wildcard && !values.is_empty() => ("issuewild", values),
        _ => ("issue", of("issue")),
    };
    if values.is_empty() {
        return about.pass(format!("no `{tag}` at {at}: any authority may issue"));
    }
    judge_values(name, (at, tag), &values, authority)
}

fn judge_values(
    name: &Name,
    place: (&Name, &str),
    values: &[&str],
    authority: &Authority,
) -> Finding {
    let about = ISSUE.of(name);
    let (at, tag) = place;
    let mut allowed = Vec::new();
    let mut unsound = Vec::new();
    for value in values {
        match Issue::parse(value) {
            Ok(issue) => allowed.push(issue),
            Err(why) => unsound.push(format!("`{tag} {value}` at {at}: {why}")),
        }
    }
    if !unsound.is_empty() {
        let fix = "write it as `authority; parameter=value`, as RFC 8659 section 4.2 has it";
        return about.fail(unsound.join("; "), fix);
    }
    let listed: BTreeSet<&str> = allowed
        .iter()
        .filter_map(|i| i.authority.as_deref())
        .collect();
    let listed = match listed.is_empty() {
        true => "nobody".to_owned(),
        false => listed.into_iter().collect::<Vec<_>>().join(", "),
    };
    let names = authority.names();
    let found = format!("{listed} may issue, says `{tag}` at {at}");
    let add = |authority: &str| format!("add `0 {tag} \"{authority}\"` at {at}");
    let own: Vec<&Issue> = allowed
        .iter()
        .filter(|issue| {
            issue
                .authority
                .as_deref()
                .is_some_and(|a| names.contains(&a))
        })
        .collect();
    match (names.first(), authority) {
        (None, _) if listed == "nobody" => about.fail(
            format!("nobody may issue, says `{tag}` at {at}"),
            format!("name the authority in use in `{tag}` at {at}"),
        ),
        (None, _) => about.pass(found),
        (Some(first), Authority::Seen(organisation)) if own.is_empty() => about.warn(
            format!("{found}; the certificate that is served is from {organisation}"),
            add(first),
        ),
        (Some(first), _) if own.is_empty() => about.fail(found, add(first)),
        (Some(first), Authority::Named(_)) => judge_methods(about, &own, found, first),
        (Some(_), _) => about.pass(found),
    }
}

/// Whether mailctl's way of proof is among those that are allowed.
fn judge_methods(
    about: super::finding::About<'_>,
    own: &[&Issue],
    found: String,
    authority: &str,
) -> Finding {
    let takes = |issue: &&&Issue| {
        let methods = issue.methods.as_ref();
        methods.is_none_or(|methods| methods.iter().any(|m| m == "dns-01"))
    };
    match own.iter().find(takes) {
        Some(Issue {
            account: Some(account),
            ..
        }) => about.pass(format!("{found}, for the account {account} only")),
        Some(_) => about.pass(found),
        None => about.fail(
            format!("{found}, but not by dns-01"),
            format!(
                "let validationmethods name dns-01 beside {authority}: mailctl proves names by it"
            ),
        ),
    }
}

fn judge_iodef(relevant: &Relevant) -> Option<Finding> {
    let about = IODEF.of(&relevant.at);
    let values = relevant.properties.iter().filter(|p| p.tag == "iodef");
    let values: Vec<&str> = values.map(|p| p.value.as_str()).collect();
    let bad: Vec<&str> = values
        .iter()
        .copied()
        .filter(|v| !is_report_uri(v))
        .collect();
    if !bad.is_empty() {
        let fix = "write it as `mailto:` and an address, or as an https: URL";
        return Some(about.warn(format!("`{}`", bad.join("`, `")), fix));
    }
    (!values.is_empty()).then(|| about.pass(values.join(", ")))
}

fn is_report_uri(text: &str) -> bool {
    match text.split_once(':') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("mailto") => {
            rest.split_once('@').is_some_and(|(local, domain)| {
                !local.is_empty() && Name::parse(domain).is_ok_and(|d| d != Name::root())
            })
        }
        Some(_) => reqwest::Url::parse(text)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn at(values: &[&str]) -> Relevant {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        read(name("example.com"), &values)
    }

    fn letsencrypt() -> Authority {
        Authority::Named("letsencrypt.org".into())
    }

    fn judged(of: &str, values: &[&str], authority: &Authority) -> (Verdict, String) {
        let finding = judge_issue(&name(of), Some(&at(values)), authority);
        (finding.verdict, finding.found)
    }

    #[test]
    fn without_records_anybody_may() {
        let none = judge_issue(&name("smtp.example.com"), None, &letsencrypt());
        assert_eq!(none.verdict, Verdict::Pass);
        let (verdict, _) = judged(
            "smtp.example.com",
            &["0 iodef \"mailto:a@example.com\""],
            &letsencrypt(),
        );
        assert_eq!(verdict, Verdict::Pass);
        let (verdict, _) = judged("smtp.example.com", &["0 issuewild \";\""], &letsencrypt());
        assert_eq!(verdict, Verdict::Pass, "a name that is no wildcard");
    }

    #[test]
    fn whoever_is_named_may() {
        for (of, values, verdict) in [
            (
                "smtp.example.com",
                &["0 issue \"letsencrypt.org\""][..],
                Verdict::Pass,
            ),
            (
                "smtp.example.com",
                &["0 issue \"pki.goog\"", "0 issue \"letsencrypt.org\""],
                Verdict::Pass,
            ),
            ("smtp.example.com", &["0 issue \"pki.goog\""], Verdict::Fail),
            ("smtp.example.com", &["0 issue \";\""], Verdict::Fail),
            (
                "*.example.com",
                &["0 issue \"letsencrypt.org\""],
                Verdict::Pass,
            ),
            (
                "*.example.com",
                &["0 issue \"letsencrypt.org\"", "0 issuewild \";\""],
                Verdict::Fail,
            ),
            (
                "*.example.com",
                &["0 issue \";\"", "0 issuewild \"letsencrypt.org\""],
                Verdict::Pass,
            ),
            (
                "example.com",
                &["0 issue \"letsencrypt.org; policy\""],
                Verdict::Fail,
            ),
            (
                "example.com",
                &["0 issue \"letsencrypt.org\"", "128 tbs \"x\""],
                Verdict::Fail,
            ),
            (
                "example.com",
                &["0 issue \"letsencrypt.org\"", "0 tbs \"x\""],
                Verdict::Pass,
            ),
        ] {
            let (seen, found) = judged(of, values, &letsencrypt());
            assert_eq!(seen, verdict, "{of} {values:?}: {found}");
        }
    }

    #[test]
    fn the_way_of_proof_counts() {
        let with = |parameters: &str| {
            let value = format!("0 issue \"letsencrypt.org; {parameters}\"");
            judged("example.com", &[&value], &letsencrypt())
        };
        let (verdict, found) = with("validationmethods=http-01");
        assert_eq!(verdict, Verdict::Fail);
        assert!(found.ends_with("but not by dns-01"), "{found}");
        assert_eq!(with("validationmethods=http-01,dns-01").0, Verdict::Pass);
        let (verdict, found) = with("accounturi=https://acme.example/1");
        assert_eq!(verdict, Verdict::Pass);
        assert!(
            found.contains("the account https://acme.example/1 only"),
            "{found}"
        );
    }

    #[test]
    fn what_is_served_tells_who_issues() {
        let seen = Authority::Seen("Let's Encrypt".into());
        let of =
            |value: &str, authority: &Authority| judged("mx.example.com", &[value], authority).0;
        assert_eq!(of("0 issue \"letsencrypt.org\"", &seen), Verdict::Pass);
        assert_eq!(of("0 issue \"pki.goog\"", &seen), Verdict::Warn);
        let odd = Authority::Seen("Nobody Ltd".into());
        assert_eq!(of("0 issue \"pki.goog\"", &odd), Verdict::Pass);
        assert_eq!(of("0 issue \";\"", &odd), Verdict::Fail);
        assert_eq!(
            of("0 issue \"pki.goog\"", &Authority::Unknown),
            Verdict::Pass
        );
        // Ways of proof are the other's affair.
        let other = of(
            "0 issue \"letsencrypt.org; validationmethods=http-01\"",
            &seen,
        );
        assert_eq!(other, Verdict::Pass);
    }

    #[test]
    fn no_answer_is_refused_only_where_it_lasts() {
        let trouble = |lasting| Trouble {
            at: name("example.com"),
            reason: "SERVFAIL".into(),
            lasting,
        };
        let of = |lasting| judge_trouble(&name("smtp.example.com"), &trouble(lasting)).verdict;
        assert_eq!((of(true), of(false)), (Verdict::Fail, Verdict::Skip));
    }

    #[test]
    fn reports_go_to_uris() {
        let of = |values: &[&str]| judge_iodef(&at(values)).map(|finding| finding.verdict);
        assert_eq!(of(&["0 issue \"pki.goog\""]), None);
        assert_eq!(
            of(&[
                "0 iodef \"mailto:a@example.com\"",
                "0 iodef \"https://a.example/x\""
            ]),
            Some(Verdict::Pass)
        );
        for bad in ["a@example.com", "mailto:example.com", "ftp://a.example/"] {
            assert_eq!(
                of(&[&format!("0 iodef \"{bad}\"")]),
                Some(Verdict::Warn),
                "{bad}"
            );
        }
    }
}

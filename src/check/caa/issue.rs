//! Whether the records let the authority in use issue.

use std::collections::BTreeSet;

use super::authority::Authority;
use super::{ISSUE, Relevant};
use crate::caa::Issue;
use crate::check::Finding;
use crate::check::finding::About;
use crate::record::Name;

pub(super) fn judge(name: &Name, relevant: Option<&Relevant>, authority: &Authority) -> Finding {
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
fn judge_methods(about: About<'_>, own: &[&Issue], found: String, authority: &str) -> Finding {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;
    use crate::check::caa::testing::{at, name};

    fn letsencrypt() -> Authority {
        Authority::Named("letsencrypt.org".into())
    }

    fn judged(of: &str, values: &[&str], authority: &Authority) -> (Verdict, String) {
        let finding = judge(&name(of), Some(&at(values)), authority);
        (finding.verdict, finding.found)
    }

    #[test]
    fn without_records_anybody_may() {
        let none = judge(&name("smtp.example.com"), None, &letsencrypt());
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
}

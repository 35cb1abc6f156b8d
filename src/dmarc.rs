//! The DMARC record of a domain (RFC 9989): written from mail.yaml, and
//! compared with what stands in the zone.

pub mod tree;

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::config::{Alignment, Dmarc, DmarcPolicy};
use crate::dkim::tags;

/// The TXT value at `_dmarc.<domain>`. What is not set is not written.
pub fn record(dmarc: &Dmarc) -> String {
    let mut text = format!("v=DMARC1; p={}", policy(dmarc.p));
    let mut tag = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = write!(text, "; {name}={value}");
        }
    };
    tag("sp", dmarc.sp.map(|p| policy(p).to_owned()));
    tag("np", dmarc.np.map(|p| policy(p).to_owned()));
    tag("adkim", dmarc.adkim.map(|a| alignment(a).to_owned()));
    tag("aspf", dmarc.aspf.map(|a| alignment(a).to_owned()));
    tag("fo", dmarc.fo.clone());
    tag("rua", uris(&dmarc.rua));
    tag("ruf", uris(&dmarc.ruf));
    text
}

fn policy(policy: DmarcPolicy) -> &'static str {
    match policy {
        DmarcPolicy::None => "none",
        DmarcPolicy::Quarantine => "quarantine",
        DmarcPolicy::Reject => "reject",
    }
}

fn alignment(alignment: Alignment) -> &'static str {
    match alignment {
        Alignment::R => "r",
        Alignment::S => "s",
    }
}

fn uris(addresses: &[String]) -> Option<String> {
    let uris: Vec<String> = addresses.iter().map(|address| uri(address)).collect();
    (!uris.is_empty()).then(|| uris.join(","))
}

/// A URI of `rua` or `ruf`: an address gets `mailto:`, a URI stays. A comma
/// would end the URI, a semicolon the tag, and `!` once began a size limit,
/// so these are percent-encoded in any (RFC 9989 section 4.7, RFC 6068).
fn uri(address: &str) -> String {
    let has_scheme = address.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    let (head, allowed) = if has_scheme {
        ("", "-._~:/?#[]@$&'()*+=%")
    } else {
        ("mailto:", "-._~@$'()*+")
    };
    let mut text = String::from(head);
    for byte in address.bytes() {
        if byte.is_ascii_alphanumeric() || allowed.as_bytes().contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Whether a TXT value is a DMARC record: `v=DMARC1` comes first (RFC 9989 section 4.7).
pub fn is_dmarc(value: &str) -> bool {
    let first = value.split(';').next().unwrap_or_default();
    first
        .split_once('=')
        .is_some_and(|(tag, version)| tag.trim() == "v" && version.trim() == "DMARC1")
}

/// Whether two records say the same: order, spacing, the case of key words and
/// the order of report addresses do not matter.
pub fn same(a: &str, b: &str) -> bool {
    match (said(a), said(b)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

/// How `after` asks receivers for less than `before`, such as `p=reject
/// becomes p=none`; `None` where it does not. Where `sp` and `np` are not
/// said, the policy above them counts (RFC 9989 section 4.7).
pub fn weaker(before: &str, after: &str) -> Option<String> {
    let (before, after) = (policies(before), policies(after));
    let mut pairs = TAGS.iter().zip(before.into_iter().zip(after));
    // The first tells enough: what is below it mostly follows it.
    let (tag, (before, after)) = pairs.find(|(_, (before, after))| after < before)?;
    let (before, after) = (policy(before), policy(after));
    Some(format!("{tag}={before} becomes {tag}={after}"))
}

const TAGS: [&str; 3] = ["p", "sp", "np"];

/// What `p`, `sp` and `np` come to. A policy that is not known here asks for nothing.
fn policies(record: &str) -> [DmarcPolicy; 3] {
    let tags = tags(record).unwrap_or_default();
    let of = |tag: &str, default| {
        let said = tags.get(tag).map(|word| word.to_ascii_lowercase());
        match said.as_deref() {
            None => default,
            Some("reject") => DmarcPolicy::Reject,
            Some("quarantine") => DmarcPolicy::Quarantine,
            Some(_) => DmarcPolicy::None,
        }
    };
    let p = of("p", DmarcPolicy::None);
    let sp = of("sp", p);
    [p, sp, of("np", sp)]
}

/// The tags with their values as sets; `None` where the text is no DMARC record.
fn said(record: &str) -> Option<BTreeSet<(String, BTreeSet<String>)>> {
    if !is_dmarc(record) {
        return None;
    }
    let tags = tags(record).ok()?;
    Some(
        tags.into_iter()
            .map(|(tag, value)| {
                let values = match tag.as_str() {
                    "rua" | "ruf" => value.split(',').map(|uri| uri.trim().to_owned()).collect(),
                    "fo" => value
                        .split(':')
                        .map(|option| option.trim().to_ascii_lowercase())
                        .collect(),
                    _ => BTreeSet::from([value.to_ascii_lowercase()]),
                };
                (tag, values)
            })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_set_is_written() {
        assert_eq!(
            record(&Dmarc::default()),
            "v=DMARC1; p=quarantine; np=reject"
        );
        let full = Dmarc {
            p: DmarcPolicy::Reject,
            sp: Some(DmarcPolicy::Quarantine),
            np: Some(DmarcPolicy::None),
            fo: Some("1:d".into()),
            rua: vec!["rua@wac.tax".into(), "mailto:b@example.com".into()],
            ruf: vec!["ruf@wac.tax".into()],
            adkim: Some(Alignment::S),
            aspf: Some(Alignment::R),
        };
        assert_eq!(
            record(&full),
            "v=DMARC1; p=reject; sp=quarantine; np=none; adkim=s; aspf=r; fo=1:d; \
             rua=mailto:rua@wac.tax,mailto:b@example.com; ruf=mailto:ruf@wac.tax"
        );
    }

    #[test]
    fn report_addresses_become_uris() {
        for (address, wanted) in [
            ("a@example.com", "mailto:a@example.com"),
            ("a+b@example.com", "mailto:a+b@example.com"),
            ("wow!@example.com", "mailto:wow%21@example.com"),
            ("a,b;c@example.com", "mailto:a%2Cb%3Bc@example.com"),
            ("100%@example.com", "mailto:100%25@example.com"),
            ("mailto:a%2Cb@example.com", "mailto:a%2Cb@example.com"),
            ("mailto:a!10m@example.com", "mailto:a%2110m@example.com"),
            ("https://example.com/r?d=1", "https://example.com/r?d=1"),
        ] {
            assert_eq!(uri(address), wanted);
        }
    }

    #[test]
    fn equal_records_are_written_in_many_ways() {
        let ours = "v=DMARC1; p=quarantine; np=reject; rua=mailto:a@b.c,mailto:d@e.f";
        for (other, equal) in [
            (
                "v=DMARC1;p=quarantine;np=reject;rua=mailto:d@e.f, mailto:a@b.c;",
                true,
            ),
            (
                "v=DMARC1 ; np=Reject; p=QUARANTINE; rua=mailto:a@b.c,mailto:d@e.f",
                true,
            ),
            (
                "v=DMARC1; p=none; np=reject; rua=mailto:a@b.c,mailto:d@e.f",
                false,
            ),
            ("v=DMARC1; p=quarantine; np=reject", false),
            (
                "v=DMARC1; p=quarantine; np=reject; rua=mailto:a@b.c,mailto:d@e.f; pct=50",
                false,
            ),
            (
                "p=quarantine; np=reject; v=DMARC1; rua=mailto:a@b.c,mailto:d@e.f",
                false,
            ),
            ("v=DMARC1; p", false),
        ] {
            assert_eq!(same(ours, other), equal, "{other}");
        }
    }

    #[test]
    fn a_weaker_policy_is_told_by_what_it_comes_to() {
        for (before, after, told) in [
            (
                "p=reject",
                "p=quarantine",
                Some("p=reject becomes p=quarantine"),
            ),
            ("p=quarantine", "p=quarantine; np=reject", None),
            (
                "p=quarantine; np=reject",
                "p=quarantine",
                Some("np=reject becomes np=quarantine"),
            ),
            (
                "p=none; sp=REJECT",
                "p=reject; sp=none",
                Some("sp=reject becomes sp=none"),
            ),
            ("p=none", "p=none; rua=mailto:a@b.c", None),
            ("rua=mailto:a@b.c", "p=none", None),
        ] {
            let record = |tags: &str| format!("v=DMARC1; {tags}");
            let found = weaker(&record(before), &record(after));
            assert_eq!(found.as_deref(), told, "{before} → {after}");
        }
    }
}

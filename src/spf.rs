//! The SPF record of a domain (RFC 7208): merging what this host needs into
//! what stands there, without losing a word that others wrote.

mod parts;
pub mod term;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::config::SpfAll;
use parts::Parts;
use term::{Kind, Term};

/// What mailctl wants the record to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Addresses this host sends from.
    pub ip4: Vec<Ipv4Addr>,
    /// Addresses this host sends from.
    pub ip6: Vec<Ipv6Addr>,
    /// The hosts of the MX records may send: only where this host is the MX.
    pub mx: bool,
    /// Domains whose records are included, without `include:`.
    pub includes: Vec<String>,
    /// Further terms, as they are.
    pub extra: Vec<String>,
    /// The qualifier of `all`; `None` keeps what stands, else softfail.
    pub all: Option<SpfAll>,
}

impl Wanted {
    /// The wanted terms but `all`, in the order of the record. These are what
    /// a ledger keeps, to know later which terms were mailctl's.
    pub fn terms(&self) -> Vec<String> {
        let ip4 = self.ip4.iter().map(|ip| format!("ip4:{ip}"));
        let ip6 = self.ip6.iter().map(|ip| format!("ip6:{ip}"));
        let mx = self.mx.then(|| "mx".to_owned());
        let includes = self
            .includes
            .iter()
            .map(|domain| format!("include:{domain}"));
        ip4.chain(ip6)
            .chain(mx)
            .chain(includes)
            .chain(self.extra.iter().cloned())
            .collect()
    }
}

/// The record that says what `existing` says and what is `wanted`.
///
/// Foreign terms keep their words and order; wanted ones that are missing come
/// before `all`; one that stands with another qualifier is replaced where it
/// stands. Modifiers go last. Terms of `forget`, which mailctl wrote earlier
/// and no longer wants, are left out. Merging twice changes nothing.
///
/// # Errors
/// A sentence for people: a term that no receiver would understand, there or
/// here, or an `all` that would switch off the `redirect=` that stands there.
pub fn merge(
    existing: Option<&str>,
    wanted: &Wanted,
    forget: &BTreeSet<String>,
) -> Result<String, String> {
    let ours: Vec<Term> = wanted
        .terms()
        .iter()
        .map(|text| Term::parse(text))
        .collect::<Result<_, _>>()?;
    let forget: Vec<Term> = forget
        .iter()
        .filter_map(|text| Term::parse(text).ok())
        .filter(|old| !ours.iter().any(|term| term.equals(old)))
        .collect();
    let mut record = Parts::default();
    for text in existing.map_or_else(Vec::new, words) {
        let term = Term::parse(text)?;
        if !forget.iter().any(|old| old.equals(&term)) {
            record.take(term);
        }
    }
    for term in ours {
        record.want(term)?;
    }
    record.close(wanted.all)?;
    Ok(record.text())
}

/// The record without `ours`, the terms that a ledger lists; `None` where the
/// whole record was mailctl's, which it says by `all`, or nothing is left of it.
pub fn without(existing: &str, ours: &BTreeSet<String>) -> Option<String> {
    let ours_parsed: Vec<Term> = ours
        .iter()
        .filter_map(|text| Term::parse(text).ok())
        .collect();
    let mine = |word: &str| {
        Term::parse(word).is_ok_and(|term| ours_parsed.iter().any(|old| old.equals(&term)))
    };
    let is_all = |word: &str| {
        word.trim_start_matches(['+', '-', '~', '?'])
            .eq_ignore_ascii_case("all")
    };
    let left: Vec<&str> = words(existing)
        .into_iter()
        .filter(|word| is_all(word) || !mine(word))
        .collect();
    if ours.contains("all") && left.iter().all(|word| is_all(word)) {
        return None;
    }
    Some(format!("v=spf1 {}", left.join(" ")))
}

/// The terms of a record, without its version.
fn words(record: &str) -> Vec<&str> {
    record.split_ascii_whitespace().skip(1).collect()
}

/// Whether a TXT value is an SPF record: the version ends in a space or with
/// the value (RFC 7208 section 4.5), so `v=spf10` is none.
pub fn is_spf(value: &str) -> bool {
    let version = value
        .get(..6)
        .is_some_and(|head| head.eq_ignore_ascii_case("v=spf1"));
    version && matches!(value.as_bytes().get(6), None | Some(b' '))
}

/// The SPF record among a name's TXT values.
///
/// # Errors
/// When there is more than one: every receiver then answers `permerror`.
pub fn only_spf<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Option<&'a str>, String> {
    let records: Vec<&str> = values.into_iter().filter(|value| is_spf(value)).collect();
    match records.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        several => Err(format!(
            "{} SPF records stand at one name, and receivers then accept none of them: `{}`",
            several.len(),
            several.join("` and `")
        )),
    }
}

/// How many of the record's own terms make a receiver ask the DNS. With those
/// of the records they lead to there may be ten (RFC 7208 section 4.6.4).
pub fn lookups(record: &str) -> usize {
    let terms: Vec<Term> = words(record)
        .iter()
        .filter_map(|text| Term::parse(text).ok())
        .collect();
    let has_all = terms.iter().any(|term| term.kind == Kind::All);
    terms
        .iter()
        .take_while(|term| term.kind != Kind::All)
        .filter(|term| term.kind == Kind::Lookup)
        .count()
        + usize::from(!has_all && terms.iter().any(|term| term.kind == Kind::Redirect))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking_ours_out_leaves_the_words_of_others() {
        let ours = |terms: &[&str]| {
            terms
                .iter()
                .map(|t| (*t).to_owned())
                .collect::<BTreeSet<_>>()
        };
        let record = "v=spf1 ip4:192.0.2.1 mx include:_spf.example.net ~all";
        let left = without(record, &ours(&["ip4:192.0.2.1", "mx"]));
        assert_eq!(
            left.as_deref(),
            Some("v=spf1 include:_spf.example.net ~all")
        );
        assert_eq!(
            without(
                "v=spf1 ip4:192.0.2.1 mx ~all",
                &ours(&["ip4:192.0.2.1", "mx", "all"])
            ),
            None
        );
        let kept = without("v=spf1 mx a ~all", &ours(&["mx", "all"]));
        assert_eq!(
            kept.as_deref(),
            Some("v=spf1 a ~all"),
            "somebody added to ours"
        );
    }

    fn host() -> Wanted {
        Wanted {
            ip4: vec![Ipv4Addr::new(203, 0, 113, 7)],
            ip6: vec!["2001:db8::7".parse().expect("an address")],
            mx: true,
            ..Wanted::default()
        }
    }

    fn merged(existing: Option<&str>, wanted: &Wanted) -> String {
        merge(existing, wanted, &BTreeSet::new()).expect("a record")
    }

    #[test]
    fn what_stands_is_kept_and_ours_is_added() {
        const OURS: &str = "ip4:203.0.113.7 ip6:2001:db8::7 mx";
        for (existing, wanted) in [
            (None, format!("v=spf1 {OURS} ~all")),
            (Some("v=spf1"), format!("v=spf1 {OURS} ~all")),
            (Some("v=spf1 -all"), format!("v=spf1 {OURS} -all")),
            (
                Some("V=SPF1   include:_spf.google.com  ?all"),
                format!("v=spf1 include:_spf.google.com {OURS} ?all"),
            ),
            (
                Some("v=spf1 a MX -all"),
                "v=spf1 a MX ip4:203.0.113.7 ip6:2001:db8::7 -all".into(),
            ),
            (
                Some("v=spf1 mx mx +mx a ~all -all"),
                "v=spf1 mx a ip4:203.0.113.7 ip6:2001:db8::7 ~all".into(),
            ),
            (
                Some("v=spf1 exp=why.%{d} a -all"),
                format!("v=spf1 a {OURS} -all exp=why.%{{d}}"),
            ),
            (
                Some("v=spf1 a redirect=_spf.example.com"),
                format!("v=spf1 a {OURS} redirect=_spf.example.com"),
            ),
            (
                Some("v=spf1 ?ip4:203.0.113.7 a -all"),
                "v=spf1 ip4:203.0.113.7 a ip6:2001:db8::7 mx -all".into(),
            ),
            (
                Some("v=spf1 a -all mx ptr"),
                format!("v=spf1 a {OURS} -all ptr"),
            ),
            (
                Some("v=spf1 exists:%{ir}.sbl.example.org -all"),
                format!("v=spf1 exists:%{{ir}}.sbl.example.org {OURS} -all"),
            ),
            (
                Some("v=spf1 ip6:2001:0DB8:0::7/128 +all"),
                "v=spf1 ip6:2001:0DB8:0::7/128 ip4:203.0.113.7 mx +all".into(),
            ),
        ] {
            let once = merged(existing, &host());
            assert_eq!(once, wanted, "{existing:?}");
            assert_eq!(
                merged(Some(&once), &host()),
                once,
                "merging again changes nothing"
            );
        }
    }

    #[test]
    fn settings_of_the_file_are_obeyed() {
        let wanted = Wanted {
            includes: vec!["_spf.google.com".into()],
            extra: vec![
                "ip4:192.0.2.0/24".into(),
                "?exists:%{i}._spf.example.org".into(),
            ],
            all: Some(SpfAll::Fail),
            ..host()
        };
        assert_eq!(
            merged(Some("v=spf1 a ~all"), &wanted),
            "v=spf1 a ip4:203.0.113.7 ip6:2001:db8::7 mx include:_spf.google.com \
             ip4:192.0.2.0/24 ?exists:%{i}._spf.example.org -all"
        );
    }

    #[test]
    fn what_mailctl_wrote_earlier_goes_when_it_is_no_longer_wanted() {
        let forget: BTreeSet<String> = ["ip4:198.51.100.1", "include:old.example", "mx"]
            .map(String::from)
            .into();
        let before = "v=spf1 ip4:198.51.100.1 include:old.example mx a -all";
        assert_eq!(
            merge(Some(before), &host(), &forget).as_deref(),
            Ok("v=spf1 mx a ip4:203.0.113.7 ip6:2001:db8::7 -all")
        );
    }

    #[test]
    fn refusals_say_why() {
        let fail = Wanted {
            all: Some(SpfAll::Fail),
            ..host()
        };
        let extra = |text: &str| Wanted {
            extra: vec![text.into()],
            ..host()
        };
        for (existing, wanted, part) in [
            ("v=spf1 redirect=_spf.example.com", fail, "switch off"),
            (
                "v=spf1 redirect=a.example redirect=b.example",
                host(),
                "only once",
            ),
            ("v=spf1 ip4:192.0.2.300 -all", host(), "`ip4:192.0.2.300`"),
            ("v=spf1", extra("ip4:1.2.3"), "`ip4:1.2.3`"),
            ("v=spf1", extra("-all"), "the setting `all`"),
        ] {
            let said = merge(Some(existing), &wanted, &BTreeSet::new()).expect_err(existing);
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn only_one_record_is_spf() {
        assert_eq!(
            only_spf(["v=spf10 -all", "v=spf1x", "google-site=1"]),
            Ok(None)
        );
        assert_eq!(only_spf(["hello", "V=spf1 -all"]), Ok(Some("V=spf1 -all")));
        let said = only_spf(["v=spf1 -all", "v=spf1 mx"]).expect_err("two records");
        assert!(said.contains("`v=spf1 -all` and `v=spf1 mx`"), "{said}");
    }

    #[test]
    fn lookups_are_counted() {
        for (record, count) in [
            ("v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -all", 0),
            (
                "v=spf1 a mx include:a.example exists:%{i}.b.example ptr -all",
                5,
            ),
            ("v=spf1 mx redirect=a.example", 2),
            ("v=spf1 mx -all a redirect=a.example", 1),
        ] {
            assert_eq!(lookups(record), count, "{record}");
        }
    }
}

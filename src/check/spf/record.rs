//! The record as it stands: that it is the only one, and that it is understood.

use std::collections::BTreeSet;

use super::tree::Walk;
use super::{RECORD, SYNTAX};
use crate::check::Finding;
use crate::check::remarks::Remarks;
use crate::record::Name;
use crate::spf::only_spf;
use crate::spf::term::{Kind, Term};

/// Judges that there is one record; `mailless`: the domain receives nothing either.
pub(super) fn exists(domain: &Name, values: &BTreeSet<String>, mailless: bool) -> Finding {
    let about = RECORD.of(domain);
    match only_spf(values.iter().map(String::as_str)) {
        Ok(Some(text)) => about.pass(text),
        Err(several) => about.fail(
            format!("permerror: {several}"),
            "merge them into one record: all terms before one `all`, and delete the others",
        ),
        Ok(None) => {
            let found = match values.iter().find(|value| is_almost_spf(value)) {
                Some(value) => format!(
                    "none; `{value}` is not taken for one, which begins with `v=spf1` and a space"
                ),
                None => "none".to_owned(),
            };
            if mailless {
                about.warn(
                    found,
                    "the domain has no MX either: publish `v=spf1 -all`, which says that it sends no mail",
                )
            } else {
                about.fail(
                    found,
                    "publish a TXT record at the domain's own name: `v=spf1`, the addresses that its mail comes from, `~all`",
                )
            }
        }
    }
}

fn is_almost_spf(value: &str) -> bool {
    value.to_ascii_lowercase().contains("v=spf1") || value.to_ascii_lowercase().contains("v=spf ")
}

/// Whether a record says that nobody sends.
pub(super) fn forbids_all(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace().skip(1);
    words
        .next()
        .is_some_and(|word| word.eq_ignore_ascii_case("-all"))
        && words.next().is_none()
}

/// Judges the words of the record, and those of records that it leads to.
pub(super) fn syntax(domain: &Name, text: &str, walk: &Walk) -> Finding {
    let mut remarks = Remarks::default();
    for bad in &walk.syntax {
        remarks.fail(
            format!("permerror: {bad}"),
            "write the term as RFC 7208 section 5 has it, or take it out",
        );
    }
    let words = text.split_ascii_whitespace().skip(1);
    let terms: Vec<Term> = words.filter_map(|word| Term::parse(word).ok()).collect();
    repeated(&terms, &mut remarks);
    ending(&terms, &mut remarks);
    let mut ptr = terms
        .iter()
        .filter(|term| term.name() == "ptr" && term.kind == Kind::Lookup);
    if let Some(term) = ptr.next() {
        remarks.warn(
            format!(
                "`{}` is slow and unreliable, and some receivers skip it",
                term.text
            ),
            "name the addresses with ip4: and ip6: instead of ptr (RFC 7208 section 5.5)",
        );
    }
    let good = if forbids_all(text) {
        format!("{text}: it says that nobody sends")
    } else {
        format!("{} terms, all understood", terms.len())
    };
    remarks.settle(SYNTAX.of(domain), good)
}

/// `redirect=` and `exp=` may stand once (RFC 7208 section 6).
fn repeated(terms: &[Term], remarks: &mut Remarks) {
    for name in ["redirect", "exp"] {
        let modifiers = terms.iter().filter(|term| {
            matches!(term.kind, Kind::Redirect | Kind::Modifier) && term.name() == name
        });
        if modifiers.count() > 1 {
            remarks.fail(
                format!("permerror: `{name}=` stands more than once"),
                format!("keep one `{name}=`"),
            );
        }
    }
}

/// What the record says of everybody whom no other term names.
fn ending(terms: &[Term], remarks: &mut Remarks) {
    let redirect = terms.iter().find(|term| term.kind == Kind::Redirect);
    let Some(place) = terms.iter().position(|term| term.kind == Kind::All) else {
        if redirect.is_none() {
            remarks.warn(
                "it ends without `all`, so that everybody else is neutral",
                "end the record with `~all` or `-all`",
            );
        }
        return;
    };
    match terms[place].qualifier {
        '+' => remarks.fail(
            format!("`{}` permits the whole world to send", terms[place].text),
            "end the record with `~all` or `-all`",
        ),
        '?' => remarks.warn(
            "`?all` says nothing of everybody else",
            "end the record with `~all` or `-all`",
        ),
        _ => {}
    }
    let unreached: Vec<String> = terms[place + 1..]
        .iter()
        .filter(|term| term.kind != Kind::Modifier && term.kind != Kind::Redirect)
        .map(|term| format!("`{}`", term.text))
        .collect();
    if !unreached.is_empty() {
        remarks.warn(
            format!("{} after `all` is never reached", unreached.join(", ")),
            "move it before `all`, or take it out",
        );
    }
    if let Some(redirect) = redirect {
        remarks.warn(
            format!("`{}` has no effect beside `all`", redirect.text),
            "keep one of the two (RFC 7208 section 6.1)",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::walk;
    use super::*;
    use crate::check::Verdict::{self, Fail, Pass, Warn};

    fn domain() -> Name {
        Name::parse("a.test").expect("a name")
    }

    #[test]
    fn one_record_is_wanted() {
        for (values, mailless, verdict, part) in [
            (
                &["v=spf1 mx -all", "other"][..],
                false,
                Pass,
                "v=spf1 mx -all",
            ),
            (&[], false, Fail, "none"),
            (&[], true, Warn, "none"),
            (
                &["v=spf10 -all"],
                false,
                Fail,
                "`v=spf10 -all` is not taken for one",
            ),
            (
                &["v=spf1 -all", "V=SPF1 mx -all"],
                false,
                Fail,
                "permerror: 2 SPF records",
            ),
            (
                &["v=spf1 -all", "v=spf1 mx -all"],
                true,
                Fail,
                "`v=spf1 -all` and `v=spf1 mx -all`",
            ),
        ] {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            let finding = exists(&domain(), &values, mailless);
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert!(finding.found.contains(part), "{finding:?}");
            assert_eq!(finding.fix.is_empty(), verdict == Pass);
        }
    }

    #[test]
    fn words_are_judged() {
        for (text, verdict, part) in [
            ("v=spf1 ip4:192.0.2.1 mx ~all", Pass, "3 terms"),
            ("V=SPF1 MX -ALL", Pass, "2 terms"),
            ("v=spf1 -all", Pass, "nobody sends"),
            ("v=spf1 mx redirect=b.test", Pass, "2 terms"),
            ("v=spf1 ra=postmaster mx -all", Pass, "3 terms"),
            ("v=spf1 mx", Warn, "without `all`"),
            ("v=spf1 mx ?all", Warn, "`?all`"),
            ("v=spf1 mx all", Fail, "`all` permits"),
            ("v=spf1 +ALL", Fail, "`+ALL` permits"),
            ("v=spf1 ptr -all", Warn, "`ptr` is slow"),
            ("v=spf1 -all mx a", Warn, "`mx`, `a` after `all`"),
            (
                "v=spf1 -all redirect=b.test",
                Warn,
                "`redirect=b.test` has no effect",
            ),
            (
                "v=spf1 redirect=b.test redirect=c.test",
                Fail,
                "`redirect=` stands more than once",
            ),
            ("v=spf1 ipv4:192.0.2.1 -all", Fail, "`ipv4:192.0.2.1`"),
            (
                "v=spf1 ip4:192.0.2.300 ?all",
                Fail,
                "`ip4:192.0.2.300`: `192.0.2.300` is no IPv4 address; `?all`",
            ),
        ] {
            let walk = walk(&format!("a.test TXT {text}\nb.test TXT v=spf1 -all"));
            let finding = syntax(&domain(), text, &walk);
            let found: (Verdict, bool) = (finding.verdict, finding.found.contains(part));
            assert_eq!(found, (verdict, true), "{finding:?}");
        }
    }
}

//! The words of a DMARC record (RFC 9989 section 4.7).

use std::collections::BTreeMap;

use super::{REMOVED, SYNTAX};
use crate::check::Finding;
use crate::check::remarks::Remarks;
use crate::record::Name;

/// Tags that a record may have, and those that it once could.
const KNOWN: &[&str] = &[
    "v", "p", "sp", "np", "adkim", "aspf", "fo", "psd", "rua", "ruf", "t", "pct", "rf", "ri",
];

/// The tags of a record as receivers take them: the first of each name,
/// parts that are no tag left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tags(BTreeMap<String, String>);

impl Tags {
    /// Reads a record leniently; [`judge`] is strict.
    pub(super) fn of(record: &str) -> Self {
        let mut tags = BTreeMap::new();
        for (tag, value) in record.split(';').filter_map(|part| part.split_once('=')) {
            tags.entry(tag.trim().to_ascii_lowercase())
                .or_insert_with(|| value.trim().to_owned());
        }
        Self(tags)
    }

    /// A value as it stands.
    pub(super) fn get(&self, tag: &str) -> Option<&str> {
        self.0.get(tag).map(String::as_str)
    }

    /// The URIs of `rua` or `ruf`.
    pub(super) fn uris(&self, tag: &str) -> impl Iterator<Item = &str> {
        let uris = self.get(tag).into_iter().flat_map(|list| list.split(','));
        uris.map(str::trim).filter(|uri| !uri.is_empty())
    }
}

/// Judges the words.
pub(super) fn judge(domain: &Name, record: &str) -> Finding {
    let mut remarks = Remarks::default();
    let mut seen: Vec<String> = Vec::new();
    let parts = record
        .split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    for part in parts {
        let Some((tag, value)) = part.split_once('=') else {
            remarks.fail(
                format!("`{part}` is no `tag=value`"),
                "separate tags by semicolons, each `tag=value`",
            );
            continue;
        };
        let (tag, value) = (tag.trim().to_ascii_lowercase(), value.trim());
        if seen.contains(&tag) {
            remarks.fail(
                format!("the tag `{tag}` comes twice"),
                format!("keep one `{tag}`"),
            );
        } else if !KNOWN.contains(&tag.as_str()) {
            remarks.warn(
                format!("nobody knows the tag `{tag}`, and receivers ignore it"),
                format!("take `{tag}` out, or correct its name"),
            );
        } else if let Some(wanted) = wanted(&tag, value) {
            let found = format!("`{tag}={value}`: {wanted} is wanted");
            let fix = format!("correct `{tag}`");
            if matches!(tag.as_str(), "p" | "sp" | "np") {
                remarks.fail(found, fix);
            } else {
                // Such a value is to be taken for the default (RFC 9989 section 4.8).
                remarks.warn(found, fix);
            }
        }
        seen.push(tag);
    }
    missing_policy(&seen, record, &mut remarks);
    remarks.settle(
        SYNTAX.of(domain),
        format!("{} tags, all understood", seen.len()),
    )
}

fn missing_policy(seen: &[String], record: &str, remarks: &mut Remarks) {
    let fix = "write `p=` right behind `v=DMARC1`";
    match seen.iter().position(|tag| tag == "p") {
        Some(1) => {}
        Some(_) => remarks.warn(
            "`p` does not follow `v`, where receivers of the older RFC 7489 look for it",
            fix,
        ),
        None if Tags::of(record).uris("rua").next().is_some() => {
            remarks.warn("the tag p is missing, which means p=none", fix);
        }
        None => remarks.fail(
            "the tag p is missing, and without report addresses the record then does not apply",
            fix,
        ),
    }
}

/// What a tag wants instead of this value; `None` where the value is one of its own.
fn wanted(tag: &str, value: &str) -> Option<&'static str> {
    let value = value.to_ascii_lowercase();
    let one_of = |values: &[&str]| values.contains(&value.as_str());
    let (good, wanted) = match tag {
        "p" | "sp" | "np" => (
            one_of(&["none", "quarantine", "reject"]),
            "none, quarantine or reject",
        ),
        "adkim" | "aspf" => (one_of(&["r", "s"]), "r or s"),
        "psd" => (one_of(&["y", "n", "u"]), "y, n or u"),
        "t" => (one_of(&["y", "n"]), "y or n"),
        "fo" => {
            let good = |option: &str| matches!(option.trim(), "0" | "1" | "d" | "s");
            (
                value.split(':').all(good),
                "a list of 0, 1, d and s, with colons between",
            )
        }
        "rua" | "ruf" => (!value.is_empty(), "a list of URIs, with commas between"),
        _ => (true, ""),
    };
    (!good).then_some(wanted)
}

/// Judges what the record has of older versions.
pub(super) fn removed(domain: &Name, tags: &Tags) -> Finding {
    let mut remarks = Remarks::default();
    for (tag, was) in [
        ("pct", "the policy holds for all mail"),
        ("rf", "there is one format of failure reports"),
        ("ri", "reports come once a day"),
    ] {
        if let Some(value) = tags.get(tag) {
            remarks.warn(
                format!("`{tag}={value}` is ignored: {was}"),
                format!("take `{tag}` out"),
            );
        }
    }
    for uri in tags.uris("rua").chain(tags.uris("ruf")) {
        if uri.contains('!') {
            remarks.warn(
                format!("the size limit of `{uri}` is ignored"),
                "take `!` and what follows it out of the address",
            );
        }
    }
    remarks.settle(REMOVED.of(domain), "none")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict::{Fail, Pass, Warn};

    fn domain() -> Name {
        Name::parse("a.test").expect("a name")
    }

    #[test]
    fn words_are_judged() {
        for (record, verdict, part) in [
            ("v=DMARC1; p=quarantine; np=reject", Pass, "3 tags"),
            (
                "v=DMARC1;p=REJECT;sp=none;adkim=S;aspf=r;fo=1:d:s;psd=n;t=n;",
                Pass,
                "8 tags",
            ),
            (
                "v=DMARC1; p=reject; rua=mailto:a@b.c, mailto:d@e.f",
                Pass,
                "3 tags",
            ),
            ("v=DMARC1; p=reject; policy=none", Warn, "the tag `policy`"),
            ("v=DMARC1; sp=none; p=reject", Warn, "`p` does not follow"),
            (
                "v=DMARC1; rua=mailto:a@b.c",
                Warn,
                "the tag p is missing, which means p=none",
            ),
            ("v=DMARC1", Fail, "the tag p is missing, and"),
            (
                "v=DMARC1; p=rejected",
                Fail,
                "`p=rejected`: none, quarantine or reject",
            ),
            ("v=DMARC1; p=reject; sp=", Fail, "`sp=`"),
            ("v=DMARC1; p=reject; np=drop", Fail, "`np=drop`"),
            ("v=DMARC1; p=reject; adkim=relaxed", Warn, "`adkim=relaxed`"),
            ("v=DMARC1; p=reject; fo=2", Warn, "`fo=2`"),
            ("v=DMARC1; p=reject; psd=x", Warn, "`psd=x`"),
            ("v=DMARC1; p=reject; t=1", Warn, "`t=1`"),
            ("v=DMARC1; p=reject; p=none", Fail, "`p` comes twice"),
            ("v=DMARC1; p=reject sp=none", Fail, "`p=reject sp=none`"),
            ("v=DMARC1; p=reject; hello", Fail, "`hello` is no"),
        ] {
            let finding = judge(&domain(), record);
            assert_eq!(finding.verdict, verdict, "{record}: {finding:?}");
            assert!(finding.found.contains(part), "{finding:?}");
        }
    }

    #[test]
    fn removed_tags_are_named() {
        for (record, verdict, part) in [
            ("v=DMARC1; p=reject; rua=mailto:a@b.c", Pass, "none"),
            ("v=DMARC1; p=reject; pct=50", Warn, "`pct=50` is ignored"),
            (
                "v=DMARC1; p=reject; rf=afrf; ri=86400",
                Warn,
                "`rf=afrf` is ignored: there is one format of failure reports; `ri",
            ),
            (
                "v=DMARC1; p=reject; rua=mailto:a@b.c!10m",
                Warn,
                "`mailto:a@b.c!10m`",
            ),
        ] {
            let finding = removed(&domain(), &Tags::of(record));
            assert_eq!(finding.verdict, verdict, "{record}: {finding:?}");
            assert!(finding.found.contains(part), "{finding:?}");
        }
    }
}

//! Which DMARC record applies to a domain: the DNS tree walk of RFC 9989
//! section 4.10, done on what was found at each name.

use super::is_dmarc;
use crate::dkim::tags;
use crate::record::Name;

/// A name with more labels is cut to seven after the first question.
const MOST_QUESTIONS: usize = 8;

/// The domains whose `_dmarc` is asked for, eight at most, the domain itself first.
pub fn names(domain: &Name) -> Vec<Name> {
    let mut names = vec![domain.clone()];
    let mut at = domain.clone();
    while let Some(above) = at.parent().filter(|above| *above != Name::root()) {
        let labels = above.as_str().split('.').count();
        if labels < MOST_QUESTIONS {
            names.push(above.clone());
        }
        at = above;
    }
    names
}

/// What was found on the way up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The record that applies, and the domain below whose `_dmarc` it stands.
    pub record: Option<(Name, String)>,
    /// The organizational domain, which decides about relaxed alignment.
    pub organization: Name,
    /// Names with several records, of which none applies (RFC 9989 section 4.10).
    pub several: Vec<(Name, Vec<String>)>,
}

/// What applies to the first of `walk`, the TXT values found below each name.
pub fn found<'a>(walk: impl IntoIterator<Item = (&'a Name, Vec<String>)>) -> Found {
    let mut several = Vec::new();
    let mut records: Vec<(Name, String)> = Vec::new();
    let mut start = None;
    for (name, values) in walk {
        start.get_or_insert_with(|| name.clone());
        let mut values: Vec<String> = values.into_iter().filter(|value| is_dmarc(value)).collect();
        if values.len() > 1 {
            several.push((name.clone(), values));
        } else if let Some(record) = values.pop() {
            let ends = psd(&record).is_some();
            records.push((name.clone(), record));
            if ends {
                break;
            }
        }
    }
    let start = start.unwrap_or_else(Name::root);
    let organization = organization(&records, &start);
    let of = |name: &Name| records.iter().find(|(at, _)| at == name);
    let record = of(&start).or_else(|| of(&organization)).or(records.last());
    Found {
        record: record.cloned(),
        organization,
        several,
    }
}

/// The organizational domain (RFC 9989 section 4.10.2).
fn organization(records: &[(Name, String)], start: &Name) -> Name {
    for (name, record) in records {
        match psd(record) {
            Some(false) => return name.clone(),
            Some(true) if name != start => return below(name, start),
            _ => {}
        }
    }
    records
        .last()
        .map_or_else(|| start.clone(), |(name, _)| name.clone())
}

/// The name one label below `above`, on the way to `start`.
fn below(above: &Name, start: &Name) -> Name {
    let mut at = start.clone();
    while let Some(parent) = at.parent().filter(|parent| parent != above) {
        at = parent;
    }
    at
}

/// `psd=y` or `psd=n`: the domain says what it is, and the walk ends.
fn psd(record: &str) -> Option<bool> {
    match tags(record).ok()?.get("psd")?.to_ascii_lowercase().as_str() {
        "y" => Some(true),
        "n" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    #[test]
    fn at_most_eight_names_are_asked() {
        let of = |domain: &str| -> Vec<String> {
            names(&name(domain)).iter().map(Name::to_string).collect()
        };
        assert_eq!(of("a.example.com"), ["a.example.com", "example.com", "com"]);
        let long = of("a.b.c.d.e.f.g.h.i.j.example.com");
        assert_eq!(long.len(), 8);
        assert_eq!(long[1], "f.g.h.i.j.example.com");
        assert_eq!(long[7], "com");
    }

    fn walked(domain: &str, records: &[(&str, &str)]) -> Found {
        let names = names(&name(domain));
        found(names.iter().map(|at| {
            let here = records.iter().filter(|(owner, _)| *owner == at.as_str());
            (at, here.map(|(_, value)| (*value).to_owned()).collect())
        }))
    }

    #[test]
    fn the_record_of_the_domain_then_of_the_organization_applies() {
        const ORG: (&str, &str) = ("example.com", "v=DMARC1; p=reject");
        const SUB: (&str, &str) = ("a.example.com", "v=DMARC1; p=none");
        const PSD: (&str, &str) = ("com", "v=DMARC1; p=reject; psd=y");
        for (domain, records, at, organization) in [
            (
                "a.example.com",
                &[ORG, SUB][..],
                Some("a.example.com"),
                "example.com",
            ),
            (
                "b.a.example.com",
                &[ORG, SUB],
                Some("example.com"),
                "example.com",
            ),
            (
                "b.a.example.com",
                &[ORG, ("a.example.com", "v=DMARC1; psd=n; p=none")],
                Some("a.example.com"),
                "a.example.com",
            ),
            ("b.example.com", &[PSD], Some("com"), "example.com"),
            (
                "b.example.com",
                &[PSD, ORG],
                Some("example.com"),
                "example.com",
            ),
            ("com", &[PSD], Some("com"), "com"),
            (
                "example.com",
                &[("example.com", "v=spf1 -all")],
                None,
                "example.com",
            ),
            ("example.com", &[], None, "example.com"),
        ] {
            let found = walked(domain, records);
            let place = found.record.as_ref().map(|(at, _)| at.as_str());
            assert_eq!(
                (place, found.organization.as_str()),
                (at, organization),
                "{domain} {records:?}"
            );
            assert!(found.several.is_empty());
        }
    }

    #[test]
    fn several_records_are_none() {
        let found = walked(
            "a.example.com",
            &[
                ("a.example.com", "v=DMARC1; p=none"),
                ("a.example.com", "v=DMARC1; p=reject"),
                ("example.com", "v=DMARC1; p=quarantine"),
            ],
        );
        assert_eq!(found.several.len(), 1);
        assert_eq!(
            found.record,
            Some((name("example.com"), "v=DMARC1; p=quarantine".into()))
        );
    }
}

//! A snapshot as a person gets it: a zone file that a provider's panel can
//! import, or from which records are set by hand.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::snapshot::{Found, Said, Snapshot};
use crate::record::{Name, RType, Rrset};
use crate::zone::{DEFAULT_TTL, zonefile};

/// The snapshot as a zone file (RFC 1035 section 5), the SOA record first.
pub(super) fn text(title: &str, zone: &Name, now: OffsetDateTime, snapshot: &Snapshot) -> String {
    let when = now.format(&Rfc3339).unwrap_or_default();
    let mut text = format!(
        "; {zone} at {title}, as mailctl saw it on {when}, before it wrote to it.\n\
         ; Only names that are usual, or that mailctl had looked at, were asked for.\n"
    );
    for name in &snapshot.silent {
        text.push_str(&format!(
            "; {name}: no name server of the zone answers for it\n"
        ));
    }
    let mut found: Vec<&Found> = snapshot.found.iter().collect();
    found.sort_by_key(|found| (found.set.key.rtype != RType::Soa, &found.set.key));
    for Found { set, said } in found {
        if let Some(remark) = remark(set, said.as_ref()) {
            text.push_str(&format!("; {}: {remark}\n", set.key));
        }
        let ttl = set.ttl.unwrap_or(DEFAULT_TTL);
        for value in &set.values {
            text.push_str(&zonefile::line(set, value, ttl));
        }
    }
    text
}

/// What a reader has to know of a set that is not all that it seems.
fn remark(set: &Rrset, said: Option<&Said>) -> Option<&'static str> {
    if set.values.iter().any(|value| value.contains('\u{fffd}')) {
        return Some("octets that are no text stand as they cannot be set again");
    }
    match said {
        None => Some("shown by the name servers, not by the API"),
        Some(None) if set.values.is_empty() => Some("there, but the API's values cannot be read"),
        Some(None) => Some("from the name servers, for the API's values cannot be read"),
        Some(Some(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::record::RrsetKey;

    fn set(owner: &str, rtype: RType, values: &[&str]) -> Rrset {
        let owner = Name::parse(owner).expect("a name");
        Rrset::new(RrsetKey::new(owner, rtype), Some(600), values)
    }

    #[test]
    fn a_snapshot_is_a_zone_file() {
        let soa = "ns1.example.test. host.example.test. 7 3600 600 86400 60";
        let caa = set("example.test", RType::Caa, &["0 issue \"ca.example\""]);
        let srv = set(
            "_sip._tls.example.test",
            RType::Srv,
            &["0 1 5061 sip.example.test."],
        );
        let txt = set("example.test", RType::Txt, &["a \"b\"; c"]);
        let said = |set: &Rrset| Some(Some(set.values.clone()));
        let found = [
            (srv, None),
            (caa, Some(None)),
            (txt.clone(), said(&txt)),
            (set("example.test", RType::Soa, &[soa]), None),
        ]
        .map(|(set, said)| Found { set, said });
        let snapshot = Snapshot {
            found: found.into(),
            silent: vec![Name::parse("shop.example.test").expect("a name")],
        };
        let zone = Name::parse("example.test").expect("a name");
        let now = datetime!(2026-11-26 12:00 UTC);
        let text = text("Namecheap", &zone, now, &snapshot);
        let records: Vec<&str> = text.lines().filter(|l| !l.starts_with(';')).collect();
        assert_eq!(
            records,
            [
                &format!("example.test.\t600\tIN\tSOA\t{soa}"),
                "_sip._tls.example.test.\t600\tIN\tSRV\t0 1 5061 sip.example.test.",
                "example.test.\t600\tIN\tCAA\t0 issue \"ca.example\"",
                "example.test.\t600\tIN\tTXT\t\"a \\\"b\\\"; c\"",
            ]
        );
        assert!(text.starts_with("; example.test at Namecheap"), "{text}");
        assert!(
            text.contains("; _sip._tls.example.test SRV: shown by"),
            "{text}"
        );
        assert!(
            text.contains("; example.test CAA: from the name servers"),
            "{text}"
        );
        let wants = set(
            "_sip._tls.example.test",
            RType::Srv,
            &["0 1 5061 sip.example.test."],
        );
        let read = zonefile::read(text.as_bytes(), &zone, &wants.key).expect("a zone file");
        assert_eq!(read, wants);
    }
}

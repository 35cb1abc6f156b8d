//! `records:` of a domain: further records, in zone-file text (RFC 1035 section 5.1).

use std::collections::BTreeMap;
use std::str::FromStr as _;

use hickory_proto::rr::{RData, RecordType};

use super::guess::{all_of, one_of};
use crate::record::{Name, RType, Rrset, RrsetKey, canonical};

/// The types that may stand there.
pub const TYPES: [&str; 8] = ["A", "AAAA", "CNAME", "MX", "TXT", "SRV", "CAA", "TLSA"];

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Owner and type.
    pub key: RrsetKey,
    /// Seconds, where it is said.
    pub ttl: Option<u32>,
    /// The value, canonical.
    pub value: String,
}

/// Reads all lines of a domain, as sets in the order of their keys.
///
/// # Errors
/// The first line that is wrong, and why; also when records of one set differ
/// in their TTL (RFC 2181 section 5.2).
pub fn parse(domain: &Name, lines: &[String]) -> Result<Vec<Rrset>, String> {
    let mut sets: BTreeMap<RrsetKey, Rrset> = BTreeMap::new();
    for text in lines {
        let Line { key, ttl, value } = line(domain, text)?;
        let set = sets.entry(key.clone()).or_insert_with(|| Rrset {
            ttl,
            ..Rrset::absent(key.clone())
        });
        if set.ttl != ttl {
            return Err(format!(
                "the records of {key} differ in their TTL, but one set has one TTL"
            ));
        }
        set.values.insert(value);
    }
    Ok(sets.into_values().collect())
}

/// Reads one line: `owner [ttl] [IN] type value`. The owner is relative to
/// the domain, or absolute with a trailing dot, or `@` for the domain itself.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn line(domain: &Name, text: &str) -> Result<Line, String> {
    let mut rest = text.trim();
    if rest.contains('\n') {
        return Err("a record is one line: make the next one an entry of its own".into());
    }
    let mut next = || {
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        rest = after.trim_start();
        word
    };
    let owner = owner(domain, next())?;
    let mut ttl = None;
    let mut word = next();
    while word.eq_ignore_ascii_case("IN") || word.starts_with(|c: char| c.is_ascii_digit()) {
        if !word.eq_ignore_ascii_case("IN") {
            let seconds = word
                .parse::<u32>()
                .ok()
                .filter(|ttl| (1..=604_800).contains(ttl));
            ttl = Some(
                seconds.ok_or_else(|| format!("`{word}` is no TTL: 1 to 604800 seconds are"))?,
            );
        }
        word = next();
    }
    let rtype = rtype(word)?;
    if rest.is_empty() {
        return Err(format!("the {rtype} record has no value"));
    }
    let value = value(domain, rtype, rest)?;
    Ok(Line {
        key: RrsetKey::new(owner, rtype),
        ttl,
        value,
    })
}

fn owner(domain: &Name, word: &str) -> Result<Name, String> {
    if word.starts_with('$') {
        return Err(format!(
            "`{word}` is a directive for whole zone files: only records may stand here"
        ));
    }
    let lower = word.to_ascii_lowercase();
    let name = match word {
        "" => return Err("the record is empty: `owner type value` is wanted".into()),
        "@" => domain.clone(),
        absolute if absolute.ends_with('.') => Name::parse(absolute)?,
        _ if lower == domain.as_str() || lower.ends_with(&format!(".{domain}")) => {
            return Err(format!(
                "`{word}` without a final dot means `{word}.{domain}`: write `{word}.`"
            ));
        }
        relative => domain.child(Name::parse(relative)?.as_str()),
    };
    if !name.is_in(domain) {
        return Err(format!(
            "`{word}` is not in {domain}: it has to stand with the domain that it belongs to"
        ));
    }
    Ok(name)
}

fn rtype(word: &str) -> Result<RType, String> {
    let upper = word.to_ascii_uppercase();
    match upper.as_str() {
        "" => Err(format!(
            "the record's type is missing: {} is wanted",
            one_of(&TYPES)
        )),
        "NS" | "SOA" | "DS" | "DNSKEY" | "RRSIG" | "NSEC" | "NSEC3" => Err(format!(
            "{upper} records make the zone itself: mailctl never touches them"
        )),
        known if TYPES.contains(&known) => known.parse(),
        _ => Err(format!(
            "records of type `{word}` cannot be kept here: {} can",
            all_of(&TYPES)
        )),
    }
}

fn value(domain: &Name, rtype: RType, text: &str) -> Result<String, String> {
    let wrong = |why: String| format!("`{text}` is no value of type {rtype}: {why}");
    let hickory = RecordType::from_str(rtype.as_str()).map_err(|e| wrong(e.to_string()))?;
    let named = matches!(rtype, RType::Cname | RType::Mx | RType::Srv);
    let text = match text
        .strip_suffix('@')
        .filter(|before| named && !before.ends_with(|c: char| !c.is_whitespace()))
    {
        Some(before) => format!("{before}{}", domain.fqdn()),
        None => text.to_owned(),
    };
    let data = match rtype {
        RType::A => text
            .parse()
            .map(RData::A)
            .map_err(|_| wrong("an IPv4 address is wanted".into()))?,
        RType::Aaaa => text
            .parse()
            .map(RData::AAAA)
            .map_err(|_| wrong("an IPv6 address is wanted".into()))?,
        _ => RData::try_from_str(hickory, &text).map_err(|e| wrong(e.to_string()))?,
    };
    let target = |name: &hickory_proto::rr::Name| target(domain, name).map_err(wrong);
    Ok(match &data {
        RData::CNAME(name) => target(&name.0)?,
        RData::MX(mx) => format!("{} {}", mx.preference, target(&mx.exchange)?),
        RData::SRV(srv) => format!(
            "{} {} {} {}",
            srv.priority,
            srv.weight,
            srv.port,
            target(&srv.target)?
        ),
        RData::TXT(txt) => txt
            .txt_data
            .iter()
            .map(|part| String::from_utf8_lossy(part).into_owned())
            .collect(),
        other => canonical(rtype, &other.to_string()),
    })
}

/// The absolute form of a name in a value. A relative name with a dot inside
/// is nearly always one whose final dot was forgotten, so it has to be spelt out.
fn target(domain: &Name, name: &hickory_proto::rr::Name) -> Result<String, String> {
    let text = name.to_ascii();
    if name.is_fqdn() {
        return Ok(Name::parse(&text)?.fqdn());
    }
    if text.contains('.') {
        return Err(format!(
            "`{text}` lacks its final dot: write `{text}.`, or `{text}.{domain}.` if that is meant"
        ));
    }
    Ok(domain.child(Name::parse(&text)?.as_str()).fqdn())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain() -> Name {
        Name::parse("wac.tax").expect("a name")
    }

    #[test]
    fn records_are_read_in_canonical_form() {
        for (text, key, ttl, value) in [
            (
                "www 3600 IN A 203.0.113.80",
                "www.wac.tax A",
                Some(3600),
                "203.0.113.80",
            ),
            ("@ AAAA 2001:DB8::0:1", "wac.tax AAAA", None, "2001:db8::1"),
            (
                "blog in CNAME www",
                "blog.wac.tax CNAME",
                None,
                "www.wac.tax.",
            ),
            (
                "b.wac.tax. CNAME Host.Example.",
                "b.wac.tax CNAME",
                None,
                "host.example.",
            ),
            (
                "sub mx 10 mx.example.",
                "sub.wac.tax MX",
                None,
                "10 mx.example.",
            ),
            (
                "_xmpp._tcp SRV 5 0 5222 @",
                "_xmpp._tcp.wac.tax SRV",
                None,
                "5 0 5222 wac.tax.",
            ),
            ("@ TXT \"a b\" \"c\"", "wac.tax TXT", None, "a bc"),
            (
                "@ CAA 0 issue \"letsencrypt.org\"",
                "wac.tax CAA",
                None,
                "0 issue \"letsencrypt.org\"",
            ),
        ] {
            let line = line(&domain(), text).expect(text);
            assert_eq!(
                (line.key.to_string().as_str(), line.ttl, line.value.as_str()),
                (key, ttl, value)
            );
        }
        let hash = "0123456789abcdef".repeat(4);
        let tlsa =
            line(&domain(), &format!("_25._tcp.smtp TLSA 3 1 1 {hash}")).expect("a TLSA record");
        assert_eq!(tlsa.value.to_ascii_lowercase(), format!("3 1 1 {hash}"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, why) in [
            ("", "empty"),
            ("$INCLUDE /etc/passwd", "directive"),
            ("www.wac.tax A 192.0.2.1", "write `www.wac.tax.`"),
            ("www.example. A 192.0.2.1", "not in wac.tax"),
            ("www", "type is missing"),
            ("www A", "no value"),
            ("www A 192.0.2.300", "no value of type A"),
            ("www CNAME www.example.com", "final dot"),
            ("@ NS ns.example.", "never touches"),
            ("@ HINFO a b", "cannot be kept"),
            ("www 0 A 192.0.2.1", "no TTL"),
        ] {
            let error = line(&domain(), text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn lines_become_sets_with_one_ttl() {
        let lines = ["www A 192.0.2.2", "www A 192.0.2.1"].map(String::from);
        let sets = parse(&domain(), &lines).expect("sound");
        assert_eq!(sets.len(), 1);
        assert_eq!(sets[0].values.len(), 2);
        let lines = ["www 60 A 192.0.2.2", "www A 192.0.2.1"].map(String::from);
        assert!(parse(&domain(), &lines).is_err());
    }
}

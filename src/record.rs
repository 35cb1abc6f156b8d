//! DNS names, record types and RRsets in one canonical form, so that what two
//! providers write differently compares equal.

pub mod wire;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A domain name: lower case, A-labels (RFC 5890), no trailing dot; the root is "".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name(String);

impl Name {
    /// Reads a name in any case, with or without trailing dot, Unicode allowed.
    /// Leading underscores (`_dmarc`) and `*` are names like any other.
    ///
    /// # Errors
    /// A sentence that says what is wrong: an empty label, a label over 63
    /// octets or a name over 253 (RFC 1035 section 2.3.4), a bad character.
    pub fn parse(text: &str) -> Result<Self, String> {
        let trimmed = text.strip_suffix('.').unwrap_or(text);
        if trimmed.is_empty() {
            return Ok(Self(String::new()));
        }
        let mut labels = Vec::new();
        for label in trimmed.split('.') {
            labels.push(label_to_ascii(label)?);
        }
        let name = labels.join(".");
        if name.len() > 253 {
            return Err(format!("`{text}` is longer than 253 octets"));
        }
        Ok(Self(name))
    }

    /// The root of the DNS.
    pub fn root() -> Self {
        Self(String::new())
    }

    /// The name without trailing dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name with trailing dot, as zone files and APIs want it.
    pub fn fqdn(&self) -> String {
        format!("{}.", self.0)
    }

    /// `label.self`; `label` may hold several labels and is taken as it is.
    pub fn child(&self, label: &str) -> Self {
        if self.0.is_empty() {
            return Self(label.to_ascii_lowercase());
        }
        Self(format!("{}.{}", label.to_ascii_lowercase(), self.0))
    }

    /// The name one label up; `None` at the root.
    pub fn parent(&self) -> Option<Self> {
        if self.0.is_empty() {
            return None;
        }
        Some(Self(
            self.0
                .split_once('.')
                .map_or(String::new(), |(_, rest)| rest.to_owned()),
        ))
    }

    /// Whether this name is `zone` or below it; label boundaries are kept.
    pub fn is_in(&self, zone: &Name) -> bool {
        zone.0.is_empty()
            || self.0 == zone.0
            || self
                .0
                .strip_suffix(&zone.0)
                .is_some_and(|head| head.ends_with('.'))
    }

    /// The name of an address in the reverse tree (RFC 1035 section 3.5, RFC 3596 section 2.5).
    pub fn reverse(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                Self(format!("{d}.{c}.{b}.{a}.in-addr.arpa"))
            }
            IpAddr::V6(v6) => {
                let nibbles: Vec<String> = v6
                    .octets()
                    .iter()
                    .rev()
                    .flat_map(|o| [format!("{:x}", o & 15), format!("{:x}", o >> 4)])
                    .collect();
                Self(format!("{}.ip6.arpa", nibbles.join(".")))
            }
        }
    }

    /// Where the PTR record of an address stands, given its zone: in one for a
    /// part of a network, such as `0-127.113.0.203.in-addr.arpa`, one label
    /// more leads to it (RFC 2317 section 4).
    pub fn reverse_in(ip: IpAddr, zone: Option<&Name>) -> Self {
        let name = Self::reverse(ip);
        let part = zone.filter(|zone| ip.is_ipv4() && zone.parent() == name.parent());
        match (part, name.0.split_once('.')) {
            (Some(zone), Some((octet, _))) if name != *zone => zone.child(octet),
            _ => name,
        }
    }

    /// The address that a name of the reverse tree stands for; also one in a
    /// zone for a part of a network (RFC 2317).
    pub fn reversed(&self) -> Option<IpAddr> {
        if let Some(head) = self.0.strip_suffix(".in-addr.arpa") {
            let mut labels: Vec<&str> = head.split('.').collect();
            if labels.len() == 5 {
                labels.remove(1);
            }
            let octets = labels.iter().rev().map(|octet| octet.parse().ok());
            let octets: Vec<u8> = octets.collect::<Option<_>>()?;
            return Some(IpAddr::from(<[u8; 4]>::try_from(octets).ok()?));
        }
        let head = self.0.strip_suffix(".ip6.arpa")?;
        let mut nibbles: Vec<u8> = head
            .split('.')
            .map(|n| u8::from_str_radix(n, 16).ok())
            .collect::<Option<_>>()?;
        nibbles.reverse();
        let octets: Vec<u8> = nibbles
            .chunks(2)
            .map(|c| c.iter().fold(0, |a, n| a << 4 | n))
            .collect();
        Some(IpAddr::from(<[u8; 16]>::try_from(octets).ok()?))
    }
}

fn label_to_ascii(label: &str) -> Result<String, String> {
    if label.is_empty() {
        return Err("a label between two dots is empty".into());
    }
    let ascii = if label.is_ascii() {
        label.to_ascii_lowercase()
    } else {
        idna::domain_to_ascii_strict(label)
            .map_err(|_| format!("`{label}` is no valid IDNA label"))?
    };
    if ascii.len() > 63 {
        return Err(format!("the label `{label}` is longer than 63 octets"));
    }
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if ascii != "*" && !ascii.chars().all(good) {
        return Err(format!("`{label}` has a character that no name can have"));
    }
    if ascii.starts_with('-') || ascii.ends_with('-') {
        return Err(format!("the label `{label}` begins or ends with a hyphen"));
    }
    Ok(ascii)
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "." } else { &self.0 })
    }
}

/// The record types that mailctl writes, and those it must read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum RType {
    A,
    Aaaa,
    Caa,
    Cname,
    Mx,
    Ns,
    Ptr,
    Soa,
    Srv,
    Tlsa,
    Txt,
}

impl RType {
    /// The type's mnemonic (RFC 1035 section 3.2.2).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Caa => "CAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Ns => "NS",
            Self::Ptr => "PTR",
            Self::Soa => "SOA",
            Self::Srv => "SRV",
            Self::Tlsa => "TLSA",
            Self::Txt => "TXT",
        }
    }
}

impl FromStr for RType {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        use RType::*;
        [A, Aaaa, Caa, Cname, Mx, Ns, Ptr, Soa, Srv, Tlsa, Txt]
            .into_iter()
            .find(|t| t.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| format!("record type `{text}` is not known here"))
    }
}

impl fmt::Display for RType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which RRset is meant: an owner name and a type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RrsetKey {
    /// The owner name.
    pub name: Name,
    /// The type.
    pub rtype: RType,
}

impl RrsetKey {
    /// The key of `name`'s set of type `rtype`.
    pub fn new(name: Name, rtype: RType) -> Self {
        Self { name, rtype }
    }
}

impl fmt::Display for RrsetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.rtype)
    }
}

/// All records of one name and type. No values: there is no such set.
///
/// Values are in canonical presentation form: names lower case with trailing
/// dot, addresses as RFC 5952 writes them, TXT as the concatenation of its
/// character-strings without quotes or escapes (RFC 6376 section 3.6.2.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rrset {
    /// Name and type.
    pub key: RrsetKey,
    /// Seconds; `None` where it could not be learnt or does not matter.
    pub ttl: Option<u32>,
    /// Canonical values.
    pub values: BTreeSet<String>,
}

impl Rrset {
    /// A set of canonicalised values.
    pub fn new<S: AsRef<str>>(
        key: RrsetKey,
        ttl: Option<u32>,
        values: impl IntoIterator<Item = S>,
    ) -> Self {
        let values = values
            .into_iter()
            .map(|v| canonical(key.rtype, v.as_ref()))
            .collect();
        Self { key, ttl, values }
    }

    /// The set that is not there.
    pub fn absent(key: RrsetKey) -> Self {
        Self {
            key,
            ttl: None,
            values: BTreeSet::new(),
        }
    }
}

/// One value in canonical form. `value` is presentation format; TXT may be
/// given quoted (`"a" "b"`) or as the plain text.
pub fn canonical(rtype: RType, value: &str) -> String {
    match rtype {
        RType::A | RType::Aaaa => value
            .parse::<IpAddr>()
            .map_or_else(|_| value.to_owned(), |ip| ip.to_string()),
        RType::Txt => txt_joined(value),
        RType::Cname | RType::Ns | RType::Ptr => dotted(value),
        RType::Mx | RType::Srv => {
            let mut fields: Vec<String> = value.split_whitespace().map(str::to_owned).collect();
            if let Some(last) = fields.last_mut() {
                *last = dotted(last);
            }
            fields.join(" ")
        }
        RType::Caa => caa(value).unwrap_or_else(|| value.to_owned()),
        RType::Tlsa => tlsa(value).unwrap_or_else(|| value.to_owned()),
        RType::Soa => value
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .to_ascii_lowercase(),
    }
}

fn dotted(name: &str) -> String {
    if !name.is_ascii()
        && let Ok(name) = Name::parse(name)
    {
        return name.fqdn();
    }
    format!("{}.", name.trim_end_matches('.').to_ascii_lowercase())
}

/// `flags tag "value"` (RFC 8659 section 4.1.1): tags compare without case, the value may come unquoted.
fn caa(text: &str) -> Option<String> {
    let (flags, rest) = text.trim().split_once(char::is_whitespace)?;
    let (tag, value) = rest.trim_start().split_once(char::is_whitespace)?;
    let tag = tag.to_ascii_lowercase();
    let mut text = txt_joined(value.trim());
    if matches!(tag.as_str(), "issue" | "issuewild") {
        text = issuer(&text);
    }
    Some(format!("{flags} {tag} {}", escaped(text.as_bytes())))
}

/// `domain; parameter=value` (RFC 8659 section 4.2): blanks around semicolons
/// say nothing, and providers write them as they like. Nobody is `;`.
fn issuer(text: &str) -> String {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let parameters: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    match (name, parameters.as_slice()) {
        ("", []) => ";".to_owned(),
        (name, []) => name.to_owned(),
        (name, parameters) => format!("{name}; {}", parameters.join("; ")),
    }
}

/// `usage selector matching data` (RFC 6698 section 2.2): the data may be cut by blanks, in any case.
fn tlsa(text: &str) -> Option<String> {
    let mut fields = text.split_whitespace();
    let head = [fields.next()?, fields.next()?, fields.next()?].join(" ");
    Some(format!(
        "{head} {}",
        fields.collect::<String>().to_ascii_lowercase()
    ))
}

/// The concatenated text of quoted character-strings; unquoted text is returned as it is.
pub fn txt_joined(value: &str) -> String {
    let trimmed = value.trim();
    if !(trimmed.len() >= 2 && trimmed.starts_with('"') && trimmed.ends_with('"')) {
        return value.to_owned();
    }
    let mut joined: Vec<u8> = Vec::new();
    let mut quoted = false;
    let mut bytes = trimmed.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' => match bytes.next() {
                // \DDD is one octet in decimal (RFC 1035 section 5.1).
                Some(first) if first.is_ascii_digit() => {
                    let mut octet = u32::from(first - b'0');
                    for _ in 0..2 {
                        if let Some(digit) = bytes.next_if(u8::is_ascii_digit) {
                            octet = octet * 10 + u32::from(digit - b'0');
                        }
                    }
                    joined.push(u8::try_from(octet).unwrap_or(b'?'));
                }
                Some(other) => joined.push(other),
                None => {}
            },
            other if quoted => joined.push(other),
            _ => {}
        }
    }
    String::from_utf8_lossy(&joined).into_owned()
}

/// A TXT value as zone files and most APIs want it: quoted character-strings
/// of at most 255 octets, quotes and backslashes escaped.
pub fn txt_quoted(value: &str) -> String {
    let quoted: Vec<String> = value.as_bytes().chunks(255).map(escaped).collect();
    if quoted.is_empty() {
        "\"\"".to_owned()
    } else {
        quoted.join(" ")
    }
}

/// One quoted character-string (RFC 1035 section 5.1).
fn escaped(octets: &[u8]) -> String {
    let mut text = String::from("\"");
    for octet in octets {
        match octet {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(*octet));
            }
            0x20..=0x7e => text.push(char::from(*octet)),
            other => text.push_str(&format!("\\{other:03}")),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_canonical_and_bounded() {
        assert_eq!(
            Name::parse("WAC.Tax.").map(|n| n.to_string()),
            Ok("wac.tax".into())
        );
        assert_eq!(
            Name::parse("bücher.example").map(|n| n.to_string()),
            Ok("xn--bcher-kva.example".into())
        );
        assert!(Name::parse("a..b").is_err());
        assert!(Name::parse("-a.b").is_err());
        assert!(Name::parse(&"a".repeat(64)).is_err());
        let zone = Name::parse("example.com").expect("a name");
        assert!(
            Name::parse("mail.example.com")
                .expect("a name")
                .is_in(&zone)
        );
        assert!(!Name::parse("badexample.com").expect("a name").is_in(&zone));
    }

    #[test]
    fn reverse_names_go_both_ways() {
        for text in ["203.0.113.7", "2a02:c207::7"] {
            let ip: IpAddr = text.parse().expect("an address");
            assert_eq!(Name::reverse(ip).reversed(), Some(ip));
        }
        assert_eq!(
            Name::reverse("203.0.113.7".parse().expect("ip")).as_str(),
            "7.113.0.203.in-addr.arpa"
        );
    }

    #[test]
    fn a_zone_for_a_part_of_a_network_has_one_label_more() {
        let name = |text: &str| Name::parse(text).expect("a name");
        let [v4, v6]: [IpAddr; 2] =
            ["203.0.113.7", "2001:db8::7"].map(|ip| ip.parse().expect("an address"));
        for (zone, owner) in [
            (
                "0-127.113.0.203.in-addr.arpa",
                "7.0-127.113.0.203.in-addr.arpa",
            ),
            ("wac.113.0.203.in-addr.arpa", "7.wac.113.0.203.in-addr.arpa"),
            // Of the whole network, of the address alone, of another network.
            ("113.0.203.in-addr.arpa", "7.113.0.203.in-addr.arpa"),
            ("7.113.0.203.in-addr.arpa", "7.113.0.203.in-addr.arpa"),
            ("0-127.114.0.203.in-addr.arpa", "7.113.0.203.in-addr.arpa"),
        ] {
            let found = Name::reverse_in(v4, Some(&name(zone)));
            assert_eq!(found.as_str(), owner, "{zone}");
            assert_eq!(found.reversed(), Some(v4), "{zone}");
            assert_eq!(Name::reverse_in(v6, Some(&name(zone))), Name::reverse(v6));
        }
        assert_eq!(Name::reverse_in(v4, None), Name::reverse(v4));
        assert_eq!(name("x.0-127.113.0.203.in-addr.arpa").reversed(), None);
    }

    #[test]
    fn txt_goes_through_quotes_unharmed() {
        let long = format!("v=DKIM1; k=rsa; p={}", "A\"b\\;".repeat(80));
        let quoted = txt_quoted(&long);
        assert!(quoted.split("\" \"").all(|part| part.len() <= 255 * 2 + 2));
        assert_eq!(txt_joined(&quoted), long);
        assert_eq!(canonical(RType::Txt, "\"v=spf1 \" \"-all\""), "v=spf1 -all");
        assert_eq!(txt_joined(&txt_quoted("grün")), "grün");
        assert_eq!(
            canonical(RType::Caa, "0 issue \"ca.example;a=1 ;  b=2\""),
            "0 issue \"ca.example; a=1; b=2\""
        );
        assert_eq!(canonical(RType::Caa, "0 issue \"\""), "0 issue \";\"");
        assert_eq!(
            canonical(RType::Caa, "0 Issue  letsencrypt.org"),
            "0 issue \"letsencrypt.org\""
        );
        assert_eq!(canonical(RType::Tlsa, "3 1 1 AB cd"), "3 1 1 abcd");
        assert_eq!(canonical(RType::Mx, "10  SMTP.wac.tax"), "10 smtp.wac.tax.");
    }
}

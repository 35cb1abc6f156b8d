//! Canonical values to and from the wire (RFC 1035 section 3.2), through hickory's types.

use hickory_proto::rr::rdata::{A, AAAA, CAA, CNAME, MX, NS, PTR, SRV, TLSA, TXT};
use hickory_proto::rr::{Name as WireName, RData, RecordType};

use super::{Name, RType, canonical, txt_joined, txt_quoted};

/// A name as hickory has it.
///
/// # Errors
/// When hickory finds it no name, in its words.
pub fn name(name: &Name) -> Result<WireName, String> {
    WireName::from_ascii(name.fqdn()).map_err(|e| format!("`{name}`: {e}"))
}

/// A name of hickory's; `None` where it holds what no name of mailctl can, such as an escaped dot.
pub fn from_name(name: &WireName) -> Option<Name> {
    Name::parse(&name.to_lowercase().to_ascii()).ok()
}

/// The type's number.
pub fn record_type(rtype: RType) -> RecordType {
    match rtype {
        RType::A => RecordType::A,
        RType::Aaaa => RecordType::AAAA,
        RType::Caa => RecordType::CAA,
        RType::Cname => RecordType::CNAME,
        RType::Mx => RecordType::MX,
        RType::Ns => RecordType::NS,
        RType::Ptr => RecordType::PTR,
        RType::Soa => RecordType::SOA,
        RType::Srv => RecordType::SRV,
        RType::Tlsa => RecordType::TLSA,
        RType::Txt => RecordType::TXT,
    }
}

/// The record data of one canonical value.
///
/// # Errors
/// A sentence that says why `value` is none of that type.
pub fn to_rdata(rtype: RType, value: &str) -> Result<RData, String> {
    parsed(rtype, value).ok_or_else(|| format!("`{value}` is no value of type {rtype}"))
}

fn parsed(rtype: RType, value: &str) -> Option<RData> {
    let fields: Vec<&str> = value.split_whitespace().collect();
    Some(match rtype {
        RType::A => RData::A(A(value.parse().ok()?)),
        RType::Aaaa => RData::AAAA(AAAA(value.parse().ok()?)),
        RType::Cname => RData::CNAME(CNAME(target(value)?)),
        RType::Ns => RData::NS(NS(target(value)?)),
        RType::Ptr => RData::PTR(PTR(target(value)?)),
        RType::Mx => {
            let [preference, exchange] = fields[..] else {
                return None;
            };
            RData::MX(MX::new(preference.parse().ok()?, target(exchange)?))
        }
        RType::Srv => {
            let [priority, weight, port, host] = fields[..] else {
                return None;
            };
            RData::SRV(SRV::new(
                priority.parse().ok()?,
                weight.parse().ok()?,
                port.parse().ok()?,
                target(host)?,
            ))
        }
        RType::Tlsa => {
            let [usage, selector, matching, data] = fields[..] else {
                return None;
            };
            let number = |field: &str| field.parse::<u8>().ok();
            RData::TLSA(TLSA::new(
                number(usage)?.into(),
                number(selector)?.into(),
                number(matching)?.into(),
                from_hex(data)?,
            ))
        }
        RType::Caa => caa(value)?,
        RType::Txt => {
            let chunks: Vec<&[u8]> = value.as_bytes().chunks(255).collect();
            // A TXT record holds at least one character-string (RFC 1035 section 3.3.14).
            let chunks = if chunks.is_empty() {
                vec![&b""[..]]
            } else {
                chunks
            };
            RData::TXT(TXT::from_bytes(chunks))
        }
        // The zone's own record is only ever read.
        RType::Soa => return None,
    })
}

fn target(text: &str) -> Option<WireName> {
    WireName::from_ascii(
        text.strip_suffix('.')
            .map_or_else(|| format!("{text}."), |_| text.to_owned()),
    )
    .ok()
}

fn caa(value: &str) -> Option<RData> {
    let (flags, rest) = value.split_once(' ')?;
    let (tag, text) = rest.split_once(' ')?;
    let flags: u8 = flags.parse().ok()?;
    // hickory's constructors know the oldest three tags only; its fields take any.
    let mut caa = CAA::new_issue(flags & 0x80 != 0, None, Vec::new());
    caa.reserved_flags = flags & 0x7f;
    caa.tag = tag.to_owned();
    caa.value = txt_joined(text).into_bytes();
    Some(RData::CAA(caa))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    pairs
        .remainder()
        .is_empty()
        .then(|| pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// The canonical value of record data; `None` for types that mailctl does not read.
///
/// Octets of a TXT record that are not UTF-8 become U+FFFD: such a value can
/// be shown, not written back.
pub fn from_rdata(rdata: &RData) -> Option<String> {
    let (rtype, text) = match rdata {
        RData::A(a) => (RType::A, a.to_string()),
        RData::AAAA(aaaa) => (RType::Aaaa, aaaa.to_string()),
        RData::CNAME(name) => (RType::Cname, name.0.to_ascii()),
        RData::NS(name) => (RType::Ns, name.0.to_ascii()),
        RData::PTR(name) => (RType::Ptr, name.0.to_ascii()),
        RData::MX(mx) => (
            RType::Mx,
            format!("{} {}", mx.preference, mx.exchange.to_ascii()),
        ),
        RData::SRV(srv) => {
            let target = srv.target.to_ascii();
            (
                RType::Srv,
                format!("{} {} {} {target}", srv.priority, srv.weight, srv.port),
            )
        }
        RData::TLSA(tlsa) => {
            let head = [
                u8::from(tlsa.cert_usage),
                u8::from(tlsa.selector),
                u8::from(tlsa.matching),
            ];
            let data: String = tlsa
                .cert_data
                .iter()
                .map(|octet| format!("{octet:02x}"))
                .collect();
            (
                RType::Tlsa,
                format!("{} {} {} {data}", head[0], head[1], head[2]),
            )
        }
        RData::CAA(caa) => {
            let value = txt_quoted(&String::from_utf8_lossy(&caa.value));
            (RType::Caa, format!("{} {} {value}", caa.flags(), caa.tag))
        }
        RData::SOA(soa) => (RType::Soa, soa.to_string()),
        // Already what the canonical form is, and quotes at its ends are its own.
        RData::TXT(txt) => {
            return Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned());
        }
        _ => return None,
    };
    Some(canonical(rtype, &text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_survives_the_wire() {
        let long = "k".repeat(700);
        for (rtype, value) in [
            (RType::A, "203.0.113.7"),
            (RType::Aaaa, "2a02:c207::7"),
            (
                RType::Caa,
                "128 issuewild \"ca.example; validationmethods=dns-01\"",
            ),
            (RType::Caa, "0 issuemail \"quote \\\" in it\""),
            (RType::Cname, "www.example.com."),
            (RType::Mx, "10 smtp.example.com."),
            (RType::Mx, "0 ."),
            (RType::Ns, "ns1.example.com."),
            (RType::Ptr, "smtp.example.com."),
            (RType::Srv, "0 1 465 smtp.example.com."),
            (RType::Tlsa, "3 1 1 00ff10"),
            (RType::Txt, "a \"quoted\" \\ word; and more"),
            (RType::Txt, "grün"),
            (RType::Txt, ""),
            (RType::Txt, &long),
        ] {
            let rdata = to_rdata(rtype, value).expect("record data");
            assert_eq!(rdata.record_type(), record_type(rtype));
            assert_eq!(from_rdata(&rdata).as_deref(), Some(value));
            assert_eq!(canonical(rtype, value), value);
        }
    }

    #[test]
    fn what_is_no_value_is_said() {
        for (rtype, value) in [
            (RType::A, "::1"),
            (RType::Mx, "smtp.example.com."),
            (RType::Srv, "0 1 70000 a."),
            (RType::Tlsa, "3 1 1 abc"),
            (RType::Caa, "issue"),
            (RType::Soa, "anything"),
        ] {
            let why = to_rdata(rtype, value).expect_err("no value");
            assert!(why.contains(value) && why.contains(rtype.as_str()), "{why}");
        }
    }
}

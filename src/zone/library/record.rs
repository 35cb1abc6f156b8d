//! Canonical values to and from the records of the library.

use dns_update::{
    CAARecord, DnsRecord, DnsRecordType, KeyValue, MXRecord, SRVRecord, TLSARecord, TlsaCertUsage,
    TlsaMatching, TlsaSelector,
};

use crate::record::{RType, canonical, txt_joined, txt_quoted};

/// The library's word for a type; `None` where it has none.
pub(super) fn record_type(rtype: RType) -> Option<DnsRecordType> {
    Some(match rtype {
        RType::A => DnsRecordType::A,
        RType::Aaaa => DnsRecordType::AAAA,
        RType::Caa => DnsRecordType::CAA,
        RType::Cname => DnsRecordType::CNAME,
        RType::Mx => DnsRecordType::MX,
        RType::Ns => DnsRecordType::NS,
        RType::Srv => DnsRecordType::SRV,
        RType::Tlsa => DnsRecordType::TLSA,
        RType::Txt => DnsRecordType::TXT,
        RType::Ptr | RType::Soa => return None,
    })
}

/// The canonical value of a record.
pub(super) fn value(rtype: RType, record: &DnsRecord) -> String {
    let text = match record {
        DnsRecord::A(ip) => ip.to_string(),
        DnsRecord::AAAA(ip) => ip.to_string(),
        DnsRecord::CNAME(name) | DnsRecord::NS(name) => name.clone(),
        DnsRecord::MX(mx) => mx.to_string(),
        DnsRecord::SRV(srv) => srv.to_string(),
        DnsRecord::TLSA(tlsa) => tlsa.to_string(),
        DnsRecord::CAA(caa) => {
            let (flags, tag, value) = caa.clone().decompose();
            format!("{flags} {tag} {}", txt_quoted(&value))
        }
        // Already without quotes: those at its ends are its own.
        DnsRecord::TXT(text) => return mended(text),
    };
    canonical(rtype, &text)
}

/// Some adapters take each octet of a text for a character: the octets of UTF-8
/// are put together again. What is no such mistake is no UTF-8 either.
fn mended(text: &str) -> String {
    let octets: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
    let read = octets.and_then(|octets| String::from_utf8(octets).ok());
    read.unwrap_or_else(|| text.to_owned())
}

/// The record of a canonical value.
///
/// # Errors
/// A sentence that says what the library cannot store, or that it is no such value.
pub(super) fn record(rtype: RType, value: &str) -> Result<DnsRecord, String> {
    let not_one = || format!("`{value}` is no value of type {rtype}");
    let fields: Vec<&str> = value.split_whitespace().collect();
    match rtype {
        RType::Tlsa => return tlsa(&fields, value),
        RType::Caa => return caa(value).map(DnsRecord::CAA),
        RType::Ptr | RType::Soa => return Err(format!("no record of type {rtype} can be stored")),
        _ => {}
    }
    parsed(rtype, value, &fields).ok_or_else(not_one)
}

fn parsed(rtype: RType, value: &str, fields: &[&str]) -> Option<DnsRecord> {
    Some(match (rtype, fields) {
        (RType::A, _) => DnsRecord::A(value.parse().ok()?),
        (RType::Aaaa, _) => DnsRecord::AAAA(value.parse().ok()?),
        (RType::Txt, _) => DnsRecord::TXT(value.to_owned()),
        (RType::Cname, [name]) => DnsRecord::CNAME(undotted(name)),
        (RType::Ns, [name]) => DnsRecord::NS(undotted(name)),
        (RType::Mx, [preference, exchange]) => DnsRecord::MX(MXRecord {
            priority: preference.parse().ok()?,
            exchange: undotted(exchange),
        }),
        (RType::Srv, [priority, weight, port, target]) => DnsRecord::SRV(SRVRecord {
            priority: priority.parse().ok()?,
            weight: weight.parse().ok()?,
            port: port.parse().ok()?,
            target: undotted(target),
        }),
        _ => return None,
    })
}

/// The adapters add the dot where their API wants one.
fn undotted(name: &str) -> String {
    match name.strip_suffix('.') {
        Some("") | None => name.to_owned(),
        Some(bare) => bare.to_owned(),
    }
}

fn tlsa(fields: &[&str], value: &str) -> Result<DnsRecord, String> {
    let known = || -> Option<TLSARecord> {
        let [usage, selector, matching, data] = fields else {
            return None;
        };
        let octets = data.as_bytes().chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair).ok().filter(|p| p.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        });
        Some(TLSARecord {
            cert_usage: match *usage {
                "0" => TlsaCertUsage::PkixTa,
                "1" => TlsaCertUsage::PkixEe,
                "2" => TlsaCertUsage::DaneTa,
                "3" => TlsaCertUsage::DaneEe,
                _ => return None,
            },
            selector: match *selector {
                "0" => TlsaSelector::Full,
                "1" => TlsaSelector::Spki,
                _ => return None,
            },
            matching: match *matching {
                "0" => TlsaMatching::Raw,
                "1" => TlsaMatching::Sha256,
                "2" => TlsaMatching::Sha512,
                _ => return None,
            },
            cert_data: octets.collect::<Option<_>>()?,
        })
    };
    known()
        .map(DnsRecord::TLSA)
        .ok_or_else(|| format!("`{value}` is no value of type TLSA that can be stored"))
}

fn caa(value: &str) -> Result<CAARecord, String> {
    let not_one = || format!("`{value}` is no value of type CAA");
    let (flags, rest) = value.split_once(' ').ok_or_else(not_one)?;
    let (tag, text) = rest.split_once(' ').ok_or_else(not_one)?;
    let issuer_critical = match flags {
        "0" => false,
        "128" => true,
        _ => return Err(format!("`{value}` has flags that cannot be stored")),
    };
    let text = txt_joined(text);
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().filter(|n| !n.is_empty()).map(str::to_owned);
    let options = parts
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            KeyValue {
                key: key.trim().to_owned(),
                value: value.trim().to_owned(),
            }
        })
        .collect();
    match tag {
        "issue" => Ok(CAARecord::Issue {
            issuer_critical,
            name,
            options,
        }),
        "issuewild" => Ok(CAARecord::IssueWild {
            issuer_critical,
            name,
            options,
        }),
        "iodef" => Ok(CAARecord::Iodef {
            issuer_critical,
            url: text,
        }),
        other => Err(format!(
            "`{value}`: CAA records with the tag {other} cannot be stored"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_survives_the_library() {
        for (rtype, text) in [
            (RType::A, "203.0.113.7"),
            (RType::Aaaa, "2a02:c207::7"),
            (RType::Cname, "www.example.com."),
            (RType::Ns, "ns1.example.com."),
            (RType::Mx, "10 smtp.example.com."),
            (RType::Mx, "0 ."),
            (RType::Srv, "0 1 465 smtp.example.com."),
            (RType::Tlsa, "3 1 1 00ff10"),
            (RType::Caa, "0 issue \"letsencrypt.org\""),
            (
                RType::Caa,
                "128 issuewild \"ca.example; validationmethods=dns-01\"",
            ),
            (RType::Caa, "0 issue \";\""),
            (RType::Caa, "0 iodef \"mailto:a@example.com\""),
            (RType::Txt, "a \"quoted\" \\ word; and more"),
            (RType::Txt, "\"at its ends\""),
        ] {
            let record = record(rtype, text).unwrap_or_else(|why| panic!("{why}"));
            assert_eq!(Some(record.as_type()), record_type(rtype));
            assert_eq!(value(rtype, &record), text);
        }
    }

    #[test]
    fn the_octets_of_a_text_are_put_together_again() {
        for text in ["grün", "日本", "plain", "é"] {
            let octets: String = text.bytes().map(char::from).collect();
            for shown in [octets, text.to_owned()] {
                assert_eq!(value(RType::Txt, &DnsRecord::TXT(shown)), text);
            }
        }
    }

    #[test]
    fn what_cannot_be_stored_is_said() {
        for (rtype, text, why) in [
            (RType::Ptr, "smtp.example.com.", "PTR"),
            (RType::Caa, "0 issuemail \"ca.example\"", "issuemail"),
            (RType::Caa, "1 issue \"ca.example\"", "flags"),
            (RType::Tlsa, "9 1 1 00ff", "TLSA"),
            (RType::Tlsa, "3 1 1 0ff", "TLSA"),
            (RType::A, "no address", "no address"),
            (RType::Mx, "smtp.example.com.", "MX"),
        ] {
            let told = record(rtype, text).expect_err("an error");
            assert!(told.contains(why), "{told}");
        }
    }
}

//! Whether the zone is signed, and whether the signatures hold (RFC 4035).

use hickory_proto::dnssec::rdata::DNSSECRData;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};
use time::OffsetDateTime;

use crate::check::view::View;
use crate::check::{Aspect, Finding};
use crate::dns::mnemonic;
use crate::record::Name;

/// The state of the signatures.
pub const DNSSEC: Aspect = Aspect {
    id: "zone.dnssec",
    wanted: "no signatures, or valid ones",
    why: "A receiver whose resolver validates finds nothing at all in a zone whose signatures do not hold: SPF, DKIM and MX are then a temporary error, and mail waits until it bounces. DANE (RFC 7672) needs a signed zone.",
};

/// What the resolver says of the zone's keys.
pub struct Signing {
    /// Tags of the keys that the zone above vouches for (DS).
    vouched: Result<Vec<u16>, String>,
    /// Tags of the zone's keys (DNSKEY).
    keys: Result<Vec<u16>, String>,
    /// When the last signature of the SOA record ends, seconds since 1970; `None`: there is none.
    signed_until: Option<u32>,
    /// The SOA record's response code, and whether it was validated.
    checked: Result<(ResponseCode, bool), String>,
    /// The response code where the resolver is told not to check.
    unchecked: Result<ResponseCode, String>,
}

/// Asks for keys and signatures.
pub async fn look(view: &View, apex: &Name) -> Signing {
    let dns = &view.outside.dns;
    let unchecked = |rtype| {
        dns.raw(apex, rtype, |question| {
            question.metadata.checking_disabled = true;
            ask_for_signatures(question);
        })
    };
    let (vouched, keys, soa, checked) = tokio::join!(
        unchecked(RecordType::DS),
        unchecked(RecordType::DNSKEY),
        unchecked(RecordType::SOA),
        dns.raw(apex, RecordType::SOA, |question| {
            question.metadata.authentic_data = true;
        }),
    );
    let vouched = answered(vouched).map(|message| tags(&message.answers));
    let keys = answered(keys).map(|message| tags(&message.answers));
    let signed_until = soa.as_ref().ok().and_then(signed_until);
    let code = |message: Message| message.metadata.response_code;
    Signing {
        vouched,
        keys,
        signed_until,
        checked: checked
            .map(|message| {
                (
                    message.metadata.response_code,
                    message.metadata.authentic_data,
                )
            })
            .map_err(|e| e.chain()),
        unchecked: soa.map(code).map_err(|e| e.chain()),
    }
}

fn ask_for_signatures(question: &mut Message) {
    if let Some(edns) = &mut question.edns {
        edns.set_dnssec_ok(true);
    }
}

fn answered(message: crate::failure::Result<Message>) -> Result<Message, String> {
    let message = message.map_err(|e| e.chain())?;
    match message.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => Ok(message),
        code => Err(format!("the resolver answers {}", mnemonic(code))),
    }
}

fn tags(records: &[Record]) -> Vec<u16> {
    let tag = |record: &Record| match &record.data {
        RData::DNSSEC(DNSSECRData::DS(ds)) => Some(ds.key_tag()),
        RData::DNSSEC(DNSSECRData::DNSKEY(key)) => key.calculate_key_tag().ok(),
        _ => None,
    };
    records.iter().filter_map(tag).collect()
}

fn signed_until(message: &Message) -> Option<u32> {
    let ends = message
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::DNSSEC(DNSSECRData::RRSIG(signature)) => {
                Some(signature.input().sig_expiration.get())
            }
            _ => None,
        });
    ends.max()
}

/// Judges the signatures.
pub fn judge(domain: &Name, apex: &Name, signing: &Signing, now: OffsetDateTime) -> Finding {
    let about = DNSSEC.of(domain);
    let refuses = matches!(signing.checked, Ok((ResponseCode::ServFail, _)));
    if refuses && signing.unchecked == Ok(ResponseCode::NoError) {
        return about.fail(
            format!("the resolver finds the signatures of {apex} bogus: SERVFAIL, and an answer where it does not check"),
            "sign the zone anew, or have the registrar correct or remove the DS record; `delv` says what is wrong",
        );
    }
    let (vouched, keys) = match (&signing.vouched, &signing.keys) {
        (Ok(vouched), Ok(keys)) => (vouched, keys),
        (Err(why), _) | (_, Err(why)) => return about.skip(why),
    };
    if vouched.is_empty() {
        return if keys.is_empty() {
            about.pass("not signed; DANE is not possible")
        } else {
            about.warn(
                format!("{apex} has keys, but the zone above does not vouch for them"),
                "give the registrar the DS record, or stop signing: nobody can check the signatures",
            )
        };
    }
    if !keys.iter().any(|key| vouched.contains(key)) {
        return about.fail(
            format!(
                "the zone above vouches for key {}, which {apex} does not have",
                told(vouched)
            ),
            "have the registrar correct or remove the DS record at once",
        );
    }
    // Times are compared as serial numbers (RFC 4034 section 3.1.5); they reach to 2106.
    let left = signing
        .signed_until
        .map(|until| i64::from(until) - now.unix_timestamp());
    match left {
        None => {
            return about.fail(
                format!("the zone above vouches for {apex}, and its records are not signed"),
                "sign the zone, or have the registrar remove the DS record",
            );
        }
        Some(left) if left <= 0 => {
            return about.fail(
                format!("the signatures of {apex} have ended"),
                "sign the zone anew, and see why that was not done in time",
            );
        }
        Some(_) => {}
    }
    match &signing.checked {
        Ok((ResponseCode::NoError, true)) => about.pass("signed, and validated by the resolver"),
        Ok((ResponseCode::NoError, false)) => {
            about.skip("signed, but this resolver does not validate")
        }
        Ok((code, _)) => about.skip(format!(
            "signed, but the resolver answers {}",
            mnemonic(*code)
        )),
        Err(why) => about.skip(why),
    }
}

fn told(tags: &[u16]) -> String {
    let mut each: Vec<String> = tags.iter().map(u16::to_string).collect();
    each.sort();
    each.dedup();
    each.join(", ")
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::check::Verdict::{self, Fail, Pass, Skip, Warn};

    const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

    /// A signed zone, seen through a resolver that validates.
    fn signed() -> Signing {
        Signing {
            vouched: Ok(vec![4711]),
            keys: Ok(vec![815, 4711]),
            signed_until: Some(1_800_000_000),
            checked: Ok((ResponseCode::NoError, true)),
            unchecked: Ok(ResponseCode::NoError),
        }
    }

    fn verdict(change: impl FnOnce(&mut Signing)) -> Verdict {
        let mut signing = signed();
        change(&mut signing);
        let name = Name::root().child("example.test");
        judge(&name, &name, &signing, NOW).verdict
    }

    #[test]
    fn each_state_of_the_signatures_has_its_verdict() {
        assert_eq!(verdict(|_| {}), Pass);
        assert_eq!(
            verdict(|signing| {
                signing.vouched = Ok(Vec::new());
                signing.keys = Ok(Vec::new());
                signing.signed_until = None;
                signing.checked = Ok((ResponseCode::NoError, false));
            }),
            Pass
        );
        assert_eq!(verdict(|signing| signing.vouched = Ok(Vec::new())), Warn);
        // A resolver that validates says so itself, one that does not leaves it to us.
        assert_eq!(
            verdict(|signing| signing.checked = Ok((ResponseCode::ServFail, false))),
            Fail
        );
        assert_eq!(verdict(|signing| signing.keys = Ok(vec![815])), Fail);
        assert_eq!(verdict(|signing| signing.keys = Ok(Vec::new())), Fail);
        assert_eq!(verdict(|signing| signing.signed_until = None), Fail);
        assert_eq!(
            verdict(|signing| signing.signed_until = Some(1_700_000_000)),
            Fail
        );
        assert_eq!(
            verdict(|signing| signing.checked = Ok((ResponseCode::NoError, false))),
            Skip
        );
        assert_eq!(
            verdict(|signing| signing.keys = Err("silence".into())),
            Skip
        );
        assert_eq!(
            verdict(|signing| signing.checked = Err("silence".into())),
            Skip
        );
        // A zone that is broken with and without checking is another question's.
        assert_eq!(
            verdict(|signing| {
                signing.checked = Ok((ResponseCode::ServFail, false));
                signing.unchecked = Ok(ResponseCode::ServFail);
            }),
            Skip
        );
    }
}

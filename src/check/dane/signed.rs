//! Whether DNSSEC vouches for a host's zone, where the resolver does not say so.

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;

use super::owner;
use crate::check::View;
use crate::check::view::Host;
use crate::record::{Name, RType};

/// Whether a zone is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signed {
    /// The answer is validated.
    Yes,
    /// Nobody vouches for it.
    No,
    /// It may be, and the resolver does not look.
    Unknown,
}

/// Of a host whose TLSA records come without validation. A resolver that
/// validates the root validates everything, so the zone is not signed; of
/// another one nothing is known where the zone has keys and its parent vouches for them.
pub(super) async fn zone(view: &View, host: &Name) -> Signed {
    let root = Name::root();
    let root = view.outside.dns.raw(&root, RecordType::SOA, |question| {
        question.metadata.authentic_data = true;
    });
    if root
        .await
        .is_ok_and(|answer| answer.metadata.authentic_data)
    {
        return Signed::No;
    }
    let Ok(apex) = view.outside.dns.zone_of(host).await else {
        return Signed::Unknown;
    };
    for rtype in [RecordType::DNSKEY, RecordType::DS] {
        let answer = view.outside.dns.raw(&apex, rtype, |_| {}).await;
        if answer.is_ok_and(|answer| lacks(&answer, rtype)) {
            return Signed::No;
        }
    }
    Signed::Unknown
}

/// Whether the answer is that there is no such set.
fn lacks(answer: &Message, rtype: RecordType) -> bool {
    answer.metadata.response_code == ResponseCode::NoError
        && !answer
            .answers
            .iter()
            .any(|record| record.record_type() == rtype)
}

/// Whether the question for TLSA records ends in SERVFAIL though the host's
/// addresses are validated: senders then keep the mail (RFC 7672 section 2.1.1).
pub(super) async fn error_counts(view: &View, host: &Host) -> bool {
    let mut validated = false;
    for rtype in [RType::A, RType::Aaaa] {
        let set = view.lookup(&host.name, rtype).await;
        validated |= set.is_ok_and(|set| set.exists() && set.authentic);
    }
    if !validated {
        return false;
    }
    let owner = owner(&host.name);
    let answer = view.outside.dns.raw(&owner, RecordType::TLSA, |_| {}).await;
    answer.is_ok_and(|answer| answer.metadata.response_code == ResponseCode::ServFail)
}

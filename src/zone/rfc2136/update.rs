//! UPDATE messages (RFC 2136 section 2).

use hickory_proto::op::{Message, OpCode, Query};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};

use crate::failure::{Failure, Result};
use crate::record::{Name, Rrset, RrsetKey, wire};
use crate::zone::DEFAULT_TTL;

/// Replaces the set by `want`, on condition that its records are still `found`.
/// Values that stay keep their octets: a TXT value may be cut in another way than ours.
pub(super) fn replacing(
    zone: &Name,
    found: &[Record],
    before: &Rrset,
    want: &Rrset,
) -> Result<Message> {
    let key = &want.key;
    let mut message = update(zone)?;
    if found.is_empty() {
        // RFC 2136 section 2.4.3: RRset does not exist.
        message.add_answer(empty(key, DNSClass::NONE)?);
    }
    for record in found {
        // RFC 2136 section 2.4.2: RRset exists, value dependent.
        let mut required = record.clone();
        required.ttl = 0;
        message.add_answer(required);
    }
    // RFC 2136 section 2.5.2: delete an RRset.
    message.add_authority(empty(key, DNSClass::ANY)?);
    let name = wire::name(&key.name).map_err(Failure::new)?;
    let ttl = want.ttl.or(before.ttl).unwrap_or(DEFAULT_TTL);
    for value in &want.values {
        let kept = found
            .iter()
            .find(|record| wire::from_rdata(&record.data).as_ref() == Some(value));
        let rdata = match kept {
            Some(record) => record.data.clone(),
            None => wire::to_rdata(key.rtype, value).map_err(Failure::new)?,
        };
        message.add_authority(Record::from_rdata(name.clone(), ttl, rdata));
    }
    Ok(message)
}

/// Changes nothing; succeeds where the set exists (RFC 2136 section 2.4.1).
pub(super) fn probing(zone: &Name, key: &RrsetKey) -> Result<Message> {
    let mut message = update(zone)?;
    message.add_answer(empty(key, DNSClass::ANY)?);
    Ok(message)
}

fn update(zone: &Name) -> Result<Message> {
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Update;
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(
        wire::name(zone).map_err(Failure::new)?,
        RecordType::SOA,
    ));
    Ok(message)
}

fn empty(key: &RrsetKey, class: DNSClass) -> Result<Record<RData>> {
    let name = wire::name(&key.name).map_err(Failure::new)?;
    let mut record = Record::update0(name, 0, wire::record_type(key.rtype));
    record.dns_class = class;
    Ok(record)
}

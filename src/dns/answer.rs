//! What a DNS answer says about one set.

use std::collections::BTreeSet;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RData;

use crate::failure::{Failure, Result};
use crate::record::{Name, Rrset, RrsetKey, wire};

/// What one server says about one name and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The set asked for; absent after NXDOMAIN and NODATA (RFC 2308) alike.
    pub set: Rrset,
    /// Where a CNAME at the name points to, and then `set` is absent: it is not followed.
    pub cname: Option<Name>,
}

/// What a resolver says about one name and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The values, aliases followed; none after NXDOMAIN and NODATA alike.
    pub values: BTreeSet<String>,
    /// Seconds, the least on the way.
    pub ttl: Option<u32>,
    /// Whether the name does not exist at all (RFC 2308 section 2.1).
    pub nxdomain: bool,
    /// Where the name itself is an alias for, where it is one.
    pub alias: Option<Name>,
    /// Whether the resolver has validated it (the AD bit, RFC 4035 section 3.2.3).
    pub authentic: bool,
}

impl Reply {
    /// Whether there is such a set.
    pub fn exists(&self) -> bool {
        !self.values.is_empty()
    }
}

/// All that the answer says.
pub(crate) fn reply(message: &Message, key: &RrsetKey) -> Reply {
    let set = followed(message, key);
    Reply {
        values: set.values,
        ttl: set.ttl,
        nxdomain: message.metadata.response_code == ResponseCode::NXDomain,
        alias: direct(message, key).cname,
        authentic: message.metadata.authentic_data,
    }
}

/// The answer's records of the asked name and type, the alias beside them left in `cname`.
pub(crate) fn direct(message: &Message, key: &RrsetKey) -> Answer {
    let mut answer = Answer {
        set: Rrset::absent(key.clone()),
        cname: None,
    };
    for record in &message.answers {
        if wire::from_name(&record.name).as_ref() != Some(&key.name) {
            continue;
        }
        if record.record_type() == wire::record_type(key.rtype) {
            answer.set.values.extend(wire::from_rdata(&record.data));
            answer.set.ttl = Some(record.ttl);
        } else if let RData::CNAME(target) = &record.data {
            answer.cname = wire::from_name(&target.0);
        }
    }
    answer
}

/// The answer's records of the asked type, whatever alias led to them.
pub(crate) fn followed(message: &Message, key: &RrsetKey) -> Rrset {
    let mut set = Rrset::absent(key.clone());
    for record in &message.answers {
        if record.record_type() == wire::record_type(key.rtype) {
            set.values.extend(wire::from_rdata(&record.data));
            set.ttl = Some(set.ttl.map_or(record.ttl, |ttl| ttl.min(record.ttl)));
        }
    }
    set
}

/// Whether the answer is one about data: an error of the server is not an absent set.
///
/// # Errors
/// Names the server and the response code.
pub(crate) fn about_data(message: &Message, server: &str, what: &str) -> Result<()> {
    match message.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => Ok(()),
        code => Err(Failure::new(format!(
            "{server} answers {} when asked for {what}",
            mnemonic(code)
        ))),
    }
}

/// A response code as the registry of DNS RCODEs writes it.
pub(crate) fn mnemonic(code: ResponseCode) -> String {
    match code {
        ResponseCode::NoError => "NOERROR".into(),
        ResponseCode::FormErr => "FORMERR".into(),
        ResponseCode::ServFail => "SERVFAIL".into(),
        ResponseCode::NXDomain => "NXDOMAIN".into(),
        ResponseCode::NotImp => "NOTIMP".into(),
        ResponseCode::Refused => "REFUSED".into(),
        ResponseCode::YXDomain => "YXDOMAIN".into(),
        ResponseCode::YXRRSet => "YXRRSET".into(),
        ResponseCode::NXRRSet => "NXRRSET".into(),
        ResponseCode::NotAuth => "NOTAUTH".into(),
        ResponseCode::NotZone => "NOTZONE".into(),
        other => format!("RCODE {}", u16::from(other)),
    }
}

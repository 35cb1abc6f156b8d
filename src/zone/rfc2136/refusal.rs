//! What the error codes of a primary mean, and what to do about them.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::tsig::{TSIG, TsigError};

use super::session::Session;
use crate::dns::mnemonic;
use crate::failure::Failure;
use crate::record::{Name, RrsetKey};
use crate::zone::changed_since;

/// The failure that an answer's TSIG record tells of (RFC 8945 section 5.2).
pub(super) fn of_signature(
    answer: &Message,
    server: SocketAddr,
    key_name: &Name,
) -> Option<Failure> {
    let tsig = &answer.signature()?.data;
    Some(match tsig.error.as_ref()? {
        TsigError::BadKey => {
            Failure::new(format!("the primary {server} does not know the TSIG key `{key_name}` (BADKEY)"))
                .hint("compare `key_name` and `algorithm` with the server's configuration")
        }
        TsigError::BadSig | TsigError::BadTrunc => {
            Failure::new(format!("the primary {server} refuses the signature of the TSIG key `{key_name}` (BADSIG)"))
                .hint("compare `key` with the server's `secret`; by default it comes from the environment variable RFC2136_TSIG_KEY")
        }
        TsigError::BadTime => Failure::new(format!(
            "the clocks of this machine and of the primary {server} differ{} (BADTIME)",
            difference(tsig)
        ))
        .hint("set the clock, best by NTP: `timedatectl set-ntp true`"),
        TsigError::Unknown(code) => {
            Failure::new(format!("the primary {server} refuses the TSIG key `{key_name}` (TSIG error {code})"))
        }
    })
}

/// By how much the clocks differ: a BADTIME answer carries the server's time in 48 bits.
fn difference(tsig: &TSIG) -> String {
    let Ok(octets) = <[u8; 6]>::try_from(tsig.other.as_slice()) else {
        return String::new();
    };
    let theirs = octets
        .iter()
        .fold(0_u64, |time, octet| time << 8 | u64::from(*octet));
    let ours = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs());
    format!(" by {} s", ours.abs_diff(theirs))
}

/// The failure of a read.
pub(super) fn of_read(session: &Session, zone: &Name, code: ResponseCode) -> Failure {
    let (server, key_name, code_name) = (session.server(), session.key_name(), mnemonic(code));
    Failure::new(format!(
        "the primary {server} answers {code_name} when asked about the zone {zone}"
    ))
    .hint(match code {
        ResponseCode::Refused | ResponseCode::NotAuth => {
            format!("is the zone {zone} configured there, and may the key `{key_name}` query it?")
        }
        _ => "the server's log says why".to_owned(),
    })
}

/// The failure of an update (RFC 2136 section 2.2).
pub(super) fn of_update(
    session: &Session,
    zone: &Name,
    key: &RrsetKey,
    code: ResponseCode,
) -> Failure {
    let (server, key_name, code_name) = (session.server(), session.key_name(), mnemonic(code));
    match code {
        ResponseCode::NXRRSet
        | ResponseCode::YXRRSet
        | ResponseCode::NXDomain
        | ResponseCode::YXDomain => {
            return changed_since(key);
        }
        _ => {}
    }
    Failure::new(format!("the primary {server} refuses to update {key}: {code_name}")).hint(match code {
        ResponseCode::Refused => format!(
            "allow it to the key `{key_name}` (BIND `update-policy` or `allow-update`, Knot an `acl` with `action: update`); \
             BIND also refuses an MX or SRV set whose target has no address in the zone"
        ),
        ResponseCode::NotAuth => format!("{server} has to be the primary of {zone} and allow updates to the key `{key_name}`"),
        ResponseCode::NotZone => format!("{} is not in the zone {zone} there: correct `zone`", key.name),
        _ => "the server's log says why".to_owned(),
    })
}

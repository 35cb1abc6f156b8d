//! What the primary holds, learnt by questions: zone transfers need a
//! permission that many keys do not have.

use std::collections::BTreeSet;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::Record;

use super::session::{Session, pause};
use super::{refusal, update};
use crate::dns::exchange::question;
use crate::failure::{Failure, Result};
use crate::record::{Name, RType, Rrset, RrsetKey, wire};

/// How often questions are asked that the server answers with SERVFAIL.
const TRIES: u32 = 6;

/// The records of each set, in the order of `keys`.
///
/// The SOA is asked for along with them: it proves that the server has the
/// zone and that `zone` is its apex. So are the wildcards (RFC 4592) above the
/// names, because a set that the server makes up from one is not in the zone.
pub(super) async fn records(
    session: &mut Session,
    zone: &Name,
    keys: &[RrsetKey],
) -> Result<Vec<Vec<Record>>> {
    let wildcards: Vec<RrsetKey> = keys
        .iter()
        .flat_map(|key| wildcards(zone, key))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let apex = RrsetKey::new(zone.clone(), RType::Soa);
    let asked: Vec<&RrsetKey> = [&apex].into_iter().chain(keys).chain(&wildcards).collect();
    let mut found = asked_for(session, zone, &asked).await?;
    let from_wildcards = found.split_off(1 + keys.len());
    if found.remove(0).is_empty() {
        return Err(Failure::new(format!(
            "the primary {} has no zone with the apex {zone}",
            session.server()
        ))
        .hint("correct `zone`, or leave it out so that it is found"));
    }
    for (key, records) in keys.iter().zip(&mut found) {
        let same = |wildcard: &[Record]| !wildcard.is_empty() && data(wildcard) == data(records);
        let above = wildcards.iter().zip(&from_wildcards);
        let made_up = above
            .into_iter()
            .any(|(w, records)| stands_in(w, key) && same(records));
        if made_up && !exists(session, zone, key).await? {
            records.clear();
        }
    }
    Ok(found)
}

/// The set that the records make.
pub(super) fn set(key: &RrsetKey, records: &[Record]) -> Rrset {
    let values = records
        .iter()
        .filter_map(|record| wire::from_rdata(&record.data))
        .collect();
    Rrset {
        key: key.clone(),
        ttl: records.first().map(|record| record.ttl),
        values,
    }
}

async fn asked_for(
    session: &mut Session,
    zone: &Name,
    keys: &[&RrsetKey],
) -> Result<Vec<Vec<Record>>> {
    let mut answers: Vec<Option<Vec<Record>>> = vec![None; keys.len()];
    for tried in 1.. {
        let open: Vec<usize> = (0..keys.len())
            .filter(|place| answers[*place].is_none())
            .collect();
        let questions = open
            .iter()
            .map(|place| question(keys[*place], false))
            .collect::<Result<_>>()?;
        for (place, answer) in open.iter().zip(session.ask_all(questions).await?) {
            match answer.metadata.response_code {
                ResponseCode::ServFail if tried < TRIES => {}
                ResponseCode::NoError | ResponseCode::NXDomain => {
                    answers[*place] = Some(own(session, &answer, keys[*place])?);
                }
                code => return Err(refusal::of_read(session, zone, code)),
            }
        }
        if answers.iter().all(Option::is_some) {
            break;
        }
        pause(tried).await;
    }
    Ok(answers.into_iter().flatten().collect())
}

/// The records of the very name and type that was asked for.
fn own(session: &Session, answer: &Message, key: &RrsetKey) -> Result<Vec<Record>> {
    if !answer.metadata.authoritative {
        return Err(Failure::new(format!("{} answers without authority for {key}", session.server()))
            .hint("`server` has to be the zone's primary, and the name must not be delegated to a zone of its own"));
    }
    let of_key = |record: &&Record| {
        record.record_type() == wire::record_type(key.rtype)
            && wire::from_name(&record.name).as_ref() == Some(&key.name)
    };
    Ok(answer.answers.iter().filter(of_key).cloned().collect())
}

/// Whether the zone itself has the set: asked by an update that has this
/// condition and changes nothing.
async fn exists(session: &mut Session, zone: &Name, key: &RrsetKey) -> Result<bool> {
    let answer = session.ask(update::probing(zone, key)?).await?;
    match answer.metadata.response_code {
        ResponseCode::NoError => Ok(true),
        ResponseCode::NXRRSet | ResponseCode::NXDomain => Ok(false),
        code => Err(refusal::of_update(session, zone, key, code)),
    }
}

/// The wildcards that may stand in for the set.
fn wildcards(zone: &Name, key: &RrsetKey) -> Vec<RrsetKey> {
    std::iter::successors(key.name.parent(), Name::parent)
        .take_while(|above| above.is_in(zone))
        .map(|above| RrsetKey::new(above.child("*"), key.rtype))
        .filter(|wildcard| wildcard.name != key.name)
        .collect()
}

fn stands_in(wildcard: &RrsetKey, key: &RrsetKey) -> bool {
    let above = wildcard.name.parent();
    wildcard.rtype == key.rtype
        && wildcard.name != key.name
        && above.is_some_and(|above| key.name.is_in(&above) && key.name != above)
}

fn data(records: &[Record]) -> BTreeSet<String> {
    records
        .iter()
        .map(|record| record.data.to_string())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_those_of_the_names_above() {
        let name = |text| Name::parse(text).expect("a name");
        let key = RrsetKey::new(name("s1._domainkey.wac.tax"), RType::Txt);
        let found: Vec<String> = wildcards(&name("wac.tax"), &key)
            .iter()
            .map(|w| w.name.to_string())
            .collect();
        assert_eq!(found, ["*._domainkey.wac.tax", "*.wac.tax"]);
        assert!(
            wildcards(
                &name("wac.tax"),
                &RrsetKey::new(name("wac.tax"), RType::Txt)
            )
            .is_empty()
        );
        assert!(
            wildcards(
                &name("wac.tax"),
                &RrsetKey::new(name("*.wac.tax"), RType::Txt)
            )
            .is_empty()
        );
        let wildcard = RrsetKey::new(name("*.wac.tax"), RType::Txt);
        assert!(stands_in(&wildcard, &key));
        assert!(!stands_in(
            &wildcard,
            &RrsetKey::new(name("wac.tax"), RType::Txt)
        ));
    }
}

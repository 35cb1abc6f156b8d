//! RRsets as PowerDNS stores them, and as mailctl compares them.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::record::{Name, RType, Rrset, RrsetKey, canonical, txt_quoted};
use crate::zone::DEFAULT_TTL;

/// The part of a zone that is read.
#[derive(Deserialize)]
pub(super) struct ZoneJson {
    pub(super) rrsets: Vec<RrsetJson>,
}

/// One set of the zone.
#[derive(Deserialize)]
pub(super) struct RrsetJson {
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    ttl: u32,
    records: Vec<RecordJson>,
}

/// One record: its content in presentation form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RecordJson {
    content: String,
    #[serde(default)]
    disabled: bool,
}

/// A change of one set. Comments are not mentioned, so that PowerDNS keeps them.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    name: String,
    #[serde(rename = "type")]
    rtype: &'static str,
    changetype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    records: Vec<RecordJson>,
}

/// One set as it is stored, disabled records and foreign spellings included.
#[derive(Default)]
pub(super) struct Stored {
    ttl: u32,
    records: Vec<RecordJson>,
}

/// The sets by name and type; those of types or names that mailctl does not know are left out.
pub(super) fn index(sets: Vec<RrsetJson>) -> HashMap<RrsetKey, Stored> {
    sets.into_iter()
        .filter_map(|set| {
            let key = RrsetKey::new(Name::parse(&set.name).ok()?, set.rtype.parse().ok()?);
            Some((
                key,
                Stored {
                    ttl: set.ttl,
                    records: set.records,
                },
            ))
        })
        .collect()
}

/// One of the sets; without records where it is not among them.
pub(super) fn find(sets: Vec<RrsetJson>, key: &RrsetKey) -> Stored {
    index(sets).remove(key).unwrap_or_default()
}

impl Stored {
    /// The set that the server serves.
    pub(super) fn seen(&self, key: &RrsetKey) -> Rrset {
        let served: Vec<&str> = self
            .records
            .iter()
            .filter(|r| !r.disabled)
            .map(|r| r.content.as_str())
            .collect();
        let ttl = (!served.is_empty()).then_some(self.ttl);
        Rrset::new(key.clone(), ttl, served)
    }

    /// The change that makes this set `want`. A value that stays keeps its
    /// spelling, and disabled records stay, as they are not ours to throw away.
    pub(super) fn replaced(&self, before: &Rrset, want: &Rrset) -> Change {
        let rtype = want.key.rtype;
        let spelled = |value: &String| {
            let known = self
                .records
                .iter()
                .find(|r| !r.disabled && canonical(rtype, &r.content) == *value);
            let content = known.map_or_else(|| presented(rtype, value), |r| r.content.clone());
            RecordJson {
                content,
                disabled: false,
            }
        };
        let mut records: Vec<RecordJson> = want.values.iter().map(spelled).collect();
        let kept = self
            .records
            .iter()
            .filter(|r| r.disabled && !want.values.contains(&canonical(rtype, &r.content)));
        records.extend(kept.cloned());
        let ttl = want.ttl.or(before.ttl).unwrap_or(DEFAULT_TTL);
        Change {
            name: want.key.name.fqdn(),
            rtype: rtype.as_str(),
            changetype: if records.is_empty() {
                "DELETE"
            } else {
                "REPLACE"
            },
            ttl: (!records.is_empty()).then_some(ttl),
            records,
        }
    }
}

fn presented(rtype: RType, value: &str) -> String {
    if rtype == RType::Txt {
        txt_quoted(value)
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> RrsetKey {
        RrsetKey::new(Name::parse("wac.tax").expect("a name"), RType::Txt)
    }

    fn record(content: &str, disabled: bool) -> RecordJson {
        RecordJson {
            content: content.to_owned(),
            disabled,
        }
    }

    #[test]
    fn disabled_records_are_not_seen_and_not_lost() {
        let stored = Stored {
            ttl: 60,
            records: vec![
                record("\"v=spf1 \" \"-all\"", false),
                record("\"old\"", true),
            ],
        };
        let before = stored.seen(&key());
        assert_eq!(before, Rrset::new(key(), Some(60), ["v=spf1 -all"]));
        let mut want = before.clone();
        want.values.insert("new".into());
        let change = stored.replaced(&before, &want);
        assert_eq!(
            change.records,
            [
                record("\"new\"", false),
                record("\"v=spf1 \" \"-all\"", false),
                record("\"old\"", true)
            ]
        );
        let gone = stored.replaced(&before, &Rrset::absent(key()));
        assert_eq!(
            (gone.changetype, gone.records),
            ("REPLACE", vec![record("\"old\"", true)])
        );
    }

    #[test]
    fn a_set_without_records_is_deleted() {
        let stored = Stored {
            ttl: 60,
            records: vec![record("\"old\"", false)],
        };
        let change = stored.replaced(&stored.seen(&key()), &Rrset::absent(key()));
        assert_eq!(
            (change.changetype, change.ttl, change.records),
            ("DELETE", None, vec![])
        );
    }
}

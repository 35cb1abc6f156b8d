//! Read, compared, sent, and read again: an answer may be lost after the change
//! was made, and a change may be made in part.

use dns_update::DnsRecord;

use super::calls::{Refusal, pause};
use super::refusal::Sort;
use super::rows::Writes;
use super::{Library, record, rows};
use crate::failure::{Failure, Result};
use crate::record::{Name, Rrset};
use crate::zone::write::listed;
use crate::zone::{DEFAULT_TTL, alike, changed_since};

/// How often a change is sent before it counts as failed.
const WRITES: u32 = 4;
/// What a TTL of 0 becomes, which hardly any API takes.
const SHORTEST_TTL: u32 = 60;

impl Library {
    /// The values as the library stores them.
    ///
    /// # Errors
    /// Which of them cannot be stored, and why; nothing was contacted then.
    pub(super) fn records(&self, want: &Rrset) -> Result<Vec<DnsRecord>> {
        let key = &want.key;
        self.type_of(key)?;
        self.whole(key, want.values.len())?;
        let records = want.values.iter().map(|v| record::record(key.rtype, v));
        let records = records.map(|record| Ok(self.escaped(record?)));
        records.collect::<Result<_, String>>().map_err(|why| {
            Failure::new(format!("{key}: {why}")).hint(format!(
                "{} cannot be given this value by mailctl",
                self.account.title
            ))
        })
    }

    /// The record with what the adapter forgets to escape.
    fn escaped(&self, record: DnsRecord) -> DnsRecord {
        let DnsRecord::TXT(text) = record else {
            return record;
        };
        let special = rows::unescaped(self.account.row.id);
        let escaped = |c: char| {
            let escape = special.contains(&c).then_some('\\');
            escape.into_iter().chain([c])
        };
        DnsRecord::TXT(text.chars().flat_map(escaped).collect())
    }

    /// Whether values that stay get another TTL.
    fn retimed(&self, before: &Rrset, want: &Rrset) -> bool {
        let wanted = want.ttl.map(|ttl| ttl.max(self.least_ttl()));
        self.account.row.keeps_ttl
            && before.ttl.is_some()
            && wanted.is_some()
            && before.ttl != wanted
    }

    /// Makes the set `want`, where it still is `before`.
    pub(super) async fn write(
        &self,
        zone: &Name,
        before: &Rrset,
        want: &Rrset,
        records: &[DnsRecord],
    ) -> Result<()> {
        let key = &want.key;
        let retimed = self.retimed(before, want);
        let (mut sent, mut why) = (false, Sort::Transient);
        let mut last = Failure::new(format!(
            "{} accepts the change of {key} but does not show it",
            self.account.title
        ));
        for tried in 0..WRITES {
            if tried > 0 {
                pause(why, tried).await;
            }
            let seen = self.held(zone, key).await?;
            if seen.values == want.values && (sent || !retimed || want.values.is_empty()) {
                self.remember(want);
                return Ok(());
            }
            if !may_follow(tried, &seen, before, want) {
                return Err(self.overtaken(sent, &seen));
            }
            self.before_writing(zone, key).await?;
            match self.send(zone, &seen, before, want, records).await {
                Ok(()) => {
                    sent = true;
                    let after = self.held(zone, key).await?;
                    if after.values == want.values {
                        self.remember(want);
                        return Ok(());
                    }
                }
                Err(refusal) => {
                    let told = self.account.failure(zone, &refusal);
                    if !refusal.sort.passes() {
                        return Err(told);
                    }
                    (last, why) = (told, refusal.sort);
                }
            }
        }
        // The last answer may have been lost after the change was made.
        let seen = self.held(zone, key).await?;
        if seen.values == want.values && !retimed {
            self.remember(want);
            return Ok(());
        }
        Err(last)
    }

    fn overtaken(&self, sent: bool, seen: &Rrset) -> Failure {
        if !sent {
            return changed_since(&seen.key);
        }
        Failure::new(format!(
            "{} accepted the change of {} but holds something else: {}",
            self.account.title,
            seen.key,
            listed(seen),
        ))
    }

    /// Sends a change. Where records are stored one by one, the library
    /// leaves those that stay as they are, and with them their old TTL: they
    /// are taken away and added again, one after the other.
    async fn send(
        &self,
        zone: &Name,
        seen: &Rrset,
        before: &Rrset,
        want: &Rrset,
        records: &[DnsRecord],
    ) -> Result<(), Refusal> {
        let Some(rtype) = record::record_type(want.key.rtype) else {
            return Ok(());
        };
        let name = rows::owner(self.account.row.id, &want.key);
        let (name, origin) = (name.as_ref(), zone.as_str());
        let ttl = want.ttl.or(before.ttl).unwrap_or(DEFAULT_TTL);
        // None at all is asked for by what no cache shall keep.
        let ttl = if ttl == 0 { SHORTEST_TTL } else { ttl }.max(self.least_ttl());
        let all = records.to_vec();
        self.account
            .call(|updater| updater.set_rrset(name, rtype, ttl, all, origin))
            .await?;
        if !self.retimed(before, want) || self.account.row.writes != Writes::Record {
            return Ok(());
        }
        for (value, record) in want.values.iter().zip(records) {
            if !seen.values.contains(value) {
                continue;
            }
            let one = || vec![record.clone()];
            self.account
                .call(|updater| updater.remove_from_rrset(name, rtype, one(), origin))
                .await?;
            self.account
                .call(|updater| updater.add_to_rrset(name, rtype, ttl, one(), origin))
                .await?;
        }
        Ok(())
    }
}

/// Whether `want` may be made of what is there: at first only of what the plan
/// saw, then of whatever lies between, which our own change may have left.
fn may_follow(tried: u32, seen: &Rrset, before: &Rrset, want: &Rrset) -> bool {
    let between = |value: &String| before.values.contains(value) || want.values.contains(value);
    match tried {
        0 => alike(before, seen),
        _ => seen.values.iter().all(between),
    }
}

//! The providers of the crate dns-update, each behind the same care: it lists
//! one set at a time and without TTL, hands errors over as text, and most of
//! its adapters write record by record.

mod calls;
mod fields;
mod record;
mod refusal;
mod rows;
mod served;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use dns_update::{DnsRecord, DnsRecordType};
use futures_util::future::try_join_all;

use self::calls::{Account, Refusal, pause};
use self::fields::Fields;
use self::rows::Writes;
use super::write::listed;
use super::{DEFAULT_TTL, Settings, Zone, alike, changed_since, inside, writers};
use crate::catalogue;
use crate::dns::Dns;
use crate::failure::{Exit, Failure, Result};
use crate::record::{Name, Rrset, RrsetKey};

/// How often a change is sent before it counts as failed.
const WRITES: u32 = 4;
/// What a TTL of 0 becomes, which hardly any API takes.
const SHORTEST_TTL: u32 = 60;

/// One account at one provider.
pub struct Library {
    account: Account,
    dns: Dns,
    least_ttl: u32,
    /// What this process deleted: name servers may show it for a while.
    gone: Mutex<BTreeSet<RrsetKey>>,
}

impl Library {
    /// The provider with this id in the catalogue; `None` where the library has none.
    ///
    /// # Errors
    /// When a field it needs is missing or holds nothing it can use.
    pub fn open(provider: &str, settings: &Settings, dns: &Dns) -> Option<Result<Self>> {
        let row = rows::ROWS.iter().find(|row| row.id == provider)?;
        let entry = catalogue::dns(row.id);
        let title = entry.map_or(row.id, |entry| &entry.title);
        let opened = (row.open)(&Fields::new(settings, row.id)).and_then(|made| {
            made.map_err(|error| {
                let text = refusal::redacted(&error.to_string(), settings.secrets());
                Failure::new(format!("{title} cannot be used: {text}")).exit(Exit::Unsound)
            })
        });
        let secrets = settings.secrets().cloned().collect();
        Some(opened.map(|updater| Self {
            account: Account::new(row, title, updater, secrets),
            dns: dns.clone(),
            least_ttl: entry.map_or(0, |entry| entry.least_ttl),
            gone: Mutex::default(),
        }))
    }

    /// The library's word for the set's type.
    fn type_of(&self, key: &RrsetKey) -> Result<DnsRecordType> {
        let known = record::record_type(key.rtype);
        known
            .filter(|_| !self.account.row.without.contains(&key.rtype))
            .ok_or_else(|| {
                let Account { row, title, .. } = &self.account;
                Failure::new(format!("{title} cannot store {key} through mailctl")).hint(format!(
                    "leave it out; `mailctl providers dns {}` tells the limits",
                    row.id
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

    /// What the API holds, without TTL.
    async fn held(&self, zone: &Name, key: &RrsetKey) -> Result<Rrset> {
        let rtype = self.type_of(key)?;
        let (name, origin) = (key.name.as_str(), zone.as_str());
        let records = self
            .account
            .read(zone, &key.to_string(), |updater| {
                updater.list_rrset(name, rtype, origin)
            })
            .await?;
        let values = records
            .iter()
            .map(|r| record::value(key.rtype, r))
            .collect();
        Ok(Rrset {
            key: key.clone(),
            ttl: None,
            values,
        })
    }

    /// Whether what a server shows comes from a wildcard, which the API shows as such.
    async fn of_wildcard(&self, zone: &Name, served: &Rrset) -> Result<bool> {
        for name in served::wildcards(&served.key.name, zone) {
            let key = RrsetKey::new(name, served.key.rtype);
            let held = self.held(zone, &key).await?;
            if !held.values.is_empty() {
                return Ok(held.values == served.values);
            }
        }
        Ok(false)
    }

    /// Whether values that stay get another TTL.
    fn retimed(&self, before: &Rrset, want: &Rrset) -> bool {
        let wanted = want.ttl.map(|ttl| ttl.max(self.least_ttl));
        self.account.row.keeps_ttl
            && before.ttl.is_some()
            && wanted.is_some()
            && before.ttl != wanted
    }

    fn deleted(&self, key: &RrsetKey) -> bool {
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.contains(key)
    }

    fn remember(&self, want: &Rrset) {
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        if want.values.is_empty() {
            gone.insert(want.key.clone());
        } else {
            gone.remove(&want.key);
        }
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
        let (name, origin) = (want.key.name.as_str(), zone.as_str());
        let ttl = want.ttl.or(before.ttl).unwrap_or(DEFAULT_TTL);
        // None at all is asked for by what no cache shall keep.
        let ttl = if ttl == 0 { SHORTEST_TTL } else { ttl }.max(self.least_ttl);
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

#[async_trait]
impl Zone for Library {
    fn provider(&self) -> &str {
        self.account.row.id
    }

    fn guarded(&self) -> bool {
        true
    }

    fn ttl(&self, wanted: u32) -> Option<u32> {
        let kept = self.account.row.keeps_ttl;
        kept.then(|| wanted.max(self.least_ttl))
    }

    /// The API and the zone's own servers are asked at once. The API's values
    /// count; TTLs are the servers', and where a server has what the API has
    /// not, neither is believed.
    async fn list(&self, zone: &Name, keys: &[RrsetKey]) -> Result<Vec<Rrset>> {
        inside(zone, keys)?;
        let held = try_join_all(keys.iter().map(|key| self.held(zone, key)));
        let (mut sets, served) = tokio::try_join!(held, self.dns.everywhere(zone, keys))?;
        let title = self.account.title;
        served::heard(title, zone, &served)?;
        for (place, set) in sets.iter_mut().enumerate() {
            if !set.values.is_empty() {
                if self.account.row.keeps_ttl {
                    set.ttl = served::ttl(set, &served, place);
                }
                continue;
            }
            if let Some((authority, other)) = served::against(set, &served, place)
                && !self.deleted(&set.key)
                && !self.of_wildcard(zone, other).await?
            {
                return Err(served::contradiction(title, zone, authority, other));
            }
        }
        Ok(sets)
    }

    /// Read, compared, sent, and read again: an answer may be lost after the
    /// change was made, and a change may be made in part.
    async fn set(&self, zone: &Name, before: &Rrset, want: &Rrset) -> Result<()> {
        let key = &want.key;
        inside(zone, [key])?;
        self.type_of(key)?;
        let records = want.values.iter().map(|v| record::record(key.rtype, v));
        let records = records.map(|record| Ok(self.escaped(record?)));
        let records = records.collect::<Result<Vec<_>, String>>().map_err(|why| {
            Failure::new(format!("{key}: {why}")).hint(format!(
                "{} cannot be given this value by mailctl",
                self.account.title
            ))
        })?;
        let _writer = writers::lock(zone).await;
        let retimed = self.retimed(before, want);
        let mut sent = false;
        let mut last = Failure::new(format!(
            "{} accepts the change of {key} but does not show it",
            self.account.title
        ));
        for tried in 0..WRITES {
            if tried > 0 {
                pause(tried).await;
            }
            let seen = self.held(zone, key).await?;
            if seen.values == want.values && (sent || !retimed || want.values.is_empty()) {
                self.remember(want);
                return Ok(());
            }
            let between =
                |value: &String| before.values.contains(value) || want.values.contains(value);
            let ours = if tried == 0 {
                alike(before, &seen)
            } else {
                seen.values.iter().all(between)
            };
            if !ours && sent {
                return Err(Failure::new(format!(
                    "{} accepted the change of {key} but holds something else: {}",
                    self.account.title,
                    listed(&seen),
                )));
            }
            if !ours {
                return Err(changed_since(key));
            }
            match self.send(zone, &seen, before, want, &records).await {
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
                    last = told;
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
}

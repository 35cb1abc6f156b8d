//! The providers of the crate dns-update, each behind the same care: it lists
//! one set at a time and without TTL, hands errors over as text, and most of
//! its adapters write record by record.

mod calls;
mod copy;
mod delegated;
mod fields;
mod reading;
mod record;
mod refusal;
mod rows;
mod served;
mod snapshot;
mod watch;
mod writing;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use dns_update::DnsRecordType;

use self::calls::Account;
use self::fields::Fields;
use self::rows::Writes;
use super::{Settings, Zone, inside, writers};
use crate::catalogue::{self, Entry};
use crate::dns::Dns;
use crate::failure::{Exit, Failure, Result};
use crate::record::{Name, RType, Rrset, RrsetKey};

/// Some adapters see so many values of a set and no more: whoever has as many may have more.
const TOO_MANY: usize = 100;

/// One account at one provider.
pub struct Library {
    account: Account,
    dns: Dns,
    entry: Option<&'static Entry>,
    /// What this process deleted: name servers may show it for a while.
    gone: Mutex<BTreeSet<RrsetKey>>,
    /// Zones whose name servers are known to be the provider's.
    delegated: Mutex<BTreeSet<Name>>,
    /// What was listed, and whether it was there: what a copy of a zone must not leave out.
    listed: Mutex<BTreeMap<RrsetKey, bool>>,
    /// Where copies of zones are kept.
    copies: Option<PathBuf>,
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
            entry,
            gone: Mutex::default(),
            delegated: Mutex::default(),
            listed: Mutex::default(),
            copies: settings.copies().map(Path::to_owned),
        }))
    }

    /// The library's word for the set's type.
    fn type_of(&self, key: &RrsetKey) -> Result<DnsRecordType> {
        let known = record::record_type(key.rtype);
        known
            .filter(|_| !self.account.row.without.contains(&key.rtype))
            .ok_or_else(|| {
                let Account { row, title, .. } = &self.account;
                let out = match key.rtype {
                    RType::Srv => "set `autoconfig: false` for the domain",
                    _ => "leave it out",
                };
                Failure::new(format!("{title} cannot store {key} through mailctl")).hint(format!(
                    "{out}; `mailctl providers dns {}` tells the limits",
                    row.id
                ))
            })
    }

    /// Fails for a set that may be half of one.
    fn whole(&self, key: &RrsetKey, values: usize) -> Result<()> {
        if values < TOO_MANY {
            return Ok(());
        }
        let title = self.account.title;
        Err(Failure::new(format!(
            "{key} has {values} values, and mailctl may not see them all at {title}"
        ))
        .hint("part them among several names, or change this set at the provider"))
    }

    /// The least TTL that is stored there, in seconds.
    fn least_ttl(&self) -> u32 {
        self.entry.map_or(0, |entry| entry.least_ttl)
    }

    /// Whether each change has the whole zone written again.
    fn rewrites(&self) -> bool {
        self.account.row.writes == Writes::Zone
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
        kept.then(|| wanted.max(self.least_ttl()))
    }

    fn kept(&self) -> Vec<String> {
        watch::copies(self.account.row.id)
    }

    async fn list(&self, zone: &Name, keys: &[RrsetKey]) -> Result<Vec<Rrset>> {
        inside(zone, keys)?;
        let sets = self.read(zone, keys).await?;
        if self.rewrites() {
            let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
            listed.extend(sets.iter().map(|s| (s.key.clone(), !s.values.is_empty())));
        }
        Ok(sets)
    }

    async fn set(&self, zone: &Name, before: &Rrset, want: &Rrset) -> Result<()> {
        inside(zone, [&want.key])?;
        let records = self.records(want)?;
        let _writer = writers::lock(zone).await;
        let written = self.write(zone, before, want, &records).await;
        self.after_writing(zone, written).await
    }
}

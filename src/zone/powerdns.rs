//! PowerDNS Authoritative Server through its HTTP API.

mod api;
mod rrset;

use async_trait::async_trait;
use tokio::sync::RwLock;

use self::api::{Api, Refusal};
use self::rrset::{Change, Stored};
use super::{Zone, alike, changed_since, inside, writers};
use crate::failure::{Failure, Result};
use crate::record::{Name, Rrset, RrsetKey};
use crate::secret::Secret;

/// Its id in the catalogue.
pub const ID: &str = "powerdns";

/// How often a change is sent before it counts as failed.
const WRITES: u32 = 3;

/// One server of a PowerDNS API.
pub struct PowerDns {
    api: Api,
    /// Held shared by a first try to write, alone by a further one.
    crowd: RwLock<()>,
}

impl PowerDns {
    /// The API at `endpoint`, such as `http://127.0.0.1:8081`; its path
    /// `/api/v1` may follow. `server_id` is `localhost` nearly everywhere.
    ///
    /// # Errors
    /// When `endpoint` is no HTTP address or `token` cannot stand in a header.
    pub fn new(endpoint: &str, token: Secret, server_id: &str) -> Result<Self> {
        Ok(Self {
            api: Api::new(endpoint, token, server_id)?,
            crowd: RwLock::new(()),
        })
    }

    /// One set with its disabled records, which only the whole zone shows.
    async fn stored(&self, zone: &Name, key: &RrsetKey) -> Result<Stored> {
        let found = self.api.rrsets(zone, None).await?;
        Ok(rrset::find(found, key))
    }

    /// Backends such as SQLite fail some of many writes at once: who failed
    /// tries again `alone`.
    async fn replace(
        &self,
        zone: &Name,
        change: &Change,
        alone: bool,
    ) -> std::result::Result<(), Refusal> {
        if alone {
            let _alone = self.crowd.write().await;
            return self.api.replace(zone, change).await;
        }
        let _shared = self.crowd.read().await;
        self.api.replace(zone, change).await
    }
}

#[async_trait]
impl Zone for PowerDns {
    fn provider(&self) -> &str {
        ID
    }

    fn guarded(&self) -> bool {
        true
    }

    /// One request, whatever the number of keys. Disabled records are not
    /// served, so they do not count.
    async fn list(&self, zone: &Name, keys: &[RrsetKey]) -> Result<Vec<Rrset>> {
        inside(zone, keys)?;
        let only = if let [key] = keys { Some(key) } else { None };
        let index = rrset::index(self.api.rrsets(zone, only).await?);
        let seen = |key| {
            index
                .get(key)
                .map_or_else(|| Rrset::absent(Clone::clone(key)), |s| s.seen(key))
        };
        Ok(keys.iter().map(seen).collect())
    }

    /// Replaces the set in one request. PowerDNS has no conditional change: the
    /// set is compared right before, which leaves a gap of milliseconds, and
    /// read again after, because a busy backend stores a part of it only.
    async fn set(&self, zone: &Name, before: &Rrset, want: &Rrset) -> Result<()> {
        let key = &want.key;
        inside(zone, [key])?;
        let _writer = writers::lock(zone).await;
        let mut last = Failure::new(format!(
            "PowerDNS accepts the change of {key} but does not show it"
        ));
        for tried in 0..WRITES {
            let stored = self.stored(zone, key).await?;
            let found = stored.seen(key);
            if alike(want, &found) {
                return Ok(());
            }
            if tried == 0 && !alike(before, &found) {
                return Err(changed_since(key));
            }
            match self
                .replace(zone, &stored.replaced(before, want), tried > 0)
                .await
            {
                Ok(()) => {}
                // It may have been stored, in whole or in part: what is read next decides.
                Err(Refusal::Unclear(why, wait)) => {
                    last = why;
                    api::pause(tried, wait).await;
                }
                Err(Refusal::Final(why)) => return Err(why),
            }
            let after = self.list(zone, std::slice::from_ref(key)).await?;
            if after.iter().all(|after| alike(want, after)) {
                return Ok(());
            }
        }
        Err(last)
    }
}

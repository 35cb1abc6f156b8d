//! What the API holds, beside what the zone's own servers show.

use futures_util::future::try_join_all;

use super::calls::Refusal;
use super::{Library, record, rows, served};
use crate::failure::{Failure, Result};
use crate::record::{Name, Rrset, RrsetKey};

impl Library {
    /// What the API holds, without TTL.
    pub(super) async fn held(&self, zone: &Name, key: &RrsetKey) -> Result<Rrset> {
        let values = match self.asked(zone, key).await? {
            Ok(values) => values,
            Err(refusal) => return Err(self.unread(zone, key, &refusal)),
        };
        self.whole(key, values.len())?;
        Ok(Rrset {
            key: key.clone(),
            ttl: None,
            values: values.into_iter().collect(),
        })
    }

    /// The values that the API has, or its refusal, where the sort of that matters.
    ///
    /// # Errors
    /// When sets of this type cannot be asked for.
    pub(super) async fn asked(
        &self,
        zone: &Name,
        key: &RrsetKey,
    ) -> Result<Result<Vec<String>, Refusal>> {
        let rtype = self.type_of(key)?;
        let (name, origin) = (rows::owner(self.account.row.id, key), zone.as_str());
        let ask = self
            .account
            .read(|updater| updater.list_rrset(name.as_ref(), rtype, origin));
        let values = |records: Vec<_>| {
            records
                .iter()
                .map(|r| record::value(key.rtype, r))
                .collect()
        };
        Ok(ask.await.map(values))
    }

    /// The failure of a read that was refused.
    pub(super) fn unread(&self, zone: &Name, key: &RrsetKey, refusal: &Refusal) -> Failure {
        let failure = self.account.failure(zone, refusal);
        Failure::new(format!("{key} cannot be read")).because(failure)
    }

    /// The API and the zone's own servers are asked at once. The API's values
    /// count; TTLs are the servers', and where a server has what the API has
    /// not, neither is believed.
    pub(super) async fn read(&self, zone: &Name, keys: &[RrsetKey]) -> Result<Vec<Rrset>> {
        let held = try_join_all(keys.iter().map(|key| self.held(zone, key)));
        let (mut sets, served) = tokio::try_join!(held, self.dns.everywhere(zone, keys))?;
        let title = self.account.title;
        served::heard(title, zone, &served)?;
        self.is_delegated(zone, &sets, &served).await?;
        for (place, set) in sets.iter_mut().enumerate() {
            if !set.values.is_empty() {
                if let Some(text) = served::unread(set, &served, place) {
                    return Err(self.cannot_read(set, &text));
                }
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

    fn cannot_read(&self, set: &Rrset, text: &str) -> Failure {
        let title = self.account.title;
        Failure::new(format!(
            "{} has the text “{text}”, which the API of {title} shows otherwise",
            set.key
        ))
        .hint("mailctl could not write it back as it is: change this set at the provider, or take the text away there")
    }
}

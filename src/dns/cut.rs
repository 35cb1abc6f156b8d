//! Which zone a name is in: the SOA record asked for upward (RFC 1034 section 4.2).

use hickory_proto::op::Message;
use hickory_proto::rr::{RData, RecordType};
use tokio::task::JoinSet;

use super::{Dns, answer};
use crate::failure::{Failure, Result};
use crate::record::{Name, RType, RrsetKey, wire};

impl Dns {
    /// The apex of the zone that holds `name`.
    ///
    /// # Errors
    /// When the resolver fails, and when the closest zone is a top-level
    /// domain or the root: then nobody has delegated the name.
    pub async fn zone_of(&self, name: &Name) -> Result<Name> {
        let find = || async {
            match self.cut_above(name).await {
                Some(apex) => Ok(apex),
                None => self.cut_by_resolver(name).await,
            }
        };
        self.0.cuts.get(name, find).await
    }

    /// The cut as the servers of the zone above know it: a resolver that is
    /// asked for a name which is not there yet remembers that, for all types,
    /// and whoever looks for the new record through it would not find it
    /// (RFC 2308 section 5). `None` where they do not know.
    async fn cut_above(&self, name: &Name) -> Option<Name> {
        // The reverse tree has too many levels to be asked one by one.
        let parent = name
            .parent()
            .filter(|up| up.as_str().contains('.') && !up.as_str().ends_with(".arpa"))?;
        let above = Box::pin(self.zone_of(&parent)).await.ok()?;
        let key = RrsetKey::new(name.clone(), RType::Soa);
        let mut asked = JoinSet::new();
        for authority in self.authorities(&above).await.ok()? {
            if !authority.recursive {
                let (dns, key) = (self.clone(), key.clone());
                asked.spawn(async move { dns.ask_whole(&authority, &key).await });
            }
        }
        while let Some(done) = asked.join_next().await {
            // Without authority it answers for a name that is a zone elsewhere.
            if let Ok(Ok(answer)) = done {
                let own = !answer.set.values.is_empty() && answer.cname.is_none();
                return Some(if own { name.clone() } else { above });
            }
        }
        None
    }

    async fn cut_by_resolver(&self, name: &Name) -> Result<Name> {
        let apex = self.closest_zone(name).await?;
        if above_registrations(&apex) {
            return Err(not_delegated(name, &apex));
        }
        Ok(apex)
    }

    /// The apex of the zone that holds `name` as the resolver knows it, be it a
    /// top-level domain or the root.
    ///
    /// # Errors
    /// When the resolver fails.
    pub async fn closest_zone(&self, name: &Name) -> Result<Name> {
        let mut at = name.clone();
        loop {
            let key = RrsetKey::new(at.clone(), RType::Soa);
            let message = self.recurse(&key).await?;
            answer::about_data(&message, "the resolver", &key.to_string()).map_err(|e| {
                e.hint("is the zone delegated to name servers that answer for it? `dig +trace` shows where it ends")
            })?;
            if let Some(apex) = apex_in(&message, &at) {
                return Ok(apex);
            }
            at = at
                .parent()
                .ok_or_else(|| not_delegated(name, &Name::root()))?;
        }
    }
}

fn not_delegated(name: &Name, apex: &Name) -> Failure {
    let closest = match apex.as_str() {
        "" | "." => "the root",
        apex => apex,
    };
    Failure::new(format!("no zone was found for {name}: the closest one above it is {closest}"))
        .hint("is the domain registered, and delegated to its name servers? A zone that is not public yet is named by `zone` beside `provider`")
}

/// The zone that the SOA in an answer names, where it is one that `name` is in.
///
/// A CNAME at the name brings the SOA of its target's zone, in either section
/// (RFC 2308 section 2.1): such an answer says nothing about the name's own zone.
fn apex_in(message: &Message, name: &Name) -> Option<Name> {
    if message
        .answers
        .iter()
        .any(|r| r.record_type() == RecordType::CNAME)
    {
        return None;
    }
    message
        .answers
        .iter()
        .chain(&message.authorities)
        .filter(|record| matches!(record.data, RData::SOA(_)))
        .filter_map(|record| wire::from_name(&record.name))
        .find(|apex| name.is_in(apex))
}

/// Zones below which others register: the root, top-level domains, the reverse trees.
fn above_registrations(apex: &Name) -> bool {
    !apex.as_str().contains('.') || matches!(apex.as_str(), "in-addr.arpa" | "ip6.arpa")
}

//! Whether the servers that the world asks are the provider's. Where they are
//! not, every record would be written to where nobody looks.

use std::collections::BTreeSet;
use std::sync::{MutexGuard, PoisonError};

use super::Library;
use super::served::{self, Served};
use crate::dns::PRIVATE_SERVER;
use crate::failure::{Failure, Result};
use crate::pattern::fits;
use crate::record::{Name, RType, Rrset, RrsetKey};

impl Library {
    /// Fails where nothing says that the zone is served from this account:
    /// neither the names of its servers, nor the zone's own NS set at the
    /// provider, nor a single record that both have.
    ///
    /// Each alone proves it: servers may bear the customer's own names, many
    /// APIs keep the NS set to themselves, and a new zone has no records.
    pub(super) async fn is_delegated(
        &self,
        zone: &Name,
        sets: &[Rrset],
        served: &Served,
    ) -> Result<()> {
        if self.known().contains(zone) {
            return Ok(());
        }
        let servers = names(served);
        let patterns = self.entry.map_or(&[][..], |entry| &entry.servers);
        let ours = |server: &Name| patterns.iter().any(|p| fits(p, server.as_str()));
        let proven = servers.is_empty()
            || servers.iter().any(ours)
            || (0..sets.len()).any(|place| served::agree(&sets[place], served, place));
        if !proven {
            let key = RrsetKey::new(zone.clone(), RType::Ns);
            // An adapter that has no such type says nothing either way.
            let held = match self.type_of(&key) {
                Ok(_) => self.held(zone, &key).await?.values,
                Err(_) => BTreeSet::new(),
            };
            let of_zone: BTreeSet<String> = servers.iter().map(Name::fqdn).collect();
            let silent = held.is_empty() && patterns.is_empty();
            if !silent && held.is_disjoint(&of_zone) {
                return Err(self.elsewhere(zone, &servers, &held));
            }
        }
        self.known().insert(zone.clone());
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, BTreeSet<Name>> {
        let known = self.delegated.lock();
        known.unwrap_or_else(PoisonError::into_inner)
    }

    fn elsewhere(&self, zone: &Name, servers: &BTreeSet<Name>, held: &BTreeSet<String>) -> Failure {
        let title = self.account.title;
        let listed = |names: &mut dyn Iterator<Item = &str>| names.collect::<Vec<_>>().join(", ");
        let theirs = listed(&mut servers.iter().map(Name::as_str));
        let own = listed(&mut held.iter().map(|name| name.trim_end_matches('.')));
        let to = match own.as_str() {
            "" => format!("those that {title} shows for the zone"),
            own => own.to_owned(),
        };
        Failure::new(format!(
            "{zone} is delegated to {theirs}, which is not {title}: nobody would see what is written there"
        ))
        .hint(format!(
            "at the registrar, set the name servers of {zone} to {to}, or name the provider that holds the zone now. Where they are {title}'s under names of your own, set one of these records there by hand: once it is seen, they are known"
        ))
    }
}

/// What the zone's servers are called; the resolver of a private world is none of them.
fn names(served: &Served) -> BTreeSet<Name> {
    let servers = served.iter().map(|(authority, _)| authority);
    servers
        .filter(|server| !server.recursive && server.name.as_str() != PRIVATE_SERVER)
        .map(|server| server.name.clone())
        .collect()
}

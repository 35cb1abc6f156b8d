//! Where a name leads: CNAMEs, followed at the authoritative servers.

use super::Dns;
use crate::failure::{Failure, Result};
use crate::record::{Name, RType, RrsetKey};

/// How many CNAMEs may lead on to each other.
const LONGEST: usize = 8;

impl Dns {
    /// Where the chain of CNAMEs that begins at `name` ends, `name` itself
    /// where there is none, and the apex of the zone that holds that name.
    ///
    /// The zones' own servers are asked: a resolver would remember that the
    /// name is not there yet, and whoever looks for it through the same
    /// resolver a moment later would not find it (RFC 2308 section 5).
    ///
    /// # Errors
    /// When nobody answers, and when the chain has no end.
    pub async fn canonical_name(&self, name: &Name) -> Result<(Name, Name)> {
        let mut at = name.clone();
        for _ in 0..LONGEST {
            let (apex, target) = self.alias_of(&at).await?;
            match target {
                Some(target) => at = target,
                None => return Ok((at, apex)),
            }
        }
        Err(
            Failure::new(format!("the CNAMEs that lead to {name} have no end"))
                .hint("look for a loop among them"),
        )
    }

    /// The apex of the zone that holds `name`, and the alias there.
    async fn alias_of(&self, name: &Name) -> Result<(Name, Option<Name>)> {
        let key = RrsetKey::new(name.clone(), RType::Cname);
        let above = match name.parent() {
            Some(parent) => self.zone_of(&parent).await.ok(),
            None => None,
        };
        if let Some(apex) = above {
            for authority in self.authorities(&apex).await? {
                // Without authority it answers for a name that is a zone of its own.
                if let Ok(aliases) = self.ask(&authority, &key).await {
                    return Ok((apex, target(aliases.values.first())?));
                }
            }
        }
        let aliases = self.resolve(&key).await?;
        Ok((self.zone_of(name).await?, target(aliases.values.first())?))
    }
}

fn target(value: Option<&String>) -> Result<Option<Name>> {
    value
        .map(|value| Name::parse(value).map_err(Failure::new))
        .transpose()
}

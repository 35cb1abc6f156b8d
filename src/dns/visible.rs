//! Waiting until every authoritative server shows a change.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Authority, Dns};
use crate::failure::{Context, Failure, Result};
use crate::record::{Name, Rrset, RrsetKey};

/// The first pause between two rounds of questions; it grows to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What a server has to show of a wanted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visible {
    /// These values, no others, and the TTL where one is wanted.
    Exactly,
    /// These values, among others.
    Contains,
    /// None of these values; no set at all where no values are given.
    Gone,
}

impl Visible {
    /// Whether `found` is what is waited for.
    pub fn holds(self, want: &Rrset, found: &Rrset) -> bool {
        match self {
            Self::Exactly => {
                want.values == found.values
                    && (want.ttl.is_none() || want.values.is_empty() || want.ttl == found.ttl)
            }
            Self::Contains => want.values.is_subset(&found.values),
            Self::Gone if want.values.is_empty() => found.values.is_empty(),
            Self::Gone => want.values.is_disjoint(&found.values),
        }
    }
}

impl Dns {
    /// Returns as soon as every authoritative server of `zone` shows `want`,
    /// each asked until it does. `progress` hears, whenever it changes, how
    /// many servers of how many show it.
    ///
    /// # Errors
    /// When the zone's servers cannot be found, and when `limit` has passed:
    /// the message names the servers that do not show it, and what they show.
    pub async fn wait_visible(
        &self,
        zone: &Name,
        want: &Rrset,
        how: Visible,
        limit: Duration,
        progress: &(dyn Fn(usize, usize) + Send + Sync),
    ) -> Result<()> {
        let deadline = Instant::now() + limit;
        let mut waiting = self.authorities(zone).await?;
        let all = waiting.len();
        let mut shown = None;
        let mut pause = SHORTEST_PAUSE;
        loop {
            let behind = self.not_showing(waiting, want, how, deadline).await?;
            let now = all - behind.len();
            if shown != Some(now) {
                progress(now, all);
                shown = Some(now);
            }
            if behind.is_empty() {
                return Ok(());
            }
            if Instant::now() + pause >= deadline {
                return Err(too_late(want, limit, all, &behind));
            }
            waiting = behind.into_iter().map(|(authority, _)| authority).collect();
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Returns as soon as every authoritative server of `zone` shows exactly these sets.
    ///
    /// # Errors
    /// As for [`Dns::wait_visible`], about the first set that is not shown.
    pub async fn wait_all_visible(
        &self,
        zone: &Name,
        sets: &[&Rrset],
        limit: Duration,
    ) -> Result<()> {
        let deadline = Instant::now() + limit;
        let keys: Vec<RrsetKey> = sets.iter().map(|set| set.key.clone()).collect();
        let mut pause = SHORTEST_PAUSE;
        loop {
            let views = self.everywhere(zone, &keys).await?;
            let all = views.len();
            let Some((want, behind)) = first_behind(sets, &views) else {
                return Ok(());
            };
            if Instant::now() + pause >= deadline {
                return Err(too_late(want, limit, all, &behind));
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The servers that do not show `want` yet, each with what it does instead.
    async fn not_showing(
        &self,
        servers: Vec<Authority>,
        want: &Rrset,
        how: Visible,
        deadline: Instant,
    ) -> Result<Vec<(Authority, String)>> {
        let mut questions = JoinSet::new();
        for authority in servers {
            let (dns, mut want) = (self.clone(), want.clone());
            questions.spawn(async move {
                if authority.recursive {
                    // A cache counts its TTLs down.
                    want.ttl = None;
                }
                let shown = match timeout_at(deadline, dns.ask(&authority, &want.key)).await {
                    Ok(Ok(found)) if how.holds(&want, &found) => return None,
                    Ok(Ok(found)) => format!("{authority} {}", described(&found)),
                    Ok(Err(why)) => why.chain(),
                    Err(_) => format!("{authority} does not answer"),
                };
                Some((authority, shown))
            });
        }
        let mut behind = Vec::new();
        while let Some(done) = questions.join_next().await {
            behind.extend(done.context("a question to a name server was lost")?);
        }
        behind.sort_by_key(|(authority, _)| authority.addr);
        Ok(behind)
    }
}

/// The views of all servers, as [`Dns::everywhere`] gives them.
type Views = [(Authority, Result<Vec<Rrset>>)];

/// The first set that some servers do not show, with what they do instead.
fn first_behind<'a>(
    sets: &[&'a Rrset],
    views: &Views,
) -> Option<(&'a Rrset, Vec<(Authority, String)>)> {
    sets.iter().enumerate().find_map(|(index, set)| {
        let behind = views.iter().filter_map(|(authority, view)| {
            let mut want = (*set).clone();
            if authority.recursive {
                want.ttl = None;
            }
            let shown = match view {
                Ok(found)
                    if found
                        .get(index)
                        .is_some_and(|f| Visible::Exactly.holds(&want, f)) =>
                {
                    return None;
                }
                Ok(found) => format!(
                    "{authority} {}",
                    found.get(index).map(described).unwrap_or_default()
                ),
                Err(why) => why.chain(),
            };
            Some((authority.clone(), shown))
        });
        let behind: Vec<_> = behind.collect();
        (!behind.is_empty()).then_some((*set, behind))
    })
}

fn too_late(want: &Rrset, limit: Duration, all: usize, behind: &[(Authority, String)]) -> Failure {
    let each: Vec<&str> = behind.iter().map(|(_, shown)| shown.as_str()).collect();
    Failure::new(format!(
        "{} is not as wished at {} of {all} name servers after {} s: {}",
        want.key,
        behind.len(),
        limit.as_secs(),
        each.join("; "),
    ))
    .hint("a name server that lags gets the zone late or not at all: look at its zone transfers, then run this again")
}

fn described(found: &Rrset) -> String {
    if found.values.is_empty() {
        return "shows nothing".to_owned();
    }
    let values: Vec<String> = found
        .values
        .iter()
        .map(|value| format!("“{}”", shortened(value)))
        .collect();
    let ttl = found
        .ttl
        .map(|ttl| format!(", TTL {ttl}"))
        .unwrap_or_default();
    format!("shows {}{ttl}", values.join(", "))
}

fn shortened(value: &str) -> String {
    const LONGEST: usize = 60;
    if value.chars().count() <= LONGEST {
        return value.to_owned();
    }
    value.chars().take(LONGEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{RType, RrsetKey};

    #[test]
    fn what_counts_as_visible() {
        let key = RrsetKey::new(Name::parse("t.example").expect("a name"), RType::Txt);
        let set = |ttl, values: &[&str]| Rrset::new(key.clone(), ttl, values);
        let want = set(Some(60), &["a"]);
        assert!(Visible::Exactly.holds(&want, &set(Some(60), &["a"])));
        assert!(!Visible::Exactly.holds(&want, &set(Some(61), &["a"])));
        assert!(Visible::Exactly.holds(&set(None, &["a"]), &set(Some(61), &["a"])));
        assert!(!Visible::Exactly.holds(&want, &set(Some(60), &["a", "b"])));
        assert!(Visible::Contains.holds(&want, &set(Some(9), &["a", "b"])));
        assert!(!Visible::Gone.holds(&want, &set(Some(9), &["a", "b"])));
        assert!(Visible::Gone.holds(&want, &set(Some(9), &["b"])));
        assert!(!Visible::Gone.holds(&set(None, &[]), &set(Some(9), &["b"])));
    }
}

//! Careful writing, the same for all providers: a set is changed only from
//! what it was seen to be, and read again afterwards.

use std::collections::BTreeSet;

use super::{Zone, alike, changed_since, inside, writers};
use crate::failure::{Failure, Result};
use crate::record::{Name, RType, Rrset, RrsetKey, canonical, wire};

/// How often an addition is tried again after somebody else changed the set in between.
const RACES: u32 = 4;

/// Makes the set `want`, where it still is `before`. `apex` is the zone's.
///
/// # Errors
/// When the set is no longer `before`, the provider refuses or cannot be
/// reached, or does not hold `want` afterwards.
pub async fn write(zone: &dyn Zone, apex: &Name, before: &Rrset, want: &Rrset) -> Result<()> {
    inside(apex, [&want.key])?;
    ours_to_write(want.key.rtype)?;
    if let Some(value) = want.values.iter().find(|value| value.contains('\u{fffd}')) {
        return Err(Failure::new(format!(
            "{} holds “{value}”, whose octets are not text",
            want.key
        ))
        .hint("mailctl cannot write this value back: remove it by hand, or leave the set alone"));
    }
    // What is no such value is told before anybody is asked.
    for value in &want.values {
        wire::to_rdata(want.key.rtype, value)
            .map_err(|why| Failure::new(format!("{}: {why}", want.key)))?;
    }
    if zone.guarded() {
        return zone.set(apex, before, want).await;
    }
    // One writer a zone: between reading and writing nobody else of this process comes.
    let _writer = writers::lock(apex).await;
    if !alike(before, &read(zone, apex, &want.key).await?) {
        return Err(changed_since(&want.key));
    }
    if alike(before, want) {
        return Ok(());
    }
    zone.set(apex, before, want).await?;
    let after = read(zone, apex, &want.key).await?;
    if !alike(want, &after) {
        return Err(Failure::new(format!(
            "{} accepted the change of {} but holds something else: {}",
            zone.provider(),
            want.key,
            listed(&after),
        )));
    }
    Ok(())
}

/// Fails for the types that make the zone itself. DS, DNSKEY and the like are
/// no [`RType`] at all, so that nothing can ask for them.
fn ours_to_write(rtype: RType) -> Result<()> {
    match rtype {
        RType::Ns | RType::Soa => Err(Failure::new(format!(
            "{rtype} records make the zone itself: mailctl never touches them"
        ))),
        RType::A
        | RType::Aaaa
        | RType::Caa
        | RType::Cname
        | RType::Mx
        | RType::Ptr
        | RType::Srv
        | RType::Tlsa
        | RType::Txt => Ok(()),
    }
}

/// Adds values to a set and keeps those of others, such as the two challenges
/// for a domain and its wildcard at one name. Values already there are no error;
/// `ttl` counts where the set is new.
///
/// # Errors
/// As for [`write()`]; a change by somebody else in between is met by trying again.
pub async fn add_values(
    zone: &dyn Zone,
    apex: &Name,
    key: &RrsetKey,
    ttl: u32,
    values: &[String],
) -> Result<()> {
    edit(zone, apex, key, |set| {
        set.ttl = set.ttl.or(Some(ttl));
        set.values.extend(canonicalised(key.rtype, values));
    })
    .await
}

/// Removes values from a set and keeps those of others; the last one removed removes the set.
///
/// # Errors
/// As for [`add_values`]. Values that are not there are no error.
pub async fn remove_values(
    zone: &dyn Zone,
    apex: &Name,
    key: &RrsetKey,
    values: &[String],
) -> Result<()> {
    let gone: BTreeSet<String> = canonicalised(key.rtype, values).collect();
    edit(zone, apex, key, |set| {
        set.values.retain(|value| !gone.contains(value))
    })
    .await
}

fn canonicalised(rtype: RType, values: &[String]) -> impl Iterator<Item = String> {
    values.iter().map(move |value| canonical(rtype, value))
}

async fn edit(
    zone: &dyn Zone,
    apex: &Name,
    key: &RrsetKey,
    change: impl Fn(&mut Rrset),
) -> Result<()> {
    let mut before = read(zone, apex, key).await?;
    for race in 1.. {
        let mut want = before.clone();
        change(&mut want);
        if want.values == before.values {
            return Ok(());
        }
        let Err(why) = write(zone, apex, &before, &want).await else {
            return Ok(());
        };
        let now = read(zone, apex, key).await?;
        if race == RACES || now == before {
            return Err(why);
        }
        before = now;
    }
    Ok(())
}

/// One set as the provider holds it.
async fn read(zone: &dyn Zone, apex: &Name, key: &RrsetKey) -> Result<Rrset> {
    let mut sets = zone.list(apex, std::slice::from_ref(key)).await?;
    sets.pop()
        .ok_or_else(|| Failure::new(format!("{} says nothing about {key}", zone.provider())))
}

/// The set in words.
pub(super) fn listed(set: &Rrset) -> String {
    if set.values.is_empty() {
        return "nothing".to_owned();
    }
    let ttl = set
        .ttl
        .map(|ttl| format!(", TTL {ttl}"))
        .unwrap_or_default();
    let values: Vec<&str> = set.values.iter().map(String::as_str).collect();
    format!("{}{ttl}", values.join(", "))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;

    /// A provider that checks nothing itself, and may store something else.
    struct Careless {
        held: Mutex<Rrset>,
        stores: Option<&'static str>,
    }

    #[async_trait]
    impl Zone for Careless {
        fn provider(&self) -> &str {
            "careless"
        }

        async fn list(&self, _: &Name, _: &[RrsetKey]) -> Result<Vec<Rrset>> {
            Ok(vec![self.held.lock().expect("a set").clone()])
        }

        async fn set(&self, _: &Name, _: &Rrset, want: &Rrset) -> Result<()> {
            let mut held = self.held.lock().expect("a set");
            *held = want.clone();
            held.values.extend(self.stores.map(str::to_owned));
            Ok(())
        }
    }

    fn set(value: &str) -> Rrset {
        let name = Name::parse("t.example.test").expect("a name");
        Rrset::new(RrsetKey::new(name, RType::Txt), Some(300), [value])
    }

    async fn written(stores: Option<&'static str>, before: &str, want: &str) -> String {
        let zone = Careless {
            held: Mutex::new(set("there")),
            stores,
        };
        let apex = Name::parse("example.test").expect("a name");
        match write(&zone, &apex, &set(before), &set(want)).await {
            Ok(()) => "written".to_owned(),
            Err(why) => why.told(),
        }
    }

    #[tokio::test]
    async fn what_makes_the_zone_itself_is_never_written() {
        let apex = Name::parse("example.test").expect("a name");
        for rtype in [RType::Ns, RType::Soa] {
            let key = RrsetKey::new(apex.clone(), rtype);
            let zone = Careless {
                held: Mutex::new(Rrset::absent(key.clone())),
                stores: None,
            };
            let want = Rrset::new(key.clone(), Some(300), ["ns1.example.test."]);
            let why = write(&zone, &apex, &Rrset::absent(key.clone()), &want).await;
            let why = why.expect_err("never").told();
            assert!(why.contains("never touches"), "{why}");
            let values = ["ns1.example.test.".to_owned()];
            add_values(&zone, &apex, &key, 300, &values)
                .await
                .expect_err("nor by another way");
            assert!(zone.held.lock().expect("a set").values.is_empty());
        }
        for rtype in ["DS", "DNSKEY", "CDS", "CDNSKEY", "NSEC", "RRSIG"] {
            rtype.parse::<RType>().expect_err("no type of mailctl's");
        }
    }

    #[tokio::test]
    async fn a_careless_provider_is_checked_before_and_after() {
        assert_eq!(written(None, "there", "new").await, "written");
        let lost = written(None, "gone", "new").await;
        assert!(
            lost.contains("somebody changed t.example.test TXT"),
            "{lost}"
        );
        let other = written(Some("surprise"), "there", "new").await;
        assert!(
            other.contains("holds something else: new, surprise"),
            "{other}"
        );
        let binary = written(None, "there", "\u{fffd}").await;
        assert!(binary.contains("not text"), "{binary}");
    }
}

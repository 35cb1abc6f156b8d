//! The last step: the same questions as `check`, asked once of the finished server.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Tools;
use crate::check::{self, Choice, Expected, Outside, Report, Settings};
use crate::failure::{Context, Result};
use crate::observe::World;
use crate::record::{Name, RType, Rrset};
use crate::resource::Probe;
use crate::survey::Survey;

/// How the finished server is looked at.
#[derive(Clone, Debug)]
pub struct Afterwards {
    /// How the looking is done.
    pub settings: Settings,
    /// What is asked.
    pub choice: Choice,
    /// How long one question may take.
    pub limit: Duration,
}

/// Asks about every domain of mail.yaml, past what resolvers remember of the
/// time before.
///
/// # Errors
/// When no look past the resolver can be set up, or the server cannot be asked.
pub async fn look(tools: &Tools, survey: &Survey, how: &Afterwards) -> Result<Report> {
    let world: &World = &tools.world;
    let domains: Vec<Name> = tools.config.domains.keys().map(|d| d.0.clone()).collect();
    let fresh = world.dns.fresh(zones(tools, survey)).await?;
    let mut settings = how.settings.clone();
    // What apply made is younger than apply's beginning.
    settings.now = (tools.now)();
    let outside = Arc::new(Outside::new(fresh.dns().clone(), settings));
    let addresses = addresses(tools.config.host_name(), survey);
    let (config, server) = (tools.config.clone(), world.remote.clone());
    let known =
        tokio::task::spawn_blocking(move || Expected::of_each(&config, &domains, Some(&server)));
    let known = known.await.context("asking the server was interrupted")??;
    let asked: Vec<_> = known
        .into_iter()
        .map(|(domain, mut expected)| {
            expected.addresses.clone_from(&addresses);
            (domain, Some(Arc::new(expected)))
        })
        .collect();
    Ok(check::check(&outside, &asked, &how.choice, how.limit).await)
}

/// The addresses that the host's name has, now that it is as wished.
fn addresses(host: &Name, survey: &Survey) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = rrsets(survey)
        .filter(|(_, set)| set.key.name == *host)
        .filter(|(_, set)| matches!(set.key.rtype, RType::A | RType::Aaaa))
        .flat_map(|(_, set)| set.values)
        .filter_map(|value| value.parse().ok())
        .collect();
    addresses.sort();
    addresses.dedup();
    addresses
}

/// Every set that was looked at, with the apex of its zone.
pub(super) fn rrsets(survey: &Survey) -> impl Iterator<Item = (Name, Rrset)> {
    let probes = survey.resources.iter().flat_map(|r| r.probes());
    probes.filter_map(|probe| match &probe {
        Probe::Rrset(holder, key) => {
            let (apex, set, _) = survey.seen.rrset(holder, key).ok()?;
            Some((apex.clone(), set.clone()))
        }
        _ => None,
    })
}

/// The zones that apply has a hand in.
fn zones(tools: &Tools, survey: &Survey) -> Vec<Name> {
    let mut zones: Vec<Name> = rrsets(survey).map(|(apex, _)| apex).collect();
    zones.extend(tools.config.domains.keys().map(|d| d.0.clone()));
    zones.sort();
    zones.dedup();
    zones
}

//! From mail.yaml to a plan: wish, look, wish again with what was seen, until
//! nothing is left to look at; then compare.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use crate::config::{Config, Ipv6Wish};
use crate::facts;
use crate::failure::{Failure, Result};
use crate::ledger::{self, Ledger};
use crate::observe::{Seen, World, observe};
use crate::parts::{Wish, desire, rewrites};
use crate::plan::Plan;
use crate::resource::{Probe, Resource};
use crate::secret::Secret;

/// How often looking may raise new questions: facts, then selectors, then what the ledger lists.
pub const ROUNDS: usize = 4;

/// What was seen and what differs.
pub struct Survey {
    /// Everything that was seen.
    pub seen: Seen,
    /// The ledger in it.
    pub ledger: Ledger,
    /// The resources that were compared.
    pub resources: Vec<Box<dyn Resource>>,
    /// The difference.
    pub plan: Plan,
}

/// How far looking has got.
pub enum Step {
    /// These questions are open.
    Ask(BTreeSet<Probe>),
    /// Nothing is left to ask.
    Decided(Box<Survey>),
}

/// Looks at the world and compares. Reads only.
///
/// # Errors
/// When the server cannot be used, or its ledger cannot be read.
pub async fn survey(
    world: &World,
    config: &Config,
    passwords: &BTreeMap<String, Secret>,
    now: OffsetDateTime,
) -> Result<Survey> {
    let mut seen = Seen::new();
    for _ in 0..=ROUNDS {
        match step(config, passwords, now, &seen)? {
            Step::Ask(probes) => observe(world, &probes, &mut seen).await?,
            Step::Decided(survey) => return Ok(*survey),
        }
    }
    Err(
        Failure::new("looking at the server raised new questions without end")
            .hint("this is a mistake in mailctl: please report it with your mail.yaml"),
    )
}

/// Wishes with what was seen so far: what is still to be asked, or the plan. Pure.
///
/// # Errors
/// When the ledger was seen and cannot be read.
pub fn step(
    config: &Config,
    passwords: &BTreeMap<String, Secret>,
    now: OffsetDateTime,
    seen: &Seen,
) -> Result<Step> {
    let ledger = read_ledger(seen)?;
    let wish = Wish {
        config,
        facts: seen.facts(),
        ledger: ledger.clone(),
        seen,
        passwords,
        now,
    };
    let resources = desire(&wish);
    let mut open = BTreeSet::from([
        Probe::Shell(facts::PROBE.to_owned()),
        Probe::File(ledger::PATH.to_owned()),
    ]);
    open.extend(resources.iter().flat_map(|r| r.probes()));
    open.retain(|probe| !seen.knows(probe));
    if !open.is_empty() {
        return Ok(Step::Ask(open));
    }
    let mut plan = Plan::of(title(config, &wish), &resources, seen);
    rewrites::mark(config, &mut plan.changes);
    plan.notes = notes(config, &wish);
    Ok(Step::Decided(Box::new(Survey {
        seen: seen.clone(),
        ledger,
        resources,
        plan,
    })))
}

fn read_ledger(seen: &Seen) -> Result<Ledger> {
    if !seen.knows(&Probe::File(ledger::PATH.to_owned())) {
        return Ok(Ledger::default());
    }
    let hint = "restore the file from /var/lib/mailctl/ledger.json.before, or move it away: mailctl then deletes nothing that it made before";
    match seen.file(ledger::PATH) {
        Ok(None) => Ok(Ledger::default()),
        Ok(Some(file)) => Ledger::parse(&file.text()).map_err(|why| Failure::new(why).hint(hint)),
        Err(blocked) => Err(Failure::new(format!(
            "{} on the server cannot be read: {}",
            ledger::PATH,
            blocked.why
        ))),
    }
}

fn title(config: &Config, wish: &Wish) -> String {
    let system = if wish.facts.pretty.is_empty() {
        String::new()
    } else {
        format!(", {}", wish.facts.pretty)
    };
    format!("{} ({}{system})", config.host.name, config.host.ssh)
}

fn notes(config: &Config, wish: &Wish) -> Vec<String> {
    let mut notes = Vec::new();
    if config.host.ipv6.is_none() && wish.facts.ipv6.is_empty() {
        notes.push(
            "the server has no IPv6 address; give it one as `host.ipv6`, or say `ipv6: none`"
                .into(),
        );
    }
    if matches!(config.host.ipv6, Some(Ipv6Wish::Address(..)))
        && config.host.gateway6.is_none()
        && wish.facts.gateway6.is_none()
    {
        notes.push("the server has no IPv6 gateway; give it as `host.gateway6`".into());
    }
    if config.certificates.renew.is_none() {
        notes.push("the certificate is renewed by `mailctl apply` once a third of its life is left: schedule it, then say `renew: pipeline`".into());
    }
    notes
}

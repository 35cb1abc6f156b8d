//! Making it so: observe, plan, act, again until the plan is empty. The last,
//! empty plan is the verification.

pub mod act;
pub mod book;
pub mod keys;
pub mod verify;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use time::OffsetDateTime;

use crate::acme::Authority;
use crate::config::Config;
use crate::failure::{Exit, Failure, Result};
use crate::observe::World;
use crate::plan::Plan;
use crate::render::{self, Document};
use crate::report::{Event, Report, Summary};
use crate::resource::Action;
use crate::survey::{Survey, survey};
use crate::vault::{self, Vault};
use crate::zone::manual;

/// More passes than this mean that something does not stay as it was made.
const PASSES: usize = 3;

/// All that apply works with.
pub struct Tools {
    /// The outside parties.
    pub world: World,
    /// mail.yaml.
    pub config: Arc<Config>,
    /// Passwords.
    pub vault: Arc<Vault>,
    /// Who certifies.
    pub authority: Authority,
    /// Who is told.
    pub report: Arc<dyn Report>,
    /// The clock.
    pub now: fn() -> OffsetDateTime,
    /// Who applies, such as `i@laptop`.
    pub by: String,
}

/// What was agreed to beforehand.
pub struct Consent<'a> {
    /// Classes of danger that are allowed.
    pub allowed: BTreeSet<String>,
    /// The digest of a saved plan: nothing else may be done.
    pub digest: Option<String>,
    /// Asked once, before the first change.
    pub ask: &'a dyn Fn(&Document) -> Result<bool>,
}

/// Applies until nothing differs, and tells a summary.
///
/// # Errors
/// Before the first change: an incomplete plan, an unsafe one, a stale one.
/// After it, failures are told as events and counted in the exit code.
pub async fn apply(tools: &Tools, consent: &Consent<'_>) -> Result<Exit> {
    let begun = Instant::now();
    let mut summary = Summary::default();
    for pass in 0..PASSES {
        let passwords = vault::passwords(&tools.vault, &tools.config)?;
        let survey = survey(&tools.world, &tools.config, &passwords, (tools.now)()).await?;
        let document = Document::from(&survey.plan);
        summary.unchanged = survey.plan.unchanged;
        summary.notes.clone_from(&survey.plan.notes);
        summary.left = survey.plan.changes.iter().map(|c| c.id.clone()).collect();
        if survey.plan.is_empty() {
            return finish(tools, summary, &survey, begun).await;
        }
        if pass == 0 {
            guard(tools, &survey.plan, &document, consent)?;
        }
        if only_by_hand(&survey.plan) {
            return end(tools, person(summary, &survey.plan), begun, Exit::Person);
        }
        if pass > 0 || consent.digest.is_some() {
            tools.report.event(&Event::Plan(document));
        }
        let acted = act::act(tools, &survey.plan, survey.ledger).await;
        summary.done.extend(acted.done);
        if acted.failed {
            summary.left = acted.left;
            let partial = !summary.done.is_empty();
            summary.outcome = if partial { "partial" } else { "failed" };
            return end(
                tools,
                summary,
                begun,
                if partial { Exit::Partial } else { Exit::Failed },
            );
        }
        if pass > 0 && !survey.plan.blocked.is_empty() {
            break;
        }
    }
    summary.outcome = "partial";
    summary.notes.push("the same things differ again after they were made so; something else on the server or at the provider undoes them".into());
    end(tools, summary, begun, Exit::Partial)
}

/// Whatever speaks against beginning.
fn guard(tools: &Tools, plan: &Plan, document: &Document, consent: &Consent) -> Result<()> {
    if let Some(blocked) = plan.blocked.first() {
        tools.report.event(&Event::Plan(document.clone()));
        let mut failure = Failure::new(format!(
            "{}: {}; nothing was changed",
            blocked.id, blocked.why
        ));
        if let Some(fix) = &blocked.fix {
            failure = failure.hint(fix);
        }
        return Err(failure);
    }
    if consent
        .digest
        .as_ref()
        .is_some_and(|digest| *digest != render::digest(document))
    {
        return Err(Failure::new("the plan is stale: mail.yaml or the world has changed since it was made; nothing was changed")
            .hint("make a new one with `mailctl plan --out FILE`"));
    }
    let refused = plan.refused(&consent.allowed);
    if let Some((class, id)) = refused.first() {
        tools.report.event(&Event::Plan(document.clone()));
        let classes: BTreeSet<String> = refused
            .iter()
            .map(|(class, _)| format!("--allow {class}"))
            .collect();
        let classes: Vec<String> = classes.into_iter().collect();
        return Err(Failure::new(format!(
            "{id} would replace what somebody else set ({class}); nothing was changed"
        ))
        .hint(format!(
            "look at it, then allow it: mailctl apply {}",
            classes.join(" ")
        ))
        .exit(Exit::Refused));
    }
    if (consent.ask)(document)? {
        Ok(())
    } else {
        Err(Failure::new("not applied; nothing was changed"))
    }
}

fn only_by_hand(plan: &Plan) -> bool {
    let by_hand: BTreeSet<&String> = plan
        .changes
        .iter()
        .filter(|c| matches!(c.action, Action::ByHand(_)))
        .map(|c| &c.id)
        .collect();
    !by_hand.is_empty()
        && plan.blocked.is_empty()
        && plan.changes.iter().all(|c| {
            by_hand.contains(&c.id)
                || c.needs.iter().any(|n| by_hand.contains(n))
                || only_after(plan, &c.id, &by_hand)
        })
}

/// A service that would only be restarted for what waits itself.
fn only_after(plan: &Plan, id: &str, by_hand: &BTreeSet<&String>) -> bool {
    id == "service chasquid"
        && plan.changes.iter().all(|c| {
            c.id == id || by_hand.contains(&c.id) || c.needs.iter().any(|n| by_hand.contains(n))
        })
}

fn person(mut summary: Summary, plan: &Plan) -> Summary {
    summary.outcome = "person";
    for change in &plan.changes {
        if let Action::ByHand(write) = &change.action {
            summary
                .by_hand
                .push(manual::instruction(&write.apex, &write.before, &write.want));
        }
    }
    summary
}

async fn finish(
    tools: &Tools,
    mut summary: Summary,
    survey: &Survey,
    begun: Instant,
) -> Result<Exit> {
    summary.left.clear();
    let changed = !summary.done.is_empty();
    summary.outcome = if changed { "applied" } else { "unchanged" };
    match verify::records(tools, survey).await {
        Ok(verified) => summary.verified = verified,
        Err(failure) => {
            let event = Event::ChangeFailed {
                id: "records".into(),
                error: failure.chain(),
                hint: failure.advice().map(str::to_owned),
            };
            tools.report.event(&event);
            summary.outcome = "partial";
            return end(
                tools,
                summary,
                begun,
                if changed { Exit::Partial } else { Exit::Failed },
            );
        }
    }
    end(tools, summary, begun, Exit::Ok)
}

fn end(tools: &Tools, mut summary: Summary, begun: Instant, exit: Exit) -> Result<Exit> {
    summary.seconds = begun.elapsed().as_secs_f64();
    tools.report.event(&Event::Summary(summary));
    Ok(exit)
}

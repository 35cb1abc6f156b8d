//! Making it so: observe, plan, act, again until the plan is empty. The last,
//! empty plan is the verification.

pub mod act;
pub mod afterwards;
pub mod book;
mod certify;
pub mod keys;
pub mod stop;
pub mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use time::OffsetDateTime;

use self::afterwards::Afterwards;
use self::stop::{Stop, unless};
use crate::acme::Authority;
use crate::config::Config;
use crate::failure::{Exit, Failure, Result};
use crate::observe::World;
use crate::plan::{Plan, Refused};
use crate::render::{self, Document};
use crate::report::{Event, Report, Summary};
use crate::resource::{Action, Change, Holder, RrsetWrite};
use crate::survey::{Survey, survey};
use crate::vault::{self, Vault};
use crate::zone::{Zone, manual};

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
    /// Who may stop it.
    pub stop: Stop,
    /// How the finished server is looked at from outside; `None`: not at all.
    pub afterwards: Option<Afterwards>,
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
    let (mut waits, mut notes) = (BTreeSet::new(), Vec::new());
    for pass in 0..PASSES {
        let passwords = vault::passwords(&tools.vault, &tools.config)?;
        let looked = survey(&tools.world, &tools.config, &passwords, (tools.now)());
        let survey = unless(&tools.stop, !summary.done.is_empty(), looked).await??;
        let document = Document::from(&survey.plan);
        summary.unchanged = survey.plan.unchanged;
        summary.notes = [survey.plan.notes.clone(), notes.clone()].concat();
        summary.left = survey.plan.changes.iter().map(|c| c.id.clone()).collect();
        if survey.plan.is_empty() {
            let changed = !summary.done.is_empty();
            let finished = finish(tools, summary, &survey, begun);
            return unless(&tools.stop, changed, finished).await?;
        }
        if pass == 0 {
            guard(tools, &survey.plan, &document, consent)?;
            tools.stop.listen()?;
        }
        // Somebody may have set something meanwhile.
        let refused = survey.plan.refused(&consent.allowed);
        if let Some(text) = refusal(&refused) {
            let note = format!("{text}; look at it, then allow it: {}", options(&refused));
            tools.report.event(&Event::Plan(document));
            summary.notes.push(note);
            summary.outcome = "partial";
            return end(tools, summary, begun, Exit::Partial);
        }
        if only_waits(&survey.plan, &waits) {
            return end(tools, person(summary, &survey.plan), begun, Exit::Person);
        }
        if pass > 0 || consent.digest.is_some() {
            tools.report.event(&Event::Plan(document));
        }
        let acted = act::act(tools, &survey.plan, survey.ledger).await;
        summary.done.extend(acted.done);
        summary.by_hand = acted.by_hand;
        waits = acted.waits;
        notes.extend(acted.notes);
        if acted.failed || tools.stop.is_asked() {
            summary.left = acted.left;
            // What was cut off may have begun.
            let partial = !summary.done.is_empty() || tools.stop.is_asked();
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
        // Some reasons begin with what they are about.
        let about = if blocked.why.starts_with(&blocked.id) {
            String::new()
        } else {
            format!("{}: ", blocked.id)
        };
        let mut failure = Failure::new(format!("{about}{}; nothing was changed", blocked.why));
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
    if let Some(text) = refusal(&refused) {
        tools.report.event(&Event::Plan(document.clone()));
        return Err(Failure::new(format!("{text}; nothing was changed"))
            .hint(format!(
                "look at it, then allow it: mailctl apply {}",
                options(&refused)
            ))
            .exit(Exit::Refused));
    }
    if (consent.ask)(document)? {
        Ok(())
    } else {
        Err(Failure::new("not applied; nothing was changed"))
    }
}

/// What is dangerous and was not allowed, the first of it in full.
fn refusal(refused: &[Refused]) -> Option<String> {
    let first = refused.first()?;
    let more: Vec<&str> = refused[1..].iter().map(|r| r.change.id.as_str()).collect();
    let more = match more.is_empty() {
        true => String::new(),
        false => format!("; dangerous too: {}", more.join(", ")),
    };
    Some(format!(
        "{} is dangerous ({}): {}{more}",
        first.change.id,
        first.missing.join(", "),
        first.danger.why
    ))
}

/// What would allow it.
fn options(refused: &[Refused]) -> String {
    let classes = refused.iter().flat_map(|refused| &refused.missing);
    let classes: BTreeSet<&str> = classes.copied().collect();
    let options: Vec<String> = classes.iter().map(|c| format!("--allow {c}")).collect();
    options.join(" ")
}

/// Whether a person has to act before anything more can be done: everything
/// left is by hand, waited already in the pass before, or comes after such.
fn only_waits(plan: &Plan, waited: &BTreeSet<String>) -> bool {
    let mut waits: BTreeSet<&String> = plan
        .changes
        .iter()
        .filter(|c| matches!(c.action, Action::ByHand(_)) || waited.contains(&c.id))
        .map(|c| &c.id)
        .collect();
    let (planned, mut before) = (plan.changes.len(), 0);
    while waits.len() > before {
        before = waits.len();
        let after = plan.changes.iter().filter(|c| {
            let mut follows = c.follows.iter().filter(|id| plan.changes(id)).peekable();
            c.needs.iter().any(|id| waits.contains(id))
                || (follows.peek().is_some() && follows.all(|id| waits.contains(id)))
        });
        waits.extend(after.map(|c| &c.id).collect::<Vec<_>>());
    }
    before > 0 && before == planned && plan.blocked.is_empty()
}

fn person(mut summary: Summary, plan: &Plan) -> Summary {
    summary.outcome = "person";
    let by_hand = plan
        .changes
        .iter()
        .filter_map(|change| match &change.action {
            Action::ByHand(write) => Some((change, write)),
            _ => None,
        });
    // What has to wait for other things, as MX for a server that answers, comes last.
    let waits = |change: &Change| change.needs.iter().any(|id| plan.changes(id));
    let (later, now): (Vec<_>, Vec<_>) = by_hand.partition(|(change, _)| waits(change));
    let text = |write: &RrsetWrite| manual::instruction(&write.apex, &write.before, &write.want);
    let now = now.into_iter().map(|(_, write)| text(write));
    let later = later.into_iter().map(|(change, write)| {
        let before: Vec<&str> = change
            .needs
            .iter()
            .map(String::as_str)
            .filter(|id| plan.changes(id))
            .collect();
        format!("last, after {}:\n{}", before.join(", "), text(write))
    });
    summary.by_hand = now
        .chain(std::mem::take(&mut summary.by_hand))
        .chain(later)
        .collect();
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
    if let Some(how) = &tools.afterwards {
        match afterwards::look(tools, survey, how).await {
            Ok(found) => tools.report.event(&Event::Check(found)),
            // What was applied stays applied.
            Err(failure) => {
                let why = failure.chain();
                let note = format!("it could not be looked at from outside: {why}");
                summary.notes.push(note);
            }
        }
    }
    summary.notes.extend(slow_ptr(tools, &summary.done));
    end(tools, summary, begun, Exit::Ok)
}

/// What a look from outside cannot see yet, though it is as wished.
fn slow_ptr(tools: &Tools, done: &[String]) -> Option<String> {
    let zone = tools.world.zone(&Holder::Ptr).ok()?;
    let time = zone.slow()?;
    done.iter().any(|id| id.starts_with("ptr ")).then(|| {
        format!(
            "{} has the PTR records, but name servers show them only after {time}: until then `mailctl check` finds the old ones",
            zone.provider()
        )
    })
}

/// What providers kept on this machine, each thing once: several handles may lead to one account.
fn kept(zones: &BTreeMap<Holder, Arc<dyn Zone>>) -> BTreeSet<String> {
    zones.values().flat_map(|zone| zone.kept()).collect()
}

fn end(tools: &Tools, mut summary: Summary, begun: Instant, exit: Exit) -> Result<Exit> {
    summary.notes.extend(kept(&tools.world.zones));
    summary.seconds = begun.elapsed().as_secs_f64();
    tools.report.event(&Event::Summary(summary));
    Ok(exit)
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::danger::{self, Danger, MOVE_MAIL, WHOLE_ZONE_REWRITE};
    use crate::record::{Name, Rrset, RrsetKey};
    use crate::remote::Script;
    use crate::resource::Sign;

    #[test]
    fn what_is_not_allowed_yet_is_named_and_nothing_else() {
        let mut change = Change::new(
            "rrset wac.tax MX",
            Sign::Update,
            "MX differs",
            Action::Script(Script::new("true")),
        );
        change.danger = Some(Danger::new(MOVE_MAIL, "mail would go elsewhere"));
        danger::mark_rewrite(&mut change, "Namecheap");
        let plan = Plan {
            changes: vec![change],
            ..Plan::default()
        };
        let told = |words: &[&str]| {
            let words: BTreeSet<String> = words.iter().map(|w| (*w).to_owned()).collect();
            let refused = plan.refused(&words);
            refusal(&refused).map(|text| (text, options(&refused)))
        };
        let (text, options) = told(&[]).expect("refused");
        assert!(text.contains("(move-mail, whole-zone-rewrite)"), "{text}");
        assert_eq!(options, "--allow move-mail --allow whole-zone-rewrite");
        let (text, options) = told(&[MOVE_MAIL]).expect("refused");
        assert!(text.contains("dangerous (whole-zone-rewrite)"), "{text}");
        assert_eq!(options, "--allow whole-zone-rewrite");
        assert_eq!(told(&[MOVE_MAIL, WHOLE_ZONE_REWRITE]), None);
    }

    struct Keeping;

    #[async_trait]
    impl Zone for Keeping {
        fn provider(&self) -> &str {
            "keeping"
        }

        fn kept(&self) -> Vec<String> {
            vec!["a copy of wac.tax".into()]
        }

        async fn list(&self, _: &Name, _: &[RrsetKey]) -> Result<Vec<Rrset>> {
            Ok(Vec::new())
        }

        async fn set(&self, _: &Name, _: &Rrset, _: &Rrset) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_was_kept_is_told_once() {
        let zone: Arc<dyn Zone> = Arc::new(Keeping);
        let zones = BTreeMap::from([(Holder::Default, zone.clone()), (Holder::Ptr, zone)]);
        assert_eq!(kept(&zones), BTreeSet::from(["a copy of wac.tax".into()]));
    }
}

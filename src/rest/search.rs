//! Following the steps of a page: each leads to things, one of which is meant.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use reqwest::Url;
use serde_json::Value;

use super::api::{More, Step, Wait};
use super::link::Link;
use super::pick;
use super::refusal::Refusal;
use super::template::{self, Vars};
use crate::failure::Failure;

/// Nobody has more pages than this; an API that says so turns in circles.
const PAGES: usize = 200;
/// How often it is asked whether something has ended.
const ASKED: u32 = 60;
/// The longest pause between two such questions, in seconds.
const PAUSE: u32 = 5;

/// What steps came to.
pub struct Found {
    /// Whether all of them found something.
    pub whole: bool,
    /// What is known then.
    pub vars: Vars,
}

/// Follows `steps` until all have found something. Where the things of one
/// lead nowhere, the next of the step before is tried.
///
/// # Errors
/// What the API refuses.
pub fn follow<'a>(
    link: &'a Link,
    ip: IpAddr,
    steps: &'a [Step],
    vars: Vars,
) -> Pin<Box<dyn Future<Output = Result<Found, Refusal>> + Send + 'a>> {
    Box::pin(async move {
        let Some((step, later)) = steps.split_first() else {
            return Ok(Found { whole: true, vars });
        };
        let mut known = vars;
        let mut page = None;
        for nth in 1..=PAGES {
            let answer = match &step.from {
                Some(name) => known.get(name).cloned().unwrap_or_default(),
                None => link.send(step, &known, page).await?,
            };
            let things = match &step.each {
                Some(path) => pick::all(&answer, path),
                None => vec![&answer],
            };
            let (meant, others): (Vec<&Value>, Vec<&Value>) =
                things.iter().partition(|thing| is_meant(step, thing, ip));
            if let Some(name) = &step.rest {
                let others = others.into_iter().cloned().collect();
                known.insert(name.clone(), Value::Array(others));
            }
            for thing in meant {
                let vars = bound(step, thing, &known);
                if let Some(wait) = &step.wait {
                    ended(link, wait, &vars).await?;
                }
                let found = follow(link, ip, later, vars).await?;
                if found.whole {
                    return Ok(found);
                }
                // What was learnt on the way to nothing may still be needed.
                if !later.is_empty() && step.each.is_none() {
                    known = found.vars;
                }
            }
            page = match next(link, step, &known, &answer, things.len(), nth)? {
                Some(url) => Some(url),
                None => break,
            };
        }
        Ok(Found {
            whole: false,
            vars: known,
        })
    })
}

fn is_meant(step: &Step, thing: &Value, ip: IpAddr) -> bool {
    step.holds.is_empty() || step.holds.iter().any(|place| is_at(place, thing, ip))
}

/// Whether the place in a thing, a path or a template over its fields, is `ip` or holds it.
fn is_at(place: &str, thing: &Value, ip: IpAddr) -> bool {
    if place.contains('{') {
        let fields = thing.as_object().cloned().unwrap_or_default();
        let prefix = template::text(place, &fields.into_iter().collect());
        return prefix.is_ok_and(|prefix| pick::holds(&prefix, ip));
    }
    let places = pick::all(thing, place);
    let mut texts = places.into_iter().filter_map(Value::as_str);
    texts.any(|text| pick::holds(text, ip))
}

fn bound(step: &Step, thing: &Value, known: &Vars) -> Vars {
    let mut vars = known.clone();
    for (name, path) in &step.bind {
        match pick::first(thing, path) {
            Some(value) => vars.insert(name.clone(), value.clone()),
            None => vars.remove(name),
        };
    }
    vars
}

/// The next page's address, if there is one.
fn next(
    link: &Link,
    step: &Step,
    vars: &Vars,
    answer: &Value,
    things: usize,
    nth: usize,
) -> Result<Option<Url>, Failure> {
    let Some(more) = &step.more else {
        return Ok(None);
    };
    let said = |path: &str| {
        let value = pick::first(answer, path).and_then(pick::text);
        value.filter(|text| !text.is_empty())
    };
    let (param, value) = match more {
        More::Link { from } => return said(from).map(|url| link.further(&url)).transpose(),
        More::Next { param, from } => match said(from) {
            Some(value) => (param, value),
            None => return Ok(None),
        },
        More::Page { full, .. } | More::Offset { full, .. } if things < *full => return Ok(None),
        More::Page { param, .. } => (param, (nth + 1).to_string()),
        More::Offset { param, full } => (param, (nth * full).to_string()),
    };
    let mut url = link.address(step, vars)?;
    url.query_pairs_mut().append_pair(param, &value);
    Ok(Some(url))
}

/// Asks until what was begun has ended.
async fn ended(link: &Link, wait: &Wait, vars: &Vars) -> Result<(), Refusal> {
    for asked in 1..=ASKED {
        let answer = link.send(&wait.ask, vars, None).await?;
        let state = pick::first(&answer, &wait.state).and_then(pick::text);
        let is = |words: &[String]| state.as_ref().is_some_and(|state| words.contains(state));
        if is(&wait.failed) {
            let why = wait
                .why
                .as_ref()
                .and_then(|path| pick::first(&answer, path));
            let why = why
                .and_then(pick::text)
                .unwrap_or_else(|| "it does not say why".to_owned());
            return Err(Failure::new(format!(
                "{} has accepted the PTR record, but then failed: {why}",
                link.title
            ))
            .into());
        }
        if !is(&wait.pending) {
            return Ok(());
        }
        link.pause(asked.min(PAUSE)).await;
    }
    Err(Failure::new(format!(
        "{} has not finished the change of the PTR record in time",
        link.title
    ))
    .hint("run this again in a few minutes: it goes on from there")
    .into())
}

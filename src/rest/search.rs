//! Following the steps of a page: each leads to things, one of which is meant.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use reqwest::Url;
use serde_json::Value;

use super::api::{More, Step, Wait};
use super::link::{Errand, Link};
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

/// Who is asked, about which address, and what for.
#[derive(Clone, Copy)]
pub struct Search<'a> {
    /// The API.
    pub link: &'a Link,
    /// The address that is looked for.
    pub ip: IpAddr,
    /// Whether the steps change something.
    pub errand: Errand,
}

impl<'a> Search<'a> {
    /// Follows `steps` until all have found something. Where the things of one
    /// lead nowhere, the next of the step before is tried.
    ///
    /// # Errors
    /// What the API refuses.
    pub fn follow(
        self,
        steps: &'a [Step],
        vars: Vars,
    ) -> Pin<Box<dyn Future<Output = Result<Found, Refusal>> + Send + 'a>> {
        Box::pin(async move {
            match steps.split_first() {
                Some((step, later)) => self.pages(step, later, vars).await,
                None => Ok(Found { whole: true, vars }),
            }
        })
    }

    /// One step on all pages of its answer, and what comes after it.
    async fn pages(
        self,
        step: &'a Step,
        later: &'a [Step],
        mut known: Vars,
    ) -> Result<Found, Refusal> {
        let mut page = None;
        for nth in 1..=PAGES {
            let answer = match &step.from {
                Some(name) => known.get(name).cloned().unwrap_or_default(),
                None => self.link.send(self.errand, step, &known, page).await?,
            };
            let things = match &step.each {
                Some(path) => pick::all(&answer, path),
                None => vec![&answer],
            };
            let count = things.len();
            let found = self.things(step, later, things, known).await?;
            if found.whole {
                return Ok(found);
            }
            known = found.vars;
            page = next(self.link, step, &known, &answer, count, nth)?;
            if page.is_none() {
                return Ok(Found {
                    whole: false,
                    vars: known,
                });
            }
        }
        Err(Failure::new(format!(
            "{} has more than {PAGES} pages for one question",
            self.link.title
        ))
        .into())
    }

    /// The things that are meant, until one leads to an end.
    async fn things(
        self,
        step: &'a Step,
        later: &'a [Step],
        things: Vec<&Value>,
        mut known: Vars,
    ) -> Result<Found, Refusal> {
        let is_meant = |thing: &&Value| is_meant(step, thing, self.ip);
        let (meant, others): (Vec<&Value>, Vec<&Value>) = things.into_iter().partition(is_meant);
        if let Some(name) = &step.rest {
            let others = others.into_iter().cloned().collect();
            known.insert(name.clone(), Value::Array(others));
        }
        for thing in meant {
            let vars = bound(step, thing, &known);
            if let Some(wait) = &step.wait {
                ended(self.link, wait, &vars).await?;
            }
            let found = self.follow(later, vars).await?;
            if found.whole {
                return Ok(found);
            }
            // What was learnt on the way to nothing may still be needed.
            if step.each.is_none() {
                known = found.vars;
            }
        }
        Ok(Found {
            whole: false,
            vars: known,
        })
    }
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
        let answer = link.send(Errand::Read, &wait.ask, vars, None).await?;
        let said = |path: &String| pick::first(&answer, path).and_then(pick::text);
        let state = said(&wait.state);
        let is = |words: &[String]| state.as_ref().is_some_and(|state| words.contains(state));
        if is(&wait.pending) {
            link.pause(asked.min(PAUSE)).await;
            continue;
        }
        let fault = wait.fault.as_ref().and_then(said);
        if !is(&wait.failed) && fault.is_none() {
            return Ok(());
        }
        let why = fault.or_else(|| wait.why.as_ref().and_then(said));
        let why = why.unwrap_or_else(|| "it does not say why".to_owned());
        return Err(Failure::new(format!(
            "{} has accepted the PTR record, but then failed: {why}",
            link.title
        ))
        .into());
    }
    Err(Failure::new(format!(
        "{} has not finished the change of the PTR record in time",
        link.title
    ))
    .hint("run this again in a few minutes: it goes on from there")
    .into())
}

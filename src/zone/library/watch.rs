//! Where each change has the whole zone written again, what belongs to others
//! goes through the adapter as well: it is copied before the first write, and
//! looked at after it. Where something was lost, nothing more is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;

use super::copy::text;
use super::snapshot::Said;
use super::{Library, served};
use crate::failure::{Context, Failure, Result};
use crate::record::{Name, RrsetKey};
use crate::zone::copies;

/// One zone that this process writes to.
struct Watch {
    /// The zone as it was before.
    copy: PathBuf,
    /// What the API said of every set that it had.
    neighbours: BTreeMap<RrsetKey, Said>,
    /// What this process changed itself.
    written: BTreeSet<RrsetKey>,
    verdict: Verdict,
}

/// What became of the neighbours.
#[derive(Clone)]
enum Verdict {
    /// Nobody has looked yet.
    Open,
    /// They are what they were.
    Well,
    /// They are not: what is said, and what to do.
    Lost(String, String),
}

type Watches = BTreeMap<(&'static str, Name), Watch>;

/// Of the whole process, as writers are: a copy that a second handle made
/// would have the losses of the first in it.
static WATCHES: LazyLock<Mutex<Watches>> = LazyLock::new(Mutex::default);

fn watches() -> MutexGuard<'static, Watches> {
    WATCHES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the copies lie that were made for zones at this provider.
pub(super) fn copies(provider: &str) -> Vec<String> {
    let watches = watches();
    let own = watches.iter().filter(|((id, _), _)| *id == provider);
    let told = own.map(|((_, zone), watch)| {
        let path = watch.copy.display();
        format!("the zone {zone}, as it was before it was written, is kept in {path}")
    });
    told.collect()
}

impl Library {
    /// Before a change is sent: sees to a copy of the zone.
    ///
    /// # Errors
    /// When the zone cannot be seen, the copy not be written, or an earlier
    /// write lost records of others.
    pub(super) async fn before_writing(&self, zone: &Name, key: &RrsetKey) -> Result<()> {
        if !self.rewrites() {
            return Ok(());
        }
        let place = (self.account.row.id, zone.clone());
        if let Some(watch) = watches().get_mut(&place) {
            if let Verdict::Lost(what, hint) = &watch.verdict {
                return Err(Failure::new(what).hint(hint));
            }
            watch.written.insert(key.clone());
            return Ok(());
        }
        // Nobody else of this process comes between: the zone's writer is locked.
        let watch = self.copied(zone, key).await.with_context(|| {
            let title = self.account.title;
            format!(
                "{key} is not written: {title} has the whole zone {zone} written again for it, and no copy of it can be kept"
            )
        })?;
        watches().insert(place, watch);
        Ok(())
    }

    async fn copied(&self, zone: &Name, key: &RrsetKey) -> Result<Watch> {
        let directory = self.copies.as_deref().ok_or_else(|| {
            Failure::new("this machine has no place for it")
                .hint("set XDG_STATE_HOME or HOME to a directory that mailctl may write to")
        })?;
        let snapshot = self.snapshot(zone, key).await?;
        let now = OffsetDateTime::now_utc();
        let text = text(self.account.title, zone, now, &snapshot);
        let copy = copies::keep(directory, zone, now, &text).map_err(|error| {
            Failure::new(format!("{} cannot be written to", directory.display()))
                .because(error)
                .hint("make room and give the right to write there, or set XDG_STATE_HOME to another directory")
        })?;
        let said = snapshot
            .found
            .into_iter()
            .filter_map(|found| Some((found.set.key, found.said?)));
        Ok(Watch {
            copy,
            neighbours: said.collect(),
            written: BTreeSet::from([key.clone()]),
            verdict: Verdict::Open,
        })
    }

    /// After a write that came to `written`: looks once whether everything else
    /// is what it was, also where the answer to the write was lost.
    ///
    /// # Errors
    /// That of the write; or what was lost, where the copy lies and how it is set again.
    pub(super) async fn after_writing(&self, zone: &Name, written: Result<()>) -> Result<()> {
        let place = (self.account.row.id, zone.clone());
        let open = watches().get(&place).and_then(|watch| {
            let open = matches!(watch.verdict, Verdict::Open);
            open.then(|| (watch.copy.clone(), others(watch)))
        });
        let Some((copy, others)) = open else {
            return written;
        };
        let copy = copy.display();
        let changed = match self.changed(zone, others).await {
            Ok(changed) => changed,
            // The next write asks again.
            Err(why) => {
                let unseen = Err(why).with_context(|| {
                    format!("the change is made, but what it did to other records of {zone} cannot be seen; what they were is in {copy}")
                });
                return written.and(unseen);
            }
        };
        let verdict = match changed.is_empty() {
            // A write that failed may still come to pass.
            true if written.is_err() => Verdict::Open,
            true => Verdict::Well,
            false => Verdict::Lost(
                format!(
                    "{} changed other records of {zone} when mailctl wrote there: {}; mailctl writes nothing more to this zone",
                    self.account.title,
                    changed.join("; ")
                ),
                format!(
                    "unless somebody else changed them, import {copy} in the provider's panel, or set these records by hand: it is the zone as it was before"
                ),
            ),
        };
        if let Some(watch) = watches().get_mut(&place) {
            watch.verdict = verdict.clone();
        }
        match verdict {
            Verdict::Lost(what, hint) => Err(Failure::new(what).hint(hint)),
            _ => written,
        }
    }

    /// Which of these sets are no longer what they were, in words.
    async fn changed(&self, zone: &Name, others: Vec<(RrsetKey, Said)>) -> Result<Vec<String>> {
        let mut changed = Vec::new();
        for (key, was) in others {
            let is = self.said(zone, &key).await?;
            if is != was {
                changed.push(format!("{key} was {} and is {}", words(&was), words(&is)));
            }
        }
        Ok(changed)
    }
}

/// What is neither ours nor on its way: challenges come and go (RFC 8555 section 8.4).
fn others(watch: &Watch) -> Vec<(RrsetKey, Said)> {
    let others = watch.neighbours.iter().filter(|(key, _)| {
        !watch.written.contains(key) && !key.name.as_str().starts_with(served::CHALLENGE)
    });
    others
        .map(|(key, said)| (key.clone(), said.clone()))
        .collect()
}

fn words(said: &Said) -> String {
    match said {
        None => "a value that mailctl cannot read".to_owned(),
        Some(values) if values.is_empty() => "gone".to_owned(),
        Some(values) => values.iter().cloned().collect::<Vec<_>>().join(", "),
    }
}

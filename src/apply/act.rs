//! One pass: every change is done once what it needs is done. On the server
//! one deed follows the other; zones and authority work meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Tools;
use super::book::Book;
use super::certify::{Kept, certify};
use super::keys::Keys;
use super::stop;
use crate::acme::{Ended, Issued};
use crate::failure::{Context, Failure, Result};
use crate::kinds::shell;
use crate::ledger::{Edit, Ledger, Made};
use crate::observe::World;
use crate::plan::Plan;
use crate::remote::Script;
use crate::report::Event;
use crate::resource::{Action, Change, RrsetWrite};
use crate::zone;

/// How long a record may take to reach every authoritative server.
pub const VISIBLE_WITHIN: Duration = Duration::from_secs(600);

/// What became of a pass.
pub struct Acted {
    /// Ids that were done.
    pub done: Vec<String>,
    /// Ids that were not.
    pub left: Vec<String>,
    /// Whether anything failed; what waits for a person is no failure.
    pub failed: bool,
    /// Ids that wait for a person.
    pub waits: BTreeSet<String>,
    /// What that person has to do, where the plan could not know it.
    pub by_hand: Vec<String>,
    /// Remarks.
    pub notes: Vec<String>,
}

/// How a change ended, for those that need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    /// It, or something it needs, waits for a person.
    Waits,
    /// It, or something before it, failed.
    Failed,
}

/// How far a pass has got, by id.
#[derive(Default)]
struct Progress {
    ends: BTreeMap<String, End>,
    /// Deeds on the server that only wait for something and let the next one begin.
    aside: BTreeSet<String>,
}

impl Progress {
    fn failed(&self) -> bool {
        self.ends.values().any(|end| *end == End::Failed)
    }

    /// Whether the server is free again after this deed.
    fn free_after(&self, id: &str) -> bool {
        self.ends.contains_key(id) || self.aside.contains(id)
    }
}

/// What changes leave for those after them.
#[derive(Default)]
struct Results {
    records: BTreeMap<String, String>,
    certificate: Option<Issued>,
    by_hand: Vec<String>,
    notes: Vec<String>,
}

struct Pass<'a> {
    tools: &'a Tools,
    progress: watch::Sender<Progress>,
    results: Mutex<Results>,
    book: Book,
    kept: Kept,
    keys: Keys,
}

/// Does all changes of a plan; stops beginning new ones at the first failure.
pub async fn act(tools: &Tools, plan: &Plan, ledger: Ledger) -> Acted {
    let book = Book::new(tools.world.remote.clone(), ledger);
    let mut pass = Pass {
        tools,
        progress: watch::Sender::default(),
        results: Mutex::default(),
        book,
        kept: Kept::default(),
        keys: Keys::begin(plan),
    };
    let orders = plan
        .changes
        .iter()
        .any(|c| matches!(c.action, Action::Order(_)));
    let prepared = if orders {
        Kept::read(tools).await
    } else {
        Ok(Kept::default())
    };
    match prepared {
        Ok(kept) => pass.kept = kept,
        Err(failure) => {
            tools.report.event(&failed_event("order", &failure));
            return Acted {
                done: Vec::new(),
                left: plan.changes.iter().map(|c| c.id.clone()).collect(),
                failed: true,
                waits: BTreeSet::new(),
                by_hand: Vec::new(),
                notes: Vec::new(),
            };
        }
    }
    let planned: HashSet<&str> = plan.changes.iter().map(|c| c.id.as_str()).collect();
    let mut last_on_server: Option<&str> = None;
    let mut all = Vec::new();
    for change in &plan.changes {
        let in_plan = |ids: &'_ [String]| -> Vec<String> {
            let planned = ids.iter().filter(|id| planned.contains(id.as_str()));
            planned.cloned().collect()
        };
        let before = Before {
            needs: in_plan(&change.needs),
            follows: in_plan(&change.follows),
            after: if change.action.on_server() {
                last_on_server.replace(&change.id)
            } else {
                None
            },
        };
        all.push(pass.one(change, before));
    }
    futures_util::future::join_all(all).await;
    let results = pass.results(std::mem::take);
    let ends = pass.progress.borrow().ends.clone();
    let mut failed = pass.progress.borrow().failed();
    let booked = tokio::select! {
        booked = pass.book.close(tools.now, &tools.by) => booked,
        // The server is still busy with what was cut off.
        () = stop::past_grace(&tools.stop) => Err(stop::unbooked()),
    };
    if let Err(failure) = booked {
        tools.report.event(&failed_event("ledger", &failure));
        failed = true;
    }
    let (done, left): (Vec<&Change>, Vec<&Change>) = plan
        .changes
        .iter()
        .partition(|c| ends.get(&c.id) == Some(&End::Done));
    let ids = |changes: Vec<&Change>| changes.into_iter().map(|c| c.id.clone()).collect();
    let waits = ends.iter().filter(|(_, end)| **end == End::Waits);
    Acted {
        done: ids(done),
        left: ids(left),
        failed,
        waits: waits.map(|(id, _)| id.clone()).collect(),
        by_hand: results.by_hand,
        notes: results.notes,
    }
}

/// What must have ended before a change begins.
struct Before<'a> {
    needs: Vec<String>,
    follows: Vec<String>,
    /// The deed before it on the server.
    after: Option<&'a str>,
}

impl Before<'_> {
    fn ended(&self, progress: &Progress) -> bool {
        let mut ids = self.needs.iter().chain(&self.follows);
        ids.all(|id| progress.ends.contains_key(id))
            && self.after.is_none_or(|id| progress.free_after(id))
    }

    /// Whether the change has to wait for a person too.
    fn waits(&self, progress: &Progress) -> bool {
        let waits = |id: &String| progress.ends.get(id) == Some(&End::Waits);
        self.needs.iter().any(waits) || (!self.follows.is_empty() && self.follows.iter().all(waits))
    }
}

fn failed_event(id: &str, failure: &Failure) -> Event {
    Event::ChangeFailed {
        id: id.to_owned(),
        error: failure.chain(),
        hint: failure.advice().map(str::to_owned),
    }
}

impl Pass<'_> {
    /// Waits for what the change needs, then does it.
    async fn one(&self, change: &Change, before: Before<'_>) {
        let mut progress = self.progress.subscribe();
        let ready = async {
            let waited = progress
                .wait_for(|progress| progress.failed() || before.ended(progress))
                .await;
            waited.map(|progress| (progress.failed(), before.waits(&progress)))
        };
        let ready = stop::unless(&self.tools.stop, true, ready).await;
        let Ok(Ok((false, waits))) = ready else {
            return;
        };
        let end = if waits || matches!(change.action, Action::ByHand(_)) {
            End::Waits
        } else {
            self.begin(change).await
        };
        self.progress.send_modify(|progress| {
            progress.ends.insert(change.id.clone(), end);
        });
    }

    async fn begin(&self, change: &Change) -> End {
        let begun = Instant::now();
        let started = Event::ChangeStarted {
            id: change.id.clone(),
            action: change.sign,
            reason: change.why.clone(),
        };
        self.tools.report.event(&started);
        let acted = tokio::select! {
            acted = self.act(change) => acted,
            () = stop::past_patience(&self.tools.stop, &change.action) => Err(stop::cut_off(&change.action)),
        };
        match acted {
            Ok(End::Done) => {
                self.book.note(&change.ledger);
                let seconds = begun.elapsed().as_secs_f64();
                self.tools.report.event(&Event::ChangeDone {
                    id: change.id.clone(),
                    seconds,
                });
                End::Done
            }
            Ok(end) => {
                self.tools.report.event(&Event::ChangeWaits {
                    id: change.id.clone(),
                });
                end
            }
            Err(failure) => {
                self.tools.report.event(&failed_event(&change.id, &failure));
                End::Failed
            }
        }
    }

    async fn act(&self, change: &Change) -> Result<End> {
        match &change.action {
            Action::Script(script) => self.script(change, script.clone()).await?,
            Action::Network(switch) => {
                let (switch, report, id) =
                    (switch.clone(), self.tools.report.clone(), change.id.clone());
                let progress = self.progress.clone();
                self.on_server(move |remote| {
                    let note = |text: &str| {
                        report.event(&Event::Note {
                            id: id.clone(),
                            text: text.to_owned(),
                        })
                    };
                    // A failure before the new network is confirmed stops what
                    // has not begun; what runs meanwhile the server finishes.
                    let applied = || {
                        progress.send_modify(|progress| {
                            progress.aside.insert(id.clone());
                        });
                    };
                    switch.act(remote, &note, &applied)
                })
                .await?
            }
            Action::Users(write) => {
                let (write, vault) = (write.clone(), self.tools.vault.clone());
                self.on_server(move |remote| write.act(remote, &vault))
                    .await?
            }
            Action::DkimKey(make) => {
                let (make, key) = (make.clone(), self.keys.take(&change.id).await?);
                let record = key.record.clone();
                self.on_server(move |remote| make.store(remote, &key))
                    .await?;
                self.results(|results| results.records.insert(change.id.clone(), record));
            }
            Action::Rrset(write) => self.rrset(change, write).await?,
            Action::Order(order) => return self.order(change, order).await,
            Action::Install(install) => {
                let issued = self.results(|results| results.certificate.take());
                let issued = issued.ok_or_else(|| Failure::new("no certificate was issued"))?;
                let install = install.clone();
                self.on_server(move |remote| {
                    install.act(remote, &issued.chain_pem, &issued.key_pem)
                })
                .await?
            }
            Action::ByHand(_) => return Ok(End::Waits),
        }
        Ok(End::Done)
    }

    fn results<T>(&self, change: impl FnOnce(&mut Results) -> T) -> T {
        change(
            &mut self
                .results
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }

    async fn on_server<T: Send + 'static>(
        &self,
        deed: impl FnOnce(&dyn crate::remote::Remote) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        on_server(&self.tools.world, deed).await
    }

    async fn script(&self, change: &Change, script: Script) -> Result<()> {
        let output = self.on_server(move |remote| remote.run(&script)).await?;
        if output.code == 0 {
            return Ok(());
        }
        let hint = match output.code {
            shell::CHANGED => {
                "somebody changed it meanwhile; run `mailctl plan` to see how it stands now"
            }
            _ => "mend it, then run `mailctl apply` again: it goes on from here",
        };
        Err(output.failure(format!("{} on the server", change.id), hint))
    }

    async fn rrset(&self, change: &Change, write: &RrsetWrite) -> Result<()> {
        let zone = self.tools.world.zone(&write.holder)?;
        let mut want = write.want.clone();
        if let Some(key) = &write.from_key {
            let record = self.results(|results| results.records.get(key).cloned());
            want.values.extend(record);
        }
        if write.before.values != want.values || write.before.ttl != want.ttl {
            zone::write(zone.as_ref(), &write.apex, &write.before, &want).await?;
        }
        if write.from_key.is_some() {
            // The plan could not know these values.
            let made = want.values.difference(&write.before.values);
            let made = made.map(|value| Made::Value {
                key: want.key.clone(),
                value: value.clone(),
            });
            self.book.note(&made.map(Edit::Add).collect::<Vec<_>>());
        }
        if let Some(time) = zone.slow() {
            let text = format!(
                "{} has it; name servers show it after {time}, which is not waited for",
                zone.provider()
            );
            self.tools.report.event(&Event::Note {
                id: change.id.clone(),
                text,
            });
            return Ok(());
        }
        let note = |shown: usize, all: usize| {
            if shown == all {
                return;
            }
            let text = format!("{shown} of {all} name servers show it");
            self.tools.report.event(&Event::Note {
                id: change.id.clone(),
                text,
            });
        };
        want.ttl = want.ttl.and_then(|ttl| zone.ttl(ttl));
        let how = if want.values.is_empty() {
            crate::dns::Visible::Gone
        } else {
            crate::dns::Visible::Exactly
        };
        self.tools
            .world
            .dns
            .wait_visible(&write.apex, &want, how, VISIBLE_WITHIN, &note)
            .await
    }

    async fn order(
        &self,
        change: &Change,
        order: &crate::kinds::certificate::Order,
    ) -> Result<End> {
        let note = |text: &str| {
            self.tools.report.event(&Event::Note {
                id: change.id.clone(),
                text: text.to_owned(),
            })
        };
        let advice = |text: String| self.results(|results| results.notes.push(text));
        let ended = certify(self.tools, &self.kept, order, &self.book, &note, &advice).await?;
        Ok(self.results(|results| match ended {
            Ended::Issued(issued) => {
                results.certificate = Some(issued);
                End::Done
            }
            Ended::ByHand(_, steps) => {
                results.by_hand.extend(steps);
                End::Waits
            }
        }))
    }
}

/// Runs a deed that waits, where waiting is allowed.
pub async fn on_server<T: Send + 'static>(
    world: &World,
    deed: impl FnOnce(&dyn crate::remote::Remote) -> Result<T> + Send + 'static,
) -> Result<T> {
    let remote = world.remote.clone();
    tokio::task::spawn_blocking(move || deed(remote.as_ref()))
        .await
        .context("work on the server was interrupted")?
}

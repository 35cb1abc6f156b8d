//! One pass: every change is done once what it needs is done. On the server
//! one deed follows the other; zones and authority work meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Tools;
use super::book::Book;
use super::keys::Keys;
use crate::acme::{self, Issued};
use crate::failure::{Context, Failure, Result};
use crate::ledger::Ledger;
use crate::observe::World;
use crate::plan::Plan;
use crate::record::{Rrset, RrsetKey};
use crate::remote::Script;
use crate::report::Event;
use crate::resource::{Action, Change, RrsetWrite};
use crate::secret::Secret;
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
}

struct Pass<'a> {
    tools: &'a Tools,
    progress: watch::Sender<Progress>,
    results: Mutex<Results>,
    book: Book,
    keys: Keys,
    account: Option<Secret>,
}

/// Does all changes of a plan; stops beginning new ones at the first failure.
pub async fn act(tools: &Tools, plan: &Plan, ledger: Ledger) -> Acted {
    let book = Book::new(tools.world.remote.clone(), ledger);
    let mut pass = Pass {
        tools,
        progress: watch::Sender::default(),
        results: Mutex::default(),
        book,
        keys: Keys::begin(plan),
        account: None,
    };
    let orders = plan
        .changes
        .iter()
        .any(|c| matches!(c.action, Action::Order(_)));
    let prepared = if orders {
        read_account(tools).await
    } else {
        Ok(None)
    };
    match prepared {
        Ok(account) => pass.account = account,
        Err(failure) => {
            tools.report.event(&failed_event("order", &failure));
            return Acted {
                done: Vec::new(),
                left: plan.changes.iter().map(|c| c.id.clone()).collect(),
                failed: true,
            };
        }
    }
    let planned: HashSet<&str> = plan.changes.iter().map(|c| c.id.as_str()).collect();
    let mut last_on_server: Option<&str> = None;
    let mut all = Vec::new();
    for change in &plan.changes {
        let needs: Vec<&str> = change
            .needs
            .iter()
            .map(String::as_str)
            .filter(|n| planned.contains(n))
            .collect();
        let after = if change.action.on_server() {
            last_on_server.replace(&change.id)
        } else {
            None
        };
        all.push(pass.one(change, needs, after));
    }
    futures_util::future::join_all(all).await;
    let booked = pass.book.close(tools.now, &tools.by).await;
    let progress = pass.progress.borrow();
    let mut failed = progress.failed();
    if let Err(failure) = booked {
        tools.report.event(&failed_event("ledger", &failure));
        failed = true;
    }
    let (done, left): (Vec<&Change>, Vec<&Change>) = plan
        .changes
        .iter()
        .partition(|c| progress.ends.get(&c.id) == Some(&End::Done));
    let ids = |changes: Vec<&Change>| changes.into_iter().map(|c| c.id.clone()).collect();
    Acted {
        done: ids(done),
        left: ids(left),
        failed,
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
    async fn one(&self, change: &Change, needs: Vec<&str>, after: Option<&str>) {
        let mut progress = self.progress.subscribe();
        let waited = progress
            .wait_for(|progress| {
                progress.failed()
                    || (needs.iter().all(|n| progress.ends.contains_key(*n))
                        && after.is_none_or(|a| progress.free_after(a)))
            })
            .await
            .map(|progress| {
                let waits = |n: &&str| progress.ends.get(*n) == Some(&End::Waits);
                (progress.failed(), needs.iter().any(waits))
            });
        let (failed, waits) = waited.unwrap_or((true, false));
        if failed {
            return;
        }
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
        match self.act(change).await {
            Ok(()) => {
                self.book.note(&change.ledger);
                let seconds = begun.elapsed().as_secs_f64();
                self.tools.report.event(&Event::ChangeDone {
                    id: change.id.clone(),
                    seconds,
                });
                End::Done
            }
            Err(failure) => {
                self.tools.report.event(&failed_event(&change.id, &failure));
                End::Failed
            }
        }
    }

    async fn act(&self, change: &Change) -> Result<()> {
        match &change.action {
            Action::Script(script) => self.script(change, script.clone()).await,
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
                .await
            }
            Action::Users(write) => {
                let (write, vault) = (write.clone(), self.tools.vault.clone());
                self.on_server(move |remote| write.act(remote, &vault))
                    .await
            }
            Action::DkimKey(make) => {
                let (make, key) = (make.clone(), self.keys.take(&change.id).await?);
                let record = key.record.clone();
                self.on_server(move |remote| make.store(remote, &key))
                    .await?;
                self.results(|results| results.records.insert(change.id.clone(), record));
                Ok(())
            }
            Action::Rrset(write) => self.rrset(change, write).await,
            Action::Order(order) => {
                let issued = self.order(change, order).await?;
                self.results(|results| results.certificate = Some(issued));
                Ok(())
            }
            Action::Install(install) => {
                let issued = self.results(|results| results.certificate.take());
                let issued = issued.ok_or_else(|| Failure::new("no certificate was issued"))?;
                let install = install.clone();
                self.on_server(move |remote| {
                    install.act(remote, &issued.chain_pem, &issued.key_pem)
                })
                .await
            }
            Action::ByHand(_) => Ok(()),
        }
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
        let said = output.complaint();
        let said = if said.is_empty() {
            format!("status {}", output.code)
        } else {
            said
        };
        let hint = match output.code {
            75 => "somebody changed it meanwhile; run `mailctl plan` to see how it stands now",
            _ if said.contains("No space left") => {
                "free some space on the server (`df -h`, `journalctl --vacuum-size=100M`), then run `mailctl apply` again"
            }
            _ => "mend it, then run `mailctl apply` again: it goes on from here",
        };
        Err(Failure::new(format!("{} on the server: {said}", change.id)).hint(hint))
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
    ) -> Result<Issued> {
        let tools = self.tools;
        let note = |text: &str| {
            tools.report.event(&Event::Note {
                id: change.id.clone(),
                text: text.to_owned(),
            })
        };
        let kept = match &self.account {
            Some(credentials) => acme::Account::restore(&tools.authority, credentials).await?,
            None => None,
        };
        let account = match kept {
            Some(account) => account,
            None => {
                note("making an account");
                let (account, credentials) = acme::Account::create(&tools.authority).await?;
                // Kept at once: an authority limits how many accounts one may make.
                self.book.file(account_path(&tools.authority), credentials);
                account
            }
        };
        let challenges = Challenges {
            world: &tools.world,
            config: &tools.config,
            note: &note,
        };
        acme::issue(&account, &order.names, order.key, &challenges, &note).await
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

/// Where the account at an authority is kept on the server, readable by root only.
fn account_path(authority: &acme::Authority) -> String {
    let digest = crate::kinds::sha256(authority.directory.as_bytes());
    format!("/var/lib/mailctl/acme-{}.json", &digest[..12])
}

async fn read_account(tools: &Tools) -> Result<Option<Secret>> {
    let path = account_path(&tools.authority);
    let output = on_server(&tools.world, move |remote| {
        remote.run(&Script::new(format!("[ ! -f {path} ] || cat {path}")))
    })
    .await?;
    if output.code != 0 {
        return Err(Failure::new(format!(
            "the account at the certificate authority cannot be read on the server: {}",
            output.complaint()
        )));
    }
    Ok((!output.out.is_empty()).then(|| Secret::new(output.text())))
}

/// Challenges through the zones' own providers (RFC 8555 section 8.4).
struct Challenges<'a> {
    world: &'a World,
    config: &'a crate::config::Config,
    note: &'a (dyn Fn(&str) + Send + Sync),
}

/// Seconds; short, because a challenge is gone within the minute.
const CHALLENGE_TTL: u32 = 60;

fn list(values: &BTreeSet<String>) -> Vec<String> {
    values.iter().cloned().collect()
}

type Values = BTreeMap<crate::record::Name, BTreeSet<String>>;

impl Challenges<'_> {
    /// Where the challenge of an owner name is put: there, or where a CNAME leads.
    async fn place(
        &self,
        owner: &crate::record::Name,
    ) -> Result<(Arc<dyn zone::Zone>, crate::record::Name, RrsetKey)> {
        let name = self.world.dns.canonical_name(owner).await?;
        let holder = crate::parts::records::holder(self.config, &name);
        let apex = self.world.apex(&holder, &name).await?;
        Ok((
            self.world.zone(&holder)?.clone(),
            apex,
            RrsetKey::new(name, crate::record::RType::Txt),
        ))
    }
}

#[async_trait::async_trait]
impl acme::Challenges for Challenges<'_> {
    async fn present(&self, values: &Values) -> Result<()> {
        let mut placed = Vec::new();
        for (owner, values) in values {
            let (zone, apex, key) = self.place(owner).await?;
            let want = Rrset::new(key.clone(), None, values);
            if zone.by_hand() {
                (self.note)(&format!(
                    "set by hand: {} TXT {}",
                    key.name,
                    want.values
                        .iter()
                        .cloned()
                        .collect::<Vec<_>>()
                        .join(" and ")
                ));
            } else {
                zone::add_values(zone.as_ref(), &apex, &key, CHALLENGE_TTL, &list(values)).await?;
            }
            placed.push((apex, want));
        }
        for (apex, want) in &placed {
            let note = |shown: usize, all: usize| {
                (self.note)(&format!(
                    "{shown} of {all} name servers show the challenge of {}",
                    want.key.name
                ))
            };
            self.world
                .dns
                .wait_visible(
                    apex,
                    want,
                    crate::dns::Visible::Contains,
                    VISIBLE_WITHIN,
                    &note,
                )
                .await?;
        }
        Ok(())
    }

    async fn clear(&self, values: &Values) -> Result<()> {
        for (owner, values) in values {
            let (zone, apex, key) = self.place(owner).await?;
            if !zone.by_hand() {
                zone::remove_values(zone.as_ref(), &apex, &key, &list(values)).await?;
            }
        }
        Ok(())
    }
}

//! Having a certificate issued: the account at the authority, an order that
//! waits for a person, and the challenges in the zones.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::Tools;
use super::act::{VISIBLE_WITHIN, on_server};
use super::book::Book;
use crate::acme::{self, Account, Authority, Ended, Pending, Shown, Values, Wanted};
use crate::config::Config;
use crate::dns::Visible;
use crate::failure::Result;
use crate::kinds::certificate::Order;
use crate::ledger::{Edit, Made};
use crate::observe::{World, quote};
use crate::parts::records::holder;
use crate::record::{Name, RType, Rrset, RrsetKey};
use crate::remote::Script;
use crate::secret::Secret;
use crate::zone::{self, Zone, manual};

/// The TTL of a challenge: no cache shall keep it (RFC 2181 section 8), since
/// the authority may look for the next one a moment later.
const CHALLENGE_TTL: u32 = 0;
/// The same where a person sets it: few forms take less.
const CHALLENGE_TTL_BY_HAND: u32 = 60;

/// What is kept on the server of earlier orders, readable by root only.
#[derive(Default)]
pub struct Kept {
    account: Option<Secret>,
    pending: Option<Pending>,
}

fn account_path(authority: &Authority) -> String {
    let digest = crate::kinds::sha256(authority.directory.as_bytes());
    format!("/var/lib/mailctl/acme-{}.json", &digest[..12])
}

fn order_path(authority: &Authority) -> String {
    account_path(authority).replace(".json", ".order.json")
}

impl Kept {
    /// Reads it.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub async fn read(tools: &Tools) -> Result<Self> {
        let text = format!(
            "cat() {{ [ ! -f \"$1\" ] || command cat \"$1\"; }}\ncat {account} && printf '\\000' && cat {order}",
            account = quote(&account_path(&tools.authority)),
            order = quote(&order_path(&tools.authority)),
        );
        let script = Script::new(text);
        let output = on_server(&tools.world, move |remote| remote.run(&script)).await?;
        if output.code != 0 {
            return Err(output.failure(
                "the account at the certificate authority cannot be read on the server",
                "mend it, then run `mailctl apply` again",
            ));
        }
        let text = output.text();
        let (account, order) = text.split_once('\0').unwrap_or((&text, ""));
        Ok(Self {
            account: (!account.is_empty()).then(|| Secret::new(account)),
            // An order that cannot be read is an order that is made anew.
            pending: serde_json::from_str(order).ok(),
        })
    }
}

/// Has the names of an order certified.
///
/// # Errors
/// When the authority or a DNS provider refuses.
pub async fn certify(
    tools: &Tools,
    kept: &Kept,
    order: &Order,
    book: &Book,
    note: &(dyn Fn(&str) + Send + Sync),
    advice: &(dyn Fn(String) + Send + Sync),
) -> Result<Ended> {
    let authority = &tools.authority;
    let known = match &kept.account {
        Some(credentials) => Account::restore(authority, credentials).await?,
        None => None,
    };
    let account = match known {
        Some(account) => account,
        None => {
            note("making an account");
            let (account, credentials) = Account::create(authority).await?;
            // Kept at once: an authority limits how many accounts one may make.
            book.file(account_path(authority), credentials);
            account
        }
    };
    let wanted = Wanted {
        names: order.names.clone(),
        key: order.key,
        pending: kept.pending.clone(),
    };
    let challenges = Challenges {
        world: &tools.world,
        config: &tools.config,
        note,
        advice,
        by_hand: Mutex::default(),
        book,
    };
    let ended = acme::issue(&account, &wanted, &challenges, note).await?;
    match &ended {
        Ended::ByHand(pending, _) => {
            let text = serde_json::to_string(pending).unwrap_or_default();
            book.file(order_path(authority), Secret::new(text));
        }
        Ended::Issued(_) if kept.pending.is_some() => book.remove(order_path(authority)),
        Ended::Issued(_) => {}
    }
    Ok(ended)
}

/// Challenges through the zones' own providers (RFC 8555 section 8.4).
struct Challenges<'a> {
    world: &'a World,
    config: &'a Config,
    note: &'a (dyn Fn(&str) + Send + Sync),
    /// Hears what a person may do afterwards.
    advice: &'a (dyn Fn(String) + Send + Sync),
    /// Owners whose records a person has set.
    by_hand: Mutex<BTreeSet<Name>>,
    /// Challenges are listed while they stand: should nobody be left to remove
    /// them, the next apply does.
    book: &'a Book,
}

/// Where a challenge is put.
struct Place {
    zone: Arc<dyn Zone>,
    apex: Name,
    want: Rrset,
}

impl Challenges<'_> {
    /// At the owner name, or where a CNAME leads.
    async fn place(&self, owner: &Name, values: &BTreeSet<String>) -> Result<Place> {
        let (name, apex) = self.world.dns.canonical_name(owner).await?;
        let holder = holder(self.config, &name);
        let apex = self
            .world
            .named_apex(&holder, &name)
            .unwrap_or(&apex)
            .clone();
        Ok(Place {
            zone: self.world.zone(&holder)?.clone(),
            apex,
            want: Rrset::new(RrsetKey::new(name, RType::Txt), None, values),
        })
    }

    /// What a person has to set; nothing, once any name server shows it.
    async fn step(&self, place: &Place) -> Result<Option<String>> {
        let key = std::slice::from_ref(&place.want.key);
        let everywhere = self.world.dns.everywhere(&place.apex, key).await?;
        let sets = everywhere.into_iter().filter_map(|(_, sets)| sets.ok());
        let sets: Vec<Rrset> = sets.flatten().collect();
        if sets
            .iter()
            .any(|set| Visible::Contains.holds(&place.want, set))
        {
            return Ok(None);
        }
        let before = sets
            .first()
            .cloned()
            .unwrap_or_else(|| Rrset::absent(place.want.key.clone()));
        let mut want = before.clone();
        want.ttl = before.ttl.or(Some(CHALLENGE_TTL_BY_HAND));
        want.values.extend(place.want.values.iter().cloned());
        Ok(Some(manual::instruction(&place.apex, &before, &want)))
    }

    async fn wait(&self, place: &Place) -> Result<()> {
        let note = |shown: usize, all: usize| {
            (self.note)(&format!(
                "{shown} of {all} name servers show the challenge of {}",
                place.want.key.name
            ))
        };
        let dns = &self.world.dns;
        dns.wait_visible(
            &place.apex,
            &place.want,
            Visible::Contains,
            VISIBLE_WITHIN,
            &note,
        )
        .await
    }
}

fn edits(set: &Rrset, edit: fn(Made) -> Edit) -> Vec<Edit> {
    let made = |value: &String| Made::Value {
        key: set.key.clone(),
        value: value.clone(),
    };
    set.values.iter().map(made).map(edit).collect()
}

fn list(set: &Rrset) -> Vec<String> {
    set.values.iter().cloned().collect()
}

#[async_trait]
impl acme::Challenges for Challenges<'_> {
    async fn present(&self, values: &Values) -> Result<Shown> {
        let (mut places, mut steps) = (Vec::new(), Vec::new());
        for (owner, values) in values {
            let place = self.place(owner, values).await?;
            if place.zone.by_hand() {
                steps.extend(self.step(&place).await?);
            }
            places.push(place);
        }
        if !steps.is_empty() {
            return Ok(Shown::ByHand(steps));
        }
        for place in &places {
            let (zone, key) = (place.zone.as_ref(), &place.want.key);
            if !zone.by_hand() {
                self.book.note(&edits(&place.want, Edit::Add));
                zone::add_values(zone, &place.apex, key, CHALLENGE_TTL, &list(&place.want)).await?;
            } else if let Ok(mut by_hand) = self.by_hand.lock() {
                by_hand.insert(key.name.clone());
            }
        }
        for place in &places {
            self.wait(place).await?;
        }
        Ok(Shown::Everywhere)
    }

    async fn clear(&self, values: &Values) -> Result<()> {
        for (owner, values) in values {
            let place = self.place(owner, values).await?;
            let (zone, key) = (place.zone.as_ref(), &place.want.key);
            if !zone.by_hand() {
                zone::remove_values(zone, &place.apex, key, &list(&place.want)).await?;
                self.book.note(&edits(&place.want, Edit::Remove));
            }
        }
        let set: Vec<String> = match self.by_hand.lock() {
            Ok(names) => names.iter().map(Name::to_string).collect(),
            Err(_) => Vec::new(),
        };
        if !set.is_empty() {
            (self.advice)(format!(
                "the TXT records at {} have done their work and may be deleted",
                set.join(" and ")
            ));
        }
        Ok(())
    }
}

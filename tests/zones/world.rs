//! One provider over one server, real or a stand-in, as the contract sees it.

use std::any::Any;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mailctl::catalogue;
use mailctl::dns::{Authority, Dns};
use mailctl::kinds::rrset::RrsetWish;
use mailctl::ledger::Ledger;
use mailctl::observe::{Answer, Seen};
use mailctl::plan::Plan;
use mailctl::record::{RType, Rrset, RrsetKey};
use mailctl::resource::{Holder, Probe, Resource};
use mailctl::secret::Secret;
use mailctl::zone::{self, Settings, Zone};

use super::gate::Gate;
use super::{APEX, name, ports};

/// A provider's fields, as they stand in mail.yaml.
pub type Fields = BTreeMap<String, String>;

pub fn fields<const N: usize>(fields: [(&str, &str); N]) -> Fields {
    let owned = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
    owned.into()
}

/// When the name server answers what was written.
#[derive(Clone, Copy, PartialEq)]
pub enum Served {
    AtOnce,
    /// Once it has read its file again.
    Soon,
    /// There is none.
    Never,
}

pub struct World {
    pub provider: &'static str,
    pub fields: Fields,
    pub dns: Dns,
    /// The name server, and the resolver.
    pub addr: SocketAddr,
    pub served: Served,
    /// Whether it is a server of one's own: with reverse zones, and records of others before.
    pub own: bool,
    /// How many values a set can have.
    pub most: usize,
    pub gate: Option<Box<dyn Gate>>,
    /// Credentials that nobody has, and a word of what is said to them.
    pub wrong: Option<(Fields, &'static str)>,
    /// Credentials that may read, and a word of what is said when they write.
    pub reader: Option<(Fields, &'static str)>,
    /// Good credentials of an account whose zone is not the one that is served.
    pub stranger: Option<Fields>,
    /// What ends with it.
    pub _held: Box<dyn Any>,
}

impl World {
    /// `held` ends with it.
    pub fn new(provider: &'static str, addr: SocketAddr, fields: Fields, held: impl Any) -> Self {
        Self {
            provider,
            fields,
            dns: Dns::new(Some(addr)).expect("a resolver"),
            addr,
            served: Served::AtOnce,
            own: true,
            most: 150,
            gate: None,
            wrong: None,
            reader: None,
            stranger: None,
            _held: Box::new(held),
        }
    }

    /// The fields with some that are others.
    pub fn but<const N: usize>(&self, others: [(&str, &str); N]) -> Fields {
        let mut all = self.fields.clone();
        all.extend(fields(others));
        all
    }

    /// What requests pass on their way.
    pub fn gate(&self) -> &dyn Gate {
        self.gate.as_deref().expect("a gate")
    }

    /// A handle of its own, as another process has one.
    pub fn zone(&self) -> Arc<dyn Zone> {
        self.zone_with(&self.fields)
    }

    pub fn zone_with(&self, fields: &Fields) -> Arc<dyn Zone> {
        zone::open(self.provider, &self.settings(fields), &self.dns).expect("a provider")
    }

    pub fn settings(&self, fields: &Fields) -> Settings {
        let entry = catalogue::dns(self.provider).expect("an entry");
        let is_secret = |name: &str| entry.fields.iter().any(|f| f.secret && f.name == name);
        let given = fields.iter();
        given.fold(
            Settings::default().keeping(zone::copies::directory()),
            |settings, (name, value)| match is_secret(name) {
                true => settings.with(name, Secret::new(value.as_str())),
                false => settings.with(name, value.as_str()),
            },
        )
    }

    pub async fn list(&self, apex: &str, key: &RrsetKey) -> Rrset {
        let keys = std::slice::from_ref(key);
        let listed = self.zone().list(&name(apex), keys).await;
        listed
            .unwrap_or_else(|why| panic!("{} {key}: {}", self.provider, why.told()))
            .remove(0)
    }

    /// Writes `want` from whatever is there. Then it is in the API and in the
    /// DNS, a new plan has nothing to do, and nothing is written twice.
    pub async fn put(&self, apex: &str, want: &Rrset) {
        let before = self.list(apex, &want.key).await;
        self.write(apex, &before, want).await;
        let shown = self.shown(want);
        assert_eq!(self.list(apex, &want.key).await, shown, "{}", self.provider);
        self.planned(apex, &shown);
        if let Some(gate) = &self.gate {
            gate.next(&[]);
        }
        self.write(apex, &shown, &shown).await;
        let writes = self.gate.as_ref().map_or(0, |gate| gate.writes());
        assert_eq!(writes, 0, "{} {} is written again", self.provider, want.key);
        if self.served != Served::Never {
            self.is_served(&shown).await;
        }
    }

    pub async fn write(&self, apex: &str, before: &Rrset, want: &Rrset) {
        let written = zone::write(&*self.zone(), &name(apex), before, want).await;
        written.unwrap_or_else(|why| panic!("{} {}: {}", self.provider, want.key, why.told()));
    }

    /// A plan that wants what is there has nothing to do.
    fn planned(&self, apex: &str, there: &Rrset) {
        let values: Vec<String> = there.values.iter().cloned().collect();
        let ttl = there.ttl.unwrap_or(zone::DEFAULT_TTL);
        let (holder, key) = (Holder::Default, there.key.clone());
        let ledger = Ledger::default();
        let wish = RrsetWish::whole(holder.clone(), key.clone(), ttl, "record", &values, &ledger);
        let mut seen = Seen::new();
        let answer = Answer::Rrset {
            apex: name(apex),
            set: there.clone(),
            by_hand: false,
        };
        seen.put(Probe::Rrset(holder, key), answer);
        let changes = wish.diff(&seen, &Plan::default()).expect("it is decided");
        assert!(changes.is_empty(), "{}: {changes:?}", self.provider);
    }

    async fn is_served(&self, want: &Rrset) {
        let end = Instant::now() + ports::PATIENCE;
        while self.served == Served::Soon
            && self.answered(&want.key).await != *want
            && Instant::now() < end
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(self.answered(&want.key).await, *want, "{}", self.provider);
    }

    /// What the name server says.
    pub async fn answered(&self, key: &RrsetKey) -> Rrset {
        let authority = Authority::new(name("ns1.example.test"), self.addr);
        self.dns.ask(&authority, key).await.expect("an answer")
    }

    /// How what is written is read again: providers have a least TTL.
    pub fn shown(&self, want: &Rrset) -> Rrset {
        Rrset {
            ttl: want.ttl.and_then(|ttl| self.zone().ttl(ttl)),
            ..want.clone()
        }
    }

    /// Whether it takes values of this type.
    pub fn takes(&self, rtype: RType) -> bool {
        let entry = catalogue::dns(self.provider).expect("an entry");
        let mut limits = entry.limits.iter();
        let without = limits.find_map(|limit| limit.strip_prefix("No records of type "));
        let mut types = without
            .into_iter()
            .flat_map(|types| types.split([',', '.', ' ']));
        !types.any(|without| without == rtype.as_str())
    }

    /// What is said to whoever asks for a set with these fields.
    pub async fn refusal(&self, fields: &Fields) -> String {
        let asked = super::key(APEX, RType::Txt);
        let listed = self.zone_with(fields).list(&name(APEX), &[asked]).await;
        listed.expect_err("a refusal").told()
    }
}

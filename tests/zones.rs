//! What every DNS provider has to do, done with real servers: PowerDNS through
//! its API, Knot and BIND through RFC 2136.

#![allow(missing_docs)]

#[path = "zones/api.rs"]
mod api;
#[path = "support/bind.rs"]
mod bind;
#[path = "zones/contract.rs"]
mod contract;
#[path = "support/faults.rs"]
mod faults;
#[path = "support/knot.rs"]
mod knot;
#[path = "zones/local.rs"]
mod local;
#[path = "support/ports.rs"]
mod ports;
#[path = "support/powerdns.rs"]
mod powerdns;
#[path = "zones/refusals.rs"]
mod refusals;

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bind::BindServer;
use knot::KnotServer;
use mailctl::dns::{Authority, Dns};
use mailctl::failure::Exit;
use mailctl::record::{Name, RType, Rrset, RrsetKey};
use mailctl::secret::Secret;
use mailctl::zone::{self, Settings, Zone};
use powerdns::PowerDnsServer;

const APEX: &str = "example.test";
const REVERSE4: &str = "2.0.192.in-addr.arpa";
const REVERSE6: &str = "8.b.d.0.1.0.0.2.ip6.arpa";

/// One provider over one server.
struct World {
    provider: &'static str,
    settings: Settings,
    dns: Dns,
    addr: SocketAddr,
    served: Served,
    _server: Box<dyn Any>,
}

/// When the name server answers what was written.
#[derive(PartialEq)]
enum Served {
    AtOnce,
    /// Once it has read its file again.
    Soon,
    /// There is none.
    Never,
}

fn zones() -> Vec<(&'static str, String)> {
    let foreign = "@ IN TXT \"somebody-else=1\"\nold IN TXT \"cut \" \"in two\"\n*.wild IN TXT \"wild\"\n*.wild IN A 192.0.2.9\n\
        smtp IN A 192.0.2.7\na IN A 192.0.2.7\nb IN A 192.0.2.7\n";
    vec![
        (APEX, ports::zone_text(APEX, &[], foreign)),
        (REVERSE4, ports::zone_text(REVERSE4, &[], "")),
        (REVERSE6, ports::zone_text(REVERSE6, &[], "")),
    ]
}

impl World {
    fn new(provider: &'static str, addr: SocketAddr, settings: Settings, server: impl Any) -> Self {
        let dns = Dns::new(Some(addr)).expect("a resolver");
        Self {
            provider,
            settings,
            dns,
            addr,
            served: Served::AtOnce,
            _server: Box::new(server),
        }
    }

    async fn powerdns() -> Option<Self> {
        let server = PowerDnsServer::start(&zones()).await?;
        let settings = Settings::default()
            .with("endpoint", server.endpoint())
            .with("token", Secret::new(powerdns::API_KEY));
        Some(Self::new("powerdns", server.dns, settings, server))
    }

    async fn knot() -> Option<Self> {
        let server = KnotServer::start(&zones()).await?;
        let settings = tsig(server.dns, knot::KEY_NAME, knot::KEY, knot::ALGORITHM);
        Some(Self::new("rfc2136", server.dns, settings, server))
    }

    async fn bind() -> Option<Self> {
        let server = BindServer::start(&zones()).await?;
        let settings = tsig(server.dns, bind::KEY_NAME, bind::KEY, bind::ALGORITHM);
        Some(Self::new("rfc2136", server.dns, settings, server))
    }

    fn zone(&self) -> Arc<dyn Zone> {
        zone::open(self.provider, &self.settings, &self.dns).expect("a provider")
    }

    async fn list(&self, apex: &str, key: &RrsetKey) -> Rrset {
        self.zone()
            .list(&name(apex), std::slice::from_ref(key))
            .await
            .expect("a list")
            .remove(0)
    }

    /// Writes `want` from whatever is there, and sees it in the API and in the DNS.
    async fn put(&self, apex: &str, want: &Rrset) {
        let before = self.list(apex, &want.key).await;
        zone::write(&*self.zone(), &name(apex), &before, want)
            .await
            .unwrap_or_else(|e| panic!("{} {}: {}", self.provider, want.key, e.told()));
        assert_eq!(self.list(apex, &want.key).await, *want, "{}", self.provider);
        if self.served == Served::Never {
            return;
        }
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
    async fn answered(&self, key: &RrsetKey) -> Rrset {
        let authority = Authority::new(name("ns1.example.test"), self.addr);
        self.dns.ask(&authority, key).await.expect("an answer")
    }
}

fn tsig(server: SocketAddr, key_name: &str, key: &str, algorithm: &str) -> Settings {
    Settings::default()
        .with("server", server.to_string())
        .with("key_name", key_name)
        .with("key", Secret::new(key))
        .with("algorithm", algorithm)
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn key(owner: &str, rtype: RType) -> RrsetKey {
    RrsetKey::new(name(owner), rtype)
}

fn set(owner: &str, rtype: RType, ttl: u32, values: &[&str]) -> Rrset {
    Rrset::new(key(owner, rtype), Some(ttl), values)
}

#[tokio::test]
async fn powerdns_keeps_the_contract() {
    contract::kept(World::powerdns().await).await;
}

#[tokio::test]
async fn knot_keeps_the_contract() {
    contract::kept(World::knot().await).await;
}

#[tokio::test]
async fn bind_keeps_the_contract() {
    contract::kept(World::bind().await).await;
}

#[tokio::test]
async fn a_burst_of_updates_arrives_whole() {
    let Some(world) = World::knot().await else {
        return;
    };
    let mut writes = tokio::task::JoinSet::new();
    for number in 0..60 {
        let zone = world.zone();
        let want = set(
            &format!("burst{number}.example.test"),
            RType::Txt,
            300,
            &["here"],
        );
        writes.spawn(async move {
            zone::write(&*zone, &name(APEX), &Rrset::absent(want.key.clone()), &want).await
        });
    }
    while let Some(done) = writes.join_next().await {
        done.expect("no panic").expect("an update");
    }
}

#[tokio::test]
async fn the_person_is_told_and_nothing_is_written() {
    let Some(world) = World::knot().await else {
        return;
    };
    let zone = zone::open("manual", &Settings::default(), &world.dns).expect("a provider");
    assert!(zone.by_hand());
    let before = zone
        .list(&name(APEX), &[key(APEX, RType::Txt)])
        .await
        .expect("a list")
        .remove(0);
    assert_eq!(before, set(APEX, RType::Txt, 300, &["somebody-else=1"]));
    let want = set(APEX, RType::Txt, 300, &["somebody-else=1", "v=spf1 -all"]);
    let why = zone::write(&*zone, &name(APEX), &before, &want)
        .await
        .expect_err("a step for a person");
    assert_eq!(why.code(), Exit::Person);
    assert!(
        why.told()
            .contains("add a TXT record, name @ (in full example.test.), TTL 300:"),
        "{}",
        why.told()
    );
    assert_eq!(world.list(APEX, &key(APEX, RType::Txt)).await, before);
}

//! The providers of the library dns-update, over stateful stand-ins for their
//! APIs. The library knows only the APIs' real addresses: each test runs in a
//! process of its own, whose HTTPS goes through a proxy that is the stand-in,
//! and whose trust is in its authority.

#![allow(missing_docs)]

#[path = "library/cloudflare.rs"]
mod cloudflare;
#[path = "library/contract.rs"]
mod contract;
#[path = "library/digitalocean.rs"]
mod digitalocean;
#[path = "library/hetzner.rs"]
mod hetzner;
#[path = "library/names.rs"]
mod names;
#[path = "library/proxy.rs"]
mod proxy;
#[path = "library/rrsets.rs"]
mod rrsets;
#[path = "library/stage.rs"]
mod stage;

use mailctl::record::{Name, RType, Rrset, RrsetKey};
use serde_json::{Value, json};

/// A request as it comes out of the proxy.
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub token: String,
    pub body: Value,
}

impl Request {
    fn param(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The path's parts.
    fn parts(&self) -> Vec<&str> {
        self.path
            .split('/')
            .filter(|part| !part.is_empty())
            .collect()
    }
}

/// What a stand-in answers.
pub struct Response {
    pub status: u16,
    pub body: Value,
}

impl Response {
    fn ok(body: Value) -> Self {
        Self { status: 200, body }
    }

    fn error(status: u16, word: &str) -> Self {
        let body = json!({"success": false, "result": null, "messages": [],
            "errors": [{"code": status, "message": word}],
            "error": {"code": word, "message": word}});
        Self { status, body }
    }
}

/// A stand-in for one API, with one zone in it.
pub trait Api: Send {
    fn answer(&mut self, request: &Request) -> Response;

    /// What the zone's name servers show.
    fn sets(&self) -> Vec<Rrset>;
}

const APEX: &str = "example.test";
const TOKEN: &str = "the-token-of-the-test";

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn key(owner: &str, rtype: RType) -> RrsetKey {
    RrsetKey::new(name(owner), rtype)
}

fn set(owner: &str, rtype: RType, ttl: u32, values: &[&str]) -> Rrset {
    Rrset::new(key(owner, rtype), Some(ttl), values)
}

/// The sets that single records make.
fn gathered(records: impl Iterator<Item = Rrset>) -> Vec<Rrset> {
    let mut sets: Vec<Rrset> = Vec::new();
    for one in records {
        match sets.iter_mut().find(|set| set.key == one.key) {
            Some(set) => set.values.extend(one.values),
            None => sets.push(one),
        }
    }
    sets
}

#[tokio::test(flavor = "multi_thread")]
async fn cloudflare_keeps_the_contract() {
    let test = "cloudflare_keeps_the_contract";
    if let Some(stage) = stage::Stage::enter(test, "cloudflare", cloudflare::Cloudflare::default())
    {
        contract::kept(&stage).await;
        contract::quirks_of_cloudflare(&stage).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hetzner_keeps_the_contract() {
    let test = "hetzner_keeps_the_contract";
    if let Some(stage) = stage::Stage::enter(test, "hetzner", hetzner::Hetzner::default()) {
        contract::kept(&stage).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn digitalocean_keeps_the_contract() {
    let test = "digitalocean_keeps_the_contract";
    if let Some(stage) =
        stage::Stage::enter(test, "digitalocean", digitalocean::DigitalOcean::default())
    {
        contract::kept(&stage).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gandi_keeps_the_contract() {
    let test = "gandi_keeps_the_contract";
    if let Some(stage) = stage::Stage::enter(test, "gandi", rrsets::Gandi::default()) {
        contract::kept(&stage).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn desec_keeps_the_contract() {
    let test = "desec_keeps_the_contract";
    if let Some(stage) = stage::Stage::enter(test, "desec", rrsets::Desec::default()) {
        contract::kept(&stage).await;
    }
}

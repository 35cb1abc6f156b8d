//! The providers of the library dns-update, over stateful stand-ins for their
//! APIs. The library knows only the APIs' real addresses: each test runs in a
//! process of its own, whose HTTPS goes through a proxy that is the stand-in,
//! and whose trust is in its authority.

mod cloudflare;
mod digitalocean;
mod hetzner;
mod namecheap;
mod proxy;
mod rewrites;
mod rrsets;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use mailctl::record::{RType, Rrset};
use mailctl::zone;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};

use self::proxy::Proxy;
use super::gate::Gate;
use super::world::{World, fields};
use super::{APEX, contract, key, name, names, set};

/// May edit the zone.
const TOKEN: &str = "the-token-of-the-test";
/// May only read it.
const READER: &str = "may-only-read";
/// Is good for an account whose zone has no records.
const STRANGER: &str = "another-account";

/// What the APIs' name servers are called.
const SERVERS: [(&str, &str); 6] = [
    ("cloudflare", "amy.ns.cloudflare.com"),
    ("desec", "ns1.desec.io"),
    ("digitalocean", "ns1.digitalocean.com"),
    ("gandi", "ns-7-a.gandi.net"),
    ("hetzner", "helium.ns.hetzner.de"),
    ("namecheap", "dns1.registrar-servers.com"),
];

/// A request as it comes out of the proxy.
pub struct Request {
    pub method: String,
    pub path: String,
    /// Of the query, or of a form.
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
    /// As JSON; a string is sent as the text that it is.
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

/// Where the child finds what its parent prepared.
const PREPARED: &str = "MAILCTL_ZONES_PREPARED";

/// In the test's own process, its world and the proxy in it. Else runs that
/// process, and there is nothing more to do.
fn enter(
    test: &str,
    provider: &'static str,
    api: impl Api + Default + 'static,
) -> Option<(World, Proxy)> {
    if let Some(prepared) = std::env::var_os(PREPARED) {
        let api: Arc<Mutex<dyn Api>> = Arc::new(Mutex::new(api));
        let proxy = Proxy::start(prepared.as_ref(), Arc::clone(&api));
        let server = SERVERS.iter().find(|(id, _)| *id == provider);
        let (_, server) = server.expect("its name server");
        let served = names::serve(APEX, server, move || api.lock().expect("an API").sets());
        let world = World::new(provider, served, fields([("token", TOKEN)]), ());
        let of = |token| world.but([("token", token)]);
        let world = World {
            own: false,
            most: 99,
            gate: Some(Box::new(proxy.clone())),
            wrong: Some((of("a-wrong-token"), "refuses the credentials")),
            reader: Some((of(READER), "does not permit")),
            stranger: Some(of(STRANGER)),
            ..world
        };
        return Some((world, proxy));
    }
    let files = tempfile::tempdir().expect("a directory");
    let addr = prepare(files.path());
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", &format!("library::{test}"), "--nocapture"])
        .env(PREPARED, files.path())
        .env("HTTPS_PROXY", format!("http://{addr}"))
        .env("SSL_CERT_FILE", files.path().join("root.pem"))
        .env("XDG_STATE_HOME", files.path().join("state"))
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .expect("the process runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{told}");
    assert!(said.contains("1 passed"), "{said}\n{told}");
    None
}

/// An authority with the certificate of every API, and a place for the proxy.
fn prepare(files: &Path) -> SocketAddr {
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"));
    let root = root.expect("a root");
    let key = KeyPair::generate().expect("a key");
    let own = CertificateParams::new(proxy::HOSTS.map(String::from))
        .expect("names")
        .signed_by(&key, &root);
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = free.local_addr().expect("its address");
    for (name, text) in [
        ("root.pem", root.as_ref().pem()),
        ("server.pem", own.expect("a certificate").pem()),
        ("server.key", key.serialize_pem()),
        ("address", addr.to_string()),
    ] {
        std::fs::write(files.join(name), text).expect("written");
    }
    addr
}

/// Some adapters of the library see the first hundred values of a set and no more.
async fn what_may_be_half_a_set_is_not_believed(world: &World) {
    let values: Vec<String> = (1..=100).map(|n| format!("text {n}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let many = set("toomany.example.test", RType::Txt, 300, &values);
    let absent = Rrset::absent(many.key.clone());
    world.gate().next(&[]);
    let written = zone::write(&*world.zone(), &name(APEX), &absent, &many).await;
    let why = written.expect_err("too many").told();
    assert!(why.contains("100 values"), "{why}");
    assert!(world.gate().seen().is_empty(), "nothing was asked");
}

async fn kept(test: &str, provider: &'static str, api: impl Api + Default + 'static) {
    if let Some((world, _)) = enter(test, provider, api) {
        contract::kept_by(&world).await;
        what_may_be_half_a_set_is_not_believed(&world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cloudflare_keeps_the_contract() {
    let test = "cloudflare_keeps_the_contract";
    if let Some((world, proxy)) = enter(test, "cloudflare", cloudflare::Cloudflare::default()) {
        contract::kept_by(&world).await;
        what_may_be_half_a_set_is_not_believed(&world).await;
        what_the_library_cannot_read_is_left_alone(&world, &proxy).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hetzner_keeps_the_contract() {
    let test = "hetzner_keeps_the_contract";
    kept(test, "hetzner", hetzner::Hetzner::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn digitalocean_keeps_the_contract() {
    let test = "digitalocean_keeps_the_contract";
    kept(test, "digitalocean", digitalocean::DigitalOcean::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gandi_keeps_the_contract() {
    kept(
        "gandi_keeps_the_contract",
        "gandi",
        rrsets::Gandi::default(),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn desec_keeps_the_contract() {
    kept(
        "desec_keeps_the_contract",
        "desec",
        rrsets::Desec::default(),
    )
    .await;
}

/// A CAA value that the library does not know makes the set untouchable, and
/// one that it cannot store is told before anything is written.
async fn what_the_library_cannot_read_is_left_alone(world: &World, proxy: &Proxy) {
    let caa = |value: &str| set("caa.example.test", RType::Caa, 300, &[value]);
    let there = caa("0 issue \"ca.example\"");
    world.put(APEX, &there).await;
    proxy.next(&[]);
    let mail = caa("0 issuemail \"ca.example\"");
    let written = zone::write(&*world.zone(), &name(APEX), &there, &mail).await;
    let why = written.expect_err("an unknown tag").told();
    assert!(why.contains("issuemail"), "{why}");
    assert!(proxy.seen().is_empty(), "nothing was asked");
    let records = "/client/v4/zones/023e105f4ecef8ad9ca31a8372d0c353/dns_records";
    let foreign = json!({"type": "CAA", "name": "caa.example.test", "ttl": 300,
        "data": {"flags": 0, "tag": "issuemail", "value": "ca.example"}});
    proxy.by_hand("POST", records, foreign);
    let asked = [key("caa.example.test", RType::Caa)];
    let listed = world.zone().list(&name(APEX), &asked).await;
    let why = listed.expect_err("a foreign value").told();
    assert!(
        why.contains("issuemail") && why.contains("leaves alone"),
        "{why}"
    );
}

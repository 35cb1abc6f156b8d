//! Mail servers on loopback, each with one fault, and what `check` says of
//! them. The ports are the real ones: run as root.

#![allow(missing_docs)]

mod server;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use hickory_proto::serialize::txt::Parser;
use hickory_server::Server;
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use mailctl::check::{self, Choice, Expected, Finding, Outside, Settings, Verdict};
use mailctl::dns::Dns;
use mailctl::record::Name;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

use server::{Act, Speech, guarded};

const HOST: &str = "smtp.wac.test";

/// An authority, and what it signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "Test Root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a root"))
    }

    /// A certificate of 90 days for a name, of which `left` are left.
    fn signs(&self, name: &str, left: i64) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("a key");
        let made = params(name, left).signed_by(&key, &self.0);
        server::config(vec![made.expect("a certificate").der().clone()], &key)
    }
}

fn params(name: &str, left: i64) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.not_after = OffsetDateTime::now_utc() + time::Duration::days(left);
    params.not_before = params.not_after - time::Duration::days(90);
    params
}

fn self_signed() -> Arc<ServerConfig> {
    let key = KeyPair::generate().expect("a key");
    let made = params(HOST, 60).self_signed(&key).expect("a certificate");
    server::config(vec![made.der().clone()], &key)
}

/// A host, and what its ports do.
struct World {
    root: CertificateDer<'static>,
    ports: BTreeMap<u16, Act>,
    ours: bool,
}

impl World {
    /// All as it should be, with this certificate.
    fn with(authority: &Authority, tls: Arc<ServerConfig>) -> Self {
        let speech = Speech {
            greeting: format!("{HOST} ESMTP"),
            clear: vec!["SIZE 1000000"],
            secured: vec!["SIZE 1000000", "AUTH PLAIN"],
            tls: Some(tls),
            implicit: false,
            broken: false,
            old: false,
            reply: guarded,
        };
        let implicit = Speech {
            implicit: true,
            ..speech.clone()
        };
        let ports = [(25, speech.clone()), (465, implicit), (587, speech)];
        let acts = ports.map(|(port, speech)| (port, Act::Speaks(Arc::new(speech))));
        Self {
            root: authority.0.der().clone(),
            ports: acts.into(),
            ours: true,
        }
    }

    fn healthy() -> Self {
        let authority = Authority::new();
        let tls = authority.signs(HOST, 60);
        Self::with(&authority, tls)
    }

    /// The same, somebody else's.
    fn foreign(mut self) -> Self {
        self.ours = false;
        self
    }

    /// Another way to speak at one port.
    fn speaking(mut self, port: u16, change: impl FnOnce(&mut Speech)) -> Self {
        if let Some(Act::Speaks(speech)) = self.ports.get_mut(&port) {
            change(Arc::make_mut(speech));
        }
        self
    }

    fn acting(mut self, port: u16, act: Option<Act>) -> Self {
        match act {
            Some(act) => self.ports.insert(port, act),
            None => self.ports.remove(&port),
        };
        self
    }

    /// What is found, by id; of passes only that they are there.
    async fn found(self) -> BTreeMap<String, Finding> {
        let address = address();
        for (port, act) in self.ports {
            server::serve(address, port, act).await;
        }
        let (resolver, _server) = zone(&format!(
            "$TTL 300\n\
             . IN SOA ns. host. 1 3600 600 86400 300\n\
             wac.test. IN MX 10 {HOST}.\n\
             {HOST}. IN A {address}\n"
        ))
        .await;
        let mut settings = Settings::new(OffsetDateTime::now_utc());
        settings.patience = Duration::from_secs(2);
        settings.roots = vec![self.root];
        settings.far = "far.invalid".into();
        let dns = Dns::new(Some(resolver)).expect("a resolver");
        let expected = Expected {
            host: Name::parse(HOST).ok(),
            addresses: vec![address],
            receives: true,
            ..Expected::default()
        };
        let domain = Name::parse("wac.test").expect("a name");
        let domains = [(domain, self.ours.then(|| Arc::new(expected)))];
        let choice = Choice {
            only: ["smtp", "tls", "relay", "outbound"]
                .map(String::from)
                .into(),
            skip: Vec::new(),
        };
        let outside = Arc::new(Outside::new(dns, settings));
        let limit = Duration::from_secs(20);
        let report = check::check(&outside, &domains, &choice, limit).await;
        let results = report.results.into_iter();
        results
            .map(|finding| (finding.id.clone(), finding))
            .collect()
    }

    /// Everything passes but this.
    async fn only(self, faults: &[(&str, Verdict)]) -> BTreeMap<String, Finding> {
        let found = self.found().await;
        let told: Vec<(&str, Verdict)> = found
            .values()
            .filter(|finding| finding.verdict != Verdict::Pass)
            .map(|finding| (finding.id.as_str(), finding.verdict))
            .collect();
        assert_eq!(told, faults, "{found:#?}");
        found
    }
}

/// A loopback address of this process alone.
fn address() -> IpAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    // 127.0.x.x is where everything else listens.
    let high = high.max(1);
    IpAddr::V4(Ipv4Addr::new(
        127,
        high,
        low,
        NEXT.fetch_add(1, Ordering::Relaxed),
    ))
}

async fn zone(text: &str) -> (SocketAddr, Server<Catalog>) {
    let root = hickory_proto::rr::Name::root();
    let (origin, records) = Parser::new(text, None, Some(root))
        .parse()
        .expect("a zone file");
    let handler: InMemoryZoneHandler =
        InMemoryZoneHandler::new(origin.clone(), records, ZoneType::Primary, AxfrPolicy::Deny)
            .expect("a zone");
    let mut catalog = Catalog::new();
    catalog.upsert(origin.into(), vec![Arc::new(handler)]);
    let mut server = Server::new(catalog);
    let udp = tokio::net::UdpSocket::bind("127.0.0.1:0").await;
    let udp = udp.expect("loopback");
    let address = udp.local_addr().expect("an address");
    server.register_socket(udp);
    (address, server)
}

use Verdict::{Fail, Skip, Warn};

#[tokio::test]
async fn a_healthy_server_passes_everything() {
    let found = World::healthy().only(&[]).await;
    let ids: Vec<&str> = found.keys().map(String::as_str).collect();
    // STARTTLS on two ports, all else on three; relaying on one.
    assert_eq!(ids.len(), 3 * 3 + 2 + 5 * 3 + 3, "{ids:?}");
    assert_eq!(found["tls.chain.465"].found, "leads to Test Root");
    assert_eq!(
        found["relay.open"].found,
        "refused: 503 5.7.1 Relay not allowed"
    );
}

#[tokio::test]
async fn the_same_of_somebody_else_passes_too() {
    let found = World::healthy().foreign().only(&[]).await;
    assert_eq!(found.len(), 29);
}

#[tokio::test]
async fn certificates_that_are_worth_nothing() {
    let authority = Authority::new();
    let all = |id: &'static str| ["25", "465", "587"].map(|port| format!("{id}.{port}"));
    for (tls, id, others) in [
        (authority.signs(HOST, -3), "tls.days", [Warn, Fail, Fail]),
        (authority.signs("www.wac.test", 60), "tls.name", [Warn; 3]),
        (self_signed(), "tls.chain", [Warn, Fail, Fail]),
        (
            Authority::new().signs(HOST, 60),
            "tls.chain",
            [Warn, Fail, Fail],
        ),
    ] {
        let ids = all(id);
        let faults: Vec<(&str, Verdict)> = ids.iter().map(|id| (id.as_str(), Fail)).collect();
        World::with(&authority, tls.clone()).only(&faults).await;
        let ids = ids.iter().map(String::as_str);
        let faults: Vec<(&str, Verdict)> = ids.zip(others).collect();
        World::with(&authority, tls).foreign().only(&faults).await;
    }
}

#[tokio::test]
async fn a_certificate_that_ends_soon() {
    let authority = Authority::new();
    let world = World::with(&authority, authority.signs(HOST, 5));
    world
        .only(&[
            ("tls.days.25", Warn),
            ("tls.days.465", Warn),
            ("tls.days.587", Warn),
        ])
        .await;
}

#[tokio::test]
async fn tls_that_fails() {
    let found = World::healthy()
        .speaking(25, |speech| speech.broken = true)
        .speaking(465, |speech| speech.broken = true)
        .only(&[
            ("smtp.starttls.25", Fail),
            ("tls.versions.25", Skip),
            ("tls.versions.465", Fail),
        ])
        .await;
    assert!(!found.contains_key("smtp.greeting.465"));
}

#[tokio::test]
async fn starttls_that_is_missing() {
    let bare = |ours: bool| {
        let world = World::healthy().speaking(25, |speech| speech.tls = None);
        let world = world.speaking(587, |speech| speech.tls = None);
        if ours { world } else { world.foreign() }
    };
    for (ours, verdict) in [(true, Fail), (false, Warn)] {
        bare(ours)
            .only(&[
                ("smtp.auth.587", Skip),
                ("smtp.starttls.25", verdict),
                ("smtp.starttls.587", verdict),
                ("tls.versions.25", Skip),
                ("tls.versions.587", Skip),
            ])
            .await;
    }
}

#[tokio::test]
async fn passwords_in_the_clear() {
    World::healthy()
        .speaking(25, |speech| speech.clear.push("AUTH LOGIN PLAIN"))
        .speaking(587, |speech| speech.secured.clear())
        .only(&[("smtp.auth.25", Fail), ("smtp.auth.587", Fail)])
        .await;
}

#[tokio::test]
async fn old_tls_is_seen() {
    let found = World::healthy()
        .speaking(25, |speech| speech.old = true)
        .speaking(465, |speech| speech.old = true)
        .only(&[("tls.versions.25", Warn), ("tls.versions.465", Warn)])
        .await;
    assert_eq!(
        found["tls.versions.25"].found,
        "TLSv1.3, but TLSv1.1 is accepted, too"
    );
}

#[tokio::test]
async fn relays_that_are_open() {
    fn to_everybody(command: &str) -> &'static str {
        match command {
            c if c.starts_with("RCPT TO:") => "250 OK",
            c => guarded(c),
        }
    }
    fn by_percent(command: &str) -> &'static str {
        match command {
            "RCPT TO:<mailctl-relay-test%example.com@smtp.wac.test>" => "250 OK",
            c => guarded(c),
        }
    }
    for (reply, recipient) in [
        (
            to_everybody as fn(&str) -> &'static str,
            "<mailctl-relay-test@example.com>",
        ),
        (by_percent, "<mailctl-relay-test%example.com@smtp.wac.test>"),
    ] {
        let found = World::healthy()
            .speaking(25, |speech| speech.reply = reply)
            .only(&[("relay.open", Fail)])
            .await;
        let told = &found["relay.open"].found;
        assert!(told.contains(recipient), "{told}");
    }
}

#[tokio::test]
async fn a_catch_all_of_the_host_s_name_is_no_relay() {
    fn takes_its_own(command: &str) -> &'static str {
        match command {
            c if c.starts_with("RCPT TO:") && c.ends_with("@smtp.wac.test>") => "250 OK",
            c => guarded(c),
        }
    }
    World::healthy()
        .speaking(25, |speech| speech.reply = takes_its_own)
        .only(&[])
        .await;
}

#[tokio::test]
async fn a_server_that_refuses_us_may_be_open_to_others() {
    fn refuses(command: &str) -> &'static str {
        match command {
            c if c.starts_with("RCPT TO:") => "554 5.7.1 your network is on a blocklist",
            c => guarded(c),
        }
    }
    let world = World::healthy().foreign();
    world
        .speaking(25, |speech| speech.reply = refuses)
        .only(&[("relay.open", Skip)])
        .await;
}

#[tokio::test]
async fn vrfy_and_expn_that_answer() {
    fn talkative(command: &str) -> &'static str {
        match command {
            "VRFY postmaster@wac.test" => "250 Post Master <i@wac.test>",
            "EXPN postmaster@wac.test" => "250-<i@wac.test>\r\n250 <j@wac.test>",
            c => guarded(c),
        }
    }
    World::healthy()
        .speaking(25, |speech| speech.reply = talkative)
        .only(&[("relay.expn", Warn), ("relay.vrfy", Warn)])
        .await;
}

#[tokio::test]
async fn ports_that_do_not_speak_smtp() {
    for act in [
        Act::Says(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        Act::Says(Vec::new()),
        Act::Says(vec![b'x'; 1 << 20]),
        Act::Says(b"220-again\r\n".repeat(1 << 16)),
        Act::Silent,
    ] {
        for (ours, verdict) in [(true, Fail), (false, Skip)] {
            let world = World::healthy().acting(25, Some(act.clone()));
            let world = if ours { world } else { world.foreign() };
            let faults = [
                ("relay.open", Skip),
                ("smtp.greeting.25", verdict),
                ("tls.versions.25", Skip),
            ];
            world.only(&faults).await;
        }
    }
}

#[tokio::test]
async fn ports_that_are_closed() {
    let faults = [("smtp.open.587", Fail), ("tls.versions.587", Skip)];
    World::healthy().acting(587, None).only(&faults).await;
    let found = World::healthy().acting(587, None).foreign().only(&[]).await;
    assert!(!found.contains_key("smtp.open.587"));
    let faults = [
        ("relay.open", Skip),
        ("smtp.open.25", Fail),
        ("tls.versions.25", Skip),
    ];
    let closed = World::healthy().acting(25, None).foreign();
    closed.only(&faults).await;
}

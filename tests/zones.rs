//! What every DNS provider has to do, done with real servers: PowerDNS through
//! its API, Knot and BIND through RFC 2136.

#[path = "support/bind.rs"]
mod bind;
#[path = "support/knot.rs"]
mod knot;
#[path = "support/ports.rs"]
mod ports;
#[path = "support/powerdns.rs"]
mod powerdns;

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;

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
    _server: Box<dyn Any>,
}

fn zones() -> Vec<(&'static str, String)> {
    let foreign = "@ IN TXT \"somebody-else=1\"\nold IN TXT \"cut \" \"in two\"\n*.wild IN TXT \"wild\"\n*.wild IN A 192.0.2.9\n";
    vec![
        (APEX, ports::zone_text(APEX, &[], foreign)),
        (REVERSE4, ports::zone_text(REVERSE4, &[], "")),
        (REVERSE6, ports::zone_text(REVERSE6, &[], "")),
    ]
}

impl World {
    fn new(provider: &'static str, addr: SocketAddr, settings: Settings, server: impl Any) -> Self {
        let dns = Dns::new(Some(addr)).expect("a resolver");
        Self { provider, settings, dns, addr, _server: Box::new(server) }
    }

    async fn powerdns() -> Option<Self> {
        let server = PowerDnsServer::start(&zones()).await?;
        let settings = Settings {
            endpoint: Some(server.endpoint()),
            token: Some(Secret::new(powerdns::API_KEY)),
            ..Settings::default()
        };
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
        self.zone().list(&name(apex), std::slice::from_ref(key)).await.expect("a list").remove(0)
    }

    /// Writes `want` from whatever is there, and sees it in the API and in the DNS.
    async fn put(&self, apex: &str, want: &Rrset) {
        let before = self.list(apex, &want.key).await;
        zone::write(&*self.zone(), &name(apex), &before, want)
            .await
            .unwrap_or_else(|e| panic!("{} {}: {}", self.provider, want.key, e.told()));
        assert_eq!(self.list(apex, &want.key).await, *want, "{}", self.provider);
        let authority = Authority::new(name("ns1.example.test"), self.addr);
        let served = self.dns.ask(&authority, &want.key).await.expect("an answer");
        assert_eq!(served, *want, "{}", self.provider);
    }
}

fn tsig(server: SocketAddr, key_name: &str, key: &str, algorithm: &str) -> Settings {
    Settings {
        server: Some(server.to_string()),
        key_name: Some(key_name.to_owned()),
        key: Some(Secret::new(key)),
        algorithm: Some(algorithm.to_owned()),
        ..Settings::default()
    }
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

/// The whole contract, over one server.
async fn contract(world: Option<World>) {
    let Some(world) = world else { return };
    every_type_is_written_and_read_again(&world).await;
    a_set_lives_its_life(&world).await;
    foreign_values_and_their_octets_stay(&world).await;
    a_wildcard_is_not_the_name_itself(&world).await;
    reverse_zones_take_pointers(&world).await;
    many_sets_come_in_one_list(&world).await;
    a_lost_race_changes_nothing(&world).await;
    challenges_share_a_name(&world).await;
    what_is_not_there_is_said(&world).await;
}

async fn every_type_is_written_and_read_again(world: &World) {
    let long = format!("v=DKIM1; k=rsa; p={}", "MIIBIjANBgkqhkiG9w0BAQ".repeat(30));
    let value = |rtype, text: &str| (rtype, vec![text.to_owned()]);
    let cases = [
        value(RType::A, "192.0.2.7"),
        value(RType::Aaaa, "2001:db8::7"),
        value(RType::Mx, "10 smtp.example.test."),
        value(RType::Srv, "0 1 465 smtp.example.test."),
        value(RType::Caa, "0 issuewild \"ca.example; validationmethods=dns-01\""),
        value(RType::Tlsa, "3 1 1 8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1"),
        value(RType::Txt, &long),
        (RType::Mx, vec!["10 a.example.test.".into(), "20 b.example.test.".into()]),
        value(RType::Txt, r#"a "quoted" \ back\slash; and a semicolon"#),
        (RType::Txt, vec!["one".into(), "two words".into()]),
        value(RType::Txt, "grün"),
    ];
    for (number, (rtype, values)) in cases.into_iter().enumerate() {
        let want = Rrset::new(key(&format!("t{number}.example.test"), rtype), Some(600), values);
        world.put(APEX, &want).await;
    }
    world.put(APEX, &set("alias.example.test", RType::Cname, 300, &["t0.example.test."])).await;
    world.put(APEX, &set("*.any.example.test", RType::A, 300, &["192.0.2.8"])).await;
    world.put(APEX, &set("_25._tcp.example.test", RType::Tlsa, 300, &["3 1 1 00ff"])).await;
}

async fn a_set_lives_its_life(world: &World) {
    let owner = "_dmarc.example.test";
    assert_eq!(world.list(APEX, &key(owner, RType::Txt)).await, Rrset::absent(key(owner, RType::Txt)));
    world.put(APEX, &set(owner, RType::Txt, 300, &["v=DMARC1; p=none"])).await;
    world.put(APEX, &set(owner, RType::Txt, 300, &["v=DMARC1; p=reject"])).await;
    world.put(APEX, &set(owner, RType::Txt, 60, &["v=DMARC1; p=reject"])).await;
    world.put(APEX, &Rrset::absent(key(owner, RType::Txt))).await;
    // Deleting what is gone is no error.
    world.put(APEX, &Rrset::absent(key(owner, RType::Txt))).await;
}

async fn foreign_values_and_their_octets_stay(world: &World) {
    world.put(APEX, &set("example.test", RType::Txt, 300, &["somebody-else=1", "v=spf1 -all"])).await;
    // The value that is cut in two on the server is the condition of the update, and stays.
    world.put(APEX, &set("old.example.test", RType::Txt, 300, &["cut in two", "ours"])).await;
    world.put(APEX, &set("old.example.test", RType::Txt, 300, &["cut in two"])).await;
}

async fn a_wildcard_is_not_the_name_itself(world: &World) {
    let owner = "smtp.wild.example.test";
    assert_eq!(world.list(APEX, &key(owner, RType::A)).await, Rrset::absent(key(owner, RType::A)));
    world.put(APEX, &set(owner, RType::A, 300, &["192.0.2.7"])).await;
    // The very values of the wildcard, this time really there.
    world.put(APEX, &set(owner, RType::A, 300, &["192.0.2.9"])).await;
    world.put(APEX, &set("*.wild.example.test", RType::Txt, 300, &["wilder"])).await;
}

async fn reverse_zones_take_pointers(world: &World) {
    for (apex, ip) in [(REVERSE4, "192.0.2.7"), (REVERSE6, "2001:db8::7")] {
        let owner = Name::reverse(ip.parse().expect("an address"));
        let want = Rrset::new(RrsetKey::new(owner, RType::Ptr), Some(300), ["smtp.example.test"]);
        world.put(apex, &want).await;
    }
}

async fn many_sets_come_in_one_list(world: &World) {
    let keys: Vec<RrsetKey> = (0..250).map(|n| key(&format!("t{n}.example.test"), RType::Txt)).collect();
    let found = world.zone().list(&name(APEX), &keys).await.expect("a list");
    assert_eq!(found.iter().map(|set| set.key.clone()).collect::<Vec<_>>(), keys);
    assert_eq!(found.iter().filter(|set| !set.values.is_empty()).count(), 4);
}

async fn a_lost_race_changes_nothing(world: &World) {
    let owner = "race.example.test";
    let seen = Rrset::absent(key(owner, RType::Txt));
    world.put(APEX, &set(owner, RType::Txt, 300, &["theirs"])).await;
    let ours = set(owner, RType::Txt, 300, &["ours"]);
    for before in [seen, set(owner, RType::Txt, 300, &["what it was before"])] {
        let why = zone::write(&*world.zone(), &name(APEX), &before, &ours).await.expect_err("a lost race");
        assert!(why.told().contains("somebody changed race.example.test TXT"), "{}", why.told());
    }
    assert_eq!(world.list(APEX, &key(owner, RType::Txt)).await, set(owner, RType::Txt, 300, &["theirs"]));
}

async fn challenges_share_a_name(world: &World) {
    let (apex, key) = (name(APEX), key("_acme-challenge.example.test", RType::Txt));
    let values = |of: &[&str]| of.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>();
    // Two orders at once, through two handles, as two processes would.
    let (a, b) = (world.zone(), world.zone());
    let (one, two) = (values(&["apex"]), values(&["wildcard"]));
    let (a, b) = tokio::join!(
        zone::add_values(&*a, &apex, &key, 60, &one),
        zone::add_values(&*b, &apex, &key, 60, &two),
    );
    a.expect("the first is added");
    b.expect("the second is added");
    let zone = world.zone();
    zone::add_values(&*zone, &apex, &key, 60, &one).await.expect("adding twice is no error");
    let both = Rrset::new(key.clone(), Some(60), ["apex", "wildcard"]);
    assert_eq!(world.list(APEX, &key).await, both);
    zone::remove_values(&*zone, &apex, &key, &one).await.expect("removed");
    assert_eq!(world.list(APEX, &key).await, Rrset::new(key.clone(), Some(60), ["wildcard"]));
    zone::remove_values(&*zone, &apex, &key, &values(&["apex", "wildcard"])).await.expect("removed");
    zone::remove_values(&*zone, &apex, &key, &two).await.expect("removing twice is no error");
    assert_eq!(world.list(APEX, &key).await, Rrset::absent(key));
}

async fn what_is_not_there_is_said(world: &World) {
    let zone = world.zone();
    let missing = key("www.missing.test", RType::A);
    let why = zone.list(&name("missing.test"), &[missing.clone()]).await.expect_err("no such zone").told();
    assert!(why.contains("missing.test") && why.contains("do: "), "{why}");
    let want = Rrset::new(missing.clone(), Some(300), ["192.0.2.1"]);
    zone.set(&name("missing.test"), &Rrset::absent(missing.clone()), &want).await.expect_err("no such zone");
    // A name below the apex that is no apex itself is no zone either.
    let below = name("sub.example.test");
    let why = zone.list(&below, &[RrsetKey::new(below.clone(), RType::A)]).await.expect_err("no apex").told();
    assert!(why.contains("sub.example.test"), "{why}");
    let why = zone.list(&name(APEX), &[missing]).await.expect_err("another zone's name").told();
    assert!(why.contains("is not in the zone example.test"), "{why}");
    let nonsense = set("nonsense.example.test", RType::A, 300, &["no address"]);
    let why = zone::write(&*zone, &name(APEX), &Rrset::absent(nonsense.key.clone()), &nonsense)
        .await
        .expect_err("no address");
    assert!(why.told().contains("no address"), "{}", why.told());
}

#[tokio::test]
async fn powerdns_keeps_the_contract() {
    contract(World::powerdns().await).await;
}

#[tokio::test]
async fn knot_keeps_the_contract() {
    contract(World::knot().await).await;
}

#[tokio::test]
async fn bind_keeps_the_contract() {
    contract(World::bind().await).await;
}

/// The failure of a list with these settings, in full.
async fn refusal(world: &World, settings: &Settings) -> String {
    let zone = zone::open(world.provider, settings, &world.dns).expect("a provider");
    zone.list(&name(APEX), &[key(APEX, RType::Txt)]).await.expect_err("a refusal").told()
}

#[tokio::test]
async fn powerdns_errors_say_what_to_do() {
    let Some(world) = World::powerdns().await else { return };
    let wrong = "wrong-token-of-the-test";
    let token = Settings { token: Some(Secret::new(wrong)), ..world.settings.clone() };
    let why = refusal(&world, &token).await;
    assert!(why.contains("token is refused") && why.contains("POWERDNS_TOKEN"), "{why}");
    assert!(!why.contains(wrong), "{why}");
    let other = Settings { server_id: Some("elsewhere".into()), ..world.settings.clone() };
    let why = refusal(&world, &other).await;
    assert!(why.contains("`elsewhere`") && why.contains("example.test"), "{why}");
    let closed = SocketAddr::new(world.addr.ip(), 9);
    let nobody = Settings { endpoint: Some(format!("http://user:hidden@{closed}")), ..world.settings.clone() };
    let why = refusal(&world, &nobody).await;
    assert!(why.contains(&closed.to_string()) && why.contains("endpoint") && !why.contains("hidden"), "{why}");
    // The name server's own port speaks no HTTP.
    let dns_port = Settings { endpoint: Some(format!("http://{}", world.addr)), ..world.settings.clone() };
    let why = refusal(&world, &dns_port).await;
    assert!(why.contains("does not answer"), "{why}");
}

#[tokio::test]
async fn a_conflict_is_told_in_the_words_of_powerdns() {
    let Some(world) = World::powerdns().await else { return };
    let alias = set("old.example.test", RType::Cname, 300, &["www.example.test"]);
    let absent = Rrset::absent(alias.key.clone());
    let why = zone::write(&*world.zone(), &name(APEX), &absent, &alias).await.expect_err("a conflict").told();
    assert!(why.contains("422") && why.contains("old.example.test"), "{why}");
}

async fn tsig_refusals(world: Option<World>) {
    let Some(world) = world else { return };
    let good = &world.settings;
    let wrong_key = "d3JvbmctdHNpZy1rZXktb2YtdGhlLXRlc3Q=";
    let why = refusal(&world, &Settings { key: Some(Secret::new(wrong_key)), ..good.clone() }).await;
    assert!(why.contains("BADSIG") && why.contains("RFC2136_KEY") && !why.contains(wrong_key), "{why}");
    let why = refusal(&world, &Settings { key_name: Some("nobody".into()), ..good.clone() }).await;
    assert!(why.contains("BADKEY") && why.contains("`nobody`"), "{why}");
    let algorithm = Some("hmac-sha384".to_owned());
    let why = refusal(&world, &Settings { algorithm, ..good.clone() }).await;
    assert!(why.contains("BADKEY") && why.contains("algorithm"), "{why}");
    let closed = SocketAddr::new(world.addr.ip(), 9);
    let why = refusal(&world, &Settings { server: Some(closed.to_string()), ..good.clone() }).await;
    assert!(why.contains(&closed.to_string()) && why.contains("does not accept"), "{why}");
}

#[tokio::test]
async fn knot_refusals_say_what_to_do() {
    tsig_refusals(World::knot().await).await;
}

#[tokio::test]
async fn bind_refusals_say_what_to_do() {
    tsig_refusals(World::bind().await).await;
}

#[tokio::test]
async fn a_key_that_may_only_read_is_told_so() {
    let Some(world) = World::bind().await else { return };
    let settings = tsig(world.addr, bind::READER_NAME, bind::KEY, bind::ALGORITHM);
    let zone = zone::open("rfc2136", &settings, &world.dns).expect("a provider");
    let want = set("www.example.test", RType::A, 300, &["192.0.2.1"]);
    let absent = Rrset::absent(want.key.clone());
    let why = zone::write(&*zone, &name(APEX), &absent, &want).await.expect_err("a refusal").told();
    assert!(why.contains("REFUSED") && why.contains("update-policy") && why.contains("`reader`"), "{why}");
}

#[tokio::test]
async fn a_burst_of_updates_arrives_whole() {
    let Some(world) = World::knot().await else { return };
    let mut writes = tokio::task::JoinSet::new();
    for number in 0..60 {
        let zone = world.zone();
        let want = set(&format!("burst{number}.example.test"), RType::Txt, 300, &["here"]);
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
    let Some(world) = World::knot().await else { return };
    let zone = zone::open("manual", &Settings::default(), &world.dns).expect("a provider");
    assert!(zone.by_hand());
    let before = zone.list(&name(APEX), &[key(APEX, RType::Txt)]).await.expect("a list").remove(0);
    assert_eq!(before, set(APEX, RType::Txt, 300, &["somebody-else=1"]));
    let want = set(APEX, RType::Txt, 300, &["somebody-else=1", "v=spf1 -all"]);
    let why = zone::write(&*zone, &name(APEX), &before, &want).await.expect_err("a step for a person");
    assert_eq!(why.code(), Exit::Person);
    assert!(why.told().contains("add a TXT record, name @ (in full example.test.), TTL 300:"), "{}", why.told());
    assert_eq!(world.list(APEX, &key(APEX, RType::Txt)).await, before);
}

#[test]
fn what_open_cannot_use_is_unsound() {
    let dns = Dns::new(Some(([127, 0, 0, 1], 9).into())).expect("a resolver");
    for (provider, word) in [("powerdns", "endpoint"), ("rfc2136", "server"), ("cloudflare", "not yet supported")] {
        let why = zone::open(provider, &Settings::default(), &dns).err().expect("a failure");
        assert_eq!(why.code(), Exit::Unsound);
        assert!(why.told().contains(word), "{}", why.told());
    }
}

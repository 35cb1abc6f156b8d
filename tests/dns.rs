//! The DNS as mailctl sees it, in a small world of real servers: a parent zone,
//! two name servers of a domain, and a resolver that knows only these.

#![allow(missing_docs)]
#![allow(clippy::print_stdout)]

#[path = "support/knot.rs"]
mod knot;
#[path = "support/ports.rs"]
mod ports;
#[path = "support/unbound.rs"]
mod unbound;

use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use knot::KnotServer;
use mailctl::dns::{Authority, Dns, Visible};
use mailctl::record::{Name, RType, Rrset, RrsetKey};
use mailctl::secret::Secret;
use mailctl::zone::{self, Settings};
use ports::{dns_port, own_address, zone_text};
use unbound::UnboundServer;

/// What the domain's zone holds beside its name servers.
const RECORDS: &str = "\
www IN A 192.0.2.7
alias IN CNAME www.half.test.
*.wild IN CNAME www.half.test.
";

struct World {
    dns: Dns,
    first: KnotServer,
    second: KnotServer,
    parent: KnotServer,
    resolver: UnboundServer,
}

impl World {
    /// `None`, after a line that says why, where its programs or port 53 are not to be had.
    async fn start() -> Option<Self> {
        if dns_port() != 53 {
            println!("skipped: port 53 is not free, or not for this user");
            return None;
        }
        let [parent, first, second, resolver] = std::array::from_fn(|_| own_address());
        let at = |ip| SocketAddr::new(ip, 53);
        let mut records = RECORDS.to_owned();
        for number in 0..40 {
            records.push_str(&format!("long IN TXT \"{number} {}\"\n", "x".repeat(120)));
        }
        let example = zone_text(
            "example.test",
            &[("ns1.example.test.", first), ("ns2.example.test.", second)],
            &records,
        );
        let dead = own_address();
        let zones = [
            (
                "test",
                zone_text("test", &[("ns.test.", parent)], &delegation(first, second)),
            ),
            (
                "lonely.test",
                zone_text("lonely.test", &[("ns.nowhere.test.", parent)], ""),
            ),
            (
                "front.test",
                zone_text(
                    "front.test",
                    &[("ns.front.test.", resolver)],
                    "@ IN A 192.0.2.8\n",
                ),
            ),
            (
                "half.test",
                zone_text(
                    "half.test",
                    &[
                        ("ns1.half.test.", parent),
                        ("ns2.half.test.", first),
                        ("ns3.half.test.", dead),
                    ],
                    "www IN A 192.0.2.9\nns4 IN A 192.0.2.1\n@ IN NS ns.nowhere.test.\n",
                ),
            ),
        ];
        let parent = KnotServer::start_at(at(parent), &zones).await?;
        let first = KnotServer::start_at(at(first), &[("example.test", example.clone())]).await?;
        let second = KnotServer::start_at(at(second), &[("example.test", example)]).await?;
        let resolver = UnboundServer::start_at(
            SocketAddr::new(resolver, 5300),
            &["test", "front.test"],
            parent.dns,
        )
        .await?;
        let dns = Dns::new(Some(resolver.dns)).expect("a resolver");
        Some(Self {
            dns,
            first,
            second,
            parent,
            resolver,
        })
    }

    fn first(&self) -> Authority {
        Authority::new(name("ns1.example.test"), self.first.dns)
    }

    fn second(&self) -> Authority {
        Authority::new(name("ns2.example.test"), self.second.dns)
    }
}

fn delegation(first: IpAddr, second: IpAddr) -> String {
    format!(
        "example IN NS ns1.example.test.\nexample IN NS ns2.example.test.\n\
         ns1.example IN A {first}\nns2.example IN A {second}\n"
    )
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

/// Writes at one server only: the other one stays as it is.
async fn write_at(server: &str, dns: &Dns, want: &Rrset) {
    let settings = Settings::default()
        .with("server", server)
        .with("key_name", knot::KEY_NAME)
        .with("key", Secret::new(knot::KEY));
    let zone = zone::open("rfc2136", &settings, dns).expect("a provider");
    let apex = name("example.test");
    let before = zone
        .list(&apex, std::slice::from_ref(&want.key))
        .await
        .expect("a list")
        .remove(0);
    zone::write(&*zone, &apex, &before, want)
        .await
        .expect("a write");
}

#[tokio::test]
async fn the_zone_of_a_name_is_found() {
    let Some(world) = World::start().await else {
        return;
    };
    for (of, apex) in [
        ("example.test", "example.test"),
        ("www.example.test", "example.test"),
        ("_dmarc.example.test", "example.test"),
        ("a.b.c.nothing.example.test", "example.test"),
        ("*.example.test", "example.test"),
        // Aliases lead to another zone, but are in this one.
        ("alias.example.test", "example.test"),
        ("x.wild.example.test", "example.test"),
        ("x.half.test", "half.test"),
    ] {
        assert_eq!(
            world.dns.zone_of(&name(of)).await.expect("a zone"),
            name(apex),
            "{of}"
        );
    }
    for of in ["www.unregistered.test", "test"] {
        let why = world
            .dns
            .zone_of(&name(of))
            .await
            .expect_err("no zone")
            .told();
        assert!(
            why.contains(of) && why.contains("is the domain registered, and delegated"),
            "{why}"
        );
    }
}

#[tokio::test]
async fn the_servers_of_a_zone_are_found() {
    let Some(world) = World::start().await else {
        return;
    };
    let found = world
        .dns
        .authorities(&name("example.test"))
        .await
        .expect("servers");
    assert_eq!(found, [world.first(), world.second()]);
    // One without an address is left out while there are others.
    let found = world
        .dns
        .authorities(&name("half.test"))
        .await
        .expect("servers");
    let names: Vec<String> = found.iter().map(|a| a.name.to_string()).collect();
    assert_eq!(names, ["ns1.half.test", "ns2.half.test", "ns3.half.test"]);
    let why = world
        .dns
        .authorities(&name("lonely.test"))
        .await
        .expect_err("none")
        .told();
    assert!(why.contains("ns.nowhere.test: it has no address"), "{why}");
    let why = world
        .dns
        .authorities(&name("www.example.test"))
        .await
        .expect_err("none")
        .told();
    assert!(why.contains("it has no NS records"), "{why}");
}

#[tokio::test]
async fn a_resolver_with_its_own_port_stands_for_the_server_at_its_address() {
    let Some(world) = World::start().await else {
        return;
    };
    // It is not the server itself: it is asked as what it is.
    let found = world
        .dns
        .authorities(&name("front.test"))
        .await
        .expect("servers");
    let ns = Authority::new(name("ns.front.test"), world.resolver.dns);
    assert_eq!(
        found,
        [Authority {
            recursive: true,
            ..ns
        }]
    );
    let seen = world
        .dns
        .ask(&found[0], &key("front.test", RType::A))
        .await
        .expect("an answer");
    assert_eq!(
        seen.values,
        set("front.test", RType::A, 300, &["192.0.2.8"]).values
    );

    // It is the server: the name server's address and the resolver's are one.
    let ip = own_address();
    let zone = zone_text(
        "private.test",
        &[("ns.private.test.", ip)],
        "www IN A 192.0.2.7\n",
    );
    let unnamed = zone_text("unnamed.test", &[("ns.elsewhere.invalid.", ip)], "");
    let zones = [("private.test", zone), ("unnamed.test", unnamed)];
    let server = KnotServer::start_at(SocketAddr::new(ip, 5399), &zones)
        .await
        .expect("knot is installed");
    let dns = Dns::new(Some(server.dns)).expect("a resolver");
    let found = dns
        .authorities(&name("private.test"))
        .await
        .expect("servers");
    assert_eq!(found, [Authority::new(name("ns.private.test"), server.dns)]);
    let found = dns
        .authorities(&name("unnamed.test"))
        .await
        .expect("servers");
    assert_eq!(found, [Authority::new(name("resolver"), server.dns)]);
    dns.wait_visible(
        &name("private.test"),
        &set("www.private.test", RType::A, 300, &["192.0.2.7"]),
        Visible::Exactly,
        Duration::from_secs(5),
        &|_, _| {},
    )
    .await
    .expect("visible");
}

#[tokio::test]
async fn absent_and_failed_are_told_apart() {
    let Some(world) = World::start().await else {
        return;
    };
    let (dns, first) = (&world.dns, world.first());
    let www = set("www.example.test", RType::A, 300, &["192.0.2.7"]);
    assert_eq!(dns.ask(&first, &www.key).await.expect("data"), www);
    for absent in [
        key("nothing.example.test", RType::A),
        key("www.example.test", RType::Mx),
    ] {
        assert_eq!(
            dns.ask(&first, &absent).await.expect("NXDOMAIN, NODATA"),
            Rrset::absent(absent.clone())
        );
        assert_eq!(
            dns.resolve(&absent).await.expect("NXDOMAIN, NODATA"),
            Rrset::absent(absent)
        );
    }
    let why = dns
        .ask(&first, &key("www.half.test", RType::A))
        .await
        .expect_err("another's zone")
        .told();
    assert!(
        why.contains("REFUSED") && why.contains(&first.to_string()),
        "{why}"
    );
    // The parent answers with a referral, which says nothing about the name.
    let parent = Authority::new(name("ns.test"), world.parent.dns);
    let why = dns
        .ask(&parent, &www.key)
        .await
        .expect_err("a referral")
        .told();
    assert!(why.contains("without authority"), "{why}");
    let dead = Authority::new(name("ns9.example.test"), SocketAddr::new(own_address(), 53));
    let why = dns
        .ask(&dead, &www.key)
        .await
        .expect_err("nobody listens")
        .told();
    assert!(
        why.contains("ns9.example.test") && why.contains(&dead.addr.to_string()),
        "{why}"
    );
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0")
        .await
        .expect("a socket");
    let addr = silent.local_addr().expect("its address");
    let dns = Dns::new(Some(addr)).expect("a resolver");
    let begun = Instant::now();
    let server = Authority::new(name("ns.example.test"), addr);
    let why = dns
        .ask(&server, &key("example.test", RType::A))
        .await
        .expect_err("silence")
        .told();
    assert!(why.contains("no answer within 3 s, asked 2 times"), "{why}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_cut_off_answer_is_fetched_over_tcp() {
    let Some(world) = World::start().await else {
        return;
    };
    let long = world
        .dns
        .ask(&world.first(), &key("long.example.test", RType::Txt))
        .await
        .expect("an answer");
    assert_eq!(long.values.len(), 40);
    let resolved = world.dns.resolve(&long.key).await.expect("an answer");
    assert_eq!(resolved.values, long.values);
}

#[tokio::test]
async fn an_alias_is_shown_by_servers_and_followed_by_resolvers() {
    let Some(world) = World::start().await else {
        return;
    };
    for owner in ["alias.example.test", "any.wild.example.test"] {
        let key = key(owner, RType::A);
        let answer = world
            .dns
            .ask_whole(&world.first(), &key)
            .await
            .expect("an answer");
        assert_eq!(answer.set, Rrset::absent(key.clone()));
        assert_eq!(answer.cname, Some(name("www.half.test")));
        let resolved = world.dns.resolve(&key).await.expect("an answer");
        assert_eq!(
            resolved.values,
            set(owner, RType::A, 300, &["192.0.2.9"]).values
        );
    }
}

#[tokio::test]
async fn an_alias_leads_to_a_name_and_its_zone() {
    let Some(world) = World::start().await else {
        return;
    };
    for (owner, end, apex) in [
        ("alias.example.test", "www.half.test", "half.test"),
        (
            "_acme-challenge.wild.example.test",
            "www.half.test",
            "half.test",
        ),
        ("www.example.test", "www.example.test", "example.test"),
        (
            "_acme-challenge.example.test",
            "_acme-challenge.example.test",
            "example.test",
        ),
        // A name that is a zone of its own.
        ("example.test", "example.test", "example.test"),
    ] {
        let led = world.dns.canonical_name(&name(owner)).await;
        assert_eq!(led.expect(owner), (name(end), name(apex)), "{owner}");
    }
}

#[tokio::test]
async fn every_server_is_heard_for_itself() {
    let Some(world) = World::start().await else {
        return;
    };
    let keys = [
        key("www.half.test", RType::A),
        key("ns4.half.test", RType::A),
    ];
    let mut heard = world
        .dns
        .everywhere(&name("half.test"), &keys)
        .await
        .expect("servers")
        .into_iter();
    let (_, good) = heard.next().expect("the first");
    let values = [
        set("www.half.test", RType::A, 300, &["192.0.2.9"]),
        set("ns4.half.test", RType::A, 300, &["192.0.2.1"]),
    ];
    assert_eq!(good.expect("answers"), values);
    let (_, refused) = heard.next().expect("the second");
    assert!(
        refused
            .expect_err("it has not the zone")
            .told()
            .contains("REFUSED")
    );
    let (_, dead) = heard.next().expect("the third");
    assert!(
        dead.expect_err("nobody listens")
            .told()
            .contains("ns3.half.test")
    );
    assert!(heard.next().is_none());
}

#[tokio::test]
async fn a_change_is_visible_when_the_last_server_shows_it() {
    let Some(world) = World::start().await else {
        return;
    };
    let (dns, apex) = (&world.dns, name("example.test"));
    let want = set("_acme-challenge.example.test", RType::Txt, 60, &["token"]);
    write_at("ns1.example.test", dns, &want).await;
    let heard = Mutex::new(Vec::new());
    let progress = |now, all| heard.lock().expect("a list").push((now, all));
    let wait =
        |how, seconds| dns.wait_visible(&apex, &want, how, Duration::from_secs(seconds), &progress);

    let why = wait(Visible::Contains, 1)
        .await
        .expect_err("the second lags")
        .told();
    assert!(
        why.contains(&format!("{} shows nothing", world.second())),
        "{why}"
    );
    assert!(
        why.contains("1 of 2") && !why.contains(&world.first().to_string()),
        "{why}"
    );
    assert_eq!(*heard.lock().expect("a list"), [(1, 2)]);

    let late = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        write_at(
            "ns2.example.test:53",
            dns,
            &set(
                "_acme-challenge.example.test",
                RType::Txt,
                60,
                &["token", "other"],
            ),
        )
        .await;
    };
    let (_, visible) = tokio::join!(late, wait(Visible::Contains, 30));
    visible.expect("both show it");
    assert_eq!(heard.lock().expect("a list").last(), Some(&(2, 2)));
    let why = wait(Visible::Exactly, 1)
        .await
        .expect_err("one shows more")
        .told();
    assert!(why.contains("“other”, “token”, TTL 60"), "{why}");
    let why = wait(Visible::Gone, 1)
        .await
        .expect_err("both show it")
        .told();
    assert!(why.contains("2 of 2"), "{why}");
    for server in ["ns1.example.test", "ns2.example.test"] {
        write_at(server, dns, &Rrset::absent(want.key.clone())).await;
    }
    wait(Visible::Gone, 30).await.expect("both have it no more");
}

#[tokio::test]
async fn thousands_of_questions_are_answered() {
    let Some(world) = World::start().await else {
        return;
    };
    let keys: Vec<RrsetKey> = (0..2000)
        .map(|n| key(&format!("t{n}.example.test"), RType::Txt))
        .collect();
    let heard = world
        .dns
        .everywhere(&name("example.test"), &keys)
        .await
        .expect("servers");
    assert_eq!(heard.len(), 2);
    for (_, sets) in heard {
        assert_eq!(
            sets.expect("answers"),
            keys.iter().cloned().map(Rrset::absent).collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn the_resolver_for_libraries_asks_the_same_server() {
    let Some(world) = World::start().await else {
        return;
    };
    let resolver = world.dns.resolver().expect("a resolver");
    let found = resolver
        .lookup_ip("www.half.test.")
        .await
        .expect("an address");
    assert_eq!(
        found.iter().collect::<Vec<_>>(),
        ["192.0.2.9".parse::<IpAddr>().expect("an address")]
    );
}

#[tokio::test]
async fn a_name_is_not_remembered_as_absent_because_its_zone_was_looked_for() {
    let Some(world) = World::start().await else {
        return;
    };
    let want = set("_late.example.test", RType::Txt, 300, &["here"]);
    let zone = world.dns.zone_of(&want.key.name).await.expect("a zone");
    assert_eq!(zone, name("example.test"));
    for server in [&world.first, &world.second] {
        write_at(&server.dns.to_string(), &world.dns, &want).await;
    }
    let seen = world.dns.resolve(&want.key).await.expect("an answer");
    assert_eq!(seen.values, want.values);
}

#[tokio::test]
async fn fresh_eyes_see_past_the_resolver() {
    let Some(world) = World::start().await else {
        return;
    };
    let want = set("_late.example.test", RType::Txt, 300, &["here"]);
    // The resolver has learnt that it is absent.
    let before = world.dns.resolve(&want.key).await.expect("an answer");
    assert!(before.values.is_empty());
    for server in [&world.first, &world.second] {
        write_at(&server.dns.to_string(), &world.dns, &want).await;
    }
    let remembered = world.dns.resolve(&want.key).await.expect("an answer");
    assert!(
        remembered.values.is_empty(),
        "the resolver is not asked anew"
    );
    let fresh = world.dns.fresh(vec![name("example.test")]).await;
    let fresh = fresh.expect("a forwarder");
    let seen = fresh.dns().resolve(&want.key).await.expect("an answer");
    assert_eq!(seen.values, want.values);
    // What is elsewhere, or an alias, is the resolver's to answer.
    for (owner, value) in [
        ("www.half.test", "192.0.2.9"),
        ("alias.example.test", "192.0.2.9"),
    ] {
        let seen = fresh.dns().resolve(&key(owner, RType::A)).await;
        let seen = seen.expect("an answer");
        assert!(seen.values.contains(value), "{owner}: {seen:?}");
    }
    // Libraries are led there too, and long answers arrive.
    let resolver = fresh.dns().resolver().expect("a resolver");
    for owner in ["_late.example.test.", "long.example.test."] {
        let found = resolver.txt_lookup(owner).await.expect("an answer");
        assert!(!found.answers().is_empty(), "{owner}");
    }
}

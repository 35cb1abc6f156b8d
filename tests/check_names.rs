//! `check`'s questions about names and reputation, asked in a small world of
//! real servers: a parent zone, two name servers, blocklists, and a resolver
//! that knows only these.

#![allow(missing_docs)]
#![allow(clippy::print_stdout)]

#[path = "support/knot.rs"]
mod knot;
#[path = "support/ports.rs"]
mod ports;
#[path = "support/unbound.rs"]
mod unbound;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use Verdict::{Fail, Pass, Skip, Warn};
use knot::KnotServer;
use mailctl::check::{self, Choice, Expected, Finding, Outside, Settings, Verdict};
use mailctl::dns::Dns;
use mailctl::record::Name;
use ports::{dns_port, own_address, zone_text};
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use unbound::UnboundServer;

const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

/// Zones and their servers; everything else is at the parent.
struct World {
    dns: Dns,
    parent: KnotServer,
    first: KnotServer,
    second: KnotServer,
    _resolver: UnboundServer,
    /// Where `smtp.good.test` is.
    smtp: IpAddr,
}

impl World {
    /// `None`, after a line that says why, where its programs or port 53 are not to be had.
    async fn start() -> Option<Self> {
        if dns_port() != 53 {
            println!("skipped: port 53 is not free, or not for this user");
            return None;
        }
        let [parent, first, second, dead, resolver, smtp, other] =
            std::array::from_fn(|_| own_address());
        let at = |ip| SocketAddr::new(ip, 53);
        let here = [("ns1.servers.test.", first), ("ns2.servers.test.", second)];
        let good = zone_text(
            "good.test",
            &here,
            &format!(
                "@ IN MX 10 smtp\n@ IN TXT \"v=spf1 a:smtp.good.test ip6:fd00:6d61::7 -all\"\n\
                 _dmarc IN TXT \"v=DMARC1; p=none\"\nsmtp IN A {smtp}\nsmtp IN AAAA fd00:6d61::7\n"
            ),
        );
        let stale = |serial: &str, mx: &str| {
            let text = zone_text("stale.test", &here, &format!("@ IN MX 10 {mx}\n"));
            text.replace(" 1 3600 ", &format!(" {serial} 3600 "))
        };
        let lame = zone_text("lame.test", &here, "");
        let uneven = zone_text("uneven.test", &here[..1], "");
        let odd = zone_text(
            "odd.test",
            &here,
            "@ IN MX 10 alias\nalias IN CNAME smtp.good.test.\n@ IN MX 20 nowhere\n@ IN MX 30 localhost.\n\
             *.nobody IN A 192.0.2.1\n*._domainkey IN TXT \"hello\"\n",
        )
        // Secondary servers give it up before they look again, and absence lasts for a week.
        .replace(" 1 3600 600 86400 60", " 1 86400 600 3600 604800")
        .replace("$TTL 300", "$TTL 604800");
        let null = zone_text(
            "null.test",
            &here,
            "@ IN MX 0 .\n@ IN MX 10 smtp.good.test.\n",
        );
        let bogus = zone_text("bogus.test", &here, "");

        let both = |zone: &str| format!("{zone} IN NS ns1.servers\n{zone} IN NS ns2.servers\n");
        let mut delegations: String = ["good", "stale", "lame", "odd", "null", "bogus"]
            .map(both)
            .concat();
        delegations.push_str(&format!(
            "uneven IN NS ns1.servers\nuneven IN NS ns3.servers\n\
             dead IN NS ns4.servers\nbogus IN DS 4711 8 2 {}\n\
             ns1.servers IN A {first}\nns2.servers IN A {second}\nns4.servers IN A {dead}\n\
             ns3.servers IN TXT \"no address\"\nother IN A {other}\n",
            "ab".repeat(32)
        ));
        let zones = [
            (
                "test",
                zone_text("test", &[("ns.test.", parent)], &delegations),
            ),
            (
                "127.in-addr.arpa",
                zone_text(
                    "127.in-addr.arpa",
                    &[("ns.test.", parent)],
                    &format!(
                        "{} IN PTR smtp.good.test.\n{} IN PTR other.test.\n",
                        backwards(smtp),
                        backwards(second)
                    ),
                ),
            ),
            // Nobody has a name there.
            (
                "d.f.ip6.arpa",
                zone_text("d.f.ip6.arpa", &[("ns.test.", parent)], ""),
            ),
        ];
        let first_zones = [
            ("good.test", good.clone()),
            ("stale.test", stale("42", "new")),
            ("lame.test", lame),
            ("uneven.test", uneven),
            ("odd.test", odd.clone()),
            ("null.test", null.clone()),
            ("bogus.test", bogus.clone()),
        ];
        let second_zones = [
            ("good.test", good),
            ("stale.test", stale("41", "old")),
            ("odd.test", odd),
            ("null.test", null),
            ("bogus.test", bogus),
        ];
        let parent = KnotServer::start_at(at(parent), &zones).await?;
        let first = KnotServer::start_at(at(first), &first_zones).await?;
        let second = KnotServer::start_at(at(second), &second_zones).await?;
        let resolver = UnboundServer::start_at(
            SocketAddr::new(resolver, 5300),
            &["test", "127.in-addr.arpa", "d.f.ip6.arpa"],
            parent.dns,
        )
        .await?;
        Some(Self {
            dns: Dns::new(Some(resolver.dns)).expect("a resolver"),
            parent,
            first,
            second,
            _resolver: resolver,
            smtp,
        })
    }

    async fn asked(&self, domain: &str, only: &[&str]) -> Found {
        asked(self.dns.clone(), settings(), domain, None, only).await
    }
}

/// The address within its reverse zone.
fn backwards(address: IpAddr) -> String {
    let reverse = Name::reverse(address);
    let relative = reverse.as_str().strip_suffix(".127.in-addr.arpa");
    relative.expect("an address of 127/8").to_owned()
}

fn settings() -> Settings {
    let mut settings = Settings::new(NOW);
    settings.patience = Duration::from_secs(2);
    // Nothing of this may leave the machine.
    settings.rdap = "http://127.0.0.1:1".into();
    settings.far = "127.0.0.1:1".into();
    settings.blocklists = Some(Vec::new());
    settings
}

/// What was found, by id and subject.
struct Found(Vec<Finding>);

impl Found {
    /// The one finding of this id, or the one about this subject.
    #[track_caller]
    fn of(&self, id: &str, subject: &str) -> &Finding {
        let mut all = self.0.iter();
        all.find(|finding| finding.id == id && finding.subject == subject)
            .unwrap_or_else(|| panic!("no {id} of {subject} among {:#?}", self.0))
    }

    #[track_caller]
    fn is(&self, id: &str, subject: &str, verdict: Verdict, words: &[&str]) {
        let finding = self.of(id, subject);
        assert_eq!(finding.verdict, verdict, "{finding:#?}");
        for word in words {
            assert!(finding.found.contains(word), "`{word}`: {finding:#?}");
        }
        let needs_fix = matches!(verdict, Warn | Fail);
        assert_eq!(needs_fix, !finding.fix.is_empty(), "{finding:#?}");
    }
}

async fn asked(
    dns: Dns,
    settings: Settings,
    domain: &str,
    expected: Option<Expected>,
    only: &[&str],
) -> Found {
    let choice = Choice {
        only: only.iter().map(|id| (*id).to_owned()).collect(),
        skip: Vec::new(),
    };
    assert_eq!(choice.unknown(), Vec::<&str>::new());
    let outside = Arc::new(Outside::new(dns, settings));
    let domains = [(name(domain), expected.map(Arc::new))];
    let report = check::check(&outside, &domains, &choice, Duration::from_secs(60)).await;
    Found(report.results)
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

#[tokio::test]
async fn a_zone_is_judged_at_every_one_of_its_servers() {
    let Some(world) = World::start().await else {
        return;
    };
    let (first, second) = (world.first.dns, world.second.dns);

    let found = world.asked("good.test", &["zone", "mx"]).await;
    for id in [
        "delegation",
        "servers",
        "resolver",
        "soa",
        "dnssec",
        "wildcard",
    ] {
        found.is(&format!("zone.{id}"), "good.test", Pass, &[]);
    }
    found.is(
        "zone.servers",
        "good.test",
        Pass,
        &["2 addresses asked, all with serial 1"],
    );
    found.is("zone.dnssec", "good.test", Pass, &["not signed"]);
    found.is("mx.record", "good.test", Pass, &["10 smtp.good.test"]);
    found.is("mx.alias", "smtp.good.test", Pass, &[]);
    found.is("mx.address", "smtp.good.test", Pass, &[]);

    let found = world.asked("stale.test", &["zone"]).await;
    let differing = format!(
        "unlike ns1.servers.test ({first}): ns2.servers.test ({second}) has serial 41, not 42, \
         stale.test MX `10 old.stale.test.`, not `10 new.stale.test.`"
    );
    found.is("zone.servers", "stale.test", Fail, &[&differing]);
    found.is("zone.delegation", "stale.test", Pass, &[]);

    let found = world.asked("lame.test", &["zone"]).await;
    let lame = format!("ns2.servers.test ({second}): it answers REFUSED");
    found.is("zone.delegation", "lame.test", Warn, &[&lame]);
    found.is(
        "zone.servers",
        "lame.test",
        Pass,
        &["no answer from ns2.servers.test"],
    );

    let found = world.asked("uneven.test", &["zone"]).await;
    let words = [
        "ns3.servers.test: it has no address",
        "only the zone above names ns3.servers.test",
    ];
    found.is("zone.delegation", "uneven.test", Warn, &words);

    let found = world.asked("dead.test", &["zone"]).await;
    found.is(
        "zone.delegation",
        "dead.test",
        Fail,
        &["no name server answers", "ns4.servers.test"],
    );
    found.is("zone.servers", "dead.test", Skip, &[]);

    let found = world.asked("unregistered.test", &["zone"]).await;
    found.is(
        "zone.delegation",
        "unregistered.test",
        Fail,
        &["the closest zone above it is test"],
    );

    let found = world.asked("bogus.test", &["zone"]).await;
    found.is("zone.dnssec", "bogus.test", Fail, &["key 4711"]);

    let found = world.asked("odd.test", &["zone", "mx"]).await;
    found.is(
        "zone.soa",
        "odd.test",
        Warn,
        &["remembered for 604800 s", "give the zone up"],
    );
    found.is("zone.wildcard", "odd.test", Warn, &["hello"]);
    found.is("mx.alias", "alias.odd.test", Fail, &["smtp.good.test"]);
    found.is("mx.address", "nowhere.odd.test", Fail, &["no A or AAAA"]);
    found.is("mx.address", "localhost", Fail, &[]);

    let found = world.asked("null.test", &["mx"]).await;
    found.is("mx.record", "null.test", Fail, &["a null MX beside others"]);
}

#[tokio::test]
async fn a_host_is_judged_at_each_of_its_addresses() {
    let Some(world) = World::start().await else {
        return;
    };
    // A mail server, as far as its greeting goes.
    let Ok(listener) = TcpListener::bind((world.smtp, 25)).await else {
        println!("skipped: port 25 is not for this user");
        return;
    };
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _gone = stream.write_all(b"220 smtp.good.test ESMTP\r\n").await;
            let _gone = stream.read(&mut [0; 512]).await;
            let _gone = stream.write_all(b"250 smtp.good.test\r\n").await;
            let _gone = stream.read(&mut [0; 512]).await;
        }
    });
    let smtp = world.smtp.to_string();
    let found = world.asked("good.test", &["host"]).await;
    found.is(
        "host.address",
        "smtp.good.test",
        Pass,
        &[&smtp, "fd00:6d61::7"],
    );
    found.is("host.ptr", &smtp, Pass, &["smtp.good.test"]);
    found.is("host.confirmed", &smtp, Pass, &[]);
    found.is("host.ehlo", &smtp, Pass, &["smtp.good.test"]);
    found.is("host.generic", &smtp, Pass, &[]);
    // The other address has no reverse name, and nobody can be asked there.
    found.is("host.ptr", "fd00:6d61::7", Fail, &["no reverse name"]);
    assert!(found.of("host.ptr", "fd00:6d61::7").why.contains("5.7.25"));
    found.is("host.ehlo", "fd00:6d61::7", Skip, &[]);

    // mail.yaml may say otherwise.
    let expected = Expected {
        host: Some(name("smtp.good.test")),
        addresses: vec![world.smtp, [192, 0, 2, 7].into()],
        receives: true,
        ..Expected::default()
    };
    let only = ["host.address", "mx.own"];
    let found = asked(
        world.dns.clone(),
        settings(),
        "good.test",
        Some(expected),
        &only,
    )
    .await;
    found.is(
        "host.address",
        "smtp.good.test",
        Fail,
        &["192.0.2.7 is missing"],
    );
    found.is("mx.own", "good.test", Pass, &[]);
    serving.abort();
}

#[tokio::test]
async fn blocklists_are_believed_when_they_are_in_order() {
    let Some(world) = World::start().await else {
        return;
    };
    let smtp = Name::reverse(world.smtp);
    let smtp = smtp.as_str().trim_end_matches(".in-addr.arpa").to_owned();
    // fd00:6d61::7, its nibbles backwards and, wrongly, forwards.
    let six = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.6.d.6.0.0.d.f";
    let forwards = "f.d.0.0.6.d.6.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7";
    let mapped = "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0";
    let is = |owner: &str| format!("{owner} IN A 127.0.0.2\n");
    let four = is("2.0.0.127");
    let lists = [
        (
            "four.bl",
            four.clone() + &is(&smtp) + &smtp + " IN TXT \"sent spam\"\n",
        ),
        ("clean.bl", four.clone()),
        ("six.bl", four.clone() + &is(mapped) + &is(six)),
        ("forwards.bl", four + &is(mapped) + &is(forwards)),
        ("refusing.bl", "* IN A 127.255.255.254\n".into()),
        ("everything.bl", is("*")),
        ("ended.bl", "* IN A 203.0.113.80\n".into()),
        ("empty.bl", String::new()),
        (
            "names.bl",
            is("test") + &is("good.test") + &is("*.good.test"),
        ),
    ];
    let at = SocketAddr::new(own_address(), 53);
    let zones: Vec<(&str, String)> = lists
        .iter()
        .map(|(zone, text)| (*zone, zone_text(zone, &[("ns.test.", at.ip())], text)))
        .collect();
    let _server = KnotServer::start_at(at, &zones)
        .await
        .expect("knot is installed");
    let parent = world.parent.dns;
    let mut known = vec![("test", parent), ("127.in-addr.arpa", parent)];
    known.extend(lists.iter().map(|(zone, _)| (*zone, at)));
    let resolver = SocketAddr::new(own_address(), 5300);
    let resolver = UnboundServer::start_for(resolver, &known)
        .await
        .expect("unbound is installed");
    let ask = |zones: &'static [&str]| {
        let dns = Dns::new(Some(resolver.dns)).expect("a resolver");
        let mut settings = settings();
        settings.blocklists = Some(zones.iter().map(|zone| (*zone).to_owned()).collect());
        let only = ["blocklist", "resolver.blocklists"];
        async move { asked(dns, settings, "good.test", None, &only).await }
    };
    let (four, six, by) = (
        world.smtp.to_string(),
        "fd00:6d61::7",
        resolver.dns.to_string(),
    );
    const ADDRESS: &str = "blocklist.address";

    let found = ask(&["four.bl", "clean.bl", "refusing.bl"]).await;
    let words = [
        "listed by four.bl (127.0.0.2): sent spam",
        "unknown: refusing.bl",
    ];
    found.is(ADDRESS, &four, Fail, &words);
    let words = ["refusing.bl: it does not answer public resolvers (127.255.255.254)"];
    found.is("resolver.blocklists", &by, Warn, &words);

    let found = ask(&["clean.bl", "refusing.bl"]).await;
    let words = ["on none of 1 lists; unknown: refusing.bl"];
    found.is(ADDRESS, &four, Pass, &words);

    let found = ask(&["six.bl"]).await;
    found.is(ADDRESS, six, Fail, &["six.bl"]);
    let found = ask(&["forwards.bl"]).await;
    found.is(ADDRESS, six, Pass, &["on none of 1 lists"]);

    // Lists that are out of order list nobody.
    for (list, why) in [
        (&["refusing.bl"], "public resolvers"),
        (&["everything.bl"], "it lists everything"),
        (&["ended.bl"], "203.0.113.80 is none of a blocklist"),
        (&["empty.bl"], "its own test entry"),
    ] {
        let found = ask(list).await;
        found.is(ADDRESS, &four, Skip, &[why]);
        found.is("blocklist.domain", "good.test", Skip, &[why]);
    }

    // A list of domains says nothing of addresses, and the other way round.
    let found = ask(&["names.bl", "clean.bl"]).await;
    found.is(
        "blocklist.domain",
        "good.test",
        Fail,
        &["listed by names.bl"],
    );
    found.is(ADDRESS, &four, Pass, &["on none of 1 lists"]);
}

#[tokio::test]
async fn a_resolver_that_invents_answers_is_seen() {
    let Some(world) = World::start().await else {
        return;
    };
    let by = world.dns.resolvers()[0].to_string();
    let found = world.asked("good.test", &["resolver"]).await;
    found.is("resolver.answers", &by, Pass, &[]);
    found.is("resolver.nxdomain", &by, Pass, &["NXDOMAIN"]);
    found.is("resolver.dnssec", &by, Skip, &[]);
    found.is("resolver.blocklists", &by, Skip, &[]);

    let at = SocketAddr::new(own_address(), 5300);
    let root = "$ORIGIN .\n$TTL 300\n@ IN SOA ns.test. hostmaster.test. 1 3600 600 86400 60\n\
                @ IN NS ns.test.\n* IN A 203.0.113.80\n";
    let _liar = KnotServer::start_at(at, &[(".", root.into())]).await;
    let dns = Dns::new(Some(at)).expect("a resolver");
    let mut settings = settings();
    settings.blocklists = Some(vec!["bl.example".into()]);
    let only = ["resolver.nxdomain", "blocklist.domain"];
    let found = asked(dns, settings, "good.test", None, &only).await;
    found.is(
        "resolver.nxdomain",
        &at.to_string(),
        Warn,
        &["203.0.113.80"],
    );
    found.is("blocklist.domain", "good.test", Skip, &["203.0.113.80"]);
}

#[tokio::test]
async fn registrations_are_asked_for_by_rdap() {
    let registry = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = registry.local_addr().expect("its address");
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = registry.accept().await {
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let path = request.split_whitespace().nth(1).unwrap_or_default();
            let (status, body) = match path {
                // It redirects to the registry, as rdap.org does.
                "/domain/wac.tax" => (
                    format!("302 Found\r\nLocation: http://{at}/tax/wac.tax"),
                    "",
                ),
                "/tax/wac.tax" => (
                    "200 OK".into(),
                    r#"{"events": [{"eventAction": "registration", "eventDate": "2026-11-20T00:00:00Z"},
                        {"eventAction": "expiration", "eventDate": "2026-11-21T00:00:00Z"}]}"#,
                ),
                "/domain/busy.tax" => ("429 Too Many Requests".into(), ""),
                _ => ("404 Not Found".into(), ""),
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let _gone = stream.write_all(answer.as_bytes()).await;
        }
    });
    // The zone's apex is not known: nobody resolves.
    let dns = Dns::new(Some(SocketAddr::new(own_address(), 1))).expect("a resolver");
    let ask = |domain: &'static str| {
        let mut settings = settings();
        settings.rdap = format!("http://{at}");
        let dns = dns.clone();
        async move { asked(dns, settings, domain, None, &["registration"]).await }
    };
    let found = ask("mail.wac.tax").await;
    found.is("registration.age", "wac.tax", Warn, &["2 days ago"]);
    found.is("registration.expiry", "wac.tax", Fail, &["2026-11-21"]);
    let found = ask("nobody.tax").await;
    found.is("registration.age", "nobody.tax", Skip, &["no registration"]);
    let found = ask("busy.tax").await;
    found.is("registration.age", "busy.tax", Skip, &["429"]);
    let found = ask("wac.test").await;
    found.is("registration.age", "wac.test", Skip, &["RFC 6761"]);
    serving.abort();
}

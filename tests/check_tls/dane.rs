//! DANE in a signed tree: a root and two zones, one of them signed, and a
//! resolver that validates.

use std::net::{IpAddr, SocketAddr};

use mailctl::check::Verdict;
use rcgen::{KeyPair, PublicKeyData};
use sha2::{Digest, Sha256};

use crate::knot::{KnotServer, Zone};
use crate::ports::{dns_port, own_address, zone_text};
use crate::unbound::UnboundServer;
use crate::{Authority, assert_found, found, mail_server, outside, server};
use Verdict::{Fail, Pass, Skip, Warn};

fn digest(octets: &[u8]) -> String {
    let digest = Sha256::digest(octets);
    digest.iter().map(|octet| format!("{octet:02x}")).collect()
}

struct World {
    authority: Authority,
    validating: UnboundServer,
    believing: UnboundServer,
    _dns: KnotServer,
}

impl World {
    /// `None`, after a line that says why, where its programs or port 53 are not to be had.
    async fn start() -> Option<Self> {
        if dns_port() != 53 {
            println!("skipped: port 53 is not free, or not for this user");
            return None;
        }
        let [at, mail, clear, first, second] = std::array::from_fn(|_| own_address());
        let (authority, key) = (Authority::new("known"), KeyPair::generate().expect("a key"));
        let names =
            ["smtp.signed.test", "issuer.signed.test", "smtp.plain.test"].map(str::to_owned);
        let chain = authority.chain(&names, &key);
        mail_server(mail, Some(server::config(chain, &key))).await;
        mail_server(clear, None).await;
        let (own, issuer) = (
            digest(&key.subject_public_key_info()),
            digest(&authority.der()),
        );
        let at53 = |ip| SocketAddr::new(ip, 53);
        let zones = vec![
            Zone::signed("signed.test", &signed(at, mail, clear, &own, &issuer)),
            Zone::plain("plain.test", &plain(at, mail, &own)),
            Zone::signed(".", &root(at)),
        ];
        let (dns, anchor) = KnotServer::start_with(at53(at), zones).await?;
        let resolver = |ip, key| UnboundServer::start_from_root(at53(ip), dns.dns, key);
        let validating = resolver(first, Some(anchor.as_str())).await?;
        let believing = resolver(second, None).await?;
        Some(Self {
            authority,
            validating,
            believing,
            _dns: dns,
        })
    }
}

/// A domain for each fault; `own` is the served key's digest, `issuer` the authority's certificate's.
fn signed(at: IpAddr, mail: IpAddr, clear: IpAddr, own: &str, issuer: &str) -> String {
    let other = "00".repeat(32);
    let mut more = String::new();
    for (domain, host) in [
        ("@", "smtp"),
        ("issuer-ca", "issuer"),
        ("name", "name"),
        ("rolled", "rolled"),
        ("clear", "clear"),
        ("odd", "odd"),
        ("partly", "smtp"),
    ] {
        more.push_str(&format!("{domain} IN MX 10 {host}\n"));
        let address = if host == "clear" { clear } else { mail };
        if domain != "partly" {
            more.push_str(&format!("{host} IN A {address}\n"));
        }
    }
    more.push_str(&format!(
        "partly IN MX 20 bare\nbare IN A {mail}\nplainly IN MX 10 smtp.plain.test.\n\
         _25._tcp.smtp IN TLSA 3 1 1 {own}\n_25._tcp.issuer IN TLSA 2 0 1 {issuer}\n\
         _25._tcp.name IN TLSA 2 0 1 {issuer}\n_25._tcp.rolled IN TLSA 3 1 1 {other}\n\
         _25._tcp.clear IN TLSA 3 1 1 {own}\n_25._tcp.odd IN TLSA 1 1 1 {own}\n_25._tcp.odd IN TLSA 3 1 1 {own}\n"
    ));
    zone_text("signed.test", &[("ns.signed.test.", at)], &more)
}

fn plain(at: IpAddr, mail: IpAddr, own: &str) -> String {
    let more = format!(
        "@ IN MX 10 smtp\nsmtp IN A {mail}\n_25._tcp.smtp IN TLSA 3 1 1 {own}\nhosted IN MX 10 smtp.signed.test.\n"
    );
    zone_text("plain.test", &[("ns.plain.test.", at)], &more)
}

fn root(at: IpAddr) -> String {
    let mut text = format!(
        "$ORIGIN .\n$TTL 300\n. IN SOA ns. hostmaster. 1 3600 600 86400 60\n. IN NS ns.\nns. IN A {at}\n"
    );
    for zone in ["signed.test", "plain.test"] {
        text.push_str(&format!("{zone}. IN NS ns.{zone}.\nns.{zone}. IN A {at}\n"));
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn dane() {
    let Some(world) = World::start().await else {
        return;
    };
    let validating = outside(world.validating.dns, world.authority.der());
    const HOST: &str = "smtp.signed.test";
    let signed = |host| ("dane.signed", host, Pass, "1 TLSA record, validated");
    let sound = |host| ("dane.syntax", host, Pass, "");
    let lone = |domain| ("dane.all", domain, Pass, "");
    for (domain, expected) in [
        (
            "signed.test",
            vec![
                signed(HOST),
                sound(HOST),
                ("dane.match", HOST, Pass, "`3 1 1 "),
                lone("signed.test"),
            ],
        ),
        (
            "issuer-ca.signed.test",
            vec![
                signed("issuer.signed.test"),
                sound("issuer.signed.test"),
                ("dane.match", "issuer.signed.test", Pass, "`2 0 1 "),
                lone("issuer-ca.signed.test"),
            ],
        ),
        (
            "name.signed.test",
            vec![
                signed("name.signed.test"),
                sound("name.signed.test"),
                (
                    "dane.match",
                    "name.signed.test",
                    Fail,
                    "the certificate is for smtp.signed.test, ",
                ),
                lone("name.signed.test"),
            ],
        ),
        (
            "rolled.signed.test",
            vec![
                signed("rolled.signed.test"),
                sound("rolled.signed.test"),
                (
                    "dane.match",
                    "rolled.signed.test",
                    Fail,
                    "the certificate that is served is another",
                ),
                lone("rolled.signed.test"),
            ],
        ),
        (
            "clear.signed.test",
            vec![
                signed("clear.signed.test"),
                sound("clear.signed.test"),
                (
                    "dane.match",
                    "clear.signed.test",
                    Fail,
                    "STARTTLS is not offered",
                ),
                lone("clear.signed.test"),
            ],
        ),
        (
            "odd.signed.test",
            vec![
                (
                    "dane.signed",
                    "odd.signed.test",
                    Pass,
                    "2 TLSA records, validated",
                ),
                (
                    "dane.syntax",
                    "odd.signed.test",
                    Warn,
                    "usage 1 is not for SMTP",
                ),
                ("dane.match", "odd.signed.test", Pass, "`3 1 1 "),
                lone("odd.signed.test"),
            ],
        ),
        (
            "partly.signed.test",
            vec![
                signed(HOST),
                sound(HOST),
                ("dane.match", HOST, Pass, ""),
                (
                    "dane.all",
                    "partly.signed.test",
                    Warn,
                    "bare.signed.test without TLSA records",
                ),
            ],
        ),
        (
            "plain.test",
            vec![(
                "dane.signed",
                "smtp.plain.test",
                Warn,
                "ignored: the zone is not signed",
            )],
        ),
        // The provider of the host does more than the domain.
        (
            "hosted.plain.test",
            vec![
                signed(HOST),
                sound(HOST),
                ("dane.match", HOST, Pass, ""),
                (
                    "dane.all",
                    "hosted.plain.test",
                    Pass,
                    "does not vouch for the MX records of hosted.plain.test",
                ),
            ],
        ),
        ("nobody.signed.test", vec![]),
    ] {
        assert_found(&found(&validating, domain, &["dane"]).await, &expected);
    }
    let missed = [(
        "tls_rpt.record",
        "signed.test",
        Warn,
        "the domain uses DANE",
    )];
    assert_found(
        &found(&validating, "signed.test", &["tls_rpt"]).await,
        &missed,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolver_that_does_not_validate_tells_nothing_of_signatures() {
    let Some(world) = World::start().await else {
        return;
    };
    let believing = outside(world.believing.dns, world.authority.der());
    let skipped = [(
        "dane.signed",
        "smtp.signed.test",
        Skip,
        "the resolver does not validate",
    )];
    assert_found(&found(&believing, "signed.test", &["dane"]).await, &skipped);
    let ignored = [(
        "dane.signed",
        "smtp.plain.test",
        Warn,
        "ignored: the zone is not signed",
    )];
    assert_found(&found(&believing, "plain.test", &["dane"]).await, &ignored);
}

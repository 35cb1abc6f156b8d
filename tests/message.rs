//! Messages signed with our keys, judged by records in a real zone on
//! loopback, and once more by dkimpy.

#![allow(missing_docs)]
#![allow(clippy::print_stderr)]

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::Name;
use hickory_proto::serialize::txt::Parser;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_server::Server;
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use mail_auth::common::crypto::{Ed25519Key, RsaKey, Sha256, SigningKey};
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::DkimSigner;
use mailctl::config::DkimAlgorithm;
use mailctl::dkim::{self, DkimKey};
use mailctl::message::{Draft, Envelope, Outcome, Verdicts, judge};
use mailctl::record::txt_quoted;
use pkcs8::SecretDocument;
use pkcs8::der::Decode;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use time::macros::datetime;

const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));
const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));

/// A domain that signs with two keys, its zone being served.
struct World {
    rsa: DkimKey,
    ed25519: DkimKey,
    resolver: TokioResolver,
    _server: Server<Catalog>,
}

impl World {
    async fn start() -> Self {
        let mut rng = rsa::rand_core::OsRng;
        let rsa = dkim::generate(DkimAlgorithm::Rsa2048, &mut rng).expect("a key");
        let ed25519 = dkim::generate(DkimAlgorithm::Ed25519, &mut rng).expect("a key");
        // All of the DNS: DMARC asks for the names above a domain too.
        let zone = format!(
            "$TTL 300\n\
             . IN SOA ns. host. 1 3600 600 86400 300\n\
             wac.test. IN TXT \"v=spf1 ip4:203.0.113.7 -all\"\n\
             smtp.wac.test. IN TXT \"v=spf1 ip4:203.0.113.7 -all\"\n\
             _dmarc.wac.test. IN TXT \"v=DMARC1; p=reject\"\n\
             s1._domainkey.wac.test. IN TXT {}\n\
             e1._domainkey.wac.test. IN TXT {}\n\
             plain.test. IN TXT \"v=spf1 ~all\"\n\
             twice.test. IN TXT \"v=spf1 ip4:203.0.113.7 -all\"\n\
             twice.test. IN TXT \"v=spf1 mx -all\"\n\
             lax.test. IN TXT \"v=spf1 ip4:203.0.113.7 ip4:192.0.2.300 -all\"\n\
             several.test. IN TXT \"v=spf1 ip4:203.0.113.7 -all\"\n\
             _dmarc.several.test. IN TXT \"v=DMARC1; p=none\"\n\
             _dmarc.several.test. IN TXT \"v=DMARC1; p=reject\"\n",
            txt_quoted(&rsa.record),
            txt_quoted(&ed25519.record),
        );
        let (origin, records) = Parser::new(zone, None, Some(Name::root()))
            .parse()
            .expect("a zone file");
        let handler: InMemoryZoneHandler =
            InMemoryZoneHandler::new(origin.clone(), records, ZoneType::Primary, AxfrPolicy::Deny)
                .expect("a zone");
        let mut catalog = Catalog::new();
        catalog.upsert(origin.into(), vec![Arc::new(handler)]);
        let mut server = Server::new(catalog);
        let (udp, tcp) = sockets().await;
        let address = udp.local_addr().expect("an address");
        server.register_socket(udp);
        server.register_listener(tcp, Duration::from_secs(5), 4096);
        Self {
            rsa,
            ed25519,
            resolver: resolver(address, Duration::from_secs(10)),
            _server: server,
        }
    }

    /// The message with both signatures on top.
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let pem = self.rsa.pkcs8_pem.expose().as_bytes();
        let rsa = PrivateKeyDer::from_pem_slice(pem).expect("PEM");
        let rsa = RsaKey::<Sha256>::from_key_der(rsa).expect("RSA");
        let (_, der) = SecretDocument::from_pem(self.ed25519.pkcs8_pem.expose()).expect("PEM");
        assert_eq!(
            pkcs8::PrivateKeyInfo::from_der(der.as_bytes())
                .expect("PKCS#8")
                .public_key,
            None
        );
        let ed25519 = Ed25519Key::from_pkcs8_maybe_unchecked_der(der.as_bytes()).expect("Ed25519");
        let mut signed = signature(rsa, "s1", message).into_bytes();
        signed.extend(signature(ed25519, "e1", message).into_bytes());
        signed.extend_from_slice(message);
        signed
    }

    async fn judge(&self, raw: &[u8], ip: IpAddr, mail_from: &str) -> Verdicts {
        let envelope = Envelope {
            ip,
            helo: "smtp.wac.test",
            mail_from,
        };
        judge(raw, envelope, self.resolver.clone())
            .await
            .expect("a message")
    }
}

fn signature(key: impl SigningKey, selector: &str, message: &[u8]) -> String {
    DkimSigner::from_key(key)
        .domain("wac.test")
        .selector(selector)
        .headers(["From", "To", "Subject", "Date", "Message-ID"])
        .sign(message)
        .expect("a signature")
        .to_header()
}

/// UDP and TCP on the same free port.
async fn sockets() -> (tokio::net::UdpSocket, tokio::net::TcpListener) {
    loop {
        let udp = tokio::net::UdpSocket::bind("127.0.0.1:0")
            .await
            .expect("loopback");
        let address = udp.local_addr().expect("an address");
        if let Ok(tcp) = tokio::net::TcpListener::bind(address).await {
            return (udp, tcp);
        }
    }
}

fn resolver(address: SocketAddr, timeout: Duration) -> TokioResolver {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    server
        .connections
        .iter_mut()
        .for_each(|connection| connection.port = address.port());
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.options_mut().timeout = timeout;
    builder.options_mut().attempts = 1;
    builder.build().expect("a resolver")
}

fn draft(from: &str) -> Vec<u8> {
    let draft = Draft {
        from,
        to: "you@example.com",
        subject: "grün",
        text: "Is this mail signed?\n\nYes.\n",
        date: datetime!(2026-11-22 02:45:00 UTC),
        id: "1",
    };
    draft.compose().expect("a message")
}

#[tokio::test]
async fn mail_is_judged_as_receivers_do() {
    use Outcome::{Fail, Pass, Unknown};
    let world = World::start().await;
    let good = world.sign(&draft("i@wac.test"));
    let text = String::from_utf8(good.clone()).expect("ASCII");
    let tampered = text.replace("Yes.", "No.").into_bytes();
    let lengthened = format!("{text} \r\n").into_bytes();
    let foreign = world.sign(&draft("i@plain.test"));
    let unsigned = draft("i@wac.test");
    let me = "i@wac.test";
    for (what, raw, ip, mail_from, spf, signatures, dmarc) in [
        (
            "as it should be",
            &good,
            HOST,
            me,
            Pass,
            vec![Pass; 2],
            Pass,
        ),
        (
            "forwarded by another",
            &good,
            STRANGER,
            me,
            Fail,
            vec![Pass; 2],
            Pass,
        ),
        ("a delivery report", &unsigned, HOST, "", Pass, vec![], Pass),
        ("forged", &unsigned, STRANGER, me, Fail, vec![], Fail),
        (
            "tampered with",
            &tampered,
            HOST,
            me,
            Pass,
            vec![Fail; 2],
            Pass,
        ),
        (
            "tampered with on the way",
            &tampered,
            STRANGER,
            me,
            Fail,
            vec![Fail; 2],
            Fail,
        ),
        (
            "ending in spaces",
            &lengthened,
            HOST,
            me,
            Pass,
            vec![Unknown; 2],
            Pass,
        ),
        (
            "of a domain without DMARC",
            &foreign,
            HOST,
            me,
            Pass,
            vec![Pass; 2],
            Fail,
        ),
    ] {
        let verdicts = world.judge(raw, ip, mail_from).await;
        assert_eq!(verdicts.spf.outcome, spf, "{what}: {verdicts:?}");
        let dkim: Vec<Outcome> = verdicts.dkim.iter().map(|s| s.verdict.outcome).collect();
        assert_eq!(dkim, signatures, "{what}: {verdicts:?}");
        assert_eq!(
            verdicts.dmarc.verdict.outcome, dmarc,
            "{what}: {verdicts:?}"
        );
    }
}

#[tokio::test]
async fn verdicts_say_who_and_why() {
    let world = World::start().await;
    let verdicts = world
        .judge(&world.sign(&draft("i@wac.test")), STRANGER, "i@wac.test")
        .await;
    let signers: Vec<_> = verdicts
        .dkim
        .iter()
        .map(|s| (s.domain.as_str(), s.selector.as_str()))
        .collect();
    assert_eq!(signers, [("wac.test", "s1"), ("wac.test", "e1")]);
    assert_eq!(verdicts.spf.why, "wac.test forbids 198.51.100.1 to send");
    assert_eq!(
        verdicts.helo.why,
        "smtp.wac.test forbids 198.51.100.1 to send"
    );
    assert_eq!(verdicts.dmarc.verdict.why, "DKIM is of wac.test");
    assert_eq!(
        (verdicts.dmarc.dkim, verdicts.dmarc.spf),
        (Outcome::Pass, Outcome::Fail)
    );

    let foreign = world
        .judge(&draft("i@plain.test"), HOST, "i@plain.test")
        .await;
    assert_eq!(
        foreign.spf.why,
        "plain.test does not name 203.0.113.7: softfail"
    );
    assert_eq!(foreign.dmarc.verdict.why, "plain.test has no DMARC record");
}

#[tokio::test]
async fn what_only_some_receivers_accept_is_refused() {
    let world = World::start().await;
    for domain in ["twice.test", "lax.test"] {
        let from = format!("i@{domain}");
        let verdicts = world.judge(&draft(&from), HOST, &from).await;
        assert_eq!(
            verdicts.spf.why,
            format!("the SPF record of {domain} is not valid")
        );
    }
    let from = "i@several.test";
    let verdicts = world.judge(&draft(from), HOST, from).await;
    assert_eq!(verdicts.spf.outcome, Outcome::Pass, "{verdicts:?}");
    assert_eq!(
        verdicts.dmarc.verdict.why,
        "several DMARC records stand at _dmarc.several.test, and none of them applies"
    );
}

#[tokio::test]
async fn a_silent_resolver_is_no_verdict() {
    let world = World::start().await;
    let (closed, _) = sockets().await;
    let silent = resolver(
        closed.local_addr().expect("an address"),
        Duration::from_millis(100),
    );
    let envelope = Envelope {
        ip: HOST,
        helo: "smtp.wac.test",
        mail_from: "i@wac.test",
    };
    let raw = world.sign(&draft("i@wac.test"));
    let verdicts = judge(&raw, envelope, silent).await.expect("a message");
    assert_eq!(verdicts.spf.outcome, Outcome::Unknown, "{verdicts:?}");
    assert!(
        verdicts
            .dkim
            .iter()
            .all(|s| s.verdict.outcome == Outcome::Unknown),
        "{verdicts:?}"
    );
    assert_eq!(
        verdicts.dmarc.verdict.outcome,
        Outcome::Unknown,
        "{verdicts:?}"
    );
}

#[tokio::test]
async fn dkimpy_agrees_on_our_keys() {
    let world = World::start().await;
    let message = world.sign(&draft("i@wac.test"));
    let program = "import sys, dkim\n\
        records = {b's1._domainkey.wac.test.': sys.argv[1].encode(), b'e1._domainkey.wac.test.': sys.argv[2].encode()}\n\
        mail = sys.stdin.buffer.read()\n\
        good = [dkim.DKIM(mail).verify(idx=i, dnsfunc=lambda name, **_: records[name]) for i in (0, 1)]\n\
        sys.exit(0 if all(good) else 1)";
    // Debian's own python3 has Debian's modules; another may come first in PATH.
    let has_modules = |python: &&str| {
        let mut command = Command::new(python);
        let status = command
            .args(["-c", "import dkim, nacl"])
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    let Some(python) = ["/usr/bin/python3", "python3"]
        .into_iter()
        .find(has_modules)
    else {
        eprintln!("skipped: dkimpy with PyNaCl is not installed");
        return;
    };
    let mut child = Command::new(python)
        .args(["-c", program, &world.rsa.record, &world.ed25519.record])
        .stdin(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(&message)
        .expect("written");
    assert!(
        child.wait().expect("python3 ends").success(),
        "dkimpy refuses a signature"
    );
}

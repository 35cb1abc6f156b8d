//! A domain for each fault of MTA-STS, and what else is fetched over HTTPS.

use std::net::IpAddr;
use std::sync::Arc;

use mailctl::check::{Outside, Verdict};

use crate::knot::KnotServer;
use crate::ports::{own_address, zone_text};
use crate::web::{self, Answers, answer};
use crate::{Authority, assert_found, found, mail_server, outside};
use Verdict::{Fail, Pass, Skip, Warn};

const SOUND: &str = "version: STSv1\nmode: enforce\nmx: smtp.good.test\nmax_age: 604800\n";

const XML: &str = "<clientConfig><emailProvider id='x'><outgoingServer type='smtp'>\
                   <hostname>smtp.good.test</hostname><port>465</port></outgoingServer></emailProvider></clientConfig>";

/// Domains with a record and a policy host at the usual web server, which has their certificates.
const DOMAINS: &[&str] = &[
    "good", "moved", "missing", "html", "large", "other", "testing", "unsound", "badmx", "longid",
    "twice",
];

struct World {
    outside: Arc<Outside>,
    _dns: KnotServer,
}

impl World {
    /// `None`, after a line that says so, where Knot is not installed.
    async fn start() -> Option<Self> {
        let [server, web, stranger, silent, closed, mail, badmail] =
            std::array::from_fn(|_| own_address());
        let dns = KnotServer::start(&[(
            "test",
            zone(server, web, stranger, silent, closed, mail, badmail),
        )])
        .await?;
        let (known, unknown) = (Authority::new("known"), Authority::new("unknown"));
        let mut names: Vec<String> = DOMAINS
            .iter()
            .map(|d| format!("mta-sts.{d}.test"))
            .collect();
        names.extend(
            [
                "mta-sts.policyonly.test",
                "autoconfig.good.test",
                "www.good.test",
            ]
            .map(str::to_owned),
        );
        web::serve(web, known.serves(&names), answers()).await;
        web::serve(
            stranger,
            unknown.serves(&["mta-sts.stranger.test"]),
            answers(),
        )
        .await;
        web::silent(silent).await;
        mail_server(mail, Some(known.serves(&["smtp.good.test"]))).await;
        mail_server(badmail, Some(known.serves(&["other.test"]))).await;
        Some(Self {
            outside: outside(dns.dns, known.der()),
            _dns: dns,
        })
    }
}

fn zone(
    server: IpAddr,
    web: IpAddr,
    stranger: IpAddr,
    silent: IpAddr,
    closed: IpAddr,
    mail: IpAddr,
    badmail: IpAddr,
) -> String {
    let mut more = format!("smtp.good IN A {mail}\nsmtp.badmx IN A {badmail}\n");
    for domain in DOMAINS {
        let mx = if *domain == "badmx" {
            "smtp.badmx"
        } else {
            "smtp.good"
        };
        more.push_str(&format!(
            "{domain} IN MX 10 {mx}\nmta-sts.{domain} IN A {web}\n"
        ));
        match *domain {
            "longid" => more.push_str(&format!("_mta-sts.longid IN TXT \"v=STSv1; id={}\"\n", "1".repeat(33))),
            "twice" => more.push_str("_mta-sts.twice IN TXT \"v=STSv1; id=1\"\n_mta-sts.twice IN TXT \"v=STSv1; id=2\"\n"),
            _ => more.push_str(&format!("_mta-sts.{domain} IN TXT \"v=STSv1; id=1\"\n")),
        }
    }
    for (domain, address) in [
        ("name", web),
        ("stranger", stranger),
        ("silent", silent),
        ("closed", closed),
    ] {
        more.push_str(&format!(
            "{domain} IN MX 10 smtp.good\nmta-sts.{domain} IN A {address}\n_mta-sts.{domain} IN TXT \"v=STSv1; id=1\"\n"
        ));
    }
    more.push_str(&format!(
        "nowhere IN MX 10 smtp.good\n_mta-sts.nowhere IN TXT \"v=STSv1; id=1\"\n\
         policyonly IN MX 10 smtp.good\nmta-sts.policyonly IN A {web}\n\
         plain IN MX 10 smtp.good\nwild IN MX 10 smtp.good\n*.wild IN A {closed}\n\
         _smtp._tls.good IN TXT \"v=TLSRPTv1; rua=mailto:tls@good.test,mailto:tls@gone.test\"\n\
         _smtp._tls.other IN TXT \"v=TLSRPTv1; rua=tls@good.test\"\n\
         autoconfig.good IN A {web}\nwww.good IN A {web}\n_dmarc.good IN TXT \"v=DMARC1; p=reject\"\n\
         default._bimi.good IN TXT \"v=BIMI1; l=https://www.good.test/logo.svg\"\n\
         default._bimi.plain IN TXT \"v=BIMI1; l=https://www.good.test/no.svg\"\n\
         _imaps._tcp.good IN SRV 0 1 993 alias\n_submissions._tcp.good IN SRV 0 1 465 smtp.good\n\
         _imap._tcp.good IN SRV 0 0 0 .\n_submission._tcp.good IN SRV 0 1 587 nobody\nalias IN CNAME smtp.good\n\
         good IN CAA 0 issue \";\"\ngood IN CAA 0 iodef \"ca@good.test\"\nbadmx IN CAA 0 issue \"ca.example\"\n"
    ));
    zone_text("test", &[("ns.test.", server)], &more)
}

fn answers() -> Answers {
    let mut answers = Answers::new();
    let mut policy = |domain: &str, answer| {
        answers.insert(
            format!("mta-sts.{domain}.test/.well-known/mta-sts.txt"),
            answer,
        );
    };
    let sound = || answer(200, "text/plain; charset=utf-8", SOUND);
    for domain in ["good", "stranger", "name", "longid", "twice", "policyonly"] {
        policy(domain, sound());
    }
    let moved = "301 X\r\nLocation: https://mta-sts.good.test/.well-known/mta-sts.txt";
    policy("moved", (moved.to_owned(), String::new()));
    policy("html", answer(200, "text/html", SOUND));
    policy(
        "large",
        answer(
            200,
            "text/plain",
            &format!("{SOUND}{}", "x: y\n".repeat(20_000)),
        ),
    );
    policy(
        "other",
        answer(
            200,
            "text/plain",
            &SOUND.replace("smtp.good.test", "*.other.test"),
        ),
    );
    let testing = SOUND
        .replace("enforce", "testing")
        .replace("smtp.good.test", "mx.other.test");
    policy("testing", answer(200, "text/plain", &testing));
    policy(
        "unsound",
        answer(200, "text/plain", "version: STSv1\nmode: enforced\n"),
    );
    policy(
        "badmx",
        answer(
            200,
            "text/plain",
            &SOUND.replace("smtp.good.test", "smtp.badmx.test"),
        ),
    );
    answers.insert(
        "autoconfig.good.test/mail/config-v1.1.xml".into(),
        answer(200, "text/xml", XML),
    );
    let moved = "302 X\r\nLocation: /tiny.svg".to_owned();
    answers.insert("www.good.test/logo.svg".into(), (moved, String::new()));
    let svg = "<svg baseProfile=\"tiny-ps\"></svg>";
    answers.insert(
        "www.good.test/tiny.svg".into(),
        answer(200, "image/svg+xml", svg),
    );
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn mta_sts() {
    let Some(world) = World::start().await else {
        return;
    };
    let record = |verdict, part| ("mta_sts.record", verdict, part);
    let policy = |verdict, part| ("mta_sts.policy", verdict, part);
    let id = || record(Pass, "id 1");
    let refused = |part| vec![id(), policy(Fail, part)];
    let all = |mx, certificate| {
        vec![
            id(),
            policy(Pass, "mode "),
            ("mta_sts.mode", Pass, ""),
            mx,
            certificate,
        ]
    };
    let named = ("mta_sts.mx", Pass, "");
    let verified = ("mta_sts.certificate", Pass, "verified");
    let mut both = all(named, verified);
    for (domain, expected) in [
        ("good", both.clone()),
        (
            "moved",
            refused("a redirection (301) to https://mta-sts.good.test/"),
        ),
        ("missing", refused("the web server answers 404")),
        ("html", refused("media type is text/html")),
        ("large", refused("longer than 64 KB")),
        ("unsound", refused("the mode `enforced` is none of")),
        (
            "name",
            refused("mta-sts.name.test: the certificate is for "),
        ),
        ("stranger", refused("no trusted authority")),
        ("silent", refused("does not come in time")),
        ("closed", refused(":443 takes no connection")),
        ("nowhere", refused("mta-sts.nowhere.test has no address")),
        (
            "other",
            all(
                (
                    "mta_sts.mx",
                    Fail,
                    "smtp.good.test: no `mx` of the policy (*.other.test)",
                ),
                verified,
            ),
        ),
        (
            "testing",
            all(("mta_sts.mx", Warn, "smtp.good.test: no `mx`"), verified),
        ),
        (
            "badmx",
            all(
                named,
                (
                    "mta_sts.certificate",
                    Fail,
                    "the certificate is for other.test only",
                ),
            ),
        ),
        ("longid", {
            both[0] = record(Fail, "is not 1 to 32 letters and digits");
            both.clone()
        }),
        ("twice", {
            both[0] = record(Fail, "2 records");
            both.clone()
        }),
        (
            "policyonly",
            vec![record(Warn, "none, though there is a policy")],
        ),
        ("plain", vec![record(Pass, "none")]),
        ("wild", vec![record(Pass, "none")]),
    ] {
        let domain = format!("{domain}.test");
        let findings = found(&world.outside, &domain, &["mta_sts"]).await;
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(id, verdict, part)| (id, domain.as_str(), verdict, part))
            .collect();
        assert_found(&findings, &expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_else_is_published() {
    let Some(world) = World::start().await else {
        return;
    };
    let outside = &world.outside;
    let all = ["tls_rpt", "caa", "autoconfig", "bimi"];
    let host = "smtp.good.test";
    assert_found(
        &found(outside, "good.test", &all).await,
        &[
            ("tls_rpt.record", "good.test", Pass, "mailto:tls@gone.test"),
            (
                "tls_rpt.destination",
                "good.test",
                Warn,
                "gone.test does not exist",
            ),
            (
                "caa.issue",
                host,
                Fail,
                "nobody may issue, says `issue` at good.test",
            ),
            ("caa.iodef", "good.test", Warn, "`ca@good.test`"),
            (
                "autoconfig.srv",
                "_submissions._tcp.good.test",
                Fail,
                ":465 refuses connections",
            ),
            (
                "autoconfig.srv",
                "_submission._tcp.good.test",
                Fail,
                "nobody.test:587: the host has no address",
            ),
            (
                "autoconfig.srv",
                "_imaps._tcp.good.test",
                Warn,
                "alias.test:993: the host is an alias",
            ),
            (
                "autoconfig.srv",
                "_imap._tcp.good.test",
                Pass,
                "not offered",
            ),
            ("autoconfig.file", "good.test", Pass, "smtp.good.test:465"),
            (
                "bimi.record",
                "good.test",
                Pass,
                "https://www.good.test/logo.svg",
            ),
            (
                "bimi.policy",
                "good.test",
                Pass,
                "reject at _dmarc.good.test",
            ),
            ("bimi.logo", "good.test", Pass, "SVG Tiny PS"),
        ],
    );
    assert_found(
        &found(outside, "plain.test", &["tls_rpt", "autoconfig", "bimi"]).await,
        &[
            ("bimi.record", "plain.test", Pass, "no.svg"),
            ("bimi.policy", "plain.test", Warn, "no DMARC record"),
            ("bimi.logo", "plain.test", Warn, "answers 404"),
        ],
    );
    let missed = [(
        "tls_rpt.record",
        "moved.test",
        Warn,
        "the domain uses MTA-STS",
    )];
    assert_found(&found(outside, "moved.test", &["tls_rpt"]).await, &missed);
    let unsound = [(
        "tls_rpt.record",
        "other.test",
        Fail,
        "`tls@good.test` is no",
    )];
    assert_found(&found(outside, "other.test", &["tls_rpt"]).await, &unsound);
    // Nobody meant the names that only a wildcard gives an address.
    assert_found(&found(outside, "wild.test", &["autoconfig"]).await, &[]);
    let unknown = [("caa.issue", "smtp.badmx.test", Pass, "ca.example may issue")];
    assert_found(&found(outside, "badmx.test", &["caa"]).await, &unknown);
    // The name server refuses what is not its own: nothing is known of that.
    let skipped = found(outside, "example.invalid", &["mta_sts", "tls_rpt"]).await;
    let expected = [
        ("mta_sts.record", "example.invalid", Skip, "REFUSED"),
        ("tls_rpt.record", "example.invalid", Skip, "REFUSED"),
    ];
    assert_found(&skipped, &expected);
}

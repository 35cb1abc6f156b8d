//! Certificates from a real authority: pebble, on loopback.

#![allow(missing_docs)]
#![allow(clippy::print_stderr)]

#[path = "support/pebble.rs"]
mod pebble;
#[path = "support/refuser.rs"]
mod refuser;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use mailctl::acme::{
    self, Account, Authority, Certificate, Challenges, Ended, Issued, Shown, Values, Wanted,
};
use mailctl::config::CertificateKey;
use mailctl::failure::{Failure, Result};
use mailctl::record::Name;
use mailctl::secret::Secret;
use pebble::{Options, Pebble};

const NAMES: [&str; 3] = ["example.test", "*.example.test", "smtp.example.test"];

/// What [`Challenges`] was asked to do, done at pebble's own name server.
struct Txt<'a> {
    pebble: &'a Pebble,
    fault: Fault,
    presented: Mutex<Vec<Values>>,
    cleared: Mutex<Vec<Values>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// Another value is shown than was asked for.
    WrongValue,
    /// Nothing can be shown.
    Refused,
    /// The provider never answers.
    Hangs,
    /// Nobody has set them yet.
    ByHand,
}

impl<'a> Txt<'a> {
    fn new(pebble: &'a Pebble, fault: Fault) -> Self {
        Self {
            pebble,
            fault,
            presented: Mutex::default(),
            cleared: Mutex::default(),
        }
    }

    fn presented(&self) -> Vec<Values> {
        self.presented.lock().expect("a list").clone()
    }

    fn cleared(&self) -> Vec<Values> {
        self.cleared.lock().expect("a list").clone()
    }
}

#[async_trait]
impl Challenges for Txt<'_> {
    async fn present(&self, values: &Values) -> Result<Shown> {
        self.presented.lock().expect("a list").push(values.clone());
        if self.fault == Fault::ByHand {
            return Ok(Shown::ByHand(vec!["set them".into()]));
        }
        for (owner, texts) in values {
            for text in texts {
                let text = if self.fault == Fault::WrongValue {
                    "wrong"
                } else {
                    text
                };
                self.pebble.set_txt(owner.as_str(), text).await;
            }
        }
        match self.fault {
            Fault::Refused => Err(Failure::new("the provider refuses")),
            Fault::Hangs => std::future::pending().await,
            Fault::None | Fault::WrongValue | Fault::ByHand => Ok(Shown::Everywhere),
        }
    }

    async fn clear(&self, values: &Values) -> Result<()> {
        for owner in values.keys() {
            self.pebble.clear_txt(owner.as_str()).await;
        }
        self.cleared.lock().expect("a list").push(values.clone());
        Ok(())
    }
}

fn authority(pebble: &Pebble) -> Authority {
    Authority {
        directory: pebble.directory.clone(),
        root_pem: Some(fs::read(pebble.root()).expect("its root")),
        email: Some("i@example.test".into()),
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn owner(name: &str) -> Name {
    Name::parse(name).expect("a name")
}

async fn issue(
    account: &Account,
    wanted: &[&str],
    key: CertificateKey,
    txt: &Txt<'_>,
) -> Result<Issued> {
    match ended(account, &ordered(wanted, key), txt).await? {
        Ended::Issued(issued) => Ok(issued),
        Ended::ByHand(_, steps) => panic!("a person has to {steps:?}"),
    }
}

fn ordered(wanted: &[&str], key: CertificateKey) -> Wanted {
    Wanted {
        names: names(wanted),
        key,
        pending: None,
    }
}

async fn ended(account: &Account, wanted: &Wanted, txt: &Txt<'_>) -> Result<Ended> {
    // An order can run beside other work, on any thread.
    let order: Pin<Box<dyn Future<Output = Result<Ended>> + Send + '_>> =
        Box::pin(acme::issue(account, wanted, txt, &|_| {}));
    order.await
}

/// The TXT values that the authority's name server shows now.
async fn shown(dns: SocketAddr, owner: &Name) -> Vec<String> {
    let mut server = NameServerConfig::udp_and_tcp(dns.ip());
    server
        .connections
        .iter_mut()
        .for_each(|connection| connection.port = dns.port());
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.options_mut().cache_size = 0;
    let resolver = builder.build().expect("a resolver");
    match resolver.txt_lookup(owner.fqdn()).await {
        Ok(found) => found
            .answers()
            .iter()
            .map(|record| record.data.to_string())
            .collect(),
        Err(error) if error.is_no_records_found() => Vec::new(),
        Err(error) => panic!("the name server does not answer: {error}"),
    }
}

/// Runs openssl on a key or chain, given on its standard input.
fn openssl(arguments: &[&str], input: &str) {
    let child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped: openssl is not installed");
        return;
    };
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(input.as_bytes())
        .expect("written");
    let output = child.wait_with_output().expect("openssl ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_its_name_and_a_host_are_issued_in_one_order_and_renewed() {
    let Some(pebble) = Pebble::start(&Options::default()) else {
        return;
    };
    let authority = authority(&pebble);
    let (account, _) = Account::create(&authority).await.expect("an account");
    let txt = Txt::new(&pebble, Fault::None);
    let said = Mutex::new(Vec::new());
    let report = |line: &str| said.lock().expect("lines").push(line.to_owned());

    let wanted = ordered(&NAMES, CertificateKey::P256);
    let first = acme::issue(&account, &wanted, &txt, &report).await;
    let Ended::Issued(first) = first.expect("a certificate") else {
        panic!("nothing is left to a person");
    };

    let presented = txt.presented();
    assert_eq!(presented.len(), 1, "all values at once");
    assert_eq!(
        presented[0][&owner("_acme-challenge.example.test")].len(),
        2,
        "name and wildcard"
    );
    assert_eq!(
        presented[0][&owner("_acme-challenge.smtp.example.test")].len(),
        1
    );
    assert_eq!(txt.cleared(), presented);
    for owner in presented[0].keys() {
        assert_eq!(
            shown(pebble.dns, owner).await,
            Vec::<String>::new(),
            "{owner}"
        );
    }
    assert!(
        said.lock()
            .expect("lines")
            .iter()
            .any(|line| line.contains("_acme-challenge.example.test"))
    );

    let seen = Certificate::parse(first.chain_pem.as_bytes()).expect("a chain");
    assert_eq!(
        seen.names,
        names(&NAMES).into_iter().collect::<BTreeSet<_>>()
    );
    assert!(seen.covers(NAMES) && !seen.self_signed && seen.issuer.contains("Pebble"));
    assert_eq!(seen.not_after, first.not_after);
    assert!(!seen.due(seen.not_before) && seen.due(seen.not_after));
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    fs::write(at("root.pem"), pebble.issuing_root().await).expect("written");
    fs::write(at("chain.pem"), &first.chain_pem).expect("written");
    openssl(
        &[
            "verify",
            "-CAfile",
            &at("root.pem"),
            "-untrusted",
            &at("chain.pem"),
            &at("chain.pem"),
        ],
        "",
    );

    let second = issue(&account, &NAMES, CertificateKey::Rsa2048, &txt)
        .await
        .expect("a renewal");
    assert_ne!(first.chain_pem, second.chain_pem);
    for (issued, kind) in [
        (&first, CertificateKey::P256),
        (&second, CertificateKey::Rsa2048),
    ] {
        openssl(&["pkey", "-check", "-noout"], issued.key_pem.expose());
        let key = rcgen::KeyPair::from_pem(issued.key_pem.expose()).expect("a PKCS#8 key");
        let seen = Certificate::parse(issued.chain_pem.as_bytes()).expect("a chain");
        assert_eq!(
            rcgen::PublicKeyData::subject_public_key_info(&key),
            seen.spki_der
        );
        assert_eq!(seen.key, Some(kind));
        assert!(!format!("{issued:?}").contains("PRIVATE KEY"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_proven_needs_no_second_challenge() {
    let options = Options {
        env: vec![("PEBBLE_AUTHZREUSE", "100")],
        ..Options::default()
    };
    let Some(pebble) = Pebble::start(&options) else {
        return;
    };
    let (account, _) = Account::create(&authority(&pebble))
        .await
        .expect("an account");
    let txt = Txt::new(&pebble, Fault::None);
    issue(&account, &["example.test"], CertificateKey::P256, &txt)
        .await
        .expect("a certificate");
    issue(&account, &["example.test"], CertificateKey::P256, &txt)
        .await
        .expect("a renewal");
    assert_eq!(txt.presented().len(), 1);
    issue(&account, &NAMES, CertificateKey::P256, &txt)
        .await
        .expect("more names");
    let asked = &txt.presented()[1];
    assert_eq!(
        asked[&owner("_acme-challenge.example.test")].len(),
        1,
        "the wildcard alone"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn challenges_are_removed_after_a_failure_and_each_name_is_told() {
    let Some(pebble) = Pebble::start(&Options::default()) else {
        return;
    };
    let (account, _) = Account::create(&authority(&pebble))
        .await
        .expect("an account");

    let wrong = Txt::new(&pebble, Fault::WrongValue);
    let failure = issue(&account, &NAMES, CertificateKey::P256, &wrong)
        .await
        .expect_err("refused");
    let told = failure.told();
    for part in [
        "example.test: ",
        "(unauthorized)",
        "do: the authority did not find the TXT record",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let refused = Txt::new(&pebble, Fault::Refused);
    let failure = issue(&account, &NAMES, CertificateKey::P256, &refused)
        .await
        .expect_err("refused");
    assert!(
        failure.told().contains("the provider refuses"),
        "{failure:?}"
    );
    for txt in [&wrong, &refused] {
        assert_eq!(txt.cleared().len(), 1);
        assert_eq!(txt.cleared(), txt.presented());
    }
    assert!(
        shown(pebble.dns, &owner("_acme-challenge.example.test"))
            .await
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn challenges_are_removed_when_the_order_is_interrupted() {
    let Some(pebble) = Pebble::start(&Options::default()) else {
        return;
    };
    let (account, _) = Account::create(&authority(&pebble))
        .await
        .expect("an account");
    let txt = Txt::new(&pebble, Fault::Hangs);
    let order = issue(&account, &["example.test"], CertificateKey::P256, &txt);
    let shows = async {
        while shown(pebble.dns, &owner("_acme-challenge.example.test"))
            .await
            .is_empty()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        issued = order => panic!("{issued:?} in spite of a provider that never answers"),
        () = shows => {}
    }
    assert_eq!(txt.cleared(), txt.presented());
    assert!(
        shown(pebble.dns, &owner("_acme-challenge.example.test"))
            .await
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_waits_for_a_person_keeps_its_challenges() {
    let Some(pebble) = Pebble::start(&Options::default()) else {
        return;
    };
    let (account, _) = Account::create(&authority(&pebble))
        .await
        .expect("an account");
    let mut wanted = ordered(&NAMES, CertificateKey::P256);
    let waiting = async |wanted: &Wanted| {
        let by_hand = Txt::new(&pebble, Fault::ByHand);
        let Ended::ByHand(pending, steps) =
            ended(&account, wanted, &by_hand).await.expect("it waits")
        else {
            panic!("issued without a challenge");
        };
        assert_eq!(steps, ["set them"]);
        assert!(by_hand.cleared().is_empty(), "what a person sets is theirs");
        (pending, by_hand.presented())
    };
    let (pending, first) = waiting(&wanted).await;
    wanted.pending = Some(pending.clone());
    assert_eq!(
        waiting(&wanted).await,
        (pending.clone(), first.clone()),
        "the same values again"
    );

    let other = Wanted {
        pending: Some(pending),
        ..ordered(&["example.test"], CertificateKey::P256)
    };
    assert_ne!(
        waiting(&other).await.1,
        first,
        "other names are another order"
    );

    let txt = Txt::new(&pebble, Fault::None);
    let issued = ended(&account, &wanted, &txt).await.expect("an end");
    assert!(matches!(issued, Ended::Issued(_)));
    assert_eq!(txt.presented(), first);
    // An order that has ended is not gone on with.
    let again = ended(&account, &wanted, &txt).await.expect("an end");
    assert!(matches!(again, Ended::Issued(_)));
    assert_ne!(txt.presented()[1], first[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_opened_again_by_its_credentials() {
    let Some(pebble) = Pebble::start(&Options::default()) else {
        return;
    };
    let here = authority(&pebble);
    let (account, credentials) = Account::create(&here).await.expect("an account");
    let again = Account::restore(&here, &credentials)
        .await
        .expect("an answer");
    assert_eq!(again.expect("the same account").id(), account.id());

    let elsewhere = Authority {
        directory: "https://ca.example/dir".into(),
        ..here.clone()
    };
    let foreign = Account::restore(&elsewhere, &credentials)
        .await
        .expect("nothing is asked");
    assert!(foreign.is_none());

    // The same credentials at an authority that has forgotten everything.
    let Some(other) = Pebble::start(&Options::default()) else {
        return;
    };
    let there = authority(&other);
    let moved = credentials
        .expose()
        .replace(&here.directory, &there.directory);
    let forgotten = Account::restore(&there, &Secret::new(moved))
        .await
        .expect("an answer");
    assert!(forgotten.is_none());

    let damaged = Secret::new(
        credentials
            .expose()
            .replace("key_pkcs8\":\"", "key_pkcs8\":\"geheim"),
    );
    let failure = Account::restore(&here, &damaged)
        .await
        .err()
        .expect("damaged");
    assert!(failure.told().contains("damaged") && !failure.told().contains("geheim"));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_what_to_do() {
    let options = Options {
        blocked: vec!["blocked.test"],
        ..Options::default()
    };
    let Some(pebble) = Pebble::start(&options) else {
        return;
    };
    let here = authority(&pebble);
    let (account, _) = Account::create(&here).await.expect("an account");
    let txt = Txt::new(&pebble, Fault::None);
    for (name, part) in [
        ("smtp.blocked.test", "(rejectedIdentifier)"),
        ("no_name.example.test", "(malformed)"),
    ] {
        let failure = issue(
            &account,
            &["example.test", name],
            CertificateKey::P256,
            &txt,
        )
        .await;
        let told = failure.expect_err(name).told();
        assert!(told.contains(part) && told.contains(name), "{told}");
    }
    assert!(txt.presented().is_empty());

    let bound = Options {
        external_account: true,
        ..Options::default()
    };
    let Some(pebble) = Pebble::start(&bound) else {
        return;
    };
    let told = Account::create(&authority(&pebble))
        .await
        .err()
        .expect("refused")
        .told();
    assert!(
        told.contains("(externalAccountRequired)") && told.contains("not yet supported"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_not_there_or_not_trusted_is_told() {
    let Some(pebble) = Pebble::start(&Options::default()) else {
        return;
    };
    let right = authority(&pebble);
    let other_root = rcgen::generate_simple_self_signed(["other.test".to_owned()]).expect("a root");
    let other_root = other_root.cert.pem().into_bytes();
    let closed = right
        .directory
        .replace("https://127.0.0.1:", "https://127.0.0.2:");
    for (authority, parts) in [
        (
            Authority {
                root_pem: None,
                ..right.clone()
            },
            ["unknown root", "certificates.root"],
        ),
        (
            Authority {
                root_pem: Some(other_root),
                ..right.clone()
            },
            ["unknown root", "certificates.root"],
        ),
        (
            Authority {
                root_pem: Some(b"nothing".into()),
                ..right.clone()
            },
            ["no certificate", "PEM file"],
        ),
        (
            Authority {
                directory: closed,
                ..right.clone()
            },
            ["refused", "that the authority runs"],
        ),
        (
            Authority {
                directory: right.directory.replace("/dir", "/"),
                ..right.clone()
            },
            ["404 Not Found", "URL of the directory"],
        ),
    ] {
        let told = Account::create(&authority)
            .await
            .err()
            .expect("a failure")
            .told();
        assert!(
            parts.iter().all(|part| told.contains(part)),
            "{parts:?} in {told}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_authority_says_when_to_come_again() {
    let limit = r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many orders"}"#;
    for (status, body, parts) in [
        (
            "429 Too Many Requests",
            limit,
            ["too many orders (rateLimited)", "try again in 1800 s"],
        ),
        (
            "502 Bad Gateway",
            "<html>",
            ["502 Bad Gateway", "try later"],
        ),
        (
            "200 OK",
            "<html>",
            ["its answer is not ACME", "URL of the directory"],
        ),
    ] {
        let refuser = refuser::start(status, "Retry-After: 1800\r\n", body).await;
        let authority = Authority {
            directory: refuser.url.clone(),
            root_pem: Some(refuser.root_pem.clone()),
            email: None,
        };
        let told = Account::create(&authority)
            .await
            .err()
            .expect("refused")
            .told();
        assert!(
            parts.iter().all(|part| told.contains(part)),
            "{parts:?} in {told}"
        );
    }
}

//! What `check` says of MTA-STS, TLS-RPT, DANE and their like, asked of real
//! web, mail and name servers on loopback. The ports are the real ones: run as root.

#![allow(missing_docs)]
#![allow(clippy::print_stdout)]

mod dane;
mod https;
#[path = "../support/knot.rs"]
mod knot;
#[path = "../support/ports.rs"]
mod ports;
#[path = "../wire/server.rs"]
#[allow(dead_code)]
mod server;
#[path = "../support/unbound.rs"]
mod unbound;
mod web;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mailctl::check::{self, Choice, Finding, Outside, Settings, Verdict};
use mailctl::dns::Dns;
use mailctl::record::Name;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

use server::{Act, Speech};

/// A certificate authority.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A certificate for these names, sent with the authority's own.
    fn chain(&self, names: &[String], key: &KeyPair) -> Vec<CertificateDer<'static>> {
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = OffsetDateTime::now_utc() - time::Duration::days(1);
        params.not_after = params.not_before + time::Duration::days(90);
        let own = params.signed_by(key, &self.0).expect("a certificate");
        vec![own.der().clone(), self.der()]
    }

    fn serves<S: AsRef<str>>(&self, names: &[S]) -> Arc<ServerConfig> {
        let names: Vec<String> = names.iter().map(|name| name.as_ref().to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        server::config(self.chain(&names, &key), &key)
    }
}

/// A mail server at port 25; without `tls` it does not offer STARTTLS.
async fn mail_server(address: IpAddr, tls: Option<Arc<ServerConfig>>) {
    let speech = Speech {
        greeting: "smtp.good.test ESMTP".into(),
        clear: vec!["SIZE 1000000"],
        secured: vec!["SIZE 1000000"],
        tls,
        implicit: false,
        broken: false,
        old: false,
        reply: server::guarded,
    };
    server::serve(address, 25, Act::Speaks(Arc::new(speech))).await;
}

fn outside(resolver: SocketAddr, root: CertificateDer<'static>) -> Arc<Outside> {
    let mut settings = Settings::new(OffsetDateTime::now_utc());
    settings.patience = Duration::from_secs(3);
    settings.roots = vec![root];
    settings.far = "far.invalid".into();
    settings.rdap = "https://far.invalid".into();
    let dns = Dns::new(Some(resolver)).expect("a resolver");
    Arc::new(Outside::new(dns, settings))
}

/// What some questions find about a domain that nobody says anything of.
async fn found(outside: &Arc<Outside>, domain: &str, questions: &[&str]) -> Vec<Finding> {
    let choice = Choice {
        only: questions.iter().map(|id| (*id).to_owned()).collect(),
        skip: Vec::new(),
    };
    let domain = Name::parse(domain).expect("a name");
    let limit = Duration::from_secs(30);
    check::check(outside, &[(domain, None)], &choice, limit)
        .await
        .results
}

/// Holds findings against what is expected: id, subject, verdict, a part of what was found; all of them.
fn assert_found(findings: &[Finding], expected: &[(&str, &str, Verdict, &str)]) {
    let told: Vec<String> = findings
        .iter()
        .map(|f| format!("{:?} {} {}: {}", f.verdict, f.id, f.subject, f.found))
        .collect();
    let told = told.join("\n");
    for (id, subject, verdict, part) in expected {
        let same = findings.iter().any(|f| {
            f.id == *id && f.subject == *subject && f.verdict == *verdict && f.found.contains(part)
        });
        assert!(
            same,
            "{verdict:?} {id} {subject}: {part}\n\nnot among\n\n{told}"
        );
    }
    assert_eq!(findings.len(), expected.len(), "{told}");
}

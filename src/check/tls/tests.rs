use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use time::macros::datetime;

use rustls::pki_types::CertificateDer;
use time::Duration;

use super::*;
use crate::check::Verdict::{self, Fail, Pass, Skip, Warn};
use crate::check::wire::{SUBMISSION, Tls};
use crate::record::Name;

type Issuer = CertifiedIssuer<'static, KeyPair>;
type Chain = Vec<CertificateDer<'static>>;

const NOW: OffsetDateTime = datetime!(2026-11-25 12:00 UTC);

fn authority(called: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, called);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params
}

fn root(called: &str) -> Issuer {
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(authority(called), key).expect("a root")
}

fn below(issuer: &Issuer, params: CertificateParams) -> Issuer {
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::signed_by(params, key, issuer).expect("an intermediate")
}

/// A certificate of 90 days, of which `left` are left.
fn params(names: &[&str], left: i64) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.not_after = NOW + Duration::days(left) + Duration::HOUR;
    params.not_before = params.not_after - Duration::days(90);
    params
}

fn leaf(issuer: &Issuer, params: &CertificateParams) -> CertificateDer<'static> {
    let key = KeyPair::generate().expect("a key");
    let made = params.signed_by(&key, issuer).expect("a certificate");
    made.der().clone()
}

/// Two authorities, one below the other, and the roots that trust the upper one.
struct World {
    root: Issuer,
    middle: Issuer,
    roots: RootCertStore,
}

impl World {
    fn new() -> Self {
        let root = root("Test Root");
        let middle = below(&root, authority("Test Middle"));
        let mut roots = RootCertStore::empty();
        roots.add(root.der().clone()).expect("a root");
        Self {
            root,
            middle,
            roots,
        }
    }

    fn chain(&self, names: &[&str], left: i64) -> Chain {
        let leaf = leaf(&self.middle, &params(names, left));
        vec![leaf, self.middle.der().clone()]
    }

    fn found(&self, (port, ours): (u16, bool), chain: Chain) -> Vec<Finding> {
        let tls = Tls {
            version: "TLSv1.3".into(),
            chain,
        };
        judged(
            port,
            ours,
            &self.roots,
            Some(Ok(tls)),
            [refuses(), refuses()],
        )
    }

    /// The verdict on one aspect.
    fn verdict(&self, at: (u16, bool), chain: Chain, aspect: &Aspect) -> Verdict {
        let found = self.found(at, chain);
        let id = format!("{}.{}", aspect.id, at.0);
        let one = found.into_iter().find(|finding| finding.id == id);
        one.expect("the aspect is judged").verdict
    }
}

fn refuses() -> Result<Said, String> {
    Ok(Said::Refuses)
}

fn judged(
    port: u16,
    ours: bool,
    roots: &RootCertStore,
    tls: Option<Result<Tls, String>>,
    [old, last]: [Result<Said, String>; 2],
) -> Vec<Finding> {
    judged_by((port, ours, false), roots, tls, [old, last])
}

fn judged_by(
    (port, ours, private): (u16, bool, bool),
    roots: &RootCertStore,
    tls: Option<Result<Tls, String>>,
    [old, last]: [Result<Said, String>; 2],
) -> Vec<Finding> {
    let station = Station {
        host: Name::parse("smtp.wac.example").expect("a name"),
        address: IpAddr::from([203, 0, 113, 7]),
        port,
        ours,
        seen: Arc::new(Port {
            greeting: Ok((220, "smtp.wac.example".into())),
            tls,
            ..Port::closed(Reach::Open)
        }),
    };
    let look = Look {
        station: &station,
        old,
        last,
        roots,
        private,
        now: NOW,
    };
    look.judge()
}

#[test]
fn a_private_authority_whose_root_is_not_known_is_minded_and_no_more() {
    let world = World::new();
    let elsewhere = rcgen::generate_simple_self_signed(vec!["elsewhere.example".into()]);
    let mut strangers = RootCertStore::empty();
    let elsewhere = elsewhere.expect("a certificate").cert;
    strangers.add(elsewhere.der().clone()).expect("an anchor");
    let mut chain = world.chain(&["smtp.wac.example"], 60);
    chain.push(world.root.der().clone());
    let verdict = |ours, private, roots: &RootCertStore| {
        let tls = Tls {
            version: "TLSv1.3".into(),
            chain: chain.clone(),
        };
        let seen = Some(Ok(tls));
        let found = judged_by((465, ours, private), roots, seen, [refuses(), refuses()]);
        found[1].verdict
    };
    assert_eq!(verdict(true, true, &strangers), Warn);
    assert_eq!(verdict(true, false, &strangers), Fail);
    assert_eq!(verdict(false, true, &strangers), Fail, "not ours");
    assert_eq!(verdict(true, true, &world.roots), Pass);
}

const OURS: (u16, bool) = (25, true);
const THEIRS: (u16, bool) = (25, false);

#[test]
fn a_good_certificate_passes_everything() {
    let world = World::new();
    for names in [
        ["smtp.wac.example", "example"],
        ["*.wac.example", "wac.example"],
    ] {
        let found = world.found(OURS, world.chain(&names, 60));
        assert_eq!(found.len(), 5);
        assert!(found.iter().all(|f| f.verdict == Pass), "{found:?}");
        assert_eq!(found[1].found, "leads to Test Root");
        assert_eq!(found[3].found, "60 days left, until 2027-01-24");
    }
}

#[test]
fn chains_that_lead_nowhere() {
    let world = World::new();
    let chain = |mine: Chain, found: &str| {
        for (at, verdict) in [(OURS, Fail), (THEIRS, Warn), ((SUBMISSION, false), Fail)] {
            let all = world.found(at, mine.clone());
            assert_eq!((all[1].verdict, all[1].found.as_str()), (verdict, found));
            let others = [&all[2], &all[3], &all[4]].map(|finding| finding.verdict);
            assert_eq!(others, [Pass; 3], "{found}");
        }
    };
    let only_leaf = vec![world.chain(&["smtp.wac.example"], 60).remove(0)];
    chain(
        only_leaf,
        "the certificate of its issuer Test Middle is neither sent nor trusted",
    );
    let key = KeyPair::generate().expect("a key");
    let own = params(&["smtp.wac.example"], 60).self_signed(&key);
    let own = own.expect("a certificate").der().clone();
    chain(vec![own], "self-signed: it is its own issuer");
    let stranger = root("Strange Root");
    let leaf = leaf(&stranger, &params(&["smtp.wac.example"], 60));
    chain(
        vec![leaf, stranger.der().clone()],
        "leads to Strange Root, which is not trusted",
    );
}

#[test]
fn an_intermediate_that_has_expired() {
    let world = World::new();
    let mut past = authority("Past Middle");
    past.not_after = date_time_ymd(2026, 11, 1);
    let past = below(&world.root, past);
    let chain = vec![
        leaf(&past, &params(&["smtp.wac.example"], 60)),
        past.der().clone(),
    ];
    assert_eq!(world.verdict(OURS, chain, &CHAIN), Fail);
}

#[test]
fn without_anchors_no_chain_is_judged() {
    let world = World {
        roots: RootCertStore::empty(),
        ..World::new()
    };
    let chain = world.chain(&["smtp.wac.example"], 60);
    assert_eq!(world.verdict(OURS, chain, &CHAIN), Skip);
}

#[test]
fn names() {
    let world = World::new();
    for (at, verdict) in [(OURS, Fail), (THEIRS, Warn), ((465, false), Warn)] {
        for names in [
            &["www.example"][..],
            &["*.smtp.wac.example"],
            &["*.a.example", "example"],
        ] {
            let chain = world.chain(names, 60);
            assert_eq!(world.verdict(at, chain, &NAME), verdict, "{names:?}");
        }
    }
    let many = [
        "a.example",
        "b.example",
        "c.example",
        "d.example",
        "e.example",
        "f.example",
    ];
    let found = world.found(OURS, world.chain(&many, 60));
    assert_eq!(
        found[2].found,
        "for a.example, b.example, c.example, d.example and 2 more, not for smtp.wac.example"
    );
}

#[test]
fn days_left() {
    let world = World::new();
    for (left, verdict) in [(15, Pass), (13, Warn), (0, Warn), (-3, Fail)] {
        let chain = world.chain(&["smtp.wac.example"], left);
        let found = world.found(OURS, chain);
        assert_eq!(found[3].verdict, verdict, "{left}");
        // That is one fault, not two.
        assert_eq!(found[1].verdict, Pass, "{left}");
    }
    let expired = world.chain(&["smtp.wac.example"], -3);
    assert_eq!(world.verdict(THEIRS, expired.clone(), &DAYS), Warn);
    assert_eq!(world.verdict((465, false), expired, &DAYS), Fail);
    let mut early = params(&["smtp.wac.example"], 90);
    early.not_before = NOW + Duration::DAY;
    let early = vec![leaf(&world.middle, &early), world.middle.der().clone()];
    assert_eq!(world.verdict(OURS, early, &DAYS), Fail);
}

#[test]
fn short_lives_have_short_last_days() {
    let world = World::new();
    for (hours, verdict) in [(26, Pass), (20, Warn)] {
        let mut short = params(&["smtp.wac.example"], 0);
        short.not_after = NOW + Duration::hours(hours);
        short.not_before = short.not_after - Duration::days(6);
        let chain = vec![leaf(&world.middle, &short), world.middle.der().clone()];
        assert_eq!(world.verdict(OURS, chain, &DAYS), verdict, "{hours}");
    }
}

#[test]
fn weak_keys_and_signatures() {
    let world = World::new();
    let pem = |text: &str| vec![CertificateDer::from_pem_slice(text.as_bytes()).expect("PEM")];
    // Made with openssl: rcgen makes neither.
    let short = pem(include_str!(
        "../../../tests/fixtures/certificates/rsa1024.pem"
    ));
    let sha1 = pem(include_str!(
        "../../../tests/fixtures/certificates/sha1.pem"
    ));
    for weak in [short, sha1] {
        assert_eq!(world.verdict(OURS, weak.clone(), &KEY), Fail);
        assert_eq!(world.verdict(THEIRS, weak, &KEY), Warn);
    }
}

#[test]
fn a_certificate_that_cannot_be_read() {
    let world = World::new();
    for chain in [Vec::new(), vec![CertificateDer::from(vec![0x30, 3, 1])]] {
        let found = world.found(OURS, chain);
        let verdicts: Vec<Verdict> = found.iter().map(|f| f.verdict).collect();
        assert_eq!(verdicts, [Pass, Fail]);
    }
}

#[test]
fn versions() {
    let roots = RootCertStore::empty();
    let modern = || {
        Some(Ok(Tls {
            version: "TLSv1.2".into(),
            chain: Vec::new(),
        }))
    };
    let broken = || Some(Err("HandshakeFailure".into()));
    let old = || Ok(Said::Accepts("TLSv1.1".into()));
    let ciphers = || Ok(Said::Accepts("TLSv1.2".into()));
    let of = |port, tls, said| judged(port, true, &roots, tls, said)[0].verdict;
    assert_eq!(of(25, modern(), [refuses(), refuses()]), Pass);
    assert_eq!(of(25, modern(), [Err("gone".into()), refuses()]), Pass);
    assert_eq!(of(25, modern(), [old(), refuses()]), Warn);
    assert_eq!(of(25, broken(), [old(), refuses()]), Fail);
    assert_eq!(of(25, broken(), [old(), old()]), Fail);
    assert_eq!(of(25, broken(), [refuses(), ciphers()]), Warn);
    assert_eq!(of(25, broken(), [refuses(), refuses()]), Skip);
    assert_eq!(of(465, broken(), [refuses(), refuses()]), Fail);
    assert_eq!(of(25, None, [refuses(), refuses()]), Skip);
}

//! What TLS is worth at each port: the versions, the certificate's chain, its
//! names, its days, its key.

mod leaf;
mod trust;

use futures_util::future::join_all;
use rustls::RootCertStore;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use time::{Duration, OffsetDateTime};

use self::leaf::{Key, Leaf};
use self::trust::Trust;
use super::finding::About;
use super::wire::{Newest, Port, Reach, SUBMISSIONS, Said, Station};
use super::{Aspect, Finding, Question, View};
use crate::record::Name;

/// The question.
pub const QUESTION: Question = Question {
    id: "tls",
    aspects: &[&VERSIONS, &CHAIN, &NAME, &DAYS, &KEY],
    ask: |view| Box::pin(ask(view)),
};

/// Which versions are spoken.
const VERSIONS: Aspect = Aspect {
    id: "tls.versions",
    wanted: "TLS 1.3 or 1.2, and nothing older",
    why: "TLS 1.0 and 1.1 are retired (RFC 8996) and must not be negotiated (RFC 9325 section 3.1.1). Gmail and Outlook refuse mail from and to servers that know nothing newer (4.7.29, 5.7.29), and mail programs do not connect.",
};

/// Whether the certificate comes from somebody who is trusted.
const CHAIN: Aspect = Aspect {
    id: "tls.chain",
    wanted: "the certificates that are sent lead to a trusted root",
    why: "Mail programs refuse to log in where they do not. Other servers mostly deliver on port 25 all the same, but not where MTA-STS is enforced (RFC 8461 section 4.2).",
};

/// Whether the certificate is for this host.
const NAME: Aspect = Aspect {
    id: "tls.name",
    wanted: "the certificate is for the host's name",
    why: "A certificate must have the name under which the server is asked for among its DNS names (RFC 9525 section 6, for submission RFC 7817, for MTA-STS RFC 8461 section 4.1): mail programs warn or refuse, and senders that enforce MTA-STS do not deliver.",
};

/// How long the certificate is good for.
const DAYS: Aspect = Aspect {
    id: "tls.days",
    wanted: "the certificate is valid, with time left to renew it",
    why: "With an expired certificate, mail programs refuse to log in, and senders that enforce MTA-STS do not deliver (RFC 8461 section 4.2). Renewal that has stopped is best noticed before.",
};

/// How strong key and signatures are.
const KEY: Aspect = Aspect {
    id: "tls.key",
    wanted: "RSA of 2048 bits or more, or an elliptic curve, signed with SHA-256 or better",
    why: "OpenSSL on current systems refuses RSA keys below 2048 bits and SHA-1 signatures (RFC 9325 section 4.5), so that TLS fails for mail programs and for other servers.",
};

/// Below this much time left, a renewal should have happened.
const SOON: Duration = Duration::days(14);

async fn ask(view: &View) -> Vec<Finding> {
    let stations = match view.stations().await {
        Ok(stations) => stations,
        Err(reason) => return vec![VERSIONS.of(view.domain()).skip(reason)],
    };
    let looks = stations.iter().map(|station| async {
        let outside = &view.outside;
        Look {
            station,
            old: hello(view, station, Newest::V11).await,
            // Only where nothing newer came about it matters what else there is.
            last: match station.seen.tls {
                Some(Err(_)) => hello(view, station, Newest::V12).await,
                _ => Ok(Said::Refuses),
            },
            roots: &outside.roots(),
            now: outside.settings.now,
        }
        .judge()
    });
    join_all(looks).await.into_iter().flatten().collect()
}

async fn hello(view: &View, station: &Station, newest: Newest) -> Result<Said, String> {
    if station.seen.tls.is_none() {
        return Err("there is no TLS".into());
    }
    let Station { host, address, .. } = station;
    let outside = &view.outside;
    outside.hello(host, *address, station.port, newest).await
}

/// All that is needed to judge one port.
struct Look<'a> {
    station: &'a Station,
    /// What is said to TLS 1.1.
    old: Result<Said, String>,
    /// What is said to TLS 1.2 with every old cipher.
    last: Result<Said, String>,
    roots: &'a RootCertStore,
    now: OffsetDateTime,
}

impl Look<'_> {
    fn judge(&self) -> Vec<Finding> {
        let seen: &Port = &self.station.seen;
        if seen.reach != Reach::Open {
            // That is `smtp.open`; here it could not be asked.
            let Err(reason) = &seen.greeting else {
                return Vec::new();
            };
            return vec![self.of(&VERSIONS).skip(reason)];
        }
        let mut findings = vec![self.versions()];
        if let Some(Ok(tls)) = &seen.tls {
            match Leaf::read(&tls.chain) {
                Ok(leaf) => {
                    findings.push(self.chain(&tls.chain, &leaf));
                    findings.push(self.name(&tls.chain, &leaf));
                    findings.push(self.days(&leaf));
                    findings.push(self.key(&leaf));
                }
                Err(reason) => {
                    let fix = "give the server a certificate that can be read";
                    findings.push(self.worse(&CHAIN, self.strict(), reason, fix));
                }
            }
        }
        findings
    }

    fn of<'b>(&self, aspect: &'b Aspect) -> About<'b> {
        aspect.of(self.station.address).at(self.station.port)
    }

    /// Whether clients verify the certificate: on port 25 servers mostly do
    /// not, unless the domain promises it, which is for `mta_sts` and `dane` to
    /// judge. Our own shall be right everywhere.
    fn strict(&self) -> bool {
        self.station.ours || self.station.port != 25
    }

    fn worse(
        &self,
        aspect: &Aspect,
        fails: bool,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        if fails {
            self.of(aspect).fail(found, fix)
        } else {
            self.of(aspect).warn(found, fix)
        }
    }

    fn versions(&self) -> Finding {
        let about = self.of(&VERSIONS);
        match (&self.station.seen.tls, &self.old, &self.last) {
            (Some(Ok(tls)), Ok(Said::Accepts(old)), _) => about.warn(
                format!("{}, but {old} is accepted, too", tls.version),
                "turn TLS 1.0 and 1.1 off",
            ),
            (Some(Ok(tls)), Ok(Said::Refuses), _) => {
                about.pass(format!("{}; TLS 1.1 and older are refused", tls.version))
            }
            (Some(Ok(tls)), Err(reason), _) => about.pass(format!(
                "{}; whether older ones are accepted is not known: {reason}",
                tls.version
            )),
            (Some(Err(reason)), _, Ok(Said::Accepts(version))) if version == "TLSv1.2" => about.warn(
                format!("{version}, but only with ciphers that are being given up: {reason}"),
                "let the server offer ciphers with ECDHE and AES-GCM or ChaCha20 (RFC 9325 section 4.2)",
            ),
            (Some(Err(_)), Ok(Said::Accepts(old)), _) => about.fail(
                format!("nothing newer than {old}"),
                "let the server speak TLS 1.2 and 1.3",
            ),
            (Some(Err(reason)), _, _) if self.station.port == SUBMISSIONS => about.fail(
                format!("no TLS comes about: {reason}"),
                "let the server speak TLS from the start on 465 (RFC 8314 section 3.3)",
            ),
            // That is `smtp.starttls`; here it could not be asked.
            (Some(Err(reason)), _, _) => about.skip(format!("STARTTLS fails: {reason}")),
            (None, _, _) => about.skip(match (&self.station.seen.greeting, &self.station.seen.trouble) {
                (Err(reason), _) | (Ok(_), Some(reason)) => reason.clone(),
                (Ok((220, _)), None) => "STARTTLS is not offered".into(),
                (Ok((code, text)), None) => format!("it does not talk to us: {code} {text}"),
            }),
        }
    }

    fn chain(&self, chain: &[CertificateDer<'_>], leaf: &Leaf) -> Finding {
        if self.roots.is_empty() {
            return self.of(&CHAIN).skip(
                "there are no trust anchors on this machine: install the package ca-certificates",
            );
        }
        // The life of the server's own certificate is judged by itself.
        let then = self.now.clamp(leaf.from, leaf.until.max(leaf.from));
        let whole =
            "let the server send its certificate with the intermediate ones (fullchain.pem)";
        let issue =
            "take a certificate of an authority that is trusted everywhere, such as Let's Encrypt";
        let (found, fix) = match trust::follow(chain, self.roots, then) {
            Trust::Rooted(root) => return self.of(&CHAIN).pass(format!("leads to {root}")),
            Trust::SelfSigned => ("self-signed: it is its own issuer".into(), issue),
            Trust::Missing(issuer) => (
                format!("the certificate of its issuer {issuer} is neither sent nor trusted"),
                whole,
            ),
            Trust::Unknown(issuer) => (format!("leads to {issuer}, which is not trusted"), issue),
            Trust::Outdated => (
                "an intermediate certificate has expired or is not valid yet".into(),
                "let the server send the intermediate certificates that are in use today",
            ),
            Trust::Unusable(reason) => (format!("cannot be verified: {reason}"), issue),
        };
        self.worse(&CHAIN, self.strict(), found, fix)
    }

    fn name(&self, chain: &[CertificateDer<'_>], leaf: &Leaf) -> Finding {
        let host = &self.station.host;
        let listed = listed(&leaf.names);
        if covers(chain, host) {
            return self
                .of(&NAME)
                .pass(format!("{host} is covered by {listed}"));
        }
        let found = format!("for {listed}, not for {host}");
        let fix = format!("take a certificate that has {host} among its names");
        // The submission service of others may be meant to be asked by another name.
        self.worse(&NAME, self.station.ours, found, fix)
    }

    fn days(&self, leaf: &Leaf) -> Finding {
        let left = leaf.until - self.now;
        let until = leaf.until.date();
        let fix = if self.station.ours {
            "run `mailctl apply`: it renews the certificate, and the server takes it into use"
        } else {
            "renew the certificate, and let the server read the new one"
        };
        if self.now < leaf.from {
            let found = format!("not valid before {}", leaf.from.date());
            let fix = "set the clocks right, or wait with the new certificate";
            return self.worse(&DAYS, self.strict(), found, fix);
        }
        if left.is_negative() {
            let found = format!("expired on {until}, {} ago", days(-left));
            return self.worse(&DAYS, self.strict(), found, fix);
        }
        let found = format!("{} left, until {until}", days(left));
        // Certificates that live for days only are renewed in their last days.
        if left < SOON.min((leaf.until - leaf.from) / 6) {
            return self.of(&DAYS).warn(found, fix);
        }
        self.of(&DAYS).pass(found)
    }

    fn key(&self, leaf: &Leaf) -> Finding {
        if let Some((hash, subject)) = &leaf.forgeable {
            let found = format!("the certificate of {subject} is signed with {hash}");
            let fix = "take a certificate that is signed with SHA-256 or better";
            return self.worse(&KEY, self.strict(), found, fix);
        }
        let about = self.of(&KEY);
        match leaf.key {
            Key::Rsa(bits) if bits < 2048 => self.worse(
                &KEY,
                self.strict(),
                format!("RSA with {bits} bits"),
                "take a certificate with a new key: P-256, or RSA with 2048 bits",
            ),
            Key::Rsa(bits) => about.pass(format!("RSA with {bits} bits")),
            Key::Curve(bits) => about.pass(format!("an elliptic curve of {bits} bits")),
            Key::Other => about.pass("neither RSA nor a NIST curve; it was good for a handshake"),
        }
    }
}

/// Whether a name is among those of the certificate, wildcards included (RFC 9525 section 6.3).
fn covers(chain: &[CertificateDer<'_>], host: &Name) -> bool {
    let Some(Ok(leaf)) = chain.first().map(ParsedCertificate::try_from) else {
        return false;
    };
    let name = ServerName::try_from(host.as_str());
    name.is_ok_and(|name| verify_server_name(&leaf, &name).is_ok())
}

fn listed(names: &[String]) -> String {
    match names.len() {
        0 => "no DNS name at all".into(),
        1..=5 => names.join(", "),
        many => format!("{} and {} more", names[..4].join(", "), many - 4),
    }
}

fn days(time: Duration) -> String {
    match time.whole_days() {
        0 => format!("{} h", time.whole_hours()),
        1 => "1 day".into(),
        days => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
    };
    use rustls::pki_types::pem::PemObject;
    use time::macros::datetime;

    use super::*;
    use crate::check::Verdict::{self, Fail, Pass, Skip, Warn};
    use crate::check::wire::{SUBMISSION, Tls};

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
            now: NOW,
        };
        look.judge()
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
        let short = pem(include_str!(
            "../../tests/fixtures/certificates/rsa1024.pem"
        ));
        let sha1 = pem(include_str!("../../tests/fixtures/certificates/sha1.pem"));
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
}

//! What TLS is worth at each port: the versions, the certificate's chain, its
//! names, its days, its key.

mod certificate;
mod leaf;
#[cfg(test)]
mod tests;
mod trust;

use futures_util::future::join_all;
use rustls::RootCertStore;
use time::OffsetDateTime;

use self::leaf::Leaf;
use super::finding::About;
use super::wire::{Newest, Port, Reach, SUBMISSIONS, Said, Station};
use super::{Aspect, Finding, Question, View};

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
    why: "TLS 1.0 and 1.1 are retired (RFC 8996) and must not be negotiated (RFC 9325 section 3.1.1). Large senders and current mail programs speak them no more: to a server that knows nothing newer, mail comes in the clear or not at all, and nobody can log in.",
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
    why: "A certificate must have the name under which the server is asked for among its DNS names (RFC 9525 section 6, for submission RFC 7817, for MTA-STS RFC 8461 section 4.2): mail programs warn or refuse, and senders that enforce MTA-STS do not deliver.",
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
            private: outside.settings.private,
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
    /// Whether mail.yaml's authority is one whose root is not known here.
    private: bool,
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
            (Some(Err(reason)), _, _) if self.station.port == SUBMISSIONS => self.worse(
                &VERSIONS,
                // A port of others that only seems to be open is nobody's fault.
                self.station.ours,
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
}

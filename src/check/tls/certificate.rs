//! What the certificate of a port is worth to those who verify it.

use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use time::Duration;

use super::leaf::{Key, Leaf};
use super::trust::{self, Trust};
use super::{CHAIN, DAYS, KEY, Look, NAME};
use crate::check::Finding;
use crate::record::Name;

/// Below this much time left, a renewal should have happened.
const SOON: Duration = Duration::days(14);

impl Look<'_> {
    pub(super) fn chain(&self, chain: &[CertificateDer<'_>], leaf: &Leaf) -> Finding {
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
            Trust::Unknown(issuer) if self.private && self.station.ours => {
                return self.of(&CHAIN).warn(
                    format!("leads to {issuer}, a private authority whose root is not known here"),
                    "give its root to mailctl with --roots, and to the mail programs: they refuse to log in otherwise",
                );
            }
            Trust::Unknown(issuer) => (format!("leads to {issuer}, which is not trusted"), issue),
            Trust::Outdated => (
                "an intermediate certificate has expired or is not valid yet".into(),
                "let the server send the intermediate certificates that are in use today",
            ),
            Trust::Unusable(reason) => (format!("cannot be verified: {reason}"), issue),
        };
        self.worse(&CHAIN, self.strict(), found, fix)
    }

    pub(super) fn name(&self, chain: &[CertificateDer<'_>], leaf: &Leaf) -> Finding {
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

    pub(super) fn days(&self, leaf: &Leaf) -> Finding {
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

    pub(super) fn key(&self, leaf: &Leaf) -> Finding {
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

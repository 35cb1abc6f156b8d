//! The certificate on the disk, and the one that is shown.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::ask::Learnt;
use super::clock;
use crate::acme;
use crate::observe::quote;
use crate::record::Name;

/// What is known of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its DNS names, sorted.
    pub names: Vec<String>,
    /// Who issued it, as a distinguished name.
    pub issuer: String,
    /// Begin of its life, RFC 3339, UTC.
    pub not_before: String,
    /// End of its life, RFC 3339, UTC.
    pub not_after: String,
    /// From when on `mailctl apply` renews it: a third of its life is left then. RFC 3339, UTC.
    pub renewal: String,
    /// Whether it names itself as issuer.
    pub self_signed: bool,
    /// For comparing.
    #[serde(skip)]
    pub parsed: Option<acme::Certificate>,
}

/// Asks chasquid for its certificate, but only where it runs: a connection would start it.
pub fn served_probe(host: &Name) -> String {
    format!(
        "systemctl -q is-active chasquid.service || {{ echo 'chasquid does not run' >&2; exit 3; }}\n\
         timeout 5 openssl s_client -connect 127.0.0.1:465 -servername {} </dev/null 2>/dev/null | openssl x509",
        quote(host.as_str())
    )
}

/// Reads the first certificate of a chain.
///
/// # Errors
/// A sentence, when there is none or it is damaged.
pub fn parse(pem: &str) -> Learnt<Certificate> {
    let parsed = acme::Certificate::parse(pem.as_bytes()).map_err(|failure| failure.chain())?;
    let at = |seconds: i64| {
        OffsetDateTime::from_unix_timestamp(seconds).map_or_else(|_| String::new(), clock::rfc3339)
    };
    let life = parsed.not_after.saturating_sub(parsed.not_before);
    Ok(Certificate {
        names: parsed.names.iter().cloned().collect(),
        issuer: parsed.issuer.clone(),
        not_before: at(parsed.not_before),
        not_after: at(parsed.not_after),
        renewal: at(parsed.not_after.saturating_sub(life / 3)),
        self_signed: parsed.self_signed,
        parsed: Some(parsed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_renewed_in_its_last_third() {
        let seen = parse(include_str!("../../tests/fixtures/status/fullchain.pem")).expect("one");
        assert_eq!(seen.names, ["*.wac.tax", "smtp.wac.tax", "wac.tax"]);
        assert!(seen.issuer.contains("Pebble") && !seen.self_signed);
        let parsed = seen.parsed.expect("parsed");
        let renewal = OffsetDateTime::parse(
            &seen.renewal,
            &time::format_description::well_known::Rfc3339,
        );
        let renewal = renewal.expect("a time").unix_timestamp();
        assert!(parsed.due(renewal) && !parsed.due(renewal - 2));
        assert!(parse("").is_err());
    }
}

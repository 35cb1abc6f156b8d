//! Formats of what the outside parties want: names, URLs, words of protocols.

use super::super::guess::{guess, one_of};
use super::super::word::HostName;
use super::{known, parses};
use crate::record::Name;

/// TSIG algorithms (RFC 8945 section 6) that are worth using.
pub const TSIG_ALGORITHMS: [&str; 5] = [
    "hmac-sha1",
    "hmac-sha224",
    "hmac-sha256",
    "hmac-sha384",
    "hmac-sha512",
];

/// The certificate authorities that have a name.
pub const AUTHORITIES: [&str; 3] = ["letsencrypt", "letsencrypt-staging", "zerossl"];

pub(super) fn dns_name(text: &str) -> Result<(), String> {
    if let Some((mechanism, name)) = text.split_once(':') {
        return Err(format!(
            "only the name is wanted, without `{mechanism}:`: `{name}`"
        ));
    }
    let name = Name::parse(text)?;
    known(name.as_str().contains('.'), || {
        format!("`{text}` is not fully qualified")
    })
}

pub(super) fn far_host(text: &str) -> Result<(), String> {
    let (name, port) = text.split_once(':').unwrap_or((text, "25"));
    known(port.parse::<u16>().is_ok_and(|port| port > 0), || {
        format!("`{port}` is no port: 1 to 65535 is wanted")
    })?;
    dns_name(name)
}

pub(super) fn url(text: &str, schemes: &[&str]) -> Result<(), String> {
    let url = reqwest::Url::parse(text)
        .map_err(|_| format!("`{text}` is no URL such as `{}://example.com/`", schemes[0]))?;
    if !schemes.contains(&url.scheme()) {
        return Err(format!(
            "`{text}` begins with `{}:`: {} is wanted",
            url.scheme(),
            one_of(schemes)
        ));
    }
    known(url.has_host(), || format!("`{text}` names no host"))
}

pub(super) fn sha256(text: &str) -> Result<(), String> {
    known(
        text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit()),
        || {
            format!(
                "a SHA-256 has 64 hexadecimal digits, this has {} characters",
                text.chars().count()
            )
        },
    )
}

pub(super) fn failure_options(text: &str) -> Result<(), String> {
    let options: Vec<&str> = text.split(':').collect();
    let unknown = options
        .iter()
        .find(|o| !matches!(**o, "0" | "1" | "d" | "s"));
    if let Some(unknown) = unknown {
        return Err(format!(
            "`{unknown}` is no failure reporting option: `0`, `1`, `d` and `s`, joined by `:`, are"
        ));
    }
    let twice = options
        .iter()
        .enumerate()
        .find(|(nth, o)| options[..*nth].contains(o));
    known(twice.is_none(), || format!("`{text}` says the same twice"))
}

pub(super) fn certificate_name(text: &str) -> Result<(), String> {
    let base = text.strip_prefix("*.").unwrap_or(text);
    if base.contains('*') {
        return Err(format!(
            "`{text}`: a wildcard is one `*` as the whole first label, such as `*.example.com`"
        ));
    }
    parses::<HostName>(base)
}

pub(super) fn authority(text: &str) -> Result<(), String> {
    if AUTHORITIES.contains(&text) {
        return Ok(());
    }
    if text.contains("://") {
        return url(text, &["https"]);
    }
    let meant =
        guess(text, AUTHORITIES).map_or(String::new(), |m| format!(", did you mean `{m}`?"));
    let wanted = if meant.is_empty() {
        format!(
            ": {} or the https URL of an ACME directory is wanted",
            one_of(&AUTHORITIES[..2])
        )
    } else {
        meant
    };
    Err(format!("unknown certificate authority `{text}`{wanted}"))
}

pub(super) fn tsig_algorithm(text: &str) -> Result<(), String> {
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("hmac-md5") {
        return Err(
            "`hmac-md5` is broken (RFC 8945 section 10): make the key anew with `hmac-sha256`"
                .into(),
        );
    }
    known(TSIG_ALGORITHMS.contains(&text), || {
        match guess(text, TSIG_ALGORITHMS) {
            Some(meant) => format!("unknown TSIG algorithm `{text}`, did you mean `{meant}`?"),
            None => format!(
                "unknown TSIG algorithm `{text}`: {} is wanted",
                one_of(&TSIG_ALGORITHMS)
            ),
        }
    })
}

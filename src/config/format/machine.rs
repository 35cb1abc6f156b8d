//! Formats of what is on the server, and of addresses with ports.

use std::net::SocketAddr;

use super::known;
use crate::record::Name;

pub(super) fn socket(text: &str) -> Result<(), String> {
    if text.parse::<SocketAddr>().is_ok_and(|a| a.port() != 0) {
        return Ok(());
    }
    let bare = text.trim_matches(['[', ']']);
    Err(match bare.parse::<std::net::IpAddr>() {
        Ok(ip) => format!(
            "`{text}` lacks a port: `{}` is wanted",
            SocketAddr::new(ip, 53)
        ),
        Err(_) => format!("`{text}` is no `address:port`, such as `127.0.0.1:53`"),
    })
}

pub(super) fn host_key(text: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
    let hash = text
        .strip_prefix("SHA256:")
        .filter(|h| h.len() == 43 && h.chars().all(good));
    known(hash.is_some(), || {
        format!(
            "`{text}` is no fingerprint: `SHA256:` and 43 characters, as `ssh-keygen -lf` prints it, are wanted"
        )
    })
}

pub(super) fn timezone(text: &str) -> Result<(), String> {
    let part = |p: &str| {
        p.starts_with(|c: char| c.is_ascii_alphabetic())
            && p.chars()
                .all(|c| c.is_ascii_alphanumeric() || "_+-".contains(c))
    };
    known(text.split('/').all(part), || {
        format!("`{text}` is no time zone such as `UTC` or `Europe/Berlin`")
    })
}

pub(super) fn locale(text: &str) -> Result<(), String> {
    let (name, charset) = text
        .split_once('.')
        .map_or((text, None), |(n, c)| (n, Some(c)));
    let (language, country) = name
        .split_once('_')
        .map_or((name, None), |(l, c)| (l, Some(c)));
    let good_language = matches!(language, "C" | "POSIX")
        || matches!(language.len(), 2 | 3) && language.chars().all(|c| c.is_ascii_lowercase());
    let good_country =
        country.is_none_or(|c| c.len() == 2 && c.chars().all(|c| c.is_ascii_uppercase()));
    let good_charset = charset.is_none_or(|c| {
        !c.is_empty()
            && c.chars()
                .all(|c| c.is_ascii_alphanumeric() || "-@".contains(c))
    });
    known(good_language && good_country && good_charset, || {
        format!("`{text}` is no locale such as `C.UTF-8` or `de_DE.UTF-8`")
    })
}

pub(super) fn interface(text: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_graphic() && c != '/' && c != ':';
    known(
        (1..=15).contains(&text.len()) && text.chars().all(good) && text != "." && text != "..",
        || {
            format!(
                "`{text}` is no network interface: up to 15 characters such as `eth0` are wanted"
            )
        },
    )
}

pub(super) fn package(text: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    known(text.len() >= 2 && begins && text.chars().all(good), || {
        format!(
            "`{text}` is no Debian package: lower-case letters, digits, `+`, `-` and `.` make a name"
        )
    })
}

pub(super) fn host_port(text: &str) -> Result<(), String> {
    let (host, port) = text
        .rsplit_once(':')
        .ok_or_else(|| format!("`{text}` lacks a port: `{text}:53` is wanted"))?;
    if !port.parse::<u16>().is_ok_and(|p| p != 0) {
        return Err(format!(
            "`{port}` is no port: a number from 1 to 65535 is wanted"
        ));
    }
    let bare = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    if bare.parse::<std::net::IpAddr>().is_ok() {
        return known(bare != host || !bare.contains(':'), || {
            format!("an IPv6 address needs brackets: `[{bare}]:{port}`")
        });
    }
    let name = Name::parse(host)?;
    known(name != Name::root(), || format!("`{text}` names no host"))
}

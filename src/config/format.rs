//! The formats of single values: the JSON Schema names them, and reading
//! mail.yaml checks them, from this one table.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::address::{Address, dot_string};
use super::guess::{guess, one_of};
use super::word::{HostName, Ipv6Wish, Rotation, SecretRef, SshTarget};
use crate::record::Name;

/// Names each format once: its marker type for `#[schemars(with = …)]`, its
/// word in the schema, an example, and its check.
macro_rules! formats {
    ($($marker:ident $format:literal $example:literal $check:expr;)*) => {
        $(
            #[doc = concat!("Stands for a string of format `", $format, "` in the schema.")]
            #[derive(Clone, Copy, Debug)]
            pub struct $marker;

            impl JsonSchema for $marker {
                fn inline_schema() -> bool {
                    true
                }
                fn schema_name() -> Cow<'static, str> {
                    stringify!($marker).into()
                }
                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!({"type": "string", "format": $format, "examples": [$example]})
                }
            }
        )*

        /// Whether `text` is in `format`; a format that is not in the table holds anything.
        ///
        /// # Errors
        /// A sentence that says what is wrong, and what would be right.
        pub fn check(format: &str, text: &str) -> Result<(), String> {
            match format {
                $($format => $check(text),)*
                _ => Ok(()),
            }
        }

        #[cfg(test)]
        const EXAMPLES: &[(&str, &str)] = &[$(($format, $example)),*];
    };
}

formats! {
    Host "host-name" "mail.example.com" parses::<HostName>;
    DnsName "dns-name" "_spf.example.com" dns_name;
    Target "ssh-target" "root@192.0.2.1" parses::<SshTarget>;
    V4 "ipv4" "192.0.2.1" |t: &str| known(t.parse::<Ipv4Addr>().is_ok(), || format!("`{t}` is no IPv4 address"));
    V6 "ipv6" "fe80::1" |t: &str| known(t.parse::<Ipv6Addr>().is_ok(), || format!("`{t}` is no IPv6 address"));
    V6Wish "ipv6-wish" "2001:db8::7/64" parses::<Ipv6Wish>;
    Days "days" "180d" parses::<Rotation>;
    SecretPlace "secret" "env:NAME" parses::<SecretRef>;
    Socket "socket-address" "127.0.0.1:53" socket;
    LocalPart "local-part" "someone" own_local_part;
    ForwardKey "forward-key" "someone" |t: &str| if t == "*" { Ok(()) } else { own_local_part(t) };
    Mailbox "mailbox" "someone@example.com" parses::<Address>;
    HostKey "host-key" "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" host_key;
    HttpUrl "http-url" "http://127.0.0.1:8081" |t: &str| url(t, &["http", "https"]);
    HttpsUrl "https-url" "https://example.com/" |t: &str| url(t, &["https"]);
    Sha256 "sha256" "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" sha256;
    Timezone "timezone" "Europe/Berlin" timezone;
    Locale "locale" "C.UTF-8" locale;
    Interface "interface" "eth0" interface;
    Package "package" "htop" package;
    Command "command" "nginx -s reload" |t: &str| known(!t.trim().is_empty(), || "the command is empty".into());
    HostPort "host-port" "127.0.0.1:53" host_port;
    FailureOptions "dmarc-fo" "1" failure_options;
    CertificateName "certificate-name" "*.example.com" certificate_name;
    Authority "authority" "letsencrypt" authority;
    TsigName "tsig-name" "mailctl" |t: &str| Name::parse(t).map(drop);
    TsigAlgorithm "tsig-algorithm" "hmac-sha256" tsig_algorithm;
}

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

fn known(good: bool, complaint: impl FnOnce() -> String) -> Result<(), String> {
    if good { Ok(()) } else { Err(complaint()) }
}

fn parses<T: std::str::FromStr<Err = String>>(text: &str) -> Result<(), String> {
    text.parse::<T>().map(drop)
}

fn dns_name(text: &str) -> Result<(), String> {
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

fn socket(text: &str) -> Result<(), String> {
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

/// A local part as chasquid keeps it: it maps names to lower case and takes
/// `+` for the beginning of a suffix, so that nothing else can ever match.
fn own_local_part(text: &str) -> Result<(), String> {
    if text == "*" {
        return Err("`*` is the catch-all: it belongs under `forward`, it cannot be a user".into());
    }
    if let Some((local, _)) = text.split_once('@') {
        return Err(format!(
            "`{text}` has a domain: only `{local}` is wanted here"
        ));
    }
    if text.is_empty() {
        return Err("the name before the `@` is empty".into());
    }
    if text.contains('+') {
        return Err(format!(
            "`{text}` has a `+`: what follows it is a suffix that mail to any user may carry"
        ));
    }
    if text.contains('*') {
        return Err(format!(
            "`{text}` has a `*`: only the bare catch-all `\"*\"` is known"
        ));
    }
    if text.len() > 64 {
        return Err(format!("`{text}` is longer than 64 octets"));
    }
    let lower = text.to_lowercase();
    if lower != text {
        return Err(format!(
            "`{text}` has capitals: write `{lower}`, mail to either arrives there"
        ));
    }
    dot_string(text).map_err(|why| format!("`{text}` is no name before an `@`: {why}"))
}

fn host_key(text: &str) -> Result<(), String> {
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

fn url(text: &str, schemes: &[&str]) -> Result<(), String> {
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

fn sha256(text: &str) -> Result<(), String> {
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

fn timezone(text: &str) -> Result<(), String> {
    let part = |p: &str| {
        p.starts_with(|c: char| c.is_ascii_alphabetic())
            && p.chars()
                .all(|c| c.is_ascii_alphanumeric() || "_+-".contains(c))
    };
    known(text.split('/').all(part), || {
        format!("`{text}` is no time zone such as `UTC` or `Europe/Berlin`")
    })
}

fn locale(text: &str) -> Result<(), String> {
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

fn interface(text: &str) -> Result<(), String> {
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

fn package(text: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    known(text.len() >= 2 && begins && text.chars().all(good), || {
        format!(
            "`{text}` is no Debian package: lower-case letters, digits, `+`, `-` and `.` make a name"
        )
    })
}

fn host_port(text: &str) -> Result<(), String> {
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

fn failure_options(text: &str) -> Result<(), String> {
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

fn certificate_name(text: &str) -> Result<(), String> {
    let base = text.strip_prefix("*.").unwrap_or(text);
    if base.contains('*') {
        return Err(format!(
            "`{text}`: a wildcard is one `*` as the whole first label, such as `*.example.com`"
        ));
    }
    parses::<HostName>(base)
}

fn authority(text: &str) -> Result<(), String> {
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

fn tsig_algorithm(text: &str) -> Result<(), String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_in_its_own_format() {
        for (format, example) in EXAMPLES {
            assert_eq!(check(format, example), Ok(()), "{format}");
        }
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for (format, text) in [
            ("dns-name", "com"),
            ("socket-address", "127.0.0.1"),
            ("local-part", "*"),
            ("local-part", "Bob"),
            ("local-part", "a+b"),
            ("forward-key", "a*"),
            ("host-key", "SHA256:short"),
            ("https-url", "http://example.com"),
            ("http-url", "example.com"),
            ("sha256", "abc"),
            ("timezone", "Europe Berlin"),
            ("locale", "german"),
            ("interface", "a-very-long-interface"),
            ("package", "Htop"),
            ("command", "  "),
            ("host-port", "2001:db8::1:53"),
            ("dmarc-fo", "1:x"),
            ("dmarc-fo", "1:1"),
            ("certificate-name", "a.*.example.com"),
            ("authority", "http://ca.example.com/dir"),
            ("authority", "letsencript"),
            ("tsig-algorithm", "hmac-md5"),
        ] {
            assert!(check(format, text).is_err(), "{format}: {text}");
        }
    }
}

//! The formats of single values: the JSON Schema names them, and reading
//! mail.yaml checks them, from this one table.

mod machine;
mod outside;

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use self::machine::{host_key, host_port, interface, locale, package, socket, timezone};
use self::outside::{
    authority, certificate_name, dns_name, failure_options, far_host, sha256, tsig_algorithm, url,
};
use super::address::{Address, own_local_part};
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
    FilePath "path" "/etc/nsd/zones/example.com.zone" |t: &str| known(!t.trim().is_empty(), || "the path is empty".into());
    Duration "duration" "90s" |t: &str| crate::remote::wait::parse_duration(t).map(drop);
    HostPort "host-port" "127.0.0.1:53" host_port;
    FarHost "far-host" "mx.example.com:25" far_host;
    FailureOptions "dmarc-fo" "1" failure_options;
    CertificateName "certificate-name" "*.example.com" certificate_name;
    Authority "authority" "letsencrypt" authority;
    TsigName "tsig-name" "mailctl" |t: &str| Name::parse(t).map(drop);
    TsigAlgorithm "tsig-algorithm" "hmac-sha256" tsig_algorithm;
}

fn known(good: bool, complaint: impl FnOnce() -> String) -> Result<(), String> {
    if good { Ok(()) } else { Err(complaint()) }
}

fn parses<T: std::str::FromStr<Err = String>>(text: &str) -> Result<(), String> {
    text.parse::<T>().map(drop)
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
            ("local-part", "a/b"),
            ("local-part", "#a"),
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
            ("path", " "),
            ("duration", "soon"),
            ("host-port", "2001:db8::1:53"),
            ("far-host", "mx.example.com:0x19"),
            ("far-host", "mx"),
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

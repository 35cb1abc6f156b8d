//! The small words of mail.yaml that have a syntax of their own.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::record::Name;

/// Implements `Deserialize` through `FromStr` and a string schema.
macro_rules! word {
    ($type:ty, $name:literal, $format:literal, $description:literal, $example:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "format": $format, "description": $description, "examples": [$example]})
            }
        }
    };
}

/// A fully qualified name of a host or domain; no underscore, no wildcard.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostName(pub Name);

impl FromStr for HostName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.parse::<std::net::IpAddr>().is_ok() {
            return Err(format!(
                "`{text}` is an address: a name such as `mail.example.com` is wanted"
            ));
        }
        let name = Name::parse(text)?;
        if name.as_str().contains(['_', '*']) {
            return Err(format!(
                "`{text}` is no host name: only letters, digits and hyphens are allowed"
            ));
        }
        if !name.as_str().contains('.') {
            return Err(format!(
                "`{text}` is not fully qualified: a name such as `mail.example.com` is wanted"
            ));
        }
        Ok(Self(name))
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

word!(
    HostName,
    "HostName",
    "host-name",
    "a fully qualified domain name",
    "mail.example.com"
);

/// `[user@]address[:port]`, IPv6 in brackets where a port follows, or an alias of ~/.ssh/config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshTarget {
    /// The login; `None`: ~/.ssh/config's, else root.
    pub user: Option<String>,
    /// Address, name or alias.
    pub host: String,
    /// `None`: ~/.ssh/config's, else 22.
    pub port: Option<u16>,
}

impl FromStr for SshTarget {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, text),
        };
        let (host, port) = if let Some(inner) = rest.strip_prefix('[') {
            let (host, tail) = inner
                .split_once(']')
                .ok_or("the bracket `[` is not closed")?;
            (host, tail.strip_prefix(':'))
        } else if rest.parse::<Ipv6Addr>().is_ok() {
            (rest, None)
        } else {
            rest.split_once(':')
                .map_or((rest, None), |(host, port)| (host, Some(port)))
        };
        let port =
            match port {
                Some(port) => Some(port.parse::<u16>().ok().filter(|p| *p != 0).ok_or_else(
                    || format!("`{port}` is no port: a number from 1 to 65535 is wanted"),
                )?),
                None => None,
            };
        if host.is_empty() || user.as_deref() == Some("") {
            return Err(format!(
                "`{text}` is no SSH target: `[user@]address[:port]` is wanted"
            ));
        }
        if host.starts_with('-') || host.contains(char::is_whitespace) {
            return Err(format!(
                "`{host}` is neither an address nor a Host of ~/.ssh/config"
            ));
        }
        Ok(Self {
            user,
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for SshTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.host.contains(':') && self.port.is_some() {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

word!(
    SshTarget,
    "SshTarget",
    "ssh-target",
    "[user@]address[:port], or a Host of ~/.ssh/config",
    "root@192.0.2.1"
);

/// The IPv6 address wished for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ipv6Wish {
    /// `none`: no AAAA, and mail never leaves over IPv6.
    None,
    /// An address, and the prefix length on the link (64 where none is given).
    Address(Ipv6Addr, u8),
}

impl FromStr for Ipv6Wish {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::None);
        }
        let (address, prefix) = text.split_once('/').unwrap_or((text, "64"));
        let address = address
            .parse()
            .map_err(|_| format!("`{address}` is no IPv6 address, and not `none`"))?;
        let prefix = prefix
            .parse::<u8>()
            .ok()
            .filter(|p| (1..=128).contains(p))
            .ok_or_else(|| format!("`/{prefix}` is no prefix length: 1 to 128 is wanted"))?;
        Ok(Self::Address(address, prefix))
    }
}

word!(
    Ipv6Wish,
    "Ipv6Wish",
    "ipv6-wish",
    "an IPv6 address, `address/prefix`, or `none`",
    "2001:db8::7/64"
);

/// A number of days, such as `180d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Days.
    pub days: u32,
}

impl FromStr for Rotation {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let days = text
            .strip_suffix('d')
            .and_then(|n| n.parse().ok())
            .filter(|n| *n > 0);
        days.map(|days| Self { days })
            .ok_or_else(|| format!("`{text}` is no number of days such as `180d`"))
    }
}

word!(
    Rotation,
    "Rotation",
    "days",
    "a number of days, such as `180d`",
    "180d"
);

/// Where a secret is found. It names a place; only `Literal` holds a value.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// `env:NAME`
    Env(String),
    /// `file:PATH`
    File(PathBuf),
    /// `command:…`, run by `sh -c`.
    Command(String),
    /// `age:…`
    Age(String),
    /// A bare string, taken literally with a warning.
    Literal(crate::secret::Secret),
}

impl FromStr for SecretRef {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the secret is empty".into());
        }
        let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
        match scheme {
            "env" | "file" | "command" | "age" if rest.is_empty() => {
                Err(format!("`{scheme}:` names nothing"))
            }
            "env" => Ok(Self::Env(rest.to_owned())),
            "file" => Ok(Self::File(rest.into())),
            "command" => Ok(Self::Command(rest.to_owned())),
            "age" => Ok(Self::Age(rest.to_owned())),
            _ => Ok(Self::Literal(crate::secret::Secret::new(text))),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Command(command) => write!(f, "command:{command}"),
            Self::Age(_) => f.write_str("age:…"),
            Self::Literal(_) => f.write_str("[secret]"),
        }
    }
}

word!(
    SecretRef,
    "SecretRef",
    "secret",
    "env:NAME, file:PATH, command:…, or the secret itself",
    "env:NAME"
);

/// Addresses that mail is forwarded to: one, or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardTo(pub Vec<String>);

impl<'de> Deserialize<'de> for ForwardTo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = ForwardTo;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address or a list of addresses")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ForwardTo, E> {
                Ok(ForwardTo(vec![text.to_owned()]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<ForwardTo, A::Error> {
                let mut addresses = Vec::new();
                while let Some(address) = seq.next_element()? {
                    addresses.push(address);
                }
                Ok(ForwardTo(addresses))
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}

impl JsonSchema for ForwardTo {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ForwardTo".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [
            {"type": "string", "format": "mailbox"},
            {"type": "array", "items": {"type": "string", "format": "mailbox"}, "minItems": 1}],
            "description": "an address or a list of addresses"})
    }
}

/// Where the server program comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// apt, from Debian testing, pinned to the one package.
    DebianTesting,
    /// The distribution's own package.
    Distribution,
    /// One package file.
    Deb {
        /// Its address.
        url: String,
        /// Its SHA-256, hexadecimal.
        sha256: String,
    },
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrDeb;
        impl<'de> Visitor<'de> for WordOrDeb {
            type Value = Source;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`debian-testing`, `distribution` or `{deb: URL, sha256: …}`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Source, E> {
                match text {
                    "debian-testing" => Ok(Source::DebianTesting),
                    "distribution" => Ok(Source::Distribution),
                    other => Err(E::unknown_variant(
                        other,
                        &["debian-testing", "distribution"],
                    )),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Source, A::Error> {
                let (mut url, mut sha256) = (None, None);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "deb" => url = Some(map.next_value()?),
                        "sha256" => sha256 = Some(map.next_value()?),
                        other => return Err(de::Error::unknown_field(other, &["deb", "sha256"])),
                    }
                }
                Ok(Source::Deb {
                    url: url.ok_or_else(|| de::Error::missing_field("deb"))?,
                    sha256: sha256.ok_or_else(|| de::Error::missing_field("sha256"))?,
                })
            }
        }
        deserializer.deserialize_any(WordOrDeb)
    }
}

impl JsonSchema for Source {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Source".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [
            {"type": "string", "enum": ["debian-testing", "distribution"]},
            {"type": "object", "properties": {
                "deb": {"type": "string", "format": "https-url", "description": "The package's address"},
                "sha256": {"type": "string", "format": "sha256", "description": "Its SHA-256, hexadecimal"}},
             "required": ["deb", "sha256"], "additionalProperties": false}]})
    }
}

//! The providers that are known, from the files under `providers/`: which
//! fields each takes, and the environment variable each field falls back to.

use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::config::surroundings::Surroundings;
use crate::config::{Dns, Ptr, SecretRef};
use crate::record::Name;

/// Which of the two sorts of provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Holds the zones of the domains.
    Dns,
    /// Sets the reverse DNS of the host's addresses.
    Ptr,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "dns",
            Self::Ptr => "ptr",
        })
    }
}

/// One provider.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Which sort.
    pub kind: Kind,
    /// What `provider:` says.
    pub id: String,
    /// Its name in full.
    pub title: String,
    /// Where its API is described.
    pub docs: Option<String>,
    /// The fields it takes beside `provider`, `zone` and `ttl`.
    pub fields: Vec<Field>,
    /// What it cannot do.
    pub limits: Vec<String>,
}

/// A provider's own field.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its name in mail.yaml.
    pub name: String,
    /// The environment variable that stands in for it.
    pub env: String,
    /// Whether its value is a secret.
    #[serde(default)]
    pub secret: bool,
    /// Whether it must be given, here or by the variable.
    #[serde(default)]
    pub required: bool,
    /// What it is when nobody says.
    #[serde(default)]
    pub default: Option<String>,
    /// What a value looks like.
    #[serde(default)]
    pub example: Option<String>,
    /// What it is.
    pub help: String,
}

/// A file under `providers/`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    title: String,
    docs: Option<String>,
    fields: Vec<Field>,
    limits: Vec<String>,
}

macro_rules! pages {
    ($($kind:ident $id:literal $path:literal;)*) => {
        &[$((Kind::$kind, $id, include_str!(concat!("../providers/", $path)))),*]
    };
}

const PAGES: &[(Kind, &str, &str)] = pages! {
    Dns "manual" "dns/manual.yaml";
    Dns "powerdns" "dns/powerdns.yaml";
    Dns "rfc2136" "dns/rfc2136.yaml";
    Ptr "manual" "ptr/manual.yaml";
    Ptr "powerdns" "ptr/powerdns.yaml";
    Ptr "rfc2136" "ptr/rfc2136.yaml";
};

/// DNS providers that have an id, but no implementation yet.
const LATER_DNS: &[&str] = &[
    "azure",
    "bunny",
    "cloudflare",
    "cloudns",
    "contabo",
    "desec",
    "digitalocean",
    "dnsimple",
    "dynu",
    "exec",
    "exoscale",
    "gandi",
    "gcore",
    "godaddy",
    "google-cloud",
    "hetzner",
    "hostinger",
    "infomaniak",
    "inwx",
    "ionos",
    "linode",
    "luadns",
    "namecheap",
    "netcup",
    "netlify",
    "ns1",
    "oracle-cloud",
    "ovh",
    "porkbun",
    "route53",
    "scaleway",
    "simplycom",
    "spaceship",
    "transip",
    "ultradns",
    "vercel",
    "vultr",
    "zonefile",
];

/// PTR providers that have an id, but no implementation yet.
const LATER_PTR: &[&str] = &[
    "aws-ec2",
    "azure",
    "contabo",
    "digitalocean",
    "exoscale",
    "google-compute",
    "hetzner-cloud",
    "hetzner-robot",
    "hostinger",
    "ionos-cloud",
    "leaseweb",
    "linode",
    "netcup-scp",
    "openstack-designate",
    "ovh",
    "scaleway",
    "transip",
    "upcloud",
    "vultr",
];

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    // A page that cannot be read is left out here; a test names it.
    PAGES
        .iter()
        .filter_map(|(kind, id, text)| entry(*kind, id, text).ok())
        .collect()
});

fn entry(kind: Kind, id: &str, text: &str) -> Result<Entry, serde_saphyr::Error> {
    let Page {
        title,
        docs,
        fields,
        limits,
    } = serde_saphyr::from_str(text)?;
    Ok(Entry {
        kind,
        id: id.to_owned(),
        title,
        docs,
        fields,
        limits,
    })
}

/// All providers, by kind and id.
pub fn entries() -> &'static [Entry] {
    &ENTRIES
}

/// A DNS provider.
pub fn dns(id: &str) -> Option<&'static Entry> {
    find(Kind::Dns, id)
}

/// A PTR provider.
pub fn ptr(id: &str) -> Option<&'static Entry> {
    find(Kind::Ptr, id)
}

/// A provider of this kind.
pub fn find(kind: Kind, id: &str) -> Option<&'static Entry> {
    entries().iter().find(|e| e.kind == kind && e.id == id)
}

/// The ids of a kind.
pub fn ids(kind: Kind) -> Vec<&'static str> {
    entries()
        .iter()
        .filter(|e| e.kind == kind)
        .map(|e| e.id.as_str())
        .collect()
}

/// Ids that are reserved for providers which are not supported yet.
pub fn later(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Dns => LATER_DNS,
        Kind::Ptr => LATER_PTR,
    }
}

/// What mail.yaml and the environment say about one provider, in one form
/// for both kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The provider's id.
    pub provider: String,
    /// The zone, where it is said.
    pub zone: Option<Name>,
    /// The API's address.
    pub endpoint: Option<String>,
    /// The API's token.
    pub token: Option<SecretRef>,
    /// PowerDNS: the server's id.
    pub server_id: Option<String>,
    /// RFC 2136: the primary as `host:port`.
    pub server: Option<String>,
    /// RFC 8945: the TSIG key's name.
    pub key_name: Option<String>,
    /// RFC 8945: the TSIG key, base64.
    pub key: Option<SecretRef>,
    /// RFC 8945: the TSIG algorithm.
    pub algorithm: Option<String>,
}

macro_rules! settings_from {
    ($type:ty) => {
        impl From<&$type> for Settings {
            fn from(given: &$type) -> Self {
                Self {
                    provider: given.provider.clone(),
                    zone: given.zone.as_ref().map(|zone| zone.0.clone()),
                    endpoint: given.endpoint.clone(),
                    token: given.token.clone(),
                    server_id: given.server_id.clone(),
                    server: given.server.clone(),
                    key_name: given.key_name.clone(),
                    key: given.key.clone(),
                    algorithm: given.algorithm.clone(),
                }
            }
        }
    };
}

settings_from!(Dns);
settings_from!(Ptr);

/// A slot of [`Settings`].
enum Slot<'a> {
    Open(&'a mut Option<String>),
    Secret(&'a mut Option<SecretRef>),
}

impl Settings {
    /// The names of the fields that are set.
    pub fn given(&self) -> Vec<&'static str> {
        let set = [
            ("endpoint", self.endpoint.is_some()),
            ("token", self.token.is_some()),
            ("server_id", self.server_id.is_some()),
            ("server", self.server.is_some()),
            ("key_name", self.key_name.is_some()),
            ("key", self.key.is_some()),
            ("algorithm", self.algorithm.is_some()),
        ];
        set.into_iter()
            .filter(|(_, set)| *set)
            .map(|(name, _)| name)
            .collect()
    }

    fn slot(&mut self, name: &str) -> Option<Slot<'_>> {
        Some(match name {
            "endpoint" => Slot::Open(&mut self.endpoint),
            "token" => Slot::Secret(&mut self.token),
            "server_id" => Slot::Open(&mut self.server_id),
            "server" => Slot::Open(&mut self.server),
            "key_name" => Slot::Open(&mut self.key_name),
            "key" => Slot::Secret(&mut self.key),
            "algorithm" => Slot::Open(&mut self.algorithm),
            _ => return None,
        })
    }
}

/// What is given, and for the rest the environment's variables and the
/// defaults of the catalogue. A secret stays a reference.
pub fn filled(kind: Kind, given: impl Into<Settings>, around: &dyn Surroundings) -> Settings {
    let mut settings = given.into();
    let Some(entry) = find(kind, &settings.provider) else {
        return settings;
    };
    for field in &entry.fields {
        let variable = around
            .variable(&field.env)
            .filter(|value| !value.is_empty());
        match settings.slot(&field.name) {
            Some(Slot::Open(slot)) if slot.is_none() => {
                *slot = variable.or_else(|| field.default.clone())
            }
            Some(Slot::Secret(slot)) if slot.is_none() => {
                *slot = variable.map(|_| SecretRef::Env(field.env.clone()));
            }
            _ => {}
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::surroundings::Written;

    #[test]
    fn every_page_can_be_read_and_has_a_slot_for_each_field() {
        for (kind, id, text) in PAGES {
            let entry = entry(*kind, id, text).unwrap_or_else(|e| panic!("{kind}/{id}: {e}"));
            for field in &entry.fields {
                let mut settings = Settings::default();
                let slot = settings
                    .slot(&field.name)
                    .unwrap_or_else(|| panic!("{id}: no slot for {}", field.name));
                assert_eq!(
                    matches!(slot, Slot::Secret(_)),
                    field.secret,
                    "{id}: {}",
                    field.name
                );
                assert!(
                    !(field.required && field.default.is_some()),
                    "{id}: {}",
                    field.name
                );
            }
        }
        assert_eq!(entries().len(), PAGES.len());
    }

    #[test]
    fn every_file_under_providers_is_in_the_list() {
        for kind in [Kind::Dns, Kind::Ptr] {
            let directory = format!("{}/providers/{kind}", env!("CARGO_MANIFEST_DIR"));
            for file in std::fs::read_dir(directory).expect("readable") {
                let name = file
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("text");
                let id = name.trim_end_matches(".yaml");
                assert!(find(kind, id).is_some(), "{kind}/{id} has no row");
                assert!(
                    !later(kind).contains(&id),
                    "{kind}/{id} is no longer for later"
                );
            }
        }
    }

    #[test]
    fn what_is_not_given_comes_from_the_environment_then_from_the_defaults() {
        let mut around = Written::default();
        around
            .variables
            .insert("PDNS_API_KEY".into(), "secret".into());
        around
            .variables
            .insert("PDNS_API_URL".into(), "http://elsewhere".into());
        let given = Settings {
            provider: "powerdns".into(),
            endpoint: Some("http://here".into()),
            ..Settings::default()
        };
        let filled = filled(Kind::Dns, given, &around);
        assert_eq!(filled.endpoint.as_deref(), Some("http://here"));
        assert_eq!(filled.token, Some(SecretRef::Env("PDNS_API_KEY".into())));
        assert_eq!(filled.server_id.as_deref(), Some("localhost"));
    }
}

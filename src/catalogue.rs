//! The providers that are known, from the files under `providers/`: which
//! fields each takes, and the environment variable each field falls back to.

mod settings;

use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

pub use self::settings::{Settings, filled};
use crate::rest::api::Api;

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
    /// A hoster's API, where following its words is all there is to it.
    #[serde(skip)]
    pub api: Option<Api>,
}

impl Entry {
    /// Whether setting a PTR record there renames the machine.
    pub fn renames(&self) -> bool {
        self.api.as_ref().is_some_and(|api| api.renames)
    }
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
    /// Its format, of those in [`crate::config::format`].
    #[serde(default)]
    pub format: Option<String>,
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
    #[serde(default)]
    api: Option<Api>,
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
    Ptr "aws-ec2" "ptr/aws-ec2.yaml";
    Ptr "azure" "ptr/azure.yaml";
    Ptr "contabo" "ptr/contabo.yaml";
    Ptr "digitalocean" "ptr/digitalocean.yaml";
    Ptr "exoscale" "ptr/exoscale.yaml";
    Ptr "google-compute" "ptr/google-compute.yaml";
    Ptr "hetzner-cloud" "ptr/hetzner-cloud.yaml";
    Ptr "hetzner-robot" "ptr/hetzner-robot.yaml";
    Ptr "hostinger" "ptr/hostinger.yaml";
    Ptr "ionos-cloud" "ptr/ionos-cloud.yaml";
    Ptr "leaseweb" "ptr/leaseweb.yaml";
    Ptr "linode" "ptr/linode.yaml";
    Ptr "manual" "ptr/manual.yaml";
    Ptr "netcup-scp" "ptr/netcup-scp.yaml";
    Ptr "openstack-designate" "ptr/openstack-designate.yaml";
    Ptr "ovh" "ptr/ovh.yaml";
    Ptr "powerdns" "ptr/powerdns.yaml";
    Ptr "rfc2136" "ptr/rfc2136.yaml";
    Ptr "scaleway" "ptr/scaleway.yaml";
    Ptr "transip" "ptr/transip.yaml";
    Ptr "upcloud" "ptr/upcloud.yaml";
    Ptr "vultr" "ptr/vultr.yaml";
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
const LATER_PTR: &[&str] = &[];

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
        api,
    } = serde_saphyr::from_str(text)?;
    Ok(Entry {
        kind,
        id: id.to_owned(),
        title,
        docs,
        fields,
        limits,
        api,
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

/// Whether the field of this name is a secret, at whichever provider.
pub fn is_secret(field: &str) -> bool {
    let mut fields = entries().iter().flat_map(|entry| &entry.fields);
    fields.any(|known| known.secret && known.name == field)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_can_be_read() {
        for (kind, id, text) in PAGES {
            let entry = entry(*kind, id, text).unwrap_or_else(|e| panic!("{kind}/{id}: {e}"));
            for field in &entry.fields {
                assert!(
                    !(field.required && field.default.is_some()),
                    "{id}: {}",
                    field.name
                );
                let common = ["provider", "zone", "ttl"];
                assert!(!common.contains(&field.name.as_str()), "{id}");
            }
        }
        assert_eq!(entries().len(), PAGES.len());
    }

    /// The name alone says how a field is read, before the provider is known.
    #[test]
    fn a_field_is_a_secret_everywhere_or_nowhere() {
        for entry in entries() {
            for field in &entry.fields {
                assert_eq!(
                    field.secret,
                    is_secret(&field.name),
                    "{}/{}: {}",
                    entry.kind,
                    entry.id,
                    field.name
                );
                assert!(!(field.secret && field.format.is_some()), "{}", entry.id);
            }
        }
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
}

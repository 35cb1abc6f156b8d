//! The providers that are known, from the files under `providers/`: which
//! fields each takes, and the environment variable each field falls back to.

mod settings;

use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

pub use self::settings::{Settings, filled};
use crate::rest::api::Api;
use crate::rest::auth::{Device, Exchange, Scheme};

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
    /// The least TTL of a record there, in seconds.
    pub least_ttl: u32,
    /// Whether its API takes whole zones only, so that each change writes every record again.
    pub whole_zone: bool,
    /// The fields it takes beside `provider`, `zone` and `ttl`.
    pub fields: Vec<Field>,
    /// What it cannot do.
    pub limits: Vec<String>,
    /// What its name servers are called, `*` standing for any text; empty where that is not known.
    #[serde(skip)]
    pub servers: Vec<String>,
    /// A hoster's API, where following its words is all there is to it.
    #[serde(skip)]
    pub api: Option<Api>,
}

impl Entry {
    /// Whether setting a PTR record there renames the machine.
    pub fn renames(&self) -> bool {
        self.api.as_ref().is_some_and(|api| api.renames)
    }

    /// How a person logs in there to get a refresh token, where it has such a way.
    pub fn device(&self) -> Option<(&Exchange, &Device)> {
        match &self.api.as_ref()?.auth {
            Scheme::Exchange(exchange) => Some((exchange, exchange.device.as_ref()?)),
            _ => None,
        }
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
    #[serde(default)]
    least_ttl: u32,
    #[serde(default)]
    whole_zone: bool,
    fields: Vec<Field>,
    limits: Vec<String>,
    #[serde(default)]
    servers: Vec<String>,
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
    Dns "alidns" "dns/alidns.yaml";
    Dns "arvancloud" "dns/arvancloud.yaml";
    Dns "autodns" "dns/autodns.yaml";
    Dns "azure" "dns/azure.yaml";
    Dns "baiducloud" "dns/baiducloud.yaml";
    Dns "bluecat" "dns/bluecat.yaml";
    Dns "bunny" "dns/bunny.yaml";
    Dns "cloudflare" "dns/cloudflare.yaml";
    Dns "cloudns" "dns/cloudns.yaml";
    Dns "constellix" "dns/constellix.yaml";
    Dns "cpanel" "dns/cpanel.yaml";
    Dns "desec" "dns/desec.yaml";
    Dns "digitalocean" "dns/digitalocean.yaml";
    Dns "dnsimple" "dns/dnsimple.yaml";
    Dns "dnsmadeeasy" "dns/dnsmadeeasy.yaml";
    Dns "domeneshop" "dns/domeneshop.yaml";
    Dns "dreamhost" "dns/dreamhost.yaml";
    Dns "dynu" "dns/dynu.yaml";
    Dns "easydns" "dns/easydns.yaml";
    Dns "edgedns" "dns/edgedns.yaml";
    Dns "exec" "dns/exec.yaml";
    Dns "exoscale" "dns/exoscale.yaml";
    Dns "gandi" "dns/gandi.yaml";
    Dns "gcore" "dns/gcore.yaml";
    Dns "glesys" "dns/glesys.yaml";
    Dns "godaddy" "dns/godaddy.yaml";
    Dns "google-cloud" "dns/google-cloud.yaml";
    Dns "hetzner" "dns/hetzner.yaml";
    Dns "hostingde" "dns/hostingde.yaml";
    Dns "hostinger" "dns/hostinger.yaml";
    Dns "huaweicloud" "dns/huaweicloud.yaml";
    Dns "ibmcloud" "dns/ibmcloud.yaml";
    Dns "infoblox" "dns/infoblox.yaml";
    Dns "infomaniak" "dns/infomaniak.yaml";
    Dns "inwx" "dns/inwx.yaml";
    Dns "ionos" "dns/ionos.yaml";
    Dns "ipv64" "dns/ipv64.yaml";
    Dns "joker" "dns/joker.yaml";
    Dns "lightsail" "dns/lightsail.yaml";
    Dns "linode" "dns/linode.yaml";
    Dns "luadns" "dns/luadns.yaml";
    Dns "manual" "dns/manual.yaml";
    Dns "mythicbeasts" "dns/mythicbeasts.yaml";
    Dns "namecheap" "dns/namecheap.yaml";
    Dns "namedotcom" "dns/namedotcom.yaml";
    Dns "namesilo" "dns/namesilo.yaml";
    Dns "netcup" "dns/netcup.yaml";
    Dns "netlify" "dns/netlify.yaml";
    Dns "nifcloud" "dns/nifcloud.yaml";
    Dns "ns1" "dns/ns1.yaml";
    Dns "oracle-cloud" "dns/oracle-cloud.yaml";
    Dns "ovh" "dns/ovh.yaml";
    Dns "plesk" "dns/plesk.yaml";
    Dns "porkbun" "dns/porkbun.yaml";
    Dns "powerdns" "dns/powerdns.yaml";
    Dns "rfc2136" "dns/rfc2136.yaml";
    Dns "route53" "dns/route53.yaml";
    Dns "safedns" "dns/safedns.yaml";
    Dns "scaleway" "dns/scaleway.yaml";
    Dns "selectel" "dns/selectel.yaml";
    Dns "simplycom" "dns/simplycom.yaml";
    Dns "spaceship" "dns/spaceship.yaml";
    Dns "tencentcloud" "dns/tencentcloud.yaml";
    Dns "transip" "dns/transip.yaml";
    Dns "ultradns" "dns/ultradns.yaml";
    Dns "vercel" "dns/vercel.yaml";
    Dns "volcengine" "dns/volcengine.yaml";
    Dns "vultr" "dns/vultr.yaml";
    Dns "websupport" "dns/websupport.yaml";
    Dns "yandexcloud" "dns/yandexcloud.yaml";
    Dns "zoneeu" "dns/zoneeu.yaml";
    Dns "zonefile" "dns/zonefile.yaml";
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

/// Names of DNS providers that cannot be used, or are called otherwise here.
const REFUSED_DNS: &[(&str, &str)] = &[
    (
        "contabo",
        "its API has zones and records, but mailctl does not speak it; `manual` says which records to set, and verifies them, `exec` runs a program of your own that sets them; as `ptr` provider it is known",
    ),
    ("ddnss", CANNOT_LIST),
    ("dnspod", "it is called `tencentcloud` here"),
    ("duckdns", CANNOT_LIST),
    ("freemyip", CANNOT_LIST),
    ("hurricane", CANNOT_LIST),
];

const CANNOT_LIST: &str = "its API cannot say which records stand in the zone, and mailctl writes nothing that it has not read; `manual` says which records to set, and verifies them";

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
        least_ttl,
        whole_zone,
        fields,
        limits,
        servers,
        api,
    } = serde_saphyr::from_str(text)?;
    Ok(Entry {
        kind,
        id: id.to_owned(),
        title,
        docs,
        least_ttl,
        whole_zone,
        fields,
        limits,
        servers,
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

/// Why a provider of this name is refused, where it is known and cannot be used.
pub fn refused(kind: Kind, id: &str) -> Option<&'static str> {
    let refused = match kind {
        Kind::Dns => REFUSED_DNS,
        Kind::Ptr => &[],
    };
    refused
        .iter()
        .find(|(name, _)| *name == id)
        .map(|(_, why)| *why)
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

    /// The table of the README, made from the catalogue.
    fn table(kind: Kind) -> String {
        let rows = entries().iter().filter(|entry| entry.kind == kind);
        let rows = rows.map(|entry| {
            let named = |field: &Field| match (field.required, &field.name) {
                (true, name) => format!("`{name}`"),
                (false, name) => format!("`{name}`?"),
            };
            let fields: Vec<String> = entry.fields.iter().map(named).collect();
            format!(
                "| {} | `{}` | {} |\n",
                entry.title,
                entry.id,
                fields.join(", ")
            )
        });
        rows.collect()
    }

    #[test]
    fn the_readme_has_the_catalogue() {
        let readme = include_str!("../README.md");
        for kind in [Kind::Dns, Kind::Ptr] {
            let wanted = table(kind);
            assert!(readme.contains(&wanted), "README.md, Providers:\n{wanted}");
        }
    }

    #[test]
    fn the_readme_names_who_takes_whole_zones_only() {
        let whole = entries().iter().filter(|entry| entry.whole_zone);
        let names: Vec<&str> = whole
            .map(|entry| entry.title.split(" (").next().unwrap_or_default())
            .collect();
        let (last, others) = names.split_last().expect("some");
        let wanted = format!("{} and {last} take whole zones only", others.join(", "));
        let readme = include_str!("../README.md");
        assert!(readme.contains(&wanted), "README.md, Providers: {wanted}");
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
            }
        }
    }

    /// A pattern without a dot, or with nothing but asterisks in its last two
    /// labels, would hold for servers of anybody.
    #[test]
    fn what_name_servers_are_called_is_a_pattern_of_host_names() {
        let may = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.*".contains(c);
        for entry in entries() {
            assert!(
                entry.servers.is_empty() || entry.kind == Kind::Dns,
                "{}",
                entry.id
            );
            for pattern in &entry.servers {
                let labels: Vec<&str> = pattern.split('.').collect();
                let own = labels.iter().rev().take(2);
                assert!(
                    pattern.chars().all(may)
                        && labels.len() >= 2
                        && labels.iter().all(|label| !label.is_empty())
                        && own
                            .into_iter()
                            .any(|label| label.contains(char::is_alphanumeric))
                        && !pattern.contains("**"),
                    "{}: {pattern}",
                    entry.id
                );
            }
        }
    }
}

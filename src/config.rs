//! mail.yaml as data: every field, its meaning and its default.
//!
//! The doc comments below become the JSON Schema. Reading and drawing mistakes
//! is in [`load`], rules across fields in [`check`].

pub mod address;
pub mod check;
pub mod format;
pub mod guess;
pub mod load;
pub mod places;
mod provider;
pub mod records;
mod secret_refs;
pub mod shape;
pub mod surroundings;
pub mod syntax;
pub mod tree;
pub mod word;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::record::Name;
pub use provider::{Fields, Given};
pub use word::{ForwardTo, HostName, Ipv6Wish, Rotation, SecretRef, Source, SshTarget};

/// One mail server: a host, its domains, and who the outside parties are.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The server.
    pub host: Host,
    /// The SMTP server program on it.
    #[serde(default)]
    pub server: Server,
    /// The mail domains, by name.
    #[schemars(extend("propertyNames" = {"type": "string", "format": "host-name"}, "minProperties" = 1))]
    pub domains: BTreeMap<HostName, Domain>,
    /// Who hosts the zones.
    pub dns: Dns,
    /// Who sets the reverse DNS.
    #[serde(default)]
    pub ptr: Ptr,
    /// Who signs the certificates, for which names.
    #[serde(default)]
    pub certificates: Certificates,
    /// Where configuration and keys are backed up.
    pub backup: Option<Backup>,
    /// The directory where generated passwords are kept, readable by you only.
    #[serde(default = "default_secrets")]
    pub secrets: PathBuf,
    /// The resolver to ask, as `address:port`; default: the system's.
    #[schemars(with = "Option<format::Socket>")]
    pub resolver: Option<SocketAddr>,
    /// How `check` looks, and what it leaves out.
    #[serde(default)]
    pub check: Check,
}

/// How the live service is looked at by `check`, and after `apply`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Check {
    /// A mail server far away, as `host` or `host:port`: it tells a closed port there from one that is closed on the way.
    #[schemars(with = "Option<format::FarHost>")]
    pub far: Option<String>,
    /// The zones of the blocklists to ask; default: the well-known ones.
    #[schemars(with = "Option<Vec<format::DnsName>>")]
    pub blocklists: Option<Vec<String>>,
    /// Base URL for questions about registrations (RFC 9082); default: one that knows every registry.
    #[schemars(with = "Option<format::HttpUrl>")]
    pub rdap: Option<String>,
    /// Questions or findings to leave out, such as `blocklist` or `tls.versions`.
    pub skip: Vec<String>,
}

/// The server and how to reach it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// The one name: owner of A and AAAA, value of PTR, EHLO name, MX target, certificate name.
    pub name: HostName,
    /// `[user@]address[:port]`, or a Host of ~/.ssh/config.
    pub ssh: SshTarget,
    /// The private key file; default: ssh-agent, then ~/.ssh/config, then the usual keys.
    pub identity: Option<PathBuf>,
    /// `SHA256:…` of the server's host key; default: known_hosts.
    #[schemars(with = "Option<format::HostKey>")]
    pub host_key: Option<String>,
    /// Only for the first login of a VPS that is handed over with a password.
    pub password: Option<SecretRef>,
    /// Public IPv4 address; default: the address of `ssh` when it is a literal public one, else the host's own source address.
    pub ipv4: Option<Ipv4Addr>,
    /// Public IPv6 address as `address` or `address/prefix`; default: what the host has; `none`: no AAAA, and mail never leaves over IPv6.
    pub ipv6: Option<Ipv6Wish>,
    /// The IPv6 gateway, such as `fe80::1`.
    pub gateway6: Option<std::net::Ipv6Addr>,
    /// The network interface; default: that of the default route.
    #[schemars(with = "Option<format::Interface>")]
    pub interface: Option<String>,
    /// The rest of the system.
    #[serde(default)]
    pub base: Base,
}

/// What a server has beside its mail server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Base {
    /// Time zone, as in /usr/share/zoneinfo.
    #[schemars(with = "format::Timezone")]
    pub timezone: String,
    /// The system's locale.
    #[schemars(with = "format::Locale")]
    pub locale: String,
    /// Further packages to install.
    #[schemars(with = "Vec<format::Package>")]
    pub packages: Vec<String>,
    /// Security upgrades by unattended-upgrades.
    pub upgrades: bool,
    /// Open ports 25, 465 and 587 where a firewall is active.
    pub firewall: bool,
    /// Ban addresses that guess passwords.
    pub fail2ban: bool,
}

impl Default for Base {
    fn default() -> Self {
        Self {
            timezone: "UTC".into(),
            locale: "C.UTF-8".into(),
            packages: Vec::new(),
            upgrades: true,
            firewall: true,
            fail2ban: true,
        }
    }
}

/// The SMTP server program.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Which program.
    pub kind: ServerKind,
    /// Where it comes from.
    pub source: Source,
    /// Debian mirror for that source; default: the one the server's apt uses.
    #[schemars(with = "Option<format::HttpUrl>")]
    pub mirror: Option<String>,
    /// Largest message, in MB.
    #[schemars(range(min = 1, max = 1024))]
    pub max_message_mb: u32,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            kind: ServerKind::Chasquid,
            source: Source::DebianTesting,
            mirror: None,
            max_message_mb: 50,
        }
    }
}

/// The SMTP servers that mailctl can set up.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ServerKind {
    /// <https://blitiri.com.ar/p/chasquid/>
    Chasquid,
}

/// One mail domain.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Domain {
    /// Who may send as `user@domain`, by local part.
    #[schemars(extend("propertyNames" = {"type": "string", "format": "local-part"}))]
    pub users: BTreeMap<String, User>,
    /// Where mail goes, by local part; `*` is the catch-all. One address or several.
    #[schemars(extend("propertyNames" = {"type": "string", "format": "forward-key"}))]
    pub forward: BTreeMap<String, ForwardTo>,
    /// Who receives.
    pub mx: Mx,
    /// Who may send (RFC 7208).
    pub spf: Spf,
    /// Signing (RFC 6376).
    pub dkim: Dkim,
    /// What receivers do with mail that is not aligned (RFC 9989).
    pub dmarc: Dmarc,
    /// MTA-STS (RFC 8461) and TLS-RPT (RFC 8460).
    pub mta_sts: Option<MtaSts>,
    /// SRV records for mail programs (RFC 6186, RFC 8314).
    pub autoconfig: Autoconfig,
    /// Further records to keep, in zone-file text.
    pub records: Vec<String>,
    /// Where this domain is not at the default provider.
    pub dns: Option<Dns>,
}

/// Whether mail programs are told where to submit; on unless `false`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(transparent)]
pub struct Autoconfig(pub bool);

impl Default for Autoconfig {
    fn default() -> Self {
        Self(true)
    }
}

/// One account.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct User {
    /// Default: made at apply, kept in `secrets`.
    pub password: Option<SecretRef>,
    /// May receive but never log in.
    pub receive_only: bool,
}

/// Who receives a domain's mail.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Mx {
    /// This host.
    #[default]
    Own,
    /// An existing mailbox elsewhere keeps its MX; none is touched.
    Keep,
}

/// The domain's SPF record.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Spf {
    /// Domains to include, without `include:`.
    #[schemars(with = "Vec<format::DnsName>")]
    pub include: Vec<String>,
    /// The qualifier of `all`; default: what stands in the zone, else softfail.
    pub all: Option<SpfAll>,
    /// Further terms, as they are, such as `ip4:192.0.2.0/24`.
    pub extra: Vec<String>,
}

/// The qualifier of SPF's `all` (RFC 7208 section 4.6.2).
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum SpfAll {
    /// `-all`
    Fail,
    /// `~all`
    Softfail,
    /// `?all`
    Neutral,
}

/// DKIM keys of a domain.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dkim {
    /// `rsa2048`, and beside it `ed25519`.
    #[schemars(length(min = 1))]
    pub algorithms: Vec<DkimAlgorithm>,
    /// After how many days a key is replaced, such as `180d`.
    pub rotate_after: Option<Rotation>,
}

impl Default for Dkim {
    fn default() -> Self {
        Self {
            algorithms: vec![DkimAlgorithm::Rsa2048],
            rotate_after: None,
        }
    }
}

/// A signing algorithm.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "lowercase")]
pub enum DkimAlgorithm {
    /// rsa-sha256 with a key of 2048 bits (RFC 8301).
    Rsa2048,
    /// ed25519-sha256 (RFC 8463); not every receiver verifies it.
    Ed25519,
}

/// The domain's DMARC record (RFC 9989).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dmarc {
    /// Policy for the domain.
    pub p: DmarcPolicy,
    /// Policy for its subdomains.
    pub sp: Option<DmarcPolicy>,
    /// Policy for subdomains that do not exist.
    pub np: Option<DmarcPolicy>,
    /// Which failures are reported: `0`, `1`, `d`, `s`, joined by colons.
    #[schemars(with = "Option<format::FailureOptions>")]
    pub fo: Option<String>,
    /// Where aggregate reports go.
    #[schemars(with = "Vec<format::Mailbox>")]
    pub rua: Vec<String>,
    /// Where failure reports go.
    #[schemars(with = "Vec<format::Mailbox>")]
    pub ruf: Vec<String>,
    /// DKIM alignment, `r` or `s`.
    pub adkim: Option<Alignment>,
    /// SPF alignment, `r` or `s`.
    pub aspf: Option<Alignment>,
}

impl Default for Dmarc {
    fn default() -> Self {
        Self {
            p: DmarcPolicy::Quarantine,
            sp: None,
            np: Some(DmarcPolicy::Reject),
            fo: None,
            rua: Vec::new(),
            ruf: Vec::new(),
            adkim: None,
            aspf: None,
        }
    }
}

/// What receivers are asked to do.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub enum DmarcPolicy {
    /// Nothing.
    None,
    /// Treat as suspicious.
    Quarantine,
    /// Refuse.
    Reject,
}

/// How close the domains must be.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Alignment {
    /// Relaxed.
    R,
    /// Strict.
    S,
}

/// MTA-STS.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MtaSts {
    /// How strict.
    pub mode: MtaStsMode,
}

/// RFC 8461 section 5.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum MtaStsMode {
    None,
    Testing,
    Enforce,
}

/// A DNS provider and its own fields. Which fields a provider takes, the
/// catalogue says; `check` refuses the others.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields, transform = provider::dns_fields)]
pub struct Dns {
    /// The provider's id in the catalogue.
    #[schemars(example = &"powerdns")]
    pub provider: String,
    /// The zone; default: found by asking for the SOA.
    pub zone: Option<HostName>,
    /// TTL of the records, in seconds.
    #[schemars(range(min = 1, max = 604_800), default = "default_ttl")]
    pub ttl: u32,
    /// The provider's own fields.
    #[schemars(skip)]
    pub fields: Fields,
}

/// Who sets the reverse DNS; the fields are those of the provider.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields, transform = provider::ptr_fields)]
pub struct Ptr {
    /// The provider's id in the catalogue; `manual` says what to set where.
    #[schemars(default = "manual")]
    pub provider: String,
    /// The reverse zone; default: found by asking for the SOA.
    pub zone: Option<HostName>,
    /// The provider's own fields.
    #[schemars(skip)]
    pub fields: Fields,
}

impl Default for Ptr {
    fn default() -> Self {
        Self {
            provider: manual(),
            zone: None,
            fields: Fields::default(),
        }
    }
}

/// Certificates.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Certificates {
    /// `letsencrypt`, `letsencrypt-staging`, `zerossl`, or the URL of an ACME directory.
    #[schemars(with = "format::Authority")]
    pub authority: String,
    /// Trust anchor of a private authority, a PEM file.
    pub root: Option<PathBuf>,
    /// Whom the authority may write to.
    #[schemars(with = "Option<format::Mailbox>")]
    pub email: Option<String>,
    /// The names; default: the host, each domain and its wildcard.
    #[schemars(with = "Option<Vec<format::CertificateName>>", extend("minItems" = 1))]
    pub names: Option<Vec<String>>,
    /// The key's kind.
    pub key: CertificateKey,
    /// Who renews.
    pub renew: Option<Renew>,
    /// Commands to run on the server after each new certificate.
    #[schemars(with = "Vec<format::Command>")]
    pub reload: Vec<String>,
}

impl Default for Certificates {
    fn default() -> Self {
        Self {
            authority: "letsencrypt".into(),
            root: None,
            email: None,
            names: None,
            key: CertificateKey::P256,
            renew: None,
            reload: Vec::new(),
        }
    }
}

/// The certificate's key.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum CertificateKey {
    /// ECDSA on P-256.
    P256,
    /// RSA, 2048 bits.
    Rsa2048,
}

/// Who renews certificates.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Renew {
    /// A timer on the server.
    Host,
    /// A scheduled `mailctl apply`.
    Pipeline,
}

/// Backup of configuration and keys.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// A git repository.
    pub repository: String,
    /// age recipients.
    pub recipients: Vec<String>,
}

fn default_secrets() -> PathBuf {
    PathBuf::from("./secrets")
}

fn default_ttl() -> u32 {
    300
}

fn manual() -> String {
    "manual".into()
}

/// The JSON Schema (draft 2020-12) of mail.yaml.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Config).to_value()
}

impl Dns {
    /// The TTL that stands where `wanted` is asked for: the provider may have a least one.
    pub fn stored_ttl(&self, wanted: u32) -> u32 {
        let entry = crate::catalogue::dns(&self.provider);
        entry.map_or(wanted, |entry| wanted.max(entry.least_ttl))
    }
}

impl Config {
    /// The host's name.
    pub fn host_name(&self) -> &Name {
        &self.host.name.0
    }

    /// The host's IPv4 address, where the file says it: `ipv4`, else the literal one of `ssh` where it is public.
    pub fn named_ipv4(&self) -> Option<Ipv4Addr> {
        let literal = self.host.ssh.host.parse().ok().filter(is_public);
        self.host.ipv4.or(literal)
    }

    /// The DNS provider of a domain.
    pub fn dns_of<'a>(&'a self, domain: &'a Domain) -> &'a Dns {
        domain.dns.as_ref().unwrap_or(&self.dns)
    }

    /// The names of the certificate, sorted: `certificates.names`, or the host, each domain and its wildcard.
    pub fn certificate_names(&self) -> Vec<String> {
        let mut names: Vec<String> = match &self.certificates.names {
            Some(names) => names.iter().map(|n| n.to_ascii_lowercase()).collect(),
            None => std::iter::once(self.host_name().to_string())
                .chain(
                    self.domains
                        .keys()
                        .flat_map(|d| [d.0.to_string(), d.0.child("*").to_string()]),
                )
                .collect(),
        };
        names.sort();
        names.dedup();
        names
    }
}

fn is_public(ip: &Ipv4Addr) -> bool {
    let carrier_grade = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_unspecified()
        || carrier_grade)
}

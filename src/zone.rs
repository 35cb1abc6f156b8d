//! The seam to whoever holds a zone: DNS providers, and PTR providers, which
//! hold one kind of record of the reverse tree.

pub mod copies;
pub mod exec;
pub mod library;
pub mod manual;
pub mod powerdns;
mod program;
pub mod rfc2136;
mod settings;
mod write;
mod writers;
pub mod zonefile;

pub use settings::{Required, Settings, Value};
pub use write::{add_values, remove_values, write};

use std::sync::Arc;

use async_trait::async_trait;

use crate::catalogue;
use crate::dns::Dns;
use crate::failure::{Exit, Failure, Result};
use crate::record::{Name, Rrset, RrsetKey};
use crate::rest;

/// The TTL of a set that is written without one, in seconds.
pub const DEFAULT_TTL: u32 = 300;

/// One provider with its credentials.
///
/// A hoster's PTR API is a `Zone` too: it answers for `PTR` sets at names of
/// the reverse tree and turns the name back into an address.
#[async_trait]
pub trait Zone: Send + Sync {
    /// The provider's id in the catalogue.
    fn provider(&self) -> &str;

    /// What the provider holds for each of `keys`, in their order; a set
    /// without values is absent. `zone` is the apex.
    ///
    /// # Errors
    /// When the zone does not exist there, the credentials are refused, or
    /// the provider cannot be reached. An empty answer is never an error in disguise.
    async fn list(&self, zone: &Name, keys: &[RrsetKey]) -> Result<Vec<Rrset>>;

    /// Makes the set exactly this; without values, deletes it. `before` is
    /// what the set was when it was last read, so that a provider which can
    /// make the change conditional on it, does.
    ///
    /// # Errors
    /// As for [`Zone::list`], and when the provider refuses a value.
    async fn set(&self, zone: &Name, before: &Rrset, want: &Rrset) -> Result<()>;

    /// Whether [`Zone::set`] itself fails where the set is no longer `before`,
    /// and reads it again after writing. Where it does not, [`write()`] does both around it.
    fn guarded(&self) -> bool {
        false
    }

    /// The TTL that name servers show where `wanted` was written, in seconds;
    /// `None` where the provider does as it likes.
    fn ttl(&self, wanted: u32) -> Option<u32> {
        Some(wanted)
    }

    /// Whether a person has to do what [`Zone::set`] would.
    fn by_hand(&self) -> bool {
        false
    }

    /// Whether it finds a set by its name alone, so that nobody has to know
    /// the apex: a hoster's API for PTR records.
    fn apexless(&self) -> bool {
        false
    }

    /// Remarks on what it kept on this machine since the process began, such as a
    /// copy of a zone; for the end of an apply.
    fn kept(&self) -> Vec<String> {
        Vec::new()
    }

    /// How long name servers take to show what was written, where that is too
    /// long to wait for, such as `6 to 12 hours`.
    fn slow(&self) -> Option<&str> {
        None
    }
}

/// The provider with this id: the one place that knows them all.
///
/// # Errors
/// When there is no such provider yet, a field it needs is missing, or a
/// field holds nothing it can use. Nothing is contacted.
pub fn open(provider: &str, settings: &Settings, dns: &Dns) -> Result<Arc<dyn Zone>> {
    let fields = settings.of(provider);
    match provider {
        manual::ID => Ok(Arc::new(manual::Manual::new(dns.clone()))),
        powerdns::ID => {
            let (endpoint, token) = (fields.text("endpoint")?, fields.secret("token")?);
            let server_id = settings.text("server_id").unwrap_or("localhost");
            Ok(Arc::new(powerdns::PowerDns::new(
                endpoint,
                token.clone(),
                server_id,
            )?))
        }
        rfc2136::ID => {
            let server = fields.text("server")?;
            let algorithm = settings.text("algorithm").unwrap_or("hmac-sha256");
            let (key_name, key) = (fields.text("key_name")?, fields.secret("key")?);
            let tsig = rfc2136::Tsig::new(key_name, key, algorithm)?;
            Ok(Arc::new(rfc2136::Rfc2136::new(server, tsig, dns.clone())?))
        }
        zonefile::ID => {
            let file = zonefile::ZoneFile::new(fields.text("path")?, settings.text("reload"))?;
            Ok(Arc::new(file))
        }
        exec::ID => {
            let program = exec::Exec::new(fields.text("command")?, settings.text("timeout"))?;
            Ok(Arc::new(program))
        }
        other => match library::Library::open(other, settings, dns) {
            Some(opened) => Ok(Arc::new(opened?)),
            None => Err(Failure::new(format!("unknown DNS provider `{other}`"))
                .hint("`mailctl providers dns` lists those that are")
                .exit(Exit::Unsound)),
        },
    }
}

/// The same for a provider of PTR records, which may be a hoster's API.
///
/// # Errors
/// As for [`open`].
pub fn open_ptr(provider: &str, settings: &Settings, dns: &Dns) -> Result<Arc<dyn Zone>> {
    match catalogue::ptr(provider) {
        Some(entry) if entry.api.is_some() => Ok(Arc::new(rest::Rest::open(
            entry,
            settings,
            rest::Pace::default(),
        )?)),
        _ => open(provider, settings, dns),
    }
}

/// Fails for a key outside of the zone: a provider would answer "absent", which it is not.
fn inside<'a>(zone: &Name, keys: impl IntoIterator<Item = &'a RrsetKey>) -> Result<()> {
    match keys.into_iter().find(|key| !key.name.is_in(zone)) {
        Some(key) => Err(Failure::new(format!(
            "{} is not in the zone {zone}",
            key.name
        ))),
        None => Ok(()),
    }
}

/// Whether both sets hold the same; a TTL that one does not know matters not.
fn alike(a: &Rrset, b: &Rrset) -> bool {
    a.values == b.values
        && (a.values.is_empty() || a.ttl.is_none() || b.ttl.is_none() || a.ttl == b.ttl)
}

/// Somebody was faster.
pub(crate) fn changed_since(key: &RrsetKey) -> Failure {
    Failure::new(format!("somebody changed {key} since the plan was made"))
        .hint("look at what changed, then plan again")
}

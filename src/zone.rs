//! The seam to whoever holds a zone: DNS providers, and PTR providers, which
//! hold one kind of record of the reverse tree.

pub mod manual;
pub mod powerdns;
pub mod rfc2136;

use async_trait::async_trait;

use crate::failure::Result;
use crate::record::{Name, Rrset, RrsetKey};

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

    /// Whether a person has to do what [`Zone::set`] would.
    fn by_hand(&self) -> bool {
        false
    }
}

//! One writer a zone: providers lose or half-apply changes that overlap.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::record::Name;

type Locks = HashMap<Name, Arc<tokio::sync::Mutex<()>>>;

/// Of the whole process, so that two handles to one provider do not overtake each other.
static LOCKS: LazyLock<Mutex<Locks>> = LazyLock::new(Mutex::default);

/// Waits until nobody else of this process writes to `zone`.
pub(super) async fn lock(zone: &Name) -> OwnedMutexGuard<()> {
    let lock = {
        let mut locks = LOCKS.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(zone.clone()).or_default())
    };
    lock.lock_owned().await
}

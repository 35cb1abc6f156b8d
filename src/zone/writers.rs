//! One writer a zone: providers lose or half-apply changes that overlap.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::record::Name;

/// Who may write to which zone; each zone has its own lock.
#[derive(Default)]
pub(super) struct Writers(Mutex<HashMap<Name, Arc<tokio::sync::Mutex<()>>>>);

impl Writers {
    /// Waits until nobody else of this process writes to `zone`.
    pub(super) async fn lock(&self, zone: &Name) -> OwnedMutexGuard<()> {
        let lock = {
            let mut zones = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(zones.entry(zone.clone()).or_default())
        };
        lock.lock_owned().await
    }
}

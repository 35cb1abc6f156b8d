//! DKIM keys, made ahead: an RSA key takes half a second, which nothing on
//! the server has to wait for.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::dkim::DkimKey;
use crate::failure::{Context, Failure, Result};
use crate::plan::Plan;
use crate::resource::Action;

/// The keys of a pass that are made or being made, by the id of their change.
pub struct Keys(Mutex<BTreeMap<String, oneshot::Receiver<Result<DkimKey>>>>);

impl Keys {
    /// Begins to make all keys of a plan, one after the other. It ends early
    /// when this is dropped: nobody wants the rest then.
    pub fn begin(plan: &Plan) -> Self {
        let (mut orders, mut keys) = (Vec::new(), BTreeMap::new());
        for change in &plan.changes {
            if let Action::DkimKey(make) = &change.action {
                let (made, key) = oneshot::channel();
                orders.push((make.clone(), made));
                keys.insert(change.id.clone(), key);
            }
        }
        tokio::task::spawn_blocking(move || {
            for (make, made) in orders {
                if !made.is_closed() {
                    let _ = made.send(make.key());
                }
            }
        });
        Self(Mutex::new(keys))
    }

    /// The key of a change, once.
    ///
    /// # Errors
    /// When it could not be made.
    pub async fn take(&self, id: &str) -> Result<DkimKey> {
        let key = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
        let key = key.ok_or_else(|| Failure::new(format!("no key is being made for {id}")))?;
        key.await.context("making a DKIM key was interrupted")?
    }
}

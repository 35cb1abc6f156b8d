//! What was learnt about names and is kept. Of many who want to know the same
//! at once one asks, and the others wait for what it learns; where it fails,
//! they ask for themselves, all at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::failure::Result;
use crate::record::Name;

/// Values by name.
pub(super) struct Learnt<V>(Mutex<HashMap<Name, Entry<V>>>);

struct Entry<V> {
    value: Option<V>,
    /// Held by whoever asks first; whether somebody has begun to.
    turn: Arc<tokio::sync::Mutex<bool>>,
}

impl<V> Default for Learnt<V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<V: Clone> Learnt<V> {
    /// The value that is known of `name`, or the one that `find` learns now.
    ///
    /// # Errors
    /// Those of `find`; nothing is kept of them.
    pub async fn get<F>(&self, name: &Name, find: impl FnOnce() -> F) -> Result<V>
    where
        F: Future<Output = Result<V>>,
    {
        let (known, turn) = self.known(name);
        if let Some(value) = known {
            return Ok(value);
        }
        let mut begun = turn.lock().await;
        if let (Some(value), _) = self.known(name) {
            return Ok(value);
        }
        let first = !std::mem::replace(&mut *begun, true);
        let _others_wait = first.then_some(begun);
        let value = find().await?;
        self.with(name, |entry| entry.value = Some(value.clone()));
        Ok(value)
    }

    fn known(&self, name: &Name) -> (Option<V>, Arc<tokio::sync::Mutex<bool>>) {
        self.with(name, |entry| (entry.value.clone(), entry.turn.clone()))
    }

    fn with<T>(&self, name: &Name, act: impl FnOnce(&mut Entry<V>) -> T) -> T {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(name.clone()).or_insert_with(|| Entry {
            value: None,
            turn: Arc::default(),
        });
        act(entry)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::Duration;

    use super::*;
    use crate::failure::Failure;

    fn name() -> Name {
        Name::parse("wac.tax").expect("a name")
    }

    #[tokio::test]
    async fn one_asks_for_all() {
        let learnt: Learnt<usize> = Learnt::default();
        let asked = AtomicUsize::new(0);
        let find = || async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(asked.fetch_add(1, Ordering::Relaxed))
        };
        let name = name();
        let (a, b) = tokio::join!(learnt.get(&name, find), learnt.get(&name, find));
        let c = learnt.get(&name, find).await;
        assert_eq!([a, b, c].map(|v| v.expect("a value")), [0, 0, 0]);
    }

    #[tokio::test]
    async fn where_the_first_fails_the_others_ask_at_once_and_nothing_is_kept() {
        let learnt: Learnt<u8> = Learnt::default();
        let silent = || async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            Err(Failure::new("silence"))
        };
        let name = name();
        let begun = std::time::Instant::now();
        let asked = futures_util::future::join_all((0..20).map(|_| learnt.get(&name, silent)));
        assert!(asked.await.iter().all(std::result::Result::is_err));
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{:?}",
            begun.elapsed()
        );
        assert_eq!(
            learnt
                .get(&name, || async { Ok(7) })
                .await
                .expect("a value"),
            7
        );
    }

    #[tokio::test]
    async fn who_gives_up_keeps_nobody_waiting() {
        let learnt: Learnt<u8> = Learnt::default();
        let name = name();
        let never = learnt.get(&name, std::future::pending);
        assert!(
            tokio::time::timeout(Duration::from_millis(1), never)
                .await
                .is_err()
        );
        assert_eq!(
            learnt
                .get(&name, || async { Ok(7) })
                .await
                .expect("a value"),
            7
        );
    }
}

//! What several questions want to know is found out once.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

/// Answers by question. Whoever asks first finds out; the others wait for that.
pub struct Memo<K, V>(Mutex<HashMap<K, Arc<OnceCell<V>>>>);

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Memo<K, V> {
    /// The known answer, or the one that `find` comes to. Where the finder is
    /// cancelled, the next one who waits finds out instead.
    pub async fn get<F: Future<Output = V>>(&self, key: K, find: impl FnOnce() -> F) -> V {
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            cells.entry(key).or_default().clone()
        };
        cell.get_or_init(find).await.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn the_same_is_found_out_once() {
        let memo: Memo<u8, usize> = Memo::default();
        let asked = AtomicUsize::new(0);
        let find = || async {
            tokio::task::yield_now().await;
            asked.fetch_add(1, Ordering::Relaxed)
        };
        let (a, b, c) = tokio::join!(memo.get(1, find), memo.get(1, find), memo.get(2, find));
        assert_eq!(a, b, "one of them found out");
        assert_ne!(a, c);
        assert_eq!(asked.into_inner(), 2);
    }

    #[tokio::test]
    async fn a_finder_who_gives_up_leaves_it_to_the_next() {
        let memo: Memo<u8, u8> = Memo::default();
        let never = memo.get(1, std::future::pending);
        let short = std::time::Duration::from_millis(1);
        assert!(tokio::time::timeout(short, never).await.is_err());
        assert_eq!(memo.get(1, || async { 7 }).await, 7);
    }
}

//! Calls to the library: few at once, none without an end, reads more than once.

use std::future::Future;
use std::time::Duration;

use dns_update::{DnsUpdater, Error};
use tokio::sync::Semaphore;
use tokio::time;

use super::refusal::{self, Sort};
use super::rows::Row;
use crate::failure::Result;
use crate::record::Name;
use crate::secret::Secret;

/// Requests to one provider at once: their limits are low.
const AT_ONCE: usize = 4;
/// How long one call may take. The library itself waits up to a minute where
/// the provider says `Retry-After`.
const PATIENCE: Duration = Duration::from_secs(150);
/// How often a read is tried.
const READS: u32 = 4;

/// One account, as the library sees it.
pub(super) struct Account {
    pub row: &'static Row,
    pub title: &'static str,
    updater: DnsUpdater,
    secrets: Vec<Secret>,
    permits: Semaphore,
}

/// A call that failed.
pub(super) struct Refusal {
    pub sort: Sort,
    text: String,
}

impl Account {
    pub fn new(
        row: &'static Row,
        title: &'static str,
        updater: DnsUpdater,
        secrets: Vec<Secret>,
    ) -> Self {
        Self {
            row,
            title,
            updater,
            secrets,
            permits: Semaphore::new(AT_ONCE),
        }
    }

    /// One call.
    pub async fn call<'a, T, F>(
        &'a self,
        ask: impl FnOnce(&'a DnsUpdater) -> F,
    ) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let closed = |_| Refusal {
            sort: Sort::Permanent,
            text: "asking has ended".to_owned(),
        };
        let _permit = self.permits.acquire().await.map_err(closed)?;
        let error = match time::timeout(PATIENCE, ask(&self.updater)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(_) => Error::Client(format!("timed out after {} s", PATIENCE.as_secs())),
        };
        Err(Refusal {
            sort: refusal::sort(&error),
            text: refusal::redacted(&error.to_string(), self.secrets.iter()),
        })
    }

    /// A read, tried again where that may help.
    pub async fn read<'a, T, F>(&'a self, ask: impl Fn(&'a DnsUpdater) -> F) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut tried = 1;
        loop {
            match self.call(&ask).await {
                Err(refusal) if refusal.sort.passes() && tried < READS => {
                    pause(refusal.sort, tried).await;
                }
                answer => return answer,
            }
            tried += 1;
        }
    }

    /// The failure that a refused call is told as.
    pub fn failure(&self, zone: &Name, refusal: &Refusal) -> crate::failure::Failure {
        refusal::failure(refusal.sort, self.title, self.row.id, zone, &refusal.text)
    }
}

/// Waits half a second, then twice as long each time; where there were too many
/// requests, which most count by the minute, 5, 15 and 45 s. Up to a quarter more
/// by chance, so that who failed together does not come back together.
pub(super) async fn pause(sort: Sort, tried: u32) {
    let wait = match sort {
        Sort::RateLimit => Duration::from_secs(5) * 3u32.pow(tried.saturating_sub(1).min(2)),
        _ => Duration::from_millis(250) * 2u32.pow(tried.min(6)),
    };
    let [chance] = crate::random::octets::<1>().unwrap_or([0]);
    time::sleep(wait + wait * u32::from(chance) / 1024).await;
}

//! A runtime of the world's own, so that it can be used from blocking and from
//! asynchronous code alike, and the far mail server runs without a caller's help.

use std::future::Future;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use reqwest::{Client, ClientBuilder, RequestBuilder};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::failure::{Context, Failure, Result};

/// A shared handle; the runtime ends with the last one.
#[derive(Clone)]
pub struct Background(Arc<Owner>);

struct Owner(Option<Runtime>, Handle);

impl Background {
    /// Starts it, with one thread.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn new() -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("rehearsal")
            .enable_all()
            .build();
        let runtime = runtime.context("cannot start a thread")?;
        let handle = runtime.handle().clone();
        Ok(Self(Arc::new(Owner(Some(runtime), handle))))
    }

    /// Runs `work` there and blocks this thread until it is done.
    ///
    /// # Errors
    /// Those of `work`, or when it panicked.
    pub fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.spawn(async move {
            // The receiver below outlives this send.
            let _ = sender.send(work.await);
        });
        receiver
            .recv()
            .unwrap_or_else(|_| Err(Failure::new("a task of the rehearsal ended early")))
    }

    /// Starts `work` there.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.1.spawn(work);
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Dropping it plainly panics in asynchronous code.
            runtime.shutdown_background();
        }
    }
}

/// An HTTP client for servers of the world: no proxy, ten seconds.
///
/// # Errors
/// When a certificate in it is unsound.
pub fn client(adapt: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Result<Client> {
    let builder = Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10));
    adapt(builder).build().context("cannot make an HTTP client")
}

/// Sends a request and returns the body.
///
/// # Errors
/// When it cannot be sent or is answered with another status than 2xx.
pub async fn body(what: &str, request: RequestBuilder) -> Result<String> {
    let response = request.send().await.with_context(|| what.to_owned())?;
    let status = response.status();
    let text = response.text().await.with_context(|| what.to_owned())?;
    if status.is_success() {
        Ok(text)
    } else {
        Err(Failure::new(what).because(format!("{status}: {text}")))
    }
}

//! Keeping the ledger on the server while changes are made: written soon after
//! each change, by one writer, without holding up the changes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::failure::{Context, Result};
use crate::ledger::{self, Applied, Edit, Ledger};
use crate::observe::quote;
use crate::remote::{Remote, Script};
use crate::secret::Secret;

/// What is noted so soon after a write waits for the next one: the server's
/// deeds and its writes take turns.
const GATHER: Duration = Duration::from_millis(300);

/// The open ledger.
pub struct Book {
    shared: Arc<Shared>,
    writer: JoinHandle<Result<()>>,
}

struct Shared {
    remote: Arc<dyn Remote>,
    state: Mutex<State>,
    changed: Notify,
    closing: Notify,
}

struct State {
    ledger: Ledger,
    /// Private files to be written beside it; without content they go.
    files: Vec<(String, Option<Secret>)>,
    dirty: bool,
    closing: bool,
}

impl Book {
    /// Opens the ledger as it was seen.
    pub fn new(remote: Arc<dyn Remote>, ledger: Ledger) -> Self {
        let state = State {
            ledger,
            files: Vec::new(),
            dirty: false,
            closing: false,
        };
        let shared = Arc::new(Shared {
            remote,
            state: Mutex::new(state),
            changed: Notify::new(),
            closing: Notify::new(),
        });
        let writer = tokio::spawn(write_until_closed(shared.clone()));
        Self { shared, writer }
    }

    /// Notes what was made or is gone.
    pub fn note(&self, edits: &[Edit]) {
        self.shared
            .with(|state| state.dirty |= state.ledger.edit(edits));
        self.shared.changed.notify_one();
    }

    /// Writes a private file on the server when there is time.
    pub fn file(&self, path: String, content: Secret) {
        self.shared
            .with(|state| state.files.push((path, Some(content))));
        self.shared.changed.notify_one();
    }

    /// Removes such a file again.
    pub fn remove(&self, path: String) {
        self.shared.with(|state| state.files.push((path, None)));
        self.shared.changed.notify_one();
    }

    /// Writes what is left, with who applied when.
    ///
    /// # Errors
    /// When the ledger could not be written.
    pub async fn close(self, now: fn() -> OffsetDateTime, by: &str) -> Result<()> {
        let at = now().format(&Rfc3339).unwrap_or_default();
        self.shared.with(|state| {
            state.ledger.applied = Some(Applied {
                at,
                by: by.to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            });
            state.dirty = true;
            state.closing = true;
        });
        self.shared.changed.notify_one();
        self.shared.closing.notify_one();
        self.writer
            .await
            .context("the ledger's writer was interrupted")?
    }
}

impl Shared {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(
            &mut self
                .state
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }
}

async fn write_until_closed(shared: Arc<Shared>) -> Result<()> {
    loop {
        let (text, files, closing) = shared.with(|state| {
            let text = std::mem::take(&mut state.dirty).then(|| state.ledger.text());
            (text, std::mem::take(&mut state.files), state.closing)
        });
        if text.is_some() || !files.is_empty() {
            let remote = shared.remote.clone();
            tokio::task::spawn_blocking(move || write(remote.as_ref(), text, files))
                .await
                .context("the ledger's writer was interrupted")??;
            if !closing {
                let _ = timeout(GATHER, shared.closing.notified()).await;
            }
            continue;
        }
        if closing {
            return Ok(());
        }
        shared.changed.notified().await;
    }
}

fn write(
    remote: &dyn Remote,
    ledger: Option<String>,
    files: Vec<(String, Option<Secret>)>,
) -> Result<()> {
    let mut script = String::from("set -e; umask 077; mkdir -p /var/lib/mailctl\n");
    let mut put = |path: &str, content: &[u8]| {
        let (to, print) = (quote(path), crate::kinds::print(content));
        script.push_str(&format!("{print} > {to}.new; sync {to}.new\n[ ! -f {to} ] || cp -p {to} {to}.before\nmv {to}.new {to}\n"));
    };
    if let Some(text) = &ledger {
        put(ledger::PATH, text.as_bytes());
    }
    for (path, content) in &files {
        if let Some(content) = content {
            put(path, content.expose().as_bytes());
        }
    }
    for (path, _) in files.iter().filter(|(_, content)| content.is_none()) {
        script.push_str(&format!("rm -f {0} {0}.before\n", quote(path)));
    }
    let output = remote.run(&Script::new(script))?;
    if output.code == 0 {
        return Ok(());
    }
    Err(output.failure(
        format!("{} on the server could not be written, so what was made now is not listed and mailctl will never delete it by itself", ledger::PATH),
        "mend it, then run `mailctl apply` again",
    ))
}

//! The wish to stop: Ctrl-C, or a pipeline that is cancelled.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::failure::{Context, Exit, Failure, Result};
use crate::resource::Action;

/// How long a deed may go on once a stop was asked for. What takes longer is
/// left alone: apt goes on by itself, and the next apply waits for it.
pub const GRACE: Duration = Duration::from_secs(5);

/// Whether a stop was asked for. Nothing new is begun after that.
#[derive(Debug, Default)]
pub struct Stop {
    asked: watch::Sender<bool>,
    /// Whether signals ask for it.
    signals: bool,
}

impl Stop {
    /// Asked for by SIGINT, SIGTERM and SIGHUP, once [`Stop::listen`] was called.
    pub fn by_signals() -> Self {
        Self {
            signals: true,
            ..Self::default()
        }
    }

    /// Listens from now on. Until then the signals end the process, which is
    /// right as long as nothing is being changed.
    ///
    /// # Errors
    /// When the signals cannot be listened to.
    pub fn listen(&self) -> Result<()> {
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        for kind in kinds.into_iter().filter(|_| self.signals) {
            let mut signals = signal(kind).context("signals cannot be listened to")?;
            let asked = self.asked.clone();
            tokio::spawn(async move {
                if signals.recv().await.is_some() {
                    asked.send_replace(true);
                }
            });
        }
        Ok(())
    }

    /// Whether it was asked for.
    pub fn is_asked(&self) -> bool {
        *self.asked.borrow()
    }

    /// Returns when it is asked for.
    pub async fn asked(&self) {
        // The sender is ours, so this ends only when it is asked for.
        let mut asked = self.asked.subscribe();
        let _asked = asked.wait_for(|asked| *asked).await;
    }
}

/// Returns when a stop was asked for and what is left of the work had its time to end.
pub async fn past_grace(stop: &Stop) {
    stop.asked().await;
    tokio::time::sleep(GRACE).await;
}

/// Returns when a deed that is under way is not to be waited for any longer.
pub async fn past_patience(stop: &Stop, action: &Action) {
    match action {
        // An order takes its challenges back when it is dropped.
        Action::Order(_) => stop.asked().await,
        _ => past_grace(stop).await,
    }
}

/// What becomes of a deed that was not waited for.
pub fn cut_off(action: &Action) -> Failure {
    let what = match action {
        Action::Order(_) => "interrupted; its challenges are taken back from the zone",
        action if action.on_server() => "interrupted; it goes on by itself on the server",
        _ => "interrupted; it may be half done",
    };
    Failure::new(what).hint("run `mailctl apply` again: it goes on from here")
}

/// What becomes of a ledger that could not be written any more.
pub fn unbooked() -> Failure {
    Failure::new("interrupted before the last changes were listed").hint(
        "what is not listed is never deleted by mailctl; run `mailctl apply` again: it goes on from here",
    )
}

/// What `work` comes to, or, when a stop is asked for before, a failure that
/// says whether anything was `changed`.
///
/// # Errors
/// When it was interrupted.
pub async fn unless<T>(stop: &Stop, changed: bool, work: impl Future<Output = T>) -> Result<T> {
    tokio::select! {
        done = work => Ok(done),
        () = stop.asked() => Err(interrupted(changed)),
    }
}

fn interrupted(changed: bool) -> Failure {
    if changed {
        Failure::new("interrupted after some changes were made")
            .hint("run `mailctl apply` again: it goes on from here")
            .exit(Exit::Partial)
    } else {
        Failure::new("interrupted; nothing was changed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_cut_off_when_asked_to_stop() {
        let stop = Stop::default();
        let done = unless(&stop, false, async { 7 }).await.expect("not asked");
        assert_eq!(done, 7);
        stop.asked.send_replace(true);
        assert!(stop.is_asked());
        let waits = std::future::pending::<()>();
        let failure = unless(&stop, true, waits).await.expect_err("asked");
        assert_eq!(failure.code(), Exit::Partial);
        let waits = std::future::pending::<()>();
        let failure = unless(&stop, false, waits).await.expect_err("asked");
        assert_eq!(failure.code(), Exit::Failed);
    }
}

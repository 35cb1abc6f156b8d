//! The lock that keeps two applies on one server apart.
//!
//! A script on the server holds flock(2) on a file as long as its standard
//! input gives signs of life. When the controller ends, however it ends, the
//! lock goes with the connection; when its network dies, after [`LEASE`]. What
//! must not outlive the controller is taken away by the same script, before
//! the next one is let in.

use std::time::Duration;

use super::{Held, Remote, Script};
use crate::failure::{Failure, Result};

/// The locked file, which also says who holds it. Only root may write here.
const FILE: &str = "/run/mailctl.lock";

/// Without a sign of life for so many seconds the lock is given up.
const LEASE: u32 = 90;

/// What else the script does that holds a lock: fragments of shell, whose
/// output nobody sees. They may be run twice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around<'a> {
    /// Once the lock is held.
    pub first: &'a str,
    /// Before it is given up, however the controller ended.
    pub last: &'a str,
}

/// The right to change a server, until it is dropped.
pub struct Lock {
    held: Box<dyn Held>,
}

impl Lock {
    /// Takes the server's lock, waiting for it at most `wait`. `who` is shown to
    /// others who want it: `i@laptop, pid 123, since 2026-01-31 12:00 UTC`.
    ///
    /// # Errors
    /// When another holds it for longer, saying who.
    pub fn take(remote: &dyn Remote, who: &str, wait: Duration) -> Result<Self> {
        Self::take_file(remote, FILE, who, wait, Around::default())
    }

    /// The same at once or not at all, with something done first and last.
    ///
    /// # Errors
    /// As for [`Lock::take`].
    pub fn take_around(remote: &dyn Remote, who: &str, around: Around<'_>) -> Result<Self> {
        Self::take_file(remote, FILE, who, Duration::ZERO, around)
    }

    /// The same with another file.
    ///
    /// # Errors
    /// As for [`Lock::take`].
    pub fn take_file(
        remote: &dyn Remote,
        file: &str,
        who: &str,
        wait: Duration,
        around: Around<'_>,
    ) -> Result<Self> {
        let text = script(file, who, wait, around);
        let held = remote.hold(&Script::new(text).within(wait + Duration::from_secs(60)))?;
        let place = remote.place();
        match held.said().split_once(' ').unwrap_or((held.said(), "")) {
            ("taken", _) => Ok(Self { held }),
            ("held", holder) => {
                let holder = if holder.is_empty() {
                    "somebody who did not say who"
                } else {
                    holder
                };
                Err(
                    Failure::new(format!("another mailctl works on {place}: {holder}"))
                        .hint("wait until it is done, then run it again"),
                )
            }
            _ => Err(
                Failure::new(format!("cannot lock {file} on {place}: {}", held.said()))
                    .hint("see whether /run is writable there and util-linux's flock is installed"),
            ),
        }
    }

    /// Whether it is still ours; a connection that slept may have lost it.
    pub fn held(&self) -> bool {
        self.held.alive()
    }
}

fn script(file: &str, who: &str, wait: Duration, around: Around<'_>) -> String {
    let who: String = who.chars().filter(|c| !c.is_control()).collect();
    let who = who.replace('\'', "'\\''");
    let aside = |fragment: &str| match fragment {
        "" => String::new(),
        some => format!("(\n{some}\n) </dev/null >/dev/null 2>&1\n"),
    };
    let (first, last) = (aside(around.first), aside(around.last));
    let patience = match wait.as_secs() {
        0 => String::new(),
        seconds => format!("flock -w {seconds} 9 || "),
    };
    format!(
        "file={file}
command -v flock >/dev/null || {{ echo 'no flock'; exit; }}
( : >>$file ) 2>/dev/null || {{ echo 'not writable'; exit; }}
exec 9>>$file
flock -n 9 || {patience}{{ printf 'held %s\\n' \"$(head -n 1 $file)\"; exit; }}
printf '%s\\n' '{who}' >$file
{first}echo taken
while timeout {LEASE} sh -c 'read -r beat'; do :; done
{last}: >$file"
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::remote::here::Here;

    /// Takes the lock in this folder, waiting so many seconds.
    fn take(dir: &Path, who: &str, wait: u64) -> Result<Lock> {
        let file = dir.join("lock").display().to_string();
        let wait = Duration::from_secs(wait);
        Lock::take_file(&Here, &file, who, wait, Around::default())
    }

    #[test]
    fn the_second_is_told_who_was_first() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let take = |who, wait| take(dir.path(), who, wait);
        let first = take("it's me, pid 1,\nsince noon", 0).expect("taken");
        assert!(first.held());
        let Err(failure) = take("the second", 0) else {
            panic!("taken twice")
        };
        assert!(
            failure.told().contains("it's me, pid 1,since noon"),
            "{failure:?}"
        );
        drop(first);
        take("the third", 0).expect("taken after the first was dropped");
    }

    #[test]
    fn waiting_helps() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let take = |who, wait| take(dir.path(), who, wait);
        let first = take("first", 0).expect("taken");
        std::thread::scope(|scope| {
            let second = scope.spawn(|| take("second", 30).map(drop));
            std::thread::sleep(Duration::from_millis(300));
            drop(first);
            second.join().expect("no panic").expect("taken in the end");
        });
    }

    #[test]
    fn what_is_done_first_is_undone_before_the_next_is_let_in() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("lock").display().to_string();
        let made = dir.path().join("made");
        let around = Around {
            first: &format!("echo noise; touch {}", made.display()),
            last: &format!("sleep 0.3; rm -f {}", made.display()),
        };
        let take =
            |wait, around| Lock::take_file(&Here, &file, "me", Duration::from_secs(wait), around);
        let first = take(0, around).expect("taken, whatever the fragment prints");
        assert!(made.exists());
        drop(first);
        take(30, Around::default()).expect("taken");
        assert!(!made.exists());
    }
}

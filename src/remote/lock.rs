//! The lock that keeps two applies on one server apart.
//!
//! A script on the server holds flock(2) on a file as long as its standard
//! input gives signs of life. When the controller ends, however it ends, the
//! lock goes with the connection; when its network dies, after [`LEASE`].

use std::time::Duration;

use super::{Held, Remote, Script};
use crate::failure::{Failure, Result};

/// The locked file, which also says who holds it. Only root may write here.
const FILE: &str = "/run/mailctl.lock";

/// Without a sign of life for so many seconds the lock is given up.
const LEASE: u32 = 90;

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
        Self::take_file(remote, FILE, who, wait)
    }

    /// The same with another file.
    ///
    /// # Errors
    /// As for [`Lock::take`].
    pub fn take_file(remote: &dyn Remote, file: &str, who: &str, wait: Duration) -> Result<Self> {
        let text = script(file, who, wait);
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

fn script(file: &str, who: &str, wait: Duration) -> String {
    let who: String = who.chars().filter(|c| !c.is_control()).collect();
    let who = who.replace('\'', "'\\''");
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
echo taken
while timeout {LEASE} sh -c 'read -r beat'; do :; done
: >$file"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::here::Here;

    #[test]
    fn the_second_is_told_who_was_first() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("lock").display().to_string();
        let take = |who, wait| Lock::take_file(&Here, &file, who, Duration::from_secs(wait));
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
        let file = dir.path().join("lock").display().to_string();
        let first = Lock::take_file(&Here, &file, "first", Duration::ZERO).expect("taken");
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                Lock::take_file(&Here, &file, "second", Duration::from_secs(30)).map(drop)
            });
            std::thread::sleep(Duration::from_millis(300));
            drop(first);
            second.join().expect("no panic").expect("taken in the end");
        });
    }
}

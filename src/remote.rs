//! Where a script can run: on the server over SSH, or here.

pub mod access;
mod actor;
mod envelope;
pub mod frames;
pub mod here;
mod key_file;
pub mod known;
mod lines;
pub mod lock;
mod login;
mod open;
mod pump;
mod refusal;
pub mod ssh;
mod ssh_config;
pub mod target;
mod transport;
mod trouble;
pub mod wait;

use std::fmt;
use std::time::Duration;

use crate::failure::{Failure, Result};

/// A POSIX shell script. It may carry secrets, so it is sent on standard
/// input, never as an argument, and does not print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Script {
    /// The body. The runner wraps it in a function, so that a half-arrived
    /// script does not half run and no child eats the rest of it from stdin.
    pub text: String,
    /// After this the run counts as failed, and the script is ended.
    pub timeout: Duration,
}

impl Script {
    /// A script with the usual limit of two minutes.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            timeout: Duration::from_secs(120),
        }
    }

    /// The same with another limit.
    #[must_use]
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Script({} bytes)", self.text.len())
    }
}

/// What a script left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its exit status, confirmed by a closing frame: a lost connection is an error, not 0.
    pub code: i32,
    /// Standard output.
    pub out: Vec<u8>,
    /// Standard error.
    pub err: Vec<u8>,
}

impl Output {
    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    /// The last lines of standard error, for a message.
    pub fn complaint(&self) -> String {
        let text = String::from_utf8_lossy(&self.err);
        let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(5)..].join("; ")
    }

    /// What failed on the server, in its own words; `otherwise` is what to do
    /// where the words do not tell better.
    pub fn failure(&self, what: impl fmt::Display, otherwise: impl Into<String>) -> Failure {
        let said = match self.complaint() {
            said if said.is_empty() => format!("status {}, without a word", self.code),
            said => said,
        };
        let has = |words: &[&str]| words.iter().any(|w| said.contains(w));
        if has(&[FULL, "No space left on device", "Disk quota exceeded"]) {
            let full = if said.contains(FULL) {
                ""
            } else {
                "the disk of the server is full: "
            };
            Failure::new(format!("{what}: {full}{said}")).hint(FREE)
        } else if has(&["Read-only file system"]) {
            Failure::new(format!("{what}: {said}")).hint(READ_ONLY)
        } else {
            Failure::new(format!("{what}: {said}")).hint(otherwise)
        }
    }
}

/// What our own scripts say of it.
const FULL: &str = "the disk of the server is full";
const FREE: &str = "free some space on the server (`df -h` shows where it went; `apt-get clean` and `journalctl --vacuum-size=100M` often help), then run `mailctl apply` again: it goes on from here";
const READ_ONLY: &str = "see with `dmesg` on the server why its disk became read-only, then run `mailctl apply` again: it goes on from here";

/// A place where scripts run as root.
pub trait Remote: Send + Sync {
    /// Runs a script to its end; calls from several threads run one after the other.
    ///
    /// # Errors
    /// When the connection is lost or the time is up; a script that fails is
    /// no error but an [`Output`] with its code.
    fn run(&self, script: &Script) -> Result<Output>;

    /// Starts a script that stays: it answers with its first line, keeps its
    /// standard input, where a newline arrives every 15 s, and must end when
    /// that ends. The script's time limit is that of its first line.
    ///
    /// # Errors
    /// When the connection is lost or the first line does not come in time.
    fn hold(&self, script: &Script) -> Result<Box<dyn Held>>;

    /// A second, new connection to the same place: proof that it can be reached.
    ///
    /// # Errors
    /// As on connecting.
    fn again(&self) -> Result<Box<dyn Remote>>;

    /// How to name the place in messages.
    fn place(&self) -> String;
}

/// A script that stays until this is dropped, or the connection is lost.
pub trait Held: Send + Sync {
    /// Its first line.
    fn said(&self) -> &str;

    /// Whether it still runs.
    fn alive(&self) -> bool;

    /// The whole lines that it printed since, waiting at most `limit` for the
    /// first; `None`: it has ended. What it says on standard error is lost.
    ///
    /// # Errors
    /// When the connection is lost.
    fn lines(&self, limit: Duration) -> Result<Option<Vec<String>>>;
}

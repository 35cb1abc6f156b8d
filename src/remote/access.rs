//! What the caller brings to a login: consent, credentials, a terminal.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::failure::Failure;
use crate::secret::Secret;

/// Questions that only a person can answer.
pub trait Ask: Send + Sync {
    /// Whether `place` really has this host key. `kind` is the algorithm,
    /// such as `ssh-ed25519`; `fingerprint` starts with `SHA256:`.
    fn trusts(&self, place: &str, kind: &str, fingerprint: &str) -> bool;

    /// A passphrase or password, typed without echo; `None`: no answer.
    fn secret(&self, prompt: &str) -> Option<Secret>;
}

/// How the caller wants to be let in.
#[derive(Clone)]
pub struct Access {
    /// Takes an unknown host key without asking and remembers it.
    pub accept_new_host_key: bool,
    /// The only host key to accept, as `SHA256:…`; known_hosts is not read then.
    pub host_key: Option<String>,
    /// The login's password, tried after every key.
    pub password: Option<Secret>,
    /// The person at the terminal; `None`: nobody can be asked.
    pub ask: Option<Arc<dyn Ask>>,
    /// The limit for each step of the way: TCP, key exchange, login.
    pub connect_timeout: Duration,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            accept_new_host_key: false,
            host_key: None,
            password: None,
            ask: None,
            connect_timeout: Duration::from_secs(20),
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("accept_new_host_key", &self.accept_new_host_key)
            .field("host_key", &self.host_key)
            .field("password", &self.password)
            .field("interactive", &self.ask.is_some())
            .field("connect_timeout", &self.connect_timeout)
            .finish()
    }
}

/// Why a connection was not made, and whether waiting may help.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// It may go away by itself: a server that is still being installed.
    Passing(Failure),
    /// The same, but asking often may get this address banned: a login that is refused.
    Refused(Failure),
    /// It stays until somebody acts: a key file that cannot be read.
    Lasting(Failure),
}

impl From<Obstacle> for Failure {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::Passing(failure)
            | Obstacle::Refused(failure)
            | Obstacle::Lasting(failure) => failure,
        }
    }
}

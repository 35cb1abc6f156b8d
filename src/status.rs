//! The server as it sees itself: its service, queue, certificate and the rest
//! that keeps mail flowing. One script looks, the rest is parsed and judged here.

mod ask;
mod certificate;
mod clock;
mod judge;
mod queue;
mod render;
mod server;
mod units;

pub use ask::{Seen, ask};
pub use certificate::Certificate;
pub use clock::Clock;
pub use judge::{Expected, Line, Verdict, judge};
pub use queue::{Queue, Recipient, Waiting};
pub use render::text;
pub use server::{Disk, Key, Server};
pub use units::{Port, Service};

use serde::{Deserialize, Serialize};

use crate::ledger::Applied;

/// The document's schema; a breaking change gets a new number.
pub const SCHEMA: &str = "mailctl.status/1";

/// The public form. What could not be learnt is `null`, and a line says why. It holds no secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Document {
    /// [`SCHEMA`].
    pub schema: String,
    /// The host's name.
    pub host: String,
    /// Where it is reached.
    pub place: String,
    /// When it was looked at, RFC 3339, UTC.
    pub at: String,
    /// Whether nothing has failed, and the service was seen to run.
    pub well: bool,
    /// The judgements.
    pub lines: Vec<Line>,
    /// chasquid.
    pub service: Option<Service>,
    /// Who listens on 25, 465 and 587.
    pub ports: Option<Vec<Port>>,
    /// What waits for delivery.
    pub queue: Option<Queue>,
    /// The certificate on the disk; also `null` where there is none.
    pub certificate: Option<Certificate>,
    /// The last apply; also `null` where there never was one.
    pub applied: Option<Applied>,
    /// Versions and what is due.
    pub server: Option<Server>,
    /// The file system that the queue is on.
    pub disk: Option<Disk>,
    /// The server's clock.
    pub clock: Option<Clock>,
}

impl Document {
    /// The document of what was seen, at `place`.
    pub fn new(seen: Seen, expected: &Expected, place: String) -> Self {
        let lines = judge(&seen, expected);
        let failed = lines.iter().any(|line| line.verdict == Verdict::Fail);
        Self {
            schema: SCHEMA.into(),
            host: expected.host.clone(),
            place,
            at: clock::rfc3339(expected.now),
            well: !failed && seen.units.is_ok(),
            lines,
            service: seen.units.clone().ok(),
            ports: seen.ports.ok(),
            queue: seen.queue.ok().flatten(),
            certificate: seen.certificate.ok().flatten(),
            applied: seen.ledger.ok().flatten().and_then(|ledger| ledger.applied),
            server: seen.server.ok(),
            disk: seen.disk.ok(),
            clock: seen.clock.ok(),
        }
    }
}

//! How one sort of thing is seen, compared and made so: a kind a file, its
//! question, its decision and its deed on one screen.

pub mod aliases;
pub mod certificate;
pub mod chasquid;
pub mod dkim;
pub mod file;
pub mod firewall;
pub mod hostname;
pub mod hosts;
pub mod locale;
pub mod localtime;
pub mod netplan;
pub mod package;
pub mod port;
pub mod rrset;
pub mod service;
pub mod shell;
pub mod supported;
pub mod sysctl;
pub mod unit;
pub mod users;
pub mod version;

pub use shell::{decode, print, sha256};

use crate::observe::Seen;
use crate::plan::Plan;
use crate::resource::{Blocked, Change, Probe, Resource};

/// A fragment for deeds that chasquid only learns of by a restart: it is owed
/// from before the change until it is done, also when apply is cut off between
/// the two. It lies where a reboot, which is a restart too, forgets it.
pub const RESTART_DUE: &str = "mkdir -p /run/mailctl && : >/run/mailctl/restart-due";

/// A fragment for deeds after which the programs that share the certificate
/// are told; it outlasts a reboot, since nobody else would tell them.
pub const RELOAD_DUE: &str = "mkdir -p /var/lib/mailctl && : >/var/lib/mailctl/reload-due";

/// A resource that cannot even be wished for, so that the plan says so.
pub struct Impossible {
    /// The id that it would have had.
    pub id: String,
    /// Why.
    pub blocked: Blocked,
}

impl Resource for Impossible {
    fn id(&self) -> String {
        self.id.clone()
    }

    fn probes(&self) -> Vec<Probe> {
        Vec::new()
    }

    fn diff(&self, _: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        Err(self.blocked.clone())
    }
}

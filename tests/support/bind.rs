//! A BIND server that takes updates signed with one key.
// Each test program uses a part of it.
#![allow(dead_code)]

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use mailctl::record::Name;
use tempfile::tempdir;

use super::ports::{Running, own_port, program};

pub const KEY_NAME: &str = "mailctl-bind";
pub const ALGORITHM: &str = "hmac-sha512";
/// Base64 of a text that says it is no secret.
pub const KEY: &str = "Y2hhbmdlbWUtYmluZC10c2lnLWtleS1mb3ItdGVzdHM=";
/// Known to the server, allowed nothing.
pub const READER_NAME: &str = "reader";

pub struct BindServer {
    pub dns: SocketAddr,
    _running: Running,
}

impl BindServer {
    /// Serves `zones`, pairs of an apex and its text; `None` where it is not installed.
    pub async fn start(zones: &[(&str, String)]) -> Option<Self> {
        Self::start_at(own_port(), zones).await
    }

    /// The same at a given address, which must be an interface's own.
    pub async fn start_at(dns: SocketAddr, zones: &[(&str, String)]) -> Option<Self> {
        let installed = program("named")?;
        let dir = tempdir().expect("a directory");
        // AppArmor's profile goes by the path and keeps the installed one out of this directory.
        let server = dir.path().join("named");
        fs::copy(installed, &server).expect("a copy");
        let here = dir.path().display();
        let key = |name| format!("key {name} {{ algorithm {ALGORITHM}; secret \"{KEY}\"; }};\n");
        let mut conf = format!(
            "options {{ directory \"{here}\"; listen-on port {} {{ {}; }}; listen-on-v6 {{ none; }};\n\
             pid-file none; session-keyfile none; lock-file none; recursion no; dnssec-validation no;\n\
             allow-transfer {{ none; }}; notify no; }};\ncontrols {{ }};\n{}{}",
            dns.port(),
            dns.ip(),
            key(KEY_NAME),
            key(READER_NAME),
        );
        for (apex, text) in zones {
            let file = dir.path().join(apex);
            fs::write(&file, text).expect("a zone file");
            conf.push_str(&format!(
                "zone \"{apex}\" {{ type primary; file \"{}\"; update-policy {{ grant {KEY_NAME} zonesub ANY; }}; }};\n",
                file.display(),
            ));
        }
        let config = dir.path().join("named.conf");
        fs::write(&config, conf).expect("a configuration");
        let mut running = Running::start(Command::new(server).args(["-g", "-c"]).arg(config), dir);
        for (apex, _) in zones {
            running
                .serves(dns, &Name::parse(apex).expect("a name"))
                .await;
        }
        Some(Self {
            dns,
            _running: running,
        })
    }
}

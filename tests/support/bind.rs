//! A BIND server that takes updates signed with one key.
// Each test program uses a part of it.
#![allow(dead_code)]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
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
    running: Running,
}

impl BindServer {
    /// Serves `zones`, pairs of an apex and its text; `None` where it is not installed.
    pub async fn start(zones: &[(&str, String)]) -> Option<Self> {
        Self::start_at(own_port(), zones).await
    }

    /// The same at a given address, which must be an interface's own.
    pub async fn start_at(dns: SocketAddr, zones: &[(&str, String)]) -> Option<Self> {
        let policy = format!("update-policy {{ grant {KEY_NAME} zonesub ANY; }};");
        Self::start_as(dns, zones, &policy, "controls { };\n").await
    }

    /// Serves files that others write, each named like its zone in the directory, and
    /// reloads them as `rndc` says; the command for that, with `{zone}` for the zone.
    pub async fn start_files(zones: &[(&str, String)]) -> Option<(Self, String)> {
        let rndc = program("rndc")?;
        let (dns, control) = (own_port(), own_port());
        let controls = format!(
            "controls {{ inet {} port {} allow {{ any; }} keys {{ {KEY_NAME}; }}; }};\n",
            control.ip(),
            control.port()
        );
        let server = Self::start_as(dns, zones, "", &controls).await?;
        let conf = server.dir().join("rndc.conf");
        let text = format!(
            "key {KEY_NAME} {{ algorithm {ALGORITHM}; secret \"{KEY}\"; }};\n\
             options {{ default-key {KEY_NAME}; default-server {}; default-port {}; }};\n",
            control.ip(),
            control.port()
        );
        fs::write(&conf, text).expect("a configuration");
        let reload = format!("{} -c {} reload {{zone}}", rndc.display(), conf.display());
        Some((server, reload))
    }

    /// Where the zone files lie.
    pub fn dir(&self) -> &Path {
        self.running.dir.path()
    }

    async fn start_as(
        dns: SocketAddr,
        zones: &[(&str, String)],
        policy: &str,
        controls: &str,
    ) -> Option<Self> {
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
             allow-transfer {{ none; }}; notify no; }};\n{}{}{controls}",
            dns.port(),
            dns.ip(),
            key(KEY_NAME),
            key(READER_NAME),
        );
        for (apex, text) in zones {
            let file = dir.path().join(apex);
            fs::write(&file, text).expect("a zone file");
            conf.push_str(&format!(
                "zone \"{apex}\" {{ type primary; file \"{}\"; {policy} }};\n",
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
        Some(Self { dns, running })
    }
}

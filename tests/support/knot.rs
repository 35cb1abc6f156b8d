//! A Knot DNS server that takes updates signed with one key.
// Each test program uses a part of it.
#![allow(dead_code)]

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use mailctl::record::Name;
use tempfile::tempdir;

use super::ports::{Running, dns_port, own_address, program};

pub const KEY_NAME: &str = "mailctl-knot";
pub const ALGORITHM: &str = "hmac-sha256";
/// Base64 of a text that says it is no secret.
pub const KEY: &str = "Y2hhbmdlbWUta25vdC10c2lnLWtleS1mb3ItdGVzdHM=";

pub struct KnotServer {
    pub dns: SocketAddr,
    _running: Running,
}

impl KnotServer {
    /// Serves `zones`, pairs of an apex and its text; `None` where it is not installed.
    pub async fn start(zones: &[(&str, String)]) -> Option<Self> {
        Self::start_at(SocketAddr::new(own_address(), dns_port()), zones).await
    }

    /// The same at a given address.
    pub async fn start_at(dns: SocketAddr, zones: &[(&str, String)]) -> Option<Self> {
        let server = program("knotd")?;
        let dir = tempdir().expect("a directory");
        let here = dir.path().display();
        let mut conf = format!(
            "server:\n  rundir: {here}\n  listen: {}@{}\n  automatic-acl: off\ndatabase:\n  storage: {here}\n\
             control:\n  listen: {here}/control\nlog:\n  - target: stderr\n    any: info\n\
             key:\n  - id: {KEY_NAME}\n    algorithm: {ALGORITHM}\n    secret: {KEY}\n\
             acl:\n  - id: update\n    key: {KEY_NAME}\n    action: update\nzone:\n",
            dns.ip(),
            dns.port(),
        );
        for (apex, text) in zones {
            // The root's apex alone would name the directory.
            let file = dir.path().join(format!("zone-{apex}"));
            fs::write(&file, text).expect("a zone file");
            conf.push_str(&format!(
                "  - domain: {apex}\n    file: {}\n    acl: update\n",
                file.display()
            ));
        }
        let config = dir.path().join("knot.conf");
        fs::write(&config, conf).expect("a configuration");
        let mut running = Running::start(Command::new(server).arg("-c").arg(config), dir);
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

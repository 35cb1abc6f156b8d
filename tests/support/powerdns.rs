//! A PowerDNS server with its HTTP API, its zones in SQLite.
// Each test program uses a part of it.
#![allow(dead_code, clippy::print_stdout)]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use mailctl::record::Name;
use tempfile::tempdir;

use super::ports::{Running, dns_port, own_address, program};

pub const API_KEY: &str = "changeme-powerdns-api-key";

const SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";

pub struct PowerDnsServer {
    pub dns: SocketAddr,
    pub api: SocketAddr,
    running: Running,
}

impl PowerDnsServer {
    /// Serves `zones`, pairs of an apex and its text; `None` where it is not installed.
    pub async fn start(zones: &[(&str, String)]) -> Option<Self> {
        Self::start_at(SocketAddr::new(own_address(), dns_port()), zones).await
    }

    /// The same at a given address.
    pub async fn start_at(dns: SocketAddr, zones: &[(&str, String)]) -> Option<Self> {
        let (server, util, python) = (
            program("pdns_server")?,
            program("pdnsutil")?,
            program("python3")?,
        );
        if !std::path::Path::new(SCHEMA).exists() {
            println!("skipped: the package pdns-backend-sqlite3 is not installed");
            return None;
        }
        let api = SocketAddr::new(dns.ip(), 8081);
        let dir = tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name).display().to_string();
        let made = Command::new(python)
            .args(["-c", "import sqlite3,sys; sqlite3.connect(sys.argv[1]).executescript(open(sys.argv[2]).read())"])
            .args([&at("zones.sqlite"), SCHEMA])
            .status()
            .expect("python3 runs");
        assert!(made.success(), "the database is made");
        fs::write(
            at("pdns.conf"),
            format!(
                "launch=gsqlite3\ngsqlite3-database={}\nlocal-address={}\nlocal-port={}\napi=yes\napi-key={API_KEY}\n\
                 webserver=yes\nwebserver-address={}\nwebserver-port={}\nwebserver-allow-from=127.0.0.0/8\n\
                 socket-dir={}\nsecurity-poll-suffix=\ndaemon=no\nguardian=no\nwrite-pid=no\nlog-dns-details=no\n\
                 version-string=anonymous\nzone-cache-refresh-interval=0\n",
                at("zones.sqlite"),
                dns.ip(),
                dns.port(),
                api.ip(),
                api.port(),
                dir.path().display(),
            ),
        )
        .expect("a configuration");
        let config_dir = format!("--config-dir={}", dir.path().display());
        for (apex, text) in zones {
            load(&util, dir.path(), apex, text);
        }
        let mut running = Running::start(Command::new(server).arg(&config_dir), dir);
        for (apex, _) in zones {
            running
                .serves(dns, &Name::parse(apex).expect("a name"))
                .await;
        }
        Some(Self { dns, api, running })
    }

    /// Serves a zone more, from now on.
    pub fn load(&self, apex: &str, text: &str) {
        let util = program("pdnsutil").expect("it was there at the start");
        let dir = self.running.dir.path();
        load(&util, dir, apex, text);
        // It remembers that it refused to answer for the zone.
        let purged = Command::new("pdns_control")
            .arg(format!("--config-dir={}", dir.display()))
            .arg("purge")
            .output()
            .expect("pdns_control runs");
        assert!(purged.status.success(), "the cache is emptied");
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.api)
    }
}

fn load(util: &Path, dir: &Path, apex: &str, text: &str) {
    let file = dir.join(apex);
    fs::write(&file, text).expect("a zone file");
    let loaded = Command::new(util)
        .arg(format!("--config-dir={}", dir.display()))
        .args(["load-zone", apex])
        .arg(file)
        .output()
        .expect("pdnsutil runs");
    assert!(
        loaded.status.success(),
        "{apex}: {}",
        String::from_utf8_lossy(&loaded.stderr)
    );
}

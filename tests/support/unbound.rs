//! An Unbound resolver for a world of its own: it knows the way to a few zones only.
// Each test program uses a part of it.
#![allow(dead_code)]

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use mailctl::record::Name;
use tempfile::tempdir;

use super::ports::{Running, program};

pub struct UnboundServer {
    pub dns: SocketAddr,
    _running: Running,
}

impl UnboundServer {
    /// At `dns`, resolves what is in `zones`, which it asks `authority` for and,
    /// below them, whomever that delegates to; `None` where it is not installed.
    pub async fn start_at(dns: SocketAddr, zones: &[&str], authority: SocketAddr) -> Option<Self> {
        let zones: Vec<_> = zones.iter().map(|zone| (*zone, authority)).collect();
        Self::start_for(dns, &zones).await
    }

    /// The same with an authority for each zone.
    pub async fn start_for(dns: SocketAddr, zones: &[(&str, SocketAddr)]) -> Option<Self> {
        Self::run(dns, zones, "iterator", "").await
    }

    /// Asks `root` for the root; with the root's key it validates.
    pub async fn start_from_root(
        dns: SocketAddr,
        root: SocketAddr,
        key: Option<&str>,
    ) -> Option<Self> {
        // Without this word, names below it are nobody's, and are not asked for.
        let mut more = "  local-zone: \"test.\" nodefault\n".to_owned();
        let mut modules = "iterator";
        if let Some(key) = key {
            more.push_str(&format!("  trust-anchor: \"{key}\"\n"));
            modules = "validator iterator";
        }
        Self::run(dns, &[("", root)], modules, &more).await
    }

    async fn run(
        dns: SocketAddr,
        zones: &[(&str, SocketAddr)],
        modules: &str,
        more: &str,
    ) -> Option<Self> {
        let installed = program("unbound")?;
        let dir = tempdir().expect("a directory");
        // AppArmor's profile goes by the path and keeps the installed one out of this directory.
        let server = dir.path().join("unbound");
        fs::copy(installed, &server).expect("a copy");
        let mut conf = format!(
            "server:\n  interface: {}@{}\n  access-control: 127.0.0.0/8 allow\n  chroot: \"\"\n  username: \"\"\n\
             \x20 directory: \"{}\"\n  pidfile: \"\"\n  use-syslog: no\n  do-daemonize: no\n\
             \x20 unblock-lan-zones: yes\n  module-config: \"{modules}\"\n  do-not-query-localhost: no\n  do-ip6: no\n  num-threads: 1\n",
            dns.ip(),
            dns.port(),
            dir.path().display(),
        );
        for (zone, _) in zones {
            conf.push_str(&format!("  local-zone: \"{zone}.\" nodefault\n"));
        }
        conf.push_str(more);
        conf.push_str("remote-control:\n  control-enable: no\n");
        for (zone, authority) in zones {
            let (ip, port) = (authority.ip(), authority.port());
            conf.push_str(&format!(
                "stub-zone:\n  name: \"{zone}.\"\n  stub-addr: {ip}@{port}\n"
            ));
        }
        let config = dir.path().join("unbound.conf");
        fs::write(&config, conf).expect("a configuration");
        let mut running = Running::start(Command::new(server).arg("-d").arg("-c").arg(config), dir);
        for (zone, _) in zones {
            running
                .resolves(dns, &Name::parse(zone).expect("a name"))
                .await;
        }
        Some(Self {
            dns,
            _running: running,
        })
    }
}

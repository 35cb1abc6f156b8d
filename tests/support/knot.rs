//! A Knot DNS server that takes updates signed with one key.
// Each test program uses a part of it.
#![allow(dead_code)]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
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
        let zones: Vec<Zone> = zones
            .iter()
            .map(|(apex, text)| Zone::plain(apex, text))
            .collect();
        Self::start_with(dns, zones).await.map(|(server, _)| server)
    }

    /// The same where zones may be signed, and the topmost signed one's key as
    /// a validating resolver trusts it. A zone that is signed comes before those
    /// above it, which get its DS record.
    pub async fn start_with(dns: SocketAddr, mut zones: Vec<Zone>) -> Option<(Self, String)> {
        let server = program("knotd")?;
        let dir = tempdir().expect("a directory");
        let here = dir.path().display();
        let mut conf = format!(
            "server:\n  rundir: {here}\n  listen: {}@{}\n  automatic-acl: off\ndatabase:\n  storage: {here}\n\
             control:\n  listen: {here}/control\nlog:\n  - target: stderr\n    any: info\n\
             key:\n  - id: {KEY_NAME}\n    algorithm: {ALGORITHM}\n    secret: {KEY}\n\
             acl:\n  - id: update\n    key: {KEY_NAME}\n    action: update\n\
             policy:\n  - id: own\n    manual: on\n    single-type-signing: on\nzone:\n",
            dns.ip(),
            dns.port(),
        );
        for Zone { apex, signed, .. } in &zones {
            // The root's apex alone would name the directory.
            let file = dir.path().join(format!("zone-{apex}"));
            conf.push_str(&format!(
                "  - domain: {apex}\n    file: {}\n    acl: update\n",
                file.display()
            ));
            if *signed {
                conf.push_str("    dnssec-signing: on\n    dnssec-policy: own\n");
            }
        }
        let config = dir.path().join("knot.conf");
        fs::write(&config, conf).expect("a configuration");
        let anchor = sign(&config, &mut zones)?;
        for Zone { apex, text, .. } in &zones {
            fs::write(dir.path().join(format!("zone-{apex}")), text).expect("a zone file");
        }
        let mut running = Running::start(Command::new(server).arg("-c").arg(config), dir);
        for Zone { apex, .. } in &zones {
            running
                .serves(dns, &Name::parse(apex).expect("a name"))
                .await;
        }
        let server = Self {
            dns,
            _running: running,
        };
        Some((server, anchor))
    }
}

/// A zone that Knot serves.
pub struct Zone {
    apex: String,
    text: String,
    signed: bool,
}

impl Zone {
    pub fn plain(apex: &str, text: &str) -> Self {
        Self {
            apex: apex.to_owned(),
            text: text.to_owned(),
            signed: false,
        }
    }

    pub fn signed(apex: &str, text: &str) -> Self {
        Self {
            signed: true,
            ..Self::plain(apex, text)
        }
    }
}

/// Makes keys for the signed zones, tells the zones above them, and says the last one's key.
fn sign(config: &Path, zones: &mut [Zone]) -> Option<String> {
    if !zones.iter().any(|zone| zone.signed) {
        return Some(String::new());
    }
    let keymgr = program("keymgr")?;
    let run = |apex: &str, command: &[&str]| {
        let mut keymgr = Command::new(&keymgr);
        let keymgr = keymgr.arg("-c").arg(config).arg(apex).args(command);
        let output = keymgr.output().expect("keymgr runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "keymgr: {said}");
        said
    };
    let mut anchor = String::new();
    for number in 0..zones.len() {
        if !zones[number].signed {
            continue;
        }
        let apex = zones[number].apex.clone();
        let algorithm = "algorithm=ECDSAP256SHA256";
        run(&apex, &["generate", algorithm, "ksk=yes", "zsk=yes"]);
        let name = Name::parse(&apex).expect("a name");
        let above = zones[number + 1..]
            .iter_mut()
            .find(|zone| name.is_in(&Name::parse(&zone.apex).expect("a name")));
        match above {
            Some(above) => above.text.push_str(&run(&apex, &["ds"])),
            None => anchor = run(&apex, &["dnskey"]).trim().to_owned(),
        }
    }
    Some(anchor)
}

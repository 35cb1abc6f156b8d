//! What a rehearsal needs of this machine.

use std::env;
use std::path::PathBuf;

use nix::unistd::Uid;

/// Each program and the Debian package that has it.
const PROGRAMS: [(&str, &str); 13] = [
    ("systemd-nspawn", "systemd-container"),
    ("mmdebstrap", "mmdebstrap"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("ssh-keygen", "openssh-client"),
    ("pdns_server", "pdns-server"),
    ("sqlite3", "sqlite3"),
    ("unbound", "unbound"),
    ("pebble", "pebble"),
    ("mountpoint", "util-linux"),
    ("nsenter", "util-linux"),
    ("flock", "util-linux"),
    ("unshare", "util-linux"),
];

/// The tables of PowerDNS's SQLite backend.
pub(super) const SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";

/// What is missing, one line each with what to do; empty where a [`World`](super::World) can be started.
pub fn missing() -> Vec<String> {
    let mut lines = Vec::new();
    if !cfg!(target_os = "linux") {
        lines.push("a rehearsal runs on Linux only".to_owned());
        return lines;
    }
    if !Uid::effective().is_root() {
        lines.push("not root: a rehearsal makes network interfaces and mounts".to_owned());
    }
    for (program, package) in PROGRAMS {
        if find(program).is_none() {
            lines.push(format!("{program} is missing: apt-get install {package}"));
        }
    }
    if !PathBuf::from(SCHEMA).exists() {
        lines.push(
            "PowerDNS has no SQLite backend: apt-get install pdns-backend-sqlite3".to_owned(),
        );
    }
    lines
}

/// Where a program is, also in the directories that are not in every user's PATH.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_outside_path_too() {
        assert!(find("sh").is_some());
        assert_eq!(find("no-such-program-of-any-package"), None);
    }
}

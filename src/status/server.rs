//! The system below the service: versions, keys, what is due, room on the disk.

use serde::{Deserialize, Serialize};

use super::ask::Learnt;
use crate::kinds::dkim::PREPARED;

/// Asks for versions, keys and what is due.
pub const PROBE: &str = include_str!("../../templates/status-server.sh");

/// Asks for the file system that the queue is on.
pub const DISK: &str = "d=/var/lib/chasquid; [ -d $d ] || d=/var
df -P -B1 $d | tail -n 1 && df -P -i $d | tail -n 1";

/// Versions, keys and what is due.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// The system, such as `Debian GNU/Linux 12 (bookworm)`.
    pub system: String,
    /// chasquid's package version; `None`: not installed as a package.
    pub chasquid: Option<String>,
    /// Whether chasquid does not know the last changes yet.
    pub restart_due: bool,
    /// Packages that wait for a reboot; `None`: no reboot is due.
    pub reboot_for: Option<Vec<String>>,
    /// DKIM keys.
    pub keys: Vec<Key>,
}

/// A DKIM key on the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Whose mail it signs.
    pub domain: String,
    /// Its selector (RFC 6376 section 3.1).
    pub selector: String,
    /// Whether chasquid signs with it, or it waits for its record to be visible.
    pub signing: bool,
}

/// A file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Where it is mounted.
    pub mount: String,
    /// Its size in bytes.
    pub total: u64,
    /// What chasquid can still write, in bytes.
    pub free: u64,
    /// How many files can still be made; `None` where there is no limit.
    pub free_files: Option<u64>,
}

/// Reads what the probe prints; lines that are not known are passed over.
pub fn parse(text: &str) -> Server {
    let mut server = Server::default();
    for line in text.lines() {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        match key {
            "system" => server.system = value.to_owned(),
            "chasquid" if !value.is_empty() => server.chasquid = Some(value.to_owned()),
            "restart-due" => server.restart_due = true,
            "reboot" => {
                let packages = value.split_whitespace().map(str::to_owned);
                server.reboot_for = Some(packages.collect());
            }
            "key" => server.keys.extend(dkim_key(value)),
            _ => {}
        }
    }
    server
}

fn dkim_key(path: &str) -> Option<Key> {
    let (path, signing) = match path.strip_prefix("/etc/chasquid/domains/") {
        Some(rest) => (rest, true),
        None => (path.strip_prefix(PREPARED)?.strip_prefix('/')?, false),
    };
    let (domain, file) = path.split_once('/')?;
    let file = if signing {
        file.strip_prefix("dkim:")?
    } else {
        file
    };
    Some(Key {
        domain: domain.to_owned(),
        selector: file.strip_suffix(".pem")?.to_owned(),
        signing,
    })
}

/// Reads two lines of `df -P`: bytes, then inodes.
///
/// # Errors
/// A sentence, when they are none.
pub fn disk(text: &str) -> Learnt<Disk> {
    let row = |line: Option<&str>| {
        let fields: Vec<&str> = line?.split_whitespace().collect();
        let [_, total, _, free, _, mount @ ..] = &fields[..] else {
            return None;
        };
        Some((total.parse().ok()?, free.parse().ok()?, mount.join(" ")))
    };
    let mut lines = text.lines();
    let bytes: Option<(u64, u64, String)> = row(lines.next());
    let files = row(lines.next()).filter(|(total, ..)| *total > 0);
    let (total, free, mount) = bytes.ok_or("the server does not tell how full its disk is")?;
    Ok(Disk {
        mount,
        total,
        free,
        free_files: files.map(|(_, free, _): (u64, u64, String)| free),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_keys() {
        let server = parse(include_str!("../../tests/fixtures/status/server.txt"));
        assert_eq!(server.system, "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(server.chasquid.as_deref(), Some("1.19.0-1"));
        assert_eq!((server.restart_due, &server.reboot_for), (false, &None));
        let [key] = &server.keys[..] else {
            panic!("one key: {server:?}")
        };
        assert_eq!((key.domain.as_str(), key.signing), ("wac.tax", true));
        assert_eq!(key.selector, "s20261125");
    }

    #[test]
    fn what_is_due() {
        let server = parse(
            "chasquid=\nrestart-due\nreboot=libc6 linux-image-amd64 \n\
             key=/var/lib/mailctl/dkim/wac.tax/s1.pem\nkey=/etc/chasquid/domains/wac.tax/users\n",
        );
        assert_eq!(server.chasquid, None);
        assert!(server.restart_due);
        assert_eq!(server.reboot_for.map(|p| p.len()), Some(2));
        assert_eq!((server.keys.len(), server.keys[0].signing), (1, false));
    }

    #[test]
    fn room_on_the_disk() {
        let seen = disk(include_str!("../../tests/fixtures/status/disk.txt")).expect("a disk");
        assert_eq!(seen.mount, "/");
        assert!(seen.free > 0 && seen.free < seen.total && seen.free_files.is_some());
        let btrfs = "/dev/sda 100 40 60 40% /var lib\n/dev/sda 0 0 0 - /var\n";
        let seen = disk(btrfs).expect("a disk");
        assert_eq!((seen.free, seen.free_files), (60, None));
        assert_eq!(seen.mount, "/var lib");
        assert!(disk("").is_err() && disk("df: no such file\n").is_err());
    }
}

//! Host keys: what known_hosts says about them, and writing new ones there.
//!
//! The format is that of sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT". libssh2's own
//! reader has neither patterns nor line numbers, and takes a key of another
//! algorithm for a changed one.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::target::Target;
use crate::failure::{Context, Result};
use crate::random;

/// The signature algorithms to offer for unknown hosts, best first.
/// Certificates are not among them: a plain key always stands beside one, and
/// libssh2 cannot check them.
pub(crate) const ALGORITHMS: [&str; 7] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-rsa",
];

/// `SHA256:` and the unpadded base64 of the key's hash, as `ssh-keygen -l` prints it.
pub fn fingerprint(blob: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, blob);
    format!("SHA256:{}", STANDARD_NO_PAD.encode(hash))
}

/// The key's type, the first string of its blob (RFC 4253 section 6.6).
pub fn kind(blob: &[u8]) -> &str {
    let length = blob
        .get(..4)
        .and_then(|b| b.try_into().ok())
        .map_or(0, u32::from_be_bytes);
    let name = blob.get(4..).and_then(|rest| rest.get(..length as usize));
    name.and_then(|name| std::str::from_utf8(name).ok())
        .unwrap_or("unknown")
}

/// A line of known_hosts that speaks of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The file.
    pub file: PathBuf,
    /// Its line, from 1.
    pub line: usize,
    /// The line begins with `@revoked`.
    pub revoked: bool,
    /// The key as it is on the wire.
    pub blob: Vec<u8>,
}

/// What known_hosts says about a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It is the host's.
    Known,
    /// Nothing is known about the host.
    Unknown,
    /// The host had others, these.
    Changed(Vec<&'a Entry>),
    /// It was revoked by this line.
    Revoked(&'a Entry),
}

/// All that is known about one host.
#[derive(Clone, Debug, Default)]
pub struct Known {
    entries: Vec<Entry>,
}

impl Known {
    /// Reads what the target's files say about it. Files that cannot be read
    /// and lines that cannot be understood say nothing, as for OpenSSH.
    pub fn about(target: &Target) -> Self {
        let name = name(target);
        let mut entries = Vec::new();
        for file in target
            .user_known_hosts
            .iter()
            .chain(&target.global_known_hosts)
        {
            let Ok(bytes) = std::fs::read(file) else {
                continue;
            };
            for (index, line) in String::from_utf8_lossy(&bytes).lines().enumerate() {
                if let Some((revoked, blob)) = parse(line, &name) {
                    entries.push(Entry {
                        file: file.clone(),
                        line: index + 1,
                        revoked,
                        blob,
                    });
                }
            }
        }
        Self { entries }
    }

    /// Just this key.
    pub fn only(blob: &[u8]) -> Self {
        let entry = Entry {
            file: PathBuf::new(),
            line: 0,
            revoked: false,
            blob: blob.to_vec(),
        };
        Self {
            entries: vec![entry],
        }
    }

    /// The algorithms to negotiate: those of the known keys, else all. Without
    /// this the server may show a key that is right but not in the file.
    pub fn algorithms(&self) -> Vec<&'static str> {
        let kinds: Vec<&str> = self
            .entries
            .iter()
            .filter(|e| !e.revoked)
            .map(|e| kind(&e.blob))
            .collect();
        let known = |algorithm: &&str| match *algorithm {
            "rsa-sha2-512" | "rsa-sha2-256" => kinds.contains(&"ssh-rsa"),
            other => kinds.contains(&other),
        };
        let mut algorithms: Vec<&str> = ALGORITHMS.into_iter().filter(known).collect();
        // The rest follows, so that a server without them is told from one that is no SSH server.
        let rest = ALGORITHMS.into_iter().filter(|a| !known(a));
        algorithms.extend(rest.collect::<Vec<_>>());
        algorithms
    }

    /// Judges the key that the server showed.
    pub fn check(&self, blob: &[u8]) -> Verdict<'_> {
        if let Some(entry) = self.entries.iter().find(|e| e.revoked && e.blob == blob) {
            return Verdict::Revoked(entry);
        }
        let others: Vec<&Entry> = self.entries.iter().filter(|e| !e.revoked).collect();
        if others.iter().any(|entry| entry.blob == blob) {
            Verdict::Known
        } else if others.is_empty() {
            Verdict::Unknown
        } else {
            Verdict::Changed(others)
        }
    }
}

/// The host's name in known_hosts: HostKeyAlias, `host`, or `[host]:port`.
pub fn name(target: &Target) -> String {
    match (&target.host_key_alias, target.port) {
        (Some(alias), _) => alias.to_ascii_lowercase(),
        (None, 22) => target.hostname.to_ascii_lowercase(),
        (None, port) => format!("[{}]:{port}", target.hostname.to_ascii_lowercase()),
    }
}

/// Appends a key to the target's first known_hosts file, which is created,
/// readable by its owner only, where it is missing.
///
/// # Errors
/// When the file cannot be written.
pub fn add(target: &Target, blob: &[u8]) -> Result<()> {
    let Some(file) = target.user_known_hosts.first() else {
        return Ok(());
    };
    let name = name(target);
    let name = if target.hash_known_hosts {
        hashed(&name)
    } else {
        name
    };
    let line = format!("{name} {} {}\n", kind(blob), STANDARD.encode(blob));
    append(file, &line)
        .with_context(|| format!("cannot write the new host key to {}", file.display()))
}

fn append(file: &Path, line: &str) -> std::io::Result<()> {
    if let Some(dir) = file.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)?;
    }
    let mut options = OpenOptions::new();
    let mut open = options
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(file)?;
    let mut text = String::new();
    // The last line may lack its end.
    let mut last = [b'\n'];
    if open.metadata()?.len() > 0 {
        open.seek(SeekFrom::End(-1))?;
        open.read_exact(&mut last)?;
    }
    if last != [b'\n'] {
        text.push('\n');
    }
    text.push_str(line);
    open.write_all(text.as_bytes())
}

/// `|1|salt|HMAC-SHA1(salt, name)`.
fn hashed(name: &str) -> String {
    // Without randomness the name is hashed all the same, only not hidden.
    let salt: [u8; 20] = random::octets().unwrap_or_default();
    format!(
        "|1|{}|{}",
        STANDARD.encode(salt),
        STANDARD.encode(hash(&salt, name))
    )
}

fn hash(salt: &[u8], name: &str) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
    hmac::sign(&key, name.as_bytes())
}

/// Whether the line is revoked, and its key, where it speaks of `name`.
fn parse(line: &str, name: &str) -> Option<(bool, Vec<u8>)> {
    let mut fields = line.split_whitespace();
    let mut hosts = fields.next().filter(|field| !field.starts_with('#'))?;
    let revoked = hosts == "@revoked";
    if hosts.starts_with('@') {
        if !revoked {
            return None;
        }
        hosts = fields.next()?;
    }
    if !matches_host(hosts, name) {
        return None;
    }
    let named_kind = fields.next()?;
    let blob = STANDARD.decode(fields.next()?).ok()?;
    (kind(&blob) == named_kind).then_some((revoked, blob))
}

/// Comma-separated patterns, `!` before those that exclude; or one hashed name.
fn matches_host(hosts: &str, name: &str) -> bool {
    if let Some(parts) = hosts.strip_prefix("|1|") {
        let Some((salt, hashed)) = parts.split_once('|') else {
            return false;
        };
        let (Ok(salt), Ok(hashed)) = (STANDARD.decode(salt), STANDARD.decode(hashed)) else {
            return false;
        };
        return hash(&salt, name).as_ref() == hashed;
    }
    let mut matched = false;
    for pattern in hosts.split(',') {
        match pattern.strip_prefix('!') {
            Some(excluded) if glob(excluded.as_bytes(), name.as_bytes()) => return false,
            Some(_) => {}
            None => matched |= glob(pattern.as_bytes(), name.as_bytes()),
        }
    }
    matched
}

/// `*` and `?` as in ssh_config(5), "PATTERNS".
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            glob(rest, name)
                || name
                    .split_first()
                    .is_some_and(|(_, tail)| glob(pattern, tail))
        }
        (Some((b'?', rest)), Some((_, tail))) => glob(rest, tail),
        (Some((p, rest)), Some((n, tail))) => p.eq_ignore_ascii_case(n) && glob(rest, tail),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"; // GitHub's
    const FINGERPRINT: &str = "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU";

    fn target(host: &str, dir: &Path) -> Target {
        let mut target = Target::literal(&host.parse().expect("an SSH target"));
        target.user_known_hosts = vec![dir.join("deep").join("known_hosts")];
        target.global_known_hosts = Vec::new();
        target
    }

    fn blob() -> Vec<u8> {
        STANDARD.decode(ED25519).expect("base64")
    }

    #[test]
    fn fingerprints_are_those_of_ssh_keygen() {
        assert_eq!(fingerprint(&blob()), FINGERPRINT);
        assert_eq!(kind(&blob()), "ssh-ed25519");
        assert_eq!(kind(&[0, 0, 0, 9, b'x']), "unknown");
    }

    #[test]
    fn hosts_match_by_pattern_hash_and_port() {
        assert!(matches_host("a.example,*.example.org", "mail.example.org"));
        assert!(!matches_host(
            "*.example.org,!bad.example.org",
            "bad.example.org"
        ));
        assert!(matches_host("192.0.2.?", "192.0.2.7"));
        assert!(matches_host("[h]:2222", "[h]:2222"));
        assert!(!matches_host("h", "[h]:2222"));
        let hidden = hashed("[h]:2222");
        assert!(matches_host(&hidden, "[h]:2222"));
        assert!(!matches_host(&hidden, "h"));
    }

    #[test]
    fn what_is_added_is_known_and_the_port_counts() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut target = target("mail.example.org:2222", dir.path());
        for hash in [false, true] {
            target.hash_known_hosts = hash;
            target.port += 1;
            assert_eq!(Known::about(&target).check(&blob()), Verdict::Unknown);
            add(&target, &blob()).expect("added");
            assert_eq!(Known::about(&target).check(&blob()), Verdict::Known);
            target.port += 1;
            assert_eq!(Known::about(&target).check(&blob()), Verdict::Unknown);
        }
        let text = std::fs::read_to_string(&target.user_known_hosts[0]).expect("read");
        assert!(
            text.starts_with("[mail.example.org]:2223 ssh-ed25519 AAAA"),
            "{text}"
        );
        assert!(
            text.lines().nth(1).is_some_and(|l| l.starts_with("|1|")),
            "{text}"
        );
    }

    #[test]
    fn a_changed_or_revoked_key_names_its_line() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let target = target("h", dir.path());
        let file = &target.user_known_hosts[0];
        std::fs::create_dir(dir.path().join("deep")).expect("created");
        let other = blob()
            .iter()
            .map(|b| b ^ u8::from(*b == 0x2a))
            .collect::<Vec<_>>();
        let text = format!(
            "# comment\n\n@cert-authority h ssh-ed25519 {ED25519}\nh ssh-ed25519 {}",
            STANDARD.encode(&other)
        );
        std::fs::write(file, &text).expect("written");
        match Known::about(&target).check(&blob()) {
            Verdict::Changed(entries) => assert_eq!((entries.len(), entries[0].line), (1, 4)),
            verdict => panic!("{verdict:?}"),
        }
        append(file, &format!("@revoked * ssh-ed25519 {ED25519}\n")).expect("appended");
        match Known::about(&target).check(&blob()) {
            Verdict::Revoked(entry) => assert_eq!(entry.line, 5),
            verdict => panic!("{verdict:?}"),
        }
    }

    #[test]
    fn known_kinds_are_negotiated_first() {
        let mut blob = vec![0, 0, 0, 7];
        blob.extend(b"ssh-rsa");
        let entry = Entry {
            file: "f".into(),
            line: 1,
            revoked: false,
            blob,
        };
        let known = Known {
            entries: vec![entry],
        };
        assert_eq!(
            known.algorithms()[..3],
            ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"]
        );
        assert_eq!(Known::default().algorithms()[0], "ssh-ed25519");
    }
}

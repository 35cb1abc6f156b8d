//! Private key files: is it encrypted, and whose public key is it?
//!
//! libssh2 gives one and the same error for a wrong passphrase, a missing one
//! and a file that is no key, so the file is looked at first.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// A private key as it lies on the disk.
pub(crate) struct KeyFile {
    /// Where it was read.
    pub(crate) path: PathBuf,
    /// The file's text.
    pub(crate) text: Zeroizing<String>,
    /// A passphrase is needed.
    pub(crate) encrypted: bool,
    /// The public half (RFC 4253 section 6.6), where the file or the `.pub` beside it tells.
    pub(crate) public: Option<Vec<u8>>,
}

impl KeyFile {
    /// Reads a key file.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let text = Zeroizing::new(std::fs::read_to_string(path)?);
        let container = Container::parse(&text);
        let encrypted = match &container {
            Some(container) => container.encrypted,
            None => text.contains("ENCRYPTED"),
        };
        let public = container.map(|c| c.public).or_else(|| public_beside(path));
        Ok(Self {
            path: path.to_owned(),
            text,
            encrypted,
            public,
        })
    }
}

/// The public key in `PATH.pub`.
pub(crate) fn public_beside(path: &Path) -> Option<Vec<u8>> {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    let text = std::fs::read_to_string(name).ok()?;
    STANDARD.decode(text.split_whitespace().nth(1)?).ok()
}

/// The readable head of OpenSSH's own format, PROTOCOL.key of OpenSSH.
struct Container {
    encrypted: bool,
    public: Vec<u8>,
}

impl Container {
    fn parse(text: &str) -> Option<Self> {
        let body = text
            .trim()
            .strip_prefix("-----BEGIN OPENSSH PRIVATE KEY-----")?;
        let body = body.strip_suffix("-----END OPENSSH PRIVATE KEY-----")?;
        let body: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
        let bytes = Zeroizing::new(STANDARD.decode(body.as_bytes()).ok()?);
        let mut rest = bytes.strip_prefix(b"openssh-key-v1\0")?;
        let cipher = string(&mut rest)?;
        let (_kdf, _options) = (string(&mut rest)?, string(&mut rest)?);
        rest = rest.get(4..)?; // how many keys: always 1
        Some(Self {
            encrypted: cipher != b"none",
            public: string(&mut rest)?.to_vec(),
        })
    }
}

/// A length-prefixed string (RFC 4251 section 5).
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, tail) = rest.split_first_chunk::<4>()?;
    let (string, tail) = tail.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    *rest = tail;
    Some(string)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::print_stderr)]

    use std::process::Command;

    use super::*;

    fn keygen(dir: &Path, arguments: &[&str]) -> Option<KeyFile> {
        let path = dir.join("key");
        let mut command = Command::new("ssh-keygen");
        command
            .args(["-q", "-C", "", "-f"])
            .arg(&path)
            .args(arguments);
        let Ok(status) = command.status() else {
            eprintln!("skipped: ssh-keygen is not installed");
            return None;
        };
        assert!(status.success());
        Some(KeyFile::read(&path).expect("read"))
    }

    #[test]
    fn encryption_is_seen_in_every_format() {
        for (arguments, encrypted) in [
            (vec!["-t", "ed25519", "-N", ""], false),
            (vec!["-t", "ed25519", "-N", "secret"], true),
            (
                vec!["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", ""],
                false,
            ),
            (
                vec!["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "secret"],
                true,
            ),
            (vec!["-t", "ecdsa", "-m", "PKCS8", "-N", "secret"], true),
        ] {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let Some(key) = keygen(dir.path(), &arguments) else {
                return;
            };
            assert_eq!(key.encrypted, encrypted, "{arguments:?}");
            assert_eq!(key.public, public_beside(&key.path), "{arguments:?}");
        }
    }

    #[test]
    fn the_public_half_is_readable_without_passphrase_or_pub_file() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let Some(key) = keygen(dir.path(), &["-t", "ed25519", "-N", "secret"]) else {
            return;
        };
        let expected = public_beside(&key.path);
        std::fs::remove_file(dir.path().join("key.pub")).expect("removed");
        assert_eq!(KeyFile::read(&key.path).expect("read").public, expected);
        assert!(expected.is_some());
    }
}

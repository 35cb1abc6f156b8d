//! chasquid's own files, and its running.

use super::Wish;
use crate::chasquid::conf::{self, Conf, Delivery};
use crate::config::Ipv6Wish;
use crate::kinds::Impossible;
use crate::kinds::file::{File, Gone};
use crate::kinds::service::Chasquid;
use crate::resource::{Blocked, Resource};

const CONF: &str = "/etc/chasquid/chasquid.conf";
const DELIVER: &str = "/usr/local/lib/mailctl/deliver";
const IPV4_ONLY: &str = "/etc/systemd/system/chasquid.service.d/mailctl-ipv4-only.conf";
/// chasquid's own tool reads the file where it would be.
const VALIDATE: &str = "(d=$(mktemp -d) && cp {} \"$d/chasquid.conf\" && chasquid-util -C=\"$d\" print-config; s=$?; rm -rf \"$d\"; exit $s)";

/// Configuration and local delivery.
pub fn wish(wish: &Wish, wanted: &mut Vec<Box<dyn Resource>>) {
    let deliver = include_str!("../../templates/deliver");
    wanted.push(Box::new(
        File::new(DELIVER, deliver, "the delivery to local mailboxes")
            .mode(0o755)
            .dull(),
    ));
    match conf::render(&settings(wish)) {
        Ok(text) => {
            let mut file = File::new(CONF, text, "chasquid's configuration").restart();
            file.conffile = true;
            file.validate = Some(VALIDATE);
            wanted.push(Box::new(file));
        }
        Err(failure) => {
            wanted.push(Box::new(Impossible {
                id: format!("file {CONF}"),
                blocked: Blocked::new(failure.chain()),
            }));
        }
    }
    if wish.config.host.ipv6 == Some(Ipv6Wish::None) {
        let text = include_str!("../../templates/chasquid-ipv4-only.conf");
        wanted.push(Box::new(
            File::new(IPV4_ONLY, text, "what keeps mail from leaving over IPv6").restart(),
        ));
    } else {
        wanted.push(Box::new(Gone {
            restart: true,
            ..Gone::new(IPV4_ONLY, "mail may leave over IPv6")
        }));
    }
}

fn settings(wish: &Wish) -> Conf {
    let users = wish
        .config
        .domains
        .values()
        .flat_map(|domain| domain.users.keys().map(String::as_str));
    Conf {
        hostname: wish.config.host_name().clone(),
        max_message_mb: wish.config.server.max_message_mb,
        delivery: Some(Delivery {
            bin: DELIVER.into(),
            args: ["%from%", "%to_user%", "%to_domain%"]
                .map(str::to_owned)
                .to_vec(),
        }),
        drop_characters: conf::drop_characters(users).into(),
    }
}

/// The running server, after everything that it reads.
pub fn run(_: &Wish, wanted: &mut Vec<Box<dyn Resource>>) {
    wanted.push(Box::new(Chasquid));
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;
    use std::process::{Command, Output, Stdio};

    fn deliver(maildir: &Path, arguments: &[&str], message: &[u8]) -> Output {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/templates/deliver");
        let mut child = Command::new("sh")
            .arg(script)
            .args(arguments)
            .env("MAILCTL_MAILDIR", maildir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sh");
        // A script that refuses early does not read its input.
        let _ = child.stdin.take().expect("stdin").write_all(message);
        child.wait_with_output().expect("output")
    }

    fn files(folder: &Path) -> Vec<std::path::PathBuf> {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return Vec::new();
        };
        entries.map(|entry| entry.expect("entry").path()).collect()
    }

    #[test]
    fn a_message_arrives_whole_and_once() {
        let dir = tempfile::tempdir().expect("dir");
        let message = b"Subject: x\r\n\r\n.\r\nFrom \xff\x00 bytes\r\n";
        for _ in 0..2 {
            let output = deliver(dir.path(), &["a@b.example", "i", "wac.tax"], message);
            assert!(output.status.success(), "{output:?}");
        }
        let mailbox = dir.path().join("wac.tax/i");
        let new = files(&mailbox.join("new"));
        assert_eq!((new.len(), files(&mailbox.join("tmp")).len()), (2, 0));
        let head = b"Return-Path: <a@b.example>\nDelivered-To: i@wac.tax\n";
        assert_eq!(
            std::fs::read(&new[0]).expect("message"),
            [head.as_slice(), message].concat()
        );
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            std::fs::metadata(&new[0])
                .expect("message")
                .permissions()
                .mode()
                & 0o777,
            0o600
        );
    }

    #[test]
    fn a_name_never_leads_out_of_the_mailboxes() {
        let dir = tempfile::tempdir().expect("dir");
        let maildir = dir.path().join("maildir");
        for (user, domain) in [
            ("..", "wac.tax"),
            ("../x", "wac.tax"),
            ("i", ".."),
            ("a/b", "wac.tax"),
            ("", "wac.tax"),
            ("-n", "wac.tax"),
            ("a\nb", "wac.tax"),
        ] {
            let output = deliver(&maildir, &["s@b.example", user, domain], b"x");
            assert_eq!(output.status.code(), Some(67), "{user:?} {domain:?}");
        }
        assert_eq!(files(dir.path()).len(), 0);
        let bounce = deliver(&maildir, &["<>", "bounce", "wac.tax"], b"x");
        assert!(bounce.status.success(), "{bounce:?}");
        let text = std::fs::read(&files(&maildir.join("wac.tax/bounce/new"))[0]).expect("message");
        assert!(
            text.starts_with(b"Return-Path: <>\n"),
            "RFC 5321 section 4.4"
        );
        // Shell characters are letters like any other.
        let output = deliver(&maildir, &["", "$(touch pwned) *", "wac.tax"], b"x");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(
            files(&maildir.join("wac.tax/$(touch pwned) */new")).len(),
            1
        );
    }

    #[test]
    fn trouble_of_the_machine_is_temporary() {
        let dir = tempfile::tempdir().expect("dir");
        let file = dir.path().join("file");
        std::fs::write(&file, "").expect("file");
        assert_eq!(
            deliver(&file, &["s@b.example", "i", "wac.tax"], b"x")
                .status
                .code(),
            Some(75)
        );
        assert_eq!(
            deliver(dir.path(), &["s@b.example"], b"x").status.code(),
            Some(75)
        );
    }
}

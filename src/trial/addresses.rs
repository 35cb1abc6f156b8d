//! Addresses on the server that exist while a trial runs, one for each message.
//!
//! They are aliases that pipe into files, which chasquid takes up when it is
//! told to; see `templates/trial.sh`. The lock of the trial takes them away
//! when the connection ends, so that none is left behind by a controller that
//! was killed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use crate::failure::Result;
use crate::kinds::chasquid::STAGED;
use crate::kinds::shell::{PRELUDE, decode};
use crate::observe::quote;
use crate::record::Name;
use crate::remote::{Remote, Script};

const FUNCTIONS: &str = include_str!("../../templates/trial.sh");

/// What the local part of every test address begins with.
const PREFIX: &str = "mailctl-test-";

/// The addresses of one trial.
#[derive(Clone, Debug)]
pub struct Addresses {
    token: String,
}

impl Addresses {
    /// Addresses that nobody else can know: `random` is from the system.
    pub fn new(random: [u8; 4]) -> Self {
        // Short: a forwarding server puts more before the @, and 64 octets are
        // all that fit there (RFC 5321 section 4.5.3.1.1).
        Self {
            token: format!("{:08x}", u32::from_be_bytes(random)),
        }
    }

    /// The address of a message, which exists once it was made.
    pub fn address(&self, number: usize, domain: &Name) -> String {
        format!("{PREFIX}{}-{number}@{domain}", self.token)
    }

    /// An address that never exists, for a domain that takes every one.
    pub fn unknown(&self, domain: &Name) -> String {
        format!("{PREFIX}{}-x@{domain}", self.token)
    }

    /// A name for a message that no other has.
    pub fn message_id(&self, number: usize) -> String {
        format!("{PREFIX}{}.{number}", self.token)
    }

    /// What the lock of the trial does first: it takes away what a server kept
    /// that lost its power in the middle of another.
    pub fn first(&self) -> String {
        format!("{FUNCTIONS}prepare {}", self.token)
    }

    /// What it does last, however the controller ended.
    pub fn last(&self) -> String {
        format!("{FUNCTIONS}forget {}", self.token)
    }

    /// Makes addresses and waits until the running chasquid knows them.
    ///
    /// # Errors
    /// When chasquid does not run there or does not take them; none is left then.
    pub fn make(&self, remote: &dyn Remote, wanted: &[(usize, Name)]) -> Result<()> {
        if wanted.is_empty() {
            return Ok(());
        }
        let output = remote.run(&Script::new(self.making(wanted)))?;
        if output.code == 0 {
            return Ok(());
        }
        Err(output.failure(
            "no addresses for the test messages could be made on the server",
            "see with `mailctl plan` whether it is as mail.yaml wishes it",
        ))
    }

    fn making(&self, wanted: &[(usize, Name)]) -> String {
        let token = &self.token;
        let mut aliases: BTreeMap<&Name, String> = BTreeMap::new();
        for (number, domain) in wanted {
            let lines = aliases.entry(domain).or_default();
            // Writing to a String cannot fail.
            let _ = writeln!(
                lines,
                "{PREFIX}{token}-{number}: | /bin/sh /var/lib/chasquid/mailctl-test.{token}/keep {number}"
            );
        }
        let mut text = format!(
            "{PRELUDE}{STAGED}{FUNCTIONS}trap 'code=$?; rm -f \"$log\"; [ $code -eq 0 ] || forget {token}' EXIT\n\
             [ -d /var/lib/chasquid/mailctl-test.{token} ] || fail 1 'chasquid is not installed, or its disk is full'\n"
        );
        for (domain, lines) in &aliases {
            let domain = quote(domain.as_str());
            let _ = write!(
                text,
                "add {token} {domain} <<'END' || fail 1 'the test was given up'\n{lines}END\n"
            );
        }
        if let Some((number, domain)) = wanted.last() {
            let address = quote(&self.address(*number, domain));
            let _ = writeln!(text, "effective {address}");
        }
        // The controller may have been killed meanwhile, and what it had made removed.
        let _ = write!(
            text,
            "[ -d /var/lib/chasquid/mailctl-test.{token} ] || fail 1 'the test was given up'"
        );
        text
    }

    /// Waits for messages, `limit` at most; those that came, by number.
    ///
    /// # Errors
    /// When the connection is lost or the directory is gone.
    pub fn collect(
        &self,
        remote: &dyn Remote,
        numbers: &[usize],
        limit: Duration,
    ) -> Result<BTreeMap<usize, Vec<u8>>> {
        if numbers.is_empty() {
            return Ok(BTreeMap::new());
        }
        let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
        let text = format!(
            "{FUNCTIONS}collect {} {} {}",
            self.token,
            limit.as_millis() / 100,
            numbers.join(" ")
        );
        let script = Script::new(text).within(limit + Duration::from_secs(60));
        let output = remote.run(&script)?;
        if output.code != 0 {
            return Err(output.failure(
                "the test messages could not be fetched from the server",
                "run it again",
            ));
        }
        Ok(collected(&output.text()))
    }

    /// Takes the addresses and their messages away.
    ///
    /// # Errors
    /// When the server does not let them go; the lock's end tries again.
    pub fn remove(&self, remote: &dyn Remote) -> Result<()> {
        let output = remote.run(&Script::new(self.last()))?;
        if output.code == 0 {
            return Ok(());
        }
        Err(output.failure(
            "the addresses of the test messages are still on the server",
            "remove the lines that begin with mailctl-test- from /etc/chasquid/domains/*/aliases",
        ))
    }
}

/// Lines of a number and a message in base64. Inside chasquid lines end with a
/// line feed; on the wire, and so in signatures, with CRLF.
fn collected(text: &str) -> BTreeMap<usize, Vec<u8>> {
    let message = |line: &str| {
        let (number, message) = line.split_once(' ')?;
        Some((number.parse().ok()?, crlf(&decode(message)?)))
    };
    text.lines().filter_map(message).collect()
}

fn crlf(message: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(message.len() + message.len() / 40);
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                whole.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
                whole.extend_from_slice(b"\r\n");
            }
            None => whole.extend_from_slice(line),
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::kinds::shell::run;

    fn addresses() -> Addresses {
        Addresses::new([0, 0x1b, 0x2c, 0x3d])
    }

    fn domain() -> Name {
        Name::parse("wac.tax").expect("a name")
    }

    #[test]
    fn a_local_part_has_room_for_what_forwarding_adds() {
        let address = addresses().unknown(&domain());
        assert_eq!(address, "mailctl-test-001b2c3d-x@wac.tax");
        let local = address.split('@').next().expect("a local part");
        let rewritten = format!(
            "{local}+fwd_from={}",
            super::super::STRANGER.replace('@', "=")
        );
        assert!(rewritten.len() <= 64, "{rewritten}");
    }

    #[test]
    fn messages_arrive_as_they_were_on_the_wire() {
        // "a\r\nb\n\nc"
        let seen = collected("3 YQ0KYgoKYw==\nnoise\n4 !\n");
        assert_eq!(seen, BTreeMap::from([(3, b"a\r\nb\r\n\r\nc".to_vec())]));
    }

    /// Runs a script with the server's directories below another one, and
    /// without what only a server has.
    fn below(root: &Path, text: &str) -> (i32, String, String) {
        let absent = "staged() { :; }\nchown() { :; }\nreread() { :; }\neffective() { :; }\n";
        let root = root.display();
        let text = text
            .replace(FUNCTIONS, &format!("{FUNCTIONS}{absent}"))
            .replace("/etc/chasquid", &format!("{root}/etc"))
            .replace("/var/lib/chasquid", &format!("{root}/lib"));
        run(&text)
    }

    fn server() -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a directory");
        for path in [
            "etc/domains/wac.tax",
            "etc/domains/second.example",
            "lib/queue",
        ] {
            fs::create_dir_all(root.path().join(path)).expect("a directory");
        }
        root
    }

    #[test]
    fn what_others_wrote_is_there_again_byte_for_byte() {
        let (root, ours) = (server(), addresses());
        let first = root.path().join("etc/domains/wac.tax/aliases");
        let second = root.path().join("etc/domains/second.example/aliases");
        // No line end, and a word that looks like ours.
        let before = b"# mailctl-test-1 is a remark\ni: a@far.example\n*: b@far.example";
        fs::write(&first, before).expect("written");
        assert_eq!(below(root.path(), &ours.first()).0, 0);
        let wanted = [
            (1, domain()),
            (2, domain()),
            (3, Name::parse("second.example").expect("a name")),
        ];
        let made = below(root.path(), &ours.making(&wanted));
        assert_eq!(made.0, 0, "{made:?}");
        let text = fs::read_to_string(&first).expect("there");
        let mut lines = text.lines();
        let line = lines.next().expect("a line");
        assert!(
            line.starts_with("mailctl-test-001b2c3d-1: | /bin/sh ") && line.ends_with("/keep 1"),
            "{text}"
        );
        assert!(
            text.ends_with(std::str::from_utf8(before).expect("text")),
            "{text}"
        );
        let aliases = crate::chasquid::aliases::parse(&text).expect("chasquid takes it");
        assert_eq!(aliases.len(), 4);
        let alone = fs::read_to_string(&second).expect("made");
        assert_eq!(
            crate::chasquid::aliases::parse(&alone)
                .expect("sound")
                .len(),
            1
        );

        assert_eq!(below(root.path(), &ours.last()).0, 0);
        assert_eq!(fs::read(&first).expect("there"), before);
        assert!(!second.exists(), "it was not there before");
        assert_eq!(left(root.path()), ["etc/domains/wac.tax/aliases"]);
        assert_eq!(below(root.path(), &ours.last()).0, 0, "twice does no harm");
    }

    #[test]
    fn what_was_written_meanwhile_stays() {
        let (root, ours) = (server(), addresses());
        let file = root.path().join("etc/domains/wac.tax/aliases");
        assert_eq!(below(root.path(), &ours.first()).0, 0);
        assert_eq!(below(root.path(), &ours.making(&[(1, domain())])).0, 0);
        let text = fs::read_to_string(&file).expect("there");
        fs::write(&file, format!("{text}new: c@far.example\n")).expect("written");
        assert_eq!(below(root.path(), &ours.last()).0, 0);
        assert_eq!(
            fs::read_to_string(&file).expect("there"),
            "new: c@far.example\n"
        );
    }

    #[test]
    fn nothing_is_made_for_a_controller_that_is_gone() {
        let (root, ours) = (server(), addresses());
        let file = root.path().join("etc/domains/wac.tax/aliases");
        fs::write(&file, "i: a@far.example\n").expect("written");
        assert_eq!(below(root.path(), &ours.first()).0, 0);
        assert_eq!(below(root.path(), &ours.last()).0, 0);
        let (code, _, said) = below(root.path(), &ours.making(&[(1, domain())]));
        assert_eq!(code, 1, "{said}");
        assert_eq!(
            fs::read_to_string(&file).expect("there"),
            "i: a@far.example\n"
        );
        // The next one takes away what a crash left.
        assert_eq!(below(root.path(), &ours.first()).0, 0);
        assert_eq!(below(root.path(), &ours.making(&[(1, domain())])).0, 0);
        let next = Addresses::new([9; 4]);
        assert_eq!(below(root.path(), &next.first()).0, 0);
        assert_eq!(
            fs::read_to_string(&file).expect("there"),
            "i: a@far.example\n"
        );
    }

    #[test]
    fn a_piped_message_is_collected() {
        let (root, ours) = (server(), addresses());
        assert_eq!(below(root.path(), &ours.first()).0, 0);
        let keep = root.path().join("lib/mailctl-test.001b2c3d/keep");
        let (code, ..) = run(&format!("printf 'x\\n' | /bin/sh {} 7", keep.display()));
        assert_eq!(code, 0);
        let text = format!("{FUNCTIONS}collect 001b2c3d 3 7 8");
        let (code, out, _) = below(root.path(), &text);
        assert_eq!(code, 0);
        assert_eq!(collected(&out), BTreeMap::from([(7, b"x\r\n".to_vec())]));
    }

    /// Every file below, sorted.
    fn left(root: &Path) -> Vec<String> {
        let (_, out, _) = run(&format!("cd {} && find . -type f | sort", root.display()));
        out.lines()
            .map(|line| line.trim_start_matches("./").to_owned())
            .collect()
    }
}

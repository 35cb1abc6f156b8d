//! A fresh server becomes a mail server, beside the floor: a hand-written
//! shell script streamed through one `ssh` that does the server's part of the
//! same. mailctl does DNS, DKIM's records and a certificate by ACME as well.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use mailctl::chasquid::users::{self, Entry};
use mailctl::observe::quote;
use mailctl::secret::Secret;

use crate::lab::Ran;
use crate::sample::{Contender, in_turn};
use crate::table::Table;
use crate::{DOMAINS, fresh};

const FRESH: &str = include_str!("fresh.sh");
const KEYS: &str = include_str!("../../templates/debian-archive-keyring.asc");
const ROUNDS: usize = 3;
/// Of the shell script's time.
const AT_MOST: f64 = 1.3;

/// What is installed beside the mail server.
struct Base {
    title: &'static str,
    yaml: &'static str,
    packages: &'static str,
    /// Whether apt needs the distribution's own index.
    full: &'static str,
}

const BARE: Base = Base {
    title: "A fresh server, mail only",
    yaml: "{fail2ban: false, upgrades: false}",
    packages: "chasquid",
    full: "no",
};
const USUAL: Base = Base {
    title: "A fresh server, with upgrades and fail2ban",
    yaml: "{}",
    packages: "chasquid unattended-upgrades fail2ban nftables python3-systemd",
    full: "yes",
};

/// Measures; returns the goals that were missed.
pub fn measure() -> Vec<String> {
    let mut missed = Vec::new();
    for base in [BARE, USUAL] {
        let samples = in_turn(
            ROUNDS,
            &mut [
                Contender::timed("shell script through `ssh`", || by_hand(&base)),
                Contender::timed("`mailctl apply`, with DNS and certificate", || {
                    by_mailctl(&base)
                }),
            ],
        );
        let mut table = Table::new(base.title, ROUNDS);
        table.floor(&samples[0]);
        table.against(&samples[0], &samples[1], Some(AT_MOST));
        missed.extend(table.end());
    }
    missed
}

fn by_hand(base: &Base) -> Duration {
    let lab = fresh().expect("a lab, as before");
    let world = &lab.world;
    let entry = Entry::scrypt(&Secret::new(lab.password.as_str()), *b"sixteen octets..");
    let users = users::render(&BTreeMap::from([("i".to_owned(), entry)]));
    let words = [
        ("host", "smtp.wac.tax"),
        ("domain", "wac.tax"),
        ("address6", &format!("{}/64", world.ipv6())),
        ("gateway6", &world.gateway6().to_string()),
        ("packages", base.packages),
        ("full", base.full),
        ("users", &users),
    ];
    let words: String = words
        .map(|(name, word)| format!("{name}={}\n", quote(word)))
        .concat();
    let script = format!(
        "main() {{\n{words}key() {{ cat <<'KEYS'\n{KEYS}KEYS\n}}\n{FRESH}}}\nmain </dev/null\n"
    );
    let begun = Instant::now();
    let mut child = world
        .ssh_command()
        .arg("sh -s")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ssh runs");
    let mut stdin = child.stdin.take().expect("stdin");
    stdin.write_all(script.as_bytes()).expect("sent");
    drop(stdin);
    let ran = Ran::of(child.wait_with_output().expect("an end")).expect(0);
    let took = begun.elapsed();
    assert!(ran.out.contains("220 smtp.wac.tax"), "{}", ran.out);
    took
}

fn by_mailctl(base: &Base) -> Duration {
    let lab = fresh().expect("a lab, as before");
    let path = lab.write(DOMAINS);
    let text = fs::read_to_string(&path).expect("mail.yaml");
    let bare = format!("base: {}", BARE.yaml);
    assert!(text.contains(&bare), "{text}");
    fs::write(&path, text.replace(&bare, &format!("base: {}", base.yaml))).expect("mail.yaml");
    let begun = Instant::now();
    let ran = lab.run(&["apply", "--yes"]).expect(0);
    let took = begun.elapsed();
    assert!(!lab.dig("wac.tax", "MX").is_empty(), "{}", ran.out);
    took
}

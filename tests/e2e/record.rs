//! Records the worlds that the pages under tests/plans begin with: what a
//! survey sees of a fresh server and of an applied one, with the addresses of
//! tests/plans/mail.yaml in the place of the lab's.
//!
//! `cargo test --test e2e -- --ignored record`

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use clap::Parser;
use mailctl::cli::{Cli, Reach};
use mailctl::commands::setup::Session;
use mailctl::config::DkimAlgorithm;
use mailctl::dkim;
use mailctl::record::Name;
use mailctl::rehearse::base::Suite;
use mailctl::survey::survey;
use time::OffsetDateTime;

use crate::lab::Lab;
use crate::scene::Scene;

/// What the lab says and what the recording says instead, the longest first.
fn disguise(lab: &Lab) -> Vec<(String, String)> {
    let world = &lab.world;
    let zone = |ip: IpAddr, labels: usize| {
        let mut name = Name::reverse(ip);
        for _ in 0..labels {
            name = name.parent().expect("a name above");
        }
        name.to_string()
    };
    let (v4, v6) = (world.ipv4(), world.ipv6());
    let (new4, new6) = (
        [203, 0, 113, 7].into(),
        "2a02:c207::7".parse().expect("an address"),
    );
    let [a, b, c, _] = v4.octets();
    let hex = |ip: std::net::Ipv6Addr| format!("{:032x}", ip.to_bits());
    let mut pairs = vec![
        (hex(v6), hex(new6)),
        (zone(v4.into(), 1), zone(new4, 1)),
        (zone(v6.into(), 16), zone(new6.into(), 16)),
        (zone(v4.into(), 0), zone(new4, 0)),
        (zone(v6.into(), 0), zone(new6.into(), 0)),
        (world.gateway6().to_string(), "2a02:c207::1".into()),
        (v6.to_string(), new6.to_string()),
        (v4.to_string(), new4.to_string()),
        (format!("{a}.{b}.{c}.1 "), "203.0.113.1 ".into()),
        (
            world.authority().directory(),
            "https://acme-v02.api.letsencrypt.org/directory".into(),
        ),
    ];
    pairs.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
    pairs
}

fn replaced(mut text: String, pairs: &[(String, String)]) -> String {
    for (from, to) in pairs {
        text = text.replace(from, to);
    }
    text
}

/// tests/plans/mail.yaml for the lab.
fn mail_yaml(lab: &Lab) -> String {
    let world = &lab.world;
    let own: String = include_str!("../plans/mail.yaml")
        .lines()
        .filter(|line| !line.starts_with("dns:") && !line.starts_with("ptr:"))
        .map(|line| format!("{line}\n"))
        .collect();
    let reached = format!(
        "ssh: root@{v4}\n  ipv4: {v4}\n  identity: {}\n  host_key: {}",
        world.private_key().display(),
        world.server().host_key_fingerprint(),
        v4 = world.ipv4(),
    );
    let own = own
        .replace("ssh: root@203.0.113.7", &reached)
        .replace("2a02:c207::7", &world.ipv6().to_string())
        .replace("2a02:c207::1", &world.gateway6().to_string());
    let token = lab.private_file("token", world.names().token().expose());
    let provider = format!(
        "{{provider: powerdns, endpoint: \"{}\", token: \"file:{}\"}}",
        world.names().endpoint(),
        token.display()
    );
    format!(
        "{own}dns: {provider}\nptr: {provider}\nresolver: {}\n\
         certificates: {{authority: \"{}\", root: {}}}\n",
        world.resolver().address(),
        world.authority().directory(),
        world.authority().root().display(),
    )
}

/// The selector of the recorded key; not of the day, so that the pages may name it.
const SELECTOR: &str = "s20260115";

fn record(lab: &Lab, name: &str) {
    let path = lab.directory.path().join("mail.yaml");
    let path = path.to_str().expect("UTF-8");
    let cli = Cli::parse_from(["mailctl", "--no-input", "-f", path, "plan"]);
    let session = Session::open(&cli, &Reach::default()).expect("a session");
    let now = OffsetDateTime::now_utc();
    let now = now.replace_nanosecond(0).expect("a time");
    let nobody = Default::default();
    let looking = survey(&session.world, &session.config, &nobody, now);
    let survey = session.runtime.block_on(looking).expect("a survey");
    let mut pairs = disguise(lab);
    let day = dkim::selector(now.date(), DkimAlgorithm::Rsa2048, &BTreeSet::new());
    pairs.push((day, SELECTOR.to_owned()));
    let text = replaced(Scene::of(&survey.seen, now).text(), &pairs);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans/world");
    fs::write(folder.join(format!("{name}.txt")), text).expect("a world");
}

fn worlds(suite: Suite, name: &str) {
    let Some(lab) = Lab::start("recording", suite) else {
        return;
    };
    fs::write(lab.directory.path().join("mail.yaml"), mail_yaml(&lab)).expect("mail.yaml");
    record(&lab, &format!("fresh-{name}"));
    lab.run(&["apply", "--yes"]).expect(0);
    record(&lab, &format!("applied-{name}"));
}

pub fn record_debian_12() {
    worlds(Suite::Bookworm, "debian-12");
}

pub fn record_debian_13() {
    worlds(Suite::Trixie, "debian-13");
}

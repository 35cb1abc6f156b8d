//! Everything that apt installs, in one run: chasquid from where mail.yaml
//! says, and what the rest of the server needs.

use std::collections::BTreeSet;

use super::Wish;
use crate::config::{Config, Source};
use crate::kinds::file::{File, Gone};
use crate::kinds::locale;
use crate::kinds::package::{Origin, Packages};
use crate::resource::Resource;

/// The oldest chasquid that is fit to face the internet.
pub const CHASQUID: &str = "1.19";
const REASON: &str = "1.19 mends a crash from afar and DKIM verification; before 1.16 mistakes in aliases pass unseen, \
                      before 1.14 nothing is signed, before 1.13 mail can be smuggled in (CVE-2023-52354)";
const SOURCE: &str = "mailctl-chasquid.sources";
const MIRROR: &str = "http://deb.debian.org/debian";

/// The files that apt reads, then the run.
pub fn wish(wish: &Wish, wanted: &mut Vec<Box<dyn Resource>>) {
    let source = &wish.config.server.source;
    let mut needs = Vec::new();
    for file in apt_files(wish) {
        if *source == Source::DebianTesting {
            needs.push(file.id());
            wanted.push(Box::new(file));
        } else {
            wanted.push(Box::new(Gone::new(
                file.path,
                "chasquid comes from elsewhere",
            )));
        }
    }
    let origin = match source {
        Source::DebianTesting => Origin::Source(SOURCE),
        Source::Distribution => Origin::Distribution,
        Source::Deb { url, sha256 } => Origin::Deb {
            url: url.clone(),
            sha256: sha256.clone(),
        },
    };
    wanted.push(Box::new(Packages {
        main: "chasquid",
        at_least: CHASQUID,
        reason: REASON,
        origin,
        others: others(wish.config),
        needs,
    }));
}

fn apt_files(wish: &Wish) -> [File; 4] {
    let mirror = wish
        .config
        .server
        .mirror
        .as_deref()
        .or(wish.facts.mirror.as_deref())
        .unwrap_or(MIRROR);
    let source = include_str!("../../templates/mailctl-chasquid.sources")
        .replace("@MIRROR@", mirror.trim_end_matches('/'));
    [
        File::new(
            "/etc/apt/keyrings/mailctl-debian-archive.asc",
            include_str!("../../templates/debian-archive-keyring.asc"),
            "the archive's keys",
        )
        .dull(),
        // The pin comes before the source: nothing else may slip through in between.
        File::new(
            "/etc/apt/preferences.d/mailctl-chasquid",
            include_str!("../../templates/mailctl-chasquid.pref"),
            "the pin that keeps everything else of testing out",
        ),
        File::new(
            "/etc/apt/apt.conf.d/52mailctl-chasquid",
            include_str!("../../templates/52mailctl-chasquid"),
            "the upgrades of chasquid",
        ),
        File::new(
            format!("/etc/apt/sources.list.d/{SOURCE}"),
            source,
            "the source of chasquid",
        ),
    ]
}

/// What mailctl's own deeds run on the server, and what mail.yaml asks for.
fn others(config: &Config) -> Vec<String> {
    let base = &config.host.base;
    let mut names: BTreeSet<&str> = BTreeSet::from(["adduser", "ca-certificates", "openssl"]);
    if base.upgrades {
        names.insert("unattended-upgrades");
    }
    if base.fail2ban {
        names.extend(["fail2ban", "nftables", "python3-systemd"]);
    }
    if !locale::is_built_in(&base.locale) {
        names.insert("locales");
    }
    if base.timezone != "UTC" {
        names.insert("tzdata");
    }
    names.extend(base.packages.iter().map(String::as_str));
    names.remove("chasquid");
    names.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::testing::Stage;

    #[test]
    fn only_what_mail_yaml_needs_is_installed() {
        let of = |base: &str| others(&Stage::new(&format!("ssh: vps, base: {base}"), "").config);
        let bare = ["adduser", "ca-certificates", "openssl"];
        assert_eq!(of("{upgrades: false, fail2ban: false}"), bare);
        let all = of("{timezone: Europe/Berlin, locale: de_DE.UTF-8, packages: [htop, chasquid]}");
        for name in [
            "fail2ban",
            "unattended-upgrades",
            "tzdata",
            "locales",
            "htop",
        ] {
            assert!(all.iter().any(|n| n == name), "{name}: {all:?}");
        }
        let own = all.iter().any(|n| n == "chasquid");
        assert!(!own, "it has an origin of its own");
    }

    #[test]
    fn the_mirror_is_mail_yamls_then_the_servers_then_debians() {
        let mirror = |stage: &Stage| {
            let [.., source] = apt_files(&stage.wish());
            let line = source
                .content
                .lines()
                .find_map(|l| l.strip_prefix("URIs: "));
            line.expect("a mirror").to_owned()
        };
        let mut stage = Stage::new("ssh: vps", "");
        assert_eq!(mirror(&stage), "http://deb.debian.org/debian");
        stage.facts.mirror = Some("http://mirror.hoster.example/debian".into());
        assert_eq!(mirror(&stage), "http://mirror.hoster.example/debian");
        stage.config.server.mirror = Some("https://mirror.example/debian/".into());
        assert_eq!(mirror(&stage), "https://mirror.example/debian");
    }
}

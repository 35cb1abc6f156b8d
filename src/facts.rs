//! What the server is: its system, network and addresses, from one probe.

mod sources;

use std::net::{Ipv4Addr, Ipv6Addr};

/// The shell fragment that tells them: `key=value` a line, then tables of the kernel and of apt.
pub const PROBE: &str = include_str!("../templates/facts.sh");

/// The facts; empty until seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `ID` of os-release, such as `debian`.
    pub os: String,
    /// `VERSION_ID` of os-release, such as `12`.
    pub version: String,
    /// `PRETTY_NAME` of os-release.
    pub pretty: String,
    /// dpkg's architecture, such as `amd64`.
    pub arch: String,
    /// The kernel's host name.
    pub hostname: String,
    /// Whether systemd runs the system.
    pub systemd: bool,
    /// The interface of the default route, of IPv4 where there is one.
    pub interface: Option<String>,
    /// The source address of the IPv4 default route.
    pub ipv4: Option<Ipv4Addr>,
    /// Global, static or stable addresses of that interface with prefix length;
    /// the one that the kernel sends from first.
    pub ipv6: Vec<(Ipv6Addr, u8)>,
    /// The source address of the IPv6 default route.
    pub source6: Option<Ipv6Addr>,
    /// The gateway of the IPv6 default route.
    pub gateway6: Option<Ipv6Addr>,
    /// The Debian mirror that the server's apt uses, without trailing slash; none on Ubuntu.
    pub mirror: Option<String>,
    /// The target of /etc/localtime below zoneinfo; `UTC` where there is none,
    /// empty where it is a copy whose name is not known.
    pub timezone: String,
}

/// Flags of an address that nothing should be published with (linux/if_addr.h):
/// temporary, failed duplicate detection, deprecated. One that is still being
/// looked for is there: it would else be taken for gone after each boot.
const UNSTABLE: u32 = 0x01 | 0x08 | 0x20;

impl Facts {
    /// Reads the fragment's output; lines that are not known are passed over.
    pub fn parse(text: &str) -> Self {
        let mut facts = Self::default();
        let (pairs, tables) = text.split_once("@if_inet6\n").unwrap_or((text, ""));
        let (addresses, sources) = tables.split_once("@apt\n").unwrap_or((tables, ""));
        let mut codename = "";
        for (key, value) in pairs.lines().filter_map(|l| l.split_once('=')) {
            let value = value.trim();
            match key {
                "os" => facts.os = value.into(),
                "version" => facts.version = value.into(),
                "codename" => codename = value,
                "pretty" => facts.pretty = value.into(),
                "arch" => facts.arch = value.into(),
                "hostname" => facts.hostname = value.into(),
                "init" => facts.systemd = value == "systemd",
                "localtime" => facts.timezone = timezone(value),
                "route4" => {
                    facts.ipv4 = word_after(value, "src").and_then(|a| a.parse().ok());
                    facts.interface = word_after(value, "dev").map(str::to_owned);
                }
                "route6" => {
                    facts.source6 = word_after(value, "src").and_then(|a| a.parse().ok());
                    facts.gateway6 = word_after(value, "via").and_then(|a| a.parse().ok());
                    let interface = word_after(value, "dev").filter(|dev| *dev != "lo");
                    facts.interface = facts.interface.take().or(interface.map(str::to_owned));
                }
                _ => {}
            }
        }
        let of_interface =
            |(name, address)| (Some(name) == facts.interface.as_deref()).then_some(address);
        facts.ipv6 = addresses
            .lines()
            .filter_map(stable)
            .filter_map(of_interface)
            .collect();
        facts
            .ipv6
            .sort_by_key(|(address, _)| Some(*address) != facts.source6);
        if facts.os == "debian" {
            facts.mirror = sources::mirror(sources, codename);
        }
        facts
    }
}

/// The word that follows `key` in what `ip` prints.
fn word_after<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.split_whitespace().skip_while(|w| *w != key).nth(1)
}

/// A line of /proc/net/if_inet6: address, index, prefix length, scope, flags, interface.
fn stable(line: &str) -> Option<(&str, (Ipv6Addr, u8))> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [address, _, prefix, scope, flags, name] = fields[..] else {
        return None;
    };
    let global = scope == "00" && u32::from_str_radix(flags, 16).ok()? & UNSTABLE == 0;
    let address = Ipv6Addr::from(u128::from_str_radix(address, 16).ok()?);
    global.then_some((name, (address, u8::from_str_radix(prefix, 16).ok()?)))
}

fn timezone(link: &str) -> String {
    match link {
        // A copy has no name, but ends in its rule (RFC 9636 section 3.3).
        "" | "copy UTC0" => "UTC".into(),
        _ if link.starts_with("copy ") => String::new(),
        _ => link
            .split_once("zoneinfo/")
            .map_or(link, |(_, zone)| zone)
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = include_str!("../tests/fixtures/facts/debian-12-vps.txt");
    const UBUNTU: &str = include_str!("../tests/fixtures/facts/ubuntu-24.04-vps.txt");

    #[test]
    fn a_vps_whose_hoster_turned_ipv6_off() {
        let facts = Facts::parse(DEBIAN);
        assert_eq!(
            (
                facts.os.as_str(),
                facts.version.as_str(),
                facts.arch.as_str()
            ),
            ("debian", "12", "amd64")
        );
        assert!(facts.systemd);
        assert_eq!(facts.interface.as_deref(), Some("eth0"));
        assert_eq!(facts.ipv4, Some(Ipv4Addr::new(10, 77, 200, 2)));
        assert_eq!(
            (facts.ipv6.as_slice(), facts.gateway6, facts.source6),
            ([].as_slice(), None, None)
        );
        assert_eq!(
            facts.mirror.as_deref(),
            Some("http://deb.debian.org/debian")
        );
        assert_eq!(facts.timezone, "UTC", "a copy of it");
        assert_eq!(
            timezone("copy CET-1CEST,M3.5.0,M10.5.0/3"),
            "",
            "the name of a copy is not known"
        );
    }

    #[test]
    fn temporary_deprecated_duplicate_and_foreign_addresses_do_not_count() {
        let facts = Facts::parse(UBUNTU);
        let address = |text: &str| text.parse::<Ipv6Addr>().expect("address");
        assert_eq!(
            facts.ipv6,
            [
                (address("2a02:c207:1:2::7"), 64),
                (address("2a02:c207:1:2::6"), 128),
                (address("2a02:c207:1:2::9"), 64),
            ],
            "the last is tentative, as after a boot"
        );
        assert_eq!(facts.source6, Some(address("2a02:c207:1:2::7")));
        assert_eq!(facts.gateway6, Some(address("fe80::1")));
        assert_eq!(facts.interface.as_deref(), Some("ens18"));
        assert_eq!(facts.mirror, None, "Ubuntu's mirror has no Debian");
        assert_eq!(facts.timezone, "Europe/Berlin");
    }

    #[test]
    fn the_probe_waits_until_addresses_are_settled() {
        let directory = tempfile::tempdir().expect("a directory");
        let table = directory.path().join("if_inet6");
        let probe = PROBE.replace("/proc/net/if_inet6", &table.display().to_string());
        let line =
            |flags: &str| format!("2a02c207000100020000000000000009 02 40 00 {flags}     eth0\n");
        std::fs::write(&table, line("c0")).expect("a table");
        let settles = std::thread::spawn({
            let (table, settled) = (table.clone(), line("80"));
            move || {
                std::thread::sleep(std::time::Duration::from_millis(700));
                std::fs::write(table, settled).expect("a table");
            }
        });
        let (code, out, err) = crate::kinds::shell::run(&probe);
        settles.join().expect("no panic");
        assert!(code == 0 && out.contains(&line("80")), "{out}{err}");
        // Nothing becomes of a duplicate by waiting.
        std::fs::write(&table, line("c8")).expect("a table");
        let begun = std::time::Instant::now();
        crate::kinds::shell::run(&probe);
        assert!(begun.elapsed() < std::time::Duration::from_secs(4));
    }

    #[test]
    fn the_probe_runs_here() {
        let (code, out, err) = crate::kinds::shell::run(PROBE);
        assert_eq!(code, 0, "{err}");
        assert!(!Facts::parse(&out).os.is_empty(), "{out}");
    }
}

//! The network of a world: one bridge on this machine that carries the
//! addresses of every party, with the server plugged in as `eth0`.
//!
//! The bridge outlives the server's reboots, so that what listens on it stays.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::cleanup::lock_worlds;
use super::program::run;
use crate::failure::{Context, Failure, Result};
use crate::record::Name;

/// What forwarding was before the first world; the last one puts it back.
const FORWARDING_BEFORE: &str = "/run/mailctl-lab.ip_forward";
const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

/// The addresses of world N: `10.77.N.x` and `fd77:N::x`, the same x for each party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    number: u8,
}

/// Who has which host part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// This machine as the server's default gateway.
    Gateway = 1,
    /// The server.
    Server = 2,
    /// The recursive resolver.
    Resolver = 3,
    /// The authoritative name server.
    Names = 4,
    /// The mail server of the rest of the world.
    Far = 5,
    /// The certificate authority.
    Authority = 6,
}

impl Party {
    const HERE: [Self; 5] = [
        Self::Gateway,
        Self::Resolver,
        Self::Names,
        Self::Far,
        Self::Authority,
    ];
}

impl Network {
    /// The network of world `number`.
    pub fn new(number: u8) -> Self {
        Self { number }
    }

    /// The IPv4 address of a party; the network is a /24.
    pub fn ipv4(self, party: Party) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.number, party as u8)
    }

    /// The IPv6 address of a party; the network is a /64.
    pub fn ipv6(self, party: Party) -> Ipv6Addr {
        // The decimal digits read as hexadecimal, so that both families look alike.
        let digits = u16::from(self.number);
        let group = digits / 100 * 0x100 + digits / 10 % 10 * 0x10 + digits % 10;
        Ipv6Addr::new(0xfd77, group, 0, 0, 0, 0, 0, party as u16)
    }

    /// The reverse zones of both networks.
    pub fn reverse_zones(self) -> [Name; 2] {
        let up = |mut name: Name, labels: usize| {
            for _ in 0..labels {
                name = name.parent().unwrap_or(name);
            }
            name
        };
        [
            up(Name::reverse(self.ipv4(Party::Server).into()), 1),
            up(Name::reverse(self.ipv6(Party::Server).into()), 16),
        ]
    }

    /// The bridge's name; `remove.sh` knows it too.
    pub fn bridge(self) -> String {
        format!("mailctl-{}", self.number)
    }

    /// The nftables table's name; `remove.sh` knows it too.
    pub fn table(self) -> String {
        format!("mailctl_lab_{}", self.number)
    }

    /// Makes the bridge with its addresses, and lets the server reach package
    /// mirrors: the TCP ports of `ports`, nothing else leaves this machine.
    ///
    /// # Errors
    /// When `ip` or `nft` fail.
    pub fn set_up(self, ports: &BTreeSet<u16>) -> Result<()> {
        let bridge = self.bridge();
        // With a fixed address the server's neighbour entries outlive its reboots.
        let mac = format!("02:4d:43:54:4c:{:02x}", self.number);
        run(
            [
                "ip", "link", "add", "name", &bridge, "address", &mac, "type", "bridge",
            ],
            "",
        )?;
        enable_ipv6(&bridge)?;
        let mut batch = String::new();
        for party in Party::HERE {
            batch += &format!("addr add {}/24 dev {bridge}\n", self.ipv4(party));
            // Without a port the bridge has no carrier, and detection would not end.
            batch += &format!("addr add {}/64 dev {bridge} nodad\n", self.ipv6(party));
        }
        batch += &format!("link set {bridge} up\n");
        run(["ip", "-batch", "-"], &batch)?;
        run(["nft", "-f", "-"], &self.rules(ports))?;
        forward()
    }

    fn rules(self, ports: &BTreeSet<u16>) -> String {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        format!(
            r#"table ip {table} {{
    chain leave {{
        type filter hook forward priority filter
        iifname "{bridge}" tcp dport != {{ {ports} }} drop
        iifname "{bridge}" meta l4proto != tcp drop
    }}
    chain translate {{
        type nat hook postrouting priority srcnat
        ip saddr {server} oifname != "{bridge}" masquerade
    }}
}}
"#,
            table = self.table(),
            bridge = self.bridge(),
            ports = ports.join(", "),
            server = self.ipv4(Party::Server),
        )
    }
}

/// New interfaces inherit `default.disable_ipv6`, which may be 1 on this machine.
fn enable_ipv6(interface: &str) -> Result<()> {
    let path = format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6");
    fs::write(&path, "0").map_err(|error| {
        let failure = Failure::new(format!("cannot enable IPv6 on {interface}"));
        match error.kind() {
            ErrorKind::NotFound => {
                failure.hint("boot this machine's kernel without ipv6.disable=1")
            }
            _ => failure.because(error),
        }
    })
}

/// Turns forwarding on under the lock that `remove.sh` takes to turn it off.
fn forward() -> Result<()> {
    let _guard = lock_worlds()?;
    let before = fs::read_to_string(FORWARDING).context("cannot read net.ipv4.ip_forward")?;
    if before.trim() != "1" {
        fs::write(FORWARDING_BEFORE, before)
            .with_context(|| format!("cannot write {FORWARDING_BEFORE}"))?;
        fs::write(FORWARDING, "1").context("cannot set net.ipv4.ip_forward")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_look_alike() {
        let network = Network::new(254);
        assert_eq!(network.ipv4(Party::Far).to_string(), "10.77.254.5");
        assert_eq!(network.ipv6(Party::Far).to_string(), "fd77:254::5");
        assert!(network.bridge().len() <= 15 - "vb-".len());
    }

    #[test]
    fn reverse_zones_are_those_of_the_prefixes() {
        let [v4, v6] = Network::new(12).reverse_zones();
        assert_eq!(v4.as_str(), "12.77.10.in-addr.arpa");
        assert_eq!(v6.as_str(), "0.0.0.0.0.0.0.0.2.1.0.0.7.7.d.f.ip6.arpa");
    }
}

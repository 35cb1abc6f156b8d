//! What the server is: its system, network and addresses, from one probe.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The shell fragment that tells them, `key=value` a line.
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
    /// The interface of the default route.
    pub interface: Option<String>,
    /// The source address of the IPv4 default route.
    pub ipv4: Option<Ipv4Addr>,
    /// Global, static or stable addresses of that interface with prefix length.
    pub ipv6: Vec<(Ipv6Addr, u8)>,
    /// The gateway of the IPv6 default route.
    pub gateway6: Option<Ipv6Addr>,
    /// The Debian or Ubuntu mirror that the server's apt uses, without trailing slash.
    pub mirror: Option<String>,
    /// The target of /etc/localtime below zoneinfo.
    pub timezone: String,
}

impl Facts {
    /// Reads the fragment's output; lines that are not known are passed over.
    pub fn parse(text: &str) -> Self {
        let mut facts = Self::default();
        for (key, value) in text.lines().filter_map(|l| l.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match key {
                "os" => facts.os = value.into(),
                "version" => facts.version = value.into(),
                "pretty" => facts.pretty = value.into(),
                "arch" => facts.arch = value.into(),
                "hostname" => facts.hostname = value.into(),
                "interface" if !value.is_empty() => facts.interface = Some(value.into()),
                "ipv4" => facts.ipv4 = value.parse().ok(),
                "ipv6" => {
                    if let Some((address, prefix)) = value.split_once('/') {
                        facts.ipv6.extend(address.parse().ok().zip(prefix.parse().ok()));
                    }
                }
                "gateway6" => facts.gateway6 = value.parse().ok(),
                "mirror" if !value.is_empty() => facts.mirror = Some(value.trim_end_matches('/').into()),
                "timezone" => facts.timezone = value.into(),
                _ => {}
            }
        }
        facts
    }
}

//! The host's IPv6 address, by a netplan drop-in of our own. The hoster's
//! file is never touched; netplan merges the two by the id of the device.

mod switch;

use std::net::Ipv6Addr;

pub use switch::Switch;

use crate::facts::{self, Facts};
use crate::kinds::shell::sha256;
use crate::ledger::{Edit, Made};
use crate::observe::Seen;
use crate::plan::Plan;
use crate::resource::{Action, Blocked, Change, Probe, Resource, Sign};

/// The drop-in.
pub const PATH: &str = "/etc/netplan/60-mailctl.yaml";
/// The id of the one change.
pub fn id() -> String {
    format!("netplan {PATH}")
}

const LINKS: &str = include_str!("../../templates/links.sh");

/// The address and gateway of mail.yaml, or none.
#[derive(Clone, Debug)]
pub struct Address6 {
    /// The address and its prefix length; `None`: what is there will do, or IPv6 is not wanted.
    pub address: Option<(Ipv6Addr, u8)>,
    /// The gateway; without one the default route comes by router advertisements or from the hoster's file.
    pub gateway: Option<Ipv6Addr>,
    /// The interface; default: that of the default route.
    pub interface: Option<String>,
    /// Whether our drop-in goes where no address is asked for: `ipv6: none` says so.
    pub removed: bool,
}

impl Resource for Address6 {
    fn id(&self) -> String {
        id()
    }

    fn probes(&self) -> Vec<Probe> {
        vec![
            Probe::Shell(facts::PROBE.into()),
            Probe::Shell(LINKS.into()),
            Probe::File(PATH.into()),
        ]
    }

    fn diff(&self, seen: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        seen.shell(facts::PROBE)?;
        let (facts, links, file) = (seen.facts(), seen.shell(LINKS)?, seen.file(PATH)?);
        let interface = self
            .interface
            .as_deref()
            .or(facts.interface.as_deref())
            .unwrap_or_default();
        let present = file.map(|f| f.text());
        let Some((address, prefix)) = self.address else {
            return Ok(match present.filter(|_| self.removed) {
                Some(text) => vec![self.change(
                    Sign::Delete,
                    "IPv6 is not wanted any more",
                    interface,
                    Some(text),
                    None,
                )],
                None => Vec::new(),
            });
        };
        let addressed = facts.ipv6.iter().any(|(a, _)| *a == address);
        let routed = self.gateway.is_none_or(|g| facts.gateway6 == Some(g));
        if addressed && routed && facts.source6 == Some(address) && present.is_none() {
            return Ok(Vec::new());
        }
        let device = device(links, interface, (address, prefix), self.gateway)?;
        let bare = yaml(&device, (address, prefix), None);
        let full = yaml(&device, (address, prefix), self.gateway);
        // The hoster's file may have the route already; it is only repeated
        // where mail would leave from another address by it.
        let astray = addressed && self.source(&facts, address).is_err();
        // A route of our own may be the one that is there: it stays.
        let ours = present.as_ref().is_some_and(|t| t.contains("routes:"));
        let want = if routed && !astray && !ours {
            bare
        } else {
            full
        };
        if addressed && routed && present.as_ref() == Some(&want) {
            return self.source(&facts, address).map(|()| Vec::new());
        }
        let why = if !addressed {
            format!("the server does not have {address}")
        } else if !routed {
            format!(
                "the IPv6 gateway is {}",
                facts.gateway6.map_or("missing".into(), |g| g.to_string())
            )
        } else {
            self.source(&facts, address)
                .err()
                .map_or_else(|| "the drop-in differs".into(), |blocked| blocked.why)
        };
        let sign = if present.is_some() {
            Sign::Update
        } else {
            Sign::Create
        };
        Ok(vec![self.change(
            sign,
            &why,
            interface,
            present,
            Some(want),
        )])
    }
}

impl Address6 {
    /// Mail must leave from the address that A, PTR and SPF name.
    fn source(&self, facts: &Facts, address: Ipv6Addr) -> Result<(), Blocked> {
        match facts.source6 {
            Some(source) if source != address => {
                Err(Blocked::new(format!("mail leaves from {source} instead of {address}")).fix(format!(
                    "say `ipv6: {source}` under `host`, or name the gateway as `gateway6`, which lets mailctl set the route"
                )))
            }
            _ => Ok(()),
        }
    }

    fn change(
        &self,
        sign: Sign,
        why: &str,
        interface: &str,
        before: Option<String>,
        after: Option<String>,
    ) -> Change {
        let switch = Switch {
            content: after.clone(),
            seen: before.as_ref().map(|text| sha256(text.as_bytes())),
            interface: interface.to_owned(),
            address: self.address,
            gateway: self.gateway,
            ..Switch::default()
        };
        let file = Made::File(PATH.into());
        let edit = if after.is_some() {
            Edit::Add(file)
        } else {
            Edit::Remove(file)
        };
        let mut change = Change::new(self.id(), sign, why, Action::Network(switch)).ledger([edit]);
        change.before = before.map(Into::into);
        change.after = after.map(Into::into);
        change
    }
}

/// The netplan id of an interface, which need not be its name.
fn device(
    links: &str,
    interface: &str,
    address: (Ipv6Addr, u8),
    gateway: Option<Ipv6Addr>,
) -> Result<String, Blocked> {
    let index = links
        .lines()
        .find_map(|l| l.strip_prefix(&format!("/sys/class/net/{interface}/ifindex:")));
    let Some(index) = index.filter(|_| !interface.is_empty()) else {
        return Err(
            Blocked::new(format!("the server has no interface `{interface}`"))
                .fix("say `interface` under `host`; `ip link` on the server lists them"),
        );
    };
    let start = format!("/run/systemd/netif/links/{index}:NETWORK_FILE=");
    let file = links
        .lines()
        .find_map(|l| l.strip_prefix(&start))
        .unwrap_or_default();
    let id = file
        .strip_prefix("/run/systemd/network/10-netplan-")
        .and_then(|f| f.strip_suffix(".network"));
    let by_hand = |what: String, where_to: &str| {
        let (address, prefix) = address;
        let route = gateway.map_or(String::new(), |g| format!(" and the default route via {g}"));
        Blocked::new(what).fix(format!("add the address {address}/{prefix}{route} {where_to}; mailctl goes on once the address is there"))
    };
    match id {
        Some(id)
            if links
                .lines()
                .any(|l| l.ends_with(&format!("/10-netplan-{id}.netdev"))) =>
        {
            Err(by_hand(
                format!("{interface} is a bridge, bond or VLAN"),
                "to its file in /etc/netplan",
            ))
        }
        Some(id) if links.lines().any(|l| l == "netplan") => Ok(id.to_owned()),
        _ if !file.is_empty() => Err(by_hand(
            format!("{interface} is set up by {file} and not by netplan"),
            "to that file",
        )),
        _ if links.lines().any(|l| l == "ifupdown") => Err(by_hand(
            format!("{interface} is set up by ifupdown and not by netplan"),
            &format!("to /etc/network/interfaces as `iface {interface} inet6 static`"),
        )),
        _ => Err(by_hand(
            format!("{interface} is not set up by netplan and systemd-networkd"),
            "to whatever sets it up",
        )),
    }
}

/// Whether an address lies within a prefix.
fn within(address: Ipv6Addr, (network, prefix): (Ipv6Addr, u8)) -> bool {
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
    address.to_bits() & mask == network.to_bits() & mask
}

fn yaml(device: &str, address: (Ipv6Addr, u8), gateway: Option<Ipv6Addr>) -> String {
    let mut text = format!(
        "# Written by mailctl; merged with the hoster's file, which stays as it is.\n\
         network:\n  version: 2\n  ethernets:\n    {device}:\n      addresses: [\"{}/{}\"]\n      ipv6-privacy: false\n",
        address.0, address.1
    );
    if let Some(gateway) = gateway {
        // Advertised routes would compete with the static one.
        text.push_str("      accept-ra: false\n      routes:\n");
        text.push_str(&format!(
            "        - to: \"::/0\"\n          via: \"{gateway}\"\n          from: \"{}\"\n",
            address.0
        ));
        if gateway.is_unicast_link_local() || !within(gateway, address) {
            text.push_str("          on-link: true\n");
        }
    }
    text
}

#[cfg(test)]
mod tests;

//! Ports that must get through the server's own firewall, where one is active.

mod rules;

use std::collections::BTreeMap;

use crate::kinds::shell::PRELUDE;
use crate::observe::Seen;
use crate::plan::Plan;
use crate::remote::Script;
use crate::resource::{Action, Blocked, Change, Probe, Resource, Sign};

const PROBE: &str = include_str!("../../templates/firewall.sh");

/// TCP ports that must be open.
#[derive(Clone, Debug)]
pub struct Open(pub Vec<u16>);

impl Open {
    fn list(ports: &[u16]) -> String {
        ports
            .iter()
            .map(u16::to_string)
            .collect::<Vec<_>>()
            .join(",")
    }

    fn change(&self, program: &str, closed: &[u16], text: String) -> Vec<Change> {
        let list = Self::list(closed).replace(',', ", ");
        let ports = if closed.len() == 1 { "port" } else { "ports" };
        let why = format!("{program} is active and keeps {ports} {list} closed");
        let script = Script::new(format!("{PRELUDE}{text}"));
        vec![
            Change::new(self.id(), Sign::Update, why, Action::Script(script))
                .after(format!("{program}: {list}/tcp open")),
        ]
    }

    fn closed(&self, is_open: impl Fn(u16) -> bool) -> Vec<u16> {
        self.0
            .iter()
            .copied()
            .filter(|port| !is_open(*port))
            .collect()
    }

    fn ufw(&self, v4: &str, v6: &str) -> Vec<Change> {
        let closed = self.closed(|port| rules::ufw_allows(v4, port) && rules::ufw_allows(v6, port));
        if closed.is_empty() {
            return Vec::new();
        }
        let text = format!(
            "ufw allow proto tcp to any port {} comment 'mail (mailctl)' >\"$log\" 2>&1 || oops 'ufw does not open the ports' \"$log\"\n",
            Self::list(&closed)
        );
        self.change("ufw", &closed, text)
    }

    fn firewalld(&self, listed: &str) -> Vec<Change> {
        let mut lines = listed.lines();
        let mut next = || lines.next().unwrap_or_default();
        let (live, stored) = ([next(), next()], [next(), next()]);
        let closed = self.closed(|port| {
            rules::firewalld_allows(live, port) && rules::firewalld_allows(stored, port)
        });
        if closed.is_empty() {
            return Vec::new();
        }
        let options: String = closed
            .iter()
            .map(|port| format!(" --add-port={port}/tcp"))
            .collect();
        let text = format!(
            "{{ firewall-cmd -q --permanent{options} && firewall-cmd -q{options}; }} >\"$log\" 2>&1 || \
             oops 'firewalld does not open the ports' \"$log\"\n"
        );
        self.change("firewalld", &closed, text)
    }

    /// Rules that somebody wrote by hand are not rewritten.
    fn by_hand(&self, program: &str, closed: &[u16], command: String) -> Blocked {
        let list = Self::list(closed).replace(',', ", ");
        Blocked::new(format!("rules of {program} drop what comes in, and none accepts port {list}")).fix(format!(
            "on the server, and where the rules are kept: {command}; or say `firewall: false` under `host.base` if they are open after all"
        ))
    }
}

impl Resource for Open {
    fn id(&self) -> String {
        "firewall".into()
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::Shell(PROBE.into())]
    }

    fn diff(&self, seen: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        let sections = sections(seen.shell(PROBE)?);
        let section = |name: &str| sections.get(name).map(String::as_str);
        if let Some(v4) = section("ufw") {
            return Ok(self.ufw(v4, section("ufw6").unwrap_or_default()));
        }
        if let Some(listed) = section("firewalld") {
            return Ok(self.firewalld(listed));
        }
        let iptables = section("iptables");
        for (program, text) in [("iptables", iptables), ("ip6tables", section("ip6tables"))] {
            let closed =
                self.closed(|port| text.is_none_or(|text| rules::iptables_allows(text, port)));
            if !closed.is_empty() {
                let command = format!(
                    "{program} -I INPUT -p tcp -m multiport --dports {} -j ACCEPT",
                    Self::list(&closed)
                );
                return Err(self.by_hand(program, &closed, command));
            }
        }
        for chain in
            rules::nft_closed_chains(section("nft").unwrap_or_default(), iptables.is_some())
        {
            let closed = self.closed(|port| chain.allows(port));
            if !closed.is_empty() {
                let ports = Self::list(&closed).replace(',', ", ");
                let command = format!(
                    "nft insert rule {} {} tcp dport '{{ {ports} }}' accept",
                    chain.table, chain.name
                );
                return Err(self.by_hand("nftables", &closed, command));
            }
        }
        Ok(Vec::new())
    }
}

/// The probe's answer by section.
fn sections(text: &str) -> BTreeMap<&str, String> {
    let mut sections: BTreeMap<&str, String> = BTreeMap::new();
    let mut current = "";
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('@') {
            current = name;
            sections.entry(name).or_default();
        } else {
            let section = sections.entry(current).or_default();
            section.push_str(line);
            section.push('\n');
        }
    }
    sections
}

#[cfg(test)]
mod tests;

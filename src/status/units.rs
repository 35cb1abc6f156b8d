//! chasquid's units: the service, and who listens on its ports.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use super::ask::Learnt;
use super::clock;

/// Asks systemd. The log's end is only of interest where the service does not run.
pub const PROBE: &str = include_str!("../../templates/status-units.sh");

/// Asks who listens.
pub const LISTENERS: &str = include_str!("../../templates/listeners.sh");

/// The ports of a mail server, and the unit that holds each.
const PORTS: [(u16, &str); 3] = [
    (25, "chasquid-smtp.socket"),
    (465, "chasquid-submission_tls.socket"),
    (587, "chasquid-submission.socket"),
];

/// chasquid.service, in systemd's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// `loaded`, `not-found`, `masked`.
    pub load: String,
    /// `active`, `inactive`, `failed`, `activating`.
    pub state: String,
    /// `running`, `dead`, `auto-restart`, …
    pub substate: String,
    /// Whether it starts at boot.
    pub enabled: bool,
    /// Since when it is in this state, RFC 3339, UTC.
    pub since: Option<String>,
    /// How often systemd restarted it by itself since it was last started.
    pub restarts: Option<u32>,
    /// Its main process.
    pub pid: Option<u32>,
    /// Whether its program was replaced, as by an upgrade, while it ran on.
    pub outdated: bool,
    /// Where it does not run, the last lines of its log.
    pub log: Vec<String>,
}

/// One port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// 25, 465 or 587.
    pub port: u16,
    /// The systemd unit that is to hold it.
    pub unit: String,
    /// The state of that unit; empty where systemd could not be asked.
    pub state: String,
    /// Programs that listen on it.
    pub held_by: Vec<String>,
    /// Whether IPv4 reaches it.
    pub ipv4: bool,
    /// Whether IPv6 reaches it.
    pub ipv6: bool,
}

/// The service.
///
/// # Errors
/// A sentence, when systemd's answer is none.
pub fn service(text: &str) -> Learnt<Service> {
    let units = units(text);
    let unit = units
        .get("chasquid.service")
        .ok_or("systemd does not tell of chasquid.service")?;
    let value = |key: &str| (*unit.get(key).unwrap_or(&"")).to_owned();
    let state = value("ActiveState");
    let entered = match state.as_str() {
        "active" => value("ActiveEnterTimestamp"),
        _ => value("StateChangeTimestamp"),
    };
    Ok(Service {
        load: value("LoadState"),
        substate: value("SubState"),
        enabled: value("UnitFileState") == "enabled",
        since: timestamp(&entered).map(clock::rfc3339),
        restarts: value("NRestarts").parse().ok(),
        pid: value("MainPID").parse().ok().filter(|pid| *pid != 0),
        outdated: lines(text, "exe=").any(|exe| exe.ends_with(" (deleted)")),
        log: lines(text, "log=").map(bare).collect(),
        state,
    })
}

/// `Wed 2026-11-25 23:00:53 UTC`
fn timestamp(text: &str) -> Option<OffsetDateTime> {
    let (_, text) = text.strip_suffix(" UTC")?.split_once(' ')?;
    let form = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    Some(PrimitiveDateTime::parse(text, form).ok()?.assume_utc())
}

/// What stands behind `key` in the lines that begin with it.
fn lines<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.strip_prefix(key))
}

/// A line of chasquid's trace log without the place in its source.
fn bare(line: &str) -> String {
    let rest = line
        .split_once(".go:")
        .and_then(|(_, rest)| rest.split_once(' '));
    rest.map_or(line, |(_, said)| said.trim_start()).to_owned()
}

/// Stanzas of `key=value` by their `Id`.
fn units(text: &str) -> BTreeMap<&str, BTreeMap<&str, &str>> {
    let stanzas = text.split("\n\n").map(stanza);
    stanzas
        .filter_map(|unit| Some((*unit.get("Id")?, unit)))
        .collect()
}

fn stanza(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|l| l.split_once('=')).collect()
}

/// The three ports, from what systemd and `ss` say.
///
/// # Errors
/// A sentence, when nothing listens at all, which `ss` cannot have seen.
pub fn ports(systemd: &str, listeners: &str) -> Learnt<Vec<Port>> {
    if listeners.trim().is_empty() {
        return Err("the server does not tell who listens".into());
    }
    let units = units(systemd);
    let port = |(port, unit): &(u16, &str)| {
        let state = units.get(unit).and_then(|u| u.get("ActiveState").copied());
        let mut seen = Port {
            port: *port,
            unit: (*unit).to_owned(),
            state: state.unwrap_or_default().to_owned(),
            held_by: Vec::new(),
            ipv4: false,
            ipv6: false,
        };
        for line in listeners.lines() {
            listens(&mut seen, line);
        }
        seen
    };
    Ok(PORTS.iter().map(port).collect())
}

/// `LISTEN 0 4096 *:25 *:* users:(("chasquid",pid=811,fd=12),("systemd",pid=1,fd=27))`
fn listens(seen: &mut Port, line: &str) -> Option<()> {
    let (address, port) = line.split_whitespace().nth(3)?.rsplit_once(':')?;
    let address = address.split('%').next().unwrap_or(address);
    let local = address.starts_with("127.") || address == "[::1]";
    if port != seen.port.to_string() || local {
        return None;
    }
    // `*` is a socket of both families, `[::]` one of IPv6 only.
    seen.ipv4 |= !address.starts_with('[');
    seen.ipv6 |= address == "*" || address.starts_with('[');
    for name in line.split("(\"").skip(1) {
        let name = name.split('"').next().unwrap_or_default().to_owned();
        if !seen.held_by.contains(&name) {
            seen.held_by.push(name);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNITS: &str = include_str!("../../tests/fixtures/status/units.txt");
    const LISTENERS: &str = include_str!("../../tests/fixtures/status/listeners.txt");

    #[test]
    fn a_service_that_runs() {
        let service = service(UNITS).expect("a service");
        assert_eq!((service.state.as_str(), service.enabled), ("active", true));
        assert_eq!(service.since.as_deref(), Some("2026-11-25T23:00:53Z"));
        assert_eq!((service.restarts, service.pid), (Some(0), Some(811)));
        assert!(!service.outdated && service.log.is_empty());
        assert!(super::service("").is_err());
    }

    #[test]
    fn one_that_fell_over() {
        let text = include_str!("../../tests/fixtures/status/units-failed.txt");
        let service = service(text).expect("a service");
        assert_eq!((service.state.as_str(), service.pid), ("failed", None));
        assert!(service.since.is_some(), "{service:?}");
        let why =
            "Error loading config: parsing config: proto: (line 33:1): unknown field: nonsense";
        assert_eq!(service.log.last().map(String::as_str), Some(why));
    }

    #[test]
    fn a_replaced_program_is_seen() {
        let text = UNITS.replace("exe=/usr/bin/chasquid", "exe=/usr/bin/chasquid (deleted)");
        assert!(service(&text).expect("a service").outdated);
    }

    #[test]
    fn who_listens_over_which_family() {
        let ports = ports(UNITS, LISTENERS).expect("ports");
        for port in &ports {
            assert!(port.ipv4 && port.ipv6, "{port:?}");
            assert_eq!(port.held_by, ["chasquid", "systemd"]);
            assert_eq!(port.state, "active");
        }
        let only = |line: &str| {
            let ports = super::ports("", line).expect("ports");
            (ports[0].ipv4, ports[0].ipv6, ports[0].held_by.clone())
        };
        let ss = |local: &str| format!("LISTEN 0 1 {local} *:* users:((\"master\",pid=9,fd=3))");
        let master = vec!["master".to_owned()];
        assert_eq!(only(&ss("0.0.0.0:25")), (true, false, master.clone()));
        assert_eq!(only(&ss("[::]:25")), (false, true, master.clone()));
        assert_eq!(only(&ss("192.0.2.1%eth0:25")), (true, false, master));
        for nobody in ["127.0.0.1:25", "[::1]:25", "0.0.0.0:2525"] {
            assert_eq!(only(&ss(nobody)), (false, false, Vec::new()), "{nobody}");
        }
        assert!(super::ports(UNITS, "").is_err());
    }
}

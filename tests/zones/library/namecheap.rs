//! Namecheap's API: XML, and one list of hosts that is written as a whole.

use mailctl::record::{RType, Rrset, RrsetKey, txt_quoted};
use serde_json::Value;

use super::{Api, Request, Response, TOKEN, gathered};
use crate::{APEX, name};

/// One record.
#[derive(Clone)]
struct Host {
    name: String,
    rtype: String,
    address: String,
    preference: String,
    ttl: u32,
}

#[derive(Default)]
pub struct Namecheap {
    hosts: Vec<Host>,
    /// Whether CAA records are only taken with flag and tag beside them. The
    /// library sends these for none that it has read.
    strict: bool,
}

impl Namecheap {
    /// With records of others: name, type and address each.
    pub fn with(hosts: &[(&str, &str, &str)]) -> Self {
        let host = |(name, rtype, address): &(&str, &str, &str)| Host {
            name: (*name).to_owned(),
            rtype: (*rtype).to_owned(),
            address: (*address).to_owned(),
            preference: "10".to_owned(),
            ttl: 1800,
        };
        Self {
            hosts: hosts.iter().map(host).collect(),
            strict: false,
        }
    }

    /// The same, where CAA records need flag and tag.
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    fn listed(&self) -> Response {
        let host = |(number, host): (usize, &Host)| {
            format!(
                r#"<host HostId="{}" Name="{}" Type="{}" Address="{}" MXPref="{}" TTL="{}" IsActive="true" />"#,
                number + 1,
                escaped(&host.name),
                host.rtype,
                escaped(&host.address),
                host.preference,
                host.ttl
            )
        };
        let hosts: String = self.hosts.iter().enumerate().map(host).collect();
        let result = format!(
            r#"<DomainDNSGetHostsResult Domain="{APEX}" EmailType="MX" IsUsingOurDNS="true">{hosts}</DomainDNSGetHostsResult>"#
        );
        answer("OK", "", &result)
    }

    fn set(&mut self, request: &Request) -> Response {
        let mut hosts = Vec::new();
        for number in 1.. {
            let param = |field: &str| request.param(&format!("{field}{number}"));
            let Some(name) = param("HostName") else { break };
            let text = |field| param(field).unwrap_or_default().to_owned();
            let host = Host {
                name: name.to_owned(),
                rtype: text("RecordType"),
                address: text("Address"),
                preference: text("MXPref"),
                ttl: text("TTL").parse().unwrap_or_default(),
            };
            if !(60..=60000).contains(&host.ttl) {
                return refused(2015280, "Invalid TTL");
            }
            let complete = param("Flag").is_some() && param("Tag").is_some();
            if host.rtype != "CAA" || complete || !self.strict {
                hosts.push(host);
            }
        }
        self.hosts = hosts;
        let result = format!(r#"<DomainDNSSetHostsResult Domain="{APEX}" IsSuccess="true" />"#);
        answer("OK", "", &result)
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

fn answer(status: &str, errors: &str, result: &str) -> Response {
    let text = format!(
        r#"<?xml version="1.0" encoding="utf-8"?><ApiResponse Status="{status}" xmlns="http://api.namecheap.com/xml.response"><Errors>{errors}</Errors><Warnings /><CommandResponse>{result}</CommandResponse></ApiResponse>"#
    );
    Response::ok(Value::String(text))
}

fn refused(number: u32, text: &str) -> Response {
    let error = format!(r#"<Error Number="{number}">{text}</Error>"#);
    answer("ERROR", &error, "")
}

impl Api for Namecheap {
    fn answer(&mut self, request: &Request) -> Response {
        let param = |name: &str| request.param(name).unwrap_or_default();
        if param("ApiKey") != TOKEN {
            return refused(
                1011102,
                "API Key is invalid or API access has not been enabled",
            );
        }
        if format!("{}.{}", param("SLD"), param("TLD")) != APEX {
            return refused(2019166, "Domain not found");
        }
        match (request.method.as_str(), param("Command")) {
            ("GET", "namecheap.domains.dns.getHosts") => self.listed(),
            ("POST", "namecheap.domains.dns.setHosts") => self.set(request),
            (_, command) => refused(1010104, &format!("{command} is no command")),
        }
    }

    fn sets(&self) -> Vec<Rrset> {
        gathered(self.hosts.iter().map(|host| {
            let owner = match host.name.as_str() {
                "@" => name(APEX),
                owner => name(&format!("{owner}.{APEX}")),
            };
            let rtype: RType = host.rtype.parse().expect("a type");
            let address = &host.address;
            let value = match rtype {
                RType::Mx => format!("{} {address}.", host.preference),
                RType::Cname | RType::Ns => format!("{address}."),
                RType::Caa => {
                    let mut words = address.splitn(3, ' ');
                    let mut word = || words.next().unwrap_or_default();
                    let (flags, tag) = (word(), word());
                    format!("{flags} {tag} {}", txt_quoted(word().trim_matches('"')))
                }
                _ => address.clone(),
            };
            Rrset::new(RrsetKey::new(owner, rtype), Some(host.ttl), [value])
        }))
    }
}

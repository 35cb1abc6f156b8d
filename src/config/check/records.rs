//! `records:` of a domain: each line, and where they meet mailctl's own.

use super::{Findings, at};
use crate::config::records::{Line, line};
use crate::config::{Domain, Mx};
use crate::record::{Name, RType};

pub(super) fn check(f: &mut Findings<'_>) {
    let config = f.config;
    for (name, domain) in &config.domains {
        let path = at(["domains"]).then(name).then("records");
        let mut read: Vec<Line> = Vec::new();
        for (nth, text) in domain.records.iter().enumerate() {
            let path = path.then(nth);
            let line = match line(&name.0, text) {
                Ok(line) => line,
                Err(why) => {
                    f.error(&path, why, "");
                    continue;
                }
            };
            if let Some((message, help)) = ours(config.host_name(), &name.0, domain, &line) {
                f.error(&path, message, help);
                continue;
            }
            for other in &read {
                if let Some(why) = clash(other, &line) {
                    f.error(&path, why, "");
                }
            }
            read.push(line);
        }
    }
}

/// Why the record cannot stand in this list, because mailctl writes it or it
/// would hide what mailctl writes, and what to do.
fn ours(host: &Name, domain: &Name, settings: &Domain, line: &Line) -> Option<(String, String)> {
    let name = &line.key.name;
    let is = |label: &str| *name == domain.child(label);
    let spf = line.value.to_ascii_lowercase().starts_with("v=spf1");
    let (what, field) = match line.key.rtype {
        RType::Cname if name == host || name == domain => {
            let message =
                format!("`{name}` cannot be an alias (CNAME): mailctl writes other records there");
            return Some((message, "give the alias a name of its own".into()));
        }
        RType::Mx if name == domain && settings.mx == Mx::Keep => {
            let message =
                format!("the MX of {domain} is kept as it stands in the zone (`mx: keep`)");
            return Some((
                message,
                "remove this record here, and set it where the others were set".into(),
            ));
        }
        RType::Mx if name == domain => (format!("the MX record of {domain}"), "mx"),
        RType::A if name == host => ("the A record of the host".into(), "host.ipv4"),
        RType::Aaaa if name == host => ("the AAAA record of the host".into(), "host.ipv6"),
        RType::Txt if spf && name == domain => (format!("the SPF record of {domain}"), "spf"),
        RType::Txt if spf && name == host => {
            return Some((
                "mailctl writes the SPF record of the host itself".into(),
                "remove this record".into(),
            ));
        }
        RType::Txt | RType::Cname if is("_dmarc") => {
            (format!("the DMARC record of {domain}"), "dmarc")
        }
        RType::Txt | RType::Cname if is("_mta-sts") || is("_smtp._tls") => {
            (format!("the MTA-STS records of {domain}"), "mta_sts")
        }
        RType::Srv
            if settings.autoconfig.0 && (is("_submissions._tcp") || is("_submission._tcp")) =>
        {
            (
                format!("the SRV records for mail programs of {domain}"),
                "autoconfig",
            )
        }
        RType::Txt if name.as_str().starts_with("_acme-challenge.") => (
            "the challenge records of certificates".into(),
            "certificates",
        ),
        _ => return None,
    };
    Some((
        format!("mailctl writes {what} itself"),
        format!("remove this record: `{field}` says what is wanted"),
    ))
}

/// Why two records of the list cannot stand beside each other.
fn clash(first: &Line, second: &Line) -> Option<String> {
    if first.key.name != second.key.name {
        return None;
    }
    if first == second || first.key == second.key && first.value == second.value {
        return Some(format!(
            "this record of {} stands above already",
            second.key
        ));
    }
    if first.key.rtype == RType::Cname || second.key.rtype == RType::Cname {
        return Some(format!(
            "`{}` is an alias (CNAME), so no other record can stand there",
            first.key.name
        ));
    }
    if first.key == second.key && first.ttl != second.ttl {
        return Some(format!(
            "the records of {} differ in their TTL, but one set has one TTL",
            first.key
        ));
    }
    None
}

//! Whether the MX hosts are as the policy says.

use futures_util::future::join_all;

use super::policy::{Mode, Policy};
use super::{CERTIFICATE, MX};
use crate::check::view::{Exchanges, Host};
use crate::check::wire::{Port, Reach};
use crate::check::{Finding, View, pki};
use crate::record::Name;

pub(super) async fn ask(view: &View, policy: &Policy) -> Vec<Finding> {
    let domain = view.domain();
    if policy.mode == Mode::None {
        return Vec::new();
    }
    let (exchanges, hosts) = tokio::join!(view.exchanges(), view.hosts());
    let (exchanges, hosts) = match (exchanges, hosts) {
        (Ok(exchanges), Ok(hosts)) => (exchanges, hosts),
        (Err(reason), _) | (_, Err(reason)) => return vec![MX.of(domain).skip(reason)],
    };
    if matches!(exchanges, Exchanges::Null | Exchanges::None) {
        return Vec::new();
    }
    let hosts: Vec<Host> = hosts.into_iter().filter(|host| host.receives).collect();
    let names: Vec<&Name> = hosts.iter().map(|host| &host.name).collect();
    let roots = view.outside.roots();
    let mut places = Vec::new();
    for host in &hosts {
        places.extend(host.addresses.iter().map(|address| (&host.name, *address)));
    }
    let seen = join_all(places.into_iter().map(|(host, address)| {
        let roots = roots.clone();
        async move {
            let port = view.outside.port(host, address, 25).await;
            let now = view.outside.settings.now;
            let verified = |chain: &[_]| pki::trusted(chain, host, roots, now);
            (format!("{host} at {address}"), certified(&port, verified))
        }
    }));
    let seen = seen.await;
    let certificate = if roots.is_empty() {
        CERTIFICATE
            .of(domain)
            .skip("this machine has no list of trusted authorities")
    } else {
        judge_certificates(domain, policy.mode, &seen)
    };
    vec![judge_mx(domain, policy, &names), certificate]
}

fn judge_mx(domain: &Name, policy: &Policy, hosts: &[&Name]) -> Finding {
    let about = MX.of(domain);
    let missing: Vec<String> = hosts
        .iter()
        .filter(|host| !policy.allows(host))
        .map(ToString::to_string)
        .collect();
    if missing.is_empty() {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        return about.pass(format!("it names {}", hosts.join(", ")));
    }
    let missing = missing.join(", ");
    let found = format!(
        "{missing}: no `mx` of the policy ({})",
        policy.mx.join(", ")
    );
    let fix = format!("add {missing} to the policy, then change the record's id");
    match policy.mode {
        Mode::Enforce => about.fail(found, fix),
        _ => about.warn(found, fix),
    }
}

/// What a sender comes to at one address.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Certified {
    Yes,
    No(String),
    /// Nobody could look.
    Unseen(String),
}

fn certified(
    port: &Port,
    verified: impl FnOnce(&[rustls::pki_types::CertificateDer<'static>]) -> Result<(), String>,
) -> Certified {
    match (&port.reach, &port.tls) {
        (Reach::Open, Some(Ok(tls))) => match verified(&tls.chain) {
            Ok(()) => Certified::Yes,
            Err(why) => Certified::No(why),
        },
        (Reach::Open, Some(Err(why))) => Certified::No(format!("TLS does not come about: {why}")),
        (Reach::Open, None) => match (&port.greeting, &port.trouble) {
            (Ok((220, _)), None) => Certified::No("STARTTLS is not offered".into()),
            (Ok((220, _)), Some(why)) | (Err(why), _) => Certified::Unseen(why.clone()),
            (Ok((code, text)), _) => Certified::Unseen(format!("it greets with {code} {text}")),
        },
        (Reach::Refused(why) | Reach::Silent(why) | Reach::Unknown(why), _) => {
            Certified::Unseen(why.clone())
        }
    }
}

fn judge_certificates(domain: &Name, mode: Mode, seen: &[(String, Certified)]) -> Finding {
    let about = CERTIFICATE.of(domain);
    let bad: Vec<String> = seen
        .iter()
        .filter_map(|(place, certified)| match certified {
            Certified::No(why) => Some(format!("{place}: {why}")),
            _ => None,
        })
        .collect();
    let good = seen.iter().filter(|(_, c)| *c == Certified::Yes).count();
    let unseen = seen.iter().find_map(|(place, certified)| match certified {
        Certified::Unseen(why) => Some(format!("{place}: {why}")),
        _ => None,
    });
    if !bad.is_empty() {
        let found = bad.join("; ");
        let fix = "have a certificate for the MX host's own name there, with its whole chain";
        return match mode {
            Mode::Enforce => about.fail(found, fix),
            _ => about.warn(found, fix),
        };
    }
    match unseen {
        Some(why) if good == 0 => about.skip(why),
        Some(why) => about.pass(format!("verified at {good} of {}; {why}", seen.len())),
        None if good == 0 => about.skip("no MX host has an address"),
        None => about.pass(match good {
            1 => "verified".to_owned(),
            many => format!("verified at {many} addresses"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;
    use crate::check::wire::Tls;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn policy(mode: Mode) -> Policy {
        Policy {
            mode,
            max_age: 604_800,
            mx: vec!["smtp.example.com".into()],
        }
    }

    #[test]
    fn a_host_that_is_not_named_loses_mail_where_it_is_enforced() {
        let (own, other) = (name("smtp.example.com"), name("mx.example.net"));
        let verdict = |mode, hosts: &[&Name]| judge_mx(&name("example.com"), &policy(mode), hosts);
        assert_eq!(verdict(Mode::Enforce, &[&own]).verdict, Verdict::Pass);
        let both = verdict(Mode::Enforce, &[&own, &other]);
        assert_eq!(both.verdict, Verdict::Fail);
        assert!(
            both.found.starts_with("mx.example.net: no `mx`"),
            "{}",
            both.found
        );
        assert_eq!(verdict(Mode::Testing, &[&other]).verdict, Verdict::Warn);
    }

    #[test]
    fn what_a_port_says_of_its_certificate() {
        let tls = Tls {
            version: "TLSv1.3".into(),
            chain: Vec::new(),
        };
        let open = |tls| Port {
            reach: Reach::Open,
            greeting: Ok((220, "smtp.example.com ESMTP".into())),
            tls,
            ..Port::unknown("")
        };
        let of = |port: &Port| certified(port, |_| Ok(()));
        assert_eq!(of(&open(Some(Ok(tls.clone())))), Certified::Yes);
        let refused = certified(&open(Some(Ok(tls))), |_| Err("expired".into()));
        assert_eq!(refused, Certified::No("expired".into()));
        assert!(matches!(of(&open(None)), Certified::No(why) if why.contains("STARTTLS")));
        assert!(matches!(of(&open(Some(Err("x".into())))), Certified::No(_)));
        let busy = Port {
            greeting: Ok((421, "busy".into())),
            ..open(None)
        };
        assert_eq!(
            of(&busy),
            Certified::Unseen("it greets with 421 busy".into())
        );
        assert_eq!(
            of(&Port::unknown("closed")),
            Certified::Unseen("closed".into())
        );
    }

    #[test]
    fn a_bad_certificate_loses_mail_where_it_is_enforced() {
        let seen = |all: &[Certified]| -> Vec<(String, Certified)> {
            all.iter()
                .map(|one| ("mx at ::1".to_owned(), one.clone()))
                .collect()
        };
        let yes = Certified::Yes;
        let no = Certified::No("the certificate has expired".into());
        let unseen = Certified::Unseen("port 25 is closed".into());
        for (mode, all, verdict) in [
            (
                Mode::Enforce,
                &[yes.clone(), yes.clone()][..],
                Verdict::Pass,
            ),
            (Mode::Enforce, &[yes.clone(), no.clone()], Verdict::Fail),
            (Mode::Testing, &[no], Verdict::Warn),
            (Mode::Enforce, &[yes, unseen.clone()], Verdict::Pass),
            (Mode::Enforce, &[unseen], Verdict::Skip),
            (Mode::Enforce, &[], Verdict::Skip),
        ] {
            let judged = judge_certificates(&name("example.com"), mode, &seen(all));
            assert_eq!(judged.verdict, verdict, "{judged:?}");
        }
    }
}

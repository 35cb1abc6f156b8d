//! TLS-RPT (RFC 8460): where senders report that TLS to the domain's MX hosts failed.

use std::collections::BTreeSet;

use super::{Aspect, Finding, Question, View, dane};
use crate::dkim::tags;
use crate::record::{Name, RType};

const RECORD: Aspect = Aspect {
    id: "tls_rpt.record",
    wanted: "one TXT record `v=TLSRPTv1; rua=mailto:…` wherever MTA-STS or DANE is used",
    why: "A sender that cannot verify the MX host keeps the mail, and says so only to the addresses of this record \
          (RFC 8460 section 3). Several records or one that is not sound count as none.",
};

const DESTINATION: Aspect = Aspect {
    id: "tls_rpt.destination",
    wanted: "reports go to a domain that receives mail",
    why: "Reports that cannot be delivered are lost, and nobody learns why mail does not arrive.",
};

/// TLS-RPT.
pub const QUESTION: Question = Question {
    id: "tls_rpt",
    aspects: &[&RECORD, &DESTINATION],
    ask: |view| Box::pin(ask(view)),
};

async fn ask(view: &View) -> Vec<Finding> {
    let domain = view.domain();
    let set = match view.lookup(&domain.child("_smtp._tls"), RType::Txt).await {
        Ok(set) => set,
        Err(reason) => return vec![RECORD.of(domain).skip(reason)],
    };
    let rua = match rua(&set.values) {
        Ok(Some(rua)) => rua,
        Ok(None) => return absent(domain, in_use(view).await).into_iter().collect(),
        Err(found) => return vec![unsound(domain, &found)],
    };
    let mut findings = vec![RECORD.of(domain).pass(rua.join(", "))];
    let mut receivers = Vec::new();
    for to in rua.iter().filter_map(|uri| receiver(uri)) {
        let lost = destination(view, &to).await;
        receivers.push((to, lost));
    }
    findings.extend(judge_destinations(domain, &receivers));
    findings
}

/// What makes senders verify the domain's MX hosts; `None`: nothing.
async fn in_use(view: &View) -> Option<&'static str> {
    let sts = view
        .lookup(&view.domain().child("_mta-sts"), RType::Txt)
        .await;
    if sts.is_ok_and(|set| set.values.iter().any(|value| value.starts_with("v=STSv1;"))) {
        return Some("MTA-STS");
    }
    dane::in_use(view).await.then_some("DANE")
}

fn absent(domain: &Name, in_use: Option<&str>) -> Option<Finding> {
    let used = in_use?;
    Some(RECORD.of(domain).warn(
        format!("none, though the domain uses {used}"),
        format!("publish `v=TLSRPTv1; rua=mailto:tls-reports@{domain}` at _smtp._tls.{domain}, with an address that somebody reads"),
    ))
}

fn unsound(domain: &Name, found: &str) -> Finding {
    RECORD.of(domain).fail(
        found,
        format!("have one TXT record at _smtp._tls.{domain}: `v=TLSRPTv1; rua=` and mailto: or https: URIs"),
    )
}

/// The report URIs among the TXT values; `None` where there is no record.
///
/// # Errors
/// What is wrong, so that senders report nowhere.
fn rua(values: &BTreeSet<String>) -> Result<Option<Vec<String>>, String> {
    const VERSION: &str = "v=TLSRPTv1;";
    let records: Vec<&String> = values.iter().filter(|v| v.starts_with(VERSION)).collect();
    let record = match records.as_slice() {
        [only] => *only,
        [] => {
            let meant = |value: &&String| value.to_ascii_lowercase().contains("tlsrpt");
            return match values.iter().find(meant) {
                Some(near) => Err(format!("`{near}` does not begin with `{VERSION}`")),
                None => Ok(None),
            };
        }
        several => return Err(format!("{} records, which count as none", several.len())),
    };
    let tags = tags(record).map_err(|why| format!("`{record}`: {why}"))?;
    let list = tags.get("rua");
    let list = list.ok_or_else(|| format!("`{record}` has no rua"))?;
    let uris = list.split(',').map(str::trim);
    let uris = uris.map(|uri| match sound(uri) {
        true => Ok(uri.to_owned()),
        false => Err(format!("`{uri}` is no mailto: or https: URI")),
    });
    uris.collect::<Result<Vec<_>, _>>().map(Some)
}

/// Commas, semicolons and exclamation marks would have to be encoded (RFC 8460 section 3).
fn sound(uri: &str) -> bool {
    let plain = |text: &str| !text.contains([' ', '!', ';']);
    match uri.split_once(':') {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("mailto") => {
            plain(uri) && receiver(uri).is_some()
        }
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => {
            let host = rest
                .strip_prefix("//")
                .and_then(|rest| rest.split(['/', ':']).next());
            plain(uri)
                && host.is_some_and(|host| Name::parse(host).is_ok_and(|n| n != Name::root()))
        }
        _ => false,
    }
}

/// The domain that a mailto: URI sends to.
fn receiver(uri: &str) -> Option<Name> {
    let (scheme, rest) = uri.split_once(':')?;
    let address = rest.split('?').next()?;
    let (local, domain) = address.rsplit_once('@')?;
    let mailto = scheme.eq_ignore_ascii_case("mailto") && !local.is_empty();
    let domain = Name::parse(domain).ok()?;
    (mailto && domain.as_str().contains('.')).then_some(domain)
}

/// Why no mail arrives at a domain, as far as the DNS says.
async fn destination(view: &View, to: &Name) -> Result<Option<&'static str>, String> {
    let mx = view.lookup(to, RType::Mx).await?;
    if mx.nxdomain {
        return Ok(Some("does not exist"));
    }
    if mx.exists() {
        let null = mx.values.iter().all(|value| value.ends_with(" ."));
        return Ok(null.then_some("receives no mail: its MX is null"));
    }
    let addresses = view.outside.addresses(to).await?;
    Ok(addresses.is_empty().then_some("has neither MX nor address"))
}

/// Where mail to the report addresses goes; `None` where there are none.
fn judge_destinations(
    domain: &Name,
    receivers: &[(Name, Result<Option<&str>, String>)],
) -> Option<Finding> {
    let about = DESTINATION.of(domain);
    let (first, _) = receivers.first()?;
    let lost: Vec<String> = receivers
        .iter()
        .filter_map(|(to, lost)| Some(format!("{to} {}", lost.as_ref().ok()?.as_ref()?)))
        .collect();
    if !lost.is_empty() {
        let fix = format!("name addresses that somebody reads in the rua of _smtp._tls.{domain}");
        return Some(about.warn(lost.join("; "), fix));
    }
    let unknown = receivers.iter().find_map(|(_, lost)| lost.as_ref().err());
    Some(match unknown {
        Some(reason) => about.skip(reason),
        None if receivers.len() == 1 => about.pass(first.to_string()),
        None => about.pass(format!("{first} and {} more", receivers.len() - 1)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    fn read(values: &[&str]) -> Result<Option<Vec<String>>, String> {
        rua(&values.iter().map(|value| (*value).to_owned()).collect())
    }

    #[test]
    fn one_record_with_uris_counts() {
        let both = ["mailto:a@example.com", "https://tls.example.net/v1"];
        let both = Ok(Some(both.map(str::to_owned).to_vec()));
        assert_eq!(
            read(&["v=TLSRPTv1; rua=mailto:a@example.com,https://tls.example.net/v1"]),
            both
        );
        assert_eq!(
            read(&[
                "v=TLSRPTv1;rua=mailto:a@example.com , https://tls.example.net/v1;",
                "x"
            ]),
            both
        );
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["v=spf1 -all"]), Ok(None));
    }

    #[test]
    fn what_senders_do_not_take_is_said() {
        for (values, part) in [
            (
                &[
                    "v=TLSRPTv1; rua=mailto:a@b.example",
                    "v=TLSRPTv1; rua=mailto:c@d.example",
                ][..],
                "2 records",
            ),
            (&["v=TLSRPTv1;"], "no rua"),
            (&["v=TLSRPTv1; rua="], "`` is no"),
            (&["v=TLSRPTv1; rua=a@example.com"], "`a@example.com` is no"),
            (
                &["v=TLSRPTv1; rua=http://example.com/"],
                "is no mailto: or https:",
            ),
            (&["v=TLSRPTv1; rua=mailto:@example.com"], "is no mailto:"),
            (
                &["v=TLSRPTv1; rua=mailto:a@example.com!10m"],
                "is no mailto:",
            ),
            (&["v=TLSRPTv1; rua=https:///x"], "is no mailto:"),
            (
                &["v=TLSRPT1; rua=mailto:a@example.com"],
                "does not begin with `v=TLSRPTv1;`",
            ),
        ] {
            let said = read(values).expect_err(part);
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn it_is_missed_where_senders_verify() {
        let domain = Name::parse("example.com").expect("a name");
        assert_eq!(absent(&domain, None), None);
        let missed = absent(&domain, Some("DANE")).expect("a finding");
        assert_eq!(missed.verdict, Verdict::Warn);
        assert_eq!(unsound(&domain, "2 records").verdict, Verdict::Fail);
    }

    #[test]
    fn reports_go_somewhere() {
        let domain = Name::parse("example.com").expect("a name");
        let to = receiver("MAILTO:tls@reports.example.net?subject=x").expect("a domain");
        assert_eq!(to.as_str(), "reports.example.net");
        let of = |lost: &[Result<Option<&str>, String>]| {
            let receivers: Vec<_> = lost.iter().map(|l| (to.clone(), l.clone())).collect();
            judge_destinations(&domain, &receivers).map(|finding| finding.verdict)
        };
        let gone = || Ok(Some("does not exist"));
        let unknown = || Err("SERVFAIL".to_owned());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[Ok(None), Ok(None)]), Some(Verdict::Pass));
        assert_eq!(of(&[Ok(None), gone(), unknown()]), Some(Verdict::Warn));
        assert_eq!(of(&[Ok(None), unknown()]), Some(Verdict::Skip));
    }
}

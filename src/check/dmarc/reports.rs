//! Where DMARC reports go (RFC 9990 for aggregate ones, RFC 9991 for those on failures).

use futures_util::future::join_all;

use super::syntax::Tags;
use super::{REPORTS, walk};
use crate::check::outside::Looked;
use crate::check::remarks::Remarks;
use crate::check::{Finding, View};
use crate::dmarc::is_dmarc;
use crate::record::{Name, RType};

/// The domain of a report address, and what was found out about it.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    domain: Name,
    /// The consent of another organization's domain; `None`: none is needed.
    consent: Option<Looked>,
    /// Whether it can receive mail.
    receives: Result<bool, String>,
}

/// The domain of a `mailto:` URI (RFC 6068), without what follows it.
fn domain_of(uri: &str) -> Result<Name, String> {
    let parts = uri.split_once(':');
    let (_, address) = parts
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("mailto"))
        .ok_or_else(|| {
            format!("`{uri}` is no mailto: URI, the only kind that receivers send reports to")
        })?;
    let address = address.split(['!', '?']).next().unwrap_or_default();
    let bad = || format!("`{uri}` holds no mail address");
    let (local, domain) = address.rsplit_once('@').ok_or_else(bad)?;
    let domain = Name::parse(domain).map_err(|_| bad())?;
    if local.is_empty() || local.contains(char::is_whitespace) || !domain.as_str().contains('.') {
        return Err(bad());
    }
    Ok(domain)
}

/// Looks at the domains of all report addresses of the record at `at`.
pub(super) async fn destinations(
    view: &View,
    at: &Name,
    organization: &Name,
    tags: &Tags,
) -> Vec<Destination> {
    let uris = tags.uris("rua").chain(tags.uris("ruf"));
    let mut domains: Vec<Name> = uris.filter_map(|uri| domain_of(uri).ok()).collect();
    domains.sort();
    domains.dedup();
    let looks = domains.into_iter().map(|domain| async move {
        let (consent, receives) = tokio::join!(
            consent(view, at, organization, &domain),
            receives(view, &domain)
        );
        Destination {
            domain,
            consent,
            receives,
        }
    });
    join_all(looks).await
}

/// What another organization's domain says of our reports (RFC 9990 section 4).
async fn consent(view: &View, at: &Name, organization: &Name, domain: &Name) -> Option<Looked> {
    if domain.is_in(organization) {
        return None;
    }
    match walk(view, domain).await {
        Ok(walked) if walked.found.organization == *organization => return None,
        Ok(_) => {}
        Err(why) => return Some(Err(why)),
    }
    let owner = owner(at, domain);
    Some(match Name::parse(&owner) {
        Ok(owner) => view.lookup(&owner, RType::Txt).await,
        Err(why) => Err(why),
    })
}

/// Where the consent stands.
fn owner(at: &Name, domain: &Name) -> String {
    format!("{at}._report._dmarc.{domain}")
}

/// Whether mail to a domain arrives somewhere (RFC 5321 section 5.1).
async fn receives(view: &View, domain: &Name) -> Result<bool, String> {
    let exchanges = view.lookup(domain, RType::Mx).await?;
    if exchanges.exists() {
        // A null MX (RFC 7505) takes nothing.
        return Ok(exchanges.values.iter().any(|mx| !mx.ends_with(" .")));
    }
    let addresses = view.outside.addresses(domain).await?;
    Ok(!addresses.is_empty())
}

/// Judges the report addresses of the record at `at`.
pub(super) fn judge(
    domain: &Name,
    at: &Name,
    tags: &Tags,
    destinations: &[Destination],
) -> Finding {
    let about = REPORTS.of(domain);
    let mut remarks = Remarks::default();
    for uri in tags.uris("rua").chain(tags.uris("ruf")) {
        if let Err(why) = domain_of(uri) {
            remarks.fail(why, "write report addresses as `mailto:user@domain`");
        }
    }
    let mut unknown = None;
    for destination in destinations {
        let to = &destination.domain;
        match &destination.consent {
            Some(Ok(reply)) if !reply.values.iter().any(|value| is_dmarc(value)) => remarks.fail(
                format!("{to} does not consent to reports about {at}"),
                format!(
                    "have `{} TXT \"v=DMARC1\"` published, or take an address of your own",
                    owner(at, to)
                ),
            ),
            Some(Err(why)) => unknown = Some(why),
            Some(Ok(_)) | None => {}
        }
        match &destination.receives {
            Ok(true) => {}
            Ok(false) => remarks.fail(
                format!("{to} receives no mail: it has no MX and no address, or a null MX"),
                "take a report address that receives mail",
            ),
            Err(why) => unknown = Some(why),
        }
    }
    if let Some(why) = unknown.filter(|_| !remarks.fails()) {
        return about.skip(why.clone());
    }
    let uris: Vec<&str> = tags.uris("rua").chain(tags.uris("ruf")).collect();
    let good = if uris.is_empty() {
        "no reports are asked for".to_owned()
    } else {
        uris.join(", ")
    };
    remarks.settle(about, good)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::check::Verdict::{self, Fail, Pass, Skip};
    use crate::dns::Reply;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn txt(value: Option<&str>) -> Looked {
        Ok(Arc::new(Reply {
            values: value.into_iter().map(str::to_owned).collect(),
            ttl: None,
            nxdomain: value.is_none(),
            alias: None,
            authentic: false,
        }))
    }

    #[test]
    fn addresses_are_read() {
        for (uri, domain) in [
            ("mailto:a@b.test", Some("b.test")),
            ("MAILTO:a%2Cc@B.test!10m", Some("b.test")),
            ("mailto:a@b.test?subject=x", Some("b.test")),
            ("https://b.test/report", None),
            ("a@b.test", None),
            ("mailto:b.test", None),
            ("mailto:@b.test", None),
            ("mailto:a@localhost", None),
            ("mailto:a b@b.test", None),
        ] {
            assert_eq!(domain_of(uri).ok(), domain.map(name), "{uri}");
        }
    }

    #[test]
    fn other_domains_must_consent_and_all_must_receive() {
        let silent: Looked = Err("SERVFAIL".into());
        type Case = (
            &'static str,
            Option<Looked>,
            Result<bool, String>,
            Verdict,
            &'static str,
        );
        let cases: [Case; 9] = [
            (
                "rua=mailto:r@a.test",
                None,
                Ok(true),
                Pass,
                "mailto:r@a.test",
            ),
            (
                "rua=mailto:r@b.test",
                Some(txt(Some("v=DMARC1"))),
                Ok(true),
                Pass,
                "mailto:r@b.test",
            ),
            (
                "rua=mailto:r@b.test",
                Some(txt(Some("v=DMARC1; rua=mailto:x@b.test"))),
                Ok(true),
                Pass,
                "mailto:r@b.test",
            ),
            (
                "rua=mailto:r@b.test",
                Some(txt(None)),
                Ok(true),
                Fail,
                "b.test does not consent to reports about a.test",
            ),
            (
                "rua=mailto:r@b.test",
                Some(txt(Some("v=spf1 -all"))),
                Ok(true),
                Fail,
                "b.test does not consent",
            ),
            (
                "ruf=mailto:r@a.test",
                None,
                Ok(false),
                Fail,
                "b.test receives no mail",
            ),
            (
                "rua=mailto:r@b.test",
                Some(silent.clone()),
                Ok(true),
                Skip,
                "SERVFAIL",
            ),
            (
                "rua=mailto:r@b.test",
                None,
                Err("REFUSED".into()),
                Skip,
                "REFUSED",
            ),
            (
                "rua=https://b.test/r",
                Some(silent),
                Ok(true),
                Fail,
                "`https://b.test/r` is no mailto",
            ),
        ];
        for (tag, consent, receives, verdict, part) in cases {
            let tags = Tags::of(&format!("v=DMARC1; p=reject; {tag}"));
            let destination = Destination {
                domain: name("b.test"),
                consent,
                receives,
            };
            let finding = judge(&name("a.test"), &name("a.test"), &tags, &[destination]);
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert!(finding.found.contains(part), "{finding:?}");
        }
        let none = judge(
            &name("a.test"),
            &name("a.test"),
            &Tags::of("v=DMARC1; p=reject"),
            &[],
        );
        assert_eq!(
            (none.verdict, none.found.as_str()),
            (Pass, "no reports are asked for")
        );
    }
}

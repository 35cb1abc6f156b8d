//! What receivers refuse and mail-auth lets pass: it takes the first of several
//! records, reads the terms of SPF leniently, and does not look at what a DKIM
//! key may be used for.

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;
use mail_auth::{DkimOutput, DkimResult, SpfOutput, SpfResult};

use crate::dkim::{refusals, tags};
use crate::dmarc::tree;
use crate::record::Name;
use crate::spf::only_spf;
use crate::spf::term::Term;

/// The result, or `permerror` where the domain's record is none that receivers
/// evaluate (RFC 7208 sections 4.5 and 4.6).
pub(super) async fn spf(resolver: &TokioResolver, output: SpfOutput) -> SpfOutput {
    if matches!(output.result(), SpfResult::TempError | SpfResult::None) {
        return output;
    }
    let Ok(domain) = Name::parse(output.domain()) else {
        return output;
    };
    let values = txt(resolver, &domain).await;
    let sound = match only_spf(values.iter().map(String::as_str)) {
        Ok(Some(record)) => {
            let mut terms = record.split_ascii_whitespace().skip(1);
            terms.all(|term| Term::parse(term).is_ok())
        }
        // A moment ago there was one.
        Ok(None) => true,
        Err(_) => false,
    };
    if sound {
        output
    } else {
        output.with_result(SpfResult::PermError)
    }
}

/// Why a signature that verifies counts for nothing: its key must not be used
/// for mail, as its record says (RFC 6376 section 6.1.2).
pub(super) async fn refused_key(
    resolver: &TokioResolver,
    output: &DkimOutput<'_>,
) -> Option<String> {
    let signature = output
        .signature()
        .filter(|_| *output.result() == DkimResult::Pass)?;
    let owner = Name::parse(&format!("{}._domainkey.{}", signature.s, signature.d)).ok()?;
    let values = txt(resolver, &owner).await;
    let tags = tags(values.first()?).ok()?;
    let (_, why) = refusals(&tags).into_iter().next()?;
    Some(format!("{why}; its key is at {owner}"))
}

/// Names on the way up from a domain that have several DMARC records, where no
/// other record applies to it (RFC 9989 section 4.10).
pub(super) async fn several_dmarc(resolver: &TokioResolver, domain: &str) -> Option<Name> {
    let names = tree::names(&Name::parse(domain).ok()?);
    let mut walk = Vec::new();
    for name in &names {
        walk.push((name, txt(resolver, &name.child("_dmarc")).await));
    }
    let found = tree::found(walk);
    match found.record {
        Some(_) => None,
        None => found.several.into_iter().next().map(|(name, _)| name),
    }
}

/// The TXT values of a name; none where there is no answer.
async fn txt(resolver: &TokioResolver, name: &Name) -> Vec<String> {
    let Ok(answer) = resolver.txt_lookup(name.fqdn()).await else {
        return Vec::new();
    };
    let texts = answer
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            RData::TXT(txt) => Some(txt.txt_data.concat()),
            _ => None,
        });
    texts
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .collect()
}

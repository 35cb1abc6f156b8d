//! Whether what is served on port 25 is as the TLSA records say.

use time::OffsetDateTime;

use super::tlsa::{self, Tlsa};
use super::{MATCH, owner};
use crate::check::Finding;
use crate::check::wire::{Port, Reach};
use crate::record::Name;

/// What a sender comes to at one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Met {
    /// The certificate is as this record says.
    Yes(String),
    No(String),
    /// Nobody could look.
    Unseen(String),
}

pub(super) fn met(usable: &[Tlsa], port: &Port, names: &[&Name], now: OffsetDateTime) -> Met {
    match (&port.reach, &port.tls) {
        (Reach::Open, Some(Ok(tls))) => {
            let records = tlsa::strongest(usable);
            match tlsa::matching(&records, &tls.chain, names, now) {
                Ok(record) => Met::Yes(record.to_string()),
                Err(why) => Met::No(why),
            }
        }
        (Reach::Open, Some(Err(why))) => Met::No(format!("TLS does not come about: {why}")),
        (Reach::Open, None) => match (&port.greeting, &port.trouble) {
            (Ok((220, _)), None) => Met::No("STARTTLS is not offered".into()),
            (Ok((220, _)), Some(why)) | (Err(why), _) => Met::Unseen(why.clone()),
            (Ok((code, text)), _) => Met::Unseen(format!("it greets with {code} {text}")),
        },
        (Reach::Refused(why) | Reach::Silent(why) | Reach::Unknown(why), _) => {
            Met::Unseen(why.clone())
        }
    }
}

pub(super) fn judge(host: &Name, seen: &[(String, Met)]) -> Finding {
    let about = MATCH.of(host);
    let mut bad = Vec::new();
    let mut good = Vec::new();
    let mut unseen = Vec::new();
    for (address, met) in seen {
        match met {
            Met::Yes(record) => good.push(format!("{address}: `{record}`")),
            Met::No(why) => bad.push(format!("{address}: {why}")),
            Met::Unseen(why) => unseen.push(format!("{address}: {why}")),
        }
    }
    if !bad.is_empty() {
        return about.fail(
            bad.join("; "),
            format!("publish the digest of the key that is served at {}, and of the next one before it is", owner(host)),
        );
    }
    match good.is_empty() {
        true if unseen.is_empty() => about.skip("the host has no address"),
        true => about.skip(unseen.join("; ")),
        false => {
            good.append(&mut unseen);
            about.pass(good.join("; "))
        }
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::check::Verdict;
    use crate::check::pki::testing::{Authority, now};
    use crate::check::wire::Tls;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    #[test]
    fn what_a_port_says_of_the_records() {
        let chain = Authority::new("one").chain(&["smtp.example.com"]);
        let hex = |octets: &[u8]| {
            octets
                .iter()
                .map(|o| format!("{o:02x}"))
                .collect::<String>()
        };
        let record = |octets: &[u8]| {
            let value = format!("3 0 1 {}", hex(&Sha256::digest(octets)));
            Tlsa::parse(&value).expect("a record")
        };
        let open = |tls| Port {
            greeting: Ok((220, "smtp.example.com ESMTP".into())),
            tls,
            ..Port::closed(Reach::Open)
        };
        let served = open(Some(Ok(Tls {
            version: "TLSv1.3".into(),
            chain: chain.clone(),
        })));
        let (host, domain) = (name("smtp.example.com"), name("example.com"));
        let of = |record: Tlsa, port: &Port| met(&[record], port, &[&host, &domain], now());
        let own = || record(&chain[0]);
        assert!(matches!(of(own(), &served), Met::Yes(_)));
        assert!(matches!(of(record(b"other"), &served), Met::No(_)));
        assert!(matches!(of(own(), &open(None)), Met::No(why) if why.contains("STARTTLS")));
        assert!(matches!(
            of(own(), &open(Some(Err("x".into())))),
            Met::No(_)
        ));
        let broken = Port {
            trouble: Some("it closed the connection".into()),
            ..open(None)
        };
        assert!(matches!(of(own(), &broken), Met::Unseen(_)));
        let busy = Port {
            greeting: Ok((421, "busy".into())),
            ..open(None)
        };
        assert!(matches!(of(own(), &busy), Met::Unseen(why) if why.contains("421")));
        assert!(matches!(
            of(own(), &Port::unknown("closed")),
            Met::Unseen(_)
        ));
    }

    #[test]
    fn one_address_without_match_loses_mail() {
        let yes = || ("192.0.2.1".to_owned(), Met::Yes("3 1 1 07070707…".into()));
        let no = || ("::1".to_owned(), Met::No("another".into()));
        let unseen = || ("192.0.2.2".to_owned(), Met::Unseen("closed".into()));
        for (seen, verdict) in [
            (&[yes()][..], Verdict::Pass),
            (&[yes(), no()], Verdict::Fail),
            (&[yes(), unseen()], Verdict::Pass),
            (&[unseen()], Verdict::Skip),
            (&[], Verdict::Skip),
        ] {
            assert_eq!(judge(&name("smtp.example.com"), seen).verdict, verdict);
        }
    }
}

//! Who issues: the authority in use, and the names that it has in CAA records.

use x509_parser::prelude::X509Certificate;

/// The authority in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Authority {
    /// mail.yaml names it, by its name in CAA records. mailctl proves names by dns-01.
    Named(String),
    /// It issued the certificate that is served; as that one calls it.
    Seen(String),
    /// Nobody knows.
    Unknown,
}

/// Authorities that have several names, or whose certificates say another one:
/// how the organisation begins, and its names as its practice statement lists them.
const AUTHORITIES: &[(&str, &[&str])] = &[
    ("Let's Encrypt", &["letsencrypt.org"]),
    ("ZeroSSL", SECTIGO),
    ("Sectigo", SECTIGO),
    ("COMODO", SECTIGO),
    ("Google Trust Services", &["pki.goog"]),
    ("DigiCert", DIGICERT),
    ("GeoTrust", DIGICERT),
    ("Thawte", DIGICERT),
    ("Microsoft", &["microsoft.com", "digicert.com"]),
    (
        "Amazon",
        &[
            "amazon.com",
            "amazontrust.com",
            "awstrust.com",
            "amazonaws.com",
        ],
    ),
    ("GlobalSign", &["globalsign.com"]),
    ("GoDaddy", &["godaddy.com", "starfieldtech.com"]),
    ("Starfield", &["starfieldtech.com", "godaddy.com"]),
    ("SSL Corp", &["ssl.com"]),
    ("Buypass", &["buypass.com", "buypass.no"]),
    ("Actalis", &["actalis.it"]),
    ("IdenTrust", &["identrust.com"]),
    ("Hellenic Academic", &["harica.gr"]),
];

const SECTIGO: &[&str] = &[
    "sectigo.com",
    "usertrust.com",
    "trust-provider.com",
    "comodoca.com",
    "comodo.com",
];

const DIGICERT: &[&str] = &[
    "digicert.com",
    "geotrust.com",
    "rapidssl.com",
    "thawte.com",
    "symantec.com",
    "digitalcertvalidation.com",
];

impl Authority {
    /// Whoever issued a certificate, where it says so.
    pub(super) fn of(certificate: &[u8]) -> Self {
        let organisation = x509_parser::parse_x509_certificate(certificate)
            .ok()
            .and_then(|(_, parsed)| organisation(&parsed));
        organisation.map_or(Self::Unknown, Self::Seen)
    }

    /// Its names in CAA records; none where they are not known here.
    pub(super) fn names(&self) -> Vec<&str> {
        let known = |is: &dyn Fn(&str, &[&str]) -> bool| {
            let row = AUTHORITIES.iter().find(|(begin, names)| is(begin, names));
            row.map_or(&[][..], |(_, names)| *names)
        };
        match self {
            Self::Named(name) => {
                let mut names = known(&|_, names| names.contains(&name.as_str())).to_vec();
                if names.is_empty() {
                    names.push(name);
                }
                names
            }
            Self::Seen(organisation) => known(&|begin, _| organisation.starts_with(begin)).to_vec(),
            Self::Unknown => Vec::new(),
        }
    }
}

fn organisation(certificate: &X509Certificate<'_>) -> Option<String> {
    let mut organisations = certificate.issuer().iter_organization();
    let text = organisations.next()?.as_str().ok()?;
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn issued_by(organisation: Option<&str>) -> Authority {
        let mut params = CertificateParams::new(["smtp.example.com".to_owned()]).expect("names");
        if let Some(organisation) = organisation {
            params
                .distinguished_name
                .push(DnType::OrganizationName, organisation);
        }
        let key = KeyPair::generate().expect("a key");
        Authority::of(params.self_signed(&key).expect("a certificate").der())
    }

    #[test]
    fn the_issuer_is_known_by_its_organisation() {
        assert_eq!(
            issued_by(Some("Let's Encrypt")).names(),
            ["letsencrypt.org"]
        );
        assert_eq!(
            issued_by(Some("Google Trust Services LLC")).names(),
            ["pki.goog"]
        );
        assert!(issued_by(Some("Nobody Ltd")).names().is_empty());
        assert_eq!(issued_by(None), Authority::Unknown);
        assert_eq!(Authority::of(b"none"), Authority::Unknown);
        assert!(Authority::Unknown.names().is_empty());
    }

    #[test]
    fn an_authority_has_all_its_names() {
        let zerossl = Authority::Named("sectigo.com".into());
        assert!(zerossl.names().contains(&"usertrust.com"));
        let own = Authority::Named("ca.example".into());
        assert_eq!(own.names(), ["ca.example"]);
    }
}

//! The certificate authority.

use super::{Findings, at};

pub(super) fn check(f: &mut Findings<'_>) {
    let certificates = &f.config.certificates;
    let authority = certificates.authority.as_str();
    if authority == "zerossl" {
        f.error(
            &at(["certificates", "authority"]),
            "the authority `zerossl` is not yet supported: it wants an account bound to a key of its own",
            "take `letsencrypt`, or the directory URL of an authority without external account binding",
        );
    }
    let Some(root) = certificates.root.clone() else {
        return;
    };
    let path = at(["certificates", "root"]);
    if authority.starts_with("letsencrypt") {
        f.warning(
            &path,
            format!(
                "`root` replaces the well-known roots, and `{authority}` is below one of those"
            ),
            "`root` is for a private authority, whose directory URL stands in `authority`",
        );
    }
    match f.around.read(&root) {
        Err(error) => {
            let help = "a relative path starts at the directory of mail.yaml";
            f.error(
                &path,
                format!(
                    "the trust anchor {} cannot be read: {error}",
                    root.display()
                ),
                help,
            );
        }
        Ok(content) if !is_certificate(&content) => {
            let help = "the file must hold the authority's root certificate between `BEGIN CERTIFICATE` and `END CERTIFICATE`";
            f.error(
                &path,
                format!(
                    "the trust anchor {} holds no certificate in PEM form",
                    root.display()
                ),
                help,
            );
        }
        Ok(_) => {}
    }
}

fn is_certificate(content: &[u8]) -> bool {
    let first = x509_parser::pem::Pem::iter_from_buffer(content).next();
    first.is_some_and(|pem| {
        pem.is_ok_and(|pem| pem.label == "CERTIFICATE" && pem.parse_x509().is_ok())
    })
}

//! What the file may say and mailctl cannot do yet: refused, never ignored.

use super::{Findings, at};
use crate::config::places::Path;
use crate::config::{MtaStsMode, Renew, SecretRef};

pub(super) fn check(f: &mut Findings<'_>) {
    let config = f.config;
    if config.backup.is_some() {
        refuse(
            f,
            &at(["backup"]),
            "a backup",
            "remove `backup`, and save the directory `secrets` yourself",
        );
    }
    if config.certificates.renew == Some(Renew::Host) {
        let help = "say `renew: pipeline` and run `mailctl apply` on a schedule: it renews when a third of the life is left";
        refuse(
            f,
            &at(["certificates", "renew"]),
            "renewal by a timer on the server",
            help,
        );
    }
    for (name, domain) in &config.domains {
        let path = at(["domains"]).then(name);
        if domain.dkim.rotate_after.is_some() {
            let help = "remove `rotate_after`: the key stays until then";
            refuse(
                f,
                &path.then("dkim").then("rotate_after"),
                "the rotation of DKIM keys",
                help,
            );
        }
        if domain
            .mta_sts
            .as_ref()
            .is_some_and(|m| m.mode != MtaStsMode::None)
        {
            refuse(
                f,
                &path.then("mta_sts").then("mode"),
                "MTA-STS",
                "say `mode: none`, or remove `mta_sts`",
            );
        }
    }
    for (path, secret) in config.secret_refs() {
        if matches!(secret, SecretRef::Age(_)) {
            refuse(
                f,
                &path,
                "a secret encrypted with age",
                "decrypt it by `command:age -d …`",
            );
        }
    }
}

fn refuse(f: &mut Findings<'_>, path: &Path, what: &str, help: &str) {
    f.error(path, format!("{what} is not yet supported"), help);
}

//! Secrets: there, not empty, and not lying open.

use base64::Engine as _;

use super::{Findings, at};
use crate::config::guess::guess;
use crate::config::places::Path;
use crate::config::word::SecretRef;

/// Shorter passwords of accounts are guessed.
const SHORTEST_PASSWORD: usize = 8;

const SCHEMES: [&str; 3] = ["env", "file", "command"];

pub(super) fn check(f: &mut Findings<'_>) {
    let config = f.config;
    for (path, secret) in config.secret_refs() {
        let value = reachable(f, secret, &path);
        let Some(value) = value else { continue };
        if path.is_in(&at(["domains"]))
            && path.last() == Some("password")
            && value.chars().count() < SHORTEST_PASSWORD
        {
            let help = format!(
                "take {SHORTEST_PASSWORD} characters or more, or leave `password` out: a good one is made and kept"
            );
            f.warning(
                &path,
                format!("the password is shorter than {SHORTEST_PASSWORD} characters"),
                help,
            );
        }
        // Only TSIG keys are called so (RFC 8945); their text form is base64.
        if path.last() == Some("key")
            && base64::engine::general_purpose::STANDARD
                .decode(value.trim())
                .is_err()
        {
            f.error(
                &path,
                "the TSIG key is not base64",
                "give what stands after `secret` in the name server's key file",
            );
        }
    }
}

/// The value where it can be had without running anything; what cannot be had is noted.
fn reachable(f: &mut Findings<'_>, secret: &SecretRef, path: &Path) -> Option<String> {
    match secret {
        SecretRef::Env(name) => match f.around.variable(name) {
            Some(value) if value.is_empty() => {
                f.error(
                    path,
                    format!("the environment variable `{name}` is empty"),
                    format!("put the secret into it: `export {name}=…`"),
                );
                None
            }
            Some(value) => Some(value),
            None => {
                f.error(
                    path,
                    format!("the environment variable `{name}` is not set"),
                    format!("set it where mailctl runs: `export {name}=…`"),
                );
                None
            }
        },
        SecretRef::File(file) => match f.around.read(file) {
            Err(error) => {
                let help = "a relative path starts at the directory of mail.yaml";
                f.error(
                    path,
                    format!("the secret file {} cannot be read: {error}", file.display()),
                    help,
                );
                None
            }
            Ok(content) if content.trim_ascii().is_empty() => {
                f.error(
                    path,
                    format!("the secret file {} is empty", file.display()),
                    "",
                );
                None
            }
            Ok(content) => {
                if f.around.open_to_others(file) {
                    let help = format!("make it yours alone: `chmod 600 {}`", file.display());
                    f.warning(
                        path,
                        format!("the secret file {} can be read by others", file.display()),
                        help,
                    );
                }
                let text = String::from_utf8(content).ok();
                if text.is_none() {
                    f.error(
                        path,
                        format!("the secret file {} is not text", file.display()),
                        "",
                    );
                }
                text.map(|t| t.trim_end_matches(['\r', '\n']).to_owned())
            }
        },
        SecretRef::Command(_) => None,
        // Refused as not yet supported.
        SecretRef::Age(_) => None,
        SecretRef::Literal(value) => {
            f.warning(
                path,
                "this secret stands in the file itself",
                literal_help(value.expose(), path),
            );
            Some(value.expose().to_owned())
        }
    }
}

fn literal_help(value: &str, path: &Path) -> String {
    let scheme = value.split_once(':').map(|(scheme, _)| scheme);
    match scheme.and_then(|scheme| guess(scheme, SCHEMES)) {
        Some(meant) => format!("did you mean `{meant}:…`? As it is, the whole text is the secret"),
        None => {
            let name = variable_for(path);
            format!("say where it is instead: `env:{name}`, `file:PATH` or `command:pass show …`")
        }
    }
}

/// A good name for the variable that would hold the secret.
fn variable_for(path: &Path) -> String {
    let last = path.last().unwrap_or("secret");
    match path.parent().as_ref().and_then(Path::last) {
        Some("host") => "ROOT_PASSWORD".to_owned(),
        Some(local) if last == "password" && local.chars().all(|c| c.is_ascii_alphanumeric()) => {
            format!("MAIL_PASSWORD_{}", local.to_uppercase())
        }
        _ => last.to_uppercase(),
    }
}

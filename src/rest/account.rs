//! What mail.yaml says of an account, as templates use it.

use super::template::Vars;
use crate::catalogue::Entry;
use crate::failure::Result;
use crate::zone::{Settings, Value};

/// Fails where a field is missing that the provider cannot do without.
pub(super) fn complete(entry: &Entry, settings: &Settings) -> Result<()> {
    let required = settings.of(&entry.id);
    for field in entry.fields.iter().filter(|field| field.required) {
        if field.secret {
            required.secret(&field.name)?;
        } else {
            required.text(&field.name)?;
        }
    }
    Ok(())
}

/// What templates may use: those of requests no secret, those of proofs all fields.
pub(super) fn vars(entry: &Entry, settings: &Settings) -> (Vars, Vars) {
    let defaults = entry.fields.iter().filter_map(|field| {
        let default = field.default.as_deref()?;
        Some((field.name.clone(), default.into()))
    });
    let mut shown: Vars = defaults.collect();
    let mut secret = Vars::new();
    for (name, value) in settings.iter() {
        match value {
            Value::Text(text) => shown.insert(name.to_owned(), text.as_str().into()),
            Value::Secret(value) => secret.insert(name.to_owned(), value.expose().into()),
        };
    }
    let all = shown.clone().into_iter().chain(secret).collect();
    (shown, all)
}

/// Where the secrets of a provider come from.
pub(super) fn credentials(entry: &Entry) -> String {
    let secret = entry.fields.iter().filter(|field| field.secret);
    let names = secret.map(|field| format!("`{}` (else {})", field.name, field.env));
    let names: Vec<String> = names.collect();
    let look = format!("look at {} below `ptr` in mail.yaml", names.join(" and "));
    match entry.device() {
        Some(_) => format!("{look}; `mailctl auth {}` gets a new one", entry.id),
        None => look,
    }
}

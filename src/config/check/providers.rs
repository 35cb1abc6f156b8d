//! DNS and PTR providers: known, and given what they need and nothing else.

use super::{Findings, at};
use crate::catalogue::{self, Kind, Settings};
use crate::config::guess::{all_of, guess};
use crate::config::places::Path;

pub(super) fn check(f: &mut Findings<'_>) {
    let config = f.config;
    provider(f, Kind::Dns, Settings::from(&config.dns), &at(["dns"]));
    provider(f, Kind::Ptr, Settings::from(&config.ptr), &at(["ptr"]));
    name_of_ptr(f);
    short_ttl(f, config.dns.ttl, &at(["dns", "ttl"]));
    for (name, domain) in &config.domains {
        if let Some(dns) = &domain.dns {
            let path = at(["domains"]).then(name).then("dns");
            provider(f, Kind::Dns, Settings::from(dns), &path);
            short_ttl(f, dns.ttl, &path.then("ttl"));
        }
    }
}

/// The PTR records hold the host's name, which some hosters do not take.
fn name_of_ptr(f: &mut Findings<'_>) {
    let entry = catalogue::ptr(&f.config.ptr.provider);
    let Some((entry, api)) = entry.and_then(|entry| Some((entry, entry.api.as_ref()?))) else {
        return;
    };
    if let Some(why) = api.refuses(f.config.host_name()) {
        let message = format!("{} sets no PTR record with this name: {why}", entry.title);
        f.error(
            &at(["host", "name"]),
            message,
            "give the server a name in another domain, or leave `ptr` out and ask the hoster",
        );
    }
}

fn short_ttl(f: &mut Findings<'_>, ttl: u32, path: &Path) {
    if ttl < 60 {
        f.warning(
            path,
            format!("a TTL of {ttl} seconds makes receivers ask very often"),
            "300 is a good value; many providers allow no less than 60",
        );
    }
}

fn provider(f: &mut Findings<'_>, kind: Kind, given: Settings, path: &Path) {
    let id = given.provider.as_str();
    let Some(entry) = catalogue::find(kind, id) else {
        unknown(f, kind, id, &path.then("provider"));
        return;
    };
    for name in given.fields.names() {
        if !entry.fields.iter().any(|field| field.name == name) {
            let known: Vec<&str> = entry
                .fields
                .iter()
                .map(|field| field.name.as_str())
                .collect();
            let (message, help) = match guess(name, known.iter().copied()) {
                Some(meant) if !given.fields.has(meant) => (
                    format!("the provider `{id}` has no field `{name}`, did you mean `{meant}`?"),
                    String::new(),
                ),
                _ if known.is_empty() => (
                    format!("the provider `{id}` has no field `{name}`"),
                    "it needs no field of its own".into(),
                ),
                _ => (
                    format!("the provider `{id}` has no field `{name}`"),
                    format!("its fields are {}", all_of(&known)),
                ),
            };
            key_error(f, &path.then(name), message, help);
        }
    }
    let filled = catalogue::filled(kind, given.clone(), f.around);
    for field in entry.fields.iter().filter(|field| field.required) {
        if !filled.fields.has(&field.name) && f.places.whole(&path.then(&field.name)) {
            let say = match &field.example {
                Some(example) => format!("{}: {example}", field.name),
                None => format!("{}: env:{}", field.name, field.env),
            };
            f.error(
                &path.then("provider"),
                format!("the provider `{id}` needs `{}`: {}", field.name, field.help),
                format!(
                    "add `{say}` below it, or set the environment variable {}",
                    field.env
                ),
            );
        }
    }
}

/// Points at the key: the field itself is wrong, not its value.
fn key_error(f: &mut Findings<'_>, path: &Path, message: String, help: String) {
    f.error(path, message, help);
    let span = f.places.key_span(path);
    if let Some(last) = f.found.last_mut().filter(|d| d.path == path.to_string()) {
        last.span = span;
    }
}

fn unknown(f: &mut Findings<'_>, kind: Kind, id: &str, path: &Path) {
    if let Some(why) = catalogue::refused(kind, id) {
        let message = format!("the {} provider `{id}` cannot be used", word(kind));
        if f.around.rehearsed() {
            let help = "the rehearsal stands in for it; a real plan still needs another one";
            f.warning(path, message, help);
        } else {
            f.error(path, message, why);
        }
        return;
    }
    match guess(id, catalogue::ids(kind)) {
        Some(meant) => f.error(
            path,
            format!(
                "unknown {} provider `{id}`, did you mean `{meant}`?",
                word(kind)
            ),
            "",
        ),
        None => f.error(
            path,
            format!("unknown {} provider `{id}`", word(kind)),
            format!("`mailctl providers {kind}` lists those that are known"),
        ),
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Dns => "DNS",
        Kind::Ptr => "PTR",
    }
}

//! `mailctl providers`: the catalogue.

use serde_json::json;

use crate::catalogue::{self, Entry, Kind};
use crate::cli::{Cli, Providers};
use crate::failure::{Exit, Failure, Result};
use crate::report::say;

/// Runs the verb.
///
/// # Errors
/// When there is no such provider.
pub fn run(cli: &Cli, options: &Providers) -> Result<Exit> {
    let wanted = |entry: &&Entry| {
        let kind = options
            .kind
            .as_deref()
            .is_none_or(|kind| (kind == "dns") == (entry.kind == Kind::Dns));
        kind && options.name.as_ref().is_none_or(|name| *name == entry.id)
    };
    let entries: Vec<&Entry> = catalogue::entries().iter().filter(wanted).collect();
    if entries.is_empty() {
        let name = options.name.as_deref().unwrap_or_default();
        let failure = Failure::new(format!("the catalogue has no provider `{name}`"));
        return Err(match catalogue::refused(Kind::Dns, name) {
            Some(why) => failure.hint(why),
            None => failure.hint("`mailctl providers` lists them all"),
        });
    }
    if cli.json {
        let shown: Vec<_> = entries.iter().map(|e| document(e)).collect();
        say(&json!({"schema": "mailctl.providers/1", "providers": shown}).to_string());
        return Ok(Exit::Ok);
    }
    let width = entries.iter().map(|e| e.id.len()).max().unwrap_or_default();
    for entry in entries {
        say(&if options.name.is_some() {
            whole(entry)
        } else {
            format!(
                "{:4} {:width$}  {}",
                word(entry.kind),
                entry.id,
                entry.title
            )
        });
    }
    Ok(Exit::Ok)
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Dns => "dns",
        Kind::Ptr => "ptr",
    }
}

fn document(entry: &Entry) -> serde_json::Value {
    let field = |f: &catalogue::Field| json!({"name": f.name, "env": f.env, "secret": f.secret, "required": f.required, "default": f.default, "help": f.help});
    json!({"kind": word(entry.kind), "id": entry.id, "title": entry.title, "docs": entry.docs, "whole_zone": entry.whole_zone,
        "fields": entry.fields.iter().map(field).collect::<Vec<_>>(), "limits": entry.limits})
}

/// An entry with a snippet to paste.
fn whole(entry: &Entry) -> String {
    let mut text = format!(
        "{} ({} provider): {}\n",
        entry.id,
        word(entry.kind),
        entry.title
    );
    if let Some(docs) = &entry.docs {
        text.push_str(&format!("{docs}\n"));
    }
    for field in &entry.fields {
        let mut notes = vec![if field.required {
            "required".to_owned()
        } else {
            "optional".to_owned()
        }];
        notes.extend(field.secret.then(|| "secret".to_owned()));
        notes.extend(field.default.as_ref().map(|d| format!("default {d}")));
        text.push_str(&format!(
            "\n  {} ({}): {}\n      else from {}\n",
            field.name,
            notes.join(", "),
            field.help,
            field.env
        ));
    }
    for limit in &entry.limits {
        text.push_str(&format!("\n  {limit}\n"));
    }
    text.push_str(&format!(
        "\nmail.yaml:\n\n  {}:\n    provider: {}\n",
        word(entry.kind),
        entry.id
    ));
    for field in entry.fields.iter().filter(|f| f.required) {
        let value = if field.secret {
            format!("env:{}", field.env)
        } else {
            field.example.clone().unwrap_or_else(|| "…".into())
        };
        text.push_str(&format!("    {}: {value}\n", field.name));
    }
    text
}

//! `mailctl auth`: a person logs in at a hoster once, and what comes of it is a secret to keep.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::json;
use tokio::runtime::Runtime;

use crate::catalogue::{self, Entry, Field};
use crate::cli::{Auth, Cli};
use crate::config::surroundings::Here;
use crate::failure::{Context, Exit, Failure, Result};
use crate::report::{say, warn};
use crate::rest::Pace;
use crate::rest::device::{Invitation, Login};
use crate::secret::Secret;

/// Runs the verb.
///
/// # Errors
/// When the provider has no such login, nobody logs in, or the file is there already.
pub fn run(cli: &Cli, options: &Auth) -> Result<Exit> {
    let (entry, field) = provider(&options.provider)?;
    let Some(login) = Login::of(entry, &Here, Pace::default())? else {
        return Err(no_login(entry));
    };
    if cli.no_input {
        return Err(
            Failure::new(format!("a person has to log in at {}", entry.title)).hint(format!(
                "run `mailctl auth {}` where somebody is, and keep what it prints as the secret {}",
                options.provider, field.env
            )),
        );
    }
    let runtime = Runtime::new().context("no threads can be started")?;
    // Nobody is sent to log in for a file that cannot be written.
    let out = options.out.as_deref();
    let mut file = out.map(made).transpose()?;
    let token = runtime.block_on(async {
        let invitation = login.begin().await?;
        warn(&told(entry, &invitation));
        login.token(&invitation).await
    });
    let kept = token.and_then(|token| {
        if let (Some(path), Some(file)) = (out, &mut file) {
            written(path, file, &token)?;
        }
        Ok(token)
    });
    if let (Err(_), Some(path)) = (&kept, out) {
        // It is empty, or has half a token.
        drop(std::fs::remove_file(path));
    }
    show(cli, out, entry, field, &kept?);
    Ok(Exit::Ok)
}

/// The providers with such a login, and the field that its token is for.
fn logins() -> impl Iterator<Item = (&'static Entry, &'static Field)> {
    catalogue::entries().iter().filter_map(|entry| {
        let (_, device) = entry.device()?;
        let mut fields = entry.fields.iter();
        Some((entry, fields.find(|field| field.name == device.field)?))
    })
}

/// The provider, by its id or by the hoster's name alone.
fn provider(name: &str) -> Result<(&'static Entry, &'static Field)> {
    let is = |entry: &Entry| entry.id == name || entry.id.split('-').next() == Some(name);
    if let Some(found) = logins().find(|(entry, _)| is(entry)) {
        return Ok(found);
    }
    let known = catalogue::ptr(name).or_else(|| catalogue::dns(name));
    Err(known.map_or_else(|| unknown(name), no_login))
}

fn unknown(name: &str) -> Failure {
    let logins: Vec<String> = logins()
        .map(|(entry, _)| format!("`{}`", entry.id))
        .collect();
    let logins = logins.join(", ");
    Failure::new(format!("the catalogue has no provider `{name}`")).hint(format!(
        "logins are there for {logins}; `mailctl providers` lists all providers"
    ))
}

/// Everybody else gives keys and tokens in the customer panel.
fn no_login(entry: &Entry) -> Failure {
    let (id, kind) = (&entry.id, entry.kind);
    let needed = entry.fields.iter().filter(|field| field.secret);
    let needed: Vec<String> = needed
        .map(|field| format!("`{}` ({})", field.name, field.env))
        .collect();
    if needed.is_empty() {
        return Failure::new(format!("`{id}` takes no secret")).hint(format!(
            "`mailctl providers {kind} {id}` shows what it takes"
        ));
    }
    Failure::new(format!(
        "`{id}` has no login: it takes {}",
        needed.join(" and ")
    ))
    .hint(format!(
        "`mailctl providers {kind} {id}` says where to get that"
    ))
}

/// What the person is to do; it goes to standard error, also with --quiet.
fn told(entry: &Entry, invitation: &Invitation) -> String {
    let Invitation {
        address,
        code,
        complete,
        lives,
        ..
    } = invitation;
    let mut text = format!(
        "Log in at {}:\n  open {address}\n  and enter the code {code}\n",
        entry.title
    );
    if let Some(complete) = complete {
        text.push_str(&format!("or open {complete}\n"));
    }
    text.push_str(&format!(
        "Waiting for that, for {} minutes.",
        lives.div_ceil(60)
    ));
    text
}

/// Nothing but the token goes to standard output, so that it can be handed on.
fn show(cli: &Cli, out: Option<&Path>, entry: &Entry, field: &Field, token: &Secret) {
    let (name, env) = (&field.name, &field.env);
    if cli.json {
        let mut document =
            json!({"schema": "mailctl.auth/1", "provider": entry.id, "field": name, "env": env});
        match out {
            Some(path) => document["file"] = path.display().to_string().into(),
            None => document["value"] = token.expose().into(),
        }
        say(&document.to_string());
    } else if out.is_none() {
        say(token.expose());
    }
    if !cli.quiet {
        let place = out.map_or_else(
            || format!("env:{env}"),
            |path| format!("file:{}", path.display()),
        );
        warn(&format!(
            "Keep it as a secret; mail.yaml takes it as `{name}: {place}` below `ptr`."
        ));
    }
}

/// A new file that only its owner may read.
fn made(path: &Path) -> Result<File> {
    let mut new = OpenOptions::new();
    let file = new.write(true).create_new(true).mode(0o600).open(path);
    file.map_err(|why| match why.kind() {
        std::io::ErrorKind::AlreadyExists => there(path),
        _ => cannot_write(path, why),
    })
}

fn written(path: &Path, file: &mut File, token: &Secret) -> Result<()> {
    let written = writeln!(file, "{}", token.expose()).and_then(|()| file.sync_all());
    written.map_err(|why| cannot_write(path, why))
}

fn cannot_write(path: &Path, why: std::io::Error) -> Failure {
    Failure::new(format!("{} could not be written", path.display()))
        .because(why)
        .hint("name a file in a directory that you may write to")
}

fn there(path: &Path) -> Failure {
    Failure::new(format!("{} is there already", path.display()))
        .hint("name a new file, or move that one away")
}

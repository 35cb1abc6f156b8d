//! `mailctl check`: the live service from outside, as a receiver sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use time::OffsetDateTime;
use tokio::runtime::Runtime;

use super::setup;
use crate::check::{self, Choice, Expected, Outside, Report, Settings, render};
use crate::cli::{Check, Cli, Format};
use crate::config::Config;
use crate::config::surroundings::{Here, Surroundings};
use crate::dns::Dns;
use crate::failure::{Context, Exit, Failure, Result};
use crate::random;
use crate::record::Name;
use crate::remote::{Remote, wait};
use crate::report::say;

/// Runs the verb.
///
/// # Errors
/// When a domain is none, mail.yaml is unsound, or no resolver is known.
pub fn run(cli: &Cli, options: &Check) -> Result<Exit> {
    let mut choice = Choice {
        only: options.only.clone(),
        skip: options.skip.clone(),
    };
    if let Some(word) = choice.unknown().first() {
        return Err(Failure::new(format!("there is no question `{word}`"))
            .hint("docs/check.md lists them; `--only spf` means all that begin with it"));
    }
    let limit = wait::parse_duration(&options.timeout).map_err(Failure::new)?;
    let config = known(cli, options)?.map(Arc::new);
    if let Some(config) = &config {
        choice.skip.extend(config.check.skip.clone());
    }
    let domains = domains(options, config.as_deref())?;
    let Place {
        dns,
        remote,
        runtime,
    } = place(cli, options, config.clone())?;
    let now = OffsetDateTime::now_utc();
    let mut settings = Settings::new(now);
    if let Some(config) = &config {
        settings = settings.with(config)?;
    }
    // A conversation has several steps, and its question is to end in time.
    settings.patience = settings.patience.min(limit / 3);
    settings.selectors.clone_from(&options.selector);
    if let Some(far) = &options.far {
        settings.far.clone_from(far);
    }
    if let Some(path) = &options.roots {
        settings = settings.trusting(path)?;
    }
    let outside = Arc::new(Outside::new(dns, settings));
    let mut known = match &config {
        Some(config) => Expected::of_each(config, &domains, remote.as_ref())?,
        None => BTreeMap::new(),
    };
    let asked: Vec<_> = domains
        .into_iter()
        .map(|domain| {
            let expected = known.remove(&domain).map(Arc::new);
            (domain, expected)
        })
        .collect();
    let report = runtime.block_on(check::check(&outside, &asked, &choice, limit));
    // Nobody waits for what a question left behind.
    runtime.shutdown_background();
    show(cli, options.format, &report, now)?;
    Ok(if report.fails() {
        Exit::Failed
    } else {
        Exit::Ok
    })
}

/// Where the looking is done from.
struct Place {
    dns: Dns,
    /// The server, with a login.
    remote: Option<Arc<dyn Remote>>,
    runtime: Runtime,
}

fn place(cli: &Cli, options: &Check, config: Option<Arc<Config>>) -> Result<Place> {
    if options.login {
        let config = config.ok_or_else(|| {
            Failure::new("there is no server to log in to").hint("name its mail.yaml with -f FILE")
        })?;
        let login = setup::Login::of(cli, config, &options.reach)?;
        return Ok(Place {
            dns: match options.resolver {
                Some(_) => Dns::new(options.resolver)?,
                None => login.dns,
            },
            remote: Some(login.remote),
            runtime: login.runtime,
        });
    }
    let runtime = Runtime::new().context("no threads can be started")?;
    let given = config.and_then(|config| config.resolver);
    let dns = {
        let _inside = runtime.enter();
        Dns::new(options.resolver.or(given))?
    };
    Ok(Place {
        dns,
        remote: None,
        runtime,
    })
}

/// mail.yaml, which domains that are named on the command line do without.
fn known(cli: &Cli, options: &Check) -> Result<Option<Config>> {
    if options.login {
        return setup::config(cli).map(Some);
    }
    if cli.file.is_some() || setup::file(cli).is_ok() {
        // None of its secrets is needed.
        return setup::config_to_rehearse(cli).map(Some);
    }
    if options.domains.is_empty() {
        return Err(
            Failure::new("no domain is named, and there is no mail.yaml here")
                .hint("`mailctl check example.com` looks at any domain; -f FILE names another file")
                .exit(Exit::Unsound),
        );
    }
    Ok(None)
}

fn domains(options: &Check, config: Option<&Config>) -> Result<Vec<Name>> {
    let mut domains: Vec<Name> = Vec::new();
    for text in &options.domains {
        let domain = Name::parse(text)
            .ok()
            .filter(|name| name.as_str().contains('.'))
            .ok_or_else(|| Failure::new(format!("`{text}` is no domain")))?;
        if !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    if domains.is_empty() {
        domains.extend(
            config
                .into_iter()
                .flat_map(|config| config.domains.keys().map(|name| name.0.clone())),
        );
    }
    Ok(domains)
}

/// Prints what was found.
pub(super) fn show(cli: &Cli, format: Format, report: &Report, now: OffsetDateTime) -> Result<()> {
    let format = if cli.json { Format::Json } else { format };
    let text = match format {
        Format::Text => return table(cli, report, on_github(&Here)),
        Format::Json => {
            let json = serde_json::to_string_pretty(report);
            json.context("the findings could not be written")?
        }
        Format::Html => render::html(report, now)?,
        Format::Junit => render::junit(report).context("the findings could not be written")?,
        Format::Github => render::annotations(report) + &render::tally(report.summary),
    };
    say(text.trim_end());
    Ok(())
}

/// For people; in a GitHub workflow the annotations stand below it.
fn table(cli: &Cli, report: &Report, on_github: bool) -> Result<()> {
    let lines = setup::lines(cli);
    let mut text = render::text(report, lines.paint, lines.width, cli.quiet);
    if on_github {
        let token = u128::from_ne_bytes(random::octets()?);
        text = render::without_commands(&text, &format!("{token:032x}"));
        text.push_str(&render::annotations(report));
    }
    say(text.trim_end());
    Ok(())
}

fn on_github(around: &dyn Surroundings) -> bool {
    around.variable("GITHUB_ACTIONS").as_deref() == Some("true")
}

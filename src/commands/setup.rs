//! What every verb that looks at the world needs: the file, the secrets, the
//! connection, the providers. The environment is read here and nowhere deeper.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::{Cli, Reach, When};
use crate::config::{self, Config};
use crate::diagnostic;
use crate::dns::Dns;
use crate::failure::{Context, Exit, Failure, Result};
use crate::observe::{World, named_apexes};
use crate::remote::ssh::{Access, Ssh};
use crate::remote::target::Target;
use crate::remote::{Remote, wait};
use crate::render::Paint;
use crate::report::{Lines, warn};
use crate::resource::Holder;
use crate::vault::Vault;
use crate::zone::{self, Settings, Zone};

/// Whether to colour what goes to standard output.
pub fn paint(cli: &Cli) -> Paint {
    Paint(match cli.color {
        When::Always => true,
        When::Never => false,
        When::Auto => std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) && std::io::stdout().is_terminal(),
    })
}

/// How plain text looks here.
pub fn lines(cli: &Cli) -> Lines {
    let width = if std::io::stdout().is_terminal() { console_width() } else { 160 };
    Lines { paint: paint(cli), width, quiet: cli.quiet }
}

fn console_width() -> usize {
    let columns = indicatif::TermLike::width(&indicatif_term());
    usize::from(columns).clamp(60, 200)
}

fn indicatif_term() -> impl indicatif::TermLike {
    console::Term::stdout()
}

/// Whether somebody can be asked.
pub fn can_ask(cli: &Cli) -> bool {
    !cli.no_input && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// The file that is meant.
///
/// # Errors
/// When there is none.
pub fn file(cli: &Cli) -> Result<PathBuf> {
    if let Some(file) = &cli.file {
        return Ok(file.clone());
    }
    let found = ["mail.yaml", "mailctl.yaml"].into_iter().map(PathBuf::from).find(|path| path.exists());
    found.ok_or_else(|| {
        Failure::new("there is no mail.yaml here")
            .hint("write one (README.md shows ten lines that do), or name another with -f FILE")
            .exit(Exit::Unsound)
    })
}

/// Reads and checks the file; contacts nothing. Mistakes are all drawn at once.
///
/// # Errors
/// When it is unsound or cannot be read.
pub fn config(cli: &Cli) -> Result<Config> {
    let path = file(cli)?;
    let name = path.display().to_string();
    let source = std::fs::read_to_string(&path).map_err(|e| {
        Failure::new(format!("{name} cannot be read")).because(e).hint("name another file with -f FILE").exit(Exit::Unsound)
    })?;
    let colour = paint_errors(cli);
    match config::load::read_at(&path, &source) {
        Ok(loaded) => {
            if !loaded.warnings.is_empty() && !cli.quiet {
                warn(diagnostic::draw(&name, &source, &loaded.warnings, colour).trim_end());
            }
            Ok(loaded.config)
        }
        Err(mistakes) => {
            warn(diagnostic::draw(&name, &source, &mistakes, colour).trim_end());
            let count = mistakes.iter().filter(|m| m.is_error()).count();
            let plural = if count == 1 { "mistake" } else { "mistakes" };
            Err(Failure::new(format!("{name} is unsound: {count} {plural}; nothing was contacted")).exit(Exit::Unsound))
        }
    }
}

fn paint_errors(cli: &Cli) -> bool {
    match cli.color {
        When::Always => true,
        When::Never => false,
        When::Auto => std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) && std::io::stderr().is_terminal(),
    }
}

/// Connects and opens the providers.
///
/// # Errors
/// When the server cannot be reached or a secret not be read.
pub fn world(cli: &Cli, config: &Config, vault: &Vault, reach: &Reach, runtime: &tokio::runtime::Runtime) -> Result<World> {
    let dns = {
        let _inside = runtime.enter();
        Dns::new(config.resolver)?
    };
    let zones = zones(config, vault, &dns)?;
    let remote = connect(cli, config, vault, reach)?;
    Ok(World { remote, zones, dns, apexes: named_apexes(config) })
}

/// Connects to the server.
///
/// # Errors
/// When it cannot be reached, or is not who it was.
pub fn connect(cli: &Cli, config: &Config, vault: &Vault, reach: &Reach) -> Result<Arc<dyn Remote>> {
    let target = Target::resolve(&config.host)?;
    let access = Access {
        accept_new_host_key: reach.accept_new_host_key,
        host_key: config.host.host_key.clone(),
        password: config.host.password.as_ref().map(|p| vault.secret(p)).transpose()?,
        ask: can_ask(cli).then(|| Arc::new(super::ask::Terminal) as Arc<dyn crate::remote::ssh::Ask>),
        ..Access::default()
    };
    let ssh = match &reach.wait {
        None => Ssh::connect(&target, &access)?,
        Some(limit) => {
            let limit = wait::parse_duration(limit).map_err(Failure::new)?;
            let mut tell = |text: &str| {
                if !cli.quiet {
                    warn(text);
                }
            };
            wait::connect_waiting(&target, &access, limit, &mut tell)?
        }
    };
    Ok(Arc::new(ssh))
}

fn zones(config: &Config, vault: &Vault, dns: &Dns) -> Result<BTreeMap<Holder, Arc<dyn Zone>>> {
    let mut zones: BTreeMap<Holder, Arc<dyn Zone>> = BTreeMap::new();
    zones.insert(Holder::Default, open(&config.dns, vault, dns).context("dns in mail.yaml")?);
    zones.insert(Holder::Ptr, open_ptr(&config.ptr, vault, dns).context("ptr in mail.yaml")?);
    for (name, domain) in &config.domains {
        if let Some(own) = &domain.dns {
            let zone = open(own, vault, dns).with_context(|| format!("domains.{name}.dns in mail.yaml"))?;
            zones.insert(Holder::Domain(name.0.clone()), zone);
        }
    }
    Ok(zones)
}

/// Where relative paths of a file begin.
pub fn base(path: &Path) -> PathBuf {
    path.parent().filter(|p| !p.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

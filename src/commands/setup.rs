//! What every verb that looks at the world needs: the file, the secrets, the
//! connection, the providers. The environment is read here and nowhere deeper.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::runtime::Runtime;

use super::ask::Terminal;
use crate::acme::{self, Authority};
use crate::apply::afterwards::Afterwards;
use crate::catalogue::{self, Kind};
use crate::check::{self, Choice};
use crate::cli::{Cli, Reach, When};
use crate::config::surroundings::Here;
use crate::config::{self, Config};
use crate::diagnostic;
use crate::dns::Dns;
use crate::failure::{Context, Exit, Failure, Result};
use crate::observe::{World, named_apexes};
use crate::remote::access::{Access, Ask};
use crate::remote::ssh::Ssh;
use crate::remote::target::Target;
use crate::remote::{Remote, wait};
use crate::render::{Document, Paint};
use crate::report::{Bars, JsonLines, Lines, Report, warn};
use crate::resource::Holder;
use crate::survey::survey;
use crate::vault::{self, Vault};
use crate::zone::{self, Settings, Zone};

/// Columns where there is no terminal to say so.
const WIDTH: usize = 120;
/// How long one question of the last step of an apply may take.
const LOOK: Duration = Duration::from_secs(30);

/// The server of mail.yaml, logged in to; nobody else is asked for anything.
pub struct Login {
    /// mail.yaml.
    pub config: Arc<Config>,
    /// Its secrets.
    pub vault: Arc<Vault>,
    /// The server.
    pub remote: Arc<dyn Remote>,
    /// The resolver and, through it, the authoritative servers.
    pub dns: Dns,
    /// Where waiting is done.
    pub runtime: Runtime,
}

impl Login {
    /// Reads the file and connects to its server.
    ///
    /// # Errors
    /// When the file is unsound, or the server cannot be reached.
    pub fn open(cli: &Cli, reach: &Reach) -> Result<Self> {
        Self::of(cli, Arc::new(config(cli)?), reach)
    }

    /// Connects for a configuration that is read already.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn of(cli: &Cli, config: Arc<Config>, reach: &Reach) -> Result<Self> {
        let vault = Arc::new(Vault::open(&config, Arc::new(Here)));
        let runtime = Runtime::new().context("no threads can be started")?;
        let (dns, remote) = {
            let _inside = runtime.enter();
            (
                Dns::new(config.resolver)?,
                connect(cli, &config, &vault, reach)?,
            )
        };
        Ok(Self {
            config,
            vault,
            remote,
            dns,
            runtime,
        })
    }
}

/// Everything that is open while a verb works.
pub struct Session {
    /// mail.yaml.
    pub config: Arc<Config>,
    /// Its secrets.
    pub vault: Arc<Vault>,
    /// The outside parties.
    pub world: World,
    /// Where waiting is done.
    pub runtime: Runtime,
}

impl Session {
    /// Reads the file and connects.
    ///
    /// # Errors
    /// When the file is unsound, a secret cannot be read or the server not be reached.
    pub fn open(cli: &Cli, reach: &Reach) -> Result<Self> {
        Self::of(cli, Arc::new(config(cli)?), reach)
    }

    /// Connects for a configuration that is read already.
    ///
    /// # Errors
    /// When a secret cannot be read or the server not be reached.
    pub fn of(cli: &Cli, config: Arc<Config>, reach: &Reach) -> Result<Self> {
        let vault = Arc::new(Vault::open(&config, Arc::new(Here)));
        let runtime = Runtime::new().context("no threads can be started")?;
        let world = {
            let _inside = runtime.enter();
            let dns = Dns::new(config.resolver)?;
            // Before connecting: a provider that is set up wrongly is told at once.
            let zones = zones(&config, &vault, &dns)?;
            World {
                remote: connect(cli, &config, &vault, reach)?,
                zones,
                dns,
                apexes: named_apexes(&config),
            }
        };
        Ok(Self {
            config,
            vault,
            world,
            runtime,
        })
    }

    /// Looks at the world and says what differs. Writes nothing.
    ///
    /// # Errors
    /// When a password cannot be read or the world not be looked at.
    pub fn plan(&self) -> Result<Document> {
        let passwords = vault::passwords(&self.vault, &self.config)?;
        let looked = survey(
            &self.world,
            &self.config,
            &passwords,
            OffsetDateTime::now_utc(),
        );
        Ok(Document::from(&self.runtime.block_on(looked)?.plan))
    }

    /// How the finished server is looked at.
    ///
    /// # Errors
    /// When the trust anchor of a private authority cannot be read.
    pub fn afterwards(&self) -> Result<Afterwards> {
        Ok(Afterwards {
            settings: check::Settings::new(OffsetDateTime::now_utc()).with(&self.config)?,
            choice: Choice {
                only: Vec::new(),
                skip: self.config.check.skip.clone(),
            },
            limit: LOOK,
        })
    }

    /// Who certifies.
    ///
    /// # Errors
    /// When the trust anchor cannot be read.
    pub fn authority(&self) -> Result<Authority> {
        let certificates = &self.config.certificates;
        let read = |path: &PathBuf| {
            std::fs::read(path)
                .with_context(|| format!("certificates.root, {}, cannot be read", path.display()))
        };
        Ok(Authority {
            directory: acme::directory_of(&certificates.authority).map_err(Failure::new)?,
            root_pem: certificates.root.as_ref().map(read).transpose()?,
            email: certificates.email.clone(),
        })
    }
}

/// Whether to colour what goes to standard output.
pub fn paint(cli: &Cli) -> Paint {
    Paint(coloured(cli, std::io::stdout().is_terminal()))
}

fn coloured(cli: &Cli, terminal: bool) -> bool {
    match cli.color {
        When::Always => true,
        When::Never => false,
        When::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
    }
}

/// How plain text looks here.
pub fn lines(cli: &Cli) -> Lines {
    let terminal = console::Term::stdout();
    let width = if terminal.is_term() {
        usize::from(terminal.size().1).clamp(60, 200)
    } else {
        WIDTH
    };
    Lines {
        paint: paint(cli),
        width,
        quiet: cli.quiet,
        verbose: cli.verbose > 0,
    }
}

/// Who is told what happens.
pub fn reporter(cli: &Cli) -> Arc<dyn Report> {
    if cli.json {
        Arc::new(JsonLines)
    } else if std::io::stdout().is_terminal() {
        Arc::new(Bars::new(lines(cli)))
    } else {
        Arc::new(lines(cli))
    }
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
    let found = ["mail.yaml", "mailctl.yaml"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.exists());
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
    read(cli, config::load::read)
}

/// The same for a rehearsal, which needs none of the file's secrets.
///
/// # Errors
/// When it is unsound or cannot be read.
pub fn config_to_rehearse(cli: &Cli) -> Result<Config> {
    read(cli, config::load::read_to_rehearse)
}

fn read(
    cli: &Cli,
    load: impl Fn(&str, &str) -> std::result::Result<config::load::Loaded, Vec<diagnostic::Diagnostic>>,
) -> Result<Config> {
    let name = file(cli)?.display().to_string();
    let source = std::fs::read_to_string(&name).map_err(|e| {
        Failure::new(format!("{name} cannot be read"))
            .because(e)
            .hint("name another file with -f FILE")
            .exit(Exit::Unsound)
    })?;
    let colour = coloured(cli, std::io::stderr().is_terminal());
    match load(&name, &source) {
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
            Err(Failure::new(format!(
                "{name} is unsound: {count} {plural}; nothing was contacted"
            ))
            .exit(Exit::Unsound))
        }
    }
}

fn connect(cli: &Cli, config: &Config, vault: &Vault, reach: &Reach) -> Result<Arc<dyn Remote>> {
    let target = Target::resolve(&config.host)?;
    let access = Access {
        accept_new_host_key: reach.accept_new_host_key,
        host_key: config.host.host_key.clone(),
        password: config
            .host
            .password
            .as_ref()
            .map(|p| vault.secret(p))
            .transpose()?,
        ask: can_ask(cli).then(|| Arc::new(Terminal) as Arc<dyn Ask>),
        ..Access::default()
    };
    let Some(limit) = &reach.wait else {
        return Ok(Arc::new(Ssh::connect(&target, &access)?));
    };
    let limit = wait::parse_duration(limit).map_err(Failure::new)?;
    let mut tell = |text: &str| {
        if !cli.quiet {
            warn(text);
        }
    };
    Ok(Arc::new(wait::connect_waiting(
        &target, &access, limit, &mut tell,
    )?))
}

fn zones(config: &Config, vault: &Vault, dns: &Dns) -> Result<BTreeMap<Holder, Arc<dyn Zone>>> {
    // One client for what is one account, whatever it is used for: connections
    // and the limit of their number are shared.
    let mut known: Vec<(String, Settings, Arc<dyn Zone>)> = Vec::new();
    let mut open = |kind, given: catalogue::Settings, place: &str| -> Result<Arc<dyn Zone>> {
        let filled = catalogue::filled(kind, given, &Here);
        let mut settings = Settings::default().keeping(zone::copies::directory());
        for (name, field) in filled.fields.iter() {
            settings = match field {
                config::Given::Text(text) => settings.with(name, text.as_str()),
                config::Given::Secret(secret) => settings.with(name, vault.secret(secret)?),
            };
        }
        if kind == Kind::Ptr && catalogue::ptr(&filled.provider).is_some_and(|e| e.api.is_some()) {
            return zone::open_ptr(&filled.provider, &settings, dns)
                .with_context(|| format!("`{place}` in mail.yaml cannot be used"));
        }
        let same = |(provider, of, _): &&(String, Settings, _)| {
            *provider == filled.provider && *of == settings
        };
        if let Some((.., zone)) = known.iter().find(same) {
            return Ok(zone.clone());
        }
        let zone = zone::open(&filled.provider, &settings, dns)
            .with_context(|| format!("`{place}` in mail.yaml cannot be used"))?;
        known.push((filled.provider, settings, zone.clone()));
        Ok(zone)
    };
    let mut zones: BTreeMap<Holder, Arc<dyn Zone>> = BTreeMap::new();
    zones.insert(
        Holder::Default,
        open(Kind::Dns, (&config.dns).into(), "dns")?,
    );
    zones.insert(Holder::Ptr, open(Kind::Ptr, (&config.ptr).into(), "ptr")?);
    for (name, domain) in &config.domains {
        if let Some(own) = &domain.dns {
            zones.insert(
                Holder::Domain(name.0.clone()),
                open(Kind::Dns, own.into(), &format!("domains.{name}.dns"))?,
            );
        }
    }
    Ok(zones)
}

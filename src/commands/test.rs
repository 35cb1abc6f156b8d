//! `mailctl test`: real mail through the server.

use std::time::Instant;

use time::OffsetDateTime;

use super::setup::Login;
use super::{apply, check};
use crate::check::{Outside, Report, Settings};
use crate::cli::{Cli, Format, Test};
use crate::config::{Config, HostName};
use crate::failure::{Exit, Failure, Result};
use crate::random;
use crate::remote::lock::{Around, Lock};
use crate::remote::wait;
use crate::report::{say, warn};
use crate::trial::addresses::Addresses;
use crate::trial::{Account, Trial, own, person};
use crate::vault;

/// Runs the verb.
///
/// # Errors
/// When the file is unsound, the server cannot be reached or is being changed
/// by another mailctl, or the test addresses cannot be made.
pub fn run(cli: &Cli, options: &Test) -> Result<Exit> {
    let limit = wait::parse_duration(&options.timeout).map_err(Failure::new)?;
    let people = people(options)?;
    let login = Login::open(cli, &options.reach)?;
    let accounts = accounts(&login, options)?;
    let domains = domains(&login.config, &accounts, options);
    let now = OffsetDateTime::now_utc();
    let mut settings = Settings::new(now).with(&login.config)?;
    if let Some(far) = &options.far {
        settings.far.clone_from(far);
    }
    if let Some(path) = &options.roots {
        settings = settings.trusting(path)?;
    }
    let outside = Outside::new(login.dns.clone(), settings);
    let addresses = Addresses::new(random::octets()?);
    let who = apply::holder(&apply::who(), now);
    // Kept until the end: it takes away what the test makes, also when this
    // process is killed.
    let (first, last) = (addresses.first(), addresses.last());
    let around = Around {
        first: &first,
        last: &last,
    };
    let lock = Lock::take_around(login.remote.as_ref(), &who, around)?;
    let begun = Instant::now();
    let verbose = cli.verbose > 0;
    let tell = move |text: &str| {
        if verbose {
            warn(&format!("{:>6.1} s  {text}", begun.elapsed().as_secs_f64()));
        }
    };
    let trial = Trial {
        config: &login.config,
        accounts,
        domains: domains.clone(),
        outside: &outside,
        remote: login.remote.as_ref(),
        certificate: own::certificate(login.remote.as_ref(), login.config.host_name())?,
        addresses: &addresses,
        people: &people,
        limit,
        tell: &tell,
    };
    let found = login.runtime.block_on(trial.run());
    drop(lock);
    let found = found?;
    let names = domains.iter().map(ToString::to_string).collect();
    let report = Report::new(names, found.findings);
    check::show(cli, options.format, &report, now)?;
    if !cli.json && options.format == Format::Text {
        for sent in found.people.iter().filter(|sent| sent.outcome.is_taken()) {
            say(&format!("\n{}", person::guide(sent).trim_end()));
        }
    }
    Ok(if report.fails() {
        Exit::Failed
    } else {
        Exit::Ok
    })
}

fn people(options: &Test) -> Result<Vec<String>> {
    let sound = |to: &&String| {
        let parts = to.rsplit_once('@');
        parts.is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'))
            && !to.contains(|c: char| c.is_whitespace() || c.is_control() || "<>".contains(c))
    };
    if let Some(bad) = options.to.iter().find(|to| !sound(to)) {
        return Err(
            Failure::new(format!("`{bad}` is no mail address")).hint("write --to you@example.com")
        );
    }
    Ok(options.to.clone())
}

/// The accounts that may send, or those of them that are named.
fn accounts(login: &Login, options: &Test) -> Result<Vec<Account>> {
    let mut passwords = vault::passwords(&login.vault, &login.config)?;
    let mut accounts = Vec::new();
    for (domain, wish) in &login.config.domains {
        for user in wish.users.iter().filter(|(_, user)| !user.receive_only) {
            let address = format!("{}@{domain}", user.0);
            accounts.push(Account {
                password: passwords.remove(&address),
                domain: domain.0.clone(),
                address,
            });
        }
    }
    if options.user.is_empty() {
        return Ok(accounts);
    }
    let named = |account: &Account| {
        let is = |name: &String| name.eq_ignore_ascii_case(&account.address);
        options.user.iter().any(is)
    };
    for name in &options.user {
        if !accounts
            .iter()
            .any(|a| name.eq_ignore_ascii_case(&a.address))
        {
            return Err(Failure::new(format!("no account `{name}` may send")).hint(
                "write it as user@domain, as in mail.yaml; receive_only accounts do not send",
            ));
        }
    }
    accounts.retain(named);
    Ok(accounts)
}

/// All domains, or those of the accounts that are named.
fn domains(config: &Config, accounts: &[Account], options: &Test) -> Vec<HostName> {
    let of_account = |domain: &&HostName| accounts.iter().any(|a| a.domain == domain.0);
    let all = config.domains.keys();
    if options.user.is_empty() {
        all.cloned().collect()
    } else {
        all.filter(of_account).cloned().collect()
    }
}

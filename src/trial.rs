//! Real mail through the server, and what a receiver makes of it: what
//! `mailctl test` finds.
//!
//! Each account submits to addresses that exist for one message only, and the
//! messages are fetched back as they were signed; a stranger delivers from
//! outside; what is forwarded is followed to the far server's answer. `doors`,
//! `post`, `addresses` and `fate` gather; the others judge what was gathered.

pub mod addresses;
mod answer;
pub mod doors;
pub mod fate;
pub mod forwarding;
pub mod inbound;
pub mod letters;
mod loopback;
pub mod own;
pub mod person;
pub mod post;
mod received;
pub mod signed;
pub mod submitted;

use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::task::block_in_place;

use self::addresses::Addresses;
use self::doors::Door;
use self::fate::{Fate, Sent};
use self::letters::Letter;
use self::person::ToPerson;
use self::post::Mail;
use crate::check::{Aspect, Finding, Outside};
use crate::config::{Config, HostName};
use crate::failure::Result;
use crate::maillog::Since;
use crate::record::Name;
use crate::remote::Remote;
use crate::secret::Secret;
use crate::submission::{Refusal, Secured};

/// What a trial can find.
pub const ASPECTS: &[&Aspect] = &[
    &submitted::TLS,
    &inbound::INBOUND,
    &submitted::SUBMITTED,
    &signed::DKIM,
    &signed::SPF,
    &signed::DMARC,
    &submitted::RECEIVED,
    &forwarding::CATCHALL,
    &person::TO,
];

/// Who writes from outside. The domain never exists (RFC 6761 section 6.4), so
/// that no SPF record forbids it and no report goes to anybody.
pub const STRANGER: &str = "test@mailctl.invalid";

/// An account of the server.
#[derive(Clone, Debug)]
pub struct Account {
    /// `user@domain`.
    pub address: String,
    /// Its domain.
    pub domain: Name,
    /// Its password, where it is known here.
    pub password: Option<Secret>,
}

/// What came of handing a message over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server took it.
    Taken(Secured),
    /// It did not.
    Refused(Refusal),
    /// It was not tried, for this reason.
    Untried(String),
}

impl Outcome {
    /// Whether the server took it.
    pub fn is_taken(&self) -> bool {
        matches!(self, Self::Taken(_))
    }
}

/// Everything that a trial needs.
pub struct Trial<'a> {
    /// mail.yaml.
    pub config: &'a Config,
    /// The accounts that send.
    pub accounts: Vec<Account>,
    /// The domains whose forwarding is looked at.
    pub domains: Vec<HostName>,
    /// The DNS, and the ports as seen from here.
    pub outside: &'a Outside,
    /// The server.
    pub remote: &'a dyn Remote,
    /// The certificate that the server has; passwords are given to whoever has that one, too.
    pub certificate: Vec<CertificateDer<'static>>,
    /// Where test messages go; the lock that is held takes them away.
    pub addresses: &'a Addresses,
    /// People that get a message.
    pub people: &'a [String],
    /// How long a message may be under way.
    pub limit: Duration,
    /// Who is told what is waited for.
    pub tell: &'a (dyn Fn(&str) + Sync),
}

/// What a trial found.
pub struct Found {
    /// What concerns the host, then each account, then forwarding and people.
    pub findings: Vec<Finding>,
    /// What was sent to people.
    pub people: Vec<ToPerson>,
}

impl Trial<'_> {
    /// Sends everything, waits for it, and judges it. Afterwards no test
    /// address is left.
    ///
    /// # Errors
    /// When the connection to the server is lost, its addresses cannot be
    /// found, or test addresses cannot be made or removed.
    pub async fn run(&self) -> Result<Found> {
        (self.tell)(&format!(
            "looking at the ports of {}",
            self.config.host_name()
        ));
        let doors = doors::ask(self.config, self.outside).await?;
        let mut letters = letters::letters(&self.accounts, &doors, self.addresses);
        if let Some(domain) = self.domains.first() {
            let next = letters.len() + 1;
            letters.extend(letters::strangers(&domain.0, &doors, self.addresses, next));
        }
        (self.tell)(&format!(
            "making {} addresses for test messages",
            letters.len()
        ));
        let since = block_in_place(|| fate::now(self.remote))?;
        block_in_place(|| self.addresses.make(self.remote, &wanted(&letters)))?;
        let exchanged = self.exchange(letters, &doors).await;
        let removed = block_in_place(|| self.addresses.remove(self.remote));
        let mut mail = exchanged?;
        removed?;
        self.follow(&mut mail, &since)?;
        let findings = self.judge(&doors, &mail).await?;
        Ok(Found {
            findings,
            people: mail.people,
        })
    }

    /// Looks into the log for what it alone knows.
    fn follow(&self, mail: &mut Mail, since: &Since) -> Result<()> {
        let lost = mail.posted.iter_mut().filter(|posted| posted.lost());
        let lost = lost.map(|posted| (posted.letter.sent(), &mut posted.fate));
        let forwards = mail.forwards.iter_mut();
        let forwards = forwards.map(|forward| (forward.sent(), &mut forward.fate));
        let people = mail.people.iter_mut();
        let people = people.map(|person| (person.sent(), &mut person.fate));
        let (sent, fates): (Vec<Sent>, Vec<&mut Fate>) = lost.chain(forwards).chain(people).unzip();
        if sent.is_empty() {
            return Ok(());
        }
        (self.tell)("following messages through the log");
        let found = block_in_place(|| fate::follow(self.remote, since, &sent, self.limit))?;
        for (fate, found) in fates.into_iter().zip(found) {
            *fate = found;
        }
        Ok(())
    }

    async fn judge(&self, doors: &[Door], mail: &Mail) -> Result<Vec<Finding>> {
        let limit = self.limit.as_secs();
        let mut findings = submitted::tls(self.config.host_name(), doors, &mail.posted);
        findings.extend(inbound::judge(doors, &mail.posted, limit));
        for (nth, account) in self.accounts.iter().enumerate() {
            let own = mail.posted.iter().filter(|p| p.letter.account == Some(nth));
            let own: Vec<_> = own.cloned().collect();
            let judged = signed::ask(self.config, self.outside, doors, account, &own).await?;
            findings.extend(submitted::submissions(account, doors, &own, limit));
            findings.extend(signed::judge(account, &judged));
            findings.extend(submitted::received(account, &own));
        }
        let forwards = mail.forwards.iter();
        findings.extend(forwards.map(|forward| forwarding::judge(forward, limit)));
        let people = mail.people.iter();
        findings.extend(people.map(|person| person::judge(person, limit)));
        Ok(findings)
    }
}

fn wanted(letters: &[Letter]) -> Vec<(usize, Name)> {
    let wanted = letters.iter();
    wanted
        .map(|letter| (letter.number, letter.domain.clone()))
        .collect()
}

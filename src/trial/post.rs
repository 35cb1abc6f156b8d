//! Handing the messages over, each by its way, and fetching those back that
//! went to test addresses.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{StreamExt, stream};
use tokio::task::block_in_place;

use super::doors::Door;
use super::fate::Fate;
use super::forwarding::{self, Forward, Forwarded, Inward};
use super::letters::Letter;
use super::person::{self, ToPerson};
use super::{Account, Outcome, STRANGER, Trial, loopback};
use crate::failure::Result;
use crate::message::Draft;
use crate::record::Name;
use crate::submission::{Refusal, Secured, Service};

/// How many accounts submit at once.
const AT_ONCE: usize = 4;

/// After so many refused logins no more are tried: servers ban those who guess.
const REFUSED_LOGINS: usize = 3;

/// A message to a test address, and whether it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// The message.
    pub letter: Letter,
    /// What came of handing it over.
    pub outcome: Outcome,
    /// The message as the server delivered it, where it came.
    pub message: Option<Vec<u8>>,
    /// What the log says of it, where it did not come.
    pub fate: Fate,
}

impl Posted {
    /// Not known to have come.
    pub fn new(letter: Letter, outcome: Outcome) -> Self {
        Self {
            letter,
            outcome,
            message: None,
            fate: Fate::default(),
        }
    }

    /// Whether the server took it, and it did not come.
    pub fn lost(&self) -> bool {
        self.outcome.is_taken() && self.message.is_none()
    }
}

/// Everything that was sent.
pub struct Mail {
    /// To test addresses.
    pub posted: Vec<Posted>,
    /// To what is forwarded.
    pub forwards: Vec<Forward>,
    /// To people.
    pub people: Vec<ToPerson>,
}

impl Trial<'_> {
    /// Hands everything over, and waits for what goes to test addresses.
    pub(super) async fn exchange(&self, letters: Vec<Letter>, doors: &[Door]) -> Result<Mail> {
        (self.tell)("handing messages over");
        let mut posted = self.submit(&letters).await?;
        posted.extend(self.deliver(&letters).await?);
        let mut forwards = Vec::new();
        for domain in &self.domains {
            let chosen = forwarding::forwarded(self.config, domain, self.addresses);
            if let Some(forwarded) = chosen {
                forwards.push(self.forward(forwarded, doors).await?);
            }
        }
        let people = self.write_to_people(&letters).await?;

        let taken = posted.iter().filter(|posted| posted.outcome.is_taken());
        let numbers: Vec<usize> = taken.map(|posted| posted.letter.number).collect();
        (self.tell)(&format!("waiting for {} messages", numbers.len()));
        let mut came =
            block_in_place(|| self.addresses.collect(self.remote, &numbers, self.limit))?;
        for posted in &mut posted {
            posted.message = came.remove(&posted.letter.number);
        }
        Ok(Mail {
            posted,
            forwards,
            people,
        })
    }

    /// The server as a mail program finds it.
    fn submission(&self, address: IpAddr) -> Result<Service> {
        let host = self.config.host_name().as_str();
        let ehlo = &self.outside.settings.ehlo;
        let (roots, own) = (self.outside.roots(), self.certificate.clone());
        Service::knowing(address, host, ehlo, roots, own)
    }

    /// The server as other servers find it.
    fn exchange_at(&self, address: IpAddr) -> Result<Service> {
        let host = self.config.host_name().as_str();
        Service::opportunistic(address, host, &self.outside.settings.ehlo)
    }

    /// Every account submits its messages, one after the other.
    async fn submit(&self, letters: &[Letter]) -> Result<Vec<Posted>> {
        let refused = AtomicUsize::new(0);
        let accounts = self.accounts.iter().enumerate().map(|(nth, account)| {
            let own = letters
                .iter()
                .filter(move |letter| letter.account == Some(nth));
            self.submit_as(account, own, &refused)
        });
        let all: Vec<_> = stream::iter(accounts).buffered(AT_ONCE).collect().await;
        let all: Result<Vec<Vec<Posted>>> = all.into_iter().collect();
        Ok(all?.into_iter().flatten().collect())
    }

    async fn submit_as(
        &self,
        account: &Account,
        letters: impl Iterator<Item = &Letter>,
        refused: &AtomicUsize,
    ) -> Result<Vec<Posted>> {
        let mut posted: Vec<Posted> = Vec::new();
        let of_login = |outcome: &Outcome| matches!(outcome, Outcome::Refused(Refusal::Login(_)));
        for letter in letters {
            let before = if posted.iter().any(|p| of_login(&p.outcome)) {
                Some("the password was refused already, and servers ban those who guess")
            } else if refused.load(Ordering::Relaxed) >= REFUSED_LOGINS {
                Some("too many passwords were refused, and servers ban those who guess")
            } else {
                None
            };
            let outcome = match before {
                Some(why) => Outcome::Untried(why.into()),
                None => {
                    let subject = format!("A test of port {}", letter.port);
                    self.submit_one(account, letter, letter.number, &letter.to, &subject)
                        .await?
                }
            };
            if of_login(&outcome) {
                refused.fetch_add(1, Ordering::Relaxed);
            }
            posted.push(Posted::new(letter.clone(), outcome));
        }
        Ok(posted)
    }

    /// One account submits one message by the way of a letter.
    async fn submit_one(
        &self,
        account: &Account,
        way: &Letter,
        number: usize,
        to: &str,
        subject: &str,
    ) -> Result<Outcome> {
        let Some(password) = &account.password else {
            return Ok(Outcome::Untried("its password is not known here".into()));
        };
        let from = account.address.as_str();
        let draft = Draft {
            from,
            to,
            subject,
            text: "mailctl sends this through your mail server, to see whether its mail arrives, and is signed and found authentic on the way.",
            date: self.outside.settings.now,
            id: &self.addresses.message_id(number),
        };
        let service = self.submission(way.address)?;
        let (login, message) = ((from, password), draft.compose()?);
        let sent = service
            .try_submit(way.port, login, from, &[to], &message)
            .await;
        Ok(outcome(sent))
    }

    /// A stranger delivers to the test addresses.
    async fn deliver(&self, letters: &[Letter]) -> Result<Vec<Posted>> {
        let mut posted = Vec::new();
        for letter in letters.iter().filter(|letter| letter.account.is_none()) {
            let message = self.strangers_message(&letter.to, letter.number)?;
            let service = self.exchange_at(letter.address)?;
            let sent = service.try_deliver(STRANGER, &[&letter.to], &message).await;
            posted.push(Posted::new(letter.clone(), outcome(sent)));
        }
        Ok(posted)
    }

    /// A stranger's message to what is forwarded: from here where port 25 can
    /// be reached from here, else on the server itself.
    async fn forward(&self, forwarded: Forwarded, doors: &[Door]) -> Result<Forward> {
        let message = self.strangers_message(&forwarded.address, 0)?;
        let to = forwarded.address.as_str();
        let mut gates = doors.iter().filter(|door| door.port == 25);
        let (sent, inward) = if let Some(door) = gates.clone().find(|door| door.open()) {
            let service = self.exchange_at(door.address)?;
            let sent = service.try_deliver(STRANGER, &[to], &message).await;
            (sent, Inward::Outside)
        } else {
            let why = gates.find_map(Door::closed).unwrap_or_default().to_owned();
            let sent = block_in_place(|| loopback::deliver(self.remote, STRANGER, to, &message))?;
            (sent, Inward::Inside(why))
        };
        Ok(Forward {
            outcome: outcome(sent),
            forwarded,
            inward,
            fate: Fate::default(),
        })
    }

    /// The author is of the domain itself: that is what a far server goes by
    /// which does not know the stranger, and forwarding makes it pass.
    fn strangers_message(&self, to: &str, number: usize) -> Result<Vec<u8>> {
        let draft = Draft {
            from: to,
            to,
            subject: "A test of mail from outside",
            text: "mailctl delivered this to your mail server as a stranger would, to see whether it reaches you.",
            date: self.outside.settings.now,
            id: &self.addresses.message_id(number),
        };
        draft.compose()
    }

    /// Each domain's first account that can send writes to each person.
    async fn write_to_people(&self, letters: &[Letter]) -> Result<Vec<ToPerson>> {
        let mut people = Vec::new();
        let mut seen: Vec<&Name> = Vec::new();
        let able = |(_, account): &(usize, &Account)| account.password.is_some();
        for (nth, account) in self.accounts.iter().enumerate().filter(able) {
            if self.people.is_empty() || seen.contains(&&account.domain) {
                continue;
            }
            seen.push(&account.domain);
            let way = letters.iter().find(|letter| letter.account == Some(nth));
            for to in self.people {
                // No two messages have one Message-ID.
                let number = letters.len() + 1 + people.len();
                let outcome = match way {
                    Some(way) => {
                        self.submit_one(account, way, number, to, person::SUBJECT)
                            .await?
                    }
                    None => {
                        Outcome::Untried("no port of submission can be reached from here".into())
                    }
                };
                people.push(ToPerson {
                    from: account.address.clone(),
                    to: to.clone(),
                    outcome,
                    fate: Fate::default(),
                });
            }
        }
        Ok(people)
    }
}

fn outcome(sent: Result<Secured, Refusal>) -> Outcome {
    match sent {
        Ok(secured) => Outcome::Taken(secured),
        Err(refusal) => Outcome::Refused(refusal),
    }
}

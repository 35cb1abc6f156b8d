//! Real mail through the server, and what a receiver makes of it: what
//! `mailctl test` finds.
//!
//! Each account submits to addresses that exist for one message only, and the
//! messages are fetched back as they were signed; a stranger delivers from
//! outside; what is forwarded is followed to the far server's answer. Gathering
//! is done here; each file below judges one thing of what was gathered.

pub mod addresses;
pub mod fate;
pub mod forwarding;
pub mod inbound;
pub mod letters;
mod loopback;
pub mod person;
mod received;
pub mod signed;
pub mod submitted;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, future, stream};
use tokio::task::block_in_place;

use self::addresses::Addresses;
use self::fate::{Fate, Sent};
use self::forwarding::{Forwarded, Inward};
use self::letters::{Door, Letter, SUBMISSION};
use self::person::ToPerson;
use self::signed::Judged;
use crate::check::wire::Reach;
use crate::check::{Finding, Outside};
use crate::config::{Config, HostName, Ipv6Wish};
use crate::failure::{Context, Failure, Result};
use crate::message::{self, Draft, Envelope};
use crate::record::Name;
use crate::remote::Remote;
use crate::secret::Secret;
use crate::submission::{Refusal, Secured, Service};

/// Who writes from outside. The domain never exists (RFC 6761 section 6.4), so
/// that no SPF record forbids it and no report goes to anybody.
pub const STRANGER: &str = "test@mailctl.invalid";

/// How many conversations with the server go on at once.
const AT_ONCE: usize = 4;

/// After so many refused logins no more are tried: servers ban those who guess.
const REFUSED_LOGINS: usize = 3;

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

/// A message to one of the test addresses, and whether it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Its number.
    pub number: usize,
    /// The account's place in the list; of a stranger's it says nothing.
    pub account: usize,
    /// The address of the host that it was handed to.
    pub address: IpAddr,
    /// And the port.
    pub port: u16,
    /// What came of that.
    pub outcome: Outcome,
    /// The message as the server delivered it, where it came.
    pub message: Option<Vec<u8>>,
    /// What the log says of it, where it did not come.
    pub fate: Option<Fate>,
}

impl Posted {
    /// Whether the server took it.
    pub fn taken(&self) -> bool {
        self.outcome.is_taken()
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
    /// By account, then what concerns the host, then forwarding and people.
    pub findings: Vec<Finding>,
    /// What was sent to people.
    pub people: Vec<ToPerson>,
}

/// A forwarded message, and how it got in.
struct Forward {
    forwarded: Forwarded,
    outcome: Outcome,
    inward: Inward,
}

impl Trial<'_> {
    /// Sends everything, waits for it, and judges it. Afterwards no test
    /// address is left.
    ///
    /// # Errors
    /// When the connection to the server is lost, its addresses cannot be
    /// found, or test addresses cannot be made or removed.
    pub async fn run(&self) -> Result<Found> {
        let host = self.config.host_name();
        (self.tell)(&format!("looking at the ports of {host}"));
        let own = self.own_addresses().await?;
        let doors = self.doors(&own).await;
        let letters = letters::letters(&self.accounts, &doors);
        let strangers = self.strangers(&doors, letters.len());

        (self.tell)(&format!(
            "making {} addresses for test messages",
            letters.len() + strangers.len()
        ));
        let since = block_in_place(|| fate::now(self.remote))?;
        let wanted: Vec<(usize, Name)> = self.test_domains(&letters, &strangers);
        block_in_place(|| self.addresses.make(self.remote, &wanted))?;
        let exchanged = self.exchange(&doors, letters, strangers).await;
        let removed = block_in_place(|| self.addresses.remove(self.remote));
        let (mut posted, inbound, forwards, mut people) = exchanged?;
        removed?;

        let lost = |p: &&mut Posted| p.taken() && p.message.is_none();
        let mut inbound = inbound;
        let mut lost: Vec<&mut Posted> =
            posted.iter_mut().chain(&mut inbound).filter(lost).collect();
        let sent = self.sent(&lost, &forwards, &people, &wanted);
        let fates = if sent.is_empty() {
            Vec::new()
        } else {
            (self.tell)("following messages through the log");
            block_in_place(|| fate::follow(self.remote, &since, &sent, self.limit))?
        };
        let mut fates = fates.into_iter();
        for posted in &mut lost {
            posted.fate = fates.next();
        }
        let forward_fates: Vec<Fate> = fates.by_ref().take(forwards.len()).collect();
        for (person, fate) in people.iter_mut().zip(fates) {
            person.fate = fate;
        }

        let judged = self.judged(&posted, &own).await?;
        let limit = self.limit.as_secs();
        let mut findings = submitted::tls(host, &doors, &posted);
        findings.extend(inbound::judge(&doors, &inbound, limit));
        for (nth, account) in self.accounts.iter().enumerate() {
            let of: Vec<Posted> = posted
                .iter()
                .filter(|p| p.account == nth)
                .cloned()
                .collect();
            findings.extend(submitted::submissions(account, &doors, &of, limit));
            let messages = judged.get(&nth).map(Vec::as_slice).unwrap_or_default();
            findings.extend(signed::judge(account, messages));
            findings.extend(submitted::received(account, &of));
        }
        for (forward, fate) in forwards.iter().zip(&forward_fates) {
            let Forward {
                forwarded,
                outcome,
                inward,
            } = forward;
            findings.push(forwarding::judge(forwarded, outcome, inward, fate, limit));
        }
        findings.extend(people.iter().map(|person| person::judge(person, limit)));
        Ok(Found { findings, people })
    }

    /// The addresses of the host: what the DNS says of it, and what mail.yaml does.
    async fn own_addresses(&self) -> Result<Vec<IpAddr>> {
        let host = self.config.host_name();
        let known = self.outside.addresses(host).await;
        let mut addresses = known.map_err(|why| {
            Failure::new(format!("the addresses of {host} cannot be looked up"))
                .because(why)
                .hint("is `resolver` in mail.yaml, or /etc/resolv.conf, right?")
        })?;
        let wish = &self.config.host;
        let six = match wish.ipv6 {
            Some(Ipv6Wish::Address(address, _)) => Some(IpAddr::from(address)),
            _ => None,
        };
        for address in wish.ipv4.map(IpAddr::from).into_iter().chain(six) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            return Err(Failure::new(format!("{host} has no address in the DNS"))
                .hint("run `mailctl apply`: it publishes them"));
        }
        addresses.sort_by_key(|address| (address.is_ipv6(), *address));
        Ok(addresses)
    }

    async fn doors(&self, own: &[IpAddr]) -> Vec<Door> {
        let host = self.config.host_name();
        let places = own
            .iter()
            .flat_map(|address| [25, SUBMISSION[0], SUBMISSION[1]].map(|port| (*address, port)));
        future::join_all(places.map(|(address, port)| async move {
            let seen = self.outside.port(host, address, port).await;
            Door {
                address,
                port,
                reach: seen.reach.clone(),
            }
        }))
        .await
    }

    /// A stranger's message for each address whose port 25 is open from here.
    fn strangers(&self, doors: &[Door], before: usize) -> Vec<Letter> {
        let open = doors.iter().filter(|door| door.port == 25 && door.open());
        let numbered = open.zip(before + 1..);
        numbered
            .map(|(door, number)| Letter {
                number,
                account: 0,
                address: door.address,
                port: 25,
            })
            .collect()
    }

    /// Which test addresses there are to be: an account's in its own domain.
    fn test_domains(&self, letters: &[Letter], strangers: &[Letter]) -> Vec<(usize, Name)> {
        let own = letters
            .iter()
            .map(|letter| (letter.number, self.accounts[letter.account].domain.clone()));
        let first = self.domains.first().map(|domain| domain.0.clone());
        let outside = strangers
            .iter()
            .filter_map(|letter| Some((letter.number, first.clone()?)));
        own.chain(outside).collect()
    }

    async fn exchange(
        &self,
        doors: &[Door],
        letters: Vec<Letter>,
        strangers: Vec<Letter>,
    ) -> Result<(Vec<Posted>, Vec<Posted>, Vec<Forward>, Vec<ToPerson>)> {
        (self.tell)("handing messages over");
        let mut posted = self.submit(&letters).await?;
        let mut inbound = self.deliver(&strangers).await?;
        let mut forwards = Vec::new();
        for domain in &self.domains {
            let chosen = forwarding::forwarded(self.config, domain, self.addresses);
            if let Some(forwarded) = chosen {
                forwards.push(self.forward(forwarded, doors).await?);
            }
        }
        let people = self.write_to_people(&letters).await?;

        let taken = posted.iter().chain(&inbound).filter(|p| p.taken());
        let numbers: Vec<usize> = taken.map(|p| p.number).collect();
        (self.tell)(&format!("waiting for {} messages", numbers.len()));
        let mut messages =
            block_in_place(|| self.addresses.collect(self.remote, &numbers, self.limit))?;
        for posted in posted.iter_mut().chain(&mut inbound) {
            posted.message = messages.remove(&posted.number);
        }
        Ok((posted, inbound, forwards, people))
    }

    fn service(&self, address: IpAddr) -> Result<Service> {
        let host = self.config.host_name().as_str();
        let ehlo = &self.outside.settings.ehlo;
        Service::trusting(address, host, ehlo, self.outside.roots())
    }

    /// Every account submits its messages, one after the other.
    async fn submit(&self, letters: &[Letter]) -> Result<Vec<Posted>> {
        let refused = AtomicUsize::new(0);
        let accounts = self.accounts.iter().enumerate().map(|(nth, account)| {
            let letters = letters.iter().filter(move |letter| letter.account == nth);
            self.submit_as(account, letters, &refused)
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
        for letter in letters {
            let wrong = posted
                .iter()
                .any(|p| matches!(p.outcome, Outcome::Refused(Refusal::Login(_))));
            let outcome = if wrong {
                Outcome::Untried(
                    "the password was refused already, and servers ban those who guess".into(),
                )
            } else if refused.load(Ordering::Relaxed) >= REFUSED_LOGINS {
                Outcome::Untried(
                    "too many passwords were refused, and servers ban those who guess".into(),
                )
            } else {
                let to = self.addresses.address(letter.number, &account.domain);
                let subject = format!("A test of port {}", letter.port);
                self.submit_one(account, letter, &to, &subject).await?
            };
            if matches!(outcome, Outcome::Refused(Refusal::Login(_))) {
                refused.fetch_add(1, Ordering::Relaxed);
            }
            posted.push(of(letter, outcome));
        }
        Ok(posted)
    }

    async fn submit_one(
        &self,
        account: &Account,
        letter: &Letter,
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
            id: &self.addresses.message_id(letter.number),
        };
        let message = draft.compose()?;
        let service = self.service(letter.address)?;
        let sent = service
            .try_submit(letter.port, (from, password), from, &[to], &message)
            .await;
        Ok(outcome(sent))
    }

    /// A stranger delivers to the test addresses.
    async fn deliver(&self, strangers: &[Letter]) -> Result<Vec<Posted>> {
        let Some(domain) = self.domains.first() else {
            return Ok(Vec::new());
        };
        let mut posted = Vec::new();
        for letter in strangers {
            let to = self.addresses.address(letter.number, &domain.0);
            let message = self.from_outside(&to, letter.number)?;
            let service = self.service(letter.address)?;
            let sent = service.try_deliver(STRANGER, &[&to], &message).await;
            posted.push(of(letter, outcome(sent)));
        }
        Ok(posted)
    }

    /// A stranger's message to what is forwarded: from here where port 25 can
    /// be reached from here, else on the server itself.
    async fn forward(&self, forwarded: Forwarded, doors: &[Door]) -> Result<Forward> {
        let message = self.from_outside(&forwarded.address, 0)?;
        let mut gates = doors.iter().filter(|door| door.port == 25);
        if let Some(door) = gates.clone().find(|door| door.open()) {
            let to = forwarded.address.as_str();
            let sent = self
                .service(door.address)?
                .try_deliver(STRANGER, &[to], &message)
                .await;
            return Ok(Forward {
                outcome: outcome(sent),
                inward: Inward::Outside,
                forwarded,
            });
        }
        let why = gates.find_map(|door| match &door.reach {
            Reach::Refused(why) | Reach::Silent(why) | Reach::Unknown(why) => Some(why.clone()),
            Reach::Open => None,
        });
        let to = &forwarded.address;
        let sent = block_in_place(|| loopback::deliver(self.remote, STRANGER, to, &message))?;
        Ok(Forward {
            outcome: match sent {
                Ok(()) => Outcome::Taken(Secured {
                    version: String::new(),
                }),
                Err(refusal) => Outcome::Refused(refusal),
            },
            inward: Inward::Inside(why.unwrap_or_default()),
            forwarded,
        })
    }

    /// The author is of the domain itself: it is what a far server goes by
    /// that does not know the stranger, and forwarding makes it pass.
    fn from_outside(&self, to: &str, number: usize) -> Result<Vec<u8>> {
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

    /// Each domain's first account that could send writes to each person.
    async fn write_to_people(&self, letters: &[Letter]) -> Result<Vec<ToPerson>> {
        let mut people = Vec::new();
        let mut seen: Vec<&Name> = Vec::new();
        for account in self.accounts.iter().filter(|a| a.password.is_some()) {
            if self.people.is_empty() || seen.contains(&&account.domain) {
                continue;
            }
            seen.push(&account.domain);
            let way = letters
                .iter()
                .find(|letter| self.accounts[letter.account].address == account.address);
            for to in self.people {
                let outcome = match way {
                    Some(way) => self.submit_one(account, way, to, person::SUBJECT).await?,
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

    /// What is looked for in the log, in the order of the arguments.
    fn sent(
        &self,
        lost: &[&mut Posted],
        forwards: &[Forward],
        people: &[ToPerson],
        made: &[(usize, Name)],
    ) -> Vec<Sent> {
        let address = |posted: &Posted| {
            let (number, domain) = made.iter().find(|(number, _)| *number == posted.number)?;
            Some(self.addresses.address(*number, domain))
        };
        let lost = lost.iter().map(|posted| Sent {
            from: match posted.port {
                25 => STRANGER.into(),
                _ => self.accounts[posted.account].address.clone(),
            },
            to: address(posted).unwrap_or_default(),
        });
        let forwards = forwards.iter().map(|forward| Sent {
            from: STRANGER.into(),
            to: forward.forwarded.address.clone(),
        });
        let people = people.iter().map(|person| Sent {
            from: person.from.clone(),
            to: person.to.clone(),
        });
        lost.chain(forwards).chain(people).collect()
    }

    /// Every message that came back, judged as if it left from each address of
    /// the host; by account.
    async fn judged(
        &self,
        posted: &[Posted],
        own: &[IpAddr],
    ) -> Result<BTreeMap<usize, Vec<Judged>>> {
        let mut judged: BTreeMap<usize, Vec<Judged>> = BTreeMap::new();
        let sending: Vec<IpAddr> = own
            .iter()
            .copied()
            .filter(|ip| ip.is_ipv4() || self.config.host.ipv6 != Some(Ipv6Wish::None))
            .collect();
        for posted in posted {
            let Some(message) = &posted.message else {
                continue;
            };
            let from = &self.accounts[posted.account].address;
            let mut by_address = Judged::new();
            for ip in &sending {
                let envelope = Envelope {
                    ip: *ip,
                    helo: self.config.host_name().as_str(),
                    mail_from: from,
                };
                let resolver = self.outside.dns.resolver()?;
                let verdicts = message::judge(message, envelope, resolver).await;
                by_address.insert(*ip, verdicts.context("judging a message failed")?);
            }
            judged.entry(posted.account).or_default().push(by_address);
        }
        Ok(judged)
    }
}

fn of(letter: &Letter, outcome: Outcome) -> Posted {
    Posted {
        number: letter.number,
        account: letter.account,
        address: letter.address,
        port: letter.port,
        outcome,
        message: None,
        fate: None,
    }
}

fn outcome(sent: Result<Secured, Refusal>) -> Outcome {
    match sent {
        Ok(secured) => Outcome::Taken(secured),
        Err(refusal) => Outcome::Refused(refusal),
    }
}

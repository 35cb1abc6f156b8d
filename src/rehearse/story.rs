//! What a rehearsal does with the server once it is applied, and the verdicts
//! that come of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;

use super::World;
use super::far::Received;
use super::mapping::ONLY;
use crate::config::{Config, Ipv6Wish};
use crate::dns::Dns;
use crate::failure::{Context, Failure, Result};
use crate::message::{self, Draft, Envelope, Outcome, Verdicts};
use crate::record::{Name, RType, RrsetKey};
use crate::secret::Secret;
use crate::submission::Service;

/// How long a message may be under way.
const DELIVERY: Duration = Duration::from_secs(60);
/// How far servers call themselves.
const STRANGER: &str = "mx.stranger.example";

/// One answer of the report.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// What it is about.
    pub subject: String,
    /// Whether it is as it should be.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
}

/// Pass, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Pass,
    /// Not so.
    Fail,
}

impl Answer {
    /// An answer from a finding: what was found, or what went wrong.
    pub fn of(subject: impl Into<String>, found: Result<String>) -> Self {
        let subject = subject.into();
        match found {
            Ok(found) => Self {
                subject,
                verdict: Verdict::Pass,
                found,
            },
            Err(failure) => Self {
                subject,
                verdict: Verdict::Fail,
                found: failure.chain(),
            },
        }
    }
}

/// What is needed to look at a server in its world.
pub struct Stage<'a> {
    /// The world.
    pub world: &'a World,
    /// mail.yaml, mapped onto it.
    pub config: &'a Config,
    /// Passwords by `user@domain`.
    pub passwords: &'a BTreeMap<String, Secret>,
    /// The world's DNS.
    pub dns: &'a Dns,
}

/// An address and its password.
type Login<'a> = (&'a str, &'a Secret);
/// The port to submit to, the receiver's domain, and the address that mail to it must come from.
type Route = (u16, &'static str, IpAddr);

impl Stage<'_> {
    /// Looks at everything once.
    ///
    /// # Errors
    /// Only when the stage itself is broken; what is wrong with the server is an answer.
    pub async fn look(&self) -> Result<Vec<Answer>> {
        let mut answers = Vec::new();
        for address in self.addresses() {
            answers.push(Answer::of(
                format!("service over {}", family(address)),
                self.greetings(address).await,
            ));
            answers.push(Answer::of(
                format!("PTR of {address}"),
                self.forward_confirmed(address).await,
            ));
            answers.push(Answer::of(
                format!("relaying over {}", family(address)),
                self.refuses_to_relay(address).await,
            ));
        }
        for ((user, password), receiver) in self.senders() {
            answers.extend(self.submitted(user, password, receiver).await);
        }
        answers.extend(self.forwarded().await);
        Ok(answers)
    }

    fn addresses(&self) -> Vec<IpAddr> {
        let v6 =
            (self.config.host.ipv6 != Some(Ipv6Wish::None)).then(|| IpAddr::V6(self.world.ipv6()));
        std::iter::once(IpAddr::V4(self.world.ipv4()))
            .chain(v6)
            .collect()
    }

    fn service(&self, address: IpAddr) -> Result<Service> {
        let roots = self.world.authority().issuing_root().as_bytes();
        Service::new(address, self.config.host_name().as_str(), STRANGER, roots)
    }

    /// Every domain's first account that may log in, to a receiver of each family.
    fn senders(&self) -> Vec<(Login<'_>, Route)> {
        let mut senders = Vec::new();
        for domain in self.config.domains.keys() {
            let at = format!("@{domain}");
            let first = self
                .passwords
                .iter()
                .find(|(address, _)| address.ends_with(&at));
            for address in self.addresses() {
                let (port, receiver) = if address.is_ipv4() {
                    (587, ONLY[0])
                } else {
                    (465, ONLY[1])
                };
                senders.extend(first.map(|(user, password)| {
                    ((user.as_str(), password), (port, receiver, address))
                }));
            }
            if self.addresses().len() == 1 {
                senders.extend(first.map(|(user, password)| {
                    (
                        (user.as_str(), password),
                        (465, ONLY[0], self.addresses()[0]),
                    )
                }));
            }
        }
        senders
    }

    async fn greetings(&self, address: IpAddr) -> Result<String> {
        let service = self.service(address)?;
        for port in [25, 465, 587] {
            let greeting = service.greeting(port).await?;
            if !greeting.contains(self.config.host_name().as_str()) {
                return Err(Failure::new(format!(
                    "port {port} calls itself `{greeting}`"
                )));
            }
        }
        Ok(format!(
            "{} answers on 25, 465 and 587 as {}",
            address,
            self.config.host_name()
        ))
    }

    async fn forward_confirmed(&self, address: IpAddr) -> Result<String> {
        let host = self.config.host_name();
        let reverse = self
            .dns
            .resolve(&RrsetKey::new(Name::reverse(address), RType::Ptr))
            .await?;
        let rtype = if address.is_ipv4() {
            RType::A
        } else {
            RType::Aaaa
        };
        let forward = self
            .dns
            .resolve(&RrsetKey::new(host.clone(), rtype))
            .await?;
        if !reverse.values.contains(&host.fqdn()) || !forward.values.contains(&address.to_string())
        {
            return Err(Failure::new(format!(
                "PTR is {:?}, {host} is {:?}",
                reverse.values, forward.values
            )));
        }
        Ok(format!("{host}, which is {address} again"))
    }

    async fn refuses_to_relay(&self, address: IpAddr) -> Result<String> {
        let (code, text) = self
            .service(address)?
            .try_recipient("somebody@stranger.example", "victim@nowhere.invalid")
            .await?;
        let said = format!("a stranger is told {code} {}", text.trim());
        if code >= 400 {
            Ok(said)
        } else {
            Err(Failure::new(said))
        }
    }

    /// Submits as `user` and judges what the receiver gets.
    async fn submitted(
        &self,
        user: &str,
        password: &Secret,
        (port, receiver, from): (u16, &str, IpAddr),
    ) -> Vec<Answer> {
        let subject = format!("{user} by {port} to a receiver on {}", family(from));
        let received = match self.send(user, password, port, receiver).await {
            Ok(received) => received,
            Err(failure) => return vec![Answer::of(subject, Err(failure))],
        };
        let tls = match &received.tls {
            Some(version) => Ok(format!(
                "accepted, received over {version} from {}",
                received.peer.ip()
            )),
            None => Err(Failure::new(format!(
                "received without TLS from {}",
                received.peer.ip()
            ))),
        };
        let mut answers = vec![Answer::of(subject, tls)];
        let source = if received.peer.ip().to_canonical() == from {
            Ok(format!(
                "{from}, the address that has the PTR; EHLO {}",
                received.ehlo
            ))
        } else {
            Err(Failure::new(format!(
                "{} instead of {from}",
                received.peer.ip()
            )))
        };
        answers.push(Answer::of(
            format!("  source over {}", family(from)),
            source,
        ));
        match self.judge(&received).await {
            Ok(verdicts) => answers.extend(judged(&verdicts)),
            Err(failure) => answers.push(Answer::of("  judgement", Err(failure))),
        }
        answers
    }

    async fn send(
        &self,
        user: &str,
        password: &Secret,
        port: u16,
        receiver: &str,
    ) -> Result<Received> {
        let service = self.service(if receiver == ONLY[0] {
            self.world.ipv4().into()
        } else {
            self.world.ipv6().into()
        })?;
        let id = format!("rehearsal.{}.{port}", user.replace('@', "."));
        let to = format!("reader@{receiver}");
        let draft = Draft {
            from: user,
            to: &to,
            subject: "A rehearsal of mailctl",
            text: "This message was submitted with a password and signed on the way.",
            date: OffsetDateTime::now_utc(),
            id: &id,
        };
        service
            .submit(port, (user, password), user, &[&to], &draft.compose()?)
            .await?;
        self.arrived(&id).await
    }

    async fn arrived(&self, id: &str) -> Result<Received> {
        let far = self.world.far();
        let wanted = |message: &Received| message.text().contains(id);
        let received = tokio::task::block_in_place(|| far.wait_for(wanted, DELIVERY));
        received.ok_or_else(|| {
            Failure::new(format!(
                "the message did not arrive within {} s",
                DELIVERY.as_secs()
            ))
        })
    }

    async fn judge(&self, received: &Received) -> Result<Verdicts> {
        let envelope = Envelope {
            ip: received.peer.ip().to_canonical(),
            helo: &received.ehlo,
            mail_from: &received.mail_from,
        };
        message::judge(&received.data, envelope, self.dns.resolver()?)
            .await
            .context("judging the message failed")
    }

    /// A stranger writes to what is forwarded: the catch-all where there is one.
    async fn forwarded(&self) -> Vec<Answer> {
        let mut answers = Vec::new();
        for (domain, wish) in &self.config.domains {
            let Some((local, to)) = wish
                .forward
                .get_key_value("*")
                .or_else(|| wish.forward.iter().next())
            else {
                continue;
            };
            let address = if local == "*" {
                format!("anything-at-all@{domain}")
            } else {
                format!("{local}@{domain}")
            };
            for from in self.addresses() {
                let subject = format!("{address} over {}, forwarded", family(from));
                let far =
                    to.0.iter()
                        .filter(|a| !self.is_own(a))
                        .cloned()
                        .collect::<Vec<_>>();
                if !far.is_empty() {
                    answers.push(Answer::of(
                        subject,
                        self.forwarded_to(&address, &far, from).await,
                    ));
                }
            }
        }
        answers
    }

    fn is_own(&self, address: &str) -> bool {
        let domain = address
            .rsplit_once('@')
            .map(|(_, domain)| domain.to_ascii_lowercase());
        self.config
            .domains
            .keys()
            .any(|d| Some(d.to_string()) == domain)
    }

    async fn forwarded_to(&self, address: &str, far: &[String], from: IpAddr) -> Result<String> {
        let id = format!(
            "from-outside.{}.{}",
            address.replace('@', "."),
            family(from)
        );
        let draft = Draft {
            from: "friend@stranger.example",
            to: address,
            subject: "A letter from outside",
            text: "Hello! This should reach you wherever you read your mail.",
            date: OffsetDateTime::now_utc(),
            id: &id,
        };
        self.service(from)?
            .deliver("friend@stranger.example", &[address], &draft.compose()?)
            .await?;
        let received = self.arrived(&id).await?;
        if let Some(missing) = far
            .iter()
            .find(|a| !received.rcpt_to.iter().any(|to| to.eq_ignore_ascii_case(a)))
        {
            // Each receiver may get a copy of its own.
            let far_server = self.world.far();
            let wanted = |m: &Received| {
                m.text().contains(&id)
                    && m.rcpt_to.iter().any(|to| to.eq_ignore_ascii_case(missing))
            };
            if tokio::task::block_in_place(|| far_server.wait_for(wanted, DELIVERY)).is_none() {
                return Err(Failure::new(format!("no copy reached {missing}")));
            }
        }
        let verdicts = self.judge(&received).await?;
        if verdicts.spf.outcome != Outcome::Pass {
            return Err(Failure::new(format!(
                "its envelope fails SPF: {}",
                verdicts.spf.why
            )));
        }
        Ok(format!(
            "reached {}; envelope sender {}, SPF pass",
            far.join(", "),
            received.mail_from
        ))
    }
}

fn judged(verdicts: &Verdicts) -> Vec<Answer> {
    let of = |what: &str, verdict: &message::Verdict| {
        let found = if verdict.outcome == Outcome::Pass {
            Ok(verdict.why.clone())
        } else {
            Err(Failure::new(verdict.why.clone()))
        };
        Answer::of(format!("  {what}"), found)
    };
    let mut answers = vec![
        of("SPF", &verdicts.spf),
        of("SPF of the EHLO name", &verdicts.helo),
    ];
    for signature in &verdicts.dkim {
        answers.push(of(
            &format!("DKIM {}", signature.selector),
            &signature.verdict,
        ));
    }
    if verdicts.dkim.is_empty() {
        answers.push(Answer::of(
            "  DKIM",
            Err(Failure::new("the message is not signed")),
        ));
    }
    let both = verdicts.dmarc.dkim == Outcome::Pass && verdicts.dmarc.spf == Outcome::Pass;
    let aligned = if both && verdicts.dmarc.verdict.outcome == Outcome::Pass {
        Ok(format!("aligned: {}", verdicts.dmarc.verdict.why))
    } else {
        Err(Failure::new(verdicts.dmarc.verdict.why.clone()))
    };
    answers.push(Answer::of("  DMARC", aligned));
    answers
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}

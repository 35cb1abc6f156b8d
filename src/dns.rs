//! The DNS as it is seen from outside: through a resolver, and at the very
//! servers that answer for a zone.

mod alias;
mod answer;
mod authorities;
mod cut;
mod delegation;
pub(crate) mod exchange;
mod fresh;
mod learnt;
mod visible;

pub(crate) use answer::mnemonic;
pub use answer::{Answer, Reply};
pub use authorities::{Authority, PRIVATE_SERVER};
pub use delegation::{Delegation, Server};
pub use fresh::Fresh;
pub use visible::Visible;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::system_conf::read_system_conf;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::learnt::Learnt;
use crate::failure::{Context, Failure, Result};
use crate::record::{Name, Rrset, RrsetKey};

/// How many questions are under way at once.
const IN_FLIGHT: usize = 64;

/// Asks the DNS. Clones share what was learnt about zones and their servers,
/// which is kept for as long as they live; records themselves are never kept.
#[derive(Clone)]
pub struct Dns(Arc<Inner>);

struct Inner {
    resolvers: Vec<SocketAddr>,
    /// The resolver that was given with its port, as opposed to the system's.
    given: Option<SocketAddr>,
    in_flight: Semaphore,
    cuts: Learnt<Name>,
    authorities: Learnt<Vec<Authority>>,
    /// Addresses of name servers: a hundred zones may have the same.
    servers: Learnt<Vec<IpAddr>>,
}

impl Dns {
    /// Asks through `resolver`, or through the servers of /etc/resolv.conf.
    ///
    /// # Errors
    /// When no resolver is given and the system's configuration names none.
    pub fn new(resolver: Option<SocketAddr>) -> Result<Self> {
        let resolvers = match resolver {
            Some(resolver) => vec![resolver],
            None => system_resolvers()?,
        };
        Ok(Self::through(resolvers, resolver))
    }

    /// The resolvers, in the order in which they are asked.
    pub fn resolvers(&self) -> &[SocketAddr] {
        &self.0.resolvers
    }

    fn through(resolvers: Vec<SocketAddr>, given: Option<SocketAddr>) -> Self {
        Self(Arc::new(Inner {
            resolvers,
            given,
            in_flight: Semaphore::new(IN_FLIGHT),
            cuts: Learnt::default(),
            authorities: Learnt::default(),
            servers: Learnt::default(),
        }))
    }

    /// What the resolver says of a set, aliases followed; without values where there is none.
    ///
    /// # Errors
    /// When no resolver answers, and when the answer is an error: SERVFAIL is not an absent set.
    pub async fn resolve(&self, key: &RrsetKey) -> Result<Rrset> {
        let message = self.recurse(key).await?;
        answer::about_data(&message, "the resolver", &key.to_string())?;
        Ok(answer::followed(&message, key))
    }

    /// What the resolver says of a name and type, with all that a receiver
    /// draws from it: that the name does not exist, that it is an alias, that
    /// the answer was validated.
    ///
    /// # Errors
    /// As for [`Dns::resolve`].
    pub async fn reply(&self, key: &RrsetKey) -> Result<Reply> {
        let mut question = exchange::question(key, true)?;
        // Asks for the AD bit without asking for signatures (RFC 6840 section 5.7).
        question.metadata.authentic_data = true;
        let message = self.recurse_with(&question, &key.to_string()).await?;
        answer::about_data(&message, "the resolver", &key.to_string())?;
        Ok(answer::reply(&message, key))
    }

    /// What the resolver answers to any question, whatever its response code.
    /// `adjust` may set further bits, such as CD (RFC 4035 section 3.2.2).
    ///
    /// # Errors
    /// When no resolver answers.
    pub async fn raw(
        &self,
        name: &Name,
        rtype: RecordType,
        adjust: impl FnOnce(&mut Message),
    ) -> Result<Message> {
        let mut question = exchange::question_of(name, rtype, true)?;
        adjust(&mut question);
        self.recurse_with(&question, &format!("{name} {rtype}"))
            .await
    }

    /// What one authoritative server answers, whatever it is, asked without recursion.
    ///
    /// # Errors
    /// When it is silent.
    pub async fn raw_at(
        &self,
        authority: &Authority,
        name: &Name,
        rtype: RecordType,
    ) -> Result<Message> {
        let question = exchange::question_of(name, rtype, authority.recursive)?;
        self.exchange(authority.addr, &question)
            .await
            .with_context(|| format!("the name server {} cannot be asked", authority.name))
    }

    /// What one authoritative server says of a set.
    ///
    /// # Errors
    /// As for [`Dns::ask_whole`].
    pub async fn ask(&self, authority: &Authority, key: &RrsetKey) -> Result<Rrset> {
        self.ask_whole(authority, key)
            .await
            .map(|answer| answer.set)
    }

    /// What one authoritative server says of a set, and of the alias in its place.
    ///
    /// # Errors
    /// When the server is silent, answers an error such as REFUSED, or answers
    /// without authority, as one does to which the zone is wrongly delegated.
    pub async fn ask_whole(&self, authority: &Authority, key: &RrsetKey) -> Result<Answer> {
        let question = exchange::question(key, authority.recursive)?;
        let message = self
            .exchange(authority.addr, &question)
            .await
            .with_context(|| format!("the name server {} cannot be asked", authority.name))?;
        answer::about_data(&message, &authority.to_string(), &key.to_string())?;
        if !authority.recursive && !message.metadata.authoritative {
            return Err(Failure::new(format!("{authority} answers without authority for {key}"))
                .hint("the name server does not have the zone: compare the delegation with the servers that do"));
        }
        Ok(answer::direct(&message, key))
    }

    /// What every server of `zone` says of `keys`, in their order, all asked at once.
    ///
    /// # Errors
    /// The outer when the zone's servers cannot be found, the inner one a server.
    pub async fn everywhere(
        &self,
        zone: &Name,
        keys: &[RrsetKey],
    ) -> Result<Vec<(Authority, Result<Vec<Rrset>>)>> {
        let authorities = self.authorities(zone).await?;
        let mut questions = JoinSet::new();
        for (server, authority) in authorities.iter().enumerate() {
            for (place, key) in keys.iter().enumerate() {
                let (dns, authority, key) = (self.clone(), authority.clone(), key.clone());
                questions.spawn(async move { (server, place, dns.ask(&authority, &key).await) });
            }
        }
        let mut seen: Vec<Result<Vec<Rrset>>> = authorities
            .iter()
            .map(|_| Ok(keys.iter().cloned().map(Rrset::absent).collect()))
            .collect();
        while let Some(done) = questions.join_next().await {
            let (server, place, answer) = done.context("a question to a name server was lost")?;
            match (&mut seen[server], answer) {
                (Ok(sets), Ok(set)) => sets[place] = set,
                (at @ Ok(_), Err(why)) => *at = Err(why),
                (Err(_), _) => {}
            }
        }
        Ok(authorities.into_iter().zip(seen).collect())
    }

    /// A resolver for libraries that want hickory's; it keeps nothing it learns.
    ///
    /// # Errors
    /// When hickory cannot build it.
    pub fn resolver(&self) -> Result<TokioResolver> {
        let servers = self.0.resolvers.iter().map(|addr| {
            let mut server = NameServerConfig::udp_and_tcp(addr.ip());
            for connection in &mut server.connections {
                connection.port = addr.port();
            }
            server
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        let mut options = ResolverOpts::default();
        options.cache_size = 0;
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
            .context("the resolver cannot be set up")
    }

    /// Asks the resolvers in their order; the next one after silence, SERVFAIL or REFUSED.
    async fn recurse(&self, key: &RrsetKey) -> Result<Message> {
        let question = exchange::question(key, true)?;
        self.recurse_with(&question, &key.to_string()).await
    }

    async fn recurse_with(&self, question: &Message, what: &str) -> Result<Message> {
        let mut last = Err(Failure::new("no resolver is configured"));
        for resolver in &self.0.resolvers {
            last = self.exchange(*resolver, question).await;
            if let Ok(message) = &last
                && !matches!(
                    message.metadata.response_code,
                    ResponseCode::ServFail | ResponseCode::Refused
                )
            {
                break;
            }
        }
        last.with_context(|| format!("the resolver cannot be asked for {what}"))
            .map_err(|e| e.hint("is `resolver` in mail.yaml, or /etc/resolv.conf, right?"))
    }

    async fn exchange(&self, server: SocketAddr, question: &Message) -> Result<Message> {
        let _permit = self
            .0
            .in_flight
            .acquire()
            .await
            .context("asking has ended")?;
        exchange::exchange(server, question).await
    }

    fn given_resolver(&self) -> Option<SocketAddr> {
        self.0.given
    }
}

fn system_resolvers() -> Result<Vec<SocketAddr>> {
    let (config, _) = read_system_conf()
        .context("the system's resolver configuration names no server")
        .map_err(|e| e.hint("name one with `resolver:` in mail.yaml"))?;
    let mut servers: Vec<SocketAddr> = Vec::new();
    for server in config.name_servers() {
        let port = server
            .connections
            .first()
            .map_or(53, |connection| connection.port);
        servers.push(SocketAddr::new(server.ip, port));
    }
    Ok(servers)
}

//! PTR records through the APIs of hosters. What each API is like, its page
//! under `providers/ptr/` says; how such a page is followed, this says once.

pub mod api;
pub mod auth;
pub mod link;
pub mod pick;
mod refusal;
mod request;
mod search;
pub mod template;
mod xml;

use std::net::IpAddr;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::OnceCell;

use self::api::{Family, Route};
use self::auth::Auth;
use self::link::Link;
pub use self::link::Pace;
use self::refusal::Refusal;
use self::search::follow;
use self::template::Vars;
use crate::catalogue::{Entry, Field};
use crate::failure::{Exit, Failure, Result};
use crate::pattern::fits;
use crate::record::{Name, RType, Rrset, RrsetKey};
use crate::zone::{self, Settings, Zone};

/// How often a change is tried while the API is busy.
const WRITES: u32 = 4;
/// How long the forward record may take to reach the hoster, in seconds.
const FORWARD_WITHIN: u32 = 600;
/// The first and the longest pause meanwhile, in seconds.
const FORWARD_PAUSES: (u32, u32) = (5, 30);

/// One account at one hoster.
pub struct Rest {
    id: String,
    link: Link,
    routes: Vec<Route>,
    defaults: Vec<String>,
    slow: Option<String>,
    /// What the templates of requests may use.
    vars: Vars,
}

/// A PTR record as the hoster has it.
struct State<'a> {
    route: &'a Route,
    /// What its requests need.
    vars: Vars,
    /// Whether the hoster has a record at all.
    there: bool,
    /// The name, if there is one that is not the hoster's own.
    name: Option<String>,
}

impl Rest {
    /// An account with these fields, at the hoster of an entry that has an API. Nothing is contacted.
    ///
    /// # Errors
    /// When a field is missing, or the entry has no API.
    pub fn open(entry: &Entry, settings: &Settings, pace: Pace) -> Result<Self> {
        let id = entry.id.as_str();
        let Some(api) = &entry.api else {
            return Err(Failure::new(format!("the PTR provider `{id}` has no API")));
        };
        let required = settings.of(id);
        for field in entry.fields.iter().filter(|field| field.required) {
            if field.secret {
                required.secret(&field.name)?;
            } else {
                required.text(&field.name)?;
            }
        }
        let mut fields = Vars::new();
        for field in &entry.fields {
            fields.extend(
                field
                    .default
                    .iter()
                    .map(|d| (field.name.clone(), d.as_str().into())),
            );
        }
        let mut vars = fields.clone();
        for (name, value) in settings.iter() {
            match value {
                zone::Value::Text(text) => {
                    vars.insert(name.to_owned(), text.as_str().into());
                    fields.insert(name.to_owned(), text.as_str().into());
                }
                zone::Value::Secret(secret) => {
                    fields.insert(name.to_owned(), secret.expose().into());
                }
            }
        }
        let base = settings.text("endpoint").unwrap_or(&api.base);
        let base = template::text(base, &vars).map_err(|name| {
            Failure::new(format!("the provider `{id}` needs the field `{name}`"))
                .exit(Exit::Unsound)
        })?;
        let secret = |field: &&Field| field.secret;
        let secret = entry.fields.iter().filter(secret);
        let names: Vec<String> = secret
            .map(|field| format!("`{}` (else {})", field.name, field.env))
            .collect();
        Ok(Self {
            id: id.to_owned(),
            link: Link {
                title: entry.title.clone(),
                base: base.trim_end_matches('/').to_owned(),
                auth: Auth::new(api.auth.clone(), fields),
                headers: api.headers.clone(),
                answers: api.answers.clone(),
                secrets: settings.secrets().cloned().collect(),
                credentials: format!("look at {} below `ptr` in mail.yaml", names.join(" and ")),
                pace,
                client: OnceCell::new(),
            },
            routes: api.routes.clone(),
            defaults: api.defaults.clone(),
            slow: api.slow.clone(),
            vars,
        })
    }

    /// What the hoster has for an address.
    async fn state(&self, ip: IpAddr) -> Result<State<'_>, Refusal> {
        let family = if ip.is_ipv4() {
            Family::Ipv4
        } else {
            Family::Ipv6
        };
        let fits = |route: &&Route| route.family.is_none_or(|only| only == family);
        for route in self.routes.iter().filter(fits) {
            match self.by(route, ip).await {
                Ok(Some(state)) => return Ok(state),
                Ok(None) | Err(Refusal::NotYours) => {}
                Err(refusal) => return Err(refusal),
            }
        }
        Err(Refusal::NotYours)
    }

    /// What one way leads to; nothing where it does not know the address.
    async fn by<'a>(&'a self, route: &'a Route, ip: IpAddr) -> Result<Option<State<'a>>, Refusal> {
        let mut vars = self.vars.clone();
        vars.insert("ip".into(), ip.to_string().into());
        vars.insert(
            "dashed".into(),
            ip.to_string().replace(['.', ':'], "-").into(),
        );
        let owner = follow(&self.link, ip, &route.find, vars).await?;
        if !owner.whole {
            return Ok(None);
        }
        let known = owner.vars.clone();
        let (there, vars) = match follow(&self.link, ip, &route.get, owner.vars).await {
            Ok(found) => (found.whole, found.vars),
            Err(Refusal::NotSet) => (false, known),
            Err(refusal) => return Err(refusal),
        };
        let ptr = vars.get("ptr").filter(|_| there).and_then(Value::as_str);
        let name = ptr.filter(|ptr| !ptr.is_empty()).map(normal);
        Ok(Some(State {
            route,
            there,
            name: name.filter(|name| !self.is_default(name)),
            vars,
        }))
    }

    fn is_default(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.');
        self.defaults.iter().any(|pattern| fits(pattern, name))
    }

    async fn change(&self, ip: IpAddr, want: Option<&Name>) -> Result<(), Refusal> {
        let State {
            route,
            mut vars,
            there,
            name,
        } = self.state(ip).await?;
        if name == want.map(Name::fqdn) {
            return Ok(());
        }
        let steps = match want {
            Some(want) => {
                vars.insert("name".into(), want.as_str().into());
                vars.insert("fqdn".into(), want.fqdn().into());
                let create = route.create.as_ref().filter(|_| !there);
                create.unwrap_or(&route.set)
            }
            None => route.reset.as_ref().ok_or_else(|| self.no_reset(ip))?,
        };
        let made = follow(&self.link, ip, steps, vars).await?;
        if made.whole {
            return Ok(());
        }
        Err(Failure::new(format!("{} does not find {ip} again", self.link.title)).into())
    }

    fn no_reset(&self, ip: IpAddr) -> Failure {
        Failure::new(format!(
            "the API of {} cannot take the PTR record of {ip} away",
            self.link.title
        ))
        .hint("set it to another name, or take it away in the hoster's customer panel")
        .exit(Exit::Person)
    }

    fn told(&self, refusal: Refusal, ip: IpAddr) -> Failure {
        match refusal {
            Refusal::Final(why) | Refusal::Busy(why, _) => why,
            Refusal::ForwardMissing(why) => {
                let minutes = FORWARD_WITHIN / 60;
                why.hint(format!("the hoster does not see that the name points to {ip}, though it had {minutes} minutes: which address do the name's A and AAAA records have?"))
            }
            Refusal::NotYours | Refusal::NotSet => Failure::new(format!(
                "{ip} is not an address of this account at {}",
                self.link.title
            ))
            .hint("are the credentials those of the account and project that has the server? If the address is from somebody else, leave `ptr` out: mailctl then says what to set where"),
        }
    }
}

#[async_trait]
impl Zone for Rest {
    fn provider(&self) -> &str {
        &self.id
    }

    fn apexless(&self) -> bool {
        true
    }

    fn slow(&self) -> Option<&str> {
        self.slow.as_deref()
    }

    async fn list(&self, _: &Name, keys: &[RrsetKey]) -> Result<Vec<Rrset>> {
        let mut sets = Vec::new();
        for key in keys {
            let ip = address(key)?;
            let state = self.state(ip).await;
            let state = state.map_err(|refusal| self.told(refusal, ip))?;
            sets.push(Rrset::new(key.clone(), None, state.name));
        }
        Ok(sets)
    }

    /// What is there already is not written. Tried again are only a busy API
    /// and a forward record that the hoster does not see yet.
    async fn set(&self, _: &Name, _: &Rrset, want: &Rrset) -> Result<()> {
        let ip = address(&want.key)?;
        let name = match want.values.len() {
            0 | 1 => want.values.first().map(|value| Name::parse(value)),
            _ => return Err(Failure::new(format!("{} can have one name only", want.key))),
        };
        let name = name.transpose().map_err(Failure::new)?;
        let (mut tried, mut waited) = (0, 0);
        let mut pause = FORWARD_PAUSES.0;
        loop {
            match self.change(ip, name.as_ref()).await {
                Ok(()) => return Ok(()),
                Err(Refusal::Busy(_, after)) if tried < WRITES => {
                    tried += 1;
                    self.link.pause(after.unwrap_or(2 * tried)).await;
                }
                Err(Refusal::ForwardMissing(_)) if waited < FORWARD_WITHIN => {
                    self.link.pause(pause).await;
                    waited += pause;
                    pause = (2 * pause).min(FORWARD_PAUSES.1);
                }
                Err(refusal) => return Err(self.told(refusal, ip)),
            }
        }
    }
}

/// The address that a PTR record stands for.
fn address(key: &RrsetKey) -> Result<IpAddr> {
    let ip = key.name.reversed().filter(|_| key.rtype == RType::Ptr);
    ip.ok_or_else(|| Failure::new(format!("{key} is no PTR record of an address")))
}

/// A name as sets have it, whatever its case, dot and script.
fn normal(name: &str) -> String {
    Name::parse(name).map_or_else(|_| name.to_lowercase(), |name| name.fqdn())
}

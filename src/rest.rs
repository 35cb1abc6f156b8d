//! PTR records through the APIs of hosters. What each API is like, its page
//! under `providers/ptr/` says; how such a page is followed, this says once.

pub mod api;
pub mod auth;
pub mod device;
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

use self::api::{Api, Family, Route};
use self::auth::Auth;
pub use self::link::Pace;
use self::link::{Errand, Link};
use self::refusal::Refusal;
use self::search::{Found, Search};
use self::template::Vars;
use crate::catalogue::Entry;
use crate::failure::{Exit, Failure, Result};
use crate::pattern::fits;
use crate::record::{Name, RType, Rrset, RrsetKey};
use crate::zone::{self, Settings, Zone, changed_since};

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
    api: &'static Api,
    /// What the templates of requests may use: no secrets.
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
    pub fn open(entry: &'static Entry, settings: &Settings, pace: Pace) -> Result<Self> {
        let id = entry.id.as_str();
        let Some(api) = &entry.api else {
            return Err(Failure::new(format!("the PTR provider `{id}` has no API")));
        };
        complete(entry, settings)?;
        let (vars, fields) = vars(entry, settings);
        let base = settings.text("endpoint").unwrap_or(&api.base);
        let base = template::text(base, &vars).map_err(|name| {
            Failure::new(format!("the provider `{id}` needs the field `{name}`"))
                .exit(Exit::Unsound)
        })?;
        Ok(Self {
            id: id.to_owned(),
            link: Link {
                title: entry.title.clone(),
                base: base.trim_end_matches('/').to_owned(),
                auth: Auth::new(api.auth.clone(), fields, credentials(entry)),
                headers: api.headers.clone(),
                answers: api.answers.clone(),
                secrets: settings.secrets().cloned().collect(),
                credentials: credentials(entry),
                pace,
                client: OnceCell::new(),
            },
            api,
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
        let mut said = None;
        for route in self.api.routes.iter().filter(fits) {
            match self.by(route, ip).await {
                Ok(Some(state)) => return Ok(state),
                Ok(None) => {}
                Err(Refusal::NotYours(why)) => said = why.or(said),
                Err(refusal) => return Err(refusal),
            }
        }
        Err(Refusal::NotYours(said))
    }

    /// What one way leads to; nothing where it does not know the address.
    async fn by<'a>(&'a self, route: &'a Route, ip: IpAddr) -> Result<Option<State<'a>>, Refusal> {
        let mut vars = self.vars.clone();
        vars.insert("ip".into(), ip.to_string().into());
        vars.insert(
            "dashed".into(),
            ip.to_string().replace(['.', ':'], "-").into(),
        );
        let search = self.search(ip, Errand::Read);
        let owner = search.follow(&route.find, vars).await?;
        if !owner.whole {
            return Ok(None);
        }
        let known = owner.vars.clone();
        let (there, vars) = match search.follow(&route.get, owner.vars).await {
            Ok(Found { whole, vars }) => (whole, vars),
            Err(Refusal::NotSet) => (false, known),
            Err(refusal) => return Err(refusal),
        };
        let ptr = vars.get("ptr").filter(|_| there).and_then(Value::as_str);
        Ok(Some(State {
            route,
            there,
            name: ptr.and_then(|ptr| self.name(ptr)),
            vars,
        }))
    }

    fn search(&self, ip: IpAddr, errand: Errand) -> Search<'_> {
        Search {
            link: &self.link,
            ip,
            errand,
        }
    }

    /// What the hoster says as a name; nothing for its own names, and for one
    /// label alone: that names a machine, and nothing in the DNS.
    fn name(&self, said: &str) -> Option<String> {
        let bare = said.trim_end_matches('.');
        let own = |pattern: &String| fits(pattern, bare);
        let counts = bare.contains('.') && !self.api.defaults.iter().any(own);
        counts.then(|| normal(bare))
    }

    /// Makes it `want`, where it still is `before`.
    async fn change(
        &self,
        key: &RrsetKey,
        before: Option<&String>,
        want: Option<&Name>,
    ) -> Result<(), Refusal> {
        let ip = address(key)?;
        let State {
            route,
            mut vars,
            there,
            name,
        } = self.state(ip).await?;
        if name == want.map(Name::fqdn) {
            return Ok(());
        }
        if name.as_ref() != before {
            return Err(changed_since(key).into());
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
        let made = self.search(ip, Errand::Write).follow(steps, vars).await?;
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
            Refusal::NotYours(said) => self.not_yours(ip, said),
            Refusal::NotSet => self.not_yours(ip, None),
        }
    }

    /// With what the API said, which may be about a project or a zone that it does not know.
    fn not_yours(&self, ip: IpAddr, said: Option<Failure>) -> Failure {
        let title = &self.link.title;
        let failure = Failure::new(format!("{ip} is not an address of this account at {title}"))
            .hint("are the credentials those of the account and project that has the server? If the address is from somebody else, leave `ptr` out: mailctl then says what to set where");
        match said {
            Some(said) => failure.because(said),
            None => failure,
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
        self.api.slow.as_deref()
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

    /// What is there already is not written, and what is not as `before` is not
    /// replaced. Tried again are only a busy API and a forward record that the
    /// hoster does not see yet.
    async fn set(&self, _: &Name, before: &Rrset, want: &Rrset) -> Result<()> {
        let ip = address(&want.key)?;
        let name = match want.values.len() {
            0 | 1 => want.values.first().map(|value| Name::parse(value)),
            _ => return Err(Failure::new(format!("{} can have one name only", want.key))),
        };
        let name = name.transpose().map_err(Failure::new)?;
        if let Some(why) = name.as_ref().and_then(|name| self.api.refuses(name)) {
            return Err(Failure::new(format!("{}: {why}", self.link.title))
                .hint("give the server another name (`host.name`)"));
        }
        let (mut tried, mut waited) = (0, 0);
        let mut pause = FORWARD_PAUSES.0;
        loop {
            let before = before.values.first();
            match self.change(&want.key, before, name.as_ref()).await {
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

/// Fails where a field is missing that the provider cannot do without.
fn complete(entry: &Entry, settings: &Settings) -> Result<()> {
    let required = settings.of(&entry.id);
    for field in entry.fields.iter().filter(|field| field.required) {
        if field.secret {
            required.secret(&field.name)?;
        } else {
            required.text(&field.name)?;
        }
    }
    Ok(())
}

/// What templates may use: those of requests no secret, those of proofs all fields.
fn vars(entry: &Entry, settings: &Settings) -> (Vars, Vars) {
    let defaults = entry.fields.iter().filter_map(|field| {
        let default = field.default.as_deref()?;
        Some((field.name.clone(), default.into()))
    });
    let mut shown: Vars = defaults.collect();
    let mut secret = Vars::new();
    for (name, value) in settings.iter() {
        match value {
            zone::Value::Text(text) => shown.insert(name.to_owned(), text.as_str().into()),
            zone::Value::Secret(value) => secret.insert(name.to_owned(), value.expose().into()),
        };
    }
    let all = shown.clone().into_iter().chain(secret).collect();
    (shown, all)
}

/// Where the secrets of a provider come from.
fn credentials(entry: &Entry) -> String {
    let secret = entry.fields.iter().filter(|field| field.secret);
    let names = secret.map(|field| format!("`{}` (else {})", field.name, field.env));
    let names: Vec<String> = names.collect();
    let look = format!("look at {} below `ptr` in mail.yaml", names.join(" and "));
    match entry.device() {
        Some(_) => format!("{look}; `mailctl auth {}` gets a new one", entry.id),
        None => look,
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

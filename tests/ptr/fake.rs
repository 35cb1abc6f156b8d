//! A hoster's API that remembers: what each hoster's is like, `hosters` says.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::hosters::Hoster;
use crate::http::{self, Answer, Asked, status};
use crate::spec::Spec;

/// The addresses that the account has.
pub const V4: &str = "203.0.113.7";
pub const V6: &str = "2001:db8:1:2::7";
/// What every secret of the tests has in it, also as Basic authentication has it.
pub const SECRETS: [&str; 4] = ["s3cr3t", "short-lived", "I3dzK3g6", "d2FjOnMz"];

/// Which requests meet a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Reads,
    Writes,
    Tokens,
}

/// What the hoster knows.
#[derive(Debug, Default)]
pub struct World {
    /// The PTR records that were set.
    pub held: BTreeMap<IpAddr, String>,
    /// Whether the addresses are of this account.
    pub foreign: bool,
    /// How many more writes find no forward record.
    pub no_forward: u32,
    /// How many more questions find an action unfinished.
    pub unfinished: u32,
    /// How actions end, where they do not end well.
    pub broken: Option<&'static str>,
    /// Whether lists have pages for ever.
    pub endless: bool,
    pub faults: VecDeque<(Which, Answer)>,
    /// How often a record was changed.
    pub writes: u32,
    /// What is not as the API's description has it.
    pub wrong: Vec<String>,
    /// The requests to the API itself.
    pub calls: Vec<Asked>,
    /// Their methods and targets as they were sent.
    pub targets: Vec<String>,
}

impl World {
    pub fn mine(&self, ip: &str) -> bool {
        let ip: Option<IpAddr> = ip.parse().ok();
        let own = [V4, V6].map(|own| own.parse().expect("an address"));
        !self.foreign && ip.is_some_and(|ip| own.contains(&ip))
    }

    pub fn ptr(&self, ip: &str) -> Value {
        let ip: IpAddr = ip.parse().expect("an address");
        self.held.get(&ip).cloned().map_or(Value::Null, Value::from)
    }

    /// Sets a record, or takes it away.
    pub fn write(&mut self, ip: &str, name: Option<String>) {
        self.writes += 1;
        let ip = ip.parse().expect("an address");
        match name.filter(|name| !name.is_empty()) {
            Some(name) => self.held.insert(ip, name),
            None => self.held.remove(&ip),
        };
    }

    /// How far an action is: `going` for one more question, then `done`, or broken.
    pub fn state(&mut self, going: &'static str, done: &'static str) -> &'static str {
        if self.unfinished > 0 {
            self.unfinished -= 1;
            going
        } else {
            self.broken.unwrap_or(done)
        }
    }

    /// Why an action failed, if it did.
    pub fn why(&self) -> Option<&'static str> {
        self.broken.map(|_| "no such forward record")
    }
}

/// The running fake.
pub struct Fake {
    pub endpoint: String,
    /// Where tokens are to be had.
    pub auth: String,
    world: Arc<Mutex<World>>,
}

impl Fake {
    pub async fn start(hoster: &'static Hoster) -> Self {
        let spec = Spec::of(hoster.id);
        let base = spec.base.clone();
        let world: Arc<Mutex<World>> = Arc::default();
        let shared = world.clone();
        let origin = http::serve(move |target, mut asked, raw| {
            let mut world = shared.lock().unwrap_or_else(PoisonError::into_inner);
            asked.path = spec.below(target);
            answered(hoster, &spec, &mut world, target, &asked, raw)
        });
        let origin = origin.await;
        Self {
            endpoint: format!("{origin}{base}"),
            auth: format!("{origin}/token"),
            world,
        }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answered(
    hoster: &Hoster,
    spec: &Spec,
    world: &mut World,
    target: &str,
    asked: &Asked,
    raw: &str,
) -> Answer {
    let fault = |world: &mut World, which: Which| {
        let (next, _) = world.faults.front()?;
        let due = *next == which;
        let (_, answer) = due.then(|| world.faults.pop_front())??;
        Some(echoed(hoster, asked, answer))
    };
    // The tokens' own place, which the descriptions leave out.
    if target.starts_with("/token") || target.ends_with("/auth") || target.ends_with("/auth/tokens")
    {
        if let Err(why) = (hoster.token)(asked, raw) {
            world.wrong.push(format!("token: {why}"));
        }
        return fault(world, Which::Tokens).unwrap_or_else(token);
    }
    let path = target.split('?').next().unwrap_or_default();
    let Some(below) = path.strip_prefix(spec.base.as_str()) else {
        let base = &spec.base;
        world.wrong.push(format!("{path} is not below {base}"));
        return status(500, Value::Null);
    };
    let call = format!("{} {below}", asked.method);
    world.targets.push(format!("{} {target}", asked.method));
    world.calls.push(asked.clone());
    for why in [spec.allows(asked), (hoster.proof)(asked, raw)] {
        let why = why.err().map(|why| format!("{call}: {why}"));
        world.wrong.extend(why);
    }
    // OVH's clock is no question about records.
    if below == "/auth/time" {
        return (hoster.answer)(world, asked);
    }
    let which = if asked.reads() {
        Which::Reads
    } else {
        Which::Writes
    };
    if let Some(answer) = fault(world, which) {
        return answer;
    }
    if which == Which::Writes && world.no_forward > 0 {
        world.no_forward -= 1;
        return hoster.no_forward(world.no_forward);
    }
    let answer = (hoster.answer)(world, asked);
    if let Err(why) = spec.answers(asked, &answer) {
        world.wrong.push(format!("the answer to {call}: {why}"));
    }
    answer
}

fn token() -> Answer {
    let mut answer = status(
        201,
        json!({"access_token": "short-lived", "token": "short-lived", "expires_in": 300}),
    );
    let header = ("X-Subject-Token", "short-lived".into());
    answer.headers.push(header);
    answer
}

/// An answer that repeats all that was sent where it says `ECHO`.
fn echoed(hoster: &Hoster, asked: &Asked, mut answer: Answer) -> Answer {
    let secrets = hoster
        .fields
        .iter()
        .filter_map(|(_, value)| value.strip_prefix('!'));
    let headers = asked.headers.values().map(String::as_str);
    let sent: Vec<&str> = secrets.chain(headers).collect();
    let sent = sent.join(" ").replace('"', "'");
    answer.body = answer.body.replace("ECHO", &sent);
    answer
}

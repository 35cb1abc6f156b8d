//! A hoster's API that remembers: what each hoster's is like, `hosters` says.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::hosters::Hoster;
use crate::spec::Spec;

/// The addresses that the account has.
pub const V4: &str = "203.0.113.7";
pub const V6: &str = "2001:db8:1:2::7";
/// What every secret of the tests has in it, also as Basic authentication has it.
pub const SECRETS: [&str; 4] = ["s3cr3t", "short-lived", "I3dzK3g6", "d2FjOnMz"];

/// A request as hosters look at it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// The path below the API's address, decoded.
    pub path: Vec<String>,
    pub query: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    /// JSON, or a form as an object of texts.
    pub body: Value,
}

impl Asked {
    /// What the body has at a JSON pointer.
    pub fn at(&self, pointer: &str) -> Option<String> {
        self.body.pointer(pointer)?.as_str().map(str::to_owned)
    }

    /// Whether it changes nothing; EC2 reads by POST, too.
    pub fn reads(&self) -> bool {
        self.method == "GET"
            || self
                .at("/Action")
                .is_some_and(|a| a.starts_with("Describe"))
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

pub fn ok(body: Value) -> Answer {
    status(200, body)
}

pub fn status(status: u16, body: Value) -> Answer {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    Answer {
        status,
        headers: Vec::new(),
        body,
    }
}

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
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("its address"));
        let spec = Arc::new(Spec::of(hoster.id));
        let base = spec.base.clone();
        let world: Arc<Mutex<World>> = Arc::default();
        let shared = world.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (world, spec) = (shared.clone(), spec.clone());
                tokio::spawn(async move { serve(stream, hoster, &spec, &world).await });
            }
        });
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

async fn serve(
    stream: TcpStream,
    hoster: &Hoster,
    spec: &Spec,
    world: &Mutex<World>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    while let Some((target, mut asked, raw)) = request(&mut stream).await {
        let answer = {
            let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
            asked.path = spec.below(&target);
            answered(hoster, spec, &mut world, &target, &asked, &raw)
        };
        let mut text = format!(
            "HTTP/1.1 {} X\r\ncontent-length: {}\r\n",
            answer.status,
            answer.body.len()
        );
        for (name, value) in &answer.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.push_str(&answer.body);
        stream.get_mut().write_all(text.as_bytes()).await.ok()?;
    }
    Some(())
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
        return hoster.no_forward();
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

async fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, Asked, String)> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .and_then(|l| l.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let raw = String::from_utf8(body).ok()?;
    let is_form = headers
        .get("content-type")
        .is_some_and(|t| t.contains("form"));
    let body = if is_form {
        let fields = pairs(&raw)
            .into_iter()
            .map(|(name, value)| (name, Value::from(value)));
        Value::Object(fields.collect::<Map<_, _>>())
    } else {
        serde_json::from_str(&raw).unwrap_or_default()
    };
    let query = target
        .split_once('?')
        .map(|(_, query)| pairs(query))
        .unwrap_or_default();
    let asked = Asked {
        method,
        path: Vec::new(),
        query: query.into_iter().collect(),
        headers,
        body,
    };
    Some((target, asked, raw))
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

/// RFC 3986 section 2.1.
pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let octet = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match octet.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(octet) if *first == b'%' => {
                bytes.push(octet);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

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

    fn reads(&self) -> bool {
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
    pub faults: VecDeque<(Which, Answer)>,
    /// How often a record was changed.
    pub writes: u32,
    /// Requests that the API's description does not allow.
    pub wrong: Vec<String>,
    pub asked: u32,
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

    /// How far an action is: `going` for one more question, then `done`.
    pub fn state(&mut self, going: &'static str, done: &'static str) -> &'static str {
        if self.unfinished > 0 {
            self.unfinished -= 1;
            going
        } else {
            done
        }
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
            answered(hoster, spec, &mut world, &target, &mut asked, &raw)
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
    asked: &mut Asked,
    raw: &str,
) -> Answer {
    world.asked += 1;
    // The tokens' own place, which the descriptions leave out.
    if target.starts_with("/token") || target.ends_with("/auth") || target.ends_with("/auth/tokens")
    {
        if let Err(why) = (hoster.token)(asked, raw) {
            world.wrong.push(format!("token: {why}"));
        }
        let mut answer = status(
            201,
            json!({"access_token": "short-lived", "token": "short-lived", "expires_in": 300}),
        );
        answer
            .headers
            .push(("X-Subject-Token", "short-lived".into()));
        return answer;
    }
    let path = target.split('?').next().unwrap_or_default();
    let Some(below) = path.strip_prefix(spec.base.as_str()) else {
        world
            .wrong
            .push(format!("{path} is not below {}", spec.base));
        return status(500, Value::Null);
    };
    asked.path = below.split('/').skip(1).map(decoded).collect();
    if let Err(why) = spec.allows(asked) {
        world.wrong.push(format!("{} {below}: {why}", asked.method));
    }
    if let Err(why) = (hoster.proof)(asked, raw) {
        world.wrong.push(format!("{} {below}: {why}", asked.method));
    }
    let which = if asked.reads() {
        Which::Reads
    } else {
        Which::Writes
    };
    if below != "/auth/time" && world.faults.front().is_some_and(|(w, _)| *w == which) {
        let (_, mut answer) = world.faults.pop_front().expect("a fault");
        if answer.body.contains("ECHO") {
            let headers: Vec<&str> = asked.headers.values().map(String::as_str).collect();
            let secrets: Vec<&str> = hoster
                .fields
                .iter()
                .filter_map(|(_, value)| value.strip_prefix('!'))
                .collect();
            let echo = format!(
                "{} {}",
                secrets.join(" "),
                headers.join(" ").replace('"', "'")
            );
            answer.body = answer.body.replace("ECHO", &echo);
        }
        return answer;
    }
    if which == Which::Writes && world.no_forward > 0 {
        world.no_forward -= 1;
        return hoster.no_forward(world.no_forward);
    }
    (hoster.answer)(world, asked)
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

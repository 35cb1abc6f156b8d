//! HTTP as the stand-ins speak it: requests come in, answers go out.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

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

/// Answers whatever comes, until the test ends. `answer` gets the target, the
/// request, and its body as it was sent.
pub async fn serve<F>(answer: F) -> String
where
    F: Fn(&str, Asked, &str) -> Answer + Send + Sync + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("its address"));
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move { talk(stream, answer.as_ref()).await });
        }
    });
    origin
}

async fn talk(stream: TcpStream, answer: &impl Fn(&str, Asked, &str) -> Answer) -> Option<()> {
    let mut stream = BufReader::new(stream);
    while let Some((target, asked, raw)) = request(&mut stream).await {
        let answer = answer(&target, asked, &raw);
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

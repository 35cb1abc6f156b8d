//! Servers that stand in for others, with a fault: tests/worlds/party.py.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Map, Value, json};

/// A running one; it ends with this.
pub struct Party(Child);

impl Party {
    /// Starts it, and waits until it listens.
    pub fn start(settings: &Map<String, Value>) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/worlds/party.py");
        let mut child = Command::new("/usr/bin/python3")
            .arg(script)
            .arg(Value::Object(settings.clone()).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("its output");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("a line of it");
        assert_eq!(line, "ready\n", "{settings:?}");
        Self(child)
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What stands in for ports of the mail server: an `instead` block.
pub struct Instead {
    /// Address and port of the real one.
    pub of: Vec<(String, u16)>,
    /// For party.py.
    pub settings: Map<String, Value>,
}

impl Instead {
    /// Reads the lines; `kind` is `smtp` or `smtps`.
    pub fn parse(kind: &str, lines: &str) -> Self {
        let mut of = Vec::new();
        let mut settings = Map::new();
        settings.insert("kind".into(), kind.into());
        for line in lines.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "of" => {
                    let (address, port) = rest.split_once(' ').expect("ADDRESS PORT");
                    of.push((address.to_owned(), port.parse().expect("a port")));
                }
                "clear" | "secured" => {
                    let known = settings.entry(word).or_insert_with(|| json!([]));
                    known.as_array_mut().expect("a list").push(rest.into());
                }
                word => {
                    settings.insert(word.into(), rest.into());
                }
            }
        }
        Self { of, settings }
    }
}

/// One page of a web server, and what its certificate is like where that is
/// said: a `web` block `https://host/path STATUS TYPE[, CERTIFICATE]`.
pub fn web_page(argument: &str, body: &str) -> (Value, Option<String>) {
    let (argument, certificate) = match argument.split_once(", ") {
        Some((argument, wish)) => (argument, Some(wish.to_owned())),
        None => (argument, None),
    };
    let words: Vec<&str> = argument.split(' ').collect();
    let [url, status, kind] = words[..] else {
        panic!("a `web` block is `URL STATUS TYPE`, not `{argument}`");
    };
    let (_, rest) = url.split_once("://").expect("a URL");
    let (host, path) = rest.split_once('/').expect("a path");
    let page = json!({ "host": host, "path": format!("/{path}"), "status": status, "type": kind, "body": body });
    (page, certificate)
}

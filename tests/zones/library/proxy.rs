//! A proxy for HTTPS (RFC 9110 section 9.3.6) that answers in place of the
//! server it is asked to connect to, and fails when it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use super::{Api, Request, Response, STRANGER, TOKEN};
use crate::gate::{Fault, Gate, Here};

/// The servers it stands in for.
pub const HOSTS: [&str; 6] = [
    "api.cloudflare.com",
    "api.digitalocean.com",
    "api.gandi.net",
    "api.hetzner.cloud",
    "api.namecheap.com",
    "desec.io",
];

#[derive(Clone)]
pub struct Proxy {
    gate: Here,
    api: Arc<Mutex<dyn Api>>,
}

impl Proxy {
    /// Listens where the file `address` says, with the certificate beside it.
    pub fn start(files: &Path, api: Arc<Mutex<dyn Api>>) -> Self {
        let address = std::fs::read_to_string(files.join("address")).expect("an address");
        let listener = TcpListener::bind(address).expect("the port is still free");
        let certificate = CertificateDer::from_pem_file(files.join("server.pem"));
        let key = PrivateKeyDer::from_pem_file(files.join("server.key")).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.expect("a certificate")], key)
            .expect("a pair");
        let config = Arc::new(config);
        let proxy = Self {
            gate: Here::default(),
            api,
        };
        let of_threads = proxy.clone();
        // Ends with the test program.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (proxy, config) = (of_threads.clone(), Arc::clone(&config));
                thread::spawn(move || proxy.serve(client, config));
            }
        });
        proxy
    }

    /// What somebody else does at the API.
    pub fn by_hand(&self, method: &str, path: &str, body: Value) {
        let response = self.api.lock().expect("an API").answer(&Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: Vec::new(),
            token: TOKEN.to_owned(),
            body,
        });
        assert_eq!(response.status, 200, "{}", response.body);
    }

    /// The stranger's account is another, whose zone of this name has no records.
    fn answer(&self, mut request: Request) -> Response {
        let stranger = request.token == STRANGER;
        if stranger {
            request.token = TOKEN.to_owned();
        }
        let mut response = self.api.lock().expect("an API").answer(&request);
        let of_records = request.path.contains("records") || request.path.contains("rrsets");
        if stranger && of_records {
            assert_eq!(request.method, "GET", "a stranger writes");
            let body = response.body.as_object_mut().expect("an object");
            for list in body.values_mut().filter(|value| value.is_array()) {
                *list = Value::Array(Vec::new());
            }
        }
        response
    }

    fn serve(&self, mut client: TcpStream, config: Arc<ServerConfig>) {
        let Some(host) = connect(&client) else { return };
        assert!(HOSTS.contains(&host.as_str()), "{host} is nobody here");
        let granted = client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n");
        granted.expect("a client that waits");
        let session = ServerConnection::new(config).expect("a session");
        let mut stream = BufReader::new(StreamOwned::new(session, client));
        while let Some(request) = request(&mut stream) {
            let fault = self.gate.meets(&request.method);
            let (response, more) = match fault {
                Fault::None | Fault::Cut => (self.answer(request), String::new()),
                Fault::Refused(status, wait) => {
                    let more = wait.map(|wait| format!("Retry-After: {wait}\r\n"));
                    (Response::error(status, "told to"), more.unwrap_or_default())
                }
                Fault::Failed => {
                    self.answer(request);
                    (Response::error(500, "told to"), String::new())
                }
                Fault::Lost => {
                    self.answer(request);
                    return;
                }
            };
            let status = response.status;
            let (kind, mut body) = match response.body {
                Value::String(text) => ("xml", text),
                body => ("json", body.to_string()),
            };
            if status == 204 {
                body.clear();
            }
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} so\r\nContent-Type: application/{kind}\r\nContent-Length: {length}\r\n{more}\r\n{body}"
            );
            let cut = fault == Fault::Cut;
            let length = answer.len() - if cut { answer.len() / 8 } else { 0 };
            let stream = stream.get_mut();
            let sent = stream.write_all(&answer.as_bytes()[..length]);
            if sent.and_then(|()| stream.flush()).is_err() || cut {
                return;
            }
        }
    }
}

impl Gate for Proxy {
    fn next(&self, faults: &[Fault]) {
        self.gate.next(faults);
    }

    fn seen(&self) -> Vec<String> {
        self.gate.seen()
    }
}

/// The host of a CONNECT. Read octet by octet: what follows is TLS.
fn connect(mut client: &TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        client.read_exact(&mut octet).ok()?;
        head.push(octet[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let target = head.strip_prefix("CONNECT ")?.split(' ').next()?;
    Some(target.strip_suffix(":443")?.to_owned())
}

fn request(stream: &mut impl BufRead) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut first = lines.first()?.split(' ').map(str::to_owned);
    let (method, target) = (first.next()?, first.next()?);
    let header = |name: &str| {
        lines.iter().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let length = header("content-length")
        .and_then(|l| l.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut query: Vec<(String, String)> = query.split('&').filter_map(parameter).collect();
    if header("content-type").is_some_and(|kind| kind.ends_with("form-urlencoded")) {
        let form = String::from_utf8_lossy(&body);
        query.extend(form.split('&').filter_map(parameter));
    }
    let token = header("authorization").unwrap_or_default();
    Some(Request {
        method,
        path: path.to_owned(),
        query,
        token: token.rsplit(' ').next().unwrap_or_default().to_owned(),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    })
}

fn parameter(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once('=')?;
    let mut octets = Vec::new();
    let mut rest = value.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            octet => octet,
        });
    }
    Some((key.to_owned(), String::from_utf8(octets).ok()?))
}

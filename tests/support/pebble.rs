//! pebble, a real ACME authority, with the name server it asks, on loopback.
//!
//! Each [`Pebble`] has its own ports, its own CA for its HTTPS and its own
//! directory, and ends its programs when it is dropped.

#![allow(dead_code, reason = "each test uses its part")]

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use tempfile::TempDir;

/// How an authority differs from the usual one.
#[derive(Default)]
pub struct Options<'a> {
    /// The name server it asks; `None`: its own, see [`Pebble::set_txt`].
    pub dns: Option<SocketAddr>,
    /// Names it refuses.
    pub blocked: Vec<&'a str>,
    /// Whether accounts must be bound to an external one (RFC 8555 section 7.3.4).
    pub external_account: bool,
    /// How long its certificates are valid; `None`: pebble's own choice, five years.
    pub validity: Option<Duration>,
    /// Further environment, such as `PEBBLE_AUTHZREUSE`.
    pub env: Vec<(&'a str, &'a str)>,
}

/// A running authority.
pub struct Pebble {
    /// The URL of its directory.
    pub directory: String,
    /// The name server it asks.
    pub dns: SocketAddr,
    management: SocketAddr,
    challenges: SocketAddr,
    files: TempDir,
    // Last, so that the programs end before their files go.
    _programs: Vec<Program>,
}

/// A program that ends with its owner.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How long a slow machine may take to start a program.
const PATIENCE: Duration = Duration::from_secs(30);

impl Pebble {
    /// Starts one; `None`, with a line that says so, where pebble is not installed.
    pub fn start(options: &Options<'_>) -> Option<Self> {
        for program in ["pebble", "pebble-challtestsrv"] {
            if !installed(program) {
                eprintln!("skipped: {program} is not installed");
                return None;
            }
        }
        // Another process may take a free port before pebble does.
        let started = (0..5).find_map(|_| Self::try_start(options));
        Some(started.expect("pebble starts on free ports"))
    }

    fn try_start(options: &Options<'_>) -> Option<Self> {
        let files = tempfile::tempdir().expect("a directory");
        let at = |name: &str| files.path().join(name);
        make_ca(&at("ca.pem"), &at("server.pem"), &at("server.key"));
        let (acme, management) = (free_port(), free_port());
        let (own_dns, challenges) = (free_port(), free_port());
        let dns = options.dns.unwrap_or(own_dns);
        let settings = json!({"pebble": {
            "listenAddress": acme.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": at("server.pem"),
            "privateKey": at("server.key"),
            "httpPort": 5002,
            "tlsPort": 5001,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": options.external_account,
            "externalAccountMACKeys": {"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"},
            "domainBlocklist": options.blocked,
            "certificateValidityPeriod": options.validity.map_or(0, |validity| validity.as_secs()),
        }});
        fs::write(at("pebble.json"), settings.to_string()).expect("written");

        let mut programs = Vec::new();
        let mut waited = vec![acme, management];
        if options.dns.is_none() {
            let mut command = Command::new("pebble-challtestsrv");
            command.args([
                "-dns01",
                &dns.to_string(),
                "-management",
                &challenges.to_string(),
            ]);
            command.args(["-http01", "", "-https01", "", "-tlsalpn01", ""]);
            command.args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]);
            programs.push(spawn(command, &at("challtestsrv.log")));
            waited.extend([dns, challenges]);
        }
        let mut command = Command::new("pebble");
        command.arg("-config").arg(at("pebble.json")).arg("-strict");
        command.args(["-dnsserver", &dns.to_string()]);
        // As in a rehearsal: every run is to go the same way.
        command.envs([
            ("PEBBLE_VA_NOSLEEP", "1"),
            ("PEBBLE_WFE_NONCEREJECT", "0"),
            ("PEBBLE_AUTHZREUSE", "0"),
        ]);
        command.envs(options.env.iter().copied());
        programs.push(spawn(command, &at("pebble.log")));
        if !listening(&waited, &mut programs) {
            return None;
        }
        let directory = format!("https://{acme}/dir");
        Some(Self {
            directory,
            dns,
            management,
            challenges,
            files,
            _programs: programs,
        })
    }

    /// The PEM file of the root that its HTTPS certificate is of.
    pub fn root(&self) -> PathBuf {
        self.files.path().join("ca.pem")
    }

    /// The root of the certificates that it issues, PEM; another at each start.
    pub async fn issuing_root(&self) -> String {
        let ca = fs::read(self.root()).expect("its root");
        let ca = reqwest::Certificate::from_pem(&ca).expect("a certificate");
        let client = reqwest::Client::builder()
            .tls_certs_only([ca])
            .build()
            .expect("a client");
        let url = format!("https://{}/roots/0", self.management);
        client
            .get(url)
            .send()
            .await
            .expect("an answer")
            .text()
            .await
            .expect("text")
    }

    /// Adds a TXT value to its own name server.
    pub async fn set_txt(&self, owner: &str, value: &str) {
        self.challenge(
            "set-txt",
            json!({"host": format!("{owner}."), "value": value}),
        )
        .await;
    }

    /// Removes all TXT values of a name from its own name server.
    pub async fn clear_txt(&self, owner: &str) {
        self.challenge("clear-txt", json!({"host": format!("{owner}.")}))
            .await;
    }

    async fn challenge(&self, verb: &str, body: serde_json::Value) {
        let url = format!("http://{}/{verb}", self.challenges);
        let answer = reqwest::Client::new()
            .post(url)
            .json(&body)
            .send()
            .await
            .expect("an answer");
        assert!(answer.status().is_success(), "{verb}: {}", answer.status());
    }
}

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// A port that neither TCP nor UDP uses.
fn free_port() -> SocketAddr {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = listener.local_addr().expect("an address");
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

fn spawn(mut command: Command, log: &Path) -> Program {
    let log = File::create(log).expect("a log");
    let errors = log.try_clone().expect("a log");
    let child = command
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn();
    Program(child.expect("the program is installed"))
}

/// Waits until all answer; `false` as soon as a program has ended.
fn listening(addresses: &[SocketAddr], programs: &mut [Program]) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if programs
            .iter_mut()
            .any(|program| program.0.try_wait().is_ok_and(|end| end.is_some()))
        {
            return false;
        }
        if addresses
            .iter()
            .all(|address| TcpStream::connect(address).is_ok())
        {
            return true;
        }
        sleep(Duration::from_millis(20));
    }
    false
}

/// A CA, and a certificate of it for loopback.
pub fn make_ca(ca: &Path, certificate: &Path, key: &Path) {
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "test root");
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"));
    let issuer = issuer.expect("a CA");
    let names = ["localhost", "127.0.0.1"].map(String::from);
    let own_key = KeyPair::generate().expect("a key");
    let own = CertificateParams::new(names)
        .expect("names")
        .signed_by(&own_key, &issuer);
    fs::write(ca, issuer.as_ref().pem()).expect("written");
    fs::write(certificate, own.expect("a certificate").pem()).expect("written");
    fs::write(key, own_key.serialize_pem()).expect("written");
}

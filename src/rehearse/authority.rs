//! The certificate authority of a world: pebble, a real ACME server (RFC 8555)
//! that validates through the world's resolver.

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use reqwest::Certificate;
use serde_json::json;

use super::background::{Background, body, client};
use super::network::{Network, Party};
use super::program::Program;
use crate::failure::{Context, Result};

const DIRECTORY_PORT: u16 = 14000;
const MANAGEMENT_PORT: u16 = 15000;
/// As public authorities have it, so that renewal dates are realistic.
const VALIDITY: Duration = Duration::from_hours(90 * 24);

/// The running authority.
pub struct Authority {
    network: Network,
    root: PathBuf,
    issuing_root: String,
    program: Program,
}

impl Authority {
    /// Starts pebble and learns the root that it issues from.
    ///
    /// # Errors
    /// When pebble does not start.
    pub fn start(directory: &Path, network: Network, background: &Background) -> Result<Self> {
        let address = network.ipv4(Party::Authority);
        let root = directory.join("authority-root.pem");
        let root_pem = write_certificates(directory, &root, address.into())?;
        let config = directory.join("pebble.json");
        let settings = json!({ "pebble": {
            "listenAddress": format!("{address}:{DIRECTORY_PORT}"),
            "managementListenAddress": format!("{address}:{MANAGEMENT_PORT}"),
            "certificate": directory.join("pebble.pem"),
            "privateKey": directory.join("pebble.key"),
            "httpPort": 80,
            "tlsPort": 443,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "certificateValidityPeriod": VALIDITY.as_secs(),
        }});
        fs::write(&config, settings.to_string())
            .with_context(|| format!("cannot write {}", config.display()))?;

        let resolver = format!("{}:53", network.ipv4(Party::Resolver));
        let command = ["pebble".as_ref(), "-config".as_ref(), config.as_os_str()];
        let command = command
            .into_iter()
            .chain(["-strict", "-dnsserver", &resolver].map(AsRef::as_ref));
        // Every run is to go the same way: no random pauses, no random refusals,
        // and no authorization of an earlier order taken for a new one.
        let environment = [
            ("PEBBLE_VA_NOSLEEP", "1"),
            ("PEBBLE_WFE_NONCEREJECT", "0"),
            ("PEBBLE_AUTHZREUSE", "0"),
        ];
        let mut program = Program::start(directory, "pebble", command, &environment)?;
        for port in [DIRECTORY_PORT, MANAGEMENT_PORT] {
            let listening = || TcpStream::connect(SocketAddr::from((address, port))).is_ok();
            program.until(Duration::from_secs(30), listening)?;
        }
        let issuing_root = background.wait(async move {
            let certificate =
                Certificate::from_pem(root_pem.as_bytes()).context("the authority's own root")?;
            let client = client(|builder| builder.tls_certs_only([certificate]))?;
            let url = format!("https://{address}:{MANAGEMENT_PORT}/roots/0");
            body("pebble does not tell its root", client.get(url)).await
        })?;
        Ok(Self {
            network,
            root,
            issuing_root,
            program,
        })
    }

    /// The URL of the ACME directory, as `certificates.authority` wants it.
    pub fn directory(&self) -> String {
        format!(
            "https://{}:{DIRECTORY_PORT}/dir",
            self.network.ipv4(Party::Authority)
        )
    }

    /// A PEM file with the trust anchor of that URL, as `certificates.root` wants it.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The trust anchor of what it issues, in PEM; it is another one, new with each start.
    pub fn issuing_root(&self) -> &str {
        &self.issuing_root
    }

    /// Lets it run on after this process.
    pub fn keep(self) {
        self.program.release();
    }
}

/// A root and, signed by it, the certificate that pebble shows; returns the root.
fn write_certificates(directory: &Path, root: &Path, address: IpAddr) -> Result<String> {
    let key = KeyPair::generate().context("cannot make a key")?;
    let mut params = CertificateParams::new([]).context("cannot describe a certificate")?;
    params
        .distinguished_name
        .push(DnType::CommonName, "mailctl rehearsal");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let root_pem = params
        .self_signed(&key)
        .context("cannot make a certificate")?
        .pem();
    let issuer = Issuer::new(params, key);

    let leaf_key = KeyPair::generate().context("cannot make a key")?;
    let leaf = CertificateParams::new([address.to_string()])
        .and_then(|params| params.signed_by(&leaf_key, &issuer))
        .context("cannot make a certificate")?;
    let files = [
        (root.to_owned(), root_pem.clone()),
        (directory.join("pebble.pem"), leaf.pem()),
        (directory.join("pebble.key"), leaf_key.serialize_pem()),
    ];
    for (path, text) in files {
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(root_pem)
}

//! The authoritative name server of a world: PowerDNS with its HTTP API. It
//! holds the root too, so that a resolver recurses from there as it does outside.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::Client;
use serde_json::{Value, json};

use super::background::{Background, body, client};
use super::needs::SCHEMA;
use super::network::{Network, Party};
use super::program::{Program, run};
use crate::failure::{Context, Failure, Result};
use crate::random;
use crate::record::{Name, RType, Rrset, RrsetKey, txt_quoted};
use crate::secret::Secret;

const API_PORT: u16 = 8081;
const TTL: u32 = 60;

/// Whether the API itself answers: its port is open a moment before that.
fn answers(api: SocketAddr, token: &Secret) -> bool {
    use std::io::{Read, Write};
    let asked = || -> std::io::Result<String> {
        let mut stream = std::net::TcpStream::connect(api)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let request = format!(
            "GET /api/v1/servers/localhost HTTP/1.0\r\nX-API-Key: {}\r\n\r\n",
            token.expose()
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    asked().is_ok_and(|answer| {
        answer
            .lines()
            .next()
            .is_some_and(|status| status.contains(" 200"))
    })
}

/// The running name server.
pub struct Names {
    network: Network,
    token: Secret,
    zones: Mutex<Vec<Name>>,
    client: Client,
    background: Background,
    program: Program,
}

/// The zone of the world's own hosts. `test` is never delegated (RFC 6761 section 6.2).
pub fn own_zone() -> Name {
    Name::root().child("mailctl-lab.test")
}

/// The name of the only authoritative server.
pub fn own_name() -> Name {
    own_zone().child("ns1")
}

/// The name of the mail server of the rest of the world.
pub fn far_name() -> Name {
    own_zone().child("far")
}

impl Names {
    /// Starts PowerDNS on port 53 of its own address and makes the root, the
    /// world's own zone, the reverse zones of its networks and `zones`.
    ///
    /// # Errors
    /// When PowerDNS does not start, for example because port 53 is taken on
    /// all addresses, or refuses a zone.
    pub fn start(
        directory: &Path,
        network: Network,
        zones: &[Name],
        background: &Background,
    ) -> Result<Self> {
        let token = Secret::new(BASE64_URL_SAFE_NO_PAD.encode(random::octets::<24>()?));
        let database = directory.join("names.sqlite3");
        let schema = fs::read_to_string(SCHEMA).with_context(|| format!("cannot read {SCHEMA}"))?;
        run(["sqlite3".as_ref(), database.as_os_str()], &schema)?;
        write_config(directory, network, &token)?;

        let config = format!("--config-dir={}", directory.display());
        let mut program = Program::start(directory, "pdns_server", ["pdns_server", &config], &[])?;
        let api = SocketAddr::from((network.ipv4(Party::Names), API_PORT));
        program
            .until(Duration::from_secs(30), || answers(api, &token))
            .map_err(|f| {
                f.hint(
                    "another name server may listen on port 53 of all addresses: see `ss -lntup`",
                )
            })?;

        let client = client(|builder| builder)?;
        let background = background.clone();
        let names = Self {
            network,
            token,
            zones: Mutex::default(),
            client,
            background,
            program,
        };
        names.add_zone(&Name::root())?;
        names.add_zone(&own_zone())?;
        for zone in network.reverse_zones().iter().chain(zones) {
            names.add_zone(zone)?;
        }
        names.add_host(&own_name(), Party::Names)?;
        names.add_host(&far_name(), Party::Far)?;
        Ok(names)
    }

    /// Where it answers: port 53 over IPv4 and IPv6.
    pub fn addresses(&self) -> [SocketAddr; 2] {
        let ip: [IpAddr; 2] = [
            self.network.ipv4(Party::Names).into(),
            self.network.ipv6(Party::Names).into(),
        ];
        ip.map(|ip| SocketAddr::new(ip, 53))
    }

    /// The base URL of its HTTP API, as `dns.endpoint` wants it; the server's id is `localhost`.
    pub fn endpoint(&self) -> String {
        format!("http://{}:{API_PORT}", self.network.ipv4(Party::Names))
    }

    /// The key of that API.
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// Makes an empty zone and delegates it from the closest zone above it.
    ///
    /// # Errors
    /// When PowerDNS refuses it; a zone that exists is left as it is.
    pub fn add_zone(&self, zone: &Name) -> Result<()> {
        let mut zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        if zones.contains(zone) {
            return Ok(());
        }
        let created =
            json!({ "name": zone.fqdn(), "kind": "Native", "nameservers": [own_name().fqdn()] });
        let url = format!("{}/api/v1/servers/localhost/zones", self.endpoint());
        let request = self.client.post(url).json(&created);
        self.send(format!("PowerDNS does not make the zone {zone}"), request)?;
        let parent = zones
            .iter()
            .filter(|above| zone.is_in(above))
            .max_by_key(|above| above.as_str().len())
            .cloned();
        zones.push(zone.clone());
        drop(zones);
        // Only the root has none above it.
        let Some(parent) = parent else { return Ok(()) };
        let key = RrsetKey::new(zone.clone(), RType::Ns);
        self.patch(&parent, &Rrset::new(key, None, [own_name().fqdn()]))
    }

    /// Replaces a set in the zone that holds its name; one without values is deleted.
    ///
    /// # Errors
    /// When no zone here holds the name, or PowerDNS refuses a value.
    pub fn set(&self, rrset: &Rrset) -> Result<()> {
        let zones = self
            .zones
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let holds = |zone: &&Name| rrset.key.name.is_in(zone);
        let zone = zones
            .iter()
            .filter(holds)
            .max_by_key(|zone| zone.as_str().len());
        self.patch(
            zone.ok_or_else(|| Failure::new("the name server has no zones"))?,
            rrset,
        )
    }

    /// Lets it run on after this process.
    pub fn keep(self) {
        self.program.release();
    }

    /// A host of the world with addresses and reverse names.
    fn add_host(&self, name: &Name, party: Party) -> Result<()> {
        let (four, six) = (self.network.ipv4(party), self.network.ipv6(party));
        self.set(&Rrset::new(
            RrsetKey::new(name.clone(), RType::A),
            None,
            [four.to_string()],
        ))?;
        self.set(&Rrset::new(
            RrsetKey::new(name.clone(), RType::Aaaa),
            None,
            [six.to_string()],
        ))?;
        for ip in [IpAddr::from(four), IpAddr::from(six)] {
            self.set(&Rrset::new(
                RrsetKey::new(Name::reverse(ip), RType::Ptr),
                None,
                [name.fqdn()],
            ))?;
        }
        Ok(())
    }

    fn patch(&self, zone: &Name, rrset: &Rrset) -> Result<()> {
        let records: Vec<Value> = rrset
            .values
            .iter()
            .map(|value| {
                if rrset.key.rtype == RType::Txt {
                    txt_quoted(value)
                } else {
                    value.clone()
                }
            })
            .map(|content| json!({ "content": content, "disabled": false }))
            .collect();
        let change = json!({ "rrsets": [{
            "name": rrset.key.name.fqdn(),
            "type": rrset.key.rtype.as_str(),
            "ttl": rrset.ttl.unwrap_or(TTL),
            "changetype": if records.is_empty() { "DELETE" } else { "REPLACE" },
            "records": records,
        }]});
        // A dot alone is no path segment: PowerDNS writes the root's id as `=2E`.
        let id = if zone == &Name::root() {
            "=2E".to_owned()
        } else {
            zone.fqdn()
        };
        let url = format!("{}/api/v1/servers/localhost/zones/{id}", self.endpoint());
        self.send(
            format!("PowerDNS does not set {} in {zone}", rrset.key),
            self.client.patch(url).json(&change),
        )
    }

    fn send(&self, what: String, request: reqwest::RequestBuilder) -> Result<()> {
        let request = request.header("X-API-Key", self.token.expose());
        self.background
            .wait(async move { body(&what, request).await.map(|_| ()) })
    }
}

/// Nothing is cached: a change is visible with the next query.
fn write_config(directory: &Path, network: Network, token: &Secret) -> Result<()> {
    let text = format!(
        "launch=gsqlite3
gsqlite3-database={database}
gsqlite3-pragma-synchronous=0
gsqlite3-dnssec=yes
local-address={four},{six}
webserver=yes
webserver-address={four}
webserver-port={API_PORT}
webserver-allow-from={here},{four}
api=yes
api-key={token}
socket-dir={directory}
default-soa-content={ns} hostmaster.@ 0 10800 3600 604800 1
default-ttl={TTL}
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
receiver-threads=1
distributor-threads=1
security-poll-suffix=
disable-syslog=yes
daemon=no
guardian=no
",
        database = directory.join("names.sqlite3").display(),
        directory = directory.display(),
        // This machine connects from its first address of the network.
        here = network.ipv4(Party::Gateway),
        four = network.ipv4(Party::Names),
        six = network.ipv6(Party::Names),
        token = token.expose(),
        ns = own_name(),
    );
    // The directory is readable by root only, and so is the token.
    let path = directory.join("pdns.conf");
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

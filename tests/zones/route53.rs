//! Route 53 as moto plays it: the library's adapter speaks to a real server,
//! which checks signatures and rights.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use mailctl::record::{RType, Rrset, RrsetKey};
use serde::Deserialize;

use super::world::{World, fields};
use super::{APEX, contract, http, key, name, names, set};

/// What the program says once it listens.
#[derive(Deserialize)]
struct Found {
    api: SocketAddr,
    sets: SocketAddr,
    zone: String,
    another: String,
    editor: [String; 2],
    reader: [String; 2],
}

/// A set as moto stores it.
#[derive(Deserialize)]
struct Held {
    name: String,
    #[serde(rename = "type")]
    rtype: RType,
    ttl: u32,
    values: Vec<String>,
}

struct Moto(Child);

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `None` where `make moto` was not run.
fn moto() -> Option<(Found, Moto)> {
    let home = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let python = home.join("target/moto/bin/python");
    if !python.exists() {
        eprintln!("skipped: moto is not installed: `make moto` does it");
        return None;
    }
    let mut child = Command::new(python)
        .arg(home.join("tests/zones/route53.py"))
        .arg(APEX)
        .env_remove("AWS_PROFILE")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("moto starts");
    let said = child.stdout.take().expect("its output");
    let running = Moto(child);
    let mut line = String::new();
    BufReader::new(said).read_line(&mut line).expect("a line");
    let found = serde_json::from_str(&line).expect("moto listens");
    Some((found, running))
}

/// What the zone holds, for its name server.
fn held(sets: SocketAddr) -> Vec<Rrset> {
    let mut stream = TcpStream::connect(sets).expect("it listens");
    stream
        .write_all(b"GET /sets HTTP/1.0\r\n\r\n")
        .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let held: Vec<Held> = serde_json::from_str(body).expect("sets");
    held.into_iter()
        .map(|set| {
            let text = |value: &String| match set.rtype {
                RType::Txt => mailctl::record::txt_joined(value),
                _ => value.clone(),
            };
            let key = RrsetKey::new(name(set.name.trim_end_matches('.')), set.rtype);
            Rrset::new(key, Some(set.ttl), set.values.iter().map(text))
        })
        .collect()
}

fn world() -> Option<World> {
    let (found, running) = moto()?;
    let (api, gate) = http::before(found.api);
    let sets = found.sets;
    let served = names::serve(APEX, "ns-7.awsdns-00.co.uk", move || held(sets));
    let endpoint = format!("http://{api}");
    let own = fields([
        ("access_key_id", found.editor[0].as_str()),
        ("secret_access_key", &found.editor[1]),
        ("hosted_zone_id", &found.zone),
        ("endpoint", &endpoint),
    ]);
    let world = World::new("route53", served, own, running);
    let wrong = world.but([("secret_access_key", "not-the-secret-of-this-key")]);
    let reader = world.but([
        ("access_key_id", &found.reader[0]),
        ("secret_access_key", &found.reader[1]),
    ]);
    let stranger = world.but([("hosted_zone_id", &found.another)]);
    Some(World {
        own: false,
        most: 99,
        gate: Some(Box::new(gate)),
        wrong: Some((wrong, "refuses the credentials")),
        reader: Some((reader, "does not permit")),
        stranger: Some(stranger),
        ..world
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn route53_keeps_the_contract() {
    contract::kept(world()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_nobody_has_is_told() {
    let Some(world) = world() else { return };
    let why = world
        .refusal(&world.but([("access_key_id", "AKIAIOSFODNN7EXAMPLE")]))
        .await;
    assert!(why.contains("refuses the credentials"), "{why}");
}

/// So that it is done whole or not at all.
#[tokio::test(flavor = "multi_thread")]
async fn one_change_is_one_request() {
    let Some(world) = world() else { return };
    let want = set(
        "one.example.test",
        RType::Mx,
        300,
        &["10 a.example.test.", "20 b.example.test."],
    );
    world.gate().next(&[]);
    world
        .write(
            APEX,
            &Rrset::absent(key("one.example.test", RType::Mx)),
            &want,
        )
        .await;
    assert_eq!(world.gate().writes(), 1, "{:?}", world.gate().seen());
}

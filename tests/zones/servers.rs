//! Name servers of one's own, each with a zone that had records before.

use super::bind::{self, BindServer};
use super::knot::{self, KnotServer};
use super::powerdns::{self, PowerDnsServer};
use super::world::{Fields, World, fields};
use super::{APEX, REVERSE4, REVERSE6, http, messages, ports};

/// BIND's own limit for the records of a set (`max-records-per-type`).
pub const MOST_OF_BIND: usize = 100;

pub fn zones() -> Vec<(&'static str, String)> {
    let foreign = "@ IN TXT \"somebody-else=1\"\nold IN TXT \"cut \" \"in two\"\n*.wild IN TXT \"wild\"\n*.wild IN A 192.0.2.9\n\
        smtp IN A 192.0.2.7\na IN A 192.0.2.7\nb IN A 192.0.2.7\n";
    // BIND wants the targets of MX records to have addresses (its `check-mx`).
    let targets: String = (1..=150)
        .map(|number| format!("mx{number} IN A 192.0.2.7\n"))
        .collect();
    vec![
        (
            APEX,
            ports::zone_text(APEX, &[], &(foreign.to_owned() + &targets)),
        ),
        (REVERSE4, ports::zone_text(REVERSE4, &[], "")),
        (REVERSE6, ports::zone_text(REVERSE6, &[], "")),
    ]
}

pub async fn powerdns() -> Option<World> {
    let server = PowerDnsServer::start(&zones()).await?;
    let (api, gate) = http::before(server.api);
    let endpoint = format!("http://{api}");
    let own = [
        ("endpoint", endpoint.as_str()),
        ("token", powerdns::API_KEY),
    ];
    let world = World::new("powerdns", server.dns, fields(own), server);
    let wrong = world.but([("token", "wrong-token-of-the-test")]);
    Some(World {
        gate: Some(Box::new(gate)),
        wrong: Some((wrong, "token is refused")),
        ..world
    })
}

pub async fn knot() -> Option<World> {
    let server = KnotServer::start(&zones()).await?;
    let (key_name, key, algorithm) = (knot::KEY_NAME, knot::KEY, knot::ALGORITHM);
    Some(by_updates(server.dns, server, [key_name, key, algorithm]))
}

pub async fn bind() -> Option<World> {
    let server = BindServer::start(&zones()).await?;
    let (key_name, key, algorithm) = (bind::KEY_NAME, bind::KEY, bind::ALGORITHM);
    let world = by_updates(server.dns, server, [key_name, key, algorithm]);
    let reader = world.but([("key_name", bind::READER_NAME)]);
    Some(World {
        reader: Some((reader, "REFUSED")),
        most: MOST_OF_BIND,
        ..world
    })
}

fn by_updates(dns: std::net::SocketAddr, server: impl std::any::Any, tsig: [&str; 3]) -> World {
    let (addr, gate) = messages::before(dns);
    let world = World::new("rfc2136", dns, tsig_fields(&addr.to_string(), tsig), server);
    let wrong = world.but([("key", "d3JvbmctdHNpZy1rZXktb2YtdGhlLXRlc3Q=")]);
    World {
        gate: Some(Box::new(gate)),
        wrong: Some((wrong, "BADSIG")),
        ..world
    }
}

/// Name, key and algorithm at a server.
pub fn tsig_fields(server: &str, [key_name, key, algorithm]: [&str; 3]) -> Fields {
    fields([
        ("server", server),
        ("key_name", key_name),
        ("key", key),
        ("algorithm", algorithm),
    ])
}

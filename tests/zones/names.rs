//! The name server of a zone at an API, and the resolver: it answers with what the API holds.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::thread;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{Name as WireName, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinEncodable};
use mailctl::record::{Name, RType, Rrset, wire};

use super::{messages, name};

/// The most octets of an answer by UDP; longer ones are asked for by TCP.
const DATAGRAM: usize = 1232;

/// Serves the zone until the program ends; where. `server` is its name server's name.
pub fn serve(
    apex: &'static str,
    server: &'static str,
    held: impl Fn() -> Vec<Rrset> + Send + Sync + 'static,
) -> SocketAddr {
    let stream = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let addr = stream.local_addr().expect("its address");
    let socket = UdpSocket::bind(addr).expect("the same port");
    let answered = Arc::new(move |question: &[u8]| {
        let question = Message::from_bytes(question).ok()?;
        Some(answer(apex, server, &question, &held()))
    });
    let by_stream = Arc::clone(&answered);
    thread::spawn(move || {
        let mut packet = [0; 4096];
        while let Ok((length, client)) = socket.recv_from(&mut packet) {
            let Some(mut answer) = answered(&packet[..length]) else {
                continue;
            };
            let mut octets = answer.to_bytes().expect("a message");
            if octets.len() > DATAGRAM {
                answer.answers.clear();
                answer.metadata.truncation = true;
                octets = answer.to_bytes().expect("a message");
            }
            socket.send_to(&octets, client).expect("sent");
        }
    });
    thread::spawn(move || {
        for mut client in stream.incoming().flatten() {
            while let Some(question) = messages::read(&mut client) {
                let answer = by_stream(&question).expect("a message");
                let octets = answer.to_bytes().expect("a message");
                // The client may have given up.
                drop(client.write_all(&messages::framed(&octets)));
            }
        }
    });
    addr
}

fn answer(apex: &str, server: &str, question: &Message, sets: &[Rrset]) -> Message {
    let mut answer = question.clone();
    answer.metadata.message_type = MessageType::Response;
    let Some(query) = question.queries.first().cloned() else {
        return answer;
    };
    let asked = wire::from_name(query.name());
    let (Some(owner), apex, host) = (asked, name(apex), name(server)) else {
        answer.metadata.response_code = ResponseCode::FormErr;
        return answer;
    };
    // Below the apex, an NS set leads elsewhere (RFC 1034 section 4.2.1).
    let leads = |set: &&Rrset| set.key.rtype == RType::Ns && set.key.name != apex;
    let delegated = |set: &Rrset| owner.is_in(&set.key.name);
    if sets.iter().filter(leads).any(delegated) {
        return answer;
    }
    answer.metadata.authoritative = owner.is_in(&apex);
    answer.metadata.recursion_available = true;
    let mut put = |ttl, data| {
        let record = Record::from_rdata(query.name().clone(), ttl, data);
        answer.answers.push(record);
    };
    let mut value = |rtype, text: &str| {
        put(300, wire::to_rdata(rtype, text).expect("a value"));
    };
    match query.query_type() {
        RecordType::SOA if owner == apex => {
            let (host, root) = (wire::name(&host).expect("a name"), WireName::root());
            put(300, RData::SOA(SOA::new(host, root, 1, 300, 300, 300, 300)));
        }
        RecordType::NS if owner == apex => value(RType::Ns, server),
        RecordType::A if owner == host => value(RType::A, "127.0.0.1"),
        rtype => {
            for set in standing(&owner, &apex, sets, rtype) {
                for value in &set.values {
                    let data = wire::to_rdata(set.key.rtype, value).expect("a value");
                    put(set.ttl.unwrap_or(300), data);
                }
            }
        }
    }
    answer
}

/// The sets that answer: the name's own, or of a name that has none, the wildcard's above it.
fn standing<'s>(owner: &Name, apex: &Name, sets: &'s [Rrset], rtype: RecordType) -> Vec<&'s Rrset> {
    let exists = |name: &Name| sets.iter().any(|set| set.key.name.is_in(name));
    let mut at = owner.clone();
    let mut above = owner.clone();
    while at != *apex && !exists(&at) {
        let Some(parent) = above.parent().filter(|parent| parent.is_in(apex)) else {
            break;
        };
        above = parent;
        at = above.child("*");
        if exists(&above) {
            break;
        }
    }
    sets.iter()
        .filter(|set| set.key.name == at && wire::record_type(set.key.rtype) == rtype)
        .collect()
}

//! The zone's name server, and the resolver: it answers with what the API holds.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{Name as WireName, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinEncodable};
use mailctl::record::{Name, Rrset, wire};

use super::{Api, name};

/// Serves the zone until the program ends; where.
pub fn serve(apex: &'static str, api: Arc<Mutex<dyn Api>>) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let addr = socket.local_addr().expect("its address");
    thread::spawn(move || {
        let mut packet = [0; 4096];
        while let Ok((length, client)) = socket.recv_from(&mut packet) {
            let Ok(question) = Message::from_bytes(&packet[..length]) else {
                continue;
            };
            let sets = api.lock().expect("an API").sets();
            let answer = answer(apex, &question, &sets);
            let octets = answer.to_bytes().expect("a message");
            socket.send_to(&octets, client).expect("sent");
        }
    });
    addr
}

fn answer(apex: &str, question: &Message, sets: &[Rrset]) -> Message {
    let mut answer = question.clone();
    answer.metadata.message_type = MessageType::Response;
    let Some(query) = question.queries.first().cloned() else {
        return answer;
    };
    let asked = wire::from_name(query.name());
    let (Some(owner), apex) = (asked, name(apex)) else {
        answer.metadata.response_code = ResponseCode::FormErr;
        return answer;
    };
    let host = apex.child("ns1");
    answer.metadata.authoritative = owner.is_in(&apex);
    answer.metadata.recursion_available = true;
    let wire_of = |name: &Name| wire::name(name).expect("a name");
    let mut put = |ttl, data| {
        let record = Record::from_rdata(query.name().clone(), ttl, data);
        answer.answers.push(record);
    };
    match query.query_type() {
        RecordType::SOA if owner == apex => {
            let (host, root) = (wire_of(&host), WireName::root());
            put(300, RData::SOA(SOA::new(host, root, 1, 300, 300, 300, 300)));
        }
        RecordType::NS if owner == apex => {
            put(
                300,
                wire::to_rdata(mailctl::record::RType::Ns, host.as_str()).expect("a name"),
            );
        }
        RecordType::A if owner == host => {
            put(
                300,
                wire::to_rdata(mailctl::record::RType::A, "127.0.0.1").expect("an address"),
            );
        }
        rtype => {
            for set in held(&owner, &apex, sets, rtype) {
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
fn held<'s>(owner: &Name, apex: &Name, sets: &'s [Rrset], rtype: RecordType) -> Vec<&'s Rrset> {
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

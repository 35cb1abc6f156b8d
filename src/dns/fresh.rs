//! Looking past a resolver's memory: what was absent a moment ago is
//! remembered as absent for as long as the zone's SOA says (RFC 2308 section 5),
//! and a look right after a change would find the past.
//!
//! A small forwarder on the loopback interface sends questions about given
//! zones to their own servers, all others to the resolver. Libraries that want
//! a resolver of their own are led to it as well.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::{JoinHandle, JoinSet};

use super::{Dns, exchange};
use crate::failure::{Context, Result};
use crate::record::{Name, wire};

/// More than any question.
const LARGEST: usize = 4096;

/// A forwarder that runs until this is dropped.
pub struct Fresh {
    dns: Dns,
    serving: JoinHandle<()>,
}

impl Fresh {
    /// The DNS, with the zones of these apexes as their own servers have them.
    pub fn dns(&self) -> &Dns {
        &self.dns
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Dns {
    /// The same world, but for `zones`, which are seen as they are now.
    ///
    /// # Errors
    /// When no socket can be had on the loopback interface.
    pub async fn fresh(&self, zones: Vec<Name>) -> Result<Fresh> {
        let what = "a look past the resolver cannot be set up";
        let streams = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let streams = streams.context(what)?;
        let address = streams.local_addr().context(what)?;
        let datagrams = UdpSocket::bind(address).await.context(what)?;
        let dns = Self::through(vec![address], self.0.given);
        let forwarder = Arc::new(Forwarder {
            dns: self.clone(),
            zones,
        });
        let serving = tokio::spawn(async move {
            tokio::join!(
                forwarder.over_udp(Arc::new(datagrams)),
                forwarder.over_tcp(&streams)
            );
        });
        Ok(Fresh { dns, serving })
    }
}

struct Forwarder {
    dns: Dns,
    zones: Vec<Name>,
}

impl Forwarder {
    async fn over_udp(self: &Arc<Self>, socket: Arc<UdpSocket>) {
        // Dropped with this future, and with it whatever is still under way.
        let mut answering = JoinSet::new();
        let mut buffer = vec![0; LARGEST];
        loop {
            // An error is about an earlier client that has gone away.
            let Ok((length, client)) = socket.recv_from(&mut buffer).await else {
                continue;
            };
            while answering.try_join_next().is_some() {}
            if let Ok(question) = Message::from_vec(&buffer[..length]) {
                let (forwarder, socket) = (self.clone(), socket.clone());
                answering.spawn(async move {
                    let answer = forwarder.answer(&question).await;
                    let room = usize::from(question.max_payload());
                    if let Ok(octets) = fitting(&answer, room) {
                        let _gone = socket.send_to(&octets, client).await;
                    }
                });
            }
        }
    }

    async fn over_tcp(self: &Arc<Self>, listener: &TcpListener) {
        let mut answering = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            while answering.try_join_next().is_some() {}
            let forwarder = self.clone();
            answering.spawn(async move { forwarder.converse(stream).await });
        }
    }

    /// Question after question, until the client leaves (RFC 7766 section 6.2.1).
    async fn converse(&self, mut stream: TcpStream) -> io::Result<()> {
        loop {
            let octets = exchange::receive(&mut stream).await?;
            let question = Message::from_vec(&octets).map_err(io::Error::other)?;
            let answer = self.answer(&question).await.to_vec();
            let frame = exchange::framed(&answer.map_err(io::Error::other)?)?;
            stream.write_all(&frame).await?;
        }
    }

    /// What the right server says, with the question's own number.
    async fn answer(&self, question: &Message) -> Message {
        let answer = match self.direct(question).await {
            Some(answer) => Ok(answer),
            None => self.dns.recurse_with(question, "a name").await,
        };
        let id = question.metadata.id;
        let mut answer = answer.unwrap_or_else(|_| {
            let code = ResponseCode::ServFail;
            let mut failed = Message::error_msg(id, question.metadata.op_code, code);
            failed.add_queries(question.queries.clone());
            failed
        });
        answer.metadata.id = id;
        answer.metadata.recursion_available = true;
        answer
    }

    /// The answer of one of the zone's own servers; `None` where the name is in
    /// no such zone, is delegated further, is an alias, or nobody answers.
    async fn direct(&self, question: &Message) -> Option<Message> {
        let query = question.queries.first()?;
        let name = wire::from_name(query.name())?;
        let zones = self.zones.iter().filter(|zone| name.is_in(zone));
        let zone = zones.max_by_key(|zone| zone.as_str().len())?;
        let mut asked = question.clone();
        asked.metadata.recursion_desired = false;
        for authority in self.dns.authorities(zone).await.ok()? {
            if authority.recursive {
                continue;
            }
            let Ok(answer) = self.dns.exchange(authority.addr, &asked).await else {
                continue;
            };
            let mut records = answer.answers.iter();
            let alias = records.any(|record| record.record_type() == RecordType::CNAME);
            let about_data = matches!(
                answer.metadata.response_code,
                ResponseCode::NoError | ResponseCode::NXDomain
            );
            return (answer.metadata.authoritative && about_data && !alias).then_some(answer);
        }
        None
    }
}

/// The answer as octets, or only that it is too long for a datagram (the TC bit).
fn fitting(answer: &Message, room: usize) -> Result<Vec<u8>, hickory_proto::ProtoError> {
    let octets = answer.to_vec()?;
    if octets.len() <= room {
        return Ok(octets);
    }
    let mut cut = answer.clone();
    cut.answers.clear();
    cut.authorities.clear();
    cut.additionals.clear();
    cut.metadata.truncation = true;
    cut.to_vec()
}

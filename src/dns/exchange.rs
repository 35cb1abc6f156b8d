//! One DNS message to one server and its answer back (RFC 1035 section 4.2).
//!
//! A socket per question, so that each has its own random port (RFC 5452
//! section 9.2); a connected UDP socket also hears "port unreachable" at once.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, Query};
use hickory_proto::rr::RecordType;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::failure::{Failure, Result};
use crate::record::{Name, RrsetKey, wire};

/// How long one try waits for its answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often a question is sent over UDP before the server counts as silent.
const TRIES: u32 = 2;
/// The largest UDP answer asked for: what passes everywhere unfragmented.
const UDP_PAYLOAD: u16 = 1232;

/// The question for one set, with EDNS (RFC 6891).
///
/// # Errors
/// When the name is none.
pub(crate) fn question(key: &RrsetKey, recursion: bool) -> Result<Message> {
    question_of(&key.name, wire::record_type(key.rtype), recursion)
}

/// The same for any type, also those that mailctl does not write.
///
/// # Errors
/// When the name is none.
pub(crate) fn question_of(name: &Name, rtype: RecordType, recursion: bool) -> Result<Message> {
    let name = wire::name(name).map_err(Failure::new)?;
    let mut message = Message::query();
    message.metadata.recursion_desired = recursion;
    message.add_query(Query::query(name, rtype));
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_PAYLOAD);
    message.set_edns(edns);
    Ok(message)
}

/// Asks over UDP, once more after a silence, and over TCP where the answer was cut off.
///
/// # Errors
/// When the server cannot be reached, is silent, or answers no DNS.
pub(crate) async fn exchange(server: SocketAddr, question: &Message) -> Result<Message> {
    let answer = match udp(server, question).await {
        Ok(answer) if answer.metadata.truncation => {
            match timeout(PATIENCE, tcp(server, question)).await {
                Ok(answer) => answer,
                Err(_) => Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "no answer over TCP",
                )),
            }
        }
        other => other,
    };
    answer.map_err(|e| Failure::new(format!("{server} does not answer DNS queries")).because(e))
}

async fn udp(server: SocketAddr, question: &Message) -> io::Result<Message> {
    let octets = question.to_vec().map_err(io::Error::other)?;
    let socket = UdpSocket::bind(unspecified(server)).await?;
    socket.connect(server).await?;
    for _ in 0..TRIES {
        socket.send(&octets).await?;
        if let Ok(answer) = timeout(PATIENCE, answer_to(question, &socket)).await {
            return answer;
        }
    }
    let silence = format!(
        "no answer within {} s, asked {TRIES} times",
        PATIENCE.as_secs()
    );
    Err(io::Error::new(io::ErrorKind::TimedOut, silence))
}

/// The first datagram that answers the question; others may be late or forged.
async fn answer_to(question: &Message, socket: &UdpSocket) -> io::Result<Message> {
    let mut buffer = [0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Ok(message) = Message::from_vec(&buffer[..length])
            && answers(&message, question)
        {
            return Ok(message);
        }
    }
}

async fn tcp(server: SocketAddr, question: &Message) -> io::Result<Message> {
    let octets = question.to_vec().map_err(io::Error::other)?;
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(&framed(&octets)?).await?;
    let message = Message::from_vec(&receive(&mut stream).await?).map_err(io::Error::other)?;
    if !answers(&message, question) {
        return Err(io::Error::other("the answer is to another question"));
    }
    Ok(message)
}

/// Whether `answer` is one to `question`; errors may come without the question section.
pub(crate) fn answers(answer: &Message, question: &Message) -> bool {
    answer.metadata.message_type == MessageType::Response
        && answer.metadata.id == question.metadata.id
        && (answer.queries.is_empty() || answer.queries == question.queries)
}

/// One message in TCP's framing (RFC 1035 section 4.2.2), to be written in one
/// go: Nagle's algorithm would hold back the second of two pieces.
pub(crate) fn framed(message: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend_from_slice(message);
    Ok(frame)
}

/// Reads one message in TCP's framing.
pub(crate) async fn receive(stream: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

/// Whether this machine has a route to `server`; nothing is sent.
pub(crate) fn has_route(server: SocketAddr) -> bool {
    std::net::UdpSocket::bind(unspecified(server))
        .and_then(|socket| socket.connect(server))
        .is_ok()
}

fn unspecified(like: SocketAddr) -> SocketAddr {
    let ip = match like {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(ip, 0)
}

//! A gate before a name server that takes updates over TCP (RFC 7766).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::gate::{self, Fault, Here, READ};

/// Passes messages on to `server` until the test program ends; where.
pub fn before(server: SocketAddr) -> (SocketAddr, Here) {
    gate::open(move |client, gate| {
        serve(client, server, gate);
    })
}

/// Message after message; ends with the first error.
fn serve(mut client: TcpStream, server: SocketAddr, gate: &Here) -> Option<()> {
    let mut upstream = TcpStream::connect(server).expect("the server listens");
    loop {
        let request = read(&mut client)?;
        let fault = gate.meets(method(&request));
        let answer = match fault {
            Fault::Refused(..) => Vec::new(),
            _ => {
                upstream.write_all(&framed(&request)).ok()?;
                read(&mut upstream)?
            }
        };
        match fault {
            Fault::None => client.write_all(&framed(&answer)).ok()?,
            Fault::Refused(..) | Fault::Failed => {
                client.write_all(&framed(&servfail(&request))).ok()?;
            }
            Fault::Lost => return None,
            Fault::Cut => {
                let whole = framed(&answer);
                client.write_all(&whole[..whole.len() / 2]).ok()?;
                return None;
            }
        }
    }
}

/// A query reads, an update (RFC 2136 section 2) writes, unless it has conditions only.
fn method(message: &[u8]) -> &'static str {
    let (opcode, updates) = (message[2] >> 3 & 0xf, &message[8..10]);
    match opcode {
        5 if updates != [0, 0] => "UPDATE",
        _ => READ,
    }
}

/// The header alone: unsigned, as servers send it that cannot do anything (RFC 8945 section 5.3).
fn servfail(request: &[u8]) -> Vec<u8> {
    let mut header = request[..12].to_vec();
    header[2] |= 0x80;
    header[3] = 2;
    header[4..].fill(0);
    header
}

/// The message as it travels over TCP (RFC 1035 section 4.2.2).
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("a message");
    [&length.to_be_bytes(), message].concat()
}

/// The next one; `None` where the connection ends.
pub fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

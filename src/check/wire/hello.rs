//! Old TLS, which rustls does not speak: a hello of our own, and what is said
//! to it. RFC 8996 retired TLS 1.0 and 1.1.

use std::net::IpAddr;

use super::{Outside, SUBMISSIONS};
use crate::record::Name;

/// The newest version that a hello offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Newest {
    /// TLS 1.1, so that only a server that takes retired versions answers.
    V11,
    /// TLS 1.2, with the ciphers that modern clients have left behind.
    V12,
}

/// What a server says to a hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It would go on, with this version, such as `TLSv1.0`.
    Accepts(String),
    /// It would not.
    Refuses,
}

/// From the newest to the oldest: what every server of that time had, whatever its key.
const CIPHERS: [u16; 20] = [
    0xc02f, 0xc02b, 0xc030, 0xc02c, 0x009e, 0x009f, 0x009c, 0x009d, 0xc013, 0xc014, 0xc009, 0xc00a,
    0x0033, 0x0039, 0x002f, 0x0035, 0x003c, 0xc012, 0x000a, // then the renegotiation signal
    0x00ff,
];

/// No flight of a server is longer.
const LONGEST: usize = 128 * 1024;

impl Outside {
    /// Whether a server goes on after a hello that offers nothing newer; asked once.
    ///
    /// # Errors
    /// Why that could not be seen.
    pub async fn hello(
        &self,
        host: &Name,
        address: IpAddr,
        port: u16,
        newest: Newest,
    ) -> Result<Said, String> {
        let key = (host.clone(), address, port, newest);
        let find = || self.say_hello(host, address, port, newest);
        self.wire.hellos.get(key, find).await
    }

    async fn say_hello(
        &self,
        host: &Name,
        address: IpAddr,
        port: u16,
        newest: Newest,
    ) -> Result<Said, String> {
        let talk = self.connect(address, port).await;
        let mut talk = talk.map_err(|_| "the port does not answer again".to_owned())?;
        if port != SUBMISSIONS {
            talk.reply().await?;
            self.ehlo(&mut talk).await?;
            let reply = talk.say("STARTTLS").await?;
            if reply.code != 220 {
                return Err(format!("STARTTLS is answered with {}", reply.told()));
            }
        }
        talk.send(&client_hello(host, newest)).await?;
        let mut heard = Vec::new();
        loop {
            let more = talk.receive().await?;
            heard.extend_from_slice(&more);
            if let Some(said) = understand(&heard) {
                return said;
            }
            if more.is_empty() {
                return Ok(Said::Refuses);
            }
            if heard.len() > LONGEST {
                return Err("its answer to a TLS hello does not end".into());
            }
        }
    }
}

/// A hello in one record (RFC 4346 section 7.4.1.2, RFC 5246).
fn client_hello(host: &Name, newest: Newest) -> Vec<u8> {
    let version = match newest {
        Newest::V11 => [3, 2],
        Newest::V12 => [3, 3],
    };
    let mut body = version.to_vec();
    // The handshake is never finished: nothing depends on this being random.
    body.extend([0x6d; 32]);
    body.push(0);
    let ciphers: Vec<u8> = CIPHERS.iter().flat_map(|c| c.to_be_bytes()).collect();
    body.extend(counted(&ciphers));
    // No compression.
    body.extend([1, 0]);
    let name = counted(host.as_str().as_bytes());
    let mut extensions = extension(0, &counted(&[&[0], name.as_slice()].concat()));
    // x25519, P-256, P-384, P-521; uncompressed points.
    extensions.extend(extension(10, &counted(&[0, 29, 0, 23, 0, 24, 0, 25])));
    extensions.extend(extension(11, &[1, 0]));
    if newest == Newest::V12 {
        // RSA and ECDSA with SHA-256, SHA-384, SHA-512, SHA-1; RSA-PSS with SHA-256.
        let schemes = [4, 1, 4, 3, 5, 1, 5, 3, 6, 1, 6, 3, 2, 1, 2, 3, 8, 4];
        extensions.extend(extension(13, &counted(&schemes)));
    }
    body.extend(counted(&extensions));
    // The record calls itself TLS 1.0, as hellos do (RFC 5246 appendix E.1).
    let mut handshake = vec![1, 0];
    handshake.extend(counted(&body));
    [&[22, 3, 1], counted(&handshake).as_slice()].concat()
}

/// Bytes with their number before them.
fn counted(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), bytes].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [kind.to_be_bytes().as_slice(), &counted(content)].concat()
}

/// What a server's first flight says; `None` until it has said enough. Only its
/// end counts: some answer, and then notice that they cannot sign.
fn understand(heard: &[u8]) -> Option<Result<Said, String>> {
    let mut rest = heard;
    let mut handshake: Vec<u8> = Vec::new();
    let mut version = None;
    while let [kind, 3, _, high, low, content @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let record = content.get(..length)?;
        rest = &content[length..];
        match kind {
            // An alert: a warning, such as unrecognized_name, ends nothing.
            21 if record.first() == Some(&1) => continue,
            21 => return Some(Ok(Said::Refuses)),
            22 => handshake.extend_from_slice(record),
            _ => break,
        }
        while let [kind, a, b, c, message @ ..] = handshake.as_slice() {
            let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            let Some(body) = message.get(..length) else {
                break;
            };
            match (kind, body) {
                (2, [3, minor, ..]) => version = Some(*minor),
                // ServerHelloDone.
                (14, _) => return Some(accepted(version)),
                _ => {}
            }
            handshake = message[length..].to_vec();
        }
    }
    if rest.is_empty() || (rest.len() < 5 && matches!(rest[0], 21 | 22)) {
        return None;
    }
    Some(Err(
        "it answers a TLS hello with something that is not TLS".into()
    ))
}

fn accepted(version: Option<u8>) -> Result<Said, String> {
    match version {
        Some(0) => Ok(Said::Accepts("SSLv3".into())),
        Some(minor @ 1..=3) => Ok(Said::Accepts(format!("TLSv1.{}", minor - 1))),
        _ => Err("its answer to a TLS hello names no version".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, content: &[u8]) -> Vec<u8> {
        [&[kind, 3, 2], counted(content).as_slice()].concat()
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, 0], counted(body).as_slice()].concat()
    }

    #[test]
    fn a_whole_flight_is_an_answer() {
        let hello = message(2, &[3, 1, 0, 0, 0]);
        let flight = [hello, message(11, &[0; 300]), message(14, &[])].concat();
        let accepts = Some(Ok(Said::Accepts("TLSv1.0".into())));
        assert_eq!(understand(&record(22, &flight)), accepts);
        // The same in two records that end anywhere.
        let two = [record(22, &flight[..20]), record(22, &flight[20..])].concat();
        assert_eq!(understand(&two), accepts);
        for end in 0..two.len() {
            assert_eq!(understand(&two[..end]), None, "{end}");
        }
    }

    #[test]
    fn an_alert_refuses_even_after_a_hello() {
        let alert = record(21, &[2, 70]);
        assert_eq!(understand(&alert), Some(Ok(Said::Refuses)));
        let late = [record(22, &message(2, &[3, 2])), record(21, &[2, 80])].concat();
        assert_eq!(understand(&late), Some(Ok(Said::Refuses)));
        assert_eq!(understand(&record(21, &[1, 112])), None);
    }

    #[test]
    fn something_else_is_no_answer() {
        assert!(matches!(understand(b"500 what?\r\n"), Some(Err(_))));
    }
}

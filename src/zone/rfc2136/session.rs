//! One TCP connection to the primary: signed requests out, verified answers in.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::TSigVerifier;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Tsig, refusal};
use crate::dns::exchange;
use crate::failure::{Context, Failure, Result};
use crate::record::Name;

/// How long connecting, and each answer, may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many requests are under way at once.
const BATCH: usize = 100;

/// An open connection.
pub(super) struct Session {
    stream: TcpStream,
    tsig: Tsig,
    server: SocketAddr,
    /// Whether the connection ended before all was said.
    broken: bool,
}

impl Session {
    pub(super) async fn open(server: SocketAddr, tsig: Tsig) -> Result<Self> {
        let connected = timeout(PATIENCE, TcpStream::connect(server))
            .await
            .unwrap_or_else(|_| Err(silent()));
        let stream = connected.map_err(|e| {
            Failure::new(format!("the primary {server} does not accept a connection"))
                .hint("is `server` right, and does it listen on TCP there?")
                .because(e)
        })?;
        stream
            .set_nodelay(true)
            .with_context(|| format!("the connection to {server}"))?;
        Ok(Self {
            stream,
            tsig,
            server,
            broken: false,
        })
    }

    /// The server's address, for messages.
    pub(super) fn server(&self) -> SocketAddr {
        self.server
    }

    /// Whether the connection ended in the middle: what was asked may be asked again.
    pub(super) fn broken(&self) -> bool {
        self.broken
    }

    /// The key's name, for messages.
    pub(super) fn key_name(&self) -> &Name {
        &self.tsig.key_name
    }

    /// Sends one request and returns the answer to it.
    pub(super) async fn ask(&mut self, request: Message) -> Result<Message> {
        let mut answers = self.ask_all(vec![request]).await?;
        Ok(answers.remove(0))
    }

    /// Sends all requests without waiting for answers in between; these come
    /// back in the order of the requests, in whichever order the server gave them
    /// (RFC 7766 section 7).
    pub(super) async fn ask_all(&mut self, requests: Vec<Message>) -> Result<Vec<Message>> {
        let mut answers = Vec::with_capacity(requests.len());
        for batch in requests.chunks(BATCH) {
            answers.extend(self.ask_batch(batch).await?);
        }
        Ok(answers)
    }

    async fn ask_batch(&mut self, requests: &[Message]) -> Result<Vec<Message>> {
        let mut frames = Vec::new();
        let mut pending = HashMap::with_capacity(requests.len());
        let base = requests.first().map_or(0, |request| request.metadata.id);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_secs());
        for (number, id) in (0..requests.len()).zip((0..).map(|n| base.wrapping_add(n))) {
            // Random ids may collide within one connection, these do not.
            let mut request = requests[number].clone();
            request.metadata.id = id;
            let verifier = request
                .finalize(&self.tsig.signer, now)
                .context("a request cannot be signed")?;
            let verifier = verifier.ok_or_else(|| Failure::new("a request was not signed"))?;
            pending.insert(id, (number, verifier));
            let octets = request.to_vec().context("a request cannot be written")?;
            frames.extend(exchange::framed(&octets).context("a request is too long")?);
        }
        let (server, key_name) = (self.server, self.tsig.key_name.clone());
        let lost = || format!("the connection to the primary {server} broke");
        let (mut reader, mut writer) = self.stream.split();
        let mut cut = false;
        let sending = writer.write_all(&frames);
        let receiving = async {
            let mut answers: Vec<Option<Message>> = vec![None; requests.len()];
            while !pending.is_empty() {
                acknowledge_at_once(reader.as_ref());
                let octets = timeout(PATIENCE, exchange::receive(&mut reader))
                    .await
                    .unwrap_or_else(|_| Err(silent()));
                cut = octets.is_err();
                let octets = octets.with_context(lost)?;
                let answer = Message::from_vec(&octets).with_context(|| {
                    format!("the primary {server} answers what is no DNS message")
                })?;
                let Some((number, verifier)) = pending.remove(&answer.metadata.id) else {
                    return Err(Failure::new(format!(
                        "the primary {server} answers what was not asked"
                    )));
                };
                verified(&answer, &octets, verifier, server, &key_name)?;
                answers[number] = Some(answer);
            }
            Ok(answers.into_iter().flatten().collect())
        };
        let (sent, received) = tokio::join!(sending, receiving);
        self.broken = sent.is_err() || cut;
        // What the server said tells more than that it then stopped listening.
        let received = received?;
        sent.with_context(lost)?;
        Ok(received)
    }
}

/// Servers that leave Nagle's algorithm on hold back each answer until the one
/// before is acknowledged, which a client delays by 40 ms. Linux forgets the
/// wish, so it is repeated.
fn acknowledge_at_once(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    let _ = stream.set_quickack(true);
    #[cfg(not(target_os = "linux"))]
    let _ = stream;
}

/// Errors may come unsigned (RFC 8945 section 5.2): they are reported, nothing is done on them.
fn verified(
    answer: &Message,
    octets: &[u8],
    mut verifier: TSigVerifier,
    server: SocketAddr,
    key_name: &Name,
) -> Result<()> {
    if let Some(why) = refusal::of_signature(answer, server, key_name) {
        return Err(why);
    }
    if answer.signature().is_none() && answer.metadata.response_code != ResponseCode::NoError {
        return Ok(());
    }
    verifier.verify(octets).map(drop).with_context(|| {
        format!("the answer of the primary {server} is not signed with the key `{key_name}`")
    })
}

/// Waits before the next try of what the server was too busy for.
pub(super) async fn pause(tried: u32) {
    tokio::time::sleep(Duration::from_millis(50 << tried.min(5))).await;
}

fn silent() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        format!("no answer within {} s", PATIENCE.as_secs()),
    )
}

//! One SMTP conversation (RFC 5321), with a server that may say anything: every
//! answer has a time limit and a length limit.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

use super::Tls;
use super::secure;
use crate::record::Name;

/// The longest reply that is listened to, in bytes. RFC 5321 section 4.5.3.1.5
/// gives a line 512; the longest lists of capabilities have some thirty lines.
const LONGEST: usize = 64 * 1024;

/// A reply (RFC 5321 section 4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// The text of each line.
    pub lines: Vec<String>,
}

impl Reply {
    /// Whether what was asked was done.
    pub fn positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// The text in one line.
    pub fn text(&self) -> String {
        self.lines.join(" ")
    }

    /// Code and text as people read it, cut where it is long.
    pub fn told(&self) -> String {
        let text = self.text();
        let mut told: String = text.chars().take(160).collect();
        if told.len() < text.len() {
            told.push('…');
        }
        format!("{} {told}", self.code).trim_end().to_owned()
    }
}

/// A conversation that is open.
pub struct Talk {
    stream: Stream,
    /// What was read and belongs to no reply yet.
    rest: Vec<u8>,
    patience: Duration,
}

impl Talk {
    /// Connects, and hears nothing yet. Every later step may take `patience`, too.
    ///
    /// # Errors
    /// The system's, or `TimedOut` once `patience` has passed.
    pub async fn open(to: SocketAddr, patience: Duration) -> io::Result<Self> {
        let stream = timeout(patience, TcpStream::connect(to)).await??;
        Ok(Self {
            stream: Stream::Clear(stream),
            rest: Vec::new(),
            patience,
        })
    }

    /// The next reply; right after connecting, the greeting.
    ///
    /// # Errors
    /// Why there is none: silence, an end, or something that is not SMTP.
    pub async fn reply(&mut self) -> Result<Reply, String> {
        let until = Instant::now() + self.patience;
        let mut reply: Option<Reply> = None;
        let mut length = 0;
        loop {
            let line = self.line(until).await?;
            length += line.len();
            if length > LONGEST {
                return Err(format!("more than {LONGEST} bytes in one reply"));
            }
            let (code, more, text) = split(&line)?;
            let reply = reply.get_or_insert_with(|| Reply {
                code,
                lines: Vec::new(),
            });
            reply.lines.push(text);
            if !more {
                // The last line's code counts (RFC 5321 section 4.2.1).
                reply.code = code;
                return Ok(reply.clone());
            }
        }
    }

    /// Says one command and hears the reply.
    ///
    /// # Errors
    /// As for [`Talk::reply`].
    pub async fn say(&mut self, command: &str) -> Result<Reply, String> {
        self.send(format!("{command}\r\n").as_bytes()).await?;
        self.reply().await
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// Why they could not be sent.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let patience = self.patience;
        let sent = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout(patience, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(broken(&error)),
            Err(_) => Err(silence(patience)),
        }
    }

    /// Some more bytes as they come; none at the end.
    ///
    /// # Errors
    /// Silence or a broken connection.
    pub async fn receive(&mut self) -> Result<Vec<u8>, String> {
        if self.rest.is_empty() {
            self.fill(Instant::now() + self.patience).await?;
        }
        Ok(std::mem::take(&mut self.rest))
    }

    /// Begins TLS as a client of `host`, whatever the certificate is worth.
    ///
    /// # Errors
    /// Why it did not come about.
    pub async fn secure(self, host: &Name) -> Result<(Self, Tls), String> {
        // What came with the reply to STARTTLS would be taken for secured (CVE-2011-0411).
        if !self.rest.is_empty() {
            return Err("it sent something in the clear after its answer to STARTTLS".into());
        }
        let Stream::Clear(stream) = self.stream else {
            return Err("TLS is on already".into());
        };
        let (stream, tls) = match timeout(self.patience, secure::begin(stream, host)).await {
            Ok(begun) => begun?,
            Err(_) => return Err(silence(self.patience)),
        };
        let secured = Self {
            stream: Stream::Secured(Box::new(stream)),
            rest: Vec::new(),
            patience: self.patience,
        };
        Ok((secured, tls))
    }

    /// Says goodbye, and does not wait for the answer.
    pub async fn quit(mut self) {
        let _gone = self.send(b"QUIT\r\n").await;
    }

    async fn line(&mut self, until: Instant) -> Result<String, String> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
            }
            if self.rest.len() > LONGEST {
                return Err(format!("more than {LONGEST} bytes without an end of line"));
            }
            if self.fill(until).await? == 0 {
                let said = String::from_utf8_lossy(&self.rest);
                return Err(if said.trim().is_empty() {
                    "it closed the connection".into()
                } else {
                    format!("it closed the connection after {}", quoted(&said))
                });
            }
        }
    }

    async fn fill(&mut self, until: Instant) -> Result<usize, String> {
        let mut some = [0; 4096];
        match timeout_at(until, self.stream.read(&mut some)).await {
            Ok(Ok(length)) => {
                self.rest.extend_from_slice(&some[..length]);
                Ok(length)
            }
            // TLS that ends without close_notify ends all the same.
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            Ok(Err(error)) => Err(broken(&error)),
            Err(_) => Err(silence(self.patience)),
        }
    }
}

fn broken(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "it closed the connection".into()
        }
        _ => error.to_string(),
    }
}

fn silence(patience: Duration) -> String {
    format!("no answer within {} s", patience.as_secs_f32().ceil())
}

/// Code, whether more lines follow, and text of a line.
fn split(line: &str) -> Result<(u16, bool, String), String> {
    let garbage = || format!("{} is no SMTP reply", quoted(line));
    let code = line.get(..3).ok_or_else(garbage)?;
    if !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(garbage());
    }
    let code = code.parse().map_err(|_| garbage())?;
    let rest = &line[3..];
    match rest.chars().next() {
        None => Ok((code, false, String::new())),
        Some(' ') => Ok((code, false, printable(&rest[1..]))),
        Some('-') => Ok((code, true, printable(&rest[1..]))),
        Some(_) => Err(garbage()),
    }
}

/// A stranger's words end up on terminals.
fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.trim().chars().map(shown).collect()
}

fn quoted(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    format!("`{}`", printable(&short))
}

enum Stream {
    Clear(TcpStream),
    Secured(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Secured(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Secured(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_flush(cx),
            Self::Secured(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Secured(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A server that says this, and closes.
    async fn hearing(said: Vec<u8>) -> Result<Reply, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("known");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("accepted");
            let _heard_or_not = stream.write_all(&said).await;
        });
        let mut talk = Talk::open(address, Duration::from_secs(2))
            .await
            .expect("connected");
        talk.reply().await
    }

    #[tokio::test]
    async fn replies_of_one_and_of_many_lines() {
        let one = hearing(b"220 mail.example ESMTP\r\n".to_vec()).await;
        let one = one.expect("a reply");
        assert_eq!((one.code, one.text().as_str()), (220, "mail.example ESMTP"));
        let many = hearing(b"250-mail.example\n250-SIZE 1\r\n250 HELP\r\n".to_vec()).await;
        assert_eq!(
            many.expect("a reply").lines,
            ["mail.example", "SIZE 1", "HELP"]
        );
        let bare = hearing(b"250\r\n".to_vec()).await.expect("a reply");
        assert_eq!(bare.told(), "250");
    }

    #[tokio::test]
    async fn what_is_no_reply_is_said_in_short() {
        let heard = |said: &'static [u8]| hearing(said.to_vec());
        assert_eq!(
            heard(b"").await.expect_err("nothing"),
            "it closed the connection"
        );
        assert_eq!(
            heard(b"220-half").await.expect_err("half"),
            "it closed the connection after `220-half`"
        );
        assert_eq!(
            heard(b"HTTP/1.1 400 Bad\x1b[31m Request\r\n")
                .await
                .expect_err("http"),
            "`HTTP/1.1 400 Bad\u{fffd}[31m Request` is no SMTP reply"
        );
        assert_eq!(
            heard("ünö\r\n".as_bytes()).await.expect_err("letters"),
            "`ünö` is no SMTP reply"
        );
    }

    #[tokio::test]
    async fn endless_replies_are_cut() {
        let line = hearing(vec![b'2'; 2 * LONGEST]).await.expect_err("endless");
        assert!(line.ends_with("without an end of line"), "{line}");
        let lines = hearing(b"220-x\r\n".repeat(LONGEST)).await;
        let lines = lines.expect_err("endless");
        assert!(lines.ends_with("in one reply"), "{lines}");
    }

    #[tokio::test]
    async fn silence_ends_with_patience() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("known");
        let patience = Duration::from_millis(50);
        let mut talk = Talk::open(address, patience).await.expect("connected");
        assert_eq!(
            talk.reply().await.expect_err("silent"),
            "no answer within 1 s"
        );
    }
}

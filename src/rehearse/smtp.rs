//! The receiving side of one SMTP session (RFC 5321), without I/O of its own choice.

use std::io;
use std::net::SocketAddr;
use std::time::SystemTime;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use super::far::{Mailbox, Received};
use super::names::far_name;

/// The largest message, announced by SIZE (RFC 1870).
const MAX_MESSAGE: usize = 50 << 20;
/// A command line; RFC 5321 section 4.5.3.1.4 asks for 512, extensions add to it.
const MAX_COMMAND: u64 = 4096;

/// How a conversation ended.
pub(super) enum Outcome<S> {
    /// The client left.
    Over,
    /// The client wants TLS on this stream now (RFC 3207).
    StartTls(S),
}

/// What is known of the client so far.
pub(super) struct Session<'a> {
    peer: SocketAddr,
    mailbox: &'a Mailbox,
    tls: Option<String>,
    ehlo: String,
    mail_from: Option<String>,
    rcpt_to: Vec<String>,
}

impl<'a> Session<'a> {
    pub(super) fn new(peer: SocketAddr, mailbox: &'a Mailbox) -> Self {
        Self {
            peer,
            mailbox,
            tls: None,
            ehlo: String::new(),
            mail_from: None,
            rcpt_to: Vec::new(),
        }
    }

    pub(super) fn secured(mut self, version: String) -> Self {
        self.tls = Some(version);
        self
    }

    fn reset(&mut self) {
        self.mail_from = None;
        self.rcpt_to.clear();
    }

    /// The reply to every command but DATA, STARTTLS and QUIT.
    fn reply(&mut self, verb: &str, argument: &str) -> String {
        match verb {
            "HELO" | "EHLO" => {
                self.reset();
                self.ehlo = argument.to_owned();
                let starttls = if self.tls.is_none() {
                    "250-STARTTLS\r\n"
                } else {
                    ""
                };
                match verb {
                    "HELO" => format!("250 {}", far_name()),
                    _ => format!(
                        "250-{}\r\n250-SIZE {MAX_MESSAGE}\r\n250-8BITMIME\r\n{starttls}250 ENHANCEDSTATUSCODES",
                        far_name()
                    ),
                }
            }
            "MAIL" if self.ehlo.is_empty() => "503 5.5.1 EHLO first".into(),
            "MAIL" if self.mail_from.is_some() => "503 5.5.1 there is a sender already".into(),
            "MAIL" => match path(argument, "FROM:") {
                Some((_, parameters)) if announced_size(parameters) > MAX_MESSAGE => {
                    "552 5.3.4 too large".into()
                }
                Some((sender, _)) => {
                    self.mail_from = Some(sender.to_owned());
                    "250 2.1.0 OK".into()
                }
                None => "501 5.5.4 MAIL FROM:<address>".into(),
            },
            "RCPT" if self.mail_from.is_none() => "503 5.5.1 MAIL first".into(),
            "RCPT" => match path(argument, "TO:") {
                Some((recipient, _)) => {
                    let reply = self.mailbox.verdict(recipient);
                    if reply.starts_with('2') {
                        self.rcpt_to.push(recipient.to_owned());
                    }
                    reply
                }
                None => "501 5.5.4 RCPT TO:<address>".into(),
            },
            "RSET" => {
                self.reset();
                "250 2.0.0 OK".into()
            }
            "NOOP" => "250 2.0.0 OK".into(),
            "VRFY" => "252 2.5.0 send and see".into(),
            _ => "500 5.5.2 unknown command".into(),
        }
    }

    fn store(&mut self, data: Vec<u8>) {
        self.mailbox.store(Received {
            peer: self.peer,
            ehlo: self.ehlo.clone(),
            mail_from: self.mail_from.take().unwrap_or_default(),
            rcpt_to: std::mem::take(&mut self.rcpt_to),
            tls: self.tls.clone(),
            data,
            at: SystemTime::now(),
        });
    }
}

/// Talks until the client leaves or asks for TLS.
pub(super) async fn converse<S>(stream: S, session: &mut Session<'_>) -> io::Result<Outcome<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = BufReader::new(stream);
    if session.tls.is_none() {
        say(&mut stream, &format!("220 {} ESMTP", far_name())).await?;
    }
    loop {
        let mut line = Vec::new();
        (&mut stream)
            .take(MAX_COMMAND)
            .read_until(b'\n', &mut line)
            .await?;
        if !line.ends_with(b"\n") {
            // The end of the stream, or no command at all.
            return Ok(Outcome::Over);
        }
        let line = String::from_utf8_lossy(&line);
        let (verb, argument) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        match verb.to_ascii_uppercase().as_str() {
            "QUIT" => {
                say(&mut stream, "221 2.0.0 bye").await?;
                return Ok(Outcome::Over);
            }
            "STARTTLS" if session.tls.is_none() => {
                say(&mut stream, "220 2.0.0 go ahead").await?;
                // What was sent in the clear after STARTTLS is dropped with the buffer.
                return Ok(Outcome::StartTls(stream.into_inner()));
            }
            "DATA" if session.rcpt_to.is_empty() => {
                say(&mut stream, "503 5.5.1 RCPT first").await?
            }
            "DATA" => {
                say(&mut stream, "354 end with a dot on a line of its own").await?;
                match read_data(&mut stream).await? {
                    Some(data) => {
                        session.store(data);
                        say(&mut stream, "250 2.0.0 taken").await?;
                    }
                    None => {
                        session.reset();
                        say(&mut stream, "552 5.3.4 too large").await?;
                    }
                }
            }
            verb => say(&mut stream, &session.reply(verb, argument.trim())).await?,
        }
    }
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, reply: &str) -> io::Result<()> {
    stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
    stream.flush().await
}

/// The message up to CRLF.CRLF, with dot-stuffing undone (section 4.5.2);
/// `None` where it is too large. A bare LF ends no line: that is how mail is smuggled.
async fn read_data<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> io::Result<Option<Vec<u8>>> {
    let mut data = Vec::new();
    let mut too_large = false;
    let mut at_line_start = true;
    loop {
        let mut piece = Vec::new();
        if (&mut *stream)
            .take(1 << 16)
            .read_until(b'\n', &mut piece)
            .await?
            == 0
        {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if at_line_start && piece == b".\r\n" {
            return Ok((!too_large).then_some(data));
        }
        let stuffed = at_line_start && piece.starts_with(b".");
        data.extend_from_slice(&piece[usize::from(stuffed)..]);
        at_line_start = data.ends_with(b"\r\n");
        if data.len() > MAX_MESSAGE {
            too_large = true;
            let keep = data.len() - 2;
            data.drain(..keep);
        }
    }
}

/// The address of `FROM:<address> PARAMETERS`, and the parameters.
fn path<'a>(argument: &'a str, prefix: &str) -> Option<(&'a str, &'a str)> {
    let head = argument.get(..prefix.len())?;
    let rest = argument
        .get(prefix.len()..)?
        .trim_start()
        .strip_prefix('<')?;
    head.eq_ignore_ascii_case(prefix).then_some(())?;
    rest.split_once('>')
}

/// The value of the SIZE parameter; 0 where there is none.
fn announced_size(parameters: &str) -> usize {
    let sizes = parameters.split_whitespace().filter_map(|word| {
        let (key, value) = word.split_once('=')?;
        key.eq_ignore_ascii_case("SIZE")
            .then(|| value.parse().unwrap_or(usize::MAX))
    });
    sizes.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Name;

    /// What the server says to all of `input`, and what it stored.
    async fn talk(input: &str) -> (String, Vec<Received>) {
        let mailbox = Mailbox::default();
        mailbox.accept(&Name::parse("far.example").expect("a name"));
        let (mut client, server) = tokio::io::duplex(1 << 20);
        client.write_all(input.as_bytes()).await.expect("written");
        let peer = SocketAddr::from(([192, 0, 2, 1], 4711));
        converse(server, &mut Session::new(peer, &mailbox))
            .await
            .expect("a conversation");
        let mut said = String::new();
        client.read_to_string(&mut said).await.expect("read");
        (said, mailbox.received())
    }

    #[tokio::test]
    async fn a_message_is_kept_as_it_was_before_stuffing() {
        let (said, received) = talk(
            "EHLO me.example\r\nMAIL FROM:<> SIZE=20\r\nRCPT TO:<A@Far.Example>\r\nDATA\r\n\
             Subject: dots\r\n\r\n..\r\n..hidden\r\na\n.\nb\r\n.\r\nQUIT\r\n",
        )
        .await;
        assert!(said.ends_with(
            "354 end with a dot on a line of its own\r\n250 2.0.0 taken\r\n221 2.0.0 bye\r\n"
        ));
        assert_eq!(received.len(), 1);
        assert_eq!(
            received[0].text(),
            "Subject: dots\r\n\r\n.\r\n.hidden\r\na\n.\nb\r\n"
        );
        assert_eq!(
            (
                received[0].mail_from.as_str(),
                received[0].rcpt_to.as_slice()
            ),
            ("", &["A@Far.Example".into()][..])
        );
        assert_eq!(
            (received[0].ehlo.as_str(), &received[0].tls),
            ("me.example", &None)
        );
    }

    #[tokio::test]
    async fn strangers_large_mail_and_disorder_are_refused() {
        let (said, received) = talk(
            "MAIL FROM:<a@b.example>\r\nEHLO me.example\r\nRCPT TO:<a@far.example>\r\n\
             MAIL FROM:<a@b.example> SIZE=99999999\r\nMAIL FROM:<a@b.example>\r\nMAIL FROM:<c@b.example>\r\n\
             RCPT TO:<x@stranger.example>\r\nRCPT TO:x\r\nDATA\r\nQUIT\r\n",
        )
        .await;
        let codes: Vec<&str> = said
            .lines()
            .filter(|l| l.as_bytes()[3] == b' ')
            .map(|l| &l[..3])
            .collect();
        assert_eq!(
            codes,
            [
                "220", "503", "250", "503", "552", "250", "503", "550", "501", "503", "221"
            ]
        );
        assert!(received.is_empty());
    }

    #[tokio::test]
    async fn what_follows_starttls_in_the_clear_is_not_obeyed() {
        let (said, received) =
            talk("EHLO me.example\r\nSTARTTLS\r\nMAIL FROM:<a@b.example>\r\n").await;
        assert!(said.ends_with("220 2.0.0 go ahead\r\n"));
        assert!(received.is_empty());
    }
}

//! A mail server that does as it is told, well or badly.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What a port does when somebody connects.
#[derive(Clone)]
pub enum Act {
    /// Speaks SMTP.
    Speaks(Arc<Speech>),
    /// Says these bytes, and hangs up.
    Says(Vec<u8>),
    /// Accepts, and stays silent.
    Silent,
}

/// How SMTP is spoken.
#[derive(Clone)]
pub struct Speech {
    pub greeting: String,
    /// Beside STARTTLS, which is offered where there is `tls` and `implicit` is not set.
    pub clear: Vec<&'static str>,
    pub secured: Vec<&'static str>,
    pub tls: Option<Arc<ServerConfig>>,
    pub implicit: bool,
    /// Whether the handshake is answered with nonsense.
    pub broken: bool,
    /// Whether a hello that knows nothing newer than TLS 1.1 is answered.
    pub old: bool,
    /// The reply to a command other than EHLO, STARTTLS and QUIT.
    pub reply: fn(&str) -> &'static str,
}

/// As a server should answer strangers.
pub fn guarded(command: &str) -> &'static str {
    match command {
        c if c.starts_with("MAIL FROM:") => "250 OK",
        c if c.starts_with("RCPT TO:<postmaster@") => "250 OK",
        c if c.starts_with("RCPT TO:") => "503 5.7.1 Relay not allowed",
        _ => "502 5.5.1 unknown",
    }
}

/// A certificate and its key as a server uses them.
pub fn config(chain: Vec<CertificateDer<'static>>, key: &rcgen::KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate and its key");
    Arc::new(config)
}

/// Lets a port of a loopback address act, for as long as the runtime lives.
pub async fn serve(address: IpAddr, port: u16, act: Act) {
    let listener = TcpListener::bind(SocketAddr::new(address, port))
        .await
        .unwrap_or_else(|error| panic!("{address}:{port}: {error}; these tests want root"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let act = act.clone();
            tokio::spawn(async move {
                match act {
                    Act::Speaks(speech) => speak(stream, &speech).await,
                    Act::Says(bytes) => {
                        let mut stream = stream;
                        stream.write_all(&bytes).await.ok()
                    }
                    Act::Silent => {
                        tokio::time::sleep(Duration::from_secs(60)).await;
                        drop(stream);
                        Some(())
                    }
                }
            });
        }
    });
}

async fn speak(stream: TcpStream, speech: &Speech) -> Option<()> {
    let mut stream = stream;
    if !speech.implicit {
        let greeting = format!("220 {}\r\n", speech.greeting);
        stream.write_all(greeting.as_bytes()).await.ok()?;
        let mut buffered = BufStream::new(stream);
        if !converse(&mut buffered, speech, &speech.clear, speech.tls.is_some()).await? {
            return Some(());
        }
        stream = buffered.into_inner();
    }
    if speech.broken {
        return stream
            .write_all(b"454 4.7.0 TLS is not available\r\n")
            .await
            .ok();
    }
    let mut hello = [0; 11];
    while stream.peek(&mut hello).await.ok()? < hello.len() {
        tokio::task::yield_now().await;
    }
    // The version that stands in the hello itself.
    if speech.old && hello[9..] == [3, 2] {
        return stream.write_all(&old_flight()).await.ok();
    }
    let acceptor = TlsAcceptor::from(speech.tls.clone()?);
    let mut secured = BufStream::new(acceptor.accept(stream).await.ok()?);
    if speech.implicit {
        let greeting = format!("220 {}\r\n", speech.greeting);
        secured.write_all(greeting.as_bytes()).await.ok()?;
        secured.flush().await.ok()?;
    }
    converse(&mut secured, speech, &speech.secured, false).await?;
    Some(())
}

/// Until the end, or until TLS shall begin, which is what it says.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufStream<S>,
    speech: &Speech,
    capabilities: &[&str],
    starttls: bool,
) -> Option<bool> {
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return Some(false);
        }
        let command = line.trim_end().to_owned();
        let reply = match command.as_str() {
            "QUIT" => return Some(false),
            "STARTTLS" if starttls => "220 go on".into(),
            c if c.starts_with("EHLO ") => {
                let mut lines = vec!["250-at your service".to_owned()];
                lines.extend(capabilities.iter().map(|word| format!("250-{word}")));
                if starttls {
                    lines.push("250-STARTTLS".into());
                }
                lines.push("250 HELP".into());
                lines.join("\r\n")
            }
            other => (speech.reply)(other).to_owned(),
        };
        stream
            .write_all(format!("{reply}\r\n").as_bytes())
            .await
            .ok()?;
        stream.flush().await.ok()?;
        if command == "STARTTLS" && starttls {
            return Some(true);
        }
    }
}

/// ServerHello of TLS 1.1 and ServerHelloDone, as a server without key exchange of its own sends them.
fn old_flight() -> Vec<u8> {
    let mut hello = vec![2, 0, 0, 38, 3, 2];
    hello.extend([0x5c; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    hello.extend([14, 0, 0, 0]);
    let length = u8::try_from(hello.len()).expect("short");
    [&[22, 3, 2, 0, length], hello.as_slice()].concat()
}

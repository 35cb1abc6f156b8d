//! A web server that gives each name its own answer.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Answers by host and path, such as `www.example.test/logo.svg`: head lines and content.
pub type Answers = HashMap<String, (String, String)>;

/// An answer of a status with a media type.
pub fn answer(status: u16, media_type: &str, body: &str) -> (String, String) {
    let head = format!("{status} X\r\nContent-Type: {media_type}");
    (head, body.to_owned())
}

/// Serves HTTPS at port 443 for as long as the runtime lives.
pub async fn serve(address: IpAddr, tls: Arc<ServerConfig>, answers: Answers) {
    let listener = listener(address).await;
    let (acceptor, answers) = (TlsAcceptor::from(tls), Arc::new(answers));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, answers) = (acceptor.clone(), answers.clone());
            tokio::spawn(async move { respond(stream, acceptor, &answers).await });
        }
    });
}

/// Takes connections at port 443, and says nothing.
pub async fn silent(address: IpAddr) {
    let listener = listener(address).await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(60)).await;
                drop(stream);
            });
        }
    });
}

async fn listener(address: IpAddr) -> TcpListener {
    let listener = TcpListener::bind(SocketAddr::new(address, 443)).await;
    listener.unwrap_or_else(|error| panic!("{address}:443: {error}; these tests want root"))
}

async fn respond(stream: TcpStream, acceptor: TlsAcceptor, answers: &Answers) -> Option<()> {
    let mut stream = acceptor.accept(stream).await.ok()?;
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.ok()?);
    }
    let request = String::from_utf8_lossy(&request).to_ascii_lowercase();
    let path = request.split(' ').nth(1)?;
    let host = request
        .lines()
        .find_map(|line| line.strip_prefix("host: "))?;
    let nothing = answer(404, "text/html", "nothing");
    let (head, body) = answers.get(&format!("{host}{path}")).unwrap_or(&nothing);
    let length = body.len();
    let text =
        format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}

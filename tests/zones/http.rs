//! A gate before an API that speaks HTTP without TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::gate::{self, Fault, Here};

/// Passes requests on to `api` until the test program ends; where.
pub fn before(api: SocketAddr) -> (SocketAddr, Here) {
    gate::open(move |client, gate| serve(client, api, gate))
}

/// One request a connection.
fn serve(mut client: TcpStream, api: SocketAddr, gate: &Here) {
    let request = read_request(&client);
    let method = request.split(|b| *b == b' ').next().unwrap_or_default();
    let fault = gate.meets(&String::from_utf8_lossy(method));
    let passed = match fault {
        Fault::Refused(..) => Vec::new(),
        _ => pass_on(api, &request),
    };
    let answer = match fault {
        Fault::None => passed,
        Fault::Refused(status, wait) => {
            let wait = wait.map(|seconds| format!("Retry-After: {seconds}\r\n"));
            refusal(status, &wait.unwrap_or_default())
        }
        Fault::Failed => refusal(500, ""),
        Fault::Lost => return,
        Fault::Cut => passed[..passed.len() - passed.len() / 8].to_vec(),
    };
    // The client may have given up.
    drop(client.write_all(&answer));
}

fn refusal(status: u16, header: &str) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 {status} so\r\n{header}Content-Length: 0\r\nConnection: close\r\n\r\n");
    head.into_bytes()
}

/// With HTTP/1.0 the end of the answer is the end of the connection.
fn pass_on(api: SocketAddr, request: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(request).replacen("HTTP/1.1", "HTTP/1.0", 1);
    let mut upstream = TcpStream::connect(api).expect("the API listens");
    upstream.write_all(text.as_bytes()).expect("it reads");
    let mut all = Vec::new();
    upstream.read_to_end(&mut all).expect("it answers");
    all
}

fn read_request(mut client: &TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&all).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.and_then(|n| n.trim().parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return all;
            }
        }
        match client.read(&mut buffer) {
            Ok(0) | Err(_) => return all,
            Ok(length) => all.extend_from_slice(&buffer[..length]),
        }
    }
}

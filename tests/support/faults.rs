//! A proxy before an HTTP API that fails when it is told to.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is answered as the API does.
    None,
    /// It does not arrive; the answer is 503.
    Busy,
    /// It arrives and is done; the answer is 500 all the same.
    AnswerLost,
}

/// Passes requests on to an API; the n-th meets the n-th fault, later ones none.
pub struct FaultyApi {
    pub addr: SocketAddr,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl FaultyApi {
    pub fn before(api: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("its address");
        let faults = Arc::new(Mutex::new(VecDeque::new()));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (queue, log) = (Arc::clone(&faults), Arc::clone(&seen));
        // Ends with the test program.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let request = read_request(&client);
                let method = request.split(|b| *b == b' ').next().unwrap_or_default();
                let method = String::from_utf8_lossy(method).into_owned();
                log.lock().expect("a list").push(method);
                let fault = queue
                    .lock()
                    .expect("a queue")
                    .pop_front()
                    .unwrap_or(Fault::None);
                answer(client, api, &request, fault);
            }
        });
        Self { addr, faults, seen }
    }

    /// What the next requests meet; forgets those seen.
    pub fn next(&self, faults: &[Fault]) {
        *self.faults.lock().expect("a queue") = faults.iter().copied().collect();
        self.seen.lock().expect("a list").clear();
    }

    /// The methods of the requests since.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("a list").clone()
    }
}

fn answer(mut client: TcpStream, api: SocketAddr, request: &[u8], fault: Fault) {
    let passed = (fault != Fault::Busy).then(|| pass_on(api, request));
    let status = match fault {
        Fault::None => return drop(client.write_all(&passed.unwrap_or_default())),
        Fault::Busy => "503 Service Unavailable",
        Fault::AnswerLost => "500 Internal Server Error",
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    drop(client.write_all(head.as_bytes()));
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

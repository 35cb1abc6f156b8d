//! A server that is further away: a relay on this machine that keeps every
//! octet back for half of a round trip in each direction.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Relays from a port of 127.0.0.1, which it returns, to `server`, as long as
/// this process lives.
pub fn relay(server: SocketAddr, round_trip: Duration) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("its number").port();
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            thread::spawn(move || {
                // The handshake of TCP is a round trip too.
                thread::sleep(round_trip);
                let far = TcpStream::connect(server).expect("the server");
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone(), to.try_clone());
                    delay(
                        from.expect("a socket"),
                        to.expect("a socket"),
                        round_trip / 2,
                    );
                }
            });
        }
    });
    port
}

/// Passes on what comes, in order and late.
fn delay(mut from: TcpStream, mut to: TcpStream, by: Duration) {
    let (arrived, leaving) = mpsc::channel::<(Instant, Vec<u8>)>();
    let _ = to.set_nodelay(true);
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let due = Instant::now() + by;
            if arrived.send((due, buffer[..length].to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        for (due, octets) in leaving {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&octets).is_err() {
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}

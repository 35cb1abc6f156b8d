//! What stands between us and a server, in words.

use std::time::Duration;

use mailctl::remote::access::Access;
use mailctl::remote::target::Target;

use crate::sshd::free_port;
use crate::{contains, refused};

#[test]
fn what_stands_in_the_way_is_told() {
    let target = |ssh: &str| Target::literal(&ssh.parse().expect("an SSH target"));
    let closed = free_port();
    let told = refused(&target(&format!("127.0.0.1:{closed}")), &Access::default());
    contains(
        &told,
        &[
            &format!("port {closed} at 127.0.0.1 is closed"),
            "do: ",
            "--wait",
        ],
    );

    let told = refused(&target("no-such-host.invalid"), &Access::default());
    contains(&told, &["no-such-host.invalid does not resolve", "do: "]);

    let quick = Access {
        connect_timeout: Duration::from_millis(500),
        ..Access::default()
    };
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let told = refused(&target(&format!("127.0.0.1:{port}")), &quick);
    contains(&told, &["says nothing", "do: "]);

    // The attempt above still waits to be accepted; the next one is the second.
    let closing = std::thread::spawn(move || (0..2).for_each(|_| drop(silent.accept())));
    let told = refused(&target(&format!("127.0.0.1:{port}")), &quick);
    contains(
        &told,
        &["closed the connection during the handshake", "do: "],
    );
    closing.join().expect("no panic");
}

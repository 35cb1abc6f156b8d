//! A place for a test's server: an address of its own, a directory, a process
//! that ends with the test.
// Each test program uses a part of it.
#![allow(dead_code, clippy::print_stdout)]

use std::fs::File;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mailctl::dns::{Authority, Dns};
use mailctl::record::{Name, RType, RrsetKey};
use tempfile::TempDir;

/// How long a server may take to start on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

static TAKEN: AtomicU32 = AtomicU32::new(0);

/// An address of 127.0.0.0/8 that no other test uses: from the process's id and a counter.
pub fn own_address() -> IpAddr {
    loop {
        let number = TAKEN.fetch_add(1, Ordering::Relaxed);
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let last = u8::try_from(number % 250 + 2).expect("below 252");
        let second = 64 + (high & 63);
        let ip = IpAddr::V4(Ipv4Addr::new(127, second, low, last));
        if TcpListener::bind((ip, dns_port())).is_ok() && UdpSocket::bind((ip, dns_port())).is_ok()
        {
            return ip;
        }
    }
}

/// A port of 127.0.0.1 that is free for both protocols, for servers that listen on no other
/// address than the interface's own.
pub fn own_port() -> SocketAddr {
    loop {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let addr = tcp.local_addr().expect("its address");
        if UdpSocket::bind(addr).is_ok() {
            return addr;
        }
    }
}

/// 53, or a high port where this process may not bind it or another server has
/// it at every address.
pub fn dns_port() -> u16 {
    static PORT: OnceLock<u16> = OnceLock::new();
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let nobodys = Ipv4Addr::new(127, 128 + (high & 63), low, 1);
    *PORT.get_or_init(|| {
        let free =
            UdpSocket::bind((nobodys, 53)).is_ok() && TcpListener::bind((nobodys, 53)).is_ok();
        if free { 53 } else { 5300 }
    })
}

/// The program's path, or `None` after a line that says that the test is skipped.
pub fn program(name: &str) -> Option<PathBuf> {
    let found = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
        .iter()
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.exists());
    if found.is_none() {
        println!("skipped: the program `{name}` is not installed");
    }
    found
}

/// A process that is killed, and its directory removed, when the test ends.
pub struct Running {
    child: Child,
    pub dir: TempDir,
}

impl Running {
    /// Starts `command`; what it prints goes to `log` in `dir`.
    pub fn start(command: &mut Command, dir: TempDir) -> Self {
        let log = File::create(dir.path().join("log")).expect("a log file");
        let errors = log.try_clone().expect("a second handle");
        let command = command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let end = Instant::now() + PATIENCE;
        let child = loop {
            match command.spawn() {
                // A copy of a program is busy while another thread's child, just
                // forked, still has the handle that it was written through.
                Err(e) if e.kind() == ErrorKind::ExecutableFileBusy && Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                child => break child.expect("the server starts"),
            }
        };
        Self { child, dir }
    }

    /// Waits until the server answers for `zone` with authority.
    pub async fn serves(&mut self, addr: SocketAddr, zone: &Name) {
        self.answers(Authority::new(zone.clone(), addr), zone).await;
    }

    /// Waits until the server resolves the SOA of `zone`.
    pub async fn resolves(&mut self, addr: SocketAddr, zone: &Name) {
        self.answers(
            Authority {
                recursive: true,
                ..Authority::new(zone.clone(), addr)
            },
            zone,
        )
        .await;
    }

    async fn answers(&mut self, server: Authority, zone: &Name) {
        let dns = Dns::new(Some(server.addr)).expect("a resolver");
        let key = RrsetKey::new(zone.clone(), RType::Soa);
        let end = Instant::now() + PATIENCE;
        while !dns
            .ask(&server, &key)
            .await
            .is_ok_and(|soa| !soa.values.is_empty())
        {
            let ended = self.child.try_wait().expect("a state");
            assert!(
                ended.is_none() && Instant::now() < end,
                "{server} does not answer for {zone}: {ended:?}\n{}",
                std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default(),
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A zone in zone-file text: an SOA, these name servers with their addresses, further records.
pub fn zone_text(apex: &str, servers: &[(&str, IpAddr)], more: &str) -> String {
    let first = servers
        .first()
        .map_or("ns1.elsewhere.test.", |(name, _)| name);
    let mut text = format!(
        "$ORIGIN {apex}.\n$TTL 300\n@ IN SOA {first} hostmaster.elsewhere.test. 1 3600 600 86400 60\n"
    );
    if servers.is_empty() {
        text.push_str("@ IN NS ns1.elsewhere.test.\n");
    }
    for (name, address) in servers {
        let rtype = if address.is_ipv4() { "A" } else { "AAAA" };
        text.push_str(&format!("@ IN NS {name}\n"));
        if name.trim_end_matches('.').ends_with(apex) {
            text.push_str(&format!("{name} IN {rtype} {address}\n"));
        }
    }
    text.push_str(more);
    text
}

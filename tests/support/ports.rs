//! A place for a test's server: an address of its own, a directory, a process
//! that ends with the test.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

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
        if TcpListener::bind((ip, dns_port())).is_ok() && UdpSocket::bind((ip, dns_port())).is_ok() {
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

/// 53 where this process may bind it, else a high port.
pub fn dns_port() -> u16 {
    let privileged = UdpSocket::bind((Ipv4Addr::new(127, 63, 255, 254), 53));
    match privileged {
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => 5300,
        _ => 53,
    }
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
        let child = command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .expect("the server starts");
        Self { child, dir }
    }

    /// Waits until the server answers for `zone` with authority.
    pub async fn serves(&mut self, addr: SocketAddr, zone: &Name) {
        let dns = Dns::new(Some(addr)).expect("a resolver");
        let authority = Authority::new(zone.clone(), addr);
        let key = RrsetKey::new(zone.clone(), RType::Soa);
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            if let Ok(soa) = dns.ask(&authority, &key).await
                && !soa.values.is_empty()
            {
                return;
            }
            let ended = self.child.try_wait().expect("a state");
            assert!(
                ended.is_none() && std::time::Instant::now() < end,
                "the server does not serve {zone} at {addr}: {ended:?}\n{}",
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
    let first = servers.first().map_or("ns1.elsewhere.test.", |(name, _)| name);
    let mut text =
        format!("$ORIGIN {apex}.\n$TTL 300\n@ IN SOA {first} hostmaster.elsewhere.test. 1 3600 600 86400 60\n");
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

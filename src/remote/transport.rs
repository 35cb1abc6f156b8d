//! The byte stream below SSH: a TCP connection, or the standard streams of a
//! jump host's `ssh -W` or of a ProxyCommand.

use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::access::{Access, Obstacle};
use super::target::{Proxy, Strict, Target};
use crate::failure::Failure;

/// What a proxy may complain at most, in bytes.
const COMPLAINT_LIMIT: u64 = 4096;

/// An open stream to the server's SSH port.
#[derive(Debug)]
pub(crate) enum Transport {
    Tcp(TcpStream),
    Proxy(Proxied),
}

/// A child process that carries the connection; it is ended with it.
#[derive(Debug)]
pub(crate) struct Proxied {
    socket: UnixStream,
    child: Child,
    complaint: Arc<Mutex<Vec<u8>>>,
}

impl Drop for Proxied {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl AsFd for Transport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Proxy(proxied) => proxied.socket.as_fd(),
        }
    }
}

impl AsRawFd for Transport {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl Transport {
    /// Opens the stream, directly or through the target's proxy.
    pub(crate) fn dial(target: &Target, access: &Access) -> Result<Self, Obstacle> {
        match &target.proxy {
            None => dial_tcp(target, access.connect_timeout).map(Self::Tcp),
            Some(proxy) => Proxied::start(proxy, target, access)
                .map(Self::Proxy)
                .map_err(|error| {
                    Obstacle::Lasting(
                        Failure::new("cannot start the proxy command of ~/.ssh/config")
                            .because(error)
                            .hint("install what ProxyJump or ProxyCommand names, such as the OpenSSH client"),
                    )
                }),
        }
    }

    /// Sends a delayed acknowledgement now. sshd answers in several small
    /// packets and, until a command runs, holds each back until the one before
    /// is acknowledged: 40 ms a connection.
    pub(crate) fn acknowledge(&self) {
        #[cfg(target_os = "linux")]
        if let Self::Tcp(stream) = self {
            let _ = std::os::linux::net::TcpStreamExt::set_quickack(stream, true);
        }
    }

    /// Ends both directions; whoever waits for the other end wakes up.
    pub(crate) fn shut_down(&self) {
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Self::Proxy(proxied) => proxied.socket.shutdown(Shutdown::Both),
        };
    }

    /// What the proxy printed on its standard error.
    pub(crate) fn complaint(&self) -> Option<String> {
        let Self::Proxy(proxied) = self else {
            return None;
        };
        // Its last words may still be on their way.
        std::thread::sleep(Duration::from_millis(50));
        let bytes = proxied
            .complaint
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty())
            .collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }
}

impl Proxied {
    fn start(proxy: &Proxy, target: &Target, access: &Access) -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        let mut command = match proxy {
            Proxy::Command(command) => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(format!("exec {command}"));
                shell
            }
            Proxy::Jump(hops) => jump(hops, target, access),
        };
        let mut child = command
            .stdin(Stdio::from(OwnedFd::from(theirs.try_clone()?)))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::piped())
            .spawn()?;
        let complaint = Arc::new(Mutex::new(Vec::new()));
        if let Some(mut stderr) = child.stderr.take() {
            let heard = Arc::clone(&complaint);
            std::thread::spawn(move || {
                let mut buffer = [0; 1024];
                while let Ok(n @ 1..) = stderr.read(&mut buffer) {
                    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                    if (heard.len() as u64) < COMPLAINT_LIMIT {
                        heard.extend_from_slice(&buffer[..n]);
                    }
                }
            });
        }
        Ok(Self {
            socket,
            child,
            complaint,
        })
    }
}

/// `ssh -W` through the last hop, itself reached through those before it.
fn jump(hops: &str, target: &Target, access: &Access) -> Command {
    let (before, last) = match hops.rsplit_once(',') {
        Some((before, last)) => (Some(before), last),
        None => (None, hops),
    };
    let mut ssh = Command::new("ssh");
    if let Some(config) = &target.config {
        ssh.arg("-F").arg(config);
    }
    if let Some(before) = before {
        ssh.args(["-J", before]);
    }
    if access.ask.is_none() {
        ssh.args(["-o", "BatchMode=yes"]);
    }
    if access.accept_new_host_key || target.strict == Strict::AcceptNew {
        ssh.args(["-o", "StrictHostKeyChecking=accept-new"]);
    }
    ssh.arg("-W")
        .arg(format!("[{}]:{}", target.hostname, target.port))
        .arg("--");
    if last.starts_with("ssh://") {
        ssh.arg(last);
    } else {
        // Only the URI form may carry a port.
        ssh.arg(format!("ssh://{last}"));
    }
    ssh
}

fn dial_tcp(target: &Target, limit: Duration) -> Result<TcpStream, Obstacle> {
    let host = target.hostname.as_str();
    let addresses: Vec<SocketAddr> = match (host, target.port).to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            return Err(Obstacle::Passing(
                Failure::new(format!("the name {host} does not resolve"))
                    .because(error)
                    .hint(
                        "check `host.ssh`: before DNS is set up, write the server's address there",
                    ),
            ));
        }
    };
    let mut last = None;
    let end = Instant::now() + limit;
    for (index, address) in addresses.iter().enumerate() {
        // A dead first address must leave time for the others.
        let left = end.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - index).unwrap_or(1);
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
            Ok(stream) => {
                // Small packets that wait for each other's answers.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = Some((*address, error)),
        }
    }
    let (address, error) = last.unwrap_or_else(|| {
        (
            (std::net::Ipv4Addr::UNSPECIFIED, target.port).into(),
            ErrorKind::AddrNotAvailable.into(),
        )
    });
    Err(Obstacle::Passing(no_tcp(host, address, limit, error)))
}

fn no_tcp(host: &str, address: SocketAddr, limit: Duration, error: io::Error) -> Failure {
    let port = address.port();
    let installing = "if it is still being installed, `--wait 15m` keeps trying";
    match error.kind() {
        ErrorKind::ConnectionRefused => Failure::new(format!("port {port} at {host} is closed"))
            .hint(format!("start sshd there, or give its port in `host.ssh` as `root@{host}:PORT`; {installing}")),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            Failure::new(format!("{host} does not answer on port {port} within {limit:?}"))
                .hint(format!("check the address, the hoster's firewall, and that the server runs; {installing}"))
        }
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            let version = if address.is_ipv6() { "IPv6" } else { "IPv4" };
            Failure::new(format!("there is no route to {host} ({})", address.ip())).hint(format!(
                "check the address and that this machine has {version}; {installing}"
            ))
        }
        _ => Failure::new(format!("cannot connect to port {port} at {host}"))
            .because(error)
            .hint(format!("check `host.ssh`; {installing}")),
    }
}

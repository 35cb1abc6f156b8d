//! The recursive resolver of a world: unbound, which starts at the world's own
//! root and knows nothing of the real one.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::path::Path;
use std::time::Duration;

use super::names;
use super::needs;
use super::network::{Network, Party};
use super::program::{Program, run};
use crate::failure::{Context, Failure, Result};

/// The running resolver.
pub struct Resolver {
    network: Network,
    program: Program,
}

impl Resolver {
    /// Starts unbound. `mirrors` are the only names of the real DNS that it
    /// answers, with the addresses that this machine finds for them now:
    /// forwarding would not do, since a mirror's alias leads on to other names.
    ///
    /// # Errors
    /// When unbound does not start.
    pub fn start(directory: &Path, network: Network, mirrors: &BTreeSet<String>) -> Result<Self> {
        let hints = directory.join("root.hints");
        let root = format!(
            ". 3600 NS {ns}\n{ns} 3600 A {four}\n{ns} 3600 AAAA {six}\n",
            ns = names::own_name().fqdn(),
            four = network.ipv4(Party::Names),
            six = network.ipv6(Party::Names),
        );
        fs::write(&hints, root).with_context(|| format!("cannot write {}", hints.display()))?;
        let config = directory.join("unbound.conf");
        let control = directory.join("unbound.sock");
        fs::write(&config, configuration(&hints, network, mirrors, &control))
            .with_context(|| format!("cannot write {}", config.display()))?;

        // Debian's AppArmor profile goes by the program's path and keeps it
        // from reading anything outside /etc/unbound; a copy has no profile.
        let installed = needs::find("unbound").ok_or_else(|| Failure::new("unbound is missing"))?;
        let unbound = directory.join("unbound");
        // By a program of its own: what this process has open for writing, a
        // child that another thread starts meanwhile has too, and then no
        // program can be run from it (ETXTBSY).
        let copy = ["cp".as_ref(), installed.as_os_str(), unbound.as_os_str()];
        run(copy, "")?;
        let command = [
            unbound.as_os_str(),
            "-d".as_ref(),
            "-p".as_ref(),
            "-c".as_ref(),
            config.as_os_str(),
        ];
        let mut program = Program::start(directory, "unbound", command, &[])?;
        let address = SocketAddr::from((network.ipv4(Party::Resolver), 53));
        program.until(Duration::from_secs(30), || answers(address))?;
        Ok(Self { network, program })
    }

    /// Where it answers over UDP and TCP, as `resolver` in mail.yaml wants it.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((self.network.ipv4(Party::Resolver), 53))
    }

    /// Lets it run on after this process.
    pub fn keep(self) {
        self.program.release();
    }
}

fn configuration(
    hints: &Path,
    network: Network,
    mirrors: &BTreeSet<String>,
    control: &Path,
) -> String {
    let mut text = format!(
        r#"server:
    interface: {four}
    interface: {six}
    access-control: {four}/24 allow
    access-control: {six}/64 allow
    root-hints: "{hints}"
    # The world's root is not signed.
    module-config: "iterator"
    # Reverse zones of private networks, and the names that RFC 6761 sets aside, are served here.
    unblock-lan-zones: yes
    local-zone: "test." nodefault
    local-zone: "invalid." nodefault
    # A change is visible after a second.
    cache-max-ttl: 1
    cache-max-negative-ttl: 1
    do-daemonize: no
    num-threads: 1
    chroot: ""
    directory: ""
    username: ""
    pidfile: ""
    use-syslog: no
    logfile: ""
"#,
        four = network.ipv4(Party::Resolver),
        six = network.ipv6(Party::Resolver),
        hints = hints.display(),
    );
    for host in mirrors {
        let _ = writeln!(text, "    local-zone: \"{host}.\" static");
        for address in lookup(host) {
            let _ = writeln!(text, "    local-data: \"{host}. A {address}\"");
        }
    }
    // unbound-control(8) may flush the cache and have this file read again. The
    // directory is readable by root only, and so is the socket.
    let _ = writeln!(
        text,
        "remote-control:\n    control-enable: yes\n    control-interface: \"{}\"\n    control-use-cert: no",
        control.display()
    );
    text
}

/// IPv4 only: the server leaves this machine by address translation. A name
/// that cannot be found now is left without address, and apt says so.
fn lookup(host: &str) -> BTreeSet<Ipv4Addr> {
    let found = (host, 0).to_socket_addrs().into_iter().flatten();
    let four = found.filter_map(|address| match address {
        SocketAddr::V4(four) => Some(*four.ip()),
        SocketAddr::V6(_) => None,
    });
    four.collect()
}

/// Asks for the root's name servers (RFC 1035 section 4.1): any answer will do.
fn answers(address: SocketAddr) -> bool {
    const QUESTION: [u8; 17] = [0x4d, 0x43, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
    let ask = || -> std::io::Result<usize> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        socket.connect(address)?;
        socket.send(&QUESTION)?;
        socket.recv(&mut [0; 512])
    };
    ask().is_ok()
}

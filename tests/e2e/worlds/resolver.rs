//! A resolver with ways of its own, beside the world's.

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mailctl::rehearse::World;

/// A running one; it ends with this.
pub struct Unbound {
    pub address: SocketAddr,
    child: Child,
}

impl Unbound {
    /// The world's resolver once more, on another port, with further lines in
    /// its `server:` clause.
    pub fn start(world: &World, lines: &str) -> Self {
        let mut address = world.resolver().address();
        address.set_port(5353);
        let directory = world.directory();
        let own = fs::read_to_string(directory.join("unbound.conf")).expect("a configuration");
        let own = own.replace("unbound.sock", "unbound-own.sock");
        let further = format!("server:\n    port: {}\n{lines}", address.port());
        // Of an option that is given twice the last one counts.
        let text = own.replace("remote-control:", &format!("{further}remote-control:"));
        let path = directory.join("unbound-own.conf");
        fs::write(&path, text).expect("a configuration");
        let child = Command::new(directory.join("unbound"))
            .args(["-d", "-p", "-c"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.join("log/unbound-own.log")).expect("a log"))
            .spawn()
            .expect("unbound");
        let mut unbound = Self { address, child };
        let end = Instant::now() + Duration::from_secs(60);
        while !unbound.answers() {
            let ended = unbound.child.try_wait().expect("a state");
            let log = fs::read_to_string(directory.join("log/unbound-own.log"));
            assert!(ended.is_none() && Instant::now() < end, "{log:?}");
            thread::sleep(Duration::from_millis(20));
        }
        unbound
    }

    /// Whether it answers anything at all.
    fn answers(&self) -> bool {
        let output = Command::new("dig")
            .arg(format!("@{}", self.address.ip()))
            .args(["-p", &self.address.port().to_string()])
            .args(["version.bind", "CH", "TXT", "+time=1", "+tries=1"])
            .output()
            .expect("dig");
        output.status.success()
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

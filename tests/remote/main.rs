//! Reaching a server over SSH, against real sshds on loopback.

#![allow(missing_docs)]
#![allow(clippy::print_stderr, clippy::unwrap_used)]

#[path = "../support/sshd.rs"]
mod sshd;

mod host_keys;
mod lock;
mod login;
mod obstacles;
mod scripts;
mod speed;
mod ssh_config;
mod wait;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use mailctl::failure::Failure;
use mailctl::remote::access::{Access, Ask};
use mailctl::remote::ssh::Ssh;
use mailctl::remote::target::Target;
use mailctl::remote::{Output, Remote, Script};
use mailctl::secret::Secret;

/// A person who gives the same answers always, and is counted.
#[derive(Default)]
pub struct Person {
    pub trusts: bool,
    pub secret: Option<&'static str>,
    pub asked: Mutex<Vec<String>>,
}

impl Ask for Person {
    fn trusts(&self, place: &str, kind: &str, fingerprint: &str) -> bool {
        self.asked
            .lock()
            .unwrap()
            .push(format!("{place} {kind} {fingerprint}"));
        self.trusts
    }

    fn secret(&self, prompt: &str) -> Option<Secret> {
        self.asked.lock().unwrap().push(prompt.to_owned());
        self.secret.map(Secret::new)
    }
}

/// Connects with nothing but the target's own keys.
pub fn connect(target: &Target) -> Ssh {
    Ssh::connect(target, &Access::default()).expect("connected")
}

/// The failure of a connection that must not succeed.
pub fn refused(target: &Target, access: &Access) -> String {
    match Ssh::connect(target, access) {
        Ok(_) => panic!("connected"),
        Err(failure) => failure.told(),
    }
}

/// Runs a script that must come to its end.
pub fn run(remote: &dyn Remote, text: &str) -> Output {
    remote.run(&Script::new(text)).expect("the script runs")
}

/// Runs a script with a limit in seconds.
pub fn run_within(remote: &dyn Remote, text: &str, seconds: u64) -> Result<Output, Failure> {
    remote.run(&Script::new(text).within(Duration::from_secs(seconds)))
}

/// Asserts that all parts are in the text.
pub fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

/// Waits for something that is soon to be true.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

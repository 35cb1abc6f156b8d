//! A server over SSH.

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use super::actor::{Actor, Input, Job};
use super::known;
use super::open::{Opened, Proven, open};
use super::target::Target;
use super::transport::Transport;
use super::{Held, Output, Remote, Script};
use crate::failure::{Context, Failure, Result};

pub(crate) use super::access::Obstacle;
pub use super::access::{Access, Ask};

/// A connection to a server. Scripts run as root: through `sudo -n` where the login is another.
pub struct Ssh {
    link: Arc<Link>,
    target: Target,
    access: Access,
    proven: Proven,
}

impl Ssh {
    /// Connects, checks the host key and logs in. A new host key that was
    /// accepted is written to known_hosts.
    ///
    /// # Errors
    /// When the server cannot be reached, is not the right one, or refuses the login.
    pub fn connect(target: &Target, access: &Access) -> Result<Self> {
        let (ssh, new_key) = Self::connect_unsaved(target, access)?;
        if new_key {
            ssh.save_host_key()?;
        }
        Ok(ssh)
    }

    /// The same without writing the host key; also whether it is new.
    pub(crate) fn connect_unsaved(
        target: &Target,
        access: &Access,
    ) -> std::result::Result<(Self, bool), Obstacle> {
        let opened = open(target, access, None)?;
        let new_key = opened.new_key;
        Self::start(opened, target, access)
            .map(|ssh| (ssh, new_key))
            .map_err(Obstacle::Lasting)
    }

    /// Writes the host key to known_hosts.
    pub(crate) fn save_host_key(&self) -> Result<()> {
        known::add(&self.target, &self.proven.host_key)
    }

    /// The server's host key as `SHA256:…`.
    pub fn fingerprint(&self) -> String {
        known::fingerprint(&self.proven.host_key)
    }

    fn start(opened: Opened, target: &Target, access: &Access) -> Result<Self> {
        let sudo = target.user != "root";
        let actor = Actor::new(
            opened.session,
            Arc::clone(&opened.transport),
            target.place(),
            sudo,
        );
        let (jobs, queue) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("ssh".into())
            .spawn(move || actor.work(&queue))
            .context("cannot start the thread of the SSH session")?;
        let link = Link {
            jobs: Some(jobs),
            transport: opened.transport,
            thread: Some(thread),
        };
        Ok(Self {
            link: Arc::new(link),
            target: target.clone(),
            access: access.clone(),
            proven: opened.proven,
        })
    }
}

impl Remote for Ssh {
    fn run(&self, script: &Script) -> Result<Output> {
        let input = Input::new(script)?;
        self.link.ask(|answer| Job::Run(input, answer))?
    }

    fn hold(&self, script: &Script) -> Result<Box<dyn Held>> {
        let input = Input::held(script)?;
        let (id, said) = self.link.ask(|answer| Job::Hold(input, answer))??;
        Ok(Box::new(HeldChannel {
            id,
            said,
            link: Arc::clone(&self.link),
        }))
    }

    fn again(&self) -> Result<Box<dyn Remote>> {
        let opened = open(&self.target, &self.access, Some(&self.proven))?;
        Ok(Box::new(Self::start(opened, &self.target, &self.access)?))
    }

    fn place(&self) -> String {
        self.target.place()
    }
}

/// The session's thread; it ends with the last of its users.
struct Link {
    jobs: Option<Sender<Job>>,
    transport: Arc<Transport>,
    thread: Option<JoinHandle<()>>,
}

impl Link {
    /// Hands a job to the thread and waits for its answer.
    fn ask<T>(&self, job: impl FnOnce(Sender<T>) -> Job) -> Result<T> {
        let gone = || Failure::new("the SSH session's thread has ended");
        let (answer, answers) = mpsc::channel();
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(job(answer)).map_err(|_| gone())?;
        answers.recv().map_err(|_| gone())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.jobs = None;
        let Some(thread) = self.thread.take() else {
            return;
        };
        // A moment for saying goodbye; whatever the thread waits for after that is nobody's any more.
        for _ in 0..20 {
            if thread.is_finished() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.transport.shut_down();
        let _ = thread.join();
    }
}

/// A script that stays, on its own channel.
struct HeldChannel {
    id: u64,
    said: String,
    link: Arc<Link>,
}

impl Held for HeldChannel {
    fn said(&self) -> &str {
        &self.said
    }

    fn alive(&self) -> bool {
        self.link
            .ask(|answer| Job::Alive(self.id, answer))
            .unwrap_or(false)
    }

    fn lines(&self, limit: Duration) -> Result<Option<Vec<String>>> {
        self.link.ask(|answer| Job::Lines(self.id, limit, answer))?
    }
}

impl Drop for HeldChannel {
    fn drop(&mut self) {
        let _ = self.link.ask(|answer| Job::Release(self.id, answer));
    }
}

//! The one thread that owns a session.
//!
//! libssh2's session is not safe to share: freeing a channel takes no lock.
//! So one thread does everything with it and takes its jobs from a queue.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use ssh2::{Channel, Session};

use super::envelope::{Envelope, Streams};
use super::pump::{Break, Exec, KEEPALIVE, Wire};
use super::transport::Transport;
use super::{Output, Script};
use crate::failure::{Failure, Result};

/// How long small courtesies may take: closing a channel, ending a script.
const COURTESY: Duration = Duration::from_secs(3);

/// What the thread is asked for; each job carries the way for its answer.
pub(crate) enum Job {
    /// Run a script to its end.
    Run(Input, Sender<Result<Output>>),
    /// Start a script that stays, and give its first line.
    Hold(Input, Sender<Result<(u64, String)>>),
    /// Whether a held script still runs.
    Alive(u64, Sender<bool>),
    /// End a held script.
    Release(u64, Sender<()>),
}

/// A script, ready to be sent.
pub(crate) struct Input {
    envelope: Envelope,
    text: String,
    timeout: Duration,
}

impl Input {
    /// Wraps a script that runs to its end.
    pub(crate) fn new(script: &Script) -> Result<Self> {
        let envelope = Envelope::new()?;
        Ok(Self {
            text: envelope.wrap(&script.text),
            timeout: script.timeout,
            envelope,
        })
    }

    /// Wraps a script that stays.
    pub(crate) fn held(script: &Script) -> Result<Self> {
        let envelope = Envelope::new()?;
        Ok(Self {
            text: envelope.wrap_held(&script.text),
            timeout: script.timeout,
            envelope,
        })
    }
}

/// The session with all its channels.
pub(crate) struct Actor {
    wire: Wire,
    /// The server, for messages.
    place: String,
    /// The login is not root's.
    sudo: bool,
    held: HashMap<u64, Channel>,
    next: u64,
    /// A channel opened ahead, which saves the next run a round trip.
    spare: Option<Channel>,
    /// The connection is gone, and why.
    lost: Option<String>,
}

impl Actor {
    /// Takes over an authenticated session.
    pub(crate) fn new(
        session: Session,
        transport: Arc<Transport>,
        place: String,
        sudo: bool,
    ) -> Self {
        let wire = Wire::new(session, transport);
        Self {
            wire,
            place,
            sudo,
            held: HashMap::new(),
            next: 0,
            spare: None,
            lost: None,
        }
    }

    /// Does the jobs until nobody is left to send any.
    pub(crate) fn work(mut self, jobs: &Receiver<Job>) {
        loop {
            match jobs.recv_timeout(KEEPALIVE) {
                Ok(job) => self.serve(job),
                Err(RecvTimeoutError::Timeout) => self.idle(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if self.lost.is_none() {
            let _ = self.wire.session.disconnect(None, "done", None);
        }
    }

    fn serve(&mut self, job: Job) {
        // Whoever asked may be gone; the answer is then nobody's.
        match job {
            Job::Run(input, answer) => {
                let (result, channel) = self.run(&input);
                let _ = answer.send(result);
                self.close(channel);
                self.prepare();
            }
            Job::Hold(input, answer) => {
                let _ = answer.send(self.hold(&input));
            }
            Job::Alive(id, answer) => {
                let _ = answer.send(self.alive(id));
            }
            Job::Release(id, answer) => {
                if let Some(channel) = self.held.remove(&id) {
                    self.end(channel);
                }
                let _ = answer.send(());
            }
        }
    }

    fn run(&mut self, input: &Input) -> (Result<Output>, Option<Channel>) {
        let mut streams = input.envelope.open();
        match self.exchange(input, &mut streams, Streams::complete) {
            Ok(channel) => {
                let output = streams.into_output();
                (
                    output.ok_or_else(|| Failure::new("a frame is missing")),
                    Some(channel),
                )
            }
            Err(failure) => (Err(failure), None),
        }
    }

    fn hold(&mut self, input: &Input) -> Result<(u64, String)> {
        let mut streams = input.envelope.open();
        let channel = self.exchange(input, &mut streams, |s| s.out.line().is_some())?;
        self.next += 1;
        self.held.insert(self.next, channel);
        Ok((self.next, streams.out.line().unwrap_or_default()))
    }

    /// Sends a script and reads its streams until `done` is content.
    fn exchange(
        &mut self,
        input: &Input,
        streams: &mut Streams,
        done: impl Fn(&Streams) -> bool,
    ) -> Result<Channel> {
        if let Some(why) = &self.lost {
            return Err(lost(&self.place, why, false));
        }
        let deadline = Instant::now() + input.timeout;
        let command = if self.sudo {
            "env LC_ALL=C sudo -n sh -s"
        } else {
            "sh -s"
        };
        let exec = Exec {
            command,
            input: input.text.as_bytes(),
            deadline,
        };
        let mut channel = match self.spare.take() {
            Some(channel) => channel,
            None => self
                .wire
                .open(deadline)
                .map_err(|why| self.broken(why, streams, input.timeout))?,
        };
        match self
            .wire
            .run(&mut channel, &exec, streams, done, &mut self.held)
        {
            Ok(()) => Ok(channel),
            Err(why) => {
                if why == Break::Late {
                    self.kill(streams.pid());
                }
                let failure = self.broken(why, streams, input.timeout);
                self.close(Some(channel));
                Err(failure)
            }
        }
    }

    /// Why a script did not come to its end, in words.
    fn broken(&mut self, why: Break, streams: &Streams, limit: Duration) -> Failure {
        let place = &self.place;
        match why {
            Break::Lost(why) => {
                let failure = lost(place, &why, streams.begun());
                self.lost = Some(why);
                failure
            }
            Break::Late => Failure::new(format!("a script on {place} did not end within {limit:?}"))
                .hint("look at the server's load and network, then run it again"),
            Break::Denied => Failure::new(format!("{place} does not run commands"))
                .hint("a forced command or a restricted key stands in the way: use a login that may run `sh`"),
            Break::Ended if streams.begun() => {
                Failure::new(format!("a script on {place} was ended before it was done"))
                    .hint("something on the server killed it (out of memory, a reboot): look at its log, then run it again")
            }
            Break::Ended => not_begun(place, &streams.noise()),
        }
    }

    /// Ends a script that is out of time, so that it does not go on changing
    /// the server behind a run that was told to have failed.
    fn kill(&mut self, pid: Option<i32>) {
        let (Some(pid), Ok(envelope)) = (pid, Envelope::new()) else {
            return;
        };
        let text = format!(
            "end() {{ set -- $1 $(cat /proc/$1/task/$1/children); kill $1; shift; for child do end $child; done; }}\nend {pid}"
        );
        let mut streams = envelope.open();
        let text = envelope.wrap(&text);
        let deadline = Instant::now() + COURTESY;
        let command = if self.sudo {
            "env LC_ALL=C sudo -n sh -s"
        } else {
            "sh -s"
        };
        let exec = Exec {
            command,
            input: text.as_bytes(),
            deadline,
        };
        if let Ok(mut channel) = self.wire.open(deadline) {
            let _ = self.wire.run(
                &mut channel,
                &exec,
                &mut streams,
                Streams::complete,
                &mut self.held,
            );
            self.close(Some(channel));
        }
    }

    /// Closes before dropping: freeing an open channel would talk to the server.
    fn close(&mut self, channel: Option<Channel>) {
        let Some(mut channel) = channel else { return };
        if self.lost.is_none() {
            let deadline = Instant::now() + COURTESY;
            let _ = self.wire.until(deadline, |_| channel.close());
        }
    }

    /// Ends a held script by the end of its input, and waits for it.
    fn end(&mut self, mut channel: Channel) {
        if self.lost.is_none() {
            let deadline = Instant::now() + COURTESY;
            let _ = self.wire.until(deadline, |_| channel.send_eof());
            let _ = self.wire.until(deadline, |_| channel.wait_eof());
        }
        self.close(Some(channel));
    }

    fn alive(&mut self, id: u64) -> bool {
        let Some(channel) = self.held.get_mut(&id) else {
            return false;
        };
        let mut buffer = [0; 1024];
        loop {
            match channel.read(&mut buffer) {
                Ok(1..) => {}
                Ok(0) => return false,
                Err(error) => {
                    return error.kind() == std::io::ErrorKind::WouldBlock && self.lost.is_none();
                }
            }
        }
    }

    /// Opens the next run's channel ahead.
    fn prepare(&mut self) {
        if self.lost.is_none() && self.spare.is_none() {
            match self.wire.open(Instant::now() + COURTESY) {
                Ok(channel) => self.spare = Some(channel),
                Err(Break::Lost(why)) => self.lost = Some(why),
                Err(_) => {}
            }
        }
    }

    /// Keeps the connection while nobody has a job.
    fn idle(&mut self) {
        self.prepare();
        if self.lost.is_some() {
            return;
        }
        self.wire.keep_alive(&mut self.held);
        // libssh2 answers the server's own keepalives while it reads.
        if let Some(channel) = &mut self.spare {
            let _ = channel.read(&mut [0; 16]);
        }
    }
}

fn lost(place: &str, why: &str, begun: bool) -> Failure {
    let when = if begun {
        "during a script"
    } else {
        "before the script began"
    };
    Failure::new(format!("the connection to {place} was lost {when}: {why}"))
        .hint("run it again: what is done already is kept")
}

/// The login works, but the script's shell never spoke.
fn not_begun(place: &str, noise: &str) -> Failure {
    let says = if noise.is_empty() {
        String::new()
    } else {
        format!(": {noise}")
    };
    let has = |text: &str| noise.contains(text);
    let user = place.split('@').next().unwrap_or_default();
    if has("a password is required") || has("is not in the sudoers") || has("may not run sudo") {
        Failure::new(format!("{user} may not become root on {place} without a password{says}")).hint(format!(
            "log in as root, or allow it there: echo '{user} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/{user}"
        ))
    } else if has("sudo") && (has("not found") || has("No such file")) {
        Failure::new(format!("{place} has no sudo{says}"))
            .hint("log in as root, or install sudo there")
    } else if has("assword change required") || has("password has expired") {
        Failure::new(format!("{place} demands a new password first{says}"))
            .hint(format!("log in once with `ssh {place}` and set one"))
    } else if has("Please login as the user") {
        Failure::new(format!("{place} does not let root in{says}"))
            .hint("write that user into `host.ssh`; it becomes root through sudo")
    } else {
        Failure::new(format!(
            "{place} ended the shell before the script began{says}"
        ))
        .hint("`ssh` there and see what greets you: the login's shell must be able to run `sh`")
    }
}

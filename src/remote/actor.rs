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
use super::lines::Lines;
use super::pump::{Break, COURTESY, Feed, KEEPALIVE, Wire};
use super::transport::Transport;
use super::trouble::{lost, told};
use super::{Output, Script};
use crate::failure::{Failure, Result};

/// How long a job may listen to one held script.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the thread is asked for; each job carries the way for its answer.
pub(crate) enum Job {
    /// Run a script to its end.
    Run(Input, Sender<Result<Output>>),
    /// Start a script that stays, and give its first line.
    Hold(Input, Sender<Result<(u64, String)>>),
    /// Whether a held script still runs.
    Alive(u64, Sender<bool>),
    /// What a held script printed since, waiting at most so long; nothing: it has ended.
    Lines(u64, Duration, Sender<Result<Option<Vec<String>>>>),
    /// End a held script.
    Release(u64, Sender<()>),
}

/// A script, ready to be sent.
pub(crate) struct Input {
    envelope: Envelope,
    text: String,
    /// The script keeps its standard input.
    held: bool,
    timeout: Duration,
}

impl Input {
    /// Wraps a script that runs to its end.
    pub(crate) fn new(script: &Script) -> Result<Self> {
        let envelope = Envelope::new()?;
        Ok(Self {
            text: envelope.wrap(&script.text),
            held: false,
            timeout: script.timeout,
            envelope,
        })
    }

    /// Wraps a script that stays.
    pub(crate) fn held(script: &Script) -> Result<Self> {
        let envelope = Envelope::new()?;
        Ok(Self {
            text: envelope.wrap_held(&script.text),
            held: true,
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
    /// What makes the login a root shell.
    command: &'static str,
    held: HashMap<u64, Channel>,
    /// What held scripts printed that nobody took yet.
    printed: HashMap<u64, Lines>,
    next: u64,
    /// How many scripts ran.
    runs: u32,
    /// A shell started ahead: it saves the next run two round trips and the
    /// time that the login's own files and sudo take.
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
            command: if sudo {
                "env LC_ALL=C sudo -n sh -s"
            } else {
                "sh -s"
            },
            held: HashMap::new(),
            printed: HashMap::new(),
            next: 0,
            runs: 0,
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
                if let Some(channel) = channel {
                    self.wire.close(channel);
                }
                // Where there is a second run there are more; a plan has only one.
                self.runs += 1;
                if self.runs > 1 {
                    self.prepare();
                }
            }
            Job::Hold(input, answer) => {
                let _ = answer.send(self.hold(&input));
            }
            Job::Alive(id, answer) => {
                let _ = answer.send(self.alive(id));
            }
            Job::Lines(id, limit, answer) => {
                let _ = answer.send(self.lines(id, limit));
            }
            Job::Release(id, answer) => {
                self.printed.remove(&id);
                if let Some(channel) = self.held.remove(&id) {
                    self.end(channel);
                }
                let _ = answer.send(());
            }
        }
    }

    fn run(&mut self, input: &Input) -> (Result<Output>, Option<Channel>) {
        let mut streams = input.envelope.open();
        match self.exchange(input, &mut streams, &Streams::complete) {
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
        let channel = self.exchange(input, &mut streams, &|s: &Streams| s.out.line().is_some())?;
        self.next += 1;
        self.held.insert(self.next, channel);
        let mut lines = Lines::default();
        lines.feed(streams.out.after_line());
        self.printed.insert(self.next, lines);
        Ok((self.next, streams.out.line().unwrap_or_default()))
    }

    /// Sends a script and reads its streams until `done` is content.
    fn exchange(
        &mut self,
        input: &Input,
        streams: &mut Streams,
        done: &impl Fn(&Streams) -> bool,
    ) -> Result<Channel> {
        if let Some(why) = &self.lost {
            return Err(lost(&self.place, why, false));
        }
        let feed = Feed {
            input: input.text.as_bytes(),
            eof: !input.held,
            deadline: Instant::now() + input.timeout,
        };
        let ahead = self.spare.take();
        let fresh = ahead.is_none();
        let mut channel = match ahead {
            Some(channel) => channel,
            None => match self.wire.exec(self.command, feed.deadline) {
                Ok(channel) => channel,
                Err(why) => return Err(self.broken(why, streams, input.timeout)),
            },
        };
        let result = self
            .wire
            .pump(&mut channel, &feed, streams, done, &mut self.held);
        let Err(why) = result else { return Ok(channel) };
        match &why {
            Break::Late => self.kill(streams.pid()),
            // The shell that was started ahead has ended since.
            Break::Ended if !fresh && !streams.begun() => {
                self.wire.close(channel);
                *streams = input.envelope.open();
                return self.exchange(input, streams, done);
            }
            _ => {}
        }
        if !matches!(why, Break::Lost(_)) {
            self.wire.close(channel);
        }
        Err(self.broken(why, streams, input.timeout))
    }

    /// Why a script did not come to its end, in words.
    fn broken(&mut self, why: Break, streams: &Streams, limit: Duration) -> Failure {
        let failure = told(&self.place, &why, streams, limit);
        if let Break::Lost(why) = why {
            self.lost = Some(why);
        }
        failure
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
        let feed = Feed {
            input: text.as_bytes(),
            eof: true,
            deadline,
        };
        if let Ok(mut channel) = self.wire.exec(self.command, deadline) {
            let wire = &mut self.wire;
            let _ = wire.pump(
                &mut channel,
                &feed,
                &mut streams,
                &Streams::complete,
                &mut self.held,
            );
            wire.close(channel);
        }
    }

    /// Ends a held script by the end of its input, and waits for it.
    fn end(&mut self, mut channel: Channel) {
        if self.lost.is_none() {
            let deadline = Instant::now() + COURTESY;
            let _ = self.wire.until(deadline, |_| channel.send_eof());
            let _ = self.wire.until(deadline, |_| channel.wait_eof());
        }
        self.wire.close(channel);
    }

    fn alive(&mut self, id: u64) -> bool {
        let Some(channel) = self.held.get_mut(&id) else {
            return false;
        };
        let mut buffer = [0; 1024];
        loop {
            match channel.read(&mut buffer) {
                Ok(n @ 1..) => self.printed.entry(id).or_default().feed(&buffer[..n]),
                Ok(0) => return false,
                Err(error) => {
                    return error.kind() == std::io::ErrorKind::WouldBlock && self.lost.is_none();
                }
            }
        }
    }

    /// Lines of a held script. Others who have a job wait meanwhile, so the limit is short.
    fn lines(&mut self, id: u64, limit: Duration) -> Result<Option<Vec<String>>> {
        let deadline = Instant::now() + limit.min(PATIENCE);
        loop {
            if let Some(lines) = self.printed.get_mut(&id).map(Lines::take)
                && !lines.is_empty()
            {
                return Ok(Some(lines));
            }
            if let Some(why) = &self.lost {
                return Err(lost(&self.place, why, true));
            }
            // This one needs its signs of life too, before it leaves the others for a moment.
            self.wire.keep_alive_when_due(&mut self.held);
            let Some(mut channel) = self.held.remove(&id) else {
                return Ok(None);
            };
            let read = self.wire.read(&mut channel, deadline);
            self.held.insert(id, channel);
            match read {
                Ok(Some(bytes)) => self.printed.entry(id).or_default().feed(&bytes),
                Ok(None) => return Ok(None),
                Err(Break::Lost(why)) => self.lost = Some(why),
                Err(_) => return Ok(Some(Vec::new())),
            }
        }
    }

    /// Starts the next run's shell ahead.
    fn prepare(&mut self) {
        if self.lost.is_none() && self.spare.is_none() {
            match self.wire.exec(self.command, Instant::now() + COURTESY) {
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

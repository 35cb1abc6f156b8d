//! Moving bytes over a non-blocking session.
//!
//! All three streams of a run move at once: libssh2 in blocking mode
//! deadlocks when one direction fills while the other is waited for.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ssh2::{BlockDirections, Channel, ErrorCode, Session};

use super::envelope::Streams;
use super::transport::Transport;

const EAGAIN: ErrorCode = ErrorCode::Session(-37);

/// CHANNEL_REQUEST_DENIED
const DENIED: ErrorCode = ErrorCode::Session(-22);

/// CHANNEL_FAILURE
const NOT_OPENED: ErrorCode = ErrorCode::Session(-21);

/// How often the server is asked for a sign of life.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(15);

/// How long small courtesies may take: closing a channel, ending a script.
pub(crate) const COURTESY: Duration = Duration::from_secs(3);

/// After this much silence, keepalives included, the connection counts as lost.
const SILENCE: Duration = Duration::from_secs(45);

/// Why moving bytes stopped too early.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// The connection is gone.
    Lost(String),
    /// The time is up.
    Late,
    /// The far side closed the channel before its closing frame.
    Ended,
    /// The server does not run commands for this login.
    Denied,
}

/// What a command gets to read.
pub(crate) struct Feed<'a> {
    /// Its standard input.
    pub(crate) input: &'a [u8],
    /// Whether the input ends there.
    pub(crate) eof: bool,
    /// When to give up.
    pub(crate) deadline: Instant,
}

/// A session and the stream below it. It is used by one thread only.
pub(crate) struct Wire {
    pub(crate) session: Session,
    pub(crate) transport: Arc<Transport>,
    /// When bytes last arrived.
    heard: Instant,
    /// When a keepalive was last due.
    asked: Instant,
    /// When the socket was last watched: silence counts only then.
    watched: Instant,
}

impl Wire {
    /// Takes over an authenticated session.
    pub(crate) fn new(session: Session, transport: Arc<Transport>) -> Self {
        session.set_blocking(false);
        session.set_keepalive(true, u32::try_from(KEEPALIVE.as_secs()).unwrap_or(15));
        let now = Instant::now();
        Self {
            session,
            transport,
            heard: now,
            asked: now,
            watched: now,
        }
    }

    /// Repeats a call until it no longer would block.
    pub(crate) fn until<T>(
        &mut self,
        deadline: Instant,
        mut call: impl FnMut(&Session) -> Result<T, ssh2::Error>,
    ) -> Result<T, Break> {
        // The call is itself a question.
        self.heard = Instant::now();
        self.asked = self.heard;
        loop {
            match call(&self.session) {
                Ok(value) => return Ok(value),
                Err(error) if error.code() == EAGAIN => self.wait(deadline, self.outbound())?,
                Err(error) if [NOT_OPENED, DENIED].contains(&error.code()) => {
                    return Err(Break::Denied);
                }
                Err(error) => return Err(Break::Lost(error.message().to_owned())),
            }
        }
    }

    /// A new channel on which `command` runs.
    pub(crate) fn exec(&mut self, command: &str, deadline: Instant) -> Result<Channel, Break> {
        let mut channel = self.until(deadline, Session::channel_session)?;
        match self.until(deadline, |_| channel.exec(command)) {
            Ok(()) => Ok(channel),
            Err(why) => {
                if why == Break::Denied {
                    self.close(channel);
                }
                Err(why)
            }
        }
    }

    /// Closes before dropping: freeing an open channel would talk to the server.
    pub(crate) fn close(&mut self, mut channel: Channel) {
        let deadline = Instant::now() + COURTESY;
        let _ = self.until(deadline, |_| channel.close());
    }

    /// Feeds the channel's command its input and reads its streams until
    /// `done` is content with what arrived.
    ///
    /// The `held` channels get their signs of life meanwhile.
    pub(crate) fn pump(
        &mut self,
        channel: &mut Channel,
        feed: &Feed<'_>,
        streams: &mut Streams,
        done: &impl Fn(&Streams) -> bool,
        held: &mut HashMap<u64, Channel>,
    ) -> Result<(), Break> {
        let (mut input, mut ending) = (feed.input, feed.eof);
        let mut buffer = vec![0; 64 * 1024];
        self.heard = Instant::now();
        loop {
            let mut outbound = false;
            let before = input.len();
            // Nothing else may be sent while a packet is half sent.
            while !input.is_empty() && !outbound {
                match transferred(channel.write(input))? {
                    Some(n @ 1..) => {
                        input = &input[n..];
                        if self.asked.elapsed() >= KEEPALIVE {
                            self.asked = Instant::now();
                            self.beat(held);
                        }
                    }
                    _ => {
                        outbound = self.outbound();
                        break;
                    }
                }
            }
            if ending && input.is_empty() && !outbound {
                match channel.send_eof() {
                    Ok(()) => ending = false,
                    Err(error) if error.code() == EAGAIN => outbound = self.outbound(),
                    Err(error) => return Err(Break::Lost(error.message().to_owned())),
                }
            }
            let mut moved = before != input.len();
            // In portions, so that endless output does not outlive the deadline.
            for _ in 0..32 {
                let out = transferred(channel.read(&mut buffer))?.unwrap_or(0);
                streams.out.feed(&buffer[..out]);
                let err = transferred(channel.stderr().read(&mut buffer))?.unwrap_or(0);
                streams.err.feed(&buffer[..err]);
                if out + err == 0 {
                    break;
                }
                moved = true;
            }
            if done(streams) {
                return Ok(());
            }
            if channel.eof() {
                return Err(Break::Ended);
            }
            if moved {
                self.heard = Instant::now();
                if self.heard >= feed.deadline {
                    return Err(Break::Late);
                }
                continue;
            }
            self.wait(feed.deadline, outbound)?;
            if input.is_empty() && !ending && self.asked.elapsed() >= KEEPALIVE {
                self.keep_alive(held);
            }
        }
    }

    /// What a channel's command printed, as soon as there is any; `None`: it has ended.
    pub(crate) fn read(
        &mut self,
        channel: &mut Channel,
        deadline: Instant,
    ) -> Result<Option<Vec<u8>>, Break> {
        if self.watched.elapsed() > KEEPALIVE {
            self.heard = Instant::now();
        }
        let mut buffer = vec![0; 64 * 1024];
        loop {
            // Unread errors would fill the window that both streams share.
            while transferred(channel.stderr().read(&mut buffer))?.unwrap_or(0) > 0 {}
            let out = transferred(channel.read(&mut buffer))?.unwrap_or(0);
            if out > 0 {
                buffer.truncate(out);
                self.heard = Instant::now();
                return Ok(Some(buffer));
            }
            if channel.eof() {
                return Ok(None);
            }
            self.wait(deadline, self.outbound())?;
        }
    }

    /// [`Wire::keep_alive`], where it is time.
    pub(crate) fn keep_alive_when_due(&mut self, held: &mut HashMap<u64, Channel>) {
        if self.asked.elapsed() >= KEEPALIVE {
            self.keep_alive(held);
        }
    }

    /// Asks the server for a sign of life, and gives one to held scripts.
    /// Not for use while a packet is half sent.
    pub(crate) fn keep_alive(&mut self, held: &mut HashMap<u64, Channel>) {
        self.asked = Instant::now();
        // A dead connection shows in the silence that follows.
        let _ = self.session.keepalive_send();
        self.beat(held);
    }

    fn beat(&mut self, held: &mut HashMap<u64, Channel>) {
        for channel in held.values_mut() {
            let deadline = Instant::now() + KEEPALIVE;
            while let Ok(None) = transferred(channel.write(b"\n")) {
                if self.wait(deadline, self.outbound()).is_err() {
                    break;
                }
            }
        }
    }

    /// Until the socket has something, a keepalive is due, or the time is up.
    fn wait(&mut self, deadline: Instant, outbound: bool) -> Result<(), Break> {
        let now = Instant::now();
        self.watched = now;
        if now >= deadline {
            return Err(Break::Late);
        }
        if now.duration_since(self.heard) > SILENCE && self.asked >= self.heard {
            return Err(Break::Lost(format!(
                "the server has been silent for {SILENCE:?}"
            )));
        }
        self.transport.acknowledge();
        let mut flags = PollFlags::POLLIN;
        if outbound {
            flags |= PollFlags::POLLOUT;
        }
        let limit = (deadline - now).min(KEEPALIVE);
        let limit = u16::try_from(limit.as_millis()).unwrap_or(u16::MAX).max(1);
        let mut sockets = [PollFd::new(self.transport.as_fd(), flags)];
        match poll(&mut sockets, PollTimeout::from(limit)) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => {
                let found = sockets[0].revents().unwrap_or(PollFlags::empty());
                if found.contains(PollFlags::POLLIN) {
                    self.heard = Instant::now();
                } else if found.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
                    return Err(Break::Lost("the connection was reset".into()));
                }
            }
            Err(error) => return Err(Break::Lost(error.to_string())),
        }
        Ok(())
    }

    fn outbound(&self) -> bool {
        matches!(
            self.session.block_directions(),
            BlockDirections::Outbound | BlockDirections::Both
        )
    }
}

/// Bytes moved; `None` where that would block.
fn transferred(result: io::Result<usize>) -> Result<Option<usize>, Break> {
    match result {
        Ok(n) => Ok(Some(n)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(Break::Lost(error.to_string())),
    }
}

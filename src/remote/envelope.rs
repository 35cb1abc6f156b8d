//! How a script travels: wrapped so that it runs whole or not at all, between
//! frames that tell its output from the noise around it and confirm its end.
//!
//! A shell reads its script from standard input as it goes. Therefore the body
//! is a function, which a connection that breaks leaves unfinished and unrun;
//! and its own standard input is /dev/null, lest a child eat the rest. Frames
//! on both streams make the exit status certain, although a dead connection
//! looks like status 0 to libssh2, and end the wait although a daemon that the
//! script started may keep the streams open.

use std::fmt::Write;

use super::Output;
use crate::failure::Result;
use crate::random;

/// Begins every frame; rare in output, so that searching is quick.
const MARK: u8 = 0x1e;

/// What a script finds, wherever it runs and whatever the login's own files set.
const SURROUNDINGS: &str = "unset CDPATH ENV BASH_ENV IFS; umask 077
LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export LC_ALL PATH
";

/// The frames of one run. Their token is random: no output can contain them by chance or guess.
pub(crate) struct Envelope {
    token: String,
}

impl Envelope {
    /// New frames.
    pub(crate) fn new() -> Result<Self> {
        let bytes: [u8; 16] = random::octets()?;
        let mut token = String::with_capacity(32);
        for byte in bytes {
            let _ = write!(token, "{byte:02x}");
        }
        Ok(Self { token })
    }

    /// The text for `sh -s`: the body, its exit status framed.
    pub(crate) fn wrap(&self, body: &str) -> String {
        let token = &self.token;
        // `exit` and traps in the body concern its subshell only.
        format!(
            "{SURROUNDINGS}main() {{\n:\n{body}\n}}\n\
             frame() {{ printf '\\036{token} %s\\n' \"$1\"; printf '\\036{token} %s\\n' \"$1\" >&2; }}\n\
             frame $$; ( main ) </dev/null; frame $?; exit 0\n"
        )
    }

    /// The text for a script that keeps its standard input and is ended with it.
    pub(crate) fn wrap_held(&self, body: &str) -> String {
        let token = &self.token;
        format!(
            "{SURROUNDINGS}main() {{\n:\n{body}\n}}\nprintf '\\036{token} %s\\n' $$; main; exit\n"
        )
    }

    /// Readers of the two streams.
    pub(crate) fn open(&self) -> Streams {
        Streams {
            out: Framed::new(&self.token),
            err: Framed::new(&self.token),
        }
    }
}

/// Both streams of a run.
pub(crate) struct Streams {
    /// Standard output.
    pub(crate) out: Framed,
    /// Standard error.
    pub(crate) err: Framed,
}

impl Streams {
    /// The script has ended, and everything it wrote is here.
    pub(crate) fn complete(&self) -> bool {
        self.out.end.is_some() && self.err.end.is_some()
    }

    /// The script has begun.
    pub(crate) fn begun(&self) -> bool {
        self.out.body.is_some()
    }

    /// The process id of the script's shell.
    pub(crate) fn pid(&self) -> Option<i32> {
        self.out.first
    }

    /// What came before the script began: the words of a login shell, of sudo.
    pub(crate) fn noise(&self) -> String {
        let text = [&self.err, &self.out].map(|s| String::from_utf8_lossy(s.noise()).into_owned());
        let lines: Vec<&str> = text.iter().flat_map(|t| t.lines()).map(str::trim).collect();
        let lines: Vec<&str> = lines
            .into_iter()
            .filter(|line| !line.is_empty())
            .take(8)
            .collect();
        lines.join("; ")
    }

    /// The run's output.
    pub(crate) fn into_output(self) -> Option<Output> {
        let code = self.out.end?.1;
        Some(Output {
            code,
            out: self.out.into_body(),
            err: self.err.into_body(),
        })
    }
}

/// One stream, searched for its frames as it arrives.
pub(crate) struct Framed {
    frame: Vec<u8>,
    bytes: Vec<u8>,
    /// Where to go on searching.
    searched: usize,
    /// The opening frame's number, and where the body begins.
    first: Option<i32>,
    body: Option<usize>,
    /// Where the closing frame begins, and its number.
    end: Option<(usize, i32)>,
}

impl Framed {
    fn new(token: &str) -> Self {
        let mut frame = vec![MARK];
        frame.extend(token.as_bytes());
        frame.push(b' ');
        Self {
            frame,
            bytes: Vec::new(),
            searched: 0,
            first: None,
            body: None,
            end: None,
        }
    }

    /// Takes in what arrived.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        while self.end.is_none() {
            let Some(offset) = self.bytes[self.searched..].iter().position(|b| *b == MARK) else {
                self.searched = self.bytes.len();
                return;
            };
            let at = self.searched + offset;
            let here = &self.bytes[at..];
            let Some(rest) = here.strip_prefix(&self.frame[..]) else {
                if self.frame.starts_with(here) {
                    self.searched = at;
                    return; // the rest of a frame is still to come
                }
                self.searched = at + 1;
                continue;
            };
            let Some(length) = rest.iter().position(|b| *b == b'\n') else {
                self.searched = at;
                return;
            };
            let number = std::str::from_utf8(&rest[..length])
                .ok()
                .and_then(|n| n.parse().ok());
            let after = at + self.frame.len() + length + 1;
            if self.body.is_none() {
                self.body = Some(after);
                self.first = number;
            } else {
                self.end = Some((at, number.unwrap_or(255)));
            }
            self.searched = after;
        }
    }

    /// The first line of the body, once it is complete.
    pub(crate) fn line(&self) -> Option<String> {
        let body = &self.bytes[self.body?..];
        let length = body.iter().position(|b| *b == b'\n')?;
        Some(String::from_utf8_lossy(&body[..length]).into_owned())
    }

    /// What of the body came after its first line.
    pub(crate) fn after_line(&self) -> &[u8] {
        let body = &self.bytes[self.body.unwrap_or(self.bytes.len())..];
        let length = body.iter().position(|b| *b == b'\n');
        length.map_or(&[], |length| &body[length + 1..])
    }

    fn noise(&self) -> &[u8] {
        let end = self
            .body
            .map_or(self.bytes.len(), |at| at - self.frame.len());
        &self.bytes[..end.min(4096)]
    }

    fn into_body(mut self) -> Vec<u8> {
        let end = self.end.map_or(self.bytes.len(), |(at, _)| at);
        self.bytes.truncate(end);
        self.bytes.drain(..self.body.unwrap_or(end).min(end));
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(input: &[&[u8]]) -> Framed {
        let mut framed = Framed::new("abc");
        for bytes in input {
            framed.feed(bytes);
        }
        framed
    }

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let stream = b"noise\x1e\x1eab\x1eabc 12\nbo\x1edy\x1eabc 7\nlate noise";
        let whole = framed(&[stream]);
        assert_eq!((whole.first, whole.end.map(|e| e.1)), (Some(12), Some(7)));
        assert_eq!(whole.into_body(), b"bo\x1edy");
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(framed(&bytes).into_body(), b"bo\x1edy");
    }

    #[test]
    fn a_stream_that_breaks_off_has_no_end() {
        for stream in [
            &b"\x1eabc 1\nbody\x1eabc 0"[..],
            b"\x1eabc 1\nbody",
            b"\x1eabc 1",
            b"",
        ] {
            assert_eq!(framed(&[stream]).end, None);
        }
    }

    #[test]
    fn noise_is_what_came_before() {
        let mut streams = Envelope {
            token: "abc".into(),
        }
        .open();
        streams.err.feed(b"sudo: a password is required\n");
        assert!(!streams.begun());
        assert_eq!(streams.noise(), "sudo: a password is required");
    }
}

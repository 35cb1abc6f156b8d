//! Many questions in one round trip: probe fragments become one script, its
//! output one answer for each.
//!
//! The fragments run beside each other, each in its own subshell with its own
//! files for output and errors; `eval` keeps a fragment's syntax error its
//! own. One watchdog for each time limit ends what hangs. Processes are what a
//! small server is slow at, so there is one for a fragment and a handful for
//! all together.
//!
//! The answer is a table, a line `n code len(out) len(err)` for each fragment
//! and an empty one, followed by the bytes in that order, so that any bytes
//! pass.

use std::fmt::Write;
use std::time::Duration;

use super::{Remote, Script};
use crate::failure::{Failure, Result};

/// The exit status of a fragment that was out of time, as for timeout(1).
const LATE: i32 = 124;

/// A shell fragment that looks at something and changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The fragment. Its standard input is empty.
    pub text: String,
    /// After so many seconds it is ended.
    pub timeout_s: u32,
}

impl Probe {
    /// A probe with the usual limit of ten seconds.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            timeout_s: 10,
        }
    }
}

/// What a fragment left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its exit status; 124 where it was out of time.
    pub code: i32,
    /// Its standard output.
    pub out: Vec<u8>,
    /// Its standard error.
    pub err: Vec<u8>,
}

impl Answer {
    /// The fragment was ended because its time was up.
    pub fn late(&self) -> bool {
        self.code == LATE
    }

    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
}

/// Asks all probes in one run; answers come in the same order.
///
/// # Errors
/// When the run fails as a whole, such as for a full disk. A probe that fails
/// is no error but an answer with its code.
pub fn ask(remote: &dyn Remote, probes: &[Probe]) -> Result<Vec<Answer>> {
    let longest = probes.iter().map(|p| p.timeout_s).max().unwrap_or(0);
    let limit = Duration::from_secs(u64::from(longest) + 60);
    let output = remote.run(&Script::new(script(probes)).within(limit))?;
    if output.code != 0 {
        let why = output.complaint();
        return Err(
            Failure::new(format!("cannot look at {}: {why}", remote.place()))
                .hint("see whether its disk is full"),
        );
    }
    parse(&output.out, probes.len())
}

/// The one script that runs all fragments.
pub fn script(probes: &[Probe]) -> String {
    if probes.is_empty() {
        return "echo\n".into();
    }
    // A fragment that is done says so by a file: its process id may be another's by then.
    // /run is in memory, so that a full disk can still be looked at.
    let mut text = String::from(
        "d=$(mktemp -d /run/mailctl.XXXXXX 2>/dev/null || mktemp -d) || exit 1
trap 'rm -rf \"$d\"' EXIT
cd \"$d\" || exit 1
end() { set -- $1 $(cat /proc/$1/task/$1/children 2>/dev/null); kill -9 $1; shift; for child do end $child; done; }
watch() {
trap 'kill $nap; exit' TERM; sleep $1 & nap=$!; wait $nap; trap '' TERM; shift
for job do [ -e ${job%:*}.done ] || ! kill -0 ${job#*:} || { : >${job%:*}.late; end ${job#*:}; }; done
}
",
    );
    let mut limits: Vec<u32> = Vec::new();
    for (n, probe) in probes.iter().enumerate() {
        let quoted = probe.text.replace('\'', "'\\''");
        let _ = writeln!(
            text,
            "(trap \": >$d/{n}.done\" EXIT; cd /; eval '{quoted}\n') </dev/null >{n}.out 2>{n}.err & p{n}=$!"
        );
        if !limits.contains(&probe.timeout_s) {
            limits.push(probe.timeout_s);
        }
    }
    for (w, limit) in limits.iter().enumerate() {
        let _ = write!(text, "watch {limit}");
        for (n, _) in probes
            .iter()
            .enumerate()
            .filter(|(_, p)| p.timeout_s == *limit)
        {
            let _ = write!(text, " {n}:$p{n}");
        }
        let _ = writeln!(text, " </dev/null >/dev/null 2>&1 & w{w}=$!");
    }
    let every = |form: fn(usize) -> String| (0..probes.len()).map(form).collect::<String>();
    text.push_str(&every(|n| format!("wait $p{n}; c{n}=$?\n")));
    for w in 0..limits.len() {
        let _ = writeln!(text, "kill $w{w} 2>/dev/null; wait $w{w}");
    }
    // What a fragment left running may go on writing: lengths and bytes are those of a copy.
    let files = every(|n| format!(" s/{n}.out s/{n}.err"));
    let _ = write!(
        text,
        "mkdir s && cp *.out *.err s || exit 1\nset -- $(stat -c %s{files}) || exit 1\n"
    );
    for n in 0..probes.len() {
        let _ = writeln!(
            text,
            "[ -e {n}.late ] && c{n}={LATE}; echo {n} $c{n} $1 $2; shift 2"
        );
    }
    let _ = writeln!(text, "echo; cat{files}");
    text
}

/// Reads the answers of `n` probes.
///
/// # Errors
/// When bytes are missing or not in this form.
pub fn parse(bytes: &[u8], n: usize) -> Result<Vec<Answer>> {
    let odd = |what: &str| {
        Failure::new(format!("the server's answer cannot be read: {what}"))
            .hint("see whether its disk is full, then run it again")
    };
    let mut rest = bytes;
    let mut line = || -> Result<String> {
        let end = rest
            .iter()
            .position(|b| *b == b'\n')
            .ok_or_else(|| odd("its table is cut off"))?;
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 1..];
        Ok(line)
    };
    let mut table = Vec::with_capacity(n);
    for index in 0..n {
        let text = line()?;
        let numbers: Vec<usize> = text
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        match numbers[..] {
            [number, code, out, err] if number == index => table.push((code, out, err)),
            _ => return Err(odd(&format!("`{text}` stands where frame {index} should"))),
        }
    }
    if !line()?.is_empty() {
        return Err(odd("its table has more rows than there were questions"));
    }
    let mut answers = Vec::with_capacity(n);
    for (code, out, err) in table {
        let mut take = |length| -> Result<Vec<u8>> {
            let (taken, tail) = rest
                .split_at_checked(length)
                .ok_or_else(|| odd("bytes are missing"))?;
            rest = tail;
            Ok(taken.to_vec())
        };
        let code = i32::try_from(code).unwrap_or(255);
        answers.push(Answer {
            code,
            out: take(out)?,
            err: take(err)?,
        });
    }
    if rest.is_empty() {
        Ok(answers)
    } else {
        Err(odd("bytes are left over"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::remote::here::Here;

    fn answers(texts: &[&str]) -> Vec<Answer> {
        let probes: Vec<Probe> = texts.iter().map(|text| Probe::new(*text)).collect();
        ask(&Here, &probes).expect("asked")
    }

    #[test]
    fn no_questions_no_answers() {
        assert_eq!(answers(&[]), []);
    }

    #[test]
    fn each_answer_is_its_own() {
        let got = answers(&[
            "echo one",
            "echo oops >&2; exit 3",
            "cat; echo read",
            "echo 'it'\\''s $HOME'",
            "x=1; d=; cd /tmp; trap - EXIT",
            "echo \"$x\"; pwd",
            "# only a comment",
            "cat <<E\nhere $((1 + 1))\nE",
        ]);
        let texts: Vec<String> = got.iter().map(Answer::text).collect();
        assert_eq!(
            texts,
            [
                "one\n",
                "",
                "read\n",
                "it's $HOME\n",
                "",
                "\n/\n",
                "",
                "here 2\n"
            ]
        );
        assert_eq!((got[1].code, &got[1].err[..]), (3, &b"oops\n"[..]));
    }

    #[test]
    fn any_bytes_pass() {
        let got = answers(&[
            "printf '\\000\\377\\n\\n0 0 1 1\\n\\n1 0 0 0\\n'",
            "head -c 3000000 /dev/urandom",
            "echo '0 0 5 0'; echo; printf 'no end'",
        ]);
        assert_eq!(got[0].out, b"\0\xff\n\n0 0 1 1\n\n1 0 0 0\n");
        assert_eq!(got[1].out.len(), 3_000_000);
        assert_eq!(got[2].out, b"0 0 5 0\n\nno end");
    }

    #[test]
    fn a_syntax_error_and_a_killed_probe_stay_alone() {
        let got = answers(&[
            "if true; then",
            "kill -9 $(sh -c 'echo $PPID')",
            "echo \"open",
            "echo fine",
        ]);
        assert_ne!(got[0].code, 0);
        assert_eq!(got[1].code, 137);
        assert_ne!(got[2].code, 0);
        assert_eq!((got[3].code, got[3].text()), (0, "fine\n".into()));
    }

    #[test]
    fn a_hanging_probe_costs_its_own_time_only_and_leaves_nothing() {
        // How long to sleep is also how to find the sleepers again.
        let naps = 1_000_000 + std::process::id();
        let probe = |text: String, timeout_s| Probe { text, timeout_s };
        let begin = Instant::now();
        let got = ask(
            &Here,
            &[
                probe(
                    format!("echo before; sh -c 'sleep {naps}; :'; echo after"),
                    1,
                ),
                probe(format!("trap '' TERM INT; sleep {naps}"), 1),
                probe("sleep 60 & echo $!".into(), 20),
                probe("echo quick".into(), 20),
            ],
        );
        let got = got.expect("asked");
        assert!(
            begin.elapsed() < Duration::from_secs(15),
            "{:?}",
            begin.elapsed()
        );
        assert!(got[0].late() && got[1].late());
        assert_eq!((got[0].text(), got[3].code), ("before\n".into(), 0));
        let find = format!(
            "grep -l '[{}]{}' /proc/[0-9]*/cmdline",
            naps / 1_000_000,
            &naps.to_string()[1..]
        );
        assert_eq!(
            Here.run(&Script::new(find)).expect("run").text(),
            "",
            "processes are left"
        );
        let daemon = Script::new(format!("kill {}", got[2].text()));
        assert_eq!(
            Here.run(&daemon).expect("run").code,
            0,
            "a probe's daemon lives on"
        );
    }

    #[test]
    fn forty_questions_are_quick() {
        let probes: Vec<Probe> = (0..40)
            .map(|n| Probe::new(format!("cat /proc/loadavg; echo {n}")))
            .collect();
        let best = (0..5).map(|_| {
            let begin = Instant::now();
            assert_eq!(ask(&Here, &probes).expect("asked").len(), 40);
            begin.elapsed()
        });
        let best = best.min().expect("five runs");
        // Measured at 0.04 s; the limit allows for a busy machine.
        assert!(best < Duration::from_secs(2), "{best:?}");
    }

    #[test]
    fn nonsense_is_not_read() {
        for bytes in [
            &b""[..],
            b"0 0 1",
            b"0 0 1 0\n\n",
            b"1 0 0 0\n\n",
            b"0 0 0 0\n\nmore",
            b"0 0 0 0\n1 0 0 0\n\n",
        ] {
            assert!(
                parse(bytes, 1).is_err(),
                "{:?}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
}

//! Words that the scripts of several kinds share.

use crate::observe::quote;

/// Exit status of a script that finds the server otherwise than the plan saw
/// it (EX_TEMPFAIL of sysexits.h): planning again helps.
pub const CHANGED: i32 = 75;

/// `fail STATUS SENTENCE` ends a script with a sentence for people;
/// `oops SENTENCE LOG` adds the log's last lines, and says so where the disk is full.
pub const PRELUDE: &str = r#"
fail() { printf '%s\n' "$2" >&2; exit "$1"; }
oops() {
  if grep -qi -e 'no space left on device' -e 'disk quota exceeded' "$2" 2>/dev/null; then
    fail 1 "$1: the disk of the server is full"
  fi
  fail 1 "$1: $(grep -v '^[[:space:]]*$' "$2" 2>/dev/null | tail -n 5)"
}
log=$(mktemp -p /run mailctl.XXXXXX 2>/dev/null || mktemp) || fail 1 'no temporary file can be made on the server'
trap 'rm -f "$log"' EXIT
"#;

/// A fragment that makes `path` the first that loses to nobody: `[ ! -e path ]`
/// or its hash is still what the plan saw, else the script ends with [`CHANGED`].
pub fn guard(path: &str, seen: Option<&str>) -> String {
    let f = quote(path);
    let message = quote(&format!(
        "{path} was changed on the server since the plan; plan again"
    ));
    match seen {
        None => format!("if [ -e {f} ]; then fail {CHANGED} {message}; fi\n"),
        Some(hash) => format!(
            "case $(sha256sum <{f} 2>/dev/null) in {hash}*) ;; *) fail {CHANGED} {message};; esac\n"
        ),
    }
}

/// The same for a file that a package brings: its own version of it, as dpkg
/// knows it, is nobody's work either.
pub fn guard_conffile(path: &str, seen: Option<&str>) -> String {
    let f = quote(path);
    let shipped = format!(
        "[ -e {f} ] && dpkg-query -W -f='${{Conffiles}}\\n' 2>/dev/null | grep -qF \"{path} $(md5sum <{f} | cut -d' ' -f1)\""
    );
    format!("{shipped} || {{\n{}}}\n", guard(path, seen))
}

/// SHA-256 in hexadecimal, as `sha256sum` prints it.
pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// A fragment that prints bytes, whatever they are. They travel inside the
/// script and never in an argument list: `printf` is built into the shell.
pub fn print(content: &[u8]) -> String {
    use base64::Engine;
    format!(
        "printf %s '{}' | base64 -d",
        base64::engine::general_purpose::STANDARD.encode(content)
    )
}

/// Bytes that came as base64, in lines of any length; `None` where it is none.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    use base64::Engine;
    let text: String = text.split_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

/// Runs a script here, as the server would.
#[cfg(test)]
pub(crate) fn run(text: &str) -> (i32, String, String) {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new("sh")
        .arg("-s")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sh");
    let whole = format!("main() {{\n{text}\n}}\nmain </dev/null\n");
    child
        .stdin
        .take()
        .expect("stdin")
        .write_all(whole.as_bytes())
        .expect("write");
    let output = child.wait_with_output().expect("output");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (
        output.status.code().unwrap_or(-1),
        text(output.stdout),
        text(output.stderr),
    )
}

//! Tools that are not mailctl's, and what they say: dig, swaks, dkimpy, openssl.
// Each test uses a part of it.
#![allow(dead_code)]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Output, Stdio};

/// dig, at one server: the values, sorted.
pub fn dig(server: SocketAddr, name: &str, rtype: &str) -> Vec<String> {
    let output = Command::new("dig")
        .arg(format!("@{}", server.ip()))
        .args(["-p", &server.port().to_string()])
        .args([name, rtype, "+short", "+time=5"])
        .output()
        .expect("dig");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The TXT values of a name, their parts joined as receivers join them.
pub fn txt(server: SocketAddr, name: &str) -> Vec<String> {
    let parts = |line: String| line.split('"').skip(1).step_by(2).collect::<String>();
    // An alias is listed too, without quotes.
    let quoted = dig(server, name, "TXT")
        .into_iter()
        .filter(|line| line.starts_with('"'));
    let mut values: Vec<String> = quoted.map(parts).collect();
    values.sort();
    values
}

/// A message for swaks to submit.
pub struct Letter<'a> {
    pub user: &'a str,
    pub password: &'a str,
    pub to: &'a str,
    pub subject: &'a str,
}

/// swaks, which logs in on port 587 over STARTTLS; the transcript, and whether
/// the server took the message.
pub fn submit(server: Ipv4Addr, letter: &Letter) -> (bool, String) {
    let output = Command::new("swaks")
        .args(["--server", &format!("{server}:587"), "-tls"])
        .args(["--helo", "client.example", "--auth", "PLAIN"])
        .args(["--auth-user", letter.user])
        .args(["--auth-password", letter.password])
        .args(["--from", letter.user, "--to", letter.to])
        .args(["--header", &format!("Subject: {}", letter.subject)])
        .output()
        .expect("swaks");
    told(output)
}

/// swaks, which says EHLO on port 25 and leaves: the server's capabilities.
pub fn ehlo(server: Ipv4Addr) -> String {
    let output = Command::new("swaks")
        .args(["--server", &format!("{server}:25"), "--quit-after", "EHLO"])
        .args(["--helo", "client.example"])
        .output()
        .expect("swaks");
    told(output).1
}

fn told(output: Output) -> (bool, String) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

/// dkimpy: each signature's algorithm and whether it verifies with the record
/// that dig finds, such as `rsa-sha256 pass`.
pub fn dkim(server: SocketAddr, message: &[u8]) -> Vec<String> {
    const SCRIPT: &str = r#"
import subprocess, sys, dkim
ip, port, path = sys.argv[1:]
def txt(name, timeout=5):
    name = name.decode() if isinstance(name, bytes) else name
    out = subprocess.run(["dig", "@" + ip, "-p", port, name, "TXT", "+short"], capture_output=True, text=True).stdout
    return "".join(out.split('"')[1::2]).encode()
message = dkim.DKIM(open(path, "rb").read())
for nth in range(sum(1 for name, _ in message.headers if name.lower() == b"dkim-signature")):
    good = message.verify(idx=nth, dnsfunc=txt)
    print(message.signature_fields[b"a"].decode(), "pass" if good else "fail")
"#;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("message.eml");
    fs::write(&path, message).expect("a message");
    let output = Command::new("/usr/bin/python3")
        .args(["-c", SCRIPT])
        .args([server.ip().to_string(), server.port().to_string()])
        .arg(path)
        .output()
        .expect("python3");
    let mut lines: Vec<String> = told(output).1.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// openssl, connecting to a port: what it says of the certificate, which must be
/// for `name` and lead to `root`, a PEM text.
pub fn tls(server: Ipv4Addr, port: u16, name: &str, root: &str) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    let roots = directory.path().join("root.pem");
    fs::write(&roots, root).expect("a root");
    let mut command = Command::new("openssl");
    command
        .args(["s_client", "-connect", &format!("{server}:{port}")])
        .args(["-verify_return_error", "-verify_hostname", name, "-CAfile"])
        .arg(roots);
    if port != 465 {
        command.args(["-starttls", "smtp"]);
    }
    told(command.stdin(Stdio::null()).output().expect("openssl")).1
}

/// The serial number of the certificate that a port shows.
pub fn serial(server: Ipv4Addr, port: u16) -> String {
    let starttls = if port == 465 { "" } else { "-starttls smtp" };
    let script = format!(
        "openssl s_client -connect {server}:{port} {starttls} </dev/null 2>/dev/null | openssl x509 -noout -serial"
    );
    let output = Command::new("sh").args(["-c", &script]).output();
    told(output.expect("openssl")).1.trim().to_owned()
}

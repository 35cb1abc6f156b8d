//! The certificate in the course of time: why a new one is made, how it is
//! switched in, and what happens when that fails.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mailctl::rehearse::base::Suite;
use rcgen::{CertificateParams, KeyPair};
use time::OffsetDateTime;

use crate::judges::{self, txt};
use crate::lab::Lab;
use crate::pebble::{Options, Pebble};

const HOST: &str = "smtp.wac.tax";
const CERTIFICATE: &str = "certificate smtp.wac.tax";
const FOLDER: &str = "/etc/chasquid/certs/smtp.wac.tax";
const DOMAINS: &str = "  wac.tax: {forward: {i: i.wac.tax@gmail.com}}\n";
const NAMES: [&str; 3] = ["*.wac.tax", HOST, "wac.tax"];
/// Writes down which certificate chasquid shows, but only where it is allowed to.
const RELOAD: &str = "test ! -e /run/forbidden && openssl s_client -connect 127.0.0.1:465 </dev/null 2>/dev/null | openssl x509 -noout -serial >> /run/reloaded";

/// As in [`Lab::write`], with a reload command, and another authority where one is given.
fn write(lab: &Lab, domains: &str, authority: Option<&Pebble>) {
    let path = lab.write(domains);
    let text = fs::read_to_string(&path).expect("mail.yaml");
    let (directory, root) = match authority {
        Some(pebble) => (pebble.directory.clone(), pebble.root()),
        None => (
            lab.world.authority().directory(),
            lab.world.authority().root().to_owned(),
        ),
    };
    let certificates = format!(
        "certificates: {{authority: \"{directory}\", root: {}, reload: ['{RELOAD}']}}",
        root.display()
    );
    let lines = text.lines().map(|line| {
        if line.starts_with("certificates:") {
            certificates.as_str()
        } else {
            line
        }
    });
    fs::write(path, lines.collect::<Vec<_>>().join("\n") + "\n").expect("mail.yaml");
}

/// Connects to the ports again and again; returns what went wrong.
fn hammer(server: std::net::Ipv4Addr) -> impl FnOnce() -> (usize, Vec<String>) {
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    let thread = thread::spawn(move || {
        let (mut made, mut refused) = (0, Vec::new());
        while !told.load(Ordering::Relaxed) {
            for port in [25, 465, 587] {
                let to = SocketAddr::from((server, port));
                match TcpStream::connect_timeout(&to, Duration::from_secs(10)) {
                    Ok(_) => made += 1,
                    Err(error) => refused.push(format!("{to}: {error}")),
                }
            }
            thread::sleep(Duration::from_millis(10));
        }
        (made, refused)
    });
    move || {
        stop.store(true, Ordering::Relaxed);
        thread.join().expect("the hammer")
    }
}

/// Looks again and again, on the server, whether key and chain belong together.
fn watch(lab: &Lab) {
    let script = format!(
        r#"rm -f /run/stop /run/torn /run/looked; (while [ ! -e /run/stop ]; do
if cd -P {FOLDER}; then
  a=$(openssl x509 -in fullchain.pem -noout -pubkey) b=$(openssl pkey -in privkey.pem -pubout)
  [ "$a" = "$b" ] && echo x >> /run/looked || echo "$PWD: $a $b" >> /run/torn
else echo none >> /run/torn; fi; done) </dev/null >/dev/null 2>&1 &"#
    );
    lab.on_server(&script);
}

/// How often it was looked, and what was torn.
fn seen(lab: &Lab) -> (usize, String) {
    lab.on_server("touch /run/stop");
    let torn = lab.on_server("cat /run/torn 2>/dev/null || true");
    (lab.on_server("cat /run/looked").lines().count(), torn)
}

/// The serial number of every port, which must be one.
fn serial(lab: &Lab) -> String {
    let of = |port| judges::serial(lab.world.ipv4(), port);
    let first = of(25);
    assert!(
        first.starts_with("serial=") && first == of(465) && first == of(587),
        "{first}"
    );
    first
}

/// The serial numbers of the certificates that are kept on the server, sorted.
fn kept(lab: &Lab) -> Vec<String> {
    let serials = lab.on_server(
        "for f in /etc/chasquid/tls/*/fullchain.pem; do openssl x509 -in $f -noout -serial; done",
    );
    let mut serials: Vec<String> = serials.lines().map(str::to_owned).collect();
    serials.sort();
    serials
}

fn sorted<const N: usize>(mut serials: [&str; N]) -> [&str; N] {
    serials.sort_unstable();
    serials
}

/// Why the plan changes something; nothing, where it does not.
fn reason(lab: &Lab, id: &str) -> String {
    let plan = lab.run(&["plan", "--json"]).expect(0).out;
    let plan: serde_json::Value = serde_json::from_str(&plan).expect("one document");
    let change = plan["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .find(|c| c["id"] == id);
    change.map_or(String::new(), |c| {
        c["reason"].as_str().unwrap_or_default().to_owned()
    })
}

fn no_challenge(lab: &Lab) -> bool {
    let names = lab.world.names().addresses()[0];
    ["_acme-challenge.wac.tax", "_acme-challenge.smtp.wac.tax"]
        .iter()
        .all(|name| txt(names, name).is_empty())
}

pub fn a_new_certificate_is_made_when_it_is_due_and_nobody_is_turned_away() {
    let Some(lab) = Lab::start("renewal", Suite::Trixie) else {
        return;
    };
    write(&lab, DOMAINS, None);
    lab.run(&["apply", "--yes"]).expect(0);
    let first = serial(&lab);
    assert_eq!(
        lab.on_server("cat /run/reloaded").trim(),
        first,
        "the command sees the new one"
    );

    // A domain more, while others knock.
    let wider = format!("{DOMAINS}  second.example: {{}}\n");
    write(&lab, &wider, None);
    assert_eq!(
        reason(&lab, CERTIFICATE),
        "it does not cover *.second.example"
    );
    let knocked = hammer(lab.world.ipv4());
    watch(&lab);
    lab.run(&["apply", "--yes"]).expect(0);
    let (looked, torn) = seen(&lab);
    let (made, refused) = knocked();
    assert!(
        looked > 10 && torn.is_empty(),
        "key and chain are always a pair: {looked} looks, {torn}"
    );
    assert!(
        made > 100 && refused.is_empty(),
        "{made} connections, refused: {refused:?}"
    );
    let second = serial(&lab);
    assert_ne!(first, second);
    let root = lab.world.authority().issuing_root().to_owned();
    assert!(
        judges::tls(lab.world.ipv4(), 25, "second.example", &root).contains("Verification: OK")
    );
    assert!(
        lab.on_server(&format!("readlink {FOLDER}"))
            .starts_with("/etc/chasquid/tls/smtp.wac.tax.")
    );
    assert_eq!(
        kept(&lab),
        sorted([&first, &second]),
        "the one before is kept"
    );
    assert_eq!(
        lab.on_server("stat -c '%U:%G %a' /etc/chasquid/certs/smtp.wac.tax/privkey.pem")
            .trim(),
        "root:chasquid 640"
    );
    assert_eq!(lab.on_server("tail -n1 /run/reloaded").trim(), second);

    // Fewer names are a new certificate too.
    write(&lab, DOMAINS, None);
    assert_eq!(
        reason(&lab, CERTIFICATE),
        "it covers names that left mail.yaml"
    );
    lab.run(&["apply", "--yes"]).expect(0);
    let third = serial(&lab);
    assert_eq!(
        kept(&lab),
        sorted([&second, &third]),
        "only the one before is kept"
    );

    // In the last third of its life.
    let (key, mut params) = (
        KeyPair::generate().expect("a key"),
        CertificateParams::new(NAMES.map(String::from)).expect("names"),
    );
    let now = OffsetDateTime::now_utc();
    params.not_before = now - Duration::from_hours(24 * 65);
    params.not_after = now + Duration::from_hours(24 * 25 + 12);
    let old = params.self_signed(&key).expect("a certificate").pem();
    let key = key.serialize_pem();
    lab.on_server(&format!(
        "cd {FOLDER} && echo '{old}' > fullchain.pem && echo '{key}' > privkey.pem"
    ));
    assert_eq!(
        reason(&lab, CERTIFICATE),
        "it ends in 25 days: a third of its life is left"
    );
    lab.run(&["apply", "--yes"]).expect(0);
    assert_ne!(serial(&lab), third);

    // A key that does not belong to it, which would end chasquid at its next start.
    let other = KeyPair::generate().expect("a key").serialize_pem();
    lab.on_server(&format!("cd {FOLDER} && echo '{other}' > privkey.pem"));
    assert_eq!(reason(&lab, CERTIFICATE), "its key does not belong to it");
    lab.run(&["apply", "--yes"]).expect(0);
    lab.on_server(&format!("rm {FOLDER}/fullchain.pem"));
    assert_eq!(reason(&lab, CERTIFICATE), "no certificate yet");

    // A command that fails is due until it succeeds.
    lab.on_server("touch /run/forbidden");
    let ran = lab.run(&["apply", "--yes"]).expect(6);
    assert!(
        ran.out.contains("the reload command")
            && ran.out.contains("left: reload after new certificate"),
        "{}",
        ran.out
    );
    let before = serial(&lab);
    assert_eq!(
        reason(&lab, "reload after new certificate"),
        "the certificate is new"
    );
    lab.on_server("rm /run/forbidden");
    lab.run(&["apply", "--yes"]).expect(0);
    assert_eq!(lab.on_server("tail -n1 /run/reloaded").trim(), before);
    assert!(
        lab.run(&["plan", "--detailed-exitcode"])
            .expect(0)
            .out
            .contains("No changes.")
    );

    // An authority that looks elsewhere finds nothing: no trace is left, and what there is serves on.
    let Some(blind) = Pebble::start(&Options::default()) else {
        return;
    };
    write(&lab, DOMAINS, Some(&blind));
    assert!(reason(&lab, CERTIFICATE).starts_with("it comes from https://10.77."));
    let ran = lab.run(&["apply", "--yes"]).expect(1);
    assert!(
        ran.out.contains("failed order smtp.wac.tax") && ran.out.contains("do: "),
        "{}",
        ran.out
    );
    assert!(no_challenge(&lab));

    // Nor is any left when somebody stops it.
    let slow = Options {
        env: vec![("PEBBLE_VA_NOSLEEP", "0"), ("PEBBLE_VA_SLEEPTIME", "600")],
        ..Options::default()
    };
    let Some(slow) = Pebble::start(&slow) else {
        return;
    };
    write(&lab, DOMAINS, Some(&slow));
    let mut command = lab.command();
    let child = command
        .args(["apply", "--yes"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    let end = Instant::now() + Duration::from_secs(60);
    while no_challenge(&lab) {
        assert!(Instant::now() < end, "no challenge is shown");
        thread::sleep(Duration::from_millis(50));
    }
    let id = nix::unistd::Pid::from_raw(child.id().cast_signed());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).expect("sent");
    let ran = crate::lab::Ran::of(child.wait_with_output().expect("it ends"));
    assert!(
        ran.code == 6 && ran.out.contains("order smtp.wac.tax: interrupted"),
        "{} {}",
        ran.code,
        ran.out
    );
    assert!(no_challenge(&lab));
    assert_eq!(serial(&lab), before);
    lab.world.stop().expect("nothing is left");
}

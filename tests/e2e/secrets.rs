//! Every secret of a run, those that were given and those that were made, is
//! looked for wherever a run leaves text: outputs, plan files, the ledger,
//! logs, process lists, temporary files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use mailctl::rehearse::base::Suite;

use crate::knot::{ALGORITHM, KEY, KEY_NAME, KnotServer};
use crate::lab::{Lab, PASSWORD_VARIABLE, Ran, TOKEN_VARIABLE};
use crate::ports::zone_text;
use crate::watch::Watch;

const DOMAINS: &str = "  wac.tax:\n    users: {i: {password: env:E2E_MAIL_PASSWORD}, made: {}}\n    forward: {\"*\": i.wac.tax@gmail.com}\n";
const SECOND: &str = "  second.example:\n    users: {also: {}}\n";

/// What must not be found, by what it is.
#[derive(Default)]
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    /// One secret, and how it looks in base64, wherever it begins there.
    fn add(&mut self, what: &'static str, secret: &str) {
        assert!(secret.len() >= 12, "{what} is too short to be looked for");
        for lead in 0..3 {
            let coded = BASE64_STANDARD_NO_PAD.encode(format!("{}{secret}", &"\0\0\0"[..lead]));
            // The first and the last letters depend on what stands beside.
            let (start, end) = ([0, 2, 3][lead], coded.len() - 2);
            self.0.push((what, coded[start..end].to_owned()));
        }
        self.0.push((what, secret.to_owned()));
    }

    /// The lines of a PEM file between its first and its last.
    fn add_pem(&mut self, what: &'static str, pem: &str) {
        let lines = pem
            .lines()
            .filter(|line| line.len() >= 24 && !line.starts_with("---"));
        let before = self.0.len();
        for line in lines {
            self.add(what, line);
        }
        assert!(self.0.len() > before, "no {what} in {pem}");
    }

    /// What is found in a text.
    fn found_in(&self, text: &str) -> Option<&'static str> {
        let mut all = self.0.iter();
        all.find(|(_, secret)| text.contains(secret))
            .map(|(what, _)| *what)
    }

    /// Fails the test where one is found, without printing it.
    #[track_caller]
    fn are_not_in(&self, place: &str, text: &str) {
        if let Some(what) = self.found_in(text) {
            panic!("{what} is in {place}");
        }
    }
}

/// The strings after `field: ` in prototext, as they are written.
fn strings<'a>(text: &'a str, field: &str) -> Vec<&'a str> {
    text.split(&format!("{field}:"))
        .skip(1)
        .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split_once('"'))
        .map(|(value, _)| value)
        .collect()
}

/// The files of a directory of this machine, as text.
fn files_below(directory: &Path) -> String {
    let found = Command::new("grep")
        .args(["--recursive", "--text", ""])
        .arg(directory)
        .output()
        .expect("grep");
    String::from_utf8_lossy(&found.stdout).into_owned()
}

struct Runs<'a> {
    lab: &'a Lab,
    said: Vec<(String, String)>,
}

impl Runs<'_> {
    /// Runs mailctl with this in its environment too, and remembers what it said.
    #[track_caller]
    fn run(&mut self, code: i32, environment: &[(&str, &str)], args: &str) -> String {
        let mut command = self.lab.command();
        command
            .env("TMPDIR", self.lab.directory.path().join("tmp"))
            .env("RUST_BACKTRACE", "1")
            .env("RUST_LOG", "trace")
            .envs(environment.iter().copied())
            .args(args.split_whitespace());
        let ran = Ran::of(command.output().expect("runs")).expect(code);
        self.said.push((args.to_owned(), ran.said()));
        ran.said()
    }
}

pub fn no_secret_is_found_where_a_run_leaves_text() {
    let Some(lab) = Lab::start("secrets", Suite::Bookworm) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let zone = zone_text("second.example", &[], "");
    let Some(knot) = runtime.block_on(KnotServer::start(&[("second.example", zone)])) else {
        return;
    };
    let here = |name: &str| lab.directory.path().join(name);
    fs::create_dir(here("tmp")).expect("a directory");
    let watch = Watch::begin();
    let mut runs = Runs {
        lab: &lab,
        said: Vec::new(),
    };
    let mut secrets = Secrets::default();

    // A fresh server, in all ways of telling.
    lab.write(DOMAINS);
    runs.run(0, &[], "plan -v --out plan.file");
    runs.run(2, &[], "plan --json --detailed-exitcode");
    runs.run(0, &[], "-v apply plan.file");
    let other = format!("{}-another", lab.password);
    let changed = [(PASSWORD_VARIABLE, other.as_str())];
    let plan = runs.run(0, &changed, "plan");
    assert!(plan.contains("~ users wac.tax"), "{plan}");
    runs.run(0, &changed, "--json apply --yes");
    lab.write(&format!("{DOMAINS}{SECOND}"));
    runs.run(0, &changed, "--quiet apply --yes");
    runs.run(0, &changed, "plan --out empty.file --json");

    // Mistakes and refusals.
    let wrong = "wrong-token-0b1c2d3e4f";
    runs.run(1, &[(TOKEN_VARIABLE, wrong)], "-v apply --yes");
    runs.run(1, &[(TOKEN_VARIABLE, wrong)], "--json plan");
    let token_source = format!("token: env:{TOKEN_VARIABLE}");
    let literal = "literal-token-5a6b7c8d9e";
    lab.write_but(
        DOMAINS,
        &[(&token_source, &format!("token: {literal}, endpont: x"))],
    );
    let drawn = runs.run(3, &[], "validate");
    assert!(drawn.contains("endpont"), "{drawn}");
    lab.write_but(DOMAINS, &[(&token_source, &format!("token: {literal}"))]);
    let refused = runs.run(1, &[], "plan");
    assert!(refused.contains("401"), "{refused}");
    let tsig = format!(
        "{}    dns: {{provider: rfc2136, server: \"{}\", zone: second.example, key_name: {KEY_NAME}, algorithm: {ALGORITHM}, key: env:TSIG}}\n    mx: keep\n    autoconfig: false\n",
        SECOND, knot.dns
    );
    lab.write(&format!("{DOMAINS}{tsig}"));
    let wrong_key = "d3JvbmcgdHNpZyBrZXkgZm9yIGEgdGVzdA==";
    let planned = runs.run(0, &[("TSIG", KEY), changed[0]], "-v plan --json");
    assert!(planned.contains("rrset second.example TXT"), "{planned}");
    let refused = runs.run(1, &[("TSIG", wrong_key), changed[0]], "-v apply --yes");
    assert!(refused.contains("BADSIG"), "{refused}");
    let shown = watch.end();

    // What was given.
    secrets.add("the user's password", &lab.password);
    secrets.add("the DNS token", lab.world.names().token().expose());
    secrets.add("a wrong token", wrong);
    secrets.add("a literal token", literal);
    secrets.add("the TSIG key", KEY);
    secrets.add("a wrong TSIG key", wrong_key);
    let login = fs::read_to_string(lab.world.private_key()).expect("a key");
    secrets.add_pem("the SSH key", &login);
    // What was made here, for its owner only.
    for (file, what) in [
        ("secrets/made@wac.tax", "a password that was made"),
        ("secrets/also@second.example", "another that was made"),
    ] {
        let mode = fs::metadata(here(file)).expect("kept").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{file}");
        let password = fs::read_to_string(here(file)).expect("kept");
        secrets.add(what, password.trim());
    }
    let mode = fs::metadata(here("secrets"))
        .expect("kept")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o700);
    // What was made on the server.
    for (what, command) in [
        ("a DKIM key", "cat /etc/chasquid/domains/*/dkim:*.pem"),
        (
            "the certificate's key",
            "cat /etc/chasquid/tls/*/privkey.pem",
        ),
    ] {
        secrets.add_pem(what, &lab.on_server(command));
    }
    let account = lab.on_server("cat /var/lib/mailctl/acme-*.json");
    let account: serde_json::Value = serde_json::from_str(&account).expect("an account");
    let key = account["key_pkcs8"].as_str().expect("its key");
    secrets.add("the ACME account's key", key);
    let users = lab.on_server("cat /etc/chasquid/domains/*/users");
    let hashes = strings(&users, "encrypted");
    assert_eq!(hashes.len(), 3, "{users}");
    for hash in hashes {
        secrets.add("the hash of a password", hash);
    }

    // They would be found.
    assert_eq!(secrets.found_in(&users), Some("the hash of a password"));
    for lead in ["", "x", "xy"] {
        let coded = BASE64_STANDARD_NO_PAD.encode(format!("{lead}{}\n", lab.password));
        assert_eq!(secrets.found_in(&coded), Some("the user's password"));
    }

    // Where they must not be.
    for (run, said) in &runs.said {
        secrets.are_not_in(&format!("what `{run}` said"), said);
    }
    for file in ["plan.file", "empty.file"] {
        let text = fs::read_to_string(here(file)).expect("a plan");
        secrets.are_not_in(file, &text);
    }
    secrets.are_not_in("an argument list", &shown);
    let temporary = here("tmp");
    assert_eq!(files_below(&temporary), "", "files are left here");
    secrets.are_not_in(
        "the ledger",
        &lab.on_server("cat /var/lib/mailctl/ledger.json*"),
    );
    secrets.are_not_in(
        "the journal",
        &lab.on_server("journalctl --no-pager -a -o verbose"),
    );
    secrets.are_not_in(
        "a file that anybody may read or that was left behind",
        &lab.on_server(
            "{ find /tmp /var/tmp /run /var/log /root -xdev -type f; find /etc /var/lib/mailctl /var/lib/chasquid -type f -newer /proc/1 -perm -o=r; } | \
             tr '\\n' '\\0' | xargs -0 cat 2>/dev/null; :",
        ),
    );
    assert_eq!(
        lab.on_server("find /tmp /var/tmp /run -name 'mailctl.??????' -o -name 'tmp.*'"),
        "",
        "files are left on the server"
    );
    lab.world.stop().expect("nothing is left");
}

//! A healthy world, broken in one way at a time and put back.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use mailctl::check::Finding;
use mailctl::record::Name;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use tokio::runtime::Runtime;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::certificate::{Ca, Made};
use super::party::{Instead, Party, web_page};
use super::resolver;
use super::zones::Zones;
use crate::broken::{Broken, Expected};
use crate::knot::KnotServer;
use crate::lab::Lab;

pub const HOST: &str = "smtp.wac.tax";
pub const DOMAIN: &str = "wac.tax";
/// The port of the registry, at this machine's address.
pub const REGISTRY: u16 = 8043;

/// Puts the server's mail back as it was, and waits until it greets.
const RESTORE: &str = "set -e
systemctl stop chasquid.service chasquid-smtp.socket chasquid-submission.socket chasquid-submission_tls.socket
rm -rf /etc/chasquid && cp -a /root/well /etc/chasquid
for unit in chasquid.service chasquid-smtp.socket chasquid-submission.socket chasquid-submission_tls.socket; do
  systemctl reset-failed $unit 2>/dev/null || :
done
systemctl start chasquid-smtp.socket chasquid-submission.socket chasquid-submission_tls.socket
systemctl start chasquid.service
timeout 30 bash -c 'exec 3<>/dev/tcp/127.0.0.1/25 && IFS= read -r line <&3'";

/// Where connections from this machine are sent elsewhere.
const NAT: &str = "type nat hook output priority -100";

/// Gives the server the chain and key that lie in its /root.
const SHOW: &str = "set -e
chown root:chasquid /root/chain.pem /root/key.pem && chmod 640 /root/chain.pem /root/key.pem
rm -f /etc/chasquid/certs/smtp.wac.tax && mkdir /etc/chasquid/certs/smtp.wac.tax
chgrp chasquid /etc/chasquid/certs/smtp.wac.tax
mv /root/chain.pem /etc/chasquid/certs/smtp.wac.tax/fullchain.pem
mv /root/key.pem /etc/chasquid/certs/smtp.wac.tax/privkey.pem
for unit in chasquid.service chasquid-smtp.socket chasquid-submission.socket chasquid-submission_tls.socket; do
  systemctl reset-failed $unit 2>/dev/null || :
done
systemctl restart chasquid.service
timeout 30 bash -c 'exec 3<>/dev/tcp/127.0.0.1/25 && IFS= read -r line <&3'";

/// A world that is well, or broken at the moment.
pub struct Stage {
    pub lab: Lab,
    zones: Zones,
    ca: Ca,
    /// What stands for what in the pages.
    words: BTreeMap<&'static str, String>,
    runtime: Runtime,
    /// What is to be undone.
    server_changed: bool,
    afterwards: Vec<String>,
    filtered: bool,
    parties: Vec<Party>,
    second: Option<KnotServer>,
    /// The resolver's usual configuration.
    resolves: String,
    resolves_otherwise: bool,
    rdap: Option<Party>,
    registered_otherwise: bool,
    anchor: Option<String>,
    args: Vec<String>,
    /// Below those that outgoing connections have.
    next_port: u16,
}

impl Stage {
    /// Of a lab that was applied to.
    pub fn new(lab: Lab) -> Self {
        let ca = Ca::new("a known authority's");
        let roots = format!("{}{}", lab.world.authority().issuing_root(), ca.root);
        lab.private_file("roots.pem", &roots);
        lab.on_server("cp -a /etc/chasquid /root/well");
        let number = lab.world.number();
        let stage = Self {
            zones: Zones::read(&lab),
            words: words(&lab),
            resolves: resolver::configuration(&lab.world),
            lab,
            ca,
            runtime: Runtime::new().expect("a runtime"),
            server_changed: false,
            afterwards: Vec::new(),
            filtered: false,
            parties: Vec::new(),
            second: None,
            resolves_otherwise: false,
            rdap: Some(registry(&format!("10.77.{number}.1"), USUAL)),
            registered_otherwise: false,
            anchor: None,
            args: Vec::new(),
            next_port: 20_000,
        };
        stage.settle();
        stage
    }

    /// A text of a page with the world's own addresses in it.
    pub fn filled(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (word, value) in &self.words {
            text = text.replace(&format!("{{{word}}}"), value);
        }
        if let Some(anchor) = &self.anchor {
            text = text.replace("{anchor}", anchor);
        }
        text
    }

    /// What a word stands for.
    pub fn word(&self, word: &str) -> &str {
        &self.words[word]
    }

    /// The opposite, for what is written into a page; a longer value comes before its part.
    pub fn emptied(&self, text: &str) -> String {
        let mut words: Vec<_> = self.words.iter().collect();
        words.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        words.iter().fold(text.to_owned(), |text, (word, value)| {
            text.replace(value.as_str(), &format!("{{{word}}}"))
        })
    }

    /// What a page expects, of this world.
    pub fn expected(&self, world: &Broken) -> Vec<Expected> {
        let mut expected = world.expected.clone();
        for line in &mut expected {
            line.id = self.filled(&line.id);
            line.subject = self.filled(&line.subject);
            line.says = line.says.as_deref().map(|says| self.filled(says));
        }
        expected
    }

    /// Breaks it.
    pub fn break_it(&mut self, world: &Broken) {
        let mut pages = Vec::new();
        for block in &world.blocks {
            let body = self.filled(&block.body);
            let argument = self.filled(&block.argument);
            match block.kind.as_str() {
                "zone" => self.zones.change(&body),
                "server" if argument == "afterwards" => self.afterwards.push(body),
                "server" => self.on_server(&body),
                "certificate" => self.certificate(&body),
                "instead" => self.instead(&argument, &body),
                "web" => pages.push(web_page(&argument, &body)),
                "here" => self.filter(&body),
                "elsewhere" => self.elsewhere_served(&argument, &body),
                "second" => self.second(&argument, &body),
                "key" => self.key(&argument, &body),
                "signed" => self.anchor = Some(self.zones.sign(&domain())),
                "resolver" => self.resolver(&body),
                "registration" => self.registration(&body),
                "check" => self.args = body.split_whitespace().map(str::to_owned).collect(),
                "differs" => {}
                other => panic!("{}: {}: a block `{other}`", world.page, world.title),
            }
        }
        self.serve(pages);
        self.settle();
    }

    /// Puts it back.
    pub fn undo(&mut self) {
        self.zones.undo();
        self.parties.clear();
        self.second = None;
        if std::mem::take(&mut self.resolves_otherwise) {
            resolver::configure(&self.lab.world, &self.resolves, "");
        }
        self.anchor = None;
        self.args.clear();
        if std::mem::take(&mut self.registered_otherwise) {
            self.registration(USUAL);
            self.registered_otherwise = false;
        }
        if std::mem::take(&mut self.filtered) {
            nft(&format!("delete table inet {}", self.table()));
        }
        for script in std::mem::take(&mut self.afterwards) {
            self.lab.on_server(&format!("set -e\n{script}"));
        }
        if std::mem::take(&mut self.server_changed) {
            self.lab.on_server(RESTORE);
        }
        self.settle();
    }

    /// What is not as it was, though all was undone.
    pub fn left(&self) -> Vec<String> {
        let mut left = self.zones.left();
        let differs = self
            .lab
            .world
            .exec("diff -r --no-dereference /root/well /etc/chasquid")
            .expect("the server runs");
        if !differs.status.success() {
            left.push(String::from_utf8_lossy(&differs.stdout).into_owned());
        }
        left
    }

    /// What the check finds.
    pub fn check(&self) -> Vec<Finding> {
        let mut command = self.lab.command();
        command.args(["check", "--json", "--login", "--roots", "roots.pem"]);
        let ran = crate::lab::Ran::of(command.args(&self.args).output().expect("mailctl runs"));
        let document: Value = serde_json::from_str(&ran.out)
            .unwrap_or_else(|e| panic!("no document ({e}):\n{}", ran.said()));
        let findings: Vec<Finding> =
            serde_json::from_value(document["results"].clone()).expect("findings");
        let fails = findings.iter().any(|f| f.verdict.word() == "fail");
        assert_eq!(ran.code, i32::from(fails), "the exit code: {}", ran.err);
        findings
    }

    /// Whether the check is about another domain than the world's own.
    pub fn elsewhere(&self) -> bool {
        self.args
            .iter()
            .any(|arg| !arg.starts_with('-') && arg.contains('.') && !arg.contains('/'))
    }

    /// Lets nobody remember what was.
    fn settle(&self) {
        resolver::forget(&self.lab.world);
    }

    /// The resolver has ways of its own.
    fn resolver(&mut self, lines: &str) {
        resolver::configure(&self.lab.world, &self.resolves, lines);
        self.resolves_otherwise = true;
    }

    /// The registry says something else.
    fn registration(&mut self, lines: &str) {
        self.rdap = None;
        self.rdap = Some(registry(&self.words["here4"], lines));
        self.registered_otherwise = true;
    }

    fn on_server(&mut self, script: &str) {
        self.server_changed = true;
        self.lab.on_server(&format!("set -e\n{script}"));
    }

    /// The server signs with another key under a selector, whose record is
    /// published where the line says `published`.
    fn key(&mut self, selector: &str, lines: &str) {
        let words: Vec<&str> = lines.split_whitespace().collect();
        let (bits, published) = match words[..] {
            [bits] => (bits, false),
            [bits, "published"] => (bits, true),
            _ => panic!("a `key` block is `BITS [published]`, not `{lines}`"),
        };
        self.on_server(&format!(
            "cd /etc/chasquid/domains/{DOMAIN}
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:{bits} -out dkim:{selector}.pem
chown root:chasquid dkim:{selector}.pem && chmod 640 dkim:{selector}.pem
systemctl restart chasquid.service"
        ));
        if published {
            let public = self.lab.on_server(&format!(
                "openssl pkey -in /etc/chasquid/domains/{DOMAIN}/dkim:{selector}.pem -pubout -outform DER | base64 -w0"
            ));
            let (first, second) = public.trim().split_at(200.min(public.trim().len()));
            self.zones.change(&format!(
                "{selector}._domainkey.{DOMAIN} TXT 60\n| \"v=DKIM1; k=rsa; p={first}\" \"{second}\"\n"
            ));
        }
    }

    fn certificate(&mut self, lines: &str) {
        let made = self.made(lines);
        let root = self.lab.world.server().root().join("root");
        fs::write(root.join("chain.pem"), made.chain).expect("a chain");
        fs::write(root.join("key.pem"), made.key).expect("a key");
        self.server_changed = true;
        self.lab.on_server(SHOW);
    }

    fn made(&self, lines: &str) -> Made {
        let usual = [HOST, DOMAIN, "*.wac.tax"];
        self.ca.make(self.lab.directory.path(), &usual, lines)
    }

    /// The chain and key of the healthy server, as files.
    fn shown(&self) -> [PathBuf; 2] {
        let root = self.lab.world.server().root();
        let link = fs::read_link(root.join("root/well/certs").join(HOST)).expect("a link");
        let directory = root
            .join("root/well/tls")
            .join(link.file_name().expect("a name"));
        ["fullchain.pem", "privkey.pem"].map(|name| directory.join(name))
    }

    /// Servers of this machine take the place of ports of the mail server: the
    /// address that is asked stays the same.
    fn instead(&mut self, kind: &str, lines: &str) {
        let Instead { of, mut settings } = Instead::parse(kind, lines);
        let wish = settings.remove("certificate");
        let [chain, key] = match wish.as_ref().and_then(Value::as_str) {
            Some(wish) => self.made_files("instead", wish),
            None => self.shown(),
        };
        settings.insert("chain".into(), chain.display().to_string().into());
        settings.insert("key".into(), key.display().to_string().into());
        settings.insert("host".into(), HOST.into());
        settings.insert("domain".into(), DOMAIN.into());
        let mut listen = Vec::new();
        let mut rules = String::new();
        for (address, port) in of {
            self.next_port += 1;
            let ip: IpAddr = address.parse().expect("an address");
            let (here, family, to) = match ip {
                IpAddr::V4(_) => (&self.words["here4"], "ip", "dnat ip to "),
                IpAddr::V6(_) => (&self.words["here6"], "ip6", "dnat ip6 to "),
            };
            let own = self.next_port;
            let target = match ip {
                IpAddr::V4(_) => format!("{here}:{own}"),
                IpAddr::V6(_) => format!("[{here}]:{own}"),
            };
            rules.push_str(&format!(
                "{family} daddr {ip} tcp dport {port} {to}{target}\n"
            ));
            listen.push(json!([here, own]));
        }
        settings.insert("listen".into(), listen.into());
        self.parties.push(Party::start(&settings));
        self.chain("instead", NAT, &rules);
    }

    /// A web server of the domain at this machine's address.
    fn serve(&mut self, pages: Vec<(Value, Option<String>)>) {
        let (pages, wishes): (Vec<Value>, Vec<Option<String>>) = pages.into_iter().unzip();
        if pages.is_empty() {
            return;
        }
        let wish = wishes.into_iter().flatten().next();
        let [chain, key] = match wish {
            Some(wish) => self.made_files("web", &wish),
            None => self.shown(),
        };
        let settings = json!({
            "kind": "https",
            "listen": [[self.words["here4"], 443], [self.words["here6"], 443]],
            "pages": pages,
            "chain": chain,
            "key": key,
        });
        let settings = settings.as_object().expect("an object");
        self.parties.push(Party::start(settings));
    }

    /// The files of a certificate, whose lines stand behind each other.
    fn made_files(&self, name: &str, wish: &str) -> [PathBuf; 2] {
        let made = self.made(&wish.replace("; ", "\n"));
        let file = |end: &str, pem: &str| self.lab.private_file(&format!("{name}-{end}"), pem);
        [file("chain.pem", &made.chain), file("key.pem", &made.key)]
    }

    /// `drop to ADDRESS PORT`: nothing from here gets there; `from`: nothing of there gets here.
    fn filter(&mut self, lines: &str) {
        let [mut out, mut input] = [String::new(), String::new()];
        for line in lines.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [verdict, way, address, port] = words[..] else {
                panic!("a rule is `drop to ADDRESS PORT`, not `{line}`");
            };
            let family = if address.contains(':') { "ip6" } else { "ip" };
            let verdict = match verdict {
                "drop" => "drop",
                "refuse" => "reject with tcp reset",
                other => panic!("no verdict `{other}`"),
            };
            let port = format!("tcp dport {port} {verdict}\n");
            match way {
                "to" => out.push_str(&format!("{family} daddr {address} {port}")),
                "from" => input.push_str(&format!("{family} saddr {address} {port}")),
                other => panic!("no way `{other}`"),
            }
        }
        self.chain("out", "type filter hook output priority 0", &out);
        self.chain("in", "type filter hook input priority 0", &input);
    }

    fn chain(&mut self, name: &str, hook: &str, rules: &str) {
        if rules.is_empty() {
            return;
        }
        self.filtered = true;
        let table = self.table();
        nft(&format!(
            "table inet {table} {{\nchain {name} {{\n{hook}\n{rules}}}\n}}"
        ));
    }

    /// `remove.sh` removes it too, where this program does not come to it.
    fn table(&self) -> String {
        format!("mailctl_lab_{}", self.lab.world.number())
    }

    /// A second authoritative server, whose zone differs as the lines say.
    /// `old`: it has an old serial, too; `lame`: it has no such zone; `silent`: there is none.
    fn second(&mut self, how: &str, lines: &str) {
        let servers = "wac.tax NS 60\n| ns1.mailctl-lab.test.\n| ns2.mailctl-lab.test.\n";
        self.zones.change(servers);
        let old = how == "old";
        let text = self
            .zones
            .text(&domain(), old, &format!("{servers}{lines}"));
        let zones = match how {
            "silent" => return,
            "lame" => vec![(
                "elsewhere.test",
                crate::ports::zone_text("elsewhere.test", &[], ""),
            )],
            _ => vec![(DOMAIN, text)],
        };
        self.serve_zones(&zones);
    }

    /// A zone that only the second server has.
    fn elsewhere_served(&mut self, apex: &str, lines: &str) {
        let soa = "@ SOA ns2.mailctl-lab.test. hostmaster.mailctl-lab.test. 1 3600 600 1209600 60";
        let text = format!("$ORIGIN {apex}.\n$TTL 60\n{soa}\n{lines}");
        self.serve_zones(&[(apex, text)]);
    }

    fn serve_zones(&mut self, zones: &[(&str, String)]) {
        let here: IpAddr = self.words["here4"].parse().expect("an address");
        let started = KnotServer::start_at((here, 53).into(), zones);
        self.second = self.runtime.block_on(started);
        assert!(self.second.is_some(), "knotd is installed");
    }
}

/// What the registry says of the healthy domain.
const USUAL: &str = "registration -2000\nexpiration 300\nstatus active\n";

/// The registry: RDAP for every domain (RFC 9083), with events so many days from now.
fn registry(here: &str, lines: &str) -> Party {
    let mut events = Vec::new();
    let mut status = Vec::new();
    for line in lines.lines() {
        let (word, rest) = line.split_once(' ').expect("a word and its value");
        if word == "status" {
            status.push(rest);
            continue;
        }
        let days = Duration::days(rest.parse().expect("days"));
        let date = (OffsetDateTime::now_utc() + days).format(&Rfc3339);
        events.push(json!({ "eventAction": word, "eventDate": date.expect("a date") }));
    }
    let answer = json!({ "objectClassName": "domain", "events": events, "status": status });
    let settings = json!({
        "kind": "http",
        "listen": [[here, REGISTRY]],
        "pages": [{ "host": "*", "path": "/domain/wac.tax", "status": "200",
                    "type": "application/rdap+json", "body": answer.to_string() }],
    });
    Party::start(settings.as_object().expect("an object"))
}

fn domain() -> Name {
    Name::parse(DOMAIN).expect("a name")
}

fn words(lab: &Lab) -> BTreeMap<&'static str, String> {
    let world = &lab.world;
    let n = world.number();
    let [far4, far6] = world.far().addresses();
    let selector = lab.on_server("cd /etc/chasquid/domains/wac.tax && ls dkim:*.pem");
    let selector = selector
        .trim()
        .trim_start_matches("dkim:")
        .trim_end_matches(".pem");
    let reverse = |ip: IpAddr| {
        let name = Name::reverse(ip).to_string();
        let cut = name.find(".in-addr").or_else(|| name.find(".ip6"));
        name[..cut.expect("a reverse name")].to_owned()
    };
    let shown = lab.on_server(&format!("cat /etc/chasquid/certs/{HOST}/fullchain.pem"));
    let (_, pem) = x509_parser::pem::parse_x509_pem(shown.as_bytes()).expect("a chain");
    let (_, leaf) = X509Certificate::from_der(&pem.contents).expect("a certificate");
    let spki: String = Sha256::digest(leaf.public_key().raw)
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    BTreeMap::from([
        ("ipv4", world.ipv4().to_string()),
        ("ipv6", world.ipv6().to_string()),
        ("reverse4", reverse(world.ipv4().into())),
        ("reverse6", reverse(world.ipv6().into())),
        (
            "forward6",
            reverse(world.ipv6().into()).chars().rev().collect(),
        ),
        // This machine, which is the server's gateway.
        ("here4", format!("10.77.{n}.1")),
        ("here6", world.gateway6().to_string()),
        ("far4", far4.to_string()),
        ("far6", far6.to_string()),
        ("resolver", world.resolver().address().ip().to_string()),
        ("net4", format!("10.77.{n}")),
        ("selector", selector.to_owned()),
        ("spki", spki),
    ])
}

fn nft(script: &str) {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("nft");
    let mut stdin = child.stdin.take().expect("its input");
    std::io::Write::write_all(&mut stdin, script.as_bytes()).expect("written");
    drop(stdin);
    assert!(child.wait().expect("it ends").success(), "{script}");
}

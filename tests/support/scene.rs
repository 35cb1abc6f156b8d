//! What was seen, as text: how the worlds under tests/plans/world are written
//! down, and what a page changes of them. tests/plans/README.md explains the
//! words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use mailctl::config::Config;
use mailctl::kinds::sha256;
use mailctl::ledger::{self, Edit, Ledger, Made};
use mailctl::observe::{Answer, FileSeen, Seen};
use mailctl::record::{Name, RType, Rrset, RrsetKey};
use mailctl::resource::{Blocked, Holder, Probe};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What a shell fragment is called here, by words that only it has.
const NAMES: &[(&str, &str)] = &[
    ("facts", ". /etc/os-release"),
    ("listeners", "ss -Hltnp"),
    ("sysctl", "/proc/sys/net/ipv6/conf"),
    ("links", "/sys/class/net/*/ifindex"),
    ("hostname", "cat /proc/sys/kernel/hostname"),
    ("dkim keys", "/dkim:*.pem"),
    ("certificate key", "/privkey.pem"),
    ("packages", "dpkg-query -W -f="),
    ("candidate", "apt-cache policy"),
    ("locales", "locale -a"),
    ("units", "systemctl show"),
    ("firewall", "/etc/ufw/ufw.conf"),
];

/// Everything that can be asked on a page, with its answer.
#[derive(Clone, Default)]
pub struct Scene {
    /// The time of the plan.
    pub now: Option<OffsetDateTime>,
    zones: BTreeMap<Name, Option<Blocked>>,
    files: BTreeMap<String, Answer>,
    shells: BTreeMap<String, Answer>,
    /// Of the fragments as they were when they were recorded.
    fingerprints: BTreeMap<String, String>,
    sets: BTreeMap<RrsetKey, Rrset>,
}

/// The name of a fragment.
pub fn name_of(fragment: &str) -> String {
    if let Some((_, rest)) = fragment.split_once("stat -c '%F %U:%G %a' '/etc/chasquid/domains/") {
        return format!("domain {}", rest.split('\'').next().unwrap_or_default());
    }
    let found = NAMES.iter().find(|(_, words)| fragment.contains(words));
    let found = found.map(|(name, _)| (*name).to_owned());
    found.unwrap_or_else(|| {
        panic!(
            "this fragment has no name yet, add one to NAMES in tests/support/scene.rs:\n{fragment}"
        )
    })
}

fn fingerprint(fragment: &str) -> String {
    sha256(fragment.as_bytes())[..12].to_owned()
}

impl Scene {
    /// What a survey saw.
    pub fn of(seen: &Seen, now: OffsetDateTime) -> Self {
        let mut scene = Self {
            now: Some(now),
            ..Self::default()
        };
        for (probe, answer) in seen.answers() {
            match (probe, answer) {
                (Probe::Shell(text), answer) => {
                    scene.fingerprints.insert(name_of(text), fingerprint(text));
                    scene.shells.insert(name_of(text), answer.clone());
                }
                (Probe::File(path), answer) => {
                    scene.files.insert(path.clone(), answer.clone());
                }
                (Probe::Rrset(_, key), Answer::Rrset { apex, set, .. }) => {
                    scene.zones.insert(apex.clone(), None);
                    scene.sets.insert(key.clone(), set.clone());
                }
                (probe, answer) => panic!("a world with {answer:?} to {probe:?} is not recorded"),
            }
        }
        scene
    }

    /// The answer to one question. Files and sets that are not mentioned are
    /// absent; a fragment has to be.
    pub fn answer(&self, config: &Config, probe: &Probe) -> Answer {
        match probe {
            Probe::Shell(text) => self
                .shells
                .get(&name_of(text))
                .cloned()
                .unwrap_or_else(|| panic!("nobody says what `shell {}` answers", name_of(text))),
            Probe::File(path) => {
                let file = self.files.get(path).cloned();
                file.unwrap_or(Answer::File(None))
            }
            Probe::Rrset(holder, key) => self.set(config, holder, key),
        }
    }

    fn set(&self, config: &Config, holder: &Holder, key: &RrsetKey) -> Answer {
        let zones = self.zones.iter().filter(|(apex, _)| key.name.is_in(apex));
        let zone = zones.max_by_key(|(apex, _)| apex.as_str().len());
        let (apex, refusal) = zone.unwrap_or_else(|| panic!("no `zone` line holds {key}"));
        if let Some(blocked) = refusal {
            return Answer::Failed(blocked.clone());
        }
        let provider = match holder {
            Holder::Default => &config.dns.provider,
            Holder::Ptr => &config.ptr.provider,
            Holder::Domain(name) => {
                let domain = config.domains.iter().find(|(n, _)| n.0 == *name);
                let own = domain.and_then(|(_, d)| d.dns.as_ref());
                &own.expect("a domain with `dns`").provider
            }
        };
        let absent = || Rrset::absent(key.clone());
        Answer::Rrset {
            apex: apex.clone(),
            set: self.sets.get(key).cloned().unwrap_or_else(absent),
            by_hand: provider == "manual",
        }
    }

    /// Fragments that are no longer what they were when they were recorded.
    pub fn stale<'a>(&self, probes: impl IntoIterator<Item = &'a Probe>) -> Vec<String> {
        let of = |probe: &Probe| match probe {
            Probe::Shell(text) => Some((name_of(text), fingerprint(text))),
            _ => None,
        };
        let asked = probes.into_iter().filter_map(of);
        asked
            .filter(|(name, print)| self.fingerprints.get(name) != Some(print))
            .map(|(name, _)| name)
            .collect()
    }

    /// Reads lines on top of what is known. `world` gives the text of a recorded one.
    pub fn read(&mut self, text: &str, world: &dyn Fn(&str) -> String) {
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let mut body = Vec::new();
            while let Some(next) = lines.next_if(|l| l.starts_with(['|', '\\', '-', '+'])) {
                body.push(next);
            }
            self.entry(line, &body, world);
        }
    }

    fn entry(&mut self, line: &str, body: &[&str], world: &dyn Fn(&str) -> String) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "world" => {
                *self = Self::default();
                self.read(&world(rest), world);
            }
            "now" => self.now = Some(self.time(rest)),
            "zone" => {
                let (apex, refusal) = rest.split_once(" refused ").unwrap_or((rest, ""));
                let (why, fix) = refusal.split_once(" / ").unwrap_or((refusal, ""));
                let blocked = Blocked {
                    by_hand: false,
                    why: why.to_owned(),
                    fix: (!fix.is_empty()).then(|| fix.to_owned()),
                };
                let refusal = (!refusal.is_empty()).then_some(blocked);
                self.zones.insert(name(apex), refusal);
            }
            "system" => self.system(rest),
            "file" => self.file(line, rest, body),
            "shell" => self.shell(line, rest, body),
            "rrset" => self.rrset(line, rest, body),
            "made" => self.ledger(|ledger| ledger.edit(&[Edit::Add(made(rest))])),
            "forgotten" => self.ledger(|ledger| ledger.edit(&[Edit::Remove(made(rest))])),
            _ => panic!("`{word}` is no word of a scene: {line}"),
        }
    }

    /// `2026-01-15T10:00:00Z`, or `+62d` after what was said before.
    fn time(&self, text: &str) -> OffsetDateTime {
        let days = text.strip_prefix('+').and_then(|d| d.strip_suffix('d'));
        if let Some(days) = days.and_then(|d| d.parse().ok()) {
            return self.now.expect("a world") + time::Duration::days(days);
        }
        OffsetDateTime::parse(text, &Rfc3339).unwrap_or_else(|e| panic!("now {text}: {e}"))
    }

    fn file(&mut self, line: &str, rest: &str, body: &[&str]) {
        let (path, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let old = match self.files.get(path) {
            Some(Answer::File(Some(file))) => Some(file.clone()),
            _ => None,
        };
        let answer = match rest.split_whitespace().collect::<Vec<_>>()[..] {
            ["absent"] => Answer::File(None),
            ["unreadable"] => {
                let why = format!("{path} on the server could not be read");
                Answer::Failed(Blocked::new(why))
            }
            ["with"] => {
                let mut file = old.unwrap_or_else(|| panic!("{line}: there is no such file"));
                file.content = edited(line, &file.text(), body).into_bytes();
                Answer::File(Some(file))
            }
            // The same content in the hands of somebody else.
            [owner, mode] if body.is_empty() && old.is_some() => {
                Answer::File(old.map(|file| found(owner, mode, file.content)))
            }
            [owner, mode] => Answer::File(Some(found(owner, mode, content(body).into_bytes()))),
            [owner, mode, "<", from] => Answer::File(Some(found(owner, mode, ours(from)))),
            _ => panic!("{line}: owner and mode, `absent`, `with` or `unreadable`"),
        };
        self.files.insert(path.to_owned(), answer);
    }

    fn shell(&mut self, line: &str, rest: &str, body: &[&str]) {
        let said = |out: String| Answer::Shell {
            code: 0,
            out,
            err: String::new(),
        };
        if let Some((name, from)) = rest.split_once(" < ") {
            let out = String::from_utf8(ours(from)).expect("UTF-8");
            self.shells.insert(name.to_owned(), said(out));
        } else if let Some(name) = rest.strip_suffix(" with") {
            let Some(Answer::Shell { out, .. }) = self.shells.get(name) else {
                panic!("{line}: it has said nothing yet");
            };
            let out = edited(line, out, body);
            self.shells.insert(name.to_owned(), said(out));
        } else if let Some((name, failure)) = rest.split_once(" failed ") {
            let (code, err) = failure.split_once(' ').unwrap_or((failure, ""));
            let answer = Answer::Shell {
                code: code.parse().expect("a status"),
                out: String::new(),
                err: err.to_owned(),
            };
            self.shells.insert(name.to_owned(), answer);
        } else {
            let (name, print) = rest.split_once(" @").unwrap_or((rest, ""));
            if !print.is_empty() {
                let print = print.to_owned();
                self.fingerprints.insert(name.to_owned(), print);
            }
            self.shells.insert(name.to_owned(), said(content(body)));
        }
    }

    fn rrset(&mut self, line: &str, rest: &str, body: &[&str]) {
        let [owner, rtype, ttl] = rest.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}: name, type, and TTL or `absent`");
        };
        let owner = owner.parse().map_or_else(|_| name(owner), Name::reverse);
        let key = RrsetKey::new(owner, rtype.parse().expect("a type"));
        let values = body.iter().map(|l| l.trim_start_matches(['|', ' ']));
        let set = match ttl {
            "absent" => Rrset::absent(key.clone()),
            ttl => Rrset::new(key.clone(), Some(ttl.parse().expect("a TTL")), values),
        };
        self.sets.insert(key, set);
    }

    /// The system of a fixture's os-release, otherwise as it was.
    fn system(&mut self, fixture: &str) {
        let release = ours(&format!("tests/fixtures/os-release/{fixture}"));
        let release = String::from_utf8(release).expect("UTF-8");
        let value = |key: &str| {
            let mut lines = release.lines().filter_map(|l| l.split_once('='));
            let value = lines.find(|(k, _)| *k == key).map_or("", |(_, v)| v);
            value.trim_matches('"').to_owned()
        };
        let Some(Answer::Shell { out, .. }) = self.shells.get_mut("facts") else {
            panic!("system {fixture}: there are no facts yet");
        };
        for (fact, key) in [
            ("os", "ID"),
            ("version", "VERSION_ID"),
            ("codename", "VERSION_CODENAME"),
            ("pretty", "PRETTY_NAME"),
        ] {
            let old = out.lines().find(|l| l.starts_with(&format!("{fact}=")));
            let old = old.expect("a fact").to_owned();
            *out = out.replacen(&old, &format!("{fact}={}", value(key)), 1);
        }
    }

    fn ledger(&mut self, edit: impl FnOnce(&mut Ledger) -> bool) {
        let mut ledger = match self.files.get(ledger::PATH) {
            Some(Answer::File(Some(file))) => Ledger::parse(&file.text()).expect("a ledger"),
            _ => Ledger::default(),
        };
        assert!(edit(&mut ledger), "the ledger says so already");
        let file = found("root:root", "600", ledger.text().into_bytes());
        self.files
            .insert(ledger::PATH.to_owned(), Answer::File(Some(file)));
    }

    /// All of it as lines that [`Scene::read`] understands.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let now = self.now.expect("a time").format(&Rfc3339);
        let _ = writeln!(text, "now {}", now.expect("a time"));
        for (name, answer) in &self.shells {
            let Answer::Shell { code, out, err } = answer else {
                panic!("shell {name}: {answer:?}");
            };
            let print = self.fingerprints.get(name);
            let print = print.map_or(String::new(), |print| format!(" @{print}"));
            let _ = match code {
                0 => write!(text, "\nshell {name}{print}\n{}", lines(out)),
                code => writeln!(text, "\nshell {name} failed {code} {}", err.trim()),
            };
        }
        for (path, answer) in &self.files {
            let Answer::File(Some(file)) = answer else {
                continue;
            };
            let (owner, mode) = (&file.owner, file.mode);
            let _ = match template(&file.content) {
                Some(from) => writeln!(text, "\nfile {path} {owner} {mode:o} < {from}"),
                None => {
                    let content = lines(&file.text());
                    write!(text, "\nfile {path} {owner} {mode:o}\n{content}")
                }
            };
        }
        text.push('\n');
        for apex in self.zones.keys() {
            let _ = writeln!(text, "zone {apex}");
        }
        for set in self.sets.values().filter(|set| !set.values.is_empty()) {
            let owner = set
                .key
                .name
                .reversed()
                .filter(|_| set.key.rtype == RType::Ptr);
            let owner = owner.map_or_else(|| set.key.name.to_string(), |ip| ip.to_string());
            let ttl = set.ttl.unwrap_or_default();
            let _ = writeln!(text, "\nrrset {owner} {} {ttl}", set.key.rtype);
            for value in &set.values {
                let _ = writeln!(text, "| {value}");
            }
        }
        text
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn found(owner: &str, mode: &str, content: Vec<u8>) -> FileSeen {
    FileSeen {
        owner: owner.to_owned(),
        mode: u32::from_str_radix(mode, 8).unwrap_or_else(|e| panic!("{mode}: {e}")),
        content,
    }
}

/// A file of this repository.
fn ours(path: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The template with this very content: a recording refers to it.
fn template(content: &[u8]) -> Option<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let entries: BTreeSet<_> = folder
        .read_dir()
        .expect("templates")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    let same = |path: &&std::path::PathBuf| std::fs::read(path).is_ok_and(|c| c == content);
    let file = entries.iter().find(same)?.file_name()?;
    Some(format!("templates/{}", file.to_string_lossy()))
}

/// Text as lines behind a bar.
fn lines(text: &str) -> String {
    let mut shown = String::new();
    for line in text.lines() {
        shown.push('|');
        if !line.is_empty() {
            shown.push(' ');
            shown.push_str(line);
        }
        shown.push('\n');
    }
    if !text.is_empty() && !text.ends_with('\n') {
        shown.push_str("\\\n");
    }
    shown
}

/// The text behind the bars.
fn content(body: &[&str]) -> String {
    let mut text = String::new();
    for line in body {
        if *line == "\\" {
            text.pop();
            continue;
        }
        let line = line.strip_prefix('|').expect("a bar");
        text.push_str(line.strip_prefix(' ').unwrap_or(line));
        text.push('\n');
    }
    text
}

/// The text with lines taken out (`- …`) and put in at their place (`+ …`).
fn edited(what: &str, text: &str, body: &[&str]) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let mut place = 0;
    let removes = body.iter().any(|edit| edit.starts_with("- "));
    if !removes {
        place = lines.len();
    }
    for edit in body {
        if let Some(old) = edit.strip_prefix("- ") {
            // In order, as in a patch: of equal lines the next one is meant.
            let found = lines.iter().skip(place).position(|line| *line == old);
            place += found.unwrap_or_else(|| panic!("{what}: no line `{old}` follows in\n{text}"));
            lines.remove(place);
        } else {
            let new = edit.strip_prefix("+ ").expect("`- ` or `+ `");
            lines.insert(place, new);
            place += 1;
        }
    }
    lines.join("\n") + "\n"
}

/// `user i@wac.tax`, `file /etc/x`, `value NAME TYPE VALUE`, `term NAME TYPE TERM` …
fn made(text: &str) -> Made {
    let (word, rest) = text.split_once(' ').expect("what was made");
    let own = || rest.to_owned();
    let of_set = || {
        let mut parts = rest.splitn(3, ' ');
        let mut part = || parts.next().expect("name, type, value").to_owned();
        let owner = part();
        let owner = owner.parse().map_or_else(|_| name(&owner), Name::reverse);
        let key = RrsetKey::new(owner, part().parse().expect("a type"));
        (key, part())
    };
    match word {
        "file" => Made::File(own()),
        "user" => Made::User(own()),
        "alias" => Made::Alias(own()),
        "domain" => Made::Domain(own()),
        "dkim" => Made::Dkim(own()),
        "value" => {
            let (key, value) = of_set();
            Made::Value { key, value }
        }
        "term" => {
            let (key, term) = of_set();
            Made::Term { key, term }
        }
        _ => panic!("{word} is nothing that is made"),
    }
}

/// Answers until nothing is asked any more, and how many looks the server and
/// the zones took.
pub struct Looked {
    pub seen: Seen,
    pub survey: Box<mailctl::survey::Survey>,
    /// What each look asked.
    pub looks: Vec<BTreeSet<Probe>>,
}

impl Scene {
    /// Surveys the scene.
    pub fn look(
        &self,
        config: &Config,
        passwords: &BTreeMap<String, mailctl::secret::Secret>,
    ) -> mailctl::failure::Result<Looked> {
        use mailctl::survey::{ROUNDS, Step, step};
        let now = self.now.expect("`now`");
        let (mut seen, mut looks) = (Seen::new(), Vec::new());
        loop {
            match step(config, passwords, now, &seen)? {
                Step::Decided(survey) => {
                    return Ok(Looked {
                        seen,
                        survey,
                        looks,
                    });
                }
                Step::Ask(probes) => {
                    assert!(looks.len() < ROUNDS, "questions without end: {probes:?}");
                    for probe in &probes {
                        seen.put(probe.clone(), self.answer(config, probe));
                    }
                    looks.push(probes);
                }
            }
        }
    }
}

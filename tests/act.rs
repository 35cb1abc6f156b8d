//! How a pass of apply runs its changes: in which order, what waits for what,
//! where it stops, and what the ledger learns. Server and zones are doubles,
//! but for one real name server.
#![allow(clippy::print_stdout)]

#[path = "support/knot.rs"]
mod knot;
#[path = "support/ports.rs"]
mod ports;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use mailctl::acme::Authority;
use mailctl::apply::Tools;
use mailctl::apply::act::{Acted, act};
use mailctl::apply::stop::Stop;
use mailctl::config::surroundings::Written;
use mailctl::config::{DkimAlgorithm, load};
use mailctl::dns::Dns;
use mailctl::failure::{Failure, Result};
use mailctl::kinds::dkim::{KeyWish, PROBE, key_id};
use mailctl::ledger::{self, Edit, Ledger, Made};
use mailctl::observe::{Answer, Seen, World};
use mailctl::plan::Plan;
use mailctl::record::{Name, RType, Rrset, RrsetKey};
use mailctl::remote::{Held, Output, Remote, Script};
use mailctl::report::{Event, Report};
use mailctl::resource::{Action, Change, Holder, Probe, Resource, RrsetWrite, Sign};
use mailctl::secret::Secret;
use mailctl::vault::Vault;
use mailctl::zone::{self, Settings, Zone};
use time::OffsetDateTime;

const MAIL_YAML: &str = "host: {name: smtp.wac.tax, ssh: root@203.0.113.7}\ndomains: {wac.tax: {}}\n\
                         dns: {provider: powerdns, endpoint: \"https://ns1.wac.tax\", token: env:TOKEN}\n";

/// What happened, in order; whoever waits for something to happen is woken.
#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

impl Log {
    fn add(&self, line: impl Into<String>) {
        self.lines.lock().expect("the log").push(line.into());
        self.more.notify_all();
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("the log").clone()
    }

    fn wait_for(&self, line: &str) {
        let lines = self.lines.lock().expect("the log");
        let missing = |lines: &mut Vec<String>| !lines.iter().any(|l| l == line);
        let limit = Duration::from_secs(20);
        let (lines, waited) = self
            .more
            .wait_timeout_while(lines, limit, missing)
            .expect("the log");
        assert!(!waited.timed_out(), "{line} never happens: {lines:?}");
    }
}

/// A server whose scripts are words: `ok …`, `fail …`, and `after LINE`, which
/// takes until the log has the line.
struct Server {
    log: Arc<Log>,
    disk_full: bool,
    written: Mutex<Vec<Ledger>>,
}

impl Remote for Server {
    fn run(&self, script: &Script) -> Result<Output> {
        let answer = |code: i32, err: &str| Output {
            code,
            out: Vec::new(),
            err: err.into(),
        };
        if script.text.contains(ledger::PATH) {
            if self.disk_full {
                return Ok(answer(1, "No space left on device"));
            }
            let encoded = script.text.split("printf %s '").nth(1).expect("a file");
            let encoded = encoded.split('\'').next().unwrap_or_default();
            let text = mailctl::kinds::decode(encoded).expect("base64");
            let ledger = Ledger::parse(&String::from_utf8(text).expect("UTF-8"));
            self.written
                .lock()
                .expect("the ledgers")
                .push(ledger.expect("a ledger"));
            return Ok(answer(0, ""));
        }
        let word = script.text.lines().next().unwrap_or_default();
        let word = if script.text.contains("PRIVATE") || script.text.len() > 100 {
            "ok key"
        } else {
            word
        };
        self.log.add(format!("begin {word}"));
        if let Some(line) = word.strip_prefix("after ") {
            self.log.wait_for(line);
        }
        self.log.add(format!("end {word}"));
        if word == "lost" {
            return Err(Failure::new("the connection is lost"));
        }
        Ok(if word.starts_with("fail") {
            answer(1, "it is broken")
        } else {
            answer(0, "")
        })
    }

    fn hold(&self, _: &Script) -> Result<Box<dyn Held>> {
        Err(Failure::new("nothing is held here"))
    }

    fn again(&self) -> Result<Box<dyn Remote>> {
        Err(Failure::new("there is one connection"))
    }

    fn place(&self) -> String {
        "the double".into()
    }
}

/// A provider that refuses every change.
struct Refusing(Arc<Log>);

#[async_trait]
impl Zone for Refusing {
    fn provider(&self) -> &str {
        "refusing"
    }

    async fn list(&self, _: &Name, keys: &[RrsetKey]) -> Result<Vec<Rrset>> {
        Ok(keys.iter().cloned().map(Rrset::absent).collect())
    }

    async fn set(&self, _: &Name, _: &Rrset, want: &Rrset) -> Result<()> {
        self.0.add(format!("set {}", want.key));
        Err(Failure::new("the provider refuses").hint("ask it why"))
    }
}

/// A provider in which somebody else sets the record just before it is written.
struct Raced(Arc<Log>);

#[async_trait]
impl Zone for Raced {
    fn provider(&self) -> &str {
        "raced"
    }

    async fn list(&self, _: &Name, keys: &[RrsetKey]) -> Result<Vec<Rrset>> {
        let set = |key: &RrsetKey| Rrset::new(key.clone(), Some(300), ["somebody else's"]);
        Ok(keys.iter().map(set).collect())
    }

    async fn set(&self, _: &Name, _: &Rrset, want: &Rrset) -> Result<()> {
        self.0.add(format!("set {}", want.key));
        Ok(())
    }
}

/// A hoster that needs no apex, and whose name servers show a change the next day.
struct Slow(Mutex<Option<Rrset>>);

#[async_trait]
impl Zone for Slow {
    fn provider(&self) -> &str {
        "slow"
    }

    fn apexless(&self) -> bool {
        true
    }

    fn slow(&self) -> Option<&str> {
        Some("a day")
    }

    async fn list(&self, _: &Name, keys: &[RrsetKey]) -> Result<Vec<Rrset>> {
        let held = self.0.lock().expect("a set").clone();
        let held = |key: &RrsetKey| held.clone().unwrap_or_else(|| Rrset::absent(key.clone()));
        Ok(keys.iter().map(held).collect())
    }

    async fn set(&self, _: &Name, _: &Rrset, want: &Rrset) -> Result<()> {
        *self.0.lock().expect("a set") = Some(want.clone());
        Ok(())
    }
}

struct Told(Arc<Log>);

impl Report for Told {
    fn event(&self, event: &Event) {
        match event {
            Event::ChangeStarted { id, .. } => self.0.add(format!("started {id}")),
            Event::ChangeDone { id, .. } => self.0.add(format!("done {id}")),
            Event::ChangeFailed { id, error, hint } => {
                self.0.add(format!("failed {id}"));
                self.0.add(format!(
                    "because {error} / {}",
                    hint.as_deref().unwrap_or("-")
                ));
            }
            Event::ChangeWaits { id } => self.0.add(format!("waits {id}")),
            Event::Note { .. } | Event::Plan(_) | Event::Check(_) | Event::Summary(_) => {}
        }
    }
}

/// The doubles of one test.
struct Stage {
    log: Arc<Log>,
    server: Arc<Server>,
    tools: Tools,
}

impl Stage {
    fn new(disk_full: bool) -> Self {
        let log = Arc::new(Log::default());
        let zone = Arc::new(Refusing(log.clone()));
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
        Self::with(log, zone, nowhere, disk_full)
    }

    fn with(log: Arc<Log>, zone: Arc<dyn Zone>, dns: SocketAddr, disk_full: bool) -> Self {
        let mut around = Written::default();
        around.variables.insert("TOKEN".into(), "a-token".into());
        let home = Path::new("/home/wac");
        let loaded = load::read_with(MAIL_YAML, home, Some(home), &around);
        let config = Arc::new(loaded.expect("sound").config);
        let server = Arc::new(Server {
            log: log.clone(),
            disk_full,
            written: Mutex::default(),
        });
        let tools = Tools {
            world: World {
                remote: server.clone(),
                zones: BTreeMap::from([(Holder::Default, zone)]),
                dns: Dns::new(Some(dns)).expect("a resolver"),
                apexes: BTreeMap::new(),
            },
            vault: Arc::new(Vault::open(&config, Arc::new(around))),
            config,
            authority: Authority {
                directory: "https://acme.test/dir".into(),
                root_pem: None,
                email: None,
            },
            report: Arc::new(Told(log.clone())),
            now: OffsetDateTime::now_utc,
            by: "somebody@somewhere".into(),
            stop: Stop::default(),
            afterwards: None,
        };
        Self { log, server, tools }
    }

    async fn act(&self, changes: Vec<Change>) -> Acted {
        let plan = Plan {
            changes,
            ..Plan::default()
        };
        act(&self.tools, &plan, Ledger::default()).await
    }

    /// The ledger as it was last written.
    fn ledger(&self) -> Ledger {
        let written = self.server.written.lock().expect("the ledgers");
        written.last().cloned().expect("a ledger was written")
    }

    fn happened(&self, line: &str) -> bool {
        self.log.lines().iter().any(|l| l == line)
    }
}

fn script(id: &str, text: &str) -> Change {
    let user = Made::User(format!("{id}@wac.tax"));
    Change::new(id, Sign::Run, "a test", Action::Script(Script::new(text)))
        .ledger([Edit::Add(user)])
}

fn write(name: &str, value: &str) -> RrsetWrite {
    let key = RrsetKey::new(Name::parse(name).expect("a name"), RType::Txt);
    let values = (!value.is_empty()).then_some(value);
    RrsetWrite {
        holder: Holder::Default,
        apex: Name::parse("wac.test").expect("a name"),
        before: Rrset::absent(key.clone()),
        want: Rrset::new(key, Some(300), values),
        from_key: None,
    }
}

fn rrset(id: &str) -> Change {
    Change::new(
        id,
        Sign::Create,
        "a test",
        Action::Rrset(write("x.wac.test", "x")),
    )
}

fn by_hand(id: &str) -> Change {
    Change::new(
        id,
        Sign::Create,
        "a test",
        Action::ByHand(write("x.wac.test", "x")),
    )
}

fn has(ledger: &Ledger, id: &str) -> bool {
    ledger.made.contains(&Made::User(format!("{id}@wac.tax")))
}

#[tokio::test]
async fn a_value_that_changed_since_the_plan_stops_its_change() {
    let log = Arc::new(Log::default());
    let zone = Arc::new(Raced(log.clone()));
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
    let stage = Stage::with(log, zone, nowhere, false);
    let made = Made::User("nobody@wac.tax".into());
    let change = rrset("rrset x.wac.test TXT").ledger([Edit::Add(made)]);
    let acted = stage.act(vec![change]).await;
    assert!(acted.failed && acted.done.is_empty());
    assert!(
        !stage.happened("set x.wac.test TXT"),
        "{:?}",
        stage.log.lines()
    );
    let told = "because somebody changed x.wac.test TXT since the plan was made";
    assert!(
        stage.log.lines().iter().any(|l| l.starts_with(told)),
        "{:?}",
        stage.log.lines()
    );
    let ledgers = stage.server.written.lock().expect("the ledgers").clone();
    assert!(!ledgers.iter().any(|ledger| has(ledger, "nobody")));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_server_one_deed_follows_the_other() {
    let stage = Stage::new(false);
    let changes = ["a", "b", "c", "d"].map(|id| script(id, &format!("ok {id}")));
    let acted = stage.act(changes.into()).await;
    assert_eq!(
        (acted.done, acted.failed),
        (["a", "b", "c", "d"].map(String::from).into(), false)
    );
    let lines = stage.log.lines();
    let of_server: Vec<&String> = lines
        .iter()
        .filter(|l| l.starts_with("begin") || l.starts_with("end"))
        .collect();
    let expected: Vec<String> = ["a", "b", "c", "d"]
        .iter()
        .flat_map(|id| [format!("begin ok {id}"), format!("end ok {id}")])
        .collect();
    assert_eq!(of_server, expected.iter().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn zones_are_written_while_the_server_works() {
    let stage = Stage::new(false);
    // The script ends only once the zone was written, which needs nothing.
    let changes = vec![script("slow", "after set x.wac.test TXT"), rrset("rrset")];
    let acted = stage.act(changes).await;
    assert_eq!(acted.done, ["slow"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_the_next_day_is_not_waited_for() {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
    let zone = Arc::new(Slow(Mutex::default()));
    let stage = Stage::with(Arc::default(), zone, nowhere, false);
    let ip = "203.0.113.7".parse().expect("an address");
    let key = RrsetKey::new(Name::reverse(ip), RType::Ptr);
    // No resolver is there that could be asked for the apex.
    let apex = stage.tools.world.apex(&Holder::Default, &key.name).await;
    let write = RrsetWrite {
        holder: Holder::Default,
        apex: apex.expect("the name itself"),
        before: Rrset::absent(key.clone()),
        want: Rrset::new(key, Some(300), ["smtp.wac.test."]),
        from_key: None,
    };
    let change = Change::new("ptr", Sign::Create, "a test", Action::Rrset(write));
    let acted = stage.act(vec![change]).await;
    assert_eq!(acted.done, ["ptr"], "{:?}", stage.log.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_stops_new_changes_and_is_told() {
    let stage = Stage::new(false);
    let changes = vec![
        script("first", "ok"),
        script("second", "fail"),
        script("third", "ok never"),
    ];
    let acted = stage.act(changes).await;
    assert!(acted.failed);
    assert_eq!(
        (acted.done, acted.left),
        (vec!["first".into()], vec!["second".into(), "third".into()])
    );
    assert!(!stage.happened("started third") && !stage.happened("begin ok never"));
    let why = "because second on the server: it is broken / mend it, then run `mailctl apply` again: it goes on from here";
    assert!(stage.happened(why), "{:?}", stage.log.lines());
    let ledger = stage.ledger();
    assert!(has(&ledger, "first") && !has(&ledger, "second") && !has(&ledger, "third"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_when_something_else_fails_is_done_and_noted() {
    let stage = Stage::new(false);
    let changes = vec![
        script("running", "after failed rrset"),
        rrset("rrset"),
        script("next", "ok next"),
        script("dependent", "ok dependent").needs(["rrset".to_owned()]),
    ];
    let acted = stage.act(changes).await;
    assert!(acted.failed);
    assert_eq!(acted.done, ["running"]);
    assert_eq!(acted.left, ["rrset", "next", "dependent"]);
    assert!(stage.happened("because the provider refuses / ask it why"));
    assert!(has(&stage.ledger(), "running"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_a_failure() {
    let stage = Stage::new(false);
    let acted = stage
        .act(vec![script("a", "lost"), script("b", "ok")])
        .await;
    assert!(acted.failed && acted.done.is_empty());
    assert!(stage.happened("because the connection is lost / -"));
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_that_are_not_in_the_plan_are_met() {
    let stage = Stage::new(false);
    let acted = stage
        .act(vec![
            script("a", "ok").needs(["rrset elsewhere".to_owned()]),
        ])
        .await;
    assert_eq!((acted.done, acted.failed), (vec!["a".into()], false));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_person_waits_and_the_rest_goes_on() {
    let stage = Stage::new(false);
    let changes = vec![
        by_hand("record"),
        script("signing", "ok signing").needs(["record".to_owned()]),
        script("independent", "ok independent"),
        script("restart", "ok restart").needs(["signing".to_owned()]),
    ];
    let acted = stage.act(changes).await;
    assert!(!acted.failed, "waiting for a person is no failure");
    assert_eq!(acted.done, ["independent"]);
    assert_eq!(acted.left, ["record", "signing", "restart"]);
    assert!(!stage.happened("started signing") && !stage.happened("started record"));
    let ledger = stage.ledger();
    assert!(has(&ledger, "independent") && !has(&ledger, "signing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_for_what_does_not_wait() {
    let restart = |id: &str, follows: &[&str]| {
        let mut change = script(id, &format!("ok {id}"));
        change.follows = follows.iter().map(|id| (*id).to_owned()).collect();
        change
    };
    let stage = Stage::new(false);
    let changes = vec![
        by_hand("record"),
        script("signing", "ok signing").needs(["record".to_owned()]),
        script("file", "ok file"),
        restart("for the key", &["signing"]),
        restart("for both", &["signing", "file"]),
    ];
    let acted = stage.act(changes).await;
    assert!(!acted.failed);
    assert_eq!(acted.done, ["file", "for both"]);
    let waits: Vec<String> = acted.waits.into_iter().collect();
    assert_eq!(waits, ["for the key", "record", "signing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_written_as_changes_are_made() {
    let stage = Stage::new(false);
    let mut gone = script("gone", "ok");
    gone.ledger = vec![Edit::Remove(Made::User("first@wac.tax".into()))];
    let acted = stage
        .act(vec![script("first", "ok"), script("second", "ok"), gone])
        .await;
    assert!(!acted.failed);
    let ledger = stage.ledger();
    assert!(!has(&ledger, "first") && has(&ledger, "second"));
    let applied = ledger.applied.expect("who applied");
    assert_eq!(applied.by, "somebody@somewhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_cannot_be_written_is_told() {
    let stage = Stage::new(true);
    let acted = stage.act(vec![script("a", "ok")]).await;
    assert!(acted.failed);
    assert_eq!(acted.done, ["a"], "it was done all the same");
    assert!(stage.happened("failed ledger"));
    let lines = stage.log.lines();
    let told = lines.iter().find(|l| l.contains("No space left on device"));
    let told = told.expect("why");
    assert!(
        told.contains(ledger::PATH) && told.contains("free some space on the server"),
        "{told}"
    );
}

/// A key is made on the server, its record is published by a real name server,
/// and only then does the script begin that signs with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_keys_record_is_published_before_it_is_used_and_listed() {
    let server = ports::own_address();
    let text = ports::zone_text("wac.test", &[("ns1.wac.test.", server)], "");
    let address = SocketAddr::new(server, 5300);
    let Some(knot) = knot::KnotServer::start_at(address, &[("wac.test", text)]).await else {
        return;
    };
    let dns = Dns::new(Some(knot.dns)).expect("a resolver");
    let settings = Settings::default()
        .with("server", knot.dns.to_string())
        .with("key_name", knot::KEY_NAME)
        .with("key", Secret::new(knot::KEY))
        .with("algorithm", knot::ALGORITHM);
    let zone = zone::open("rfc2136", &settings, &dns).expect("a provider");
    let log = Arc::new(Log::default());
    let stage = Stage::with(log, zone, knot.dns, false);

    let domain = Name::parse("wac.test").expect("a name");
    let wish = KeyWish {
        domain: domain.clone(),
        selector: "s1".into(),
        algorithm: DkimAlgorithm::Ed25519,
    };
    let mut seen = Seen::new();
    let nothing = Answer::Shell {
        code: 0,
        out: String::new(),
        err: String::new(),
    };
    seen.put(Probe::Shell(PROBE.into()), nothing);
    let key = wish
        .diff(&seen, &Plan::default())
        .expect("decided")
        .remove(0);
    let mut published = write("s1._domainkey.wac.test", "");
    let owner = published.want.key.clone();
    published.from_key = Some(key_id(&domain, "s1"));
    let record = Change::new("record", Sign::Create, "a test", Action::Rrset(published))
        .needs([key_id(&domain, "s1")]);
    let signing = script("signing", "ok signing").needs(["record".to_owned()]);
    let acted = stage.act(vec![key, signing, record]).await;
    assert!(!acted.failed, "{:?}", stage.log.lines());

    let lines = stage.log.lines();
    let place = |line: &str| lines.iter().position(|l| l == line).expect(line);
    assert!(place("end ok key") < place("started record"));
    assert!(place("done record") < place("begin ok signing"));
    let shown = stage
        .tools
        .world
        .dns
        .resolve(&owner)
        .await
        .expect("an answer");
    let value = shown.values.first().expect("a record");
    assert!(value.starts_with("v=DKIM1; k=ed25519; p="), "{value}");
    assert!(
        stage.ledger().has_value(&owner, value),
        "what apply made is listed, so that it can be deleted later"
    );
}

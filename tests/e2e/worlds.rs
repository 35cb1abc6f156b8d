//! `mailctl check` in worlds that are broken in one way each: real name
//! servers, a real chasquid, and what is to be found then; tests/worlds/README.md
//! says more. `WORLD=two` takes only those whose title has that, `UPDATE=1`
//! writes down what was found.

#[path = "worlds/certificate.rs"]
mod certificate;
#[path = "worlds/others.rs"]
mod others;
#[path = "worlds/party.rs"]
mod party;
#[path = "worlds/resolver.rs"]
mod resolver;
#[path = "worlds/stage.rs"]
mod stage;
#[path = "worlds/zones.rs"]
mod zones;

use std::collections::BTreeMap;
use std::env;
use std::thread;

use mailctl::check::Finding;
use mailctl::check::blocklist::lists::{BUILT_IN, Listed};
use mailctl::record::{Name, RType, Rrset, RrsetKey};
use mailctl::rehearse::base::Suite;
use mailctl::rehearse::names;

use crate::broken::{self, Broken, compare};
use crate::lab::Lab;
use others::Others;
use stage::Stage;

const MAIL: &str = r#"  wac.tax:
    users: {i: {password: env:E2E_MAIL_PASSWORD}}
    forward: {i: i.wac.tax@gmail.com, "*": reader@far.example}
"#;

/// Zones of other people that pages put something into.
const OTHERS: &[&str] = &["elsewhere.example"];

/// A lab that was applied to, with what the pages want of it.
fn stage(test: &str) -> Option<Stage> {
    let lab = Lab::start(test, Suite::Bookworm)?;
    let name = |text: &str| Name::parse(text).expect("a name");
    for zone in OTHERS {
        lab.world.names().add_zone(&name(zone)).expect("a zone");
    }
    let set = |owner: Name, rtype, value: &str| {
        let set = Rrset::new(RrsetKey::new(owner, rtype), None, [value]);
        lab.world.names().set(&set).expect("a set");
    };
    // Where a second name server would be: this machine, which is nobody else's there.
    let here = format!("10.77.{}.1", lab.world.number());
    set(names::own_zone().child("ns2"), RType::A, &here);
    // Blocklists in order, which list nothing but their test entries (RFC 5782 section 5).
    for list in BUILT_IN {
        let zone = name(&list.zone);
        lab.world.names().add_zone(&zone).expect("a zone");
        let test = match list.listed {
            Listed::Domains => list.test,
            _ => "2.0.0.127",
        };
        set(zone.child(test), RType::A, "127.0.0.2");
    }
    let looking = format!(
        "check: {{far: far.mailctl-lab.test, rdap: \"http://{here}:{}\"}}\n",
        stage::REGISTRY
    );
    lab.write_with(MAIL, &looking);
    lab.run(&["apply", "--yes"]).expect(0);
    Some(Stage::new(lab))
}

/// The worlds of these pages, one after the other in one lab.
fn run(test: &str, names: &[&str]) {
    let Some(mut stage) = stage(test) else {
        return;
    };
    let update = env::var_os("UPDATE").is_some();
    let mut others = Others::installed();
    if others.is_none() {
        eprintln!("skipped: {test}: what other programs say: `make judges` installs them");
    }
    let only = env::var("WORLD").unwrap_or_default();
    let healthy = stage.check();
    let mut differences = Vec::new();
    for page in broken::pages() {
        let name = page.name();
        let mut found = BTreeMap::new();
        for world in page.worlds() {
            let is_healthy = name == "healthy";
            let here = is_healthy || names.contains(&name.as_str());
            if !here || !world.title.contains(&only) {
                continue;
            }
            let _told = Told(format!("{name}: {}", world.title));
            let lines = if is_healthy {
                look(&stage, &world, Some(&[]), &healthy)
            } else {
                stage.break_it(&world);
                let now = stage.check();
                let usual = (!stage.elsewhere()).then_some(healthy.as_slice());
                let mut lines = look(&stage, &world, usual, &now);
                if let Some(others) = others.as_mut().filter(|_| others::compared(&world)) {
                    lines.wrong.extend(others.differ(&stage, &world, &now));
                }
                stage.undo();
                lines
            };
            differences.extend(lines.told(&stage, &world));
            found.insert(world.title.clone(), lines.found);
        }
        if update {
            page.write(&found);
        }
    }
    // What was undone is undone, and found so.
    differences.extend(stage.left());
    let last = compare(&[], Some(&healthy), &stage.check());
    differences.extend(last.wrong);
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
    stage.lab.world.stop().expect("nothing is left");
}

/// Which world it was in, where a step of it fails.
struct Told(String);

impl Drop for Told {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("this was {}", self.0);
        }
    }
}

/// How a world looks.
struct Look {
    /// What is not as the page says.
    wrong: Vec<String>,
    /// For the page.
    found: String,
}

impl Look {
    fn told(&self, stage: &Stage, world: &Broken) -> Option<String> {
        let wrong: Vec<String> = self.wrong.iter().map(|l| stage.emptied(l)).collect();
        let place = format!("{}: {}", world.page, world.title);
        (!wrong.is_empty()).then(|| format!("{place}\n  {}", wrong.join("\n  ")))
    }
}

fn look(stage: &Stage, world: &Broken, healthy: Option<&[Finding]>, now: &[Finding]) -> Look {
    let compared = compare(&stage.expected(world), healthy, now);
    let lines = compared.lines.iter();
    Look {
        wrong: compared.wrong,
        found: lines.map(|line| stage.emptied(line) + "\n").collect(),
    }
}

pub fn of_names() {
    run("of_names", &["zone", "host", "mx", "reputation", "dnssec"]);
}

pub fn of_policies() {
    run("of_policies", &["spf", "dkim", "dmarc", "policies"]);
}

pub fn of_servers() {
    run("of_servers", &["smtp", "tls", "relay", "outbound"]);
}

//! The pages under tests/plans: a mail.yaml, what was seen, and the plan that
//! follows, compared to the letter. `UPDATE=1 cargo test --test plans` writes
//! the plans anew. No server, no network; tests/plans/README.md says more.

#[path = "support/page.rs"]
mod page;
#[path = "support/scene.rs"]
#[allow(dead_code)]
mod scene;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use mailctl::config::surroundings::{Surroundings, Written};
use mailctl::config::{Config, SecretRef, load};
use mailctl::diagnostic::draw;
use mailctl::plan::Plan;
use mailctl::render::{self, Document, Paint};
use mailctl::resource::Probe;
use mailctl::secret::Secret;
use serde_json::Value;

use page::{Case, Page};
use scene::{Looked, Scene};

const MAIL_YAML: &str = include_str!("plans/mail.yaml");
const RECORD_AGAIN: &str = "record again with `make record` (as root), \
                            then look at what `UPDATE=1 cargo test --test plans` changes";
/// Columns of the plans on the pages.
const WIDTH: usize = 120;

/// The variables that the pages' mail.yaml name, and their values.
const VARIABLES: &[(&str, &str)] = &[
    ("DNS_TOKEN", "token-of-the-zones"),
    ("PTR_TOKEN", "token-of-the-reverse-zones"),
    ("MAIL_PASSWORD_I", "correct horse battery staple"),
    ("MAIL_PASSWORD_NEW", "what a new password it is"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans")
}

fn world(name: &str) -> String {
    let path = folder().join(format!("world/{name}.txt"));
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn around() -> Written {
    let mut around = Written::default();
    for (name, value) in VARIABLES {
        around.variables.insert((*name).into(), (*value).into());
    }
    around
}

fn config(place: &str, yaml: &str) -> Config {
    let base = Path::new("/home/wac");
    match load::read_with(yaml, base, Some(base), &around()) {
        Ok(loaded) => loaded.config,
        Err(mistakes) => panic!("{place}\n{}", draw("mail.yaml", yaml, &mistakes, false)),
    }
}

/// The passwords that mail.yaml names.
fn passwords(config: &Config) -> BTreeMap<String, Secret> {
    let mut passwords = BTreeMap::new();
    for (domain, wish) in &config.domains {
        for (user, account) in &wish.users {
            if let Some(SecretRef::Env(name)) = &account.password {
                let value = around().variable(name).expect("a variable");
                passwords.insert(format!("{user}@{domain}"), Secret::new(value));
            }
        }
    }
    passwords
}

/// A case and what follows from it.
struct Told {
    place: String,
    case: Case,
    config: Config,
    looked: Looked,
    document: Document,
    text: String,
}

impl Told {
    fn of(page: &Page, case: Case) -> Self {
        let name = page.path.file_name().unwrap_or_default();
        let place = format!("{}: {}", name.to_string_lossy(), case.title);
        let config = config(&place, &page::with_sections(MAIL_YAML, &case.yaml));
        let look = || {
            let mut scene = Scene::default();
            case.seen.iter().for_each(|seen| scene.read(seen, &world));
            scene.look(&config, &passwords(&config))
        };
        // What a scene complains of does not say on which page.
        let looked = catch_unwind(AssertUnwindSafe(look))
            .unwrap_or_else(|_| panic!("this was {place}"))
            .unwrap_or_else(|failure| panic!("{place}: {}", failure.told()));
        let document = Document::from(&looked.survey.plan);
        let text = render::text(&document, Paint(false), WIDTH);
        Self {
            place,
            case,
            config,
            looked,
            document,
            text,
        }
    }

    fn plan(&self) -> &Plan {
        &self.looked.survey.plan
    }

    fn json(&self) -> String {
        serde_json::to_string_pretty(&self.document).expect("a document") + "\n"
    }
}

fn pages() -> Vec<Page> {
    let entries = fs::read_dir(folder()).expect("tests/plans");
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "md"));
    paths.retain(|path| !path.ends_with("README.md"));
    paths.sort();
    assert!(paths.len() >= 15, "only {} pages", paths.len());
    paths.iter().map(|path| Page::read(path)).collect()
}

/// Every case of every page.
fn told() -> &'static [Told] {
    static TOLD: OnceLock<Vec<Told>> = OnceLock::new();
    TOLD.get_or_init(|| {
        let pages = pages();
        let cases = pages.iter().flat_map(|page| {
            page.cases()
                .into_iter()
                .map(move |case| Told::of(page, case))
        });
        cases.collect()
    })
}

#[test]
fn every_plan_is_as_on_its_page() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut differences = String::new();
    let mut told = told().iter();
    for mut page in pages() {
        for case in page.cases() {
            let told = told.next().expect("the same cases");
            assert_eq!(told.case.title, case.title);
            differences += &page.compare(&case, update, &|info| match info {
                "json" => told.json(),
                _ => told.text.clone(),
            });
        }
        if update {
            page.write();
        }
    }
    assert!(
        differences.is_empty(),
        "{differences}\nIf that is what is meant, write it down with `UPDATE=1 cargo test --test plans`"
    );
}

#[test]
fn recordings_answer_the_questions_of_today() {
    for system in ["debian-12", "debian-13"] {
        for state in ["fresh", "applied"] {
            let name = format!("{state}-{system}");
            let mut scene = Scene::default();
            scene.read(&format!("world {name}"), &world);
            let looked = scene.look(&config("mail.yaml", MAIL_YAML), &BTreeMap::new());
            let looked = looked.unwrap_or_else(|failure| panic!("{name}: {}", failure.told()));
            let stale = scene.stale(looked.seen.answers().map(|(probe, _)| probe));
            assert!(
                stale.is_empty(),
                "tests/plans/world/{name}.txt answers older questions than these: {}; {RECORD_AGAIN}",
                stale.join(", ")
            );
        }
    }
}

/// What an apply made is what a plan wishes: `No changes.` on each system that was recorded.
#[test]
fn an_applied_world_is_as_wished() {
    for system in ["debian-12", "debian-13"] {
        let mut scene = Scene::default();
        scene.read(&format!("world applied-{system}"), &world);
        let looked = scene.look(&config("mail.yaml", MAIL_YAML), &BTreeMap::new());
        let plan = looked.expect("a survey").survey.plan;
        let text = render::text(&Document::from(&plan), Paint(false), WIDTH);
        assert!(
            plan.is_empty(),
            "applied-{system} differs from what is wished; if a template has changed, {RECORD_AGAIN}\n{text}"
        );
    }
}

/// The ids that a change may wait for: those of resources, and those of
/// changes, because some resources change two things.
fn known_ids(told: &Told) -> BTreeSet<String> {
    let resources = told.looked.survey.resources.iter().map(|r| r.id());
    let changes = told.plan().changes.iter().map(|c| c.id.clone());
    resources.chain(changes).collect()
}

#[test]
fn ids_are_unique_and_needs_are_ids() {
    for told in told() {
        let known = known_ids(told);
        let mut ids = BTreeSet::new();
        for change in &told.plan().changes {
            let id = &change.id;
            assert!(ids.insert(id), "{}: {id} is changed twice", told.place);
            for need in change.needs.iter().chain(&change.follows) {
                assert!(known.contains(need), "{}: {id} needs {need}", told.place);
            }
        }
        let resources: Vec<String> = told
            .looked
            .survey
            .resources
            .iter()
            .map(|resource| resource.id())
            .collect();
        let unique: BTreeSet<&String> = resources.iter().collect();
        assert_eq!(
            unique.len(),
            resources.len(),
            "{}: {resources:?}",
            told.place
        );
    }
}

/// A change waits for what it needs, and on the server for the one before it:
/// if these waits had a cycle, apply would hang.
#[test]
fn no_change_waits_for_itself() {
    for told in told() {
        let mut waits: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut before = None;
        for change in &told.plan().changes {
            let of = waits.entry(&change.id).or_default();
            let all = change.needs.iter().chain(&change.follows);
            of.extend(all.map(String::as_str));
            if change.action.on_server() {
                of.extend(before.replace(change.id.as_str()));
            }
        }
        let planned: BTreeSet<&str> = waits.keys().copied().collect();
        for of in waits.values_mut() {
            of.retain(|id| planned.contains(id));
        }
        // Take away what waits for nothing, until nothing is left.
        while !waits.is_empty() {
            let free: Vec<&str> = waits
                .iter()
                .filter(|(_, of)| of.is_empty())
                .map(|(id, _)| *id)
                .collect();
            assert!(
                !free.is_empty(),
                "{}: these wait for each other: {waits:?}",
                told.place
            );
            for id in free {
                waits.remove(id);
                waits.values_mut().for_each(|of| {
                    of.remove(id);
                });
            }
        }
    }
}

#[test]
fn no_output_has_a_secret() {
    for told in told() {
        let outputs = [
            told.text.clone(),
            told.json(),
            render::text(&told.document, Paint(true), 400),
            format!("{:?}", told.plan()),
        ];
        for output in outputs {
            for (name, secret) in VARIABLES {
                assert!(!output.contains(secret), "{}: {name}\n{output}", told.place);
            }
            assert!(!output.contains("encrypted:"), "{}: a hash", told.place);
            assert!(!output.contains("PRIVATE KEY"), "{}: a key", told.place);
        }
    }
}

#[test]
fn a_text_ends_with_the_count() {
    for told in told() {
        let last = told.text.lines().last().unwrap_or_default();
        let plan = told.plan();
        let begins = if plan.is_empty() {
            "No changes. "
        } else {
            "Plan: "
        };
        assert!(last.starts_with(begins), "{}: {last}", told.place);
        let signs = told.text.lines().filter(|l| {
            ["  + ", "  ~ ", "  - ", "  ! "]
                .iter()
                .any(|s| l.starts_with(s))
        });
        assert_eq!(
            signs.count(),
            plan.changes.len(),
            "{}: a line each",
            told.place
        );
        for width in [80, 100, 160] {
            for line in render::text(&told.document, Paint(false), width).lines() {
                let signed = line.starts_with("  ") && !line.starts_with("   ");
                let columns = unicode_width::UnicodeWidthStr::width(line);
                assert!(
                    !signed || columns <= width,
                    "{}: {columns} > {width}: {line}",
                    told.place
                );
            }
        }
    }
}

/// Nothing seen yet asks everything that can be known to matter; what was
/// seen adds records only, so that the server is asked once.
#[test]
fn the_server_is_asked_once() {
    let on_server = |probes: &BTreeSet<Probe>| {
        let mut kinds = probes.iter();
        kinds.any(|p| !matches!(p, Probe::Rrset(..)))
    };
    for told in told() {
        let looks = &told.looked.looks;
        assert!(looks.len() <= mailctl::survey::ROUNDS, "{}", told.place);
        let later = looks.iter().skip(1).filter(|look| on_server(look)).count();
        assert_eq!(later, 0, "{}: {:?}", told.place, looks);
        // A second survey of the same asks nothing that the first did not.
        let seen = &told.looked.seen;
        let probes = told.looked.survey.resources.iter().flat_map(|r| r.probes());
        for probe in probes {
            assert!(seen.knows(&probe), "{}: {probe:?}", told.place);
        }
    }
}

/// The shape that the contract fixes for `plan --json`.
#[test]
fn a_document_has_the_shape_of_the_contract() {
    let keys = |value: &Value| -> BTreeSet<String> {
        let object = value.as_object().expect("an object");
        object.keys().cloned().collect()
    };
    let of = |words: &str| -> BTreeSet<String> { words.split(' ').map(str::to_owned).collect() };
    for told in told() {
        let value: Value = serde_json::from_str(&told.json()).expect("JSON");
        assert_eq!(value["schema"], "mailctl.plan/1");
        assert!(of("schema host complete changes summary").is_subset(&keys(&value)));
        assert!(value["host"].is_string());
        let counts = &value["summary"];
        assert_eq!(
            keys(counts),
            of("create update delete run unchanged blocked")
        );
        let changes = value["changes"].as_array().expect("an array");
        for change in changes {
            let fields = of("id kind action reason before after sensitive");
            let place = format!("{}: {change}", told.place);
            assert!(fields.is_subset(&keys(change)), "{place}");
            let further: BTreeSet<String> = keys(change).difference(&fields).cloned().collect();
            assert!(
                further.is_subset(&of("danger danger_reason by_hand")),
                "{place}"
            );
            let id = change["id"].as_str().expect("an id");
            assert_eq!(id.split(' ').next(), change["kind"].as_str(), "{place}");
            assert!(
                change["reason"].as_str().is_some_and(|r| !r.is_empty()),
                "{place}"
            );
            assert!(change["sensitive"].is_array(), "{place}");
            let action = change["action"].as_str().expect("an action");
            let both = (!change["before"].is_null(), !change["after"].is_null());
            match action {
                "create" => assert!(!both.0, "{place}"),
                "delete" => assert!(!both.1, "{place}"),
                "update" | "run" => {}
                other => panic!("{place}: {other}"),
            }
        }
        for action in ["create", "update", "delete", "run"] {
            let count = changes.iter().filter(|c| c["action"] == action).count();
            assert_eq!(counts[action], count, "{}", told.place);
        }
        let blocked = counts["blocked"].as_u64().expect("a number");
        assert_eq!(value["complete"], blocked == 0, "{}", told.place);
        assert_eq!(
            value["blocked"].as_array().map(Vec::len),
            usize::try_from(blocked).ok()
        );
        assert_eq!(
            render::digest(&told.document),
            render::digest_of(&told.document.changes),
            "{}",
            told.place
        );
    }
}

/// Every kind of resource is changed or blocked on some page.
#[test]
fn no_kind_is_without_a_page() {
    let mut kinds = BTreeSet::new();
    let mut shown = BTreeSet::new();
    let kind = |id: &str| id.split(' ').next().unwrap_or_default().to_owned();
    for told in told() {
        kinds.extend(told.looked.survey.resources.iter().map(|r| kind(&r.id())));
        shown.extend(told.plan().changes.iter().map(|c| kind(&c.id)));
        shown.extend(told.plan().blocked.iter().map(|b| kind(&b.id)));
        assert!(told.config.domains.len() < 5);
    }
    let missing: Vec<&String> = kinds.difference(&shown).collect();
    assert!(missing.is_empty(), "no page shows a change of {missing:?}");
}

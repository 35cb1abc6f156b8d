//! `mailctl rehearse`: the whole way on this machine, with a throw-away server.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;
use time::OffsetDateTime;

use super::setup::{self, Session};
use crate::apply::stop::Stop;
use crate::apply::{Consent, Tools, apply};
use crate::check;
use crate::cli::{Cli, Reach, Rehearse};
use crate::config::Config;
use crate::failure::{Exit, Failure, Result};
use crate::record::{Name, RType, Rrset, RrsetKey};
use crate::rehearse::base::Suite;
use crate::rehearse::mapping::{self, ONLY};
use crate::rehearse::story::{Answer, Stage, Verdict};
use crate::rehearse::{World, WorldOptions, cleanup};
use crate::render::{self, Document, Paint};
use crate::report::{Event, Report, say, warn};
use crate::vault;

/// Runs the verb.
///
/// # Errors
/// When the file is unsound, or the world cannot be set up here.
pub fn run(cli: &Cli, options: &Rehearse) -> Result<Exit> {
    if options.remove {
        let removed = cleanup::remove_kept()?;
        say(&format!("{} kept rehearsals removed", removed.len()));
        return Ok(Exit::Ok);
    }
    let config = setup::config_to_rehearse(cli)?;
    let quiet = cli.quiet || cli.json;
    let begun = Instant::now();
    let tell = move |text: &str| {
        if !quiet {
            warn(&format!("{:>6.1} s  {text}", begun.elapsed().as_secs_f64()));
        }
    };
    let world = World::start(&WorldOptions {
        suite: if options.system == "trixie" {
            Suite::Trixie
        } else {
            Suite::Bookworm
        },
        zones: mapping::zones(&config),
        far_domains: mapping::far_domains(&config),
        contabo_like: true,
        report: &tell,
        ..WorldOptions::default()
    })?;
    let mut stage = Rehearsal {
        cli,
        tell: &tell,
        world,
        answers: Vec::new(),
    };
    let played = stage.play(&config);
    let Rehearsal { world, answers, .. } = stage;
    let passed =
        played.is_ok() && !answers.is_empty() && answers.iter().all(|a| a.verdict == Verdict::Pass);
    show(cli, &answers, begun.elapsed().as_secs_f64());
    if options.keep {
        say(&world.keep()?);
    } else {
        world.stop()?;
        tell("everything is removed again");
    }
    played?;
    Ok(if passed { Exit::Ok } else { Exit::Failed })
}

struct Rehearsal<'a> {
    cli: &'a Cli,
    tell: &'a (dyn Fn(&str) + Sync),
    world: World,
    answers: Vec<Answer>,
}

impl Rehearsal<'_> {
    fn play(&mut self, config: &Config) -> Result<()> {
        for (only, rtype) in ONLY.iter().zip([RType::A, RType::Aaaa]) {
            self.receiver_of_one_family(only, rtype)?;
        }
        for included in mapping::included(config) {
            self.sender_of_somebody_else(&included)?;
        }
        let secrets = self.world.directory().join("secrets");
        let mapped = Arc::new(mapping::mapped(config, &self.world, &secrets));

        (self.tell)("planning on the fresh server");
        let session = self.session(&mapped)?;
        let document = session.plan()?;
        self.show_plan(&document);
        (self.tell)("applying");
        let report = Arc::new(Counting {
            inner: setup::reporter(self.cli),
            last: Mutex::default(),
            seen: Mutex::default(),
        });
        let applied = self.apply(session, report.clone());
        self.answers.push(Answer::of("apply", applied));
        if let Some(seen) = report.seen() {
            self.answers.push(Answer::of("seen from outside", seen));
        }

        let session = self.session(&mapped)?;
        let second = session.plan()?;
        self.answers.push(Answer::of("second plan", empty(&second)));
        drop(session);

        (self.tell)("rebooting the server");
        self.world.reboot()?;
        let session = self.session(&mapped)?;
        let third = session.plan()?;
        self.answers
            .push(Answer::of("plan after a reboot", empty(&third)));

        (self.tell)("sending mail");
        let passwords = vault::passwords(&session.vault, &mapped)?;
        let stage = Stage {
            world: &self.world,
            config: &mapped,
            passwords: &passwords,
            dns: &session.world.dns,
        };
        let looked = session.runtime.block_on(stage.look())?;
        self.answers.extend(looked);
        Ok(())
    }

    /// A domain of somebody else that can only be reached over one family.
    fn receiver_of_one_family(&self, domain: &str, rtype: RType) -> Result<()> {
        let domain = Name::parse(domain).map_err(Failure::new)?;
        let host = domain.child("mx");
        let address = self
            .world
            .far()
            .addresses()
            .into_iter()
            .find(|ip| ip.is_ipv4() == (rtype == RType::A));
        let address =
            address.ok_or_else(|| Failure::new("the far mail server has no such address"))?;
        self.world.add_far_domain(&domain)?;
        self.world.names().set(&Rrset::new(
            RrsetKey::new(host.clone(), rtype),
            None,
            [address.to_string()],
        ))?;
        self.world.names().set(&Rrset::new(
            RrsetKey::new(domain, RType::Mx),
            None,
            [format!("10 {}", host.fqdn())],
        ))
    }

    /// A domain whose SPF record is included: whoever sends for it is not in this world.
    fn sender_of_somebody_else(&self, domain: &Name) -> Result<()> {
        self.world.names().add_zone(domain)?;
        let key = RrsetKey::new(domain.clone(), RType::Txt);
        self.world
            .names()
            .set(&Rrset::new(key, None, ["v=spf1 ip4:192.0.2.0/24 ~all"]))
    }

    fn session(&self, config: &Arc<Config>) -> Result<Session> {
        Session::of(self.cli, config.clone(), &Reach::default())
    }

    /// What this world's authority issues is trusted in it.
    fn roots(&self) -> Result<Vec<CertificateDer<'static>>> {
        let pem = self.world.authority().issuing_root();
        let root = CertificateDer::from_pem_slice(pem.as_bytes());
        let root = root.map_err(|e| {
            Failure::new("the root of the rehearsal's authority cannot be read")
                .because(format!("{e:?}"))
        })?;
        Ok(vec![root])
    }

    fn show_plan(&self, document: &Document) {
        if !self.cli.json && !self.cli.quiet {
            let lines = setup::lines(self.cli);
            say(render::text(document, lines.paint, lines.width).trim_end());
        }
    }

    fn apply(&self, session: Session, report: Arc<Counting>) -> Result<String> {
        let mut afterwards = session.afterwards()?;
        afterwards.settings.roots = self.roots()?;
        afterwards.settings.private = false;
        let tools = Tools {
            authority: session.authority()?,
            afterwards: Some(afterwards),
            world: session.world,
            config: session.config,
            vault: session.vault,
            report: report.clone(),
            now: OffsetDateTime::now_utc,
            by: "rehearsal".into(),
            // A signal ends the process, and with it the world.
            stop: Stop::default(),
        };
        let consent = Consent {
            allowed: BTreeSet::new(),
            digest: None,
            ask: &|_| Ok(true),
        };
        let exit = session.runtime.block_on(apply(&tools, &consent))?;
        if exit == Exit::Ok {
            Ok(report.told())
        } else {
            Err(Failure::new(report.told()))
        }
    }
}

/// Passes events on and remembers how it ended.
struct Counting {
    inner: Arc<dyn Report>,
    last: Mutex<String>,
    seen: Mutex<Option<check::Report>>,
}

impl Counting {
    fn told(&self) -> String {
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What was found from outside, in one line.
    fn seen(&self) -> Option<Result<String>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.as_ref()?;
        let failing = seen
            .results
            .iter()
            .filter(|f| f.verdict == check::Verdict::Fail);
        let failing: Vec<String> = failing
            .map(|f| format!("{} of {}: {}", f.id, f.subject, f.found))
            .collect();
        Some(if failing.is_empty() {
            Ok(check::render::tally(seen.summary).trim_end().to_owned())
        } else {
            Err(Failure::new(failing.join("; ")))
        })
    }
}

impl Report for Counting {
    fn event(&self, event: &Event) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Summary(summary) => {
                if summary.outcome == "applied" {
                    let verified = if summary.verified {
                        ", seen by every authoritative server"
                    } else {
                        ""
                    };
                    *last = format!(
                        "{} changes in {:.1} s{verified}",
                        summary.done.len(),
                        summary.seconds
                    );
                }
                // The rehearsal's own report is the ending.
                return;
            }
            Event::Check(seen) => {
                let mut kept = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                *kept = Some(seen.clone());
            }
            Event::ChangeFailed { id, error, .. } => *last = format!("{id}: {error}"),
            _ => {}
        }
        drop(last);
        self.inner.event(event);
    }
}

fn empty(document: &Document) -> Result<String> {
    let changes = document
        .changes
        .iter()
        .map(|c| format!("{} ({})", c.id, c.reason));
    let differs: Vec<String> = changes
        .chain(
            document
                .blocked
                .iter()
                .map(|b| format!("{} ({})", b.id, b.reason)),
        )
        .collect();
    if differs.is_empty() {
        return Ok(format!(
            "empty: {} things are as wished",
            document.summary.unchanged
        ));
    }
    Err(Failure::new(format!("not empty: {}", differs.join(", "))))
}

fn show(cli: &Cli, answers: &[Answer], seconds: f64) {
    if cli.json {
        say(
            &json!({"schema": "mailctl.rehearsal/1", "results": answers, "seconds": seconds})
                .to_string(),
        );
        return;
    }
    let paint: Paint = setup::paint(cli);
    let column = answers
        .iter()
        .map(|a| a.subject.chars().count())
        .max()
        .unwrap_or_default();
    say("");
    for answer in answers {
        let mark = if answer.verdict == Verdict::Pass {
            paint.with("32", "pass")
        } else {
            paint.with("31", "FAIL")
        };
        say(&format!(
            "  {mark}  {:column$}  {}",
            answer.subject, answer.found
        ));
    }
    let failed = answers
        .iter()
        .filter(|a| a.verdict == Verdict::Fail)
        .count();
    let passed = answers.len() - failed;
    say(&format!(
        "\nRehearsed in {seconds:.0} s: {passed} passed, {failed} failed."
    ));
}

//! One domain and a hundred of one server looked at from outside, beside what
//! reads the same records: `dig`, which judges nothing and connects to no mail
//! server, and checkdmarc, which judges a part of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mailctl::record::{Name, RType, Rrset, RrsetKey};

use crate::DOMAINS;
use crate::lab::{Lab, Ran};
use crate::sample::{Contender, in_turn};
use crate::table::Table;

const ROUNDS: usize = 11;
const MANY: usize = 100;
/// How long a hundred domains may take, in seconds.
const AT_MOST: f64 = 1.0;
const SELECTOR: &str = "bench";

/// Measures; returns the goals that were missed.
pub fn measure(lab: &Lab) -> Vec<String> {
    let more = "check: {far: far.mailctl-lab.test, rdap: \"http://127.0.0.1:9\"}\n";
    lab.write_with(DOMAINS, more);
    lab.run(&["apply", "--yes"]).expect(0);
    let domains: Vec<String> = (1..=MANY).map(|n| format!("d{n}.example")).collect();
    lab.private_file("issuing.pem", lab.world.authority().issuing_root());
    publish(lab, &domains);
    [&domains[..1], &domains]
        .map(|some| compare(lab, some))
        .concat()
}

fn compare(lab: &Lab, domains: &[String]) -> Vec<String> {
    let resolver = lab.world.resolver().address().ip().to_string();
    let questions = questions(lab, domains);
    let peer = checkdmarc();
    let mut contenders = vec![
        Contender::new("`dig`, the records alone", || {
            let mut dig = Command::new("dig");
            dig.arg(format!("@{resolver}")).arg("-f").arg(&questions);
            let ran = Ran::of(dig.output().expect("dig runs")).expect(0);
            assert_eq!(
                ran.out.matches("v=DMARC1").count(),
                domains.len(),
                "{}",
                ran.out
            );
        }),
        Contender::new("`mailctl check`", || {
            let mut check = lab.command();
            check
                .args([
                    "check",
                    "--json",
                    "--roots",
                    "issuing.pem",
                    "--selector",
                    SELECTOR,
                ])
                .args(domains);
            judged(
                &Ran::of(check.output().expect("mailctl runs")).expect(0),
                domains.len(),
            );
        }),
    ];
    if let Some(program) = &peer {
        let resolver = &resolver;
        contenders.push(Contender::new("checkdmarc", move || {
            let mut peer = Command::new(program);
            peer.args(domains).args(["-n", resolver]);
            let ran = Ran::of(peer.output().expect("checkdmarc runs")).expect(0);
            assert_eq!(
                ran.out.matches("\"base_domain\"").count(),
                domains.len(),
                "{}",
                ran.out
            );
        }));
    }
    let samples = in_turn(ROUNDS, &mut contenders);
    let mut table = Table::new(
        &format!("Looking at {} from outside", count(domains)),
        ROUNDS,
    );
    table.floor(&samples[0]);
    for other in &samples[1..] {
        table.against(&samples[0], other, None);
    }
    if domains.len() == MANY {
        let took = samples[1].median().as_secs_f64();
        let goal = format!("≤ {AT_MOST} s");
        table.value("that is", format!("{took:.2} s"), &goal, took <= AT_MOST);
    }
    table.end()
}

fn count(domains: &[String]) -> String {
    match domains.len() {
        1 => "one domain".into(),
        many => format!("{many} domains of one server"),
    }
}

/// The work was done: findings about every domain, and nothing wrong with any.
fn judged(ran: &Ran, domains: usize) {
    let passed = ran.out.matches("\"verdict\": \"pass\"").count();
    assert!(passed >= 5 * domains, "{}", ran.out);
}

/// A zone each, as healthy as that of the server's own domain.
fn publish(lab: &Lab, domains: &[String]) {
    let names = lab.world.names();
    let own = lab.dig("wac.tax", "TXT");
    let spf = own
        .iter()
        .find(|value| value.contains("v=spf1"))
        .expect("an SPF record");
    for domain in domains {
        let zone = Name::parse(domain).expect("a name");
        names.add_zone(&zone).expect("a zone");
        for (name, rtype, value) in [
            (zone.clone(), RType::Mx, "10 smtp.wac.tax."),
            (zone.clone(), RType::Txt, spf.trim_matches('"')),
            (
                zone.child("_dmarc"),
                RType::Txt,
                "v=DMARC1; p=quarantine; np=reject",
            ),
            (zone.child("_domainkey").child(SELECTOR), RType::Txt, KEY),
        ] {
            let set = Rrset::new(RrsetKey::new(name, rtype), None, [value.to_owned()]);
            names.set(&set).expect("a set");
        }
    }
}

/// The same records for `dig`, a line a question.
fn questions(lab: &Lab, domains: &[String]) -> PathBuf {
    let mut lines = String::new();
    for domain in domains {
        for question in [
            "",
            "_dmarc.",
            "_mta-sts.",
            "_smtp._tls.",
            "bench._domainkey.",
        ] {
            lines.push_str(&format!("{question}{domain} TXT\n"));
        }
        for rtype in ["SOA", "NS", "MX", "A", "AAAA", "CAA", "DS"] {
            lines.push_str(&format!("{domain} {rtype}\n"));
        }
    }
    lines.push_str("smtp.wac.tax A\nsmtp.wac.tax AAAA\n_25._tcp.smtp.wac.tax TLSA\n");
    let path = lab
        .directory
        .path()
        .join(format!("questions-{}", domains.len()));
    fs::write(&path, lines).expect("a file");
    path
}

/// Where `make bench` puts it; without it there is a row less.
fn checkdmarc() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/judges/bin/checkdmarc");
    if !path.exists() {
        println!("\nskipped: checkdmarc is not installed; `make bench` does it");
        return None;
    }
    Some(path)
}

/// A public key of 2048 bits, whose private half nobody has.
const KEY: &str = "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEApdD4ef45h6fT6+JdAbzTwpWkCmQyvE70sSlsEdup5Osn1k+ivgTaLkVMO95JuXmK9IsyGFK/5asIrA6levFf+sJJD2RUaMb5uVYDej/27guKIKMbXqlk2gKL61YtM+SHO5FzTwA06Fjpk1QDj9Yc+6TaM7Xxtelv5iPGWPEU04KrbU6CXzaVdulOYWKHBeTuErMvN12cyqAYygYShpgIEEKHbuqBIKAPfD5dyUVykmd+fMd15sXTPlxqW0UQysBPD8pvNPm1dL+nDcDBxIPCi8trnCEHe6T7VL95hDNmcLvZUFNJI6bbVtk1ZPp1GPOTHCD90ZGhAaXkRVufxOrESwIDAQAB";

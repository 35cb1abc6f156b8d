//! What is left to a person, and what a person did: records set by hand,
//! values of others in the way, things changed behind mailctl's back.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use mailctl::record::{Name, RType, Rrset, RrsetKey};
use mailctl::rehearse::base::Suite;
use serde_json::Value;

use crate::judges::{self, Letter, txt};
use crate::lab::{Lab, Ran, until};

const DOMAINS: &str = r#"  wac.tax:
    users: {i: {password: env:E2E_MAIL_PASSWORD}}
    forward: {i: i.wac.tax@gmail.com}
"#;

/// As in [`Lab::write`], with other lines for `dns` and `ptr`.
fn write(lab: &Lab, domains: &str, dns: Option<&str>, ptr: Option<&str>) {
    let path = lab.write(domains);
    let text = std::fs::read_to_string(&path).expect("mail.yaml");
    let lines = text.lines().filter_map(|line| {
        let other = match line.split(':').next() {
            Some("dns") => dns,
            Some("ptr") => ptr,
            _ => None,
        };
        other.map_or(Some(line), |other| (!other.is_empty()).then_some(other))
    });
    std::fs::write(path, lines.collect::<Vec<_>>().join("\n") + "\n").expect("mail.yaml");
}

fn set(lab: &Lab, name: &str, rtype: RType, values: &[&str]) {
    let key = RrsetKey::new(Name::parse(name).expect("a name"), rtype);
    lab.world
        .names()
        .set(&Rrset::new(key, Some(600), values))
        .expect("set");
}

fn ptr_name(lab: &Lab) -> String {
    Name::reverse(lab.world.ipv4().into()).to_string()
}

type Records = BTreeMap<(String, String), BTreeSet<String>>;

/// What a person who reads the text is told to add: values by full name and type.
fn told(text: &str) -> Records {
    let mut records = Records::new();
    let mut place = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with("add a ") {
            let mut words = line.split_whitespace();
            let rtype = words.nth(2).expect("a type").to_owned();
            let name = line
                .split_once("(in full ")
                .and_then(|(_, rest)| rest.split_once(')'));
            place = Some((
                name.expect("a name").0.trim_end_matches('.').to_owned(),
                rtype,
            ));
        } else if let (Some(value), Some(place)) = (line.strip_prefix("value "), &place) {
            records
                .entry(place.clone())
                .or_default()
                .insert(value.to_owned());
        } else if let Some(quoted) = line.strip_prefix("where the form wants quotes: ") {
            let parts: Vec<&str> = quoted.split('"').skip(1).step_by(2).collect();
            assert!(parts.iter().all(|part| part.len() <= 255), "{quoted}");
            let known = place
                .as_ref()
                .and_then(|place| records.get(place))
                .expect("its value");
            assert!(
                known.contains(&parts.concat()),
                "the same value, split: {quoted}"
            );
        } else {
            place = None;
        }
    }
    records
}

/// Sets what was told, in the world's zones.
fn obey(lab: &Lab, records: &Records) {
    for ((name, rtype), values) in records {
        let rtype: RType = rtype.parse().expect("a type");
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        set(lab, name, rtype, &values);
    }
}

fn challenges(records: &Records) -> Records {
    let kept = records
        .iter()
        .filter(|((name, _), _)| name.starts_with("_acme-challenge."));
    kept.map(|(place, values)| (place.clone(), values.clone()))
        .collect()
}

fn signing_keys(lab: &Lab) -> String {
    lab.on_server("ls /etc/chasquid/domains/wac.tax/ | grep ^dkim: || true")
}

/// One message to the rest of the world, as it arrives.
fn sent(lab: &Lab, subject: &str) -> Vec<u8> {
    let letter = Letter {
        user: "i@wac.tax",
        password: &lab.password,
        to: "reader@far.example",
        subject,
    };
    let (taken, said) = judges::submit(lab.world.ipv4(), &letter);
    assert!(taken, "{said}");
    let limit = Duration::from_secs(60);
    let arrived = lab
        .world
        .far()
        .wait_for(|m| m.text().contains(subject), limit);
    arrived.expect("it arrives").data
}

pub fn a_person_sets_every_record_and_the_challenges_too() {
    let Some(lab) = Lab::start("everything by hand", Suite::Bookworm) else {
        return;
    };
    write(&lab, DOMAINS, Some("dns: {provider: manual}"), Some(""));
    let plan = lab.run(&["plan", "--json"]).expect(0);
    let document: Value = serde_json::from_str(&plan.out).expect("one document");
    let by_hand: Vec<&str> = document["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .filter(|change| change["by_hand"] == true)
        .filter_map(|change| change["id"].as_str())
        .collect();
    let v4 = lab.world.ipv4();
    for id in [
        format!("ptr {v4}"),
        "rrset wac.tax MX".into(),
        "order smtp.wac.tax".into(),
    ] {
        assert!(by_hand.contains(&id.as_str()), "{id} in {by_hand:?}");
    }
    let plan = lab.run(&["plan"]).expect(0);
    assert!(
        plan.out.contains("by hand: no MX yet: 10 smtp.wac.tax."),
        "{}",
        plan.out
    );

    // Everything else is done, and everything that is left is told.
    let begun = Instant::now();
    let first = lab.run(&["apply", "--yes"]).expect(5);
    assert!(
        begun.elapsed() < Duration::from_secs(240),
        "nobody is waited for"
    );
    let records = told(&first.out);
    let names: BTreeSet<&str> = records.keys().map(|(name, _)| name.as_str()).collect();
    for name in [
        "smtp.wac.tax",
        "wac.tax",
        "_dmarc.wac.tax",
        "_acme-challenge.wac.tax",
        "_acme-challenge.smtp.wac.tax",
        &ptr_name(&lab),
    ] {
        assert!(names.contains(name), "{name} in {names:?}\n{}", first.out);
    }
    let ((selector, _), key) = records
        .iter()
        .find(|((name, _), _)| name.contains("._domainkey."))
        .expect("the key that was just made");
    let public = key
        .iter()
        .next()
        .and_then(|v| v.split_once("p="))
        .expect("a key")
        .1;
    let public = BASE64_STANDARD.decode(public).expect("a whole key");
    let on_server = lab.on_server(
        "openssl pkey -in /var/lib/mailctl/dkim/wac.tax/*.pem -pubout -outform DER | base64 -w0",
    );
    assert_eq!(
        BASE64_STANDARD.encode(public),
        on_server.trim(),
        "{selector}"
    );
    assert_eq!(
        signing_keys(&lab),
        "",
        "nothing is signed before the record can be seen"
    );
    assert!(
        first.out.find("add a MX").expect("MX") > first.out.rfind("add a TXT").expect("TXT"),
        "MX comes last"
    );
    lab.on_server("dpkg-query -W chasquid && test -s /etc/chasquid/domains/wac.tax/users && test -s /etc/chasquid/domains/wac.tax/aliases");

    // Asking again changes nothing, least of all the values.
    let again = lab.run(&["apply", "--yes"]).expect(5);
    assert_eq!(told(&again.out), records, "{}", again.out);
    assert_eq!(challenges(&told(&again.out)).len(), 2);

    // A part of them: the rest is still told.
    let mut some = records.clone();
    some.retain(|(name, rtype), _| !name.starts_with("_acme-challenge.") && rtype != "MX");
    obey(&lab, &some);
    let third = lab.run(&["apply", "--yes"]).expect(5);
    let left = told(&third.out);
    assert!(
        left.keys().all(|place| !some.contains_key(place)),
        "{}",
        third.out
    );
    assert_eq!(challenges(&left), challenges(&records));
    assert_eq!(
        signing_keys(&lab).lines().count(),
        1,
        "its record can be seen"
    );

    // All of them.
    obey(&lab, &records);
    let last = lab.run(&["apply", "--yes"]).expect(0);
    assert!(
        last.out.contains("_acme-challenge.wac.tax") && last.out.contains("may be deleted"),
        "{}",
        last.out
    );
    for (name, _) in challenges(&records).keys() {
        set(&lab, name, RType::Txt, &[]);
    }
    assert!(
        lab.run(&["plan", "--detailed-exitcode"])
            .expect(0)
            .out
            .contains("No changes.")
    );
    let names = lab.world.names().addresses()[0];
    assert_eq!(
        judges::dkim(names, &sent(&lab, "signed at last")),
        ["rsa-sha256 pass"]
    );
    let root = lab.world.authority().issuing_root().to_owned();
    assert!(judges::tls(v4, 465, "any.wac.tax", &root).contains("Verification: OK"));
    assert_eq!(
        lab.on_server("ls /var/lib/mailctl | grep order || true"),
        "",
        "the order is forgotten"
    );

    // Another key waits for its record; what does not need it goes on.
    write(
        &lab,
        &DOMAINS.replace(
            "    forward: {",
            "    dkim: {algorithms: [rsa2048, ed25519]}\n    forward: {new: n@far.example, ",
        ),
        Some("dns: {provider: manual}"),
        Some(""),
    );
    let ran = lab.run(&["apply", "--yes"]).expect(5);
    assert_eq!(told(&ran.out).len(), 1, "{}", ran.out);
    assert_eq!(signing_keys(&lab).lines().count(), 1);
    assert!(
        lab.on_server("chasquid-util -C=/etc/chasquid aliases-resolve new@wac.tax")
            .contains("n@far.example")
    );
    obey(&lab, &told(&ran.out));
    lab.run(&["apply", "--yes"]).expect(0);
    assert_eq!(
        judges::dkim(names, &sent(&lab, "signed twice")),
        ["ed25519-sha256 pass", "rsa-sha256 pass"]
    );
    lab.world.stop().expect("nothing is left");
}

/// Everything that apply could touch, as one text.
fn state(lab: &Lab) -> String {
    let names = lab.world.names().addresses()[0];
    let mut text = lab.on_server("find /etc /var/lib/chasquid/domaininfo /var/lib/mailctl -type f ! -name ledger.json* -exec md5sum {} + | sort");
    for (name, rtype) in [
        ("wac.tax", "MX"),
        ("wac.tax", "TXT"),
        ("smtp.wac.tax", "A"),
        ("_dmarc.wac.tax", "TXT"),
        (&ptr_name(lab), "PTR"),
    ] {
        text.push_str(&format!(
            "{name} {rtype} {:?}\n",
            judges::dig(names, name, rtype)
        ));
    }
    text
}

fn unchanged(lab: &Lab, args: &[&str], code: i32) -> Ran {
    let before = state(lab);
    let ran = lab.run(args).expect(code);
    assert_eq!(state(lab), before, "{args:?} changes nothing");
    ran
}

pub fn values_of_others_are_not_replaced_unasked() {
    let Some(lab) = Lab::start("values of others", Suite::Trixie) else {
        return;
    };
    // The reverse zone is the hoster's, as by default; mail.yaml does not name it.
    write(&lab, DOMAINS, None, Some(""));
    let reverse = ptr_name(&lab);
    set(
        &lab,
        &reverse,
        RType::Ptr,
        &["vmi1234567.contaboserver.net."],
    );
    let first = lab.run(&["apply", "--yes"]).expect(5);
    let records = told(&first.out);
    assert!(
        records.keys().all(|(_, rtype)| rtype == "PTR") && records.len() == 2,
        "{}",
        first.out
    );
    assert!(
        first.out.contains("delete the PTR record")
            && first.out.contains("vmi1234567.contaboserver.net"),
        "{}",
        first.out
    );
    let names = lab.world.names().addresses()[0];
    assert_eq!(
        judges::dkim(names, &sent(&lab, "all but the PTR")),
        ["rsa-sha256 pass"]
    );
    obey(&lab, &records);
    assert!(
        lab.run(&["apply", "--yes"])
            .expect(0)
            .out
            .contains("No changes.")
    );

    // In one's own reverse zone the hoster's default name is nobody's.
    write(&lab, DOMAINS, None, None);
    set(
        &lab,
        &reverse,
        RType::Ptr,
        &["vmi1234567.contaboserver.net."],
    );
    lab.run(&["apply", "--yes"]).expect(0);
    assert_eq!(judges::dig(names, &reverse, "PTR"), ["smtp.wac.tax."]);

    // Each of these is somebody's decision.
    for (name, rtype, value, class) in [
        ("wac.tax", RType::Mx, "5 mx.mailbox.example.", "adopt-mx"),
        ("smtp.wac.tax", RType::A, "192.0.2.9", "adopt-a"),
        (
            "_dmarc.wac.tax",
            RType::Txt,
            "v=DMARC1; p=none; rua=mailto:x@far.example",
            "adopt-dmarc",
        ),
        (&reverse, RType::Ptr, "mail.somebody.example.", "adopt-ptr"),
    ] {
        let before = judges::dig(names, name, rtype.as_str());
        set(&lab, name, rtype, &[value]);
        let plan = lab.run(&["plan"]).expect(0);
        assert!(
            plan.out.contains(&format!("--allow {class}")),
            "{}",
            plan.out
        );
        let ran = unchanged(&lab, &["apply", "--yes"], 4);
        assert!(
            ran.err.contains(name.trim_end_matches(".in-addr.arpa")) || class == "adopt-ptr",
            "{}",
            ran.err
        );
        assert!(ran.err.contains(&format!("--allow {class}")), "{}", ran.err);
        let other = if class == "adopt-mx" {
            "adopt-a"
        } else {
            "adopt-mx"
        };
        unchanged(&lab, &["apply", "--yes", "--allow", other], 4);
        lab.run(&["apply", "--yes", "--allow", class]).expect(0);
        assert_eq!(
            judges::dig(names, name, rtype.as_str()),
            before,
            "{name} is ours again"
        );
    }

    // Two SPF records: neither is chosen, both are shown.
    let spf = txt(names, "wac.tax");
    set(
        &lab,
        "wac.tax",
        RType::Txt,
        &[&spf[0], "v=spf1 include:_spf.far.example -all"],
    );
    let plan = lab.run(&["plan"]).expect(1);
    assert!(
        plan.out.contains(&spf[0]) && plan.out.contains("include:_spf.far.example"),
        "{}",
        plan.out
    );
    let ran = unchanged(&lab, &["apply", "--yes"], 1);
    assert!(
        ran.err.contains(&spf[0]) && ran.err.contains("nothing was changed"),
        "{}",
        ran.err
    );
    set(&lab, "wac.tax", RType::Txt, &[&spf[0]]);

    // A plan that was kept is of one world only.
    write(
        &lab,
        &DOMAINS.replace("i.wac.tax@gmail.com", "other@gmail.com"),
        None,
        None,
    );
    lab.run(&["plan", "--out", "kept.plan"]).expect(0);
    set(&lab, "_dmarc.wac.tax", RType::Txt, &[]);
    let ran = unchanged(&lab, &["apply", "kept.plan"], 1);
    assert!(
        ran.err.contains("stale") && ran.err.contains("nothing was changed"),
        "{}",
        ran.err
    );
    lab.run(&["apply", "--yes"]).expect(0);

    // What was taken away on the server comes back; what was added there stays.
    lab.on_server(
        "chasquid-util -C=/etc/chasquid user-remove i@wac.tax; chown root:chasquid /etc/chasquid/domains/wac.tax/users; chmod 640 /etc/chasquid/domains/wac.tax/users; \
         printf '# by hand\nhand: by.hand@far.example\n' >> /etc/chasquid/domains/wac.tax/aliases",
    );
    write(
        &lab,
        &DOMAINS.replace("forward: {", "forward: {more: more@gmail.com, "),
        None,
        None,
    );
    let plan = lab.run(&["plan"]).expect(0);
    assert!(
        plan.out.contains("users wac.tax") && plan.out.contains("i: new"),
        "{}",
        plan.out
    );
    lab.run(&["apply", "--yes"]).expect(0);
    sent(&lab, "the account is back");
    let aliases = lab.on_server("cat /etc/chasquid/domains/wac.tax/aliases");
    for line in [
        "# by hand",
        "hand: by.hand@far.example",
        "more: more@gmail.com",
        "i: i.wac.tax@gmail.com",
    ] {
        assert!(aliases.lines().any(|l| l == line), "{line} in {aliases}");
    }

    // A domain comes and goes: mail first goes elsewhere, then its records go.
    write(
        &lab,
        &format!("{DOMAINS}  second.example:\n    forward: {{\"*\": c@far.example}}\n"),
        None,
        None,
    );
    lab.run(&["apply", "--yes"]).expect(0);
    write(&lab, DOMAINS, None, None);
    let ran = lab.run(&["apply", "--yes", "--json"]).expect(0);
    let done: Vec<String> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter(|event| event["event"] == "change_done")
        .filter_map(|event| event["id"].as_str().map(str::to_owned))
        .collect();
    let at = |id: &str| {
        done.iter()
            .position(|d| d == id)
            .unwrap_or_else(|| panic!("{id} in {done:?}"))
    };
    let order = [
        "rrset second.example MX",
        "domain second.example",
        "service chasquid",
        "rrset _dmarc.second.example TXT",
    ];
    assert!(order.map(at).is_sorted(), "{done:?}");
    assert_eq!(txt(names, "second.example"), Vec::<String>::new());
    assert!(
        lab.run(&["plan", "--detailed-exitcode"])
            .expect(0)
            .out
            .contains("No changes.")
    );
    lab.world.stop().expect("nothing is left");
}

/// Somebody publishes a policy of their own while apply is at work: what the
/// first plan did not show is not undone.
pub fn what_becomes_dangerous_meanwhile_stops_the_next_pass() {
    let Some(lab) = Lab::start("meanwhile", Suite::Bookworm) else {
        return;
    };
    lab.write(DOMAINS);
    lab.converges();
    let theirs = "v=DMARC1; p=none; rua=mailto:them@other.example";
    // chasquid's start waits for them.
    lab.on_server(
        "mkdir /etc/systemd/system/chasquid.service.d
         printf '[Service]\\nExecStartPost=+/bin/sh -c \"touch /root/begun; until [ -e /root/seen ]; do sleep 0.1; done\"\\n' \
             >/etc/systemd/system/chasquid.service.d/somebody.conf
         systemctl daemon-reload; echo '# drifted' >>/etc/chasquid/chasquid.conf",
    );
    let ran = thread::scope(|scope| {
        let applied = scope.spawn(|| lab.run(&["apply", "--yes"]));
        until("chasquid starts", || {
            lab.on_server("ls /root").contains("begun")
        });
        set(&lab, "_dmarc.wac.tax", RType::Txt, &[theirs]);
        lab.on_server("touch /root/seen");
        applied.join().expect("it ends").expect(6)
    });
    ran.says(&[
        "file /etc/chasquid/chasquid.conf",
        "rrset _dmarc.wac.tax TXT is dangerous (adopt-dmarc)",
        "--allow adopt-dmarc",
    ]);
    assert_eq!(lab.dig("_dmarc.wac.tax", "TXT"), [format!("\"{theirs}\"")]);
    // Looked at and allowed, it is as mail.yaml says.
    lab.run(&["apply", "--yes"]).expect(4);
    lab.run(&["apply", "--yes", "--allow", "adopt-dmarc"])
        .expect(0);
    lab.world.stop().expect("nothing is left");
}

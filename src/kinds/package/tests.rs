use super::*;
use crate::observe::Answer;

fn wish(origin: Origin) -> Packages {
    Packages {
        main: "chasquid",
        at_least: "1.19",
        reason: "older ones are unsafe",
        origin,
        others: vec!["fail2ban".into(), "nftables".into()],
        needs: Vec::new(),
    }
}

const OURS: Origin = Origin::Source("mailctl-chasquid.sources");

fn diff(wish: &Packages, installed: &str, policy: &str) -> Result<Option<Change>, Blocked> {
    let shell = |out: &str| Answer::Shell {
        code: 0,
        out: out.into(),
        err: String::new(),
    };
    let mut seen = Seen::new();
    seen.put(Probe::Shell(wish.installed()), shell(installed));
    seen.put(Probe::Shell(wish.candidate()), shell(policy));
    Ok(wish.diff(&seen, &Plan::default())?.pop())
}

const ALL: &str = "ii chasquid 1.19.0-1\nii fail2ban 1.0.2-2\nii nftables 1.0.6-2+deb12u2\n";

#[test]
fn what_is_there_is_kept_also_when_newer() {
    assert!(diff(&wish(OURS), ALL, "").expect("decided").is_none());
    assert!(
        diff(&wish(OURS), &ALL.replace("1.19.0-1", "1.20.1-1"), "")
            .expect("decided")
            .is_none()
    );
}

#[test]
fn what_is_missing_is_installed_in_one_run() {
    let change = diff(&wish(OURS), "", "")
        .expect("decided")
        .expect("a change");
    assert_eq!(change.sign, Sign::Create);
    assert_eq!(
        change.why,
        "chasquid is not installed; fail2ban, nftables are not installed"
    );
    let Action::Script(script) = &change.action else {
        panic!("a script")
    };
    assert!(
        script
            .text
            .contains("names='chasquid fail2ban nftables' source='mailctl-chasquid.sources'")
    );
    assert!(script.text.contains("others=yes"));
}

#[test]
fn an_older_chasquid_is_an_upgrade_that_restarts_it() {
    let old = ALL.replace("1.19.0-1", "1.15.0-1+b4");
    let change = diff(&wish(OURS), &old, "")
        .expect("decided")
        .expect("a change");
    assert_eq!(change.sign, Sign::Update);
    assert_eq!(
        change.why,
        "chasquid 1.15.0-1+b4 is older than 1.19: older ones are unsafe"
    );
    let plan = Plan {
        changes: vec![change],
        ..Plan::default()
    };
    assert!(touches(&plan, "chasquid") && !touches(&plan, "fail2ban"));
}

#[test]
fn half_removed_is_not_installed() {
    let removed = ALL.replace("ii fail2ban", "rc fail2ban");
    let change = diff(&wish(OURS), &removed, "")
        .expect("decided")
        .expect("a change");
    assert_eq!(change.why, "fail2ban is not installed");
    let Action::Script(script) = &change.action else {
        panic!("a script")
    };
    assert!(
        script.text.contains("names='fail2ban' source='' "),
        "no index of ours is fetched for it"
    );
}

#[test]
fn an_old_package_of_the_distribution_blocks_with_the_reason() {
    let wish = wish(Origin::Distribution);
    let policy = "chasquid:\n  Installed: (none)\n  Candidate: 1.15.0-1+b4\n";
    let blocked = diff(&wish, "", policy).expect_err("too old");
    assert_eq!(
        blocked.why,
        "the distribution has chasquid 1.15.0-1+b4, but 1.19 or newer is needed: older ones are unsafe"
    );
    let policy = policy.replace("1.15.0-1+b4", "1.19.2-1");
    assert!(diff(&wish, "", &policy).expect("decided").is_some());
    assert!(
        diff(&wish, "", "").expect("decided").is_some(),
        "without lists the deed finds out"
    );
    assert!(wish.diff(&Seen::new(), &Plan::default()).is_err());
}

#[test]
fn a_package_file_is_fetched_with_its_hash() {
    let deb = Origin::Deb {
        url: "https://example.org/c.deb".into(),
        sha256: "ab".repeat(32),
    };
    let change = diff(
        &wish(deb),
        ALL.split_once('\n').map_or("", |(_, rest)| rest),
        "",
    )
    .expect("decided");
    let Action::Script(script) = &change.expect("a change").action else {
        panic!("a script")
    };
    assert!(
        script
            .text
            .contains("names='' source='' deb='https://example.org/c.deb' sha256='abab")
    );
}

use super::*;
use crate::remote::Held;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A server in a few words: what each script finds, and from which connection on it can be reached.
struct Fake {
    looks: Arc<Mutex<Vec<&'static str>>>,
    kept: Arc<AtomicUsize>,
    reachable: Arc<dyn Fn() -> bool + Send + Sync>,
    refuses: bool,
}

impl Fake {
    fn new(looks: &[&'static str], reachable: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self {
            looks: Arc::new(Mutex::new(looks.to_vec())),
            kept: Arc::default(),
            reachable: Arc::new(reachable),
            refuses: false,
        }
    }
}

impl Remote for Fake {
    fn run(&self, script: &Script) -> Result<Output> {
        let answer = |code: i32, out: &str, err: &str| {
            Ok(Output {
                code,
                out: out.into(),
                err: err.into(),
            })
        };
        if script.text.contains(SWITCH) && self.refuses {
            return answer(
                1,
                "",
                "netplan refuses the new network; the old one stays: line 5",
            );
        }
        if script.text.contains(LOOK) {
            let mut looks = self.looks.lock().expect("looks");
            let look = if looks.len() > 1 {
                looks.remove(0)
            } else {
                looks[0]
            };
            return match look.strip_prefix("fail ") {
                Some(why) => answer(1, "", why),
                None => answer(0, look, ""),
            };
        }
        if script.text.contains(KEEP) {
            self.kept.fetch_add(1, Ordering::SeqCst);
        }
        answer(0, "", "")
    }

    fn hold(&self, _: &Script) -> Result<Box<dyn Held>> {
        Err(Failure::new("a switch holds nothing"))
    }

    fn again(&self) -> Result<Box<dyn Remote>> {
        if !(self.reachable)() {
            return Err(Failure::new("no route to host"));
        }
        let (looks, kept, reachable) = (
            self.looks.clone(),
            self.kept.clone(),
            self.reachable.clone(),
        );
        Ok(Box::new(Self {
            looks,
            kept,
            reachable,
            refuses: self.refuses,
        }))
    }

    fn place(&self) -> String {
        "the fake".into()
    }
}

fn switch(seconds: f64) -> Switch {
    Switch {
        content: Some("network: {}\n".into()),
        revert_after: Duration::from_secs_f64(seconds),
        ..Switch::default()
    }
}

#[test]
fn kept_by_a_connection_from_after_the_switch() {
    let fake = Fake::new(&["applying\n", "unready dad\n", "ready\n"], || true);
    switch(60.0).act(&fake, &|_| (), &|| ()).expect("confirmed");
    assert_eq!(fake.kept.load(Ordering::SeqCst), 1);
}

#[test]
fn others_may_go_on_once_netplan_has_finished_and_not_before() {
    let fake = Fake::new(
        &["applying\n", "applying\n", "unready dad\n", "ready\n"],
        || true,
    );
    let (looks, left) = (fake.looks.clone(), Mutex::new(Vec::new()));
    let applied = || {
        let mut left = left.lock().expect("left");
        left.push(looks.lock().expect("looks").len());
    };
    switch(60.0)
        .act(&fake, &|_| (), &applied)
        .expect("confirmed");
    // Told once, at the look that found the address still being checked.
    assert_eq!(*left.lock().expect("left"), [1]);
}

#[test]
fn not_kept_when_nobody_gets_through() {
    let begun = Instant::now();
    let fake = Fake::new(&["ready\n"], move || {
        begun.elapsed() > Duration::from_millis(1200)
    });
    let failure = switch(1.0)
        .act(&fake, &|_| (), &|| ())
        .expect_err("unreachable");
    assert!(
        failure
            .chain()
            .contains("went unreachable with the new network"),
        "{failure:?}"
    );
    assert!(
        failure
            .advice()
            .expect("advice")
            .starts_with("the old network is back")
    );
    assert_eq!(fake.kept.load(Ordering::SeqCst), 0);
}

#[test]
fn what_netplan_says_is_told() {
    let fake = Fake {
        refuses: true,
        ..Fake::new(&["ready\n"], || true)
    };
    let failure = switch(60.0)
        .act(&fake, &|_| (), &|| ())
        .expect_err("refused");
    assert!(
        failure.chain().contains("the old one stays: line 5"),
        "{failure:?}"
    );
    let fake = Fake::new(
        &["applying\n", "fail fd77::2 is in use by another host"],
        || true,
    );
    let failure = switch(60.0)
        .act(&fake, &|_| (), &|| ())
        .expect_err("duplicate");
    assert!(
        failure.chain().contains("in use by another host"),
        "{failure:?}"
    );
}

#[test]
fn an_address_that_does_not_come_up_is_named() {
    let fake = Fake::new(&["unready eth0 does not have fd77::2/64\n"], || true);
    let failure = switch(1.0)
        .act(&fake, &|_| (), &|| ())
        .expect_err("no address");
    assert!(
        failure.chain().starts_with("eth0 does not have fd77::2/64"),
        "{failure:?}"
    );
}

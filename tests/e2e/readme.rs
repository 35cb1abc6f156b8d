//! README's look from outside and its test mail, as they come out: `UPDATE=1`
//! writes README's blocks anew.

use std::thread;
use std::time::Duration;

use mailctl::record::{Name, RType, Rrset, RrsetKey};
use mailctl::rehearse::base::Suite;

use crate::lab::Lab;
use crate::rehearse::shows;

const DOMAINS: &str = r#"  wac.tax:
    users: {i: {password: env:E2E_MAIL_PASSWORD}}
    forward: {"*": i.wac.tax@gmail.com}
"#;

pub fn a_missing_ptr_and_a_test_as_readme_shows() {
    let Some(lab) = Lab::start("readme", Suite::Bookworm) else {
        return;
    };
    lab.write_with(DOMAINS, "check: {far: far.mailctl-lab.test}\n");
    lab.run(&["apply", "--yes", "--no-check"]).expect(0);

    let reverse = RrsetKey::new(Name::reverse(lab.world.ipv6().into()), RType::Ptr);
    let names = lab.world.names();
    names.set(&Rrset::absent(reverse)).expect("unset");
    // The lab's resolver remembers for a second.
    thread::sleep(Duration::from_millis(1200));
    let check = ["check", "--only", "host"];
    shows("text check", &lab.run(&check).expect(1).out);

    lab.converges();
    thread::sleep(Duration::from_millis(1200));
    shows("text test", &lab.run(&["test"]).expect(0).out);
    lab.world.stop().expect("nothing is left");
}

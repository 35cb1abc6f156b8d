//! The keys that the server signs with, which only a login tells.

use std::collections::BTreeMap;

use crate::failure::{Failure, Result};
use crate::kinds::dkim::{PROBE, keys};
use crate::observe::{Answer, Seen};
use crate::record::Name;
use crate::remote::{Remote, Script};
use crate::resource::Probe;

/// A selector, and the record that its key wants.
pub type Signing = (String, String);

/// The keys that chasquid signs with for each of `domains`, in one look; a
/// domain without keys has none. Only public halves are read.
///
/// # Errors
/// When the server cannot be asked, and when it has a file that is no key.
pub fn signing_keys(remote: &dyn Remote, domains: &[Name]) -> Result<BTreeMap<Name, Vec<Signing>>> {
    let output = remote.run(&Script::new(PROBE))?;
    let mut seen = Seen::new();
    let answer = Answer::Shell {
        code: output.code,
        out: output.text(),
        err: output.complaint(),
    };
    seen.put(Probe::Shell(PROBE.to_owned()), answer);
    let mut found = keys(&seen).map_err(|blocked| {
        let failure = Failure::new(format!("the DKIM keys on the server: {}", blocked.why));
        match blocked.fix {
            Some(fix) => failure.hint(fix),
            None => failure,
        }
    })?;
    let mut of = |domain: &Name| {
        let keys = found.remove(domain.as_str()).unwrap_or_default();
        let signing = keys.into_iter().filter(|key| key.signing);
        signing.map(|key| (key.selector, key.record)).collect()
    };
    Ok(domains
        .iter()
        .map(|domain| (domain.clone(), of(domain)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::{Held, Output};

    const ED25519: &str = "MCowBQYDK2VwAyEAKJE6FbRYE5QAShmo7ioo5d1ZKsTRt7ODMmpC3cEHPN0=";

    /// A server that answers every script with this.
    struct Says(i32, String);

    impl Remote for Says {
        fn run(&self, script: &Script) -> Result<Output> {
            assert_eq!(script.text, PROBE, "it is only looked at");
            Ok(Output {
                code: self.0,
                out: self.1.clone().into_bytes(),
                err: b"sh: openssl: not found".to_vec(),
            })
        }

        fn hold(&self, _: &Script) -> Result<Box<dyn Held>> {
            Err(Failure::new("nothing is held here"))
        }

        fn again(&self) -> Result<Box<dyn Remote>> {
            Err(Failure::new("there is one connection"))
        }

        fn place(&self) -> String {
            "here".into()
        }
    }

    #[test]
    fn keys_that_sign_are_learnt_for_each_domain() {
        let domains = ["a.test", "b.test"].map(|name| Name::parse(name).expect("a name"));
        let server = Says(
            0,
            format!(
                "/etc/chasquid/domains/a.test/dkim:s1.pem {ED25519}\n\
                 /var/lib/mailctl/dkim/a.test/s2.pem {ED25519}\n\
                 /etc/chasquid/domains/c.test/dkim:s3.pem {ED25519}\n"
            ),
        );
        let keys = signing_keys(&server, &domains).expect("learnt");
        let [a, b] = domains.map(|domain| keys[&domain].clone());
        assert_eq!(a.len(), 1, "the key that waits does not sign");
        assert_eq!(a[0].0, "s1");
        assert!(a[0].1.starts_with("v=DKIM1; k=ed25519; p="));
        assert_eq!(b, []);
    }

    #[test]
    fn what_cannot_be_learnt_is_no_absence() {
        let domain = [Name::parse("a.test").expect("a name")];
        let failed = signing_keys(&Says(127, String::new()), &domain).expect_err("it fails");
        assert!(failed.chain().contains("not found"), "{failed:?}");
        let broken = Says(0, "/etc/chasquid/domains/a.test/dkim:s1.pem \n".into());
        let broken = signing_keys(&broken, &domain).expect_err("no key");
        assert!(
            broken.advice().is_some() && broken.chain().contains("dkim:s1.pem"),
            "{broken:?}"
        );
    }
}

//! DKIM keys on the server: made here, kept there, never on this machine's disk.
//!
//! A new key waits in [`PREPARED`] until its record is visible; only then is
//! it moved to where chasquid signs with it.

use std::collections::BTreeMap;

use serde_json::json;

use crate::config::DkimAlgorithm;
use crate::dkim::{self, DkimKey};
use crate::failure::{Context, Result};
use crate::ledger::{Edit, Made};
use crate::observe::{Seen, quote};
use crate::plan::Plan;
use crate::record::Name;
use crate::remote::{Remote, Script};
use crate::resource::{Action, Blocked, Change, Probe, Resource, Sign};

/// Where keys wait for their record, a directory a domain.
pub const PREPARED: &str = "/var/lib/mailctl/dkim";

/// Lists every key with its public half; the private one is not read.
pub const PROBE: &str = r#"for f in /etc/chasquid/domains/*/dkim:*.pem /var/lib/mailctl/dkim/*/*.pem; do
[ -f "$f" ] || continue
printf '%s ' "$f"; openssl pkey -in "$f" -pubout -outform DER 2>/dev/null | base64 -w0; echo
done"#;

/// A key that is on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its selector (RFC 6376 section 3.1).
    pub selector: String,
    /// Its algorithm.
    pub algorithm: DkimAlgorithm,
    /// The value of its TXT record.
    pub record: String,
    /// Whether chasquid signs with it.
    pub signing: bool,
}

/// All keys by domain.
///
/// # Errors
/// When they could not be looked at, or one of them is no key that chasquid can read.
pub fn keys(seen: &Seen) -> Result<BTreeMap<String, Vec<Key>>, Blocked> {
    let mut keys: BTreeMap<String, Vec<Key>> = BTreeMap::new();
    for line in seen.shell(PROBE)?.lines() {
        let Some((path, spki)) = line.rsplit_once(' ') else {
            continue;
        };
        let broken = || {
            Blocked::new(format!("{path} on the server is no private key that openssl can read"))
                .fix("move it away, or convert it with `openssl pkcs8 -topk8 -nocrypt`; mailctl makes a new one then")
        };
        let der = crate::kinds::decode(spki)
            .filter(|d| !d.is_empty())
            .ok_or_else(broken)?;
        let record = dkim::record_of_spki(&der).map_err(|_| broken())?;
        let Some((domain, selector, signing)) = place(path) else {
            continue;
        };
        let algorithm = if record.contains("k=ed25519") {
            DkimAlgorithm::Ed25519
        } else {
            DkimAlgorithm::Rsa2048
        };
        keys.entry(domain).or_default().push(Key {
            selector,
            algorithm,
            record,
            signing,
        });
    }
    Ok(keys)
}

fn place(path: &str) -> Option<(String, String, bool)> {
    if let Some(rest) = path.strip_prefix("/etc/chasquid/domains/") {
        let (domain, file) = rest.split_once('/')?;
        let selector = file.strip_prefix("dkim:")?.strip_suffix(".pem")?;
        return Some((domain.to_owned(), selector.to_owned(), true));
    }
    let (domain, file) = path
        .strip_prefix(PREPARED)?
        .strip_prefix('/')?
        .split_once('/')?;
    Some((
        domain.to_owned(),
        file.strip_suffix(".pem")?.to_owned(),
        false,
    ))
}

/// The id of a key.
pub fn key_id(domain: &Name, selector: &str) -> String {
    format!("dkim {domain} {selector}")
}

/// A key that must exist.
#[derive(Clone, Debug)]
pub struct KeyWish {
    /// For which domain.
    pub domain: Name,
    /// The selector it gets if it has to be made.
    pub selector: String,
    /// Its algorithm.
    pub algorithm: DkimAlgorithm,
}

impl Resource for KeyWish {
    fn id(&self) -> String {
        key_id(&self.domain, &self.selector)
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::Shell(PROBE.to_owned())]
    }

    fn diff(&self, seen: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        let keys = keys(seen)?;
        let of_domain = keys.get(self.domain.as_str());
        if of_domain.is_some_and(|keys| keys.iter().any(|k| k.algorithm == self.algorithm)) {
            return Ok(Vec::new());
        }
        let name = match self.algorithm {
            DkimAlgorithm::Rsa2048 => "rsa2048",
            DkimAlgorithm::Ed25519 => "ed25519",
        };
        let make = Make {
            domain: self.domain.clone(),
            selector: self.selector.clone(),
            algorithm: self.algorithm,
        };
        let made = Made::Dkim(format!("{} {}", self.domain, self.selector));
        let mut change = Change::new(
            self.id(),
            Sign::Create,
            format!("no {name} key yet"),
            Action::DkimKey(make),
        )
        .after(json!({"algorithm": name, "selector": self.selector}))
        .ledger([Edit::Add(made)]);
        change.sensitive.push("private key".into());
        Ok(vec![change])
    }
}

/// The deed: make a key and store it on the server, not signing yet.
#[derive(Clone, Debug)]
pub struct Make {
    domain: Name,
    selector: String,
    algorithm: DkimAlgorithm,
}

impl Make {
    /// Makes the key, which takes a while for RSA.
    ///
    /// # Errors
    /// When the generator fails.
    pub fn key(&self) -> Result<DkimKey> {
        dkim::generate(self.algorithm, &mut rsa::rand_core::OsRng)
            .context("making a DKIM key failed")
    }

    /// Stores the key on the server.
    ///
    /// # Errors
    /// When the server refuses to store it.
    pub fn store(&self, remote: &dyn Remote, key: &DkimKey) -> Result<()> {
        let directory = format!("{PREPARED}/{}", self.domain);
        let path = format!("{directory}/{}.pem", self.selector);
        let text = format!(
            "set -e; umask 077; mkdir -p {dir}; [ ! -e {path} ] || {{ echo {path} is already there >&2; exit 1; }}\n\
             {write} > {path}.new; ! command -v openssl >/dev/null || openssl pkey -noout -in {path}.new; sync {path}.new; mv {path}.new {path}",
            dir = quote(&directory),
            path = quote(&path),
            write = crate::kinds::print(key.pkcs8_pem.expose().as_bytes()),
        );
        let output = remote.run(&Script::new(text))?;
        if output.code != 0 {
            return Err(output.failure(
                format!(
                    "the DKIM key of {} could not be stored on the server",
                    self.domain
                ),
                "mend it, then run `mailctl apply` again: it goes on from here",
            ));
        }
        Ok(())
    }
}

/// chasquid signs with a key, once the world can see its record.
#[derive(Clone, Debug)]
pub struct SigningWish {
    /// For which domain.
    pub domain: Name,
    /// Which key.
    pub selector: String,
    /// The id of the record that must be visible before.
    pub record_id: String,
}

impl Resource for SigningWish {
    fn id(&self) -> String {
        format!("signing {} {}", self.domain, self.selector)
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::Shell(PROBE.to_owned())]
    }

    fn diff(&self, seen: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        let keys = keys(seen)?;
        let mut of_domain = keys.get(self.domain.as_str()).into_iter().flatten();
        if of_domain.any(|k| k.selector == self.selector && k.signing) {
            return Ok(Vec::new());
        }
        let from = format!("{PREPARED}/{}/{}.pem", self.domain, self.selector);
        let to = format!(
            "/etc/chasquid/domains/{}/dkim:{}.pem",
            self.domain, self.selector
        );
        let text = format!(
            "set -e; cp {from} {to}.new; chown root:chasquid {to}.new; chmod 640 {to}.new\n{mark}\nmv {to}.new {to}; rm -f {from}",
            from = quote(&from),
            to = quote(&to),
            mark = crate::kinds::RESTART_DUE,
        );
        let change = Change::new(
            self.id(),
            Sign::Create,
            "chasquid signs with it once its record is visible everywhere",
            Action::Script(Script::new(text)),
        )
        .after(to)
        .needs([self.record_id.clone(), key_id(&self.domain, &self.selector)]);
        Ok(vec![change])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::testing::{Recorder, diff, failed, shell};

    const ED25519: &str = "MCowBQYDK2VwAyEAKJE6FbRYE5QAShmo7ioo5d1ZKsTRt7ODMmpC3cEHPN0=";
    const SIGNS: &str = "/etc/chasquid/domains/wac.tax/dkim:s1.pem";
    const WAITS: &str = "/var/lib/mailctl/dkim/wac.tax/s1.pem";

    fn key(algorithm: DkimAlgorithm) -> KeyWish {
        KeyWish {
            domain: Name::parse("wac.tax").expect("name"),
            selector: "s1".into(),
            algorithm,
        }
    }

    fn signing() -> SigningWish {
        SigningWish {
            domain: Name::parse("wac.tax").expect("name"),
            selector: "s1".into(),
            record_id: "rrset s1._domainkey.wac.tax TXT".into(),
        }
    }

    #[test]
    fn keys_are_found_where_they_wait_and_where_they_sign() {
        assert_eq!(place(SIGNS), Some(("wac.tax".into(), "s1".into(), true)));
        assert_eq!(place(WAITS), Some(("wac.tax".into(), "s1".into(), false)));
        assert_eq!(place("/etc/chasquid/domains/wac.tax/users"), None);
    }

    #[test]
    fn a_key_of_the_algorithm_will_do_wherever_it_lies() {
        for path in [SIGNS, WAITS] {
            let seen = shell(&format!("{path} {ED25519}\n"));
            let change = diff(&key(DkimAlgorithm::Ed25519), [seen.clone()]);
            assert!(change.expect("decided").is_none());
            let change = diff(&key(DkimAlgorithm::Rsa2048), [seen]).expect("decided");
            assert_eq!(change.expect("a change").why, "no rsa2048 key yet");
        }
        let other = shell(&format!(
            "/etc/chasquid/domains/b.example/dkim:s1.pem {ED25519}\n"
        ));
        let change = diff(&key(DkimAlgorithm::Ed25519), [other]).expect("decided");
        assert!(change.is_some(), "the key of another domain");
    }

    #[test]
    fn absent_is_made_and_its_selector_listed() {
        let change = diff(&key(DkimAlgorithm::Ed25519), [shell("")]);
        let change = change.expect("decided").expect("a change");
        assert_eq!(change.id, "dkim wac.tax s1");
        assert_eq!(change.sensitive, ["private key"]);
        assert_eq!(change.ledger, [Edit::Add(Made::Dkim("wac.tax s1".into()))]);
        let Action::DkimKey(make) = &change.action else {
            panic!("a key")
        };
        let server = Recorder::default();
        let key = make.key().expect("made");
        make.store(&server, &key).expect("stored");
        assert!(key.record.starts_with("v=DKIM1; k=ed25519; p="));
        let pem = server.file();
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----"), "PKCS#8");
        assert!(server.script().contains(WAITS) && !server.script().contains("/etc/chasquid"));
    }

    #[test]
    fn signing_waits_for_the_record() {
        let change = diff(&signing(), [shell(&format!("{WAITS} {ED25519}\n"))]);
        let change = change.expect("decided").expect("a change");
        let needs = ["rrset s1._domainkey.wac.tax TXT", "dkim wac.tax s1"];
        assert_eq!(change.needs, needs);
        let change = diff(&signing(), [shell(&format!("{SIGNS} {ED25519}\n"))]);
        assert!(change.expect("decided").is_none(), "it signs already");
    }

    #[test]
    fn what_could_not_be_seen_is_not_absent() {
        let wishes: [&dyn Resource; 2] = [&key(DkimAlgorithm::Ed25519), &signing()];
        for wish in wishes {
            assert!(diff(wish, wish.probes().into_iter().map(failed)).is_err());
            assert!(diff(wish, []).is_err(), "not looked at");
            for unreadable in ["", "AAAA", "no base64!"] {
                let seen = shell(&format!("{SIGNS} {unreadable}\n"));
                let blocked = diff(wish, [seen]).expect_err(unreadable);
                assert!(blocked.why.starts_with(SIGNS), "{}", blocked.why);
            }
        }
    }
}

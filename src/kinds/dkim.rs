//! DKIM keys on the server: made here, kept there, never on this machine's disk.
//!
//! A new key waits in [`PREPARED`] until its record is visible; only then is
//! it moved to where chasquid signs with it.

use std::collections::BTreeMap;

use serde_json::json;

use crate::config::DkimAlgorithm;
use crate::dkim::{self, DkimKey};
use crate::failure::{Context, Failure, Result};
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
            return Err(Failure::new(format!(
                "the DKIM key of {} could not be stored on the server: {}",
                self.domain,
                output.complaint()
            )));
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
            "its record is visible everywhere before",
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
    use crate::observe::Answer;

    #[test]
    fn keys_are_found_where_they_wait_and_where_they_sign() {
        assert_eq!(
            place("/etc/chasquid/domains/wac.tax/dkim:s1.pem"),
            Some(("wac.tax".into(), "s1".into(), true))
        );
        assert_eq!(
            place("/var/lib/mailctl/dkim/wac.tax/s2.pem"),
            Some(("wac.tax".into(), "s2".into(), false))
        );
    }

    #[test]
    fn an_unreadable_key_blocks() {
        let mut seen = Seen::new();
        let out = "/etc/chasquid/domains/wac.tax/dkim:s1.pem \n".to_owned();
        seen.put(
            Probe::Shell(PROBE.into()),
            Answer::Shell {
                code: 0,
                out,
                err: String::new(),
            },
        );
        let wish = KeyWish {
            domain: Name::parse("wac.tax").expect("name"),
            selector: "s2".into(),
            algorithm: DkimAlgorithm::Rsa2048,
        };
        assert!(wish.diff(&seen, &Plan::default()).is_err());
    }
}

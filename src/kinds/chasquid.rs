//! Files of a chasquid domain, switched in only after chasquid's own tool has
//! accepted them: a bad users or aliases file ends a running chasquid.

use crate::kinds::file::Write;
use crate::kinds::shell::{PRELUDE, sha256};
use crate::ledger::{Edit, Made};
use crate::observe::{Seen, quote};
use crate::plan::Plan;
use crate::record::Name;
use crate::remote::Script;
use crate::resource::{Action, Blocked, Change, Probe, Resource, Sign};

/// The directory of a domain.
pub fn directory(domain: &Name) -> String {
    format!("/etc/chasquid/domains/{domain}")
}

const STAGED: &str = include_str!("../../templates/staged.sh");

/// A script that replaces `file` of a domain by `content`: it must still be
/// `seen`, and chasquid must start with the new one in a copy of its configuration.
pub fn switch_in(domain: &Name, file: &str, content: &[u8], seen: Option<&[u8]>) -> Script {
    let path = format!("{}/{file}", directory(domain));
    let hash = seen.map(sha256);
    let check = format!("staged {} {} {{}}", quote(domain.as_str()), quote(file));
    let write = Write {
        path: &path,
        content,
        owner: "root:chasquid",
        mode: 0o640,
        seen: hash.as_deref(),
        conffile: false,
        validate: Some(&check),
    };
    Script::new(format!("{PRELUDE}{STAGED}{}", write.fragment()))
}

/// A mail domain that chasquid must know.
#[derive(Clone, Debug)]
pub struct DomainWish {
    /// Its name.
    pub domain: Name,
}

/// The id of a domain.
pub fn domain_id(domain: &Name) -> String {
    format!("domain {domain}")
}

fn domain_probe(domain: &Name) -> String {
    format!(
        "stat -c '%F %U:%G %a' {0} 2>/dev/null || echo absent",
        quote(&directory(domain))
    )
}

impl Resource for DomainWish {
    fn id(&self) -> String {
        domain_id(&self.domain)
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::Shell(domain_probe(&self.domain))]
    }

    fn diff(&self, seen: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        let seen = seen.shell(&domain_probe(&self.domain))?.trim();
        let (sign, why) = match seen {
            "directory root:chasquid 750" => return Ok(Vec::new()),
            "absent" => (Sign::Create, "chasquid does not know it".to_owned()),
            other => (
                Sign::Update,
                format!("chasquid must be able to read it, and only chasquid: it is {other}"),
            ),
        };
        let dir = directory(&self.domain);
        let text = format!(
            "set -e; umask 027; {mark}\nmkdir -p {dir}; chgrp chasquid {dir} /etc/chasquid/domains; chmod 750 {dir}",
            dir = quote(&dir),
            mark = crate::kinds::RESTART_DUE
        );
        let change = Change::new(self.id(), sign, why, Action::Script(Script::new(text)))
            .after(dir)
            .ledger(
                (sign == Sign::Create).then(|| Edit::Add(Made::Domain(self.domain.to_string()))),
            );
        Ok(vec![change])
    }
}

/// A mail domain that left mail.yaml; its files are kept in an attic.
#[derive(Clone, Debug)]
pub struct DomainGone {
    /// Its name.
    pub domain: Name,
    /// What the ledger lists of it.
    pub made: Vec<Made>,
    /// Ids that must be done before: mail stops coming before the domain goes.
    pub needs: Vec<String>,
}

impl Resource for DomainGone {
    fn id(&self) -> String {
        domain_id(&self.domain)
    }

    fn probes(&self) -> Vec<Probe> {
        Vec::new()
    }

    fn diff(&self, _: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        let dir = directory(&self.domain);
        let text = format!(
            "set -e; umask 077; mkdir -p /var/lib/mailctl/attic; {mark}\n\
             to=/var/lib/mailctl/attic/{name}.$(date -u +%Y%m%dT%H%M%SZ)\n\
             [ ! -d {dir} ] || mv {dir} \"$to\"\n\
             [ ! -d /var/lib/mailctl/dkim/{name} ] || rm -rf /var/lib/mailctl/dkim/{name}",
            dir = quote(&dir),
            name = self.domain,
            mark = crate::kinds::RESTART_DUE,
        );
        let change = Change::new(
            self.id(),
            Sign::Delete,
            "it left mail.yaml; its files are kept in /var/lib/mailctl/attic",
            Action::Script(Script::new(text)),
        )
        .before(dir)
        .needs(self.needs.clone())
        .ledger(self.made.iter().cloned().map(Edit::Remove));
        Ok(vec![change])
    }
}

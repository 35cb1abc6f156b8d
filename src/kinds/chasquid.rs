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

/// `staged DOMAIN FILE NEW`: whether chasquid starts with NEW in the place of FILE.
pub const STAGED: &str = include_str!("../../templates/staged.sh");

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::testing::{diff, failed, shell};

    fn wish() -> DomainWish {
        DomainWish {
            domain: Name::parse("wac.tax").expect("name"),
        }
    }

    #[test]
    fn absent_equal_and_different() {
        let change = |said: &str| diff(&wish(), [shell(said)]).expect("decided");
        let created = change("absent\n").expect("a change");
        assert_eq!(created.sign, Sign::Create);
        assert_eq!(created.ledger, [Edit::Add(Made::Domain("wac.tax".into()))]);
        assert!(change("directory root:chasquid 750\n").is_none());
        let open = change("directory root:root 755\n").expect("a change");
        assert_eq!(open.sign, Sign::Update);
        assert!(
            open.ledger.is_empty(),
            "somebody else's directory does not become ours"
        );
    }

    #[test]
    fn what_could_not_be_seen_is_not_absent() {
        let wish = wish();
        assert!(diff(&wish, wish.probes().into_iter().map(failed)).is_err());
        assert!(diff(&wish, []).is_err(), "not looked at");
    }

    #[test]
    fn the_directory_is_closed_to_others() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("wac.tax");
        let domain = domain_probe(&wish().domain);
        let probe = domain.replace(&directory(&wish().domain), &path.to_string_lossy());
        assert_eq!(crate::kinds::shell::run(&probe).1, "absent\n");
        std::fs::create_dir(&path).expect("a directory");
        let (code, out, _) = crate::kinds::shell::run(&probe);
        assert!(code == 0 && out.starts_with("directory "), "{out}");
    }

    #[test]
    fn what_left_is_kept_in_the_attic_once_no_mail_comes() {
        let gone = DomainGone {
            domain: wish().domain,
            made: vec![Made::User("i@wac.tax".into())],
            needs: vec!["rrset wac.tax MX".into()],
        };
        let change = diff(&gone, []).expect("decided").expect("a change");
        assert_eq!(
            (change.sign, change.needs),
            (Sign::Delete, gone.needs.clone())
        );
        assert_eq!(change.ledger, [Edit::Remove(gone.made[0].clone())]);
        let Action::Script(script) = &change.action else {
            panic!("a script")
        };
        let dir = "/etc/chasquid/domains/wac.tax";
        assert!(script.text.contains(&format!("mv '{dir}' \"$to\"")));
        assert!(!script.text.contains(&format!("rm -rf '{dir}'")));
    }

    #[test]
    fn a_file_is_switched_in_only_if_chasquid_takes_it() {
        let script = switch_in(&wish().domain, "users", b"new", Some(b"old"));
        let check = script.text.find("staged 'wac.tax' 'users' \"$new\"");
        let guard = script.text.find(&sha256(b"old"));
        let switch = script.text.rfind("mv -f \"$new\"");
        assert!(
            check.is_some() && check < guard && guard < switch,
            "{}",
            script.text
        );
    }
}

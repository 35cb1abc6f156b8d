//! How one sort of thing is seen, compared and made so: a kind a file, its
//! question, its decision and its deed on one screen.

pub mod aliases;
pub mod certificate;
pub mod chasquid;
pub mod dkim;
pub mod file;
pub mod firewall;
pub mod hostname;
pub mod hosts;
pub mod locale;
pub mod localtime;
pub mod netplan;
pub mod package;
pub mod port;
pub mod rrset;
pub mod service;
pub mod shell;
pub mod supported;
pub mod sysctl;
pub mod unit;
pub mod users;
pub mod version;

pub use shell::{decode, print, sha256};

use crate::observe::Seen;
use crate::plan::Plan;
use crate::resource::{Blocked, Change, Probe, Resource};

/// A fragment for deeds that chasquid only learns of by a restart: it is owed
/// from before the change until it is done, also when apply is cut off between
/// the two. It lies where a reboot, which is a restart too, forgets it.
pub const RESTART_DUE: &str = "mkdir -p /run/mailctl && : >/run/mailctl/restart-due";

/// A fragment for deeds after which the programs that share the certificate
/// are told; it outlasts a reboot, since nobody else would tell them.
pub const RELOAD_DUE: &str = "mkdir -p /var/lib/mailctl && : >/var/lib/mailctl/reload-due";

/// A resource that cannot even be wished for, so that the plan says so.
pub struct Impossible {
    /// The id that it would have had.
    pub id: String,
    /// Why.
    pub blocked: Blocked,
}

impl Resource for Impossible {
    fn id(&self) -> String {
        self.id.clone()
    }

    fn probes(&self) -> Vec<Probe> {
        Vec::new()
    }

    fn diff(&self, _: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        Err(self.blocked.clone())
    }
}

/// Answers for tests of kinds.
#[cfg(test)]
pub(crate) mod testing {
    use crate::observe::{Answer, FileSeen, Seen};
    use crate::plan::Plan;
    use crate::resource::{Blocked, Change, Probe, Resource};

    /// What a fragment printed.
    pub(crate) fn shell(out: &str) -> Answer {
        Answer::Shell {
            code: 0,
            out: out.into(),
            err: String::new(),
        }
    }

    /// A file that chasquid may read.
    pub(crate) fn file(content: impl AsRef<[u8]>) -> Answer {
        Answer::File(Some(FileSeen {
            owner: "root:chasquid".into(),
            mode: 0o640,
            content: content.as_ref().to_vec(),
        }))
    }

    /// The change of a resource, given one answer to each of its probes in
    /// their order; those left out were not looked at.
    pub(crate) fn diff(
        wish: &dyn Resource,
        answers: impl IntoIterator<Item = Answer>,
    ) -> Result<Option<Change>, Blocked> {
        let mut seen = Seen::new();
        for (probe, answer) in wish.probes().into_iter().zip(answers) {
            seen.put(probe, answer);
        }
        let mut changes = wish.diff(&seen, &Plan::default())?;
        assert!(changes.len() < 2, "{changes:?}");
        Ok(changes.pop())
    }

    /// A mail.yaml.
    pub(crate) fn config() -> crate::config::Config {
        let text = "host: {name: smtp.wac.tax, ssh: root@203.0.113.7}\ndomains: {wac.tax: {}}\ndns: {provider: manual}\n";
        let around = crate::config::surroundings::Written::default();
        let home = std::path::Path::new("/home/wac");
        let loaded = crate::config::load::read_with(text, home, Some(home), &around);
        loaded.expect("sound").config
    }

    /// A server that takes every script and keeps the last.
    #[derive(Default)]
    pub(crate) struct Recorder(std::sync::Mutex<String>);

    impl Recorder {
        /// The last script.
        pub(crate) fn script(&self) -> String {
            self.0.lock().expect("the script").clone()
        }

        /// What the last script writes.
        pub(crate) fn file(&self) -> String {
            let script = self.script();
            let encoded = script
                .split_once("printf %s '")
                .and_then(|(_, rest)| rest.split_once("' | base64 -d"))
                .map(|(encoded, _)| encoded);
            let content = super::decode(encoded.expect("a file")).expect("base64");
            String::from_utf8(content).expect("UTF-8")
        }
    }

    impl crate::remote::Remote for Recorder {
        fn run(
            &self,
            script: &crate::remote::Script,
        ) -> crate::failure::Result<crate::remote::Output> {
            self.0.lock().expect("the script").clone_from(&script.text);
            Ok(crate::remote::Output {
                code: 0,
                out: Vec::new(),
                err: Vec::new(),
            })
        }

        fn hold(
            &self,
            _: &crate::remote::Script,
        ) -> crate::failure::Result<Box<dyn crate::remote::Held>> {
            Err(crate::failure::Failure::new("nothing is held here"))
        }

        fn again(&self) -> crate::failure::Result<Box<dyn crate::remote::Remote>> {
            Ok(Box::new(Self::default()))
        }

        fn place(&self) -> String {
            "the recorder".into()
        }
    }

    /// An answer that is none.
    pub(crate) fn failed(_: Probe) -> Answer {
        Answer::Failed(Blocked::new("it could not be looked at"))
    }
}

//! The certificate on the server: why a new one is needed, ordering it, and
//! switching it in at once.

use std::collections::BTreeSet;

use serde_json::json;

use crate::acme;
use crate::config::CertificateKey;
use crate::failure::Result;
use crate::observe::{Seen, quote};
use crate::plan::Plan;
use crate::record::Name;
use crate::remote::{Remote, Script};
use crate::resource::{Action, Blocked, Change, Probe, Resource, Sign};
use crate::secret::Secret;

/// What is wished of the certificate.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The host's name, which names its directory.
    pub host: Name,
    /// The names it must cover, sorted.
    pub names: Vec<String>,
    /// The ACME directory it must come from.
    pub directory: String,
    /// The key's kind.
    pub key: CertificateKey,
    /// Whether a person has to show challenges.
    pub by_hand: bool,
    /// Now, in seconds since 1970.
    pub now: i64,
    /// Ids that must be done before it is ordered.
    pub needs: Vec<String>,
}

/// Why a new certificate is needed, and the names of the present one, where it can be read.
type Due = (String, Option<BTreeSet<String>>);

impl Wish {
    fn folder(&self) -> String {
        format!("/etc/chasquid/certs/{}", self.host)
    }

    fn chain(&self) -> String {
        format!("{}/fullchain.pem", self.folder())
    }

    fn authority(&self) -> String {
        format!("{}/authority", self.folder())
    }

    /// The public half of the key that lies beside the chain.
    fn key_probe(&self) -> String {
        format!(
            "openssl pkey -in {} -pubout -outform DER 2>/dev/null | base64 -w0",
            quote(&format!("{}/privkey.pem", self.folder()))
        )
    }

    fn probes(&self) -> Vec<Probe> {
        vec![
            Probe::File(self.chain()),
            Probe::File(self.authority()),
            Probe::Shell(self.key_probe()),
        ]
    }

    /// Why a new one is needed, and the names of the present one.
    fn due(&self, seen: &Seen) -> Result<Option<Due>, Blocked> {
        let Some(chain) = seen.file(&self.chain())? else {
            return Ok(Some(("no certificate yet".into(), None)));
        };
        let Ok(present) = acme::Certificate::parse(&chain.content) else {
            return Ok(Some(("the present one cannot be read".into(), None)));
        };
        let names = Some(present.names.clone());
        let days = (present.not_after - self.now) / 86_400;
        let missing: Vec<&String> = self
            .names
            .iter()
            .filter(|n| !present.names.contains(*n))
            .collect();
        let key = crate::kinds::decode(seen.shell(&self.key_probe())?);
        let from = seen
            .file(&self.authority())?
            .map(|f| f.text().trim().to_owned());
        let why = if key.as_ref() != Some(&present.spki_der) {
            "its key does not belong to it".into()
        } else if present.not_after <= self.now {
            format!("it expired {} days ago", -days)
        } else if let Some(name) = missing.first() {
            format!("it does not cover {name}")
        } else if present.names.iter().any(|n| !self.names.contains(n)) {
            "it covers names that left mail.yaml".into()
        } else if from.as_deref().is_some_and(|from| from != self.directory) {
            format!("it comes from {}", from.unwrap_or_default())
        } else if present.key != Some(self.key) {
            let wanted = match self.key {
                CertificateKey::P256 => "p256",
                CertificateKey::Rsa2048 => "rsa2048",
            };
            format!("its key is not of the kind {wanted}")
        } else if present.due(self.now) {
            format!("it ends in {days} days: a third of its life is left")
        } else {
            return Ok(None);
        };
        Ok(Some((why, names)))
    }
}

/// The id of the order.
pub fn order_id(host: &Name) -> String {
    format!("order {host}")
}

/// The id of the certificate in place.
pub fn install_id(host: &Name) -> String {
    format!("certificate {host}")
}

/// A certificate that must have been issued; it is ordered while the server is busy otherwise.
pub struct OrderWish(pub Wish);

impl Resource for OrderWish {
    fn id(&self) -> String {
        order_id(&self.0.host)
    }

    fn probes(&self) -> Vec<Probe> {
        self.0.probes()
    }

    fn diff(&self, seen: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        let Some((why, _)) = self.0.due(seen)? else {
            return Ok(Vec::new());
        };
        let order = Order {
            names: self.0.names.clone(),
            key: self.0.key,
            by_hand: self.0.by_hand,
        };
        let change = Change::new(self.id(), Sign::Run, why, Action::Order(order))
            .after(json!({"names": self.0.names, "authority": self.0.directory}))
            .needs(self.0.needs.clone());
        Ok(vec![change])
    }
}

/// The deed: have these names certified.
#[derive(Clone, Debug)]
pub struct Order {
    /// The names.
    pub names: Vec<String>,
    /// The key's kind.
    pub key: CertificateKey,
    /// Whether a person has to show challenges.
    pub by_hand: bool,
}

/// A certificate that must be in place, key and chain as one.
pub struct InstallWish(pub Wish);

impl Resource for InstallWish {
    fn id(&self) -> String {
        install_id(&self.0.host)
    }

    fn probes(&self) -> Vec<Probe> {
        self.0.probes()
    }

    fn diff(&self, seen: &Seen, _: &Plan) -> Result<Vec<Change>, Blocked> {
        let Some((why, before)) = self.0.due(seen)? else {
            return Ok(Vec::new());
        };
        let install = Install {
            host: self.0.host.clone(),
            directory: self.0.directory.clone(),
        };
        let sign = if before.is_some() {
            Sign::Update
        } else {
            Sign::Create
        };
        let mut change = Change::new(self.id(), sign, why, Action::Install(install))
            .after(json!({"names": self.0.names}))
            .needs([order_id(&self.0.host)]);
        if let Some(names) = before {
            change = change.before(json!({"names": names}));
        }
        change.sensitive.push("private key".into());
        Ok(vec![change])
    }
}

/// The deed: put chain and key in place at once.
#[derive(Clone, Debug)]
pub struct Install {
    host: Name,
    directory: String,
}

impl Install {
    /// Writes chain and key beside the present ones, sees that they belong
    /// together, and switches the directory over in one rename.
    ///
    /// # Errors
    /// When the server refuses; the present certificate then stays.
    pub fn act(&self, remote: &dyn Remote, chain_pem: &str, key_pem: &Secret) -> Result<()> {
        let text = format!(
            include_str!("../../templates/install-certificate.sh"),
            host = quote(self.host.as_str()),
            chain = crate::kinds::print(chain_pem.as_bytes()),
            key = crate::kinds::print(key_pem.expose().as_bytes()),
            directory = quote(&self.directory),
            mark = crate::kinds::RESTART_DUE,
            reload = crate::kinds::RELOAD_DUE,
        );
        let output = remote.run(&Script::new(text))?;
        if output.code != 0 {
            return Err(output.failure(
                "the new certificate could not be put in place on the server",
                "the one that was there still serves; run `mailctl apply` again",
            ));
        }
        Ok(())
    }
}

/// Where the marker of a reload that is still due lies.
const RELOAD_MARKER: &str = "/var/lib/mailctl/reload-due";

/// A command to run after each new certificate; it stays due until it succeeded.
pub struct ReloadWish {
    /// The commands, one line each.
    pub commands: Vec<String>,
    /// The host's name.
    pub host: Name,
}

impl Resource for ReloadWish {
    fn id(&self) -> String {
        "reload after new certificate".into()
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::File(RELOAD_MARKER.into())]
    }

    fn diff(&self, seen: &Seen, plan: &Plan) -> Result<Vec<Change>, Blocked> {
        let certificate = install_id(&self.host);
        if self.commands.is_empty()
            || (seen.file(RELOAD_MARKER)?.is_none() && !plan.changes(&certificate))
        {
            return Ok(Vec::new());
        }
        let mut text = String::from("set -e\n");
        for command in &self.commands {
            text.push_str(&format!(
                "sh -c {0} || {{ echo the reload command {0} failed >&2; exit 1; }}\n",
                quote(command)
            ));
        }
        text.push_str(&format!("rm -f {RELOAD_MARKER}"));
        let change = Change::new(
            self.id(),
            Sign::Run,
            "the certificate is new",
            Action::Script(Script::new(text)),
        )
        .after(self.commands.join("\n"))
        .needs([certificate]);
        Ok(vec![change])
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use rcgen::{CertificateParams, KeyPair, PublicKeyData};
    use time::macros::datetime;

    use super::*;
    use crate::kinds::testing::{Recorder, diff, failed, file, shell};
    use crate::observe::Answer;

    const NAMES: [&str; 3] = ["*.wac.tax", "smtp.wac.tax", "wac.tax"];
    const DIRECTORY: &str = "https://acme.test/dir";

    fn wish() -> Wish {
        Wish {
            host: Name::parse("smtp.wac.tax").expect("name"),
            names: NAMES.map(str::to_owned).into(),
            directory: DIRECTORY.into(),
            key: CertificateKey::P256,
            by_hand: false,
            now: datetime!(2026-02-01 00:00 UTC).unix_timestamp(),
            needs: Vec::new(),
        }
    }

    /// What the probes see of a certificate for 90 days from the new year on.
    fn present() -> [Answer; 3] {
        let mut params = CertificateParams::new(NAMES.map(str::to_owned)).expect("names");
        params.not_before = datetime!(2026-01-01 00:00 UTC);
        params.not_after = datetime!(2026-04-01 00:00 UTC);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        let spki = base64::engine::general_purpose::STANDARD.encode(key.subject_public_key_info());
        [file(pem), file(format!("{DIRECTORY}\n")), shell(&spki)]
    }

    fn why(wish: Wish, answers: [Answer; 3]) -> Option<String> {
        let order = diff(&OrderWish(wish.clone()), answers.clone()).expect("decided");
        let install = diff(&InstallWish(wish), answers).expect("decided");
        let (order, install) = (order.map(|c| c.why), install.map(|c| c.why));
        assert_eq!(order, install, "what is ordered is put in place");
        order
    }

    #[test]
    fn absent_is_ordered_then_put_in_place() {
        let nothing = [Answer::File(None), Answer::File(None), shell("")];
        assert_eq!(
            why(wish(), nothing.clone()).as_deref(),
            Some("no certificate yet")
        );
        let install = diff(&InstallWish(wish()), nothing).expect("decided");
        let install = install.expect("a change");
        assert_eq!(install.sign, Sign::Create);
        assert_eq!(install.needs, ["order smtp.wac.tax"]);
        assert_eq!(install.sensitive, ["private key"]);
    }

    #[test]
    fn equal_is_kept() {
        assert_eq!(why(wish(), present()), None);
        let [chain, _, key] = present();
        let unsaid = [chain, Answer::File(None), key];
        assert_eq!(
            why(wish(), unsaid),
            None,
            "whoever ordered it did not say where"
        );
    }

    #[test]
    fn different_is_replaced_for_a_reason() {
        let day = |days: i64| Wish {
            now: wish().now + days * 86_400,
            ..wish()
        };
        let mut further = wish();
        further.names.push("imap.wac.tax".into());
        let mut fewer = wish();
        fewer.names.retain(|name| name != "wac.tax");
        let elsewhere = Wish {
            directory: "https://other.test/dir".into(),
            ..wish()
        };
        for (wish, reason) in [
            (day(30), "it ends in 29 days: a third of its life is left"),
            (day(60), "it expired 1 days ago"),
            (further, "it does not cover imap.wac.tax"),
            (fewer, "it covers names that left mail.yaml"),
            (elsewhere, "it comes from https://acme.test/dir"),
        ] {
            assert_eq!(why(wish, present()).as_deref(), Some(reason));
        }
        let [chain, authority, _] = present();
        for key in ["", "AAAA", "no base64!"] {
            let other = [chain.clone(), authority.clone(), shell(key)];
            let reason = "its key does not belong to it";
            assert_eq!(why(wish(), other).as_deref(), Some(reason), "{key}");
        }
        let broken = [file("nonsense"), authority, shell("")];
        let reason = "the present one cannot be read";
        assert_eq!(why(wish(), broken).as_deref(), Some(reason));
    }

    #[test]
    fn what_could_not_be_seen_is_neither() {
        let [chain, authority, key] = present();
        let probes = wish().probes();
        for unseen in 0..3 {
            let mut answers = [chain.clone(), authority.clone(), key.clone()];
            answers[unseen] = failed(probes[unseen].clone());
            assert!(
                diff(&OrderWish(wish()), answers.clone()).is_err(),
                "{unseen}"
            );
            assert!(diff(&InstallWish(wish()), answers).is_err(), "{unseen}");
        }
        assert!(diff(&OrderWish(wish()), []).is_err());
    }

    #[test]
    fn a_reload_is_due_until_it_succeeded() {
        let reload = |commands: &[&str]| ReloadWish {
            commands: commands.iter().map(|c| (*c).to_owned()).collect(),
            host: wish().host,
        };
        let due = diff(&reload(&["nginx -s reload"]), [file("")]).expect("decided");
        let due = due.expect("a change");
        let Action::Script(script) = &due.action else {
            panic!("a script")
        };
        let (run, forget) = (script.text.find("nginx"), script.text.find("rm -f"));
        assert!(run.is_some() && run < forget, "{}", script.text);
        let nothing = [Answer::File(None)];
        assert!(diff(&reload(&["x"]), nothing).expect("decided").is_none());
        assert!(diff(&reload(&[]), [file("")]).expect("decided").is_none());
        assert!(diff(&reload(&["x"]), []).is_err());
    }

    #[test]
    fn chain_and_key_travel_inside_the_script() {
        let install = diff(
            &InstallWish(wish()),
            [Answer::File(None), Answer::File(None), shell("")],
        );
        let install = install.expect("decided").expect("a change");
        let Action::Install(install) = &install.action else {
            panic!("a certificate")
        };
        let server = Recorder::default();
        let key = Secret::new("-----key-----");
        install.act(&server, "the chain", &key).expect("done");
        assert!(!server.script().contains("-----key-----"), "it is encoded");
        assert!(server.script().contains(DIRECTORY));
        assert!(!format!("{install:?}").contains("-----key-----"));
    }
}

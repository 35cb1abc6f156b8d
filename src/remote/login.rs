//! Authentication (RFC 4252): which credentials are offered, in which order.
//!
//! mail.yaml's key, the agent's keys, the key files of ~/.ssh/config, the
//! password. Servers end the connection after some six refusals, so keys that
//! the configuration names go first and nothing is offered twice.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ssh2::Session;

use super::access::{Access, Ask, Obstacle};
use super::key_file::{KeyFile, public_beside};
use super::refusal::{Answers, Refusal};
use super::target::Target;
use crate::failure::Failure;
use crate::secret::Secret;

/// How often a passphrase or password may be mistyped.
const TRIES: usize = 3;

/// The credential that was accepted; a second connection offers it first.
#[derive(Clone)]
pub(crate) enum Credential {
    /// The agent's key with this public half.
    Agent(Vec<u8>),
    /// A key file and its passphrase.
    File(PathBuf, Option<Secret>),
    /// A password.
    Password(Secret),
}

/// What became of an offer: accepted with this, or not, or it is over.
type Offer = Result<Option<Credential>, Obstacle>;

/// Logs in; `first` is offered before all others.
pub(crate) fn login(
    session: &Session,
    target: &Target,
    access: &Access,
    first: Option<&Credential>,
) -> Result<Credential, Obstacle> {
    let tried = Vec::new();
    let mut attempt = Attempt {
        session,
        target,
        access,
        tried,
        offered: Vec::new(),
        locked: None,
    };
    match attempt.all(first)? {
        Some(credential) => Ok(credential),
        None => Err(attempt.refused()),
    }
}

struct Attempt<'a> {
    session: &'a Session,
    target: &'a Target,
    access: &'a Access,
    /// What was tried, for the failure's message.
    tried: Vec<String>,
    /// Public halves that the server has seen.
    offered: Vec<Vec<u8>>,
    /// The first key file that nobody could be asked to open.
    locked: Option<String>,
}

impl Attempt<'_> {
    fn all(&mut self, first: Option<&Credential>) -> Offer {
        if let Some(credential) = first
            && let Some(credential) = self.again(credential)?
        {
            return Ok(Some(credential));
        }
        if let Some(path) = &self.target.identity {
            let key = KeyFile::read(path).map_err(|error| {
                let what = format!("cannot read the key file {}", path.display());
                Obstacle::Lasting(Failure::new(what).because(error).hint(
                    "`host.identity` names a private key on this machine; without it the agent and ~/.ssh are tried",
                ))
            })?;
            if let Some(credential) = self.named(&key)? {
                return Ok(Some(credential));
            }
        }
        if let Some(credential) = self.agent()? {
            return Ok(Some(credential));
        }
        for path in &self.target.identity_files {
            // Default names that do not exist are nobody's mistake.
            let Ok(key) = KeyFile::read(path) else {
                continue;
            };
            if let Some(credential) = self.file(&key)? {
                return Ok(Some(credential));
            }
        }
        self.password()
    }

    /// What worked last time.
    fn again(&mut self, credential: &Credential) -> Offer {
        match credential {
            Credential::Agent(public) => self.agent_keys(|key| key == public),
            Credential::File(path, passphrase) => {
                let Ok(key) = KeyFile::read(path) else {
                    return Ok(None);
                };
                let result = self.offer_file(&key, passphrase.as_ref());
                self.settle(result, &show(path), || credential.clone())
            }
            Credential::Password(password) => {
                let result = self.offer_password(password);
                self.settle(result, "password", || credential.clone())
            }
        }
    }

    /// The key that mail.yaml names: where the agent holds it, no passphrase is asked.
    fn named(&mut self, key: &KeyFile) -> Offer {
        if key.encrypted
            && let Some(public) = &key.public
            && let Some(credential) = self.agent_keys(|held| held == public)?
        {
            return Ok(Some(credential));
        }
        self.file(key)
    }

    /// The agent's keys, first those that the configuration names.
    fn agent(&mut self) -> Offer {
        let public = |path: &PathBuf| {
            public_beside(path).or_else(|| KeyFile::read(path).ok().and_then(|key| key.public))
        };
        let files = self
            .target
            .identity
            .iter()
            .chain(&self.target.identity_files);
        let named: Vec<Vec<u8>> = files.filter_map(public).collect();
        if let Some(credential) = self.agent_keys(|key| named.iter().any(|n| n == key))? {
            return Ok(Some(credential));
        }
        if self.target.identities_only {
            Ok(None)
        } else {
            self.agent_keys(|_| true)
        }
    }

    /// Offers those of the agent's keys that are wanted and were not offered yet.
    fn agent_keys(&mut self, wanted: impl Fn(&[u8]) -> bool) -> Offer {
        let Some(socket) = &self.target.agent else {
            return Ok(None);
        };
        let Ok(mut agent) = self.session.agent() else {
            return Ok(None);
        };
        let answers = agent.set_identity_path(socket).is_ok()
            && agent.connect().is_ok()
            && agent.list_identities().is_ok();
        if !answers {
            let note = "agent (does not answer)".to_owned();
            if !self.tried.contains(&note) {
                self.tried.push(note);
            }
            return Ok(None);
        }
        let mut refused = 0;
        for identity in agent.identities().unwrap_or_default() {
            let public = identity.blob().to_vec();
            if !wanted(&public) || self.offered.contains(&public) {
                continue;
            }
            self.offered.push(public.clone());
            match agent
                .userauth(&self.target.user, &identity)
                .map_err(Refusal::from)
            {
                Ok(()) => return Ok(Some(Credential::Agent(public))),
                Err(Refusal::Refused | Refusal::Unusable(_)) => refused += 1,
                Err(over) => return Err(self.over(over)),
            }
        }
        if refused > 0 {
            let plural = if refused == 1 { "" } else { "s" };
            self.tried
                .push(format!("agent ({refused} key{plural} refused)"));
        }
        Ok(None)
    }

    fn file(&mut self, key: &KeyFile) -> Offer {
        if key
            .public
            .as_ref()
            .is_some_and(|public| self.offered.contains(public))
        {
            return Ok(None);
        }
        let shown = show(&key.path);
        if key.encrypted {
            return self.locked_file(key, shown);
        }
        let result = self.offer_file(key, None);
        self.settle(result, &shown, || Credential::File(key.path.clone(), None))
    }

    /// A key file that needs its passphrase.
    fn locked_file(&mut self, key: &KeyFile, shown: String) -> Offer {
        let Some(ask) = self.access.ask.clone() else {
            self.tried.push(format!(
                "{shown} (encrypted, and nobody here to ask for its passphrase)"
            ));
            self.locked.get_or_insert(shown);
            return Ok(None);
        };
        for _ in 0..TRIES {
            let Some(passphrase) = ask.secret(&format!("passphrase of {shown}")) else {
                self.tried
                    .push(format!("{shown} (encrypted, no passphrase given)"));
                return Ok(None);
            };
            let result = self.offer_file(key, Some(&passphrase));
            // libssh2 cannot open it: the passphrase was wrong.
            if !matches!(result, Err(Refusal::Unusable(_))) {
                return self.settle(result, &shown, || {
                    Credential::File(key.path.clone(), Some(passphrase))
                });
            }
        }
        self.tried.push(format!("{shown} (wrong passphrase)"));
        Ok(None)
    }

    fn password(&mut self) -> Offer {
        if let Some(password) = self.access.password.clone() {
            let result = self.offer_password(&password);
            return self.settle(result, "password", || Credential::Password(password));
        }
        match self.access.ask.clone() {
            Some(ask) if self.password_methods() != (false, false) => self.asked_password(&ask),
            _ => Ok(None),
        }
    }

    fn asked_password(&mut self, ask: &Arc<dyn Ask>) -> Offer {
        let prompt = format!("password of {}", self.target.place());
        let mut result = Err(Refusal::Unusable("none given".into()));
        for _ in 0..TRIES {
            let Some(password) = ask.secret(&prompt) else {
                break;
            };
            result = self.offer_password(&password);
            if !matches!(result, Err(Refusal::Refused)) {
                return self.settle(result, "password", || Credential::Password(password));
            }
        }
        match result {
            Ok(()) => Ok(None),
            Err(refusal) => self.note(refusal, "password"),
        }
    }

    fn offer_file(&mut self, key: &KeyFile, passphrase: Option<&Secret>) -> Result<(), Refusal> {
        let passphrase = passphrase.map(Secret::expose);
        let result =
            self.session
                .userauth_pubkey_memory(&self.target.user, None, &key.text, passphrase);
        let result = result.map_err(Refusal::from);
        if !matches!(result, Err(Refusal::Unusable(_))) {
            self.offered.extend(key.public.clone());
        }
        result
    }

    /// Whether the server takes passwords by `password` (RFC 4252 section 8),
    /// and by `keyboard-interactive` (RFC 4256).
    fn password_methods(&self) -> (bool, bool) {
        let methods = self
            .session
            .auth_methods(&self.target.user)
            .unwrap_or_default();
        let offers = |method| methods.split(',').any(|m| m == method);
        (offers("password"), offers("keyboard-interactive"))
    }

    fn offer_password(&self, password: &Secret) -> Result<(), Refusal> {
        let user = &self.target.user;
        let (plain, interactive) = self.password_methods();
        if !plain && !interactive {
            return Err(Refusal::Unusable("the server takes keys only".into()));
        }
        let mut result = Err(Refusal::Refused);
        if plain {
            result = self
                .session
                .userauth_password(user, password.expose())
                .map_err(Refusal::from);
        }
        if interactive && matches!(result, Err(Refusal::Refused)) {
            let mut answers = Answers::new(password);
            let answered = self
                .session
                .userauth_keyboard_interactive(user, &mut answers);
            result = answered.map_err(|error| answers.refusal(error));
        }
        result
    }

    /// What an offer's result means for the whole attempt.
    fn settle(
        &mut self,
        result: Result<(), Refusal>,
        shown: &str,
        credential: impl FnOnce() -> Credential,
    ) -> Offer {
        match result {
            Ok(()) => Ok(Some(credential())),
            Err(refusal) => self.note(refusal, shown),
        }
    }

    fn note(&mut self, refusal: Refusal, shown: &str) -> Offer {
        match refusal {
            Refusal::Refused => self.tried.push(format!("{shown} (refused)")),
            Refusal::Unusable(why) => self.tried.push(format!("{shown} ({why})")),
            over => return Err(self.over(over)),
        }
        Ok(None)
    }

    /// A refusal after which nothing else can be offered.
    fn over(&self, refusal: Refusal) -> Obstacle {
        let (place, story) = (self.target.place(), self.story());
        match refusal {
            Refusal::Expired => Obstacle::Lasting(
                Failure::new(format!("{place} demands a new password at the first login"))
                    .hint(format!("log in once with `ssh {place}`, set a new one, and write it as `host.password`")),
            ),
            Refusal::Cut(why) => {
                let host = &self.target.hostname;
                Obstacle::Refused(
                    Failure::new(format!("{host} closed the connection during the login: {why}{story}"))
                        .hint("if too many keys were offered, name the right one as `host.identity`"),
                )
            }
            Refusal::Refused | Refusal::Unusable(_) => self.refused(),
        }
    }

    /// Everything was offered in vain.
    fn refused(&self) -> Obstacle {
        let (place, story) = (self.target.place(), self.story());
        if let Some(file) = &self.locked {
            return Obstacle::Lasting(
                Failure::new(format!("cannot log in as {place}{story}")).hint(format!(
                    "load the key into an agent first: `ssh-add {file}`"
                )),
            );
        }
        if self.tried.is_empty() {
            return Obstacle::Lasting(
                Failure::new(format!(
                    "cannot log in as {place}: there is no key and no password to try"
                ))
                .hint("`ssh-add` your key, or name it as `host.identity`, or give `host.password`"),
            );
        }
        Obstacle::Refused(Failure::new(format!("{place} refuses the login{story}")).hint(format!(
            "install your public key there (`ssh-copy-id {place}`), or name another key as `host.identity`, or give `host.password`"
        )))
    }

    fn story(&self) -> String {
        if self.tried.is_empty() {
            String::new()
        } else {
            format!("; tried: {}", self.tried.join(", "))
        }
    }
}

/// The path as its owner writes it.
fn show(path: &Path) -> String {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    match home.as_ref().and_then(|home| path.strip_prefix(home).ok()) {
        Some(rest) => format!("~/{}", rest.display()),
        None => path.display().to_string(),
    }
}

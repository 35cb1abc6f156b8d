//! Authentication (RFC 4252): which credentials are offered, in which order.
//!
//! mail.yaml's key, the agent's keys, the key files of ~/.ssh/config, the
//! password. Servers end the connection after some six refusals, so keys that
//! the configuration names go first and nothing is offered twice.

use std::path::Path;

use ssh2::{ErrorCode, KeyboardInteractivePrompt, Prompt, Session};

use super::access::{Access, Obstacle};
use super::key_file::{KeyFile, public_beside};
use super::target::Target;
use crate::failure::Failure;
use crate::secret::Secret;

/// How often a passphrase or password may be mistyped.
const TRIES: usize = 3;

// From libssh2.h.
const SOCKET_SEND: i32 = -7;
const TIMEOUT: i32 = -9;
const SOCKET_DISCONNECT: i32 = -13;
const PASSWORD_EXPIRED: i32 = -15;
const SOCKET_RECV: i32 = -43;

/// The credential that was accepted; a second connection offers it first.
#[derive(Clone)]
pub(crate) enum Credential {
    /// The agent's key with this public half.
    Agent(Vec<u8>),
    /// A key file and its passphrase.
    File(std::path::PathBuf, Option<Secret>),
    /// A password.
    Password(Secret),
}

/// Logs in.
pub(crate) fn login(
    session: &Session,
    target: &Target,
    access: &Access,
    first: Option<&Credential>,
) -> Result<Credential, Obstacle> {
    let attempt = Attempt {
        session,
        target,
        access,
        tried: Vec::new(),
        offered: Vec::new(),
        encrypted: None,
    };
    attempt.run(first)
}

/// Why one credential did not do.
enum Refusal {
    /// The server does not take it.
    Refused,
    /// The connection is gone.
    Cut(String),
    /// The server wants the password changed first.
    Expired,
    /// It never came to an offer.
    Unusable(String),
}

struct Attempt<'a> {
    session: &'a Session,
    target: &'a Target,
    access: &'a Access,
    /// For the failure's message.
    tried: Vec<String>,
    /// Public halves that the server has seen.
    offered: Vec<Vec<u8>>,
    /// The first key file that nobody could be asked to open.
    encrypted: Option<String>,
}

impl Attempt<'_> {
    fn run(mut self, first: Option<&Credential>) -> Result<Credential, Obstacle> {
        if let Some(credential) = first {
            if self.again(credential)? {
                return Ok(credential.clone());
            }
        }
        if let Some(path) = &self.target.identity {
            let key = KeyFile::read(path).map_err(|error| {
                Obstacle::Lasting(
                    Failure::new(format!("cannot read the key file {}", path.display()))
                        .because(error)
                        .hint("`host.identity` names a private key on this machine; without it the agent and ~/.ssh are tried"),
                )
            })?;
            if let Some(credential) = self.agent_then_file(key)? {
                return Ok(credential);
            }
        }
        if let Some(credential) = self.agent()? {
            return Ok(credential);
        }
        for path in &self.target.identity_files {
            // Default names that do not exist are nobody's mistake.
            let Ok(key) = KeyFile::read(path) else {
                continue;
            };
            if let Some(credential) = self.file(key)? {
                return Ok(credential);
            }
        }
        if let Some(credential) = self.password()? {
            return Ok(credential);
        }
        Err(self.refused())
    }

    /// What worked last time.
    fn again(&mut self, credential: &Credential) -> Result<bool, Obstacle> {
        let result = match credential {
            Credential::Agent(blob) => return Ok(self.agent_key(|b| b == blob)?.is_some()),
            Credential::File(path, passphrase) => match KeyFile::read(path) {
                Ok(key) => self.offer_file(&key, passphrase.as_ref()),
                Err(_) => return Ok(false),
            },
            Credential::Password(password) => self.offer_password(password),
        };
        match result {
            Ok(()) => Ok(true),
            Err(Refusal::Refused | Refusal::Unusable(_)) => Ok(false),
            Err(other) => Err(self.fatal(other)),
        }
    }

    /// A key that mail.yaml names: where the agent holds it, no passphrase is asked.
    fn agent_then_file(&mut self, key: KeyFile) -> Result<Option<Credential>, Obstacle> {
        if key.encrypted {
            if let Some(public) = &key.public {
                if let Some(credential) = self.agent_key(|blob| blob == public)? {
                    return Ok(Some(credential));
                }
            }
        }
        self.file(key)
    }

    fn agent(&mut self) -> Result<Option<Credential>, Obstacle> {
        let named: Vec<Vec<u8>> = self
            .target
            .identity
            .iter()
            .chain(&self.target.identity_files)
            .filter_map(|path| {
                public_beside(path).or_else(|| KeyFile::read(path).ok().and_then(|key| key.public))
            })
            .collect();
        if let Some(credential) = self.agent_key(|blob| named.iter().any(|n| n == blob))? {
            return Ok(Some(credential));
        }
        if self.target.identities_only {
            return Ok(None);
        }
        self.agent_key(|_| true)
    }

    /// Offers those of the agent's keys that are wanted and were not offered yet.
    fn agent_key(
        &mut self,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<Credential>, Obstacle> {
        let Some(socket) = &self.target.agent else {
            return Ok(None);
        };
        let Ok(mut agent) = self.session.agent() else {
            return Ok(None);
        };
        if agent.set_identity_path(socket).is_err()
            || agent.connect().is_err()
            || agent.list_identities().is_err()
        {
            self.note("agent (does not answer)".into());
            return Ok(None);
        }
        let mut count = 0;
        for identity in agent.identities().unwrap_or_default() {
            let blob = identity.blob().to_vec();
            if !wanted(&blob) || self.offered.contains(&blob) {
                continue;
            }
            self.offered.push(blob.clone());
            count += 1;
            match agent
                .userauth(&self.target.user, &identity)
                .map_err(refusal)
            {
                Ok(()) => return Ok(Some(Credential::Agent(blob))),
                Err(Refusal::Refused | Refusal::Unusable(_)) => {}
                Err(other) => return Err(self.fatal(other)),
            }
        }
        if count > 0 {
            let plural = if count == 1 { "" } else { "s" };
            self.note(format!("agent ({count} key{plural} refused)"));
        }
        Ok(None)
    }

    fn file(&mut self, key: KeyFile) -> Result<Option<Credential>, Obstacle> {
        if key
            .public
            .as_ref()
            .is_some_and(|public| self.offered.contains(public))
        {
            return Ok(None);
        }
        let shown = show(&key.path);
        if !key.encrypted {
            return self.judge(shown, &key, None);
        }
        let Some(ask) = self.access.ask.clone() else {
            self.note(format!(
                "{shown} (encrypted, and nobody here to ask for its passphrase)"
            ));
            self.encrypted.get_or_insert(shown);
            return Ok(None);
        };
        for _ in 0..TRIES {
            let Some(passphrase) = ask.secret(&format!("passphrase of {shown}")) else {
                self.note(format!("{shown} (encrypted, no passphrase given)"));
                return Ok(None);
            };
            match self.offer_file(&key, Some(&passphrase)) {
                Ok(()) => return Ok(Some(Credential::File(key.path, Some(passphrase)))),
                Err(Refusal::Refused) => {
                    self.note(format!("{shown} (refused)"));
                    return Ok(None);
                }
                Err(Refusal::Unusable(_)) => {}
                Err(other) => return Err(self.fatal(other)),
            }
        }
        self.note(format!("{shown} (wrong passphrase)"));
        Ok(None)
    }

    fn judge(
        &mut self,
        shown: String,
        key: &KeyFile,
        passphrase: Option<Secret>,
    ) -> Result<Option<Credential>, Obstacle> {
        match self.offer_file(key, passphrase.as_ref()) {
            Ok(()) => return Ok(Some(Credential::File(key.path.clone(), passphrase))),
            Err(Refusal::Refused) => self.note(format!("{shown} (refused)")),
            Err(Refusal::Unusable(why)) => self.note(format!("{shown} (unusable: {why})")),
            Err(other) => return Err(self.fatal(other)),
        }
        Ok(None)
    }

    fn offer_file(&mut self, key: &KeyFile, passphrase: Option<&Secret>) -> Result<(), Refusal> {
        let user = &self.target.user;
        let passphrase = passphrase.map(Secret::expose);
        let result = self
            .session
            .userauth_pubkey_memory(user, None, &key.text, passphrase)
            .map_err(refusal);
        if !matches!(result, Err(Refusal::Unusable(_))) {
            self.offered.extend(key.public.clone());
        }
        result
    }

    fn password(&mut self) -> Result<Option<Credential>, Obstacle> {
        if let Some(password) = self.access.password.clone() {
            return match self.offer_password(&password) {
                Ok(()) => Ok(Some(Credential::Password(password))),
                Err(Refusal::Refused) => {
                    self.note("password (refused)".into());
                    Ok(None)
                }
                Err(Refusal::Unusable(why)) => {
                    self.note(format!("password ({why})"));
                    Ok(None)
                }
                Err(other) => Err(self.fatal(other)),
            };
        }
        let Some(ask) = self.access.ask.clone() else {
            return Ok(None);
        };
        for _ in 0..TRIES {
            if self.password_methods() == (false, false) {
                return Ok(None);
            }
            let Some(password) = ask.secret(&format!("password of {}", self.target.place())) else {
                return Ok(None);
            };
            match self.offer_password(&password) {
                Ok(()) => return Ok(Some(Credential::Password(password))),
                Err(Refusal::Refused | Refusal::Unusable(_)) => {}
                Err(other) => return Err(self.fatal(other)),
            }
        }
        self.note("password (refused)".into());
        Ok(None)
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

    fn offer_password(&mut self, password: &Secret) -> Result<(), Refusal> {
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
                .map_err(refusal);
        }
        if interactive && matches!(result, Err(Refusal::Refused)) {
            let mut answers = Answers {
                password,
                asked: 0,
                expired: false,
            };
            result = self
                .session
                .userauth_keyboard_interactive(user, &mut answers)
                .map_err(refusal);
            if answers.expired && result.is_err() {
                return Err(Refusal::Expired);
            }
        }
        result
    }

    fn note(&mut self, what: String) {
        self.tried.push(what);
    }

    fn fatal(&self, refusal: Refusal) -> Obstacle {
        let place = self.target.place();
        match refusal {
            Refusal::Expired => Obstacle::Lasting(
                Failure::new(format!("{place} demands a new password at the first login")).hint(format!(
                    "log in once with `ssh {place}`, set a new password, and put it into `host.password` (or install your key and remove it)"
                )),
            ),
            Refusal::Cut(why) => Obstacle::Refused(
                Failure::new(format!(
                    "{} closed the connection during the login: {why}{}",
                    self.target.hostname,
                    self.story()
                ))
                .hint("if too many keys were offered, name the right one as `host.identity`"),
            ),
            Refusal::Refused | Refusal::Unusable(_) => self.refused(),
        }
    }

    fn story(&self) -> String {
        if self.tried.is_empty() {
            String::new()
        } else {
            format!("; tried: {}", self.tried.join(", "))
        }
    }

    fn refused(&self) -> Obstacle {
        let place = self.target.place();
        if let Some(file) = &self.encrypted {
            return Obstacle::Lasting(
                Failure::new(format!("cannot log in as {place}{}", self.story())).hint(format!(
                    "load the key into an agent first: `ssh-add {file}`"
                )),
            );
        }
        if self.tried.is_empty() {
            return Obstacle::Lasting(
                Failure::new(format!("cannot log in as {place}: there is no key and no password to try"))
                    .hint("start ssh-agent and `ssh-add` your key, or name it as `host.identity`, or give `host.password`"),
            );
        }
        Obstacle::Refused(
            Failure::new(format!("{place} refuses the login{}", self.story())).hint(format!(
                "install your public key there (`ssh-copy-id {place}`), or name another key as `host.identity`, or give `host.password`"
            )),
        )
    }
}

/// Answers every prompt for a password with the one there is.
struct Answers<'a> {
    password: &'a Secret,
    asked: usize,
    expired: bool,
}

impl KeyboardInteractivePrompt for Answers<'_> {
    fn prompt<'p>(
        &mut self,
        _user: &str,
        instructions: &str,
        prompts: &[Prompt<'p>],
    ) -> Vec<String> {
        let says_new = |text: &str| text.to_ascii_lowercase().contains("new password");
        // pam_unix: "You are required to change your password immediately", then "New password:".
        if instructions.contains("required to change") || prompts.iter().any(|p| says_new(&p.text))
        {
            self.expired = true;
            return Vec::new();
        }
        self.asked += prompts.len();
        // A second question means that the first answer was wrong.
        let answer = if self.asked > 1 {
            String::new()
        } else {
            self.password.expose().to_owned()
        };
        vec![answer; prompts.len()]
    }
}

fn refusal(error: ssh2::Error) -> Refusal {
    match error.code() {
        ErrorCode::Session(SOCKET_SEND | SOCKET_DISCONNECT | SOCKET_RECV | TIMEOUT) => {
            Refusal::Cut(error.message().to_owned())
        }
        ErrorCode::Session(PASSWORD_EXPIRED) => Refusal::Expired,
        // AUTHENTICATION_FAILED and PUBLICKEY_UNVERIFIED.
        ErrorCode::Session(-18 | -19) => Refusal::Refused,
        _ => Refusal::Unusable(error.message().to_owned()),
    }
}

/// The path as its owner writes it.
fn show(path: &Path) -> String {
    let home = std::env::var_os("HOME").map(std::path::PathBuf::from);
    match home.as_ref().and_then(|home| path.strip_prefix(home).ok()) {
        Some(rest) => format!("~/{}", rest.display()),
        None => path.display().to_string(),
    }
}

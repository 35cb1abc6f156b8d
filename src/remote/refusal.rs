//! Why a server did not take a credential, and the answers to its questions.

use ssh2::{ErrorCode, KeyboardInteractivePrompt, Prompt};

use crate::secret::Secret;

// From libssh2.h.
const SOCKET_SEND: i32 = -7;
const TIMEOUT: i32 = -9;
const SOCKET_DISCONNECT: i32 = -13;
const PASSWORD_EXPIRED: i32 = -15;
const AUTHENTICATION_FAILED: i32 = -18;
const PUBLICKEY_UNVERIFIED: i32 = -19;
const SOCKET_RECV: i32 = -43;

/// Why one credential did not do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The server does not take it.
    Refused,
    /// The connection is gone.
    Cut(String),
    /// The server wants the password changed first.
    Expired,
    /// It never came to an offer, and why.
    Unusable(String),
}

impl From<ssh2::Error> for Refusal {
    fn from(error: ssh2::Error) -> Self {
        match error.code() {
            // Where the server hangs up after too many refusals, the code is that of a refusal.
            _ if error.message().starts_with("Waiting for") => {
                Self::Cut("too many credentials were refused".into())
            }
            ErrorCode::Session(SOCKET_SEND | SOCKET_DISCONNECT | SOCKET_RECV | TIMEOUT) => {
                Self::Cut(error.message().to_owned())
            }
            ErrorCode::Session(PASSWORD_EXPIRED) => Self::Expired,
            ErrorCode::Session(AUTHENTICATION_FAILED | PUBLICKEY_UNVERIFIED) => Self::Refused,
            _ => Self::Unusable(format!("unusable: {}", error.message())),
        }
    }
}

/// Answers every question for a password with the one there is.
pub(crate) struct Answers<'a> {
    password: &'a Secret,
    asked: usize,
    expired: bool,
}

impl<'a> Answers<'a> {
    /// Nothing asked yet.
    pub(crate) fn new(password: &'a Secret) -> Self {
        Self {
            password,
            asked: 0,
            expired: false,
        }
    }

    /// The error's meaning, knowing what was asked.
    pub(crate) fn refusal(&self, error: ssh2::Error) -> Refusal {
        if self.expired {
            Refusal::Expired
        } else {
            error.into()
        }
    }
}

impl KeyboardInteractivePrompt for Answers<'_> {
    fn prompt<'p>(
        &mut self,
        _user: &str,
        instructions: &str,
        prompts: &[Prompt<'p>],
    ) -> Vec<String> {
        // PAM: "You are required to change your password immediately", then "New password: ".
        let new = |prompt: &Prompt<'_>| prompt.text.to_ascii_lowercase().contains("new password");
        if instructions.contains("required to change") || prompts.iter().any(new) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(answers: &mut Answers<'_>, instructions: &str, text: &'static str) -> Vec<String> {
        answers.prompt(
            "root",
            instructions,
            &[Prompt {
                text: text.into(),
                echo: false,
            }],
        )
    }

    #[test]
    fn a_password_is_given_once() {
        let secret = Secret::new("s");
        let mut answers = Answers::new(&secret);
        assert_eq!(ask(&mut answers, "", "Password: "), ["s"]);
        assert_eq!(ask(&mut answers, "", "Password: "), [""]);
        let failed = ssh2::Error::new(ErrorCode::Session(AUTHENTICATION_FAILED), "no");
        assert_eq!(answers.refusal(failed), Refusal::Refused);
    }

    #[test]
    fn a_demanded_new_password_is_noticed() {
        let secret = Secret::new("s");
        for (instructions, text) in [
            (
                "You are required to change your password immediately",
                "Current password: ",
            ),
            ("", "New password: "),
        ] {
            let mut answers = Answers::new(&secret);
            assert!(ask(&mut answers, instructions, text).is_empty());
            let failed = ssh2::Error::new(ErrorCode::Session(AUTHENTICATION_FAILED), "no");
            assert_eq!(answers.refusal(failed), Refusal::Expired);
        }
    }
}

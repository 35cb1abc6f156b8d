//! Why a message was not taken, as far as the one who wanted to hand it over can tell.

use std::fmt;

/// At which step a conversation ended without the message being taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// TLS did not come about: not offered, or a certificate that is not to be trusted.
    Tls(String),
    /// The server does not let this login in; its words.
    Login(String),
    /// The server answered a command with an error: the reply's code and text.
    Said(u16, String),
    /// The connection did not come about, or broke off.
    Broken(String),
}

impl From<mail_send::Error> for Refusal {
    fn from(error: mail_send::Error) -> Self {
        use mail_send::Error as E;
        match error {
            E::Tls(error) => Self::Tls(tls(&error)),
            E::MissingStartTls => Self::Tls("STARTTLS is not offered".into()),
            E::AuthenticationFailed(reply) => Self::Login(said(reply.code, &reply.message)),
            E::UnsupportedAuthMechanism | E::Auth(_) => {
                Self::Login("no way to log in that is known here is offered".into())
            }
            E::UnexpectedReply(reply) => Self::Said(reply.code, one_line(&reply.message)),
            E::Timeout => Self::Broken("no answer in time".into()),
            E::Io(error) => Self::Broken(error.to_string()),
            other => Self::Broken(other.to_string()),
        }
    }
}

fn tls(error: &rustls::Error) -> String {
    use rustls::{CertificateError as C, Error as E};
    match error {
        E::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => {
            "the certificate is expired".into()
        }
        E::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            "the certificate is for another name".into()
        }
        E::InvalidCertificate(C::UnknownIssuer) => {
            "the certificate leads to no authority that is trusted here".into()
        }
        other => other.to_string(),
    }
}

fn said(code: u16, text: &str) -> String {
    format!("{code} {}", one_line(text))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(why) => write!(f, "TLS: {why}"),
            Self::Login(why) => write!(f, "the login was refused: {why}"),
            Self::Said(code, text) => write!(f, "{code} {text}"),
            Self::Broken(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_told_from_the_others() {
        assert_eq!(said(535, "5.7.8 no\r\nsuch user"), "535 5.7.8 no such user");
        assert_eq!(
            Refusal::from(mail_send::Error::MissingStartTls).to_string(),
            "TLS: STARTTLS is not offered"
        );
        assert_eq!(
            Refusal::from(mail_send::Error::Timeout).to_string(),
            "no answer in time"
        );
        let expired = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        assert_eq!(
            Refusal::from(mail_send::Error::Tls(Box::new(expired))),
            Refusal::Tls("the certificate is expired".into())
        );
    }
}

//! What one line of chasquid's log says.

mod parse;

use serde::Serialize;

/// Something that happened to a message or a connection. Addresses are as
/// chasquid writes them: the sender of a bounce is `<>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A message was accepted.
    Queued {
        /// Its queue id.
        id: String,
        /// MAIL FROM.
        from: String,
        /// Each RCPT TO, before aliases.
        to: Vec<String>,
        /// Address and port of the client.
        client: String,
    },
    /// It was handed over for one recipient: to the far server or, of a local one, to the mailbox.
    Sent {
        /// Its queue id.
        id: String,
        /// MAIL FROM.
        from: String,
        /// The recipient, after aliases.
        to: String,
    },
    /// It was not, and is tried again.
    Deferred {
        /// Its queue id.
        id: String,
        /// MAIL FROM.
        from: String,
        /// The recipient, after aliases.
        to: String,
        /// What the far server answered, or what stood in the way.
        error: String,
    },
    /// It was not, and never will be.
    Failed {
        /// Its queue id.
        id: String,
        /// MAIL FROM.
        from: String,
        /// The recipient, after aliases.
        to: String,
        /// What the far server answered, or what stood in the way.
        error: String,
    },
    /// Everybody was tried, and somebody still waits for it.
    Waits {
        /// Its queue id.
        id: String,
        /// MAIL FROM.
        from: String,
        /// Until the next attempt, such as `1m4.9s`.
        next: String,
    },
    /// It left the queue.
    Done {
        /// Its queue id.
        id: String,
        /// MAIL FROM.
        from: String,
    },
    /// Its sender is told by a message of its own that it could not be delivered.
    Bounced {
        /// Its queue id.
        id: String,
        /// The queue id of that report (RFC 3464).
        report: String,
    },
    /// Somebody logged in, or tried to.
    Auth {
        /// The account.
        user: String,
        /// Address and port of the client.
        client: String,
        /// Whether the password was right.
        ok: bool,
    },
    /// A message was not accepted.
    Rejected {
        /// Address and port of the client.
        client: String,
        /// MAIL FROM, as far as it was given.
        from: Option<String>,
        /// RCPT TO, as far as given.
        to: Vec<String>,
        /// Why.
        why: String,
    },
    /// A client was answered with an error.
    Refused {
        /// Address and port of the client.
        client: String,
        /// Its command, such as `RCPT`.
        command: String,
        /// The answer, such as `503 5.7.1 Relay not allowed`.
        answer: String,
    },
    /// A connection went wrong, such as in the TLS handshake.
    Connection {
        /// Address and port of the client.
        client: String,
        /// How.
        error: String,
    },
    /// The trace log says again what the mail log says.
    Again {
        /// The queue id, where it is about a message.
        id: Option<String>,
    },
    /// It is not understood, or about nobody's mail.
    Other,
}

impl Event {
    /// What a line says.
    pub fn parse(text: &str) -> Self {
        parse::message(text)
            .or_else(|| parse::client(text))
            .or_else(|| parse::trace(text))
            .unwrap_or(Self::Other)
    }

    /// The message that it is about.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Queued { id, .. }
            | Self::Sent { id, .. }
            | Self::Deferred { id, .. }
            | Self::Failed { id, .. }
            | Self::Waits { id, .. }
            | Self::Done { id, .. }
            | Self::Bounced { id, .. } => Some(id),
            Self::Again { id } => id.as_deref(),
            _ => None,
        }
    }

    /// Address and port of the client that it is about.
    pub fn client(&self) -> Option<&str> {
        match self {
            Self::Queued { client, .. }
            | Self::Auth { client, .. }
            | Self::Rejected { client, .. }
            | Self::Refused { client, .. }
            | Self::Connection { client, .. } => Some(client),
            _ => None,
        }
    }
}

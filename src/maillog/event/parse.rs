//! The lines of chasquid's two logs, as chasquid 1.19 writes them.

use super::Event;
use crate::maillog::is_queue_id;

/// `ID from=SENDER …`, of the mail log.
pub(super) fn message(text: &str) -> Option<Event> {
    let (id, rest) = text.split_once(" from=")?;
    let (from, said) = rest.split_once(' ')?;
    if !is_queue_id(id) {
        return None;
    }
    let (id, from) = (id.to_owned(), from.to_owned());
    if said == "all done" {
        return Some(Event::Done { id, from });
    }
    if let Some(next) = said.strip_prefix("completed loop, next in ") {
        let next = next.to_owned();
        return Some(Event::Waits { id, from, next });
    }
    if let Some(rest) = said.strip_prefix("queued ip=") {
        let (client, to) = rest.split_once(" to=")?;
        let (client, to) = (client.to_owned(), list(to));
        return Some(Event::Queued {
            id,
            from,
            to,
            client,
        });
    }
    // The recipient may be a command, with spaces in it.
    let said = said.strip_prefix("to=")?;
    let failed = |word: &str| {
        let (to, error) = said.split_once(word)?;
        Some((to.to_owned(), error.to_owned()))
    };
    if let Some((to, error)) = failed(" failed (temporary): ") {
        return Some(Event::Deferred {
            id,
            from,
            to,
            error,
        });
    }
    if let Some((to, error)) = failed(" failed (permanent): ") {
        return Some(Event::Failed {
            id,
            from,
            to,
            error,
        });
    }
    let to = said.strip_suffix(" sent")?.to_owned();
    Some(Event::Sent { id, from, to })
}

/// `ADDRESS:PORT …`, of the mail log.
pub(super) fn client(text: &str) -> Option<Event> {
    let (client, rest) = text.split_once(' ')?;
    client.parse::<std::net::SocketAddr>().ok()?;
    let client = client.to_owned();
    for (word, ok) in [("auth succeeded for ", true), ("auth failed for ", false)] {
        if let Some(user) = rest.strip_prefix(word) {
            let user = user.to_owned();
            return Some(Event::Auth { user, client, ok });
        }
    }
    let rest = rest.strip_prefix("rejected")?;
    let (envelope, why) = rest.split_once(" - ")?;
    let (from, to) = envelope.split_once(" to=").unwrap_or((envelope, ""));
    Some(Event::Rejected {
        client,
        from: from.strip_prefix(" from=").map(str::to_owned),
        to: list(to),
        why: why.to_owned(),
    })
}

/// `[a@example.com b@example.com]`, as Go prints a list.
fn list(text: &str) -> Vec<String> {
    let inner = text.trim_start_matches('[').trim_end_matches(']');
    inner.split_whitespace().map(str::to_owned).collect()
}

/// `_ FILE:LINE  FAMILY TITLE: …`, of the trace log.
pub(super) fn trace(text: &str) -> Option<Event> {
    let rest = text.split_once(".go:")?.1;
    let rest = rest.split_once(' ')?.1.trim_start();
    let (subject, said) = rest.split_once(": ")?;
    let (family, title) = subject.split_once(' ')?;
    let error = said.strip_prefix("error: ");
    match family {
        "Queue.SendLoop" if is_queue_id(title) => Some(match said.strip_prefix("queued DSN: ") {
            Some(report) => Event::Bounced {
                id: title.to_owned(),
                report: report.to_owned(),
            },
            None => Event::Again {
                id: Some(title.to_owned()),
            },
        }),
        "SMTP.Conn" => {
            if said.starts_with("Queued from ") {
                let id = said.rsplit(' ').next().filter(|id| is_queue_id(id));
                let id = id.map(str::to_owned);
                return Some(Event::Again { id });
            }
            let error = plain(error?);
            let client = title.to_owned();
            Some(match error.split_once(" failed: ") {
                Some((command, answer)) if is_verb(command) => Event::Refused {
                    client,
                    command: command.to_owned(),
                    answer: answer.replacen("  ", " ", 1),
                },
                _ => Event::Connection { client, error },
            })
        }
        // The mail log has the same error, with the queue id.
        family if family.starts_with("Courier.") => error.map(|_| Event::Again { id: None }),
        _ => None,
    }
}

fn is_verb(text: &str) -> bool {
    text.starts_with("unknown<") || text.bytes().all(|octet| octet.is_ascii_uppercase())
}

/// The trace log escapes what is not plain.
fn plain(text: &str) -> String {
    text.replace("\\\"", "\"").replace("\\\\", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = include_str!("../../../tests/fixtures/maillog/chasquid-1.19.txt");

    /// What the recorded line with these words says.
    fn says(words: &str) -> Event {
        let line = LOG.lines().find(|line| line.contains(words));
        Event::parse(line.expect("recorded"))
    }

    fn text(words: &str) -> String {
        words.to_owned()
    }

    #[test]
    fn the_way_of_a_message() {
        assert_eq!(
            says("Ln7z3Vug0ZM from=i@wac.tax queued"),
            Event::Queued {
                id: text("Ln7z3Vug0ZM"),
                from: text("i@wac.tax"),
                to: vec![text("gone@far.example")],
                client: text("10.77.16.1:55304"),
            }
        );
        let full = "all mail servers failed temporarily, last error: far.mailctl-lab.test.: \
                    MAIL/RCPT failed: 452 \"4.2.2 mailbox full\"";
        assert_eq!(
            says("to=full@far.example failed"),
            Event::Deferred {
                id: text("E8MJkVw9hdk"),
                from: text("i@wac.tax"),
                to: text("full@far.example"),
                error: text(full),
            }
        );
        assert_eq!(
            says("completed loop"),
            Event::Waits {
                id: text("E8MJkVw9hdk"),
                from: text("i@wac.tax"),
                next: text("1m4.939506581s"),
            }
        );
        assert_eq!(
            says("Ln7z3Vug0ZM from=i@wac.tax to="),
            Event::Failed {
                id: text("Ln7z3Vug0ZM"),
                from: text("i@wac.tax"),
                to: text("gone@far.example"),
                error: text(
                    "far.mailctl-lab.test.: MAIL/RCPT failed: 550 \"5.1.1 no such user here\""
                ),
            }
        );
        assert_eq!(
            says("queued DSN"),
            Event::Bounced {
                id: text("Ln7z3Vug0ZM"),
                report: text("t9Y-1nez-Vw"),
            }
        );
        assert_eq!(
            says("t9Y-1nez-Vw from=<> to="),
            Event::Sent {
                id: text("t9Y-1nez-Vw"),
                from: text("<>"),
                to: text("i.wac.tax@gmail.com"),
            }
        );
        assert_eq!(
            says("Ln7z3Vug0ZM from=i@wac.tax all done"),
            Event::Done {
                id: text("Ln7z3Vug0ZM"),
                from: text("i@wac.tax"),
            }
        );
        let Event::Queued { to, .. } = says("rtL1ffMuC2s from=i@wac.tax queued") else {
            panic!("queued")
        };
        assert_eq!(to.len(), 4, "{to:?}");
    }

    #[test]
    fn logins_and_rejections() {
        assert_eq!(
            says("55306 auth failed"),
            Event::Auth {
                user: text("i@wac.tax"),
                client: text("10.77.16.1:55306"),
                ok: false,
            }
        );
        assert!(matches!(
            says("auth succeeded"),
            Event::Auth { ok: true, .. }
        ));
        assert_eq!(
            says("- relay not allowed"),
            Event::Rejected {
                client: text("10.77.16.1:53074"),
                from: Some(text("friend@stranger.example")),
                to: vec![text("someone@elsewhere.example")],
                why: text("relay not allowed"),
            }
        );
        assert_eq!(
            Event::parse("[2001:db8::1]:53074 rejected from=a@example.com - failed SPF: no match"),
            Event::Rejected {
                client: text("[2001:db8::1]:53074"),
                from: Some(text("a@example.com")),
                to: Vec::new(),
                why: text("failed SPF: no match"),
            }
        );
        assert_eq!(
            says("RCPT failed: 503"),
            Event::Refused {
                client: text("10.77.16.1:53074"),
                command: text("RCPT"),
                answer: text("503 5.7.1 Relay not allowed"),
            }
        );
    }

    #[test]
    fn the_trace_log_repeats_much() {
        for line in LOG.lines().filter(|line| line.starts_with('_')) {
            let event = Event::parse(line);
            let again = matches!(event, Event::Again { .. });
            let new = [
                "queued DSN",
                "SMTP.Conn",
                "DomainInfo.",
                "chasquid starting",
            ];
            let expected = line.contains("Queued from") || !new.iter().any(|n| line.contains(n));
            assert_eq!(again, expected, "{line}");
            if line.contains("Queue.SendLoop") {
                assert!(event.id().is_some(), "{line}");
            }
        }
    }

    #[test]
    fn nothing_is_made_up() {
        for line in [
            "",
            "_ chasquid.go:55     chasquid starting (version 1.19.0-1)",
            "Started chasquid.service - chasquid mail daemon (service).",
            "E8MJkVw9hdk from=",
            "toolongforanid from=a@example.com all done",
            "somebody auth failed for i@wac.tax",
            "_ a.go:1",
        ] {
            assert_eq!(Event::parse(line), Event::Other, "{line}");
        }
    }
}

//! Whether the domain's mail servers answer, and what they offer to whom: the
//! greeting, STARTTLS, and AUTH under TLS only.

use super::wire::{Reach, SUBMISSIONS, Station, offers};
use super::{Aspect, Finding, Question, View};

/// The question.
pub const QUESTION: Question = Question {
    id: "smtp",
    aspects: &[&OPEN, &GREETING, &STARTTLS, &AUTH],
    ask: |view| Box::pin(ask(view)),
};

/// Whether a connection comes about.
const OPEN: Aspect = Aspect {
    id: "smtp.open",
    wanted: "the port is open",
    why: "A sender who gets no connection to any MX tries again for some days, then returns the mail (RFC 5321 section 4.5.4.1). Mail programs submit on 465 or 587 (RFC 8314, RFC 6409).",
};

/// What is said first.
const GREETING: Aspect = Aspect {
    id: "smtp.greeting",
    wanted: "220 with a fully qualified name",
    why: "The greeting begins with 220 and the server's name (RFC 5321 sections 4.2 and 4.3.1). Clients give up on anything else, and a name that is not qualified is taken for a misconfigured server.",
};

/// TLS after a conversation has begun.
const STARTTLS: Aspect = Aspect {
    id: "smtp.starttls",
    wanted: "STARTTLS is offered and works",
    why: "Without it mail travels in the clear (RFC 3207), and senders that insist on TLS, by MTA-STS or DANE, do not deliver at all. A STARTTLS that is offered and fails makes most senders defer the mail. On 587, no mail program may log in without it (RFC 8314).",
};

/// Logging in.
const AUTH: Aspect = Aspect {
    id: "smtp.auth",
    wanted: "AUTH is offered under TLS, and never in the clear",
    why: "Whoever is on the way reads a password that is given in the clear (RFC 4954 section 9, RFC 8314 section 3). Without AUTH on 465 and 587 nobody can submit mail.",
};

/// Mechanisms that hand over the password itself, or a token as good as one.
const OPENLY: [&str; 4] = ["PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"];

async fn ask(view: &View) -> Vec<Finding> {
    match view.stations().await {
        Ok(stations) => stations
            .iter()
            .flat_map(|station| judge(station, &stations))
            .collect(),
        Err(reason) => vec![OPEN.of(view.domain()).skip(reason)],
    }
}

/// One port, among `all` of the domain.
fn judge(station: &Station, all: &[Station]) -> Vec<Finding> {
    let mut findings = vec![open(station, all)];
    if station.seen.reach == Reach::Open {
        findings.extend(greeting(station));
        if matches!(station.seen.greeting, Ok((220, _))) {
            findings.extend(starttls(station));
            findings.extend(auth(station));
        }
    }
    findings
}

fn open(station: &Station, all: &[Station]) -> Finding {
    let about = OPEN.of(station.address).at(station.port);
    match &station.seen.reach {
        Reach::Open => about.pass("open"),
        Reach::Unknown(reason) => about.skip(reason),
        Reach::Refused(reason) => {
            let fix = "start the mail server there, and let it listen on this address";
            closed(station, all, reason, fix)
        }
        Reach::Silent(reason) => {
            let fix = "open the port in the server's firewall and in the hoster's";
            closed(station, all, reason, fix)
        }
    }
}

fn closed(station: &Station, all: &[Station], reason: &str, fix: &str) -> Finding {
    let about = OPEN.of(station.address).at(station.port);
    let another = all
        .iter()
        .any(|other| other.port == station.port && other.seen.reach == Reach::Open);
    // Senders go on to the next address (RFC 5321 section 5.1).
    if another && !station.ours {
        return about.warn(format!("{reason}; others of the domain answer"), fix);
    }
    about.fail(reason, fix)
}

fn greeting(station: &Station) -> Option<Finding> {
    let about = GREETING.of(station.address).at(station.port);
    let seen = &station.seen;
    let found = match &seen.greeting {
        Ok((220, text)) => match &seen.trouble {
            None => {
                let name = seen.greeted_name();
                return Some(if name.is_some_and(|n| n.as_str().contains('.')) {
                    about.pass(format!("220 {text}"))
                } else {
                    let fix = format!("let the server greet with its name, {}", station.host);
                    about.warn(format!("220 {text}").trim_end(), fix)
                });
            }
            Some(trouble) => format!("220 {text}, but then: {trouble}"),
        },
        Ok((code, text)) => format!("{code} {text}"),
        // TLS from the start failed: that is `tls.versions`.
        Err(_) if matches!(seen.tls, Some(Err(_))) => return None,
        Err(reason) => reason.clone(),
    };
    // Many servers turn away whole networks: that is about this client, not about the server.
    Some(if station.ours {
        about.fail(
            found,
            "see in the server's log why it turned the client away",
        )
    } else {
        about.skip(format!("it does not talk to us: {found}"))
    })
}

fn starttls(station: &Station) -> Option<Finding> {
    if station.port == SUBMISSIONS {
        return None;
    }
    let about = STARTTLS.of(station.address).at(station.port);
    let fix = "give the server a certificate and turn STARTTLS on";
    Some(match (&station.seen.tls, &station.seen.trouble) {
        (Some(Ok(tls)), _) => about.pass(format!("offered and works: {}", tls.version)),
        (Some(Err(reason)), _) => about.fail(
            format!("offered, but fails: {reason}"),
            "see in the server's log why the handshake failed; often its certificate or key cannot be read",
        ),
        (None, Some(trouble)) => about.skip(trouble),
        (None, None) if station.ours => about.fail("not offered", fix),
        (None, None) => about.warn("not offered", fix),
    })
}

fn auth(station: &Station) -> Option<Finding> {
    let seen = &station.seen;
    let about = AUTH.of(station.address).at(station.port);
    let clear = mechanisms(&seen.clear);
    let open: Vec<&str> = clear
        .iter()
        .map(String::as_str)
        .filter(|offered| OPENLY.contains(offered))
        .collect();
    let only_secured = "let the server offer AUTH after STARTTLS only";
    if !open.is_empty() {
        let found = format!("AUTH {} is offered in the clear", open.join(" "));
        return Some(about.fail(found, only_secured));
    }
    if !clear.is_empty() && station.ours {
        let found = format!("AUTH {} is offered in the clear", clear.join(" "));
        return Some(about.warn(found, only_secured));
    }
    if station.port == 25 {
        let about = about.wanting("no AUTH in the clear");
        return Some(match (&seen.trouble, seen.clear.is_empty()) {
            (Some(trouble), true) => about.skip(trouble),
            _ => about.pass("no password is taken in the clear"),
        });
    }
    // Without a session under TLS nobody knows what it would offer.
    if !matches!(seen.tls, Some(Ok(_))) || seen.trouble.is_some() {
        let why = match (&seen.trouble, &seen.tls) {
            (Some(trouble), _) | (None, Some(Err(trouble))) => trouble.clone(),
            _ => "there is no TLS".into(),
        };
        return Some(about.skip(why));
    }
    let secured = mechanisms(&seen.secured);
    Some(if !secured.is_empty() {
        about.pass(format!("AUTH {} under TLS only", secured.join(" ")))
    } else if offers(&seen.secured, "AUTH") {
        about.fail("AUTH is offered without a mechanism", "name one: PLAIN")
    } else if station.ours {
        let fix = "let the server ask for a login on this port";
        about.fail("AUTH is not offered under TLS", fix)
    } else {
        return None;
    })
}

/// The mechanisms of AUTH, in upper case (RFC 4954 section 4; some still write `AUTH=`).
fn mechanisms(capabilities: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in capabilities {
        let line = line.to_ascii_uppercase();
        let Some(rest) = line.strip_prefix("AUTH") else {
            continue;
        };
        if rest.starts_with([' ', '=']) {
            for word in rest[1..].split_whitespace() {
                if !found.iter().any(|known| known == word) {
                    found.push(word.to_owned());
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use super::*;
    use crate::check::Verdict::{self, Fail, Pass, Skip, Warn};
    use crate::check::wire::{Port, SUBMISSION, Tls};
    use crate::record::Name;

    fn station(port: u16, ours: bool, seen: Port) -> Station {
        Station {
            host: Name::parse("smtp.example").expect("a name"),
            address: IpAddr::from([203, 0, 113, 7]),
            port,
            ours,
            seen: Arc::new(seen),
        }
    }

    /// A healthy port 25.
    fn healthy() -> Port {
        Port {
            greeting: Ok((220, "smtp.example ESMTP".into())),
            clear: vec!["SIZE 1000".into(), "STARTTLS".into()],
            tls: Some(Ok(Tls {
                version: "TLSv1.3".into(),
                chain: Vec::new(),
            })),
            secured: vec!["SIZE 1000".into(), "AUTH PLAIN".into()],
            ..Port::closed(Reach::Open)
        }
    }

    fn seen(port: u16, ours: bool, seen: Port) -> Vec<(String, Verdict)> {
        let station = station(port, ours, seen);
        let all = [station.clone()];
        let findings = judge(&station, &all);
        findings.into_iter().map(|f| (f.id, f.verdict)).collect()
    }

    fn verdicts(port: u16, ours: bool, look: Port) -> Vec<Verdict> {
        seen(port, ours, look).into_iter().map(|(_, v)| v).collect()
    }

    #[test]
    fn a_healthy_server_passes_on_all_ports() {
        for (port, ours) in [
            (25, true),
            (SUBMISSION, true),
            (25, false),
            (SUBMISSION, false),
        ] {
            let found = seen(port, ours, healthy());
            assert_eq!(found.len(), 4, "{found:?}");
            assert!(found.iter().all(|(_, v)| *v == Pass), "{found:?}");
        }
        let secured = Port {
            clear: Vec::new(),
            ..healthy()
        };
        let ids: Vec<String> = seen(SUBMISSIONS, true, secured)
            .into_iter()
            .map(|(id, verdict)| {
                assert_eq!(verdict, Pass);
                id
            })
            .collect();
        assert_eq!(ids, ["smtp.open.465", "smtp.greeting.465", "smtp.auth.465"]);
    }

    #[test]
    fn a_closed_port_fails_unless_it_is_closed_here() {
        let refused = || Port::closed(Reach::Refused("refused".into()));
        assert_eq!(verdicts(25, true, refused()), [Fail]);
        assert_eq!(verdicts(25, false, refused()), [Fail]);
        assert_eq!(verdicts(25, true, Port::unknown("blocked here")), [Skip]);
        let silent = Port::closed(Reach::Silent("silent".into()));
        assert_eq!(verdicts(SUBMISSION, true, silent), [Fail]);
    }

    #[test]
    fn of_others_one_address_that_answers_is_enough() {
        let closed = || Port::closed(Reach::Refused("refused".into()));
        for (ours, verdict) in [(true, Fail), (false, Warn)] {
            let all = [station(25, ours, closed()), station(25, ours, healthy())];
            assert_eq!(judge(&all[0], &all)[0].verdict, verdict);
        }
    }

    #[test]
    fn greetings() {
        let greeted = |code: u16, text: &str| Port {
            greeting: Ok((code, text.into())),
            ..healthy()
        };
        let of = |ours, seen| verdicts(25, ours, seen)[1];
        assert_eq!(of(true, greeted(220, "localhost ESMTP")), Warn);
        assert_eq!(of(true, greeted(220, "")), Warn);
        assert_eq!(of(true, greeted(554, "5.7.1 no service for you")), Fail);
        assert_eq!(of(false, greeted(554, "5.7.1 no service for you")), Skip);
        let mute = Port {
            greeting: Err("`SSH-2.0` is no SMTP reply".into()),
            ..Port::closed(Reach::Open)
        };
        assert_eq!(verdicts(25, true, mute.clone()), [Pass, Fail]);
        assert_eq!(verdicts(25, false, mute), [Pass, Skip]);
    }

    #[test]
    fn ehlo_that_is_refused_says_nothing_of_the_rest() {
        let refused = || Port {
            greeting: Ok((220, "smtp.example".into())),
            trouble: Some("EHLO is answered with 550 no".into()),
            ..Port::closed(Reach::Open)
        };
        assert_eq!(verdicts(25, true, refused()), [Pass, Fail, Skip, Skip]);
        assert_eq!(
            verdicts(SUBMISSION, false, refused()),
            [Pass, Skip, Skip, Skip]
        );
    }

    #[test]
    fn starttls_is_needed() {
        let without = || Port {
            tls: None,
            clear: vec!["SIZE 1".into()],
            secured: Vec::new(),
            ..healthy()
        };
        assert_eq!(verdicts(25, true, without()), [Pass, Pass, Fail, Pass]);
        assert_eq!(verdicts(25, false, without()), [Pass, Pass, Warn, Pass]);
        assert_eq!(
            verdicts(SUBMISSION, true, without()),
            [Pass, Pass, Fail, Skip]
        );
        let broken = Port {
            tls: Some(Err("HandshakeFailure".into())),
            ..without()
        };
        assert_eq!(verdicts(25, false, broken), [Pass, Pass, Fail, Pass]);
    }

    #[test]
    fn passwords_are_for_tls() {
        let clear = |line: &str| Port {
            clear: vec!["STARTTLS".into(), line.into()],
            ..healthy()
        };
        let of = |port, ours, seen| verdicts(port, ours, seen)[3];
        assert_eq!(of(25, false, clear("AUTH LOGIN PLAIN")), Fail);
        assert_eq!(of(SUBMISSION, true, clear("AUTH=PLAIN")), Fail);
        assert_eq!(of(SUBMISSION, true, clear("AUTH CRAM-MD5")), Warn);
        assert_eq!(of(25, false, clear("AUTH GSSAPI NTLM")), Pass);
        let none = Port {
            secured: vec!["SIZE 1".into()],
            ..healthy()
        };
        assert_eq!(of(SUBMISSION, true, none.clone()), Fail);
        assert_eq!(seen(SUBMISSION, false, none).len(), 3);
    }

    #[test]
    fn a_port_of_tls_without_tls_is_told_elsewhere() {
        let broken = Port {
            tls: Some(Err("no TLS".into())),
            greeting: Err("no TLS".into()),
            ..Port::closed(Reach::Open)
        };
        assert_eq!(verdicts(SUBMISSIONS, true, broken), [Pass]);
    }
}

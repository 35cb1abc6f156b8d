//! The file at `https://autoconfig.<domain>/mail/config-v1.1.xml`, which Thunderbird,
//! K-9, Evolution and others read. A domain does well without.

use quick_xml::Reader;
use quick_xml::events::Event;

use super::FILE;
use crate::check::fetch::{Page, Trouble};
use crate::check::{Finding, View};
use crate::record::{Name, RType};

pub(super) async fn ask(view: &View) -> Option<Finding> {
    let domain = view.domain();
    let host = domain.child("autoconfig");
    if view.outside.addresses(&host).await.ok()?.is_empty() {
        return None;
    }
    let url = format!("https://{host}/mail/config-v1.1.xml");
    let seen = servers(&*view.outside.follow(&url).await);
    // Where every name has an address, this one was not meant.
    if seen.is_err() && wild(view).await {
        return None;
    }
    Some(judge(domain, &url, &seen))
}

/// Whether a wildcard gives every name below the domain an address.
async fn wild(view: &View) -> bool {
    let any = view.domain().child("*");
    for rtype in [RType::A, RType::Aaaa] {
        let set = view.lookup(&any, rtype).await;
        if set.is_ok_and(|set| set.exists()) {
            return true;
        }
    }
    false
}

/// Why there is no configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Lack {
    /// Nobody could look.
    Unknown(String),
    /// What is there instead.
    Other(String),
}

/// The servers for sending that a mail program comes to.
fn servers(fetched: &Result<Page, Trouble>) -> Result<Vec<String>, Lack> {
    match fetched {
        Ok(page) if page.status != 200 => {
            let answer = format!("the web server answers {}", page.status);
            Err(Lack::Other(answer))
        }
        Ok(page) => outgoing(&page.body).map_err(Lack::Other),
        Err(Trouble::Unknown(reason)) => Err(Lack::Unknown(reason.clone())),
        Err(trouble) => Err(Lack::Other(trouble.text().to_owned())),
    }
}

fn judge(domain: &Name, url: &str, seen: &Result<Vec<String>, Lack>) -> Finding {
    let about = FILE.of(domain);
    match seen {
        Ok(servers) if servers.is_empty() => about.warn(
            "the configuration names no server for sending",
            format!("add an `outgoingServer` of type `smtp` with its hostname and port to {url}"),
        ),
        Ok(servers) => about.pass(servers.join(", ")),
        Err(Lack::Unknown(reason)) => about.skip(reason),
        Err(Lack::Other(found)) => about.warn(
            found,
            format!("serve the configuration at {url}, or remove the name autoconfig.{domain}"),
        ),
    }
}

/// The servers for sending, as `host:port`.
///
/// # Errors
/// Why the file is no configuration.
fn outgoing(body: &[u8]) -> Result<Vec<String>, String> {
    let text = std::str::from_utf8(body).map_err(|_| "the file is not UTF-8".to_owned())?;
    let mut reader = Reader::from_str(text);
    let mut path: Vec<String> = Vec::new();
    let mut servers: Vec<(String, String)> = Vec::new();
    let mut configures = false;
    loop {
        let event = reader.read_event();
        match event.map_err(|e| format!("the file is no XML: {e}"))? {
            Event::Start(tag) => {
                let name = tag.local_name();
                path.push(name.as_ref().to_owned());
                configures |= path == ["clientConfig"];
                if path.last().is_some_and(|tag| tag == "outgoingServer") {
                    servers.push(Default::default());
                }
            }
            Event::End(_) => {
                path.pop();
            }
            Event::Text(text) => {
                let text = text.trim().to_owned();
                let within = path.iter().rev().map(String::as_str).take(2);
                let server = servers.last_mut();
                match (&within.collect::<Vec<_>>()[..], server) {
                    (["hostname", "outgoingServer"], Some(server)) => server.0 = text,
                    (["port", "outgoingServer"], Some(server)) => server.1 = text,
                    _ => {}
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if !configures {
        return Err("the file is no `clientConfig`".into());
    }
    let named = servers.into_iter().filter(|(host, _)| !host.is_empty());
    Ok(named.map(|(host, port)| format!("{host}:{port}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    const SOUND: &str = r#"<?xml version="1.0"?><clientConfig version="1.1"><emailProvider id="example.com">
        <incomingServer type="imap"><hostname>imap.example.com</hostname><port>993</port></incomingServer>
        <outgoingServer type="smtp"><hostname>smtp.example.com</hostname><port>465</port></outgoingServer>
        </emailProvider></clientConfig>"#;

    fn page(status: u16, body: &str) -> Result<Page, Trouble> {
        Ok(Page {
            status,
            media_type: "text/xml".into(),
            location: None,
            body: body.into(),
            whole: true,
        })
    }

    #[test]
    fn the_servers_for_sending_are_read() {
        let servers = outgoing(SOUND.as_bytes());
        assert_eq!(servers, Ok(vec!["smtp.example.com:465".to_owned()]));
        assert_eq!(outgoing(b"<clientConfig/>").map_err(drop), Err(()));
        assert_eq!(outgoing(b"<clientConfig></clientConfig>"), Ok(Vec::new()));
        for (body, part) in [
            (&b"<html><body></body></html>"[..], "no `clientConfig`"),
            (b"<clientConfig><a></b></clientConfig>", "no XML"),
            (b"\xff", "not UTF-8"),
        ] {
            let said = outgoing(body).expect_err(part);
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn what_mail_programs_cannot_read() {
        let domain = Name::parse("example.com").expect("a name");
        let verdict = |fetched| {
            let seen = servers(&fetched);
            judge(&domain, "https://autoconfig.example.com/", &seen).verdict
        };
        assert_eq!(verdict(page(200, SOUND)), Verdict::Pass);
        let empty = page(200, "<clientConfig></clientConfig>");
        assert_eq!(verdict(empty), Verdict::Warn);
        assert_eq!(verdict(page(404, SOUND)), Verdict::Warn);
        assert_eq!(verdict(page(200, "<html></html>")), Verdict::Warn);
        let bad = Err(Trouble::Certificate("expired".into()));
        assert_eq!(verdict(bad), Verdict::Warn);
        let unknown = Err(Trouble::Unknown("no way out".into()));
        assert_eq!(verdict(unknown), Verdict::Skip);
    }
}

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
    let fetched = view.outside.follow(&url).await;
    let found = judge(domain, &url, &fetched);
    match found {
        Ok(finding) => Some(finding),
        // Where every name has an address, this one was not meant.
        Err(_) if wild(view).await => None,
        Err(finding) => Some(finding),
    }
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

/// What a mail program makes of it; as an error where it is none.
fn judge(domain: &Name, url: &str, fetched: &Result<Page, Trouble>) -> Result<Finding, Finding> {
    let about = FILE.of(domain);
    let fix = format!("serve the configuration at {url}, or remove the name autoconfig.{domain}");
    let page = match fetched {
        Ok(page) => page,
        Err(Trouble::Unknown(reason)) => return Err(about.skip(reason)),
        Err(trouble) => return Err(about.warn(trouble.text(), fix)),
    };
    if page.status != 200 {
        let found = format!("the web server answers {}", page.status);
        return Err(about.warn(found, fix));
    }
    match outgoing(&page.body) {
        Ok(servers) if servers.is_empty() => Ok(about.warn(
            "the configuration names no server for sending",
            format!("add an `outgoingServer` of type `smtp` with its hostname and port to {url}"),
        )),
        Ok(servers) => Ok(about.pass(servers.join(", "))),
        Err(why) => Err(about.warn(why, fix)),
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
        let of = |fetched| judge(&domain, "https://autoconfig.example.com/", &fetched);
        let verdict =
            |fetched| of(fetched).map_or_else(|f| (false, f.verdict), |f| (true, f.verdict));
        assert_eq!(verdict(page(200, SOUND)), (true, Verdict::Pass));
        let empty = page(200, "<clientConfig></clientConfig>");
        assert_eq!(verdict(empty), (true, Verdict::Warn));
        assert_eq!(verdict(page(404, SOUND)), (false, Verdict::Warn));
        assert_eq!(verdict(page(200, "<html></html>")), (false, Verdict::Warn));
        let bad = Err(Trouble::Certificate("expired".into()));
        assert_eq!(verdict(bad), (false, Verdict::Warn));
        let unknown = Err(Trouble::Unknown("no way out".into()));
        assert_eq!(verdict(unknown), (false, Verdict::Skip));
    }
}

//! Whether the server can send, as only a login tells: port 25 is open from
//! there to a mail server far away, and the address it is left from is the host's.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::wire::family;
use super::{Aspect, Finding, Outside, Question, View};
use crate::observe::quote;
use crate::record::Name;
use crate::remote::{Remote, Script};

/// The question.
pub const QUESTION: Question = Question {
    id: "outbound",
    aspects: &[&PORT25, &SOURCE],
    ask: |view| Box::pin(ask(view)),
};

/// Whether other servers can be reached.
const PORT25: Aspect = Aspect {
    id: "outbound.port25",
    wanted: "port 25 of a mail server far away answers the server",
    why: "Mail to others leaves over port 25 only (RFC 5321 section 4.5.4.2). Many hosters keep it closed until they are asked, over IPv4, over IPv6, or over both; until then all mail waits in the queue and is returned in the end.",
};

/// From which address they are.
const SOURCE: Aspect = Aspect {
    id: "outbound.source",
    wanted: "mail leaves from an address of the host",
    why: "Receivers judge the address that the connection comes from: another one than the host's has neither its reverse name nor a place in the SPF record (Gmail 5.7.25 and 5.7.27).",
};

/// What the server said of the ways out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ways {
    /// The socket families that chasquid may use, as systemd prints them.
    families: String,
    ways: Vec<Way>,
}

/// What the server said, or why it could not be asked.
pub(super) type Egress = Result<Arc<Ways>, String>;

/// One way to the far host.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Way {
    to: IpAddr,
    /// The first line that was said there, or why there is none.
    opened: Result<String, Closed>,
    /// The address that the kernel would take.
    source: Option<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Closed {
    /// No answer in time.
    Silent,
    /// An answer, such as `Connection refused`.
    Says(String),
}

/// What the judge needs to know beside what the server said.
struct Place<'a> {
    host: &'a Name,
    /// The host's addresses in the DNS.
    published: &'a [IpAddr],
    /// Whether mail shall never leave over IPv6.
    no_ipv6: bool,
    /// The far host's name.
    far: &'a str,
}

async fn ask(view: &View) -> Vec<Finding> {
    let Some(expected) = view.expected() else {
        return Vec::new();
    };
    let (Some(server), Some(host)) = (&expected.server, &expected.host) else {
        return Vec::new();
    };
    let published = match view.outside.addresses(host).await {
        Ok(addresses) => addresses,
        Err(reason) => return vec![PORT25.of(host).skip(reason)],
    };
    let place = Place {
        host,
        published: &published,
        no_ipv6: expected.no_ipv6,
        far: &view.outside.settings.far,
    };
    match view.outside.egress(host, server).await {
        Ok(ways) => judge(&place, &ways),
        Err(reason) => vec![PORT25.of(host).skip(reason)],
    }
}

impl Outside {
    /// Asks the server; once, whatever domains it has.
    async fn egress(&self, host: &Name, server: &Arc<dyn Remote>) -> Egress {
        let find = || async {
            let far = self.far_host(25).await?;
            let script = script(&far.places, self.settings.patience);
            let server = server.clone();
            let ran = tokio::task::spawn_blocking(move || server.run(&script)).await;
            let ran = ran.map_err(|_| "the look at the server was broken off".to_owned())?;
            let output = ran.map_err(|failure| failure.chain())?;
            if output.code != 0 {
                let what = "the server could not be asked";
                return Err(output.failure(what, "").chain());
            }
            Ok(Arc::new(read(&output.text())))
        };
        self.wire.egress.get(host.clone(), find).await
    }
}

/// Tries one address of each family.
fn script(places: &[SocketAddr], patience: Duration) -> Script {
    let mut text = include_str!("../../templates/outbound.sh").to_owned();
    let seconds = patience.as_secs().max(1);
    for four in [true, false] {
        if let Some(place) = places.iter().find(|place| place.is_ipv4() == four) {
            let address = quote(&place.ip().to_string());
            text.push_str(&format!("try {address} {} {seconds} &\n", place.port()));
        }
    }
    text.push_str("wait\n");
    Script::new(text).within(patience + Duration::from_secs(20))
}

fn read(text: &str) -> Ways {
    let mut families = String::new();
    let mut ways = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("families ") {
            rest.clone_into(&mut families);
        } else {
            ways.extend(way(line));
        }
    }
    ways.sort_by_key(|way| way.to);
    Ways { families, ways }
}

fn way(line: &str) -> Option<Way> {
    let mut words = line.splitn(4, ' ');
    let to = words.next()?.parse().ok()?;
    let code: i32 = words.next()?.parse().ok()?;
    let source = words.next()?.parse().ok();
    let said = words.next().unwrap_or_default().trim();
    let opened = match code {
        0 => Ok(said.to_owned()),
        124 => Err(Closed::Silent),
        // bash writes `bash: line 1: /dev/tcp/…: Connection refused`.
        _ => Err(Closed::Says(
            said.rsplit(": ").next().unwrap_or(said).to_owned(),
        )),
    };
    Some(Way { to, opened, source })
}

fn judge(place: &Place<'_>, seen: &Ways) -> Vec<Finding> {
    let mut findings = Vec::new();
    for four in [true, false] {
        let way = seen.ways.iter().find(|way| way.to.is_ipv4() == four);
        if place.no_ipv6 && !four {
            findings.push(kept_in(place, seen, way));
        } else {
            findings.extend(over(place, four, way));
        }
    }
    findings
}

/// One family.
fn over(place: &Place<'_>, four: bool, way: Option<&Way>) -> Vec<Finding> {
    let same = |address: &&IpAddr| address.is_ipv4() == four;
    let own = place.published.iter().find(same);
    let subject = |way: Option<&Way>| match own.copied().or(way.and_then(|way| way.source)) {
        Some(address) => address.to_string(),
        None => place.host.to_string(),
    };
    let family = if four { "IPv4" } else { "IPv6" };
    let about = PORT25.of(subject(way));
    let Some(way) = way else {
        // Nobody waits for IPv6 where there is none.
        return own
            .map(|_| about.skip(format!("{} has no {family} address to try", place.far)))
            .into_iter()
            .collect();
    };
    match &way.opened {
        Ok(said) => {
            let found = format!("{} answers over {family}: {said}", place.far);
            let opened = about.pass(found.trim_end_matches([':', ' ']));
            std::iter::once(opened).chain(source(place, way)).collect()
        }
        Err(_) if own.is_none() && !four => Vec::new(),
        Err(closed) => {
            let found = match closed {
                Closed::Silent => format!("{} does not answer over {family}", place.far),
                Closed::Says(words) => format!("{} over {family}: {words}", place.far),
            };
            vec![about.fail(
                found,
                "ask the hoster to open port 25 for outgoing connections, and look at the server's own firewall",
            )]
        }
    }
}

fn source(place: &Place<'_>, way: &Way) -> Option<Finding> {
    let source = way.source?;
    let about = SOURCE.of(source);
    let family = family(source);
    if place.published.contains(&source) {
        return Some(about.pass(format!("mail leaves from {source} over {family}")));
    }
    // Where private addresses are published, nobody translates them.
    if translated(source) && !place.published.iter().any(|ip| translated(*ip)) {
        return Some(about.skip(format!(
            "the server is behind address translation: it knows itself as {source} only"
        )));
    }
    let host = place.host;
    Some(about.fail(
        format!("mail leaves from {source} over {family}, which is no address of {host}"),
        format!("make the address of {host} the source of the default route, or run `mailctl apply` with `ipv6: none`"),
    ))
}

/// Whether an address is one that others see another in the place of.
fn translated(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(four) if four.is_private() || shared(four))
}

/// Shared address space of providers' own translation (RFC 6598).
fn shared(address: std::net::Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    a == 100 && (64..128).contains(&b)
}

/// Where mail shall never leave over IPv6.
fn kept_in(place: &Place<'_>, seen: &Ways, way: Option<&Way>) -> Finding {
    let about = PORT25
        .of(place.host)
        .wanting("mail never leaves over IPv6, as mail.yaml says");
    let families = seen.families.trim();
    let allowed = families.is_empty()
        || families.starts_with('~')
        || families.split_whitespace().any(|one| one == "AF_INET6");
    match way {
        _ if !allowed => about.pass("chasquid may not use IPv6"),
        Some(Way { opened: Ok(_), .. }) => about.fail(
            "chasquid may send over IPv6, and port 25 is open there",
            "run `mailctl apply`: it keeps chasquid to IPv4",
        ),
        _ => about.pass("there is no way out over IPv6"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict::{self, Fail, Pass, Skip};

    const FOUR: &str = "198.51.100.9";
    const SIX: &str = "2001:db8:9::9";

    fn judged(published: &[&str], no_ipv6: bool, said: &str) -> Vec<(String, String, Verdict)> {
        let host = Name::parse("smtp.wac.example").expect("a name");
        let published: Vec<IpAddr> = published
            .iter()
            .map(|text| text.parse().expect("an address"))
            .collect();
        let place = Place {
            host: &host,
            published: &published,
            no_ipv6,
            far: "far.example",
        };
        let findings = judge(&place, &read(said));
        let short = |f: Finding| (f.id, f.subject, f.verdict);
        findings.into_iter().map(short).collect()
    }

    fn verdicts(published: &[&str], no_ipv6: bool, said: &str) -> Vec<Verdict> {
        let all = judged(published, no_ipv6, said);
        all.into_iter().map(|(_, _, verdict)| verdict).collect()
    }

    const BOTH: [&str; 2] = ["203.0.113.7", "2001:db8::7"];

    #[test]
    fn both_families_open_from_the_host_s_addresses() {
        let said = format!(
            "families ~\n{SIX} 0 2001:db8::7 220 far.example ESMTP\n{FOUR} 0 203.0.113.7 220 far.example ESMTP\n"
        );
        let found = judged(&BOTH, false, &said);
        let expected = [
            ("outbound.port25", BOTH[0]),
            ("outbound.source", BOTH[0]),
            ("outbound.port25", BOTH[1]),
            ("outbound.source", BOTH[1]),
        ]
        .map(|(id, subject)| (id.to_owned(), subject.to_owned(), Pass));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_closed_port_fails_in_either_family() {
        let closed = format!(
            "families ~\n{FOUR} 124 203.0.113.7 \n{SIX} 1 - bash: line 2: /dev/tcp/{SIX}/25: Network is unreachable\n"
        );
        assert_eq!(verdicts(&BOTH, false, &closed), [Fail, Fail]);
        // Without IPv6 nobody misses it.
        assert_eq!(verdicts(&BOTH[..1], false, &closed), [Fail]);
        let way = way(closed.lines().last().expect("a line")).expect("a way");
        let said = Closed::Says("Network is unreachable".into());
        assert_eq!(way.opened, Err(said));
    }

    #[test]
    fn another_source_fails() {
        let said = |source: &str| format!("families ~\n{SIX} 0 {source} 220 far.example\n");
        let of = |source: &str| verdicts(&BOTH[1..], false, &said(source))[1];
        assert_eq!(of("2001:db8::7"), Pass);
        assert_eq!(of("2001:db8::8"), Fail);
        let four = |source: &str| format!("families ~\n{FOUR} 0 {source} 220 far.example\n");
        let of = |source: &str| verdicts(&BOTH[..1], false, &four(source))[1];
        assert_eq!(of("203.0.113.8"), Fail);
        assert_eq!(of("10.0.0.4"), Skip);
        assert_eq!(of("100.64.0.4"), Skip);
        // In a private world the published addresses are private, and not translated.
        let private = verdicts(&["10.0.0.2"], false, &four("10.0.0.4"));
        assert_eq!(private[1], Fail);
        // IPv6 that goes out without an AAAA is told, too.
        assert_eq!(verdicts(&[], false, &said("2001:db8::8")), [Pass, Fail]);
    }

    #[test]
    fn where_ipv6_is_not_wished_for_it_must_be_closed() {
        let open = |families: &str| format!("families {families}\n{SIX} 0 2001:db8::8 220 far\n");
        assert_eq!(verdicts(&[], true, &open("~")), [Fail]);
        assert_eq!(verdicts(&[], true, &open("")), [Fail]);
        assert_eq!(verdicts(&[], true, &open("AF_INET AF_INET6")), [Fail]);
        assert_eq!(
            verdicts(&[], true, &open("AF_INET AF_UNIX AF_NETLINK")),
            [Pass]
        );
        let closed = format!("families ~\n{SIX} 1 - bash: Network is unreachable\n");
        assert_eq!(verdicts(&[], true, &closed), [Pass]);
    }

    #[test]
    fn a_far_host_without_the_family_says_nothing() {
        assert_eq!(verdicts(&BOTH, false, "families ~\n"), [Skip, Skip]);
    }

    #[test]
    fn the_script_is_understood_by_a_shell() {
        use std::io::Write;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
        let open = listener.local_addr().expect("known");
        let spare = std::net::TcpListener::bind("[::1]:0").expect("loopback");
        let closed = spare.local_addr().expect("known");
        drop(spare);
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a visitor");
            stream
                .write_all(b"220 far.example ESMTP\r\n")
                .expect("said");
            std::io::read_to_string(stream).expect("heard")
        });
        let script = script(&[open, closed], Duration::from_secs(5));
        let (code, out, err) = crate::kinds::shell::run(&script.text);
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        let ways = read(&out).ways;
        assert_eq!(ways[0].opened, Ok("220 far.example ESMTP".into()));
        let refused = Closed::Says("Connection refused".into());
        assert_eq!(ways[1].opened, Err(refused));
        assert_eq!(server.join().expect("served"), "QUIT\r\n");
    }
}

//! apt's sources in both of their forms (man 5 sources.list).

/// One source: where, and which suites of it.
#[derive(Debug, Default)]
struct Source {
    disabled: bool,
    types: String,
    uris: String,
    suites: String,
}

/// The mirror that serves the system's own suite. It serves the others too,
/// which a mirror of security updates does not.
///
/// `text` has a line for each line of the sources that matters, as
/// `grep -H` prints it: `file:line`.
pub fn mirror(text: &str, codename: &str) -> Option<String> {
    let sources = parse(text);
    let own = sources.iter().find(|s| {
        !s.disabled
            && s.types.split_whitespace().any(|t| t == "deb")
            && s.suites.split_whitespace().any(|suite| suite == codename)
    })?;
    let uri = own.uris.split_whitespace().next()?.trim_end_matches('/');
    // A name and password inside it must not travel into a file that everybody can read.
    (!codename.is_empty() && !uri.contains('@') && !uri.starts_with("cdrom:"))
        .then(|| uri.to_owned())
}

fn parse(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut stanza = Source::default();
    let mut last_file = "";
    for (file, line) in text.lines().filter_map(|l| l.split_once(':')) {
        let line = line.trim();
        if line.is_empty() || file != last_file {
            sources.push(std::mem::take(&mut stanza));
        }
        last_file = file;
        if let Some(rest) = line
            .strip_prefix("deb")
            .filter(|r| r.starts_with(char::is_whitespace))
        {
            sources.push(one_line(rest.trim()));
        } else if let Some((key, value)) = line.split_once(':') {
            match key {
                "Enabled" => stanza.disabled = matches!(value.trim(), "no" | "false"),
                "Types" => stanza.types = value.into(),
                "URIs" => stanza.uris = value.into(),
                "Suites" => stanza.suites = value.into(),
                _ => {}
            }
        }
    }
    sources.push(stanza);
    sources
}

/// `[options] URI SUITE COMPONENT…`, after `deb`.
fn one_line(rest: &str) -> Source {
    let rest = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']').map_or("", |(_, rest)| rest),
        None => rest,
    };
    let mut words = rest.split_whitespace();
    let mut word = || words.next().unwrap_or_default().to_owned();
    Source {
        disabled: false,
        types: "deb".into(),
        uris: word(),
        suites: word(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_sources() {
        let text = "/etc/apt/sources.list:deb http://security.debian.org/debian-security bookworm-security main\n\
                    /etc/apt/sources.list:deb [arch=amd64 signed-by=/x.gpg] http://mirror.hetzner.com/debian/packages/ bookworm main contrib\n";
        assert_eq!(
            mirror(text, "bookworm").as_deref(),
            Some("http://mirror.hetzner.com/debian/packages")
        );
        assert_eq!(mirror(text, "trixie"), None);
    }

    #[test]
    fn stanzas_in_any_order_of_fields() {
        let text = "/a/x.sources:Types: deb\n/a/x.sources:URIs: https://other.example/debian\n/a/x.sources:Suites: nodistro\n\
                    /a/debian.sources:Suites: trixie trixie-updates\n/a/debian.sources:Types: deb deb-src\n\
                    /a/debian.sources:URIs: mirror+file:///etc/apt/mirrors/debian.list\n/a/debian.sources:\n\
                    /a/debian.sources:Types: deb\n/a/debian.sources:URIs: http://deb.debian.org/debian-security\n/a/debian.sources:Suites: trixie-security\n";
        assert_eq!(
            mirror(text, "trixie").as_deref(),
            Some("mirror+file:///etc/apt/mirrors/debian.list")
        );
    }

    #[test]
    fn disabled_sources_and_passwords_are_passed_over() {
        let disabled =
            "f:Types: deb\nf:Enabled: no\nf:URIs: http://a.example/debian\nf:Suites: trixie\n";
        assert_eq!(mirror(disabled, "trixie"), None);
        assert_eq!(
            mirror(
                "f:deb https://me:secret@a.example/debian trixie main\n",
                "trixie"
            ),
            None
        );
        assert_eq!(mirror("", ""), None);
    }
}

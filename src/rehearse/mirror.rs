//! Where this machine gets Debian packages from, so that the server of a
//! world gets them from there too: a private mirror or a proxy keeps working.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use reqwest::Url;

/// The suites of Debian that an archive can be recognised by.
const DEBIAN_SUITES: [&str; 10] = [
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
];

/// The two archives of a Debian system, without trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The main archive.
    pub archive: String,
    /// The archive of security updates.
    pub security: String,
    /// Proxies that apt uses, as `apt-config` names them.
    pub proxies: Vec<(String, String)>,
}

impl Default for Mirror {
    fn default() -> Self {
        Self {
            archive: "http://deb.debian.org/debian".into(),
            security: "http://deb.debian.org/debian-security".into(),
            proxies: Vec::new(),
        }
    }
}

impl Mirror {
    /// As this machine's apt has it; Debian's own where it has none of Debian.
    pub fn of_this_machine() -> Self {
        let mut mirror = Self::default();
        let mut files = vec![Path::new("/etc/apt/sources.list").to_owned()];
        if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
            files.extend(entries.flatten().map(|entry| entry.path()));
        }
        files.sort();
        for file in files {
            let text = fs::read_to_string(&file).unwrap_or_default();
            match file.extension().and_then(|e| e.to_str()) {
                Some("list") => mirror.read_list(&text),
                Some("sources") => mirror.read_deb822(&text),
                _ => {}
            }
        }
        let options = ["Acquire::http::Proxy", "Acquire::https::Proxy"];
        if let Ok(output) = Command::new("apt-config")
            .arg("dump")
            .args(options)
            .output()
        {
            mirror.read_proxies(&String::from_utf8_lossy(&output.stdout));
        }
        mirror
    }

    /// The one-line entries of a suite's sources.list, as on a new server.
    pub fn entries(&self, suite: &str) -> [String; 3] {
        [
            format!("deb {} {suite} main", self.archive),
            format!("deb {} {suite}-updates main", self.archive),
            format!("deb {} {suite}-security main", self.security),
        ]
    }

    /// The host names that the server must be able to resolve; literal addresses are not among them.
    pub fn hosts(&self) -> BTreeSet<String> {
        self.urls()
            .filter_map(|url| url.domain().map(str::to_owned))
            .collect()
    }

    /// The TCP ports that the server must be able to reach.
    pub fn ports(&self) -> BTreeSet<u16> {
        self.urls()
            .filter_map(|url| url.port_or_known_default())
            .chain([80, 443])
            .collect()
    }

    fn urls(&self) -> impl Iterator<Item = Url> {
        let proxies = self.proxies.iter().map(|(_, url)| url);
        [&self.archive, &self.security]
            .into_iter()
            .chain(proxies)
            .filter_map(|url| Url::parse(url).ok())
    }

    /// One-line style, sources.list(5): `deb [options] uri suite component…`.
    fn read_list(&mut self, text: &str) {
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let Some(rest) = line.trim().strip_prefix("deb ") else {
                continue;
            };
            let rest = rest.trim_start();
            let rest = if rest.starts_with('[') {
                rest.split_once(']').map_or("", |(_, r)| r)
            } else {
                rest
            };
            let mut words = rest.split_whitespace();
            if let (Some(uri), Some(suite)) = (words.next(), words.next()) {
                self.learn(uri, suite);
            }
        }
    }

    /// deb822 style, sources.list(5): stanzas with `URIs` and `Suites`.
    fn read_deb822(&mut self, text: &str) {
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        for stanza in lines.split(|line| line.trim().is_empty()) {
            let field = |name: &str| {
                let values = stanza.iter().find_map(|line| {
                    let (key, value) = line.split_once(':')?;
                    key.eq_ignore_ascii_case(name).then_some(value)
                });
                values.unwrap_or_default().split_whitespace()
            };
            if field("Enabled").any(|v| v == "no") || !field("Types").any(|v| v == "deb") {
                continue;
            }
            if let Some(uri) = field("URIs").next() {
                field("Suites").for_each(|suite| self.learn(uri, suite));
            }
        }
    }

    fn learn(&mut self, uri: &str, suite: &str) {
        let (codename, kind) = suite.split_once(['-', '/']).unwrap_or((suite, ""));
        if !DEBIAN_SUITES.contains(&codename) || !uri.starts_with("http") {
            return;
        }
        let uri = uri.trim_end_matches('/').to_owned();
        match kind {
            "" => self.archive = uri,
            "security" => self.security = uri,
            // Updates lie beside the main archive, backports may not.
            _ => {}
        }
    }

    /// Lines such as `Acquire::http::Proxy "http://proxy:3128";`.
    fn read_proxies(&mut self, dump: &str) {
        for line in dump.lines() {
            if let Some((key, value)) = line.trim_end_matches(';').split_once(' ') {
                let url = value.trim_matches('"');
                if Url::parse(url).is_ok() {
                    self.proxies.push((key.to_owned(), url.to_owned()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_entries_are_read() {
        let mut mirror = Mirror::default();
        mirror.read_list(
            "# deb http://commented.example/debian bookworm main\n\
             deb [arch=amd64 signed-by=/k.gpg] http://10.0.0.5:3142/debian/ bookworm main contrib\n\
             deb http://10.0.0.5:3142/sec bookworm-security main\n\
             deb http://elsewhere.example/debian bookworm-backports main\n\
             deb http://ubuntu.example/ubuntu noble main\n",
        );
        assert_eq!(mirror.archive, "http://10.0.0.5:3142/debian");
        assert_eq!(mirror.security, "http://10.0.0.5:3142/sec");
        assert!(
            mirror.hosts().is_empty(),
            "literal addresses need no resolver"
        );
        assert_eq!(mirror.ports(), BTreeSet::from([80, 443, 3142]));
    }

    #[test]
    fn deb822_stanzas_are_read() {
        let mut mirror = Mirror::default();
        mirror.read_deb822(
            "Types: deb\n# a comment\nURIs: https://mirror.example/debian\nSuites: trixie trixie-updates\n\n\
             Types: deb-src\nURIs: http://source.example/debian\nSuites: trixie\n\n\
             Enabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: trixie\n",
        );
        mirror.read_proxies("Acquire::http::Proxy \"http://proxy.example:3128\";\n");
        assert_eq!(mirror.archive, "https://mirror.example/debian");
        assert_eq!(mirror.security, Mirror::default().security);
        let hosts: Vec<String> = mirror.hosts().into_iter().collect();
        assert_eq!(hosts, ["deb.debian.org", "mirror.example", "proxy.example"]);
        assert!(mirror.ports().contains(&3128));
    }
}

//! What the rules of the firewalls in use say about a TCP port. Only rules
//! without a source address count: mail comes from everywhere.

/// Whether a list such as `25,465`, `20:30` or `any` has the port; `between` separates ends of a range.
fn lists(ports: &str, port: u16, between: char) -> bool {
    ports == "any"
        || ports.split(',').any(|part| {
            let (first, last) = part.trim().split_once(between).unwrap_or((part.trim(), part.trim()));
            matches!((first.parse::<u16>(), last.parse::<u16>()), (Ok(a), Ok(b)) if (a..=b).contains(&port))
        })
}

/// ufw's own notes: `### tuple ### allow tcp 25 0.0.0.0/0 any 0.0.0.0/0 in`.
pub fn ufw_allows(tuples: &str, port: u16) -> bool {
    tuples.lines().any(|line| {
        let fields: Vec<&str> = line
            .trim_start_matches("### tuple ###")
            .split_whitespace()
            .collect();
        let [action, proto, ports, to, _, from, ..] = fields[..] else {
            return false;
        };
        let everywhere = |address: &str| matches!(address, "0.0.0.0/0" | "::/0");
        let inward = fields.contains(&"in");
        matches!(action, "allow" | "limit")
            && matches!(proto, "tcp" | "any")
            && inward
            && everywhere(to)
            && everywhere(from)
            && lists(ports, port, ':')
    })
}

/// What `firewall-cmd --list-ports` and `--list-services` print.
pub fn firewalld_allows([ports, services]: [&str; 2], port: u16) -> bool {
    let service = match port {
        25 => "smtp",
        465 => "smtps",
        587 => "smtp-submission",
        _ => "",
    };
    services.split_whitespace().any(|s| s == service)
        || ports
            .split_whitespace()
            .filter_map(|p| p.strip_suffix("/tcp"))
            .any(|p| lists(p, port, '-'))
}

/// What `iptables-save -t filter` prints: true where INPUT does not drop in the
/// end, or some rule accepts the port.
pub fn iptables_allows(text: &str, port: u16) -> bool {
    let rules: Vec<&str> = text
        .lines()
        .filter(|l| l.starts_with("-A INPUT "))
        .collect();
    let policy = text
        .lines()
        .find_map(|l| l.strip_prefix(":INPUT "))
        .unwrap_or("ACCEPT");
    let bare = |rule: &str, target: &str| rule.starts_with(&format!("-A INPUT -j {target}"));
    let drops =
        policy.starts_with("DROP") || rules.iter().any(|r| bare(r, "DROP") || bare(r, "REJECT"));
    !drops
        || text
            .lines()
            .filter(|l| l.starts_with("-A ") && l.contains("-j ACCEPT"))
            .any(|rule| {
                let words: Vec<&str> = rule.split_whitespace().collect();
                let after = |key: &str| {
                    words
                        .iter()
                        .position(|w| *w == key)
                        .and_then(|i| words.get(i + 1))
                        .copied()
                };
                let ports = after("--dport").or_else(|| after("--dports"));
                let narrow = ["-s", "-i", "-d", "--ctstate", "--state"]
                    .iter()
                    .any(|key| words.contains(key));
                match ports {
                    Some(ports) => {
                        !words.contains(&"-s") && words.contains(&"tcp") && lists(ports, port, ':')
                    }
                    None => !narrow && matches!(after("-p"), None | Some("tcp")),
                }
            })
}

/// A base chain of nftables on the input hook that drops in the end.
#[derive(Debug, PartialEq, Eq)]
pub struct Chain {
    /// Family and name, such as `inet filter`.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Rules of the whole table: the chain may jump to any of its chains.
    rules: Vec<String>,
}

impl Chain {
    /// Whether a rule of its table accepts the port from everywhere.
    pub fn allows(&self, port: u16) -> bool {
        self.rules.iter().any(|rule| accepts(rule, port))
    }
}

fn accepts(rule: &str, port: u16) -> bool {
    let words: Vec<&str> = rule.split_whitespace().collect();
    if !words.contains(&"accept") || words.contains(&"saddr") {
        return false;
    }
    match rule.split_once("dport ") {
        // A rule without any match accepts everything.
        None => words.first() == Some(&"accept") || words.first() == Some(&"counter"),
        Some((before, after)) => {
            let set = after
                .strip_prefix('{')
                .and_then(|s| s.split_once('}'))
                .map(|(set, _)| set.replace(' ', ""));
            let ports = set.unwrap_or_else(|| {
                after
                    .split_whitespace()
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            });
            !before.contains("udp ") && (ports.starts_with('@') || lists(&ports, port, '-'))
        }
    }
}

/// The chains of `nft list ruleset` that drop what no rule accepts. Tables that
/// iptables keeps are left out where iptables was asked itself.
pub fn nft_closed_chains(text: &str, without_iptables: bool) -> Vec<Chain> {
    let mut closed = Vec::new();
    for (table, body) in blocks(text, "table ") {
        if without_iptables && matches!(table.as_str(), "ip filter" | "ip6 filter") {
            continue;
        }
        let chains = blocks(&body, "chain ");
        let rules: Vec<String> = chains
            .iter()
            .flat_map(|(_, body)| body.lines().map(|l| l.trim().to_owned()))
            .collect();
        for (name, body) in &chains {
            let Some(hook) = body.lines().find(|l| l.contains("hook input ")) else {
                continue;
            };
            let last = body
                .lines()
                .map(str::trim)
                .rfind(|l| !l.is_empty() && !l.contains("hook input "))
                .unwrap_or_default();
            let bare = |rule: &str| {
                let first = rule.split_whitespace().find(|w| {
                    !matches!(*w, "counter" | "packets" | "bytes") && w.parse::<u64>().is_err()
                });
                matches!(first, Some("drop" | "reject"))
            };
            if hook.contains("type filter") && (hook.contains("policy drop") || bare(last)) {
                closed.push(Chain {
                    table: table.clone(),
                    name: name.clone(),
                    rules: rules.clone(),
                });
            }
        }
    }
    closed
}

/// `keyword NAME { … }` at the outermost level, as name and body.
fn blocks(text: &str, keyword: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(String, String, usize)> = None;
    for line in text.lines() {
        match &mut open {
            None => {
                if let Some(name) = line
                    .trim()
                    .strip_prefix(keyword)
                    .and_then(|rest| rest.strip_suffix(" {"))
                {
                    open = Some((name.to_owned(), String::new(), 1));
                }
            }
            Some((_, body, depth)) => {
                *depth += line.matches('{').count();
                *depth -= line.matches('}').count().min(*depth);
                body.push_str(line);
                body.push('\n');
                if *depth == 0
                    && let Some((name, mut body, _)) = open.take()
                {
                    body.truncate(body.trim_end().len() - 1);
                    found.push((name, body));
                }
            }
        }
    }
    found
}

//! What the world's name server holds, changed in its own words and put back to the letter.

use std::collections::BTreeMap;
use std::time::Duration;

use mailctl::record::Name;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::lab::Lab;

/// Owner and type, as the API writes them.
type Key = (String, String);

/// TTL and values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    pub ttl: u64,
    pub values: Vec<String>,
}

/// All sets of all zones, as they were when the world was well.
pub struct Zones {
    url: String,
    token: String,
    client: Client,
    runtime: Runtime,
    well: BTreeMap<Name, BTreeMap<Key, Set>>,
    touched: Vec<(Name, Key)>,
    signed: Vec<Name>,
}

impl Zones {
    /// Takes down what there is.
    pub fn read(lab: &Lab) -> Self {
        let names = lab.world.names();
        let client = Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build();
        let mut zones = Self {
            url: format!("{}/api/v1/servers/localhost/zones", names.endpoint()),
            token: names.token().expose().to_owned(),
            client: client.expect("a client"),
            runtime: Runtime::new().expect("a runtime"),
            well: BTreeMap::new(),
            touched: Vec::new(),
            signed: Vec::new(),
        };
        zones.well = zones.all();
        zones
    }

    /// Changes sets as the lines say; see tests/worlds/README.md.
    pub fn change(&mut self, lines: &str) {
        for (zone, lines) in by_zone(lines) {
            for (key, set) in changes(&lines, |key| self.usual(zone.as_ref(), key)) {
                self.put(zone.as_ref(), key, &set);
            }
        }
    }

    /// Puts everything back.
    pub fn undo(&mut self) {
        for zone in std::mem::take(&mut self.signed) {
            let path = id(&zone);
            self.send(Method::PUT, &path, Some(json!({ "dnssec": false })));
        }
        // What is gone first: an alias has its name for itself.
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_by_key(|(zone, key)| self.well[zone].contains_key(key));
        for (zone, key) in touched {
            let set = self.well[&zone].get(&key).cloned().unwrap_or_default();
            self.patch(&zone, &key, &set);
        }
    }

    /// What is not as it was.
    pub fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        for (zone, now) in self.all() {
            let before = &self.well[&zone];
            for key in before.keys().chain(now.keys()) {
                // Its serial counts the changes.
                if key.1 != "SOA" && before.get(key) != now.get(key) {
                    left.push(format!(
                        "{} {}: {:?} instead of {:?}",
                        key.0,
                        key.1,
                        now.get(key),
                        before.get(key)
                    ));
                }
            }
        }
        left
    }

    /// A zone in zone-file text, as it is or, when `old`, as it was, with these changes.
    pub fn text(&self, zone: &Name, old: bool, lines: &str) -> String {
        let mut sets = if old {
            self.well[zone].clone()
        } else {
            self.sets(zone)
        };
        for (key, set) in changes(lines, |key| sets.get(key).cloned().unwrap_or_default()) {
            sets.insert(key, set);
        }
        let mut text = String::new();
        for ((name, rtype), set) in sets {
            for value in set.values {
                text.push_str(&format!("{name} {} IN {rtype} {value}\n", set.ttl));
            }
        }
        text
    }

    /// Signs the root and a zone below it, and returns the root's trust anchor.
    pub fn sign(&mut self, zone: &Name) -> String {
        for zone in [zone, &Name::root()] {
            let path = id(zone);
            let wish = json!({ "dnssec": true, "api_rectify": true });
            self.send(Method::PUT, &path, Some(wish));
            self.send(Method::PUT, &format!("{path}/rectify"), None);
            self.signed.push(zone.clone());
        }
        let ds = self.ds(zone);
        let key = (zone.fqdn(), "DS".to_owned());
        let set = Set {
            ttl: 60,
            values: vec![ds],
        };
        self.touched.push((Name::root(), key.clone()));
        self.patch(&Name::root(), &key, &set);
        format!(". DS {}", self.ds(&Name::root()))
    }

    /// The digest by SHA-256 of a zone's key.
    fn ds(&self, zone: &Name) -> String {
        let keys = self.send(Method::GET, &format!("{}/cryptokeys", id(zone)), None);
        let all = keys.as_array().into_iter().flatten();
        let mut ds = all
            .filter_map(|key| key["ds"].as_array())
            .flatten()
            .filter_map(Value::as_str);
        let sha256 = ds.find(|ds| ds.split(' ').nth(2) == Some("2"));
        sha256.expect("a DS").to_owned()
    }

    fn usual(&self, zone: Option<&Name>, key: &Key) -> Set {
        let zone = zone.cloned().unwrap_or_else(|| self.zone_of(key));
        self.well[&zone].get(key).cloned().unwrap_or_default()
    }

    fn put(&mut self, zone: Option<&Name>, key: Key, set: &Set) {
        let own = zone.cloned().unwrap_or_else(|| self.zone_of(&key));
        self.patch(&own, &key, set);
        // A delegation stands on both sides, unless one of them was named.
        if zone.is_none() && key.1 == "NS" && own.fqdn() == key.0 {
            let above = self.holding(&own.parent().expect("a zone above"));
            self.patch(&above, &key, set);
            self.touched.push((above, key.clone()));
        }
        self.touched.push((own, key));
    }

    fn zone_of(&self, key: &Key) -> Name {
        let name = Name::parse(&key.0).expect("a name");
        // A DS stands in the zone above (RFC 4035 section 2.4).
        match (key.1.as_str(), name.parent()) {
            ("DS", Some(parent)) => self.holding(&parent),
            _ => self.holding(&name),
        }
    }

    fn holding(&self, name: &Name) -> Name {
        let holds = self.well.keys().filter(|zone| name.is_in(zone));
        let longest = holds.max_by_key(|zone| zone.as_str().len());
        longest.expect("the root holds every name").clone()
    }

    fn patch(&self, zone: &Name, key: &Key, set: &Set) {
        let records = set
            .values
            .iter()
            .map(|content| json!({ "content": content, "disabled": false }));
        let change = json!({ "rrsets": [{
            "name": key.0,
            "type": key.1,
            "ttl": set.ttl,
            "changetype": if set.values.is_empty() { "DELETE" } else { "REPLACE" },
            "records": records.collect::<Vec<_>>(),
        }]});
        self.send(Method::PATCH, &id(zone), Some(change));
    }

    fn all(&self) -> BTreeMap<Name, BTreeMap<Key, Set>> {
        let list = self.send(Method::GET, "", None);
        let names = list.as_array().expect("a list").iter();
        let names = names.map(|zone| zone["name"].as_str().expect("a name").to_owned());
        let zones = names.map(|name| {
            let zone = Name::parse(&name).expect("a name");
            let sets = self.sets(&zone);
            (zone, sets)
        });
        zones.collect()
    }

    fn sets(&self, zone: &Name) -> BTreeMap<Key, Set> {
        let whole = self.send(Method::GET, &id(zone), None);
        let sets = whole["rrsets"].as_array().expect("sets").iter().map(read);
        sets.collect()
    }

    fn send(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let url = format!(
            "{}{}{path}",
            self.url,
            if path.is_empty() { "" } else { "/" }
        );
        let what = format!("{method} {url} {}", body.clone().unwrap_or_default());
        let mut request = self.client.request(method, url);
        request = request.header("X-API-Key", &self.token);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let answer = async {
            let response = request.send().await.expect("PowerDNS answers");
            (response.status(), response.text().await.expect("a body"))
        };
        let (status, text) = self.runtime.block_on(answer);
        assert!(status.is_success(), "{what}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }
}

/// A dot alone is no path segment: PowerDNS writes the root's id as `=2E`.
fn id(zone: &Name) -> String {
    if *zone == Name::root() {
        return "=2E".to_owned();
    }
    zone.fqdn()
}

fn read(set: &Value) -> (Key, Set) {
    let text = |field: &str| set[field].as_str().expect("text").to_owned();
    let records = set["records"].as_array().expect("records").iter();
    let mut values: Vec<String> = records
        .map(|record| record["content"].as_str().expect("content").to_owned())
        .collect();
    values.sort();
    let ttl = set["ttl"].as_u64().expect("a number");
    ((text("name"), text("type")), Set { ttl, values })
}

/// The lines, by the zone that a line `in ZONE` names for those below it.
fn by_zone(lines: &str) -> Vec<(Option<Name>, String)> {
    let mut parts = vec![(None, String::new())];
    for line in lines.lines() {
        if let Some(zone) = line.strip_prefix("in ") {
            let zone = Name::parse(zone).expect("a zone");
            parts.push((Some(zone), String::new()));
        } else if let Some((_, part)) = parts.last_mut() {
            part.push_str(line);
            part.push('\n');
        }
    }
    parts
}

/// The sets that the lines of a `zone` block ask for.
fn changes(lines: &str, usual: impl Fn(&Key) -> Set) -> Vec<(Key, Set)> {
    let mut changes: Vec<(Key, Set)> = Vec::new();
    for line in lines.lines() {
        if let Some(value) = line.strip_prefix("| ") {
            let (_, set) = changes.last_mut().expect("a value belongs to a set");
            set.values.push(value.to_owned());
            continue;
        }
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let owner = match words[0].parse() {
            Ok(ip) => Name::reverse(ip),
            Err(_) => Name::parse(words[0]).expect("a name"),
        };
        let key = (owner.fqdn(), words[1].to_owned());
        let known = changes.iter().find(|(k, _)| *k == key);
        let mut set = known.map_or_else(|| usual(&key), |(_, set)| set.clone());
        match words.get(2).copied() {
            None => set.values.clear(),
            Some("and") => {}
            Some("absent") => set.values.clear(),
            Some("with") => {
                let (from, to) = words[3].split_once(" -> ").expect("FROM -> TO");
                let there = set.values.iter().any(|value| value.contains(from));
                assert!(there, "{line}: it is not in {:?}", set.values);
                for value in &mut set.values {
                    *value = value.replace(from, to);
                }
            }
            Some(ttl) => {
                set.values.clear();
                set.ttl = ttl.parse().expect("seconds");
            }
        }
        if set.ttl == 0 {
            set.ttl = 60;
        }
        changes.retain(|(k, _)| *k != key);
        changes.push((key, set));
    }
    // What goes makes room: an alias has its name for itself.
    changes.sort_by_key(|(_, set)| !set.values.is_empty());
    changes
}

//! The DNS part of Hetzner's Cloud API.

use std::collections::BTreeMap;

use mailctl::record::{RType, Rrset, RrsetKey};
use serde_json::{Value, json};

use super::{Api, READER, Request, Response, TOKEN};
use crate::{APEX, name};

/// TTL and values of one set.
#[derive(Clone, Default)]
struct Held {
    ttl: Option<u32>,
    values: Vec<String>,
}

#[derive(Default)]
pub struct Hetzner {
    sets: BTreeMap<(String, String), Held>,
}

impl Hetzner {
    fn shown(&self, request: &Request) -> Response {
        let fits = |field: &str, value: &str| request.param(field).is_none_or(|want| want == value);
        let found = self
            .sets
            .iter()
            .filter(|((name, rtype), _)| fits("name", name) && fits("type", rtype))
            .map(|((name, rtype), held)| {
                let records: Vec<Value> = held.values.iter().map(|v| json!({"value": v})).collect();
                json!({"id": format!("{name}/{rtype}"), "name": name, "type": rtype, "ttl": held.ttl, "records": records})
            });
        Response::ok(json!({"rrsets": found.collect::<Vec<_>>()}))
    }

    fn acted(&mut self, key: (String, String), action: &str, body: &Value) -> Response {
        let values: Vec<String> = body["records"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|record| record["value"].as_str().map(str::to_owned))
            .collect();
        let missing = !self.sets.contains_key(&key);
        if missing && action != "add_records" {
            return Response::error(404, "not_found");
        }
        let held = self.sets.entry(key.clone()).or_default();
        match action {
            "set_records" => held.values = values,
            "add_records" => held.values.extend(values),
            "remove_records" => held.values.retain(|value| !values.contains(value)),
            "change_ttl" => held.ttl = body["ttl"].as_u64().and_then(|ttl| u32::try_from(ttl).ok()),
            _ => return Response::error(404, "not_found"),
        }
        if held.values.is_empty() {
            self.sets.remove(&key);
        }
        Response::ok(json!({"action": {"id": 1, "status": "success"}}))
    }
}

impl Api for Hetzner {
    fn answer(&mut self, request: &Request) -> Response {
        match request.token.as_str() {
            TOKEN => {}
            READER if request.method == "GET" => {}
            READER => return Response::error(403, "token_readonly"),
            _ => return Response::error(401, "unauthorized"),
        }
        let parts = request.parts();
        match (request.method.as_str(), &parts[1..]) {
            (_, ["zones", zone, ..]) if *zone != APEX => Response::error(404, "not_found"),
            ("GET", ["zones", _, "rrsets"]) => self.shown(request),
            ("POST", ["zones", _, "rrsets", name, rtype, "actions", action]) => {
                let key = ((*name).to_owned(), (*rtype).to_owned());
                self.acted(key, action, &request.body)
            }
            ("DELETE", ["zones", _, "rrsets", name, rtype]) => {
                let key = ((*name).to_owned(), (*rtype).to_owned());
                match self.sets.remove(&key) {
                    Some(_) => Response::ok(json!({"action": {"id": 2, "status": "success"}})),
                    None => Response::error(404, "not_found"),
                }
            }
            _ => Response::error(404, "not_found"),
        }
    }

    fn sets(&self) -> Vec<Rrset> {
        let shown = |((owner, rtype), held): (&(String, String), &Held)| {
            let owner = match owner.as_str() {
                "@" => name(APEX),
                owner => name(&format!("{owner}.{APEX}")),
            };
            let rtype: RType = rtype.parse().expect("a type");
            Rrset::new(
                RrsetKey::new(owner, rtype),
                held.ttl.or(Some(3600)),
                &held.values,
            )
        };
        self.sets.iter().map(shown).collect()
    }
}

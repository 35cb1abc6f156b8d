//! APIs that hold sets with their values as zone files write them: Gandi's
//! LiveDNS, and deSEC's.

use std::collections::BTreeMap;

use mailctl::record::{RType, Rrset, RrsetKey};
use serde_json::{Value, json};

use super::{Api, READER, Request, Response, TOKEN};
use crate::{APEX, name};

/// TTL and values of the sets, by relative name and type.
type Sets = BTreeMap<(String, String), (u32, Vec<String>)>;

fn texts(value: &Value) -> Vec<String> {
    let values = value.as_array().into_iter().flatten();
    values
        .filter_map(|v| v.as_str().map(str::to_owned))
        .collect()
}

fn shown(sets: &Sets) -> Vec<Rrset> {
    let shown = sets.iter().map(|((owner, rtype), (ttl, values))| {
        let owner = match owner.as_str() {
            "@" => name(APEX),
            owner => name(&format!("{owner}.{APEX}")),
        };
        let rtype: RType = rtype.parse().expect("a type");
        Rrset::new(RrsetKey::new(owner, rtype), Some(*ttl), values)
    });
    shown.collect()
}

fn refused(request: &Request) -> Option<Response> {
    match request.token.as_str() {
        TOKEN => None,
        READER if request.method == "GET" => None,
        READER => Some(Response::error(403, "forbidden")),
        _ => Some(Response::error(401, "unauthorized")),
    }
}

fn number(value: &Value) -> u32 {
    value
        .as_u64()
        .and_then(|n| u32::try_from(n).ok())
        .unwrap_or_default()
}

#[derive(Default)]
pub struct Gandi(Sets);

impl Api for Gandi {
    fn answer(&mut self, request: &Request) -> Response {
        if let Some(refused) = refused(request) {
            return refused;
        }
        let parts = request.parts();
        let ["v5", "livedns", "domains", APEX, "records", owner, rtype] = parts[..] else {
            return Response::error(404, "not found");
        };
        let key = (owner.to_owned(), rtype.to_owned());
        match request.method.as_str() {
            "GET" => match self.0.get(&key) {
                Some((ttl, values)) => Response::ok(
                    json!({"rrset_name": owner, "rrset_type": rtype, "rrset_ttl": ttl, "rrset_values": values}),
                ),
                None => Response::error(404, "not found"),
            },
            "PUT" => {
                let ttl = number(&request.body["rrset_ttl"]);
                if ttl < 300 {
                    return Response::error(400, "rrset_ttl must be at least 300");
                }
                self.0
                    .insert(key, (ttl, texts(&request.body["rrset_values"])));
                Response {
                    status: 201,
                    body: json!({"message": "DNS Record Created"}),
                }
            }
            "DELETE" => match self.0.remove(&key) {
                Some(_) => Response {
                    status: 204,
                    body: Value::Null,
                },
                None => Response::error(404, "not found"),
            },
            _ => Response::error(405, "no such method"),
        }
    }

    fn sets(&self) -> Vec<Rrset> {
        shown(&self.0)
    }
}

#[derive(Default)]
pub struct Desec(Sets);

impl Desec {
    fn set(&self, key: &(String, String)) -> Value {
        let (owner, rtype) = key;
        let (ttl, values) = self.0.get(key).cloned().unwrap_or_default();
        json!({"created": "2026-01-01T00:00:00Z", "touched": "2026-01-01T00:00:00Z", "domain": APEX,
            "subname": owner, "name": format!("{owner}.{APEX}."), "type": rtype, "ttl": ttl, "records": values})
    }

    fn put(&mut self, given: &Value) -> Result<Value, Response> {
        let text = |field: &str| given[field].as_str().unwrap_or_default().to_owned();
        let owner = Some(text("subname"))
            .filter(|o| !o.is_empty())
            .unwrap_or("@".into());
        let key = (owner, text("type"));
        let ttl = number(&given["ttl"]);
        if ttl < 3600 {
            return Err(Response::error(
                400,
                "Ensure this value is greater than or equal to 3600.",
            ));
        }
        self.0.insert(key.clone(), (ttl, texts(&given["records"])));
        Ok(self.set(&key))
    }
}

impl Api for Desec {
    fn answer(&mut self, request: &Request) -> Response {
        if let Some(refused) = refused(request) {
            return refused;
        }
        let parts = request.parts();
        match (request.method.as_str(), &parts[2..]) {
            (_, ["domains", zone, ..]) if *zone != APEX => Response::error(404, "Not found."),
            ("GET", ["domains", _]) => Response::ok(json!({"name": APEX, "minimum_ttl": 3600})),
            ("PUT", ["domains", _, "rrsets"]) => {
                let given = request.body.as_array().cloned().unwrap_or_default();
                let put: Result<Vec<Value>, Response> = given.iter().map(|g| self.put(g)).collect();
                put.map_or_else(|refused| refused, |put| Response::ok(Value::Array(put)))
            }
            (method, ["domains", _, "rrsets", owner, rtype]) => {
                let key = ((*owner).to_owned(), (*rtype).to_owned());
                match method {
                    "GET" if self.0.contains_key(&key) => Response::ok(self.set(&key)),
                    "DELETE" => {
                        self.0.remove(&key);
                        Response {
                            status: 204,
                            body: Value::Null,
                        }
                    }
                    _ => Response::error(404, "Not found."),
                }
            }
            _ => Response::error(404, "Not found."),
        }
    }

    fn sets(&self) -> Vec<Rrset> {
        shown(&self.0)
    }
}

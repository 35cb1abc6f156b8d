//! Cloudflare's API as far as zones and records go.

use mailctl::record::{RType, Rrset, RrsetKey};
use serde_json::{Value, json};

use super::{Api, READER, Request, Response, TOKEN, gathered};
use crate::{APEX, name};

const ZONE: &str = "023e105f4ecef8ad9ca31a8372d0c353";

#[derive(Default)]
pub struct Cloudflare {
    records: Vec<Value>,
    made: u32,
}

impl Cloudflare {
    fn wrapped(result: Value) -> Response {
        Response::ok(json!({"success": true, "errors": [], "messages": [], "result": result}))
    }

    fn listed(&self, request: &Request) -> Response {
        let fits = |record: &&Value, field: &str| {
            request
                .param(field)
                .is_none_or(|wanted| record[field] == wanted)
        };
        let number = |name: &str, default: usize| {
            request
                .param(name)
                .and_then(|n| n.parse().ok())
                .unwrap_or(default)
        };
        let (page, size) = (number("page", 1), number("per_page", 100));
        let found = self
            .records
            .iter()
            .filter(|r| fits(r, "name") && fits(r, "type"));
        let found: Vec<Value> = found.skip((page - 1) * size).take(size).cloned().collect();
        Self::wrapped(Value::Array(found))
    }

    fn created(&mut self, request: &Request) -> Response {
        let mut record = request.body.clone();
        let same = |r: &Value| {
            ["name", "type", "content", "data"]
                .iter()
                .all(|f| r.get(f) == record.get(f))
        };
        if self.records.iter().any(same) {
            return Response::error(400, "An identical record already exists.");
        }
        if record["ttl"]
            .as_u64()
            .is_none_or(|ttl| ttl != 1 && ttl < 60)
        {
            return Response::error(
                400,
                "Invalid TTL. Must be between 60 and 86400 seconds, or 1.",
            );
        }
        self.made += 1;
        record["id"] = json!(format!("{:032x}", self.made));
        self.records.push(record.clone());
        Self::wrapped(record)
    }
}

impl Api for Cloudflare {
    fn answer(&mut self, request: &Request) -> Response {
        match request.token.as_str() {
            TOKEN => {}
            READER if request.method == "GET" => {}
            READER => return Response::error(403, "insufficient permission"),
            _ => return Response::error(403, "Authentication error"),
        }
        let parts = request.parts();
        match (request.method.as_str(), &parts[2..]) {
            ("GET", ["zones"]) if request.param("name") == Some(APEX) => {
                Self::wrapped(json!([{"id": ZONE, "name": APEX}]))
            }
            ("GET", ["zones"]) => Self::wrapped(json!([])),
            ("GET", ["zones", ZONE, "dns_records"]) => self.listed(request),
            ("POST", ["zones", ZONE, "dns_records"]) => self.created(request),
            ("DELETE", ["zones", ZONE, "dns_records", id]) => {
                let held = self.records.len();
                self.records.retain(|record| record["id"] != **id);
                if self.records.len() == held {
                    return Response::error(404, "Record does not exist.");
                }
                Self::wrapped(json!({"id": id}))
            }
            _ => Response::error(404, "no such route"),
        }
    }

    fn sets(&self) -> Vec<Rrset> {
        gathered(self.records.iter().map(|record| {
            let text = |field: &str| record[field].as_str().unwrap_or_default();
            let rtype: RType = text("type").parse().expect("a type");
            let data = &record["data"];
            let part = |field: &&str| data[field].to_string().trim_matches('"').to_owned();
            let parts = |fields: &[&str]| fields.iter().map(part).collect::<Vec<_>>().join(" ");
            let value = match rtype {
                RType::Mx => format!("{} {}", record["priority"], text("content")),
                RType::Srv => parts(&["priority", "weight", "port", "target"]),
                RType::Tlsa => parts(&["usage", "selector", "matching_type", "certificate"]),
                RType::Caa => format!("{} {}", parts(&["flags", "tag"]), data["value"]),
                _ => text("content").to_owned(),
            };
            let ttl = record["ttl"]
                .as_u64()
                .and_then(|ttl| u32::try_from(ttl).ok());
            Rrset::new(RrsetKey::new(name(text("name")), rtype), ttl, [value])
        }))
    }
}

//! The domain records of DigitalOcean's API.

use mailctl::record::{RType, Rrset, RrsetKey, txt_quoted};
use serde_json::{Value, json};

use super::{Api, READER, Request, Response, TOKEN, gathered};
use crate::{APEX, name};

#[derive(Default)]
pub struct DigitalOcean {
    records: Vec<Value>,
    made: u32,
}

impl DigitalOcean {
    fn listed(&self, request: &Request) -> Response {
        let owner = |record: &Value| match record["name"].as_str() {
            Some("@") => APEX.to_owned(),
            owner => format!("{}.{APEX}", owner.unwrap_or_default()),
        };
        let fits = |record: &&Value| {
            request
                .param("name")
                .is_none_or(|wanted| owner(record) == wanted)
                && request
                    .param("type")
                    .is_none_or(|wanted| record["type"] == wanted)
        };
        let number = |name: &str| request.param(name).and_then(|n| n.parse::<usize>().ok());
        let (page, size) = (
            number("page").unwrap_or(1),
            number("per_page").unwrap_or(20),
        );
        let found: Vec<&Value> = self.records.iter().filter(fits).collect();
        let shown: Vec<&Value> = found
            .iter()
            .skip((page - 1) * size)
            .take(size)
            .copied()
            .collect();
        let mut links = json!({});
        if found.len() > page * size {
            links = json!({"pages": {"next": format!("https://api.digitalocean.com/?page={}", page + 1)}});
        }
        Response::ok(
            json!({"domain_records": shown, "links": links, "meta": {"total": found.len()}}),
        )
    }
}

impl Api for DigitalOcean {
    fn answer(&mut self, request: &Request) -> Response {
        match request.token.as_str() {
            TOKEN => {}
            READER if request.method == "GET" => {}
            READER => {
                return Response::error(403, "You are not authorized to perform this operation");
            }
            _ => return Response::error(401, "Unable to authenticate you"),
        }
        match (request.method.as_str(), &request.parts()[1..]) {
            (_, ["domains", zone, ..]) if *zone != APEX => Response::error(404, "not_found"),
            ("GET", ["domains", _, "records"]) => self.listed(request),
            ("POST", ["domains", _, "records"]) => {
                if request.body["ttl"].as_u64().is_none_or(|ttl| ttl < 30) {
                    return Response::error(422, "Ttl must be at least 30");
                }
                self.made += 1;
                let mut record = request.body.clone();
                record["id"] = json!(self.made);
                // The dot at the end is wanted, and not kept.
                if record["type"] != "TXT"
                    && let Some(bare) = record["data"].as_str().and_then(|d| d.strip_suffix('.'))
                {
                    record["data"] = json!(bare);
                }
                self.records.push(record.clone());
                Response {
                    status: 201,
                    body: json!({"domain_record": record}),
                }
            }
            ("DELETE", ["domains", _, "records", id]) => {
                let held = self.records.len();
                self.records
                    .retain(|record| record["id"].as_u64() != id.parse().ok());
                match self.records.len() == held {
                    true => Response::error(404, "not_found"),
                    false => Response {
                        status: 204,
                        body: Value::Null,
                    },
                }
            }
            _ => Response::error(404, "not_found"),
        }
    }

    fn sets(&self) -> Vec<Rrset> {
        gathered(self.records.iter().map(|record| {
            let text = |field: &str| record[field].as_str().unwrap_or_default();
            let owner = match text("name") {
                "@" => name(APEX),
                owner => name(&format!("{owner}.{APEX}")),
            };
            let rtype: RType = text("type").parse().expect("a type");
            let (data, priority) = (text("data"), &record["priority"]);
            let value = match rtype {
                RType::Mx => format!("{priority} {data}"),
                RType::Srv => format!("{priority} {} {} {data}", record["weight"], record["port"]),
                RType::Caa => format!("{} {} {}", record["flags"], text("tag"), txt_quoted(data)),
                _ => data.to_owned(),
            };
            let ttl = record["ttl"]
                .as_u64()
                .and_then(|ttl| u32::try_from(ttl).ok());
            Rrset::new(RrsetKey::new(owner, rtype), ttl, [value])
        }))
    }
}

//! How clouds answer, which have zones, operations and resources.

use serde_json::{Value, json};

use super::{none, own};
use crate::fake::{V4, V6, World};
use crate::http::{Answer, Asked, ok, status};

pub fn scaleway(world: &mut World, asked: &Asked) -> Answer {
    let other = json!({"hostname": "other.example.com", "address": "2001:db8:1:2::8"});
    let block = |world: &World| {
        let mut reverses = vec![other.clone()];
        if let Value::String(name) = world.ptr(V6) {
            reverses.push(json!({"hostname": name, "address": V6}));
        }
        json!({"id": "block", "address": "2001:db8:1:2::/64", "is_ipv6": true, "reverses": reverses})
    };
    route!(asked,
        "GET" ["instance", "v1", "zones", "fr-par-1", "ips", ip] if world.mine(ip) => ok(json!({"ip": {"id": "x", "address": ip, "reverse": world.ptr(ip)}})),
        "PATCH" ["instance", "v1", "zones", "fr-par-1", "ips", ip] if world.mine(ip) => {
            world.write(ip, asked.at("/reverse"));
            ok(json!({"ip": {"id": "x", "address": ip, "reverse": world.ptr(ip)}}))
        },
        "GET" ["ipam", "v1", "regions", "fr-par", "ips"] => {
            // A full first page.
            let mut list: Vec<Value> = (0..100).map(|n| json!({"id": format!("{n}"), "address": format!("2001:db8:9:{n}::/64"), "is_ipv6": true, "reverses": []})).collect();
            if asked.query.get("page").is_some_and(|page| page == "2") {
                list = own(world, &[V6]).iter().map(|_| block(world)).collect();
            }
            ok(json!({"ips": list, "total_count": 101}))
        },
        "PATCH" ["ipam", "v1", "regions", "fr-par", "ips", "block"] => {
            let list = asked.body["reverses"].as_array().expect("a list").clone();
            assert!(list.contains(&other), "what others set stays: {list:?}");
            let ours = list.iter().find(|reverse| **reverse != other);
            world.write(V6, ours.and_then(|reverse| reverse["hostname"].as_str()).map(str::to_owned));
            ok(block(world))
        },
    )
}

pub fn exoscale_proof(asked: &Asked, _: &str) -> Result<(), String> {
    let proof = asked
        .headers
        .get("authorization")
        .cloned()
        .unwrap_or_default();
    // Its signature, a unit test pins.
    let right = proof.starts_with("EXO2-HMAC-SHA256 credential=EXO1,expires=")
        && proof.contains(",signature=");
    if right { Ok(()) } else { Err(proof) }
}

pub fn exoscale(world: &mut World, asked: &Asked) -> Answer {
    let why = world.why().unwrap_or_default();
    let operation = |state: &str| json!({"id": "op", "state": state, "message": why});
    let ip = |kind: &str| if kind == "instance" { V4 } else { V6 };
    route!(asked,
        "GET" ["instance"] => {
            let list: Vec<Value> = own(world, &[V4]).iter().map(|ip| json!({"id": "i", "public-ip": ip})).collect();
            ok(json!({"instances": list}))
        },
        "GET" ["elastic-ip"] => {
            let list: Vec<Value> = own(world, &[V6]).iter().map(|ip| json!({"id": "e", "ip": ip, "addressfamily": "inet6"})).collect();
            ok(json!({"elastic-ips": list}))
        },
        "GET" ["reverse-dns", kind, "i" | "e"] => match world.ptr(ip(kind)) {
            Value::Null => status(404, json!({"message": "Not Found"})),
            name => ok(json!({"domain-name": name})),
        },
        "POST" ["reverse-dns", kind, "i" | "e"] => {
            world.write(ip(kind), asked.at("/domain-name"));
            world.unfinished = 1;
            ok(operation("pending"))
        },
        "DELETE" ["reverse-dns", kind, "i" | "e"] => {
            world.write(ip(kind), None);
            ok(operation("pending"))
        },
        "GET" ["operation", "op"] => ok(operation(world.state("pending", "success"))),
    )
}

pub fn aws(world: &mut World, asked: &Asked) -> Answer {
    let xml = |status: u16, text: String| Answer {
        status,
        headers: vec![("content-type", "text/xml".into())],
        body: format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>1</requestId>{text}</R>"
        ),
    };
    match asked.at("/Action").as_deref() {
        Some("DescribeAddresses") => match asked.at("/PublicIp.1") {
            Some(ip) if world.mine(&ip) => xml(200, format!("<addressesSet><item><publicIp>{ip}</publicIp><allocationId>eipalloc-1</allocationId></item></addressesSet>")),
            _ => xml(400, "<Errors><Error><Code>InvalidAddress.NotFound</Code><Message>no such address</Message></Error></Errors>".into()),
        },
        Some("DescribeAddressesAttribute") => {
            let record = world.ptr(V4).as_str().map(|name| format!("<ptrRecord>{name}.</ptrRecord>")).unwrap_or_default();
            let state = world.state("PENDING", "");
            let why = world.why().unwrap_or_default();
            let update = if state.is_empty() { String::new() } else { format!("<ptrRecordUpdate><status>{state}</status><reason>{why}</reason></ptrRecordUpdate>") };
            xml(200, format!("<addressSet><item><publicIp>{V4}</publicIp>{record}{update}</item></addressSet>"))
        }
        Some("ModifyAddressAttribute") => {
            assert_eq!(asked.at("/AllocationId").as_deref(), Some("eipalloc-1"));
            world.write(V4, asked.at("/DomainName"));
            world.unfinished = 1;
            xml(200, "<address/>".into())
        }
        Some("ResetAddressAttribute") => {
            world.write(V4, None);
            xml(200, "<address/>".into())
        }
        _ => xml(400, String::new()),
    }
}

pub fn google(world: &mut World, asked: &Asked) -> Answer {
    let config = |world: &World, ip: &str| -> Vec<Value> {
        let key = if ip.contains(':') {
            "externalIpv6"
        } else {
            "natIP"
        };
        own(world, &[ip])
            .iter()
            .map(|ip| {
                let mut config = json!({"name": if ip.contains(':') { "v6" } else { "v4" }, "type": "ONE_TO_ONE_NAT", key: ip});
                if let Value::String(name) = world.ptr(ip) {
                    config["publicPtrDomainName"] = name.into();
                }
                config
            })
            .collect()
    };
    let path: Vec<&str> = asked.path.iter().skip(4).map(String::as_str).collect();
    match (asked.method.as_str(), path.as_slice()) {
        ("GET", ["aggregated", "instances"]) => {
            let nic = json!({"name": "nic0", "accessConfigs": config(world, V4), "ipv6AccessConfigs": config(world, V6)});
            let instance = json!({"name": "mx", "zone": "https://www.googleapis.com/compute/v1/projects/p1/zones/eu-1", "networkInterfaces": [nic]});
            ok(
                json!({"items": {"zones/us-1": {"warning": {}}, "zones/eu-1": {"instances": [instance]}}}),
            )
        }
        ("POST", ["zones", "eu-1", "instances", "mx", "updateAccessConfig"]) => {
            assert_eq!(
                asked.query.get("networkInterface").map(String::as_str),
                Some("nic0")
            );
            let ip = if asked.at("/name").as_deref() == Some("v6") {
                V6
            } else {
                V4
            };
            world.write(ip, asked.at("/publicPtrDomainName"));
            world.unfinished = 1;
            ok(json!({"name": "op", "status": "RUNNING"}))
        }
        ("GET", ["zones", "eu-1", "operations", "op"]) => {
            let state = world.state("RUNNING", "DONE");
            let why = world
                .why()
                .map(|why| json!({"errors": [{"code": "x", "message": why}]}));
            let error = why.filter(|_| state == "DONE");
            ok(json!({"name": "op", "status": state, "error": error}))
        }
        _ => none(),
    }
}

pub fn azure(world: &mut World, asked: &Asked) -> Answer {
    let id = |ip: &str| {
        format!(
            "/subscriptions/s1/resourceGroups/rg/providers/Microsoft.Network/publicIPAddresses/{}",
            if ip.contains(':') { "six" } else { "four" }
        )
    };
    let shown = |world: &mut World, ip: &str| {
        let state = world.state("Updating", "Succeeded");
        let mut dns = json!({"domainNameLabel": "wac"});
        if let Value::String(name) = world.ptr(ip) {
            dns["reverseFqdn"] = name.into();
        }
        json!({"name": "x", "id": id(ip), "location": "eu", "etag": "W/\"1\"", "properties": {"ipAddress": ip, "provisioningState": state, "publicIPAllocationMethod": "Static", "dnsSettings": dns}})
    };
    match (asked.method.as_str(), asked.path.last().map(String::as_str)) {
        ("GET", Some("publicIPAddresses")) => {
            let list: Vec<Value> = own(world, &[V4, V6])
                .iter()
                .map(|ip| shown(world, ip))
                .collect();
            ok(json!({"value": list}))
        }
        (method, Some(name @ ("four" | "six"))) => {
            let ip = if name == "six" { V6 } else { V4 };
            if method == "PUT" {
                assert_eq!(
                    asked.headers.get("if-match").map(String::as_str),
                    Some("W/\"1\"")
                );
                assert_eq!(
                    asked.body["properties"]["publicIPAllocationMethod"], "Static",
                    "the whole resource"
                );
                assert_eq!(
                    asked
                        .at("/properties/dnsSettings/domainNameLabel")
                        .as_deref(),
                    Some("wac")
                );
                world.write(ip, asked.at("/properties/dnsSettings/reverseFqdn"));
                world.unfinished = 1;
            }
            ok(shown(world, ip))
        }
        _ => none(),
    }
}

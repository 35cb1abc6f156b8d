//! How the hosters answer whose APIs are more than a few lines.

use serde_json::{Value, json};

use super::{header, none, own};
use crate::fake::{V4, V6, World};
use crate::http::{Answer, Asked, ok, status};

pub fn hetzner_cloud(world: &mut World, asked: &Asked) -> Answer {
    // A /64 has records of other addresses, too.
    let records = |world: &World, ip: &str| {
        let mut list = vec![];
        if ip.contains(':') {
            list.push(json!({"ip": "2001:db8:1:2::8", "dns_ptr": "other.example.com"}));
        }
        if let Value::String(name) = world.ptr(ip) {
            list.push(json!({"ip": ip, "dns_ptr": name}));
        }
        list
    };
    let why = world.why().map(|why| json!({"code": "x", "message": why}));
    let action = |state: &str| json!({"action": {"id": 5, "status": state, "error": why}});
    route!(asked,
        "GET" ["primary_ips"] => {
            let second = asked.query.get("page").is_some_and(|page| page == "2");
            let mut list = vec![
                json!({"id": 41, "ip": "198.51.100.1", "type": "ipv4", "dns_ptr": []}),
                json!({"id": 44, "ip": "2001:db8:1:3::/64", "type": "ipv6", "dns_ptr": []}),
            ];
            if second {
                list = own(world, &[V4]).iter().map(|ip| json!({"id": 42, "ip": ip, "type": "ipv4", "dns_ptr": records(world, ip)})).collect();
            }
            let next = if second && !world.endless { Value::Null } else { json!(2) };
            if world.endless {
                list.clear();
            }
            ok(json!({"primary_ips": list, "meta": {"pagination": {"next_page": next}}}))
        },
        "GET" ["floating_ips"] => {
            let list: Vec<Value> = own(world, &[V6]).iter().map(|ip| json!({"id": 43, "ip": "2001:db8:1:2::/64", "type": "ipv6", "dns_ptr": records(world, ip)})).collect();
            ok(json!({"floating_ips": list, "meta": {"pagination": {"next_page": null}}}))
        },
        "POST" [_, "42" | "43", "actions", "change_dns_ptr"] => {
            world.write(&asked.at("/ip").expect("an address"), asked.at("/dns_ptr"));
            world.unfinished = 1;
            status(201, action("running"))
        },
        "GET" ["actions", "5"] => ok(action(world.state("running", "success"))),
    )
}

pub fn hetzner_robot(world: &mut World, asked: &Asked) -> Answer {
    let error = |code: &str| {
        status(
            404,
            json!({"error": {"status": 404, "code": code, "message": "not found"}}),
        )
    };
    route!(asked,
        "GET" ["rdns", ip] if !world.mine(ip) => error("IP_NOT_FOUND"),
        "GET" ["rdns", ip] => match world.ptr(ip) {
            Value::Null => error("RDNS_NOT_FOUND"),
            name => ok(json!({"rdns": {"ip": ip, "ptr": name}})),
        },
        "POST" ["rdns", ip] if world.mine(ip) => {
            world.write(ip, asked.at("/ptr"));
            ok(json!({"rdns": {"ip": ip, "ptr": world.ptr(ip)}}))
        },
        "DELETE" ["rdns", ip] if world.mine(ip) => {
            world.write(ip, None);
            ok(Value::Null)
        },
    )
}

pub fn vultr(world: &mut World, asked: &Asked) -> Answer {
    let last = json!({"links": {"next": "", "prev": ""}});
    route!(asked,
        "GET" ["instances"] => if asked.query.contains_key("cursor") {
            ok(json!({"instances": [{"id": "b", "main_ip": "198.51.100.9", "v6_main_ip": "2001:db8:1:2::1", "v6_network": if world.foreign { "2001:db8:9::" } else { "2001:DB8:1:2::" }, "v6_network_size": 64}], "meta": last}))
        } else {
            ok(json!({"instances": [{"id": "a", "v6_network": "", "v6_network_size": 0, "v6_main_ip": ""}], "meta": {"links": {"next": "bmV4dA==", "prev": ""}}}))
        },
        "GET" ["instances", id, "ipv4"] => {
            let list: Vec<Value> = own(world, &[V4]).iter().filter(|_| *id == "b").map(|ip| json!({"ip": ip, "reverse": world.ptr(ip).as_str().unwrap_or_default()})).collect();
            ok(json!({"ipv4s": list, "meta": last}))
        },
        "GET" ["instances", "b", "ipv6", "reverse"] => {
            let list: Vec<Value> = Some(world.ptr(V6)).filter(|name| !name.is_null()).map(|name| json!({"ip": "2001:DB8:1:2:0:0:0:7", "reverse": name})).into_iter().collect();
            ok(json!({"reverse_ipv6s": list}))
        },
        "POST" ["instances", "b", "ipv4" | "ipv6", "reverse"] => {
            world.write(&asked.at("/ip").expect("an address"), asked.at("/reverse"));
            status(204, Value::Null)
        },
        "POST" ["instances", "b", "ipv4", "reverse", "default"] => {
            world.write(&asked.at("/ip").expect("an address"), None);
            status(204, Value::Null)
        },
        "DELETE" ["instances", "b", "ipv6", "reverse", ip] => {
            world.write(ip, None);
            status(204, Value::Null)
        },
    )
}

pub fn ovh_proof(asked: &Asked, _: &str) -> Result<(), String> {
    if asked.path == ["auth", "time"] {
        return Ok(());
    }
    header(asked, "x-ovh-application", "app")?;
    header(asked, "x-ovh-consumer", "s3cr3t-consumer")?;
    let signature = asked.headers.get("x-ovh-signature").ok_or("no signature")?;
    // Its value, a unit test pins.
    if signature.starts_with("$1$") && signature.len() == 43 {
        Ok(())
    } else {
        Err(signature.clone())
    }
}

pub fn ovh(world: &mut World, asked: &Asked) -> Answer {
    let block = |ip: &str| {
        if ip.contains(':') {
            "2001:db8:1:2::/64".to_owned()
        } else {
            format!("{ip}/32")
        }
    };
    route!(asked,
        "GET" ["auth", "time"] => ok(json!(1_700_000_000)),
        "GET" ["ip"] => {
            let ip = asked.query.get("ip").expect("an address");
            ok(json!(own(world, &[ip]).iter().map(|ip| block(ip)).collect::<Vec<_>>()))
        },
        "GET" ["ip", of, "reverse", ip] if *of == block(ip) => match world.ptr(ip) {
            Value::Null => status(404, json!({"message": "The requested object (ipReverse) does not exist"})),
            name => ok(json!({"ipReverse": ip, "reverse": name})),
        },
        "POST" ["ip", _, "reverse"] => {
            let name = asked.at("/reverse").map(|name| format!("{}.", name.trim_end_matches('.')));
            world.write(&asked.at("/ipReverse").expect("an address"), name);
            ok(asked.body.clone())
        },
        "DELETE" ["ip", of, "reverse", ip] if *of == block(ip) => {
            world.write(ip, None);
            ok(Value::Null)
        },
    )
}

pub fn contabo(world: &mut World, asked: &Asked) -> Answer {
    let shown = |world: &World, ip: &str| match world.ptr(ip) {
        Value::Null if ip.contains(':') => none(),
        Value::Null => ok(json!({"data": [{"ip": ip, "ptr": "vmi12345.contaboserver.net"}]})),
        name => ok(json!({"data": [{"ip": ip, "ptr": name}]})),
    };
    route!(asked,
        "GET" ["v1", "dns", "ptrs", ip] if world.mine(ip) => shown(world, ip),
        "PUT" ["v1", "dns", "ptrs", ip] if world.mine(ip) => {
            if ip.contains(':') && world.ptr(ip).is_null() {
                return none();
            }
            world.write(ip, asked.at("/ptr"));
            status(204, Value::Null)
        },
        "POST" ["v1", "dns", "ptrs"] => {
            let ip = asked.at("/ip").expect("an address");
            if !ip.contains(':') || !world.mine(&ip) {
                return status(404, json!({"message": "only IPv6"}));
            }
            world.write(&ip, asked.at("/ptr"));
            status(201, json!({"data": []}))
        },
        "DELETE" ["v1", "dns", "ptrs", ip] if ip.contains(':') && world.mine(ip) => {
            world.write(ip, None);
            status(204, Value::Null)
        },
    )
}

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

pub fn hostinger(world: &mut World, asked: &Asked) -> Answer {
    let list = |world: &World, ip: &str, id: u32| -> Vec<Value> {
        own(world, &[ip])
            .iter()
            .map(|ip| json!({"id": id, "address": ip, "ptr": world.ptr(ip)}))
            .collect()
    };
    let action = |state: &str| json!({"id": 8, "name": "ptr", "state": state});
    let ip = |id: &str| if id == "4" { V4 } else { V6 };
    let path: Vec<&str> = asked.path.iter().skip(3).map(String::as_str).collect();
    match (asked.method.as_str(), path.as_slice()) {
        ("GET", ["virtual-machines"]) => ok(json!([
            {"id": 1, "ipv4": [{"id": 9, "address": "198.51.100.1", "ptr": null}], "ipv6": null},
            {"id": 2, "ipv4": list(world, V4, 4), "ipv6": list(world, V6, 6)},
        ])),
        ("POST", ["virtual-machines", "2", "ptr", id]) => {
            world.write(ip(id), asked.at("/domain"));
            world.unfinished = 1;
            ok(action("sent"))
        }
        ("DELETE", ["virtual-machines", "2", "ptr", id]) => {
            world.write(ip(id), None);
            ok(action("created"))
        }
        ("GET", ["virtual-machines", "2", "actions", "8"]) => {
            ok(action(world.state("delayed", "success")))
        }
        _ => none(),
    }
}

pub fn ionos(world: &mut World, asked: &Asked) -> Answer {
    let record = |ip: &str, name: Value| json!({"id": format!("id-{ip}"), "type": "reverserecord", "properties": {"name": name, "ip": ip, "description": "mine"}});
    let ip = |id: &str| id.trim_start_matches("id-").to_owned();
    route!(asked,
        "GET" ["reverserecords"] => {
            let ip = asked.query.get("filter.recordIp").expect("a filter");
            let list: Vec<Value> = own(world, &[ip]).iter().map(|ip| (ip, world.ptr(ip))).filter(|(_, name)| !name.is_null()).map(|(ip, name)| record(ip, name)).collect();
            ok(json!({"items": list, "offset": 0, "limit": 100}))
        },
        "POST" ["reverserecords"] => {
            let ip = asked.at("/properties/ip").expect("an address");
            if !world.mine(&ip) {
                return status(400, json!({"messages": [{"errorCode": "x", "message": "the address is not of this contract"}]}));
            }
            assert!(world.ptr(&ip).is_null(), "it exists");
            world.write(&ip, asked.at("/properties/name"));
            status(201, record(&ip, world.ptr(&ip)))
        },
        "PUT" ["reverserecords", id] => {
            assert_eq!(asked.at("/properties/description").as_deref(), Some("mine"));
            world.write(&ip(id), asked.at("/properties/name"));
            ok(record(&ip(id), world.ptr(&ip(id))))
        },
        "DELETE" ["reverserecords", id] => {
            world.write(&ip(id), None);
            status(202, Value::Null)
        },
    )
}

pub fn leaseweb(world: &mut World, asked: &Asked) -> Answer {
    let range = "2001:db8:1:2::_64";
    let all = |world: &World| match world.ptr(V6) {
        Value::Null => json!([]),
        name => json!([{"ip": V6, "reverseLookup": name}]),
    };
    route!(asked,
        "GET" ["ips", ip] if world.mine(ip) => ok(json!({"ip": ip, "version": 4, "reverseLookup": world.ptr(ip)})),
        "PUT" ["ips", ip] if world.mine(ip) => {
            world.write(ip, asked.at("/reverseLookup"));
            ok(json!({"ip": ip, "version": 4, "reverseLookup": world.ptr(ip)}))
        },
        "GET" ["ips"] => {
            // A full first page.
            let mut list: Vec<Value> = (0..50).map(|n| json!({"ip": format!("198.51.100.{n}"), "version": 4})).collect();
            if asked.query.get("offset").is_some_and(|offset| offset == "50") {
                list = own(world, &[V6]).iter().map(|_| json!({"ip": range, "version": 6})).collect();
            }
            ok(json!({"ips": list, "_metadata": {"totalCount": 51, "offset": 0, "limit": 50}}))
        },
        "GET" ["ips", of, "reverseLookup"] if *of == range => ok(json!({"reverseLookups": all(world)})),
        "PUT" ["ips", of, "reverseLookup"] if *of == range => {
            world.write(V6, asked.at("/reverseLookups/0/reverseLookup"));
            ok(json!({"reverseLookups": all(world)}))
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

//! How hosters of servers answer whose APIs are more than a few lines.

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

//! What each hoster's API is like: how it answers, what its own names are,
//! and what it says where the forward record is missing.

use serde_json::{Value, json};

use crate::fake::{V4, V6, World};
use crate::http::{Answer, Asked, ok, status};

macro_rules! route {
    ($asked:expr, $($method:literal $path:pat $(if $when:expr)? => $do:expr),+ $(,)?) => {{
        let path: Vec<&str> = $asked.path.iter().map(String::as_str).collect();
        match ($asked.method.as_str(), path.as_slice()) {
            $(($method, $path) $(if $when)? => $do,)+
            _ => none(),
        }
    }};
}

mod clouds;
mod vps;

use clouds::*;
use vps::*;

/// One hoster.
pub struct Hoster {
    pub id: &'static str,
    /// Fields of mail.yaml beside `endpoint`; secrets begin with `!`.
    pub fields: &'static [(&'static str, &'static str)],
    pub answer: fn(&mut World, &Asked) -> Answer,
    /// Whether a request proves who sends it.
    pub proof: fn(&Asked, &str) -> Result<(), String>,
    /// The same for the request for a token.
    pub token: fn(&Asked, &str) -> Result<(), String>,
    /// A name of the hoster's own.
    pub default: Option<&'static str>,
    /// Status and texts where the name does not point to the address.
    pub no_forward: Option<(u16, &'static [&'static str])>,
    pub v4: bool,
    pub v6: bool,
    /// Whether an IPv4 address and an IPv6 address can be reset.
    pub resets: (bool, bool),
    /// Whether reading tells that an address is somebody else's.
    pub tells: (bool, bool),
}

impl Hoster {
    /// The answer to a name that does not point to the address, one text after the other.
    pub fn no_forward(&self, time: u32) -> Answer {
        let (code, texts) = self.no_forward.expect("it needs the forward record");
        let text = texts[time as usize % texts.len()];
        status(code, json!({"message": text, "errors": [{"reason": text}]}))
    }
}

const BASE: Hoster = Hoster {
    id: "",
    fields: &[("token", "!s3cr3t-token")],
    answer: |_, _| status(500, Value::Null),
    proof: |asked, _| header(asked, "authorization", "Bearer s3cr3t-token"),
    token: |_, _| Err("no token is to be had here".into()),
    default: None,
    no_forward: None,
    v4: true,
    v6: true,
    resets: (true, true),
    tells: (true, true),
};

fn header(asked: &Asked, name: &str, value: &str) -> Result<(), String> {
    match asked.headers.get(name) {
        Some(given) if given == value => Ok(()),
        given => Err(format!("{name} is {given:?}")),
    }
}

fn short_lived(asked: &Asked, _: &str) -> Result<(), String> {
    header(asked, "authorization", "Bearer short-lived")
}

fn holds(asked: &Asked, fields: &[(&str, &str)]) -> Result<(), String> {
    let wrong = fields
        .iter()
        .find(|(name, value)| asked.at(name).as_deref() != Some(*value));
    wrong.map_or(Ok(()), |(name, _)| {
        Err(format!("{name} is wrong in {}", asked.body))
    })
}

fn none() -> Answer {
    status(404, json!({"message": "there is no such thing"}))
}

/// The address of an account's only server, if the account has it.
fn own(world: &World, list: &[&str]) -> Vec<String> {
    list.iter()
        .filter(|ip| world.mine(ip))
        .map(|ip| (*ip).to_owned())
        .collect()
}

pub static HOSTERS: &[Hoster] = &[
    Hoster {
        id: "hetzner-cloud",
        default: Some("static.7.113.0.203.clients.your-server.de"),
        answer: hetzner_cloud,
        ..BASE
    },
    Hoster {
        id: "hetzner-robot",
        fields: &[("username", "#ws+x"), ("password", "!s3cr3t-token")],
        proof: |asked, _| header(asked, "authorization", "Basic I3dzK3g6czNjcjN0LXRva2Vu"),
        default: Some("static.7.113.0.203.clients.your-server.de"),
        answer: hetzner_robot,
        ..BASE
    },
    Hoster {
        id: "linode",
        default: Some("203-0-113-7.ip.linodeusercontent.com"),
        no_forward: Some((
            400,
            &[
                "No match was found for 'mail.example.com'. Reverse DNS must have a matching forward entry",
                "We were unable to preform a lookup for 'mail.example.com' at this time.",
            ],
        )),
        answer: |world, asked| {
            route!(asked,
                "GET" ["networking", "ips", ip] if world.mine(ip) => ok(json!({"address": ip, "rdns": world.ptr(ip)})),
                "PUT" ["networking", "ips", ip] if world.mine(ip) => {
                    world.write(ip, asked.at("/rdns"));
                    ok(json!({"address": ip, "rdns": world.ptr(ip)}))
                },
            )
        },
        ..BASE
    },
    Hoster {
        id: "vultr",
        default: Some("203.0.113.7.vultrusercontent.com"),
        answer: vultr,
        ..BASE
    },
    Hoster {
        id: "ovh",
        fields: &[
            ("application_key", "app"),
            ("application_secret", "!s3cr3t-token"),
            ("consumer_key", "!s3cr3t-consumer"),
        ],
        proof: ovh_proof,
        default: Some("vps-1a2b3c4d.vps.ovh.net"),
        no_forward: Some((
            400,
            &[
                "Cannot check if mail.example.com. resolves to 203.0.113.7",
                "mail.example.com. does not resolve to 203.0.113.7",
            ],
        )),
        answer: ovh,
        ..BASE
    },
    Hoster {
        id: "contabo",
        fields: &[
            ("client_id", "id"),
            ("client_secret", "!s3cr3t-client"),
            ("username", "wac"),
            ("password", "!s3cr3t-token"),
        ],
        proof: short_lived,
        token: |asked, _| {
            holds(
                asked,
                &[
                    ("/grant_type", "password"),
                    ("/client_id", "id"),
                    ("/client_secret", "s3cr3t-client"),
                    ("/username", "wac"),
                    ("/password", "s3cr3t-token"),
                ],
            )
        },
        default: Some("vmi12345.contaboserver.net"),
        resets: (false, true),
        tells: (true, false),
        answer: contabo,
        ..BASE
    },
    Hoster {
        id: "netcup-scp",
        fields: &[("refresh_token", "!s3cr3t-token")],
        proof: short_lived,
        token: |asked, _| {
            holds(
                asked,
                &[
                    ("/grant_type", "refresh_token"),
                    ("/client_id", "scp"),
                    ("/refresh_token", "s3cr3t-token"),
                ],
            )
        },
        default: Some("v2202301234567.powersrv.de"),
        answer: |world, asked| {
            route!(asked,
                "GET" ["api", "v1", "servers"] => ok(json!(asked.query.get("ip").filter(|ip| world.mine(ip)).map(|_| json!({"id": 1})).into_iter().collect::<Vec<_>>())),
                "GET" ["api", "v1", "rdns", _, ip] if world.mine(ip) => ok(json!({"rdns": world.ptr(ip)})),
                "POST" ["api", "v1", "rdns", _] => {
                    world.write(&asked.at("/ip").expect("an address"), asked.at("/rdns"));
                    ok(Value::Null)
                },
                "DELETE" ["api", "v1", "rdns", _, ip] if world.mine(ip) => {
                    world.write(ip, None);
                    status(204, Value::Null)
                },
            )
        },
        ..BASE
    },
    Hoster {
        id: "scaleway",
        proof: |asked, _| header(asked, "x-auth-token", "s3cr3t-token"),
        default: Some("7-113-0-203.instances.scw.cloud"),
        no_forward: Some((
            400,
            &[
                "Your reverse must resolve. Ensure the command 'dig +short mail.example.com' matches your IP address '203.0.113.7'",
            ],
        )),
        answer: scaleway,
        ..BASE
    },
    Hoster {
        id: "upcloud",
        fields: &[("username", "wac"), ("password", "!s3cr3t-token")],
        proof: |asked, _| header(asked, "authorization", "Basic d2FjOnMzY3IzdC10b2tlbg=="),
        default: Some("203-0-113-7.fi-hel2.upcloud.host"),
        resets: (true, false),
        answer: |world, asked| {
            let shown = |world: &World, ip: &str| {
                let family = if ip.contains(':') { "IPv6" } else { "IPv4" };
                let ptr = world
                    .ptr(ip)
                    .as_str()
                    .unwrap_or("203-0-113-7.fi-hel2.upcloud.host")
                    .to_owned();
                json!({"ip_address": {"address": ip, "family": family, "ptr_record": ptr, "zone": "fi-hel2"}})
            };
            route!(asked,
                "GET" ["ip_address", ip] if world.mine(ip) => ok(shown(world, ip)),
                "PATCH" ["ip_address", ip] if world.mine(ip) => {
                    world.write(ip, asked.at("/ip_address/ptr_record"));
                    status(202, shown(world, ip))
                },
            )
        },
        ..BASE
    },
    Hoster {
        id: "hostinger",
        default: Some("srv123456.hstgr.cloud"),
        answer: hostinger,
        ..BASE
    },
    Hoster {
        id: "ionos-cloud",
        default: Some("ip203-0-113-7.pbiaas.com"),
        tells: (false, false),
        answer: ionos,
        ..BASE
    },
    Hoster {
        id: "leaseweb",
        proof: |asked, _| header(asked, "x-lsw-auth", "s3cr3t-token"),
        default: Some("hosted-by.leaseweb.com"),
        answer: leaseweb,
        ..BASE
    },
    Hoster {
        id: "transip",
        fields: &[("username", "wac"), ("private_key", "!KEY")],
        proof: short_lived,
        token: |asked, raw| {
            holds(asked, &[("/login", "wac")])?;
            crate::keys::signs_body(asked.headers.get("signature").ok_or("no signature")?, raw)
        },
        default: Some("vps-7.colo.transip.net"),
        answer: |world, asked| {
            let all = |world: &World| {
                own(world, &[V4, V6]).iter().map(|ip| json!({"address": ip, "subnetMask": "255.255.255.0", "gateway": "203.0.113.1", "dnsResolvers": ["192.0.2.53"], "reverseDns": world.ptr(ip).as_str().unwrap_or_default()})).collect::<Vec<_>>()
            };
            route!(asked,
                "GET" ["vps"] => ok(json!({"vpss": [{"name": "other-vps"}, {"name": "wac-vps"}]})),
                "GET" ["vps", "wac-vps", "ip-addresses"] => ok(json!({"ipAddresses": all(world)})),
                "GET" ["vps", _, "ip-addresses"] => ok(json!({"ipAddresses": []})),
                "PUT" ["vps", "wac-vps", "ip-addresses", ip] if world.mine(ip) => {
                    assert_eq!(asked.at("/ipAddress/gateway").as_deref(), Some("203.0.113.1"), "the whole object");
                    world.write(ip, asked.at("/ipAddress/reverseDns"));
                    status(204, Value::Null)
                },
            )
        },
        ..BASE
    },
    Hoster {
        id: "exoscale",
        fields: &[("api_key", "!EXO1"), ("api_secret", "!s3cr3t-token")],
        proof: exoscale_proof,
        answer: exoscale,
        ..BASE
    },
    Hoster {
        id: "aws-ec2",
        fields: &[
            ("access_key_id", "AKID"),
            ("secret_access_key", "!s3cr3t-token"),
            ("region", "eu-west-1"),
        ],
        proof: |asked, _| {
            match asked.headers.get("authorization") {
            Some(proof) if proof.starts_with("AWS4-HMAC-SHA256 Credential=AKID/") && proof.contains("/eu-west-1/ec2/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=") => Ok(()),
            other => Err(format!("{other:?}")),
        }
        },
        default: Some("ec2-203-0-113-7.eu-west-1.compute.amazonaws.com"),
        v6: false,
        answer: aws,
        ..BASE
    },
    Hoster {
        id: "openstack-designate",
        fields: &[
            ("credential_id", "id"),
            ("credential_secret", "!s3cr3t-token"),
        ],
        proof: |asked, _| header(asked, "x-auth-token", "short-lived"),
        token: |asked, _| {
            holds(
                asked,
                &[
                    ("/auth/identity/application_credential/id", "id"),
                    (
                        "/auth/identity/application_credential/secret",
                        "s3cr3t-token",
                    ),
                ],
            )
        },
        answer: |world, asked| {
            let shown = |world: &mut World, ip: &str| {
                let state = world.state("PENDING", "ACTIVE");
                json!({"id": format!("RegionOne:{ip}"), "address": ip, "ptrdname": world.ptr(ip), "status": state})
            };
            let of = |id: &str| id.split_once(':').expect("an id").1.to_owned();
            route!(asked,
                "GET" ["v2", "reverse", "floatingips"] => {
                    let list: Vec<Value> = own(world, &[V4, V6]).iter().map(|ip| shown(world, ip)).collect();
                    ok(json!({"floatingips": list, "links": {}}))
                },
                "GET" ["v2", "reverse", "floatingips", id] => ok(shown(world, &of(id))),
                "PATCH" ["v2", "reverse", "floatingips", id] => {
                    let name = asked.at("/ptrdname");
                    assert!(name.as_ref().is_none_or(|name| name.ends_with('.')), "{name:?}");
                    world.write(&of(id), name);
                    world.unfinished = 1;
                    status(202, shown(world, &of(id)))
                },
            )
        },
        ..BASE
    },
    Hoster {
        id: "google-compute",
        fields: &[("service_account", "!ACCOUNT"), ("project", "p1")],
        proof: short_lived,
        token: |asked, _| {
            holds(
                asked,
                &[("/grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")],
            )?;
            crate::keys::signs_jwt(&asked.at("/assertion").ok_or("no assertion")?)
        },
        default: Some("7.113.0.203.bc.googleusercontent.com"),
        resets: (true, false),
        answer: google,
        ..BASE
    },
    Hoster {
        id: "azure",
        fields: &[
            ("tenant_id", "t1"),
            ("client_id", "id"),
            ("client_secret", "!s3cr3t-token"),
            ("subscription_id", "s1"),
        ],
        proof: short_lived,
        token: |asked, _| {
            holds(
                asked,
                &[
                    ("/grant_type", "client_credentials"),
                    ("/client_id", "id"),
                    ("/client_secret", "s3cr3t-token"),
                    ("/scope", "https://management.azure.com/.default"),
                ],
            )
        },
        default: Some("wac.westeurope.cloudapp.azure.com."),
        no_forward: Some((400, &["ReverseFqdnDoesNotBelongToSubscription"])),
        answer: azure,
        ..BASE
    },
    Hoster {
        id: "digitalocean",
        resets: (false, false),
        answer: |world, asked| {
            let droplet = |world: &World, id: u32, ip: &str| {
                let list: Vec<Value> = own(world, &[ip])
                    .iter()
                    .map(|ip| json!({"ip_address": ip, "type": "public"}))
                    .collect();
                let (v4, v6) = if ip == V4 {
                    (list, Vec::new())
                } else {
                    (Vec::new(), list)
                };
                json!({"id": id, "name": world.ptr(ip).as_str().unwrap_or_default(), "networks": {"v4": v4, "v6": v6}})
            };
            let action = |state: &str| json!({"action": {"id": 5, "status": state}});
            route!(asked,
                "GET" ["v2", "droplets"] => if asked.query.get("page").is_some_and(|page| page == "2") {
                    ok(json!({"droplets": [droplet(world, 6, V6)], "links": {}, "meta": {"total": 2}}))
                } else {
                    ok(json!({"droplets": [droplet(world, 4, V4)], "links": {"pages": {"next": "/v2/droplets?per_page=200&page=2"}}, "meta": {"total": 2}}))
                },
                "POST" ["v2", "droplets", id, "actions"] => {
                    world.write(if *id == "4" { V4 } else { V6 }, asked.at("/name"));
                    world.unfinished = 1;
                    status(201, action("in-progress"))
                },
                "GET" ["v2", "actions", "5"] => ok(action(world.state("in-progress", "completed"))),
            )
        },
        ..BASE
    },
];

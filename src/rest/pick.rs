//! Picking values out of an answer: `a.b`, `a.0`, `a.*` for all of a list or
//! object, and `.` for the thing itself.

use std::net::IpAddr;

use serde_json::Value;

/// All values at `path`.
pub fn all<'a>(from: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut found = vec![from];
    for part in path.split('.').filter(|part| !part.is_empty()) {
        found = found.into_iter().flat_map(|v| below(v, part)).collect();
    }
    found
}

fn below<'a>(value: &'a Value, part: &str) -> Vec<&'a Value> {
    match (value, part) {
        (Value::Array(list), "*") => list.iter().collect(),
        (Value::Object(map), "*") => map.values().collect(),
        (Value::Array(list), nth) => {
            let nth = nth.parse().ok().and_then(|nth: usize| list.get(nth));
            nth.into_iter().collect()
        }
        (Value::Object(map), key) => map.get(key).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// The first value at `path` that is not null.
pub fn first<'a>(from: &'a Value, path: &str) -> Option<&'a Value> {
    all(from, path).into_iter().find(|value| !value.is_null())
}

/// A value as text; lists, objects and null have none.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// Whether `place` is the address `ip`, or a prefix that holds it, written
/// `address/length` or `address_length`.
pub fn holds(place: &str, ip: IpAddr) -> bool {
    let (address, length) = match place.split_once(['/', '_']) {
        Some((address, length)) => (address, length.parse::<u32>().ok()),
        None => (place, Some(128)),
    };
    let Some(length) = length else {
        return false;
    };
    match (address.parse(), ip) {
        (Ok(IpAddr::V4(net)), IpAddr::V4(ip)) => {
            let gone = 32 - length.min(32);
            u64::from(u32::from(net)) >> gone == u64::from(u32::from(ip)) >> gone
        }
        (Ok(IpAddr::V6(net)), IpAddr::V6(ip)) => {
            let gone = 128 - length.min(128);
            let cut = |n: u128| n.checked_shr(gone).unwrap_or(0);
            cut(u128::from(net)) == cut(u128::from(ip))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_into_lists_and_objects() {
        let answer =
            json!({"items": {"a": {"ips": [{"ip": 1}, {"ip": 2}]}, "b": {"ips": [{"ip": null}]}}});
        assert_eq!(all(&answer, "items.*.ips.*.ip").len(), 3);
        assert_eq!(first(&answer, "items.a.ips.1.ip"), Some(&json!(2)));
        assert_eq!(first(&answer, "items.b.ips.0.ip"), None);
        assert_eq!(first(&json!("x"), "."), Some(&json!("x")));
    }

    #[test]
    fn an_address_is_compared_as_an_address() {
        for (place, ip, held) in [
            ("203.0.113.7", "203.0.113.7", true),
            ("203.0.113.7", "203.0.113.70", false),
            ("203.0.113.0/24", "203.0.113.7", true),
            ("0.0.0.0/0", "203.0.113.7", true),
            ("2001:DB8:1::0101", "2001:db8:1::101", true),
            ("2001:db8:1::/64", "2001:db8:1::7", true),
            ("2001:db8:1::_64", "2001:db8:1:0:8::7", true),
            ("2001:db8:1::/64", "2001:db8:1:1::7", false),
            ("::/0", "2001:db8::1", true),
            ("203.0.113.0/x", "203.0.113.7", false),
            ("", "203.0.113.7", false),
        ] {
            assert_eq!(holds(place, ip.parse().expect("ip")), held, "{place} {ip}");
        }
    }
}

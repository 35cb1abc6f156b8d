//! Filling in what is known: `{name}` in a text, and in the texts of a JSON body.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Map, Value};

use super::pick;

/// What is known by name.
pub type Vars = BTreeMap<String, Value>;

/// A key or an element that stands for all of another object or list.
const SPREAD: &str = "...";
/// A key whose value lists the keys to leave out.
const WITHOUT: &str = "-";

/// The text with its `{name}`s filled in; `{name|last}` is what follows the
/// last slash of the value.
///
/// # Errors
/// The name of what is not known.
pub fn text(template: &str, vars: &Vars) -> Result<String, String> {
    fill(template, vars, |value, _| value)
}

/// The same for an address: what is filled in can be no part of its syntax,
/// except that `{+name}` may be several segments of a path.
///
/// # Errors
/// As for [`text`].
pub fn url(template: &str, vars: &Vars) -> Result<String, String> {
    fill(template, vars, |value, segments| {
        let parts: Vec<String> = if segments {
            value.split('/').map(encoded).collect()
        } else {
            vec![encoded(&value)]
        };
        parts.join("/")
    })
}

fn fill(
    template: &str,
    vars: &Vars,
    made: impl Fn(String, bool) -> String,
) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((head, tail)) = rest.split_once('{') {
        let (name, tail) = tail.split_once('}').ok_or("}")?;
        filled.push_str(head);
        let (name, segments) = match name.strip_prefix('+') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let (name, last) = match name.strip_suffix("|last") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let value = vars.get(name).and_then(pick::text).ok_or(name)?;
        let value = match value.rsplit_once('/') {
            Some((_, end)) if last => end.to_owned(),
            _ => value,
        };
        filled.push_str(&made(value, segments));
        rest = tail;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// RFC 3986 section 2.1: everything but unreserved characters is encoded.
pub fn encoded(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// A form as it is sent.
///
/// # Errors
/// As for [`text`].
pub fn form(template: &BTreeMap<String, String>, vars: &Vars) -> Result<String, String> {
    let fields = template.iter().map(|(name, value)| {
        Ok(format!(
            "{}={}",
            encoded(name),
            encoded(&text(value, vars)?)
        ))
    });
    Ok(fields.collect::<Result<Vec<_>, String>>()?.join("&"))
}

/// The JSON with its texts filled in. A text that is nothing but `{name}`
/// becomes the value itself, null where there is none.
///
/// # Errors
/// As for [`text`].
pub fn json(template: &Value, vars: &Vars) -> Result<Value, String> {
    Ok(match template {
        Value::String(template) => match lone(template) {
            Some(name) => vars.get(name).cloned().unwrap_or_default(),
            None => Value::String(text(template, vars)?),
        },
        Value::Array(elements) => Value::Array(list(elements, vars)?),
        Value::Object(fields) => Value::Object(object(fields, vars)?),
        other => other.clone(),
    })
}

fn lone(template: &str) -> Option<&str> {
    let name = template.strip_prefix('{')?.strip_suffix('}')?;
    (!name.contains(['{', '}', '|'])).then_some(name)
}

fn list(elements: &[Value], vars: &Vars) -> Result<Vec<Value>, String> {
    let mut filled = Vec::new();
    for element in elements {
        let spread = element.as_str().and_then(|text| text.strip_prefix(SPREAD));
        match spread.and_then(lone) {
            Some(name) => {
                let others = vars.get(name).and_then(Value::as_array);
                filled.extend(others.into_iter().flatten().cloned());
            }
            None => filled.push(json(element, vars)?),
        }
    }
    Ok(filled)
}

fn object(fields: &Map<String, Value>, vars: &Vars) -> Result<Map<String, Value>, String> {
    let mut filled = Map::new();
    if let Some(whole) = fields.get(SPREAD)
        && let Value::Object(whole) = json(whole, vars)?
    {
        filled.extend(whole);
    }
    if let Some(without) = fields.get(WITHOUT) {
        for key in pick::all(without, "*")
            .into_iter()
            .filter_map(Value::as_str)
        {
            filled.remove(key);
        }
    }
    for (key, value) in fields {
        if key != SPREAD && key != WITHOUT {
            filled.insert(key.clone(), json(value, vars)?);
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn vars() -> Vars {
        Vars::from([
            ("ip".into(), json!("2001:db8::1")),
            ("zone".into(), json!("https://x.test/zones/eu-1")),
            ("whole".into(), json!({"a": 1, "ptr": "old", "b": 2})),
            ("others".into(), json!([1, 2])),
        ])
    }

    #[test]
    fn what_is_filled_in_cannot_change_the_address() {
        let filled = url("/ips/{ip}?zone={zone|last}", &vars());
        assert_eq!(filled.as_deref(), Ok("/ips/2001%3Adb8%3A%3A1?zone=eu-1"));
        let segments = url("/{+path}?x", &Vars::from([("path".into(), json!("a/b?c"))]));
        assert_eq!(segments.as_deref(), Ok("/a/b%3Fc?x"));
        assert_eq!(url("/{id}", &vars()), Err("id".into()));
    }

    #[test]
    fn a_body_takes_over_what_it_does_not_change() {
        let template = json!({"object": {"...": "{whole}", "-": ["b"], "ptr": "x.{ip}"}, "list": ["...{others}", "{ip}"], "none": "{unknown}"});
        assert_eq!(
            super::json(&template, &vars()).expect("filled"),
            json!({"object": {"a": 1, "ptr": "x.2001:db8::1"}, "list": [1, 2, "2001:db8::1"], "none": null})
        );
    }
}

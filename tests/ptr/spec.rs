//! Whether a request is one that the hoster's OpenAPI description allows.

use serde_json::Value;

use crate::http::{Answer, Asked, decoded};

/// A description.
pub struct Spec {
    whole: Value,
    /// The path of the API's address.
    pub base: String,
}

impl Spec {
    pub fn of(id: &str) -> Self {
        let path = format!("{}/tests/rdns-specs/{id}.yaml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).expect(&path);
        let whole: Value = serde_saphyr::from_str(&text).expect(&path);
        let server = whole["servers"][0]["url"].as_str().expect("a server");
        let after = server.split_once("://").expect("an address").1;
        let base = after.find('/').map_or("", |at| &after[at..]);
        let base = base.trim_end_matches('/').to_owned();
        Self { whole, base }
    }

    /// The segments of a target's path below the API's address, decoded.
    pub fn below(&self, target: &str) -> Vec<String> {
        let path = target.split('?').next().unwrap_or_default();
        let below = path.strip_prefix(self.base.as_str()).unwrap_or(path);
        below.split('/').skip(1).map(decoded).collect()
    }

    /// Path, method, parameters and body of a request.
    pub fn allows(&self, asked: &Asked) -> Result<(), String> {
        let (path, operation) = self.operation(asked)?;
        self.parameters(path, operation, asked)?;
        let Some(content) = operation["requestBody"]["content"].as_object() else {
            return if asked.body.is_null() {
                Ok(())
            } else {
                Err("it takes no body".into())
            };
        };
        let kind = asked.headers.get("content-type").ok_or("no content type")?;
        let media = content.get(kind).ok_or_else(|| format!("no {kind}"))?;
        self.fits(&media["schema"], &asked.body, "body", true)
    }

    /// Status and body of an answer that is a success: nothing in it that is
    /// not described, so that a page can pick nothing else. It may leave out
    /// what is described, and errors are not described as they are.
    pub fn answers(&self, asked: &Asked, answer: &Answer) -> Result<(), String> {
        if answer.status >= 400 {
            return Ok(());
        }
        let (_, operation) = self.operation(asked)?;
        let described = operation["responses"].get(answer.status.to_string());
        let described = described.ok_or_else(|| format!("{} is not described", answer.status))?;
        let schema = &self.resolved(described)["content"]["application/json"]["schema"];
        if schema.is_null() {
            return Ok(());
        }
        let body: Value = serde_json::from_str(&answer.body).map_err(|e| e.to_string())?;
        self.fits(schema, &body, "body", false)
    }

    /// The path of a request and what is described of its method.
    fn operation(&self, asked: &Asked) -> Result<(&Value, &Value), String> {
        let paths = self.whole["paths"].as_object().expect("paths");
        let fits = |template: &str| {
            let parts: Vec<&str> = template.split('/').skip(1).collect();
            parts.len() == asked.path.len()
                && parts.iter().zip(&asked.path).all(|(part, given)| {
                    part == given || (part.starts_with('{') && !given.is_empty())
                })
        };
        // The one with the fewest placeholders is meant.
        let fitting = paths.iter().filter(|(template, _)| fits(template));
        let (template, path) = fitting
            .min_by_key(|(template, _)| template.matches('{').count())
            .ok_or("no such path")?;
        let operation = path
            .get(asked.method.to_lowercase())
            .ok_or_else(|| format!("no such method at {template}"))?;
        Ok((path, operation))
    }

    fn parameters(&self, path: &Value, operation: &Value, asked: &Asked) -> Result<(), String> {
        let lists = [&path["parameters"], &operation["parameters"]].into_iter();
        let parameters = lists.flat_map(|list| list.as_array().into_iter().flatten());
        let parameters: Vec<&Value> = parameters.map(|p| self.resolved(p)).collect();
        for (name, value) in &asked.query {
            let mut all = parameters.iter();
            let parameter = all
                .find(|p| p["in"] == "query" && p["name"] == name.as_str())
                .ok_or_else(|| format!("no such parameter: {name}"))?;
            let schema = &parameter["schema"];
            let value = typed(value);
            let value = if schema["type"] == "array" {
                Value::Array(vec![value])
            } else {
                value
            };
            self.fits(schema, &value, name, true)?;
        }
        for parameter in parameters.iter().filter(|p| p["required"] == true) {
            let name = parameter["name"].as_str().unwrap_or_default();
            let given = match parameter["in"].as_str() {
                Some("query") => asked.query.contains_key(name),
                Some("header") => asked.headers.contains_key(&name.to_lowercase()),
                _ => true,
            };
            if !given {
                return Err(format!("the parameter {name} is missing"));
            }
        }
        Ok(())
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(to) => self.whole.pointer(to.trim_start_matches('#')).expect(to),
            None => value,
        }
    }

    /// The little of JSON Schema that the descriptions use. `whole`: what is
    /// required has to be there.
    fn fits(&self, schema: &Value, value: &Value, place: &str, whole: bool) -> Result<(), String> {
        let schema = self.resolved(schema);
        if value.is_null() && schema["nullable"] == true {
            return Ok(());
        }
        let right = match schema["type"].as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("boolean") => value.is_boolean(),
            _ => true,
        };
        if !right {
            return Err(format!("{place} is no {}: {value}", schema["type"]));
        }
        if let Some(words) = schema["enum"].as_array()
            && !words.contains(value)
        {
            return Err(format!("{place} is none of {words:?}: {value}"));
        }
        bounded(schema, value).map_err(|why| format!("{place} is {why}: {value}"))?;
        let required = schema["required"].as_array().into_iter().flatten();
        for name in required.filter_map(Value::as_str) {
            if whole && value.get(name).is_none() {
                return Err(format!("{place}.{name} is missing"));
            }
        }
        if let (Some(known), Some(given)) = (schema["properties"].as_object(), value.as_object()) {
            for (name, value) in given {
                let schema = known
                    .get(name)
                    .ok_or_else(|| format!("{place} has no {name}"))?;
                self.fits(schema, value, &format!("{place}.{name}"), whole)?;
            }
        }
        for (nth, value) in value.as_array().into_iter().flatten().enumerate() {
            self.fits(&schema["items"], value, &format!("{place}.{nth}"), whole)?;
        }
        Ok(())
    }
}

/// A parameter's value as its type would be.
fn typed(value: &str) -> Value {
    let typed = serde_json::from_str::<Value>(value).ok();
    let typed = typed.filter(|value| value.is_i64() || value.is_boolean());
    typed.unwrap_or_else(|| value.into())
}

/// `maximum`, `minimum`, `maxLength`, `minLength`, and the two sorts of
/// `pattern` that there are.
fn bounded(schema: &Value, value: &Value) -> Result<(), &'static str> {
    let (number, bound) = (value.as_i64(), |key: &str| schema[key].as_i64());
    let length = value
        .as_str()
        .and_then(|text| i64::try_from(text.len()).ok());
    let over = |given: Option<i64>, most: Option<i64>| given.zip(most).is_some_and(|(g, m)| g > m);
    if over(number, bound("maximum")) || over(length, bound("maxLength")) {
        return Err("too much");
    }
    if over(bound("minimum"), number) || over(bound("minLength"), length) {
        return Err("too little");
    }
    let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str()) else {
        return Ok(());
    };
    let last = text.rsplit('.').next().unwrap_or_default().as_bytes();
    let fits = match pattern {
        // netcup: letters only in the last label, and no dot behind it.
        _ if pattern.ends_with("[a-zA-Z]{2,63}$") => {
            last.len() > 1 && last.iter().all(u8::is_ascii_alphabetic)
        }
        // DigitalOcean: neither dot nor hyphen at the end.
        _ if pattern.ends_with("[a-z0-9A-Z]$") => {
            last.last().is_some_and(u8::is_ascii_alphanumeric)
        }
        new => panic!("a new pattern: {new}"),
    };
    if fits {
        Ok(())
    } else {
        Err("against the pattern")
    }
}

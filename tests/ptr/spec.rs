//! Whether a request is one that the hoster's OpenAPI description allows.

use serde_json::Value;

use crate::fake::Asked;

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

    /// Path, method, parameters and body.
    pub fn allows(&self, asked: &Asked) -> Result<(), String> {
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
        let lists = [&path["parameters"], &operation["parameters"]];
        let parameters: Vec<&Value> = lists
            .into_iter()
            .flat_map(|list| list.as_array().into_iter().flatten())
            .map(|parameter| self.resolved(parameter))
            .collect();
        let named = |place: &str, name: &str| {
            let mut all = parameters.iter();
            all.any(|p| p["in"] == place && p["name"] == name)
        };
        if let Some(unknown) = asked.query.keys().find(|name| !named("query", name)) {
            return Err(format!("no such parameter: {unknown}"));
        }
        for parameter in &parameters {
            let name = parameter["name"].as_str().unwrap_or_default();
            let given = match parameter["in"].as_str() {
                Some("query") => asked.query.contains_key(name),
                Some("header") => asked.headers.contains_key(&name.to_lowercase()),
                _ => true,
            };
            if !given && parameter["required"] == true {
                return Err(format!("the parameter {name} is missing"));
            }
        }
        let Some(content) = operation["requestBody"]["content"].as_object() else {
            return if asked.body.is_null() {
                Ok(())
            } else {
                Err("it takes no body".into())
            };
        };
        let kind = asked.headers.get("content-type").ok_or("no content type")?;
        let media = content.get(kind).ok_or_else(|| format!("no {kind}"))?;
        self.fits(&media["schema"], &asked.body, "body")
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(to) => self.whole.pointer(to.trim_start_matches('#')).expect(to),
            None => value,
        }
    }

    /// The little of JSON Schema that the descriptions use.
    fn fits(&self, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
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
        let required = schema["required"].as_array().into_iter().flatten();
        for name in required.filter_map(Value::as_str) {
            if value.get(name).is_none() {
                return Err(format!("{place}.{name} is missing"));
            }
        }
        if let (Some(known), Some(given)) = (schema["properties"].as_object(), value.as_object()) {
            for (name, value) in given {
                let schema = known
                    .get(name)
                    .ok_or_else(|| format!("{place} has no {name}"))?;
                self.fits(schema, value, &format!("{place}.{name}"))?;
            }
        }
        for (nth, value) in value.as_array().into_iter().flatten().enumerate() {
            self.fits(&schema["items"], value, &format!("{place}.{nth}"))?;
        }
        Ok(())
    }
}

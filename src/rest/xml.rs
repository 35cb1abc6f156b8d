//! XML answers as JSON, so that one language of paths does for both: an
//! element is an object of its children, or its text; `item`s are a list.

use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::{Map, Value};

/// What is in the root element.
///
/// # Errors
/// When it is no XML.
pub fn json(text: &str) -> Result<Value, quick_xml::Error> {
    let mut reader = Reader::from_str(text);
    // The elements that are open, the outermost first.
    let mut open: Vec<(String, Map<String, Value>, String)> = Vec::new();
    let mut whole = Value::Null;
    loop {
        match reader.read_event()? {
            Event::Start(start) => {
                let name = start.local_name().as_ref().to_owned();
                open.push((name, Map::new(), String::new()));
            }
            Event::Text(piece) => {
                if let Some((.., text)) = open.last_mut() {
                    text.push_str(&piece);
                }
            }
            Event::GeneralRef(entity) => {
                let known = quick_xml::escape::resolve_predefined_entity(&entity);
                if let (Some((.., text)), Some(known)) = (open.last_mut(), known) {
                    text.push_str(known);
                }
            }
            Event::End(_) => {
                let Some((name, children, text)) = open.pop() else {
                    continue;
                };
                let value = if children.is_empty() {
                    Value::String(text.trim().to_owned())
                } else {
                    Value::Object(children)
                };
                match open.last_mut() {
                    Some((_, parent, _)) => add(parent, name, value),
                    None => whole = value,
                }
            }
            Event::Empty(empty) => {
                let name = empty.local_name().as_ref().to_owned();
                if let Some((_, parent, _)) = open.last_mut() {
                    add(parent, name, Value::Null);
                }
            }
            Event::Eof => return Ok(whole),
            _ => {}
        }
    }
}

fn add(parent: &mut Map<String, Value>, name: String, value: Value) {
    if name != "item" {
        parent.insert(name, value);
        return;
    }
    let items = parent
        .entry(name)
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(items) = items {
        items.push(value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn items_are_lists() {
        let text = r#"<?xml version="1.0"?><R xmlns="http://x"><set><item><ip>192.0.2.1</ip><e/></item></set><n>a&amp;b</n></R>"#;
        assert_eq!(
            super::json(text).expect("XML"),
            json!({"set": {"item": [{"ip": "192.0.2.1", "e": null}]}, "n": "a&b"})
        );
    }
}

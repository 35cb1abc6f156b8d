//! Reading back what was written, for tests: XML, or HTML that is well-formed as XML.

use std::collections::BTreeMap;

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// An element with all text in it, references resolved.
#[derive(Debug)]
pub struct Element {
    pub name: String,
    pub attributes: BTreeMap<String, String>,
    pub text: String,
}

/// All elements in the order in which they begin. Panics where the document is not well-formed.
pub fn elements(document: &str) -> Vec<Element> {
    let mut reader = Reader::from_str(document);
    let mut elements = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    loop {
        let text = match reader.read_event().expect("well-formed") {
            Event::Eof => break,
            Event::Start(start) => {
                open.push(elements.len());
                elements.push(element(&start));
                continue;
            }
            Event::Empty(start) => {
                elements.push(element(&start));
                continue;
            }
            Event::End(_) => {
                open.pop();
                continue;
            }
            Event::Text(text) => text.xml10_content().into_owned(),
            Event::GeneralRef(reference) => {
                match reference.resolve_char_ref().expect("a character") {
                    Some(character) => character.to_string(),
                    None => resolve_predefined_entity(&reference.xml10_content())
                        .expect("a known entity")
                        .to_owned(),
                }
            }
            _ => continue,
        };
        open.iter()
            .for_each(|nth| elements[*nth].text.push_str(&text));
    }
    assert!(open.is_empty(), "{open:?} are not closed");
    elements
}

fn element(start: &BytesStart) -> Element {
    let attribute = |attribute: quick_xml::events::attributes::Attribute| {
        let value = attribute.normalized_value(XmlVersion::Explicit1_0);
        let name = String::from_utf8_lossy(attribute.key.as_ref().as_bytes()).into_owned();
        (name, value.expect("a value").into_owned())
    };
    Element {
        name: String::from_utf8_lossy(start.name().as_ref().as_bytes()).into_owned(),
        attributes: start
            .attributes()
            .map(|a| attribute(a.expect("an attribute")))
            .collect(),
        text: String::new(),
    }
}

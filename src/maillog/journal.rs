//! The journal's JSON (systemd's `journal-export-formats`), as far as it is needed.

use serde_json::Value;
use time::OffsetDateTime;

/// The fields that [`parse`] reads.
pub(super) const FIELDS: &str = "MESSAGE,_SYSTEMD_UNIT,UNIT";

/// Time, unit and text of one line.
pub(super) fn parse(line: &str) -> Option<(OffsetDateTime, String, String)> {
    let entry: Value = serde_json::from_str(line).ok()?;
    let micros: i128 = entry["__REALTIME_TIMESTAMP"].as_str()?.parse().ok()?;
    let at = OffsetDateTime::from_unix_timestamp_nanos(micros * 1000).ok()?;
    // What systemd says of a unit comes from systemd's own.
    let unit = entry["UNIT"].as_str().or(entry["_SYSTEMD_UNIT"].as_str());
    let text = text(&entry["MESSAGE"])?;
    Some((at, unit.unwrap_or_default().to_owned(), text))
}

/// Text that is no UTF-8 travels as a list of octets.
fn text(value: &Value) -> Option<String> {
    let octets = match value {
        Value::String(text) => return Some(text.trim_end().to_owned()),
        Value::Array(octets) => octets,
        _ => return None,
    };
    let octets: Option<Vec<u8>> = octets
        .iter()
        .map(|octet| u8::try_from(octet.as_u64()?).ok())
        .collect();
    Some(String::from_utf8_lossy(&octets?).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_text_are_read() {
        let line = |message: &str, unit: &str| {
            format!(r#"{{"__REALTIME_TIMESTAMP":"1795647653639617","MESSAGE":{message},{unit}}}"#)
        };
        let service = r#""_SYSTEMD_UNIT":"chasquid.service""#;
        let (at, unit, text) = parse(&line(r#""a line\n""#, service)).expect("an entry");
        assert_eq!(
            (at.unix_timestamp(), at.microsecond()),
            (1_795_647_653, 639_617)
        );
        assert_eq!(
            (unit.as_str(), text.as_str()),
            ("chasquid.service", "a line")
        );
        let (.., text) = parse(&line("[97,255,98]", service)).expect("an entry");
        assert_eq!(text, "a\u{fffd}b");
        let about = r#""_SYSTEMD_UNIT":"init.scope","UNIT":"chasquid-smtp.socket""#;
        let (_, unit, _) = parse(&line(r#""Listening""#, about)).expect("an entry");
        assert_eq!(unit, "chasquid-smtp.socket");
        for odd in [
            "",
            "Failed to parse timestamp",
            "{}",
            &line("null", service),
        ] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }
}

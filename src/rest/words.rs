//! The words of an error, wherever an API has them.

use serde_json::Value;

use super::pick;

/// Where APIs say in words what went wrong; the first that says something counts.
const WORDS: [&str; 10] = [
    "message",
    "detail",
    "reason",
    "error_message",
    "errorMessage",
    "Message",
    "title",
    "error_description",
    "messages",
    "error",
];
/// How many different sentences of an error are told.
const SENTENCES: usize = 3;

/// What an error says, the general before the particular: many an API says
/// "validation error", and only below that, of which field and why.
pub(super) fn sentences(error: &Value) -> Vec<&str> {
    let mut told = Vec::new();
    collect(error, &mut told);
    told.truncate(SENTENCES);
    told
}

fn collect<'a>(value: &'a Value, told: &mut Vec<&'a str>) {
    let mut add = |text: &'a str| {
        if !text.is_empty() && !told.contains(&text) {
            told.push(text);
        }
    };
    match value {
        Value::Object(fields) => {
            let own = WORDS.iter().filter_map(|key| fields.get(*key)?.as_str());
            own.take(1).for_each(&mut add);
        }
        Value::Array(list) => list.iter().filter_map(Value::as_str).for_each(&mut add),
        _ => {}
    }
    for below in pick::all(value, "*") {
        collect(below, told);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_particular_of_an_error_is_told_with_the_general() {
        for (error, told) in [
            (
                json!({"code": "VALIDATION", "message": "Validation failed", "errors": [{"field": "rdns", "message": "must be a valid host name"}]}),
                "Validation failed; must be a valid host name",
            ),
            (
                json!({"type": "invalid_request_error", "message": "validation error", "fields": {"reverse": ["must resolve to the IP address"]}}),
                "validation error; must resolve to the IP address",
            ),
            (
                json!({"error": {"code": 403, "message": "denied", "errors": [{"message": "denied", "reason": "forbidden"}]}}),
                "denied",
            ),
            (
                json!({"error": {"code": "invalid_input", "message": "invalid", "details": {"fields": [{"name": "ip", "messages": ["is not yours"]}]}}}),
                "invalid; is not yours",
            ),
            (
                json!({"errors": [{"reason": "Linode busy.", "field": "rdns"}]}),
                "Linode busy.",
            ),
            (
                json!({"error": "nothing found", "status": 404}),
                "nothing found",
            ),
            (
                json!({"messages": [{"errorCode": "309", "message": "not of this contract"}]}),
                "not of this contract",
            ),
            (
                json!({"Errors": {"Error": {"Code": "X", "Message": "no such address"}}}),
                "no such address",
            ),
        ] {
            assert_eq!(sentences(&error).join("; "), told, "{error}");
        }
    }
}

//! Finding a message on the server: in the log, and in the queue while it waits.

use super::Story;
use crate::failure::{Failure, Result};
use crate::maillog::{Event, Query, Since, read};
use crate::observe::quote;
use crate::remote::{Remote, Script};

/// A login may come so many seconds before the message that it is for.
const BEFORE: i64 = 3600;

/// Everything that the log has of a message.
///
/// # Errors
/// When the journal cannot be read, or does not know the id.
pub fn look(remote: &dyn Remote, id: &str, since: Option<Since>) -> Result<Story> {
    let words = |words: Vec<String>, since| Query {
        since,
        words,
        ..Query::default()
    };
    let mut entries = read(remote, &words(vec![id.to_owned()], since))?;
    let mut more = Vec::new();
    let mut first = None;
    for entry in &entries {
        match &entry.event {
            Event::Queued { client, .. } if entry.event.id() == Some(id) => {
                more.push(client.clone());
            }
            Event::Bounced { report, .. } => more.push(report.clone()),
            _ => {}
        }
        first.get_or_insert(entry.at.unix_timestamp());
    }
    if let (Some(first), false) = (first, more.is_empty()) {
        entries.extend(read(
            remote,
            &words(more, Some(Since::at(first.saturating_sub(BEFORE)))),
        )?);
    }
    let mut story = Story::of(id, entries).ok_or_else(|| {
        Failure::new(format!(
            "the log on {} knows no message {id}",
            remote.place()
        ))
        .hint("`mailctl logs --user ADDRESS` shows the queue ids; the journal forgets what is old")
    })?;
    story.received = received(remote, id)?;
    Ok(story)
}

/// How a message that is still in the queue came in.
fn received(remote: &dyn Remote, id: &str) -> Result<Option<String>> {
    let file = quote(&format!("/var/lib/chasquid/queue/m:{id}"));
    let text = format!(
        "head -c 65536 {file} 2>/dev/null | grep -aoE 'Received: from [^;]*' | head -n 1 || :"
    );
    let output = remote.run(&Script::new(text))?;
    Ok(header(&output.text()))
}

/// A folded header as it stands in chasquid's files, in one line.
fn header(text: &str) -> Option<String> {
    let text = text.trim().strip_prefix("Received: ")?;
    let text = text
        .replace("\\n", " ")
        .replace("\\t", " ")
        .replace("\\\"", "\"");
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Lists the messages in the queue with their Message-ID.
const QUEUE: &str = r#"cd /var/lib/chasquid/queue 2>/dev/null || exit 0
for f in m:*; do
  [ -e "$f" ] || continue
  printf '%s %s\n' "${f#m:}" "$(head -c 262144 "$f" | grep -aoiE 'message-id:[^<]{0,20}<[^>]{1,900}>' | head -n 1)"
done"#;

/// The queue id of the message with this Message-ID, which only a message
/// that is still in the queue tells: chasquid does not log it.
///
/// # Errors
/// When no such message waits.
pub fn waiting(remote: &dyn Remote, message_id: &str) -> Result<String> {
    let output = remote.run(&Script::new(QUEUE))?;
    if output.code != 0 {
        return Err(output.failure("the queue cannot be read", "see why on the server"));
    }
    find(&output.text(), message_id).ok_or_else(|| {
        Failure::new(format!("no message {} waits in the queue", message_id.trim())).hint(
            "chasquid does not log the Message-ID: once a message has left the queue only its queue id finds it, which `mailctl logs --user ADDRESS` shows",
        )
    })
}

fn find(listed: &str, message_id: &str) -> Option<String> {
    let bare = message_id
        .trim()
        .trim_start_matches('<')
        .trim_end_matches('>');
    let is = |line: &&str| {
        let id = line.split_once('<').map(|(_, id)| id.trim_end_matches('>'));
        id == Some(bare) && !bare.is_empty()
    };
    let line = listed.lines().find(is)?;
    line.split(' ').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_received_header_is_unfolded() {
        let text = r#"Received: from client.example\n\tby smtp.wac.tax (chasquid) with ESMTPSA\n\ttls TLS_AES_128_GCM_SHA256\n\t(over submission, TLS 1.3, envelope from \"i@wac.tax\")\n\t"#;
        let unfolded = "from client.example by smtp.wac.tax (chasquid) with ESMTPSA \
                        tls TLS_AES_128_GCM_SHA256 (over submission, TLS 1.3, envelope from \"i@wac.tax\")";
        assert_eq!(header(text).as_deref(), Some(unfolded));
        assert_eq!(header(""), None);
    }

    #[test]
    fn a_message_id_is_found_whole() {
        let listed = "E8MJkVw9hdk Message-Id: <20261125230224.010022@vm>\n\
                      t9Y-1nez-Vw \niHljPUnMcjk Message-ID:\\n <a@b>\n";
        for id in ["<20261125230224.010022@vm>", "20261125230224.010022@vm"] {
            assert_eq!(find(listed, id).as_deref(), Some("E8MJkVw9hdk"));
        }
        assert_eq!(find(listed, "a@b").as_deref(), Some("iHljPUnMcjk"));
        for id in ["", "<>", "010022@vm", "a@"] {
            assert_eq!(find(listed, id), None, "{id}");
        }
    }
}

//! The queue: empty, moving, stuck or full.

use std::time::Duration;

use super::{Line, Verdict};
use crate::status::Queue;
use crate::status::render::span;

/// chasquid takes no more messages than this into its queue, unless its configuration says so.
const QUEUE_CAP: usize = 200;

pub(super) fn judged_queue(queue: Option<&Queue>, stuck: Duration) -> Line {
    let line = |verdict, found: String| Line::new("queue", verdict, found);
    let Some(queue) = queue else {
        return line(
            Verdict::Unknown,
            "chasquid has not made its queue yet".into(),
        );
    };
    let wait = match queue.length {
        0 => return line(Verdict::Ok, "empty".into()),
        1 => "1 message waits".to_owned(),
        n => format!("{n} messages wait"),
    };
    let Some(oldest) = queue.oldest_seconds else {
        let found = format!("{wait}; since when cannot be learnt");
        return line(Verdict::Unknown, found);
    };
    let found = match queue.length {
        1 => format!("{wait} for {}", span(oldest)),
        _ => format!("{wait}, the oldest for {}", span(oldest)),
    };
    if oldest >= stuck.as_secs() {
        line(
            Verdict::Warn,
            format!("{found}; senders are told after 20 h that it failed"),
        )
        .fix("`mailctl logs ID` shows a message's attempts")
    } else if queue.length * 4 >= QUEUE_CAP * 3 {
        line(
            Verdict::Warn,
            format!("{found}; chasquid takes no more than {QUEUE_CAP}"),
        )
        .fix("`mailctl logs` shows what holds them up")
    } else {
        line(Verdict::Ok, found)
    }
}

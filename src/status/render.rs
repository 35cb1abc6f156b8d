//! The document as text; made from the document only.

use unicode_width::UnicodeWidthStr;

use super::{Document, Line, Queue, Verdict};
use crate::maillog::render::clean;
use crate::render::Paint;

/// What stands before the words of a line: margin, verdict, gaps.
const MARGIN: usize = 13;

/// The status as text, at most `width` columns wide.
pub fn text(document: &Document, paint: Paint, width: usize) -> String {
    let title = format!("{} ({})", document.host, document.place);
    let mut text = format!("{}\n\n", paint.with("1", &title));
    let ids = document.lines.iter().map(|line| line.id.width());
    let page = Page {
        paint,
        width,
        column: ids.max().unwrap_or_default(),
    };
    for line in &document.lines {
        text.push_str(&page.line(line));
        if let (true, Some(queue)) = (line.id == "queue", &document.queue) {
            text.push_str(&page.queue(queue));
        }
    }
    text.push_str(&format!("\n{}\n", ending(document, paint)));
    text
}

struct Page {
    paint: Paint,
    width: usize,
    /// How wide ids are.
    column: usize,
}

impl Page {
    fn line(&self, line: &Line) -> String {
        let (word, colour) = match line.verdict {
            Verdict::Ok => ("ok", "32"),
            Verdict::Warn => ("warn", "33"),
            Verdict::Fail => ("fail", "31"),
            Verdict::Unknown => ("unknown", "35"),
        };
        let gap = " ".repeat(7 - word.len());
        let id_gap = " ".repeat(self.column.saturating_sub(line.id.width()));
        let head = format!(
            "  {}{gap}  {}{id_gap}  ",
            self.paint.with(colour, word),
            line.id
        );
        let mut text = head + &self.wrapped(&line.found, "");
        if let Some(fix) = &line.fix {
            text.push_str(&" ".repeat(self.column + MARGIN));
            text.push_str(&self.wrapped(fix, "do: "));
        }
        text
    }

    /// The messages that wait, below the queue's line.
    fn queue(&self, queue: &Queue) -> String {
        let indent = " ".repeat(self.column + MARGIN);
        let mut text = String::new();
        for message in &queue.messages {
            let from = message.from.as_deref().unwrap_or("?");
            let age = message.seconds.map_or_else(|| "?".to_owned(), span);
            text.push_str(&indent);
            text.push_str(&self.wrapped(&format!("{} from {from}, for {age}", message.id), ""));
            for recipient in &message.recipients {
                let why = recipient.error.as_deref().unwrap_or("not tried yet");
                let words = format!("{}: {why}", recipient.address);
                text.push_str(&indent);
                text.push_str(&self.wrapped(&words, "  to "));
            }
        }
        match queue.length - queue.messages.len() {
            0 => {}
            more => text.push_str(&format!("{indent}and {more} more\n")),
        }
        text
    }

    /// Words in lines of the last column, the first behind `lead`.
    fn wrapped(&self, words: &str, lead: &str) -> String {
        let start = self.column + MARGIN;
        let indent = " ".repeat(start + lead.width());
        let mut text = lead.to_owned();
        let mut used = start + lead.width();
        let mut first = true;
        for word in clean(words).split_whitespace() {
            if !first && used + 1 + word.width() > self.width {
                text.push('\n');
                text.push_str(&indent);
                used = indent.len();
                first = true;
            }
            if !first {
                text.push(' ');
                used += 1;
            }
            text.push_str(word);
            used += word.width();
            first = false;
        }
        text + "\n"
    }
}

/// The last line.
fn ending(document: &Document, paint: Paint) -> String {
    let count = |verdict| {
        document
            .lines
            .iter()
            .filter(|l| l.verdict == verdict)
            .count()
    };
    let mut parts = vec![format!("{} ok", count(Verdict::Ok))];
    for (verdict, word) in [
        (Verdict::Warn, "to look at"),
        (Verdict::Fail, "failed"),
        (Verdict::Unknown, "unknown"),
    ] {
        if count(verdict) > 0 {
            parts.push(format!("{} {word}", count(verdict)));
        }
    }
    let (words, colour) = match document.well {
        true => ("The service is well", "32"),
        false => ("The service is not well", "31"),
    };
    format!("{}: {}.", paint.with(colour, words), parts.join(", "))
}

/// A span in words: `40 s`, `12 min`, `4 h 5 min`, `3 days`.
pub fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (2.., ..) => format!("{days} days"),
        (_, 1.., _) if minutes % 60 == 0 => format!("{hours} h"),
        (_, 1.., _) => format!("{hours} h {} min", minutes % 60),
        (_, _, 1..) => format!("{minutes} min"),
        _ => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::ask::tests::{but, healthy};
    use crate::status::judge::tests::expected;

    fn document(seen: crate::status::Seen) -> Document {
        Document::new(seen, &expected(), "root@10.77.16.2:22".into())
    }

    #[test]
    fn a_line_each_and_a_verdict_at_the_end() {
        let text = text(&document(healthy()), Paint(false), 120);
        for part in [
            "smtp.wac.tax (root@10.77.16.2:22)\n\n",
            "  ok       service       running since 2026-11-25 23:00 UTC (29 min ago), process 811\n",
            "  ok       queue         empty\n",
            "  ok       dkim wac.tax  signs with s20261125\n",
            "\nThe service is well: ",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(text.lines().all(|line| line.width() <= 120), "{text}");
    }

    #[test]
    fn messages_that_wait_stand_below_the_queue() {
        let queue = include_str!("../../tests/fixtures/status/queue-waiting.txt");
        let text = text(&document(but(2, queue)), Paint(false), 80);
        let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part}\n{text}"));
        assert!(at("2 messages wait, the oldest for 27 min") < at("E8MJkVw9hdk from i@wac.tax"));
        assert!(at("  to full@far.example:") < at("certificate"));
        assert!(text.lines().all(|line| line.width() <= 80), "{text}");
    }

    #[test]
    fn the_document_survives_its_own_text() {
        let document = document(healthy());
        let json = serde_json::to_value(&document).expect("JSON");
        assert_eq!(json["schema"], "mailctl.status/1");
        assert_eq!(json["well"], true);
        assert_eq!(json["queue"]["length"], 0);
        let back: Document = serde_json::from_value(json).expect("read");
        assert_eq!(back.lines, document.lines);
    }

    #[test]
    fn spans_are_words() {
        for (seconds, words) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3600, "1 h"),
            (14_700, "4 h 5 min"),
            (90_000, "25 h"),
            (172_800, "2 days"),
        ] {
            assert_eq!(span(seconds), words);
        }
    }
}

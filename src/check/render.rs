//! Findings as people and programs want them; all made from the [`Report`](super::Report) only.

mod github;
mod html;
mod junit;
#[cfg(test)]
mod markup;
#[cfg(test)]
mod sample;
mod subjects;
mod text;

pub use github::{annotations, without_commands};
pub use html::html;
pub use junit::junit;
pub use text::{tally, text};

/// Text of foreign servers as one harmless line: nothing in it steers a
/// terminal, turns the direction of reading, or is no character of XML.
fn tame(text: &str) -> String {
    let tamed = |c: char| match c {
        c if c.is_whitespace() => ' ',
        c if c.is_control() => '\u{fffd}',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        c => c,
    };
    text.chars()
        .map(tamed)
        .collect::<String>()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_tamed() {
        assert_eq!(
            tame("250 \u{1b}[31mhi\u{9b}\r\n\u{202e}über\u{ffff} "),
            "250 \u{fffd}[31mhi\u{fffd}  \u{fffd}über\u{fffd}"
        );
    }
}

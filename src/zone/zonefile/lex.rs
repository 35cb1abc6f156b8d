//! Zone files as lines of words (RFC 1035 section 5.1), each with its place in
//! the file, so that what is not ours can stay as it is, byte for byte.

use std::ops::Range;

/// One entry: a line, or several that parentheses join.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// With its end of line.
    pub(super) place: Range<usize>,
    /// Whether it begins with a blank, so that its owner is the one before.
    pub(super) indented: bool,
    /// Its words; without any it is empty or a comment.
    pub(super) words: Vec<Range<usize>>,
    /// The number of its first line, from 1.
    pub(super) number: usize,
}

/// All entries of the file, comments and empty lines among them.
///
/// # Errors
/// What is never closed, and in which line it was opened.
pub(super) fn lines(text: &[u8]) -> Result<Vec<Line>, String> {
    let (mut lines, mut at, mut number) = (Vec::new(), 0, 1);
    while at < text.len() {
        let line = line(text, at, number)?;
        number += text[line.place.clone()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        at = line.place.end;
        lines.push(line);
    }
    Ok(lines)
}

fn line(text: &[u8], start: usize, number: usize) -> Result<Line, String> {
    let mut line = Line {
        place: start..text.len(),
        indented: matches!(text[start], b' ' | b'\t'),
        words: Vec::new(),
        number,
    };
    let (mut at, mut depth) = (start, 0usize);
    while let Some(byte) = text.get(at) {
        match byte {
            b'\n' if depth == 0 => {
                line.place.end = at + 1;
                return Ok(line);
            }
            b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            b';' => at = end_of_line(text, at),
            b'(' => (depth, at) = (depth + 1, at + 1),
            b')' => {
                depth = depth.checked_sub(1).ok_or_else(|| {
                    format!("line {number}: a parenthesis is closed that was not opened")
                })?;
                at += 1;
            }
            _ => {
                let end = word(text, at)
                    .ok_or_else(|| format!("line {number}: a quoted string is not closed"))?;
                line.words.push(at..end);
                at = end;
            }
        }
    }
    if depth > 0 {
        return Err(format!("line {number}: a parenthesis is not closed"));
    }
    Ok(line)
}

/// Where the line's end begins.
fn end_of_line(text: &[u8], at: usize) -> usize {
    let rest = text[at..].iter().position(|byte| *byte == b'\n');
    rest.map_or(text.len(), |length| at + length)
}

/// Where a word ends that begins here; `None` where its quotes are not closed in its line.
fn word(text: &[u8], start: usize) -> Option<usize> {
    let quoted = text[start] == b'"';
    let mut at = if quoted { start + 1 } else { start };
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' if quoted => return Some(at + 1),
            b'\n' if quoted => return None,
            b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"' if !quoted => return Some(at),
            _ => at += 1,
        }
    }
    (!quoted).then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<&str>> {
        let lines = lines(text.as_bytes()).expect("a zone file");
        lines
            .iter()
            .map(|line| line.words.iter().map(|w| &text[w.clone()]).collect())
            .collect()
    }

    #[test]
    fn comments_quotes_and_parentheses_are_seen_through() {
        assert_eq!(
            words("; all\n@ IN SOA a b ( 1 ; serial (\n 2 )\n\n\tTXT \"a;(\\\" b\"  c\\;d ;e"),
            [
                vec![],
                vec!["@", "IN", "SOA", "a", "b", "1", "2"],
                vec![],
                vec!["TXT", "\"a;(\\\" b\"", "c\\;d"],
            ]
        );
        let found = lines(b"a A 192.0.2.1\r\n b\n").expect("lines");
        assert_eq!((found[1].indented, found[1].number), (true, 2));
        assert_eq!(found[0].words.last(), Some(&(4..13)), "no carriage return");
    }

    #[test]
    fn what_is_not_closed_is_told_with_its_line() {
        for (text, why) in [
            ("\n@ SOA (\n1", "line 2: a parenthesis is not closed"),
            ("a TXT \"b\nc\"", "line 1: a quoted string"),
            ("a TXT )", "was not opened"),
        ] {
            let told = lines(text.as_bytes()).expect_err(text);
            assert!(told.contains(why), "{told}");
        }
    }
}

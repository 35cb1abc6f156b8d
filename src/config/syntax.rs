//! Mistakes against YAML's own rules, told to people who do not know its grammar.

use serde_saphyr::{Location, UserMessageFormatter};

use crate::diagnostic::{Diagnostic, Span};

/// What the parser says (a part of it), what that means, and what to do.
/// `{}` stands for the place's own text.
const SAYINGS: &[(&str, &str, &str)] = &[
    (
        "expected alphabetic or numeric character",
        "a bare `*` or `&` has a meaning of its own in YAML",
        "the catch-all is written in quotes: `\"*\": someone@example.com`",
    ),
    (
        "only single YAML document",
        "a second document begins here",
        "mail.yaml is one document: remove this `---`, or what follows it",
    ),
    (
        "unclosed bracket",
        "this bracket is never closed",
        "add the closing one, or write one entry a line instead",
    ),
    (
        "mismatched bracket",
        "this bracket is closed by one of the other sort",
        "close what was opened last first",
    ),
    (
        "did not find expected ',' or '}'",
        "the mapping in `{…}` does not go on here",
        "a `,` or the closing `}` is missing before this place",
    ),
    (
        "did not find expected ',' or ']'",
        "the list in `[…]` does not go on here",
        "a `,` or the closing `]` is missing before this place",
    ),
    (
        "quoted scalar, found unexpected end",
        "this quoted text is never closed",
        "add the closing quote",
    ),
    (
        "multiline quoted scalar",
        "the quoted text before this line is never closed",
        "add the closing quote",
    ),
    (
        "unclosed quote",
        "this quoted text is never closed",
        "add the closing quote",
    ),
    (
        "trailing content after",
        "text follows a value that ended with its closing quote",
        "put the whole value into one pair of quotes",
    ),
    (
        "tab",
        "a tab stands where only blanks may",
        "YAML is indented with blanks: replace the tab",
    ),
    (
        "mapping values are not allowed",
        "a `:` follows something that cannot be a key here",
        "text with `: ` in it needs quotes; else the indentation of this line or the one above is off",
    ),
    (
        "simple key expected",
        "`{}` is neither a key with a value nor part of the value above",
        "a `:` is missing, or the indentation is off",
    ),
    (
        "did not find expected key",
        "this line fits nowhere",
        "its indentation is off: keys of one mapping begin in the same column",
    ),
    (
        "reference to unknown value",
        "`{}` names an anchor that is not defined above",
        "define it with `&` at the value that is to be repeated",
    ),
    (
        "unsupported tag",
        "tags mean nothing in this file",
        "remove the word that begins with `!`",
    ),
    (
        "expected string scalar",
        "a key is plain text here",
        "write the key as one word, in quotes where it has special characters",
    ),
    (
        "null is not allowed here",
        "a key is missing here",
        "write the key's name before the `:`",
    ),
    (
        "merge value must be",
        "`<<:` merges a mapping, this is none",
        "name an anchor: `<<: *name`",
    ),
    (
        "unexpected character: `@",
        "a value cannot begin with `@`",
        "put the value into quotes",
    ),
    (
        "unexpected character: `%",
        "a value cannot begin with `%`",
        "put the value into quotes",
    ),
    (
        "unexpected character: ``",
        "a value cannot begin with a backquote",
        "put the value into quotes",
    ),
    (
        "indentation",
        "the indentation of this line fits nothing above it",
        "keys of one mapping begin in the same column",
    ),
];

/// The parser's error in plain words, with its place.
pub fn told(source: &str, error: &serde_saphyr::Error) -> Diagnostic {
    let mut span = place(source, error.location().unwrap_or(Location::UNKNOWN));
    let said = error.render_with_formatter(&UserMessageFormatter);
    let said = said
        .rsplit_once(" at line ")
        .map_or(said.as_str(), |(said, _)| said);
    point_back(source, said, &mut span);
    let line = source.lines().nth(span.line - 1).unwrap_or("");
    let word: String = line
        .chars()
        .skip(span.column - 1)
        .take_while(|c| !c.is_whitespace() && *c != ',')
        .collect();
    // An unquoted catch-all reads as an alias without a name.
    let said = if word.trim_end_matches(':') == "*" {
        SAYINGS[0].0
    } else {
        said
    };
    match SAYINGS.iter().find(|(saying, ..)| said.contains(saying)) {
        Some((_, message, help)) => Diagnostic::error(message.replace("{}", &word)).help(*help),
        None => Diagnostic::error(format!("this is not YAML: {said}")),
    }
    .at("", Some(span))
}

/// The place of an error; one behind the end is moved to the last line that has text.
fn place(source: &str, location: Location) -> Span {
    let number = |n: u64| usize::try_from(n).unwrap_or(1).max(1);
    let lines: Vec<&str> = source.lines().collect();
    let line = number(location.line());
    if line > lines.len() {
        let last = lines
            .iter()
            .rposition(|l| !l.trim().is_empty())
            .unwrap_or(0);
        let length = lines.get(last).map_or(0, |l| l.trim_end().chars().count());
        return Span {
            line: last + 1,
            column: length + 1,
            length: 0,
        };
    }
    let width = lines[line - 1].chars().count();
    Span {
        line,
        column: number(location.column()).min(width + 1),
        length: 1,
    }
}

/// The parser stops behind what is wrong; this goes back to it.
fn point_back(source: &str, said: &str, span: &mut Span) {
    let lines: Vec<&str> = source.lines().collect();
    let before: Vec<char> = lines
        .get(span.line - 1)
        .map_or(Vec::new(), |l| l.chars().take(span.column - 1).collect());
    if said.contains("only single YAML document") {
        if let Some(marker) = lines[..span.line.min(lines.len())]
            .iter()
            .rposition(|l| l.starts_with("---"))
        {
            *span = Span {
                line: marker + 1,
                column: 1,
                length: 3,
            };
        }
    } else if said.contains("unsupported tag") {
        if let Some(mark) = before.iter().rposition(|c| *c == '!') {
            *span = Span {
                column: mark + 1,
                length: before[mark..]
                    .iter()
                    .take_while(|c| !c.is_whitespace())
                    .count(),
                ..*span
            };
        }
    } else if said.contains("tab") && before.last() == Some(&'\t') {
        span.column -= 1;
    }
}

/// Values on the lines of a file that cannot be parsed, which look like
/// secrets by the word before them.
pub fn secret_looking(source: &str) -> Vec<Span> {
    const WORDS: [&str; 4] = ["password", "token", "key", "secret"];
    let mut found = Vec::new();
    for (nth, line) in source.lines().enumerate() {
        let mut from = 0;
        while let Some(colon) = line[from..].find(':').map(|at| from + at) {
            from = colon + 1;
            let word: String = line[..colon]
                .chars()
                .rev()
                .take_while(|c| c.is_alphanumeric() || "_-\"'".contains(*c))
                .collect();
            let word: String = word
                .chars()
                .rev()
                .filter(|c| c.is_alphanumeric())
                .collect::<String>()
                .to_lowercase();
            let rest = line[from..].trim_start();
            let named = ["env:", "file:", "command:", "age:"]
                .iter()
                .any(|s| rest.trim_start_matches(['"', '\'']).starts_with(s));
            if rest.is_empty() || named || !WORDS.iter().any(|w| word.ends_with(w)) {
                continue;
            }
            let column = line[..line.len() - rest.len()].chars().count() + 1;
            found.push(Span {
                line: nth + 1,
                column,
                length: rest.chars().count(),
            });
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tree::parse;
    use super::*;

    fn mistake(source: &str) -> Diagnostic {
        *parse(source).expect_err("not YAML")
    }

    #[test]
    fn every_mistake_is_told_in_plain_words_and_has_a_place() {
        for (source, message, line) in [
            ("a:\n  *: x\n", "a bare `*`", 2),
            ("a: 1\n---\nb: 2\n", "a second document", 2),
            ("a:\n\tb: 1\n", "a tab stands", 2),
            ("a: [1, 2\n", "this bracket is never closed", 1),
            ("a: {b: 1\nc: 2\n", "the mapping in `{…}`", 2),
            ("a: b: c\n", "a `:` follows", 1),
            ("a: \"x\n", "never closed", 1),
            ("a: *nope\n", "`*nope` names an anchor", 1),
            ("a: !foo 1\n", "tags mean nothing", 1),
            ("a: @x\n", "a value cannot begin with `@`", 1),
            ("a: 1\nb\n", "`b` is neither", 2),
            ("<<: 3\n", "`<<:` merges a mapping", 1),
            ("a: 'x' y\n", "text follows a value", 1),
        ] {
            let mistake = mistake(source);
            assert!(mistake.message.contains(message), "{source:?}: {mistake:?}");
            assert_eq!(mistake.span.map(|s| s.line), Some(line), "{source:?}");
            assert!(mistake.help.is_some(), "{source:?}");
        }
    }

    #[test]
    fn what_looks_secret_is_found_without_a_parser() {
        let found = secret_looking("a: [\nb: {password: hunter2}\ntoken: env:X\n");
        assert_eq!(
            found,
            [Span {
                line: 2,
                column: 15,
                length: 8
            }]
        );
    }
}

//! Mistakes in mail.yaml and their drawing. Everything here is text; nothing prints.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file cannot be used as it is.
    Error,
    /// It can, but the author should know.
    Warning,
}

/// A place in the file, on one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// In characters; 0 points between two.
    pub length: usize,
}

/// One mistake: what, where, and what was probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// One sentence without a full stop.
    pub message: String,
    /// Where in the configuration, such as `domains.wac.tax.forward.i`.
    pub path: String,
    /// Where in the file; `None` only when there is no file to point into.
    pub span: Option<Span>,
    /// A few words beside the carets.
    pub label: Option<String>,
    /// What to do.
    pub help: Option<String>,
    /// Secrets near the place; the drawing hides them.
    pub hidden: Vec<Span>,
}

impl Diagnostic {
    /// A mistake of this severity, not placed yet.
    pub fn new(severity: Severity, message: impl Into<String>) -> Self {
        Self {
            severity,
            message: message.into(),
            path: String::new(),
            span: None,
            label: None,
            help: None,
            hidden: Vec::new(),
        }
    }

    /// The file cannot be used as it is.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message)
    }

    /// The file can be used, but the author should know.
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, message)
    }

    /// Where it is.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>, span: Option<Span>) -> Self {
        self.path = path.into();
        self.span = span;
        self
    }

    /// A few words beside the carets.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// What to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Draws each mistake with its line of the file, in the order given.
pub fn draw(file_name: &str, source: &str, diagnostics: &[Diagnostic], color: bool) -> String {
    let paint = Paint { color };
    // Columns are counted without a byte order mark.
    let lines: Vec<&str> = source.trim_start_matches('\u{feff}').lines().collect();
    let drawn: Vec<String> = diagnostics
        .iter()
        .map(|d| draw_one(file_name, &lines, d, &paint))
        .collect();
    drawn.join("\n")
}

fn draw_one(file_name: &str, lines: &[&str], diagnostic: &Diagnostic, paint: &Paint) -> String {
    let (word, style) = match diagnostic.severity {
        Severity::Error => ("error", Style::Red),
        Severity::Warning => ("warning", Style::Yellow),
    };
    let mut text = format!(
        "{}{}\n",
        paint.on(style, word),
        paint.on(Style::Bold, &format!(": {}", diagnostic.message))
    );
    let margin = diagnostic
        .span
        .map_or(1, |span| span.line.to_string().len());
    let pad = " ".repeat(margin);
    if let Some(span) = diagnostic.span {
        let arrow = paint.on(Style::Blue, "-->");
        let bar = paint.on(Style::Blue, "|");
        let _ = writeln!(
            text,
            "{pad}{arrow} {file_name}:{}:{}",
            span.line, span.column
        );
        let excerpt = Excerpt::of(
            lines.get(span.line - 1).copied().unwrap_or(""),
            span,
            &diagnostic.hidden,
        );
        let number = paint.on(Style::Blue, &span.line.to_string());
        let _ = writeln!(text, "{pad} {bar}");
        let _ = writeln!(text, "{number} {bar} {}", excerpt.line);
        let mut carets = "^".repeat(excerpt.width.max(1));
        if let Some(label) = &diagnostic.label {
            carets.push(' ');
            carets.push_str(label);
        }
        let _ = writeln!(
            text,
            "{pad} {bar} {}{}",
            " ".repeat(excerpt.offset),
            paint.on(style, &carets)
        );
    }
    if let Some(help) = &diagnostic.help {
        let mut help_lines = help.lines();
        let _ = writeln!(
            text,
            "{pad} {} {}: {}",
            paint.on(Style::Blue, "="),
            paint.on(Style::Bold, "help"),
            help_lines.next().unwrap_or("")
        );
        for line in help_lines {
            let _ = writeln!(text, "{pad}         {line}");
        }
    }
    text
}

/// A line as it is shown: tabs widened, secrets hidden, cut to what surrounds the place.
struct Excerpt {
    line: String,
    /// Terminal columns before the carets.
    offset: usize,
    /// Terminal columns of the carets.
    width: usize,
}

/// Lines longer than this are cut.
const WIDEST: usize = 120;
const HIDDEN: &str = "[secret]";

impl Excerpt {
    fn of(line: &str, span: Span, hidden: &[Span]) -> Self {
        // Each character of the file, and what stands for it on the screen.
        let mut cells: Vec<String> = line.chars().map(cell).collect();
        for secret in hidden
            .iter()
            .filter(|h| h.line == span.line && h.length > 0)
        {
            let start = (secret.column - 1).min(cells.len());
            let end = (start + secret.length).min(cells.len());
            for (nth, cell) in cells[start..end].iter_mut().enumerate() {
                *cell = if nth == 0 {
                    HIDDEN.to_owned()
                } else {
                    String::new()
                };
            }
        }
        let start = (span.column - 1).min(cells.len());
        let end = (start + span.length).min(cells.len());
        let first = if cells.len() > WIDEST {
            start.saturating_sub(WIDEST / 3)
        } else {
            0
        };
        let last = if cells.len() > WIDEST {
            (first + WIDEST).min(cells.len())
        } else {
            cells.len()
        };
        let end = end.min(last);
        let before = if first > 0 { "…" } else { "" };
        let after = if last < cells.len() { "…" } else { "" };
        Self {
            line: format!("{before}{}{after}", cells[first..last].concat())
                .trim_end()
                .to_owned(),
            offset: before.chars().count() + width(&cells[first..start]),
            width: width(&cells[start..end]),
        }
    }
}

fn cell(c: char) -> String {
    match c {
        '\t' => "    ".to_owned(),
        // A control character must not reach the terminal.
        c if c.is_control() => "\u{fffd}".to_owned(),
        c => c.to_string(),
    }
}

fn width(cells: &[String]) -> usize {
    cells
        .iter()
        .flat_map(|cell| cell.chars())
        .filter_map(UnicodeWidthChar::width)
        .sum()
}

struct Paint {
    color: bool,
}

#[derive(Clone, Copy)]
enum Style {
    Red,
    Yellow,
    Blue,
    Bold,
}

impl Paint {
    fn on(&self, style: Style, text: &str) -> String {
        if !self.color {
            return text.to_owned();
        }
        let code = match style {
            Style::Red => "1;31",
            Style::Yellow => "1;33",
            Style::Blue => "1;34",
            Style::Bold => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(line: usize, column: usize, length: usize) -> Option<Span> {
        Some(Span {
            line,
            column,
            length,
        })
    }

    #[test]
    fn a_drawing_shows_the_place_and_the_cure() {
        let mistake = Diagnostic::error("unknown field `fowarding`")
            .at("domains.wac.tax.fowarding", span(3, 3, 9))
            .label("not a field of a domain")
            .help("did you mean `forward`?");
        let drawn = draw(
            "mail.yaml",
            "domains:\n wac.tax:\n  fowarding: {}\n",
            &[mistake],
            false,
        );
        let wanted = "error: unknown field `fowarding`\n --> mail.yaml:3:3\n  |\n3 |   fowarding: {}\n  |   ^^^^^^^^^ not a field of a domain\n  = help: did you mean `forward`?\n";
        assert_eq!(drawn, wanted);
    }

    #[test]
    fn a_secret_on_the_line_is_hidden_and_the_carets_still_fit() {
        let mut mistake = Diagnostic::error("unknown field `x`").at("x", span(1, 21, 1));
        mistake.hidden.push(Span {
            line: 1,
            column: 12,
            length: 6,
        });
        let drawn = draw(
            "mail.yaml",
            "{password: hunter, x: 1}"
                .replace("hunter, ", "hunter,  ")
                .as_str(),
            &[mistake],
            false,
        );
        assert!(!drawn.contains("hunter"), "{drawn}");
        assert!(
            drawn.contains("1 | {password: [secret],  x: 1}\n  |                       ^\n"),
            "{drawn}"
        );
    }

    #[test]
    fn wide_characters_and_tabs_keep_the_carets_in_place() {
        let drawn = draw(
            "m",
            "\tüm: 漢字 x",
            &[Diagnostic::error("e").at("", span(1, 9, 1))],
            false,
        );
        assert!(
            drawn.contains("1 |     üm: 漢字 x\n  |              ^\n"),
            "{drawn}"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let line = format!("{}MARK{}", "a".repeat(300), "b".repeat(300));
        let drawn = draw(
            "m",
            &line,
            &[Diagnostic::warning("w").at("", span(1, 301, 4))],
            true,
        );
        assert!(
            drawn.contains("aaaMARKbbb")
                && drawn.contains('…')
                && !drawn.contains(&"b".repeat(200)),
            "{drawn}"
        );
    }
}

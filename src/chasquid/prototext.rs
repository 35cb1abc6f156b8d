//! Protocol buffers' text format, as far as chasquid's files use it:
//! <https://protobuf.dev/reference/protobuf/textformat-spec/>.

use zeroize::Zeroizing;

/// A message: its fields in the order of the text.
pub type Message = Vec<Field>;

/// One field of a message; a repeated field is there several times.
pub struct Field {
    /// Its name.
    pub name: String,
    /// The line it begins on, from 1.
    pub line: usize,
    /// What it holds.
    pub value: Value,
}

/// What a field holds. Strings may be secret, so there is no `Debug`.
pub enum Value {
    /// The octets of a string; adjacent strings are one.
    Text(Zeroizing<Vec<u8>>),
    /// A number, `true`, or another bare word.
    Word(String),
    /// A message in `{}` or `<>`.
    Message(Message),
}

/// Reads a whole text.
///
/// # Errors
/// A sentence that begins with the line. It never repeats the text.
pub fn parse(text: &str) -> Result<Message, String> {
    let mut reader = Reader {
        rest: text.as_bytes(),
        line: 1,
        depth: 0,
    };
    reader.message(None)
}

/// The octets as a quoted string, printable ASCII as it is.
pub fn quoted(octets: &[u8]) -> String {
    let mut text = String::from("\"");
    for octet in octets {
        match octet {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(*octet));
            }
            0x20..=0x7e => text.push(char::from(*octet)),
            // Three octal digits end by themselves; a digit after `\x` might not.
            other => text.push_str(&format!("\\{other:03o}")),
        }
    }
    text.push('"');
    text
}

/// Deeper nesting than this is no file of chasquid's.
const DEEPEST: usize = 16;

struct Reader<'a> {
    rest: &'a [u8],
    line: usize,
    depth: usize,
}

impl Reader<'_> {
    fn fail<T>(&self, why: &str) -> Result<T, String> {
        Err(format!("line {}: {why}", self.line))
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        self.line += usize::from(*first == b'\n');
        Some(*first)
    }

    /// Skips white space and comments, then shows the next octet.
    fn peek(&mut self) -> Option<u8> {
        while let Some(first) = self.rest.first() {
            match first {
                b'#' => while self.next().is_some_and(|octet| octet != b'\n') {},
                octet if octet.is_ascii_whitespace() => {
                    self.next();
                }
                octet => return Some(*octet),
            }
        }
        None
    }

    fn take(&mut self, wanted: u8) -> bool {
        self.peek() == Some(wanted) && self.next().is_some()
    }

    /// Fields up to `end`, or to the end of the text.
    fn message(&mut self, end: Option<u8>) -> Result<Message, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return self.fail("nested too deep");
        }
        let mut fields = Message::new();
        loop {
            match (self.peek(), end) {
                (None, None) => break,
                (None, Some(_)) => return self.fail("a brace is not closed"),
                (Some(octet), Some(end)) if octet == end => {
                    self.next();
                    break;
                }
                (Some(_), _) => self.field(&mut fields)?,
            }
        }
        self.depth -= 1;
        Ok(fields)
    }

    fn field(&mut self, fields: &mut Message) -> Result<(), String> {
        let name = self.word();
        let line = self.line;
        if name.is_empty() {
            return self.fail("the name of a field is wanted");
        }
        let colon = self.take(b':');
        let list = self.take(b'[');
        loop {
            if list && self.take(b']') {
                break;
            }
            let value = self.value(colon)?;
            fields.push(Field {
                name: name.clone(),
                line,
                value,
            });
            if !list {
                break;
            }
            if !self.take(b',') && self.peek() != Some(b']') {
                return self.fail("`,` or `]` is wanted");
            }
        }
        // One comma or semicolon may end a field.
        let _ = self.take(b',') || self.take(b';');
        Ok(())
    }

    fn value(&mut self, colon: bool) -> Result<Value, String> {
        match self.peek() {
            Some(b'{') => {
                self.next();
                Ok(Value::Message(self.message(Some(b'}'))?))
            }
            Some(b'<') => {
                self.next();
                Ok(Value::Message(self.message(Some(b'>'))?))
            }
            _ if !colon => self.fail("`:` or `{` is wanted after the name of a field"),
            Some(b'"' | b'\'') => {
                let mut octets = Zeroizing::new(Vec::new());
                while let Some(quote @ (b'"' | b'\'')) = self.peek() {
                    self.next();
                    self.string(quote, &mut octets)?;
                }
                Ok(Value::Text(octets))
            }
            _ => match self.word() {
                word if word.is_empty() => self.fail("a value is wanted"),
                word => Ok(Value::Word(word)),
            },
        }
    }

    /// A name, number or other bare word; empty where none stands here.
    fn word(&mut self) -> String {
        self.peek();
        let good = |octet: &u8| octet.is_ascii_alphanumeric() || b"_-+.".contains(octet);
        let length = self.rest.iter().take_while(|octet| good(octet)).count();
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        String::from_utf8_lossy(word).into_owned()
    }

    /// The rest of a string whose opening quote has been read.
    fn string(&mut self, quote: u8, octets: &mut Vec<u8>) -> Result<(), String> {
        loop {
            match self.next() {
                None | Some(b'\n') => return self.fail("a string is not closed on its line"),
                Some(octet) if octet == quote => return Ok(()),
                Some(b'\\') => self.escape(octets)?,
                Some(octet) => octets.push(octet),
            }
        }
    }

    fn escape(&mut self, octets: &mut Vec<u8>) -> Result<(), String> {
        let octet = match self.next() {
            Some(b'a') => 0x07,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'v') => 0x0b,
            Some(plain @ (b'"' | b'\'' | b'\\' | b'?')) => plain,
            Some(first @ b'0'..=b'7') => {
                let more = self.digits(2, 8);
                let value = more
                    .iter()
                    .fold(u32::from(first - b'0'), |sum, digit| sum * 8 + digit);
                match u8::try_from(value) {
                    Ok(octet) => octet,
                    Err(_) => return self.fail("an octal escape is above 377"),
                }
            }
            Some(b'x') => {
                let digits = self.digits(2, 16);
                if digits.is_empty() {
                    return self.fail("`\\x` is followed by no hexadecimal digit");
                }
                digits
                    .iter()
                    .fold(0, |sum, digit| sum * 16 + (digit & 15) as u8)
            }
            Some(kind @ (b'u' | b'U')) => {
                let count = if kind == b'u' { 4 } else { 8 };
                let digits = self.digits(count, 16);
                let code = digits.iter().fold(0_u32, |sum, digit| sum << 4 | digit);
                return match char::from_u32(code).filter(|_| digits.len() == count) {
                    Some(letter) => {
                        octets.extend(letter.to_string().bytes());
                        Ok(())
                    }
                    None => self.fail("an escape names no Unicode character"),
                };
            }
            _ => return self.fail("an unknown escape"),
        };
        octets.push(octet);
        Ok(())
    }

    /// Up to `most` digits, which is at most 8 and so fits.
    fn digits(&mut self, most: usize, radix: u32) -> Vec<u32> {
        let mut digits = Vec::new();
        while digits.len() < most {
            let digit = self
                .rest
                .first()
                .and_then(|octet| char::from(*octet).to_digit(radix));
            let Some(digit) = digit else { break };
            digits.push(digit);
            self.next();
        }
        digits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &str) -> Result<Vec<u8>, String> {
        let message = parse(source)?;
        match message.into_iter().next().map(|field| field.value) {
            Some(Value::Text(octets)) => Ok(octets.to_vec()),
            _ => Err("no string".into()),
        }
    }

    #[test]
    fn strings_have_escapes() {
        for (source, wanted) in [
            (r#"a: "x""#, b"x".as_slice()),
            (
                r#"a: "x" 'y' # why
                "z""#,
                b"xyz",
            ),
            (r#"a: "\n\t\\\"\'""#, b"\n\t\\\"'"),
            (
                r#"a: "\x00\xfF\x5q\7\377\0011""#,
                b"\x00\xff\x05q\x07\xff\x011",
            ),
            (r#"a: "\u00e9\U0001F600é""#, "é😀é".as_bytes()),
            (r#"a: '"'"#, b"\""),
        ] {
            assert_eq!(text(source).as_deref(), Ok(wanted), "{source}");
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(text(&format!("a: {}", quoted(&all))), Ok(all));
    }

    #[test]
    fn messages_have_two_brackets_and_lists() {
        let message =
            parse("a { b: 1, c < d: true > ; } a: [{}, {b: -2}]\n# end").expect("a message");
        let shown: Vec<(&str, usize)> = message
            .iter()
            .map(|field| match &field.value {
                Value::Message(inner) => (field.name.as_str(), inner.len()),
                _ => ("no message", 0),
            })
            .collect();
        assert_eq!(shown, [("a", 2), ("a", 0), ("a", 1)]);
    }

    #[test]
    fn bad_text_is_told_by_line() {
        let deep = "a{".repeat(40);
        for (source, said) in [
            ("a: 1\nb: \"x", "line 2: a string"),
            ("\n\na {", "line 3: a brace"),
            ("a\n1", "line 2: `:`"),
            ("a: \"\\q\"", "line 1: an unknown escape"),
            ("a: \"\\400\"", "line 1: an octal"),
            ("a: \"\\x\"", "line 1: `\\x`"),
            ("a: \"\\ud800\"", "line 1: an escape"),
            ("a: [1 2]", "line 1: `,`"),
            (": 1", "line 1: the name"),
            ("a:", "line 1: a value"),
            ("}", "line 1: the name"),
            (deep.as_str(), "line 1: nested"),
        ] {
            let why = parse(source).err().unwrap_or_default();
            assert!(why.starts_with(said), "{source}: {why}");
        }
    }
}

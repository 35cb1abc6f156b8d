//! `domains/<domain>/users`: who may log in, with hashes of their passwords.

use std::collections::BTreeMap;
use std::fmt::Write;

use zeroize::Zeroizing;

pub use super::entry::{Entry, Scrypt, verify};
use super::prototext::{self, Field, Message, Value};
use crate::secret::Secret;

/// The accounts of a domain by local part.
pub type Users = BTreeMap<String, Entry>;

/// Reads a users file. Of two entries for one user the last counts.
///
/// # Errors
/// A sentence that begins with the line and repeats nothing of the file: it
/// holds secrets.
pub fn parse(text: &str) -> Result<Users, String> {
    let mut users = Users::new();
    for field in prototext::parse(text)? {
        if field.name != "users" {
            return Err(unknown(&field));
        }
        let line = field.line;
        let (mut key, mut entry) = (String::new(), Entry::Denied);
        for part in message(field)? {
            match part.name.as_str() {
                "key" => key = utf8(part)?,
                "value" => entry = password(message(part)?)?,
                _ => return Err(unknown(&part)),
            }
        }
        if key.is_empty() {
            return Err(format!("line {line}: a user without `key`"));
        }
        users.insert(key, entry);
    }
    Ok(users)
}

fn password(fields: Message) -> Result<Entry, String> {
    let mut entry = None;
    for field in fields {
        let line = field.line;
        let scheme = match field.name.as_str() {
            "scrypt" => Entry::Scrypt(scrypt(message(field)?)?),
            "plain" => plain(message(field)?)?,
            "denied" => message(field)?
                .first()
                .map_or(Ok(Entry::Denied), |f| Err(unknown(f)))?,
            _ => return Err(unknown(&field)),
        };
        if entry.replace(scheme).is_some() {
            return Err(format!("line {line}: a second scheme for one password"));
        }
    }
    Ok(entry.unwrap_or(Entry::Denied))
}

fn plain(fields: Message) -> Result<Entry, String> {
    let mut password = Secret::new("");
    for field in fields {
        match field.name.as_str() {
            "password" => password = Secret::new(utf8(field)?),
            _ => return Err(unknown(&field)),
        }
    }
    Ok(Entry::Plain(password))
}

fn scrypt(fields: Message) -> Result<Scrypt, String> {
    let (mut log_n, mut r, mut p, mut key_len) = (0, 0, 0, 0);
    let (mut salt, mut encrypted) = (Vec::new(), Zeroizing::default());
    for field in fields {
        match field.name.as_str() {
            "logN" => log_n = number(field)?,
            "r" => r = number(field)?,
            "p" => p = number(field)?,
            "keyLen" => key_len = number(field)?,
            "salt" => salt = octets(field)?.to_vec(),
            "encrypted" => encrypted = octets(field)?,
            _ => return Err(unknown(&field)),
        }
    }
    Ok(Scrypt {
        log_n,
        r,
        p,
        key_len,
        salt,
        encrypted,
    })
}

fn unknown(field: &Field) -> String {
    format!("line {}: unknown field `{}`", field.line, field.name)
}

fn wrong(line: usize, name: &str, wanted: &str) -> String {
    format!("line {line}: `{name}` is not {wanted}")
}

fn message(field: Field) -> Result<Message, String> {
    match field.value {
        Value::Message(message) => Ok(message),
        _ => Err(wrong(field.line, &field.name, "a message in braces")),
    }
}

fn octets(field: Field) -> Result<Zeroizing<Vec<u8>>, String> {
    match field.value {
        Value::Text(octets) => Ok(octets),
        _ => Err(wrong(field.line, &field.name, "a string")),
    }
}

fn utf8(field: Field) -> Result<String, String> {
    let (line, name) = (field.line, field.name.clone());
    String::from_utf8(octets(field)?.to_vec()).map_err(|_| wrong(line, &name, "UTF-8"))
}

fn number<T: std::str::FromStr>(field: Field) -> Result<T, String> {
    let parsed = match &field.value {
        Value::Word(word) => word.parse().ok(),
        _ => None,
    };
    parsed.ok_or_else(|| wrong(field.line, &field.name, "a number"))
}

/// The file in canonical form: one line a user, sorted, hashes in hexadecimal escapes.
pub fn render(users: &Users) -> String {
    let mut text = String::new();
    for (key, entry) in users {
        let value = match entry {
            Entry::Denied => "denied: {}".to_owned(),
            Entry::Plain(password) => {
                format!(
                    "plain: {{password: {}}}",
                    prototext::quoted(password.expose().as_bytes())
                )
            }
            Entry::Scrypt(s) => format!(
                "scrypt: {{logN: {} r: {} p: {} keyLen: {} salt: \"{}\" encrypted: \"{}\"}}",
                s.log_n,
                s.r,
                s.p,
                s.key_len,
                hexadecimal(&s.salt),
                hexadecimal(&s.encrypted)
            ),
        };
        let key = prototext::quoted(key.as_bytes());
        text.push_str(&format!("users: {{key: {key} value: {{{value}}}}}\n"));
    }
    text
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        // Writing to a String cannot fail.
        let _ = write!(text, "\\x{octet:02x}");
        text
    })
}

/// The key of a local part: chasquid looks accounts up in lower case.
pub fn key(local_part: &str) -> String {
    local_part.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `chasquid-util user-add`, password `geheim`. Its hash holds a
    /// raw two-octet character, as the text format writes valid UTF-8.
    const REAL: &str = r#"users:  {
  key:  "bounce"
  value:  {
    denied:  {}
  }
}
users:  {
  key:  "i"
  value:  {
    scrypt:  {
      logN:  14
      r:  8
      p:  1
      keyLen:  32
      salt:  "OJ\x89^>B\xa4\x9a|\xe3\xe2\x97\xea\x1e\x02\x18"
      encrypted:  "\xae\x02\xfbM-\x11s\xa3D\xb8\xae\x85\x18c\xab\x88\x07L\xee/\x951\x80ε\xb3\x84,\xf0\xfd\xb0\xa2"
    }
  }
}
"#;

    #[test]
    fn what_chasquid_wrote_is_read_and_verified() {
        let users = parse(REAL).expect("a users file");
        assert_eq!(users.keys().collect::<Vec<_>>(), ["bounce", "i"]);
        assert_eq!(users["bounce"], Entry::Denied);
        assert!(verify(&users["i"], &Secret::new("geheim")));
        assert!(!verify(&users["i"], &Secret::new("Geheim")));
        assert!(!verify(&users["bounce"], &Secret::new("")));
    }

    #[test]
    fn canonical_text_reads_back_the_same() {
        let mut users = parse(REAL).expect("a users file");
        users.insert("q\"\\é".into(), Entry::Plain(Secret::new("p\"\n'1é")));
        users.insert("new".into(), Entry::scrypt(&Secret::new("grün"), [7; 16]));
        let text = render(&users);
        assert_eq!(text.lines().count(), 4);
        assert_eq!(parse(&text).as_ref(), Ok(&users));
        assert_eq!(render(&parse(&text).expect("our own text")), text);
        assert!(verify(&users["new"], &Secret::new("grün")));
    }

    #[test]
    fn every_form_of_the_text_format_is_read() {
        for text in [
            "users: {key: \"a\" value: {plain: {password: \"xy\"}}}",
            "users < key: 'a', value < plain < password: 'x' \"y\" > >; > # why",
            "users: [{key: \"a\" value {plain {password: \"\\170\\x79\"}}}]",
            "# old\nusers{key:\"a\"value{denied{}}}users{key:\"a\"value{plain{password:\"xy\"}}}",
        ] {
            let users = parse(text).expect(text);
            assert!(verify(&users["a"], &Secret::new("xy")), "{text}");
        }
        assert_eq!(
            parse("users {key: \"a\"}").expect("no scheme")["a"],
            Entry::Denied
        );
        assert_eq!(parse("").expect("nobody"), Users::new());
    }

    #[test]
    fn bad_files_are_told_by_line_without_their_secrets() {
        for (text, said) in [
            (
                "users: {\nkey: \"a\"\nvalue: {bcrypt: {}}}",
                "line 3: unknown field `bcrypt`",
            ),
            ("user: {}", "line 1: unknown field `user`"),
            ("\nusers: {value: {}}", "line 2: a user without `key`"),
            ("users: {key: 1}", "line 1: `key` is not a string"),
            ("users: {key: \"\\xff\"}", "line 1: `key` is not UTF-8"),
            (
                "users: {key: \"a\" value: {scrypt: {logN: \"geheim\"}}}",
                "line 1: `logN` is not a number",
            ),
            (
                "users: {key: \"a\" value: {denied: {} denied: {}}}",
                "line 1: a second scheme",
            ),
            (
                "users: {key: \"a\" value: {plain: {password: \"geheim",
                "line 1: a string is not closed",
            ),
        ] {
            let why = parse(text).expect_err(text);
            assert!(why.starts_with(said), "{why}");
            assert!(!why.contains("geheim"), "{why}");
        }
    }

    #[test]
    fn absurd_costs_are_refused_and_nothing_secret_is_shown() {
        let absurd = "users: {key: \"a\" value: {scrypt: {logN: 63 r: 8 p: 1 keyLen: 32}}}";
        let users = parse(absurd).expect("well formed");
        assert!(!verify(&users["a"], &Secret::new("x")));
        let shown = format!("{:?}", parse(REAL));
        assert!(
            !shown.contains("encrypted") && !shown.contains("salt"),
            "{shown}"
        );
    }
}

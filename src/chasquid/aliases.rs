//! `domains/<domain>/aliases`: where mail for a local part goes on to.

use std::collections::BTreeMap;

/// The aliases of a domain by local part; `*` catches what nobody else takes.
///
/// An alias wins over a user of the same name, a user over the catch-all.
pub type Aliases = BTreeMap<String, Target>;

/// The right side of an alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Addresses. One without domain is of the same domain; one may end in
    /// ` via host1/host2`; the local part `*` stands for the one mailed to.
    Addresses(Vec<String>),
    /// A command and its arguments, run with the message on standard input.
    Pipe(String),
}

/// Reads an aliases file as chasquid 1.16 and later do, which end at a line
/// that they do not understand. Of two lines for one local part the last counts.
///
/// # Errors
/// A sentence that begins with the line.
pub fn parse(text: &str) -> Result<Aliases, String> {
    let mut aliases = Aliases::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (local, target) =
            alias(line).map_err(|why| format!("line {}: {why}: `{line}`", index + 1))?;
        aliases.insert(local, target);
    }
    Ok(aliases)
}

fn alias(line: &str) -> Result<(String, Target), &'static str> {
    let (local, right) = line.split_once(':').ok_or("a colon is missing")?;
    let (local, right) = (local.trim(), right.trim());
    if local.is_empty() || right.is_empty() {
        return Err("one side of the colon is empty");
    }
    if local.contains('@') {
        return Err("the local part stands alone, its domain is the directory's");
    }
    if local.contains(|c: char| c.is_whitespace() || c == ',') {
        return Err("a local part has neither space nor comma");
    }
    let target = match right.strip_prefix('|') {
        Some(command) if command.trim().is_empty() => return Err("the command is missing"),
        Some(command) => Target::Pipe(command.trim().to_owned()),
        None => Target::Addresses(addresses(right)?),
    };
    Ok((local.to_lowercase(), target))
}

fn addresses(text: &str) -> Result<Vec<String>, &'static str> {
    let parts = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let addresses: Vec<String> = parts.map(str::to_owned).collect();
    for address in &addresses {
        let mailbox = match address.split_once(" via ") {
            Some((_, hosts)) if hosts.trim().contains(char::is_whitespace) => {
                return Err("hosts after `via` are separated by slashes");
            }
            Some((mailbox, _)) => mailbox.trim(),
            None => address,
        };
        if mailbox.is_empty() || mailbox.contains(char::is_whitespace) {
            return Err("an address has no space, and several are separated by commas");
        }
        if mailbox.matches('@').count() > 1 {
            return Err("an address has one `@`");
        }
    }
    if addresses.is_empty() {
        Err("the address is missing")
    } else {
        Ok(addresses)
    }
}

/// `text` so that it says exactly what `aliases` say: comments and lines that
/// say so already stay as they are, the others go, what is missing comes at the end.
///
/// # Errors
/// A sentence, when an alias would read back as something else: a comma in an
/// address, a line break in a command.
pub fn rewrite(text: &str, aliases: &Aliases) -> Result<String, String> {
    let mut missing = aliases.clone();
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let stands = match alias(line.trim()) {
            Ok((local, target)) => {
                aliases.get(&local) == Some(&target) && missing.remove(&local).is_some()
            }
            Err(_) => line.trim().is_empty() || line.trim().starts_with('#'),
        };
        if stands {
            lines.push(line.to_owned());
        }
    }
    if text.is_empty() {
        lines.push("# Written by mailctl from mail.yaml; lines of others are kept.".into());
    }
    for (local, target) in &missing {
        let right = match target {
            Target::Addresses(addresses) => addresses.join(", "),
            Target::Pipe(command) => format!("| {command}"),
        };
        lines.push(format!("{local}: {right}"));
    }
    let text = lines.join("\n") + "\n";
    match parse(&text) {
        Ok(read) if read == *aliases => Ok(text),
        Ok(_) => Err("an alias has a character that the aliases file cannot hold".into()),
        Err(why) => Err(format!("the aliases file cannot hold these aliases, {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(addresses: &[&str]) -> Target {
        Target::Addresses(addresses.iter().map(|a| (*a).to_owned()).collect())
    }

    #[test]
    fn lines_are_read_as_chasquid_reads_them() {
        for (line, local, target) in [
            ("pepe: jose", "pepe", to(&["jose"])),
            (
                "  Pepe :a@b.example,  c@d.example ",
                "pepe",
                to(&["a@b.example", "c@d.example"]),
            ),
            ("*: *@pond.example", "*", to(&["*@pond.example"])),
            (
                "a: b@c.example, , d@e.example",
                "a",
                to(&["b@c.example", "d@e.example"]),
            ),
            (
                "a: b@c.example via mx1.example/mx2.example",
                "a",
                to(&["b@c.example via mx1.example/mx2.example"]),
            ),
            (
                "null: | cat --x, y",
                "null",
                Target::Pipe("cat --x, y".into()),
            ),
            ("a: x\r", "a", to(&["x"])),
        ] {
            let aliases = parse(&format!("# first\n\n  # and\n{line}\n")).expect(line);
            assert_eq!(
                aliases,
                Aliases::from([(local.to_owned(), target)]),
                "{line}"
            );
        }
        let twice = parse("a: x\na: y\n").expect("two lines");
        assert_eq!(twice["a"], to(&["y"]));
    }

    #[test]
    fn lines_that_kill_chasquid_are_told_by_number() {
        for line in [
            "foo bar",
            "foo:",
            ": a@b.example",
            "foo: a@b@c.example",
            "foo@example.com: a@b.example",
            "foo: |",
            "foo: a b@c.example",
            "foo: a@b.example # why",
            "foo: ,",
            "foo: a via x y",
        ] {
            let why = parse(&format!("# first\n{line}\n")).expect_err(line);
            assert!(why.starts_with("line 2: "), "{why}");
        }
    }

    #[test]
    fn lines_of_others_stay_as_they_are() {
        let text = "# by hand\n\nhand :  x@far.example\nold: y@far.example\ni: wrong\ni: right@far.example\n";
        let want = Aliases::from([
            ("hand".to_owned(), to(&["x@far.example"])),
            ("i".to_owned(), to(&["right@far.example"])),
            ("new".to_owned(), to(&["z@far.example"])),
        ]);
        let rewritten = rewrite(text, &want).expect("a file");
        assert_eq!(
            rewritten,
            "# by hand\n\nhand :  x@far.example\ni: right@far.example\nnew: z@far.example\n"
        );
        assert_eq!(rewrite(&rewritten, &want), Ok(rewritten));
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let aliases = Aliases::from([
            ("i".to_owned(), to(&["i.wac.tax@gmail.com"])),
            ("*".to_owned(), to(&["a@example.com", "b@example.com"])),
            ("null".to_owned(), Target::Pipe("cat".into())),
        ]);
        let text = rewrite("", &aliases).expect("a file");
        assert!(
            text.contains(
                "\n*: a@example.com, b@example.com\ni: i.wac.tax@gmail.com\nnull: | cat\n"
            )
        );
        assert_eq!(parse(&text), Ok(aliases));
        for (local, target) in [
            ("a", to(&["b@c.example, d@e.example"])),
            ("a", to(&["b\nroot: | sh"])),
            ("a", to(&["| sh"])),
            ("a", to(&[])),
            ("a\nb: x", to(&["c"])),
            ("#a", to(&["c"])),
            ("a", Target::Pipe("x\ny".into())),
            ("A", to(&["c"])),
        ] {
            let bad = Aliases::from([(local.to_owned(), target)]);
            assert!(rewrite("", &bad).is_err(), "{bad:?}");
        }
    }
}

//! Every file under tests/config: what is valid loads, what is invalid is
//! told as in the drawing beside it. `UPDATE=1` rewrites the drawings.

#![allow(missing_docs)]

use std::path::{Path, PathBuf};

use mailctl::config::load::{Loaded, read_with};
use mailctl::config::surroundings::Written;
use mailctl::diagnostic::{Diagnostic, draw};
use mailctl::ledger::Ledger;
use mailctl::observe::Seen;
use mailctl::parts::{Wish, desire};

/// Where the files of the tests pretend to lie.
const BASE: &str = "/home/wac";

fn files(of: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/config")
        .join(of);
    let entries = std::fs::read_dir(&directory).expect("the directory is there");
    let mut files: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "yaml"));
    files.sort();
    files
}

/// A machine on which everything that the valid files name is there.
fn surroundings() -> Written {
    let mut there = Written::default();
    for (name, value) in [
        ("MAIL_PASSWORD_I", "correct horse battery staple"),
        ("ROOT_PASSWORD", "from the hoster"),
        ("PDNS_API_KEY", "a-token"),
        ("RFC2136_TSIG_KEY", "bm90IGEgcmVhbCBrZXk="),
        ("SHORT", "123"),
        ("EMPTY", ""),
        ("NOT_BASE64", "%%%"),
    ] {
        there.variables.insert(name.into(), value.into());
    }
    let root = include_bytes!("config/root.pem").to_vec();
    for (path, content, open) in [
        ("/home/wac/ca.pem", root, true),
        ("/home/wac/not-a.pem", b"hello\n".to_vec(), true),
        ("/home/wac/.ssh/id_ed25519", b"a key\n".to_vec(), false),
        (
            "/home/wac/password",
            b"correct horse battery staple\n".to_vec(),
            false,
        ),
        (
            "/home/wac/open-password",
            b"correct horse battery staple\n".to_vec(),
            true,
        ),
        ("/home/wac/empty", b"\n".to_vec(), false),
    ] {
        there.files.insert(path.into(), (content, open));
    }
    there
}

fn read(source: &str) -> Result<Loaded, Vec<Diagnostic>> {
    read_with(
        source,
        Path::new(BASE),
        Some(Path::new(BASE)),
        &surroundings(),
    )
}

#[test]
fn valid_files_load() {
    let files = files("valid");
    assert!(files.len() >= 5);
    for file in files {
        let source = std::fs::read_to_string(&file).expect("readable");
        if let Err(mistakes) = read(&source) {
            panic!(
                "{}:\n{}",
                file.display(),
                draw("mail.yaml", &source, &mistakes, false)
            );
        }
    }
}

#[test]
fn examples_are_sound_and_wish_for_a_whole_server() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut there = surroundings();
    for name in ["PDNS_API_KEY", "RFC2136_TSIG_KEY", "MAIL_PASSWORD_I"] {
        there
            .variables
            .insert(name.into(), "c29tZXRoaW5nIHNlY3JldA==".into());
    }
    let mut count = 0;
    for entry in std::fs::read_dir(directory).expect("examples") {
        let path = entry.expect("an entry").path();
        let source = std::fs::read_to_string(&path).expect("an example");
        let loaded = read_with(&source, Path::new(BASE), None, &there);
        let drawn = |mistakes: Vec<Diagnostic>| {
            panic!(
                "{}",
                draw(&path.display().to_string(), &source, &mistakes, false)
            )
        };
        let config = loaded.unwrap_or_else(drawn).config;
        let (seen, passwords) = (Seen::new(), std::collections::BTreeMap::new());
        let wish = Wish {
            config: &config,
            seen: &seen,
            facts: seen.facts(),
            ledger: Ledger::default(),
            passwords: &passwords,
            now: time::OffsetDateTime::UNIX_EPOCH,
        };
        let ids: Vec<String> = desire(&wish).iter().map(|resource| resource.id()).collect();
        assert!(
            ids.iter().any(|id| id == "service chasquid"),
            "{}: {ids:?}",
            path.display()
        );
        count += 1;
    }
    assert!(count >= 4);
}

#[test]
fn valid_files_give_only_the_warnings_beside_them() {
    for file in files("valid") {
        let source = std::fs::read_to_string(&file).expect("readable");
        let Ok(loaded) = read(&source) else { continue };
        compare(&file, &draw("mail.yaml", &source, &loaded.warnings, false));
    }
}

#[test]
fn invalid_files_are_told_as_drawn_beside_them() {
    let files = files("invalid");
    assert!(files.len() >= 45, "only {} cases", files.len());
    for file in files {
        let source = std::fs::read_to_string(&file).expect("readable");
        let mistakes = read(&source).expect_err(&format!("{} loads", file.display()));
        assert!(
            mistakes.iter().any(Diagnostic::is_error),
            "{}",
            file.display()
        );
        for mistake in &mistakes {
            let span = mistake
                .span
                .unwrap_or_else(|| panic!("{}: no place: {mistake:?}", file.display()));
            assert!(
                span.line >= 1 && span.column >= 1,
                "{}: {mistake:?}",
                file.display()
            );
            assert!(
                span.line <= source.lines().count().max(1),
                "{}: {mistake:?}",
                file.display()
            );
        }
        compare(&file, &draw("mail.yaml", &source, &mistakes, false));
    }
}

/// Holds a drawing against the `.txt` beside the file; none is there when nothing is drawn.
fn compare(file: &Path, drawn: &str) {
    let beside = file.with_extension("txt");
    if std::env::var_os("UPDATE").is_some() {
        if drawn.is_empty() {
            let _ = std::fs::remove_file(&beside);
        } else {
            std::fs::write(&beside, drawn).expect("writable");
        }
        return;
    }
    let wanted = std::fs::read_to_string(&beside).unwrap_or_default();
    assert!(
        drawn == wanted,
        "{}\n--- wanted\n{wanted}--- drawn\n{drawn}",
        beside.display()
    );
}

#[test]
fn no_drawing_shows_a_secret() {
    for file in files("invalid").into_iter().chain(files("valid")) {
        let drawn = std::fs::read_to_string(file.with_extension("txt")).unwrap_or_default();
        assert!(!drawn.contains("hunter2"), "{}", file.display());
    }
}

/// Whoever types a file saves it half written: every beginning of a sound
/// file is either sound or told with its place.
#[test]
fn every_beginning_of_a_file_is_told_with_its_place() {
    let source = include_str!("config/valid/everything.yaml");
    for (end, _) in source.char_indices().step_by(3) {
        let Err(mistakes) = read(&source[..end]) else {
            continue;
        };
        assert!(!mistakes.is_empty());
        for mistake in mistakes {
            let span = mistake
                .span
                .unwrap_or_else(|| panic!("no place at {end}: {mistake:?}"));
            assert!(
                span.line <= source[..end].lines().count().max(1),
                "{end}: {mistake:?}"
            );
        }
    }
}

/// The schema is what people's editors show while they write the file.
#[test]
fn the_schema_describes_every_field() {
    let schema = mailctl::config::schema();
    let definitions = schema["$defs"].as_object().expect("definitions");
    for (name, definition) in definitions.iter().chain([(&"Config".to_owned(), &schema)]) {
        for (field, property) in definition["properties"].as_object().into_iter().flatten() {
            assert!(
                property["description"].is_string(),
                "{name}.{field} has no description"
            );
        }
    }
    let mut required = schema["required"].as_array().expect("a list").clone();
    required.sort_by_key(|r| r.as_str().map(str::to_owned));
    assert_eq!(required, ["dns", "domains", "host"]);
}

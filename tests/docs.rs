//! Pages of the documentation that are made from the program itself.
//! `UPDATE=1 cargo test --test docs` writes them anew.

#![allow(missing_docs)]

use std::collections::BTreeSet;
use std::fs;

use mailctl::check::{Aspect, QUESTIONS, Question};
use mailctl::trial;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/check.md");
/// The tables begin after this line; what stands before it is written by hand.
const BEGINS: &str =
    "An id with a port behind it, such as `tls.days.465`, is what was found at that port.\n";

/// The page about `test`, and the line before its table.
const TEST_PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/test.md");
const TEST_BEGINS: &str = "Findings about accounts have the account as their subject; those about the host, its address; a forwarded message, the forwarded address.\n";

#[test]
fn the_page_lists_what_check_asks() {
    let tables: String = QUESTIONS.iter().map(table).collect();
    lists(PAGE, BEGINS, &tables);
}

#[test]
fn the_page_lists_what_test_finds() {
    lists(TEST_PAGE, TEST_BEGINS, &rows(trial::ASPECTS));
}

fn lists(path: &str, begins: &str, tables: &str) {
    let page = fs::read_to_string(path).expect("the page");
    let (by_hand, _) = page.split_once(begins).expect("where the tables begin");
    let fresh = format!("{by_hand}{begins}{tables}");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, fresh).expect("the page");
        return;
    }
    assert_eq!(
        page, fresh,
        "`UPDATE=1 cargo test --test docs` writes it anew"
    );
}

fn table(question: &Question) -> String {
    format!("\n### {}\n{}", question.id, rows(question.aspects))
}

fn rows(aspects: &[&Aspect]) -> String {
    let rows: String = aspects.iter().map(|aspect| row(aspect)).collect();
    format!("\n| id | wanted | why |\n|---|---|---|\n{rows}")
}

fn row(aspect: &Aspect) -> String {
    let cell = |text: &str| text.replace('|', "\\|").replace('<', "\\<");
    let (wanted, why) = (cell(aspect.wanted), cell(aspect.why));
    format!("| `{}` | {wanted} | {why} |\n", aspect.id)
}

#[test]
fn all_aspects_speak_in_one_way() {
    let mut ids = BTreeSet::new();
    let of_check = QUESTIONS
        .iter()
        .map(|question| (question.id, question.aspects));
    for (word, aspects) in of_check.chain([("test", trial::ASPECTS)]) {
        assert!(!aspects.is_empty(), "{word}");
        for Aspect { id, wanted, why } in aspects {
            let rest = id.strip_prefix(word);
            let second = rest.and_then(|rest| rest.strip_prefix('.'));
            assert!(
                second.is_some_and(|word| !word.is_empty() && !word.contains('.')),
                "{id} of {word}"
            );
            assert!(ids.insert(*id), "{id} is there twice");
            assert!(
                !wanted.is_empty() && !wanted.ends_with('.'),
                "{id}: wanted is a fragment without full stop"
            );
            assert!(
                why.ends_with('.') && !why.contains("  "),
                "{id}: why is whole sentences"
            );
        }
    }
}

//! Pages of the documentation that are made from the program itself.
//! `UPDATE=1 cargo test --test docs` writes them anew.

#![allow(missing_docs)]

use std::collections::BTreeSet;
use std::fs;

use mailctl::check::{Aspect, QUESTIONS, Question};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/check.md");
/// The tables begin after this line; what stands before it is written by hand.
const BEGINS: &str =
    "An id with a port behind it, such as `tls.days.465`, is what was found at that port.\n";

#[test]
fn the_page_lists_what_check_asks() {
    let page = fs::read_to_string(PAGE).expect("docs/check.md");
    let (by_hand, _) = page.split_once(BEGINS).expect("where the tables begin");
    let tables: String = QUESTIONS.iter().map(table).collect();
    let fresh = format!("{by_hand}{BEGINS}{tables}");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(PAGE, fresh).expect("docs/check.md");
        return;
    }
    assert_eq!(
        page, fresh,
        "`UPDATE=1 cargo test --test docs` writes it anew"
    );
}

fn table(question: &Question) -> String {
    let rows: String = question.aspects.iter().map(|aspect| row(aspect)).collect();
    format!(
        "\n### {}\n\n| id | wanted | why |\n|---|---|---|\n{rows}",
        question.id
    )
}

fn row(aspect: &Aspect) -> String {
    let cell = |text: &str| text.replace('|', "\\|").replace('<', "\\<");
    let (wanted, why) = (cell(aspect.wanted), cell(aspect.why));
    format!("| `{}` | {wanted} | {why} |\n", aspect.id)
}

#[test]
fn all_aspects_speak_in_one_way() {
    let mut ids = BTreeSet::new();
    for question in QUESTIONS {
        assert!(!question.aspects.is_empty(), "{}", question.id);
        for Aspect { id, wanted, why } in question.aspects {
            let rest = id.strip_prefix(question.id);
            let second = rest.and_then(|rest| rest.strip_prefix('.'));
            assert!(
                second.is_some_and(|word| !word.is_empty() && !word.contains('.')),
                "{id} of {}",
                question.id
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

//! Transcripts of what a user sees before anything is contacted: tests/cli/*.md;
//! those in tests/cli/github/ as a GitHub workflow sees them.
//! `TRYCMD=overwrite cargo test --test cli` writes them anew.

#![allow(missing_docs)]

#[test]
fn transcripts() {
    run("tests/cli/*.md", "");
}

#[test]
fn transcripts_of_a_workflow() {
    run("tests/cli/github/*.md", "true");
}

fn run(pages: &str, github: &str) {
    trycmd::TestCases::new()
        .env("NO_COLOR", "1")
        .env("RUST_BACKTRACE", "0")
        .env("PDNS_API_KEY", "not-a-real-token")
        .env("GITHUB_ACTIONS", github)
        .case(pages);
}

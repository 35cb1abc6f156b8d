//! Transcripts of what a user sees before anything is contacted: tests/cli/*.md.
//! `TRYCMD=overwrite cargo test --test cli` writes them anew.

#![allow(missing_docs)]

#[test]
fn transcripts() {
    trycmd::TestCases::new()
        .env("NO_COLOR", "1")
        .env("RUST_BACKTRACE", "0")
        .env("GITHUB_ACTIONS", "")
        .env("PDNS_API_KEY", "not-a-real-token")
        .case("tests/cli/*.md");
}

//! How mail programs find the server by themselves: SRV records (RFC 6186,
//! RFC 8314), and the file that Thunderbird and others look for.

mod file;
mod srv;

use super::{Aspect, Finding, Question, View};

const SRV: Aspect = Aspect {
    id: "autoconfig.srv",
    wanted: "SRV records that lead to a host with addresses, no alias, and a port that answers",
    why: "Mail programs that know only an address look for the server by these (RFC 6186 section 3, RFC 8314 section \
          5.1), and stop where they lead nowhere.",
};

const FILE: Aspect = Aspect {
    id: "autoconfig.file",
    wanted: "a configuration that names a server for sending",
    why: "Thunderbird and others take their settings from it; what they find in the clear only, anybody on the way \
          may have changed.",
};

/// SRV records and the file for mail programs.
pub const QUESTION: Question = Question {
    id: "autoconfig",
    aspects: &[&SRV, &FILE],
    ask: |view| Box::pin(ask(view)),
};

async fn ask(view: &View) -> Vec<Finding> {
    let (mut records, file) = tokio::join!(srv::ask(view), file::ask(view));
    records.extend(file);
    records
}

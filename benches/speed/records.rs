//! A plan over a zone of many records, beside one `curl` that fetches them.

use std::process::Command;

use crate::lab::{Lab, Ran};
use crate::sample::{Contender, in_turn};
use crate::table::Table;

const ROUNDS: usize = 11;
const RECORDS: usize = 500;
/// What such a plan may take, in seconds.
const AT_MOST: f64 = 1.0;

/// Measures; returns the goals that were missed.
pub fn measure(lab: &Lab) -> Vec<String> {
    let records: String = (0..RECORDS)
        .map(|n| format!("      - 'n{n} 300 TXT \"number {n}\"'\n"))
        .collect();
    lab.write(&format!("  wac.tax:\n    records:\n{records}"));
    lab.run(&["apply", "--yes", "--no-check"]).expect(0);
    let names = lab.world.names();
    let url = format!(
        "{}/api/v1/servers/localhost/zones/wac.tax.",
        names.endpoint()
    );
    let key = format!("X-API-Key: {}", names.token().expose());
    let samples = in_turn(
        ROUNDS,
        &mut [
            Contender::new("`curl`, the zone", || {
                let mut curl = Command::new("curl");
                curl.args(["-sS", "--noproxy", "*", "-H", &key, &url]);
                let ran = Ran::of(curl.output().expect("curl runs")).expect(0);
                assert!(ran.out.matches("number ").count() == RECORDS, "{}", ran.out);
            }),
            Contender::new("`mailctl plan`", || {
                let ran = lab.run(&["plan"]).expect(0);
                assert!(ran.out.contains("No changes."), "{}", ran.out);
            }),
        ],
    );
    let mut table = Table::new(&format!("A plan over {RECORDS} records of a zone"), ROUNDS);
    table.floor(&samples[0]);
    table.against(&samples[0], &samples[1], None);
    let took = samples[1].median().as_secs_f64();
    let goal = format!("≤ {AT_MOST} s");
    table.value("that is", format!("{took:.2} s"), &goal, took <= AT_MOST);
    table.end()
}

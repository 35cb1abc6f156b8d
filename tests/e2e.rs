//! The whole way, with the program as a user runs it, on real servers; judged
//! by tools that are not ours where there are any. Where no throw-away server
//! can be had, each test says so in one line and counts as skipped.

#![allow(missing_docs, clippy::print_stderr)]

#[path = "e2e/apply.rs"]
mod apply;
#[path = "support/bind.rs"]
mod bind;
#[path = "support/broken.rs"]
mod broken;
#[path = "e2e/elsewhere.rs"]
mod elsewhere;
#[path = "e2e/errors.rs"]
mod errors;
#[path = "e2e/hands.rs"]
mod hands;
#[path = "support/judges.rs"]
mod judges;
#[path = "support/knot.rs"]
mod knot;
#[path = "support/lab.rs"]
mod lab;
#[path = "e2e/network.rs"]
mod network;
#[path = "support/pebble.rs"]
mod pebble;
#[path = "support/ports.rs"]
mod ports;
#[path = "support/powerdns.rs"]
mod powerdns;
#[path = "e2e/readme.rs"]
mod readme;
#[path = "e2e/record.rs"]
mod record;
#[path = "e2e/rehearse.rs"]
mod rehearse;
#[path = "e2e/renewal.rs"]
mod renewal;
#[path = "e2e/round_trip.rs"]
mod round_trip;
#[path = "support/scene.rs"]
#[allow(dead_code)]
mod scene;
#[path = "e2e/secrets.rs"]
mod secrets;
#[path = "e2e/status.rs"]
mod status;
#[path = "e2e/terminal.rs"]
mod terminal;
#[path = "e2e/test.rs"]
mod test;
#[path = "support/unbound.rs"]
mod unbound;
#[path = "support/watch.rs"]
mod watch;
#[path = "e2e/worlds.rs"]
mod worlds;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use mailctl::rehearse::needs;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let missing = needs::missing().join("; ");
    let trial = |name: &str, test: fn()| {
        if !missing.is_empty() && !arguments.list {
            eprintln!("skipped: {name}: {missing}");
        }
        let run = move || {
            test();
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(!missing.is_empty())
    };
    let trials = vec![
        trial(
            "apply::a_fresh_server_becomes_a_mail_server_and_follows_its_file",
            apply::a_fresh_server_becomes_a_mail_server_and_follows_its_file,
        ),
        trial(
            "apply::killed_at_any_moment_the_next_apply_converges",
            apply::killed_at_any_moment_the_next_apply_converges,
        ),
        trial(
            "elsewhere::knot_holds_the_zone_bind_the_reverse_ones_and_unbound_resolves",
            elsewhere::knot_holds_the_zone_bind_the_reverse_ones_and_unbound_resolves,
        ),
        trial(
            "elsewhere::powerdns_is_the_resolver_too_and_the_server_is_reached_by_sudo",
            elsewhere::powerdns_is_the_resolver_too_and_the_server_is_reached_by_sudo,
        ),
        trial(
            "errors::what_stands_in_the_way_is_told_and_nothing_is_changed",
            errors::what_stands_in_the_way_is_told_and_nothing_is_changed,
        ),
        trial(
            "errors::a_full_disk_is_named_and_what_is_left_is_done_later",
            errors::a_full_disk_is_named_and_what_is_left_is_done_later,
        ),
        trial(
            "errors::authorities_that_refuse_a_locked_apt_and_an_old_chasquid",
            errors::authorities_that_refuse_a_locked_apt_and_an_old_chasquid,
        ),
        trial(
            "hands::a_person_sets_every_record_and_the_challenges_too",
            hands::a_person_sets_every_record_and_the_challenges_too,
        ),
        trial(
            "hands::values_of_others_are_not_replaced_unasked",
            hands::values_of_others_are_not_replaced_unasked,
        ),
        trial(
            "hands::what_becomes_dangerous_meanwhile_stops_the_next_pass",
            hands::what_becomes_dangerous_meanwhile_stops_the_next_pass,
        ),
        trial(
            "network::the_network_is_switched_with_a_way_back",
            network::the_network_is_switched_with_a_way_back,
        ),
        trial(
            "readme::a_missing_ptr_and_a_test_as_readme_shows",
            readme::a_missing_ptr_and_a_test_as_readme_shows,
        ),
        trial(
            "rehearse::on_debian_12_as_readme_shows",
            rehearse::on_debian_12_as_readme_shows,
        ),
        trial(
            "rehearse::everything_on_debian_13",
            rehearse::everything_on_debian_13,
        ),
        trial(
            "renewal::a_new_certificate_is_made_when_it_is_due_and_nobody_is_turned_away",
            renewal::a_new_certificate_is_made_when_it_is_due_and_nobody_is_turned_away,
        ),
        trial(
            "secrets::no_secret_is_found_where_a_run_leaves_text",
            secrets::no_secret_is_found_where_a_run_leaves_text,
        ),
        trial(
            "status::status_says_what_is_well_and_what_is_not",
            status::status_says_what_is_well_and_what_is_not,
        ),
        trial(
            "status::logs_tell_what_became_of_a_message",
            status::logs_tell_what_became_of_a_message,
        ),
        trial(
            "terminal::at_a_terminal_it_asks_and_shows_bars",
            terminal::at_a_terminal_it_asks_and_shows_bars,
        ),
        trial(
            "terminal::after_ctrl_c_the_zone_is_tidy_and_the_next_apply_goes_on",
            terminal::after_ctrl_c_the_zone_is_tidy_and_the_next_apply_goes_on,
        ),
        trial(
            "terminal::after_ctrl_c_a_rehearsal_leaves_nothing",
            terminal::after_ctrl_c_a_rehearsal_leaves_nothing,
        ),
        trial(
            "test::mail_is_sent_and_judged_as_a_receiver_would",
            test::mail_is_sent_and_judged_as_a_receiver_would,
        ),
        trial(
            "test::killed_at_any_moment_no_test_address_stays",
            test::killed_at_any_moment_no_test_address_stays,
        ),
        trial("worlds::of_names", worlds::of_names),
        trial("worlds::of_policies", worlds::of_policies),
        trial("worlds::of_servers", worlds::of_servers),
        // Run by `make record`.
        trial("record::record_debian_12", record::record_debian_12).with_ignored_flag(true),
        trial("record::record_debian_13", record::record_debian_13).with_ignored_flag(true),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

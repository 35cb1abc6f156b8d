//! Every hoster's page against an API that remembers: what it asks and what it
//! is answered are held against the hoster's OpenAPI description.

mod coverage;
mod fake;
mod hosters;
mod http;
mod keys;
mod login;
mod refusals;
mod spec;
mod stage;
mod states;
mod traps;

use mailctl::catalogue::{self, Kind};
use mailctl::rest::api::{Meaning, Rule};

use hosters::HOSTERS;
use spec::Spec;

/// The pages without words: these are reverse zones of one's own, tried as
/// zones are, and what is left for a person.
const WITHOUT_API: [&str; 3] = ["manual", "powerdns", "rfc2136"];

#[test]
fn every_page_of_the_catalogue_is_tried_here_and_can_be_elsewhere() {
    let pages = catalogue::entries().iter();
    for entry in pages.filter(|entry| entry.kind == Kind::Ptr) {
        let id = entry.id.as_str();
        let tried = HOSTERS.iter().filter(|hoster| hoster.id == id).count();
        let Some(api) = &entry.api else {
            assert!(WITHOUT_API.contains(&id) && tried == 0, "{id}");
            continue;
        };
        assert_eq!(tried, 1, "{id}");
        assert!(
            entry.fields.iter().any(|field| field.name == "endpoint"),
            "{id}"
        );
        // A page without a description fails here.
        let described = Spec::of(id).base;
        assert!(
            api.base.ends_with(&described) || id == "openstack-designate",
            "{id}"
        );
    }
}

#[test]
fn what_a_page_says_of_a_missing_forward_record_is_tried() {
    for hoster in HOSTERS {
        let api = stage::api(hoster.id);
        let steps = coverage::steps(api);
        let rules = api
            .answers
            .iter()
            .chain(steps.iter().flat_map(|step| &step.answers));
        let waits = |rule: &Rule| rule.means == Meaning::ForwardMissing;
        assert_eq!(
            rules.into_iter().any(waits),
            hoster.no_forward.is_some(),
            "{}",
            hoster.id
        );
    }
}

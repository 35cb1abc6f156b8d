//! What every provider has to do, over whichever server: after each change the
//! provider lists it, the name server shows it, a new plan has nothing to do,
//! and the same change is not made again (all of that is [`World::put`]).

mod bad_days;
mod names;
mod refusals;
mod together;
mod values;

pub use self::together::errand;

use super::world::World;

/// The whole contract, over one server.
pub async fn kept(world: Option<World>) {
    if let Some(world) = world {
        kept_by(&world).await;
    }
}

/// The same, where the server is looked at afterwards.
pub async fn kept_by(world: &World) {
    values::every_type_is_written_and_read_again(world).await;
    values::what_others_have_at_the_apex_stays(world).await;
    values::a_set_lives_its_life(world).await;
    values::a_set_may_have_many_values(world).await;
    names::a_wildcard_is_not_the_name_itself(world).await;
    names::labels_of_other_scripts_are_a_labels(world).await;
    names::many_sets_come_in_one_list(world).await;
    together::a_lost_race_changes_nothing(world).await;
    together::challenges_share_a_name(world).await;
    together::two_applies_at_once_lose_nothing(world).await;
    refusals::what_is_not_there_is_said(world).await;
    refusals::wrong_credentials_are_told(world).await;
    refusals::a_zone_that_is_served_elsewhere_is_told(world).await;
    refusals::what_only_the_servers_have_stops(world).await;
    if world.gate.is_some() {
        bad_days::reads_are_asked_again(world).await;
        bad_days::no_write_is_made_twice_or_lost(world).await;
    }
    if world.own {
        values::the_octets_of_others_stay(world).await;
        names::reverse_zones_take_pointers(world).await;
    }
}

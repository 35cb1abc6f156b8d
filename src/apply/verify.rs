//! The last look: every authoritative server must answer as wished, not only
//! the provider's API.

use std::collections::BTreeMap;

use super::{Tools, act::VISIBLE_WITHIN, afterwards::rrsets};
use crate::failure::Result;
use crate::record::{Name, RType, Rrset};
use crate::resource::Holder;
use crate::survey::Survey;

/// Waits until each set that was seen is answered by every authoritative
/// server of its zone. `false` where there was nothing to ask. What a hoster
/// shows only after hours is not waited for.
///
/// # Errors
/// Which server still answers something else.
pub async fn records(tools: &Tools, survey: &Survey) -> Result<bool> {
    let ptr = tools.world.zone(&Holder::Ptr);
    let slow_ptr = ptr.is_ok_and(|zone| zone.slow().is_some());
    let mut by_zone: BTreeMap<&Name, Vec<&Rrset>> = BTreeMap::new();
    let sets: Vec<(Name, Rrset)> = rrsets(survey)
        .filter(|(_, set)| !set.values.is_empty())
        .filter(|(_, set)| !(slow_ptr && set.key.rtype == RType::Ptr))
        .collect();
    for (apex, set) in &sets {
        by_zone.entry(apex).or_default().push(set);
    }
    for (apex, sets) in &by_zone {
        tools
            .world
            .dns
            .wait_all_visible(apex, sets, VISIBLE_WITHIN)
            .await?;
    }
    Ok(!by_zone.is_empty())
}

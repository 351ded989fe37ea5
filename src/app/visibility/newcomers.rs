//! What is new in a broker's catalog, as the settings want it: for everybody or for nobody at first, published or a draft.

use std::collections::HashSet;

use super::super::Error;
use crate::clock::Time;
use crate::config;
use crate::domain::catalog::Offering;
use crate::store::{Tx, visibility};

/// Says of what is new what the settings say. What was there before, and what something was said of, stays as it is.
pub(in crate::app) async fn set_up(
    tx: &mut Tx<'_>,
    settings: &config::Catalog,
    before: &[Offering],
    after: &[Offering],
    now: Time,
) -> Result<(), Error> {
    let restrict = settings.default_visibility == config::Visibility::Restricted;
    if !restrict && !settings.review {
        return Ok(());
    }
    let known: HashSet<&str> = before
        .iter()
        .flat_map(|offering| offering.plans.iter().map(|plan| plan.id.as_str()).chain([offering.id.as_str()]))
        .collect();
    let new = |id: &str| !known.contains(id);
    let mut changed = false;
    for offering in after {
        if settings.review && new(&offering.id) {
            changed |= visibility::draft_new(tx, &offering.id, now).await?;
        }
        for plan in offering.plans.iter().filter(|plan| restrict && new(&plan.id)) {
            changed |= visibility::restrict_new(tx, &plan.id, now).await?;
        }
    }
    if changed {
        visibility::changed(tx).await?;
    }
    Ok(())
}

//! What is new in a broker's catalog, as the settings want it: for everybody or for nobody at first, published or a draft.

use std::collections::HashSet;

use super::super::Error;
use crate::clock::Time;
use crate::config;
use crate::domain::catalog::Offering;
use crate::domain::visibility::{Audience, Stage};
use crate::store::{Tx, visibility};

/// Says of what is new what the settings say. What was there before, and what something was said of, stays as it is. Of a broker that its
/// `provider` has registered, what is new is a draft whatever was ever said of it, and a new plan of what is published is for nobody.
pub(in crate::app) async fn set_up(
    tx: &mut Tx<'_>,
    settings: &config::Catalog,
    before: &[Offering],
    after: &[Offering],
    provided: bool,
    now: Time,
) -> Result<(), Error> {
    let restrict = settings.default_visibility == config::Visibility::Restricted;
    if !restrict && !settings.review && !provided {
        return Ok(());
    }
    let known: HashSet<&str> = before
        .iter()
        .flat_map(|offering| offering.plans.iter().map(|plan| plan.id.as_str()).chain([offering.id.as_str()]))
        .collect();
    let new = |id: &str| !known.contains(id);
    let mut changed = false;
    for offering in after {
        if provided && new(&offering.id) {
            visibility::redraft(tx, &offering.id, now).await?;
            changed = true;
        } else if settings.review && new(&offering.id) {
            changed |= visibility::draft_new(tx, &offering.id, now).await?;
        } else if provided {
            changed |= closed(tx, offering, new, now).await?;
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

/// New plans of an offering that was reviewed without them: for nobody until an operator says for whom.
async fn closed(tx: &mut Tx<'_>, offering: &Offering, new: impl Fn(&str) -> bool, now: Time) -> Result<bool, Error> {
    let added: Vec<_> = offering.plans.iter().filter(|plan| new(&plan.id)).collect();
    if added.is_empty() || visibility::lifecycle(tx, &offering.id).await?.stage == Stage::Draft {
        return Ok(false);
    }
    for plan in added {
        visibility::put(tx, &plan.id, Some(&Audience::default()), now).await?;
    }
    Ok(true)
}

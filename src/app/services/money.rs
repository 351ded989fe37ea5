//! What services cost this month, from the very facts that bills are made of: of a page of them the sums, of one the days and the meters.

use std::collections::{BTreeMap, HashMap};

use super::super::costs::{CostSoFar, currency};
use super::super::{App, Error};
use crate::clock::Time;
use crate::domain::cost::{Granularity, windows};
use crate::domain::decimal::{Exact, zero};

/// One instance's month so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonthOfOne {
    /// Of all amounts; none while there is no price book.
    pub currency: Option<String>,
    /// The sum.
    pub amount: Exact,
    /// The month's beginning.
    pub from: Time,
    /// Until when it was computed.
    pub to: Time,
    /// Day by day, from the month's first to today: what it is called, and what it cost.
    pub days: Vec<(String, Exact)>,
    /// By meter.
    pub meters: Vec<MeterOfOne>,
}

/// One meter of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterOfOne {
    /// By its key.
    pub meter: String,
    /// Its unit.
    pub unit: String,
    /// How much.
    pub quantity: Exact,
    /// What that costs; none where it has no price.
    pub amount: Option<Exact>,
    /// How much of it, day by day, as in [`MonthOfOne::days`].
    pub days: Vec<Exact>,
}

impl App {
    /// What some instances of a tenant have cost this month so far; those of which nothing has a price are left out.
    pub(in crate::app) async fn month_so_far(
        &self,
        tenant_id: &str,
        instances: &[String],
    ) -> Result<HashMap<String, CostSoFar>, Error> {
        let now = self.clock().now();
        let books = self.price_books(Some(now)).await?;
        let Some(currency) = currency(&books) else { return Ok(HashMap::new()) };
        let tenant = self.charged(tenant_id, now).await?;
        let month = tenant.zones.month(now);
        let from = tenant.zones.range(month).start;
        let mut all = HashMap::new();
        let each = |rated: super::super::rating::Rated<'_>| {
            let fresh = CostSoFar { amount: zero(), currency: currency.clone(), from, to: now, unpriced: false };
            let (mut cost, mut priced) = (fresh, false);
            for piece in rated.pieces {
                match piece.price {
                    Some(_) => cost.amount += &piece.amount,
                    None => cost.unpriced = true,
                }
                priced |= piece.price.is_some();
            }
            if let (true, Some(span)) = (priced, rated.spans.first()) {
                all.insert(span.instance_id.clone(), cost);
            }
            Ok(())
        };
        self.rated_some((&tenant, instances), (month, now), &[], &books, each).await?;
        Ok(all)
    }

    /// One instance's month so far, by day and by meter.
    pub(in crate::app) async fn month_of_one(&self, tenant_id: &str, instance_id: &str) -> Result<MonthOfOne, Error> {
        let now = self.clock().now();
        let books = self.price_books(Some(now)).await?;
        let tenant = self.charged(tenant_id, now).await?;
        let month = tenant.zones.month(now);
        let from = tenant.zones.range(month).start;
        let days = windows(&tenant.zones, month, &(from..now), Granularity::Day);
        let zone = tenant.zones.of(month);
        let called: Vec<String> = days.iter().map(|day| zone.day_in_words(day.start)).collect();
        let cuts: Vec<Time> = days.iter().map(|day| day.start).chain(days.last().map(|day| day.end)).collect();
        let mut costs = vec![zero(); days.len()];
        let mut meters: BTreeMap<(String, String), (Vec<Exact>, Exact, bool)> = BTreeMap::new();
        let each = |rated: super::super::rating::Rated<'_>| {
            for piece in rated.pieces {
                let place = days.partition_point(|day| day.start <= piece.from).saturating_sub(1);
                let fresh = || (vec![zero(); days.len()], zero(), false);
                let meter = meters.entry((piece.meter.clone(), piece.unit.clone())).or_insert_with(fresh);
                if let (Some(used), Some(cost)) = (meter.0.get_mut(place), costs.get_mut(place)) {
                    *used += &piece.quantity;
                    *cost += &piece.amount;
                }
                meter.1 += &piece.amount;
                meter.2 |= piece.price.is_some();
            }
            Ok(())
        };
        let ids = [instance_id.to_owned()];
        self.rated_some((&tenant, &ids), (month, now), &cuts, &books, each).await?;
        let meters = meters.into_iter().map(|((meter, unit), (days, amount, priced))| MeterOfOne {
            meter,
            unit,
            quantity: days.iter().sum(),
            amount: priced.then_some(amount),
            days,
        });
        Ok(MonthOfOne {
            currency: currency(&books),
            amount: costs.iter().sum(),
            from,
            to: now,
            days: called.into_iter().zip(costs).collect(),
            meters: meters.collect(),
        })
    }
}

//! `GET /costs`: what was used in a time, by whom and under which prices, as it is known now. It is computed when it is asked
//! for, from the facts; there is nothing that could be behind.
//!
//! Invariant: what has no price is told as such, and is in no amount.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use super::instances::thing;
use super::rating::{Charged, Rated, ToRate};
use super::{App, Error, Issue, access};
use crate::clock::Time;
use crate::domain::cost::{Granularity, GroupKey, KEYS_MAX, months, windows};
use crate::domain::decimal::{Exact, zero};
use crate::domain::permission::{Access, Sight, Thing};
use crate::domain::price::PriceBook;
use crate::domain::rating::Piece;

/// The longest time that may be asked for, and the longest by the hour.
pub const RANGE_MAX: Duration = Duration::from_secs(400 * 86_400);
const HOURLY_MAX: Duration = Duration::from_secs(31 * 86_400);
/// Lines of one answer, those without a price included.
pub const LINES_MAX: usize = 50_000;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct CostQuery {
    /// From when on; the beginning of this month where absent.
    pub from: Option<Time>,
    /// Until when; now where absent or later.
    pub to: Option<Time>,
    /// By what it is grouped; all in one where empty.
    pub group_by: Vec<GroupKey>,
    /// How long a window is.
    pub granularity: Granularity,
    /// One tenant only, by name, or by id where it is deleted.
    pub tenant: Option<String>,
    /// One instance only, by Bourse's own id.
    pub instance: Option<String>,
    /// One offering only, by name.
    pub offering: Option<String>,
    /// What went to one cost center only.
    pub cost_center: Option<String>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostReport {
    /// None while there is no price book.
    pub currency: Option<String>,
    /// By window, then by group.
    pub items: Vec<CostItem>,
    /// What has no price.
    pub unpriced: Vec<Unpriced>,
}

/// One group in one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostItem {
    /// What each key is here; none where it isn't said, such as a label that a tenant doesn't have.
    pub group: Vec<(String, Option<String>)>,
    /// The window, cut to the time that was asked for.
    pub window: Range<Time>,
    /// By meter.
    pub lines: Vec<CostLine>,
}

impl CostItem {
    /// The sum of its lines.
    pub fn amount(&self) -> Exact {
        self.lines.iter().map(|line| &line.amount).sum()
    }
}

/// One meter of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostLine {
    /// By its key.
    pub meter: String,
    /// Its unit.
    pub unit: String,
    /// How much of it has a price.
    pub quantity: Exact,
    /// What that costs.
    pub amount: Exact,
}

/// What was used and has no price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpriced {
    /// Whose, by name.
    pub tenant: String,
    /// By Bourse's own id.
    pub instance_id: String,
    /// What people call it, where it has a name.
    pub instance_name: Option<String>,
    /// By name.
    pub offering: String,
    /// By name.
    pub plan: String,
    /// By its key.
    pub meter: String,
    /// Its unit.
    pub unit: String,
    /// How much.
    pub quantity: Exact,
}

/// What one instance has cost in a month so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostSoFar {
    /// The sum, exactly.
    pub amount: Exact,
    /// Of all prices.
    pub currency: String,
    /// The month's beginning.
    pub from: Time,
    /// Until when it was computed.
    pub to: Time,
    /// Whether something was used that has no price.
    pub unpriced: bool,
}

/// The currency of a hub is that of the first book that it was given.
pub fn currency(books: &[PriceBook]) -> Option<String> {
    let first = books.iter().min_by_key(|book| (book.created_at, book.id.as_str()));
    first.map(|book| book.document.currency.clone())
}

impl App {
    /// What was used, and what it costs.
    ///
    /// # Errors
    /// [`Error::Invalid`]; [`Error::NotFound`] of a tenant or an instance; [`Error::Unprocessable`] `too_many_lines`.
    pub async fn costs(&self, sight: &Sight, query: CostQuery) -> Result<CostReport, Error> {
        let now = self.clock().now();
        check(&query, now)?;
        let books = self.price_books(Some(now)).await?;
        let mut sums = Sums { query: &query, sight, found: BTreeMap::new(), unpriced: BTreeMap::new(), lines: 0 };
        match (self.whose(sight, &query).await?, sight.only_tenants()) {
            (Some(tenant), _) => self.sum(&tenant, now, &books, &mut sums).await?,
            (None, Some(tenants)) => {
                for tenant in tenants {
                    self.sum(tenant, now, &books, &mut sums).await?;
                }
            }
            (None, None) => {
                let mut after = String::new();
                loop {
                    let page = self.charged_tenants(&after).await?;
                    let Some(last) = page.last() else { break };
                    after.clone_from(last);
                    for tenant in &page {
                        self.sum(tenant, now, &books, &mut sums).await?;
                    }
                }
            }
        }
        Ok(sums.report(currency(&books)))
    }

    /// The only tenant that is asked about, if it is only one.
    async fn whose(&self, sight: &Sight, query: &CostQuery) -> Result<Option<String>, Error> {
        let named = match &query.tenant {
            Some(name) => Some(self.tenant_in_sight(sight, name).await?),
            None => None,
        };
        let Some(id) = &query.instance else { return Ok(named) };
        let instance = self.instance_row(id).await?;
        access::check(sight, "instance", id, &thing(&instance))?;
        let owner = instance.tenant_id;
        match named {
            Some(named) if named != owner => Err(Error::not_found("instance", id)),
            _ => Ok(Some(owner)),
        }
    }

    async fn sum(&self, tenant: &str, now: Time, books: &[PriceBook], sums: &mut Sums<'_>) -> Result<(), Error> {
        let tenant = self.charged(tenant, now).await?;
        let to = sums.query.to.unwrap_or(now).min(now);
        let from = sums.query.from.unwrap_or_else(|| tenant.zones.range(tenant.zones.month(to)).start);
        let instance = sums.query.instance.clone();
        for month in months(&tenant.zones, &(from..to)) {
            let windows = windows(&tenant.zones, month, &(from..to), sums.query.granularity);
            let edges: BTreeSet<Time> = windows.iter().flat_map(|window| [window.start, window.end]).collect();
            let cuts: Vec<Time> = edges.into_iter().collect();
            let instance = instance.as_deref();
            let what =
                ToRate { tenant: &tenant, instance, month, known_at: now, changed_since: None, cuts: &cuts, books };
            self.rated(what, |rated| rated.pieces.iter().try_for_each(|piece| sums.add(&rated, piece, &windows)))
                .await?;
        }
        Ok(())
    }

    /// What an instance has cost since its tenant's month began; none where nothing of it has a price.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn cost_so_far(&self, tenant_id: &str, instance_id: &str) -> Result<Option<CostSoFar>, Error> {
        let now = self.clock().now();
        let books = self.price_books(Some(now)).await?;
        let Some(currency) = currency(&books) else { return Ok(None) };
        let tenant: Charged = self.charged(tenant_id, now).await?;
        let month = tenant.zones.month(now);
        let from = tenant.zones.range(month).start;
        let mut so_far = CostSoFar { amount: zero(), currency, from, to: now, unpriced: false };
        let mut priced = false;
        let what = ToRate {
            tenant: &tenant,
            instance: Some(instance_id),
            month,
            known_at: now,
            changed_since: None,
            cuts: &[],
            books: &books,
        };
        let each = |rated: Rated<'_>| {
            for piece in rated.pieces {
                match piece.price {
                    Some(_) => so_far.amount += &piece.amount,
                    None => so_far.unpriced = true,
                }
                priced |= piece.price.is_some();
            }
            Ok(())
        };
        self.rated(what, each).await?;
        Ok(priced.then_some(so_far))
    }
}

fn check(query: &CostQuery, now: Time) -> Result<(), Error> {
    let mut issues = Vec::new();
    let mut wrong = |message: String| issues.push(Issue { pointer: String::new(), message });
    if query.group_by.len() > KEYS_MAX {
        wrong(format!("group_by may have at most {KEYS_MAX} keys"));
    }
    if let Some(from) = query.from {
        let to = query.to.unwrap_or(now).min(now);
        if query.to.is_some_and(|to| to < from) {
            wrong("to must not be before from".to_owned());
        }
        let length = to.since(from);
        if length > RANGE_MAX {
            wrong("the time from `from` to `to` may be at most 400 days".to_owned());
        } else if query.granularity == Granularity::Hour && length > HOURLY_MAX {
            wrong("by the hour at most 31 days can be asked for; ask by the day, or for less".to_owned());
        }
    }
    if issues.is_empty() { Ok(()) } else { Err(Error::Invalid(issues)) }
}

/// A window and what its group says.
type GroupKeys = (Time, Time, Vec<(String, Option<String>)>);
/// By group, and there by meter and unit: how much, and what that costs.
type Groups = BTreeMap<GroupKeys, BTreeMap<(String, String), (Exact, Exact)>>;

/// What was added up so far.
struct Sums<'a> {
    query: &'a CostQuery,
    sight: &'a Sight,
    found: Groups,
    /// By tenant, instance, offering, plan, meter and unit.
    unpriced: BTreeMap<[String; 6], (Option<String>, Exact)>,
    lines: usize,
}

impl Sums<'_> {
    fn add(&mut self, rated: &Rated<'_>, piece: &Piece, windows: &[Range<Time>]) -> Result<(), Error> {
        let after = windows.partition_point(|window| window.start <= piece.from);
        let window = after.checked_sub(1).and_then(|index| windows.get(index));
        let Some(window) = window.filter(|window| piece.from < window.end) else { return Ok(()) };
        let (span, said) = (rated.span(piece), rated.said(piece));
        let thing = Thing { tenant: Some(&rated.tenant.id), broker: Some(&span.broker_id), names: &[] };
        if self.sight.of(&thing) != Access::Allowed {
            return Ok(());
        }
        if self.query.offering.as_ref().is_some_and(|only| *only != span.offering)
            || self.query.cost_center.as_ref().is_some_and(|only| *only != said.cost_center)
        {
            return Ok(());
        }
        let is_new = if piece.price.is_some() {
            let group = self.query.group_by.iter().flat_map(|key| group(key, rated, piece)).collect();
            let lines = self.found.entry((window.start, window.end, group)).or_default();
            let line = lines.entry((piece.meter.clone(), piece.unit.clone()));
            let is_new = matches!(line, std::collections::btree_map::Entry::Vacant(_));
            let (quantity, amount) = line.or_insert_with(|| (zero(), zero()));
            *quantity += &piece.quantity;
            *amount += &piece.amount;
            is_new
        } else {
            let key = [
                rated.tenant.name.clone(),
                span.instance_id.clone(),
                span.offering.clone(),
                span.plan.clone(),
                piece.meter.clone(),
                piece.unit.clone(),
            ];
            let (before, name) = (self.unpriced.len(), span.instance_name.clone());
            self.unpriced.entry(key).or_insert_with(|| (name, zero())).1 += &piece.quantity;
            self.unpriced.len() > before
        };
        self.lines += usize::from(is_new);
        if self.lines > LINES_MAX {
            let message = format!(
                "the answer would have more than {LINES_MAX} lines: ask for a shorter time, a coarser granularity, fewer groups or one tenant"
            );
            return Err(Error::Unprocessable { code: "too_many_lines", message });
        }
        Ok(())
    }

    fn report(self, currency: Option<String>) -> CostReport {
        let line = |((meter, unit), (quantity, amount))| CostLine { meter, unit, quantity, amount };
        let item = |((start, end, group), lines): (_, BTreeMap<_, _>)| CostItem {
            group,
            window: start..end,
            lines: lines.into_iter().map(line).collect(),
        };
        let unpriced = |(key, (instance_name, quantity))| {
            let [tenant, instance_id, offering, plan, meter, unit] = key;
            Unpriced { tenant, instance_id, instance_name, offering, plan, meter, unit, quantity }
        };
        CostReport {
            currency,
            items: self.found.into_iter().map(item).collect(),
            unpriced: self.unpriced.into_iter().map(unpriced).collect(),
        }
    }
}

/// What a key is for a piece.
fn group(key: &GroupKey, rated: &Rated<'_>, piece: &Piece) -> Vec<(String, Option<String>)> {
    let (span, said) = (rated.span(piece), rated.said(piece));
    let value = match key {
        GroupKey::Tenant => Some(rated.tenant.name.clone()),
        GroupKey::CostCenter => Some(said.cost_center.clone()),
        GroupKey::BusinessUnit => Some(said.business_unit.clone()),
        GroupKey::Environment => Some(said.environment.clone()),
        GroupKey::Offering => Some(span.offering.clone()),
        GroupKey::Plan => {
            let offering = ("offering".to_owned(), Some(span.offering.clone()));
            return vec![offering, ("plan".to_owned(), Some(span.plan.clone()))];
        }
        GroupKey::Instance => {
            let name = ("instance_name".to_owned(), span.instance_name.clone());
            return vec![("instance".to_owned(), Some(span.instance_id.clone())), name];
        }
        GroupKey::Label(label) => said.labels.get(label).cloned(),
    };
    vec![(key.to_string(), value)]
}

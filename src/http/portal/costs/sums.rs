//! A report of costs put in order for a page: groups from the dearest on, and windows of time by their names. It adds up what the report
//! says and rounds nothing.

use std::collections::BTreeMap;

use crate::app::costs::{CostItem, CostReport};
use crate::clock::Time;
use crate::domain::cost::GroupKey;
use crate::domain::decimal::{Exact, zero};
use crate::domain::period::{Month, Zone};

/// What a report comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    /// From the dearest on.
    pub(super) groups: Vec<Group>,
    /// Days or months in order, each with its total.
    pub(super) windows: Vec<(String, Exact)>,
    /// All of it.
    pub(super) total: Exact,
}

/// One tenant, cost center, offering or instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// What it is known by.
    pub(super) id: Option<String>,
    /// What people call it, where that is something else.
    pub(super) name: Option<String>,
    /// All of it.
    pub(super) total: Exact,
    windows: BTreeMap<String, Exact>,
}

impl Group {
    /// How it is called on a page.
    pub(super) fn label(&self, key: &GroupKey) -> String {
        match (&self.name, self.id.as_deref()) {
            (Some(name), _) => name.clone(),
            (None, Some(id)) if !id.is_empty() => id.to_owned(),
            _ => format!("no {}", key.to_string().replace('_', " ")),
        }
    }

    /// The same, for the head of a column.
    pub(super) fn short(&self) -> String {
        let name = self.name.as_deref().or(self.id.as_deref()).unwrap_or_default();
        if name.is_empty() { "none".to_owned() } else { name.chars().take(24).collect() }
    }

    /// What it costs in a window.
    pub(super) fn at(&self, window: &str) -> Exact {
        self.windows.get(window).cloned().unwrap_or_else(zero)
    }
}

impl Sums {
    /// Puts a report in order.
    pub(super) fn of(report: &CostReport, zone: &Zone, days: bool) -> Self {
        let mut groups: BTreeMap<(Option<String>, Option<String>), Group> = BTreeMap::new();
        let mut windows: BTreeMap<String, Exact> = BTreeMap::new();
        let mut total = zero();
        for item in &report.items {
            let (window, amount) = (name(item, zone, days), item.amount());
            total += &amount;
            *windows.entry(window.clone()).or_insert_with(zero) += &amount;
            let mut said = item.group.iter().map(|(_, value)| value.clone());
            let key = (said.next().flatten(), said.next().flatten());
            let group = groups.entry(key.clone()).or_insert_with(|| Group {
                id: key.0,
                name: key.1,
                total: zero(),
                windows: BTreeMap::new(),
            });
            group.total += &amount;
            *group.windows.entry(window).or_insert_with(zero) += &amount;
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        groups.sort_by(|one, other| other.total.cmp(&one.total));
        Self { groups, windows: windows.into_iter().collect(), total }
    }
}

/// The day or month that a window is, by its middle: tenants' midnights differ by hours.
fn name(item: &CostItem, zone: &Zone, days: bool) -> String {
    let middle = Time(item.window.start.0.midpoint(item.window.end.0));
    if days { zone.day_name(middle) } else { Month::of(middle, zone).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::costs::CostLine;

    fn item(tenant: &str, from: i64, to: i64, amount: i64) -> CostItem {
        let amount = Exact::from_integer(amount.into());
        let line = CostLine { meter: "m".to_owned(), unit: "u".to_owned(), quantity: zero(), amount };
        let at = |hours: i64| Time(hours * 3_600_000_000);
        CostItem {
            group: vec![("tenant".to_owned(), Some(tenant.to_owned()))],
            window: at(from)..at(to),
            lines: vec![line],
        }
    }

    #[test]
    fn groups_come_from_the_dearest_on_and_windows_in_order() {
        let items = vec![item("a", 24, 48, 1), item("b", 0, 24, 5), item("a", 0, 24, 2), item("b", 26, 50, 1)];
        let report = CostReport { currency: None, items, unpriced: Vec::new() };
        let sums = Sums::of(&report, &Zone::utc(), true);
        let names: Vec<_> = sums.groups.iter().map(|group| group.label(&GroupKey::Tenant)).collect();
        assert_eq!(names, ["b", "a"]);
        let windows: Vec<_> = sums.windows.iter().map(|(name, total)| (name.as_str(), total.to_string())).collect();
        assert_eq!(windows, [("1970-01-01", "7".to_owned()), ("1970-01-02", "2".to_owned())]);
        assert_eq!((sums.total.to_string(), sums.groups[1].at("1970-01-02").to_string()), ("9".into(), "1".into()));
        assert_eq!(sums.groups[0].at("1970-02-01"), zero());
    }
}

//! How costs are asked for: by what they are grouped, and the windows of a tenant's calendar that they are told for.
//!
//! It computes no amounts; that is [`super::rating`]. Invariant: windows follow each other without a gap, and none reaches into
//! two months.

use std::ops::Range;
use std::str::FromStr;

use super::period::{Month, Zones};
use super::tenant::{LABEL_KEY_MAX, TenantDocument};
use crate::clock::Time;

/// Keys that one question may group by.
pub const KEYS_MAX: usize = 8;
const HOUR: i64 = 3_600_000_000;

/// One thing that costs are grouped by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupKey {
    /// Who it is for.
    Tenant,
    /// Where the tenant's costs went at the time of use.
    CostCenter,
    /// Whom the tenant belonged to at the time of use.
    BusinessUnit,
    /// What the tenant's environment was called at the time of use.
    Environment,
    /// The service offering.
    Offering,
    /// The service plan, with its offering.
    Plan,
    /// The service instance.
    Instance,
    /// A label of the tenant at the time of use.
    Label(String),
}

/// Why a text is no [`GroupKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be tenant, cost_center, business_unit, environment, offering, plan, instance or label:KEY")]
pub struct GroupKeyError;

impl FromStr for GroupKey {
    type Err = GroupKeyError;

    fn from_str(text: &str) -> Result<Self, GroupKeyError> {
        Ok(match text {
            "tenant" => Self::Tenant,
            "cost_center" => Self::CostCenter,
            "business_unit" => Self::BusinessUnit,
            "environment" => Self::Environment,
            "offering" => Self::Offering,
            "plan" => Self::Plan,
            "instance" => Self::Instance,
            other => {
                let label = other.strip_prefix("label:").ok_or(GroupKeyError)?;
                if label.is_empty() || label.chars().count() > LABEL_KEY_MAX {
                    return Err(GroupKeyError);
                }
                Self::Label(label.to_owned())
            }
        })
    }
}

impl std::fmt::Display for GroupKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tenant => "tenant",
            Self::CostCenter => "cost_center",
            Self::BusinessUnit => "business_unit",
            Self::Environment => "environment",
            Self::Offering => "offering",
            Self::Plan => "plan",
            Self::Instance => "instance",
            Self::Label(key) => return write!(f, "label:{key}"),
        })
    }
}

/// How long a window is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Granularity {
    /// 3600 s, from the tenant's midnight on.
    Hour,
    /// A day of the tenant's calendar.
    Day,
    /// A month of the tenant's calendar.
    #[default]
    Month,
}

impl Granularity {
    /// The granularity of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "hour" => Self::Hour,
            "day" => Self::Day,
            "month" => Self::Month,
            _ => return None,
        })
    }
}

/// What of a tenant's document decides where charges go: a change of it is an edge, a change of anything else is not.
pub fn same_charges(one: &TenantDocument, other: &TenantDocument) -> bool {
    one.cost_center == other.cost_center
        && one.business_unit == other.business_unit
        && one.environment == other.environment
        && one.labels == other.labels
}

/// The months that a time reaches into.
pub fn months(zones: &Zones, within: &Range<Time>) -> Vec<Month> {
    let mut months = Vec::new();
    let mut month = zones.month(within.start);
    while within.start < within.end && zones.range(month).start < within.end {
        months.push(month);
        month = month.next();
    }
    months
}

/// The windows of one month within a time, each cut to it.
pub fn windows(zones: &Zones, month: Month, within: &Range<Time>, granularity: Granularity) -> Vec<Range<Time>> {
    let range = zones.range(month);
    let (mut at, end) = (range.start.max(within.start), range.end.min(within.end));
    let mut windows = Vec::new();
    while at < end {
        let next = match granularity {
            Granularity::Month => end,
            Granularity::Day => zones.of(month).day(at).end,
            Granularity::Hour => {
                let day = zones.of(month).day(at);
                Time(day.start.0 + ((at.0 - day.start.0).div_euclid(HOUR) + 1) * HOUR).min(day.end)
            }
        };
        let next = if next > at { next.min(end) } else { end };
        windows.push(at..next);
        at = next;
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        serde_json::from_value(serde_json::json!(text)).unwrap()
    }

    #[test]
    fn windows_follow_each_other_and_stay_within_months_and_the_time_that_is_asked_for() {
        let zones = Zones::always("Europe/Berlin".parse().unwrap());
        let within = at("2026-10-24T10:30:00Z")..at("2026-11-02T00:00:00Z");
        let october: Month = "2026-10".parse().unwrap();
        assert_eq!(months(&zones, &within), [october, october.next()]);
        let days = windows(&zones, october, &within, Granularity::Day);
        assert_eq!(days.first().map(|day| day.start), Some(within.start));
        assert_eq!(days.last().map(|day| day.end), Some(at("2026-10-31T23:00:00Z")));
        assert!(days.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert_eq!(days.len(), 8, "the 24th to the 31st");
        let hours = windows(&zones, october, &within, Granularity::Hour);
        assert_eq!(hours[0], within.start..at("2026-10-24T11:00:00Z"));
        assert_eq!(hours.len(), 12 + 25 + 6 * 24, "the 25th has 25 hours");
        assert_eq!(
            windows(&zones, october.next(), &within, Granularity::Month),
            [at("2026-10-31T23:00:00Z")..within.end]
        );
        assert!(months(&zones, &(within.start..within.start)).is_empty());
    }

    #[test]
    fn a_group_is_written_as_it_is_read() {
        for word in
            ["tenant", "cost_center", "business_unit", "environment", "offering", "plan", "instance", "label:a:b"]
        {
            assert_eq!(word.parse::<GroupKey>().map(|key| key.to_string()), Ok(word.to_owned()));
        }
        for bad in ["", "label:", "label", "meter", "Tenant"] {
            assert_eq!(bad.parse::<GroupKey>(), Err(GroupKeyError), "{bad}");
        }
    }
}

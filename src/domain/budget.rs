//! Budgets: how much a tenant or a cost center may cost in a month, when that is told, and what happens once it is reached.
//!
//! It does not know what was spent; that is computed in `app::budgets` from the same pieces as all costs.

use num_traits::Zero as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::decimal::{Decimal, Exact};
use super::tenant::VALUE_MAX;

/// Thresholds of one budget.
pub const THRESHOLDS_MAX: usize = 16;
/// The highest threshold, in percent.
const THRESHOLD_MAX: i128 = 1000 * 1_000_000_000_000;

/// What a budget says. Exactly one of `tenant` and `cost_center` is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetDocument {
    /// Whose costs count: all of a tenant, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Whose costs count: all that goes to a cost center.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_center: Option<String>,
    /// For how long it lasts.
    #[serde(default)]
    pub period: Period,
    /// How much.
    #[schema(value_type = String)]
    pub amount: Decimal,
    /// That of the hub's prices.
    pub currency: String,
    /// Percent of the amount at which it is told, in any order; 80 and 100 where absent.
    #[serde(default = "usual")]
    #[schema(value_type = Vec<String>)]
    pub thresholds: Vec<Decimal>,
    /// What happens once the amount is reached.
    #[serde(default)]
    pub action: Action,
}

/// For how long a budget lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// A month of the tenant's calendar.
    #[default]
    Month,
}

/// What happens once the amount of a budget is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing more than that it is told.
    #[default]
    Notify,
    /// Orders wait for somebody to approve them.
    RequireApproval,
    /// Orders and changes of plan are refused.
    Block,
}

fn usual() -> Vec<Decimal> {
    vec![Decimal::from_units(80_000_000_000_000), Decimal::from_units(100_000_000_000_000)]
}

impl BudgetDocument {
    /// Everything that is wrong with it, as (JSON pointer, message).
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut wrong = |pointer: &str, message: &str| found.push((pointer.to_owned(), message.to_owned()));
        match (&self.tenant, &self.cost_center) {
            (Some(_), None) => {}
            (None, Some(center)) if center.chars().count() > VALUE_MAX || center.chars().any(char::is_control) => {
                wrong("/cost_center", "must be a cost center as tenants have it");
            }
            (None, Some(_)) => {}
            _ => wrong("", "give exactly one of `tenant` and `cost_center`"),
        }
        if self.amount <= Decimal::ZERO {
            wrong("/amount", "must be more than 0");
        }
        if self.currency.len() != 3 || !self.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            wrong("/currency", "must be a currency's three letters of ISO 4217, such as EUR");
        }
        if self.thresholds.len() > THRESHOLDS_MAX {
            wrong("/thresholds", "has more than 16 entries");
        }
        for (index, threshold) in self.thresholds.iter().enumerate() {
            let pointer = format!("/thresholds/{index}");
            if *threshold <= Decimal::ZERO || threshold.units() > THRESHOLD_MAX {
                wrong(&pointer, "must be more than 0 and at most 1000 percent");
            } else if self.thresholds.iter().take(index).any(|before| before == threshold) {
                wrong(&pointer, "is there twice");
            }
        }
        found
    }

    /// The thresholds that are reached when so much is spent, lowest first.
    pub fn reached(&self, spent: &Exact) -> Vec<Decimal> {
        let hundred = Exact::from_integer(100.into());
        let mut reached: Vec<Decimal> = self.thresholds.clone();
        reached.retain(|threshold| !spent.is_zero() && spent * &hundred >= self.amount.exact() * threshold.exact());
        reached.sort_unstable();
        reached
    }

    /// Whether nothing is left of it.
    pub fn is_spent(&self, spent: &Exact) -> bool {
        *spent >= self.amount.exact()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::decimal::read;

    fn budget(more: Value) -> BudgetDocument {
        let mut all = json!({"tenant": "retail", "amount": "200", "currency": "EUR"});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn a_threshold_is_reached_at_its_share_of_the_amount() {
        let budget = budget(json!({"thresholds": ["100", "50", "12.5"]}));
        for (spent, reached) in
            [("0", ""), ("24.99", ""), ("25", "12.5"), ("199.999", "12.5 50"), ("500", "12.5 50 100")]
        {
            let found: Vec<_> = budget.reached(&read(spent).unwrap()).iter().map(ToString::to_string).collect();
            assert_eq!(found.join(" "), reached, "{spent}");
        }
        assert!(!budget.is_spent(&read("199.999999999999").unwrap()) && budget.is_spent(&read("200").unwrap()));
    }

    #[test]
    fn what_is_no_budget_is_pointed_at() {
        assert!(
            budget(json!({})).problems().is_empty()
                && budget(json!({"action": "require_approval"})).problems().is_empty()
        );
        for (more, pointer) in [
            (json!({"cost_center": "1"}), ""),
            (json!({"tenant": null}), ""),
            (json!({"amount": "0"}), "/amount"),
            (json!({"currency": "euro"}), "/currency"),
            (json!({"thresholds": ["50", "0"]}), "/thresholds/1"),
            (json!({"thresholds": ["50", "50.0"]}), "/thresholds/1"),
            (json!({"thresholds": ["1000.1"]}), "/thresholds/0"),
        ] {
            let found: Vec<_> = budget(more.clone()).problems().into_iter().map(|(pointer, _)| pointer).collect();
            assert_eq!(found, [pointer], "{more}");
        }
    }
}

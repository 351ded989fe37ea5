//! Quotas: how much a tenant may have of something at most. What a quota counts ([`Measure`]), how much of it an order needs
//! ([`QuotaDocument::needs`]), and what whoever orders is told where too little is left ([`Exceeded`]).
//!
//! It keeps no account: what is used is counted in the database, in the transactions that change what stands. Invariant: quantities
//! are exact, in millionths; what has more digits is refused, never rounded.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::decimal::Decimal;
use crate::clock::Time;

/// Quotas of one tenant.
pub const OF_TENANT_MAX: i64 = 100;
/// Millionths of 1.
const ONE: i64 = 1_000_000;
/// Units of a [`Decimal`] in a millionth.
const UNITS: i128 = Decimal::ONE_UNITS / ONE as i128;
/// What one order may need, and a quota may allow, at most: a million millions.
const MOST: i64 = 1_000_000_000_000 * ONE;
const TEXT_MAX: usize = 255;
/// Steps of a JSON pointer.
const STEPS_MAX: usize = 16;

/// A quantity, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(pub i64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One.
    pub const ONE: Self = Self(ONE);

    /// The same quantity, where it has at most six digits after the point and is from 0 to a million millions.
    pub fn of(decimal: Decimal) -> Option<Self> {
        let units = decimal.units();
        if units % UNITS != 0 {
            return None;
        }
        i64::try_from(units / UNITS).ok().filter(|millionths| (0..=MOST).contains(millionths)).map(Self)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Decimal::from_units(i128::from(self.0) * UNITS).fmt(f)
    }
}

/// How much a tenant may have of something. What is absent means all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaDocument {
    /// Whose it is, by its name; immutable.
    pub tenant: String,
    /// Of this service offering only, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offering: Option<String>,
    /// Of the service plans of this name only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// How much there may be, with at most six digits after the point.
    #[schema(value_type = String)]
    pub limit: Decimal,
    /// What is counted.
    #[serde(default)]
    pub measure: Measure,
}

/// What a quota counts of an instance: `count`, or a parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Measure {
    /// Each instance is 1.
    Count(Count),
    /// The value of a parameter, or what it stands for.
    Parameter(Parameter),
}

impl Default for Measure {
    fn default() -> Self {
        Self::Count(Count::Count)
    }
}

/// The word for instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Count {
    /// Each instance is 1.
    Count,
}

/// A parameter that is counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Where it is in the parameters, as a JSON pointer.
    pub parameter: String,
    /// What it stands for, where that is not itself.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub reads: Option<Reads>,
}

/// What a parameter stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reads {
    /// The length of an IPv4 prefix, for its addresses: 24 stands for 256.
    AddressesV4,
}

/// An instance as it is ordered, or stands.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The service offering's name.
    pub offering: &'a str,
    /// The service plan's name.
    pub plan: &'a str,
    /// With what.
    pub parameters: &'a osb::Object,
    /// The plan's schema of an order's parameters: its defaults count where a parameter is absent.
    pub schema: Option<&'a Value>,
}

/// Why a parameter can't be counted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unmeasured {
    /// It is not there.
    #[error("parameter {0} is needed, since a quota counts it, and the service plan has no default for it: send it")]
    Missing(String),
    /// It is not a number, or one that can't be counted.
    #[error("parameter {0} must be a number from 0 with at most six digits after the point, since a quota counts it")]
    Number(String),
    /// It is not the length of a prefix.
    #[error("parameter {0} must be a whole number from 0 to 32, since a quota counts the addresses of the prefix")]
    Prefix(String),
}

/// A quota that has too little left for an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The quota.
    pub name: String,
    /// Whose it is.
    pub tenant_id: String,
    /// What it says.
    pub document: QuotaDocument,
    /// What was used when the order came.
    pub used: Amount,
    /// How much more the order needs.
    pub asked: Amount,
    /// The offering that was ordered.
    pub offering: String,
    /// The plan that was ordered.
    pub plan: String,
    /// When it was last told.
    pub told_at: Option<Time>,
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, document: QuotaDocument { tenant, limit, measure, .. }, used, asked, .. } = self;
        let what = match measure {
            Measure::Count(_) => "instances".to_owned(),
            Measure::Parameter(Parameter { parameter, reads: None }) => format!("of {parameter}"),
            Measure::Parameter(Parameter { reads: Some(Reads::AddressesV4), .. }) => "addresses".to_owned(),
        };
        write!(
            f,
            "quota `{name}` of tenant `{tenant}` allows {limit} {what}, of which {used} are used, and the order needs {asked} more: \
             delete what is not needed any more, order less, or ask an operator for a higher limit"
        )
    }
}

impl QuotaDocument {
    /// Everything that is wrong with it, as (JSON pointer, message); empty where it is fine.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut say = |pointer: &str, message: String| found.push((pointer.to_owned(), message));
        for (pointer, name) in [("/offering", &self.offering), ("/plan", &self.plan)] {
            if name.as_ref().is_some_and(|name| name.trim().is_empty() || name.chars().count() > TEXT_MAX) {
                say(pointer, format!("must have 1 to {TEXT_MAX} characters"));
            }
        }
        if Amount::of(self.limit).is_none() {
            say("/limit", "must be from 0 to 1000000000000 with at most six digits after the point".to_owned());
        }
        if let Measure::Parameter(Parameter { parameter, .. }) = &self.measure {
            let steps = parameter.split('/').count() - 1;
            if !parameter.starts_with('/') || steps > STEPS_MAX || parameter.chars().count() > TEXT_MAX {
                let message = format!(
                    "must be a JSON pointer into the parameters, such as /size_gb, of at most {TEXT_MAX} characters"
                );
                say("/measure/parameter", message);
            }
        }
        found
    }

    /// How much there may be.
    pub fn most(&self) -> Amount {
        Amount::of(self.limit).unwrap_or_default()
    }

    /// Whether it is about such instances.
    pub fn counts(&self, offering: &str, plan: &str) -> bool {
        let is = |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|wanted| wanted == name);
        is(&self.offering, offering) && is(&self.plan, plan)
    }

    /// How much of it such an instance needs; nothing where it is not about it.
    ///
    /// # Errors
    /// [`Unmeasured`] where the parameters don't say.
    pub fn needs(&self, subject: &Subject<'_>) -> Result<Amount, Unmeasured> {
        if !self.counts(subject.offering, subject.plan) {
            return Ok(Amount::ZERO);
        }
        match &self.measure {
            Measure::Count(_) => Ok(Amount::ONE),
            Measure::Parameter(parameter) => parameter.measure(subject),
        }
    }
}

impl Parameter {
    fn measure(&self, subject: &Subject<'_>) -> Result<Amount, Unmeasured> {
        let given = find(subject.parameters, &self.parameter).filter(|value| !value.is_null());
        let value = given.or_else(|| default_at(subject.schema?, &self.parameter));
        let value = value.ok_or_else(|| Unmeasured::Missing(self.parameter.clone()))?;
        match self.reads {
            None => number(value).and_then(Amount::of).ok_or_else(|| Unmeasured::Number(self.parameter.clone())),
            Some(Reads::AddressesV4) => {
                let length = number(value).filter(|length| length.units() % Decimal::ONE_UNITS == 0);
                let length = length.and_then(|length| u32::try_from(length.units() / Decimal::ONE_UNITS).ok());
                let length = length.filter(|length| *length <= 32);
                let length = length.ok_or_else(|| Unmeasured::Prefix(self.parameter.clone()))?;
                Ok(Amount((1_i64 << (32 - length)) * ONE))
            }
        }
    }
}

/// A number, or one in a string.
fn number(value: &Value) -> Option<Decimal> {
    match value {
        // Exactly: what has more digits than a decimal is none.
        Value::Number(number) => {
            let text = number.to_string();
            let nearest = Decimal::nearest(&text).ok()?;
            let plain = !text.contains(['e', 'E']);
            if plain { text.parse().ok() } else { Some(nearest) }
        }
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn steps(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"))
}

/// What stands at a place in parameters.
pub fn find<'a>(parameters: &'a osb::Object, pointer: &str) -> Option<&'a Value> {
    let mut steps = steps(pointer);
    let first = parameters.get(&steps.next()?)?;
    steps.try_fold(first, |at, step| match at {
        Value::Object(fields) => fields.get(&step),
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

/// What a schema says that stands at a place where nothing is said.
fn default_at<'a>(schema: &'a Value, pointer: &str) -> Option<&'a Value> {
    let property = steps(pointer).try_fold(schema, |at, step| at.get("properties")?.get(&step))?;
    property.get("default").filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn quota(measure: Value) -> QuotaDocument {
        serde_json::from_value(json!({"tenant": "t", "offering": "db", "limit": "20", "measure": measure})).unwrap()
    }

    #[track_caller]
    fn needs(measure: Value, parameters: Value, expected: Result<&str, Unmeasured>) {
        let schema = json!({"properties": {
            "size": {"default": 5}, "net": {"properties": {"length": {"default": 28}}}, "none": {"default": null},
        }});
        let subject =
            Subject { offering: "db", plan: "p", parameters: parameters.as_object().unwrap(), schema: Some(&schema) };
        let found = quota(measure).needs(&subject).map(|amount| amount.to_string());
        assert_eq!(found, expected.map(str::to_owned), "{parameters}");
    }

    #[test]
    fn an_order_needs_what_it_says_or_its_plan_says_for_it() {
        needs(json!("count"), json!({}), Ok("1"));
        let size = json!({"parameter": "/size"});
        needs(size.clone(), json!({}), Ok("5"));
        needs(size.clone(), json!({"size": null}), Ok("5"));
        for (given, expected) in
            [("20", "20"), ("0.5", "0.5"), ("\"12.000001\"", "12.000001"), ("2e2", "200"), ("0", "0")]
        {
            let parameters = serde_json::from_str(&format!("{{\"size\": {given}}}")).unwrap();
            needs(size.clone(), parameters, Ok(expected));
        }
        let wrong = || Unmeasured::Number("/size".to_owned());
        for given in ["-1", "\"much\"", "[]", "true", "0.0000001", "0.30000000000000004", "1e18", "1000000000001"] {
            let parameters = serde_json::from_str(&format!("{{\"size\": {given}}}")).unwrap();
            needs(size.clone(), parameters, Err(wrong()));
        }
        for missing in ["/none", "/nothing", "/size/deeper"] {
            needs(json!({"parameter": missing}), json!({}), Err(Unmeasured::Missing(missing.to_owned())));
        }
    }

    #[test]
    fn a_prefix_needs_its_addresses() {
        let length = json!({"parameter": "/net/length", "as": "addresses_v4"});
        needs(length.clone(), json!({}), Ok("16"));
        for (given, expected) in [(24, "256"), (32, "1"), (0, "4294967296")] {
            needs(length.clone(), json!({"net": {"length": given}}), Ok(expected));
        }
        for given in [json!(33), json!(-1), json!(24.5), json!("x")] {
            needs(length.clone(), json!({"net": {"length": given}}), Err(Unmeasured::Prefix("/net/length".into())));
        }
    }

    #[test]
    fn a_quota_is_about_what_it_names_and_about_all_where_it_names_nothing() {
        let mut quota = quota(json!("count"));
        let parameters = osb::Object::new();
        let needs = |quota: &QuotaDocument, offering, plan| {
            quota.needs(&Subject { offering, plan, parameters: &parameters, schema: None }).unwrap()
        };
        assert_eq!(needs(&quota, "other", "p"), Amount::ZERO);
        quota.plan = Some("p".to_owned());
        assert_eq!((needs(&quota, "db", "p"), needs(&quota, "db", "q")), (Amount::ONE, Amount::ZERO));
        quota.offering = None;
        assert_eq!(needs(&quota, "other", "p"), Amount::ONE);
    }

    #[test]
    fn what_is_wrong_with_a_quota_is_told_with_its_place() {
        let document = json!({"tenant": "t", "limit": "0.0000001", "plan": " ", "measure": {"parameter": "size"}});
        let document: QuotaDocument = serde_json::from_value(document).unwrap();
        let places: Vec<_> = document.problems().into_iter().map(|(pointer, _)| pointer).collect();
        assert_eq!(places, ["/plan", "/limit", "/measure/parameter"]);
        assert!(quota(json!({"parameter": "/a/b"})).problems().is_empty());
        assert_eq!(serde_json::to_value(quota(json!("count"))).unwrap()["measure"], "count");
        assert!(serde_json::from_value::<Measure>(json!("sum")).is_err());
    }

    proptest! {
        #[test]
        fn an_amount_is_shown_as_it_was_written(whole in 0_i64..1_000_000_000_000, part in 0_u32..1_000_000) {
            let text = format!("{whole}.{part:06}");
            let decimal: Decimal = text.parse().unwrap();
            prop_assert_eq!(Amount::of(decimal).unwrap().to_string(), decimal.to_string());
        }
    }
}

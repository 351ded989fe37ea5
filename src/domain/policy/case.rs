//! What is judged, in Cedar's terms: who does what with which plan, for which tenant and with which parameters.
//!
//! JSON becomes records, sets, strings, booleans and longs. A number that is no whole one of 64 bits is a `decimal` where it has at most
//! four digits after the point and fits one, else the string of its digits: compared as a number, that is an error, and an error
//! refuses. `null` is left out.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression as Expression,
};
use serde_json::Value;

use crate::domain::catalog::PlanEntry;
use crate::domain::decimal::{Decimal, Exact, rounded};
use crate::domain::tenant::Tenant;

/// Digits after the point of Cedar's decimals.
const PLACES: u32 = 4;
/// Units of a [`Decimal`] in the last of them.
const UNITS: i128 = Decimal::ONE_UNITS / 10_000;
/// How deep values are looked at.
const DEPTH_MAX: usize = 32;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A new instance.
    Order,
    /// A change of plan or parameters.
    Update,
    /// A new binding.
    Bind,
    /// The end of an instance.
    Delete,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Order, Self::Update, Self::Bind, Self::Delete];

    /// Its word in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Update => "update",
            Self::Bind => "bind",
            Self::Delete => "delete",
        }
    }

    pub(super) fn uid(self) -> Option<EntityUid> {
        uid("Action", self.as_str()).ok()
    }
}

/// Who does it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A person, by name.
    User(String),
    /// A program with a token of its own, by name.
    ServiceAccount(String),
    /// A platform, by name and kind.
    Platform(String, &'static str),
}

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// What is done.
    pub action: Action,
    /// Who does it.
    pub principal: &'a Principal,
    /// For whom.
    pub tenant: &'a Tenant,
    /// With which plan: of an update, that from then on.
    pub plan: &'a PlanEntry,
    /// The plan before, by name.
    pub previous_plan: Option<&'a str>,
    /// As they are sent to the broker, but for references, which are names here.
    pub parameters: &'a osb::Object,
    /// What a month costs, and its currency, where that was asked for and is known.
    pub price: Option<(&'a Exact, &'a str)>,
}

/// A case as Cedar has it.
pub(super) struct Asked {
    pub(super) principal: EntityUid,
    pub(super) action: EntityUid,
    pub(super) resource: EntityUid,
    pub(super) context: Context,
    pub(super) entities: Entities,
}

type Fields = Vec<(String, Expression)>;

impl Case<'_> {
    pub(super) fn asked(&self) -> Result<Asked, String> {
        let principal = match self.principal {
            Principal::User(name) => entity(uid("User", name)?, vec![text("name", name)], None)?,
            Principal::ServiceAccount(name) => entity(uid("ServiceAccount", name)?, vec![text("name", name)], None)?,
            Principal::Platform(name, kind) => {
                entity(uid("Platform", name)?, vec![text("name", name), text("kind", kind)], None)?
            }
        };
        let offering =
            entity(uid("Offering", &self.plan.offering_name)?, vec![text("name", &self.plan.offering_name)], None)?;
        let plan = self.resource(&offering.uid())?;
        let tenant = self.owner()?;
        let mut context = vec![
            ("tenant".to_owned(), Expression::new_entity_uid(tenant.uid())),
            ("parameters".to_owned(), record(self.parameters, 0)?),
        ];
        context.extend(self.previous_plan.map(|plan| text("previous_plan", plan)));
        if let Some((price, currency)) = self.price {
            context.push(("price_per_month".to_owned(), Expression::new_decimal(rounded(price, PLACES))));
            context.push(text("currency", currency));
        }
        let asked = (principal.uid(), plan.uid());
        let entities = Entities::from_entities([principal, offering, plan, tenant], None);
        Ok(Asked {
            principal: asked.0,
            action: self.action.uid().ok_or("no such action")?,
            resource: asked.1,
            context: Context::from_pairs(context).map_err(|error| error.to_string())?,
            entities: entities.map_err(|error| error.to_string())?,
        })
    }

    fn resource(&self, offering: &EntityUid) -> Result<Entity, String> {
        let plan = self.plan;
        let metadata = plan.plan.metadata.as_option().cloned().unwrap_or_default();
        let controls =
            strings(metadata.get("controls").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str));
        let tags = plan.offering.tags.as_option().cloned().unwrap_or_default();
        let attributes = vec![
            text("name", &plan.plan_name),
            text("offering", &plan.offering_name),
            text("broker", &plan.broker_name),
            ("free".to_owned(), Expression::new_bool(plan.plan.free.as_option().copied().unwrap_or(true))),
            ("bindable".to_owned(), Expression::new_bool(plan.bindable())),
            ("tags".to_owned(), strings(tags.iter().map(String::as_str))),
            ("controls".to_owned(), controls),
            ("metadata".to_owned(), record(&metadata, 0)?),
        ];
        let id = format!("{}/{}", plan.offering_name, plan.plan_name);
        entity(uid("Plan", &id)?, attributes, Some(offering.clone()))
    }

    fn owner(&self) -> Result<Entity, String> {
        let said = &self.tenant.document;
        let labels = said.labels.iter().map(|(key, value)| text(key, value));
        let labels = Expression::new_record(labels).map_err(|error| error.to_string())?;
        let attributes = vec![
            text("name", &self.tenant.name),
            text("display_name", &said.display_name),
            text("cost_center", &said.cost_center),
            text("business_unit", &said.business_unit),
            text("environment", &said.environment),
            text("owner", &said.owner),
            ("groups".to_owned(), strings(said.groups.iter().map(String::as_str))),
            ("labels".to_owned(), labels),
        ];
        entity(uid("Tenant", &self.tenant.name)?, attributes, None)
    }
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    let kind = EntityTypeName::from_str(&format!("Bourse::{kind}")).map_err(|error| error.to_string())?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

fn entity(uid: EntityUid, attributes: Fields, parent: Option<EntityUid>) -> Result<Entity, String> {
    let attributes: HashMap<_, _> = attributes.into_iter().collect();
    let parents: HashSet<_> = parent.into_iter().collect();
    Entity::new(uid, attributes, parents).map_err(|error| error.to_string())
}

fn text(key: &str, value: &str) -> (String, Expression) {
    (key.to_owned(), Expression::new_string(value.to_owned()))
}

fn strings<'a>(values: impl Iterator<Item = &'a str>) -> Expression {
    Expression::new_set(values.map(|value| Expression::new_string(value.to_owned())))
}

fn record(fields: &osb::Object, depth: usize) -> Result<Expression, String> {
    let mut all = Fields::new();
    for (key, value) in fields {
        all.extend(expression(value, depth)?.map(|value| (key.clone(), value)));
    }
    Expression::new_record(all).map_err(|error| error.to_string())
}

/// `None` for `null`.
fn expression(value: &Value, depth: usize) -> Result<Option<Expression>, String> {
    if depth > DEPTH_MAX {
        return Err(format!("parameters are more than {DEPTH_MAX} levels deep"));
    }
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::Bool(value) => Expression::new_bool(*value),
        Value::String(value) => Expression::new_string(value.clone()),
        Value::Number(number) => quantity(&number.to_string()),
        Value::Object(fields) => record(fields, depth + 1)?,
        Value::Array(items) => {
            let mut all = Vec::with_capacity(items.len());
            for item in items {
                all.extend(expression(item, depth + 1)?);
            }
            Expression::new_set(all)
        }
    }))
}

fn quantity(digits: &str) -> Expression {
    if let Ok(whole) = digits.parse::<i64>() {
        return Expression::new_long(whole);
    }
    let exact =
        if digits.contains(['e', 'E']) { Decimal::nearest(digits).ok() } else { digits.parse::<Decimal>().ok() };
    let Some(decimal) = exact else { return Expression::new_string(digits.to_owned()) };
    let units = decimal.units();
    if units % Decimal::ONE_UNITS == 0
        && let Ok(whole) = i64::try_from(units / Decimal::ONE_UNITS)
    {
        return Expression::new_long(whole);
    }
    // Cedar keeps a decimal in 64 bits, in ten-thousandths.
    if units % UNITS == 0 && i64::try_from(units / UNITS).is_ok() {
        return Expression::new_decimal(rounded(&decimal.exact(), PLACES));
    }
    Expression::new_string(digits.to_owned())
}

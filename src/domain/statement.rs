//! A statement: what a tenant's month costs, line by line, and what has changed of months that were closed before. It is made
//! of sums that were computed elsewhere ([`super::rating`]) and knows how they are ordered, rounded and compared.
//!
//! Invariant: the same facts give the same bytes. Lines are rounded once, half-even; totals are sums of rounded lines, so that
//! whoever adds them up gets what is printed.

use std::collections::{BTreeMap, BTreeSet};

use num_traits::Zero as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::decimal::{Exact, minor_digits, plain, read, rounded, zero};
use super::meter::{INSTANCE, SETUP};
use super::period::Month;
use super::price::Rule;
use super::tenant::TenantDocument;
use crate::clock::Time;

/// How final a statement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The month is under way.
    Preview,
    /// The month is over; usage that comes late still changes it.
    Grace,
    /// For ever the same. What comes later is in later statements.
    Closed,
}

impl State {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preview => "preview",
            Self::Grace => "grace",
            Self::Closed => "closed",
        }
    }
}

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Statement {
    /// Whose.
    pub tenant: StatedTenant,
    /// The month.
    #[schema(value_type = String)]
    pub period: Month,
    /// How final it is.
    pub state: State,
    /// The month's first instant.
    #[schema(value_type = String, format = DateTime)]
    pub from: Time,
    /// The next month's first instant.
    #[schema(value_type = String, format = DateTime)]
    pub to: Time,
    /// Whose midnights these are.
    pub time_zone: String,
    /// What was recorded later is not in it.
    #[schema(value_type = String, format = DateTime)]
    pub known_at: Time,
    /// Of all amounts; `null` while there is no price book.
    pub currency: Option<String>,
    /// Those of the month, then corrections of months that were closed before.
    pub lines: Vec<Line>,
    /// The lines' amounts by cost center.
    pub subtotals: Vec<Subtotal>,
    /// The sum of the lines' amounts; `null` where there is no currency.
    pub total: Option<String>,
    /// What was used and has no price. It is in no amount.
    pub unpriced: Vec<UnpricedLine>,
}

/// Whose statement it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatedTenant {
    /// For ever the same.
    pub id: String,
    /// Its name.
    pub name: String,
    /// For people, as it was at the month's end.
    pub display_name: String,
}

/// What one meter of one instance comes to, under one price and for one cost center.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Line {
    /// What was used.
    #[serde(flatten)]
    pub what: What,
    /// How much, or by how much it has changed.
    pub quantity: String,
    /// What that costs, rounded to the currency's minor unit.
    pub amount: String,
    /// The price that was in force at the time of use.
    pub price: StatedPrice,
    /// The first instant that it is about.
    #[schema(value_type = String, format = DateTime)]
    pub from: Time,
    /// The first instant after that.
    #[schema(value_type = String, format = DateTime)]
    pub to: Time,
    /// Where the events behind it are told.
    pub events: String,
}

/// What was used and has no price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnpricedLine {
    /// What was used.
    #[serde(flatten)]
    pub what: What,
    /// How much, or by how much it has changed.
    pub quantity: String,
    /// The first instant that it is about.
    #[schema(value_type = String, format = DateTime)]
    pub from: Time,
    /// The first instant after that.
    #[schema(value_type = String, format = DateTime)]
    pub to: Time,
    /// Where the events behind it are told.
    pub events: String,
}

/// What was used, by whom, and where its costs go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct What {
    /// The month that it corrects, of a correction.
    #[schema(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<Month>,
    /// The tenant's cost center at the time of use.
    pub cost_center: String,
    /// The tenant's business unit at the time of use.
    pub business_unit: String,
    /// The tenant's environment at the time of use.
    pub environment: String,
    /// The tenant's labels at the time of use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Bourse's own id of the instance.
    pub instance_id: String,
    /// What people call the instance, where it has a name.
    pub instance_name: Option<String>,
    /// The platform's id of the instance.
    pub platform_instance_id: String,
    /// The service offering.
    pub offering: String,
    /// The service plan.
    pub plan: String,
    /// The meter's key.
    pub meter: String,
    /// Of what the quantity is.
    pub unit: String,
}

/// A rule of a price book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatedPrice {
    /// The book's id.
    pub book: String,
    /// The rule, as it stands there.
    pub rule: Rule,
}

/// The lines of one cost center together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Subtotal {
    /// The cost center.
    pub cost_center: String,
    /// The sum of its lines' amounts.
    pub amount: String,
}

/// What a line is known by: the same thing at the same price is one line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    what: What,
    /// The book's id and the rule as JSON; none of what has no price.
    price: Option<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Sum {
    quantity: Exact,
    amount: Exact,
    from: Time,
    to: Time,
    rule: Option<Rule>,
}

/// The sums of a month, by line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums(BTreeMap<Key, Sum>);

/// A part of a line, not rounded.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// The price; none where there is none.
    pub price: Option<(&'a str, &'a Rule)>,
    /// How much.
    pub quantity: &'a Exact,
    /// What that costs.
    pub amount: &'a Exact,
    /// Its first instant.
    pub from: Time,
    /// The first instant after it.
    pub to: Time,
}

impl What {
    /// Of a tenant as it was then; the rest is filled in by the caller.
    pub fn of(said: &TenantDocument) -> Self {
        Self {
            corrects: None,
            cost_center: said.cost_center.clone(),
            business_unit: said.business_unit.clone(),
            environment: said.environment.clone(),
            labels: said.labels.clone(),
            instance_id: String::new(),
            instance_name: None,
            platform_instance_id: String::new(),
            offering: String::new(),
            plan: String::new(),
            meter: String::new(),
            unit: String::new(),
        }
    }

    /// Where the events behind it are told.
    fn events(&self, from: Time, to: Time) -> String {
        if self.meter == INSTANCE || self.meter == SETUP {
            return format!("/api/v1/instances/{}", escaped(&self.instance_id));
        }
        let meter = escaped(&self.meter);
        format!("/api/v1/usage/events?instance={}&meter={meter}&from={from}&to={to}", escaped(&self.instance_id))
    }
}

impl Sums {
    /// Adds a part to its line.
    pub fn add(&mut self, what: What, part: &Part<'_>) {
        let price = part.price.map(|(book, rule)| (book.to_owned(), serde_json::json!(rule).to_string()));
        let new = || Sum {
            quantity: zero(),
            amount: zero(),
            from: part.from,
            to: part.to,
            rule: part.price.map(|(_, rule)| rule.clone()),
        };
        let sum = self.0.entry(Key { what, price }).or_insert_with(new);
        sum.quantity += part.quantity;
        sum.amount += part.amount;
        sum.from = sum.from.min(part.from);
        sum.to = sum.to.max(part.to);
    }

    /// The same, each rounded as a line is.
    #[must_use]
    pub fn rounded(mut self, currency: Option<&str>) -> Self {
        let digits = minor_digits(currency.unwrap_or_default());
        for sum in self.0.values_mut() {
            sum.quantity = read(&plain(&sum.quantity)).unwrap_or_default();
            sum.amount = read(&rounded(&sum.amount, digits)).unwrap_or_default();
        }
        self.without_nothing()
    }

    /// What is to be added to `stated` so that it says the same as this, as corrections of `month`.
    #[must_use]
    pub fn corrections(mut self, stated: Self, month: Month) -> Self {
        for (key, before) in stated.0 {
            match self.0.get_mut(&key) {
                Some(sum) => {
                    sum.quantity -= before.quantity;
                    sum.amount -= before.amount;
                }
                None => {
                    let vanished = Sum { quantity: -before.quantity, amount: -before.amount, ..before };
                    self.0.insert(key, vanished);
                }
            }
        }
        let correction =
            |(key, sum): (Key, Sum)| (Key { what: What { corrects: Some(month), ..key.what }, ..key }, sum);
        Self(self.0.into_iter().map(correction).collect()).without_nothing()
    }

    /// Adds what another one says to each line.
    pub fn add_all(&mut self, other: Self) {
        for (key, sum) in other.0 {
            match self.0.get_mut(&key) {
                Some(there) => {
                    there.quantity += sum.quantity;
                    there.amount += sum.amount;
                    (there.from, there.to) = (there.from.min(sum.from), there.to.max(sum.to));
                }
                None => drop(self.0.insert(key, sum)),
            }
        }
    }

    /// Keeps what is said of those instances.
    pub fn retain(&mut self, instances: &BTreeSet<String>) {
        self.0.retain(|key, _| instances.contains(&key.what.instance_id));
    }

    fn without_nothing(mut self) -> Self {
        self.0.retain(|_, sum| !sum.quantity.is_zero() || !sum.amount.is_zero());
        self
    }

    /// Its lines, those without a price beside the others, with subtotals and the total.
    pub fn stated(self, currency: Option<&str>) -> Stated {
        let digits = minor_digits(currency.unwrap_or_default());
        let (mut stated, mut total, mut by_center) = (Stated::default(), zero(), BTreeMap::<String, Exact>::new());
        for (Key { what, price }, sum) in self.0 {
            let (quantity, from, to) = (plain(&sum.quantity), sum.from, sum.to);
            let events = what.events(from, to);
            let Some(((book, _), rule)) = price.zip(sum.rule) else {
                stated.unpriced.push(UnpricedLine { what, quantity, from, to, events });
                continue;
            };
            total += &sum.amount;
            *by_center.entry(what.cost_center.clone()).or_default() += &sum.amount;
            let (amount, price) = (rounded(&sum.amount, digits), StatedPrice { book, rule });
            stated.lines.push(Line { what, quantity, amount, price, from, to, events });
        }
        let subtotal = |(cost_center, amount)| Subtotal { cost_center, amount: rounded(&amount, digits) };
        stated.subtotals = by_center.into_iter().map(subtotal).collect();
        stated.total = currency.map(|_| rounded(&total, digits));
        stated
    }
}

/// The lines of a statement and what they come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stated {
    /// What has a price.
    pub lines: Vec<Line>,
    /// By cost center.
    pub subtotals: Vec<Subtotal>,
    /// Of all lines.
    pub total: Option<String>,
    /// What has none.
    pub unpriced: Vec<UnpricedLine>,
}

impl Statement {
    /// What it says of each month: its own, and those that it corrects.
    pub fn by_month(&self) -> BTreeMap<Month, Sums> {
        let mut months = BTreeMap::<Month, Sums>::new();
        let number = |text: &str| read(text).unwrap_or_default();
        let own = |what: &What| What { corrects: None, ..what.clone() };
        for line in &self.lines {
            let price = Some((line.price.book.as_str(), &line.price.rule));
            let (quantity, amount) = (number(&line.quantity), number(&line.amount));
            let part = Part { price, quantity: &quantity, amount: &amount, from: line.from, to: line.to };
            months.entry(line.what.corrects.unwrap_or(self.period)).or_default().add(own(&line.what), &part);
        }
        for line in &self.unpriced {
            let quantity = number(&line.quantity);
            let part = Part { price: None, quantity: &quantity, amount: &zero(), from: line.from, to: line.to };
            months.entry(line.what.corrects.unwrap_or(self.period)).or_default().add(own(&line.what), &part);
        }
        months
    }

    /// Its bytes: JSON with the fields in their order, nothing between them, a line break at the end.
    pub fn bytes(&self) -> String {
        let mut text = serde_json::to_string(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// A text within a query (RFC 3986).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

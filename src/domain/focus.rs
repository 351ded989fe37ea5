//! Charges as rows of FOCUS, the FinOps Open Cost and Usage Specification, versions 1.0 and 1.2, in CSV. Which columns there are
//! and where each comes from is the table in [`columns`].
//!
//! It reads nothing and rates nothing: a [`Charge`] comes with its amount as the statement has it, and that amount is its
//! `BilledCost`, so the rows of a statement add up to the statement. Each unit price times its quantity is the cost beside it, to
//! the last digit that is written.

mod category;
mod columns;
mod csv;
mod terms;
mod unit;

use std::collections::BTreeMap;
use std::ops::Range;
use std::str::FromStr;

pub use category::{Category, METADATA};
pub use terms::Kind;

use super::decimal::Exact;
use super::period::Month;
use super::price::Rule;
use crate::clock::Time;

/// Which columns a row has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// FOCUS 1.0, and behind its columns the five that `focus-validator` 1.0.0 asks for by other names than the specification.
    V1_0,
    /// FOCUS 1.0 without those five.
    V1_0Strict,
    /// FOCUS 1.2.
    V1_2,
}

/// Why a text is no [`Version`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1.0 or 1.2")]
pub struct VersionError;

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        match text {
            "1.0" => Ok(Self::V1_0),
            "1.2" => Ok(Self::V1_2),
            _ => Err(VersionError),
        }
    }
}

/// What a tenant was said to be when the charge came about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// For ever the same.
    pub id: String,
    /// For people.
    pub name: String,
    /// Where its costs go; empty where nobody said.
    pub cost_center: String,
    /// Whom it belongs to; empty where nobody said.
    pub business_unit: String,
    /// Such as `production`; empty where nobody said.
    pub environment: String,
    /// Free words.
    pub labels: BTreeMap<String, String>,
}

/// What was used or bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The offering's name in the merged catalog.
    pub offering: String,
    /// The plan's name.
    pub plan: String,
    /// What the offering says of itself.
    pub details: ServiceDetails,
}

/// What an offering says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceDetails {
    /// Who makes it.
    pub publisher: String,
    /// What kind of service it is.
    pub category: Category,
    /// Where it runs, where that is known.
    pub region: Option<String>,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The meter's key.
    pub meter: String,
    /// Its unit, as the plan says it.
    pub unit: String,
    /// Whether the quantity is in hours of that unit.
    pub time_weighted: bool,
    /// How much; of a correction, how much more.
    pub quantity: Exact,
}

/// The rule that the amount follows from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priced {
    /// The book's id.
    pub book: String,
    /// The rule, as it stands there.
    pub rule: Rule,
}

/// One line of a statement, with everything that a row needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The hub's name: who bills.
    pub hub: String,
    /// Who pays.
    pub account: Account,
    /// The instance's id.
    pub instance_id: String,
    /// The instance's name, where it has one.
    pub instance_name: Option<String>,
    /// What it is an instance of.
    pub service: Service,
    /// What was measured of it.
    pub measured: Measured,
    /// The price; `None` is usage that has no price.
    pub priced: Option<Priced>,
    /// ISO 4217.
    pub currency: String,
    /// The amount as the statement has it.
    pub billed: String,
    /// The month of the statement.
    pub billing: Range<Time>,
    /// When it came about.
    pub period: Range<Time>,
    /// The month that it corrects, which an earlier statement was about.
    pub corrects: Option<Month>,
    /// The statement's id, where there is a statement: an open month has none.
    pub statement: Option<String>,
}

/// The first line: the columns' names.
pub fn header(version: Version) -> String {
    csv::line(columns::of(version).map(|column| Some(column.name.to_owned())))
}

/// A charge's line.
pub fn line(charge: &Charge, version: Version) -> String {
    let row = columns::Row { charge, terms: terms::Terms::of(charge) };
    csv::line(columns::of(version).map(|column| (column.value)(&row)))
}

#[cfg(test)]
mod tests;

//! What NetBox says of a prefix or an address, and how it is known to be a network's.
//!
//! Pure. Invariant: whose an object is shows by its mark being exactly right, whatever a filter let through: NetBox takes a
//! filter that it doesn't know for none at all.

use std::str::FromStr;

use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Where the mark stands in NetBox's objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// In `description`: needs no preparation, but people can edit it away.
    Description,
    /// In a custom field of type text for prefixes and addresses. With "must be unique", NetBox itself refuses to allocate twice.
    CustomField(String),
}

impl FromStr for Mark {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "description" => Ok(Self::Description),
            Some(("custom_field", name)) if is_field_name(name) => Ok(Self::CustomField(name.to_owned())),
            _ => Err(format!("`{text}` is neither `description` nor `custom_field:NAME`")),
        }
    }
}

fn is_field_name(name: &str) -> bool {
    (1..=50).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Mark {
    /// The parameter that filters by it.
    pub(super) fn filter(&self) -> String {
        match self {
            Self::Description => "description".to_owned(),
            Self::CustomField(name) => format!("cf_{name}"),
        }
    }

    /// Puts a mark on an object that is to be added; what people shall read goes beside it.
    pub(super) fn put(&self, body: &mut Map<String, Value>, mark: &str, text: &str) {
        match self {
            Self::Description => {
                body.insert("description".to_owned(), mark.into());
            }
            Self::CustomField(name) => {
                let mut fields = Map::new();
                fields.insert(name.clone(), mark.into());
                body.insert("custom_fields".to_owned(), fields.into());
            }
        }
        body.insert("comments".to_owned(), text.into());
    }

    /// The mark on an object.
    fn of<'a>(&self, record: &'a Record) -> Option<&'a str> {
        match self {
            Self::Description => Some(&record.description),
            Self::CustomField(name) => record.custom_fields.get(name)?.as_str(),
        }
    }

    pub(super) fn is_on(&self, record: &Record, mark: &str) -> bool {
        self.of(record) == Some(mark)
    }
}

/// A prefix or an address.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Record {
    /// Later ones have greater ids.
    pub(super) id: u64,
    #[serde(alias = "prefix", alias = "address")]
    pub(super) range: String,
    status: Choice,
    vrf: Option<Nested>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    custom_fields: Map<String, Value>,
}

#[derive(Clone, Debug, Deserialize)]
struct Choice {
    value: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Nested {
    id: u64,
}

impl Record {
    pub(super) fn status(&self) -> &str {
        &self.status.value
    }

    /// Whether it is that range, however it is written.
    pub(super) fn is(&self, range: &str) -> bool {
        let parse = |text: &str| text.parse::<IpNet>().ok();
        parse(&self.range).is_some_and(|own| Some(own) == parse(range))
    }

    pub(super) fn vrf(&self) -> Option<u64> {
        self.vrf.as_ref().map(|vrf| vrf.id)
    }
}

/// What NetBox holds under one mark.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The oldest: the only one that anybody was ever told of.
    pub(super) first: Option<Record>,
    /// Those that came of an addition whose answer was lost: nobody has confirmed them.
    pub(super) surplus: Vec<Record>,
    /// Those that somebody else must have marked, for instance by cloning: they are left alone.
    pub(super) foreign: Vec<Record>,
}

impl Held {
    pub(super) fn of(mut records: Vec<Record>) -> Self {
        records.sort_by_key(|record| record.id);
        let mut records = records.into_iter();
        let first = records.next();
        let (surplus, foreign) = records.partition(|record| record.status() == RESERVED);
        Self { first, surplus, foreign }
    }
}

/// Allocated, and not yet confirmed.
pub(super) const RESERVED: &str = "reserved";
/// In use.
pub(super) const ACTIVE: &str = "active";
/// Given back, and resting.
pub(super) const DEPRECATED: &str = "deprecated";

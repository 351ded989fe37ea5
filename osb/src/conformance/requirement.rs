//! The requirements of OSB 2.17, as data: `osb/requirements.tsv`, one row each, under an id that tests and reports carry.
//!
//! The sentences are our own; the section says where the specification's words are. Nothing here judges anything.
//! Ids are for ever: a row may be reworded, never renumbered.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

const TABLE: &str = include_str!("../../requirements.tsv");
const SPECIFICATION: &str = "https://github.com/openservicebrokerapi/servicebroker/blob/v2.17/";

/// Whom a requirement binds. A row may have several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// A service broker, towards platforms.
    Broker,
    /// A platform, towards brokers.
    Platform,
    /// Who is both, and has to pass on what it doesn't know.
    Transparency,
}

/// How strong a requirement is, in the specification's own words where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Level {
    /// Binding.
    #[serde(rename = "MUST")]
    Must,
    /// Binding: what is never to be done.
    #[serde(rename = "MUST NOT")]
    MustNot,
    /// The type or meaning of a field, said without a key word. Binding: a value of another type is not that field.
    #[serde(rename = "FORM")]
    Form,
    /// To be done without a good reason not to.
    #[serde(rename = "SHOULD")]
    Should,
    /// Not to be done without a good reason.
    #[serde(rename = "SHOULD NOT")]
    ShouldNot,
    /// Advice.
    #[serde(rename = "RECOMMENDED")]
    Recommended,
    /// A choice, each side of which is right.
    #[serde(rename = "MAY")]
    May,
    /// The specification says nothing, or two things; the row says what is usual.
    #[serde(rename = "SILENT")]
    Silent,
    /// Follows for who is a broker and a platform at once; no text of the specification.
    #[serde(rename = "DER")]
    Derived,
}

impl Level {
    /// Every level, the strongest first.
    pub const ALL: [Self; 9] = [
        Self::Must,
        Self::MustNot,
        Self::Form,
        Self::Should,
        Self::ShouldNot,
        Self::Recommended,
        Self::May,
        Self::Silent,
        Self::Derived,
    ];

    /// Whether who breaks it does not conform.
    pub fn binds(self) -> bool {
        matches!(self, Self::Must | Self::MustNot | Self::Form)
    }

    /// As it stands in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::MustNot => "MUST NOT",
            Self::Form => "FORM",
            Self::Should => "SHOULD",
            Self::ShouldNot => "SHOULD NOT",
            Self::Recommended => "RECOMMENDED",
            Self::May => "MAY",
            Self::Silent => "SILENT",
            Self::Derived => "DER",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Level {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::ALL.into_iter().find(|level| level.as_str() == text).ok_or(Malformed)
    }
}

/// What is no row, side or level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not of the form of requirements.tsv")]
pub struct Malformed;

/// One requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Such as `PRV-07`.
    pub id: &'static str,
    /// Whom it binds.
    pub sides: Vec<Side>,
    /// How strong it is.
    pub level: Level,
    /// Where the specification has it: file and heading.
    pub section: &'static str,
    /// What is required, in a sentence.
    pub text: &'static str,
}

impl Row {
    /// Whether it is one that a service broker has to keep, so that it can show from outside.
    pub fn is_for_brokers(&self) -> bool {
        self.sides.contains(&Side::Broker)
    }

    /// The section of the specification, as a link.
    pub fn link(&self) -> String {
        format!("{SPECIFICATION}{}", self.section)
    }

    fn parse(line: &'static str) -> Result<Self, Malformed> {
        let mut fields = line.split('\t');
        let mut next = || fields.next().filter(|field| !field.is_empty()).ok_or(Malformed);
        let (id, sides, level, section, text) = (next()?, next()?, next()?, next()?, next()?);
        let side = |letter| match letter {
            "B" => Ok(Side::Broker),
            "P" => Ok(Side::Platform),
            "T" => Ok(Side::Transparency),
            _ => Err(Malformed),
        };
        let sides = sides.split(',').map(side).collect::<Result<_, _>>()?;
        if fields.next().is_some() {
            return Err(Malformed);
        }
        Ok(Self { id, sides, level: level.parse()?, section, text })
    }
}

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| TABLE.lines().skip(1).flat_map(Row::parse).collect());

/// All requirements, in the specification's order. A unit test holds that no line of the table is left out.
pub fn rows() -> &'static [Row] {
    &ROWS
}

/// The requirement with that id.
pub fn row(id: &str) -> Option<&'static Row> {
    rows().iter().find(|row| row.id == id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_line_of_the_table_is_a_row() {
        for line in TABLE.lines().skip(1) {
            assert!(Row::parse(line).is_ok(), "{line}");
        }
        assert_eq!(TABLE.lines().next(), Some("id\tside\tlevel\tsection\trequirement"));
        assert_eq!(rows().len(), 266);
    }

    #[test]
    fn ids_are_unique_and_of_one_form() {
        let ids: BTreeSet<_> = rows().iter().map(|row| row.id).collect();
        assert_eq!(ids.len(), rows().len());
        for id in ids {
            let (group, number) = id.split_once('-').unwrap();
            assert!(group.chars().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit()), "{id}");
            assert!(number.len() == 2 && number.parse::<u8>().is_ok(), "{id}");
        }
    }

    #[test]
    fn each_row_is_a_plain_sentence_with_a_link() {
        for row in rows() {
            assert!(row.text.ends_with('.') && !row.text.contains(['`', '*', '|']), "{}: {}", row.id, row.text);
            let (file, anchor) = row.section.split_once(".md#").unwrap();
            assert!(["spec", "profile"].contains(&file) && !anchor.is_empty(), "{}", row.id);
            assert!(row.link().starts_with("https://github.com/openservicebrokerapi/servicebroker/blob/v2.17/"));
        }
    }

    #[test]
    fn a_line_of_another_form_is_refused() {
        for line in ["", "A-01\tB\tMUST\tspec.md#a", "A-01\tX\tMUST\tspec.md#a\tb.", "A-01\tB\tmust\tspec.md#a\tb."] {
            assert_eq!(Row::parse(line), Err(Malformed), "{line}");
        }
        assert_eq!(row("PRV-07").unwrap().level, Level::Must);
        assert_eq!(row("PRV-99"), None);
    }
}

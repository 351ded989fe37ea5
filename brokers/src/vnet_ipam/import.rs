//! Ranges that are there already, read from a file: what must never be handed out, and networks that wait for their owners.
//!
//! Pure: reads CSV and finds overlaps inside the file. It deliberately does not know what the broker holds (see
//! `store::import`). Invariant: a file is read as a whole or refused with every line that is wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::parameters::{DEFAULT_DOMAIN, DESCRIPTION_MAX, is_name};
use super::prefix::{Prefix, Version};

/// How large a file may be, in bytes.
pub const FILE_BYTES: u64 = 16 * 1024 * 1024;
/// How many ranges a file may have.
pub const ROWS_MAX: usize = 100_000;
/// How many findings are told.
const FINDINGS_MAX: usize = 100;
const COLUMNS: [&str; 6] = ["cidr", "name", "kind", "routing_domain", "tenant", "description"];

/// What a range is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Somebody else's: never handed out.
    External,
    /// A network that is in use: an order for exactly this prefix takes it over.
    Network,
}

impl Kind {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::External => "external",
            Self::Network => "network",
        }
    }

    /// From how it is written.
    pub fn of(word: &str) -> Option<Self> {
        [Self::External, Self::Network].into_iter().find(|kind| kind.word() == word)
    }
}

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it stands, from 1.
    pub line: usize,
    /// The range.
    pub prefix: Prefix,
    /// What it is called; unique within its routing domain.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Where it must not overlap.
    pub routing_domain: String,
    /// The name of the tenant that may take a network over; `None`: whoever asks for it.
    pub tenant: Option<String>,
    /// For people.
    pub description: String,
}

/// Reads a file: a head with the names of the columns (`cidr` and `name` must be among them), then one range a line.
///
/// # Errors
/// All that is wrong with it, a sentence each, at most a hundred.
pub fn read(text: &str) -> Result<Vec<Row>, Vec<String>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let Some((_, head)) = lines.next() else { return Err(vec!["the file is empty".to_owned()]) };
    let columns = columns(head).map_err(|finding| vec![finding])?;
    let (mut rows, mut findings) = (Vec::new(), Vec::new());
    for (line, text) in lines {
        if rows.len() >= ROWS_MAX {
            findings.push(format!("there are more than {ROWS_MAX} ranges: split the file"));
            break;
        }
        match row(line, text, &columns) {
            Ok(row) => rows.push(row),
            Err(finding) => findings.push(format!("line {line}: {finding}")),
        }
        if findings.len() >= FINDINGS_MAX {
            break;
        }
    }
    findings.extend(overlaps(&rows));
    findings.truncate(FINDINGS_MAX);
    if findings.is_empty() { Ok(rows) } else { Err(findings) }
}

/// Which column each field of a line belongs to.
fn columns(head: &str) -> Result<Vec<&'static str>, String> {
    let mut columns = Vec::new();
    for name in fields(head)? {
        let known = COLUMNS.iter().find(|known| **known == name.trim());
        let known = known.ok_or_else(|| format!("column `{name}` is not known here: use {}", COLUMNS.join(", ")))?;
        if columns.contains(known) {
            return Err(format!("column `{known}` is there twice"));
        }
        columns.push(*known);
    }
    match ["cidr", "name"].iter().find(|needed| !columns.contains(needed)) {
        Some(missing) => Err(format!("column `{missing}` is missing: the first line names the columns")),
        None => Ok(columns),
    }
}

fn row(line: usize, text: &str, columns: &[&'static str]) -> Result<Row, String> {
    let fields = fields(text)?;
    if fields.len() != columns.len() {
        return Err(format!("{} fields, but {} columns", fields.len(), columns.len()));
    }
    let values: BTreeMap<&str, &str> = columns.iter().copied().zip(fields.iter().map(|field| field.trim())).collect();
    let value = |name: &str| values.get(name).copied().filter(|value| !value.is_empty());
    let prefix: Prefix = value("cidr").unwrap_or_default().parse().map_err(|error| format!("`cidr`: {error}"))?;
    let named = |name: &str, otherwise: &str| match value(name).unwrap_or(otherwise) {
        value if is_name(value) => Ok(value.to_owned()),
        value => Err(format!("`{name}` must be 1 to 63 of a-z, 0-9 and -, not `{value}`")),
    };
    let kind = value("kind").unwrap_or("external");
    let kind = Kind::of(kind).ok_or_else(|| format!("`kind` must be external or network, not `{kind}`"))?;
    let description = value("description").unwrap_or_default();
    if description.chars().count() > DESCRIPTION_MAX {
        return Err(format!("`description` must be at most {DESCRIPTION_MAX} characters long"));
    }
    let tenant = value("tenant").map(|_| named("tenant", "")).transpose()?;
    if tenant.is_some() && kind == Kind::External {
        return Err("`tenant` is for networks: nobody takes over what is external".to_owned());
    }
    Ok(Row {
        line,
        prefix,
        name: named("name", "")?,
        kind,
        routing_domain: named("routing_domain", DEFAULT_DOMAIN)?,
        tenant,
        description: description.to_owned(),
    })
}

/// The fields of a line: separated by commas, in double quotes where they hold one, a quote within them doubled.
fn fields(line: &str) -> Result<Vec<String>, String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.trim_end_matches('\r').chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => field.extend(characters.next()),
            '"' if quoted => quoted = false,
            '"' if field.trim().is_empty() => {
                field.clear();
                quoted = true;
            }
            '"' => return Err("a quote must begin its field".to_owned()),
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            character => field.push(character),
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    fields.push(field);
    Ok(fields)
}

/// A sentence for each range that overlaps another of the file, or is named like another.
fn overlaps(rows: &[Row]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut names = BTreeSet::new();
    let mut domains: BTreeMap<(&str, Version), Vec<&Row>> = BTreeMap::new();
    for row in rows {
        if !names.insert((&row.routing_domain, &row.name)) {
            findings.push(format!("line {}: `{}` is named twice in {}", row.line, row.name, row.routing_domain));
        }
        domains.entry((&row.routing_domain, row.prefix.version())).or_default().push(row);
    }
    for rows in domains.values_mut() {
        rows.sort_by_key(|row| (row.prefix.first(), row.prefix.length()));
        // The one before that reaches furthest: of two prefixes that touch, one always lies in the other.
        let mut widest: Option<&Row> = None;
        for row in rows {
            match widest {
                Some(wide) if wide.prefix.contains(row.prefix) => findings.push(format!(
                    "line {}: {} ({}) overlaps {} ({}) of line {}",
                    row.line, row.prefix, row.name, wide.prefix, wide.name, wide.line
                )),
                _ => widest = Some(row),
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(text: &str, findings: &[&str]) {
        let told = read(text).unwrap_err();
        assert_eq!(told.len(), findings.len(), "{told:?}");
        for (told, finding) in told.iter().zip(findings) {
            assert!(told.contains(finding), "{told}");
        }
    }

    #[test]
    fn a_file_is_read_with_its_columns_in_any_order_and_quotes_where_they_are_needed() {
        let text = "\u{feff}name,cidr,description,kind\r\n# from the old sheet\r\n\r\nhq,10.1.0.0/16,\"Berlin, \"\"Mitte\"\"\",\r\n shop , 10.2.0.0/24 ,,network\r\n";
        let rows = read(text).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(
            (rows[0].line, rows[0].description.as_str(), rows[0].kind),
            (4, "Berlin, \"Mitte\"", Kind::External)
        );
        let shop = Row {
            line: 5,
            prefix: "10.2.0.0/24".parse().unwrap(),
            name: "shop".into(),
            kind: Kind::Network,
            routing_domain: "default".into(),
            tenant: None,
            description: String::new(),
        };
        assert_eq!(rows[1], shop);
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        check_refused("", &["the file is empty"]);
        check_refused("cidr,what\n", &["column `what` is not known here: use cidr, name"]);
        check_refused("cidr\n", &["column `name` is missing"]);
        check_refused("cidr,cidr,name\n", &["column `cidr` is there twice"]);
        let text = "cidr,name,kind,tenant\n10.0.0.7/24,a,,\n10.0.0.0/24,A,,\n10.0.0.0/24,a,lab,\n10.0.0.0/24,a\n10.0.0.0/24,\"a,,\n10.0.0.0/24,a,,x\n";
        let findings = [
            "line 2: `cidr`: `10.0.0.7/24` has bits set",
            "line 3: `name` must be",
            "line 4: `kind` must be external or network, not `lab`",
            "line 5: 2 fields, but 4 columns",
            "line 6: a quote is not closed",
            "line 7: `tenant` is for networks",
        ];
        check_refused(text, &findings);
    }

    #[test]
    fn overlaps_inside_a_file_are_named_with_both_lines_and_only_within_a_routing_domain() {
        let text = "cidr,name,routing_domain\n10.0.0.0/8,all,\n10.1.0.0/16,a,\n10.2.0.0/16,b,lab\n10.0.0.0/8,all2,\nfd00::/8,a,\n";
        let findings = [
            "line 6: `a` is named twice in default",
            "line 5: 10.0.0.0/8 (all2) overlaps 10.0.0.0/8 (all) of line 2",
            "line 3: 10.1.0.0/16 (a) overlaps 10.0.0.0/8 (all) of line 2",
        ];
        check_refused(text, &findings);
    }
}

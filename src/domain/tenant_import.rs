//! Rows of tenants as an organisation's own list has them: read from CSV or JSON ([`read`]) and laid over what is known ([`overlay`]).
//!
//! A row says only what its list has a column for: everything else about a tenant stays as it is.

use serde_json::{Map, Value, json};

use super::tenant::TenantDocument;

/// Rows of one import.
pub const ROWS_MAX: usize = 10_000;
/// Columns of one list.
const COLUMNS_MAX: usize = 100;

/// What a list says of one tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Where it begins: the line of a CSV file, or its number in a JSON list, from 1.
    pub line: usize,
    /// The tenant's name; empty where there is none.
    pub name: String,
    /// What is said.
    pub fields: Map<String, Value>,
    /// What is wrong with the row itself.
    pub problem: Option<String>,
}

/// Reads a list: JSON where it begins with `[`, else CSV.
///
/// # Errors
/// What is wrong with the list as a whole.
pub fn read(text: &str) -> Result<Vec<Row>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('[') {
        let list: Vec<Value> = serde_json::from_str(text).map_err(|error| format!("the list is not JSON: {error}"))?;
        return from_json(list);
    }
    from_csv(text)
}

/// Rows of a JSON list of tenants, each as in `PUT`, with its `name`.
///
/// # Errors
/// Where there are too many.
pub fn from_json(list: Vec<Value>) -> Result<Vec<Row>, String> {
    if list.len() > ROWS_MAX {
        return Err(too_many());
    }
    let row = |(index, value): (usize, Value)| {
        let Value::Object(mut fields) = value else {
            let problem = Some("must be an object".to_owned());
            return Row { line: index + 1, name: String::new(), fields: Map::new(), problem };
        };
        let name = fields.remove("name").and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default();
        Row { line: index + 1, name, fields, problem: None }
    };
    Ok(list.into_iter().enumerate().map(row).collect())
}

fn too_many() -> String {
    format!("the list has more than {ROWS_MAX} rows: import it in parts")
}

fn from_csv(text: &str) -> Result<Vec<Row>, String> {
    let mut records = records(text)?.into_iter();
    let (_, head) = records.next().ok_or("the list is empty: its first line names the columns")?;
    let head: Vec<String> = head.into_iter().map(|name| name.trim().to_owned()).collect();
    if head.len() > COLUMNS_MAX {
        return Err(format!("the list has more than {COLUMNS_MAX} columns"));
    }
    if !head.iter().any(|name| name == "name") {
        return Err("the first line must name the columns, one of them `name`".to_owned());
    }
    for (index, name) in head.iter().enumerate() {
        let known = matches!(
            name.as_str(),
            "name" | "display_name" | "cost_center" | "business_unit" | "environment" | "owner" | "time_zone"
        ) || matches!(name.as_str(), "groups" | "identities" | "members")
            || name.strip_prefix("label:").is_some_and(|key| !key.is_empty());
        if !known || head.iter().take(index).any(|other| other == name) {
            return Err(format!("column `{name}` is not known, or is there twice"));
        }
    }
    records.map(|(line, cells)| Ok(csv_row(&head, line, cells))).collect()
}

fn csv_row(head: &[String], line: usize, cells: Vec<String>) -> Row {
    let mut row = Row { line, name: String::new(), fields: Map::new(), problem: None };
    if cells.len() != head.len() {
        row.problem = Some(format!("has {} cells, the first line has {}", cells.len(), head.len()));
        return row;
    }
    let mut labels = Map::new();
    for (column, cell) in head.iter().zip(cells) {
        match column.as_str() {
            "name" => row.name = cell.trim().to_owned(),
            "groups" => {
                let groups: Vec<&str> = cell.split(';').map(str::trim).filter(|group| !group.is_empty()).collect();
                row.fields.insert(column.clone(), json!(groups));
            }
            "identities" | "members" => {
                let text = if cell.trim().is_empty() { "[]" } else { &cell };
                match serde_json::from_str::<Value>(text) {
                    Ok(value) => drop(row.fields.insert(column.clone(), value)),
                    Err(error) => row.problem = Some(format!("column `{column}` is not JSON: {error}")),
                }
            }
            "time_zone" if cell.is_empty() => drop(row.fields.insert(column.clone(), Value::Null)),
            _ => match column.strip_prefix("label:") {
                Some(_) if cell.is_empty() => {}
                Some(key) => drop(labels.insert(key.to_owned(), cell.into())),
                None => drop(row.fields.insert(column.clone(), cell.into())),
            },
        }
    }
    if head.iter().any(|column| column.starts_with("label:")) {
        row.fields.insert("labels".to_owned(), labels.into());
    }
    row
}

/// The records of a CSV text (RFC 4180) that hold anything, each with the line that it begins on.
fn records(text: &str) -> Result<Vec<(usize, Vec<String>)>, String> {
    let (mut records, mut record, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut began, mut quoted, mut was_quoted) = (1, 1, false, false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if cell.is_empty() && !was_quoted => (quoted, was_quoted) = (true, true),
            ',' if !quoted => {
                record.push(std::mem::take(&mut cell));
                was_quoted = false;
            }
            '\r' if !quoted && characters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut cell));
                was_quoted = false;
                line += 1;
                keep(&mut records, began, std::mem::take(&mut record))?;
                began = line;
            }
            other => {
                line += usize::from(other == '\n');
                cell.push(other);
            }
        }
    }
    if quoted {
        return Err(format!("the quotes that begin in the record of line {began} never end"));
    }
    if !cell.is_empty() || !record.is_empty() {
        record.push(cell);
        keep(&mut records, began, record)?;
    }
    Ok(records)
}

fn keep(records: &mut Vec<(usize, Vec<String>)>, line: usize, record: Vec<String>) -> Result<(), String> {
    if record.iter().all(String::is_empty) {
        return Ok(());
    }
    // The first one names the columns.
    if records.len() > ROWS_MAX {
        return Err(too_many());
    }
    records.push((line, record));
    Ok(())
}

/// What is said laid over what is known of a tenant.
///
/// # Errors
/// What is wrong with it.
pub fn overlay(known: Option<&TenantDocument>, said: &Map<String, Value>) -> Result<TenantDocument, String> {
    let mut fields = match known.map(|known| json!(known)) {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    fields.extend(said.iter().map(|(name, value)| (name.clone(), value.clone())));
    serde_json::from_value(fields.into()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csv_list_is_read_with_quotes_line_ends_and_labels() {
        let text =
            "name,display_name,groups,label:tier\r\nretail,\"Retail, \"\"R\"\"\",a; b,gold\n\nbank,\"two\nlines\",,\n";
        let rows = read(text).unwrap();
        assert_eq!(
            rows.iter().map(|row| (row.line, row.name.as_str())).collect::<Vec<_>>(),
            [(2, "retail"), (4, "bank")]
        );
        let first = json!({"display_name": "Retail, \"R\"", "groups": ["a", "b"], "labels": {"tier": "gold"}});
        assert_eq!(Value::Object(rows[0].fields.clone()), first);
        assert_eq!(rows[1].fields["display_name"], "two\nlines");
        assert_eq!(rows[1].fields["labels"], json!({}));
    }

    #[test]
    fn what_is_no_list_is_refused_as_a_whole_and_what_is_no_row_by_its_line() {
        for bad in ["", "display_name\nx\n", "name,name\n", "name,salary\n", "name\n\"open", "[{]"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let rows = read("name,owner\na,b\nc\n").unwrap();
        assert_eq!((rows[0].problem.is_none(), rows[1].line), (true, 3));
        assert!(rows[1].problem.is_some());
        let many = format!("name\n{}", "a\n".repeat(ROWS_MAX + 1));
        assert!(read(&many).is_err());
        assert_eq!(read(&many[..many.len() - 2]).unwrap().len(), ROWS_MAX);
    }

    #[test]
    fn what_a_list_does_not_say_stays_as_it_is() {
        let known: TenantDocument =
            serde_json::from_value(json!({"display_name": "R", "owner": "ada", "groups": ["g"]})).unwrap();
        let said = json!({"owner": "bob"});
        let after = overlay(Some(&known), said.as_object().unwrap()).unwrap();
        assert_eq!((after.owner.as_str(), after.display_name.as_str(), after.groups.len()), ("bob", "R", 1));
        assert!(overlay(None, json!({"salary": 1}).as_object().unwrap()).is_err());
    }
}

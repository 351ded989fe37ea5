//! A strict reader of CSV (RFC 4180): what it takes, every reader takes.

use std::collections::BTreeMap;

/// A row by column; `None` is null.
pub(crate) type Row = BTreeMap<String, Option<String>>;

/// A file that was read.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

/// Reads a file.
pub(crate) fn read(text: &str) -> Result<File, String> {
    let mut lines = records(text)?;
    if lines.is_empty() {
        return Err("there is no header".to_owned());
    }
    let columns: Vec<String> = lines.remove(0).into_iter().map(Option::unwrap_or_default).collect();
    let mut rows = Vec::new();
    for (index, cells) in lines.into_iter().enumerate() {
        if cells.len() != columns.len() {
            return Err(format!("row {index} has {} cells under {} columns", cells.len(), columns.len()));
        }
        rows.push(columns.iter().cloned().zip(cells).collect());
    }
    Ok(File { columns, rows })
}

fn records(text: &str) -> Result<Vec<Vec<Option<String>>>, String> {
    let (mut records, mut record, mut cell) = (Vec::new(), Vec::new(), None::<String>);
    let mut letters = text.chars().peekable();
    let mut ended = true;
    while let Some(letter) = letters.next() {
        ended = false;
        match letter {
            '"' if cell.is_none() => {
                let mut quoted = String::new();
                loop {
                    match letters.next() {
                        Some('"') if letters.next_if_eq(&'"').is_some() => quoted.push('"'),
                        Some('"') => break,
                        Some(other) => quoted.push(other),
                        None => return Err("a quoted cell does not end".to_owned()),
                    }
                }
                if !matches!(letters.peek(), None | Some(',' | '\r')) {
                    return Err(format!("something follows the quoted cell {quoted:?}"));
                }
                cell = Some(quoted);
            }
            '"' | '\n' => return Err(format!("{letter:?} stands in a cell that is not quoted")),
            ',' => record.push(cell.take()),
            '\r' => {
                if letters.next() != Some('\n') {
                    return Err("a line does not end with CR LF".to_owned());
                }
                record.push(cell.take());
                records.push(std::mem::take(&mut record));
                ended = true;
            }
            other => cell.get_or_insert_default().push(other),
        }
    }
    if ended { Ok(records) } else { Err("the last line does not end".to_owned()) }
}

#[test]
fn the_reader_refuses_what_another_reader_could_misread() {
    let file = read("a,b\r\n1,\r\n\"x\r\n\"\"y\"\"\",\"\"\r\n").unwrap();
    assert_eq!(file.columns, ["a", "b"]);
    assert_eq!(file.rows[0]["b"], None);
    assert_eq!(file.rows[1]["a"].as_deref(), Some("x\r\n\"y\""));
    assert_eq!(file.rows[1]["b"].as_deref(), Some(""));
    for bad in ["", "a", "a\n", "a\r\nb", "a\r\n1,2\r\n", "\"a\r\n", "\"a\"b\r\n", "a\"b\r\n", "a\rb\r\n"] {
        assert!(read(bad).is_err(), "{bad:?}");
    }
}

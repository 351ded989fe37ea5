//! Lines of CSV as RFC 4180 has them. What has no value is nothing between two commas; a text is never changed.

/// One line with its end.
pub(super) fn line(cells: impl Iterator<Item = Option<String>>) -> String {
    let mut line = String::new();
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            line.push(',');
        }
        push(&mut line, cell.as_deref().unwrap_or_default());
    }
    line.push_str("\r\n");
    line
}

/// Quoted where a reader would else take it for something else: also a space at an end, which some readers cut off.
fn push(line: &mut String, cell: &str) {
    let special = cell.contains([',', '"', '\r', '\n']) || cell.trim().len() != cell.len();
    if special {
        line.push('"');
        line.push_str(&cell.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(cell);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cells: &[Option<&str>], written: &str) {
        assert_eq!(line(cells.iter().map(|cell| cell.map(str::to_owned))), written, "{cells:?}");
    }

    #[test]
    fn a_cell_is_quoted_where_it_must_be_and_only_there() {
        check(&[Some("a"), None, Some("b c")], "a,,b c\r\n");
        check(&[Some("a,b"), Some("say \"hi\"")], "\"a,b\",\"say \"\"hi\"\"\"\r\n");
        check(&[Some("one\ntwo"), Some("\r")], "\"one\ntwo\",\"\r\"\r\n");
        check(&[Some(" a"), Some("a\u{a0}")], "\" a\",\"a\u{a0}\"\r\n");
        check(&[Some("Größe 東京 🦀")], "Größe 東京 🦀\r\n");
        check(&[], "\r\n");
    }
}

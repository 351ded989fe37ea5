//! Lines of CSV as RFC 4180 has them. What has no value is nothing between two commas; a text is never changed, but for
//! one that a spreadsheet would take for a formula: it is given a quote in front, so that opening an export runs nothing. Statements do the same.

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
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number(cell);
    let guarded = if formula { format!("'{cell}") } else { String::new() };
    let cell = if formula { guarded.as_str() } else { cell };
    let special = cell.contains([',', '"', '\r', '\n']) || cell.trim().len() != cell.len();
    if special {
        line.push('"');
        line.push_str(&cell.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(cell);
    }
}

/// A decimal as amounts and quantities are written: it may begin with a minus.
fn is_number(cell: &str) -> bool {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    digits.starts_with(|c: char| c.is_ascii_digit()) && digits.chars().all(|c| c.is_ascii_digit() || c == '.')
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
        check(&[Some("one\ntwo"), Some("\r")], "\"one\ntwo\",\"'\r\"\r\n");
        check(&[Some(" a"), Some("a\u{a0}")], "\" a\",\"a\u{a0}\"\r\n");
        check(&[Some("Größe 東京 🦀")], "Größe 東京 🦀\r\n");
        check(&[], "\r\n");
    }

    #[test]
    fn no_text_is_a_formula_and_every_number_stays_one() {
        for (given, written) in [
            ("=1+1", "'=1+1"),
            ("@sum(1,2)", "\"'@sum(1,2)\""),
            ("+1", "'+1"),
            ("-", "'-"),
            ("-1+cmd", "'-1+cmd"),
            ("-.5", "'-.5"),
            ("\t=1", "'\t=1"),
            ("-1", "-1"),
            ("-0.50", "-0.50"),
            ("12", "12"),
            ("{\"a\":\"=1\"}", "\"{\"\"a\"\":\"\"=1\"\"}\""),
        ] {
            check(&[Some(given)], &format!("{written}\r\n"));
        }
    }
}

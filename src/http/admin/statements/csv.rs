//! A statement as CSV (RFC 4180): one row a line, those without a price last, with an empty amount. A text that a spreadsheet would take for
//! a formula is given a quote in front, so that opening a bill runs nothing.

use crate::domain::statement::{Statement, What};

const HEAD: &str = "period,corrects,state,tenant,cost_center,business_unit,environment,instance_id,instance_name,\
    offering,plan,meter,unit,quantity,amount,currency,price_book,price_model,from,to,events\r\n";

/// The whole of it, with its head.
pub(in crate::http) fn of(statement: &Statement) -> String {
    let mut text = HEAD.to_owned();
    for line in &statement.lines {
        let model = serde_json::json!(line.price.rule.model);
        let priced = [line.amount.as_str(), line.price.book.as_str(), model.as_str().unwrap_or_default()];
        let times = [line.from.to_string(), line.to.to_string()];
        row(&mut text, statement, &line.what, &line.quantity, priced, &times, &line.events);
    }
    for line in &statement.unpriced {
        let times = [line.from.to_string(), line.to.to_string()];
        row(&mut text, statement, &line.what, &line.quantity, ["", "", ""], &times, &line.events);
    }
    text
}

fn row(
    text: &mut String,
    statement: &Statement,
    what: &What,
    quantity: &str,
    [amount, book, model]: [&str; 3],
    [from, to]: &[String; 2],
    events: &str,
) {
    let period = statement.period.to_string();
    let corrects = what.corrects.map(|month| month.to_string()).unwrap_or_default();
    let words = [
        period.as_str(),
        corrects.as_str(),
        statement.state.as_str(),
        &statement.tenant.name,
        &what.cost_center,
        &what.business_unit,
        &what.environment,
        &what.instance_id,
        what.instance_name.as_deref().unwrap_or_default(),
        &what.offering,
        &what.plan,
        &what.meter,
        &what.unit,
    ];
    let currency = if amount.is_empty() { "" } else { statement.currency.as_deref().unwrap_or_default() };
    // Numbers may begin with a minus; they are ours.
    let cells = words.into_iter().map(word).chain([quantity.to_owned(), amount.to_owned()]);
    let rest = [currency, book, model, from, to, events].into_iter().map(word);
    text.push_str(&cells.chain(rest).collect::<Vec<_>>().join(","));
    text.push_str("\r\n");
}

fn word(text: &str) -> String {
    let risky = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if risky { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_where_it_must_be_and_is_never_a_formula() {
        for (given, written) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=1+1", "'=1+1"),
            ("@sum(1,2)", "\"'@sum(1,2)\""),
            ("-", "'-"),
            ("", ""),
        ] {
            assert_eq!(word(given), written);
        }
    }
}

//! A statement as one page to read or print: without scripts, pictures or anything from elsewhere. It needs no colour and fits a
//! narrow screen, where each line becomes a small table of its own.
//!
//! Invariant: every text that is not ours goes through [`escaped`].

use crate::clock::Time;
use crate::domain::statement::{Line, State, Statement, UnpricedLine, What};

const STYLE: &str = "\
:root{color-scheme:light}\
body{font:15px/1.45 system-ui,sans-serif;color:#111;background:#fff;margin:2rem auto;padding:0 1.25rem;max-width:72rem}\
h1{font-size:1.6rem;margin:0}h2{font-size:1.1rem;margin:2.2rem 0 .4rem}\
.state{display:inline-block;border:1px solid #111;border-radius:3px;padding:0 .5em;font-size:.85rem;vertical-align:middle}\
.state.open{border-style:dashed}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1.2rem;margin:1rem 0}dt{color:#555}dd{margin:0}\
table{border-collapse:collapse;width:100%}\
th,td{text-align:left;vertical-align:top;padding:.35rem .9rem .35rem 0}th{border-bottom:1.5px solid #111;font-weight:600}\
td{border-bottom:1px solid #ccc}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
th.n,td.n{padding-right:0;padding-left:.9rem}.n+td,.n+th{padding-left:1.2rem}\
small{color:#555;display:block;overflow-wrap:anywhere}a{color:inherit}\
tr.sum td{border-bottom:1.5px solid #111;font-weight:600}.total{font-size:1.25rem;font-weight:600}\
.note{border-left:3px solid #111;padding-left:.8rem;margin:1rem 0}footer{margin-top:2.5rem;color:#555;font-size:.85rem}\
@media(max-width:46rem){body{margin:1rem auto}thead{display:none}tr{display:block;border-bottom:1.5px solid #111;padding:.4rem 0}\
td,td.n,.n+td{display:flex;justify-content:space-between;gap:1rem;border:0;padding:.1rem 0;text-align:right;white-space:normal}\
tr.sum td{border:0;padding:.15rem 0}td::before{content:attr(data-label);color:#555;text-align:left;flex:none}td div{min-width:0}td:empty{display:none}\
dl{grid-template-columns:1fr}dt{margin-top:.3rem}}\
@media print{body{margin:0;max-width:none;font-size:10pt}a{text-decoration:none}tr{break-inside:avoid}h2{break-after:avoid}\
thead{display:table-header-group}}";

/// The whole page.
pub(super) fn of(statement: &Statement) -> String {
    let mut page = head(statement);
    let own = statement.lines.iter().filter(|line| line.what.corrects.is_none());
    let corrections: Vec<&Line> = statement.lines.iter().filter(|line| line.what.corrects.is_some()).collect();
    for subtotal in &statement.subtotals {
        let lines: Vec<&Line> = own.clone().filter(|line| line.what.cost_center == subtotal.cost_center).collect();
        let center = match subtotal.cost_center.as_str() {
            "" => "No cost center".to_owned(),
            named => format!("Cost center {}", escaped(named)),
        };
        page.push_str(&format!("<section><h2>{center}</h2>"));
        let corrected = corrections
            .iter()
            .copied()
            .filter(|line| line.what.cost_center == subtotal.cost_center)
            .collect::<Vec<_>>();
        table(&mut page, &lines, &corrected);
        page.push_str(&format!(
            "<table><tbody><tr class=\"sum\"><td data-label=\"\">Sum</td><td class=\"n\" data-label=\"Amount\">{}</td></tr></tbody></table></section>",
            escaped(&subtotal.amount)
        ));
    }
    if statement.lines.is_empty() {
        page.push_str("<p class=\"note\">There is nothing to pay for in this month.</p>");
    }
    unpriced(&mut page, &statement.unpriced);
    foot(&mut page, statement);
    page
}

fn head(statement: &Statement) -> String {
    let (tenant, period) = (escaped(&statement.tenant.name), statement.period);
    let (class, state, means) = match statement.state {
        State::Preview => ("open", "preview", "The month is under way; this is what is known so far."),
        State::Grace => ("open", "not closed yet", "The month is over. Usage that comes late still changes this."),
        State::Closed => ("", "closed", "This stands for ever. What comes later is corrected in later statements."),
    };
    let total = match (&statement.total, &statement.currency) {
        (Some(total), Some(currency)) => format!("{} {}", escaped(total), escaped(currency)),
        _ => "no prices yet".to_owned(),
    };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Statement {tenant} {period}</title><style>{STYLE}</style></head><body><main>\
         <h1>Statement {period} <span class=\"state {class}\">{state}</span></h1>\
         <dl><dt>Tenant</dt><dd>{display} ({tenant})</dd>\
         <dt>From</dt><dd>{from}</dd><dt>Until</dt><dd>{to}</dd><dt>Calendar</dt><dd>{zone}</dd>\
         <dt>Total</dt><dd class=\"total\">{total}</dd></dl><p>{means}</p>",
        display = escaped(&statement.tenant.display_name),
        from = shown(statement.from),
        to = shown(statement.to),
        zone = escaped(&statement.time_zone),
    )
}

fn table(page: &mut String, own: &[&Line], corrections: &[&Line]) {
    page.push_str(
        "<table><thead><tr><th>Instance</th><th>Offering</th><th>Meter</th><th class=\"n\">Quantity</th>\
         <th>Unit</th><th>Price</th><th class=\"n\">Amount</th></tr></thead><tbody>",
    );
    for line in own.iter().chain(corrections) {
        let price = price(line);
        let amount = format!("<td class=\"n\" data-label=\"Amount\">{}</td>", escaped(&line.amount));
        let times = format!("{} to {}", shown(line.from), shown(line.to));
        cells(page, &line.what, &line.quantity, &line.events, &times, &format!("{price}{amount}"));
    }
    page.push_str("</tbody></table>");
}

fn unpriced(page: &mut String, lines: &[UnpricedLine]) {
    if lines.is_empty() {
        return;
    }
    page.push_str(
        "<section><h2>Without a price</h2><p class=\"note\">This was used and no price book says what it costs. It is in no \
         amount.</p><table><thead><tr><th>Instance</th><th>Offering</th><th>Meter</th><th class=\"n\">Quantity</th>\
         <th>Unit</th></tr></thead><tbody>",
    );
    for line in lines {
        let times = format!("{} to {}", shown(line.from), shown(line.to));
        cells(page, &line.what, &line.quantity, &line.events, &times, "");
    }
    page.push_str("</tbody></table></section>");
}

fn cells(page: &mut String, what: &What, quantity: &str, events: &str, times: &str, rest: &str) {
    let name = what.instance_name.as_deref().unwrap_or(&what.platform_instance_id);
    let corrects = what.corrects.map(|month| format!("<small>correction of {month}</small>")).unwrap_or_default();
    page.push_str(&format!(
        "<tr><td data-label=\"Instance\"><div>{name}<small>{id}</small>{corrects}</div></td>\
         <td data-label=\"Offering\"><div>{offering}<small>{plan}</small></div></td>\
         <td data-label=\"Meter\"><div><a href=\"{events}\">{meter}</a><small>{times}</small></div></td>\
         <td class=\"n\" data-label=\"Quantity\">{quantity}</td><td data-label=\"Unit\">{unit}</td>{rest}</tr>",
        name = escaped(name),
        id = escaped(&what.instance_id),
        offering = escaped(&what.offering),
        plan = escaped(&what.plan),
        events = escaped(events),
        meter = escaped(&what.meter),
        times = escaped(times),
        quantity = escaped(quantity),
        unit = escaped(&what.unit),
    ));
}

/// The rule in words, with the book that it is of.
fn price(line: &Line) -> String {
    let rule = &line.price.rule;
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().replace('_', " ");
    let mut words = word(serde_json::json!(rule.model));
    if let Some(amount) = &rule.amount {
        words = format!("{amount} {words}");
    }
    if let Some(per) = &rule.per {
        words.push_str(&format!(" per {}", word(serde_json::json!(per))));
    }
    if let Some(reason) = &rule.reason {
        words.push_str(&format!(": {reason}"));
    }
    for tier in rule.tiers.iter().flatten() {
        let up_to = tier.up_to.map_or_else(|| "above".to_owned(), |up_to| format!("up to {up_to}"));
        words.push_str(&format!("; {up_to}: {}", tier.unit_price));
    }
    format!(
        "<td data-label=\"Price\"><div>{}<small>book {}</small></div></td>",
        escaped(&words),
        escaped(&line.price.book)
    )
}

fn foot(page: &mut String, statement: &Statement) {
    page.push_str(&format!(
        "<footer>What was recorded after {} is not in it. Lines are rounded half-even to the currency's minor unit, and sums \
         are sums of rounded lines.</footer></main></body></html>\n",
        shown(statement.known_at)
    ));
}

/// A time without a part of a second that is none.
fn shown(time: Time) -> String {
    time.to_string().replace(".000000Z", "Z")
}

/// A text within HTML, also within an attribute in quotes.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_can_not_leave_its_place() {
        assert_eq!(escaped("<b a='\"'>&"), "&lt;b a=&#39;&quot;&#39;&gt;&amp;");
    }
}

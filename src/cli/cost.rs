//! `bourse cost`: what was used and what it costs, once or growing by the second.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::Error;
use super::client::Client;
use super::instance::given;
use super::print::{self, Column, Out, pick};

/// How often `--watch` asks.
const PERIOD: Duration = Duration::from_secs(1);

/// Arguments of `bourse cost`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// From when on, such as 2026-11-01T00:00:00Z; the beginning of this month where absent.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Until when; now where absent.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// By what: tenant, cost_center, business_unit, environment, offering, plan, instance or label:KEY; several with commas.
    #[arg(long, value_name = "KEYS")]
    group_by: Option<String>,
    /// hour, day or month.
    #[arg(long, value_name = "WINDOW")]
    granularity: Option<String>,
    /// One tenant only; then by instance, where --group-by is absent.
    #[arg(long)]
    tenant: Option<String>,
    /// One instance only, by the hub's id.
    #[arg(long, value_name = "ID")]
    instance: Option<String>,
    /// One offering only.
    #[arg(long)]
    offering: Option<String>,
    /// What goes to one cost center only.
    #[arg(long)]
    cost_center: Option<String>,
    /// Ask again each second, until interrupted.
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    out: Out,
}

const COLUMNS: &[Column] = &[("FROM", "/from"), ("TO", "/to"), ("GROUP", "/group"), ("AMOUNT", "/amount")];

/// Runs it.
pub(super) async fn run(client: &Client, mut args: Args) -> Result<(), Error> {
    if args.group_by.is_none() {
        let usual = if args.tenant.is_some() || args.instance.is_some() { "instance" } else { "tenant" };
        args.group_by = Some(usual.to_owned());
    }
    if !args.watch {
        return show(&ask(client, &args).await?, &args.out);
    }
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = 0;
    loop {
        ticks.tick().await;
        let answer = ask(client, &args).await?;
        if args.out.is_json() {
            print::lines(&answer.to_string())?;
            continue;
        }
        let text = text(&answer);
        let lines = text.lines().count();
        // On a terminal the new figures take the place of the old ones; elsewhere they follow them.
        let back =
            if before > 0 && io::stdout().is_terminal() { format!("\u{1b}[{before}A\u{1b}[J") } else { String::new() };
        print::lines(&format!("{back}{text}"))?;
        before = lines;
    }
}

async fn ask(client: &Client, args: &Args) -> Result<Value, Error> {
    let query = given(&[
        ("from", &args.from),
        ("to", &args.to),
        ("group_by", &args.group_by),
        ("granularity", &args.granularity),
        ("tenant", &args.tenant),
        ("instance", &args.instance),
        ("offering", &args.offering),
        ("cost_center", &args.cost_center),
    ]);
    Ok(client.get(&["costs"], &query).await?)
}

fn show(answer: &Value, out: &Out) -> Result<(), Error> {
    if out.is_json() { print::json(answer) } else { print::lines(&text(answer)) }
}

/// A table, and what has no price.
fn text(answer: &Value) -> String {
    let entries = |field: &str| answer.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let items: Vec<Value> = entries("items").iter().map(|item| row(item, answer)).collect();
    let mut text = if items.is_empty() { "nothing that has a price".to_owned() } else { print::table(&items, COLUMNS) };
    for unpriced in entries("unpriced") {
        let pick = |path: &str| pick(unpriced, path);
        let name = Some(pick("/instance_name")).filter(|name| !name.is_empty()).unwrap_or_else(|| pick("/instance_id"));
        // Writing to a string can't fail.
        let written = write!(
            text,
            "\nno price: {} {} {} of {} ({} {})",
            pick("/quantity"),
            pick("/unit"),
            pick("/meter"),
            name,
            pick("/offering"),
            pick("/plan")
        );
        debug_assert!(written.is_ok());
    }
    text
}

fn row(item: &Value, answer: &Value) -> Value {
    let group = item.get("group").and_then(Value::as_object);
    let named = group.is_some_and(|group| group.get("instance_name").is_some_and(Value::is_string));
    // An instance's name says more than its id.
    let shown = group.into_iter().flatten().filter(|(key, _)| !(named && *key == "instance"));
    let words: Vec<String> = shown.map(|(_, value)| pick(value, "")).filter(|word| !word.is_empty()).collect();
    let amount = format!("{} {}", pick(item, "/amount"), pick(answer, "/currency"));
    let time = |path: &str| pick(item, path).split('.').next().unwrap_or_default().to_owned();
    json!({ "from": time("/from"), "to": time("/to"), "group": words.join(" / "), "amount": amount })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_and_what_has_no_price_is_told() {
        let answer = json!({
            "currency": "EUR",
            "items": [{
                "group": {"instance": "0199", "instance_name": "net", "tenant": "retail"},
                "from": "2026-11-01T00:00:00.000000Z", "to": "2026-11-02T10:00:00.123456Z", "amount": "1.234567890123",
            }],
            "unpriced": [{"instance_id": "0199", "offering": "o", "plan": "p", "meter": "gb", "unit": "GB", "quantity": "7"}],
        });
        let text = text(&answer);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].contains("net / retail") && lines[1].contains("1.234567890123 EUR"), "{text}");
        assert!(!lines[1].contains("0199"), "{text}");
        assert_eq!(lines[2], "no price: 7 GB gb of 0199 (o p)");
        assert_eq!(super::text(&json!({"items": [], "unpriced": []})), "nothing that has a price");
    }
}

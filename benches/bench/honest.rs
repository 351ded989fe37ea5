//! Whether the bare statements are the hub's own: both order one instance and one binding on a PostgreSQL that writes each statement
//! into its log, and the two transactions of each must be the same, statement for statement.
//!
//! It measures nothing. Invariant: with a yardstick that writes less or more than the hub, there is no run.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use crate::broker::Brokers;
use crate::postgres::Postgres;
use crate::stand::{On, Stand};
use crate::yardstick::Order;
use crate::{Outcome, say};

/// How often it orders until both are in the log: sessions hear of the setting a little later.
const TRIES: usize = 20;
const MOMENT: Duration = Duration::from_millis(50);
/// How a statement of every order's transactions begins, the one that takes it down and the one that ends it.
const OF_AN_ORDER: [&str; 2] = ["insert into operations ", "update operations set state "];

/// Compares them.
pub(crate) async fn check(top: &Path, brokers: &Brokers) -> Outcome<()> {
    say("are the bare statements those of the hub?".into());
    let stand = Stand::start(top, On::Postgres, brokers, None).await?;
    let (stand, yardstick) = stand.with_yardstick(top, None).await?;
    let server = stand.postgres.as_ref().ok_or("there is no PostgreSQL")?;
    server.log_statements().await?;
    tokio::time::sleep(MOMENT * 4).await;
    let batch = stand.batch(2)?;
    for order in [Order::Provision, Order::Bind] {
        let before = server.log().len();
        let mut found = (Vec::new(), Vec::new());
        for number in 0..TRIES {
            let request = match order {
                Order::Provision => batch.provision(number),
                Order::Bind => batch.bind(number, 0),
            };
            batch.send(&request).await?;
            yardstick.run(order, 1, 1, Duration::from_secs(10)).await?;
            tokio::time::sleep(MOMENT).await;
            found = transactions(server, before);
            if found.0.len() >= 2 && found.1.len() >= 2 {
                break;
            }
        }
        let (hub, bare) = found;
        if hub.len() < 2 || hub.get(..2) != bare.get(..2) {
            let (name, hub, bare) = (order.name(), listed(&hub), listed(&bare));
            return Err(format!(
                "the bare {name} of benches/bench/bare.rs is not the hub's.\nhub:\n{hub}\nbare:\n{bare}"
            )
            .into());
        }
    }
    Ok(())
}

fn listed(transactions: &[Vec<String>]) -> String {
    transactions.iter().take(2).map(|statements| statements.join("\n")).collect::<Vec<_>>().join("\n--\n")
}

/// The transactions of orders in the log, of the hub's database and of the bare statements', the oldest whole pair first.
fn transactions(server: &Postgres, from: usize) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    let log = server.log();
    let mut open: HashMap<&str, Vec<String>> = HashMap::new();
    let mut closed: HashMap<&str, Vec<Vec<String>>> = HashMap::new();
    for line in log.get(from..).unwrap_or_default().lines() {
        let Some((session, text)) = line.split_once(" LOG:  ") else { continue };
        let statement = text.split_once(": ").map_or(text, |(_, statement)| statement);
        match statement {
            "BEGIN" => drop(open.insert(session, Vec::new())),
            "COMMIT" => {
                let whole = open.remove(session).unwrap_or_default();
                let of_an_order = |statement: &String| OF_AN_ORDER.iter().any(|start| statement.starts_with(start));
                if whole.iter().any(of_an_order) {
                    let database = session.split(' ').nth(1).unwrap_or_default();
                    closed.entry(database).or_default().push(whole);
                }
            }
            statement => {
                if let Some(whole) = open.get_mut(session) {
                    whole.push(statement.to_owned());
                }
            }
        }
    }
    // A session that heard of the setting in between shows only the second one.
    let mut of = |database: &str| {
        let mut found = closed.remove(database).unwrap_or_default();
        let first = found.iter().position(|whole| whole.iter().any(|statement| statement.starts_with(OF_AN_ORDER[0])));
        found.drain(..first.unwrap_or(found.len()));
        found
    };
    (of("hub"), of("bare"))
}

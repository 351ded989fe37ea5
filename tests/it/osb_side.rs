//! The OSB side, rule by rule of OSB 2.17 (`openapi/osb.md` says which options are spoken): tables of requests with the answers that platforms rely on, each on both
//! databases. What the broker behind gets is looked at where a rule speaks of it; the life of orders is in `life`.

mod bindings;
mod catalogs;
mod deletions;
mod doors;
mod orders;
mod refusals;
mod tenants;
mod updates;

use std::sync::atomic::Ordering;

use crate::support::bare::On;
use crate::support::bench::Bench;

/// Runs a table on a database of each kind.
async fn on_both(table: impl AsyncFn(&Bench)) {
    for on in [On::Sqlite, On::Postgres] {
        let bench = Bench::new(on).await;
        table(&bench).await;
        assert!(bench.checked.load(Ordering::Relaxed) > 0, "a table without cases");
        bench.hub.stop().await;
    }
}

//! A hub ready to be measured: on a database of either kind, with one broker behind it, one platform in front, and where
//! wanted a copy of its database for the bare statements.

use std::path::Path;

use crate::Outcome;
use crate::broker::Brokers;
use crate::http::Door;
use crate::hub::{Hub, Place, Plans};
use crate::orders::Batch;
use crate::postgres::Postgres;
use crate::process::{Part, has_before_it};
use crate::yardstick::Yardstick;

/// On which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Sqlite,
    Postgres,
}

impl On {
    pub(crate) const BOTH: [Self; 2] = [Self::Sqlite, Self::Postgres];

    /// Its name, for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// All of it.
pub(crate) struct Stand {
    pub(crate) on: On,
    pub(crate) place: Place,
    pub(crate) hub: Hub,
    pub(crate) plans: Plans,
    pub(crate) postgres: Option<Postgres>,
}

impl Stand {
    /// Starts everything. The library, where one is given, stands before whatever writes to the disk.
    pub(crate) async fn start(top: &Path, on: On, brokers: &Brokers, preload: Option<&Path>) -> Outcome<Self> {
        let (postgres, mut place) = match on {
            On::Sqlite => (None, Place::sqlite(top, preload)?),
            On::Postgres => {
                let server = Postgres::start(top, preload).await?;
                let database = server.create("hub", None).await?;
                (Some(server), Place::new(top, database, None)?)
            }
        };
        let (hub, _) = place.start().await?;
        place.settle(&hub).await?;
        let plans = hub.register(brokers, "0").await?;
        Ok(Self { on, place, hub, plans, postgres })
    }

    /// The same, and the bare statements on a copy of its database, with one instance and one binding to copy in turn.
    pub(crate) async fn with_yardstick(self, top: &Path, preload: Option<&Path>) -> Outcome<(Self, Yardstick)> {
        let batch = self.batch(1)?;
        batch.send(&batch.provision(0)).await?;
        batch.send(&batch.bind(0, 0)).await?;
        let Self { on, place, hub, plans, postgres } = self;
        hub.stop().await?;
        let copy = match &postgres {
            Some(server) => server.create("bare", Some("hub")).await?,
            None => {
                let copy = format!("{}-bare", place.database);
                let file = |url: &str| url.trim_start_matches("sqlite:").to_owned();
                std::fs::copy(file(&place.database), file(&copy))?;
                copy
            }
        };
        // The database's server has the library already, where there is one.
        let yardstick = Yardstick::start(top, &copy, preload.filter(|_| postgres.is_none()))?;
        let (hub, _) = place.start().await?;
        let flushing = postgres.as_ref().map_or([hub.pid(), yardstick.pid()], |server| [server.pid(); 2]);
        if preload.is_some_and(|library| !flushing.iter().all(|pid| has_before_it(*pid, library))) {
            return Err("the library that slows flushes down is not before what flushes".into());
        }
        Ok((Self { on, place, hub, plans, postgres }, yardstick))
    }

    /// Where the platform calls it.
    pub(crate) fn door(&self) -> Outcome<Door> {
        self.place.door(&self.hub)
    }

    /// Orders with a number of their own.
    pub(crate) fn batch(&self, id: u64) -> Outcome<Batch> {
        Ok(Batch::new(&self.door()?, &self.plans, id))
    }

    /// What uses the processor for it, the broker behind aside.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let database = self.postgres.as_ref().map(|server| Part { name: "database", pid: server.pid() });
        [Part { name: "hub", pid: self.hub.pid() }].into_iter().chain(database).collect()
    }
}

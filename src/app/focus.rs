//! The FOCUS export: every tenant's statement of one month as rows, in chunks. Memory is flat: there is never more of it than one
//! tenant's statement and one chunk, however many tenants there are.
//!
//! It computes no amounts: of a closed month it reads the statement that was kept, of an open one it composes what the statement
//! would be. What kind of service an offering is, and who makes it, is what the catalog says now.

use std::collections::{HashMap, HashSet, VecDeque};

use super::costs::currency;
use super::{App, Error};
use crate::clock::Time;
use crate::domain::catalog::{Offering, State as Offered};
use crate::domain::decimal::{minor_digits, read, rounded, zero};
use crate::domain::focus::{Account, Charge, METADATA, Measured, Priced, Service, Version, header, line};
use crate::domain::focus::{Category, ServiceDetails};
use crate::domain::meter::{INSTANCE, SETUP, WORD_MAX};
use crate::domain::period::{Month, Zone};
use crate::domain::statement::{Line, State, Statement, UnpricedLine, What};
use crate::store::usage;

/// Rows of one chunk.
const ROWS: usize = 500;

/// What is to be exported.
#[derive(Clone, Debug)]
pub struct FocusQuery {
    /// Which month.
    pub period: Month,
    /// With which columns.
    pub version: Version,
    /// One tenant only, by name, or by id where it is deleted.
    pub tenant: Option<String>,
}

/// An export under way.
#[derive(Debug)]
pub struct FocusExport {
    app: App,
    query: FocusQuery,
    currency: String,
    services: HashMap<String, ServiceDetails>,
    now: Time,
    /// Whose turn it is, and after whom to ask for more; `None` where there are no more.
    tenants: VecDeque<String>,
    after: Option<String>,
    open: Option<Open>,
    begun: bool,
}

/// A tenant's statement, and how many of its rows have been handed out.
#[derive(Debug)]
struct Open {
    statement: Statement,
    next: usize,
}

impl App {
    /// Begins an export.
    ///
    /// # Errors
    /// [`Error::Invalid`] of a month to come; [`Error::NotFound`] of a tenant; [`Error::Unprocessable`] `no_price_book`.
    pub async fn export_focus(&self, query: FocusQuery) -> Result<FocusExport, Error> {
        let now = self.clock().now();
        // Nowhere does a month begin more than 14 hours before it does in UTC.
        if query.period.start(&Zone::utc()) > now.plus(std::time::Duration::from_secs(14 * 3600)) {
            return Err(Error::invalid("", format!("period: {} has not begun", query.period)));
        }
        let (tenants, after) = match &query.tenant {
            Some(tenant) => (VecDeque::from([self.feed_tenant(tenant).await?]), None),
            None => (VecDeque::new(), Some(String::new())),
        };
        let Some(currency) = currency(&self.price_books(Some(now)).await?) else {
            let message = "there is no price book yet, so costs have no currency: add one first".to_owned();
            return Err(Error::Unprocessable { code: "no_price_book", message });
        };
        let (app, services) = (self.clone(), self.services());
        Ok(FocusExport { app, query, currency, services, now, tenants, after, open: None, begun: false })
    }

    /// What offerings say of themselves, by name. Of several with a name the one counts that can be ordered.
    fn services(&self) -> HashMap<String, ServiceDetails> {
        let mut found: HashMap<String, (bool, ServiceDetails)> = HashMap::new();
        for part in self.catalog().parts() {
            for offering in &part.offerings {
                let offered = !part.deleted && offering.state != Offered::Removed;
                if found.get(&offering.name).is_none_or(|(other, _)| offered && !other) {
                    found.insert(offering.name.clone(), (offered, details(offering, &part.broker_name)));
                }
            }
        }
        found.into_iter().map(|(name, (_, details))| (name, details)).collect()
    }

    /// What a tenant's statement of a month says, where it has one.
    async fn exported(&self, tenant_id: &str, period: Month, now: Time) -> Result<Option<Statement>, Error> {
        if let Some(row) = self.closed(tenant_id, period).await? {
            return super::statements::written(&row).map(Some);
        }
        let charged = self.charged(tenant_id, now).await?;
        let range = charged.zones.range(period);
        let begun = self.first_month(&charged).await?.is_some_and(|first| first <= period);
        if range.start > now || !begun {
            return Ok(None);
        }
        let state = if range.end > now { State::Preview } else { State::Grace };
        self.compose(&charged, period, now, state).await.map(Some)
    }
}

impl FocusExport {
    /// The next chunk: the header first, then whole rows; none after the last one.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn chunk(&mut self) -> Result<Option<String>, Error> {
        if !self.begun {
            self.begun = true;
            return Ok(Some(header(self.query.version)));
        }
        loop {
            if let Some(mut open) = self.open.take() {
                let rows = self.rows(&mut open).await?;
                if !rows.is_empty() {
                    self.open = Some(open);
                    return Ok(Some(rows));
                }
            }
            let Some(tenant) = self.tenant().await? else { return Ok(None) };
            let statement = self.app.exported(&tenant, self.query.period, self.now).await?;
            self.open = statement.map(|statement| Open { statement, next: 0 });
        }
    }

    async fn tenant(&mut self) -> Result<Option<String>, Error> {
        if self.tenants.is_empty()
            && let Some(after) = self.after.take()
        {
            self.tenants = self.app.charged_tenants(&after).await?.into();
            self.after = self.tenants.back().cloned();
        }
        Ok(self.tenants.pop_front())
    }

    async fn rows(&self, open: &mut Open) -> Result<String, Error> {
        let Open { statement, next } = open;
        let priced = statement.lines.iter().map(Row::Priced);
        let rows: Vec<_> = priced.chain(statement.unpriced.iter().map(Row::Unpriced)).skip(*next).take(ROWS).collect();
        *next += rows.len();
        let weighted = self.time_weighted(&rows).await?;
        let mut text = String::new();
        for row in rows {
            text.push_str(&line(&self.charge(statement, &row, &weighted)?, self.query.version));
        }
        Ok(text)
    }

    /// Which meters of which instances are in hours of their unit; statements don't say.
    async fn time_weighted(&self, rows: &[Row<'_>]) -> Result<HashSet<(String, String, String)>, Error> {
        let metered = rows.iter().map(Row::what).filter(|what| what.meter != INSTANCE && what.meter != SETUP);
        let ids: HashSet<&str> = metered.map(|what| what.instance_id.as_str()).collect();
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        let ids = serde_json::json!(ids).to_string();
        Ok(self.app.db().read(|tx| Box::pin(async move { usage::time_weighted(tx, &ids).await })).await?)
    }

    fn charge(
        &self,
        statement: &Statement,
        row: &Row<'_>,
        weighted: &HashSet<(String, String, String)>,
    ) -> Result<Charge, Error> {
        let what = row.what();
        let hub = self.app.config().server.hub.clone();
        let details = self.services.get(&what.offering).cloned().unwrap_or_else(|| ServiceDetails {
            publisher: hub.clone(),
            category: Category::default(),
            region: None,
        });
        let key = (what.instance_id.clone(), what.meter.clone(), what.unit.clone());
        let corrupt = |error| crate::store::Error::Corrupt { column: "document", source: Box::new(error) };
        Ok(Charge {
            hub,
            account: Account {
                id: statement.tenant.id.clone(),
                name: statement.tenant.display_name.clone(),
                cost_center: what.cost_center.clone(),
                business_unit: what.business_unit.clone(),
                environment: what.environment.clone(),
                labels: what.labels.clone(),
            },
            instance_id: what.instance_id.clone(),
            instance_name: what.instance_name.clone(),
            service: Service { offering: what.offering.clone(), plan: what.plan.clone(), details },
            measured: Measured {
                meter: what.meter.clone(),
                unit: what.unit.clone(),
                time_weighted: weighted.contains(&key),
                quantity: read(row.quantity()).map_err(corrupt)?,
            },
            priced: row.priced(),
            currency: statement.currency.clone().unwrap_or_else(|| self.currency.clone()),
            billed: row.billed(&self.currency),
            billing: statement.from..statement.to,
            period: row.period(),
            corrects: what.corrects,
            statement: (statement.state == State::Closed)
                .then(|| format!("{}/{}", statement.tenant.id, statement.period)),
        })
    }
}

/// A line of a statement.
enum Row<'a> {
    Priced(&'a Line),
    Unpriced(&'a UnpricedLine),
}

impl Row<'_> {
    fn what(&self) -> &What {
        match self {
            Self::Priced(line) => &line.what,
            Self::Unpriced(line) => &line.what,
        }
    }

    fn quantity(&self) -> &str {
        match self {
            Self::Priced(line) => &line.quantity,
            Self::Unpriced(line) => &line.quantity,
        }
    }

    fn period(&self) -> std::ops::Range<Time> {
        match self {
            Self::Priced(line) => line.from..line.to,
            Self::Unpriced(line) => line.from..line.to,
        }
    }

    fn priced(&self) -> Option<Priced> {
        match self {
            Self::Priced(line) => Some(Priced { book: line.price.book.clone(), rule: line.price.rule.clone() }),
            Self::Unpriced(_) => None,
        }
    }

    fn billed(&self, currency: &str) -> String {
        match self {
            Self::Priced(line) => line.amount.clone(),
            Self::Unpriced(_) => rounded(&zero(), minor_digits(currency)),
        }
    }
}

fn details(offering: &Offering, broker: &str) -> ServiceDetails {
    let metadata = offering.document.get("metadata").unwrap_or(&serde_json::Value::Null);
    let word = |value: Option<&serde_json::Value>| {
        let text = value.and_then(serde_json::Value::as_str).map(str::trim);
        text.filter(|text| !text.is_empty() && text.chars().count() <= 4 * WORD_MAX).map(str::to_owned)
    };
    ServiceDetails {
        publisher: word(metadata.get("providerDisplayName")).unwrap_or_else(|| broker.to_owned()),
        category: Category::of(metadata),
        region: word(metadata.get(METADATA).and_then(|said| said.get("region"))),
    }
}

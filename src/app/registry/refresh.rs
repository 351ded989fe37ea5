//! Fetches a broker's catalog again. One that does not answer keeps what is stored of it; one that answers with less keeps
//! serving the instances of what it no longer offers.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use super::fetch::{self, Fetched, Read};
use super::view::BrokerView;
use super::{ATTEMPTS_MAX, check, notice};
use crate::app::{App, Error, reviews, visibility};
use crate::clock::Time;
use crate::domain::broker::Status;
use crate::domain::caller::Caller;
use crate::domain::catalog::import::quarantine;
use crate::domain::catalog::{self, Finding, Offering, State, clash};
use crate::domain::event::{Event, EventKind};
use crate::store::brokers::BrokerRow;
use crate::store::{self, Tx, audit, brokers, events, offerings, versions};

/// What a look at a broker's catalog brought, before it is held against other brokers'.
#[derive(Clone)]
struct Look {
    status: Status,
    findings: Vec<Finding>,
    /// The catalog as it came; `None` where the stored one stands.
    json: Option<String>,
    etag: Option<String>,
    /// `None` where what is stored stands.
    offerings: Option<Vec<Offering>>,
}

impl App {
    /// Fetches a broker's catalog now, because somebody asked for it.
    ///
    /// # Errors
    /// [`Error::NotFound`]. A broker that does not answer is no error: the view says so.
    pub async fn refresh_broker(&self, caller: &Caller, name: &str) -> Result<BrokerView, Error> {
        let seen =
            |row: &BrokerRow| Some(json!({ "status": row.status, "etag": row.etag, "findings": row.findings.len() }));
        let before = seen(&self.broker_row(name).await?);
        self.may_change_broker(caller, name).await?;
        let row = self.check_broker(name).await?;
        let entry = self.audit_row(caller, "broker.refresh", format!("brokers/{}", row.name), json!({}));
        let entry = entry.changed(before, seen(&row));
        let written = self.db().write::<_, Error, _>(move |tx| {
            let entry = entry.clone();
            Box::pin(async move { Ok(audit::append(tx, &entry).await?) })
        });
        written.await?;
        self.broker_view(row).await
    }

    /// Fetches a broker's catalog and stores what changed.
    ///
    /// # Errors
    /// [`Error::NotFound`], or where the database fails.
    pub async fn check_broker(&self, name: &str) -> Result<BrokerRow, Error> {
        let mut attempt = 1;
        loop {
            let before = self.broker_row(name).await?;
            let id = before.id.clone();
            let known = self.db().read(|tx| Box::pin(async move { offerings::of_broker(tx, &id).await })).await?;
            let look = self.look(&before, &known).await?;
            match self.store_look(&before, known, look).await {
                Ok(Some(row)) => {
                    self.reload_catalog().await?;
                    return Ok(row);
                }
                // It was changed meanwhile: what was fetched may be another broker's.
                Ok(None) | Err(Error::Store(store::Error::Taken)) if attempt < ATTEMPTS_MAX => attempt += 1,
                Ok(None) => return Err(Error::Stale),
                Err(error) => return Err(error),
            }
        }
    }

    /// Has a broker's catalog fetched as soon as somebody gets round to it: what it answered shows that the hub's copy is
    /// old. Where that can't be written down, the scheduled refresh comes later.
    pub(in crate::app) async fn look_soon(&self, broker_id: &str) {
        let (id, now) = (broker_id.to_owned(), self.clock().now());
        let written = self.db().write::<_, Error, _>(move |tx| {
            let id = id.clone();
            Box::pin(async move { Ok(brokers::hasten(tx, &id, now).await?) })
        });
        if let Err(error) = written.await {
            tracing::warn!(broker.id = broker_id, %error, "a catalog that is out of date is not fetched before its time");
        }
    }

    async fn look(&self, row: &BrokerRow, known: &[Offering]) -> Result<Look, Error> {
        let kept = |status, finding| Look {
            status,
            findings: vec![finding],
            json: None,
            etag: row.etag.clone(),
            offerings: None,
        };
        let backend = match self.backend_for(row) {
            Ok(backend) => backend,
            Err(error) => return Ok(kept(Status::Unavailable, fetch::finding("", &error.to_string()))),
        };
        let (json, etag, fresh) = match self.fetch_catalog(&backend, row.etag.as_deref()).await? {
            Fetched::Document(document) => (document.json, document.etag, true),
            // Read again all the same: what stood in an offering's way may be gone.
            Fetched::Same => (self.stored_catalog(&row.id).await?, row.etag.clone(), false),
            Fetched::Unavailable(finding) => return Ok(kept(Status::Unavailable, finding)),
            Fetched::Garbage(finding) => return Ok(kept(Status::Quarantined, finding)),
        };
        let Ok(text) = String::from_utf8(json.to_vec()) else {
            return Ok(kept(Status::Quarantined, fetch::finding("", "the catalog is not UTF-8")));
        };
        match fetch::read(
            self.config().server.hub.clone(),
            row.name.clone(),
            row.settings.clone(),
            json,
            known.to_vec(),
        )
        .await?
        {
            // Without its tag, so that the next look is not answered 304 for what was never taken.
            Read::Nothing(findings) => {
                Ok(Look { status: Status::Quarantined, findings, json: None, etag: None, offerings: None })
            }
            Read::Catalog(offerings) => Ok(Look {
                status: Status::Available,
                findings: Vec::new(),
                json: fresh.then_some(text),
                etag,
                offerings: Some(offerings),
            }),
        }
    }

    async fn stored_catalog(&self, id: &str) -> Result<Bytes, Error> {
        let id = id.to_owned();
        let stored = self.db().read(|tx| Box::pin(async move { brokers::catalog(tx, &id).await })).await?;
        Ok(stored.unwrap_or_default().into())
    }

    /// `None` where the broker was changed since it was looked at.
    async fn store_look(
        &self,
        before: &BrokerRow,
        known: Vec<Offering>,
        look: Look,
    ) -> Result<Option<BrokerRow>, Error> {
        let now = self.clock().now();
        let hub = self.config().server.hub.clone();
        let next = self.next_check(now, look.status);
        let shared = Arc::new((before.clone(), known, look, hub, self.config().catalog.clone()));
        let written = self.db().write::<_, Error, _>(move |tx| {
            let shared = Arc::clone(&shared);
            Box::pin(async move {
                let (before, known, look, hub, settings) = &*shared;
                let mut row = BrokerRow {
                    status: look.status,
                    findings: look.findings.clone(),
                    etag: look.etag.clone(),
                    check_at: next,
                    ..before.clone()
                };
                let mut happened: Vec<Event> = Vec::new();
                if let Some(offerings) = &look.offerings {
                    row.fetched_at = Some(now);
                    let offerings = settled(tx, &row, known, offerings).await?;
                    row.status = status(&offerings);
                    if !catalog::same(known, &offerings) {
                        if !brokers::lock(tx, &row.id, before.version).await? {
                            return Ok(None);
                        }
                        row.version = before.version + 1;
                        offerings::save(tx, &row.id, known, &offerings).await?;
                        visibility::set_up(tx, settings, known, &offerings, row.provider.is_some(), now).await?;
                        reviews::void_changed(tx, hub, &row, &offerings, now).await?;
                        versions::bump(tx, versions::CATALOG).await?;
                        let transition = format!("{}/{}", row.id, row.version);
                        let data = notice::data(&row, known, &offerings);
                        happened.push(notice::event(&row, EventKind::BrokerCatalogChanged, &transition, now, data));
                    }
                }
                if !brokers::checked(tx, &row, before.status).await? {
                    return Ok(None);
                }
                if let Some(json) = &look.json {
                    brokers::keep_catalog(tx, &row.id, json).await?;
                }
                happened.extend(status_event(before, &row, now));
                for event in &happened {
                    events::append(tx, hub, event, now).await?;
                }
                Ok(Some(row))
            })
        });
        let row = written.await?;
        if let Some(row) = row.as_ref().filter(|row| row.status != before.status) {
            tracing::info!(broker.id = %row.id, broker.name = %row.name, status = row.status.as_str(), "broker's status changed");
        }
        Ok(row)
    }
}

/// What was imported, without that which other brokers hold.
async fn settled(
    tx: &mut Tx<'_>,
    row: &BrokerRow,
    known: &[Offering],
    imported: &[Offering],
) -> Result<Vec<Offering>, Error> {
    let mut held = offerings::held(tx, &row.id, known, imported).await?;
    check::unnamed(row, &mut held);
    let mut settled = imported.to_vec();
    for (place, sentence) in clash::clashes(&row.name, imported, &held) {
        if let Some(offering) = settled.get_mut(place) {
            *offering = quarantine(&row.name, known, offering.clone(), sentence);
        }
    }
    Ok(settled)
}

/// A catalog of which nothing can be served is as good as none.
fn status(offerings: &[Offering]) -> Status {
    let mut offered = offerings.iter().filter(|offering| offering.state != State::Removed).peekable();
    if offered.peek().is_some() && offered.all(|offering| offering.state == State::Quarantined) {
        Status::Quarantined
    } else {
        Status::Available
    }
}

fn status_event(before: &BrokerRow, row: &BrokerRow, now: Time) -> Option<Event> {
    let kind = match (before.status, row.status) {
        (Status::Unavailable, Status::Unavailable) => return None,
        (_, Status::Unavailable) => EventKind::BrokerUnavailable,
        (Status::Unavailable, _) => EventKind::BrokerAvailable,
        _ => return None,
    };
    let reason = row.findings.first().map(|finding| finding.message.clone());
    let data = json!({ "broker": row.name, "reason": reason });
    let transition = format!("{}/{}", row.id, now.0);
    Some(notice::event(row, kind, &transition, now, data))
}

//! Gets a broker's catalog and reads it: outside of any transaction, for it is a call and takes time to read.

use osb::client::{Failure, UnknownReason};
use osb::{Call, CatalogDocument};
use serde_json::Value;

use crate::app::drive::Origin;
use crate::app::{App, Error};
use crate::backend::Backend;
use crate::clock::fresh_id;
use crate::domain::broker::Settings;
use crate::domain::catalog::bridge::Terms;
use crate::domain::catalog::import::{Source, import};
use crate::domain::catalog::{Finding, Offering, Severity};
use crate::domain::stamp::StampFacts;

/// How reading a catalog ended.
pub(super) enum Read {
    /// It is one; some of its offerings may be out of order.
    Catalog(Vec<Offering>),
    /// It is none.
    Nothing(Vec<Finding>),
}

/// How asking a broker for its catalog ended.
pub(super) enum Fetched {
    /// Here it is.
    Document(CatalogDocument),
    /// The stored one still is right.
    Same,
    /// The broker can't be reached or refuses.
    Unavailable(Finding),
    /// What came is not JSON.
    Garbage(Finding),
}

impl App {
    pub(super) async fn fetch_catalog(&self, backend: &Backend, etag: Option<&str>) -> Result<Fetched, Error> {
        let call = self.catalog_call(backend).await?;
        Ok(match backend.catalog(&call, etag).await {
            Ok(Some(document)) => Fetched::Document(document),
            Ok(None) => Fetched::Same,
            Err(Failure::Unknown { reason: UnknownReason::Garbage, .. }) => {
                Fetched::Garbage(finding("/services", "the broker's answer to GET /v2/catalog is not a catalog"))
            }
            Err(failure) => Fetched::Unavailable(finding("", &explain(&failure))),
        })
    }

    /// What goes with a request for a catalog: nobody caused it, and it is for no tenant.
    async fn catalog_call(&self, backend: &Backend) -> Result<Call, Error> {
        let origin = Origin { originating_identity: None, request_identity: fresh_id(), traceparent: None };
        let facts = StampFacts { via: self.via(Vec::new()), ..StampFacts::default() };
        self.backend_call(backend, &osb::client::encode::catalog(), &facts, &origin).await
    }
}

/// Reads a catalog off the threads that answer requests.
pub(super) async fn read(
    hub: String,
    broker: String,
    settings: Settings,
    json: bytes::Bytes,
    known: Vec<Offering>,
) -> Result<Read, Error> {
    let work = tokio::task::spawn_blocking(move || {
        let catalog: Value = match serde_json::from_slice(&json) {
            Ok(catalog) => catalog,
            Err(error) => return Read::Nothing(vec![finding("", &format!("the catalog is not JSON: {error}"))]),
        };
        let (name_prefix, ids) = (settings.name_prefix.as_str(), settings.ids);
        let terms = Terms { api_version: settings.api_version.as_deref(), rotation: settings.rotation };
        let source = Source { broker: &broker, name_prefix, ids, hub: &hub, terms };
        import(source, &catalog, &known).map_or_else(Read::Nothing, Read::Catalog)
    });
    work.await.map_err(|_| Error::Store(crate::store::Error::Busy))
}

pub(super) fn finding(pointer: &str, message: &str) -> Finding {
    Finding { severity: Severity::Error, pointer: pointer.to_owned(), message: message.to_owned() }
}

/// For administrators: what to look at. Holds no credential.
fn explain(failure: &Failure) -> String {
    match failure {
        Failure::NotSent { reason } => format!("the broker can't be reached: {reason}"),
        Failure::Unknown { reason: UnknownReason::Timeout, .. } => {
            "the broker did not answer GET /v2/catalog in time".to_owned()
        }
        Failure::Unknown { reason, .. } => format!("the broker's answer to GET /v2/catalog is of no use: {reason}"),
        Failure::Rejected(error) | Failure::Protocol { error } => {
            let hint = match error.status {
                401 | 403 => ": look at the credentials",
                404 => ": look at the URL, it is what stands before /v2",
                412 => ": look at `api_version`",
                _ => "",
            };
            format!("the broker answered GET /v2/catalog with status {}{hint}", error.status)
        }
    }
}

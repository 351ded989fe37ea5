//! What operators do with retired instances whose data is still there: see them, take one into use again, or destroy its data
//! now. As methods, and over HTTP behind the broker's own door.
//!
//! An instance that is taken into use again has no bindings. A hub has forgotten it: it is taken over there with
//! `POST /api/v1/instances/adopt`.

use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::json;

use super::broker::{Broker, answer};
use super::meter::time;
use super::service::{Secret, Service};
use super::stamped::Tenant;
use crate::Error;
use crate::server::Server;

/// How many are listed.
const LIST_MAX: i64 = 1_000;

/// A retired instance, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RetainedInstance {
    /// The kit's id of it, which no other ever has.
    pub resource: String,
    /// The platform's id of it.
    pub instance_id: String,
    /// Its plan.
    pub plan_id: String,
    /// Whom it was for.
    pub tenant: Option<Tenant>,
    /// When it was retired, RFC 3339.
    pub retired_at: String,
    /// When its data will be destroyed, RFC 3339.
    pub purge_at: String,
}

impl<S: Service> Broker<S> {
    /// Retired instances whose data is still there, those that go first first; at most 1,000.
    ///
    /// # Errors
    /// Where the file fails.
    pub async fn retained(&self) -> Result<Vec<RetainedInstance>, Error> {
        let rows = self.core.rows.retained(self.core.db.reader(), i64::MAX, LIST_MAX).await?;
        let shown = rows.into_iter().map(|row| RetainedInstance {
            retired_at: time(row.retired_at),
            purge_at: time(row.purge_at),
            resource: row.instance.resource,
            instance_id: row.instance.id,
            plan_id: row.instance.plan_id,
            tenant: row.instance.tenant,
        });
        Ok(shown.collect())
    }

    /// Takes a retired instance into use again, under the id that it had.
    ///
    /// # Errors
    /// 404 where there is none, 409 where its id is taken by another, and what the service says.
    pub async fn restore(&self, resource: &str) -> Result<(), Error> {
        let (row, _held) = self.retained_one(resource).await?;
        if row.purging {
            return Err(Error::conflict("its data is being destroyed: it can't be taken into use again"));
        }
        let mut instance = row.instance;
        let taken = || Error::conflict("another service instance has this id now: it has to be deleted first");
        if self.core.found(&instance.id).await?.is_some() {
            return Err(taken());
        }
        let state = self.core.service.revive(&instance).await.map_err(|fault| answer(fault, false))?;
        instance.state = Secret(state);
        let mut writer = self.core.db.writer().await?;
        let mut transaction = writer.begin().await?;
        if !self.core.rows.restore(&mut transaction, &instance, self.core.clock.seconds()).await? {
            return Err(taken());
        }
        transaction.commit().await?;
        tracing::info!(instance.id = instance.id, resource, "a retired service instance was taken into use again");
        Ok(())
    }

    /// Destroys the data of a retired instance now.
    ///
    /// # Errors
    /// 404 where there is none, and what the service says.
    pub async fn purge_now(&self, resource: &str) -> Result<(), Error> {
        let (row, _held) = self.retained_one(resource).await?;
        let instance = row.instance;
        if !self.core.begin_purge(resource).await? {
            return Ok(());
        }
        self.core.service.purge(&instance).await.map_err(|fault| answer(fault, false))?;
        let mut writer = self.core.db.writer().await?;
        let mut transaction = writer.begin().await?;
        self.core.rows.purged(&mut transaction, resource, None).await?;
        transaction.commit().await?;
        tracing::info!(instance.id = instance.id, resource, "the data of a retired service instance was destroyed");
        Ok(())
    }

    async fn retained_one(
        &self,
        resource: &str,
    ) -> Result<(super::rows::Retained, tokio::sync::OwnedMutexGuard<()>), Error> {
        let missing = || Error::not_found("there is no retired service instance of this name");
        let row = self.core.rows.retained_one(self.core.db.reader(), resource).await?.ok_or_else(missing)?;
        let busy = || Error::concurrency("another order for this service instance is under way");
        let held = self.core.lock(&row.instance.id).await.ok_or_else(busy)?;
        // It may have gone while the lock was waited for.
        let row = self.core.rows.retained_one(self.core.db.reader(), resource).await?.ok_or_else(missing)?;
        Ok((row, held))
    }

    /// The same over HTTP, behind the server's door: `GET /retained`, `POST /retained/{resource}/restore`,
    /// `DELETE /retained/{resource}`.
    pub fn retained_routes(&self, server: &Server) -> impl Fn(&mut ServiceConfig) + Clone + Send + use<S> {
        let (broker, server) = (self.clone(), server.clone());
        move |config| {
            let state = web::Data::new((broker.clone(), server.clone()));
            config.service(
                web::scope("/retained")
                    .app_data(state)
                    .route("", web::get().to(list::<S>))
                    .route("/{resource}/restore", web::post().to(restore::<S>))
                    .route("/{resource}", web::delete().to(purge::<S>)),
            );
        }
    }
}

type Behind<S> = web::Data<(Broker<S>, Server)>;

async fn list<S: Service>(request: HttpRequest, behind: Behind<S>) -> HttpResponse {
    let (broker, server) = behind.get_ref();
    if let Err(refused) = server.admit(&request).await {
        return refused;
    }
    match broker.retained().await {
        Ok(items) => HttpResponse::Ok().json(json!({ "items": items })),
        Err(error) => server.refuse(&request, error),
    }
}

async fn restore<S: Service>(request: HttpRequest, path: web::Path<String>, behind: Behind<S>) -> HttpResponse {
    let (broker, server) = behind.get_ref();
    if let Err(refused) = server.admit(&request).await {
        return refused;
    }
    match broker.restore(&path).await {
        Ok(()) => HttpResponse::Ok().json(json!({})),
        Err(error) => server.refuse(&request, error),
    }
}

async fn purge<S: Service>(request: HttpRequest, path: web::Path<String>, behind: Behind<S>) -> HttpResponse {
    let (broker, server) = behind.get_ref();
    if let Err(refused) = server.admit(&request).await {
        return refused;
    }
    match broker.purge_now(&path).await {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(error) => server.refuse(&request, error),
    }
}

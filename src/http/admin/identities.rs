//! `/api/v1/identities`: what platforms called somebody, and no tenant has.

use actix_web::web::{Data, Json};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::clock::Time;
use crate::domain::identity::Identity;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{PageOut, PageParams};
use crate::http::permits::{Can, SeePlatforms};

/// An identity that was used in an order and that no tenant has.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UnmappedOut {
    /// The platform's name.
    platform: String,
    /// As it can be given to a tenant.
    identity: Identity,
    /// How often it was used.
    count: i64,
    /// When first.
    #[schema(value_type = String, format = DateTime)]
    first_seen_at: Time,
    /// When last.
    #[schema(value_type = String, format = DateTime)]
    last_seen_at: Time,
}

/// `GET /identities/unmapped`
///
/// # Errors
/// [`Failure`].
pub async fn unmapped(
    _: Can<SeePlatforms>,
    app: Data<App>,
    params: Params<PageParams>,
) -> Result<Json<PageOut<UnmappedOut>>, Failure> {
    let listed = app.unmapped_identities(&params.0.page()?).await?;
    let listed = listed.map(|row| UnmappedOut {
        identity: Identity::from_key(row.platform.clone(), row.key),
        platform: row.platform,
        count: row.seen,
        first_seen_at: row.first_seen_at,
        last_seen_at: row.last_seen_at,
    });
    Ok(Json(listed.into()))
}

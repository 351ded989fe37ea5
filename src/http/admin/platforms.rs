//! `/api/v1/platforms`: platforms and their credentials.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use osb::Maybe;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::app::pairs::Pair;
use crate::app::platforms::{NewPlatform, PlatformChange, PlatformView};
use crate::clock::Time;
use crate::domain::platform::{Platform, PlatformKind, Trust};
use crate::http::error::Failure;
use crate::http::input::{Body, Params};
use crate::http::page::{PageOut, PageParams};
use crate::http::permits::{Can, ManagePlatforms, SeePlatforms};

/// A platform to register.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPlatform)]
pub struct NewPlatformIn {
    /// 1 to 63 of a-z, 0-9 and '-'; immutable.
    name: String,
    /// What kind it is; immutable.
    kind: PlatformKind,
    /// A tenant's name: whom orders are for that no identity maps.
    default_tenant: Option<String>,
    /// Of a platform that is a hub: whose stamps are believed.
    trust: Option<Trust>,
}

/// What changes of a platform. What is absent stays.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PlatformChange)]
pub struct PlatformChangeIn {
    /// A tenant's name, or `null` for none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    default_tenant: Maybe<String>,
    /// The other hub.
    #[serde(default)]
    #[schema(value_type = Option<Trust>)]
    trust: Maybe<Trust>,
}

/// A platform.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Platform)]
pub struct PlatformOut {
    /// For ever the same.
    id: String,
    /// Immutable.
    name: String,
    /// What kind it is.
    kind: PlatformKind,
    /// Whom orders are for that no identity maps.
    default_tenant: Option<String>,
    /// Whose stamps are believed.
    trust: Option<Trust>,
    /// User names of its credentials, oldest first.
    usernames: Vec<String>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
}

impl From<PlatformView> for PlatformOut {
    fn from(view: PlatformView) -> Self {
        let PlatformView { row, usernames } = view;
        let Platform { id, name, kind, default_tenant_id: _, trust } = row.platform;
        Self { id, name, kind, default_tenant: row.default_tenant, trust, usernames, created_at: row.created_at }
    }
}

/// A user name and password. The password is shown this once.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Credentials)]
pub struct PairOut {
    /// For HTTP Basic.
    username: String,
    /// For HTTP Basic.
    password: String,
}

impl From<Pair> for PairOut {
    fn from(pair: Pair) -> Self {
        Self { password: pair.password.expose().clone(), username: pair.username }
    }
}

/// A platform that was just registered.
#[derive(Clone, Serialize, ToSchema)]
pub struct CreatedPlatform {
    /// For ever the same.
    id: String,
    /// Immutable.
    name: String,
    /// What kind it is.
    kind: PlatformKind,
    /// Whom orders are for that no identity maps.
    default_tenant: Option<String>,
    /// Whose stamps are believed.
    trust: Option<Trust>,
    /// How it calls; shown this once.
    credentials: PairOut,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
}

/// `POST /platforms`
///
/// # Errors
/// [`Failure`].
pub async fn create(
    who: Can<ManagePlatforms>,
    app: Data<App>,
    body: Body<NewPlatformIn>,
) -> Result<HttpResponse, Failure> {
    let NewPlatformIn { name, kind, default_tenant, trust } = body.0;
    let (view, pair) = app.create_platform(&who.caller, NewPlatform { name, kind, default_tenant, trust }).await?;
    let PlatformOut { id, name, kind, default_tenant, trust, usernames: _, created_at } = view.into();
    let credentials = pair.into();
    Ok(HttpResponse::Created().json(CreatedPlatform { id, name, kind, default_tenant, trust, credentials, created_at }))
}

/// `GET /platforms`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    _: Can<SeePlatforms>,
    app: Data<App>,
    params: Params<PageParams>,
) -> Result<Json<PageOut<PlatformOut>>, Failure> {
    Ok(Json(app.platforms(&params.0.page()?).await?.map(PlatformOut::from).into()))
}

/// `GET /platforms/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn show(_: Can<SeePlatforms>, app: Data<App>, name: Path<String>) -> Result<Json<PlatformOut>, Failure> {
    Ok(Json(app.platform_by_name(&name).await?.into()))
}

/// `PATCH /platforms/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn change(
    who: Can<ManagePlatforms>,
    app: Data<App>,
    name: Path<String>,
    body: Body<PlatformChangeIn>,
) -> Result<Json<PlatformOut>, Failure> {
    let change = PlatformChange { default_tenant: given(body.0.default_tenant), trust: given(body.0.trust) };
    Ok(Json(app.change_platform(&who.caller, &name, change).await?.into()))
}

/// Absent leaves it, `null` takes it away.
fn given<T>(field: Maybe<T>) -> Option<Option<T>> {
    match field {
        Maybe::Absent => None,
        Maybe::Null => Some(None),
        Maybe::Present(value) => Some(Some(value)),
    }
}

/// `DELETE /platforms/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn delete(who: Can<ManagePlatforms>, app: Data<App>, name: Path<String>) -> Result<HttpResponse, Failure> {
    app.delete_platform(&who.caller, &name).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /platforms/{name}/credentials`
///
/// # Errors
/// [`Failure`].
pub async fn add_credentials(
    who: Can<ManagePlatforms>,
    app: Data<App>,
    name: Path<String>,
) -> Result<HttpResponse, Failure> {
    let pair = app.add_platform_credentials(&who.caller, &name).await?;
    Ok(HttpResponse::Created().json(PairOut::from(pair)))
}

/// `DELETE /platforms/{name}/credentials/{username}`
///
/// # Errors
/// [`Failure`].
pub async fn delete_credentials(
    who: Can<ManagePlatforms>,
    app: Data<App>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Failure> {
    let (name, username) = path.into_inner();
    let left = app.delete_platform_credentials(&who.caller, &name, &username).await?;
    if left == 0 {
        tracing::warn!(platform.name = %name, "platform {name} has no credentials left and can't call any more");
    }
    Ok(HttpResponse::NoContent().finish())
}

//! `/api/v1/users`: what this hub knows of people besides their tokens; and `/api/v1/me`, who calls.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::app::identity::{UserDocument, UserView};
use crate::app::tenants::Put;
use crate::clock::Time;
use crate::domain::caller::Caller;
use crate::domain::role::Role;
use crate::http::error::Failure;
use crate::http::input::{Body, Params};
use crate::http::page::{PageOut, PageParams};
use crate::http::permits::{Can, ManagePeople, SeePeople, SignedIn};

/// A user.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserOut {
    /// As the identity provider names them.
    name: String,
    #[serde(flatten)]
    document: UserDocument,
    /// Since when they are known here.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
}

impl From<UserView> for UserOut {
    fn from(view: UserView) -> Self {
        let UserView { name, document, created_at } = view;
        Self { name, document, created_at }
    }
}

/// `GET /users`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    _: Can<SeePeople>,
    app: Data<App>,
    params: Params<PageParams>,
) -> Result<Json<PageOut<UserOut>>, Failure> {
    Ok(Json(app.known_users(&params.0.page()?).await?.map(UserOut::from).into()))
}

/// `GET /users/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn show(_: Can<SeePeople>, app: Data<App>, name: Path<String>) -> Result<Json<UserOut>, Failure> {
    Ok(Json(app.known_user(&name).await?.into()))
}

/// `PUT /users/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn put(
    who: Can<ManagePeople>,
    app: Data<App>,
    name: Path<String>,
    body: Body<UserDocument>,
) -> Result<HttpResponse, Failure> {
    let (put, view) = app.put_user(&who.caller, &name, body.0).await?;
    let status = match put {
        Put::Created => StatusCode::CREATED,
        Put::Replaced => StatusCode::OK,
    };
    Ok(HttpResponse::build(status).json(UserOut::from(view)))
}

/// `DELETE /users/{name}`
///
/// # Errors
/// [`Failure`].
pub async fn delete(who: Can<ManagePeople>, app: Data<App>, name: Path<String>) -> Result<HttpResponse, Failure> {
    app.delete_user(&who.caller, &name).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Who calls.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Me)]
pub struct MeOut {
    /// `administrator`, `user`, `service_account`.
    kind: &'static str,
    /// The name.
    name: String,
    /// What they are; of which broker or tenant is told below.
    roles: Vec<&'static str>,
    /// The groups that the identity provider and this hub know them in.
    groups: Vec<String>,
    /// The brokers that they answer for.
    brokers: Vec<String>,
    /// Those that they will answer for once they have registered them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    brokers_to_register: Vec<String>,
    /// The tenants that they belong to.
    tenants: Vec<MyTenant>,
}

/// A tenant that the caller belongs to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MyTenant {
    /// Its name.
    name: String,
    /// `owner` or `member`.
    role: &'static str,
}

/// `GET /me`
///
/// # Errors
/// None but 401 and 403.
pub async fn me(who: Can<SignedIn>) -> Result<Json<MeOut>, Failure> {
    let kind = match who.caller {
        Caller::ServiceAccount(_) => "service_account",
        Caller::User(_) => "user",
        _ => "administrator",
    };
    let Some(person) = who.caller.person() else {
        let name = who.caller.user().unwrap_or_default().to_owned();
        let roles = vec![Role::Administrator.as_str()];
        return Ok(Json(MeOut {
            kind,
            name,
            roles,
            groups: Vec::new(),
            brokers: Vec::new(),
            brokers_to_register: Vec::new(),
            tenants: Vec::new(),
        }));
    };
    let mine = |role| move |name: &String| MyTenant { name: name.clone(), role };
    let mut tenants: Vec<_> = person.owns.values().map(mine("owner")).collect();
    let member = person.member_of.iter().filter(|(id, _)| !person.owns.contains_key(*id));
    tenants.extend(member.map(|(_, name)| name).map(mine("member")));
    tenants.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Json(MeOut {
        kind,
        name: person.name.clone(),
        roles: person.all_roles().into_iter().map(Role::as_str).collect(),
        groups: person.groups.iter().cloned().collect(),
        brokers: person.provides.values().cloned().collect(),
        brokers_to_register: person.awaits.iter().cloned().collect(),
        tenants,
    }))
}

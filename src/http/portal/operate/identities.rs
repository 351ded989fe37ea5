//! `/operator/identities`: what platforms called somebody whom no tenant has. Each leads to a form that gives it to a tenant, one that is
//! there or a new one; then the order that was refused can be repeated.

use actix_web::HttpResponse;
use actix_web::web::Data;
use maud::{Markup, html};
use serde::Deserialize;

use super::{ago, parts};
use crate::app::tenants::Precondition;
use crate::app::{self, App, Page as Wanted};
use crate::domain::identity::{Identity, MatchKey};
use crate::domain::permission::Permission;
use crate::domain::tenant::TenantDocument;
use crate::http::error::Failure;
use crate::http::input::Params;
use crate::http::page::{PageOut, PageParams};
use crate::http::permits::{Can, ManageTenants, SeePlatforms};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::{self, Wrong};
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Line, Tone};
use crate::http::portal::shown;
use crate::http::portal::visit::Visit;

/// The query parameters of the form.
pub const QUERY: &[&str] = &["platform", "identity"];
/// Tenants whose names are offered to choose from.
const NAMES_MAX: u32 = 500;
const HERE: &str = "/operator/identities";

/// `GET /operator/identities`
///
/// # Errors
/// [`Failure`].
pub async fn list(
    who: Can<SeePlatforms>,
    visit: Visit,
    app: Data<App>,
    params: Params<PageParams>,
) -> Result<HttpResponse, Failure> {
    let listed: PageOut<_> = app.unmapped_identities(&params.0.page()?).await?.into();
    let maps = Permission::ManageTenants.sight(&who.caller).is_some();
    let rows = listed.items.iter().map(|row| {
        let query = [("platform", row.platform.as_str()), ("identity", &row.key.canonical())];
        let query = serde_urlencoded::to_string(query).unwrap_or_default();
        vec![
            html! { (row.platform) },
            claims(&row.key),
            html! { (shown::count(usize::try_from(row.seen).unwrap_or(0), "order", "orders")) },
            html! { (shown::time(row.last_seen_at)) " (" (ago(&app, row.last_seen_at)) " ago)" },
            html! { @if maps { a href={ (HERE) "/map?" (query) } { "Say whose it is" } } @else { "operators can map it" } },
        ]
    });
    let rows: Vec<_> = rows.collect();
    Ok(Page::new(&visit, "Identities").above(parts(&visit, &who.caller)).show(html! {
        @if rows.is_empty() {
            (kit::empty("Every identity has a tenant", "When a platform orders for somebody whom no tenant has, the order is refused and who it was stands here.", None))
        } @else {
            p { "Platforms ordered for these, and no tenant has them. The orders were refused; they can be repeated as soon as you say whose they are." }
            (kit::table("Identities that no tenant has", &["Platform", "Who", "Refused", "Last", "What to do"], &rows))
        }
        (kit::pager(&visit, listed.next.as_deref()))
        (kit::same_by_program("curl -H \"Authorization: Bearer $TOKEN\" \"$HUB/api/v1/identities/unmapped\"", None))
    }))
}

/// What a platform claimed.
fn claims(key: &MatchKey) -> Markup {
    match key {
        MatchKey::Claimed(keys) => html! {
            ul.plain { @for (name, value) in keys { li { span.under { (name) } " " code { (value) } } } }
        },
        MatchKey::Stamped(tenant) => html! { span.under { "tenant of another hub" } " " code { (tenant) } },
    }
}

/// Which identity is meant.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Meant {
    platform: String,
    identity: String,
}

impl Meant {
    fn key(&self) -> Result<MatchKey, Failure> {
        let key = MatchKey::parse(&self.identity);
        key.ok_or_else(|| app::Error::not_found("identity", self.identity.clone()).into())
    }
}

/// What was typed.
#[derive(Clone, Debug, Default)]
struct Typed {
    tenant: String,
    name: String,
    display_name: String,
    cost_center: String,
    owner: String,
}

/// `GET /operator/identities/map`
///
/// # Errors
/// 404 where the address holds no identity.
pub async fn form(
    _: Can<ManageTenants>,
    visit: Visit,
    app: Data<App>,
    meant: Params<Meant>,
) -> Result<HttpResponse, Failure> {
    answer(&visit, &app, &meant.0, &Typed::default(), &Wrong::default()).await
}

/// `POST /operator/identities/map`: `do` is `give`, to a tenant that is there, or `make`, a new one.
///
/// # Errors
/// [`Failure`].
pub async fn map(
    who: Can<ManageTenants>,
    visit: Visit,
    app: Data<App>,
    meant: Params<Meant>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let meant = meant.0;
    let identity = Identity::from_key(meant.platform.clone(), meant.key()?);
    let text = |name: &str| fields.text(name).to_owned();
    let typed = Typed {
        tenant: text("tenant"),
        name: text("name"),
        display_name: text("display_name"),
        cost_center: text("cost_center"),
        owner: text("owner"),
    };
    let (name, document, precondition) = if fields.text("do") == "make" {
        let document = TenantDocument {
            display_name: typed.display_name.clone(),
            cost_center: typed.cost_center.clone(),
            owner: typed.owner.clone(),
            identities: vec![identity],
            ..TenantDocument::default()
        };
        (&typed.name, document, Precondition::Absent)
    } else {
        let view = match app.tenant_view(&who.sight, &typed.tenant).await {
            Ok(view) => view,
            Err(app::Error::NotFound { .. }) => {
                let wrong =
                    Wrong::field("tenant", "There is no tenant of this name: choose one, or make a new one below");
                return answer(&visit, &app, &meant, &typed, &wrong).await;
            }
            Err(error) => return Err(error.into()),
        };
        let tag = Precondition::Tag(view.tag());
        let mut document = view.tenant.document;
        document.identities.push(identity);
        (&typed.tenant, document, tag)
    };
    let fields = [("/display_name", "display_name"), ("/cost_center", "cost_center"), ("/owner", "owner")];
    let absent = precondition == Precondition::Absent;
    let wrong = match app.put_tenant(&who.caller, name, document, precondition).await {
        Ok((_, view)) => {
            return Ok(visit.to(&format!("/operator/tenants/{}?done=mapped", kit::part(&view.tenant.name))));
        }
        Err(app::Error::Stale) if absent => {
            Wrong::field("name", "There is a tenant of this name already: choose it above, or take another name")
        }
        Err(app::Error::Invalid(issues)) if issues.iter().all(|issue| issue.pointer.is_empty()) => {
            let text: Vec<_> = issues.iter().map(|issue| issue.message.as_str()).collect();
            Wrong::field(if absent { "name" } else { "tenant" }, &text.join("; "))
        }
        Err(error) => Wrong::of(error, &fields)?,
    };
    answer(&visit, &app, &meant, &typed, &wrong).await
}

async fn answer(
    visit: &Visit,
    app: &App,
    meant: &Meant,
    typed: &Typed,
    wrong: &Wrong,
) -> Result<HttpResponse, Failure> {
    let key = meant.key()?;
    let first = Wanted { limit: NAMES_MAX, after: String::new() };
    let tenants = app.tenants(&crate::domain::permission::Sight::everything(), &first).await?.items;
    let names: Vec<String> = tenants.into_iter().map(|view| view.tenant.name).collect();
    let line = |name, label, hint, value, required| {
        kit::line(&Line { name, label, hint, value, required, wrong: wrong.at(name), ..Line::default() })
    };
    let trail = kit::trail(&[("Operate", "/operator"), ("Identities", HERE)]);
    Ok(Page::new(visit, "Whose is this identity?").above(trail).status(wrong.status()).show(html! {
        (wrong.above())
        (kit::facts(&[("Platform", html! { (meant.platform) }), ("Who", claims(&key))]))
        @if !wrong.is_any() {
            (kit::notice(Tone::Busy, &html! { p { "Whoever ordered under this identity belongs to the tenant from then on, and their orders are charged to it." } }))
        }
        form.panel method="post" action=(visit.address) {
            h2 { "A tenant that is there" }
            (kit::csrf(visit))
            (forms::named(&Line {
                name: "tenant", label: "Tenant", hint: "By its name.", value: &typed.tenant, required: true,
                wrong: wrong.at("tenant"), ..Line::default()
            }, &names))
            p.actions { button type="submit" name="do" value="give" { "Give it to this tenant" } }
        }
        h2 { "Or a new tenant" }
        form.panel method="post" action=(visit.address) {
            (kit::csrf(visit))
            (line("name", "Name", "1 to 63 of a-z, 0-9 and '-'. It can't be changed later.", &typed.name, true))
            (line("display_name", "Display name", "How people call it.", &typed.display_name, true))
            (line("cost_center", "Cost center", "Where its costs go.", &typed.cost_center, false))
            (line("owner", "Owner", "Who answers for it.", &typed.owner, false))
            p.actions { button.second type="submit" name="do" value="make" { "Make the tenant with this identity" } }
        }
        (kit::same_by_program(
            "curl -X PUT -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\\n  -d '{\"display_name\":\"…\",\"identities\":[{\"platform\":\"…\",\"organization_guid\":\"…\"}]}' \"$HUB/api/v1/tenants/NAME\"",
            None,
        ))
    }))
}

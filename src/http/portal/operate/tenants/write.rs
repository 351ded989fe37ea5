//! `/operator/add-tenant` and `/operator/tenants/{name}/change`: all that is said of a tenant, its members and identities included.
//!
//! Invariant: what was not touched in the form stays as it is written, whatever a form can't show of it.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::HERE;
use crate::app::tenants::{Precondition, TenantView};
use crate::app::{self, App};
use crate::domain::caller::Caller;
use crate::domain::identity::Identity;
use crate::domain::tenant::{Member, MemberKind, Role, TenantDocument};
use crate::http::error::Failure;
use crate::http::permits::{Can, ManageTenants};
use crate::http::portal::documents::{self, NAME_HINT};
use crate::http::portal::fields::Fields;
use crate::http::portal::forms::{self, Wrong};
use crate::http::portal::frame::Page;
use crate::http::portal::kit::{self, Line};
use crate::http::portal::visit::Visit;

const ADD: &str = "/operator/add-tenant";
const FIELDS: &[(&str, &str)] = &[
    ("/display_name", "display_name"),
    ("/cost_center", "cost_center"),
    ("/business_unit", "business_unit"),
    ("/environment", "environment"),
    ("/owner", "owner"),
    ("/time_zone", "time_zone"),
    ("/groups", "groups"),
    ("/labels", "labels"),
    ("/members", "owners"),
    ("/identities", "identities"),
    ("", "name"),
];

/// What was typed.
#[derive(Clone, Debug, Default)]
struct Typed {
    name: String,
    display_name: String,
    cost_center: String,
    business_unit: String,
    environment: String,
    owner: String,
    time_zone: String,
    groups: String,
    labels: String,
    /// Users and groups, owners and members.
    people: [String; 4],
    identities: String,
}

/// The four kinds of being in a tenant: field, label, hint, what it is.
const PEOPLE: [(&str, &str, &str, MemberKind, Role); 4] = [
    (
        "owners",
        "Owners",
        "Users who order for it and say who else is in it, one a line.",
        MemberKind::User,
        Role::Owner,
    ),
    ("members", "Members", "Users who order for it, one a line.", MemberKind::User, Role::Member),
    ("owner_groups", "Groups of owners", "Of the identity provider, one a line.", MemberKind::Group, Role::Owner),
    ("member_groups", "Groups of members", "Of the identity provider, one a line.", MemberKind::Group, Role::Member),
];

impl Typed {
    fn of(name: &str, document: &TenantDocument) -> Self {
        let labels: Vec<_> = document.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let people = PEOPLE.map(|(.., kind, role)| {
            let named = document.members.iter().filter(|member| member.role == role);
            let names = named.filter_map(|member| match kind {
                MemberKind::User => member.user.clone(),
                MemberKind::Group => member.group.clone(),
            });
            names.collect::<Vec<_>>().join("\n")
        });
        let identities = match document.identities.as_slice() {
            [] => String::new(),
            all => documents::pretty(&json!(all)),
        };
        Self {
            name: name.to_owned(),
            display_name: document.display_name.clone(),
            cost_center: document.cost_center.clone(),
            business_unit: document.business_unit.clone(),
            environment: document.environment.clone(),
            owner: document.owner.clone(),
            time_zone: document.time_zone.clone().unwrap_or_default(),
            groups: document.groups.join("\n"),
            labels: labels.join("\n"),
            people,
            identities,
        }
    }

    fn read(fields: &Fields) -> Self {
        let text = |name: &str| fields.text(name).replace("\r\n", "\n");
        Self {
            name: text("name"),
            display_name: text("display_name"),
            cost_center: text("cost_center"),
            business_unit: text("business_unit"),
            environment: text("environment"),
            owner: text("owner"),
            time_zone: text("time_zone"),
            groups: text("groups"),
            labels: text("labels"),
            people: PEOPLE.map(|(field, ..)| text(field)),
            identities: text("identities"),
        }
    }

    /// The document that is meant, where `standing` is there.
    fn document(&self, standing: &TenantDocument) -> Result<TenantDocument, Wrong> {
        let before = Self::of("", standing);
        let members = match self.people == before.people {
            true => standing.members.clone(),
            false => self.members(),
        };
        let labels = match self.labels == before.labels {
            true => standing.labels.clone(),
            false => self.labels()?,
        };
        Ok(TenantDocument {
            display_name: self.display_name.clone(),
            cost_center: self.cost_center.clone(),
            business_unit: self.business_unit.clone(),
            environment: self.environment.clone(),
            owner: self.owner.clone(),
            groups: documents::lines(&self.groups),
            labels,
            time_zone: documents::some(&self.time_zone),
            members,
            identities: self.identities()?,
        })
    }

    fn members(&self) -> Vec<Member> {
        let of = |(names, (.., kind, role)): (&String, (&str, &str, &str, MemberKind, Role))| {
            documents::lines(names).into_iter().map(move |name| Member::new(kind, &name, role)).collect::<Vec<_>>()
        };
        self.people.iter().zip(PEOPLE).flat_map(of).collect()
    }

    fn labels(&self) -> Result<BTreeMap<String, String>, Wrong> {
        let pair = |line: &String| {
            let wrong = || Wrong::field("labels", &format!("`{line}` must be a key and a value, such as stage=test"));
            let (key, value) = line.split_once('=').ok_or_else(wrong)?;
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        };
        documents::lines(&self.labels).iter().map(pair).collect()
    }

    fn identities(&self) -> Result<Vec<Identity>, Wrong> {
        if self.identities.is_empty() {
            return Ok(Vec::new());
        }
        let read: Value = documents::json("identities", &self.identities)?;
        serde_json::from_value(read)
            .map_err(|error| Wrong::field("identities", &format!("This is no list of identities: {error}")))
    }
}

/// `GET /operator/add-tenant`
///
/// # Errors
/// None.
pub async fn begin(_: Can<ManageTenants>, visit: Visit) -> Result<HttpResponse, Failure> {
    Ok(adding(&visit, &Typed::default(), &Wrong::default()))
}

/// `POST /operator/add-tenant`
///
/// # Errors
/// [`Failure`].
pub async fn add(
    who: Can<ManageTenants>,
    visit: Visit,
    app: Data<App>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let typed = Typed::read(&fields);
    let wrong = match typed.document(&TenantDocument::default()) {
        Err(wrong) => Some(wrong),
        Ok(document) => put(&app, &who.caller, &typed.name, document, Precondition::Absent).await?,
    };
    match wrong {
        None => Ok(visit.to(&format!("{HERE}/{}", kit::part(&typed.name)))),
        Some(wrong) => Ok(adding(&visit, &typed, &wrong)),
    }
}

/// `GET /operator/tenants/{name}/change`
///
/// # Errors
/// 404 where there is none.
pub async fn show(
    who: Can<ManageTenants>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
) -> Result<HttpResponse, Failure> {
    let view = app.tenant_view(&who.sight, &name).await?;
    Ok(changing(&visit, &view, &Typed::of(&name, &view.tenant.document), &Wrong::default()))
}

/// `POST /operator/tenants/{name}/change`
///
/// # Errors
/// 404 where there is none.
pub async fn change(
    who: Can<ManageTenants>,
    visit: Visit,
    app: Data<App>,
    name: Path<String>,
    fields: Fields,
) -> Result<HttpResponse, Failure> {
    let view = app.tenant_view(&who.sight, &name).await?;
    let typed = Typed::read(&fields);
    let precondition = match fields.text("tag") {
        "" => Precondition::Exists,
        tag => Precondition::Tag(tag.to_owned()),
    };
    let wrong = match typed.document(&view.tenant.document) {
        Err(wrong) => Some(wrong),
        Ok(document) => put(&app, &who.caller, &name, document, precondition).await?,
    };
    match wrong {
        None => Ok(visit.to(&format!("{HERE}/{}", kit::part(&name)))),
        Some(wrong) => {
            let view = app.tenant_view(&who.sight, &name).await?;
            Ok(changing(&visit, &view, &typed, &wrong))
        }
    }
}

async fn put(
    app: &App,
    caller: &Caller,
    name: &str,
    document: TenantDocument,
    precondition: Precondition,
) -> Result<Option<Wrong>, Failure> {
    let absent = precondition == Precondition::Absent;
    match app.put_tenant(caller, name, document, precondition).await {
        Ok(_) => Ok(None),
        Err(app::Error::Stale) if absent => {
            Ok(Some(Wrong::field("name", "There is a tenant of this name already: choose another one")))
        }
        Err(app::Error::Stale) => documents::overtaken().map(Some),
        Err(error) => Wrong::of(error, FIELDS).map(Some),
    }
}

fn adding(visit: &Visit, typed: &Typed, wrong: &Wrong) -> HttpResponse {
    let trail = kit::trail(&[("Operate", "/operator"), ("Tenants", HERE)]);
    Page::new(visit, "Make a tenant").above(trail).status(wrong.status()).show(html! {
        (wrong.above())
        form.panel method="post" action=(ADD) {
            (kit::csrf(visit))
            (kit::line(&Line {
                name: "name", label: "Name", hint: NAME_HINT, value: &typed.name, required: true, wrong: wrong.at("name"), autocomplete: "off",
                ..Line::default()
            }))
            (inputs(typed, wrong))
            p.actions { button type="submit" { "Make the tenant" } a href=(HERE) { "Back" } }
        }
        (by_program("NAME", typed))
    })
}

fn changing(visit: &Visit, view: &TenantView, typed: &Typed, wrong: &Wrong) -> HttpResponse {
    let tenant = &view.tenant;
    let (title, back) =
        (format!("Change {}", tenant.document.display_name), format!("{HERE}/{}", kit::part(&tenant.name)));
    let trail = kit::trail(&[("Operate", "/operator"), ("Tenants", HERE), (&tenant.document.display_name, &back)]);
    Page::new(visit, &title).above(trail).status(wrong.status()).show(html! {
        (wrong.above())
        p { "Service brokers that take updates of the context are told of a change, but for members, identities and the calendar." }
        form.panel method="post" action=(visit.path()) {
            (kit::csrf(visit))
            input type="hidden" name="tag" value=(view.tag());
            (inputs(typed, wrong))
            p.actions { button type="submit" { "Change the tenant" } a href=(back) { "Back" } }
        }
        (by_program(&tenant.name, typed))
    })
}

fn inputs(typed: &Typed, wrong: &Wrong) -> Markup {
    let line = |name, label, hint, value, required| {
        kit::line(&Line { name, label, hint, value, required, wrong: wrong.at(name), ..Line::default() })
    };
    let area = |name, label, hint, value, rows| {
        forms::area(&Line { name, label, hint, value, wrong: wrong.at(name), ..Line::default() }, rows)
    };
    html! {
        (line("display_name", "Display name", "How people call it.", &typed.display_name, true))
        (line("cost_center", "Cost center", "Where its costs go.", &typed.cost_center, false))
        (line("business_unit", "Business unit", "Whom it belongs to.", &typed.business_unit, false))
        (line("environment", "Environment", "Such as production.", &typed.environment, false))
        (line("owner", "Who answers for it", "A person or a team, for people to read.", &typed.owner, false))
        (line("time_zone", "Calendar", "Whose months it is charged by, such as Europe/Berlin; the hub's where empty. Another one counts from the next month.", &typed.time_zone, false))
        fieldset {
            legend { "Who is in it" }
            @for (value, (field, label, hint, ..)) in typed.people.iter().zip(PEOPLE) { (area(field, label, hint, value, 3)) }
        }
        (area("groups", "Groups that belong to it", "Told to service brokers in stamps, one a line.", &typed.groups, 2))
        (area("labels", "Labels", "A key and a value a line, such as stage=test.", &typed.labels, 3))
        div.source {
            (area("identities", "What platforms call it", "A JSON list, such as [{\"platform\": \"cf\", \"organization_guid\": \"…\"}] or [{\"platform\": \"k8s\", \"namespace\": \"shop\"}].", &typed.identities, 6))
        }
    }
}

fn by_program(name: &str, typed: &Typed) -> Markup {
    let body = typed.document(&TenantDocument::default()).unwrap_or_default();
    kit::same_by_program(
        &documents::curl("PUT", &format!("/tenants/{}", kit::part(name)), Some(&json!(body))),
        Some(&format!("bourse tenant put {name} --file tenant.json")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_touched_stays_as_it_is_whatever_a_form_can_show_of_it() {
        let mut document = TenantDocument { display_name: "Retail".to_owned(), ..TenantDocument::default() };
        document.members = vec![
            Member::new(MemberKind::Group, "team", Role::Member),
            Member::new(MemberKind::User, "ada", Role::Owner),
        ];
        document.labels.insert("a=b".to_owned(), "c".to_owned());
        document.identities = vec![Identity {
            platform: "cf".to_owned(),
            organization_guid: Some("o".to_owned()),
            ..Identity::default()
        }];
        let typed = Typed::of("retail", &document);
        assert_eq!(typed.people, ["ada", "", "", "team"]);
        assert_eq!(typed.document(&document).unwrap(), document);
        let more = Typed { people: ["ada\n\n eve ".to_owned(), String::new(), String::new(), String::new()], ..typed };
        let members = more.document(&document).unwrap().members;
        let names: Vec<_> = members.iter().map(|member| (member.user.as_deref(), member.role)).collect();
        assert_eq!(names, [(Some("ada"), Role::Owner), (Some("eve"), Role::Owner)]);
    }

    #[test]
    fn a_label_without_a_value_and_identities_that_are_none_are_told_at_their_fields() {
        let typed = |labels: &str, identities: &str| Typed {
            labels: labels.into(),
            identities: identities.into(),
            ..Typed::default()
        };
        let wrong = |typed: Typed, id: &str| typed.document(&TenantDocument::default()).unwrap_err().at(id).is_some();
        assert!(wrong(typed("stage", ""), "labels"));
        assert!(wrong(typed("", "[{\"platform\": 1}]"), "identities") && wrong(typed("", "[{]"), "identities"));
    }
}

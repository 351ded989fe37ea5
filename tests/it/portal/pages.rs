//! What holds for every page of the table.

use bourse::domain::permission::Permission;
use bourse::http::portal::pages::PAGES;
use bourse::http::route::Method;
use bourse::http::routes::ROUTES;

use crate::support::management::{on_both, send};
use crate::support::portal::Browser;

/// A path of the table with something in place of its names.
fn path(pattern: &str) -> String {
    pattern.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect::<Vec<_>>().join("/")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_that_is_not_open_leads_to_sign_in() {
    on_both(async |hub| {
        let closed: Vec<_> = PAGES.iter().filter(|page| page.permission != Permission::Open).collect();
        assert!(closed.len() >= 5);
        for page in closed {
            let request = hub.request(page.method.as_str(), &path(page.path));
            let answer = send(request.header("content-type", "application/x-www-form-urlencoded").body("a=b")).await;
            assert_eq!(answer.status, 303, "{} {}", page.method.as_str(), page.path);
            assert!(answer.header("location").starts_with("/sign-in?to="), "{} {answer:?}", page.path);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_forbids_what_a_page_of_ours_never_does() {
    on_both(async |hub| {
        let browser = Browser::administrator(&hub.url, &hub.password).await;
        for page in PAGES {
            let request = hub.request(page.method.as_str(), &path(page.path)).header("cookie", browser.cookies());
            let answer = send(request).await;
            let name = format!("{} {}", page.method.as_str(), page.path);
            let policy = answer.header("content-security-policy");
            for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
                assert!(policy.contains(part), "{name}: {policy}");
            }
            assert!(!policy.contains("unsafe"), "{policy}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{name}");
            assert_eq!(answer.header("referrer-policy"), "same-origin", "{name}");
            assert!(answer.header("cache-control").contains("no-store"), "{name}: {answer:?}");
            assert!(!answer.text.contains(" style=") && !answer.text.contains("<style"), "{name}");
            assert!(!answer.text.contains(" onclick=") && !answer.text.contains("<script>"), "{name}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_form_does_anything_without_its_token() {
    on_both(async |hub| {
        let browser = Browser::administrator(&hub.url, &hub.password).await;
        let forms: Vec<_> = PAGES.iter().filter(|page| page.method == Method::Post).collect();
        assert!(forms.len() >= 2);
        for page in forms {
            let request = hub.request("POST", &path(page.path)).header("cookie", browser.cookies());
            let request = request.header("content-type", "application/x-www-form-urlencoded").body("a=b");
            let answer = send(request).await;
            assert_eq!(answer.status, 403, "{}: {answer:?}", page.path);
            assert!(answer.text.contains("this form was made for another session"), "{}", page.path);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_told_by_a_page_to_a_browser_and_by_a_problem_to_a_program() {
    on_both(async |hub| {
        let program = send(hub.request("GET", "/nothing")).await;
        program.refuses(404, "no_such_path");
        let browser = send(hub.request("GET", "/nothing").header("accept", "text/html,*/*;q=0.8")).await;
        assert_eq!((browser.status, browser.header("content-type")), (404, "text/html; charset=utf-8"));
        assert!(
            browser.text.contains("There is nothing here") && !browser.header("content-security-policy").is_empty()
        );
        let mut browser = Browser::administrator(&hub.url, &hub.password).await;
        assert_eq!(browser.get("/catalog/none").await.status, 404);
        assert!(browser.words().contains("offering `none` does not exist"), "{}", browser.words());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cache_may_keep_for_others_gives_nobody_a_cookie() {
    on_both(async |hub| {
        let page = send(hub.request("GET", "/sign-in")).await;
        assert!(!page.header("set-cookie").is_empty() && page.header("cache-control") == "no-store");
        let asset = page.text.split("href=\"").find_map(|rest| rest.strip_prefix("/assets/")).expect("a file");
        let address = format!("/assets/{}", asset.split('"').next().unwrap_or_default());
        let file = send(hub.request("GET", &address)).await;
        assert!(file.status == 200 && file.header("cache-control").contains("public"), "{file:?}");
        assert_eq!(file.header("set-cookie"), "");
    })
    .await;
}

#[test]
fn a_page_of_all_tenants_takes_what_its_route_takes() {
    let page = |path: &str| PAGES.iter().find(|page| page.path == path && page.method == Method::Get).expect(path);
    let route = |path: &str| ROUTES.iter().find(|route| route.path == path && route.method == Method::Get).expect(path);
    for (of_page, of_route) in [
        ("/operator/outbox", "/api/v1/events/dead-letters"),
        ("/operator/platforms", "/api/v1/platforms"),
        ("/operator/policies", "/api/v1/policies"),
        ("/operator/audit", "/api/v1/audit"),
        ("/costs", "/api/v1/costs"),
        ("/approvals", "/api/v1/approvals"),
    ] {
        assert_eq!(page(of_page).permission, route(of_route).permission, "{of_page}");
    }
}

/// A name that somebody chooses may be any word: no address may mean both a page of its own and one of something that is called so.
#[test]
fn no_page_takes_the_place_of_something_that_is_called_like_it() {
    let parts = |path: &'static str| path.split('/').collect::<Vec<_>>();
    let named = |part: &str| part.starts_with('{');
    for page in PAGES {
        for other in PAGES.iter().filter(|other| other.path != page.path) {
            let (one, two) = (parts(page.path), parts(other.path));
            let alike =
                one.len() == two.len() && one.iter().zip(&two).all(|(one, two)| one == two || named(one) || named(two));
            assert!(!alike, "{} and {} may be the same address", page.path, other.path);
        }
    }
}

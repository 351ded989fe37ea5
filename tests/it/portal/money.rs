//! Costs, statements and budgets: the numbers are the API's.

use reqwest::Method;
use serde_json::json;

use super::staff::house;
use crate::statements::{standing, used};
use crate::support::bare::on_each;
use crate::support::portal::Browser;

#[tokio::test(flavor = "multi_thread")]
async fn costs_on_a_page_are_those_of_the_api_down_to_what_was_reported() {
    on_each(async |on| {
        let (ledger, one) = standing(on).await;
        let month = ledger.month;
        ledger.tenant("lab", json!({"cost_center": "9"})).await;
        let two = ledger.instance("lab", "two", ledger.day(month, 3)).await;
        used(&ledger, &one, "e1", 2, "3").await;
        ledger.go_to(ledger.day(month, 11));
        let mut admin = Browser::administrator(&ledger.hub.url, "pw").await;
        let query = format!("from={}&to={}", ledger.day(month, 1), ledger.day(month.next(), 1));
        for (by, key) in [
            ("tenant", "tenant"),
            ("cost_center", "cost_center"),
            ("offering", "offering"),
            ("instance", "instance_name"),
        ] {
            let costs = ledger.costs(&format!("{query}&group_by={by}")).await;
            admin.get(&format!("/costs?by={by}&from={month}&to={month}")).await;
            assert_eq!(admin.page.status, 200, "{:?}", admin.page);
            let words = admin.words();
            for item in costs["items"].as_array().expect("items") {
                let amount: f64 = item["amount"].as_str().and_then(|amount| amount.parse().ok()).expect("an amount");
                let name = item["group"][key].as_str().expect("a name");
                assert!(words.contains(&format!("{name} {amount:.2} EUR")), "{name} {amount}: {words}");
            }
            assert!(words.contains("Together"), "{words}");
        }
        admin.get(&format!("/costs?by=instance&tenant=retail&from={month}&to={month}")).await;
        assert!(
            admin.page.text.contains(&format!("href=\"/costs/instances/{one}?month={month}\"")),
            "{}",
            admin.words()
        );
        assert!(!admin.page.text.contains(&two), "of one tenant only");
        assert!(admin.page.text.contains("<svg") && admin.page.text.contains("role=\"img\""), "a chart");
        admin.get(&format!("/costs/instances/{one}?month={month}")).await;
        let words = admin.words();
        for part in ["Costs of one", "gb 3", "1.50 EUR", "e1"] {
            assert!(words.contains(part), "{part}: {words}");
        }
        assert_eq!(admin.get("/costs?from=yesterday").await.status, 422);
        assert!(admin.page.text.contains("href=\"#from\""), "{}", admin.words());
        assert_eq!(admin.get("/costs?tenant=nobody").await.status, 404);
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_read_taken_along_and_computed_again() {
    on_each(async |on| {
        let (ledger, one) = standing(on).await;
        let (month, next) = (ledger.month, ledger.month.next());
        used(&ledger, &one, "e1", 2, "3").await;
        ledger.go_to(ledger.day(next, 20));
        ledger.close().await;
        let mut admin = Browser::administrator(&ledger.hub.url, "pw").await;
        admin.get("/costs/statements").await;
        assert!(admin.words().contains(&format!("{month} retail")), "{}", admin.words());
        let address = format!("/costs/statements/retail/{month}");
        admin.get(&address).await;
        let statement = ledger.statement("retail", month).await;
        let words = admin.words();
        let total = format!("{} EUR", statement["total"].as_str().expect("a total"));
        assert!(words.contains(&total) && words.contains("This month is closed"), "{total}: {words}");
        admin.submit(&address, &[]).await;
        assert!(admin.words().contains("comes to the same bytes"), "{}", admin.words());
        for (form, accept) in [("csv", "text/csv"), ("json", "application/json")] {
            let (body, _, _) = ledger.statement_as("retail", month, accept).await;
            admin.get(&format!("{address}/{form}")).await;
            let given = (admin.page.status, admin.page.header("content-type").split(';').next().expect("a type"));
            assert_eq!(given, (200, accept));
            assert!(admin.page.header("content-disposition").contains(&format!("statement-retail-{month}.{form}")));
            assert_eq!(admin.page.text, body, "{form}");
        }
        admin.get(&format!("/costs/focus?period={month}&tenant=retail")).await;
        assert!(admin.page.status == 200 && admin.page.text.contains("BilledCost"), "{:?}", admin.page.headers);
        assert_eq!(admin.get("/costs/statements/retail/2001-01").await.status, 404);
        assert_eq!(admin.get("/costs/statements/retail/soon").await.status, 404);
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn finance_adds_changes_and_deletes_a_budget_and_others_only_see_their_own() {
    house(async |house| {
        let mut fin = house.browser("fin").await;
        fin.get("/costs/budgets").await;
        assert!(fin.words().contains("There is no budget"), "{}", fin.words());
        fin.get("/costs/add-budget").await;
        let typed = |tenant: &'static str, amount: &'static str| {
            [
                ("name", "retail-month"),
                ("tenant", tenant),
                ("cost_center", ""),
                ("amount", amount),
                ("currency", "EUR"),
                ("thresholds", "80, 100"),
                ("action", "block"),
            ]
        };
        for (fields, id) in
            [(typed("retail", "lots"), "amount"), (typed("nobody", "5"), "tenant"), (typed("", "5"), "")]
        {
            fin.submit("/costs/add-budget", &fields).await;
            assert_eq!(fin.page.status, 422, "{}", fin.words());
            assert!(id.is_empty() || fin.page.text.contains(&format!("href=\"#{id}\"")), "{id}: {}", fin.words());
            assert!(fin.page.text.contains("value=\"retail-month\""), "what was typed is kept");
        }
        fin.submit("/costs/add-budget", &typed("retail", "50")).await;
        assert_eq!((fin.page.status, fin.address.as_str()), (200, "/costs/budgets"), "{}", fin.words());
        assert!(fin.words().contains("0.00 EUR of 50.00 EUR (0 %)"), "{}", fin.words());
        assert!(fin.page.text.contains("<meter"), "{}", fin.page.text);
        fin.get("/costs/add-budget").await;
        fin.submit("/costs/add-budget", &typed("retail", "9")).await;
        assert!(fin.page.status == 422 && fin.words().contains("There is a budget of this name already"));
        fin.get("/costs/budgets/retail-month").await;
        let mut fields = typed("retail", "75").to_vec();
        fields.remove(0);
        fin.submit("/costs/budgets/retail-month", &fields).await;
        assert!(fin.words().contains("of 75.00 EUR"), "{}", fin.words());
        let mut ada = house.browser("ada").await;
        ada.get("/costs/budgets").await;
        assert!(ada.words().contains("retail-month") && !ada.words().contains("Add a budget"), "{}", ada.words());
        assert_eq!(ada.get("/costs/add-budget").await.status, 403);
        fin.get("/costs/budgets/retail-month/delete").await;
        assert!(fin.words().contains("Delete budget retail-month?"), "{}", fin.words());
        fin.submit("/costs/budgets/retail-month/delete", &[]).await;
        assert!(fin.words().contains("There is no budget"), "{}", fin.words());
        let gone = house.hub.admin(Method::GET, "/api/v1/budgets/retail-month", None).await;
        assert_eq!(gone.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_nothing_to_do_with_money_is_told_so() {
    house(async |house| {
        let mut olga = house.browser("olga").await;
        assert_eq!(olga.get("/costs").await.status, 200);
        for path in ["/costs/statements", "/costs/budgets", "/costs/focus?period=2026-01"] {
            assert_eq!(olga.get(path).await.status, 403, "{path}");
            assert!(olga.words().contains("You may not do this"), "{path}: {}", olga.words());
        }
        let mut eve = house.browser("eve").await;
        assert_eq!(eve.get("/costs").await.status, 403);
        assert!(!eve.page.text.contains("href=\"/costs\"") && !eve.page.text.contains("href=\"/operator\""));
    })
    .await;
}

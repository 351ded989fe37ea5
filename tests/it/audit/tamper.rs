//! Somebody who can write to the database changes the audit: `bourse audit verify` names what was done, and ends with 1.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{chain_all, rows, write};
use crate::support::bare::{Bare, On, on_each};
use crate::support::command::{Done, command, finish};

/// A hub whose audit has more than ten rows.
struct Scene {
    bare: Bare,
    url: String,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn new(on: On) -> Self {
        let bare = Bare::on(on, |_| {}).await;
        let url = bare.serve().await;
        write(&bare, 0..12).await;
        chain_all(&bare).await;
        Self { bare, url, folder: tempfile::tempdir().expect("no temporary directory") }
    }

    async fn sql(&self, statement: &'static str) {
        let done = self.bare.db.write(move |tx| Box::pin(async move { tx.execute(sqlx::query(statement)).await }));
        assert!(done.await.expect("could not tamper") > 0, "{statement} changed nothing");
    }

    async fn run(&self, arguments: &[&str]) -> Done {
        let mut command = command(&self.url, &[&["audit"], arguments].concat());
        command.env("BOURSE_USERNAME", "admin").env("BOURSE_PASSWORD", "pw");
        finish(command).await
    }

    /// Keeps the head of now in a file outside.
    async fn keep(&self) -> PathBuf {
        let head = self.run(&["head", "--output", "json"]).await;
        assert_eq!(head.code, 0, "{head:?}");
        let file = self.folder.path().join("head.json");
        std::fs::write(&file, &head.out).expect("could not keep it");
        file
    }

    /// What `verify` finds.
    async fn found(&self, more: &[&str]) -> Vec<String> {
        let done = self.run(&[&["verify", "--output", "json"], more].concat()).await;
        let said: Value = serde_json::from_str(&done.out).unwrap_or_else(|reason| panic!("{reason}: {done:?}"));
        let found: Vec<String> = serde_json::from_value(said["findings"].clone()).expect("findings");
        assert_eq!((done.code, &said["ok"]), if found.is_empty() { (0, &json!(true)) } else { (1, &json!(false)) });
        found
    }

    async fn id(&self, position: i64) -> String {
        let rows = rows(&self.url).await;
        let row = rows.iter().find(|row| row["position"] == position).expect("a row");
        row["id"].as_str().expect("an id").to_owned()
    }

    /// Chains everything from a row on anew, as somebody would who has read docs/adr/0013-audit.md.
    async fn chain_anew(&self) {
        let mut previous = bourse::domain::audit::GENESIS.to_owned();
        for row in rows(&self.url).await {
            let hash = bourse::domain::audit::hash(&previous, &row);
            let id = row["id"].as_str().expect("an id").to_owned();
            let bound = (id, previous.clone(), hash.clone());
            let done = self.bare.db.write(move |tx| {
                let (id, previous, hash) = bound.clone();
                let sql = sqlx::query("update audit set previous = $2, hash = $3 where id = $1");
                Box::pin(async move { tx.execute(sql.bind(id).bind(previous).bind(hash)).await })
            });
            done.await.expect("could not tamper");
            previous = hash;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_that_nobody_touched_fits_and_a_kept_head_with_it() {
    on_each(async |on| {
        let scene = Scene::new(on).await;
        let head = scene.keep().await;
        write(&scene.bare, 12..15).await;
        chain_all(&scene.bare).await;
        assert!(scene.bare.app.keep_audit_head().await.expect("no head"));
        let file = head.display().to_string();
        assert_eq!(scene.found(&["--head", &file]).await, Vec::<String>::new());
        let done = scene.run(&["verify", "--head", &file]).await;
        assert!(done.err.contains("2 signed heads among them"), "{done:?}");
        assert!(scene.run(&["list", "--subject", "tenants/t-3"]).await.out.contains("tenant.put"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_row_is_named() {
    on_each(async |on| {
        let scene = Scene::new(on).await;
        scene.sql("update audit set actor = 'users/somebody' where sequence = 5").await;
        assert_eq!(scene.found(&[]).await, [format!("row 5 ({}) was changed", scene.id(5).await)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_part_of_a_row_is_under_the_hash() {
    let parts = [
        "update audit set at = at + 1 where sequence = 4",
        "update audit set origin = '{\"channel\":\"api\"}' where sequence = 4",
        "update audit set action = 'tenant.delete' where sequence = 4",
        "update audit set subject = 'tenants/other' where sequence = 4",
        "update audit set old_document = '{}' where sequence = 4",
        "update audit set new_document = null where sequence = 4",
        "update audit set detail = '{\"a\":1}' where sequence = 4",
        "update audit set id = 'another' where sequence = 4",
    ];
    for part in parts {
        let scene = Scene::new(On::Sqlite).await;
        scene.sql(part).await;
        assert_eq!(scene.found(&[]).await, [format!("row 4 ({}) was changed", scene.id(4).await)], "{part}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_row_is_named() {
    on_each(async |on| {
        let scene = Scene::new(on).await;
        scene.sql("delete from audit where sequence in (4, 7, 8)").await;
        assert_eq!(scene.found(&[]).await, ["row 4 is missing", "rows 7 to 8 are missing"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reordered_rows_are_named() {
    on_each(async |on| {
        let scene = Scene::new(on).await;
        let (fifth, sixth) = (scene.id(5).await, scene.id(6).await);
        scene.sql("update audit set sequence = -5 where sequence = 5").await;
        scene.sql("update audit set sequence = 5 where sequence = 6").await;
        scene.sql("update audit set sequence = 6 where sequence = -5").await;
        let moved = |at, id, was| format!("row {at} ({id}) is out of order: it was chained as row {was}");
        assert_eq!(scene.found(&[]).await, [moved(5, sixth, 6), moved(6, fifth, 5)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_off_tail_shows_by_a_head_that_was_kept_outside() {
    on_each(async |on| {
        let scene = Scene::new(on).await;
        let head = scene.keep().await.display().to_string();
        scene.sql("delete from audit where sequence > 9").await;
        assert_eq!(scene.found(&[]).await, Vec::<String>::new(), "nothing in the database shows it");
        let found = scene.found(&["--head", &head]).await;
        assert!(found.len() == 1 && found[0].starts_with("rows 10 to 13 are cut off: the head of "), "{found:?}");
        // Also once others have taken their numbers.
        write(&scene.bare, 20..30).await;
        chain_all(&scene.bare).await;
        let found = scene.found(&["--head", &head]).await;
        assert!(found.len() == 1 && found[0].starts_with("rows 1 to 13 were chained anew"), "{found:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_off_tail_shows_by_a_head_that_the_hub_kept() {
    on_each(async |on| {
        let scene = Scene::new(on).await;
        assert!(scene.bare.app.keep_audit_head().await.expect("no head"));
        assert!(!scene.bare.app.keep_audit_head().await.expect("no head"), "nothing was added since");
        scene.sql("delete from audit where sequence > 9").await;
        let found = scene.found(&[]).await;
        assert!(found.len() == 1 && found[0].starts_with("rows 10 to 13 are cut off"), "{found:?}");
        assert!(!scene.bare.app.keep_audit_head().await.expect("no failure"), "what was cut is not signed over");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_chains_everything_anew_after_a_change_is_found_out_by_a_head() {
    on_each(async |on| {
        let scene = Scene::new(on).await;
        assert!(scene.bare.app.keep_audit_head().await.expect("no head"));
        let head = scene.keep().await.display().to_string();
        scene.sql("update audit set actor = 'users/somebody' where sequence = 5").await;
        scene.chain_anew().await;
        let found = scene.found(&[]).await;
        assert!(found.len() == 1 && found[0].starts_with("rows 1 to 13 were chained anew"), "{found:?}");
        // And who takes the hub's own heads away as well, by one that is outside.
        scene.sql("delete from audit_heads").await;
        assert_eq!(scene.found(&[]).await, Vec::<String>::new());
        let found = scene.found(&["--head", &head]).await;
        assert!(found.len() == 1 && found[0].starts_with("rows 1 to 13 were chained anew"), "{found:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_head_has_no_signature_of_the_hub() {
    on_each(async |on| {
        let scene = Scene::new(on).await;
        let file = scene.keep().await;
        let mut head: Value = serde_json::from_str(&std::fs::read_to_string(&file).expect("a file")).expect("JSON");
        head["position"] = json!(3);
        head["hash"] = rows(&scene.url).await[2]["hash"].clone();
        std::fs::write(&file, head.to_string()).expect("a file");
        let found = scene.found(&["--head", &file.display().to_string()]).await;
        assert!(found.len() == 1 && found[0].contains("is not signed by the hub's key"), "{found:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_look_ends_with_2() {
    let scene = Scene::new(On::Sqlite).await;
    let mut wrong = command(&scene.url, &["audit", "verify"]);
    wrong.env("BOURSE_USERNAME", "admin").env("BOURSE_PASSWORD", "wrong");
    assert_eq!(finish(wrong).await.code, 2);
    assert_eq!(scene.run(&["verify", "--head", "/nonexistent"]).await.code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_heads_are_looked_at_however_many_there_are() {
    on_each(async |on| {
        let scene = Scene::new(on).await;
        scene
            .sql(
                "insert into audit_heads (position, hash, at, signature, kid) with recursive n (i) as \
                 (select 1001 union all select i + 1 from n where i < 81500) select i, '', 0, '', 'nobody' from n",
            )
            .await;
        let done = scene.run(&["verify", "--output", "json"]).await;
        let said: Value = serde_json::from_str(&done.out).unwrap_or_else(|reason| panic!("{reason}: {done:?}"));
        let named = said["findings"].as_array().expect("findings").len() as u64;
        assert_eq!((done.code, named + said["more_findings"].as_u64().expect("a number")), (1, 80_500));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_rotates_with_its_row_or_not_at_all_and_the_thousandth_is_not_the_last() {
    on_each(async |on| {
        let scene = Scene::new(on).await;
        let app = &scene.bare.app;
        let first = app.audit_head().await.expect("a head").kid;
        // As if keys had rotated a thousand times before.
        scene
            .sql(
                "insert into audit_keys (kid, private_key, public_key, created_at) with recursive n (i) as \
                 (select 1 union all select i + 1 from n where i < 1500) select 'old-' || i, \
                 (select private_key from audit_keys), (select public_key from audit_keys), i from n",
            )
            .await;
        assert_eq!(app.audit_head().await.expect("it goes on signing").kid, first);
        assert_eq!(app.audit_keys().await.expect("keys").keys.len(), 1501, "all are published");
        let by = bourse::domain::caller::Caller::Admin("admin".to_owned());
        let next = app.rotate_audit_key(&by).await.expect("another key");
        assert_eq!(app.audit_head().await.expect("a head").kid, next);

        chain_all(&scene.bare).await;
        let told = rows(&scene.url).await.pop().expect("a row");
        assert_eq!((&told["action"], &told["before"]["signs"]), (&json!("keys.audit.rotate"), &json!(first)));
        assert_eq!(told["after"]["signs"], next.as_str());
        let rename = async |statement: &'static str| {
            let done = scene.bare.db.write(move |tx| Box::pin(async move { tx.execute(sqlx::query(statement)).await }));
            done.await.expect("could not rename");
        };
        rename("alter table audit rename to away").await;
        app.rotate_audit_key(&by).await.expect_err("its row can't be written");
        rename("alter table away rename to audit").await;
        assert_eq!(app.audit_head().await.expect("a head").kid, next, "so nothing was rotated");
    })
    .await;
}

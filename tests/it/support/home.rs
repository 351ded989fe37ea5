//! Where `bourse serve` lives in a test: a fresh database of either kind and a folder for whatever else it keeps. Afterwards all
//! that was written there can be looked through.

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use bourse::secret::Sealer;

use super::bare::On;
use super::process::{Process, hub_binary};
use super::services::{Database, postgres};

/// A folder and a database, which go with it.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    database: Option<Database>,
    settings: Vec<(&'static str, String)>,
}

impl Home {
    /// Nothing is in it yet. On SQLite the hub makes its encryption key by itself, on PostgreSQL it is given one.
    pub(crate) async fn new(on: On) -> Self {
        // An error means that there is one already.
        drop(rustls::crypto::ring::default_provider().install_default());
        let folder = tempfile::tempdir().expect("no temporary directory");
        let mut settings = vec![("BOURSE__SERVER__LISTEN", "127.0.0.1:0".to_owned())];
        let database = match on {
            On::Sqlite => {
                let url = format!("sqlite:{}", folder.path().join("bourse.db").display());
                settings.push(("BOURSE__DATABASE__URL", url));
                None
            }
            On::Postgres => {
                let database = postgres().await.database("home").await;
                settings.push(("BOURSE__DATABASE__URL", database.url().to_owned()));
                settings.push(("BOURSE__SECURITY__ENCRYPTION_KEY", Sealer::generate_key().expect("no key")));
                Some(database)
            }
        };
        Self { folder, database, settings }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What every process there is started with, and more; what comes later counts.
    pub(crate) fn settings<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        self.settings.iter().map(|(name, value)| (*name, value.as_str())).chain(more.iter().copied()).collect()
    }

    /// Starts `bourse serve` with more settings.
    pub(crate) async fn serve(&self, more: &[(&str, &str)]) -> (Process, String) {
        self.serve_as(&["serve"], more).await
    }

    /// The same with arguments of one's own.
    pub(crate) async fn serve_as(&self, arguments: &[&str], more: &[(&str, &str)]) -> (Process, String) {
        Process::serve("serve", &hub_binary(), arguments, &self.settings(more)).await
    }

    /// All that is written there, with where: each file (SQLite's journal, too), and on PostgreSQL each table as the text of
    /// its rows and each of its columns as the bytes that it holds.
    pub(crate) async fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = files(self.folder());
        if let Some(database) = &self.database {
            found.extend(tables(database.url()).await);
        }
        found
    }
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).expect("a file")));
        }
    }
    found
}

/// Every value of every table but the server's own.
async fn tables(url: &str) -> Vec<(String, Vec<u8>)> {
    const COLUMNS: &str = "select table_name::text, column_name::text, data_type::text from information_schema.columns \
        where table_schema not in ('pg_catalog', 'information_schema') order by table_name, ordinal_position";
    let mut connection = PgConnection::connect(url).await.expect("no connection");
    let columns = sqlx::query(COLUMNS).fetch_all(&mut connection).await.expect("the columns");
    let (mut found, mut last) = (Vec::new(), String::new());
    for column in &columns {
        let [table, name, kind]: [String; 3] = [0, 1, 2].map(|at| column.get(at));
        if table != last {
            found.push((
                format!("the rows of {table}"),
                values(&mut connection, &table, "convert_to(t::text, 'UTF8')").await,
            ));
        }
        let value =
            if kind == "bytea" { format!(r#""{name}""#) } else { format!(r#"convert_to("{name}"::text, 'UTF8')"#) };
        found.push((format!("{table}.{name}"), values(&mut connection, &table, &value).await));
        last = table;
    }
    connection.close().await.expect("the end of a connection");
    found
}

/// That expression over all rows, one after the other.
async fn values(connection: &mut PgConnection, table: &str, expression: &str) -> Vec<u8> {
    let statement = AssertSqlSafe(format!(r#"select {expression} from "{table}" t"#));
    let rows = sqlx::query(statement).fetch_all(connection).await.expect("the rows");
    let values = rows.iter().filter_map(|row| row.get::<Option<Vec<u8>>, _>(0));
    values.flat_map(|value| [value, b"\n".to_vec()].concat()).collect()
}

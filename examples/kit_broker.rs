//! A service broker made with the kit: an instance is a project, a binding an API key for it that expires and can be rotated.
//! `brokers/README.md` walks through it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use osb::Object;
use osb::kit::{
    Binding, Broker, Clock, Db, Fault, Instance, Issued, Reading, Refusal, Sealer, Service, Setup, Stamped, Stamps,
    Window, seal,
};
use osb::server::{BasicAuth, Server};
use osb::stamp::Verifier;
use serde_json::{Value, json};

const CATALOG: &str = r#"{"services": [{
    "id": "5d3a3d0e-4f41-4a3c-9a53-3a4c2a5a4f10", "name": "api-access", "description": "Access to our API",
    "bindable": true, "instances_retrievable": true, "bindings_retrievable": true,
    "plans": [{
        "id": "b1d9d2a4-2f0e-4c39-8f5f-0d9b5f6f7a21", "name": "standard", "description": "Keys that live for a day",
        "binding_rotatable": true,
        "metadata": {"x-meters": [{"key": "keys", "kind": "gauge", "unit": "key"}]},
        "schemas": {"service_instance": {"create": {"parameters": {
            "$schema": "http://json-schema.org/draft-06/schema#", "type": "object", "additionalProperties": false,
            "properties": {"team": {"type": "string", "maxLength": 64, "examples": ["payments"]}}}}}}
    }]
}]}"#;

const SCHEMA: &str = "create table if not exists api_key (binding text primary key, project text not null, \
    hash blob not null, expires_at integer not null) strict";

const DAY: i64 = 24 * 60 * 60;

struct ApiAccess {
    db: Db,
}

impl ApiAccess {
    async fn run(&self, statement: &'static str, resource: &str) -> Result<(), Fault> {
        let mut writer = self.db.writer().await.map_err(Fault::failed)?;
        let connection = writer.connection().map_err(Fault::failed)?;
        sqlx::query(statement).bind(resource).execute(connection).await.map_err(Fault::failed)?;
        Ok(())
    }
}

#[async_trait]
impl Service for ApiAccess {
    fn catalog(&self) -> &'static str {
        CATALOG
    }

    fn check(&self, wanted: &Instance, _before: Option<&Instance>) -> Result<(), Refusal> {
        match wanted.parameters.get("team") {
            None | Some(Value::String(_)) => Ok(()),
            Some(_) => Err(Refusal::Invalid("parameter `team` must be a string".to_owned())),
        }
    }

    fn check_binding(&self, _instance: &Instance, _binding: &Binding) -> Result<(), Refusal> {
        Ok(())
    }

    async fn create(&self, _instance: &Instance) -> Result<Object, Fault> {
        Ok(Object::new())
    }

    async fn change(&self, _before: &Instance, _after: &Instance, _asked: &Object) -> Result<Object, Fault> {
        Ok(Object::new())
    }

    async fn retire(&self, instance: &Instance) -> Result<(), Fault> {
        self.run("delete from api_key where project = $1", &instance.resource).await
    }

    fn retention(&self, _instance: &Instance) -> Option<Duration> {
        None
    }

    async fn purge(&self, _instance: &Instance) -> Result<(), Fault> {
        Ok(())
    }

    async fn issue(&self, instance: &Instance, binding: &Binding, _old: Option<&Binding>) -> Result<Issued, Fault> {
        let random = seal::random::<32>().map_err(Fault::failed)?;
        let key: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let expires_at = binding.created_at + DAY;
        let mut writer = self.db.writer().await.map_err(Fault::failed)?;
        // What the API needs to know a key again; the key itself is sealed by the kit.
        let hash = seal::sha256(key.as_bytes());
        sqlx::query("insert or replace into api_key (binding, project, hash, expires_at) values ($1, $2, $3, $4)")
            .bind(&binding.resource)
            .bind(&instance.resource)
            .bind(hash.as_slice())
            .bind(expires_at)
            .execute(writer.connection().map_err(Fault::failed)?)
            .await
            .map_err(Fault::failed)?;
        Ok(Issued {
            credentials: Object::from_iter([("api_key".to_owned(), json!(key))]),
            expires_at: Some(expires_at),
            renew_before: Some(expires_at - DAY / 4),
            endpoints: Vec::new(),
        })
    }

    async fn revoke(&self, _instance: &Instance, binding: &Binding) -> Result<(), Fault> {
        self.run("delete from api_key where binding = $1", &binding.resource).await
    }

    async fn show(&self, instance: &Instance) -> Result<Object, Fault> {
        Ok(Object::from_iter([("team".to_owned(), instance.parameters.get("team").cloned().unwrap_or_default())]))
    }

    async fn measure(&self, instance: &Instance, window: Window) -> Result<Vec<Reading>, Fault> {
        let count = sqlx::query_scalar::<_, i64>("select count(*) from api_key where project = $1 and expires_at > $2")
            .bind(&instance.resource)
            .bind(window.end)
            .fetch_one(self.db.reader())
            .await
            .map_err(Fault::failed)?;
        Ok(vec![Reading::new("keys", u64::try_from(count).unwrap_or_default())])
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8082".to_owned());
    let folder = arguments.next().unwrap_or_else(|| ".".to_owned());
    let db = Db::open(&Path::new(&folder).join("api-access.db"), SCHEMA).await?;
    let sealer = Sealer::from_file(&Path::new(&folder).join("api-access.key"))?;
    let service = Arc::new(ApiAccess { db: db.clone() });
    let measure_every = Duration::from_secs(3_600);
    let setup = Setup { name: "api-access".to_owned(), db, sealer, clock: Clock::System, measure_every };
    let broker = Broker::new(service, setup)?;
    let _janitor = broker.spawn_janitor();
    // The third argument is the hub whose stamps say which tenant a project is for.
    let stamps = match arguments.next() {
        Some(hub) => Stamps::Verified(Verifier::from_jwks_url(&hub, "api-access")),
        None => Stamps::Ignored,
    };
    let door = BasicAuth::new(Arc::new(Stamped::new(Arc::new(broker), stamps)), "admin", "secret");
    Ok(Server::new(door).bind(address)?.await?)
}

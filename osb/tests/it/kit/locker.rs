//! A service for tests of the kit: lockers, each with a code. What it holds lies in memory, like the software behind a real
//! broker; what goes wrong the test says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use osb::Object;
use osb::kit::{Binding, Broker, Clock, Db, Fault, Instance, Issued, Reading, Refusal, Sealer, Service, Setup, Window};
use serde_json::{Value, json};

pub(crate) const SERVICE: &str = "1b0c4a62-3c83-4c2e-8a0f-8bb0c6c6a501";
/// Fixed size, kept for a day after its deletion, rotatable.
pub(crate) const SMALL: &str = "0c3a2c5e-9dc1-4a8f-8f0e-0d0ce3f1a502";
/// Nothing stays, nothing rotates.
pub(crate) const PLAIN: &str = "e9f5b1c4-6a7d-4b77-9c0e-2f4d5e6fa503";
pub(crate) const START: i64 = 1_700_000_000;
pub(crate) const DAY: i64 = 86_400;

const CATALOG: &str = r#"{"services": [{"id": "1b0c4a62-3c83-4c2e-8a0f-8bb0c6c6a501", "name": "locker",
  "description": "Lockers", "bindable": true, "instances_retrievable": true, "bindings_retrievable": true,
  "plan_updateable": true, "plans": [
    {"id": "0c3a2c5e-9dc1-4a8f-8f0e-0d0ce3f1a502", "name": "small", "description": "Kept for a day", "binding_rotatable": true,
     "maintenance_info": {"version": "1.2.0"},
     "metadata": {"x-meters": [{"key": "items", "kind": "gauge", "unit": "item"}, {"key": "opened", "kind": "counter", "unit": "1"},
                               {"key": "moved", "kind": "delta", "unit": "1"}]}},
    {"id": "e9f5b1c4-6a7d-4b77-9c0e-2f4d5e6fa503", "name": "plain", "description": "Not kept"}]}]}"#;

/// The calls that a fault can hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum On {
    Create,
    Change,
    Retire,
    Purge,
    Issue,
    Revoke,
    Show,
    Measure,
    Revive,
}

/// What goes wrong once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    Refused,
    Unavailable,
    /// It is done all the same.
    Failed,
    Panics,
    /// Never comes back.
    Hangs,
}

#[derive(Default)]
pub(crate) struct Held {
    /// By resource: whether it is in use.
    pub(crate) lockers: BTreeMap<String, bool>,
    pub(crate) codes: BTreeSet<String>,
    pub(crate) wrong: BTreeMap<On, Wrong>,
    pub(crate) calls: Vec<On>,
    pub(crate) asked: Vec<Object>,
}

#[derive(Default)]
pub(crate) struct Lockers {
    pub(crate) held: Mutex<Held>,
    pub(crate) reached: tokio::sync::Notify,
}

impl Lockers {
    pub(crate) fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap()
    }

    pub(crate) fn goes_wrong(&self, on: On, wrong: Wrong) {
        self.held().wrong.insert(on, wrong);
    }

    /// Does it, unless it is said to go wrong before that.
    async fn act<T>(&self, on: On, act: impl FnOnce(&mut Held) -> T) -> Result<T, Fault> {
        let wrong = {
            let mut held = self.held();
            held.calls.push(on);
            held.wrong.remove(&on)
        };
        self.reached.notify_one();
        match wrong {
            Some(Wrong::Refused) => Err(Fault::invalid("no more lockers")),
            Some(Wrong::Unavailable) => Err(Fault::unavailable("the locker room is closed; try again later")),
            Some(Wrong::Panics) => panic!("on purpose"),
            Some(Wrong::Hangs) => std::future::pending().await,
            Some(Wrong::Failed) => {
                act(&mut self.held());
                Err(Fault::failed("the locker room lost its key s3cret-of-the-room"))
            }
            None => Ok(act(&mut self.held())),
        }
    }
}

#[async_trait]
impl Service for Lockers {
    fn catalog(&self) -> &'static str {
        CATALOG
    }

    fn check(&self, wanted: &Instance, before: Option<&Instance>) -> Result<(), Refusal> {
        let size = |instance: &Instance| instance.parameters.get("size").and_then(Value::as_u64).unwrap_or(1);
        match before {
            _ if size(wanted) > 9 => Err(Refusal::Invalid("parameter `size` must be at most 9".to_owned())),
            Some(before) if size(wanted) < size(before) => {
                Err(Refusal::Unchangeable("a locker never shrinks".to_owned()))
            }
            _ => Ok(()),
        }
    }

    fn check_binding(&self, _: &Instance, binding: &Binding) -> Result<(), Refusal> {
        match binding.parameters.get("who") {
            None | Some(Value::String(_)) => Ok(()),
            Some(_) => Err(Refusal::Invalid("parameter `who` must be a string".to_owned())),
        }
    }

    fn merge(&self, current: &Object, asked: &Object) -> Object {
        let mut merged = current.clone();
        merged.extend(asked.clone());
        merged.shift_remove("shake");
        merged
    }

    async fn create(&self, instance: &Instance) -> Result<Object, Fault> {
        let resource = instance.resource.clone();
        self.act(On::Create, |held| held.lockers.insert(resource, true)).await?;
        Ok(Object::from_iter([("master_code".to_owned(), json!("m4ster-c0de"))]))
    }

    async fn change(&self, before: &Instance, after: &Instance, asked: &Object) -> Result<Object, Fault> {
        assert_eq!(before.resource, after.resource);
        let asked = asked.clone();
        self.act(On::Change, |held| held.asked.push(asked)).await?;
        Ok(before.state.0.clone())
    }

    async fn retire(&self, instance: &Instance) -> Result<(), Fault> {
        self.act(On::Retire, |held| held.lockers.get_mut(&instance.resource).map(|used| *used = false)).await?;
        Ok(())
    }

    fn retention(&self, instance: &Instance) -> Option<Duration> {
        (instance.plan_id == SMALL).then(|| Duration::from_secs(86_400))
    }

    async fn purge(&self, instance: &Instance) -> Result<(), Fault> {
        self.act(On::Purge, |held| held.lockers.remove(&instance.resource)).await?;
        Ok(())
    }

    async fn revive(&self, instance: &Instance) -> Result<Object, Fault> {
        self.act(On::Revive, |held| held.lockers.get_mut(&instance.resource).map(|used| *used = true)).await?;
        Ok(instance.state.0.clone())
    }

    async fn issue(&self, instance: &Instance, binding: &Binding, old: Option<&Binding>) -> Result<Issued, Fault> {
        let code = format!("c0de-{}", binding.resource);
        self.act(On::Issue, |held| held.codes.insert(code.clone())).await?;
        let who = binding.parameters.get("who").cloned().unwrap_or_default();
        let old = old.map(|old| old.id.clone());
        let at = binding.created_at;
        Ok(Issued {
            credentials: Object::from_iter([
                ("code".to_owned(), json!(code)),
                ("who".to_owned(), who),
                ("after".to_owned(), json!(old)),
                ("user".to_owned(), json!(binding.user)),
            ]),
            expires_at: (instance.plan_id == SMALL).then_some(at + 3_600),
            renew_before: (instance.plan_id == SMALL).then_some(at + 2_700),
            endpoints: vec![json!({"host": "lockers.example", "ports": ["443"]})],
        })
    }

    async fn revoke(&self, _: &Instance, binding: &Binding) -> Result<(), Fault> {
        self.act(On::Revoke, |held| held.codes.remove(&format!("c0de-{}", binding.resource))).await?;
        Ok(())
    }

    async fn show(&self, instance: &Instance) -> Result<Object, Fault> {
        let used = self.act(On::Show, |held| held.lockers.get(&instance.resource).copied()).await?;
        Ok(Object::from_iter([("in_use".to_owned(), json!(used))]))
    }

    async fn measure(&self, _: &Instance, _: Window) -> Result<Vec<Reading>, Fault> {
        self.act(On::Measure, |_| ()).await?;
        let counter = Reading { reset_id: Some("r-1".to_owned()), ..Reading::new("opened", 7) };
        Ok(vec![Reading::new("items", 3), counter, Reading::new("moved", 2), Reading::new("undeclared", 1)])
    }
}

/// A broker of lockers in a directory, at a time that the test sets.
pub(crate) struct Room {
    pub(crate) service: Arc<Lockers>,
    pub(crate) broker: Broker<Lockers>,
    pub(crate) db: Db,
    pub(crate) now: Arc<AtomicI64>,
}

impl Room {
    /// Opens the file in that directory; what the service holds survives where it is handed over.
    pub(crate) async fn open(folder: &Path, service: Arc<Lockers>) -> Self {
        let db = Db::open(&folder.join("locker.db"), "").await.unwrap();
        let sealer = Sealer::from_file(&folder.join("locker.key")).unwrap();
        let now = Arc::new(AtomicI64::new(START));
        let clock = Clock::Manual(Arc::clone(&now));
        let measure_every = Duration::from_secs(3_600);
        let setup = Setup { name: "locker".to_owned(), db: db.clone(), sealer, clock, measure_every };
        let broker = Broker::new(Arc::clone(&service), setup).unwrap();
        Self { service, broker, db, now }
    }

    pub(crate) fn at(&self, seconds: i64) {
        self.now.store(seconds, Ordering::SeqCst);
    }
}

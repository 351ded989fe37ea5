//! One user's connection once they are let in: where to, until when, and how it ends.
//!
//! A session may have several channels at a time; they share one connection to the target, made when the first of them is
//! opened. Invariants: a session that is cut stays cut, with the first reason; its connection to the target is audited before
//! anything passes; what its channels began is ended (and their recordings sealed) before its end is audited.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OnceCell, OwnedSemaphorePermit, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Shared;
use super::leg::{Leg, LegError};
use super::record::{Budget, RecordError, Recorder, directory};
use crate::bastion::access::{Entry, Event, Grant, Recording, Target};

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Closed,
    Revoked,
    Expired,
    Idle,
    Full,
    Unrecorded,
    Unaudited,
    Flooded,
    Stopped,
    Ordered,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed by the user",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Idle => "idle for too long",
            Self::Full => "the recording is as large as one may be",
            Self::Unrecorded => "it could not be recorded",
            Self::Unaudited => "the audit could not be written",
            Self::Flooded => "more was sent than the window allows",
            Self::Stopped => "the gateway stops",
            Self::Ordered => "cut by an operator",
        })
    }
}

impl From<&RecordError> for Cut {
    fn from(error: &RecordError) -> Self {
        match error {
            RecordError::Full => Self::Full,
            RecordError::Write(_) | RecordError::Name => Self::Unrecorded,
        }
    }
}

/// What a login asked for and was given.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) grant: Grant,
    pub(super) target: Target,
    pub(super) principal: String,
    pub(super) forced: Option<String>,
    /// Whether the certificate allows terminals. What else it might allow is said by the grant.
    pub(super) terminals: bool,
    pub(super) source: IpAddr,
}

/// A session.
pub(super) struct Session {
    pub(super) id: String,
    pub(super) shared: Arc<Shared>,
    pub(super) admission: Admission,
    pub(super) budget: Arc<Budget>,
    /// What passed, both ways.
    pub(super) passed: AtomicU64,
    leg: OnceCell<Leg>,
    started: OnceLock<Instant>,
    cut: watch::Sender<Option<Cut>>,
    began: Instant,
    last_ms: AtomicU64,
    channels: AtomicUsize,
    recordings: AtomicUsize,
    tasks: Mutex<JoinSet<()>>,
    _permit: OwnedSemaphorePermit,
}

impl Session {
    pub(super) fn new(shared: Arc<Shared>, admission: Admission, permit: OwnedSemaphorePermit) -> Self {
        Self {
            id: uuid::Uuid::now_v7().to_string(),
            budget: Arc::new(Budget::new(shared.limits.recorded_bytes)),
            shared,
            admission,
            passed: AtomicU64::new(0),
            leg: OnceCell::new(),
            started: OnceLock::new(),
            cut: watch::Sender::new(None),
            began: Instant::now(),
            last_ms: AtomicU64::new(0),
            channels: AtomicUsize::new(0),
            recordings: AtomicUsize::new(0),
            tasks: Mutex::new(JoinSet::new()),
            _permit: permit,
        }
    }

    /// Ends it. The first reason counts.
    pub(super) fn cut(&self, reason: Cut) {
        self.cut.send_if_modified(|cut| {
            let first = cut.is_none();
            cut.get_or_insert(reason);
            first
        });
    }

    /// Returns once it is cut, with the reason.
    pub(super) async fn until_cut(&self) -> Cut {
        let mut cut = self.cut.subscribe();
        let reason = cut.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        reason.unwrap_or(Cut::Closed)
    }

    /// Whether it is cut.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.borrow().is_some()
    }

    /// Something passed.
    pub(super) fn touch(&self, bytes: usize) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(now, Ordering::Relaxed);
        self.passed.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Returns once nothing has passed for so long.
    pub(super) async fn until_idle(&self, idle: Duration) {
        loop {
            let last = Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
            match (last + idle).checked_sub(self.began.elapsed()) {
                Some(left) if !left.is_zero() => tokio::time::sleep(left).await,
                _ => return,
            }
        }
    }

    /// Runs the work of a channel; it is waited for at the end.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work);
    }

    /// A place for one more channel, where there is one.
    pub(super) fn channel(self: &Arc<Self>) -> Option<Slot> {
        let most = self.shared.limits.channels;
        let taken = self.channels.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |open| {
            (open < most && !self.is_cut()).then_some(open + 1)
        });
        taken.ok().map(|_| Slot(Arc::clone(self)))
    }

    /// The connection to the target: made once, audited before it is used.
    pub(super) async fn leg(self: &Arc<Self>) -> Result<&Leg, LegError> {
        let made = async {
            // Large, and needed once.
            let leg = Box::pin(Leg::connect(self)).await?;
            self.audit_started().await?;
            // Waiting for the target was not the user's idleness.
            self.touch(0);
            let (id, grant, target) = (&self.id, &self.admission.grant, &self.admission.target.name);
            tracing::info!(
                session.id = id,
                bastion.id = grant.bastion,
                grant.id = grant.resource,
                target,
                "session {id} reached {target}"
            );
            Ok(leg)
        };
        self.leg.get_or_try_init(|| made).await
    }

    /// Tells the audit that it reached the target. In a task of its own: who waits for it may be cut, and what the audit knows
    /// to have started must be said to have ended.
    async fn audit_started(self: &Arc<Self>) -> Result<(), LegError> {
        let (told, heard) = oneshot::channel();
        let session = Arc::clone(self);
        self.spawn(async move {
            let Admission { target, principal, .. } = &session.admission;
            let event = Event::Started { target: target.name.clone(), principal: principal.clone() };
            let audited = session.shared.access.audit(session.entry(event));
            let audited = match timeout(session.shared.limits.connect, audited).await {
                Ok(Err(error)) => {
                    tracing::error!(session.id = session.id, error = chain(&error), "{} can't be audited", session.id);
                    false
                }
                // Where it took too long it may be written all the same.
                late => {
                    session.started.get_or_init(Instant::now);
                    late.is_ok()
                }
            };
            if !audited {
                session.cut(Cut::Unaudited);
            }
            if told.send(audited).is_err() {
                tracing::debug!(session.id = session.id, "{} was cut while it began", session.id);
            }
        });
        match heard.await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(LegError::Refused("the audit could not be written".into())),
        }
    }

    /// A recording for one more channel; `None` where the grant wants none.
    pub(super) async fn recorder(&self) -> Result<Option<Recorder>, RecordError> {
        match self.admission.grant.recording {
            Recording::Off | Recording::Metadata => return Ok(None),
            Recording::Full => {}
        }
        let folder = directory(&self.shared.data, &self.admission.grant.bastion)?;
        let name = match self.recordings.fetch_add(1, Ordering::SeqCst) {
            0 => format!("{}.cast", self.id),
            earlier => format!("{}.{}.cast", self.id, earlier + 1),
        };
        let key = Arc::clone(&self.shared.seal_key);
        Recorder::create(folder, name, key, Arc::clone(&self.budget)).await.map(Some)
    }

    /// A line of the audit about this session.
    pub(super) fn entry(&self, event: Event) -> Entry {
        let Admission { grant, source, .. } = &self.admission;
        Entry {
            bastion: Some(grant.bastion.clone()),
            grant: Some(grant.resource.clone()),
            user: Some(grant.user.clone()),
            session: Some(self.id.clone()),
            source: *source,
            event,
        }
    }

    /// Tells the audit that it was refused.
    pub(super) async fn audit_denied(&self, reason: String) {
        let target = Some(self.admission.target.name.clone());
        self.shared.audit(self.entry(Event::Denied { target, reason })).await;
    }

    /// Waits until its channels have ended, at most so long, and tells the audit.
    pub(super) async fn end(&self, patience: Duration) {
        // One task may have begun another one meanwhile.
        while let Some(mut tasks) = self.take_tasks() {
            let ended = async { while tasks.join_next().await.is_some() {} };
            if timeout(patience, ended).await.is_err() {
                tracing::warn!(session.id = self.id, "session {} had channels that did not end", self.id);
                tasks.shutdown().await;
            }
        }
        let Some(started) = self.started.get() else { return };
        let reason = self.cut.borrow().as_ref().unwrap_or(&Cut::Closed).to_string();
        let seconds = started.elapsed().as_millis().div_ceil(1000);
        let (recorded_bytes, passed) = (self.budget.written(), self.passed.load(Ordering::Relaxed));
        tracing::info!(session.id = self.id, bytes = passed, recorded_bytes, reason, "session {} ended", self.id);
        let target = self.admission.target.name.clone();
        let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
        self.shared.audit(self.entry(Event::Ended { target, seconds, recorded_bytes, reason })).await;
    }
}

impl Session {
    fn take_tasks(&self) -> Option<JoinSet<()>> {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        (!tasks.is_empty()).then_some(tasks)
    }
}

/// The place of a channel, given back when it is dropped.
pub(super) struct Slot(Arc<Session>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.channels.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An error with its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut shown = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        shown = format!("{shown}: {error}");
        cause = error.source();
    }
    shown
}

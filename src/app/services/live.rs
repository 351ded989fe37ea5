//! Following a service: who looks at its page is told that it changed, not what; the page itself tells that. A process follows so many at
//! once, and a session so many of them, so that no browser's tabs take the others' places.
//!
//! Invariant: a follower asks the database at most once a second, however much is written; it ends with the session of who looks, and
//! tells nothing that they may not see at that very moment. It is no visit: it makes no session last longer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::super::{App, Error};
use crate::domain::caller::Caller;
use crate::secret::{self, Secret};
use crate::store::{services, sessions};

/// Followers of one process, and of one session in it.
pub const FOLLOWERS_MAX: usize = 1000;
/// Followers of one session: tabs of one browser.
pub const OF_SESSION_MAX: usize = 12;
/// How long a service is followed; whoever still looks then asks again.
pub const FOLLOWED_FOR: Duration = Duration::from_secs(300);
/// Between two questions to the database.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long nothing is heard of what other processes write.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often an answer is given that nothing changed, so that a browser that went away is noticed.
const QUIET_MAX: Duration = Duration::from_secs(15);

/// Who follows in this process: by session, how many.
#[derive(Clone, Debug, Default)]
pub(in crate::app) struct Followers(Arc<Mutex<HashMap<String, usize>>>);

impl Followers {
    fn enter(&self, session: &str) -> Option<Place> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = sessions.values().sum();
        let own = sessions.get(session).copied().unwrap_or_default();
        if all >= FOLLOWERS_MAX || own >= OF_SESSION_MAX {
            return None;
        }
        sessions.insert(session.to_owned(), own + 1);
        Some(Place { followers: self.clone(), session: session.to_owned() })
    }
}

/// A place among the followers, until it is dropped.
#[derive(Debug)]
struct Place {
    followers: Followers,
    session: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut sessions = self.followers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = sessions.get_mut(&self.session) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                sessions.remove(&self.session);
            }
        }
    }
}

/// Somebody who follows a service.
#[derive(Debug)]
pub struct Follower {
    app: App,
    /// The hash of the session's secret.
    session: String,
    /// Tenant and name or id.
    named: (String, String),
    instance_id: String,
    seen: String,
    commits: watch::Receiver<u64>,
    asked_at: Option<Instant>,
    until: Instant,
    _place: Place,
}

/// What a follower is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It changed; the new mark.
    Changed(String),
    /// Nothing yet.
    Nothing,
    /// It is followed no longer: the time is over, they signed out, or it is not theirs to see any more.
    End,
}

impl App {
    /// Begins to follow a service that was seen with a mark; one that changed since is told at once.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it is not theirs to see; [`Error::Unavailable`] where too many follow.
    pub async fn follow(
        &self,
        caller: &Caller,
        session: &Secret<String>,
        (tenant, key): (&str, &str),
        seen: &str,
    ) -> Result<Follower, Error> {
        // Before the first look, so that nothing between the two is missed.
        let commits = self.commits();
        let (_, row) = self.looked_at(caller, tenant, key).await?;
        let too_many = || Error::Unavailable("too many pages are kept up to date already: load it again".to_owned());
        let session = secret::hash_password(session.expose());
        let place = self.followers().enter(&session).ok_or_else(too_many)?;
        Ok(Follower {
            app: self.clone(),
            session,
            named: (tenant.to_owned(), key.to_owned()),
            instance_id: row.id,
            seen: seen.to_owned(),
            commits,
            asked_at: None,
            until: Instant::now() + FOLLOWED_FOR,
            _place: place,
        })
    }

    /// The mark of an instance as it is now; none where it is gone for good, or the session is.
    async fn mark_of(&self, instance_id: &str, session: &str) -> Result<Option<String>, Error> {
        let (id, session, now) = (instance_id.to_owned(), session.to_owned(), self.clock().now());
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                if sessions::find(tx, &session, now).await?.is_none() {
                    return Ok(None);
                }
                Ok(services::mark(tx, &id).await?)
            })
        });
        Ok(read.await?.map(|mark| digest(&mark)))
    }
}

impl Follower {
    /// Waits for what there is to tell. What a database does not answer is asked again.
    pub async fn next(&mut self) -> Heard {
        let quiet = Instant::now() + QUIET_MAX;
        loop {
            let asked = match self.asked_at {
                Some(at) => {
                    let wait = tokio::time::timeout_at((at + LOOK_EVERY).min(self.until), self.commits.changed());
                    if let Ok(Err(_)) = wait.await {
                        return Heard::End;
                    }
                    tokio::time::sleep_until((at + ASK_EVERY).min(self.until)).await;
                    Instant::now()
                }
                None => Instant::now(),
            };
            if asked >= self.until {
                return Heard::End;
            }
            self.commits.borrow_and_update();
            self.asked_at = Some(asked);
            let changed = match self.app.mark_of(&self.instance_id, &self.session).await {
                Ok(Some(mark)) => (mark != self.seen).then_some(mark),
                Ok(None) => return Heard::End,
                Err(_) => None,
            };
            if changed.is_none() && asked < quiet {
                continue;
            }
            // Who may see it may have changed as well.
            match (self.may_look().await, changed) {
                (Ok(false), _) => return Heard::End,
                (Ok(true), Some(mark)) => {
                    self.seen.clone_from(&mark);
                    return Heard::Changed(mark);
                }
                (Ok(true), None) => return Heard::Nothing,
                (Err(_), _) if asked >= quiet => return Heard::Nothing,
                (Err(_), _) => {}
            }
        }
    }

    /// Whether who looks is still signed in and may still see it; an error where nobody can tell.
    async fn may_look(&self) -> Result<bool, Error> {
        let Some(caller) = self.app.session_unseen(&self.session).await? else { return Ok(false) };
        match self.app.looked_at(&caller, &self.named.0, &self.named.1).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. } | Error::Forbidden(_)) => Ok(false),
            Err(other) => Err(other),
        }
    }
}

/// A mark that says nothing about what it is made of.
pub(in crate::app) fn digest(mark: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, mark.as_bytes());
    digest.as_ref().iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_so_many_places_and_gives_them_back() {
        let followers = Followers::default();
        let places: Vec<_> = (0..OF_SESSION_MAX).filter_map(|_| followers.enter("one")).collect();
        assert_eq!(places.len(), OF_SESSION_MAX);
        assert!(followers.enter("one").is_none());
        assert!(followers.enter("two").is_some());
        drop(places);
        assert!(followers.enter("one").is_some());
        assert!(followers.0.lock().unwrap().is_empty());
    }

    #[test]
    fn a_process_has_so_many_places() {
        let followers = Followers::default();
        let places: Vec<_> = (0..FOLLOWERS_MAX).filter_map(|number| followers.enter(&number.to_string())).collect();
        assert_eq!(places.len(), FOLLOWERS_MAX);
        assert!(followers.enter("another").is_none());
    }
}

//! Following a service: who looks at its page is told that it changed, not what; the page itself tells that. A process follows so many at
//! once, and a session so many of them, so that no browser's tabs take the others' places.
//!
//! Invariant: a follower asks the database at most once a second, however much is written, and only about what its caller may see.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::super::{App, Error};
use crate::domain::caller::Caller;
use crate::store::services;

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
    caller: Caller,
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
    /// It is followed no longer: the time is over, or it is not theirs to see any more.
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
        session: &str,
        (tenant, key): (&str, &str),
        seen: &str,
    ) -> Result<Follower, Error> {
        // Before the first look, so that nothing between the two is missed.
        let commits = self.commits();
        let (_, row) = self.looked_at(caller, tenant, key).await?;
        let too_many = || Error::Unavailable("too many pages are kept up to date already: load it again".to_owned());
        let place = self.followers().enter(&digest(session)).ok_or_else(too_many)?;
        Ok(Follower {
            app: self.clone(),
            caller: caller.clone(),
            named: (tenant.to_owned(), key.to_owned()),
            instance_id: row.id,
            seen: seen.to_owned(),
            commits,
            asked_at: None,
            until: Instant::now() + FOLLOWED_FOR,
            _place: place,
        })
    }

    async fn mark_of(&self, instance_id: &str) -> Result<Option<String>, Error> {
        let id = instance_id.to_owned();
        let mark = self.db().read(|tx| Box::pin(async move { services::mark(tx, &id).await })).await?;
        Ok(mark.map(|mark| digest(&mark)))
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
            match self.app.mark_of(&self.instance_id).await {
                Ok(Some(mark)) if mark != self.seen => {
                    // Who may see it may have changed as well.
                    if self.app.looked_at(&self.caller, &self.named.0, &self.named.1).await.is_err() {
                        return Heard::End;
                    }
                    self.seen.clone_from(&mark);
                    return Heard::Changed(mark);
                }
                Ok(Some(_)) | Err(_) if asked >= quiet => return Heard::Nothing,
                Ok(Some(_)) | Err(_) => {}
                Ok(None) => return Heard::End,
            }
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

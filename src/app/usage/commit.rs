//! Writes a batch that was judged: what is new is added, what has been there is compared, and corrections are held against what
//! they correct. What is refused only because it comes too late is looked up too: its key holds for ever. It runs within one transaction, which may be run again.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::clock::Time;
use crate::domain::usage::judge::Bounds;
use crate::domain::usage::{Rejection, UsageEvent, Verdict, What};
use crate::store::usage::SeriesKey;
use crate::store::usage::ingest::{self, Key, NewConflict, NewEvent, Stored};
use crate::store::{Error, Tx};

/// An event that may be taken, as far as it and its instance can tell.
#[derive(Debug)]
pub(super) struct Judged {
    /// Its place in the batch.
    pub(super) index: usize,
    /// What tells it apart from others with its key.
    pub(super) content: Vec<u8>,
    /// The event.
    pub(super) event: UsageEvent,
    /// Whose source it is.
    pub(super) broker_id: String,
    /// What it is a reading of.
    pub(super) series: SeriesKey,
}

/// An event that comes too late to be taken, unless it has been.
#[derive(Debug)]
pub(super) struct Lapsed {
    /// Its place in the batch.
    pub(super) index: usize,
    /// What tells it apart from others with its key.
    pub(super) content: Vec<u8>,
    /// The event.
    pub(super) event: UsageEvent,
    /// Whose source it is.
    pub(super) broker_id: String,
    /// Why it is not taken, where its key is free.
    pub(super) rejection: Rejection,
}

/// What is to be written.
#[derive(Debug)]
pub(super) struct Batch {
    /// In the order of the batch.
    pub(super) judged: Vec<Judged>,
    /// What is only looked up, in the order of the batch.
    pub(super) lapsed: Vec<Lapsed>,
    /// The whole batch as it came.
    pub(super) documents: Vec<Value>,
    /// What bounds the instants of events.
    pub(super) bounds: Bounds,
}

/// An event of the batch by its place, what became of it, and why.
type Outcome = (usize, Verdict, Option<Rejection>);

/// An event with the numbers of its source and its series.
struct Numbered<'a> {
    judged: &'a Judged,
    key: Key,
    series_id: i64,
}

impl Batch {
    /// Writes it all and says what became of each event.
    pub(super) async fn commit(&self, tx: &mut Tx<'_>, now: Time) -> Result<Vec<Outcome>, Error> {
        let numbered = self.number(tx).await?;
        let (corrections, readings): (Vec<_>, Vec<_>) =
            numbered.into_iter().partition(|one| one.judged.event.what == What::Correction);
        let mut accepted = insert(tx, &readings, now).await?;
        let mut outcomes = Vec::with_capacity(self.judged.len());
        let corrections = fitting(tx, corrections, self.bounds, &mut outcomes).await?;
        accepted.extend(insert(tx, &corrections, now).await?);
        let all: Vec<Numbered<'_>> = readings.into_iter().chain(corrections).collect();
        self.compare(tx, &all, accepted, now, &mut outcomes).await?;
        self.look_up(tx, now, &mut outcomes).await?;
        Ok(outcomes)
    }

    /// Says of each event that comes too late whether it is there already, another one is, or none.
    async fn look_up(&self, tx: &mut Tx<'_>, now: Time, outcomes: &mut Vec<Outcome>) -> Result<(), Error> {
        if self.lapsed.is_empty() {
            return Ok(());
        }
        let source = |one: &Lapsed| (one.broker_id.clone(), one.event.source.clone());
        let sources = ingest::sources_known(tx, &self.lapsed.iter().map(source).collect::<Vec<_>>()).await?;
        let key = |one: &Lapsed| Some((*sources.get(&source(one))?, one.event.id.clone()));
        let keys: HashSet<Key> = self.lapsed.iter().filter_map(key).collect();
        let known = ingest::stored(tx, &keys.into_iter().collect::<Vec<_>>()).await?;
        let mut conflicts = Vec::new();
        for one in &self.lapsed {
            let standing = key(one).and_then(|key| known.get_key_value(&key));
            outcomes.push(match standing {
                None => (one.index, Verdict::Rejected, Some(one.rejection.clone())),
                Some((_, stored)) if stored.content == one.content => (one.index, Verdict::Duplicate, None),
                Some((key, _)) => {
                    conflicts.extend(self.conflict(one.index, key, &one.content));
                    conflicting(one.index)
                }
            });
        }
        ingest::insert_conflicts(tx, &conflicts, now).await
    }

    fn conflict(&self, index: usize, key: &Key, content: &[u8]) -> Option<NewConflict<'_>> {
        let document = self.documents.get(index)?;
        Some(NewConflict { key: key.clone(), content: content.to_vec(), document })
    }

    /// Finds or makes the sources and the series of all events.
    async fn number(&self, tx: &mut Tx<'_>) -> Result<Vec<Numbered<'_>>, Error> {
        let source = |one: &Judged| (one.broker_id.clone(), one.event.source.clone());
        let sources = ingest::sources(tx, &self.judged.iter().map(source).collect::<Vec<_>>()).await?;
        let series: Vec<_> = self.judged.iter().map(|one| one.series.clone()).collect();
        let series = ingest::all_series(tx, &series).await?;
        let missing = |column| Error::Corrupt { column, source: "it was just written".into() };
        let number = |judged| {
            let source_id = *sources.get(&source(judged)).ok_or_else(|| missing("source"))?;
            let series_id = *series.get(&judged.series).ok_or_else(|| missing("series"))?;
            Ok(Numbered { judged, key: (source_id, judged.event.id.clone()), series_id })
        };
        self.judged.iter().map(number).collect()
    }

    /// Says of each event whether it is new, the same as what stands, or another one.
    async fn compare(
        &self,
        tx: &mut Tx<'_>,
        all: &[Numbered<'_>],
        mut accepted: HashSet<Key>,
        now: Time,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<(), Error> {
        let mut standing: HashMap<&Key, &[u8]> = HashMap::new();
        let mut unsure: HashSet<Key> = HashSet::new();
        for one in all {
            if !accepted.contains(&one.key) {
                unsure.insert(one.key.clone());
            } else {
                standing.entry(&one.key).or_insert(&one.judged.content);
            }
        }
        let known = ingest::stored(tx, &unsure.into_iter().collect::<Vec<_>>()).await?;
        standing.extend(known.iter().map(|(key, stored)| (key, stored.content.as_slice())));
        let mut conflicts = Vec::new();
        for one in all {
            let index = one.judged.index;
            let same = standing.get(&one.key).is_some_and(|content| *content == one.judged.content.as_slice());
            // The first one with a new key is the one that was written.
            outcomes.push(if accepted.remove(&one.key) {
                (index, Verdict::Accepted, None)
            } else if same {
                (index, Verdict::Duplicate, None)
            } else {
                conflicts.extend(self.conflict(index, &one.key, &one.judged.content));
                conflicting(index)
            });
        }
        ingest::insert_conflicts(tx, &conflicts, now).await
    }
}

fn conflicting(index: usize) -> Outcome {
    let message = "another event has this source and id; it counts, and this one is kept to be looked at";
    (index, Verdict::Conflict, Some(Rejection::new("conflict", message)))
}

/// Inserts the first event of each key, and says which keys were free.
async fn insert(tx: &mut Tx<'_>, events: &[Numbered<'_>], now: Time) -> Result<HashSet<Key>, Error> {
    let mut seen = HashSet::new();
    let firsts = events.iter().filter(|one| seen.insert(&one.key));
    let rows: Vec<_> = firsts
        .map(|one| NewEvent {
            source_id: one.key.0,
            series_id: one.series_id,
            content: &one.judged.content,
            event: &one.judged.event,
        })
        .collect();
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    ingest::insert(tx, &rows, now).await
}

/// The corrections whose target is not known to be something else; the others are rejected. One that stands already is
/// judged by that alone, whatever has come since.
async fn fitting<'a>(
    tx: &mut Tx<'_>,
    corrections: Vec<Numbered<'a>>,
    bounds: Bounds,
    outcomes: &mut Vec<Outcome>,
) -> Result<Vec<Numbered<'a>>, Error> {
    let target = |one: &Numbered<'_>| Some((one.key.0, one.judged.event.corrects.clone()?));
    let keys: HashSet<Key> =
        corrections.iter().flat_map(|one| [Some(one.key.clone()), target(one)]).flatten().collect();
    let known = ingest::stored(tx, &keys.into_iter().collect::<Vec<_>>()).await?;
    let mut fit = Vec::with_capacity(corrections.len());
    for mut one in corrections {
        let stands = known.contains_key(&one.key);
        match target(&one).and_then(|target| known.get(&target)).filter(|_| !stands) {
            None => fit.push(one),
            Some(target) => match fits(&one.judged.series, target).and_then(|()| bounds.not_too_old(target.at)) {
                Ok(()) => {
                    one.series_id = target.series_id;
                    fit.push(one);
                }
                Err(rejection) => outcomes.push((one.judged.index, Verdict::Rejected, Some(rejection))),
            },
        }
    }
    Ok(fit)
}

fn fits(series: &SeriesKey, target: &Stored) -> Result<(), Rejection> {
    if target.corrects.is_some() {
        let message = "what it corrects is itself a correction: correct the reading once more instead";
        return Err(Rejection::new("corrects_correction", message));
    }
    let same = (&target.instance_id, &target.meter, &target.unit) == (&series.instance_id, &series.meter, &series.unit);
    if same {
        return Ok(());
    }
    Err(Rejection::new("corrects_another", "what it corrects is of another instance, meter or unit"))
}

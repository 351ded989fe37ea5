//! Looks through a chain of audit rows, once, in the order of their numbers, in bounded memory, and names what is wrong with it.
//!
//! What the chain alone shows: a row that was changed, is missing, or stands elsewhere than it was chained. Whoever can write to the
//! database can also chain everything anew after a change, or cut off the end: only heads that were signed before show that.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;

use serde_json::Value;

use super::{GENESIS, Head, hash};

/// Hashes of rows that were seen last are remembered, so that a row that was moved is known again: about 8 MB.
const RECENT_MAX: usize = 65_536;
/// Rows that may turn out to have been moved forward.
const PENDING_MAX: usize = 64;
/// How far rows may have been renumbered and still be known.
const SHIFT_MAX: i64 = 64;
/// Findings that are kept; more are counted.
const FINDINGS_MAX: usize = 100;
/// Heads that wait for their rows.
const HEADS_MAX: usize = 100_000;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// The row is not what its hash was made of.
    Changed {
        /// Where it stands.
        position: i64,
        /// Its id.
        id: String,
    },
    /// The row is whole, and the next one was chained to another: it was changed and hashed anew, or put in place of one.
    Replaced {
        /// Where it stands.
        position: i64,
    },
    /// Rows are not there.
    Missing {
        /// The first.
        from: i64,
        /// The last.
        to: i64,
    },
    /// The row was chained elsewhere.
    Reordered {
        /// Where it stands.
        position: i64,
        /// Its id.
        id: String,
        /// Where it was chained.
        chained: i64,
    },
    /// Rows that a signed head counts are gone from the end.
    CutOff {
        /// The first.
        from: i64,
        /// The last.
        to: i64,
        /// When the head was signed.
        head_at: String,
    },
    /// The chain up to here is not the one that was signed: something between two heads was changed, and all after it chained anew.
    Rechained {
        /// The last row that a head vouches for.
        after: i64,
        /// The row whose hash was signed otherwise.
        position: i64,
        /// When the head was signed.
        head_at: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { position, id } => write!(f, "row {position} ({id}) was changed"),
            Self::Replaced { position } => {
                write!(
                    f,
                    "row {position} is not the one that the next row was chained to: it was changed and hashed anew"
                )
            }
            Self::Missing { from, to } if from == to => write!(f, "row {from} is missing"),
            Self::Missing { from, to } => write!(f, "rows {from} to {to} are missing"),
            Self::Reordered { position, id, chained } => {
                write!(f, "row {position} ({id}) is out of order: it was chained as row {chained}")
            }
            Self::CutOff { from, to, head_at } => {
                write!(f, "rows {from} to {to} are cut off: the head of {head_at} counts {to} rows")
            }
            Self::Rechained { after, position, head_at } => write!(
                f,
                "rows {} to {position} were chained anew after a change: row {position} has not the hash that was signed at {head_at}",
                after + 1
            ),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Rows that were looked at.
    pub rows: u64,
    /// The number of the last one.
    pub last: i64,
    /// Its hash.
    pub hash: String,
    /// Heads that were compared.
    pub heads: u64,
    /// What is wrong, first things first.
    pub findings: Vec<Finding>,
    /// Findings beyond those that are kept.
    pub more: u64,
}

/// The walk through a chain.
#[derive(Debug)]
pub struct Verifier {
    rows: u64,
    /// The number and hash of the row before; the hash is unknown behind a gap.
    last: i64,
    hash: String,
    /// Whether the next row's link can be compared.
    linked: bool,
    /// Where rows were chained, by their hash.
    recent: HashMap<String, i64>,
    order: VecDeque<String>,
    /// Rows that do not fit where they stand, by the hash that they follow: it may yet come.
    pending: HashMap<String, (i64, Value)>,
    heads: BTreeMap<i64, Head>,
    vouched: i64,
    compared: u64,
    findings: Vec<Finding>,
    more: u64,
}

impl Verifier {
    /// A walk that compares the rows with these heads, whose signatures were verified before.
    pub fn new(heads: impl IntoIterator<Item = Head>) -> Self {
        let mut verifier = Self {
            rows: 0,
            last: 0,
            hash: GENESIS.to_owned(),
            linked: true,
            recent: HashMap::new(),
            order: VecDeque::new(),
            pending: HashMap::new(),
            heads: BTreeMap::new(),
            vouched: 0,
            compared: 0,
            findings: Vec::new(),
            more: 0,
        };
        heads.into_iter().for_each(|head| verifier.expect(head));
        verifier.remember(GENESIS.to_owned(), 0);
        verifier
    }

    /// One more head to compare with, whose signature was verified before. It has to come before its row.
    pub fn expect(&mut self, head: Head) {
        if head.position <= self.last {
            return;
        }
        // Two heads of one place that contradict each other: one of them is found out below, whichever is kept.
        self.heads.insert(head.position, head);
        if self.heads.len() > HEADS_MAX {
            // So many are only there behind the end of the rows, and of those the last one tells.
            self.heads.pop_first();
        }
    }

    /// The next row, as `GET /audit` gives it. Rows come by rising numbers.
    pub fn take(&mut self, row: &Value) {
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let position = row.get("position").and_then(Value::as_i64).unwrap_or(0);
        let (id, previous, stored) = (text("id"), text("previous"), text("hash"));
        self.rows += 1;
        if position > self.last + 1 {
            self.find(Finding::Missing { from: self.last + 1, to: position - 1 });
            self.linked = false;
        }
        let is_whole = hash(&previous, row) == stored;
        if is_whole {
            self.whole(position, id, &previous);
            self.remember(stored.clone(), position);
        } else {
            self.broken(position, id, &previous, &stored, row);
        }
        // Those of rows that are missing: nothing is left to compare them with.
        self.heads = self.heads.split_off(&position);
        if let Some(head) = self.heads.remove(&position) {
            self.compared += 1;
            if head.hash == stored {
                self.vouched = position;
            } else {
                self.find(Finding::Rechained { after: self.vouched, position, head_at: head.at.to_string() });
            }
        }
        // Behind a row that is not whole, which is a finding already, a link says nothing: the row may be another one's.
        (self.last, self.hash, self.linked) = (position, stored, is_whole);
    }

    /// A row that is as it was hashed: does it follow the one before?
    fn whole(&mut self, position: i64, id: String, previous: &str) {
        let follows = previous == self.hash || self.recent.get(previous) == Some(&(position - 1));
        if self.linked && !follows {
            self.find(if position > 1 {
                Finding::Replaced { position: position - 1 }
            } else {
                Finding::Changed { position, id }
            });
        }
    }

    /// A row that is not as it was hashed: was it changed, or only moved?
    fn broken(&mut self, position: i64, id: String, previous: &str, stored: &str, row: &Value) {
        match self.recent.get(previous).map(|before| before + 1) {
            Some(chained) if chained != position && fits(previous, row, chained, stored) => {
                self.find(Finding::Reordered { position, id, chained });
                self.remember(stored.to_owned(), chained);
            }
            None if self.pending.len() < PENDING_MAX => {
                self.pending.insert(previous.to_owned(), (position, row.clone()));
            }
            _ => {
                self.find(Finding::Changed { position, id });
                self.remember(stored.to_owned(), position);
            }
        }
    }

    /// Keeps where a row was chained; a row that was moved before it and follows it has found its place.
    fn remember(&mut self, hash: String, chained: i64) {
        let mut next = Some((hash, chained));
        while let Some((hash, chained)) = next.take() {
            if let Some((position, row)) = self.pending.remove(&hash) {
                let (id, stored) = names(&row);
                if fits(&hash, &row, chained + 1, &stored) {
                    self.find(Finding::Reordered { position, id, chained: chained + 1 });
                    next = Some((stored, chained + 1));
                } else {
                    self.find(Finding::Changed { position, id });
                    next = Some((stored, position));
                }
            }
            if self.recent.insert(hash.clone(), chained).is_none() {
                self.order.push_back(hash);
            }
            if self.order.len() > RECENT_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.recent.remove(&oldest);
            }
        }
    }

    fn find(&mut self, finding: Finding) {
        if self.findings.len() < FINDINGS_MAX { self.findings.push(finding) } else { self.more += 1 }
    }

    /// What came of it.
    pub fn finish(mut self) -> Report {
        let left: Vec<_> = self.pending.drain().collect();
        for (previous, (position, row)) in left {
            let (id, stored) = names(&row);
            let moved = (position + 1..=position + SHIFT_MAX).find(|chained| fits(&previous, &row, *chained, &stored));
            self.find(match moved {
                Some(chained) => Finding::Reordered { position, id, chained },
                None => Finding::Changed { position, id },
            });
        }
        if let Some((_, head)) = self.heads.last_key_value()
            && head.position > self.last
        {
            let (to, head_at) = (head.position, head.at.to_string());
            self.find(Finding::CutOff { from: self.last + 1, to, head_at });
        }
        self.findings.sort_by_key(place);
        let Self { rows, last, hash, compared, findings, more, .. } = self;
        Report { rows, last, hash, heads: compared, findings, more }
    }
}

fn names(row: &Value) -> (String, String) {
    let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    (text("id"), text("hash"))
}

/// Whether a row is as it was hashed if it stood at that place.
fn fits(previous: &str, row: &Value, position: i64, stored: &str) -> bool {
    let mut moved = row.clone();
    if let Some(fields) = moved.as_object_mut() {
        fields.insert("position".to_owned(), position.into());
    }
    hash(previous, &moved) == stored
}

fn place(finding: &Finding) -> i64 {
    match finding {
        Finding::Changed { position, .. }
        | Finding::Replaced { position }
        | Finding::Reordered { position, .. }
        | Finding::Rechained { position, .. } => *position,
        Finding::Missing { from, .. } | Finding::CutOff { from, .. } => *from,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Time;

    fn chain(len: i64) -> Vec<Value> {
        let mut previous = GENESIS.to_owned();
        let row = |position| {
            let mut row = json!({ "position": position, "id": format!("r{position}"), "detail": { "n": position } });
            let next = hash(&previous, &row);
            row["previous"] = previous.clone().into();
            row["hash"] = next.clone().into();
            previous = next;
            row
        };
        (1..=len).map(row).collect()
    }

    fn again(rows: &mut [Value], from: usize) {
        for index in from..rows.len() {
            let previous =
                if index == 0 { GENESIS.to_owned() } else { rows[index - 1]["hash"].as_str().unwrap().to_owned() };
            rows[index]["hash"] = hash(&previous, &rows[index]).into();
            rows[index]["previous"] = previous.into();
        }
    }

    fn head(rows: &[Value], position: i64) -> Head {
        let row = rows.iter().find(|row| row["position"] == position).unwrap();
        let hash = row["hash"].as_str().unwrap().to_owned();
        Head { position, hash, at: Time(0), signature: String::new(), kid: String::new() }
    }

    fn told(rows: &[Value], heads: Vec<Head>) -> Vec<String> {
        let mut verifier = Verifier::new(heads);
        rows.iter().for_each(|row| verifier.take(row));
        verifier.finish().findings.iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_whole_chain_has_no_findings() {
        let rows = chain(9);
        assert_eq!(told(&rows, vec![head(&rows, 4), head(&rows, 9)]), Vec::<String>::new());
        assert_eq!(told(&[], Vec::new()), Vec::<String>::new());
    }

    #[test]
    fn a_changed_row_is_named_and_no_other() {
        let mut rows = chain(9);
        rows[4]["detail"]["n"] = json!(7);
        assert_eq!(told(&rows, Vec::new()), ["row 5 (r5) was changed"]);
    }

    #[test]
    fn a_row_that_was_changed_and_hashed_anew_is_named() {
        let mut rows = chain(9);
        rows[4]["detail"]["n"] = json!(7);
        again(&mut rows[..5], 4);
        let text = "row 5 is not the one that the next row was chained to: it was changed and hashed anew";
        assert_eq!(told(&rows, Vec::new()), [text]);
    }

    #[test]
    fn missing_rows_are_named_in_the_middle_and_at_the_beginning() {
        let mut rows = chain(9);
        rows.remove(4);
        assert_eq!(told(&rows, Vec::new()), ["row 5 is missing"]);
        rows.drain(..3);
        assert_eq!(told(&rows, Vec::new()), ["rows 1 to 3 are missing", "row 5 is missing"]);
    }

    #[test]
    fn rows_that_changed_places_are_named_with_where_they_were() {
        let mut rows = chain(9);
        for (left, right) in [(4, 5), (1, 7)] {
            rows.swap(left, right);
            (rows[left]["position"], rows[right]["position"]) = (json!(left + 1), json!(right + 1));
        }
        let moved = |at: i64, was: i64| format!("row {at} (r{was}) is out of order: it was chained as row {was}");
        assert_eq!(told(&rows, Vec::new()), [moved(2, 8), moved(5, 6), moved(6, 5), moved(8, 2)]);
    }

    #[test]
    fn a_row_that_was_taken_out_and_the_rest_renumbered_shows() {
        let mut rows = chain(6);
        rows.remove(3);
        (3..5).for_each(|index| rows[index]["position"] = json!(index + 1));
        let told = told(&rows, Vec::new());
        assert_eq!(told[0], "row 4 (r5) is out of order: it was chained as row 5");
    }

    #[test]
    fn a_cut_off_end_shows_by_a_head_only() {
        let rows = chain(9);
        let kept = head(&rows, 9);
        assert_eq!(told(&rows[..6], Vec::new()), Vec::<String>::new());
        let text = "rows 7 to 9 are cut off: the head of 1970-01-01T00:00:00.000000Z counts 9 rows";
        assert_eq!(told(&rows[..6], vec![kept]), [text]);
    }

    #[test]
    fn a_chain_that_was_made_anew_shows_by_a_head_only() {
        let mut rows = chain(9);
        let (early, late) = (head(&rows, 3), head(&rows, 8));
        rows[4]["detail"]["n"] = json!(7);
        again(&mut rows, 4);
        assert_eq!(told(&rows, Vec::new()), Vec::<String>::new());
        let told = told(&rows, vec![early, late]);
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("rows 4 to 8 were chained anew after a change"), "{told:?}");
    }

    #[test]
    fn findings_are_bounded() {
        let mut rows = chain(300);
        rows.iter_mut().for_each(|row| row["id"] = json!("x"));
        let mut verifier = Verifier::new([]);
        rows.iter().for_each(|row| verifier.take(row));
        let report = verifier.finish();
        assert_eq!((report.findings.len(), report.more), (FINDINGS_MAX, 200));
    }
}

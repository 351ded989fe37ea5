//! What brokers said about their readings afterwards: another quantity, or that there was none.

use std::collections::HashMap;

use super::Reading;
use crate::clock::Time;
use crate::domain::decimal::Decimal;

/// A correction of one reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Whose it is, and whose reading it corrects.
    pub source: i64,
    /// Its own id.
    pub id: String,
    /// Its own time: of several the latest counts.
    pub time: Time,
    /// The id of the reading.
    pub corrects: String,
    /// How much it was instead; nothing where there was no such reading.
    pub quantity: Option<Decimal>,
}

/// The readings as they were corrected, in the order that they had.
pub fn corrected(mut readings: Vec<Reading>, corrections: &[Correction]) -> Vec<Reading> {
    let mut last: HashMap<(i64, &str), &Correction> = HashMap::new();
    for correction in corrections {
        let known = last.entry((correction.source, &correction.corrects)).or_insert(correction);
        if (correction.time, &correction.id) > (known.time, &known.id) {
            *known = correction;
        }
    }
    readings.retain_mut(|reading| match last.get(&(reading.source, reading.id.as_str())) {
        None => true,
        Some(correction) => correction.quantity.map(|quantity| reading.quantity = quantity).is_some(),
    });
    readings
}

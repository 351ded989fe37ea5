//! Months and days as a tenant's calendar has them. A month is charged from its first local midnight to the next month's, so a
//! month in which the clocks change is an hour shorter or longer, and no instant is in two months or in none.
//!
//! It knows no tenant: whose zone counts for which month is decided by [`Zones`].

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::Time;

/// A month of the calendar, on the wire `2026-11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: i16,
    month: i8,
}

/// Why a text is no [`Month`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a year and a month, such as 2026-11")]
pub struct MonthError;

/// A time zone of the IANA database, as it is named there; the database is part of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// Why a text is no [`Zone`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a time zone of the IANA database, such as Europe/Berlin or UTC")]
pub struct ZoneError;

/// Which zone a tenant had from when on. A new one counts from the first month that begins after it was said, so that months
/// that have begun keep their ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zones {
    first: Zone,
    later: Vec<(Time, Zone)>,
}

/// No local midnight is earlier than that before the same one in UTC.
const EARLIEST: Duration = Duration::from_secs(26 * 3600);
const FIRST_YEAR: i16 = 1971;
const LAST_YEAR: i16 = 9000;

impl Month {
    /// The one that holds an instant, in a zone.
    pub fn of(time: Time, zone: &Zone) -> Self {
        let date = zone.date(time);
        Self { year: date.year().clamp(FIRST_YEAR, LAST_YEAR), month: date.month() }
    }

    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        if self.month == 12 { Self { year: self.year + 1, month: 1 } } else { Self { month: self.month + 1, ..self } }
    }

    /// The one before it.
    #[must_use]
    pub fn previous(self) -> Self {
        if self.month == 1 { Self { year: self.year - 1, month: 12 } } else { Self { month: self.month - 1, ..self } }
    }

    /// Its first instant in a zone.
    pub fn start(self, zone: &Zone) -> Time {
        Date::new(self.year, self.month, 1).map_or(Time(0), |date| zone.midnight(date))
    }
}

impl FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        let (year, month) =
            text.split_once('-').filter(|(year, month)| (year.len(), month.len()) == (4, 2)).ok_or(MonthError)?;
        if !(year.bytes().chain(month.bytes())).all(|byte| byte.is_ascii_digit()) {
            return Err(MonthError);
        }
        let (year, month) = (year.parse().map_err(|_| MonthError)?, month.parse().map_err(|_| MonthError)?);
        let known = (FIRST_YEAR..=LAST_YEAR).contains(&year) && (1..=12).contains(&month);
        known.then_some(Self { year, month }).ok_or(MonthError)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl Serialize for Month {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Month {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Zone {
    /// Coordinated Universal Time.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// Its name in the IANA database.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The day that holds `time`, such as `2026-11-03`.
    pub fn day_name(&self, time: Time) -> String {
        self.date(time).to_string()
    }

    fn date(&self, time: Time) -> Date {
        jiff::Timestamp::from_microsecond(time.0).unwrap_or(jiff::Timestamp::MAX).to_zoned(self.0.clone()).date()
    }

    /// What the day that holds an instant is called: `3 Nov`.
    pub fn day_in_words(&self, time: Time) -> String {
        self.date(time).strftime("%-d %b").to_string()
    }

    /// The first instant of a day; where the clocks skip midnight, the first that there is.
    fn midnight(&self, date: Date) -> Time {
        date.to_zoned(self.0.clone()).map_or(Time(0), |zoned| Time(zoned.timestamp().as_microsecond()))
    }

    /// The first instant of the day that holds `time`, and that of the day after it.
    pub fn day(&self, time: Time) -> Range<Time> {
        let after = |date: Date| date.tomorrow().map_or(Time(i64::MAX), |date| self.midnight(date));
        let date = self.date(time);
        let (start, end) = (self.midnight(date), after(date));
        // Where clocks are put back just after midnight, the end of a day is shown twice; the day is over the first time.
        let begun = if time < end { None } else { date.tomorrow().ok() };
        begun.map_or(start..end, |next| end..after(next))
    }
}

impl From<TimeZone> for Zone {
    fn from(zone: TimeZone) -> Self {
        Self(zone)
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(text: &str) -> Result<Self, ZoneError> {
        let zone = TimeZone::get(text).map_err(|_| ZoneError)?;
        if zone.iana_name().is_none() { Err(ZoneError) } else { Ok(Self(zone)) }
    }
}

impl Zones {
    /// One for ever.
    pub fn always(zone: Zone) -> Self {
        Self { first: zone, later: Vec::new() }
    }

    /// The zones that were said at those times, earliest first; before the first one it is that one, too.
    pub fn new(first: Zone, later: Vec<(Time, Zone)>) -> Self {
        Self { first, later }
    }

    /// The zone that counts for a month.
    pub fn of(&self, month: Month) -> &Zone {
        let begins = Time(month.start(&Zone::utc()).0.saturating_sub(i64::try_from(EARLIEST.as_micros()).unwrap_or(0)));
        let said = self.later.iter().rev().find(|(since, _)| *since <= begins);
        said.map_or(&self.first, |(_, zone)| zone)
    }

    /// A month's first instant and that of the next one.
    pub fn range(&self, month: Month) -> Range<Time> {
        month.start(self.of(month))..month.next().start(self.of(month.next()))
    }

    /// The month that holds an instant.
    pub fn month(&self, time: Time) -> Month {
        let guess = Month::of(time, &Zone::utc());
        let near = [guess.previous(), guess, guess.next()];
        near.into_iter().find(|month| self.range(*month).contains(&time)).unwrap_or(guess)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        serde_json::from_value(serde_json::json!(text)).unwrap()
    }

    #[track_caller]
    fn check(zone: &str, month: &str, range: [&str; 2]) {
        let zones = Zones::always(zone.parse().unwrap());
        let month: Month = month.parse().unwrap();
        assert_eq!(zones.range(month), at(range[0])..at(range[1]), "{zone} {month}");
        assert_eq!(zones.month(at(range[0])), month);
        assert_eq!(zones.month(Time(at(range[1]).0 - 1)), month);
        assert_eq!(zones.month(at(range[1])), month.next());
    }

    #[test]
    fn months_begin_at_local_midnight_also_where_the_clocks_change() {
        check("UTC", "2026-11", ["2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"]);
        check("Europe/Berlin", "2026-03", ["2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"]);
        check("Europe/Berlin", "2026-10", ["2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"]);
        check("Asia/Kolkata", "2026-12", ["2026-11-30T18:30:00Z", "2026-12-31T18:30:00Z"]);
        check("Pacific/Kiritimati", "2027-01", ["2026-12-31T10:00:00Z", "2027-01-31T10:00:00Z"]);
    }

    #[test]
    fn a_day_on_which_the_clocks_change_is_an_hour_longer_or_shorter_and_may_begin_after_midnight() {
        let hours = |zone: &str, time: &str| {
            let day = zone.parse::<Zone>().unwrap().day(at(time));
            day.end.since(day.start).as_secs() / 3600
        };
        assert_eq!(hours("Europe/Berlin", "2026-03-29T12:00:00Z"), 23);
        assert_eq!(hours("Europe/Berlin", "2026-10-25T12:00:00Z"), 25);
        assert_eq!(hours("UTC", "2026-10-25T12:00:00Z"), 24);
        // In St. John's the clocks were once put back at one minute past midnight.
        let zone = "America/St_Johns".parse::<Zone>().unwrap();
        let (before, twice) = (zone.day(at("2009-10-31T12:00:00Z")), zone.day(at("2009-11-01T03:15:00Z")));
        assert_eq!(
            (before.end, twice.start, twice.end),
            (twice.start, at("2009-11-01T02:30:00Z"), at("2009-11-02T03:30:00Z"))
        );
        // In Beirut the clocks skip midnight itself.
        assert_eq!(hours("Asia/Beirut", "2026-03-29T12:00:00Z"), 23);
    }

    #[test]
    fn a_new_zone_counts_from_the_first_month_that_begins_after_it_was_said() {
        let zones =
            Zones::new("UTC".parse().unwrap(), vec![(at("2026-11-10T00:00:00Z"), "Asia/Kolkata".parse().unwrap())]);
        let range = |month: &str| zones.range(month.parse().unwrap());
        assert_eq!(
            range("2026-11"),
            at("2026-11-01T00:00:00Z")..at("2026-11-30T18:30:00Z"),
            "no instant is in two months"
        );
        assert_eq!(range("2026-12").start, at("2026-11-30T18:30:00Z"));
        assert_eq!(zones.month(at("2026-11-30T19:00:00Z")).to_string(), "2026-12");
    }

    #[test]
    fn what_is_no_month_or_zone_is_refused() {
        for bad in ["", "2026", "2026-13", "2026-00", "26-11", "2026-1", "2026-11-01", "+026-11", "0001-01"] {
            assert_eq!(bad.parse::<Month>(), Err(MonthError), "{bad}");
        }
        for bad in ["", "Berlin", "Europe/Nowhere", "+01:00", "../etc/passwd"] {
            assert_eq!(bad.parse::<Zone>(), Err(ZoneError), "{bad}");
        }
        assert_eq!("Europe/Berlin".parse::<Zone>().unwrap().name(), "Europe/Berlin");
    }
}

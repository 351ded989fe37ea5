//! When a pool will be full, by arithmetic: a straight line through what was taken at the end of each day.
//!
//! Pure: no clock, no pools. It deliberately knows no seasons and no plans. Invariant: whole numbers and fractions of them
//! only, so that the same history always gives the same day.

/// How much the line rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trend {
    /// Addresses in so many days; may be negative.
    addresses: i128,
    /// Always positive.
    days: i128,
    /// By how many bits the addresses were made smaller, so that they can be multiplied.
    shift: u32,
}

impl Trend {
    /// The line of least squares through the levels of consecutive days, the oldest first. `None` for fewer than two: nobody
    /// knows yet. Levels are exact up to 2^64; beyond, their lowest bits don't count.
    pub fn of(levels: &[u128]) -> Option<Self> {
        if levels.len() < 2 {
            return None;
        }
        let highest = levels.iter().copied().max().unwrap_or_default();
        let shift = (128 - highest.leading_zeros()).saturating_sub(64);
        let count = i128::try_from(levels.len()).ok()?;
        let (mut days, mut squares, mut taken, mut products) = (0_i128, 0_i128, 0_i128, 0_i128);
        for (day, level) in (0_i128..).zip(levels) {
            let level = i128::try_from(level >> shift).ok()?;
            days += day;
            squares += day * day;
            taken += level;
            products += day * level;
        }
        Some(Self { addresses: count * products - days * taken, days: count * squares - days * days, shift })
    }

    /// Whole days until that many addresses more are taken; `None` where the line does not rise.
    pub fn days_until(self, addresses: u128) -> Option<u64> {
        if self.addresses <= 0 {
            return None;
        }
        let room = i128::try_from(addresses >> self.shift).unwrap_or(i128::MAX);
        let days = room.checked_mul(self.days).map_or_else(
            // So far away that the remainder of the division does not matter.
            || (room / self.addresses).saturating_mul(self.days),
            |scaled| scaled / self.addresses,
        );
        Some(u64::try_from(days).unwrap_or(u64::MAX))
    }

    /// Addresses a day, rounded towards zero.
    pub fn per_day(self) -> i128 {
        (self.addresses / self.days).saturating_mul(1_i128.checked_shl(self.shift).unwrap_or(i128::MAX))
    }
}

/// The level at the end of each day, from what it is now and how it came about: `changes` are (day, what became taken, what
/// became free) of days from `first` to `today`, in any order.
pub fn levels(now: u128, first: i64, today: i64, changes: &[(i64, u128, u128)]) -> Vec<u128> {
    let days = usize::try_from(today.saturating_sub(first)).unwrap_or_default();
    let mut levels = vec![now; days + 1];
    for (day, taken, freed) in changes {
        // Before that day there was as much less as was taken on it.
        let before = usize::try_from(day.saturating_sub(first)).unwrap_or_default().min(levels.len());
        for level in &mut levels[..before] {
            *level = level.saturating_add(*freed).saturating_sub(*taken);
        }
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(levels: &[u128], room: u128, per_day: i128, days: Option<u64>) {
        let trend = Trend::of(levels).unwrap();
        assert_eq!((trend.per_day(), trend.days_until(room)), (per_day, days));
    }

    #[test]
    fn a_line_through_the_days_says_when_it_is_full() {
        check(&[0, 256, 512, 768], 2560, 256, Some(10));
        check(&[0, 256, 512, 768], 0, 256, Some(0));
        check(&[0, 1], u128::MAX, 1, Some(u64::MAX));
        check(&[10, 10, 10], 100, 0, None);
        check(&[768, 512, 256], 100, -256, None);
        // Half an address a day is not nothing.
        check(&[0, 0, 1, 1], 10, 0, Some(25));
        let large = 1_u128 << 100;
        check(&[0, large, 2 * large], 10 * large, large as i128, Some(10));
        assert_eq!((Trend::of(&[]), Trend::of(&[5])), (None, None));
    }

    #[test]
    fn levels_are_found_by_going_back_from_now() {
        let changes = [(12, 100, 0), (11, 50, 0), (12, 0, 20), (14, 5, 0)];
        assert_eq!(levels(200, 10, 14, &changes), [65, 115, 195, 195, 200]);
        assert_eq!(levels(7, 14, 14, &[(14, 7, 0)]), [7]);
        assert_eq!(levels(7, 14, 10, &[]), [7], "a clock that went back is no reason to fail");
    }
}

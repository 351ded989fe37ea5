//! Sums of whole numbers without a limit: in a machine's integers for as long as they fit, which is as good as always.

use num_bigint::BigInt;

/// A sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Total {
    small: i128,
    /// What did not fit any more.
    large: Option<Box<BigInt>>,
}

impl Total {
    pub(super) fn add(&mut self, value: i128) {
        match self.small.checked_add(value) {
            Some(sum) => self.small = sum,
            None => {
                self.spill(BigInt::from(self.small));
                self.small = value;
            }
        }
    }

    pub(super) fn add_product(&mut self, left: i128, right: i128) {
        match left.checked_mul(right) {
            Some(product) => self.add(product),
            None => self.spill(BigInt::from(left) * right),
        }
    }

    pub(super) fn add_total(&mut self, other: Self) {
        self.add(other.small);
        if let Some(large) = other.large {
            self.spill(*large);
        }
    }

    pub(super) fn value(&self) -> BigInt {
        let small = BigInt::from(self.small);
        self.large.as_ref().map_or_else(|| small.clone(), |large| large.as_ref() + &small)
    }

    fn spill(&mut self, value: BigInt) {
        match &mut self.large {
            Some(large) => **large += value,
            None => self.large = Some(Box::new(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_beyond_the_machines_integers_is_still_exact() {
        let mut total = Total::default();
        total.add(i128::MAX);
        total.add(i128::MAX);
        total.add_product(i128::MAX, 3);
        total.add(-5);
        let mut other = Total::default();
        other.add(i128::MIN);
        other.add(i128::MIN);
        total.add_total(other);
        assert_eq!(total.value(), BigInt::from(i128::MAX) * 5 - 5 + BigInt::from(i128::MIN) * 2);
    }
}

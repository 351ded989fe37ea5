//! Free space as arithmetic: which aligned blocks of a range are free, and which one to hand out.
//!
//! Pure: no database, no clock, no names. It deliberately knows nothing of pools and routing domains; one [`FreeSpace`] is one
//! range. Invariant: the free blocks never overlap, and two free halves of one block are always held as that block, so
//! "the largest free prefix" is read off and never searched for.

use std::collections::{BTreeMap, BTreeSet};

use super::prefix::Prefix;

/// Which of several fitting free blocks is handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The smallest block that fits, the lowest of them: keeps large blocks whole.
    #[default]
    BestFit,
    /// The lowest address that fits.
    FirstFit,
    /// The highest address that fits.
    LastFit,
}

/// What is free of one range.
#[derive(Clone, Debug)]
pub struct FreeSpace {
    range: Prefix,
    /// Length by lowest address.
    by_address: BTreeMap<u128, u8>,
    /// Lowest addresses by length.
    by_length: BTreeMap<u8, BTreeSet<u128>>,
}

impl FreeSpace {
    /// A range that is free as a whole.
    pub fn new(range: Prefix) -> Self {
        let mut space = Self { range, by_address: BTreeMap::new(), by_length: BTreeMap::new() };
        space.insert(range);
        space
    }

    /// The range.
    pub fn range(&self) -> Prefix {
        self.range
    }

    /// The length of the largest free block.
    pub fn largest(&self) -> Option<u8> {
        self.by_length.keys().next().copied()
    }

    /// The prefix of that length which the strategy would hand out; it stays free until it is [`taken`](Self::take).
    pub fn find(&self, length: u8, strategy: Strategy) -> Option<Prefix> {
        if length > self.range.version().bits() {
            return None;
        }
        let fitting = self.by_length.range(..=length);
        let block = match strategy {
            Strategy::BestFit => fitting.rev().find_map(|(length, firsts)| Some((*firsts.first()?, *length))),
            Strategy::FirstFit => fitting.filter_map(|(length, firsts)| Some((*firsts.first()?, *length))).min(),
            Strategy::LastFit => fitting.filter_map(|(length, firsts)| Some((*firsts.last()?, *length))).max(),
        };
        let block = block.map(|(first, length)| self.block(first, length))?;
        let address = if strategy == Strategy::LastFit { block.last() } else { block.first() };
        Some(Prefix::containing(block.version(), address, length))
    }

    /// Takes what lies in the range of a prefix. False, and nothing is changed, where some of it is not free.
    pub fn take(&mut self, prefix: Prefix) -> bool {
        let Some(wanted) = self.range.intersection(prefix) else { return true };
        let Some(mut block) = self.block_around(wanted) else { return false };
        self.remove(block);
        while block.length() < wanted.length() {
            let Some((lower, upper)) = block.halves() else { break };
            let (kept, rest) = if lower.contains(wanted) { (lower, upper) } else { (upper, lower) };
            self.insert(rest);
            block = kept;
        }
        true
    }

    /// Gives back what lies in the range of a prefix that was taken, and joins it with what is free beside it.
    pub fn give_back(&mut self, prefix: Prefix) {
        let Some(mut block) = self.range.intersection(prefix) else { return };
        while let Some(parent) = block.parent().filter(|parent| self.range.contains(*parent)) {
            let Some((lower, upper)) = parent.halves() else { break };
            let buddy = if block == lower { upper } else { lower };
            if self.by_address.get(&buddy.first()) != Some(&buddy.length()) {
                break;
            }
            self.remove(buddy);
            block = parent;
        }
        self.insert(block);
    }

    /// The free blocks, lowest first.
    pub fn blocks(&self) -> impl Iterator<Item = Prefix> + '_ {
        self.by_address.iter().map(|(first, length)| self.block(*first, *length))
    }

    fn block(&self, first: u128, length: u8) -> Prefix {
        Prefix::containing(self.range.version(), first, length)
    }

    fn block_around(&self, wanted: Prefix) -> Option<Prefix> {
        let (first, length) = self.by_address.range(..=wanted.first()).next_back()?;
        let block = self.block(*first, *length);
        block.contains(wanted).then_some(block)
    }

    fn insert(&mut self, block: Prefix) {
        self.by_address.insert(block.first(), block.length());
        self.by_length.entry(block.length()).or_default().insert(block.first());
    }

    fn remove(&mut self, block: Prefix) {
        self.by_address.remove(&block.first());
        if let Some(firsts) = self.by_length.get_mut(&block.length()) {
            firsts.remove(&block.first());
            if firsts.is_empty() {
                self.by_length.remove(&block.length());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check_find(taken: &[&str], length: u8, strategy: Strategy, expected: Option<&str>) {
        let mut space = FreeSpace::new(prefix("10.0.0.0/24"));
        for taken in taken {
            assert!(space.take(prefix(taken)), "{taken} was free");
        }
        assert_eq!(space.find(length, strategy).map(|found| found.to_string()).as_deref(), expected);
    }

    #[test]
    fn strategies_choose_as_their_names_say() {
        let taken = ["10.0.0.0/26", "10.0.0.128/28"];
        check_find(&taken, 28, Strategy::BestFit, Some("10.0.0.144/28"));
        check_find(&taken, 28, Strategy::FirstFit, Some("10.0.0.64/28"));
        check_find(&taken, 28, Strategy::LastFit, Some("10.0.0.240/28"));
        check_find(&taken, 26, Strategy::LastFit, Some("10.0.0.192/26"));
        check_find(&taken, 25, Strategy::BestFit, None);
        check_find(&[], 24, Strategy::BestFit, Some("10.0.0.0/24"));
        check_find(&[], 23, Strategy::FirstFit, None);
        check_find(&[], 33, Strategy::FirstFit, None);
        check_find(&["10.0.0.0/8"], 32, Strategy::FirstFit, None);
    }

    /// A small deterministic generator (xorshift), so that a failure can be repeated.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % bound
        }
    }

    /// The slow oracle: one flag an address.
    struct Oracle {
        range: Prefix,
        taken: Vec<bool>,
    }

    impl Oracle {
        fn is_free(&self, block: Prefix) -> bool {
            let at = |address: u128| usize::try_from(address - self.range.first()).unwrap();
            self.taken[at(block.first())..=at(block.last())].iter().all(|taken| !taken)
        }

        fn mark(&mut self, block: Prefix, taken: bool) {
            for address in block.first()..=block.last() {
                self.taken[usize::try_from(address - self.range.first()).unwrap()] = taken;
            }
        }

        /// The largest free block around a free one.
        fn around(&self, mut block: Prefix) -> Prefix {
            while let Some(parent) =
                block.parent().filter(|parent| self.range.contains(*parent) && self.is_free(*parent))
            {
                block = parent;
            }
            block
        }

        fn find(&self, length: u8, strategy: Strategy) -> Option<Prefix> {
            let step = 1_usize << (self.range.version().bits() - length);
            let free: Vec<Prefix> = (self.range.first()..=self.range.last())
                .step_by(step)
                .map(|first| Prefix::containing(self.range.version(), first, length))
                .filter(|block| self.is_free(*block))
                .collect();
            match strategy {
                Strategy::FirstFit => free.first().copied(),
                Strategy::LastFit => free.last().copied(),
                Strategy::BestFit => free
                    .into_iter()
                    .min_by_key(|block| (std::cmp::Reverse(self.around(*block).length()), block.first())),
            }
        }
    }

    #[track_caller]
    fn check_against_oracle(range: &str, operations: u32, seed: u64) {
        let range = prefix(range);
        let size = usize::try_from(range.last() - range.first()).unwrap() + 1;
        let (mut space, mut oracle) = (FreeSpace::new(range), Oracle { range, taken: vec![false; size] });
        let (mut random, mut held) = (Random(seed), Vec::new());
        for _ in 0..operations {
            let length = range.length() + u8::try_from(random.below(9)).unwrap();
            match random.below(5) {
                0 | 1 => {
                    let strategy = [Strategy::BestFit, Strategy::FirstFit, Strategy::LastFit][random.below(3) as usize];
                    let found = space.find(length, strategy);
                    assert_eq!(found, oracle.find(length, strategy), "{strategy:?} /{length}");
                    if let Some(found) = found {
                        assert!(space.take(found));
                        oracle.mark(found, true);
                        held.push(found);
                    }
                }
                2 => {
                    let address = range.first() + u128::from(random.below(size as u64));
                    let wanted = Prefix::containing(range.version(), address, length);
                    assert_eq!(space.take(wanted), oracle.is_free(wanted), "{wanted}");
                    if oracle.is_free(wanted) {
                        oracle.mark(wanted, true);
                        held.push(wanted);
                    }
                }
                _ if held.is_empty() => {}
                _ => {
                    let given = held.swap_remove(random.below(held.len() as u64) as usize);
                    space.give_back(given);
                    oracle.mark(given, false);
                }
            }
            let free: u128 = space.blocks().map(|block| block.last() - block.first() + 1).sum();
            assert_eq!(free as usize, oracle.taken.iter().filter(|taken| !**taken).count(), "no address is lost");
            assert!(
                space.blocks().all(|block| oracle.is_free(block) && oracle.around(block) == block),
                "blocks are whole"
            );
        }
        for given in held {
            space.give_back(given);
        }
        assert_eq!(space.blocks().collect::<Vec<_>>(), [range]);
    }

    #[test]
    fn ten_thousand_random_operations_agree_with_a_slow_oracle_in_ipv4() {
        check_against_oracle("10.9.8.0/24", 10_000, 0x9e37_79b9_7f4a_7c15);
    }

    #[test]
    fn ten_thousand_random_operations_agree_with_a_slow_oracle_in_ipv6() {
        check_against_oracle("fd12:3456:789a::ff00/120", 10_000, 0x2545_f491_4f6c_dd1d);
    }

    #[test]
    fn prefixes_beyond_the_range_only_count_where_they_touch_it() {
        let mut space = FreeSpace::new(prefix("10.1.0.0/16"));
        assert!(space.take(prefix("192.168.0.0/16")));
        assert_eq!(space.largest(), Some(16));
        assert!(space.take(prefix("10.0.0.0/8")));
        assert_eq!(space.largest(), None);
        assert!(!space.take(prefix("10.1.2.0/24")));
        space.give_back(prefix("10.0.0.0/8"));
        assert_eq!(space.largest(), Some(16));
    }
}

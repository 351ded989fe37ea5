//! Free space against a slow oracle.

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
    check_find(&taken, 28, Strategy::Sparse, Some("10.0.0.64/28"));
    check_find(&["10.0.0.0/28"], 28, Strategy::Sparse, Some("10.0.0.128/28"));
    check_find(&["10.0.0.0/28", "10.0.0.128/28"], 28, Strategy::Sparse, Some("10.0.0.64/28"));
    check_find(&[], 24, Strategy::BestFit, Some("10.0.0.0/24"));
    check_find(&[], 23, Strategy::FirstFit, None);
    check_find(&[], 33, Strategy::FirstFit, None);
    check_find(&["10.0.0.0/8"], 32, Strategy::FirstFit, None);
}

const STRATEGIES: [Strategy; 4] = [Strategy::BestFit, Strategy::FirstFit, Strategy::LastFit, Strategy::Sparse];

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
        while let Some(parent) = block.parent().filter(|parent| self.range.contains(*parent) && self.is_free(*parent)) {
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
            Strategy::Sparse => free.into_iter().min_by_key(|block| (self.around(*block).length(), block.first())),
            Strategy::BestFit => {
                free.into_iter().min_by_key(|block| (std::cmp::Reverse(self.around(*block).length()), block.first()))
            }
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
                let strategy = STRATEGIES[random.below(4) as usize];
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
        assert!(space.blocks().all(|block| oracle.is_free(block) && oracle.around(block) == block), "blocks are whole");
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

/// The slow oracle of a small range: one bit an address, and every question answered by trying all blocks.
struct Bits {
    range: Prefix,
    taken: u64,
}

impl Bits {
    fn mask(&self, block: Prefix) -> u64 {
        let (at, size) = ((block.first() - self.range.first()) as u32, block.size() as u32);
        (u64::MAX >> (64 - size)) << at
    }

    fn is_free(&self, block: Prefix) -> bool {
        self.taken & self.mask(block) == 0
    }

    fn find(&self, length: u8, strategy: Strategy) -> Option<Prefix> {
        let version = self.range.version();
        let mut best: Option<(u8, Prefix)> = None;
        for at in 0..1_u128 << (length - self.range.length()) {
            let first = self.range.first() + (at << (version.bits() - length));
            let block = Prefix::containing(version, first, length);
            if !self.is_free(block) {
                continue;
            }
            let mut around = block;
            while around.length() > self.range.length()
                && let Some(parent) = around.parent().filter(|parent| self.is_free(*parent))
            {
                around = parent;
            }
            let better = match (strategy, best) {
                (_, None) | (Strategy::LastFit, _) => true,
                (Strategy::FirstFit, _) => false,
                (Strategy::BestFit, Some((length, _))) => around.length() > length,
                (Strategy::Sparse, Some((length, _))) => around.length() < length,
            };
            if better {
                best = Some((around.length(), block));
            }
        }
        best.map(|(_, block)| block)
    }

    /// Growing in place: the same first address, and all that comes behind it free.
    fn grown(&self, block: Prefix, length: u8) -> Option<Prefix> {
        let wanted = Prefix::containing(block.version(), block.first(), length);
        let others = self.taken & !self.mask(block) & self.mask(wanted);
        (wanted.first() == block.first() && others == 0).then_some(wanted)
    }
}

#[track_caller]
fn check_steps(range: &str, steps: u32, seed: u64) {
    let range = prefix(range);
    let (mut space, mut oracle) = (FreeSpace::new(range), Bits { range, taken: 0 });
    let (mut random, mut held) = (Random(seed), Vec::new());
    for step in 0..steps {
        let length = range.length() + u8::try_from(random.below(7)).unwrap();
        let at = if held.is_empty() { 0 } else { random.below(held.len() as u64) as usize };
        match random.below(6) {
            0 | 1 => {
                let strategy = STRATEGIES[random.below(4) as usize];
                let found = space.find(length, strategy);
                assert_eq!(found, oracle.find(length, strategy), "step {step}: {strategy:?} /{length}");
                let Some(found) = found else { continue };
                assert!(space.take(found));
                oracle.taken |= oracle.mask(found);
                held.push(found);
            }
            2 | 3 if !held.is_empty() => {
                let length = length.min(held[at].length());
                let grown = space.extension(held[at], length);
                assert_eq!(grown, oracle.grown(held[at], length), "step {step}: {} to /{length}", held[at]);
                let Some(grown) = grown else { continue };
                space.give_back(held[at]);
                assert!(space.take(grown));
                oracle.taken |= oracle.mask(grown);
                held[at] = grown;
            }
            4 | 5 if !held.is_empty() => {
                let given = held.swap_remove(at);
                space.give_back(given);
                oracle.taken &= !oracle.mask(given);
            }
            _ => {}
        }
        let free = space.blocks().fold(0, |free, block| free | oracle.mask(block));
        assert_eq!(free, !oracle.taken, "step {step}: no address is lost and none is free twice");
        if step % 64 == 0 {
            held.sort_unstable();
            let again = FreeSpace::without(range, held.iter().copied()).unwrap();
            assert!(again.blocks().eq(space.blocks()), "step {step}: built anew it is the same");
            assert!(again.lengths().eq(space.lengths()), "step {step}");
        }
    }
}

#[test]
fn a_million_random_steps_of_allocate_release_and_grow_agree_with_a_slow_oracle_in_ipv4() {
    check_steps("10.9.8.64/26", 1_000_000, 0x9e37_79b9_7f4a_7c15);
}

#[test]
fn a_million_random_steps_of_allocate_release_and_grow_agree_with_a_slow_oracle_in_ipv6() {
    check_steps("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffc0/122", 1_000_000, 0x2545_f491_4f6c_dd1d);
}

#[test]
fn room_is_counted_in_blocks_of_the_length_that_is_asked_for() {
    let mut space = FreeSpace::new(prefix("10.0.0.0/16"));
    assert_eq!((space.room(24), space.room(16), space.room(15)), (256, 1, 0));
    assert!(space.take(prefix("10.0.0.0/28")));
    assert_eq!((space.room(24), space.room(16), space.room(28)), (255, 0, 4095));
    assert!(FreeSpace::without(prefix("10.0.0.0/16"), [prefix("10.0.0.0/24"), prefix("10.0.0.128/25")]).is_none());
}

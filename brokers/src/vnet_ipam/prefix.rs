//! Prefixes and free space, as arithmetic: which aligned blocks of a range are free, and which one to hand out.
//!
//! Pure: no database, no clock, no names. It deliberately knows nothing of pools and routing domains; one [`FreeSpace`] is one
//! range. Invariant: the free blocks never overlap, and two free halves of one block are always held as that block, so
//! "the largest free prefix" is read off and never searched for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

/// The version of the Internet Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// IPv4: 32 bits.
    V4,
    /// IPv6: 128 bits.
    V6,
}

impl Version {
    /// The length of an address in bits.
    pub fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// 4 or 6.
    pub fn number(self) -> u8 {
        match self {
            Self::V4 => 4,
            Self::V6 => 6,
        }
    }

    /// An address of this version. IPv4 addresses are the numbers below 2^32.
    pub fn address(self, value: u128) -> IpAddr {
        match self {
            // The upper bits of an IPv4 address are always zero: prefixes are only made from parsed ones.
            Self::V4 => IpAddr::V4(Ipv4Addr::from(value as u32)),
            Self::V6 => IpAddr::V6(Ipv6Addr::from(value)),
        }
    }
}

/// An aligned block of addresses: `10.0.0.0/24`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    version: Version,
    first: u128,
    length: u8,
}

/// Why a text is not a prefix.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not an address with a length behind a slash.
    #[error("`{0}` is not a prefix such as 10.1.0.0/24 or fd00::/64")]
    Malformed(String),
    /// Bits behind the length are set.
    #[error("`{0}` has bits set behind its length: its prefix is {1}")]
    HostBits(String, Prefix),
}

impl Prefix {
    /// The block of that length which holds the address.
    pub fn containing(version: Version, address: u128, length: u8) -> Self {
        let length = length.min(version.bits());
        Self { version, first: address & !mask(version, length), length }
    }

    /// The version of its addresses.
    pub fn version(self) -> Version {
        self.version
    }

    /// How many leading bits are fixed.
    pub fn length(self) -> u8 {
        self.length
    }

    /// The lowest address.
    pub fn first(self) -> u128 {
        self.first
    }

    /// The highest address.
    pub fn last(self) -> u128 {
        self.first | mask(self.version, self.length)
    }

    /// Whether all of `other` lies in it.
    pub fn contains(self, other: Self) -> bool {
        self.version == other.version
            && self.length <= other.length
            && other.first & !mask(self.version, self.length) == self.first
    }

    /// What both hold: of two blocks that touch, one always lies in the other.
    pub fn intersection(self, other: Self) -> Option<Self> {
        if self.contains(other) {
            Some(other)
        } else if other.contains(self) {
            Some(self)
        } else {
            None
        }
    }

    /// The lower and upper half, unless it is a single address.
    pub fn halves(self) -> Option<(Self, Self)> {
        (self.length < self.version.bits()).then(|| {
            let length = self.length + 1;
            let upper = self.first | (mask(self.version, self.length) ^ mask(self.version, length));
            (Self { length, ..self }, Self { length, first: upper, ..self })
        })
    }

    /// The block of which it is a half, unless it is everything.
    fn parent(self) -> Option<Self> {
        self.length.checked_sub(1).map(|length| Self::containing(self.version, self.first, length))
    }
}

/// The bits behind the length, set.
fn mask(version: Version, length: u8) -> u128 {
    let host_bits = u32::from(version.bits() - length.min(version.bits()));
    if host_bits >= 128 { u128::MAX } else { (1 << host_bits) - 1 }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.version.address(self.first), self.length)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Prefix {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let net: IpNet = text.parse().map_err(|_| ParseError::Malformed(text.to_owned()))?;
        let (version, address) = match net {
            IpNet::V4(net) => (Version::V4, u128::from(u32::from(net.addr()))),
            IpNet::V6(net) => (Version::V6, u128::from(net.addr())),
        };
        let prefix = Self::containing(version, address, net.prefix_len());
        if prefix.first == address { Ok(prefix) } else { Err(ParseError::HostBits(text.to_owned(), prefix)) }
    }
}

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
        if length > self.range.version.bits() {
            return None;
        }
        let fitting = self.by_length.range(..=length);
        let block = match strategy {
            Strategy::BestFit => fitting.rev().find_map(|(length, firsts)| Some((*firsts.first()?, *length))),
            Strategy::FirstFit => fitting.filter_map(|(length, firsts)| Some((*firsts.first()?, *length))).min(),
            Strategy::LastFit => fitting.filter_map(|(length, firsts)| Some((*firsts.last()?, *length))).max(),
        };
        let block = block.map(|(first, length)| Prefix { version: self.range.version, first, length })?;
        let address = if strategy == Strategy::LastFit { block.last() } else { block.first };
        Some(Prefix::containing(block.version, address, length))
    }

    /// Takes what lies in the range of a prefix. False, and nothing is changed, where some of it is not free.
    pub fn take(&mut self, prefix: Prefix) -> bool {
        let Some(wanted) = self.range.intersection(prefix) else { return true };
        let Some(mut block) = self.block_around(wanted) else { return false };
        self.remove(block);
        while block.length < wanted.length {
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
            if self.by_address.get(&buddy.first) != Some(&buddy.length) {
                break;
            }
            self.remove(buddy);
            block = parent;
        }
        self.insert(block);
    }

    /// The free blocks, lowest first.
    pub fn blocks(&self) -> impl Iterator<Item = Prefix> + '_ {
        self.by_address.iter().map(|(first, length)| Prefix {
            version: self.range.version,
            first: *first,
            length: *length,
        })
    }

    fn block_around(&self, wanted: Prefix) -> Option<Prefix> {
        let (first, length) = self.by_address.range(..=wanted.first).next_back()?;
        let block = Prefix { version: self.range.version, first: *first, length: *length };
        block.contains(wanted).then_some(block)
    }

    fn insert(&mut self, block: Prefix) {
        self.by_address.insert(block.first, block.length);
        self.by_length.entry(block.length).or_default().insert(block.first);
    }

    fn remove(&mut self, block: Prefix) {
        self.by_address.remove(&block.first);
        if let Some(firsts) = self.by_length.get_mut(&block.length) {
            firsts.remove(&block.first);
            if firsts.is_empty() {
                self.by_length.remove(&block.length);
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
    fn check_parse(text: &str, first: u128, length: u8) {
        let parsed = prefix(text);
        assert_eq!((parsed.first(), parsed.length(), parsed.to_string().as_str()), (first, length, text));
    }

    #[test]
    fn prefixes_are_read_and_written_in_both_versions() {
        check_parse("10.0.0.0/8", 10 << 24, 8);
        check_parse("0.0.0.0/0", 0, 0);
        check_parse("255.255.255.255/32", u128::from(u32::MAX), 32);
        check_parse("fd00::/64", 0xfd00 << 112, 64);
        check_parse("::/0", 0, 0);
        assert_eq!(prefix("::/0").last(), u128::MAX);
        assert_eq!(prefix("10.0.0.0/24").last(), (10 << 24) + 255);
    }

    #[test]
    fn host_bits_and_nonsense_are_refused_with_what_was_meant() {
        let error = "10.0.0.7/24".parse::<Prefix>().unwrap_err();
        assert_eq!(error, ParseError::HostBits("10.0.0.7/24".into(), prefix("10.0.0.0/24")));
        for text in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/24", "fd00::/129", "ten/8"] {
            assert_eq!(text.parse::<Prefix>().unwrap_err(), ParseError::Malformed(text.into()));
        }
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

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
    /// The beginning of the largest free block: far from its neighbours, so that there is room to grow.
    Sparse,
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

    /// What prefixes leave free of a range, in one go. They must be sorted by their first address; `None` where they overlap.
    pub fn without(range: Prefix, taken: impl IntoIterator<Item = Prefix>) -> Option<Self> {
        let mut by_address = Vec::new();
        // The first address that is not accounted for yet; `None` once that is all of the range.
        let mut next = Some(range.first());
        for prefix in taken {
            let Some(prefix) = range.intersection(prefix) else { continue };
            let begin = next.filter(|next| *next <= prefix.first())?;
            if let Some(before) = prefix.first().checked_sub(1) {
                fill(range, begin, before, &mut by_address);
            }
            next = prefix.last().checked_add(1).filter(|next| *next <= range.last());
        }
        if let Some(begin) = next {
            fill(range, begin, range.last(), &mut by_address);
        }
        let mut by_length: BTreeMap<u8, Vec<u128>> = BTreeMap::new();
        for (first, length) in &by_address {
            by_length.entry(*length).or_default().push(*first);
        }
        let by_length = by_length.into_iter().map(|(length, firsts)| (length, firsts.into_iter().collect())).collect();
        Some(Self { range, by_address: by_address.into_iter().collect(), by_length })
    }

    /// The range.
    pub fn range(&self) -> Prefix {
        self.range
    }

    /// The length of the largest free block.
    pub fn largest(&self) -> Option<u8> {
        self.by_length.keys().next().copied()
    }

    /// The length of the smallest free block that a prefix of that length fits in.
    pub fn fit(&self, length: u8) -> Option<u8> {
        self.by_length.range(..=length).next_back().map(|(fit, _)| *fit)
    }

    /// The prefix of that length which the strategy would hand out; it stays free until it is [`taken`](Self::take).
    pub fn find(&self, length: u8, strategy: Strategy) -> Option<Prefix> {
        if length > self.range.version().bits() {
            return None;
        }
        let mut fitting = self.by_length.range(..=length);
        let block = match strategy {
            Strategy::BestFit => fitting.rev().find_map(|(length, firsts)| Some((*firsts.first()?, *length))),
            Strategy::FirstFit => fitting.filter_map(|(length, firsts)| Some((*firsts.first()?, *length))).min(),
            Strategy::LastFit => fitting.filter_map(|(length, firsts)| Some((*firsts.last()?, *length))).max(),
            Strategy::Sparse => fitting.find_map(|(length, firsts)| Some((*firsts.first()?, *length))),
        };
        let block = block.map(|(first, length)| self.block(first, length))?;
        let address = if strategy == Strategy::LastFit { block.last() } else { block.first() };
        Some(Prefix::containing(block.version(), address, length))
    }

    /// Whether all of a prefix is free; what lies outside the range is not.
    pub fn is_free(&self, prefix: Prefix) -> bool {
        self.range.contains(prefix) && self.block_around(prefix).is_some()
    }

    /// What a prefix that is taken would become if it grew to that length where it stands: a block that begins with the same
    /// address, lies in the range, and is free behind it.
    pub fn extension(&self, taken: Prefix, length: u8) -> Option<Prefix> {
        let wanted = Prefix::containing(taken.version(), taken.first(), length);
        if wanted.first() != taken.first() || length > taken.length() || !self.range.contains(wanted) {
            return None;
        }
        let mut block = taken;
        while block.length() > length {
            block.buddy().filter(|buddy| self.is_free(*buddy))?;
            block = block.parent()?;
        }
        Some(wanted)
    }

    /// How many prefixes of that length could be handed out.
    pub fn room(&self, length: u8) -> u128 {
        self.lengths().fold(0_u128, |room, (free, count)| match length.checked_sub(free) {
            Some(bits) => {
                let each = 1_u128.checked_shl(u32::from(bits)).unwrap_or(u128::MAX);
                room.saturating_add(count.saturating_mul(each))
            }
            None => room,
        })
    }

    /// How many free blocks there are of each length, the largest first.
    pub fn lengths(&self) -> impl Iterator<Item = (u8, u128)> + '_ {
        self.by_length.iter().map(|(length, firsts)| (*length, firsts.len() as u128))
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

/// Adds the largest aligned blocks that fill a range from `begin` to `last`, both in it.
fn fill(range: Prefix, begin: u128, last: u128, blocks: &mut Vec<(u128, u8)>) {
    let mut next = Some(begin);
    while let Some(begin) = next.filter(|begin| *begin <= last) {
        let mut block = Prefix::containing(range.version(), begin, range.version().bits());
        while let Some(parent) = block.parent()
            && range.contains(parent)
            && parent.first() == begin
            && parent.last() <= last
        {
            block = parent;
        }
        blocks.push((block.first(), block.length()));
        next = block.last().checked_add(1);
    }
}

#[cfg(test)]
mod tests;

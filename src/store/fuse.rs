//! A database that is as good as dead from one of its writes on: for tests that let a hub end at each write that it makes, and
//! start another on what is left. A hub that serves anybody has none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Never reached: not armed, or to be counted only.
const NEVER: u64 = u64::MAX;

/// Counts writes, and ends all that comes after one of them. Clones share it.
#[derive(Clone, Debug)]
pub struct Fuse {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    writes: AtomicU64,
    blows_at: AtomicU64,
    /// Whether that write is still committed, without anybody being told.
    after: bool,
}

/// What becomes of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// It is carried out as usual.
    Free,
    /// It is carried out, and nobody is told.
    Last,
    /// The process is dead.
    Blown,
}

impl Fuse {
    /// One that is not armed: it counts.
    pub fn new(after: bool) -> Self {
        let state = State { writes: AtomicU64::new(0), blows_at: AtomicU64::new(NEVER), after };
        Self { state: Arc::new(state) }
    }

    /// Blows at the write with that number from now on; the next one is number 1.
    pub fn arm(&self, number: u64) {
        let done = self.state.writes.load(Ordering::SeqCst);
        self.state.blows_at.store(done.saturating_add(number), Ordering::SeqCst);
    }

    /// How many writes there were.
    pub fn writes(&self) -> u64 {
        self.state.writes.load(Ordering::SeqCst)
    }

    /// Whether it is over.
    pub fn has_blown(&self) -> bool {
        self.writes() >= self.state.blows_at.load(Ordering::SeqCst)
    }

    pub(super) fn write(&self) -> Passage {
        let number = self.state.writes.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        let blows_at = self.state.blows_at.load(Ordering::SeqCst);
        if number < blows_at {
            Passage::Free
        } else if number == blows_at && self.state.after {
            Passage::Last
        } else {
            Passage::Blown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_blows_at_one_write_before_or_after_it() {
        for after in [false, true] {
            let fuse = Fuse::new(after);
            assert_eq!((fuse.write(), fuse.has_blown()), (Passage::Free, false));
            fuse.arm(2);
            assert_eq!((fuse.write(), fuse.has_blown()), (Passage::Free, false));
            assert_eq!((fuse.write() == Passage::Last, fuse.has_blown()), (after, true));
            assert_eq!((fuse.write(), fuse.writes()), (Passage::Blown, 4));
        }
    }
}
